/**
 * Two ways to wait a moment for a lock, in place and without blocking anyone, and what to say when
 * it stays taken.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { startTimer } from "../timers.ts";

let cell: Int32Array | undefined;

/** Sleeps in place; only for callers that have nothing else to do. */
export function sleepSync(ms: number): void {
  cell ??= new Int32Array(new SharedArrayBuffer(4));
  Atomics.wait(cell, 0, 0, ms);
}

/** How long to wait for another process's lock before giving up with Busy, in milliseconds. */
export const LOCK_TIMEOUT = 10_000;
/** Of those who wait for locks, how many ask again in the same millisecond. */
const ASK_AT_ONCE = 64;

const asking: (() => void)[] = [];
let round: ReturnType<typeof startTimer> | null = null;

function nextRound(): void {
  round = null;
  for (const wake of asking.splice(0, ASK_AT_ONCE)) wake();
  if (asking.length > 0) round = startTimer(nextRound, 1);
}

/**
 * Sleeps for a millisecond before a lock is asked for again. Nobody is told when a flock is given
 * back, so all who wait ask again and again; together they do so only so often that a process that
 * waits for the locks of a thousand pools has time for everything else.
 */
export function beforeNextTry(): Promise<void> {
  return new Promise((resolve) => {
    asking.push(resolve);
    round ??= startTimer(nextRound, 1);
  });
}

/** Sleeps without blocking anyone. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => startTimer(resolve, ms));
}

/** The error for a lock that stays taken. */
export function lockTimeout(path: string): PlasmiteError {
  return new PlasmiteError("Busy", "resource is busy", {
    path,
    hint: "Another process holds the pool's lock. Retry with a pause, or stop that process.",
  });
}
