/**
 * Encodes the data of an append as a message, for local and remote pools alike.
 *
 * @module
 */

import { messageOf, PlasmiteError } from "../errors.ts";
import { JsonSyntaxError, type Lite3Encoder } from "../lite3/encode.ts";
import { messageFromValue } from "../lite3/from_value.ts";
import type { FrameBatch } from "../pool/batch.ts";

/**
 * Encodes a message with the given data: a value, or JSON text as bytes.
 *
 * @throws {PlasmiteError} Usage when it is not a single JSON object that can be stored
 */
export function encodeMessage(
  encoder: Lite3Encoder,
  data: unknown,
  tags: readonly string[],
): void {
  try {
    if (data instanceof Uint8Array) encodeText(encoder, data, tags);
    else messageFromValue(encoder, data, tags);
  } catch (error) {
    if (PlasmiteError.is(error)) throw error;
    // Thrown by a getter, a toJSON or a proxy in the data.
    throw new PlasmiteError("Usage", "data cannot be read", {
      hint: "Pass a plain object.",
      causes: [messageOf(error)],
      cause: error,
    });
  }
}

function encodeText(encoder: Lite3Encoder, text: Uint8Array, tags: readonly string[]): void {
  const hint = "Pass one JSON object as UTF-8 text.";
  try {
    const end = encoder.messageFromJson(text, 0, text.length, tags);
    for (const [i, byte] of text.subarray(end).entries()) {
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) {
        throw new JsonSyntaxError(end + i, false, "text after the value");
      }
    }
  } catch (error) {
    if (PlasmiteError.is(error)) throw error.with({ hint });
    if (!(error instanceof JsonSyntaxError)) throw error;
    throw new PlasmiteError("Usage", "invalid json", {
      hint,
      causes: [`${error.message} at byte ${error.offset}`],
      cause: error,
    });
  }
}

/** Like {@linkcode encodeMessage}, but appends a frame with the given time to a batch. */
export function encodeValue(
  data: unknown,
  tags: readonly string[],
  time: { readonly lo: number; readonly hi: number },
): (batch: FrameBatch) => void {
  return (batch: FrameBatch): void => {
    batch.beginFrame();
    encodeMessage(batch.encoder, data, tags);
    batch.endFrame(time.lo, time.hi);
  };
}
