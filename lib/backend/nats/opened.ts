/**
 * The stream that a pool was opened as. One that was deleted and created again has the same name,
 * and soon the same numbers and consumers, but other messages (docs/spec/jetstream.md 6).
 *
 * @module
 */

import { pause } from "../../timers.ts";
import type { Bounds } from "../../types.ts";
import { Code, deleted, hasCode, replaced } from "./errors.ts";
import type { Target } from "./publisher.ts";
import { boundsOf, type StreamInfo, streamInfo } from "./stream.ts";

/** How long a missing stream may take to reappear, in milliseconds. */
export const GRACE_MS = 1_000;

/** A stream, and when it was created. */
export interface Opened {
  readonly target: Target;
  /** The creation time. */
  readonly created: string;
}

/**
 * Describes the stream that was opened.
 *
 * @throws {PlasmiteError} NotFound if it was deleted, or another one has its name now
 */
export async function lookAt({ created, target }: Opened): Promise<StreamInfo> {
  const { link, path, stream } = target;
  const now = await streamInfo(link, stream, path).catch(async (error) => {
    if (!hasCode(error, Code.noStream)) throw error;
    await pause(GRACE_MS); // Servers that have just started may not know it yet.
    return await streamInfo(link, stream, path).catch((again) => {
      throw hasCode(again, Code.noStream) ? deleted(path) : again;
    });
  });
  if (now.created !== created) throw replaced(path);
  return now;
}

/** The range of messages of the stream that was opened. Throws the errors of {@linkcode lookAt}. */
export async function boundsAt(opened: Opened): Promise<Bounds> {
  return boundsOf(await lookAt(opened), opened.target.path);
}
