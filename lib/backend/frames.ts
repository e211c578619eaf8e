/**
 * Copies of stored frames, which stay valid after the reader moves on.
 *
 * @module
 */

import type { FrameBytes } from "../types.ts";
import type { StoredFrame } from "./types.ts";

/**
 * A stored frame: a message with its payload as stored in the pool.
 *
 * @example Copy a message byte for byte
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool("demo");
 * pool.append({ n: 1 });
 * const frame = pool.getLite3(1);
 * console.assert(pool.appendLite3(frame.payload) === 2n);
 * ```
 */
export interface Lite3Frame {
  /** Sequence number. */
  readonly seq: bigint;
  /** Time in nanoseconds since 1970. */
  readonly timestampNs: bigint;
  /** Flags; 0 today. */
  readonly flags: number;
  /** A copy of the Lite3 document with `meta` and `data`. */
  readonly payload: Uint8Array<ArrayBuffer>;
  /** The time to the millisecond. */
  readonly time: Date;
}

/** The position of a reader; servers do not report a frame's flags. */
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

/** A copy of a message that a walk has found. */
export function storedOf(frame: FrameBytes): StoredFrame {
  const { seq, timestampNs } = frame;
  return { seq, timestampNs, flags: 0, payload: payloadOf(frame) };
}

/** A frame that a remote source fills in for each message. */
export class MutableFrame implements FrameBytes {
  /** The bytes that hold it. */
  u8: Uint8Array<ArrayBuffer> = new Uint8Array();
  /** Offset of the payload, in bytes. */
  payloadAt = 0;
  /** Length of the payload in bytes. */
  payloadLength = 0;
  /** Sequence number, low 32 bits. */
  seqLo = 0;
  /** Sequence number, high 32 bits. */
  seqHi = 0;
  /** Nanoseconds since 1970, low 32 bits. */
  timeLo = 0;
  /** Nanoseconds since 1970, high 32 bits. */
  timeHi = 0;

  /** Sequence number. */
  get seq(): bigint {
    return (BigInt(this.seqHi) << 32n) | BigInt(this.seqLo);
  }

  /** Nanoseconds since 1970. */
  get timestampNs(): bigint {
    return (BigInt(this.timeHi) << 32n) | BigInt(this.timeLo);
  }
}
