/**
 * Changes to a pool other than appends: dropping its oldest messages, its age limit, and the first
 * number of an unused pool. Each is done under the exclusive lock and published in one write
 * (docs/spec/coordination.md 8).
 *
 * @module
 */

import { DAMAGE, PlasmiteError } from "../errors.ts";
import { untilUnlocked } from "../storage/lock_wait.ts";
import type { Steps } from "../storage/steps.ts";
import { withoutExpired } from "./frame.ts";
import {
  checkMaxAge,
  EXTENSION_AT,
  newExtension,
  printExtension,
  publishState,
  type State,
} from "./header.ts";
import { EXPIRED_WINDOW, type Ring } from "./ring.ts";

/** How many messages are dropped per lock, so that others can append in between. */
const MOST_AT_ONCE = 1000;

/**
 * Decides which of the oldest messages to drop; called in order, up to the first one that stays.
 */
export type Expired = (seq: bigint, timestampNs: bigint) => boolean;

/**
 * Drops the oldest messages.
 *
 * @param isExpired tests one message; dropping ends at the first that is not expired
 * @returns how many were dropped
 * @throws {PlasmiteError} Busy, NotFound (deleted or replaced), Corrupt, Io
 */
export function* trimming(ring: Ring, isExpired: Expired): Steps<bigint> {
  let dropped = 0n;
  const { newest: last } = yield* ring.stating();
  for (;;) {
    const count = yield* untilUnlocked(ring.path, () =>
      ring.tryExclusive((file, state) => {
        // Messages appended after the start stay: otherwise this might never end.
        const left = dropSome(ring, state, (seq, time) => seq <= last && isExpired(seq, time));
        if (left === state) return 0n;
        // Killed before this, nothing has changed; after it, the messages have expired.
        publishState(file, left);
        const oldest = left.oldest === 0n ? state.newest + 1n : left.oldest;
        return oldest - state.oldest;
      }));
    dropped += count;
    if (count < BigInt(MOST_AT_ONCE)) return dropped;
    yield "busy";
  }
}

/** The state without the first expired messages; the same state if there are none. */
function dropSome(ring: Ring, state: State, isExpired: Expired): State {
  const { ringSize } = ring.layout;
  const look = ring.itemReader(EXPIRED_WINDOW);
  const broken = (offset: number): never => {
    throw new PlasmiteError("Corrupt", "malformed frame in the retained ring", {
      path: ring.path,
      offset: BigInt(offset),
      ...DAMAGE,
    });
  };
  return withoutExpired(state, ringSize, look, { isExpired, most: MOST_AT_ONCE, broken });
}

/**
 * Sets or removes the age limit; a pool without an identity gets one.
 *
 * @param maxAgeNs the limit in nanoseconds; 0 for none
 * @throws {PlasmiteError} Usage for a limit below one second; Busy, NotFound, Corrupt, Io
 */
export function* settingMaxAge(ring: Ring, maxAgeNs: bigint): Steps<void> {
  checkMaxAge(maxAgeNs);
  yield* untilUnlocked(ring.path, () =>
    ring.tryExclusive((file) => {
      const now = ring.extension();
      const next = now === null ? newExtension(maxAgeNs) : { ...now, maxAgeNs };
      file.writeAt(printExtension(next), EXTENSION_AT);
      return true;
    }));
}

/**
 * Sets the first sequence number of a pool that was never written.
 *
 * @throws {PlasmiteError} Usage when the pool was already written to, unless it is empty and goes on
 *   with that number; Busy, NotFound, Corrupt, Io
 */
export function* beginningAt(ring: Ring, first: bigint): Steps<void> {
  yield* untilUnlocked(ring.path, () =>
    ring.tryExclusive((file, state) => {
      // An import that was stopped right here, or continues where the last message was dropped.
      if (state.oldest === 0n && state.newest === first - 1n) return true;
      if (state.newest !== 0n || first < 1n) {
        throw new PlasmiteError(
          "Usage",
          "Numbers can be kept only in a pool that was never written",
          {
            path: ring.path,
            hint: "Import into a new pool, or without keeping the numbers.",
          },
        );
      }
      publishState(file, { ...state, newest: first - 1n });
      return true;
    }));
}
