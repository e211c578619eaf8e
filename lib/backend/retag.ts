/**
 * Copies of messages with other tags.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { MessageView } from "../lite3/message.ts";
import { printJson } from "../lite3/print.ts";
import type { FrameBatch } from "../pool/batch.ts";

/**
 * Adds a message to a batch.
 *
 * @param payload its Lite3 document; it is added unchanged if the tags stay the same
 * @param retag returns the new tags given the existing ones; it may only add tags
 * @param time its time in nanoseconds since 1970, in two halves
 */
export function addRetagged(
  batch: FrameBatch,
  payload: Uint8Array<ArrayBuffer>,
  retag: (tags: readonly string[]) => readonly string[],
  time: { readonly lo: number; readonly hi: number },
): void {
  const view = new MessageView();
  view.open(payload, new DataView(payload.buffer, payload.byteOffset), 0, payload.length);
  const tags = view.tags();
  const all = retag(tags);
  if (all.length === tags.length) return batch.addPayload(payload, time.lo, time.hi);
  const text = new Buf(2 * payload.length);
  printJson(view.doc, view.dataAt, text);
  const json = text.bytes();
  batch.beginFrame();
  batch.encoder.messageFromJson(json, 0, json.length, all);
  batch.endFrame(time.lo, time.hi);
}
