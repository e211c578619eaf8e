/**
 * Positions of cursors in a pool, wherever they are kept.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import type { Bounds } from "../types.ts";
import type { Place } from "./coordination.ts";

/**
 * The sequence number of a place.
 *
 * @param path the pool, for errors
 * @throws {PlasmiteError} Usage for a number that the pool does not have
 */
export function seqOfPlace(place: Place, { oldest, newest }: Bounds, path: string): bigint {
  const seq = place === "end" || (place === "oldest" && oldest === 0n)
    ? newest
    : place === "oldest"
    ? oldest - 1n
    : place;
  if (seq >= 0n && seq <= newest) return seq;
  throw new PlasmiteError("Usage", `There is no message ${seq} to begin behind`, {
    path,
    hint: `Use a number from 0 to ${newest}.`,
  });
}

/** The number of the first message that a reader of everything gets, now or later. */
export function firstOf({ oldest, newest }: Bounds): bigint {
  return oldest === 0n ? newest + 1n : oldest;
}

/** How many messages there are behind a position, and how many of them are no longer retained. */
export function behind(
  seq: bigint,
  bounds: Bounds,
): { readonly lag: bigint; readonly lost: bigint } {
  const { newest } = bounds;
  // With nothing retained, everything after the position is lost.
  const first = firstOf(bounds);
  return {
    lag: newest > seq ? newest - seq : 0n,
    lost: first > seq + 1n ? first - seq - 1n : 0n,
  };
}

/** The error for a cursor whose position is after the newest message of its pool. */
export function beyondEnd(
  name: string,
  seq: bigint,
  newest: bigint,
  path: string,
): PlasmiteError {
  return new PlasmiteError("NotFound", `Cursor ${name} is at ${seq}, the pool ends at ${newest}`, {
    path,
    hint: "Set the cursor again, from the oldest message or after the newest.",
    details: { cursor: name, seq, actual: newest },
  });
}
