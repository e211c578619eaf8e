/**
 * Scans the messages of a walk for a caller who waits for an answer. Other tasks get time slices in
 * between, and the wait for existing messages is limited.
 *
 * @module
 */

import type { PoolHandle, Selection, Walk } from "../lib/backend/types.ts";
import { PlasmiteError } from "../lib/errors.ts";
import type { MessageView } from "../lib/lite3/message.ts";
import { Slice } from "../lib/storage/turns.ts";
import type { Bounds } from "../lib/types.ts";

/** How long to wait for existing messages to arrive, in milliseconds. */
const PATIENCE = 30_000;
/** The length of one such wait, in milliseconds. */
const STEP = 1_000;
/** How many messages to examine before reading the clock again. */
const CLOCK_EVERY = 8;

/** A scan of a walk. */
export class Scan {
  /** The walk. */
  readonly walk: Walk;
  /** Whether messages were overwritten before they were read. */
  lost = false;
  readonly #path: string;
  readonly #slice = new Slice();
  readonly #trouble: readonly Error[];

  private constructor(path: string, walk: Walk, trouble: readonly Error[]) {
    this.#path = path;
    this.walk = walk;
    this.#trouble = trouble;
  }

  /** Starts a scan; close it when done. */
  static async begin(pool: PoolHandle, selection: Selection): Promise<Scan> {
    const trouble: Error[] = [];
    const onTrouble = (error: Error): void => void trouble.push(error);
    const walk = await pool.select({ ...selection, onTrouble });
    return new Scan(pool.path, walk, trouble);
  }

  /** The retained range at the start. */
  get start(): Bounds {
    return retained(this.walk.start);
  }

  /**
   * Calls `visit` for all existing messages, until it returns false.
   *
   * @returns false if `visit` ended the scan
   * @throws {PlasmiteError} errors of reading; Io if existing messages do not arrive
   */
  async each(visit: (message: MessageView) => boolean, signal?: AbortSignal): Promise<boolean> {
    const { walk } = this;
    this.#slice.restart();
    let silent: { readonly at: bigint; readonly since: number } | null = null;
    for (let looked = 1;; looked++) {
      const found = walk.next();
      if (walk.takeGap() !== null) this.lost = true;
      if (found) {
        silent = null;
        if (!visit(walk.message)) return false;
        if (looked % CLOCK_EVERY !== 0 || !this.#slice.over) continue;
        await this.#slice.next();
        signal?.throwIfAborted();
        continue;
      }
      const at = walk.position;
      // Only messages from before the start are waited for.
      if (walk.ended || at > this.start.newest) return true;
      for (const error of this.#trouble) throw error;
      await walk.wait(STEP, signal);
      this.#slice.restart();
      const now = performance.now();
      // A walk without a position is still searching, which has no time limit.
      if (silent === null || silent.at !== at || at === 0n || walk.evaluating === true) {
        silent = { at, since: now };
      } else if (now - silent.since > PATIENCE) throw this.#silence();
    }
  }

  #silence(): PlasmiteError {
    return new PlasmiteError("Io", "stored messages did not arrive", {
      path: this.#path,
      hint: "Try again; if it goes on, check the network and the server.",
    });
  }

  /** Ends the scan. */
  close(): void {
    this.walk.close();
  }
}

/** The first and last retained sequence number; both 0 if the pool is empty. */
export function retained({ oldest, newest }: Bounds): Bounds {
  return oldest === 0n ? { oldest: 0n, newest: 0n } : { oldest, newest };
}
