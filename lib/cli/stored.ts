/**
 * The output of `feed` that is made from the stored messages (docs/spec/command-line.md 2.3); plain
 * receipts are in `receipts.ts`.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { MessageView } from "../lite3/message.ts";
import { printReceipt } from "../text/envelope.ts";
import { formatTime } from "../text/time.ts";
import { escapeControls } from "../visible.ts";
import type { CommandContext } from "./context.ts";
import { MessageWriter } from "./message_writer.ts";
import { toJson } from "./output.ts";
import type { PrintStored, StoredRun } from "./receipts.ts";

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
    view.open(u8, dv, batch.payloadAt(i), batch.payloadOf(i));
    yield view;
  }
}

/** The messages themselves. */
export async function messages(context: CommandContext): Promise<PrintStored> {
  const writer = await MessageWriter.open(context, { dataOnly: false, plain: "document" });
  return (run) => {
    for (const view of views(run)) writer.write(view);
    writer.flush();
  };
}

/** One line of text for each message. */
export function terminalReceipts(context: CommandContext): PrintStored {
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

/** Receipts as indented documents. */
export function documents(context: CommandContext, tags: readonly string[]): PrintStored {
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

/** One line for each message, with its tags. */
export function ownReceipts(context: CommandContext): PrintStored {
  const out = new Buf(64 * 1024);
  return (run) => {
    out.clear();
    for (const v of views(run)) {
      if (run.isDuplicate === true) {
        const { seq, timestampNs } = v;
        const meta = { tags: v.tags() };
        const receipt = { duplicate: true, meta, seq, time: formatTime(timestampNs) };
        context.stdout.text(`${toJson(receipt)}\n`);
        continue;
      }
      printReceipt(v.tags(), v.seqLo, v.seqHi, v.timeLo, v.timeHi, out);
      out.reserve(1);
      out.dv.setUint8(out.len++, 0x0a);
    }
    context.stdout.write(out.bytes());
  };
}
