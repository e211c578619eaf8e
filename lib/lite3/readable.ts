/**
 * Checks a document as printing it would, without the text: for checkers, which read every message
 * and show none.
 *
 * @module
 */

import { corrupt, type Lite3Doc } from "./doc.ts";
import { MAX_LEVELS, Tag } from "./layout.ts";
import { sequenceLength } from "./print.ts";

const HIGH_BITS = 0x80808080 | 0;

/**
 * Returns if {@linkcode printJson} could print the value at `value`.
 *
 * @throws {PlasmiteError} Corrupt if it could not
 */
export function checkPrintable(doc: Lite3Doc, value: number): void {
  doc.startWalk();
  checkValue(doc, value, 1);
}

function checkValue(doc: Lite3Doc, value: number, level: number): void {
  switch (doc.tag(value)) {
    case Tag.String: {
      const length = doc.stringLength(value);
      doc.spend(length + 6);
      const start = doc.stringStart(value);
      checkText(doc.dv, start, start + length);
      return;
    }
    case Tag.I64:
      doc.spend(9);
      return;
    case Tag.F64:
      doc.spend(9);
      if (!Number.isFinite(doc.f64(value))) throw corrupt();
      return;
    case Tag.Bool:
      doc.spend(2);
      return;
    case Tag.Null:
      doc.spend(1);
      return;
    case Tag.Object:
    case Tag.Array:
      checkContainer(doc, value, level);
      return;
    default: {
      doc.spend(doc.bytesLength(value) + 5);
    }
  }
}

function checkContainer(doc: Lite3Doc, node: number, level: number): void {
  if (level > MAX_LEVELS) throw corrupt();
  const isObject = doc.tag(node) === Tag.Object;
  const n = doc.pushEntries(node);
  for (let i = n; i > 0; i--) {
    const entry = doc.entryFromTop(i);
    if (!isObject) {
      checkValue(doc, entry, level + 1);
      continue;
    }
    const value = doc.readKey(entry);
    doc.spend(value - entry);
    checkKey(doc);
    checkValue(doc, value, level + 1);
  }
  doc.dropEntries(n);
}

/** Checks the key read last, up to its first NUL, where printing ends. */
function checkKey({ dv, u8, keyStart, keyEnd }: Lite3Doc): void {
  for (let p = keyStart; p < keyEnd; p++) {
    const c = dv.getUint8(p);
    if (c !== 0 && c < 0x80) continue;
    const nul = u8.subarray(keyStart, keyEnd).indexOf(0);
    checkText(dv, p, nul < 0 ? keyEnd : keyStart + nul);
    return;
  }
}

/** Checks that the bytes from `p` to `end` are UTF-8; there is a 00 at `end`. */
function checkText(dv: DataView, p: number, end: number): void {
  for (;;) {
    for (const words = end - 16; p <= words; p += 16) {
      const all = dv.getInt32(p, true) | dv.getInt32(p + 4, true) | dv.getInt32(p + 8, true) |
        dv.getInt32(p + 12, true);
      if ((all & HIGH_BITS) !== 0) break;
    }
    while (p < end && dv.getUint8(p) < 0x80) p++;
    if (p >= end) return;
    p += sequenceLength(dv, p, end);
  }
}
