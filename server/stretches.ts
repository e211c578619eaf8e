/**
 * Walks through what a pool retains, a stretch of numbers at a time, for work that takes long: it
 * yields to everyone else every few milliseconds, and goes on behind messages that cannot be read.
 *
 * @module
 */

import type { PoolHandle, Selection, Walk } from "../lib/backend/types.ts";
import { ErrorKind, PlasmiteError } from "../lib/errors.ts";
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
  readonly each: (walk: Walk) => boolean | void;
}

/**
 * Reads one stretch.
 *
 * @returns how many messages could not be read
 * @throws {PlasmiteError} the errors of opening and filtering
 */
export async function readStretch(
  pool: PoolHandle,
  stretch: Stretch,
  slice: Slice,
  signal: AbortSignal,
): Promise<bigint> {
  const { until } = stretch;
  let unreadable = 0n;
  // Without an index the way to what lies behind damage leads through it; so ever larger steps.
  let step = 0n;
  for (let from = stretch.from; from <= until && !signal.aborted;) {
    const walk = await pool.select({ ...stretch.filter, from, until, yielding: true });
    try {
      await through(walk, stretch.each, slice, signal);
      break;
    } catch (error) {
      if (!PlasmiteError.is(error, ErrorKind.Corrupt)) throw error;
      const at = walk.position > from ? walk.position : from;
      step = walk.position > from || step === 0n ? 1n : step * 2n;
      const next = at + step > until ? until + 1n : at + step;
      unreadable += next - at;
      from = next;
    } finally {
      walk.close();
    }
  }
  return unreadable;
}

async function through(
  walk: Walk,
  each: Stretch["each"],
  slice: Slice,
  signal: AbortSignal,
): Promise<void> {
  for (let looked = 0; !signal.aborted;) {
    if (walk.next()) {
      if (each(walk) === true) return;
      if (++looked % CLOCK_EVERY === 0 && slice.over) await slice.next();
    } else if (walk.ended) return;
    else if (slice.over) await slice.next();
    else if (!await walk.wait(WAIT, signal)) return;
  }
}
