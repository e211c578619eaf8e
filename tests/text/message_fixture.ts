/**
 * Messages in memory for tests: JSON text in, a `MessageView` out.
 *
 * @module
 */

import "../support/environment.ts";
import { Buf } from "../../lib/bytes.ts";
import { Lite3Encoder } from "../../lib/lite3/encode.ts";
import { MessageView } from "../../lib/lite3/message.ts";

/** What surrounds the data of a test message. */
export interface MessageOptions {
  tags?: readonly string[];
  seq?: bigint;
  timeNs?: bigint;
}

/** Encodes `data` (JSON text of an object) and opens the result. */
export function message(data: string, options: MessageOptions = {}): MessageView {
  const { tags = [], seq = 7n, timeNs = 1_770_000_000_123_456_789n } = options;
  const out = new Buf(1024);
  const text = new TextEncoder().encode(data);
  new Lite3Encoder(out).messageFromJson(text, 0, text.length, tags);
  const view = new MessageView();
  view.open(out.u8, out.dv, 0, out.len);
  view.seqLo = Number(seq & 0xffffffffn);
  view.seqHi = Number(seq >> 32n);
  view.timeLo = Number(timeNs & 0xffffffffn);
  view.timeHi = Number(timeNs >> 32n);
  return view;
}
