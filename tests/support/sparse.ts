/**
 * Pool files that are all header: terabytes long, and a few kilobytes on the disk.
 *
 * @module
 */

import { newHeader } from "../../lib/pool/header.ts";
import { HEADER_SIZE } from "../../lib/pool/layout.ts";

/** Four tebibytes. */
export const HUGE = 2 ** 42;

/** What its header says is live. */
export interface SparseState {
  readonly head: number;
  readonly tail: number;
  readonly tailNext: number;
  readonly oldest: bigint;
  readonly newest: bigint;
}

/** How it is made. */
export interface SparseOptions {
  readonly size?: number;
  readonly indexCapacity?: number;
  readonly state?: Partial<SparseState>;
  /** Bytes at ring offsets. */
  readonly ring?: readonly (readonly [at: number, bytes: Uint8Array])[];
  /** Bytes at file offsets, written last. */
  readonly file?: readonly (readonly [at: number, bytes: Uint8Array])[];
}

/** Writes such a file. */
export function sparsePool(path: string, options: SparseOptions = {}): void {
  const { size = HUGE, indexCapacity = 0, state = {}, ring = [], file = [] } = options;
  const ringOffset = HEADER_SIZE + 16 * indexCapacity;
  const head = newHeader({
    fileSize: size,
    indexCapacity,
    ringOffset,
    ringSize: size - ringOffset,
  });
  const view = new DataView(head.buffer);
  const { head: at = 0, tail = 0, tailNext = 0, oldest = 0n, newest = 0n } = state;
  for (const [i, offset] of [at, tail, tailNext].entries()) {
    view.setBigUint64(64 + 8 * i, BigInt(offset), true);
  }
  view.setBigUint64(88, oldest, true);
  view.setBigUint64(96, newest, true);
  using out = Deno.openSync(path, { write: true, createNew: true });
  const put = (offset: number, bytes: Uint8Array): void => {
    out.seekSync(offset, Deno.SeekMode.Start);
    for (let sent = 0; sent < bytes.length;) sent += out.writeSync(bytes.subarray(sent));
  };
  put(0, head);
  out.truncateSync(size);
  for (const [offset, bytes] of ring) put(ringOffset + offset, bytes);
  for (const [offset, bytes] of file) put(offset, bytes);
  out.syncSync(); // A file system counts the last blocks only then.
}

/** A header that says: messages 1 to 2^40 are here, from offset 0 almost to the end. */
export const PROMISING: SparseState = {
  head: HUGE - 4096 - 8192,
  tail: 0,
  tailNext: 0,
  oldest: 1n,
  newest: 2n ** 40n,
};
