/**
 * JSON text to Lite3 in one pass: bytes are read once, checked, and written straight to their
 * place in the document; no tree and no strings in between.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { PlasmiteError } from "../errors.ts";
import { withoutDuplicateKeys } from "./dedupe.ts";
import { nulInKey, writeValue } from "./from_value.ts";
import { HASH_START, MAX_LEVELS, NODE_SIZE, Tag } from "./layout.ts";
import { encodeFailed, Lite3Writer } from "./writer.ts";

/** Levels of nesting beyond which a text is not accepted as JSON (cli.md 1.5). */
const MAX_TEXT_LEVELS = 127;
/** How many envelopes are remembered, one for each list of tags. */
const MAX_ENVELOPES = 64;
const HIGH_BITS = 0x80808080 | 0;
/** Splits a double into two halves of 26 bits. */
const SPLIT = 2 ** 27 + 1;
/** Powers of ten that are exact doubles. */
// deno-fmt-ignore
const POWERS = [
  1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
  1e18, 1e19, 1e20, 1e21, 1e22,
];
const NO_TEXT = new DataView(new ArrayBuffer(0));

/** The bytes are not a JSON value. */
export class JsonSyntaxError extends Error {
  /** Index of the byte that does not belong there. */
  readonly offset: number;
  /** Whether all is well so far but the input ends inside the value. */
  readonly incomplete: boolean;

  /** Makes an error for the byte at `offset`. */
  constructor(offset: number, incomplete: boolean, message = "invalid json") {
    super(message);
    this.name = "JsonSyntaxError";
    this.offset = offset;
    this.incomplete = incomplete;
  }
}

/**
 * Appends Lite3 documents to a buffer, exactly behind `out.len`. When a call throws, `out.len` is
 * what it was.
 */
export class Lite3Encoder extends Lite3Writer {
  /**
   * Index behind the value that the last call read, also when it was refused as unusable (a
   * PlasmiteError); -1 if the end was not reached.
   */
  valueEnd = -1;

  private text: DataView = NO_TEXT;
  private textBytes: Uint8Array | undefined;
  private end = 0;
  private levels = 0;
  /** Index behind the last string decoded. */
  private stringEnd = 0;
  private duplicate = false;
  private nulKey = false;
  private minusZero = false;
  private keyScratch: Buf | undefined;
  private valueScratch: Buf | undefined;

  private tags: readonly string[] = [];
  private envelope: Uint8Array | undefined;
  private envelopes: Map<string, Uint8Array> | undefined;

  /** Makes an encoder that appends to `out`. */
  constructor(out: Buf) {
    super(out);
  }

  /**
   * Encodes the JSON object or array at `start`, keys in text order, duplicates exactly as the
   * reference's encoder overwrites them (pool-format.md 7.5), and returns the index behind it.
   *
   * @throws {JsonSyntaxError} if the text is not JSON
   * @throws {PlasmiteError} Usage, if it cannot be represented
   */
  documentFromJson(text: Uint8Array, start: number, end: number): number {
    this.open(text, end, 0);
    let pos = this.space(start);
    const c = this.text.getUint8(pos);
    if (c !== 0x7b && c !== 0x5b) {
      this.room(end - pos);
      this.valueEnd = this.value(pos, c, this.dummySlot(), this.at, 0);
      throw encodeFailed("The outermost value must be an object or an array.");
    }
    this.room(0);
    const root = this.base;
    this.emptyNode(root, c === 0x7b ? Tag.Object : Tag.Array);
    this.at = root + NODE_SIZE;
    pos = c === 0x7b ? this.object(pos + 1, root, 1) : this.array(pos + 1, root, 1);
    this.valueEnd = pos;
    if (this.unrepresentable !== "") throw encodeFailed(this.unrepresentable);
    this.out.len = this.at;
    return pos;
  }

  /**
   * Encodes a message whose data is the JSON object at `start` and returns the index behind it.
   * Of duplicate keys the last value wins, in the place of the first.
   *
   * @throws {JsonSyntaxError} if the text is not JSON
   * @throws {PlasmiteError} Usage, if it is no object or cannot be represented
   */
  messageFromJson(
    text: Uint8Array,
    start: number,
    end: number,
    tags: readonly string[],
  ): number {
    this.open(text, end, 1);
    this.minusZero = true;
    const node = this.beginMessage(tags);
    const at = this.space(start);
    const c = this.text.getUint8(at);
    if (c !== 0x7b) {
      this.room(end - at);
      this.valueEnd = this.value(at, c, this.dummySlot(), this.at, 1);
      throw new PlasmiteError("Usage", "data must be object");
    }
    const pos = this.object(at + 1, node, 2);
    this.valueEnd = pos;
    if (this.nulKey) throw nulInKey();
    if (this.unrepresentable !== "") throw encodeFailed(this.unrepresentable);
    if (this.duplicate) {
      const clean = withoutDuplicateKeys(text, at, pos);
      this.messageFromJson(clean, 0, clean.length, tags);
      this.valueEnd = pos;
      return pos;
    }
    this.out.len = this.at;
    return pos;
  }

  /**
   * Encodes a message from a JavaScript value: numbers that are safe integers and bigints become
   * 64-bit integers, other numbers doubles; `toJSON` is honoured, undefined members are left out.
   *
   * @throws {PlasmiteError} Usage, if it is no object or cannot be represented
   */
  messageFromValue(data: unknown, tags: readonly string[]): void {
    this.begin();
    const node = this.beginMessage(tags);
    writeValue(this, data, node);
    if (this.unrepresentable !== "") throw encodeFailed(this.unrepresentable);
    this.out.len = this.at;
  }

  private open(text: Uint8Array, end: number, levels: number): void {
    this.begin();
    if (text !== this.textBytes) {
      this.textBytes = text;
      this.text = new DataView(text.buffer, text.byteOffset, text.byteLength);
    }
    this.end = end;
    this.levels = levels + MAX_TEXT_LEVELS;
    this.duplicate = this.nulKey = this.minusZero = false;
    this.valueEnd = -1;
  }

  /** A place for an entry's offset that nobody reads. */
  private dummySlot(): number {
    this.at += 4;
    return this.at - 4;
  }

  // ---- the envelope ---------------------------------------------------------------------------

  /** Writes everything of a message but its data; returns the address of data's empty node. */
  private beginMessage(tags: readonly string[]): number {
    const envelope = this.envelopeOf(tags);
    this.room(envelope.length);
    this.out.u8.set(envelope, this.base);
    // `data` is set last, so its node ends the envelope.
    this.at = this.base + envelope.length;
    return this.at - NODE_SIZE;
  }

  private envelopeOf(tags: readonly string[]): Uint8Array {
    const last = this.tags;
    let same = this.envelope !== undefined && tags.length === last.length;
    for (let i = 0; same && i < tags.length; i++) same = tags[i] === last[i];
    if (same && this.envelope !== undefined) return this.envelope;
    for (const tag of tags) {
      if (typeof tag !== "string" || !tag.isWellFormed()) {
        throw new PlasmiteError("Usage", "tags must be strings of valid Unicode", {
          hint: "Give every tag as a string without lone surrogates.",
        });
      }
    }
    const json = JSON.stringify(tags);
    const envelopes = this.envelopes ??= new Map<string, Uint8Array>();
    let envelope = envelopes.get(json);
    if (envelope === undefined) {
      const text = new TextEncoder().encode(`{"meta":{"tags":${json}},"data":{}}`);
      const encoder = new Lite3Encoder(new Buf(1024));
      encoder.documentFromJson(text, 0, text.length);
      envelope = encoder.out.bytes();
      if (envelopes.size >= MAX_ENVELOPES) envelopes.clear();
      envelopes.set(json, envelope);
    }
    this.tags = [...tags];
    this.envelope = envelope;
    return envelope;
  }

  // ---- JSON -----------------------------------------------------------------------------------

  private fail(pos: number): never {
    throw new JsonSyntaxError(Math.min(pos, this.end), pos >= this.end);
  }

  /** The index of the next byte that is no white space; there must be one. */
  private space(pos: number): number {
    const text = this.text;
    const end = this.end;
    for (; pos < end; pos++) {
      const c = text.getUint8(pos);
      if (c > 0x20 || (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09)) return pos;
    }
    return this.fail(end);
  }

  private enter(pos: number, depth: number): void {
    if (depth > MAX_LEVELS) {
      this.unrepresentable ||= "Nest objects and arrays at most 31 levels deep, data included.";
      if (depth > this.levels) {
        throw new JsonSyntaxError(pos - 1, false, "recursion limit exceeded");
      }
    }
  }

  /** Reads the members of an object behind its `{`. */
  private object(pos: number, node: number, depth: number): number {
    this.enter(pos, depth);
    const text = this.text;
    const end = this.end;
    pos = this.space(pos);
    let c = text.getUint8(pos);
    if (c === 0x7d) return pos + 1;
    for (;;) {
      if (c !== 0x22) this.fail(pos);
      const keyStart = ++pos;
      let hash = HASH_START;
      for (;;) {
        if (pos >= end) this.fail(pos);
        c = text.getUint8(pos);
        if (c === 0x22 || c < 0x20 || c > 0x7f || c === 0x5c) break;
        hash = (Math.imul(hash, 33) + c) | 0;
        pos++;
      }
      let key = text;
      let keyAt = keyStart;
      let length = pos - keyStart;
      if (c === 0x22) pos++;
      else {
        pos = this.longKey(keyStart);
        key = (this.keyScratch as Buf).dv;
        keyAt = 0;
        length = this.stringEnd;
        hash = hashOf(key, length);
      }
      c = pos < end ? text.getUint8(pos) : 0;
      if (c !== 0x3a) {
        pos = this.space(pos);
        if (text.getUint8(pos) !== 0x3a) this.fail(pos);
      }
      c = ++pos < end ? text.getUint8(pos) : 0;
      if (c <= 0x20) {
        pos = this.space(pos);
        c = text.getUint8(pos);
      }

      // Room for the tree nodes, the entry, and whatever string the rest of the text holds.
      this.room(end - keyStart + length);
      const slot = this.place(node, hash, key, keyAt, length);
      if (slot < 0) pos = this.again(pos, c, key, keyAt, length, depth);
      else {
        if (c === 0x7b || c === 0x5b) {
          this.align(length + (length < 63 ? 2 : length < 16383 ? 3 : 5));
        }
        const kv = this.at;
        this.writeKey(key, keyAt, length);
        pos = this.value(pos, c, slot, kv, depth);
      }

      c = pos < end ? text.getUint8(pos) : 0;
      if (c <= 0x20) {
        pos = this.space(pos);
        c = text.getUint8(pos);
      }
      if (c === 0x7d) return pos + 1;
      if (c !== 0x2c) this.fail(pos);
      c = ++pos < end ? text.getUint8(pos) : 0;
      if (c <= 0x20) {
        pos = this.space(pos);
        c = text.getUint8(pos);
      }
    }
  }

  /** Reads the elements of an array behind its `[`. */
  private array(pos: number, node: number, depth: number): number {
    this.enter(pos, depth);
    const text = this.text;
    const end = this.end;
    pos = this.space(pos);
    let c = text.getUint8(pos);
    if (c === 0x5d) return pos + 1;
    for (let index = 0;; index++) {
      this.room(end - pos);
      const slot = this.place(node, index, text, 0, -1);
      if (c === 0x7b || c === 0x5b) this.align(0);
      pos = this.value(pos, c, slot, this.at, depth);

      c = pos < end ? text.getUint8(pos) : 0;
      if (c <= 0x20) {
        pos = this.space(pos);
        c = text.getUint8(pos);
      }
      if (c === 0x5d) return pos + 1;
      if (c !== 0x2c) this.fail(pos);
      c = ++pos < end ? text.getUint8(pos) : 0;
      if (c <= 0x20) {
        pos = this.space(pos);
        c = text.getUint8(pos);
      }
    }
  }

  /**
   * Reads the value that begins with `c` at `pos`, appends it, and stores the offset of its entry,
   * which begins at `kv`, in `slot`.
   */
  private value(pos: number, c: number, slot: number, kv: number, depth: number): number {
    const dv = this.out.dv;
    const at = this.at;
    dv.setInt32(slot, kv - this.base, true);
    if (c === 0x22) {
      pos = this.string(pos + 1, dv, at + 5);
      const stop = this.stringEnd;
      dv.setUint8(at, Tag.String);
      dv.setInt32(at + 1, stop - at - 4, true);
      dv.setUint8(stop, 0);
      this.at = stop + 1;
      if (stop - at === 95) this.alignString(slot, kv, at);
      return pos;
    }
    if (c - 0x30 >>> 0 < 10 || c === 0x2d) return this.number(pos, c);
    switch (c) {
      case 0x7b: // {
        this.emptyNode(at, Tag.Object);
        this.at = at + NODE_SIZE;
        return this.object(pos + 1, at, depth + 1);
      case 0x5b: // [
        this.emptyNode(at, Tag.Array);
        this.at = at + NODE_SIZE;
        return this.array(pos + 1, at, depth + 1);
      case 0x74: // true
        this.literal(pos, "true");
        dv.setUint16(at, 0x0101, true);
        this.at = at + 2;
        return pos + 4;
      case 0x66: // false
        this.literal(pos, "false");
        dv.setUint16(at, 0x0001, true);
        this.at = at + 2;
        return pos + 5;
      case 0x6e: // null
        this.literal(pos, "null");
        dv.setUint8(at, Tag.Null);
        this.at = at + 1;
        return pos + 4;
      default:
        return this.fail(pos);
    }
  }

  private literal(pos: number, word: string): void {
    const { text, end } = this;
    for (let i = 1; i < word.length; i++) {
      if (pos + i >= end || text.getUint8(pos + i) !== word.charCodeAt(i)) this.fail(pos + i);
    }
  }

  /** A string of 90 bytes has the size of a container and is aligned like one (7.5). */
  private alignString(slot: number, kv: number, value: number): void {
    const pad = (this.base - value) & 3;
    if (pad === 0) return;
    const { u8, dv } = this.out;
    u8.copyWithin(kv + pad, kv, this.at);
    u8.fill(0, kv, kv + pad);
    this.at += pad;
    dv.setInt32(slot, kv + pad - this.base, true);
  }

  /** Reads the value of a key that the object has already (7.5, "match"). */
  private again(
    pos: number,
    c: number,
    key: DataView,
    keyAt: number,
    length: number,
    depth: number,
  ): number {
    this.duplicate = true;
    const slot = this.matched;
    const isString = c === 0x22;
    const isContainer = c === 0x7b || c === 0x5b;
    let vlen = isContainer ? NODE_SIZE - 1 : c === 0x6e ? 0 : c === 0x74 || c === 0x66 ? 1 : 8;
    let end = pos;
    if (isString) {
      const scratch = this.valueScratch ??= new Buf(256);
      scratch.reserve(this.end - pos + 8);
      end = this.string(pos + 1, scratch.dv, 0);
      vlen = 5 + this.stringEnd;
    }
    const place = this.overwrite(vlen);
    if (place < 0) {
      if (isContainer) this.align(length + (length < 63 ? 2 : length < 16383 ? 3 : 5));
      const kv = this.at;
      this.writeKey(key, keyAt, length);
      return this.value(pos, c, slot, kv, depth);
    }
    if (isString) {
      const { dv, u8 } = this.out;
      dv.setUint8(place, Tag.String);
      dv.setUint32(place + 1, vlen - 4, true);
      u8.set((this.valueScratch as Buf).u8.subarray(0, vlen - 5), place + 5);
      return end;
    }
    if (isContainer) {
      this.emptyNode(place, c === 0x7b ? Tag.Object : Tag.Array);
      return c === 0x7b
        ? this.object(pos + 1, place, depth + 1)
        : this.array(pos + 1, place, depth + 1);
    }
    const at = this.at;
    this.at = place;
    const kv = this.base + this.out.dv.getUint32(slot, true);
    pos = this.value(pos, c, slot, kv, depth);
    this.at = at;
    return pos;
  }

  /** Decodes a key that is not plain ASCII to `keyScratch`; its length is left in `stringEnd`. */
  private longKey(pos: number): number {
    const scratch = this.keyScratch ??= new Buf(256);
    scratch.reserve(this.end - pos + 8);
    pos = this.string(pos, scratch.dv, 0);
    const nul = scratch.u8.subarray(0, this.stringEnd).indexOf(0);
    if (nul >= 0) {
      this.nulKey = true;
      this.stringEnd = nul;
    }
    return pos;
  }

  /**
   * Decodes the string behind its opening quote to `o` in `dv`, four bytes at a time while they
   * are plain; returns the index behind the closing quote, with `stringEnd` behind the last byte.
   * Up to three bytes beyond that are overwritten.
   */
  private string(pos: number, dv: DataView, o: number): number {
    const text = this.text;
    const end = this.end;
    const wordEnd = end - 4;
    for (;;) {
      while (pos <= wordEnd) {
        const w = text.getInt32(pos, true);
        dv.setInt32(o, w, true);
        // High bits of bytes that are `"`, a control, `\` or not ASCII; exact up to the first.
        const special = (((w ^ 0x02020202) - 0x21212121) | ((w ^ 0x5c5c5c5c) - 0x01010101) | w) &
          HIGH_BITS;
        if (special !== 0) {
          const plain = (31 - Math.clz32(special & -special)) >> 3;
          pos += plain;
          o += plain;
          break;
        }
        pos += 4;
        o += 4;
      }
      if (pos >= end) this.fail(pos);
      const c = text.getUint8(pos);
      if (c === 0x22) {
        this.stringEnd = o;
        return pos + 1;
      }
      if (c === 0x5c) {
        pos = this.escape(pos + 1, dv, o);
        o = this.stringEnd;
      } else if (c < 0x20) {
        this.fail(pos);
      } else if (c < 0x80) {
        dv.setUint8(o++, c);
        pos++;
      } else {
        pos = this.foreign(pos, c, dv, o);
        o = this.stringEnd;
      }
    }
  }

  /** Copies characters beyond ASCII, the first of which begins with `c` at `pos`. */
  private foreign(pos: number, c: number, dv: DataView, o: number): number {
    const text = this.text;
    const end = this.end;
    do {
      const second = pos + 2 < end ? text.getUint8(pos + 1) : 0;
      if ((second & 0xc0) === 0x80 && c < 0xe0 && c > 0xc1) {
        dv.setUint16(o, (second << 8) | c, true);
        pos += 2;
        o += 2;
      } else {
        const n = this.sequence(pos, c);
        for (let i = 0; i < n; i++) dv.setUint8(o + i, text.getUint8(pos + i));
        pos += n;
        o += n;
      }
      c = pos < end ? text.getUint8(pos) : 0;
    } while (c > 0x7f);
    this.stringEnd = o;
    return pos;
  }

  /** Checks the UTF-8 sequence that begins with `c` at `pos`; returns its length. */
  private sequence(pos: number, c: number): number {
    const { text, end } = this;
    const n = c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (n === 0) this.fail(pos);
    let low = 0x80;
    let high = 0xbf;
    if (c === 0xe0) low = 0xa0;
    else if (c === 0xed) high = 0x9f;
    else if (c === 0xf0) low = 0x90;
    else if (c === 0xf4) high = 0x8f;
    for (let i = 1; i < n; i++) {
      if (pos + i >= end) this.fail(pos + i);
      const b = text.getUint8(pos + i);
      if (b < low || b > high) this.fail(pos + i);
      low = 0x80;
      high = 0xbf;
    }
    return n;
  }

  /** Decodes the escape behind its backslash to `o` in `dv`. */
  private escape(pos: number, dv: DataView, o: number): number {
    const { text, end } = this;
    if (pos >= end) this.fail(pos);
    let c = text.getUint8(pos);
    switch (c) {
      case 0x22:
      case 0x5c:
      case 0x2f:
        break;
      case 0x62:
        c = 0x08;
        break;
      case 0x66:
        c = 0x0c;
        break;
      case 0x6e:
        c = 0x0a;
        break;
      case 0x72:
        c = 0x0d;
        break;
      case 0x74:
        c = 0x09;
        break;
      case 0x75: {
        let code = this.hex4(pos + 1);
        pos += 4;
        if (code >= 0xd800 && code < 0xe000) {
          if (code >= 0xdc00) this.fail(pos - 4);
          if (pos + 1 >= end) this.fail(end);
          if (text.getUint8(pos + 1) !== 0x5c) this.fail(pos + 1);
          if (pos + 2 >= end) this.fail(end);
          if (text.getUint8(pos + 2) !== 0x75) this.fail(pos + 2);
          const second = this.hex4(pos + 3);
          if (second < 0xdc00 || second >= 0xe000) this.fail(pos + 3);
          code = 0x10000 + ((code - 0xd800) << 10) + (second - 0xdc00);
          pos += 6;
        }
        this.stringEnd = putUtf8(dv, o, code);
        return pos + 1;
      }
      default:
        this.fail(pos);
    }
    dv.setUint8(o, c);
    this.stringEnd = o + 1;
    return pos + 1;
  }

  private hex4(pos: number): number {
    const { text, end } = this;
    let code = 0;
    for (let i = 0; i < 4; i++) {
      if (pos + i >= end) this.fail(pos + i);
      const c = text.getUint8(pos + i);
      const digit = c >= 0x30 && c <= 0x39
        ? c - 0x30
        : (c | 0x20) >= 0x61 && (c | 0x20) <= 0x66
        ? (c | 0x20) - 0x57
        : -1;
      if (digit < 0) this.fail(pos + i);
      code = code * 16 + digit;
    }
    return code;
  }

  /** Reads the number that begins with `c` at `pos` and appends it: here integers of 9 digits. */
  private number(pos: number, c: number): number {
    const text = this.text;
    const end = this.end;
    let p = pos + 1;
    let digit = c - 0x30;
    if (c === 0x2d) {
      digit = (p < end ? text.getUint8(p) : 0) - 0x30;
      p++;
    }
    if (digit >>> 0 > 9) this.fail(p - 1);
    let n = digit;
    let next = 0;
    const limit = n === 0 ? p : p + 8;
    for (;;) {
      next = p < end ? text.getUint8(p) : 0;
      if ((next - 0x30) >>> 0 > 9 || p >= limit) break;
      n = (Math.imul(n, 10) + next - 0x30) | 0;
      p++;
    }
    // A further digit, a fraction, an exponent, or -0.
    if (
      (next - 0x30) >>> 0 < 10 || next === 0x2e || (next | 0x20) === 0x65 ||
      (n === 0 && c === 0x2d)
    ) {
      return this.longNumber(pos);
    }
    if (c === 0x2d) n = -n | 0;
    const { dv } = this.out;
    const at = this.at;
    dv.setUint8(at, Tag.I64);
    dv.setInt32(at + 1, n, true);
    dv.setInt32(at + 5, n >> 31, true);
    this.at = at + 9;
    return p;
  }

  /** Reads any number at `pos` and appends it (8.1). */
  private longNumber(pos: number): number {
    const text = this.text;
    const end = this.end;
    let p = pos;
    let c = text.getUint8(p);
    const negative = c === 0x2d;
    if (negative) c = ++p < end ? text.getUint8(p) : 0;
    // Significant digits: the first 15 are in `head`, exact in a double, the next 4 in `tail`.
    let head = 0;
    let tail = 0;
    let digits = 0;
    let exponent = 0;
    let integer = true;
    if (c === 0x30) {
      c = ++p < end ? text.getUint8(p) : 0;
      if ((c - 0x30) >>> 0 < 10) this.fail(p);
    } else {
      const first = p;
      while ((c - 0x30) >>> 0 < 10) {
        if (digits < 15) head = head * 10 + (c - 0x30);
        else if (digits < 19) tail = tail * 10 + (c - 0x30);
        digits++;
        c = ++p < end ? text.getUint8(p) : 0;
      }
      if (p === first) this.fail(p);
    }
    if (c === 0x2e) {
      integer = false;
      const first = ++p;
      c = p < end ? text.getUint8(p) : 0;
      while ((c - 0x30) >>> 0 < 10) {
        if (digits < 15) head = head * 10 + (c - 0x30);
        else if (digits < 19) tail = tail * 10 + (c - 0x30);
        if (digits > 0 || c !== 0x30) digits++;
        exponent--;
        c = ++p < end ? text.getUint8(p) : 0;
      }
      if (p === first) this.fail(p);
    }
    if ((c | 0x20) === 0x65) {
      integer = false;
      c = ++p < end ? text.getUint8(p) : 0;
      const minus = c === 0x2d;
      if (minus || c === 0x2b) c = ++p < end ? text.getUint8(p) : 0;
      const first = p;
      let e = 0;
      while ((c - 0x30) >>> 0 < 10) {
        if (e < 100000) e = e * 10 + (c - 0x30);
        c = ++p < end ? text.getUint8(p) : 0;
      }
      if (p === first) this.fail(p);
      exponent += minus ? -e : e;
    }

    const { dv } = this.out;
    const at = this.at;
    this.at = at + 9;
    // head * 10^k + tail as hi * 2^32 + low, with low below 2^46.
    const scale = digits > 15 && digits < 20 ? POWERS[digits - 15] as number : 1;
    let low = (head >>> 0) * scale + tail;
    let hi = Math.floor(head / 0x100000000) * scale;
    if (integer && digits <= 19 && !(head === 0 && negative && this.minusZero)) {
      const lo = low >>> 0;
      hi += (low - lo) / 0x100000000;
      if (hi < 0x80000000 || (negative && hi === 0x80000000 && lo === 0)) {
        dv.setUint8(at, Tag.I64);
        dv.setUint32(at + 1, negative ? -lo >>> 0 : lo, true);
        dv.setUint32(at + 5, negative ? (lo === 0 ? -hi : ~hi) >>> 0 : hi, true);
        return p;
      }
      low = lo;
    }
    let value = NaN;
    if (exponent >= -22 && exponent <= 22 && digits < 20) {
      const power = POWERS[Math.abs(exponent)] as number;
      // Up to 15 digits both operands are exact, so one rounding happens: the right one.
      if (digits <= 15) value = exponent < 0 ? head / power : head * power;
      else if (exponent <= 0) value = divide(hi * 0x100000000, low, power);
      if (negative) value = -value;
    }
    if (Number.isNaN(value)) {
      value = Number(ascii(text, pos, p));
      if (!Number.isFinite(value)) throw new JsonSyntaxError(pos, false, "number out of range");
    }
    dv.setUint8(at, Tag.F64);
    dv.setFloat64(at + 1, value, true);
    return p;
  }
}

function hashOf(dv: DataView, length: number): number {
  let hash = HASH_START;
  for (let i = 0; i < length; i++) hash = (Math.imul(hash, 33) + dv.getUint8(i)) | 0;
  return hash;
}

/**
 * (high + low) / divisor rounded to the nearest double, or NaN if that needs more digits to tell.
 * `high` and `divisor` are exact, `low` is an integer below 2^46 and far below `high`.
 */
function divide(high: number, low: number, divisor: number): number {
  const n = high + low;
  const rest = low - (n - high);
  const q = n / divisor;
  // q * divisor is exactly product + error (Dekker), so the remainder is known.
  const product = q * divisor;
  const a = SPLIT * q;
  const qHigh = a - (a - q);
  const qLow = q - qHigh;
  const b = SPLIT * divisor;
  const dHigh = b - (b - divisor);
  const dLow = divisor - dHigh;
  const error = ((qHigh * dHigh - product) + qHigh * dLow + qLow * dHigh) + qLow * dLow;
  const correction = ((n - product) - error + rest) / divisor;
  const sum = q + correction;
  const left = correction - (sum - q);
  // If what is left is not within a millionth of half a unit, `sum` is the nearest double.
  return sum + left * 1.000001 === sum ? sum : NaN;
}

function ascii(dv: DataView, start: number, end: number): string {
  let s = "";
  let i = start;
  for (; i + 4 <= end; i += 4) {
    const w = dv.getInt32(i, true);
    s += String.fromCharCode(w & 127, (w >> 8) & 127, (w >> 16) & 127, w >>> 24);
  }
  for (; i < end; i++) s += String.fromCharCode(dv.getUint8(i));
  return s;
}

/** Writes a code point as UTF-8 and returns the index behind it. */
function putUtf8(dv: DataView, o: number, code: number): number {
  if (code < 0x80) {
    dv.setUint8(o, code);
    return o + 1;
  }
  if (code < 0x800) {
    dv.setUint8(o, 0xc0 | (code >> 6));
    dv.setUint8(o + 1, 0x80 | (code & 63));
    return o + 2;
  }
  if (code < 0x10000) {
    dv.setUint8(o, 0xe0 | (code >> 12));
    dv.setUint8(o + 1, 0x80 | ((code >> 6) & 63));
    dv.setUint8(o + 2, 0x80 | (code & 63));
    return o + 3;
  }
  dv.setUint8(o, 0xf0 | (code >> 18));
  dv.setUint8(o + 1, 0x80 | ((code >> 12) & 63));
  dv.setUint8(o + 2, 0x80 | ((code >> 6) & 63));
  dv.setUint8(o + 3, 0x80 | (code & 63));
  return o + 4;
}
