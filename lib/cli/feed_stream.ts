/**
 * `plasmite feed` from a file or stdin (docs/spec/command-line.md 2.2, 2.5).
 *
 * @module
 */

import type { PoolHandle } from "../backend/types.ts";
import type { FrameBatch } from "../pool/batch.ts";
import { Shapes } from "../lite3/shapes.ts";
import { CompleteMessages } from "../text/complete_messages.ts";
import { Ingest, type IngestMode, refuseSkip } from "../text/ingest.ts";
import type { SkippedRecord } from "../text/ingest_gate.ts";
import { RecordSink } from "../text/record_sink.ts";
import { nowNs } from "../text/time.ts";
import type { CommandContext } from "./context.ts";
import type { Target } from "./feed.ts";
import { type FeedInput, openInput } from "./feed_input.ts";
import { printNotice } from "./notices.ts";

/** The size of one read, in bytes. */
const READ_SIZE = 256 * 1024;

/** Checks the options for reading and opens the input. */
export function streamInput(context: CommandContext): FeedInput {
  if (skips(context)) refuseSkip(inputMode(context));
  return openInput(context);
}

function skips(context: CommandContext): boolean {
  return context.args.text("errors") === "skip";
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
    complete: CompleteMessages,
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

/** The frames that were read, and the function that stores and removes them. */
export interface Store {
  /** The frames. */
  readonly batch: FrameBatch;
  /** Stores them. */
  readonly store: (sink: RecordSink) => Promise<void>;
}

/** Reads stdin or a file to its end. */
export async function feedStream(
  context: CommandContext,
  target: Target,
  input: FeedInput,
  { batch, store }: Store,
): Promise<number> {
  const { pool, conditions } = target;
  input.refuseTerminal();
  batch.encoder.shapes = new Shapes();
  const sink = streamSink(context, target, batch, (record) => noticeSkipped(context, pool, record));
  const ingest = new Ingest(sink, {
    mode: inputMode(context),
    errors: skips(context) ? "skip" : "stop",
    maxRecord: pool.limits.maxRecord,
  });
  const progress = input.size >= 0 ? await progressFor(context, input.size) : undefined;
  const drain = (): Promise<void> => store(sink);
  // Input that is stored as a whole is first read to its end.
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
      // With a file, small batches can wait for more records.
      const isLater = input.size >= 0 && batch.count < (pool.limits.batchMessages ?? Infinity);
      if (!isLater) await between();
      progress?.update(ingest.stored, bytes);
    }
    sink.stamp(nowNs());
    await ingest.load?.();
    ingest.end();
    await drain();
  } catch (error) {
    if (!isWhole) await drain(); // Store what came before the invalid record.
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
  printNotice(context, {
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

/** Warns about `feed a | feed b`, which stores receipts and not the messages. */
function noticeReceipt(context: CommandContext, pool: PoolHandle): void {
  printNotice(context, {
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
  printNotice(context, {
    kind: "ingest_summary",
    message: `Finished with ${failed} skipped record${failed === 1 ? "" : "s"}.`,
    pool: context.args.required("POOL"),
    details: { failed, ok, pool_path: pool.path, total: ok + failed },
  });
}
