/**
 * Compares and searches values in place, in the bytes of a message.
 *
 * @module
 */

import type { Lite3Doc } from "../lite3/doc.ts";
import { Tag } from "../lite3/layout.ts";
import { compareValues, load, type Value } from "./values.ts";

/** The order of the value at an offset relative to another: -1, 0 or 1. */
export type Comparator = (doc: Lite3Doc, at: number) => number;
/** Tests `length` bytes of text at the absolute index `start`. */
export type ByteTest = (
  doc: { readonly dv: DataView },
  start: number,
  length: number,
  wanted: DataView,
) => boolean;

/** Returns a comparator of values with a constant. */
export function comparator(constant: Value): Comparator {
  if (typeof constant === "string") {
    const encoded = new TextEncoder().encode(constant);
    const wanted = new DataView(encoded.buffer, encoded.byteOffset, encoded.byteLength);
    return (doc, at) => {
      const tag = doc.tag(at);
      if (tag === Tag.String) return compareBytes(doc, at, wanted);
      if (tag === Tag.Bytes) return compareValues(load(doc, at), constant);
      return tag >= Tag.Object ? 1 : -1;
    };
  }
  if (typeof constant === "number" && Math.abs(constant) < 2 ** 53) {
    return (doc, at) => {
      const tag = doc.tag(at);
      if (tag === Tag.F64) return compareDoubles(doc.f64(at), constant);
      if (tag === Tag.I64) {
        // rounding a larger integer to a double does not bring it below 2^53
        return compareDoubles(doc.i64Hi(at) * 0x100000000 + doc.i64Lo(at), constant);
      }
      return tag > Tag.I64 ? 1 : -1;
    };
  }
  return (doc, at) => compareValues(load(doc, at), constant);
}

function compareDoubles(a: number, b: number): number {
  return a < b ? -1 : a === b ? 0 : a > b ? 1 : -1;
}

/** jq's order of two values in the document. */
export function compareInPlace(doc: Lite3Doc, a: number, b: number): number {
  const x = doc.tag(a);
  const y = doc.tag(b);
  if (x === Tag.String && y === Tag.String) {
    const start = doc.stringStart(b);
    return compareBytes(
      doc,
      a,
      new DataView(doc.u8.buffer, doc.u8.byteOffset + start, doc.stringLength(b)),
    );
  }
  return compareValues(load(doc, a), load(doc, b));
}

/** The order of UTF-8 bytes is the order of code points. */
function compareBytes(doc: Lite3Doc, at: number, wanted: DataView): number {
  const length = doc.stringLength(at);
  const start = doc.stringStart(at);
  const { dv } = doc;
  const size = wanted.byteLength;
  const common = length < size ? length : size;
  for (let i = 0; i < common; i++) {
    const difference = dv.getUint8(start + i) - wanted.getUint8(i);
    if (difference !== 0) return difference < 0 ? -1 : 1;
  }
  return length < size ? -1 : length > size ? 1 : 0;
}

/** Whether `wanted` is at `start`. */
export function same(doc: { readonly dv: DataView }, start: number, wanted: DataView): boolean {
  const { dv } = doc;
  for (let i = 0; i < wanted.byteLength; i++) {
    if (dv.getUint8(start + i) !== wanted.getUint8(i)) return false;
  }
  return true;
}

/** Whether `wanted` occurs anywhere. */
export function find(
  doc: { readonly dv: DataView },
  start: number,
  length: number,
  wanted: DataView,
): boolean {
  const size = wanted.byteLength;
  if (size === 0) return true;
  const { dv } = doc;
  const first = wanted.getUint8(0);
  const last = start + length - size;
  for (let i = start; i <= last; i++) {
    if (dv.getUint8(i) === first && same(doc, i, wanted)) return true;
  }
  return false;
}
