/**
 * Reads a Lite3 document in place. Every offset in the document is checked before it is used, so
 * hostile bytes only cause an error (docs/spec/format.md 7.8).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import {
  HASH_START,
  Lite3Key,
  MAX_PROBES,
  MAX_STEPS,
  NODE_CHILD,
  NODE_COUNT,
  NODE_HASH,
  NODE_KV,
  NODE_SIZE,
  Tag,
} from "./layout.ts";

export { Lite3Key } from "./layout.ts";

const NO_BYTES = new Uint8Array(0);
const NO_VIEW = new DataView(NO_BYTES.buffer);
const HIGH_BITS = 0x80808080 | 0;
/** Keys up to this length, in bytes, are cached as strings; and how many of them. */
const CACHED_LENGTH = 32;
const CACHE_SIZE = 256;
/** Up to this many entries, insertion sort is used. */
const FEW = 24;

/** The payload cannot be read as a Lite3 document. */
export function corrupt(message = "failed to decode lite3"): PlasmiteError {
  return new PlasmiteError("Corrupt", message, {
    hint: "The bytes are not a Lite3 document, or they are damaged.",
  });
}

/**
 * A view of a document in a buffer. All offsets are relative to the document; a "value" is the
 * offset of its tag byte, a "node" the same for containers.
 *
 * All methods throw Corrupt if the bytes are not a valid document.
 */
export class Lite3Doc {
  /** The buffer that holds the document. */
  u8: Uint8Array = NO_BYTES;
  /** A view of the same bytes. */
  dv: DataView = NO_VIEW;
  /** Index of the document's first byte in `u8`. */
  base = 0;
  /** Length of the document in bytes. */
  len = 0;

  /** Absolute index of the key that {@linkcode Lite3Doc.readKey} found. */
  keyStart = 0;
  /** Absolute index of that key's end. */
  keyEnd = 0;

  /**
   * Entries that are collected but not yet dropped, of all containers being walked. V8 keeps an
   * array of up to 64 bytes in its own heap; a larger one would double the cost of a document.
   */
  #stack = new Int32Array(16);
  #top = 0;
  /**
   * Bytes of the document not yet accounted for. Nothing is stored twice, so a walk that has read
   * more than the document's length is in a cycle (docs/spec/format.md 7.8).
   */
  #budget = 0;

  /** Sets the document to the `len` bytes at `base`. */
  reset(u8: Uint8Array, dv: DataView, base: number, len: number): this {
    this.u8 = u8;
    this.dv = dv;
    this.base = base;
    this.len = len;
    return this;
  }

  /** Offset of the value stored under `key` in the object at `node`, or -1. */
  lookup(node: number, key: Lite3Key): number {
    const { dv, base } = this;
    const last = this.len - NODE_SIZE;
    const hash = key.hash;
    for (let a = 0; a < MAX_PROBES; a++) {
      const h = (hash + a * a) >>> 0;
      let cur = node;
      for (let steps = 0;; steps++) {
        if (cur > last || steps > MAX_STEPS) throw corrupt();
        const at = base + cur;
        const count = dv.getUint8(at + NODE_COUNT) & 7;
        let i = 0;
        let found = -1;
        for (; i < count; i++) {
          found = dv.getUint32(at + NODE_HASH + 4 * i, true);
          if (found >= h) break;
        }
        if (i < count && found === h) {
          const value = this.#match(dv.getUint32(at + NODE_KV + 4 * i, true), key);
          if (value >= 0) return value;
          break; // another key of this hash: next probe
        }
        if (dv.getInt32(at + NODE_CHILD, true) === 0) return -1;
        cur = dv.getUint32(at + NODE_CHILD + 4 * i, true);
        if (cur === 0) return -1;
      }
    }
    return -1;
  }

  /** Offset of the value of the entry at `kv` if its key is `key`, else -1. */
  #match(kv: number, key: Lite3Key): number {
    const { dv } = this;
    const { size, tagWidth } = key;
    const value = kv + tagWidth + size;
    let at = this.base + kv;
    if (value >= this.len) {
      this.readKey(kv);
      return -1;
    }
    const tag = tagWidth === 1
      ? dv.getUint8(at)
      : tagWidth === 2
      ? dv.getUint16(at, true)
      : dv.getUint32(at, true);
    if (tag !== key.tag) {
      this.readKey(kv);
      return -1;
    }
    at += tagWidth;
    const length = size - 1;
    const wanted = key.dv;
    for (let i = 0; i < length; i++) {
      if (dv.getUint8(at + i) !== wanted.getUint8(i)) return -1;
    }
    if (dv.getUint8(at + length) !== 0) throw corrupt();
    return value;
  }

  /** Offset of element `index` (0 or more) of the array at `node`, or -1. */
  element(node: number, index: number): number {
    const { dv, base } = this;
    const last = this.len - NODE_SIZE;
    let cur = node;
    for (let steps = 0;; steps++) {
      if (cur > last || steps > MAX_STEPS) throw corrupt();
      const at = base + cur;
      const count = dv.getUint8(at + NODE_COUNT) & 7;
      let i = 0;
      let found = -1;
      for (; i < count; i++) {
        found = dv.getUint32(at + NODE_HASH + 4 * i, true);
        if (found >= index) break;
      }
      if (i < count && found === index) return dv.getUint32(at + NODE_KV + 4 * i, true);
      if (dv.getInt32(at + NODE_CHILD, true) === 0) return -1;
      cur = dv.getUint32(at + NODE_CHILD + 4 * i, true);
      if (cur === 0) return -1;
    }
  }

  /** The value's tag, 0 to 7 (see `Tag`); the whole fixed part of the value is then readable. */
  tag(value: number): number {
    if (value >= this.len) throw corrupt();
    const tag = this.dv.getUint8(this.base + value);
    switch (tag) {
      case Tag.Null:
        break;
      case Tag.Bool:
        if (value + 2 > this.len) throw corrupt();
        break;
      case Tag.I64:
      case Tag.F64:
        if (value + 9 > this.len) throw corrupt();
        break;
      case Tag.Bytes:
      case Tag.String:
        if (value + 5 > this.len) throw corrupt();
        break;
      case Tag.Object:
      case Tag.Array:
        if (value + NODE_SIZE > this.len) throw corrupt();
        break;
      default:
        throw corrupt();
    }
    return tag;
  }

  /** The number of members or elements according to the container at `node`. */
  count(node: number): number {
    if (node + NODE_SIZE > this.len) throw corrupt();
    const count = this.dv.getUint32(this.base + node + NODE_COUNT, true) >>> 6;
    if (count > this.len) throw corrupt();
    return count;
  }

  /** A boolean's value; any byte but 0 is true. */
  bool(value: number): boolean {
    this.#within(value + 2);
    return this.dv.getUint8(this.base + value + 1) !== 0;
  }

  /** A 64-bit integer. */
  i64(value: number): bigint {
    this.#within(value + 9);
    return this.dv.getBigInt64(this.base + value + 1, true);
  }

  /** The lower half of a 64-bit integer, unsigned. */
  i64Lo(value: number): number {
    this.#within(value + 9);
    return this.dv.getUint32(this.base + value + 1, true);
  }

  /** The upper half of a 64-bit integer, signed. */
  i64Hi(value: number): number {
    this.#within(value + 9);
    return this.dv.getInt32(this.base + value + 5, true);
  }

  /** A double; it may be infinite or NaN in a damaged document. */
  f64(value: number): number {
    this.#within(value + 9);
    return this.dv.getFloat64(this.base + value + 1, true);
  }

  /** Absolute index in `u8` of the bytes of a string (or of a value of type bytes). */
  stringStart(value: number): number {
    return this.base + value + 5;
  }

  /** Length in bytes of a string, without its final 00, which is checked to be there. */
  stringLength(value: number): number {
    this.#within(value + 5);
    const n = this.dv.getUint32(this.base + value + 1, true);
    if (n === 0 || value + 5 + n > this.len) throw corrupt();
    if (this.dv.getUint8(this.base + value + 4 + n) !== 0) throw corrupt();
    return n - 1;
  }

  /** Length of a value of type bytes. */
  bytesLength(value: number): number {
    this.#within(value + 5);
    const n = this.dv.getUint32(this.base + value + 1, true);
    if (value + 5 + n > this.len) throw corrupt();
    return n;
  }

  /** A string as text. */
  string(value: number): string {
    const length = this.stringLength(value);
    return this.text(this.stringStart(value), length);
  }

  /** `length` bytes of UTF-8 at the absolute index `start` as text. */
  text(start: number, length: number): string {
    const { dv } = this;
    const end = start + length;
    // A call of TextDecoder takes as long as decoding 64 characters this way.
    if (length <= 64) {
      let s = "";
      let i = start;
      for (; i + 4 <= end; i += 4) {
        const w = dv.getInt32(i, true);
        if ((w & HIGH_BITS) !== 0) return decodeUtf8(this.u8.subarray(start, end));
        s += String.fromCharCode(w & 127, (w >> 8) & 127, (w >> 16) & 127, w >>> 24);
      }
      for (; i < end; i++) {
        const c = dv.getUint8(i);
        if (c > 0x7f) return decodeUtf8(this.u8.subarray(start, end));
        s += String.fromCharCode(c);
      }
      return s;
    }
    return decodeUtf8(this.u8.subarray(start, end));
  }

  /**
   * Checks the key of the object entry at `kv` and returns the offset of its value; the key's
   * bytes are then between `keyStart` and `keyEnd`.
   */
  readKey(kv: number): number {
    const { dv, len } = this;
    if (kv >= len) throw corrupt();
    const at = this.base + kv;
    const first = dv.getUint8(at);
    const width = (first & 3) + 1;
    let size = first >>> 2;
    if (width > 1) {
      if (kv + width > len) throw corrupt();
      size = (width === 2
        ? dv.getUint16(at, true)
        : width === 4
        ? dv.getUint32(at, true)
        : dv.getUint16(at, true) + dv.getUint8(at + 2) * 65536) >>> 2;
    }
    const value = kv + width + size;
    // The value's tag must follow, so `<` and not `<=`.
    if (size === 0 || value >= len) throw corrupt();
    const start = at + width;
    const end = start + size - 1;
    if (dv.getUint8(end) !== 0) throw corrupt();
    this.keyStart = start;
    this.keyEnd = end;
    return value;
  }

  /** The key of the object entry at `kv` as text; like the reference, it ends at its first NUL. */
  key(kv: number): string {
    this.readKey(kv);
    return this.keyText();
  }

  /** The last key read, as text, from a cache if possible. */
  keyText(): string {
    const { dv, keyStart, keyEnd } = this;
    const length = keyEnd - keyStart;
    if (length > CACHED_LENGTH) return untilNul(this.text(keyStart, length));
    let hash = HASH_START;
    for (let i = keyStart; i < keyEnd; i++) hash = (Math.imul(hash, 33) + dv.getUint8(i)) | 0;
    const cache = keyCache ??= new Array<Lite3Key | undefined>(CACHE_SIZE).fill(undefined);
    const known = cache[hash & (CACHE_SIZE - 1)];
    if (known !== undefined && known.hash === hash && known.size === length + 1) {
      let i = 0;
      while (i < length && known.dv.getUint8(i) === dv.getUint8(keyStart + i)) i++;
      if (i === length) return known.name;
    }
    const text = this.text(keyStart, length);
    const name = untilNul(text);
    if (name === text) cache[hash & (CACHE_SIZE - 1)] = new Lite3Key(name);
    return name;
  }

  /**
   * The entries of the container at `node`: of an object in insertion order (see
   * {@linkcode Lite3Doc.key} and {@linkcode Lite3Doc.readKey}), of an array the values by index.
   */
  entries(node: number): number[] {
    this.startWalk();
    const n = this.pushEntries(node);
    const entries: number[] = [];
    for (let i = n; i > 0; i--) entries.push(this.entryFromTop(i));
    this.dropEntries(n);
    return entries;
  }

  // ---- walking everything: print, toValue, validate -----------------------------------------

  /** Starts a walk over (part of) the document. */
  startWalk(): void {
    this.#top = 0;
    this.#budget = this.len;
  }

  /** Accounts for `bytes` of the document, which a walk visits only once. */
  spend(bytes: number): void {
    if ((this.#budget -= bytes) < 0) throw corrupt();
  }

  /**
   * Pushes the entries of the container at `node` onto the stack, in order; returns their number.
   */
  pushEntries(node: number): number {
    const { dv, base } = this;
    if (node + NODE_SIZE > this.len) throw corrupt();
    const first = this.#top;
    const at = base + node;
    const isArray = dv.getUint8(at) === Tag.Array;
    if (dv.getInt32(at + NODE_CHILD, true) !== 0) this.#collect(node, 0);
    else {
      if ((this.#budget -= NODE_SIZE) < 0) throw corrupt();
      const count = dv.getUint8(at + NODE_COUNT) & 7;
      let stack = this.#stack;
      if (first + count > stack.length) stack = this.#growStack();
      for (let i = 0; i < count; i++) {
        stack[first + i] = dv.getInt32(at + NODE_KV + 4 * i, true);
      }
      this.#top = first + count;
    }
    const n = this.#top - first;
    if (!isArray && n > 1) this.#sort(first, n);
    return n;
  }

  /** The entry `n` places below the top of the stack (1 is the top). */
  entryFromTop(n: number): number {
    return (this.#stack[this.#top - n] as number) >>> 0;
  }

  /** Drops `n` entries from the stack. */
  dropEntries(n: number): void {
    this.#top -= n;
  }

  #growStack(): Int32Array<ArrayBuffer> {
    const next = new Int32Array(this.#stack.length * 2);
    next.set(this.#stack);
    return this.#stack = next;
  }

  /** In order (docs/spec/format.md 7.7): child, entry, child, entry, …, child. */
  #collect(node: number, level: number): void {
    if (node + NODE_SIZE > this.len || level > MAX_STEPS) throw corrupt();
    if ((this.#budget -= NODE_SIZE) < 0) throw corrupt();
    const { dv } = this;
    const at = this.base + node;
    const count = dv.getUint8(at + NODE_COUNT) & 7;
    const isLeaf = dv.getInt32(at + NODE_CHILD, true) === 0;
    for (let i = 0;; i++) {
      if (!isLeaf) {
        const child = dv.getUint32(at + NODE_CHILD + 4 * i, true);
        if (child !== 0) this.#collect(child, level + 1);
      }
      if (i === count) return;
      if (this.#top === this.#stack.length) this.#growStack();
      this.#stack[this.#top++] = dv.getInt32(at + NODE_KV + 4 * i, true);
    }
  }

  /** Sorts entries by offset, which is the order of insertion (docs/spec/format.md 7.7). */
  #sort(first: number, n: number): void {
    const stack = this.#stack;
    if (n > FEW) {
      stack.subarray(first, first + n).sort();
      return;
    }
    const end = first + n;
    for (let i = first + 1; i < end; i++) {
      const x = stack[i] as number;
      let j = i - 1;
      for (; j >= first; j--) {
        const y = stack[j] as number;
        if (y <= x) break;
        stack[j + 1] = y;
      }
      stack[j + 1] = x;
    }
  }

  #within(end: number): void {
    if (end > this.len) throw corrupt();
  }
}

let keyCache: (Lite3Key | undefined)[] | undefined;
let utf8: TextDecoder | undefined;

function untilNul(name: string): string {
  const nul = name.indexOf("\0");
  return nul < 0 ? name : name.slice(0, nul);
}

function decodeUtf8(bytes: Uint8Array): string {
  utf8 ??= new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  try {
    return utf8.decode(bytes);
  } catch {
    throw corrupt();
  }
}
