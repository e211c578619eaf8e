/**
 * Small types that several layers share.
 *
 * @module
 */

/** A value now or later: what a local pool answers at once and a remote one after a request. */
export type Awaitable<T> = T | Promise<T>;

/** First and last retained sequence number; `oldest` is 0 when nothing is retained. */
export interface Bounds {
  /** The oldest retained sequence number, or 0. */
  readonly oldest: bigint;
  /** The last sequence number given out; servers tell 0 for an empty pool. */
  readonly newest: bigint;
}

/** Messages that were overwritten before they could be read; both ends inclusive. */
export interface Gap {
  /** The first sequence number that is missing. */
  readonly first: bigint;
  /** The last one that is missing. */
  readonly last: bigint;
}

/** A stored message as bytes; they stay valid until whatever gave them out moves on. */
export interface FrameBytes {
  /** The bytes that hold it. */
  readonly u8: Uint8Array<ArrayBuffer>;
  /** Where the payload begins in them. */
  readonly payloadAt: number;
  /** Bytes of the payload. */
  readonly payloadLength: number;
  /** Sequence number, low 32 bits. */
  readonly seqLo: number;
  /** Sequence number, high 32 bits. */
  readonly seqHi: number;
  /** Nanoseconds since 1970, low 32 bits. */
  readonly timeLo: number;
  /** Nanoseconds since 1970, high 32 bits. */
  readonly timeHi: number;
  /** Sequence number. */
  readonly seq: bigint;
  /** Nanoseconds since 1970. */
  readonly timestampNs: bigint;
}
