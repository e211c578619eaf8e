/**
 * Prints Lite3 as JSON text, from bytes to bytes: compact, members in insertion order, numbers and
 * escapes as in docs/spec/command-line.md 1.6.
 *
 * @module
 */

import { type Buf, printAscii, printPadded, printU31, printU64 } from "../bytes.ts";
import { corrupt, Lite3Doc } from "./doc.ts";
import { MAX_LEVELS, Tag } from "./layout.ts";

const HIGH_BITS = 0x80808080 | 0;
/** Strings longer than this are printed in pieces, so that the output grows in pieces. */
const PIECE = 4096;

let printer: Printer | undefined;

/**
 * Appends the value at `value` as JSON text. If it throws, `out.len` is unchanged.
 *
 * @throws {PlasmiteError} Corrupt, if the bytes are not a valid document
 */
export function printJson(doc: Lite3Doc, value: number, out: Buf): void {
  printer ??= new Printer();
  doc.startWalk();
  printer.begin(doc, out);
  printer.value(value, 1);
  printer.end();
}

class Printer {
  #doc: Lite3Doc = new Lite3Doc();
  #out: Buf | undefined;
  #dv: DataView = this.#doc.dv;
  #to: DataView = this.#doc.dv;
  #o = 0;
  #room = 0;

  begin(doc: Lite3Doc, out: Buf): void {
    this.#doc = doc;
    this.#dv = doc.dv;
    this.#out = out;
    this.#o = out.len;
    this.#to = out.dv;
    this.#room = out.u8.length;
  }

  end(): void {
    if (this.#out !== undefined) this.#out.len = this.#o;
    this.#out = undefined;
  }

  #grow(extra: number): void {
    const out = this.#out;
    if (out === undefined) return;
    const { len } = out;
    out.len = this.#o;
    out.reserve(extra);
    out.len = len;
    this.#to = out.dv;
    this.#room = out.u8.length;
  }

  value(value: number, level: number): void {
    const doc = this.#doc;
    if (this.#o + 40 > this.#room) this.#grow(40);
    switch (doc.tag(value)) {
      case Tag.String: {
        const length = doc.stringLength(value);
        doc.spend(length + 6);
        const start = doc.stringStart(value);
        this.#string(start, start + length);
        return;
      }
      case Tag.I64:
        doc.spend(9);
        this.#o = printI64(this.#to, this.#o, doc.i64Lo(value), doc.i64Hi(value));
        return;
      case Tag.F64:
        doc.spend(9);
        this.#o = printF64(this.#to, this.#o, doc.f64(value));
        return;
      case Tag.Bool: {
        doc.spend(2);
        const to = this.#to;
        const o = this.#o;
        if (doc.bool(value)) {
          to.setUint32(o, 0x65757274, true);
          this.#o = o + 4;
        } else {
          to.setUint32(o, 0x736c6166, true);
          to.setUint8(o + 4, 0x65);
          this.#o = o + 5;
        }
        return;
      }
      case Tag.Null:
        doc.spend(1);
        this.#to.setUint32(this.#o, 0x6c6c756e, true);
        this.#o += 4;
        return;
      case Tag.Object:
        this.#object(value, level);
        return;
      case Tag.Array:
        this.#array(value, level);
        return;
      default:
        this.#bytes(value);
    }
  }

  #object(node: number, level: number): void {
    if (level > MAX_LEVELS) throw corrupt();
    const doc = this.#doc;
    const n = doc.pushEntries(node);
    this.#to.setUint8(this.#o++, 0x7b);
    for (let i = n; i > 0; i--) {
      const kv = doc.entryFromTop(i);
      const value = doc.readKey(kv);
      doc.spend(value - kv);
      const start = doc.keyStart;
      let end = doc.keyEnd;
      // A comma, the key, and the start of the value.
      if (this.#o + 40 > this.#room) this.#grow(40);
      if (i < n) this.#to.setUint8(this.#o++, 0x2c);
      if (!this.#shortKey(start, end)) {
        // Like the reference, a key ends at its first NUL.
        const nul = doc.u8.subarray(start, end).indexOf(0);
        if (nul >= 0) end = start + nul;
        this.#string(start, end);
      }
      if (this.#o + 40 > this.#room) this.#grow(40);
      this.#to.setUint8(this.#o++, 0x3a);
      this.value(value, level + 1);
    }
    doc.dropEntries(n);
    if (this.#o + 40 > this.#room) this.#grow(40);
    this.#to.setUint8(this.#o++, 0x7d);
  }

  #array(node: number, level: number): void {
    if (level > MAX_LEVELS) throw corrupt();
    const doc = this.#doc;
    const n = doc.pushEntries(node);
    this.#to.setUint8(this.#o++, 0x5b);
    for (let i = n; i > 0; i--) {
      if (this.#o + 40 > this.#room) this.#grow(40);
      if (i < n) this.#to.setUint8(this.#o++, 0x2c);
      this.value(doc.entryFromTop(i), level + 1);
    }
    doc.dropEntries(n);
    if (this.#o + 40 > this.#room) this.#grow(40);
    this.#to.setUint8(this.#o++, 0x5d);
  }

  /** Prints a key of at most 24 plain characters; false if it is not one. */
  #shortKey(start: number, end: number): boolean {
    if (end - start > 24) return false;
    const dv = this.#dv;
    const to = this.#to;
    let o = this.#o;
    to.setUint8(o++, 0x22);
    for (let p = start; p < end; p++) {
      const c = dv.getUint8(p);
      if (c < 0x20 || c > 0x7e || c === 0x22 || c === 0x5c) return false;
      to.setUint8(o++, c);
    }
    to.setUint8(o++, 0x22);
    this.#o = o;
    return true;
  }

  /** Prints the string between the absolute indexes `p` and `end`; a 00 is at `end`. */
  #string(p: number, end: number): void {
    if (end - p > PIECE) {
      this.#longString(p, end);
      return;
    }
    const worst = 6 * (end - p) + 40;
    if (this.#o + worst > this.#room) this.#grow(worst);
    this.#to.setUint8(this.#o++, 0x22);
    this.#piece(p, end);
    this.#to.setUint8(this.#o++, 0x22);
  }

  #longString(p: number, end: number): void {
    if (this.#o + 40 > this.#room) this.#grow(40);
    this.#to.setUint8(this.#o++, 0x22);
    while (p < end) {
      if (this.#o + 6 * PIECE + 40 > this.#room) this.#grow(6 * PIECE + 40);
      p = this.#piece(p, Math.min(p + PIECE, end), end);
    }
    if (this.#o + 40 > this.#room) this.#grow(40);
    this.#to.setUint8(this.#o++, 0x22);
  }

  /**
   * Prints bytes up to `stop`, or to the end of the character there; returns the index reached. The
   * string itself ends at `end`.
   */
  #piece(p: number, stop: number, end = stop): number {
    const dv = this.#dv;
    const to = this.#to;
    const words = Math.min(stop, dv.byteLength) - 4;
    let o = this.#o;
    for (;;) {
      while (p <= words - 4) {
        const a = dv.getInt32(p, true);
        const b = dv.getInt32(p + 4, true);
        to.setInt32(o, a, true);
        to.setInt32(o + 4, b, true);
        if (
          ((((a ^ 0x02020202) - 0x21212121) | ((a ^ 0x5c5c5c5c) - 0x01010101) | a |
            ((b ^ 0x02020202) - 0x21212121) | ((b ^ 0x5c5c5c5c) - 0x01010101) | b) & HIGH_BITS) !==
            0
        ) break;
        p += 8;
        o += 8;
      }
      while (p <= words) {
        const w = dv.getInt32(p, true);
        to.setInt32(o, w, true);
        // High bits of bytes that are `"`, a control, `\` or not ASCII; exact up to the first.
        const special = (((w ^ 0x02020202) - 0x21212121) | ((w ^ 0x5c5c5c5c) - 0x01010101) | w) &
          HIGH_BITS;
        if (special !== 0) {
          const plain = (31 - Math.clz32(special & -special)) >> 3;
          p += plain;
          o += plain;
          break;
        }
        p += 4;
        o += 4;
      }
      if (p >= stop) {
        this.#o = o;
        return p;
      }
      const c = dv.getUint8(p);
      if (c >= 0x80) {
        p = this.#foreign(p, c, o, stop, end);
        o = this.#o;
      } else {
        if (c < 0x20 || c === 0x22 || c === 0x5c) o = printEscape(to, o, c);
        else to.setUint8(o++, c);
        p++;
      }
    }
  }

  /** Copies characters beyond ASCII, the first of which begins with `c` at `p`, to `o`. */
  #foreign(p: number, c: number, o: number, stop: number, end: number): number {
    const dv = this.#dv;
    const to = this.#to;
    do {
      // The string is followed by 00, so its last byte has a successor.
      const second = dv.getUint8(p + 1);
      if ((second & 0xc0) === 0x80 && c < 0xe0 && c > 0xc1) {
        to.setUint16(o, (second << 8) | c, true);
        p += 2;
        o += 2;
      } else {
        const n = sequenceLength(dv, p, end);
        for (let i = 0; i < n; i++) to.setUint8(o + i, dv.getUint8(p + i));
        o += n;
        p += n;
      }
      c = p < stop ? dv.getUint8(p) : 0;
    } while (c > 0x7f);
    this.#o = o;
    return p;
  }

  /** Prints a value of type bytes as base64. */
  #bytes(value: number): void {
    const doc = this.#doc;
    const length = doc.bytesLength(value);
    doc.spend(length + 5);
    const start = doc.stringStart(value);
    const text = doc.u8.subarray(start, start + length).toBase64();
    this.#grow(text.length + 40);
    this.#to.setUint8(this.#o++, 0x22);
    this.#o = printAscii(this.#to, this.#o, text);
    this.#to.setUint8(this.#o++, 0x22);
  }
}

/** Length of the UTF-8 sequence at `p`, which must be valid and end at `end` at the latest. */
export function sequenceLength(dv: DataView, p: number, end: number): number {
  const c = dv.getUint8(p);
  const n = c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
  if (n === 0 || p + n > end) throw corrupt();
  const b = dv.getUint8(p + 1);
  const low = c === 0xe0 ? 0xa0 : c === 0xf0 ? 0x90 : 0x80;
  const high = c === 0xed ? 0x9f : c === 0xf4 ? 0x8f : 0xbf;
  if (b < low || b > high) throw corrupt();
  for (let i = 2; i < n; i++) if ((dv.getUint8(p + i) & 0xc0) !== 0x80) throw corrupt();
  return n;
}

function printEscape(to: DataView, o: number, c: number): number {
  to.setUint8(o, 0x5c);
  let short = c;
  if (c === 0x08) short = 0x62;
  else if (c === 0x09) short = 0x74;
  else if (c === 0x0a) short = 0x6e;
  else if (c === 0x0c) short = 0x66;
  else if (c === 0x0d) short = 0x72;
  else if (c < 0x20) {
    to.setUint32(o + 1, 0x30303075, true); // u000
    to.setUint8(o + 4, 0x30 + (c >> 4));
    to.setUint8(o + 5, (c & 15) + ((c & 15) < 10 ? 0x30 : 0x57));
    return o + 6;
  }
  to.setUint8(o + 1, short);
  return o + 2;
}

function printI64(to: DataView, o: number, lo: number, hi: number): number {
  if (hi >= 0) return printU64(to, o, lo, hi);
  to.setUint8(o, 0x2d);
  return printU64(to, o + 1, -lo >>> 0, (lo === 0 ? -hi : ~hi) >>> 0);
}

/** Writes a double as in docs/spec/command-line.md 1.6 and returns the index after it. */
function printF64(to: DataView, o: number, x: number): number {
  if (x < 0 || Object.is(x, -0)) {
    to.setUint8(o++, 0x2d);
    x = -x;
  }
  if (x < 1e16 && x >= 1e-5) {
    // Most doubles in data are short decimals. If m / 10^k equals this double and m has at most 15
    // digits, no other decimal with so few digits does, so it is the shortest.
    for (let k = 0, scale = 1; k <= 4 && x * scale < 1e9; k++, scale *= 10) {
      const m = Math.round(x * scale);
      if (m / scale === x) {
        const whole = Math.floor(x);
        o = printU31(to, o, whole);
        to.setUint8(o++, 0x2e);
        if (k === 0) {
          to.setUint8(o, 0x30);
          return o + 1;
        }
        printPadded(to, o, m - whole * scale, k);
        return o + k;
      }
    }
    o = printAscii(to, o, String(x));
    if (Number.isInteger(x)) {
      to.setUint16(o, 0x302e, true);
      o += 2;
    }
    return o;
  }
  if (x === 0) return printAscii(to, o, "0.0");
  if (!Number.isFinite(x)) throw corrupt();
  return printAscii(to, o, x.toExponential());
}
