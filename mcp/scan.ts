/**
 * Looking through the messages of a walk for a caller who waits for an answer: everybody else gets
 * turns meanwhile, and what is there is waited for, but not for ever.
 *
 * @module
 */

import type { PoolHandle, Selection, Walk } from "../lib/backend/types.ts";
import { PlasmiteError } from "../lib/errors.ts";
import type { MessageView } from "../lib/lite3/message.ts";
import { Slice } from "../lib/storage/turns.ts";
import type { Bounds } from "../lib/types.ts";

/** How long what is there may take to arrive, in milliseconds. */
const PATIENCE = 30_000;
/** How long one wait for it lasts, in milliseconds. */
const STEP = 1_000;
/** So many messages are looked at between two looks at the clock. */
const CLOCK_EVERY = 8;

/** A walk that is looked through. */
export class Scan {
  /** Where the messages come from. */
  readonly walk: Walk;
  /** Whether messages were gone before they were reached. */
  lost = false;
  readonly #path: string;
  readonly #slice = new Slice();
  readonly #trouble: readonly Error[];

  private constructor(path: string, walk: Walk, trouble: readonly Error[]) {
    this.#path = path;
    this.walk = walk;
    this.#trouble = trouble;
  }

  /** Begins a walk; close it when done. */
  static async begin(pool: PoolHandle, selection: Selection): Promise<Scan> {
    const trouble: Error[] = [];
    const onTrouble = (error: Error): void => void trouble.push(error);
    const walk = await pool.select({ ...selection, onTrouble });
    return new Scan(pool.path, walk, trouble);
  }

  /** What was retained when it began. */
  get start(): Bounds {
    return retained(this.walk.start);
  }

  /**
   * Looks at every message that is there, until `visit` returns false.
   *
   * @returns false when `visit` ended it
   * @throws {PlasmiteError} what reading throws; Io when what is there does not arrive
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
      // Behind what was there at the start there is nothing to wait for.
      if (walk.ended || at > this.start.newest) return true;
      for (const error of this.#trouble) throw error;
      await walk.wait(STEP, signal);
      this.#slice.restart();
      const now = performance.now();
      // A walk without a position yet is being searched for, which takes as long as it takes.
      if (silent === null || silent.at !== at || at === 0n) silent = { at, since: now };
      else if (now - silent.since > PATIENCE) throw this.#silence();
    }
  }

  #silence(): PlasmiteError {
    return new PlasmiteError("Io", "messages that are there did not arrive", {
      path: this.#path,
      hint: "Try again; if it goes on, check the network and whoever keeps the pools.",
    });
  }

  /** Ends the walk. */
  close(): void {
    this.walk.close();
  }
}

/** First and last retained sequence number; both 0 when the pool is empty. */
export function retained({ oldest, newest }: Bounds): Bounds {
  return oldest === 0n ? { oldest: 0n, newest: 0n } : { oldest, newest };
}
