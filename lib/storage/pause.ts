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
