/**
 * Small types that several layers share.
 *
 * @module
 */

/**
 * A value or a promise of one: local pools return the value at once, remote ones after a request.
 */
export type Awaitable<T> = T | Promise<T>;

/** First and last retained sequence number; `oldest` is 0 when nothing is retained. */
export interface Bounds {
  /** The oldest retained sequence number, or 0. */
  readonly oldest: bigint;
  /** The last assigned sequence number; servers report 0 for an empty pool. */
  readonly newest: bigint;
}

/** Messages that were overwritten before they could be read; both ends inclusive. */
export interface Gap {
  /** The first sequence number that is missing. */
  readonly first: bigint;
  /** The last one that is missing. */
  readonly last: bigint;
}

/** A stored message as bytes; valid until its source moves to the next message. */
export interface FrameBytes {
  /** The bytes that hold it. */
  readonly u8: Uint8Array<ArrayBuffer>;
  /** Offset of the payload in `u8`, in bytes. */
  readonly payloadAt: number;
  /** Length of the payload in bytes. */
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
  /** How it was printed, by form, if others get the same bytes; null or absent otherwise. */
  readonly printed?: Map<object, Uint8Array<ArrayBuffer>> | null;
}

/** A right that an operation needs: to read, to append, or to create and delete pools. */
export type Need = "read" | "append" | "admin";

/**
 * What the caller of one request may do. It is valid for that request only, because rights can be
 * revoked at any time.
 *
 * @example Allow reading only
 * ```ts
 * import type { Grant } from "@plasmite/core/server";
 *
 * const grant: Grant = { subject: "dashboard", can: (need) => need === "read" };
 * console.assert(grant.can("read", "ci") && !grant.can("append", "ci"));
 * ```
 */
export interface Grant {
  /** The caller's name, for logs: the name of a key, `token`, `anyone`. */
  readonly subject: string;
  /**
   * Whether the caller has a right.
   *
   * @param pool the name of the pool; without it: whether the caller has the right on at least one
   *   pool
   */
  can(need: Need, pool?: string): boolean;
  /**
   * Aborted when the caller's rights end, such as when its key is revoked or expires: open streams
   * and waits then end. Without it they last as long as they would.
   */
  readonly ended?: AbortSignal | undefined;
}

/** Rights on all pools, as `--access` names them. */
export type Access = "read-only" | "write-only" | "read-write";

/** A stored message as a value: its numbers and a copy of its payload. */
export interface StoredBytes {
  /** Sequence number. */
  readonly seq: bigint;
  /** Nanoseconds since 1970. */
  readonly timestampNs: bigint;
  /** The Lite3 document with `meta` and `data`. */
  readonly payload: Uint8Array<ArrayBuffer>;
}
