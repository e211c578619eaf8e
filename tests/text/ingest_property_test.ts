/**
 * Random records in every format, cut anywhere: the same records come out.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { Buf } from "../../lib/bytes.ts";
import { Lite3Encoder } from "../../lib/lite3/encode.ts";
import { FrameStreamWriter } from "../../lib/text/frames.ts";
import { JsonScanner } from "../../lib/text/json_scanner.ts";
import { bytesOf, ingest, type Settings, summary } from "./ingest_util.ts";

const SCALE = Number(Deno.env.get("PLASMITE_TEST_SCALE") ?? "1");

const text = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 8 }),
  fc.string({ unit: fc.constantFrom(..."{}[]\",:\\ \n\t'é\u0000"), maxLength: 8 }),
);
const { object } = fc.letrec<{ value: unknown; object: Record<string, unknown> }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    text,
    fc.maxSafeInteger(),
    fc.constantFrom(true, false, null),
    fc.array(tie("value"), { maxLength: 3 }),
    tie("object"),
  ),
  object: fc.dictionary(text.filter((k) => !k.includes("\0")), tie("value"), { maxKeys: 3 }),
}));

const separators = fc.constantFrom("\n", "\r\n", "\n\n \n");
const cutting = fc.array(fc.nat(400), { maxLength: 12 });

/** Ways to write a list of objects so that all of them are stored. */
const formats: [
  string,
  Settings,
  (objects: string[], pretty: string[], sep: string) => string | Uint8Array,
][] = [
  ["lines", {}, (objects, _, sep) => objects.join(sep)],
  ["lines under skip", { errors: "skip" }, (objects, _, sep) => objects.join(sep)],
  ["jsonl", { mode: "jsonl" }, (objects, _, sep) => objects.join(sep)],
  ["pretty", {}, (_, pretty, sep) => pretty.join(sep)],
  ["pretty under skip", { errors: "skip" }, (_, pretty, sep) => pretty.join(sep)],
  ["pretty, back to back", {}, (_, pretty) => pretty.join("")],
  ["on one line", {}, (objects) => objects.join(" ")],
  ["jq", { mode: "jq" }, (objects, pretty) => [...objects, ...pretty].join("")],
  ["objects", { mode: "objects" }, (objects, pretty, sep) => [...objects, ...pretty].join(sep)],
  ["seq", {}, (_, pretty, sep) => pretty.map((o) => `\x1e${o}${sep}`).join("")],
  ["seq, no newlines", { mode: "seq" }, (_, pretty) => pretty.map((o) => `\x1e${o}`).join("")],
  [
    "events",
    {},
    (_, pretty) => pretty.map((o) => `id: 1\ndata: ${o.replaceAll("\n", "\ndata:")}\n\n`).join(""),
  ],
  [
    "events, lines that end in CR, LF or both",
    {},
    (_, pretty, sep) => {
      // CR and then LF would be one end, so they are never neighbours.
      const ends = [["\r"], ["\r", "\r\n"], ["\n", "\r\n"]][sep.length % 3] ?? [];
      let next = 0;
      return pretty.map((o) => `data: ${o.replaceAll("\n", "\ndata:")}\n\n`).join("")
        .replaceAll("\n", () => ends[next++ % ends.length] ?? "");
    },
  ],
  ["YAML flow", {}, (_, pretty) => pretty.map((o) => `---\n${o}\n...\n`).join("")],
  ["Lite3", {}, (objects) => {
    const out = new Buf();
    const writer = new FrameStreamWriter(out);
    for (const o of objects) {
      const payload = new Buf();
      const json = bytesOf(o);
      new Lite3Encoder(payload).messageFromJson(json, 0, json.length, []);
      writer.message(1, 0, 0, 0, payload.u8, 0, payload.len);
    }
    return out.bytes();
  }],
];

for (const [name, settings, write] of formats) {
  Deno.test(`ingest property: ${name}`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(object, { maxLength: 5 }),
        separators,
        cutting,
        async (objects, sep, cuts) => {
          const compact = objects.map((o) => JSON.stringify(o));
          const pretty = objects.map((o) => JSON.stringify(o, null, 2));
          const input = write(compact, pretty, sep);
          const outcome = await ingest(
            input,
            { ...settings, dataOnly: name !== "Lite3" },
            cuts.sort((a, b) => a - b),
          );
          assert.equal(outcome.error, undefined);
          assert.deepEqual(outcome.skipped, []);
          const twice = name === "jq" || name === "objects";
          // Compared as text: V8 15's JSON.parse confuses keys like "\n" and "\\".
          assert.deepEqual(outcome.stored, twice ? [...compact, ...compact] : compact);
        },
      ),
      { numRuns: 60 * SCALE },
    );
  });
}

/** Pieces of which broken input is made. */
const shards = fc.array(
  fc.constantFrom(
    '{"a":1}',
    '{"b":{"c":[1,2]}}',
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"',
    "\\",
    "x",
    "1",
    '"k"',
    " ",
    "  ",
    "\n",
    "\n",
    "\r\n",
    "\r",
    "data: ",
    "data: [DONE]",
    "data: ",
    "data: {}",
    "\x1e",
    "---",
    "...",
    "- ",
    "k: v",
    "\ufeff",
    "é",
    "PLS1",
    "null",
  ),
  { maxLength: 25 },
).map((pieces) => pieces.join(""));

for (const mode of ["auto", "jsonl", "json", "seq", "jq", "objects", "yaml"] as const) {
  for (const errors of ["stop", "skip"] as const) {
    if (errors === "skip" && (mode === "jq" || mode === "yaml")) continue;
    Deno.test(`ingest property: broken input, ${mode}, ${errors}: any cutting, one outcome`, async () => {
      await fc.assert(
        fc.asyncProperty(shards, cutting, async (input, cuts) => {
          const whole = await ingest(input, { mode, errors });
          const pieces = await ingest(input, { mode, errors }, cuts.sort((a, b) => a - b));
          assert.deepEqual(summary(pieces), summary(whole));
          if (errors === "skip") {
            assert.equal(whole.records, whole.stored.length + whole.skipped.length);
          }
        }),
        { numRuns: 150 * SCALE },
      );
    });
  }
}

Deno.test("JSON scanner: finds the end of every value, and no error in it", () => {
  fc.assert(fc.property(object, fc.boolean(), cutting, (value, indent, cuts) => {
    const json = bytesOf(JSON.stringify(value, null, indent ? 1 : 0));
    const bytes = new Uint8Array([...json, ...json]);
    const scanner = new JsonScanner();
    let at = 0;
    let found = -1;
    for (const cut of [...cuts.sort((a, b) => a - b), bytes.length]) {
      if (found >= 0 || cut < at) continue;
      const stop = Math.min(cut, bytes.length);
      at = scanner.scan(bytes, at, stop, true);
      assert.equal(scanner.bad, false);
      if (at > 0 && scanner.between) found = at;
    }
    assert.equal(found, json.length);
  }));
});

Deno.test("JSON scanner: calls nothing good bad, and no broken nesting good", () => {
  fc.assert(
    fc.property(shards, (input) => {
      const scanner = new JsonScanner();
      const bytes = bytesOf(input);
      scanner.scan(bytes, 0, bytes.length);
      let valid = true;
      try {
        JSON.parse(input);
      } catch {
        valid = false;
      }
      if (valid) assert.ok(!scanner.bad && scanner.depth === 0);
    }),
    { numRuns: 500 * SCALE },
  );
});
