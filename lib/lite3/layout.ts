/**
 * The constants of a Lite3 document: value tags, the offsets of a node's fields; and its keys.
 *
 * @module
 */

/** Value tags (docs/spec/format.md 7.1). */
export const Tag = {
  /** No bytes follow. */
  Null: 0,
  /** One byte: 0 or 1. */
  Bool: 1,
  /** Eight bytes, little-endian two's complement. */
  I64: 2,
  /** Eight bytes, IEEE 754 binary64. */
  F64: 3,
  /** A u32 length, then the bytes. */
  Bytes: 4,
  /** A u32 length with the final 00 counted, UTF-8 text, 00. */
  String: 5,
  /** The root node of an object; the tag is the node's first byte. */
  Object: 6,
  /** The root node of an array. */
  Array: 7,
} as const;

/** Bytes of a node (docs/spec/format.md 7.2). */
export const NODE_SIZE = 96;
/** Where the hashes begin in a node: seven u32. */
export const NODE_HASH = 4;
/** Where the word of count (bits 0–2) and size (bits 6–31) is. */
export const NODE_COUNT = 32;
/** Where the entry offsets begin: seven u32. */
export const NODE_KV = 36;
/** Where the child offsets begin: eight u32; a node is a leaf if the first is 0. */
export const NODE_CHILD = 64;
/** Entries a node can hold. */
export const NODE_ENTRIES = 7;

/** How many probes `hash + a²` are tried for a key (docs/spec/format.md 7.5). */
export const MAX_PROBES = 128;
/** The largest tree depth that the reference supports. */
export const MAX_STEPS = 9;
/** Container levels in a document. */
export const MAX_LEVELS = 32;
/** The largest document, in bytes. */
export const MAX_DOCUMENT = 268_435_456;

/** The initial value of every key's hash. */
export const HASH_START = 5381;

/**
 * Bytes of the key tag for a key of `size` bytes, its final 00 counted (docs/spec/format.md 7.3).
 */
export function tagWidthOf(size: number): number {
  return size < 64 ? 1 : size < 16384 ? 2 : 4;
}

/** An object key with its bytes, hash and key tag computed once, for look-ups and stores. */
export class Lite3Key {
  /** The key as text. */
  readonly name: string;
  /** The key in UTF-8, without the final 00. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** A view on `bytes`. */
  readonly dv: DataView<ArrayBuffer>;
  /** The hash as a signed 32-bit integer (docs/spec/format.md 7.4). */
  readonly hash: number;
  /** Bytes of the key with its final 00: `z` in docs/spec/format.md 7.3. */
  readonly size: number;
  /** Bytes of the key tag: 1, 2 or 4. */
  readonly tagWidth: number;
  /** The key tag as an integer of `tagWidth` bytes. */
  readonly tag: number;

  /** Prepares the key `name`. */
  constructor(name: string) {
    this.name = name;
    this.bytes = new TextEncoder().encode(name);
    this.dv = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    let hash = HASH_START;
    for (const b of this.bytes) hash = (Math.imul(hash, 33) + b) | 0;
    this.hash = hash;
    this.size = this.bytes.length + 1;
    this.tagWidth = tagWidthOf(this.size);
    this.tag = this.size * 4 + this.tagWidth - 1;
  }
}
