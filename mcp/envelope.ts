/**
 * A stored message as JSON text.
 *
 * @module
 */

import type { StoredFrame } from "../lib/backend/types.ts";
import { Message } from "../lib/client/message.ts";

/** The envelope of a message. */
export function envelopeOf(
  { seq, timestampNs, payload }: Pick<StoredFrame, "seq" | "timestampNs" | "payload">,
): string {
  return new TextDecoder().decode(
    new Message(seq, timestampNs, { payload, integers: "auto" }).raw,
  );
}
