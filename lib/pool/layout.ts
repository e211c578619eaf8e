/**
 * The layout of a pool file (docs/spec/format.md 1, 2), as constants in file order.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";

/** Size of the file header in bytes, and offset of the index. */
export const HEADER_SIZE = 4096;
/** Offset of the state block: the five fields that change after creation. */
export const STATE_AT = 64;
/** Bytes of the state block. */
export const STATE_SIZE = 40;
/** Bytes of the header that carry meaning. */
export const HEADER_USED = STATE_AT + STATE_SIZE;
/** Bytes of one index slot. */
export const SLOT_SIZE = 16;
/** The format version that we read and write. */
export const VERSION = 3;

/** Bytes of a frame header, and of a wrap marker. */
export const FRAME_HEADER = 64;
/** Bytes of the commit marker after a payload. */
export const MARKER_SIZE = 8;
/** Frame state: a writer of the reference is (or died) between header and commit. */
export const WRITING = 1;
/** Frame state: the message is whole. */
export const COMMITTED = 2;
/** Frame state: no message; the next item is at ring offset 0. */
export const WRAP = 3;
/** The largest payload in bytes in any ring. */
export const MAX_PAYLOAD = 256 * 1024 * 1024;
/** The most bytes of frames collected for one append, because the lock is held for one write. */
const BATCH_BYTES = 512 * 1024;
/**
 * The default size of a pool file in bytes: 1 MiB.
 *
 * @example Create a pool of twice the default size
 * ```ts
 * import { Client, DEFAULT_POOL_SIZE } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.createPool("demo", 2 * DEFAULT_POOL_SIZE);
 * console.assert(pool.info().fileSize === 2 * 1024 * 1024);
 * ```
 */
export const DEFAULT_POOL_SIZE = 1024 * 1024;

/** Rounds up to a multiple of 8, where frames begin. */
export function align8(n: number): number {
  return n + 7 - (n + 7) % 8;
}

/** Bytes a payload occupies in the ring, including its header, commit marker and padding. */
export function frameLength(payload: number): number {
  return align8(FRAME_HEADER + payload + MARKER_SIZE);
}

/** The sizes that are fixed when a pool is created, in bytes; the index capacity is in slots. */
export interface Layout {
  /** Size of the file. */
  readonly fileSize: number;
  /** Number of index slots; 0 means no index. */
  readonly indexCapacity: number;
  /** Where the ring begins in the file. */
  readonly ringOffset: number;
  /** Size of the ring. */
  readonly ringSize: number;
}

/** The number of index slots for a file of `size` bytes (docs/spec/format.md 1.4). */
export function automaticCapacity(size: number): number {
  const room = Math.floor(Math.max(0, size - 5120) / SLOT_SIZE);
  return Math.min(Math.floor(size / 256), 65536, room);
}

/**
 * The layout of a pool to be created.
 *
 * @throws {PlasmiteError} Usage when header and index leave no ring
 */
export function planLayout(size: number, capacity?: number): Layout {
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new PlasmiteError("Usage", "invalid pool size", {
      hint: "Give the size in bytes as a whole number.",
    });
  }
  const indexCapacity = capacity ?? automaticCapacity(size);
  if (!Number.isInteger(indexCapacity) || indexCapacity < 0 || indexCapacity > 0xffff_ffff) {
    throw new PlasmiteError("Usage", "invalid index capacity", {
      hint: "Give the number of slots as a whole number, 0 for no index.",
    });
  }
  const ringOffset = HEADER_SIZE + SLOT_SIZE * indexCapacity;
  if (size <= ringOffset) {
    throw new PlasmiteError("Usage", "file_size must exceed header and index size", {
      hint: `Use a size greater than ${ringOffset} bytes, or a smaller index.`,
    });
  }
  return { fileSize: size, indexCapacity, ringOffset, ringSize: size - ringOffset };
}

/** The largest payload that a ring of this size can hold (docs/spec/format.md 2). */
export function maxPayload(ringSize: number): number {
  return Math.min(Math.max(0, ringSize - FRAME_HEADER - MARKER_SIZE), MAX_PAYLOAD);
}

/** The limits of a pool. */
export interface Limits {
  /** The size of its ring in bytes; 0 if unknown. */
  readonly ringSize: number;
  /** The largest payload in bytes; the largest possible one if unknown. */
  readonly maxPayload: number;
  /** The largest text of a record in bytes that could still fit. */
  readonly maxRecord: number;
  /**
   * Bytes of frames to collect for one append: enough for speed, but not too many for followers.
   */
  readonly batchBytes: number;
  /** Messages to collect for one append where the input is there anyway; default no such number. */
  readonly batchMessages?: number;
  /** The largest JSON text of a message in bytes, if that is limited. */
  readonly maxText?: number;
  /**
   * Refuses a message that cannot be stored for another reason than its payload's length, such as
   * the length of its JSON text. Throws Usage.
   */
  readonly check?: (u8: Uint8Array, dv: DataView, at: number, length: number) => void;
}

/** The limits of a ring of the given size; 0 for an unknown size. */
export function limitsOf(ringSize: number): Limits {
  if (ringSize === 0) {
    return {
      ringSize,
      maxPayload: MAX_PAYLOAD,
      maxRecord: MAX_PAYLOAD,
      batchBytes: BATCH_BYTES,
    };
  }
  return {
    ringSize,
    maxPayload: maxPayload(ringSize),
    maxRecord: 6 * ringSize + 64 * 1024,
    // A quarter of a small ring, so that followers see messages before they are overwritten.
    batchBytes: Math.min(BATCH_BYTES, Math.max(1, Math.floor(ringSize / 4))),
  };
}

/**
 * Refuses a payload that can never fit into a ring.
 *
 * @throws {PlasmiteError} Usage
 */
export function refuseOversize(payload: number, ringSize: number, path: string): void {
  const most = maxPayload(ringSize);
  if (payload <= most && frameLength(payload) <= ringSize) return;
  const message = payload <= most ? "frame larger than ring" : "payload exceeds ring capacity";
  throw new PlasmiteError("Usage", message, {
    path,
    hint: `This message takes ${payload} bytes and the pool holds ${most} at most. ` +
      "Split the message, or create a larger pool.",
    details: { needed: BigInt(payload), capacity: BigInt(most) },
  });
}
