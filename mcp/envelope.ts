/**
 * A stored message as JSON text.
 *
 * @module
 */

import type { StoredFrame } from "../lib/backend/types.ts";
import { Message } from "../lib/client/message.ts";

/** The sequence number in an envelope that was printed here: near its end, after the data. */
export function seqOf(envelope: string): bigint {
  return BigInt(/"seq":(\d+),"time":"[^"]*"\}$/.exec(envelope)?.[1] ?? "0");
}

/** The envelope of a message. */
export function envelopeOf(
  { seq, timestampNs, payload }: Pick<StoredFrame, "seq" | "timestampNs" | "payload">,
): string {
  return new TextDecoder().decode(
    new Message(seq, timestampNs, { payload, integers: "auto" }).raw,
  );
}
