/**
 * `plasmite feed`: append messages from an argument, a file or stdin (docs/spec/command-line.md 2).
 *
 * @module
 */

import type { AppendRequest, PoolHandle } from "../backend/types.ts";
import { PlasmiteError } from "../errors.ts";
import { FrameBatch } from "../pool/batch.ts";
import { type Limits, refuseOversize } from "../pool/layout.ts";
import type { IngestMode } from "../text/ingest.ts";
import type { SkippedRecord } from "../text/ingest_gate.ts";
import { appendInline, RecordSink } from "../text/record_sink.ts";
import { nowNs } from "../text/time.ts";
import type { CommandContext } from "./context.ts";
import type { FeedConditions } from "./feed_conditions.ts";
import type { FeedInput } from "./feed_input.ts";
import { findPool, openPool } from "./open.ts";
import { type PrintStored, receiptPrinter } from "./receipts.ts";
import type { Retries } from "./retry.ts";

/** Bytes that are asked for in one read. */
const READ_SIZE = 256 * 1024;

/** Where messages go, and how. */
interface Target {
  readonly pool: PoolHandle;
  readonly isRemote: boolean;
  readonly flush: boolean;
  readonly retries: Retries | undefined;
  readonly conditions: FeedConditions | undefined;
}

/** The options that make an append conditional; what they need is loaded only with one of them. */
const CONDITIONS = ["expect", "key", "id", "id-from", "id-window", "atomic"];

/** Runs `feed`. */
export async function run(context: CommandContext): Promise<number> {
  const { args } = context;
  const ref = await findPool(context);
  if (args.has("in") && args.has("input-format")) {
    throw new PlasmiteError("Usage", "conflicting input options", {
      hint: "Use either --in or --input-format.",
    });
  }
  const attempts = args.count("retry") ?? 0;
  if (args.has("retry-delay") && attempts === 0) {
    throw new PlasmiteError("Usage", "--retry-delay requires --retry", {
      hint: "Add --retry N, or leave out --retry-delay.",
    });
  }
  const { flush, delayMs } = await settings(context);
  // What makes the command impossible is found before a pool is made for it.
  const batch = new FrameBatch();
  const conditions = CONDITIONS.some((name) => args.has(name))
    ? await (await import("./feed_conditions.ts")).conditionsOf(context, batch)
    : undefined;
  const print = await receiptPrinter(context, conditions?.tags ?? args.texts("tag"));
  const inline = await inlineData(context, batch, conditions);
  const input = inline === undefined ? await streamInput(context) : undefined;
  const validate = ({ ringSize }: Limits): void => {
    for (let i = 0; i < batch.count; i++) refuseOversize(batch.payloadOf(i), ringSize, ref.path);
    conditions?.check(ringSize);
    input?.refuseNothing();
  };
  const open = (): Promise<PoolHandle> => openPool(context, ref, { write: true, validate });
  try {
    const retries = attempts === 0
      ? undefined
      : new (await import("./retry.ts")).Retries(attempts, delayMs);
    const pool = retries === undefined ? await open() : await retries.run(open);
    const target: Target = { pool, isRemote: ref.isRemote, flush, retries, conditions };
    try {
      if (input !== undefined) return await feedStream(context, target, batch, print, input);
      if (inline !== undefined) await commit(target, batch, inline, print);
      return 0;
    } finally {
      await pool.close();
    }
  } finally {
    input?.close();
  }
}

/** `--durability` and `--retry-delay`; their syntax is loaded only where they are given. */
async function settings(context: CommandContext): Promise<{ flush: boolean; delayMs: number }> {
  const durability = context.args.text("durability");
  const delay = context.args.text("retry-delay");
  if (durability === undefined && delay === undefined) return { flush: false, delayMs: 50 };
  const { parseDurability, parseDuration } = await import("../text/units.ts");
  const flush = durability !== undefined && parseDurability(durability) === "flush";
  return { flush, delayMs: delay === undefined ? 50 : parseDuration(delay) };
}

/** Encodes `DATA` before anything is opened or created; undefined when there is none. */
async function inlineData(
  context: CommandContext,
  batch: FrameBatch,
  conditions: FeedConditions | undefined,
): Promise<RecordSink | undefined> {
  const { args } = context;
  const data = args.text("DATA");
  if (data === undefined) return undefined;
  const format = args.text("input-format");
  if (format?.startsWith("lite3")) {
    throw new PlasmiteError(
      "Usage",
      "binary input requires a file or pipe of complete messages",
      { hint: "Use --file PATH, or pipe the messages to stdin." },
    );
  }
  const sink = new RecordSink(batch, {
    tags: args.texts("tag"),
    dataOnly: args.has("data"),
    ...conditions?.sink,
  });
  sink.stamp(nowNs());
  if (format === "yaml") {
    const { Ingest } = await import("../text/ingest.ts");
    const ingest = new Ingest(sink, { mode: "yaml" });
    await ingest.take(new TextEncoder().encode(data), () => {});
    await ingest.load?.();
    ingest.end();
  } else if (appendInline(sink, data) === 0) {
    const { missingInput } = await import("./feed_input.ts");
    throw missingInput();
  }
  conditions?.check(Infinity);
  return sink;
}

/** What is to be read, after a look at the options that say how. */
async function streamInput(context: CommandContext): Promise<FeedInput> {
  const { refuseSkip } = await import("../text/ingest.ts");
  if (skips(context)) refuseSkip(inputMode(context));
  const { openInput } = await import("./feed_input.ts");
  return openInput(context);
}

function skips(context: CommandContext): boolean {
  return context.args.text("errors") === "skip";
}

/** Stores what the sink has collected and prints receipts. */
async function commit(
  target: Target,
  batch: FrameBatch,
  sink: RecordSink,
  print: PrintStored,
): Promise<void> {
  if (batch.count === 0) return;
  const { ownTags } = sink;
  const { pool, flush, retries, conditions } = target;
  if (conditions?.isEmpty === false) return await conditions.commit(target, ownTags, print);
  const request: AppendRequest = {
    flush,
    stored: (from, count, first) => print({ batch, from, count, first, ownTags }),
  };
  try {
    const waiting = retries === undefined
      ? pool.append(batch, request)
      : retries.append(pool, batch, request);
    if (waiting !== undefined) await waiting;
  } finally {
    batch.clear();
  }
}

function streamSink(
  context: CommandContext,
  { pool, conditions }: Target,
  batch: FrameBatch,
  onSkipped: (record: SkippedRecord) => void,
): RecordSink {
  const { args } = context;
  return new RecordSink(batch, {
    tags: args.texts("tag"),
    dataOnly: args.has("data"),
    maxPayload: pool.limits.maxPayload,
    check: pool.limits.check,
    batchBytes: conditions?.isWhole === true ? Infinity : pool.limits.batchBytes,
    onSkipped,
    ...conditions?.sink,
    ...(context.stderr.isTerminal ? { onReceipt: () => noticeReceipt(context, pool) } : {}),
  });
}

/** `--input-format json` is 1.x's stream of objects; 0.8's `--in json` is one value. */
function inputMode(context: CommandContext): IngestMode {
  const format = context.args.text("input-format");
  if (format !== undefined) return (format === "json" ? "objects" : format) as IngestMode;
  return (context.args.text("in") ?? "auto") as IngestMode;
}

/** Reads stdin or a file to its end. */
async function feedStream(
  context: CommandContext,
  target: Target,
  batch: FrameBatch,
  print: PrintStored,
  input: FeedInput,
): Promise<number> {
  const { pool, conditions } = target;
  input.refuseTerminal();
  const { Ingest } = await import("../text/ingest.ts");
  const sink = streamSink(context, target, batch, (record) => noticeSkipped(context, pool, record));
  const ingest = new Ingest(sink, {
    mode: inputMode(context),
    errors: skips(context) ? "skip" : "stop",
    maxRecord: pool.limits.maxRecord,
  });
  const progress = input.size >= 0 ? await progressFor(context, input.size) : undefined;
  const drain = (): Promise<void> => commit(target, batch, sink, print);
  // What is to be stored as a whole is read to its end first.
  const isWhole = conditions?.isWhole === true;
  const between = isWhole ? () => conditions.check(pool.limits.ringSize) : drain;
  if (conditions !== undefined) {
    conditions.position = () => ({ index: ingest.records, ...ingest.current });
  }
  const buffer = new Uint8Array(READ_SIZE);
  let bytes = 0;
  try {
    for (let n = input.read(buffer); n !== null; n = input.read(buffer)) {
      bytes += n;
      sink.stamp(nowNs());
      await ingest.take(buffer.subarray(0, n), between);
      await between();
      progress?.update(ingest.stored, bytes);
    }
    sink.stamp(nowNs());
    await ingest.load?.();
    ingest.end();
    await drain();
  } catch (error) {
    if (!isWhole) await drain(); // What came before the bad record stays appended and receipted.
    throw error;
  } finally {
    progress?.end();
  }
  const conflicts = conditions?.skipped ?? 0;
  if (ingest.failed + conflicts > 0) {
    noticeSummary(context, pool, ingest.stored - conflicts, ingest.failed + conflicts);
    return 1;
  }
  if (ingest.empty) input.refuseEmpty();
  return 0;
}

async function progressFor(
  context: CommandContext,
  size: number,
): Promise<{ update(messages: number, done: number): void; end(): void } | undefined> {
  const { Progress } = await import("./progress.ts");
  return Progress.visible(context) ? new Progress(context, "fed", size) : undefined;
}

function noticeSkipped(context: CommandContext, pool: PoolHandle, record: SkippedRecord): void {
  context.notice({
    kind: "ingest_skip",
    message: record.message,
    pool: context.args.required("POOL"),
    details: {
      error_kind: record.errorKind,
      index: record.index,
      line: record.line,
      mode: record.mode,
      pool_path: pool.path,
      snippet: record.snippet,
    },
  });
}

/** `feed a | feed b` stores receipts, in both generations; a person may have meant the messages. */
function noticeReceipt(context: CommandContext, pool: PoolHandle): void {
  context.notice({
    kind: "receipt_input",
    message: "The input is receipts; use `--format json` on the first feed to pass messages on.",
    pool: context.args.required("POOL"),
    details: { pool_path: pool.path },
  });
}

function noticeSummary(
  context: CommandContext,
  pool: PoolHandle,
  ok: number,
  failed: number,
): void {
  context.notice({
    kind: "ingest_summary",
    message: `Finished with ${failed} skipped record${failed === 1 ? "" : "s"}.`,
    pool: context.args.required("POOL"),
    details: { failed, ok, pool_path: pool.path, total: ok + failed },
  });
}
