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

const ZERO = 0x30;
const NINE = 0x39;

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

/**
 * The hot path: one line per message; the text of the tags is made once. Most lines differ from the
 * one before only in the last digits of the number.
 */
function shortReceipts(context: CommandContext, tags: readonly string[]): PrintStored {
  const out = new Buf(64 * 1024);
  const prefix = new TextEncoder().encode(`{"meta":{"tags":${JSON.stringify(tags)}},"seq":`);
  return ({ batch, from, count, first }) => {
    out.clear();
    let lo = Number(first & 0xffff_ffffn);
    let hi = Number(first >> 32n);
    /** Where the line before starts, and its last digit is; -1 if there is none like this. */
    let line = -1;
    let digit = -1;
    let timeLo = 0;
    let timeHi = 0;
    for (let i = from; i < from + count; i++) {
      out.reserve(prefix.length + 96);
      const start = out.len;
      const isLike = line >= 0 && batch.timeLo(i) === timeLo && batch.timeHi(i) === timeHi;
      if (isLike && repeatLine(out, line, digit)) digit += start - line;
      else {
        timeLo = batch.timeLo(i);
        timeHi = batch.timeHi(i);
        out.u8.set(prefix, start);
        const at = printU64(out.dv, start + prefix.length, lo, hi);
        digit = at - 1;
        out.len = printAscii(out.dv, at, ',"time":"');
        printTime(timeLo, timeHi, out);
        out.len = printAscii(out.dv, out.len, '"}\n');
      }
      line = start;
      lo = (lo + 1) >>> 0;
      if (lo === 0) hi++;
    }
    context.stdout.write(out.bytes());
  };
}

/**
 * Appends the line that starts at `line` and whose number ends at `digit` once more, with the number
 * after it; leaves that to the caller when the number gets longer.
 */
function repeatLine(out: Buf, line: number, digit: number): boolean {
  const { u8, len } = out;
  let at = digit;
  while (u8[at] === NINE) at--;
  const last = u8[at] ?? 0;
  if (last < ZERO || last > NINE) return false;
  u8.copyWithin(len, line, len);
  const moved = len - line;
  u8[at + moved] = last + 1;
  if (at < digit) u8.fill(ZERO, at + moved + 1, digit + moved + 1);
  out.len = len + moved;
  return true;
}
