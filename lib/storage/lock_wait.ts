/**
 * Waits for a lock held by another process: retries every millisecond, for at most ten seconds.
 * There is one limit, so "busy" means the same everywhere.
 *
 * @module
 */

import { lockTimeout } from "./pause.ts";
import type { Steps } from "./turns.ts";

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
