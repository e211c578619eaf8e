/**
 * Waits for a pool that does not exist yet, and for the first messages after a position, within the
 * time of the caller (docs/spec/agents.md 6).
 *
 * @module
 */

import type { PoolHandle } from "../lib/backend/types.ts";
import { PlasmiteError } from "../lib/errors.ts";
import { isMissing } from "../lib/pool/unfinished.ts";
import type { Bounds } from "../lib/types.ts";
import {
  type Batch,
  boundsMembers,
  Collector,
  complete,
  cursorMembers,
  type Found,
} from "./answer.ts";
import { pause, restAfter } from "./pause.ts";
import type { GrantedPools } from "./pools.ts";
import { retained, Scan } from "./scan.ts";
import { failuresOf, filtersOf, firstAfter, type Wanted } from "./selection.ts";

/** How long to wait for the retained range at the end of a wait, in milliseconds. */
const LAST_LOOK = 5_000;
/** The pause between two checks for a missing pool, in milliseconds. */
const APPEAR = { least: 100, most: 1_000 };

/** Reads the flag again, which the compiler takes for constant. */
function aborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

/** What ends a wait without a message. */
export interface Until {
  /** The end of the time, in `performance.now()` time. */
  readonly deadline: number;
  /** Aborted when the answer is no longer needed. */
  readonly signal: AbortSignal;
  /** Ends the wait early, with an answer. */
  readonly ending?: AbortSignal | undefined;
}

/** A pool to wait for, and the position after which messages count. */
export interface Awaited {
  /** The pool; absent if it did not appear in time. */
  readonly pool?: PoolHandle;
  readonly after: bigint;
}

/**
 * Opens a pool to wait for messages after `after`, or after its newest one. Waits for a pool that
 * does not exist yet; then all of its messages count.
 */
export async function awaitPool(
  pools: GrantedPools,
  name: string,
  after: bigint | undefined,
  { deadline, signal, ending }: Until,
): Promise<Awaited> {
  const either = ending === undefined ? signal : AbortSignal.any([signal, ending]);
  let from = after;
  for (;;) {
    const asked = performance.now();
    try {
      const pool = await pools.open(name);
      return { pool, after: from ?? await newest(pool) };
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    from ??= 0n;
    const now = performance.now();
    const left = deadline - now;
    if (left <= 0 || aborted(either)) return { after: from };
    await pause(Math.min(left, restAfter(now - asked, APPEAR)), either);
    signal.throwIfAborted();
  }
}

async function newest(pool: PoolHandle): Promise<bigint> {
  try {
    return retained(await pool.bounds()).newest;
  } catch (error) {
    await pool.close();
    throw error;
  }
}

/** The answer if the pool did not appear in time. */
export function missing(name: string, after: bigint): Batch {
  return complete({
    next_after_seq: after,
    oldest_available_seq: null,
    newest_available_seq: null,
    fell_behind: false,
    timed_out: true,
    note: `There is no pool ${name} yet; plasmite_pool_list shows what exists. ` +
      `Waiting again with after_seq ${after} misses nothing.`,
  }, []);
}

/** Waits for the first matches after `wanted.after`; the answer is empty if there are none. */
export async function waitBatch(
  pool: PoolHandle,
  wanted: Wanted & { readonly after: bigint },
  until: Until,
): Promise<Batch> {
  const from = firstAfter(wanted.after);
  const scan = await Scan.begin(pool, { ...filtersOf(wanted), from, follow: true });
  try {
    return await waiting(pool, scan, wanted, until);
  } finally {
    scan.close();
  }
}

async function waiting(
  pool: PoolHandle,
  scan: Scan,
  wanted: Wanted & { readonly after: bigint },
  { deadline, signal, ending }: Until,
): Promise<Batch> {
  const { after } = wanted;
  const { start, walk } = scan;
  const collector = new Collector(wanted);
  const either = ending === undefined ? signal : AbortSignal.any([signal, ending]);
  let examined = after;
  for (;;) {
    signal.throwIfAborted();
    const whole = await scan.each((view) => collector.take(view), signal);
    if (!whole) examined = collector.refused ?? walk.frame.seq;
    else if (walk.position > examined) examined = walk.position - 1n;
    const left = deadline - performance.now();
    if (collector.found.length > 0 || left <= 0 || aborted(ending)) break;
    try {
      await walk.wait(left, either);
    } catch (error) {
      if (signal.aborted || !aborted(ending)) throw error;
    }
  }
  const bounds = await lastBounds(pool, known(start, collector.found, examined), signal);
  return complete({
    ...boundsMembers(bounds),
    ...failuresOf(wanted),
    // Even if newer messages have passed the position since: those before were not seen.
    ...cursorMembers(after > start.newest ? start : bounds, after),
    next_after_seq: examined,
    fell_behind: after + 1n < start.oldest || scan.lost,
    timed_out: collector.found.length === 0,
    has_more: collector.refused !== null || (collector.full && examined < bounds.newest),
  }, collector.found);
}

/** The retained range as far as found messages show it; undefined if there are none. */
function known(start: Bounds, [first]: readonly Found[], examined: bigint): Bounds | undefined {
  if (first === undefined) return undefined;
  return {
    oldest: start.oldest === 0n ? first.seq : start.oldest,
    newest: examined > start.newest ? examined : start.newest,
  };
}

/**
 * The retained range at the end of a wait. A server that does not respond must not delay the
 * answer: messages in it would be lost.
 */
async function lastBounds(
  pool: PoolHandle,
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
    return retained(await Promise.race([pool.bounds(), late]));
  } catch (error) {
    if (otherwise === undefined) throw error;
    return otherwise;
  } finally {
    late.catch(() => {});
    stop.abort();
  }
}
