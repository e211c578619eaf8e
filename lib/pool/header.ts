/**
 * The file header: parsed into an unverified form that must be checked against the file before use.
 *
 * @module
 */

import { DAMAGE, PlasmiteError } from "../errors.ts";
import type { StorageFile } from "../storage/storage.ts";
import { crc32c } from "./crc32c.ts";
import {
  HEADER_SIZE,
  HEADER_USED,
  type Layout,
  SLOT_SIZE,
  STATE_AT,
  STATE_SIZE,
  VERSION,
} from "./layout.ts";

const MAGIC = 0x4d53_4c50; // "PLSM", little-endian

/**
 * The state block: which part of the ring is live (docs/spec/format.md 1.1). Offsets in bytes from
 * the ring's start.
 */
export interface State {
  /** Where the next frame or wrap marker goes. */
  readonly head: number;
  /** Where the oldest live frame is. */
  readonly tail: number;
  /** Where the item after the tail frame is; 0 also means "unknown". */
  readonly tailNext: number;
  /** Sequence number of the oldest live message; 0 when the pool is empty. */
  readonly oldest: bigint;
  /** The last assigned sequence number; 0 if none was. */
  readonly newest: bigint;
}

/** The place of the file's size in the header (docs/spec/format.md 1.2). */
const FILE_SIZE_AT = 16;

/** The size of the file in bytes as its header says it. */
export function saidFileSize(header: DataView): number {
  return Number(header.getBigUint64(FILE_SIZE_AT, true));
}

/** Where a slot of the index is read; used at once. A buffer for each pool would cost more. */
const slotBytes = new Uint8Array(SLOT_SIZE);
const slotView = new DataView(slotBytes.buffer);

/**
 * The ring offset of message `seq` according to the index behind the header, or -1; only a hint
 * (docs/spec/format.md 1.3).
 */
export function indexedOffset(
  file: Pick<StorageFile, "readAt">,
  { indexCapacity, ringSize }: Layout,
  seq: bigint,
): number {
  if (indexCapacity === 0) return -1;
  const slot = Number(seq % BigInt(indexCapacity));
  if (file.readAt(slotBytes, HEADER_SIZE + slot * SLOT_SIZE) !== SLOT_SIZE) return -1;
  if (slotView.getBigUint64(0, true) !== seq) return -1;
  const offset = slotView.getBigUint64(8, true);
  return offset < BigInt(ringSize) && offset % 8n === 0n ? Number(offset) : -1;
}

/** An unsigned 64-bit field as a number: exact below 2^53; anything larger exceeds every ring. */
function offsetAt(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);
}

function putOffset(view: DataView, at: number, offset: number): void {
  view.setUint32(at, offset, true);
  view.setUint32(at + 4, offset / 0x1_0000_0000, true);
}

/** Reads a state block at `at` in `view`, without checking it. */
export function parseState(view: DataView, at: number): State {
  return {
    head: offsetAt(view, at),
    tail: offsetAt(view, at + 8),
    tailNext: offsetAt(view, at + 16),
    oldest: view.getBigUint64(at + 24, true),
    newest: view.getBigUint64(at + 32, true),
  };
}

/** Writes a state block to `at` in `view`. */
export function putState(view: DataView, at: number, state: State): void {
  putOffset(view, at, state.head);
  putOffset(view, at + 8, state.tail);
  putOffset(view, at + 16, state.tailNext);
  view.setBigUint64(at + 24, state.oldest, true);
  view.setBigUint64(at + 32, state.newest, true);
}

/**
 * Publishes a state block: one write of 40 bytes inside one sector, so a process that is killed
 * leaves the old block or the new one.
 */
export function publishState(file: StorageFile, state: State): void {
  const block = new Uint8Array(STATE_SIZE);
  putState(new DataView(block.buffer), 0, state);
  file.writeAt(block, STATE_AT);
}

/**
 * The problem with a state block, in the order and wording of docs/spec/format.md 1.6; null if it
 * is valid.
 */
export function stateProblem(state: State, ringSize: number): string | null {
  const { head, tail, tailNext, oldest, newest } = state;
  if (head >= ringSize || tail >= ringSize || tailNext >= ringSize) {
    return "header offset out of range";
  }
  if (head % 8 !== 0 || tail % 8 !== 0 || tailNext % 8 !== 0) return "header offset not aligned";
  if (oldest !== 0n && oldest > newest) return "seq bounds inverted";
  if (oldest === 0n && (head !== tail || head !== tailNext)) return "empty header offsets mismatch";
  return null;
}

/** The used part of a new pool's header; the rest of the file is zero. */
export function newHeader(layout: Layout): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER_USED);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, VERSION, true);
  view.setUint8(8, 1);
  view.setBigUint64(FILE_SIZE_AT, BigInt(layout.fileSize), true);
  view.setBigUint64(24, BigInt(HEADER_SIZE), true);
  view.setUint32(32, layout.indexCapacity, true);
  view.setBigUint64(40, BigInt(layout.ringOffset), true);
  view.setBigUint64(48, BigInt(layout.ringSize), true);
  return bytes;
}

/** A header as read; nothing in it may be used before {@linkcode verifyLayout}. */
export interface UnverifiedHeader {
  /** The bytes of the header that carry meaning. */
  readonly view: DataView;
  /** How many header bytes the file had. */
  readonly length: number;
}

/**
 * Checks everything in a header except the state block, in the order of docs/spec/format.md 1.6.
 *
 * @throws {PlasmiteError} Corrupt, or Usage for another format version; with `path`
 */
export function verifyLayout(header: UnverifiedHeader, fileSize: number, path: string): Layout {
  const corrupt = (message: string, causes?: string[]): never => {
    throw new PlasmiteError("Corrupt", message, {
      path,
      ...DAMAGE,
      ...(causes === undefined ? {} : { causes }),
    });
  };
  const { view, length } = header;
  if (length < HEADER_USED || fileSize < HEADER_SIZE) {
    return corrupt("corrupt data", ["failed to fill whole buffer"]);
  }
  if (view.getUint32(0, true) !== MAGIC) return corrupt("bad magic");
  const version = view.getUint32(4, true);
  if (version !== VERSION) {
    throw new PlasmiteError(
      "Usage",
      `unsupported pool format version ${version} (supported: ${VERSION})`,
      { path, hint: "Open it with the program that made it, or recreate the pool." },
    );
  }
  if (view.getUint8(8) !== 1) return corrupt("unsupported endianness");
  if (view.getBigUint64(FILE_SIZE_AT, true) !== BigInt(fileSize)) {
    return corrupt("invalid file size");
  }
  if (view.getBigUint64(24, true) !== BigInt(HEADER_SIZE)) return corrupt("invalid index offset");
  const indexCapacity = view.getUint32(32, true);
  const ringOffset = view.getBigUint64(40, true);
  const ringSize = view.getBigUint64(48, true);
  if (ringOffset < BigInt(HEADER_SIZE)) return corrupt("invalid ring offset");
  if (ringOffset !== BigInt(HEADER_SIZE) + BigInt(SLOT_SIZE) * BigInt(indexCapacity)) {
    return corrupt("ring offset mismatch");
  }
  if (ringOffset + ringSize !== BigInt(fileSize)) return corrupt("ring bounds mismatch");
  if (ringSize === 0n) return corrupt("ring size is zero");
  return {
    fileSize,
    indexCapacity,
    ringOffset: Number(ringOffset),
    ringSize: Number(ringSize),
  };
}

/** Bytes that are live or lie between live items (docs/spec/format.md 1.2). */
export function usedBytes(state: State, ringSize: number): number {
  const { head, tail, oldest } = state;
  if (head === tail) return oldest === 0n ? 0 : ringSize;
  return head > tail ? head - tail : ringSize - (tail - head);
}

/** Whether two state blocks are equal. */
export function sameState(a: State, b: State): boolean {
  return a.newest === b.newest && a.oldest === b.oldest && a.head === b.head &&
    a.tail === b.tail && a.tailNext === b.tailNext;
}

/** Offset of the extension block in the header. */
export const EXTENSION_AT = 128;
/** Bytes of the block. */
export const EXTENSION_SIZE = 64;

const EXTENSION_MAGIC = 0x5853_4c50; // "PLSX", little-endian
const EXTENSION_VERSION = 1;
/** Where the fields are in the block. */
const EXTENSION_FIELD = { version: 4, id: 8, created: 24, maxAge: 32, crc: 60 } as const;
const ID_SIZE = 16;

/** The extension block: identity and age limit of a pool (docs/spec/format.md 15). */
export interface Extension {
  /** The identity of the pool: 32 hex digits. */
  readonly id: string;
  /** When the pool was created, in nanoseconds since 1970. */
  readonly createdNs: bigint;
  /** The maximum age of messages, in nanoseconds; 0 for no limit. */
  readonly maxAgeNs: bigint;
}

/** The shortest age limit, in nanoseconds. */
const SHORTEST_AGE = 1_000_000_000n;
/** The longest age limit, in nanoseconds: some 584 years. */
const LONGEST_AGE = 0xffff_ffff_ffff_ffffn;

/**
 * Checks an age limit in nanoseconds; 0 is none.
 *
 * @throws {PlasmiteError} Usage
 */
export function checkMaxAge(ns: bigint): bigint {
  if (ns === 0n || (ns >= SHORTEST_AGE && ns <= LONGEST_AGE)) return ns;
  throw invalidMaxAge();
}

/**
 * An age limit in milliseconds as nanoseconds.
 *
 * @throws {PlasmiteError} Usage
 */
export function maxAgeNs(ms: number): bigint {
  if (!Number.isSafeInteger(ms) || ms <= 0) throw invalidMaxAge();
  return checkMaxAge(BigInt(ms) * 1_000_000n);
}

function invalidMaxAge(): PlasmiteError {
  return new PlasmiteError("Usage", "Invalid maximum age", {
    hint: "Messages may be kept for one second to 500 years, or without a limit.",
  });
}

/** The age limit of a pool as of the last time its header was read. */
export class AgeLimit {
  /** The maximum age of messages, in nanoseconds; 0 for no limit. */
  ns = 0n;
  #lo = 0;
  #hi = 0;
  #crc = 0;

  /** Takes the limit from the extension block at `at`; does nothing if it is the known one. */
  note(bytes: Uint8Array<ArrayBuffer>, view: DataView, at: number): void {
    const lo = view.getUint32(at + EXTENSION_FIELD.maxAge, true);
    const hi = view.getUint32(at + EXTENSION_FIELD.maxAge + 4, true);
    const crc = view.getUint32(at + EXTENSION_FIELD.crc, true);
    if (lo === this.#lo && hi === this.#hi && crc === this.#crc) return;
    this.#lo = lo;
    this.#hi = hi;
    this.#crc = crc;
    this.ns = (lo | hi) === 0
      ? 0n
      : parseExtension(bytes.subarray(at, at + EXTENSION_SIZE))?.maxAgeNs ?? 0n;
  }
}

/** Creates the block of a new pool. */
export function newExtension(maxAgeNs = 0n): Extension {
  const id = crypto.getRandomValues(new Uint8Array(ID_SIZE)).toHex();
  return { id, createdNs: Temporal.Now.instant().epochNanoseconds, maxAgeNs };
}

/** The block's bytes. */
export function printExtension({ id, createdNs, maxAgeNs }: Extension): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(EXTENSION_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, EXTENSION_MAGIC, true);
  view.setUint16(EXTENSION_FIELD.version, EXTENSION_VERSION, true);
  bytes.set(Uint8Array.fromHex(id), EXTENSION_FIELD.id);
  view.setBigUint64(EXTENSION_FIELD.created, createdNs, true);
  view.setBigUint64(EXTENSION_FIELD.maxAge, maxAgeNs, true);
  view.setUint32(EXTENSION_FIELD.crc, crc32c(bytes, view, 0, EXTENSION_FIELD.crc), true);
  return bytes;
}

/**
 * Reads a block; null if there is none or its checksum is wrong: then the pool has no identity and
 * no limit.
 */
export function parseExtension(bytes: Uint8Array<ArrayBuffer>): Extension | null {
  if (bytes.length < EXTENSION_SIZE) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, EXTENSION_SIZE);
  if (
    view.getUint32(0, true) !== EXTENSION_MAGIC ||
    view.getUint16(EXTENSION_FIELD.version, true) !== EXTENSION_VERSION
  ) {
    return null;
  }
  const sum = crc32c(bytes, view, 0, EXTENSION_FIELD.crc) >>> 0;
  if (view.getUint32(EXTENSION_FIELD.crc, true) !== sum) return null;
  return {
    id: bytes.subarray(EXTENSION_FIELD.id, EXTENSION_FIELD.id + ID_SIZE).toHex(),
    createdNs: view.getBigUint64(EXTENSION_FIELD.created, true),
    maxAgeNs: view.getBigUint64(EXTENSION_FIELD.maxAge, true),
  };
}
