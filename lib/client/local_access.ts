/**
 * Coordination through a pool file, for the library: calls that return at once work in place, all
 * others give other tasks a turn. Both share what is known of the file.
 *
 * @module
 */

import { Coordinator, type PoolContext } from "../backend/local/coordinator.ts";
import { LocalBackend } from "../backend/local.ts";
import { selecting } from "../backend/local/select.ts";
import type { Selection, Walk } from "../backend/types.ts";
import type { Ring } from "../pool/ring.ts";
import { disk } from "../storage/file.ts";
import { inPlace, type Steps } from "../storage/steps.ts";
import { inTurns } from "../storage/turns.ts";
import type { Awaitable } from "../types.ts";
import type { Access } from "./access.ts";

/** The directory of a file, in which dead pools are looked for. */
function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || (path.startsWith("/") ? "/" : ".");
}

/** An open file for coordination. */
export class LocalAccess implements Access {
  readonly path: string;
  /** Works in place. */
  readonly now: Coordinator;
  readonly coordination: Coordinator;
  readonly #ring: Ring;
  #users = 1;

  /** @param ring the open file, which is closed with the access */
  constructor(ring: Ring) {
    this.#ring = ring;
    this.path = ring.path;
    this.now = new Coordinator({
      ...this.#context,
      run: inPlace,
      runAppend: inPlace,
      select: (selection) => inPlace(this.#selecting(selection, false)),
    });
    this.coordination = new Coordinator({
      ...this.#context,
      run: inTurns,
      runAppend: inTurns,
      select: (selection) => inTurns(this.#selecting(selection, true)),
    }, this.now);
  }

  /** Whether it may append. */
  get writable(): boolean {
    return this.#ring.writable;
  }

  get #context(): Omit<PoolContext, "run" | "runAppend" | "select"> {
    const backend = new LocalBackend(folderOf(this.path), { serving: true });
    return {
      name: this.path,
      ring: this.#ring,
      onDisk: true,
      sizeBytes: () => this.#ring.layout.fileSize,
      open: (name, options) => backend.open(name, options),
    };
  }

  *#selecting(selection: Selection, yielding: boolean): Steps<Walk> {
    const run = yielding ? inTurns : inPlace;
    const retain = (): () => void => {
      this.share();
      return () => this.close();
    };
    const pool = {
      ring: this.#ring,
      storage: disk,
      serving: yielding,
      hubs: undefined,
      run,
      retain,
    };
    return yield* selecting(pool, { ...selection, yielding });
  }

  newestNow(): bigint {
    return inPlace(this.#ring.stating()).newest;
  }

  newest(): Awaitable<bigint> {
    return this.newestNow();
  }

  share(): this {
    this.#users++;
    return this;
  }

  close(): void {
    if (--this.#users === 0) this.#ring.close();
  }
}
