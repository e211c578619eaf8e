/**
 * Waiting for a lock that another process holds: tried again every millisecond, ten seconds at most.
 * One limit for everyone, so that "busy" means the same everywhere.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { sleep, sleepSync } from "./pause.ts";

/** How long anybody waits for another process's lock before giving up with Busy, in milliseconds. */
export const LOCK_LIMIT = 10_000;
/** Pause between two tries, in milliseconds. */
const PAUSE = 1;

/** The error for a lock that stays taken. */
export function lockTimeout(path: string): PlasmiteError {
  return new PlasmiteError("Busy", "resource is busy", {
    path,
    hint: "Another process holds the pool's lock. Retry with a pause, or stop that process.",
  });
}

/** How to wait. */
export interface LockWait {
  /** Calls the wait off; rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** How long at most, in milliseconds; default {@linkcode LOCK_LIMIT}. */
  readonly limitMs?: number | undefined;
}

/**
 * Tries until `attempt` returns something else than null, without blocking anyone.
 *
 * @param path the file whose lock is waited for
 * @throws {PlasmiteError} Busy when it stays taken
 */
export async function untilUnlocked<T>(
  path: string,
  attempt: () => T | null,
  { signal, limitMs = LOCK_LIMIT }: LockWait = {},
): Promise<T> {
  for (const since = performance.now();;) {
    signal?.throwIfAborted();
    const result = attempt();
    if (result !== null) return result;
    if (performance.now() - since >= limitMs) throw lockTimeout(path);
    await sleep(PAUSE);
  }
}

/** As {@linkcode untilUnlocked}, in place: only for callers that have nothing else to do. */
export function untilUnlockedSync<T>(
  path: string,
  attempt: () => T | null,
  limitMs: number = LOCK_LIMIT,
): T {
  for (const since = performance.now();;) {
    const result = attempt();
    if (result !== null) return result;
    if (performance.now() - since >= limitMs) throw lockTimeout(path);
    sleepSync(PAUSE);
  }
}
