/**
 * Pauses between attempts to get a lock, blocking and non-blocking, and the error for a lock that
 * stays held.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { startTimer } from "../timers.ts";

let cell: Int32Array | undefined;

/** Blocks the thread; only for callers that have nothing else to do. */
export function sleepSync(ms: number): void {
  cell ??= new Int32Array(new SharedArrayBuffer(4));
  Atomics.wait(cell, 0, 0, ms);
}

/** How long to wait for another process's lock before failing with Busy, in milliseconds. */
export const LOCK_TIMEOUT = 10_000;
/** How many waiters retry in the same millisecond. */
const RETRIES_PER_ROUND = 64;

const asking: (() => void)[] = [];
let round: ReturnType<typeof startTimer> | null = null;

function nextRound(): void {
  round = null;
  for (const wake of asking.splice(0, RETRIES_PER_ROUND)) wake();
  if (asking.length > 0) round = startTimer(nextRound, 1);
}

/**
 * Sleeps for a millisecond before the next attempt to get a lock. The system does not notify when a
 * flock is released, so every waiter polls. The total rate is limited, so that a process that waits
 * for the locks of a thousand pools has time for everything else.
 */
export function beforeNextTry(): Promise<void> {
  return new Promise((resolve) => {
    asking.push(resolve);
    round ??= startTimer(nextRound, 1);
  });
}

/** Sleeps without blocking the event loop. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => startTimer(resolve, ms));
}

/** The error for a lock that stays held. */
export function lockTimeout(path: string): PlasmiteError {
  return new PlasmiteError("Busy", "resource is busy", {
    path,
    hint: "Another process holds the pool's lock. Retry with a pause, or stop that process.",
  });
}
