/**
 * One message by its number: {@linkcode findFrame}. Run it with `inPlace`, or with `inTurns` in a
 * process that serves others: a number that the index does not know costs a walk through the pool.
 *
 * @module
 */

import { Cursor } from "../../pool/cursor.ts";
import { Ring } from "../../pool/ring.ts";
import { disk } from "../../storage/file.ts";
import type { Steps } from "../../storage/turns.ts";
import { type Lite3Frame, takeFrame } from "../frames.ts";

/**
 * The stored frame of message `seq`; null when the pool does not hold it.
 *
 * @throws {PlasmiteError} Corrupt when it is damaged, Busy when a lock that is needed stays taken
 */
export function* findFrame(ring: Ring, seq: bigint): Steps<Lite3Frame | null> {
  if (seq === 0n) return null;
  const cursor = new Cursor(ring, seq);
  const ready = yield* cursor.filling();
  return ready > 0 && cursor.next() && cursor.seq === seq ? takeFrame({ cursor }) : null;
}

/**
 * As {@linkcode findFrame}, in the pool at `path`.
 *
 * @throws {PlasmiteError} NotFound, Permission, Usage, Io when it cannot be opened; Corrupt, Busy
 */
export function* readingFrame(path: string, seq: bigint): Steps<Lite3Frame | null> {
  const ring = yield* Ring.opening(disk, path, { write: false });
  try {
    return yield* findFrame(ring, seq);
  } finally {
    ring.close();
  }
}
