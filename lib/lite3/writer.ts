/**
 * Builds a Lite3 document at the end of a buffer: nodes, entries and the tree insertion, which must
 * match the reference byte for byte (docs/spec/format.md 7.5). It is independent of JSON.
 *
 * @module
 */

import type { Buf } from "../bytes.ts";
import { PlasmiteError } from "../errors.ts";
import {
  HASH_START,
  MAX_DOCUMENT,
  MAX_PROBES,
  MAX_STEPS,
  NODE_CHILD,
  NODE_COUNT,
  NODE_ENTRIES,
  NODE_HASH,
  NODE_KV,
  NODE_SIZE,
  Tag,
} from "./layout.ts";

/** Bytes for all nodes that one insertion can append, its padding, key tag and a scalar value. */
const INSERT_ROOM = (MAX_STEPS + 3) * NODE_SIZE + 64;

/**
 * The error for a document that cannot be represented: too deep, or keys that cannot be in one
 * object.
 */
export function encodeFailed(why: string): PlasmiteError {
  return new PlasmiteError("Usage", "failed to encode json as lite3", {
    hint: why,
    causes: ["Invalid argument (os error 22)"],
  });
}

/**
 * The document under construction. Addresses (`at`, node and slot arguments) are indexes into
 * `out.u8`; only what is stored in the document is relative to `base`.
 */
export class Lite3Writer {
  /** Where the document goes; `out.len` is moved only when the document is complete. */
  readonly out: Buf;
  /** Index of the document's first byte. */
  base = 0;
  /** Index of the document's end so far. */
  at = 0;
  /**
   * Set when something cannot be represented; building continues so that the rest of the input is
   * read.
   */
  unrepresentable = "";
  /** The kv slot of the entry that {@linkcode Lite3Writer.place} found under the same key. */
  matched = 0;

  /** Creates a writer that appends to `out`. */
  constructor(out: Buf) {
    this.out = out;
  }

  /** Starts a document at `out.len`. */
  begin(): void {
    this.base = this.at = this.out.len;
    this.unrepresentable = "";
  }

  /** Reserves space for one insertion plus `extra` bytes. */
  room(extra: number): void {
    const need = this.at + extra + INSERT_ROOM;
    if (need > this.out.u8.length) this.#grow(extra + INSERT_ROOM);
  }

  #grow(extra: number): void {
    if (this.at - this.base > MAX_DOCUMENT) {
      throw new PlasmiteError("Usage", "lite3 buffer exceeded max size", {
        hint: "Split the message; one message can hold at most 256 MiB when encoded.",
      });
    }
    // Growing copies only what is below `len`.
    const len = this.out.len;
    this.out.len = this.at;
    this.out.reserve(extra);
    this.out.len = len;
  }

  /** Writes an empty container's node at `node`; the space must be reserved. */
  emptyNode(node: number, type: number): void {
    const dv = this.out.dv;
    dv.setUint32(node, type, true);
    dv.setUint32(node + 4, 0, true);
    for (let i = 8; i < NODE_SIZE; i += 8) dv.setFloat64(node + i, 0, true);
  }

  /** Appends zero bytes until the document's length plus `ahead` is a multiple of 4. */
  align(ahead: number): void {
    const pad = (this.base - this.at - ahead) & 3;
    const dv = this.out.dv;
    for (let i = 0; i < pad; i++) dv.setUint8(this.at + i, 0);
    this.at += pad;
  }

  /** Appends the tag, the bytes and the final 00 of a key of `length` bytes at `keyAt` of `key`. */
  writeKey(key: DataView, keyAt: number, length: number): void {
    const dv = this.out.dv;
    const z = length + 1;
    let o = this.at;
    if (z < 64) {
      dv.setUint8(o, z << 2);
      o += 1;
    } else if (z < 16384) {
      dv.setUint16(o, (z << 2) | 1, true);
      o += 2;
    } else {
      dv.setUint32(o, z * 4 + 3, true);
      o += 4;
    }
    const end = keyAt + length;
    let i = keyAt;
    for (; i + 4 <= end; i += 4, o += 4) dv.setInt32(o, key.getInt32(i, true), true);
    for (; i < end; i++, o++) dv.setUint8(o, key.getUint8(i));
    dv.setUint8(o, 0);
    this.at = o + 1;
  }

  /**
   * Inserts an entry into `container` for a key (or, with `length` -1, for the next array element)
   * with hash `hash`: returns the index of the kv slot to fill, or -1 if the key already exists;
   * then its slot is in `matched`.
   */
  place(
    container: number,
    hash: number,
    key: DataView,
    keyAt: number,
    length: number,
  ): number {
    const dv = this.out.dv;
    const base = this.base;
    // Generation in bits 8–31 counts every set, overwrites included (docs/spec/format.md 7.2).
    dv.setUint32(container, dv.getInt32(container, true) + 256, true);
    for (let a = 0; a < MAX_PROBES; a++) {
      const h = (hash + a * a) >>> 0;
      let cur = container;
      let parent = -1;
      let i = 0;
      let steps = 0;
      let found = -1;
      for (;;) {
        let count = dv.getUint8(cur + NODE_COUNT) & 7;
        if (count === NODE_ENTRIES) {
          // A full node is split on the way down, before the key is searched (docs/spec/format.md
          // 7.5).
          const sibling = this.#split(container, cur, parent, i);
          if (parent < 0) {
            parent = container;
            i = 0;
            cur = base + dv.getUint32(container + NODE_CHILD, true);
            // The tree is one level higher now; beyond ten levels no reader supports it.
            steps = 1;
          }
          const up = dv.getUint32(parent + NODE_HASH + 4 * i, true);
          if (h > up) cur = sibling;
          else if (h === up) {
            found = parent + NODE_KV + 4 * i;
            break;
          }
          count = 3;
        }
        i = 0;
        let at = 0;
        while (i < count && (at = dv.getUint32(cur + NODE_HASH + 4 * i, true)) < h) i++;
        if (i < count && at === h) {
          found = cur + NODE_KV + 4 * i;
          break;
        }
        const child = dv.getUint32(cur + NODE_CHILD, true);
        if (child === 0) {
          for (
            let j = cur + NODE_HASH + 4 * count, stop = cur + NODE_HASH + 4 * i;
            j > stop;
            j -= 4
          ) {
            dv.setInt32(j, dv.getInt32(j - 4, true), true);
            dv.setInt32(j + 32, dv.getInt32(j + 28, true), true);
          }
          dv.setInt32(cur + NODE_HASH + 4 * i, h, true);
          dv.setInt32(cur + NODE_COUNT, dv.getInt32(cur + NODE_COUNT, true) + 1, true);
          // The size of the container, from bit 6 of its root's word.
          dv.setInt32(container + NODE_COUNT, dv.getInt32(container + NODE_COUNT, true) + 64, true);
          return cur + NODE_KV + 4 * i;
        }
        parent = cur;
        cur = base + dv.getUint32(cur + NODE_CHILD + 4 * i, true);
        if (++steps > MAX_STEPS) return this.#giveUp("Use an array of at most 2097160 elements.");
      }
      if (length < 0) break;
      const same = this.#compareKey(found, key, keyAt, length);
      if (same === 0) {
        this.matched = found;
        return -1;
      }
      if (same < 0) {
        return this.#giveUp(
          "Rename one of two object keys that have the same hash but not a similar length.",
        );
      }
    }
    return this.#giveUp("Rename some of the object keys; too many have the same hash.");
  }

  /** Records that the document cannot be represented and returns a slot to write to anyway. */
  #giveUp(why: string): number {
    this.unrepresentable ||= why;
    this.at += 4;
    return this.at - 4;
  }

  /**
   * 0 if the entry of `slot` has this key, 1 if another one, -1 if the tag widths differ
   * (docs/spec/format.md 7.5).
   */
  #compareKey(slot: number, key: DataView, keyAt: number, length: number): number {
    const dv = this.out.dv;
    let kv = this.base + dv.getUint32(slot, true);
    const width = (dv.getUint8(kv) & 3) + 1;
    const z = length + 1;
    if (width !== (z < 64 ? 1 : z < 16384 ? 2 : 4)) return -1;
    if (keySize(dv, kv, width) !== z) return 1;
    kv += width;
    for (let i = 0; i < length; i++) {
      if (dv.getUint8(kv + i) !== key.getUint8(keyAt + i)) return 1;
    }
    return 0;
  }

  /**
   * Splits the full node `cur` around its fourth entry and returns the new right half. With
   * `parent` -1 the container's own node is split: its entries move to a new left half.
   */
  #split(container: number, cur: number, parent: number, i: number): number {
    const { dv, u8 } = this.out;
    const base = this.base;
    this.align(0);
    if (parent < 0) {
      const left = this.at;
      u8.copyWithin(left, container, container + NODE_SIZE);
      this.at = left + NODE_SIZE;
      const size = dv.getUint32(container + NODE_COUNT, true) & ~7;
      for (let o = NODE_HASH; o < NODE_SIZE; o += 4) dv.setInt32(container + o, 0, true);
      dv.setInt32(container + NODE_COUNT, size, true);
      dv.setInt32(container + NODE_CHILD, left - base, true);
      parent = container;
      i = 0;
      cur = left;
    }
    const sibling = this.at;
    this.emptyNode(sibling, dv.getUint8(container));
    this.at = sibling + NODE_SIZE;
    dv.setInt32(sibling + NODE_COUNT, 3, true);
    for (let j = 6; j > i; j--) {
      dv.setInt32(
        parent + NODE_HASH + 4 * j,
        dv.getInt32(parent + NODE_HASH + 4 * j - 4, true),
        true,
      );
      dv.setInt32(parent + NODE_KV + 4 * j, dv.getInt32(parent + NODE_KV + 4 * j - 4, true), true);
    }
    for (let j = 7; j > i + 1; j--) {
      const o = parent + NODE_CHILD + 4 * j;
      dv.setInt32(o, dv.getInt32(o - 4, true), true);
    }
    dv.setInt32(parent + NODE_HASH + 4 * i, dv.getInt32(cur + NODE_HASH + 12, true), true);
    dv.setInt32(parent + NODE_KV + 4 * i, dv.getInt32(cur + NODE_KV + 12, true), true);
    dv.setInt32(parent + NODE_CHILD + 4 * i + 4, sibling - base, true);
    dv.setInt32(parent + NODE_COUNT, dv.getInt32(parent + NODE_COUNT, true) + 1, true);
    for (let j = 0; j < 12; j += 4) {
      dv.setInt32(sibling + NODE_HASH + j, dv.getInt32(cur + NODE_HASH + 16 + j, true), true);
      dv.setInt32(sibling + NODE_KV + j, dv.getInt32(cur + NODE_KV + 16 + j, true), true);
    }
    for (let j = 0; j < 16; j += 4) {
      dv.setInt32(sibling + NODE_CHILD + j, dv.getInt32(cur + NODE_CHILD + 16 + j, true), true);
      dv.setInt32(cur + NODE_HASH + 12 + j, 0, true);
      dv.setInt32(cur + NODE_KV + 12 + j, 0, true);
      dv.setInt32(cur + NODE_CHILD + 16 + j, 0, true);
    }
    dv.setInt32(cur + NODE_COUNT, 3, true);
    return sibling;
  }

  /**
   * Prepares to overwrite the entry at `matched` with a value of `vlen` bytes (docs/spec/format.md
   * 7.5): returns the value's position if it fits over the old one, or -1 if a new entry must be
   * appended.
   */
  overwrite(vlen: number): number {
    const { dv, u8 } = this.out;
    const kv = this.base + dv.getUint32(this.matched, true);
    const width = (dv.getUint8(kv) & 3) + 1;
    const value = kv + width + keySize(dv, kv, width);
    const old = 1 + valueLength(dv, value);
    if (vlen < old) {
      u8.fill(0, value, value + old);
      return value;
    }
    u8.fill(0, kv, value + old);
    return -1;
  }
}

/** The hash of a key of `length` bytes (docs/spec/format.md 7.4). */
export function hashOf(dv: DataView, length: number): number {
  let hash = HASH_START;
  for (let i = 0; i < length; i++) hash = (Math.imul(hash, 33) + dv.getUint8(i)) | 0;
  return hash;
}

function keySize(dv: DataView, kv: number, width: number): number {
  const tag = width === 1
    ? dv.getUint8(kv)
    : width === 2
    ? dv.getUint16(kv, true)
    : dv.getUint32(kv, true);
  return tag >>> 2;
}

function valueLength(dv: DataView, value: number): number {
  switch (dv.getUint8(value)) {
    case Tag.Null:
      return 0;
    case Tag.Bool:
      return 1;
    case Tag.I64:
    case Tag.F64:
      return 8;
    case Tag.Bytes:
    case Tag.String:
      return 4 + dv.getUint32(value + 1, true);
    default:
      return NODE_SIZE - 1;
  }
}

/** A key with U+0000 cannot be read back unchanged (docs/spec/command-line.md 1.5). */
export function nulInKey(): PlasmiteError {
  return new PlasmiteError("Usage", "object keys must not contain U+0000", {
    hint: "Remove the NUL character from the key; strings may contain it.",
  });
}
