/**
 * `plasmite feed`: append messages from an argument, a file or stdin (docs/spec/command-line.md 2).
 *
 * @module
 */

// A local pool needs it on demand: it comes with this module, as a second import takes longer.
import "../pool/writable_ring.ts";
import type { AppendRequest, PoolHandle } from "../backend/types.ts";
import { PlasmiteError } from "../errors.ts";
import { FrameBatch } from "../pool/batch.ts";
import { type Limits, refuseOversize } from "../pool/layout.ts";
import { appendInline, RecordSink } from "../text/record_sink.ts";
import { nowNs } from "../text/time.ts";
import type { CommandContext } from "./context.ts";
import type { ConditionalTarget, FeedConditions } from "./feed_conditions.ts";
import { findPool, openPool } from "./open.ts";
import { type PrintStored, receiptPrinter } from "./receipts.ts";

/** Where and how to append. */
export interface Target extends ConditionalTarget {
  /** The conditions of the append, if there are any. */
  readonly conditions: FeedConditions | undefined;
}

/** The options for conditional appends; their code is loaded only with one of them. */
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
  // Errors are found before a pool is created.
  const batch = new FrameBatch();
  const conditions = CONDITIONS.some((name) => args.has(name))
    ? await (await import("./feed_conditions.ts")).conditionsOf(context, batch)
    : undefined;
  const inline = await inlineData(context, batch, conditions);
  const print = await receiptPrinter(
    context,
    conditions?.tags ?? args.texts("tag"),
    conditions !== undefined || inline?.ownTags !== false,
  );
  const stream = inline === undefined ? await import("./feed_stream.ts") : undefined;
  const input = stream === undefined ? undefined : await stream.streamInput(context);
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
      if (inline !== undefined) await commit(target, batch, inline, print);
      if (stream === undefined || input === undefined) return 0;
      const store = (sink: RecordSink): Promise<void> => commit(target, batch, sink, print);
      return await stream.feedStream(context, target, input, { batch, store });
    } finally {
      await pool.close();
    }
  } finally {
    input?.close();
  }
}

/** Parses `--durability` and `--retry-delay`; their code is loaded only if they are given. */
async function settings(context: CommandContext): Promise<{ flush: boolean; delayMs: number }> {
  const durability = context.args.text("durability");
  const delay = context.args.text("retry-delay");
  if (durability === undefined && delay === undefined) return { flush: false, delayMs: 50 };
  const { parseDurability, parseDuration } = await import("../text/units.ts");
  const flush = durability !== undefined && parseDurability(durability) === "flush";
  return { flush, delayMs: delay === undefined ? 50 : parseDuration(delay) };
}

/** Encodes `DATA`, before anything is opened or created; undefined if there is none. */
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
  const isPlain = conditions === undefined && format === undefined && !mayBeMessage(data);
  const sink = new RecordSink(batch, {
    tags: args.texts("tag"),
    // What has no member `meta` is no complete message, even if it has four members.
    dataOnly: args.has("data") || isPlain,
    complete: isPlain ? undefined : (await import("../text/complete_messages.ts")).CompleteMessages,
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

/** Whether the text may have a member `meta`, possibly with escapes. */
function mayBeMessage(json: string): boolean {
  return json.includes('"meta"') || json.includes("\\");
}

/** Stores the collected messages and prints receipts. */
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
