/**
 * The scalar tokens of JSON: strings, numbers and literals are checked and written as Lite3 in one
 * step. Objects and arrays are handled elsewhere.
 *
 * @module
 */

import { Tag } from "./layout.ts";
import { Lite3Writer } from "./writer.ts";

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

function viewOf(text: Uint8Array): DataView {
  return new DataView(text.buffer, text.byteOffset, text.byteLength);
}

/** The bytes are not a JSON value. */
export class JsonSyntaxError extends Error {
  /** Index of the unexpected byte. */
  readonly offset: number;
  /** Whether the text is valid so far but ends inside the value. */
  readonly incomplete: boolean;

  /** Creates an error for the byte at `offset`. */
  constructor(offset: number, incomplete: boolean, message = "invalid json") {
    super(message);
    this.name = "JsonSyntaxError";
    this.offset = offset;
    this.incomplete = incomplete;
  }
}

/** Reads the scalar tokens of a text and appends them as values. */
export class JsonTokens extends Lite3Writer {
  /** The text. */
  text: DataView = NO_TEXT;
  /** Index of its end. */
  end = 0;
  #bytes: Uint8Array | undefined;
  /** The text before, and its view. */
  #former: Uint8Array | undefined;
  #formerView: DataView = NO_TEXT;
  /** Index of the end of the last decoded string. */
  stringEnd = 0;
  /** Whether `-0` is a double, so that its sign is kept, and not the integer 0. */
  minusZero = false;
  /** How many line ends were passed over between tokens. */
  lines = 0;

  /** Sets the text to read to the bytes of `text` up to `end`. */
  read(text: Uint8Array, end: number): void {
    if (text !== this.#bytes) {
      // Who copies messages reads two texts in turns.
      const view = text === this.#former ? this.#formerView : viewOf(text);
      this.#former = this.#bytes;
      this.#formerView = this.text;
      this.#bytes = text;
      this.text = view;
    }
    this.end = end;
  }

  /** Refuses the byte at `pos`, or the end of the text there. */
  fail(pos: number): never {
    throw new JsonSyntaxError(Math.min(pos, this.end), pos >= this.end);
  }

  /** The index of the next byte that is not white space; there must be one. */
  space(pos: number): number {
    const text = this.text;
    const end = this.end;
    for (; pos < end; pos++) {
      const c = text.getUint8(pos);
      if (c > 0x20 || (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09)) return pos;
      if (c === 0x0a) this.lines++;
    }
    return this.fail(end);
  }

  /** The index of the value behind the colon that comes next. */
  colon(pos: number): number {
    const { text, end } = this;
    if (pos >= end || text.getUint8(pos) !== 0x3a) {
      pos = this.space(pos);
      if (text.getUint8(pos) !== 0x3a) this.fail(pos);
    }
    pos++;
    return pos < end && text.getUint8(pos) > 0x20 ? pos : this.space(pos);
  }

  /** Checks that the literal at `pos`, whose first letter was checked, is `word`. */
  literal(pos: number, word: string): void {
    const { text, end } = this;
    for (let i = 1; i < word.length; i++) {
      if (pos + i >= end || text.getUint8(pos + i) !== word.charCodeAt(i)) this.fail(pos + i);
    }
  }

  /**
   * Decodes the string after its opening quote to `o` in `dv`, four bytes at a time while they are
   * plain; returns the index after the closing quote, with `stringEnd` after the last byte. Up to
   * three further bytes are overwritten.
   */
  string(pos: number, dv: DataView, o: number): number {
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
        pos = this.#escape(pos + 1, dv, o);
        o = this.stringEnd;
      } else if (c < 0x20) {
        this.fail(pos);
      } else if (c < 0x80) {
        dv.setUint8(o++, c);
        pos++;
      } else {
        pos = this.#foreign(pos, c, dv, o);
        o = this.stringEnd;
      }
    }
  }

  /** Copies characters beyond ASCII, the first of which begins with `c` at `pos`. */
  #foreign(pos: number, c: number, dv: DataView, o: number): number {
    const text = this.text;
    const end = this.end;
    do {
      const second = pos + 2 < end ? text.getUint8(pos + 1) : 0;
      if ((second & 0xc0) === 0x80 && c < 0xe0 && c > 0xc1) {
        dv.setUint16(o, (second << 8) | c, true);
        pos += 2;
        o += 2;
      } else {
        const n = this.#sequence(pos, c);
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
  #sequence(pos: number, c: number): number {
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

  /** Decodes the escape after its backslash to `o` in `dv`. */
  #escape(pos: number, dv: DataView, o: number): number {
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
        let code = this.#hex4(pos + 1);
        pos += 4;
        if (code >= 0xd800 && code < 0xe000) {
          if (code >= 0xdc00) this.fail(pos - 4);
          if (pos + 1 >= end) this.fail(end);
          if (text.getUint8(pos + 1) !== 0x5c) this.fail(pos + 1);
          if (pos + 2 >= end) this.fail(end);
          if (text.getUint8(pos + 2) !== 0x75) this.fail(pos + 2);
          const second = this.#hex4(pos + 3);
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

  #hex4(pos: number): number {
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
  number(pos: number, c: number): number {
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
      return this.#longNumber(pos);
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

  /** Reads any number at `pos` and appends it (docs/spec/format.md 8.1). */
  #longNumber(pos: number): number {
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

/** Writes a code point as UTF-8 and returns the index after it. */
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
