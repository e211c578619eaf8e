/**
 * A line that is one object is read without looking for its end first. Nobody may notice, in any
 * way: the same messages, the same errors on the same lines, the same records skipped. Otherwise a
 * message would be lost, or an error would send its reader to the wrong line.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { PlasmiteError } from "../../lib/errors.ts";
import { Shapes } from "../../lib/lite3/shapes.ts";
import { FrameBatch } from "../../lib/pool/batch.ts";
import { CompleteMessages } from "../../lib/text/complete_messages.ts";
import { Ingest, type SkippedRecord } from "../../lib/text/ingest.ts";
import { RecordSink } from "../../lib/text/record_sink.ts";
import { messagesOf, type Settings } from "./ingest_util.ts";

const SCALE = Number(Deno.env.get("PLASMITE_TEST_SCALE") ?? "1");

/** Looks for the end of every line first. */
class LineSink extends RecordSink {
  override read(): number {
    return -1;
  }
}

/** All that can be told of an input. */
async function outcome(
  sinkClass: typeof RecordSink,
  input: Uint8Array,
  settings: Settings,
  cuts: readonly number[],
  batchBytes: number,
): Promise<unknown> {
  const batch = new FrameBatch();
  if (sinkClass === RecordSink) batch.encoder.shapes = new Shapes();
  const stored: string[] = [];
  const skipped: SkippedRecord[] = [];
  const seen: unknown[] = [];
  const drain = () => {
    seen.push(batch.count);
    stored.push(...messagesOf(batch));
    batch.clear();
  };
  const sink = new sinkClass(batch, {
    complete: CompleteMessages,
    batchBytes,
    ...settings,
    onSkipped: (record) => skipped.push(record),
    onReceipt: () => seen.push("receipt"),
    // Told of each record once, in order, whether it is taken or not.
    check: (_u8, _dv, _at, length) => {
      seen.push(length);
      if (length % 5 === 0) throw new PlasmiteError("Usage", "a length that is not wanted");
    },
  });
  const reader = new Ingest(sink, settings);
  let error: unknown = null;
  try {
    let from = 0;
    for (const to of [...cuts.toSorted((a, b) => a - b), input.length]) {
      const chunk = input.slice(from, to);
      await reader.take(chunk, drain);
      chunk.fill(0x21);
      if (to > from) from = to;
      seen.push([reader.current, reader.records, reader.stored, reader.failed]);
    }
    reader.end();
  } catch (thrown) {
    if (!(thrown instanceof PlasmiteError)) throw thrown;
    const { kindName, message, hint, causes } = thrown;
    error = { kindName, message, hint, causes, line: "line" in thrown ? thrown.line : null };
  }
  drain();
  const { current, empty, failed, records } = reader;
  return { stored, skipped, seen, error, current, empty, failed, records };
}

const COMPLETE = '{"seq":7,"time":"2026-02-02T23:45:00Z","meta":{"tags":["x"]},"data":{"a":1}}';
const line = fc.oneof(
  { weight: 6, arbitrary: fc.nat(10 ** 9).map((n) => `{"n":${n},"s":"${"x".repeat(n % 9)}"}`) },
  { weight: 3, arbitrary: fc.nat(99).map((n) => `{"n":${n},"in":{"a":[{"b":${n}}]},"é":"{"}`) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ...["{}", "", " ", "{", "}", "[1]", "7", '"{}"', '{"a":1}{"b":2}', '{"a":1} {"b":2}', "{}x"],
      ...[
        '{"a":',
        '"b"}',
        '{"a":1',
        '{"a":[1,',
        "2]}",
        '{"a":1}}',
        '{"a":1}]',
        '{"a" 1}',
        '{"a":1,}',
      ],
      ...[' {"a":1}', '\t{"a":1}\t', '{"a":1} \r', '{"a":1}\r', '{"a":1}\v', '{"a":1}\x00'],
      ...[
        COMPLETE,
        '{"seq":1,"time":"x","meta":{"tags":[]},"data":{}}',
        '{"seq":1,"time":1,"meta":1}',
      ],
      ...[
        '{"a":1,"a":{"b":2}}',
        '{"a\\u0000":1}',
        '{"\\ud800":1}',
        '{"a":"\u0001"}',
        '{"a":1e999}',
      ],
      ...[`${'{"a":'.repeat(40)}1${"}".repeat(40)}`, `{"a":"${"y".repeat(3000)}"}`],
    ),
  },
);
const input = fc.tuple(
  fc.array(line, { maxLength: 30 }),
  fc.constantFrom("\n", "\n", "\n", "\r\n", "\n\n", " \n"),
  fc.constantFrom("", "\n"),
  fc.option(fc.tuple(fc.nat(), fc.nat(255)), { freq: 3, nil: undefined }),
).map(([lines, separator, last, edit]) => {
  const bytes = new TextEncoder().encode(lines.join(separator) + last);
  if (edit !== undefined && bytes.length > 0) bytes[edit[0] % bytes.length] = edit[1];
  return bytes;
});
const settings = fc.constantFrom<Settings>(
  {},
  { errors: "skip" },
  { mode: "jsonl" },
  { mode: "jsonl", errors: "skip" },
  { tags: ["t"], dataOnly: true },
  { added: ["u"], maxPayload: 700, errors: "skip" },
);

Deno.test("an object on its line is stored or refused as if the line's end had been found first", async () => {
  const cuts = fc.array(fc.nat(600), { maxLength: 4 });
  const full = fc.constantFrom(1, 2000, 1 << 20);
  await fc.assert(
    fc.asyncProperty(input, settings, cuts, full, async (bytes, chosen, at, batchBytes) => {
      assert.deepEqual(
        await outcome(RecordSink, bytes, chosen, at, batchBytes),
        await outcome(LineSink, bytes, chosen, at, batchBytes),
      );
    }),
    { numRuns: 500 * SCALE },
  );
});

Deno.test("the rest of a line that is too long is no object, even if a piece of the input starts there", async () => {
  const bytes = new TextEncoder().encode(`"${"x".repeat((1 << 20) + 9)}{"a":1}\n{"a":2}\n`);
  const at = bytes.indexOf(0x7b);
  const found = await outcome(RecordSink, bytes, { errors: "skip" }, [at], 1 << 20);
  assert.deepEqual(found, await outcome(LineSink, bytes, { errors: "skip" }, [at], 1 << 20));
});

Deno.test("a line of more than a megabyte is refused although it would be one object", async () => {
  const bytes = new TextEncoder().encode(
    `{"a":1}\n{"a":"${"x".repeat(1 << 20)}"}\n{"a":2}\n{"a":"${"x".repeat((1 << 20) - 20)}"}\n`,
  );
  for (const chosen of [{ errors: "skip" }, {}, { mode: "jsonl" }] as const) {
    const found = await outcome(RecordSink, bytes, chosen, [], 1 << 22);
    assert.deepEqual(found, await outcome(LineSink, bytes, chosen, [], 1 << 22));
  }
});
