/**
 * The JSON text of a message and of a receipt, as the command line and the server print them.
 *
 * @module
 */

import type { Buf } from "../bytes.ts";
import type { MessageView } from "../lite3/message.ts";
import { printAscii, printJson, printU64 } from "../lite3/print.ts";
import { printTime } from "./time.ts";

/**
 * Appends `{"data":…,"meta":{"tags":[…]},"seq":N,"time":"…"}`. When it throws, `out.len` is what
 * it was.
 *
 * @throws {PlasmiteError} Corrupt, if the payload cannot be read
 */
export function printEnvelope(view: MessageView, out: Buf): void {
  const start = out.len;
  try {
    out.reserve(64);
    out.len = printAscii(out.dv, out.len, '{"data":');
    printJson(view.doc, view.dataAt, out);
    printTail(view, out);
  } catch (error) {
    out.len = start;
    throw error;
  }
}

function printTail(view: MessageView, out: Buf): void {
  out.reserve(64);
  out.len = printAscii(out.dv, out.len, ',"meta":{"tags":[');
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
  const text = new TextEncoder().encode(`{"meta":{"tags":${JSON.stringify(tags).slice(0, -1)}`);
  out.reserve(text.length);
  out.u8.set(text, out.len);
  out.len += text.length;
  printSeqTime(seqLo, seqHi, timeLo, timeHi, out);
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
  let o = printAscii(dv, out.len, ']},"seq":');
  o = printU64(dv, o, seqLo, seqHi);
  out.len = printAscii(dv, o, ',"time":"');
  printTime(timeLo, timeHi, out);
  out.len = printAscii(out.dv, out.len, '"}');
}
