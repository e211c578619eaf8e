/**
 * Every row of docs/spec/command-line.md 2.4, 2.5, each with the input in one piece, byte by
 * byte, and cut in two at every byte.
 *
 * @module
 */

import assert from "node:assert/strict";
import { FrameBatch } from "../../lib/pool/batch.ts";
import { CompleteMessages } from "../../lib/text/complete_messages.ts";
import { Ingest } from "../../lib/text/ingest.ts";
import { RecordSink } from "../../lib/text/record_sink.ts";
import { advice, bytesOf, ingest, type Outcome, type Settings, summary } from "./ingest_util.ts";

const SKIP: Settings = { errors: "skip" };
const RS = "\x1e";
const MIB = 1_048_576;

interface Row extends Settings {
  name: string;
  input: string | Uint8Array;
  stored: string[];
  error?: string;
  /** `index line errorKind snippet` of each record left out. */
  skipped?: string[];
}

function skippedOf(outcome: Outcome): string[] {
  return outcome.skipped.map((s) => `${s.index} ${s.line ?? "-"} ${s.errorKind} ${s.snippet}`);
}

async function check(row: Row): Promise<void> {
  const bytes = bytesOf(row.input);
  const whole = await ingest(bytes, row);
  assert.deepEqual(whole.stored, row.stored);
  assert.equal(whole.error, row.error);
  assert.deepEqual(skippedOf(whole), row.skipped ?? []);
  if (bytes.length > 1000) return;
  const each = Array.from(bytes.keys()).slice(1);
  assert.deepEqual(summary(await ingest(bytes, row, each)), summary(whole), "byte by byte");
  for (const cut of each) {
    assert.deepEqual(summary(await ingest(bytes, row, [cut])), summary(whole), `cut at ${cut}`);
  }
}

const USAGE = "Usage: invalid json input";
const NOT_OBJECT = "Usage: data must be object";
const NO_TEXT = "Io: failed to read stdin";

const rows: Row[] = [
  // ---- JSON by lines (auto) ----
  { name: "lines", input: '{"a":1}\n{"b":2}\n', stored: ['{"a":1}', '{"b":2}'] },
  { name: "no final newline", input: '{"a":1}\n{"b":2}', stored: ['{"a":1}', '{"b":2}'] },
  { name: "CR LF", input: '{"a":1}\r\n{"b":2}\r\n', stored: ['{"a":1}', '{"b":2}'] },
  {
    name: "blank lines",
    input: '\n \t\r\n{"a":1}\n\n \n{"b":2}\n\n',
    stored: ['{"a":1}', '{"b":2}'],
  },
  { name: "spaces around", input: '  {"a":1}  \n\t{"b":2}\n', stored: ['{"a":1}', '{"b":2}'] },
  { name: "nothing", input: "", stored: [] },
  { name: "only blanks", input: " \n\n\t\n", stored: [] },
  { name: "byte order mark", input: '\ufeff{"a":1}\n', stored: ['{"a":1}'] },
  {
    name: "half a byte order mark",
    input: new Uint8Array([0xef, 0xbb]),
    stored: [],
    error: NO_TEXT,
  },
  {
    name: "not quite a byte order mark",
    input: new Uint8Array([0xef, 0xbb, 0x7b, 0x7d, 0x0a]),
    stored: [],
    error: NO_TEXT,
  },
  {
    name: "several on a line",
    input: '{"a":1} {"b":2}{"c":3}\n{"d":4}\n',
    stored: ['{"a":1}', '{"b":2}', '{"c":3}', '{"d":4}'],
  },
  {
    name: "a bad tail stores nothing of its line",
    input: '{"z":0}\n{"a":1} {"b":2} {"c\n{"d":4}\n',
    stored: ['{"z":0}'],
    error: USAGE,
  },
  {
    name: "a bad end of the last line stores nothing of it",
    input: '{"z":0}\n{"a":1} {"b":',
    stored: ['{"z":0}'],
    error: USAGE,
  },
  {
    name: "a scalar tail stores nothing of its line",
    input: '{"a":1} 42\n',
    stored: [],
    error: NOT_OBJECT,
  },
  {
    name: "over several lines",
    input: '{\n  "a": [\n    1,\n    {"b": "}\\""}\n  ]\n}\n{"c":3}\n',
    stored: ['{"a":[1,{"b":"}\\""}]}', '{"c":3}'],
  },
  {
    name: "over several lines, not indented, back to back",
    input: '{\n"a":\n{\n"b":1\n}\n}{\n"c":2}\n{"d":3} {"e":\n4}\n',
    stored: ['{"a":{"b":1}}', '{"c":2}', '{"d":3}', '{"e":4}'],
  },
  {
    name: "blank lines inside a value",
    input: '{\n\n"a":1\n \n}\n',
    stored: ['{"a":1}'],
  },
  {
    name: "cut off inside a value",
    input: '{"a":1}\n{\n"b":2\n',
    stored: ['{"a":1}'],
    error: USAGE,
  },
  { name: "not JSON", input: '{"a":1}\nnot-json\n{"b":2}\n', stored: ['{"a":1}'], error: USAGE },
  { name: "text after a value", input: '{"a":1} x\n', stored: [], error: USAGE },
  { name: "broken over several lines", input: '{\n"a":1,\n}\n{"b":2}\n', stored: [], error: USAGE },
  { name: "a newline in a string", input: '{"a":"x\ny"}\n', stored: [], error: USAGE },
  { name: "an array", input: "[1,2]\n", stored: [], error: NOT_OBJECT },
  { name: "an array over lines", input: '[\n{"a":1}\n]\n', stored: [], error: NOT_OBJECT },
  { name: "a number", input: "42", stored: [], error: NOT_OBJECT },
  { name: "null", input: "null\n", stored: [], error: NOT_OBJECT },
  { name: "a string", input: '"x"\n', stored: [], error: NOT_OBJECT },
  { name: "a number and more", input: "42 x\n", stored: [], error: USAGE },
  { name: "other text", input: "hello\n", stored: [], error: USAGE },
  { name: "data without colon", input: "dat\n", stored: [], error: USAGE },
  { name: "PLS without 1", input: "PLS2\n", stored: [], error: USAGE },
  { name: "PL and the end", input: "PL", stored: [], error: USAGE },
  {
    name: "invalid UTF-8",
    input: new Uint8Array([...bytesOf('{"a":1}\n{"b":"'), 0xff, 0x22, 0x7d, 0x0a]),
    stored: ['{"a":1}'],
    error: NO_TEXT,
  },
  {
    name: "invalid UTF-8 under skip",
    input: new Uint8Array([0x7b, 0xc3, 0x0a, 0x7b, 0x7d, 0x0a]),
    stored: [],
    error: NO_TEXT,
    ...SKIP,
  },
  {
    name: "tags",
    input: '{"a":1}\n{"b":2}\n',
    tags: ["x", "y"],
    stored: ['{"a":1} [x,y]', '{"b":2} [x,y]'],
  },

  // ---- skip ----
  {
    name: "skip a bad line",
    input: '{"a":1}\nnot-json\n\n{"b":2}\n',
    stored: ['{"a":1}', '{"b":2}'],
    skipped: ["2 2 Parse not-json"],
    ...SKIP,
  },
  {
    name: "skip two values on a line",
    input: '{"a":1} {"b":2}\n{"c":3}\n',
    stored: ['{"c":3}'],
    skipped: ['1 1 Parse {"a":1} {"b":2}'],
    ...SKIP,
  },
  {
    name: "skip what is no object",
    input: '42\n[1]\n[\n{"a":1},\n{"b":2}\n]\n{"c":3}\n',
    stored: ['{"c":3}'],
    skipped: ["1 1 Parse 42", "2 2 Parse [1]", '3 3 Parse [\n{"a":1},\n{"b":2}\n]'],
    ...SKIP,
  },
  {
    name: "skip a line that was cut off",
    input: '{"a":1}\n{"b":2,\n{"c":3}\n{"d":4}\n',
    stored: ['{"a":1}', '{"c":3}', '{"d":4}'],
    skipped: ['2 2 Parse {"b":2,'],
    ...SKIP,
  },
  {
    name: "skip a line that was cut off in a string",
    input: '{"b":"x\n{"c":3}\n{"d":4}\n',
    stored: ['{"c":3}', '{"d":4}'],
    skipped: ['1 1 Parse {"b":"x'],
    ...SKIP,
  },
  {
    name: "skip a broken line whose braces do not match",
    input: '{"b": nope, "c": {"x":1}\n{"d":4}\n',
    stored: ['{"d":4}'],
    skipped: ['1 1 Parse {"b": nope, "c": {"x":1}'],
    ...SKIP,
  },
  {
    name: "skip a broken value with all that is inside of it",
    input: '{\n  "a": nope,\n  "b": [\n    {"x":1},\n    {\n      "y":2\n    }\n  ]\n}\n{"d":4}\n',
    stored: ['{"d":4}'],
    skipped: [
      '1 1 Parse {\n  "a": nope,\n  "b": [\n    {"x":1},\n    {\n      "y":2\n    }\n  ]\n}',
    ],
    ...SKIP,
  },
  {
    name: "skip a value with a string that does not end",
    input: '{\n  "a": "x,\n  "b": [\n    {"x":1}\n  ]\n}\n{"d":4}\n',
    stored: ['{"d":4}'],
    skipped: ['1 1 Parse {\n  "a": "x,'],
    ...SKIP,
  },
  {
    name: "skip an array of objects with a comma missing",
    input: '[\n  {"x":1}\n  {"y":2},\n  {"z":3}\n]\n{"d":4}\n',
    stored: ['{"d":4}'],
    skipped: ['1 1 Parse [\n  {"x":1}\n  {"y":2},'],
    ...SKIP,
  },
  {
    name: "skip: multi-line values pass",
    input: '{\n  "a": [\n    {"x":1},\n    {"y":2}\n  ]\n}\n{"d":4}\n',
    stored: ['{"a":[{"x":1},{"y":2}]}', '{"d":4}'],
    ...SKIP,
  },
  {
    name: "skip: not indented, and bad in the middle of a line",
    input: '{\n"a":\n[\n{"x":1} {"y":2},\n{"z":3}\n]\n}\n{"d":4}\n',
    stored: ['{"d":4}'],
    skipped: ['1 1 Parse {\n"a":\n[\n{"x":1} {"y":2},'],
    ...SKIP,
  },
  {
    name: "skip at the end of the input",
    input: '{"a":1}\n{"b":',
    stored: ['{"a":1}'],
    skipped: ['2 2 Parse {"b":'],
    ...SKIP,
  },
  {
    name: "skip: the last line is read from its start",
    input: '{"a":1,\n{"b":2}',
    stored: ['{"b":2}'],
    skipped: ['1 1 Parse {"a":1,'],
    ...SKIP,
  },
  {
    name: "skip YAML and Lite3 line by line",
    input: '---\nPLS1\n{"a":1}\n',
    stored: ['{"a":1}'],
    skipped: ["1 1 Parse ---", "2 2 Parse PLS1"],
    ...SKIP,
  },
  {
    name: "skip what the pool cannot hold",
    input: `{"a":1}\n{"b":"${"x".repeat(400)}"}\n{"c":3}\n`,
    maxPayload: 600,
    stored: ['{"a":1}', '{"c":3}'],
    skipped: [`2 2 Oversize {"b":"${"x".repeat(191)}...`],
    ...SKIP,
  },
  {
    name: "stop at what the pool cannot hold",
    input: `{"a":1}\n{"b":"${"x".repeat(400)}"}\n{"c":3}\n`,
    maxPayload: 600,
    stored: ['{"a":1}'],
    error: "Usage: payload exceeds ring capacity",
  },
  {
    name: "a snippet ends with a whole character",
    input: `x${"é".repeat(150)}\n`,
    stored: [],
    skipped: [`1 1 Parse x${"é".repeat(98)}...`],
    ...SKIP,
  },

  // ---- jsonl ----
  { name: "jsonl", mode: "jsonl", input: '\n{"a":1}\n \n{"b":2}', stored: ['{"a":1}', '{"b":2}'] },
  {
    name: "jsonl: one value a line",
    mode: "jsonl",
    input: '{"a":1} {"b":2}\n',
    stored: [],
    error: USAGE,
  },
  {
    name: "jsonl: no value over lines",
    mode: "jsonl",
    input: '{"a":\n1}\n',
    stored: [],
    error: USAGE,
  },
  {
    name: "jsonl: skip each line",
    mode: "jsonl",
    input: '{\n"a":1\n}\n{"b":2}\n',
    stored: ['{"b":2}'],
    skipped: ["1 1 Parse {", '2 2 Parse "a":1', "3 3 Parse }"],
    ...SKIP,
  },
  { name: "jsonl: no other format", mode: "jsonl", input: "data: {}\n", stored: [], error: USAGE },

  // ---- json ----
  { name: "json", mode: "json", input: ' \n{\n"a":1}\n', stored: ['{"a":1}'] },
  { name: "json: blanks", mode: "json", input: " \n\n", stored: [] },
  { name: "json: BOM", mode: "json", input: '\ufeff{"a":1}', stored: ['{"a":1}'] },
  {
    name: "json: text after it",
    mode: "json",
    input: '{"a":1}\n{"b":2}',
    stored: [],
    error: USAGE,
  },
  { name: "json: an array", mode: "json", input: '[{"a":1}]', stored: [], error: NOT_OBJECT },
  {
    name: "json: skip",
    mode: "json",
    input: '{"a":1} x',
    stored: [],
    skipped: ['1 - Parse {"a":1} x'],
    ...SKIP,
  },

  // ---- seq ----
  { name: "seq", input: `${RS}{"a":1}\n${RS}{"b":2}\n`, stored: ['{"a":1}', '{"b":2}'] },
  { name: "seq: no newlines", input: `${RS}{"a":1}${RS}{"b":2}`, stored: ['{"a":1}', '{"b":2}'] },
  {
    name: "seq: text before",
    mode: "seq",
    input: `{"z":0}${RS}{"a":1}\n`,
    stored: ['{"z":0}', '{"a":1}'],
  },
  {
    name: "seq in auto: text before",
    input: `{"z":0}${RS}{"a":1}\n`,
    stored: ['{"z":0}', '{"a":1}'],
  },
  {
    name: "seq in auto: a line before",
    input: `{"z":0}\n${RS}{"a":1}\n`,
    stored: ['{"z":0}', '{"a":1}'],
  },
  { name: "seq: blank records", input: `\n${RS}\n${RS} ${RS}{"a":1}\n${RS}`, stored: ['{"a":1}'] },
  {
    name: "seq: over lines",
    input: `${RS}{\n"a":{\n"b":1}\n}\n${RS}{"c":\n2}`,
    stored: ['{"a":{"b":1}}', '{"c":2}'],
  },
  {
    name: "seq: bad",
    input: `${RS}{"a":1}\n${RS}nope\n${RS}{"b":2}\n`,
    stored: ['{"a":1}'],
    error: USAGE,
  },
  { name: "seq: a number", input: `${RS}42\n`, stored: [], error: NOT_OBJECT },
  {
    name: "seq: skip",
    input: `${RS}{"a":1}\n${RS}{"x": nope,\n{"y":1}\n${RS}{"b":\n${RS}{"c":3}\n`,
    stored: ['{"a":1}', '{"c":3}'],
    skipped: ['2 - Parse {"x": nope,\n{"y":1}', '3 - Parse {"b":'],
    ...SKIP,
  },
  {
    name: "seq: invalid UTF-8 is replaced",
    input: new Uint8Array([0x1e, ...bytesOf('{"a":"x'), 0xff, ...bytesOf('y"}\n')]),
    stored: ['{"a":"x\ufffdy"}'],
  },

  // ---- event streams ----
  { name: "events", input: 'data: {"a":1}\n\ndata:{"b":2}\n\n', stored: ['{"a":1}', '{"b":2}'] },
  {
    name: "events: all fields",
    input:
      ': hello\nretry: 10\nevent: x\nid: 7\ndata: {"a":\ndata: 1}\nfoo\n\n\nid: 8\n\ndata:\n\ndata: \n\n:\n\ndata: {"b":2}',
    stored: ['{"a":1}', '{"b":2}'],
  },
  { name: "events: CR LF", input: 'event: x\r\ndata: {"a":1}\r\n\r\n', stored: ['{"a":1}'] },
  { name: "events: id first", input: 'id: 1\ndata: {"a":1}\n\n', stored: ['{"a":1}'] },
  { name: "events: retry first", input: 'retry: 1\ndata: {"a":1}\n\n', stored: ['{"a":1}'] },
  // A producer that ends its lines in CR alone, as event streams may: not one message was stored.
  {
    name: "events: CR",
    input: ': x\rdata: {"a":\rdata: 1}\r\rid: 2\rdata:{"b":2}\r\r',
    stored: ['{"a":1}', '{"b":2}'],
  },
  {
    name: "events: line ends of all kinds, mixed",
    input:
      'data: {"a":1}\r\n\rdata: {"b":2}\n\r\ndata: {"c":\rdata: 3}\r\n\r\nevent: x\ndata: {"d":4}\r\n\n',
    stored: ['{"a":1}', '{"b":2}', '{"c":3}', '{"d":4}'],
  },
  {
    name: "events: CR LF is one end, also where a piece ends between the two",
    input: 'data: {"a":\r\ndata: 1,\r\ndata: "b":2}\r\n\r\ndata: x\r\n\r\n',
    stored: ['{"a":1,"b":2}'],
    skipped: ["2 6 Parse x"],
    ...SKIP,
  },
  { name: "events: CR at the very end", input: 'data: {"a":1}\r', stored: ['{"a":1}'] },
  {
    name: "events: two CR LF, no event lost",
    input: "data: {}\r\n\r\n".repeat(2),
    stored: ["{}", "{}"],
  },
  {
    name: "events: bad",
    input: 'data: {"a":1}\n\ndata: [DON]\n\n',
    stored: ['{"a":1}'],
    error: USAGE,
  },
  {
    name: "events: lines that end in CR count",
    input: 'data: {"a":1}\r\rdata: x\r\r\ndata: {"b":2}\r\r',
    stored: ['{"a":1}', '{"b":2}'],
    skipped: ["2 4 Parse x"],
    ...SKIP,
  },
  // The answer of a language model was kept, but the exit code said that something was wrong with it.
  {
    name: "events: the end of a model's stream",
    input: 'data: {"a":1}\n\ndata: [DONE]\n\n',
    stored: ['{"a":1}'],
  },
  {
    name: "events: the end of a model's stream under skip, and another stream behind it",
    input: 'data: {"a":1}\r\rdata:[DONE] \r\r\n: next\ndata: {"b":2}\n\nevent: end\ndata:  [DONE]',
    stored: ['{"a":1}', '{"b":2}'],
    ...SKIP,
  },
  {
    name: "events: what only looks like the end is a bad record",
    input: "data: [DONE]\ndata: [DONE]\n\ndata: [DONE],\n\ndata: [done]\n\n",
    stored: [],
    skipped: ["1 3 Parse [DONE]\n[DONE]", "2 5 Parse [DONE],", "3 7 Parse [done]"],
    ...SKIP,
  },
  { name: "events: only comments", input: ": x\n\n: y\n\n", stored: [] },
  {
    name: "events: skip",
    input: 'data: {"a":1}\n\ndata: [DONE\n\nevent: y\ndata: {"b":2}\n\n',
    stored: ['{"a":1}', '{"b":2}'],
    skipped: ["2 4 Parse [DONE"],
    ...SKIP,
  },

  // ---- jq and objects ----
  {
    name: "jq",
    mode: "jq",
    input: '{"a":1}{"b":\n2}\n\n {"c":"}{"}',
    stored: ['{"a":1}', '{"b":2}', '{"c":"}{"}'],
  },
  { name: "jq: bad", mode: "jq", input: '{"a":1} x {"b":2}', stored: ['{"a":1}'], error: USAGE },
  { name: "jq: cut off", mode: "jq", input: '{"a":1} {"b":', stored: ['{"a":1}'], error: USAGE },
  { name: "jq: a number", mode: "jq", input: '{"a":1} 42', stored: ['{"a":1}'], error: NOT_OBJECT },
  {
    name: "jq: an array",
    mode: "jq",
    input: '{"a":1}[{}] {"b":2}',
    stored: ['{"a":1}'],
    error: NOT_OBJECT,
  },
  { name: "jq: blanks", mode: "jq", input: " \n", stored: [] },
  {
    name: "jq: no skip",
    mode: "jq",
    input: "",
    stored: [],
    error: "Usage: skip is not supported for jq-style streams",
    ...SKIP,
  },
  {
    name: "objects",
    mode: "objects",
    input: '{"a":1}{"b":\n2}\n\n {"c":3}',
    stored: ['{"a":1}', '{"b":2}', '{"c":3}'],
  },
  {
    name: "objects: bad",
    mode: "objects",
    input: '{"a":1} {"b" 2}',
    stored: ['{"a":1}'],
    error: "Usage: invalid JSON message",
  },
  {
    name: "objects: cut off",
    mode: "objects",
    input: '{"a":1} {"b":2',
    stored: ['{"a":1}'],
    error: "Usage: incomplete JSON message",
  },
  {
    name: "objects: a word",
    mode: "objects",
    input: "nope",
    stored: [],
    error: "Usage: invalid JSON message",
  },
  { name: "objects: an array", mode: "objects", input: "[1]", stored: [], error: NOT_OBJECT },
  {
    name: "objects: skip by lines",
    mode: "objects",
    input: '{"a":1}\nnope\n{"b":2}\n',
    stored: ['{"a":1}', '{"b":2}'],
    skipped: ["2 2 Parse nope"],
    ...SKIP,
  },
  ...(["yaml", "lite3", "lite3-raw"] as const).map((mode) => ({
    name: `${mode}: no skip`,
    mode,
    input: "",
    stored: [],
    error: "Usage: skip is not supported for this input",
    ...SKIP,
  })),
];

for (const row of rows) Deno.test(`ingest: ${row.name}`, () => check(row));

/** A JSON object of exactly `size` bytes. */
function sized(size: number): string {
  return `{"a":"${"x".repeat(size - 8)}"}`;
}

Deno.test("ingest: the record limit is exact", async () => {
  const cuts = [1000, MIB - 5, MIB + 1];
  for (const pieces of [[], cuts]) {
    for (const mode of ["jsonl", "json", "seq"] as const) {
      const fits = await ingest(sized(MIB) + (mode === "json" ? "" : "\r\n"), { mode }, pieces);
      assert.equal(fits.error, undefined);
      assert.equal(fits.stored[0]?.length, MIB);
      const over = await ingest(sized(MIB + 1) + (mode === "json" ? "" : "\n"), { mode }, pieces);
      assert.equal(over.error, "Usage: record exceeds size limit");
      assert.deepEqual(over.stored, []);
    }
    const event = await ingest(`data: ${sized(MIB)}\n\n`, {}, pieces);
    assert.equal(event.error, undefined);
    const bigEvent = await ingest(`data: ${sized(MIB + 1)}\n\n`, {}, pieces);
    assert.equal(bigEvent.error, "Usage: record exceeds size limit");
  }
});

// `feed --in json` behind a program that printed blanks while it worked kept all of them, and looked
// through all of them with every piece that came.
Deno.test("ingest: blanks before a value take no memory, and count", async () => {
  for (const mode of ["json", "jsonl", "seq", "jq", "auto"] as const) {
    const batch = new FrameBatch();
    const reader = new Ingest(new RecordSink(batch, { complete: CompleteMessages }), { mode });
    const blanks = new Uint8Array(MIB).fill(0x20);
    const before = Deno.memoryUsage().external;
    for (let i = 0; i < 32; i++) await reader.take(blanks, () => {});
    const kept = Deno.memoryUsage().external - before;
    assert.ok(kept < 16 * MIB, `${mode}: ${kept} bytes are kept`);
    const value = new TextEncoder().encode('{"a":1}\n');
    if (mode === "json") {
      await assert.rejects(reader.take(value, () => {}), /record exceeds size limit/);
      continue;
    }
    await reader.take(value, () => {});
    reader.end();
    assert.equal(batch.count, 1, mode);
  }
});

Deno.test("ingest: in auto under stop the limit is what fits the pool", async () => {
  const settings = { maxRecord: 3 * MIB };
  for (const cuts of [[], [MIB, 2 * MIB]]) {
    assert.equal((await ingest(`${sized(3 * MIB)}\n`, settings, cuts)).error, undefined);
    const over = await ingest(`${sized(3 * MIB + 1)}\n`, settings, cuts);
    assert.equal(over.error, "Usage: record exceeds size limit");
    const jsonl = await ingest(`${sized(MIB + 1)}\n`, { ...settings, mode: "jsonl" }, cuts);
    assert.equal(jsonl.error, "Usage: record exceeds size limit");
    const small = await ingest(`${sized(MIB)}\n`, { maxRecord: 1000 }, cuts);
    assert.equal(small.error, undefined);
  }
});

Deno.test("ingest: skip continues after a record that is too large", async () => {
  const big = sized(MIB + 1);
  const pretty = `{\n  "a": [\n    "${
    "y".repeat(MIB)
  }",\n    {"inner":1},\n    {"inner":2}\n  ]\n}`;
  const garbage = `${"z{[".repeat(MIB / 2)}`;
  const lines = `{"n":1}\n${big}\n{"n":2}\n${pretty}\n{"n":3}\n${garbage}\n{"n":4}\n`;
  const events = `data: {"n":1}\n\ndata: ${big}\ndata: x\n\n:${garbage}\ndata: {"n":2}\n\n`;
  const many = `data: {"n":1}\n\n${`data: ${"v".repeat(1000)}\n`.repeat(1200)}\ndata: {"n":2}\n\n`;
  const seq = `${RS}{"n":1}\n${RS}${big}\n${RS}{"n":2}\n${RS}${pretty}\n${RS}{"n":3}\n`;
  for (const step of [0, 60_000, MIB - 1]) {
    const run = async (text: string) => {
      const cuts = step === 0 ? [] : Array.from(
        { length: Math.floor(text.length / step) },
        (_, i) => (i + 1) * step,
      );
      const { stored, skipped, error } = await ingest(text, SKIP, cuts);
      assert.equal(error, undefined);
      return [stored.join(""), skipped.map((s) => `${s.index} ${s.line} ${s.errorKind}`).join()];
    };
    assert.deepEqual(await run(lines), [
      '{"n":1}{"n":2}{"n":3}{"n":4}',
      "2 2 Oversize,4 4 Oversize,6 12 Oversize",
    ]);
    assert.deepEqual(await run(events), ['{"n":1}{"n":2}', "2 5 Oversize"]);
    assert.deepEqual(await run(many), ['{"n":1}{"n":2}', "2 1203 Oversize"]);
    assert.deepEqual(await run(seq), [
      '{"n":1}{"n":2}{"n":3}',
      "2 undefined Oversize,4 undefined Oversize",
    ]);
  }
});

Deno.test("ingest: a bounded carry, whatever never ends", async () => {
  // 40 MiB without a newline under skip: nothing may pile up.
  const { Ingest } = await import("../../lib/text/ingest.ts");
  const chunk = new Uint8Array(MIB).fill(0x20);
  for (const first of ["{", '{"a":"', "x", "data: ", "\x1e{", '[{"a":1},\n']) {
    let notices = 0;
    const reader = new Ingest({
      full: false,
      json: () => {
        throw new Error("nothing is complete");
      },
      read: () => -1,
      keep: () => {},
      drop: () => {},
      value: () => 0,
      lite3: () => {},
      skipped: () => notices++,
    }, SKIP);
    await reader.take(bytesOf(first), () => {});
    const before = Deno.memoryUsage().external;
    for (let i = 0; i < 40; i++) {
      await reader.take(i % 2 ? chunk.fill(0x61) : chunk.fill(0x20), () => {});
    }
    assert.ok(Deno.memoryUsage().external - before < 16 * MIB);
    assert.equal(notices, first === "data: " ? 0 : 1);
  }
});

Deno.test("ingest: records are delivered as soon as they are complete", async () => {
  const cases: [Settings, string, string[]][] = [
    [{}, '{"a":1}', []],
    [{}, '{"a":1}\n', ['{"a":1}']],
    [{}, "{\n}\n", ["{}"]],
    [{}, `${RS}{"a":1}\n`, ['{"a":1}']],
    [{}, 'data: {"a":1}\n', []],
    [{}, 'data: {"a":1}\n\n', ['{"a":1}']],
    [{ mode: "jq" }, '{"a":1}', ['{"a":1}']],
    [{ mode: "objects" }, '{"a":1}', ['{"a":1}']],
    [{}, "---\na: 1\n...", []],
    [{}, "---\na: 1\n...\n", ['{"a":1}']],
  ];
  const { Ingest } = await import("../../lib/text/ingest.ts");
  const { CompleteMessages } = await import("../../lib/text/complete_messages.ts");
  const { RecordSink } = await import("../../lib/text/record_sink.ts");
  const { FrameBatch } = await import("../../lib/pool/batch.ts");
  const { messagesOf } = await import("./ingest_util.ts");
  for (const [settings, text, stored] of cases) {
    const batch = new FrameBatch();
    const reader = new Ingest(new RecordSink(batch, { complete: CompleteMessages }), settings);
    await reader.take(bytesOf(text), () => {});
    assert.deepEqual(messagesOf(batch), stored, text);
  }
});

Deno.test("ingest: a full sink pauses every reader, and nothing is lost", async () => {
  const record = (i: number) => `{"n":${i}}`;
  const n = 20;
  const all = Array.from({ length: n }, (_, i) => record(i));
  const inputs: [Settings, string][] = [
    [{}, all.join("\n")],
    [{}, all.map((r) => r.replace(":", ":\n")).join("\n")],
    [{ mode: "jsonl" }, all.join("\n")],
    [{ mode: "jq" }, all.join("")],
    [{}, all.map((r) => `${RS}${r}\n`).join("")],
    [{}, all.map((r) => `data: ${r}\n\n`).join("")],
    [{}, all.map((_, i) => `---\nn: ${i}\n...\n`).join("")],
  ];
  for (const [settings, text] of inputs) {
    for (const cuts of [[], [1, 2, 3, 50, 51, 99]]) {
      const outcome = await ingest(text, { ...settings, batchBytes: 1 }, cuts);
      assert.equal(outcome.error, undefined);
      assert.deepEqual(outcome.stored, all);
    }
  }
});

Deno.test("ingest: errors say where, and what to do", async () => {
  const lines = await ingest('{"a":1}\n\n{"b": nope}\n');
  assert.match(advice(lines.thrown), /-e skip/);
  assert.match(lines.thrown?.causes?.[0] ?? "", /line 3 column 8$/);
  const pretty = await ingest('{"a":1}\n{\n  "b": 1,\n  "c" 2\n}\n');
  assert.match(pretty.thrown?.causes?.[0] ?? "", /line 4 column 7$/);
  const jq = await ingest('{"a":1} nope', { mode: "jq" });
  assert.match(advice(jq.thrown), /--in jsonl/);
  const skip = await ingest("", { mode: "jq", ...SKIP });
  assert.match(advice(skip.thrown), /--in jsonl.*--in auto/);
});
