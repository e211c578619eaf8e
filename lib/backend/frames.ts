/**
 * Stored frames as values: what outlives the reader that found them.
 *
 * @module
 */

import type { FrameBytes } from "../types.ts";

/** A stored frame: the message's bytes as they are in the pool. */
export interface Lite3Frame {
  /** Sequence number. */
  readonly seq: bigint;
  /** Time in nanoseconds since 1970. */
  readonly timestampNs: bigint;
  /** Flags; 0 today. */
  readonly flags: number;
  /** The Lite3 document with `meta` and `data`; a copy. */
  readonly payload: Uint8Array<ArrayBuffer>;
  /** The time to the millisecond. */
  readonly time: Date;
}

/** Where a reader stands; servers do not tell a frame's flags. */
export interface FramePosition {
  /** The current frame. */
  readonly cursor: FrameBytes & { readonly flags?: number };
}

/** Copies the current frame. */
export function takeFrame({ cursor }: FramePosition): Lite3Frame {
  const { timestampNs } = cursor;
  return {
    seq: cursor.seq,
    timestampNs,
    flags: cursor.flags ?? 0,
    payload: payloadOf(cursor),
    time: new Date(Number(timestampNs / 1_000_000n)),
  };
}

/** A copy of the current payload. */
export function payloadOf({ u8, payloadAt, payloadLength }: FrameBytes): Uint8Array<ArrayBuffer> {
  return u8.slice(payloadAt, payloadAt + payloadLength);
}
