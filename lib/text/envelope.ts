/**
 * The JSON text of a message and of a receipt, as the command line and the server print them.
 *
 * @module
 */

import { type Buf, FixedText, printU64 } from "../bytes.ts";
import type { MessageView } from "../lite3/message.ts";
import { printJson } from "../lite3/print.ts";
import { printTime } from "./time.ts";

let fixed: { data: FixedText; meta: FixedText; seq: FixedText; time: FixedText } | undefined;

/** The start of the last receipt. */
let receipt: { readonly tags: readonly string[]; readonly text: Uint8Array } | undefined;

/** The fixed text between the values, prepared on first use. */
function fixedTexts(): { data: FixedText; meta: FixedText; seq: FixedText; time: FixedText } {
  return fixed ??= {
    data: new FixedText('{"data":'),
    meta: new FixedText(',"meta":{"tags":['),
    seq: new FixedText(']},"seq":'),
    time: new FixedText(',"time":"'),
  };
}

/**
 * Appends `{"data":…,"meta":{"tags":[…]},"seq":N,"time":"…"}`. If it throws, `out.len` is
 * unchanged.
 *
 * @throws {PlasmiteError} Corrupt, if the payload cannot be read
 */
export function printEnvelope(view: MessageView, out: Buf): void {
  const start = out.len;
  try {
    out.reserve(64);
    out.len = fixedTexts().data.print(out.dv, out.len);
    printJson(view.doc, view.dataAt, out);
    printTail(view, out);
  } catch (error) {
    out.len = start;
    throw error;
  }
}

function printTail(view: MessageView, out: Buf): void {
  out.reserve(64);
  out.len = fixedTexts().meta.print(out.dv, out.len);
  for (let i = 0; i < view.tagCount; i++) {
    if (i > 0) {
      out.reserve(1);
      out.dv.setUint8(out.len++, 0x2c);
    }
    printJson(view.doc, view.tagAt(i), out);
  }
  printSeqTime(view.seqLo, view.seqHi, view.timeLo, view.timeHi, out);
}

/**
 * Appends `{"meta":{"tags":[…]},"seq":N,"time":"…"}`, which `feed` prints for a message it has
 * appended. The four numbers are u32 halves.
 */
export function printReceipt(
  tags: readonly string[],
  seqLo: number,
  seqHi: number,
  timeLo: number,
  timeHi: number,
  out: Buf,
): void {
  // All messages of one feed usually have the same tags.
  let head = receipt;
  if (head === undefined || !sameTexts(head.tags, tags)) {
    const json = `{"meta":{"tags":${JSON.stringify(tags).slice(0, -1)}`;
    head = receipt = { tags: [...tags], text: new TextEncoder().encode(json) };
  }
  out.reserve(head.text.length);
  out.u8.set(head.text, out.len);
  out.len += head.text.length;
  printSeqTime(seqLo, seqHi, timeLo, timeHi, out);
}

function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i]);
}

function printSeqTime(
  seqLo: number,
  seqHi: number,
  timeLo: number,
  timeHi: number,
  out: Buf,
): void {
  out.reserve(96);
  const { dv } = out;
  const { seq, time } = fixedTexts();
  const o = printU64(dv, seq.print(dv, out.len), seqLo, seqHi);
  out.len = time.print(dv, o);
  printTime(timeLo, timeHi, out);
  out.dv.setUint16(out.len, 0x7d22, true);
  out.len += 2;
}
