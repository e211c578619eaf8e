/**
 * Prints a receipt, or the message, for each message that `feed` stores
 * (docs/spec/command-line.md 2.3).
 *
 * @module
 */

import { Buf, printAscii, printU64 } from "../bytes.ts";
import type { FrameBatch } from "../pool/batch.ts";
import { printTime } from "../text/time.ts";
import type { CommandContext } from "./context.ts";

/** Messages that were stored. */
export interface StoredRun {
  /** The frames. */
  readonly batch: FrameBatch;
  /** The index of the first one, and their number. */
  readonly from: number;
  readonly count: number;
  /** The sequence number of the first one. */
  readonly first: bigint;
  /** Whether messages may have their own tags. */
  readonly ownTags: boolean;
  /** Whether they were stored earlier, under the same ids. */
  readonly isDuplicate?: boolean;
}

/** Prints receipts; must write everything before it returns. */
export type PrintStored = (run: StoredRun) => void;

/**
 * Chooses the printer for the command line.
 *
 * @param tags the tags of messages without own tags
 * @param ownTags whether messages may have own tags, or be duplicates
 */
export async function receiptPrinter(
  context: CommandContext,
  tags: readonly string[],
  ownTags: boolean,
): Promise<PrintStored> {
  const { format, indented, stdout } = context;
  const isShort = (format === undefined && !stdout.isTerminal) || format === "document";
  if (isShort && !indented && !ownTags) return shortReceipts(context, tags);
  const { documents, messages, ownReceipts, terminalReceipts } = await import("./stored.ts");
  if (format !== undefined && format !== "document") return await messages(context);
  if (!isShort) return terminalReceipts(context);
  if (indented) return documents(context, tags);
  const short = shortReceipts(context, tags);
  const own = ownReceipts(context);
  return (run) => run.ownTags ? own(run) : short(run);
}

/** The hot path: one line per message; the text of the tags is made once. */
function shortReceipts(context: CommandContext, tags: readonly string[]): PrintStored {
  const out = new Buf(64 * 1024);
  const prefix = new TextEncoder().encode(`{"meta":{"tags":${JSON.stringify(tags)}},"seq":`);
  return (run) => {
    out.clear();
    const { batch } = run;
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
    context.stdout.write(out.bytes());
  };
}
