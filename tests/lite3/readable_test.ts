/**
 * `doctor` reads messages without printing them: a check that accepts what cannot be printed would
 * call a damaged pool healthy, and one that refuses more would repair away a good message.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { Buf } from "../../lib/bytes.ts";
import { PlasmiteError } from "../../lib/errors.ts";
import { Lite3Doc } from "../../lib/lite3/doc.ts";
import { Lite3Encoder } from "../../lib/lite3/encode.ts";
import { messageFromValue } from "../../lib/lite3/from_value.ts";
import { printJson } from "../../lib/lite3/print.ts";
import { checkPrintable } from "../../lib/lite3/readable.ts";

const SCALE = Number(Deno.env.get("PLASMITE_TEST_SCALE") ?? "1");

/** Whether `work` does not throw Corrupt. */
function passes(work: () => void): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if (!PlasmiteError.is(error)) throw error;
    return false;
  }
}

function assertSameVerdict(bytes: Uint8Array<ArrayBuffer>): boolean {
  const doc = new Lite3Doc().reset(bytes, new DataView(bytes.buffer), 0, bytes.length);
  const printed = passes(() => printJson(doc, 0, new Buf()));
  const checked = passes(() => checkPrintable(doc, 0));
  assert.equal(checked, printed, bytes.toHex());
  return printed;
}

function encoded(value: object): Uint8Array<ArrayBuffer> {
  const out = new Buf();
  messageFromValue(new Lite3Encoder(out), value, ["t", "é"]);
  return out.bytes().slice();
}

/** Values with what is special in a document: nesting, many members, long and foreign text. */
const value = fc.dictionary(
  fc.string({ unit: "grapheme", maxLength: 9 }).filter((key) => !key.includes("\0")),
  fc.oneof(
    fc.jsonValue({ maxDepth: 4 }),
    fc.string({ unit: "binary", maxLength: 60 }),
    fc.constantFrom("é".repeat(2100), "x".repeat(4095) + "€", 1.5, -0, 2 ** 53),
  ),
  { maxKeys: 20 },
);

Deno.test("readable: the check of a document agrees with printing it, whatever bytes it has", () => {
  let bad = 0;
  const edit = fc.tuple(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), fc.nat(255));
  const edits = fc.array(edit, { maxLength: 3 });
  fc.assert(
    fc.property(value, edits, (data, changes) => {
      let bytes;
      try {
        bytes = encoded(data);
      } catch (error) {
        // Keys of one hash and different widths cannot be stored.
        if (!PlasmiteError.is(error)) throw error;
        return;
      }
      for (const [at, byte] of changes) bytes[Math.floor(at * bytes.length)] = byte;
      if (!assertSameVerdict(bytes)) bad++;
    }),
    { numRuns: Math.ceil(3000 * SCALE) },
  );
  assert(bad > 100, `${bad} documents were unreadable`);
});

Deno.test("readable: every byte of one document, damaged in each of its bits", () => {
  const big = Number.MAX_VALUE; // One bit makes it infinite.
  const bytes = encoded({
    a: [1, -0.5, big, null, true],
    "é": "naïve €",
    n: { z: "x".repeat(40) },
  });
  assert(assertSameVerdict(bytes));
  for (let i = 0; i < bytes.length; i++) {
    for (let bit = 0; bit < 8; bit++) {
      const next = bytes.slice();
      next[i] = (next[i] ?? 0) ^ (1 << bit);
      assertSameVerdict(next);
    }
  }
});
