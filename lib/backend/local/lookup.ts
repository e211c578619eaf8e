/**
 * One message by its number. Run it with `inPlace`, or with `inTurns` in a process that serves
 * others: a number that is not in the index requires a scan of the pool.
 *
 * @module
 */

import { Cursor } from "../../pool/cursor.ts";
import type { Ring } from "../../pool/ring.ts";
import type { Steps } from "../../storage/steps.ts";
import type { FramePosition } from "../frames.ts";
import type { StoredFrame } from "../types.ts";

/**
 * Returns the result of `take` for message `seq`; null if the pool does not contain it.
 *
 * @throws {PlasmiteError} Corrupt when it is damaged, Busy if a required lock is not released in
 *   time
 */
export function* findFrame<T>(
  ring: Ring,
  seq: bigint,
  take: (position: FramePosition) => T,
): Steps<T | null> {
  if (seq === 0n) return null;
  const cursor = new Cursor(ring, seq);
  const ready = yield* cursor.filling();
  return ready > 0 && cursor.next() && cursor.seq === seq ? take({ cursor }) : null;
}

/** Returns a copy of message `seq`; null if the pool does not contain it. Throws like `findFrame`. */
export function findStored(ring: Ring, seq: bigint): Steps<StoredFrame | null> {
  return findFrame(ring, seq, takeStored);
}

function takeStored({ cursor }: FramePosition): StoredFrame {
  const { u8, payloadAt, payloadLength, seq, timestampNs, flags = 0 } = cursor;
  return { seq, timestampNs, flags, payload: u8.slice(payloadAt, payloadAt + payloadLength) };
}
