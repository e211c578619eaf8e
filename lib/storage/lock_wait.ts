/**
 * Waiting for a lock that another process holds: tried again every millisecond, ten seconds at most.
 * One limit for everyone, so that "busy" means the same everywhere.
 *
 * @module
 */

import { lockTimeout } from "./pause.ts";
import type { Steps } from "./turns.ts";

/** How long anybody waits for another process's lock before giving up with Busy, in milliseconds. */
export const LOCK_LIMIT = 10_000;

/**
 * Tries until `attempt` returns something else than null. Run it with `inPlace`, or with `inTurns`
 * where others must not be held up.
 *
 * @param path the file whose lock is waited for
 * @param limitMs how long at most, in milliseconds
 * @throws {PlasmiteError} Busy when it stays taken
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
