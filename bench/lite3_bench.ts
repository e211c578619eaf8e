/**
 * Nanoseconds per message for each step of Lite3 processing. Run with `deno run
 * bench/lite3_bench.ts`; each number is the best of several rounds.
 *
 * @module
 */

import { Buf } from "../lib/bytes.ts";
import { Lite3Encoder } from "../lib/lite3/encode.ts";
import { MessageView } from "../lib/lite3/message.ts";
import { toValue } from "../lib/lite3/value.ts";
import { messageFromValue } from "../lib/lite3/from_value.ts";
import { crc32c } from "../lib/pool/crc32c.ts";
import { printEnvelope } from "../lib/text/envelope.ts";

const ROUNDS = 15;
const MESSAGES = 2000;

function logLine(i: number): string {
  return JSON.stringify({
    ts: new Date(1770075900123 + i * 17).toISOString(),
    level: i % 3 === 0 ? "error" : "info",
    service: "api",
    host: `web-${i % 20}`,
    msg: "request took too long, retrying with backoff",
    value: 51234 + i,
    ok: i % 2 === 0,
    latency_ms: 12.75 + i / 100,
    req: { id: "a1b2c3d4", n: i % 10 },
  });
}

function longLine(i: number): string {
  return JSON.stringify({
    ts: new Date(1770075900123 + i * 17).toISOString(),
    level: "info",
    host: `web-${i % 20}`,
    body: "The quick brown fox jumps over the lazy dog and runs away. ".repeat(15).slice(0, 880),
    value: 51234 + i,
    ok: true,
  });
}

function best(run: () => void): number {
  let fastest = Infinity;
  for (let i = 0; i < ROUNDS; i++) {
    const start = performance.now();
    run();
    fastest = Math.min(fastest, performance.now() - start);
  }
  return fastest * 1e6 / MESSAGES;
}

function report(what: string, ns: number, bytes: number): void {
  const rate = (ns / bytes).toFixed(3);
  // deno-lint-ignore no-console
  console.log(`${what.padEnd(36)} ${ns.toFixed(0).padStart(7)} ns   ${rate} ns/byte`);
}

for (
  const [name, make] of [["200 B log line", logLine], ["1 KiB line", longLine]] as const
) {
  const lines = Array.from({ length: MESSAGES }, (_, i) => make(i));
  const text = new TextEncoder().encode(lines.join("\n") + "\n");
  const spans: number[] = [0];
  for (let i = 0; i < text.length; i++) if (text[i] === 0x0a) spans.push(i + 1);
  const tags = ["build"];
  const out = new Buf(1 << 16);
  const encoder = new Lite3Encoder(out);
  const starts: number[] = [];
  const lineBytes = text.length / MESSAGES;
  report(
    `${name}: encode`,
    best(() => {
      out.clear();
      starts.length = 0;
      for (let i = 0; i < MESSAGES; i++) {
        out.len = (out.len + 7) & ~7;
        starts.push(out.len);
        encoder.messageFromJson(text, spans[i] as number, (spans[i + 1] as number) - 1, tags);
      }
    }),
    lineBytes,
  );
  const payload = out.len / MESSAGES;
  report(
    `${name}: crc of ${payload.toFixed(0)} B payload`,
    best(() => {
      for (let i = 0; i < MESSAGES; i++) {
        const at = starts[i] as number;
        crc32c(out.u8, out.dv, at, (starts[i + 1] ?? out.len) - at);
      }
    }),
    payload,
  );
  const view = new MessageView();
  const printed = new Buf(1 << 16);
  const open = (i: number): void => {
    const at = starts[i] as number;
    view.open(out.u8, out.dv, at, (starts[i + 1] ?? out.len) - at);
    view.seqLo = i + 100000;
    view.timeLo = (i * 17003) >>> 0;
    view.timeHi = 411000000;
  };
  report(
    `${name}: open`,
    best(() => {
      for (let i = 0; i < MESSAGES; i++) open(i);
    }),
    lineBytes,
  );
  report(
    `${name}: open + print envelope`,
    best(() => {
      printed.clear();
      for (let i = 0; i < MESSAGES; i++) {
        open(i);
        printEnvelope(view, printed);
      }
    }),
    lineBytes,
  );
  report(
    `${name}: open + toValue`,
    best(() => {
      for (let i = 0; i < MESSAGES; i++) {
        open(i);
        toValue(view.doc, view.dataAt);
      }
    }),
    lineBytes,
  );
  const values = lines.map((line) => JSON.parse(line) as unknown);
  report(
    `${name}: encode from value`,
    best(() => {
      out.clear();
      for (const value of values) messageFromValue(encoder, value, tags);
    }),
    lineBytes,
  );
  report(
    `${name}: JSON.parse, for scale`,
    best(() => {
      for (const line of lines) JSON.parse(line);
    }),
    lineBytes,
  );
}
