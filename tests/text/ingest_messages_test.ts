/**
 * What becomes of a record (docs/spec/command-line.md 2.8): ordinary objects, complete messages,
 * Lite3 payloads.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Buf } from "../../lib/bytes.ts";
import { PlasmiteError } from "../../lib/errors.ts";
import { Lite3Encoder } from "../../lib/lite3/encode.ts";
import { FrameBatch } from "../../lib/pool/batch.ts";
import { CompleteMessages } from "../../lib/text/complete_messages.ts";
import { FrameStreamWriter } from "../../lib/text/frames.ts";
import { appendInline, RecordSink } from "../../lib/text/record_sink.ts";
import { advice, bytesOf, ingest, messagesOf, type Settings } from "./ingest_util.ts";

const TIME = '"2026-11-22T20:45:29.136642863Z"';

function message(data: string, tags = "[]", seq = "7", time = TIME): string {
  return `{"data":${data},"meta":{"tags":${tags}},"seq":${seq},"time":${time}}`;
}

interface Row extends Settings {
  name: string;
  input: string;
  stored: string[];
  error?: string;
}

const COMPLETE = "Usage: invalid complete message";

const rows: Row[] = [
  {
    name: "copied with its tags",
    input: `${message('{"x":1}', '["a","b"]')}\n${message("{}")}\n`,
    stored: ['{"x":1} [a,b]', "{}"],
  },
  {
    name: "copied exactly",
    input: message(
      '{"10":9007199254740993,"2":1.0,"a":[-0.0,1e300,"\\u0000é"],"10b":{"z":[],"y":{}}}',
    ),
    stored: ['{"10":9007199254740993,"2":1.0,"a":[-0.0,1e+300,"\\u0000é"],"10b":{"z":[],"y":{}}}'],
  },
  {
    name: "in any order of keys, over several lines, several on a line",
    input: `{"time":${TIME},\n"seq":18446744073709551615,"meta":\n{"tags":["t"]},"data":{"a":1}} ${
      message("{}")
    }\n`,
    stored: ['{"a":1} [t]', "{}"],
  },
  {
    name: "mixed with ordinary objects",
    input: `{"a":1}\n${message('{"x":1}', '["t"]')}\n{"b":2}\n`,
    stored: ['{"a":1}', '{"x":1} [t]', '{"b":2}'],
  },
  {
    name: "stored as data with --data",
    dataOnly: true,
    tags: ["k"],
    input: message("{}"),
    stored: [`${message("{}")} [k]`],
  },
  ...[
    `{"data":{},"meta":{"tags":[]},"seq":1}`,
    `{"data":{},"meta":{"tags":[]},"seq":1,"time":${TIME},"x":1}`,
    `{"data":{},"meta":{"tags":[]},"seq":1,"Time":${TIME}}`,
    `{"data":{},"meta":{"tags":[],"x":1},"seq":1,"time":${TIME}}`,
    `{"data":{},"meta":{},"seq":1,"time":${TIME}}`,
    `{"data":{},"meta":[],"seq":1,"time":${TIME}}`,
    `{"data":{},"meta":{"tag":[]},"seq":1,"time":${TIME}}`,
    `{"a":1,"b":2,"c":3,"d":4}`,
    `{"meta":{"tags":["ping"]},"seq":1,"time":${TIME}}`,
  ].map((text) => ({
    name: `ordinary: ${text}`,
    input: text,
    tags: ["k"],
    stored: [`${text} [k]`],
  })),
  { name: "seq negative", input: message("{}", "[]", "-1"), stored: [], error: COMPLETE },
  { name: "seq a float", input: message("{}", "[]", "1.0"), stored: [], error: COMPLETE },
  { name: "seq a string", input: message("{}", "[]", '"1"'), stored: [], error: COMPLETE },
  { name: "tags no list", input: message("{}", '"x"'), stored: [], error: COMPLETE },
  { name: "tags not strings", input: message("{}", '["a",1]'), stored: [], error: COMPLETE },
  { name: "time a number", input: message("{}", "[]", "1", "5"), stored: [], error: COMPLETE },
  {
    name: "time not RFC 3339, after a good one",
    input: `${message("{}")}\n${message("{}", "[]", "1", '"2026-11-22T20:45:29"')}`,
    stored: ["{}"],
    error: "Usage: invalid source message time",
  },
  {
    name: "data no object",
    input: message("[1]"),
    stored: [],
    error: "Usage: data must be object",
  },
  {
    name: "tags of its own and --tag",
    input: `{"a":1}\n${message("{}")}\n`,
    tags: ["k"],
    stored: ['{"a":1} [k]'],
    error: "Usage: complete messages supply their own tags",
  },
  {
    name: "--tag ends the run even under skip",
    input: `${message("{}")}\n`,
    tags: ["k"],
    errors: "skip",
    stored: [],
    error: "Usage: complete messages supply their own tags",
  },
];

for (const row of rows) {
  Deno.test(`complete message: ${row.name}`, async () => {
    const outcome = await ingest(row.input, row);
    assert.deepEqual(outcome.stored, row.stored);
    assert.equal(outcome.error, row.error);
  });
}

Deno.test("complete message: hints", async () => {
  const bad = await ingest(message("{}", "[]", "-1"));
  assert.match(advice(bad.thrown), /seq.*RFC 3339/);
  assert.equal(bad.thrown?.causes?.length, 1);
  const tagged = await ingest(message("{}"), { tags: ["k"] });
  assert.match(advice(tagged.thrown), /--tag.*--data/);
});

Deno.test("complete message: in YAML, in event streams and under skip", async () => {
  const yaml = `---\ndata:\n  x: 1\nmeta:\n  tags:\n  - 'q'\nseq: 1\ntime: ${TIME}\n...\n`;
  assert.deepEqual((await ingest(yaml)).stored, ['{"x":1} [q]']);
  const event = `data: ${message('{"x":1}', '["q"]')}\n\n`;
  assert.deepEqual((await ingest(event)).stored, ['{"x":1} [q]']);
  const skip = await ingest(`${message("{}", "[]", "-1")}\n{"a":1}\n`, { errors: "skip" });
  assert.deepEqual(skip.stored, ['{"a":1}']);
  assert.equal(skip.skipped[0]?.errorKind, "Parse");
});

function payload(data: string, tags: string[]): Uint8Array {
  const out = new Buf();
  const text = bytesOf(data);
  new Lite3Encoder(out).messageFromJson(text, 0, text.length, tags);
  return out.bytes().slice();
}

function stream(...payloads: Uint8Array[]): Uint8Array {
  const out = new Buf();
  const writer = new FrameStreamWriter(out);
  payloads.forEach((p, i) => writer.message(i + 1, 0, 5, 6, p, 0, p.length));
  return out.bytes().slice();
}

const A = payload('{"a":1}', ["x"]);
const B = payload('{"b":[2,{"c":"\\u001e"}]}', []);

Deno.test("Lite3: framed, byte by byte and whole, detected or declared", async () => {
  const bytes = stream(A, B);
  for (const mode of ["auto", "lite3"] as const) {
    for (const cuts of [[], Array.from(bytes.keys()).slice(1)]) {
      const outcome = await ingest(bytes, { mode }, cuts);
      assert.equal(outcome.error, undefined);
      assert.deepEqual(outcome.stored, ['{"a":1} [x]', '{"b":[2,{"c":"\\u001e"}]}']);
    }
  }
});

Deno.test("Lite3: payloads are taken byte for byte, also one that is not ours", async () => {
  // Bytes behind the document, as nobody of us would write them.
  const odd = new Uint8Array([...A, 1, 2, 3]);
  const batch = new FrameBatch();
  const sink = new RecordSink(batch, { complete: CompleteMessages });
  await sink.prepareLite3();
  sink.lite3(new Uint8Array([9, ...odd]), 1, odd.length + 1);
  const at = batch.startOf(0) + 64;
  assert.deepEqual(batch.out.u8.slice(at, at + batch.payloadOf(0)), odd);
});

Deno.test("Lite3: raw", async () => {
  for (const cuts of [[], [1, 50, 100]]) {
    const outcome = await ingest(A, { mode: "lite3-raw" }, cuts);
    assert.deepEqual(outcome.stored, ['{"a":1} [x]']);
  }
  assert.deepEqual(await ingest("", { mode: "lite3-raw" }), {
    stored: [],
    skipped: [],
    records: 0,
  });
});

Deno.test("Lite3: what is refused", async () => {
  const whole = stream(A);
  const cases: [Uint8Array | string, Settings, string | undefined][] = [
    ["", { mode: "lite3" }, undefined],
    ["PL", { mode: "lite3" }, "Usage: incomplete Lite3 stream prefix"],
    ["PLS1", {}, undefined],
    ["PLS2", { mode: "lite3" }, "Usage: invalid Lite3 stream prefix"],
    ['{"a":1}', { mode: "lite3" }, "Usage: invalid Lite3 stream prefix"],
    [whole.slice(0, 10), {}, "Usage: incomplete Lite3 frame"],
    [whole.slice(0, 24), {}, "Usage: incomplete Lite3 payload"],
    [whole.slice(0, -1), {}, "Usage: incomplete Lite3 payload"],
    [stream(A.slice(0, 50)), {}, "Corrupt: root is not object"],
    [stream(new Uint8Array(0)), {}, "Corrupt: root is not object"],
    [A.slice(0, 95), { mode: "lite3-raw" }, "Corrupt: root is not object"],
    [whole, { tags: ["x"] }, "Usage: Lite3 already contains a complete message"],
    [A, { mode: "lite3-raw", dataOnly: true }, "Usage: Lite3 already contains a complete message"],
    [whole, { maxPayload: 100 }, "Usage: payload exceeds ring capacity"],
    [
      new Uint8Array([...bytesOf("PLS1"), ...new Array(16).fill(0), 0x10, 0, 0, 1]),
      {},
      "Usage: Lite3 payload exceeds 256 MiB",
    ],
  ];
  for (const [input, settings, error] of cases) {
    const outcome = await ingest(input, settings);
    assert.equal(outcome.error, error);
    assert.deepEqual(outcome.stored, []);
  }
  const later = await ingest(stream(A, A.slice(0, 60)));
  assert.deepEqual(later.stored, ['{"a":1} [x]']);
  assert.equal(later.error, "Corrupt: root is not object");
});

Deno.test("inline data: one value or several, all or none", () => {
  const batch = new FrameBatch();
  const sink = new RecordSink(batch, { complete: CompleteMessages, tags: ["t"], maxPayload: 700 });
  assert.equal(appendInline(sink, ' {"a":1}\n'), 1);
  assert.equal(appendInline(sink, '{"a":1} {"b":2}{"c":3}'), 3);
  const stored = ['{"a":1} [t]', '{"a":1} [t]', '{"b":2} [t]', '{"c":3} [t]'];
  assert.deepEqual(messagesOf(batch), stored);
  for (
    const [text, error] of [
      ["", "invalid json"],
      ["  ", "invalid json"],
      ["nope", "invalid json"],
      ['{"a":1} x', "invalid json"],
      ['{"a":1} {"b":', "invalid json"],
      ["\ud800", "invalid json"],
      ["42", "data must be object"],
      ['{"a":1} [2]', "data must be object"],
      [`{"a":1} {"b":"${"x".repeat(900)}"}`, "payload exceeds ring capacity"],
    ] as const
  ) {
    assert.throws(
      () => appendInline(sink, text),
      (e) => PlasmiteError.is(e) && e.kindName === "Usage" && e.message === error,
      text,
    );
    assert.deepEqual(messagesOf(batch), stored, text);
  }
});

Deno.test("record sink: the time goes into the frames", () => {
  const batch = new FrameBatch();
  const sink = new RecordSink(batch, { complete: CompleteMessages });
  sink.stamp(0x0123_4567_89ab_cdefn);
  appendInline(sink, "{}");
  assert.equal(batch.out.dv.getBigUint64(batch.startOf(0) + 24, true), 0x0123_4567_89ab_cdefn);
});

Deno.test("record sink: a receipt is data, and is pointed out once", () => {
  const batch = new FrameBatch();
  let seen = 0;
  const sink = new RecordSink(batch, { complete: CompleteMessages, onReceipt: () => seen++ });
  appendInline(sink, '{"a":1,"b":2,"c":3} {"seq":1}');
  assert.equal(seen, 0);
  const receipt = `{"meta":{"tags":[]},"seq":1,"time":${TIME}}`;
  appendInline(sink, receipt + receipt);
  assert.equal(seen, 1);
  assert.equal(messagesOf(batch)[3], receipt);
});
