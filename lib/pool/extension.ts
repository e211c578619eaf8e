/**
 * The extension block in a pool's header: its identity and its age limit (docs/spec/format.md 15).
 *
 * @module
 */

import { crc32c } from "./crc32c.ts";

/** Offset of the block in the header. */
export const EXTENSION_AT = 128;
/** Bytes of the block. */
export const EXTENSION_SIZE = 64;

const MAGIC = 0x5853_4c50; // "PLSX", little-endian
const VERSION = 1;
/** Where the fields are in the block. */
const FIELD = { version: 4, id: 8, created: 24, maxAge: 32, crc: 60 } as const;
const ID_SIZE = 16;

/** What the block says. */
export interface Extension {
  /** The identity of the pool: 32 hex digits. */
  readonly id: string;
  /** When the pool was made, in nanoseconds since 1970. */
  readonly createdNs: bigint;
  /** How old messages may become, in nanoseconds; 0 for no limit. */
  readonly maxAgeNs: bigint;
}

/** A block for a new pool. */
export function newExtension(maxAgeNs = 0n): Extension {
  const id = crypto.getRandomValues(new Uint8Array(ID_SIZE)).toHex();
  return { id, createdNs: Temporal.Now.instant().epochNanoseconds, maxAgeNs };
}

/** The block's bytes. */
export function printExtension({ id, createdNs, maxAgeNs }: Extension): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(EXTENSION_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint16(FIELD.version, VERSION, true);
  bytes.set(Uint8Array.fromHex(id), FIELD.id);
  view.setBigUint64(FIELD.created, createdNs, true);
  view.setBigUint64(FIELD.maxAge, maxAgeNs, true);
  view.setUint32(FIELD.crc, crc32c(bytes, view, 0, FIELD.crc), true);
  return bytes;
}

/** Reads a block; null when there is none, or its checksum is wrong: no identity, no limit. */
export function parseExtension(bytes: Uint8Array<ArrayBuffer>): Extension | null {
  if (bytes.length < EXTENSION_SIZE) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, EXTENSION_SIZE);
  if (view.getUint32(0, true) !== MAGIC || view.getUint16(FIELD.version, true) !== VERSION) {
    return null;
  }
  const sum = crc32c(bytes, view, 0, FIELD.crc) >>> 0;
  if (view.getUint32(FIELD.crc, true) !== sum) return null;
  return {
    id: bytes.subarray(FIELD.id, FIELD.id + ID_SIZE).toHex(),
    createdNs: view.getBigUint64(FIELD.created, true),
    maxAgeNs: view.getBigUint64(FIELD.maxAge, true),
  };
}
