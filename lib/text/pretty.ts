/**
 * Formats JSON text for reading: indented by two spaces, with colours on a terminal
 * (docs/spec/command-line.md 1.6, 1.7).
 *
 * @module
 */

import type { Buf } from "../bytes.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
const SPACE = 0x20;
const NEWLINE = 0x0a;

/** SGR colour codes of the tokens. */
const KEY = 36;
const STRING = 32;
const NUMBER = 33;
const BOOLEAN = 35;
const OTHER = 39;
/** Bytes added by colouring one token: `ESC[36m` and `ESC[0m`. */
const COLOUR_SIZE = 9;

/**
 * Appends the JSON value in `json[start, end)` to `out`, indented by two spaces, without a newline
 * at the end. Empty containers stay `[]` and `{}`.
 *
 * @param json compact JSON text; it must be valid
 * @param colour whether to put ANSI colours around each token
 */
export function printPretty(
  json: Uint8Array,
  start: number,
  end: number,
  out: Buf,
  colour = false,
): void {
  const text = new DataView(json.buffer, json.byteOffset, json.byteLength);
  let depth = 0;
  let i = start;
  while (i < end) {
    // Space for the longest possible token, its colours, and a new line.
    out.reserve(end - i + 2 * depth + 2 * COLOUR_SIZE + 8);
    const dv = out.dv;
    let o = out.len;
    const c = text.getUint8(i);
    switch (c) {
      case QUOTE: {
        const stop = stringEnd(text, i);
        const isKey = stop < end && text.getUint8(stop) === COLON;
        if (colour) o = putColour(dv, o, isKey ? KEY : STRING);
        for (; i < stop; i++) dv.setUint8(o++, text.getUint8(i));
        if (colour) o = putReset(dv, o);
        break;
      }
      case COLON:
        o = putMark(dv, o, c, colour);
        dv.setUint8(o++, SPACE);
        i++;
        break;
      case COMMA:
        o = putMark(dv, o, c, colour);
        o = putLine(dv, o, depth);
        i++;
        break;
      case 0x7b:
      case 0x5b: {
        // The closing bracket's ASCII code is larger by two.
        const empty = i + 1 < end && text.getUint8(i + 1) === c + 2;
        if (empty) {
          if (colour) o = putColour(dv, o, OTHER);
          dv.setUint8(o++, c);
          dv.setUint8(o++, c + 2);
          if (colour) o = putReset(dv, o);
          i += 2;
        } else {
          o = putMark(dv, o, c, colour);
          o = putLine(dv, o, ++depth);
          i++;
        }
        break;
      }
      case 0x7d:
      case 0x5d:
        o = putLine(dv, o, --depth);
        o = putMark(dv, o, c, colour);
        i++;
        break;
      default: {
        if (colour) {
          const word = c === 0x74 || c === 0x66 ? BOOLEAN : c === 0x6e ? OTHER : NUMBER;
          o = putColour(dv, o, word);
        }
        let b = c;
        do {
          dv.setUint8(o++, b);
          if (++i === end) break;
          b = text.getUint8(i);
        } while (b !== COMMA && b !== 0x7d && b !== 0x5d);
        if (colour) o = putReset(dv, o);
      }
    }
    out.len = o;
  }
}

/** The index after the string that starts at `at`. */
function stringEnd(text: DataView, at: number): number {
  for (let i = at + 1;; i++) {
    const c = text.getUint8(i);
    if (c === QUOTE) return i + 1;
    if (c === BACKSLASH) i++;
  }
}

function putMark(dv: DataView, o: number, mark: number, colour: boolean): number {
  if (colour) o = putColour(dv, o, OTHER);
  dv.setUint8(o++, mark);
  return colour ? putReset(dv, o) : o;
}

function putLine(dv: DataView, o: number, depth: number): number {
  dv.setUint8(o++, NEWLINE);
  for (let i = 0; i < depth; i++) {
    dv.setUint16(o, 0x2020);
    o += 2;
  }
  return o;
}

/** `ESC[NNm` for a number of two digits. */
function putColour(dv: DataView, o: number, code: number): number {
  dv.setUint16(o, 0x1b5b);
  dv.setUint8(o + 2, 0x30 + Math.floor(code / 10));
  dv.setUint8(o + 3, 0x30 + code % 10);
  dv.setUint8(o + 4, 0x6d);
  return o + 5;
}

/** `ESC[0m` */
function putReset(dv: DataView, o: number): number {
  dv.setUint32(o, 0x1b5b306d);
  return o + 4;
}
