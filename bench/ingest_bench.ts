/**
 * Reading text input: lines per second for splitting alone, with encoding, and for values that span
 * several lines. Best of several rounds; run with `deno run -A bench/ingest_bench.ts`.
 *
 * @module
 */

import { Buf } from "../lib/bytes.ts";
import { FrameBatch } from "../lib/pool/batch.ts";
import { CompleteMessages } from "../lib/text/complete_messages.ts";
import { Ingest, type IngestOptions, type IngestSink } from "../lib/text/ingest.ts";
import { printPretty } from "../lib/text/pretty.ts";
import { RecordSink } from "../lib/text/record_sink.ts";
import { printYaml } from "../lib/text/yaml_out.ts";

const ROUNDS = 7;
const TOTAL = 16 << 20;

function record(i: number, size: number): string {
  const head = `{"id":${i},"level":"${i % 3 ? "info" : "error"}","value":${i * 7919 % 100000},` +
    `"ratio":${(i % 997) / 7},"service":"api","message":"`;
  return `${head}${"request served ".repeat(100).slice(0, Math.max(0, size - head.length - 3))}"}`;
}

function records(size: number): string[] {
  return Array.from({ length: Math.floor(TOTAL / size) }, (_, i) => record(i, size));
}

/** Time of one run in milliseconds, the best of several rounds. */
async function best(run: () => Promise<void> | void): Promise<number> {
  let least = Infinity;
  for (let i = 0; i < ROUNDS; i++) {
    const start = performance.now();
    await run();
    least = Math.min(least, performance.now() - start);
  }
  return least;
}

function show(name: string, count: number, bytes: number, ms: number): void {
  const rate = Math.round(count / ms).toString().padStart(7);
  const speed = Math.round(bytes / ms / 1000).toString().padStart(6);
  // deno-lint-ignore no-console
  console.log(`${name.padEnd(34)} ${rate} k/s ${speed} MB/s`);
}

const nothing: IngestSink = {
  full: false,
  json: () => 1,
  read: () => -1,
  keep: () => {},
  drop: () => {},
  value: (_text, _start, end) => end,
  lite3: () => {},
  skipped: () => {},
};

async function read(
  input: Uint8Array,
  chunk: number,
  sink: IngestSink,
  options: IngestOptions,
  drain: () => void,
): Promise<void> {
  const reader = new Ingest(sink, options);
  for (let at = 0; at < input.length; at += chunk) {
    await reader.take(input.subarray(at, at + chunk), drain);
    drain();
  }
  reader.end();
}

const encoder = new TextEncoder();
const inputs: [string, number, Uint8Array, IngestOptions][] = [];
for (const size of [200, 1024]) {
  const all = records(size);
  const pretty = all.map((r) => JSON.stringify(JSON.parse(r), null, 2));
  const add = (name: string, text: string, options: IngestOptions = {}) =>
    inputs.push([`${name}, ${size} B`, all.length, encoder.encode(text), options]);
  add("lines", all.join("\n"));
  if (size !== 200) continue;
  add("lines, skip", all.join("\n"), { errors: "skip" });
  add("pretty", pretty.join("\n"));
  add("jq", all.join(""), { mode: "jq" });
  add("seq", all.map((r) => `\x1e${r}\n`).join(""));
  add("events", all.map((r) => `data: ${r}\n\n`).join(""));
}

for (const [name, count, input, options] of inputs) {
  const split = await best(() => read(input, 1 << 18, nothing, options, () => {}));
  if (!name.startsWith("jq")) show(`split ${name}`, count, input.length, split);
  const batch = new FrameBatch(4 << 20);
  const encode = await best(() =>
    read(
      input,
      1 << 18,
      new RecordSink(batch, { complete: CompleteMessages }),
      options,
      () => batch.clear(),
    )
  );
  show(`encode ${name}`, count, input.length, encode);
}

// One value that spans many lines: the time must grow linearly with its length.
for (const n of [1, 4]) {
  const value = { list: Array.from({ length: n * 20_000 }, (_, i) => JSON.parse(record(i, 200))) };
  const input = encoder.encode(JSON.stringify(value, null, 2));
  const ms = await best(() => read(input, 1 << 18, nothing, { maxRecord: 1 << 30 }, () => {}));
  show(`one pretty value of ${Math.round(input.length / 1e6)} MB`, 1, input.length, ms);
}

const compact = records(200).map((r) => encoder.encode(r));
const bytes = compact.reduce((sum, r) => sum + r.length, 0);
const out = new Buf(1 << 20);
const print = (name: string, one: (json: Uint8Array) => void) =>
  best(() => {
    for (const json of compact) {
      out.clear();
      one(json);
    }
  }).then((ms) => show(name, compact.length, bytes, ms));
await print("print pretty, 200 B", (json) => printPretty(json, 0, json.length, out));
await print("print pretty coloured, 200 B", (json) => printPretty(json, 0, json.length, out, true));
await print("print YAML, 200 B", (json) => printYaml(json, 0, json.length, out));
