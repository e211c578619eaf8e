/**
 * Walks that read what is stored, and nothing that comes later.
 *
 * @module
 */

import type { Walk } from "./types.ts";

/** Moves to the next message, waiting for what is on its way; false at the end of the walk. */
export async function advance(walk: Walk, signal?: AbortSignal): Promise<boolean> {
  while (!walk.next()) {
    if (walk.ended) return false;
    await walk.wait(undefined, signal);
  }
  return true;
}
