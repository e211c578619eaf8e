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

/** What a caller may ask for: to read, to append, or to make and delete pools. */
export type Need = "read" | "append" | "admin";

/**
 * What the caller of one request may do. It goes along with the request; nobody keeps it for the next
 * one, because rights can be taken away in between.
 */
export interface Grant {
  /** Who it is, for logs: the name of a key, `token`, `anyone`. */
  readonly subject: string;
  /**
   * Whether that is allowed.
   *
   * @param pool the pool concerned; without it: whether it is allowed on any pool at all
   */
  can(need: Need, pool?: string): boolean;
}

/** Rights on all pools, in the words of `--access`. */
export type Access = "read-only" | "write-only" | "read-write";
