/**
 * Waits for a lock held by another process: retries every millisecond, for at most ten seconds.
 * There is one limit, so "busy" means the same everywhere.
 *
 * @module
 */

import { ErrorKind, PlasmiteError } from "../errors.ts";
import type { Steps } from "./steps.ts";

/** How long to wait for another process's lock before failing with Busy, in milliseconds. */
export const LOCK_LIMIT = 10_000;

/**
 * Retries until `attempt` returns something other than null. Run it with `inPlace`, or with
 * `inTurns` in a process that serves others.
 *
 * @param path the file that is locked, for the error
 * @param limitMs the time limit, in milliseconds
 * @throws {PlasmiteError} Busy when the lock is still held at the time limit
 */
export function* untilUnlocked<T>(
  path: string,
  attempt: () => T | null,
  limitMs: number = LOCK_LIMIT,
): Steps<T> {
  for (const since = performance.now();;) {
    const result = attempt();
    if (result !== null) return result;
    if (performance.now() - since >= limitMs) throw lockTimeout(path);
    yield "busy";
  }
}

/**
 * Repeats an attempt that fails with Busy, for what others hold for a moment only.
 *
 * @param limitMs the time limit, in milliseconds
 * @throws {PlasmiteError} the last Busy at the time limit; whatever else the attempt throws
 */
export function* whileBusy<T>(limitMs: number, attempt: () => Steps<T>): Steps<T> {
  for (const since = performance.now();;) {
    try {
      return yield* attempt();
    } catch (error) {
      const isBusy = PlasmiteError.is(error, ErrorKind.Busy);
      if (!isBusy || performance.now() - since >= limitMs) throw error;
    }
    yield "busy";
  }
}

let cell: Int32Array | undefined;

/** Blocks the thread; only for callers that have nothing else to do. */
export function sleepSync(ms: number): void {
  cell ??= new Int32Array(new SharedArrayBuffer(4));
  Atomics.wait(cell, 0, 0, ms);
}

/** The error for a lock that stays held. */
export function lockTimeout(path: string): PlasmiteError {
  return new PlasmiteError("Busy", "resource is busy", {
    path,
    hint: "Another process holds the pool's lock. Retry with a pause, or stop that process.",
  });
}
