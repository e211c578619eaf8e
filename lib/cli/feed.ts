/**
 * `plasmite feed`: append messages from an argument, a file or stdin (docs/spec/command-line.md 2).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { FrameBatch } from "../pool/batch.ts";
import { type Layout, refuseOversize } from "../pool/layout.ts";
import { Ring } from "../pool/ring.ts";
import { disk } from "../storage/file.ts";
import { lockTimeout, sleepSync } from "../storage/pause.ts";
import type { IngestMode } from "../text/ingest.ts";
import type { SkippedRecord } from "../text/ingest_gate.ts";
import { appendInline, RecordSink } from "../text/record_sink.ts";
import { nowNs } from "../text/time.ts";
import type { CommandContext } from "./context.ts";
import type { FeedInput } from "./feed_input.ts";
import { openOrCreate } from "./open.ts";
import { type PrintStored, receiptPrinter } from "./receipts.ts";
import { type LocalRef, type PoolRef, resolveRef } from "./refs.ts";
import { refuseRemoteFlags } from "./remote.ts";

/** Bytes that are asked for in one read. */
const READ_SIZE = 256 * 1024;
/** Frames that are collected before they are written, in bytes: the lock is held for one write. */
const BATCH_BYTES = 512 * 1024;
/** How long one attempt waits for another process's lock, in milliseconds. */
const LOCK_TIMEOUT = 10_000;

/** Where a feed ends up: stores the frames of a batch and says as what. */
export interface FeedTarget {
  /** What notices call the pool: a path, or `origin/pool`. */
  readonly path: string;
  /** The largest payload in bytes, if that is known. */
  readonly maxPayload: number;
  /** The largest record text in bytes that could still fit. */
  readonly maxRecord: number;
  /** How many bytes of frames to collect. */
  readonly batchBytes: number;
  /** Stores all frames of the batch in order and reports each contiguous run. */
  store(
    batch: FrameBatch,
    stored: (from: number, count: number, first: bigint) => void,
  ): Promise<void> | void;
  /** Releases everything. */
  close(): void;
}

interface Retry {
  readonly attempts: number;
  readonly delayMs: number;
}

/** Runs `feed`. */
export async function run(context: CommandContext): Promise<number> {
  const { args } = context;
  const ref = resolveRef(args.required("POOL"), context);
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
  const retry = { attempts, delayMs };
  const print = await receiptPrinter(context, args.texts("tag"));
  // What makes the command impossible is found before a pool is made for it.
  const batch = new FrameBatch();
  const inline = await inlineData(context, batch);
  const input = inline === undefined ? await streamInput(context) : undefined;
  const validate = ({ ringSize }: Layout, path: string): void => {
    for (let i = 0; i < batch.count; i++) refuseOversize(batch.payloadOf(i), ringSize, path);
    input?.refuseNothing();
  };
  try {
    const target = await openTarget(context, ref, flush, retry, validate);
    try {
      if (input !== undefined) return await feedStream(context, target, batch, print, input);
      if (inline !== undefined) await commit(target, batch, inline, print);
      return 0;
    } finally {
      target.close();
    }
  } finally {
    input?.close();
  }
}

async function openTarget(
  context: CommandContext,
  ref: PoolRef,
  flush: boolean,
  retry: Retry,
  validate: (layout: Layout, path: string) => void,
): Promise<FeedTarget> {
  if (ref.kind === "remote") {
    const { openRemoteFeed } = await import("./remote_feed.ts");
    return await openRemoteFeed(context, ref, flush, retry);
  }
  refuseRemoteFlags(context);
  return await openLocalFeed(context, ref, flush, retry, validate);
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
  const sink = new RecordSink(batch, { tags: args.texts("tag"), dataOnly: args.has("data") });
  sink.stamp(nowNs());
  if (format === "yaml") {
    const { Ingest } = await import("../text/ingest.ts");
    const ingest = new Ingest(sink, { mode: "yaml" });
    await ingest.take(new TextEncoder().encode(data), () => {});
    await ingest.load?.();
    ingest.end();
  } else if (appendInline(sink, data) === 0) {
    const { missingInput } = await import("./feed_input.ts");
    throw missingInput(context);
  }
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

async function openLocalFeed(
  context: CommandContext,
  ref: LocalRef,
  flush: boolean,
  retry: Retry,
  validate: (layout: Layout, path: string) => void,
): Promise<FeedTarget> {
  const open = (path: string): Ring => Ring.open(disk, path, { write: true });
  const ring = await openOrCreate(context, ref, open, (layout) => validate(layout, ref.path));
  const { ringSize } = ring.layout;
  return {
    path: ref.path,
    maxPayload: ring.maxPayload,
    maxRecord: 6 * ringSize + 64 * 1024,
    // A quarter of a small ring, so that followers see messages before they are overwritten.
    batchBytes: Math.min(BATCH_BYTES, Math.max(1, ringSize >> 2)),
    store: (batch, stored) => storeLocal(ring, batch, flush, retry, stored),
    close: () => ring.close(),
  };
}

function storeLocal(
  ring: Ring,
  batch: FrameBatch,
  flush: boolean,
  retry: Retry,
  stored: (from: number, count: number, first: bigint) => void,
): void {
  for (let from = 0; from < batch.count;) {
    const done = appendPatiently(ring, batch, from, flush, retry);
    stored(from, done.count, done.first);
    from += done.count;
  }
}

/**
 * Waits for the lock with a bound, then tries again as often as `--retry` says
 * (docs/spec/command-line.md 2.6).
 */
function appendPatiently(
  ring: Ring,
  batch: FrameBatch,
  from: number,
  flush: boolean,
  retry: Retry,
): { count: number; first: bigint } {
  const began = performance.now();
  for (let tried = 1;; tried++) {
    for (let waited = 0; waited <= LOCK_TIMEOUT; waited++) {
      const done = ring.tryAppend(batch, from, flush);
      if (done !== null) return done;
      sleepSync(1);
    }
    if (tried <= retry.attempts) {
      sleepSync(retry.delayMs);
      continue;
    }
    const error = lockTimeout(ring.path);
    if (tried === 1) throw error;
    throw new PlasmiteError("Busy", error.message, {
      path: ring.path,
      hint: `${error.hint} ${retriesTold(tried, performance.now() - began)}`,
    });
  }
}

/** How often something was tried, and how long all of that took. */
export function retriesTold(tried: number, waitedMs: number): string {
  const waited = waitedMs < 1000 ? `${Math.round(waitedMs)}ms` : `${(waitedMs / 1000).toFixed(1)}s`;
  return `Retry attempts: ${tried} (waited ${waited}).`;
}

/** Stores what the sink has collected and prints receipts. */
async function commit(
  target: FeedTarget,
  batch: FrameBatch,
  sink: RecordSink,
  print: PrintStored,
): Promise<void> {
  if (batch.count === 0) return;
  try {
    const { ownTags } = sink;
    const waiting = target.store(
      batch,
      (from, count, first) => print({ batch, from, count, first, ownTags }),
    );
    if (waiting !== undefined) await waiting;
  } finally {
    batch.clear();
  }
}

function streamSink(
  context: CommandContext,
  target: FeedTarget,
  batch: FrameBatch,
  onSkipped: (record: SkippedRecord) => void,
): RecordSink {
  const { args } = context;
  return new RecordSink(batch, {
    tags: args.texts("tag"),
    dataOnly: args.has("data"),
    maxPayload: target.maxPayload,
    batchBytes: target.batchBytes,
    onSkipped,
    ...(context.stderr.isTerminal ? { onReceipt: () => noticeReceipt(context, target) } : {}),
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
  target: FeedTarget,
  batch: FrameBatch,
  print: PrintStored,
  input: FeedInput,
): Promise<number> {
  input.refuseTerminal();
  const { Ingest } = await import("../text/ingest.ts");
  const sink = streamSink(
    context,
    target,
    batch,
    (record) => noticeSkipped(context, target, record),
  );
  const ingest = new Ingest(sink, {
    mode: inputMode(context),
    errors: skips(context) ? "skip" : "stop",
    maxRecord: target.maxRecord,
  });
  const progress = input.size >= 0 ? await progressFor(context, input.size) : undefined;
  const drain = (): Promise<void> => commit(target, batch, sink, print);
  const buffer = new Uint8Array(READ_SIZE);
  let bytes = 0;
  try {
    for (let n = input.read(buffer); n !== null; n = input.read(buffer)) {
      bytes += n;
      sink.stamp(nowNs());
      await ingest.take(buffer.subarray(0, n), drain);
      await drain();
      progress?.update(ingest.stored, bytes);
    }
    sink.stamp(nowNs());
    await ingest.load?.();
    ingest.end();
    await drain();
  } catch (error) {
    await drain(); // What came before the bad record stays appended and receipted.
    throw error;
  } finally {
    progress?.end();
  }
  if (ingest.failed > 0) {
    noticeSummary(context, target, ingest.stored, ingest.failed);
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

function noticeSkipped(context: CommandContext, target: FeedTarget, record: SkippedRecord): void {
  context.notice({
    kind: "ingest_skip",
    message: record.message,
    pool: context.args.required("POOL"),
    details: {
      error_kind: record.errorKind,
      index: record.index,
      line: record.line,
      mode: record.mode,
      pool_path: target.path,
      snippet: record.snippet,
    },
  });
}

/** `feed a | feed b` stores receipts, in both generations; a person may have meant the messages. */
function noticeReceipt(context: CommandContext, target: FeedTarget): void {
  context.notice({
    kind: "receipt_input",
    message: "The input is receipts; use `--format json` on the first feed to pass messages on.",
    pool: context.args.required("POOL"),
    details: { pool_path: target.path },
  });
}

function noticeSummary(
  context: CommandContext,
  target: FeedTarget,
  ok: number,
  failed: number,
): void {
  context.notice({
    kind: "ingest_summary",
    message: `Finished with ${failed} skipped record${failed === 1 ? "" : "s"}.`,
    pool: context.args.required("POOL"),
    details: { failed, ok, pool_path: target.path, total: ok + failed },
  });
}
