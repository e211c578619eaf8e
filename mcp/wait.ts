/**
 * Waiting: for a pool that does not exist yet, for the first messages behind a position, and never
 * longer than the caller has time (docs/spec/agents.md 6).
 *
 * @module
 */

import { PlasmiteError } from "../lib/errors.ts";
import { isMissing } from "../lib/pool/creation.ts";
import { ahead, type Batch, Collector, finish, type Found, ofBounds } from "./answer.ts";
import { pause } from "./pause.ts";
import { Filter, type Wanted } from "./selection.ts";
import type { Bounds, Live, PoolStore } from "./store.ts";

/** How long a wait asks for what is retained at its end, in milliseconds. */
const LAST_LOOK = 5_000;

/** Asked anew after a pause. */
function aborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

/** What ends a wait before a message comes. */
export interface Until {
  /** When the time is over, as `performance.now()` tells time. */
  readonly deadline: number;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** Ends the wait early, with whatever there is. */
  readonly ending?: AbortSignal | undefined;
}

/**
 * Follows a pool behind `after`, or behind its newest message. One that does not exist yet is waited
 * for, and then all of its messages count.
 *
 * @returns the pool and the number behind which messages count; no pool when the time is over
 */
export async function followed(
  store: PoolStore,
  name: string,
  after: bigint | undefined,
  { deadline, signal, ending }: Until,
): Promise<{ readonly pool?: Live; readonly after: bigint }> {
  const either = ending === undefined ? signal : AbortSignal.any([signal, ending]);
  let behind = after;
  for (;;) {
    try {
      const pool = await store.follow(name, behind === undefined ? undefined : next(behind));
      return { pool, after: behind ?? pool.start.newest };
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    behind ??= 0n;
    const left = deadline - performance.now();
    if (left <= 0 || aborted(either)) return { after: behind };
    await pause(Math.min(left, store.appearEvery), either);
    signal.throwIfAborted();
  }
}

/** The first sequence number behind `after`; the highest one has none. */
function next(after: bigint): bigint {
  return after === 2n ** 64n - 1n ? after : after + 1n;
}

/** The answer of a wait for a pool that did not come. */
export function missing(name: string, after: bigint): Batch {
  return finish({
    next_after_seq: after,
    oldest_available_seq: null,
    newest_available_seq: null,
    fell_behind: false,
    timed_out: true,
    note: `There is no pool ${name} yet; plasmite_pool_list shows what exists. ` +
      `Waiting again with after_seq ${after} misses nothing.`,
  }, []);
}

/** Waits for the first matches behind `wanted.after`; an empty answer when the time is over. */
export async function waitBatch(
  pool: Live,
  wanted: Wanted & { readonly after: bigint },
  { deadline, signal, ending }: Until,
): Promise<Batch> {
  const { after } = wanted;
  const { start } = pool;
  const filter = new Filter(wanted);
  const collector = new Collector(wanted);
  const either = ending === undefined ? signal : AbortSignal.any([signal, ending]);
  let examined = after;
  let behind = after + 1n < start.oldest;
  let more = false;
  for (;;) {
    signal.throwIfAborted();
    let view = await pool.next(signal);
    for (; view !== null; view = await pool.next(signal)) {
      if (pool.lost()) behind = true;
      if (filter.matches(view) && !collector.add(view)) {
        more = true;
        break;
      }
      examined = view.seq;
      if (collector.full) break;
    }
    const left = deadline - performance.now();
    if (collector.found.length > 0 || left <= 0 || aborted(ending)) break;
    try {
      await pool.wait(left, either);
    } catch (error) {
      if (signal.aborted || !aborted(ending)) throw error;
    }
  }
  const bounds = await lastBounds(pool, known(start, collector.found, examined), signal);
  return finish({
    ...ofBounds(bounds),
    ...filter.failures,
    // Also when new messages have passed the position meanwhile: those before them were not seen.
    ...ahead(after > start.newest ? start : bounds, after),
    next_after_seq: examined,
    fell_behind: behind,
    timed_out: collector.found.length === 0,
    has_more: more || (collector.full && examined < bounds.newest),
  }, collector.found);
}

/** What is known to be retained by whoever found messages; nothing when none was found. */
function known(start: Bounds, [first]: readonly Found[], examined: bigint): Bounds | undefined {
  if (first === undefined) return undefined;
  return {
    oldest: start.oldest === 0n ? first.seq : start.oldest,
    newest: examined > start.newest ? examined : start.newest,
  };
}

/**
 * What is retained at the end of a wait. A server that has become silent must not keep an answer
 * back, least of all one that has messages: those would be lost.
 */
async function lastBounds(
  pool: Live,
  otherwise: Bounds | undefined,
  signal: AbortSignal,
): Promise<Bounds> {
  const stop = new AbortController();
  const late = pause(LAST_LOOK, AbortSignal.any([signal, stop.signal])).then(() => {
    throw new PlasmiteError("Io", "the server does not answer any more", {
      hint: "Try again; if it goes on, check the server and the network.",
    });
  });
  try {
    return await Promise.race([pool.bounds(), late]);
  } catch (error) {
    if (otherwise === undefined) throw error;
    return otherwise;
  } finally {
    late.catch(() => {});
    stop.abort();
  }
}
