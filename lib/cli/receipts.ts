/**
 * What `feed` prints for each stored message: a receipt, or the message
 * (docs/spec/command-line.md 2.3).
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { MessageView } from "../lite3/message.ts";
import { printAscii, printU64 } from "../lite3/print.ts";
import type { FrameBatch } from "../pool/batch.ts";
import { FRAME_HEADER } from "../pool/layout.ts";
import { printReceipt } from "../text/envelope.ts";
import { formatTime, printTime } from "../text/time.ts";
import { escapeControls } from "../visible.ts";
import type { CommandContext } from "./context.ts";
import { toJson } from "./output.ts";

/** Which messages were stored, and as what. */
export interface StoredRun {
  /** The frames. */
  readonly batch: FrameBatch;
  /** The first of them, and how many. */
  readonly from: number;
  readonly count: number;
  /** Sequence number of the first; the others follow. */
  readonly first: bigint;
  /** Whether messages may have tags of their own. */
  readonly ownTags: boolean;
  /** Whether they were stored earlier, under the same ids. */
  readonly isDuplicate?: boolean;
}

/** Prints for stored messages; nothing may be kept back when it returns. */
export type PrintStored = (run: StoredRun) => void;

/** Chooses what to print by the command line. */
export async function receiptPrinter(
  context: CommandContext,
  tags: readonly string[],
): Promise<PrintStored> {
  const { format, stdout } = context;
  if (format !== undefined && format !== "document") return await messages(context);
  if (format === undefined && stdout.isTerminal) return terminalReceipts(context);
  if (context.indented) return documents(context, tags);
  return compactReceipts(context, tags);
}

/** Each stored message in turn. */
function* views({ batch, from, count, first }: StoredRun): Generator<MessageView> {
  const { u8, dv } = batch.out;
  const view = new MessageView();
  for (let i = from; i < from + count; i++) {
    const seq = first + BigInt(i - from);
    view.seqLo = Number(seq & 0xffff_ffffn);
    view.seqHi = Number(seq >> 32n);
    view.timeLo = batch.timeLo(i);
    view.timeHi = batch.timeHi(i);
    view.open(u8, dv, batch.startOf(i) + FRAME_HEADER, batch.payloadOf(i));
    yield view;
  }
}

async function messages(context: CommandContext): Promise<PrintStored> {
  const { MessageWriter } = await import("./message_writer.ts");
  const writer = await MessageWriter.open(context, { dataOnly: false, plain: "document" });
  return (run) => {
    for (const view of views(run)) writer.write(view);
    writer.flush();
  };
}

function terminalReceipts(context: CommandContext): PrintStored {
  return (run) => {
    let text = "";
    for (const view of views(run)) {
      const tags = view.tags();
      const second = view.timestampNs - view.timestampNs % 1_000_000_000n;
      const what = run.isDuplicate === true ? "already stored" : "fed";
      text += `${what} seq=${view.seq} at ${formatTime(second)}`;
      text += tags.length > 0 ? `  tags: ${escapeControls(tags.join(","))}\n` : "\n";
    }
    context.stdout.text(text);
  };
}

function documents(context: CommandContext, tags: readonly string[]): PrintStored {
  return (run) => {
    for (const view of views(run)) {
      context.document({
        ...(run.isDuplicate === true ? { duplicate: true } : {}),
        meta: { tags: run.ownTags ? view.tags() : tags },
        seq: view.seq,
        time: formatTime(view.timestampNs),
      });
    }
  };
}

/** The hot path: one line each, the tags' text made once. */
function compactReceipts(context: CommandContext, tags: readonly string[]): PrintStored {
  const out = new Buf(64 * 1024);
  const prefix = new TextEncoder().encode(`{"meta":{"tags":${JSON.stringify(tags)}},"seq":`);
  return (run) => {
    out.clear();
    const { batch } = run;
    if (run.isDuplicate === true) {
      for (const view of views(run)) {
        const { seq, timestampNs } = view;
        const meta = { tags: view.tags() };
        const receipt = { duplicate: true, meta, seq, time: formatTime(timestampNs) };
        context.stdout.text(`${toJson(receipt)}\n`);
      }
      return;
    }
    if (run.ownTags) {
      for (const v of views(run)) {
        printReceipt(v.tags(), v.seqLo, v.seqHi, v.timeLo, v.timeHi, out);
        out.reserve(1);
        out.dv.setUint8(out.len++, 0x0a);
      }
    } else {
      let lo = Number(run.first & 0xffff_ffffn);
      let hi = Number(run.first >> 32n);
      for (let i = 0; i < run.count; i++) {
        out.reserve(prefix.length + 96);
        out.u8.set(prefix, out.len);
        const at = printU64(out.dv, out.len + prefix.length, lo, hi);
        out.len = printAscii(out.dv, at, ',"time":"');
        printTime(batch.timeLo(run.from + i), batch.timeHi(run.from + i), out);
        out.len = printAscii(out.dv, out.len, '"}\n');
        lo = (lo + 1) >>> 0;
        if (lo === 0) hi++;
      }
    }
    context.stdout.write(out.bytes());
  };
}
