/**
 * Walks through what a pool retains, a stretch of numbers at a time, for work that takes long: it
 * yields to everyone else every few milliseconds, and goes on behind messages that cannot be read.
 *
 * @module
 */

import type { PoolHandle, Selection, Walk } from "../lib/backend/types.ts";
import type { Slice } from "../lib/storage/turns.ts";

/** How many messages are looked at before the clock is. */
const CLOCK_EVERY = 32;
/** The longest wait for messages that are being appended, in milliseconds. */
const WAIT = 1_000;

/** What is read, and what becomes of it. */
export interface Stretch {
  /** The first number. */
  readonly from: bigint;
  /** The last number. */
  readonly until: bigint;
  /** Tags, time and conditions. */
  readonly filter: Pick<Selection, "tags" | "since" | "where">;
  /** Called with every selected message; returns true to stop. */
  readonly each: (walk: Walk) => boolean;
}

/**
 * Reads one stretch; ends early when the signal is aborted.
 *
 * @returns how many messages could not be read
 * @throws {PlasmiteError} the errors of opening and filtering
 */
export async function readStretch(
  pool: PoolHandle,
  { from, until, filter, each }: Stretch,
  slice: Slice,
  signal: AbortSignal,
): Promise<bigint> {
  let unreadable = 0n;
  const walk = await pool.select({ ...filter, from, until, yielding: true, skipCorrupt: true });
  try {
    for (let looked = 0; !signal.aborted;) {
      const found = walk.next();
      for (const { first, last } of walk.takeUnreadable()) unreadable += last - first + 1n;
      if (found) {
        if (each(walk)) break;
        if (++looked % CLOCK_EVERY === 0 && slice.over) await slice.next();
      } else if (walk.ended) break;
      else if (slice.over) await slice.next();
      else if (!await walk.wait(WAIT, signal)) break;
    }
  } finally {
    walk.close();
  }
  return unreadable;
}
