/**
 * An object key prepared for repeated look-ups and stores.
 *
 * @module
 */

import { HASH_START, tagWidthOf } from "./layout.ts";

/** A key with its bytes, hash and key tag computed once. */
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
