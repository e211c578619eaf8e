/**
 * The newest message that matches, without reading the others.
 *
 * @module
 */

import { advance } from "./advance.ts";
import { storedOf } from "./frames.ts";
import type { PoolHandle, Selection, StoredFrame } from "./types.ts";

/** The newest message of a selection; null if there is none. */
export async function newestOf(
  pool: Pick<PoolHandle, "select">,
  selection: Selection,
  signal?: AbortSignal,
): Promise<StoredFrame | null> {
  const walk = await pool.select({ ...selection, last: 1 });
  try {
    return await advance(walk, signal) ? storedOf(walk.frame) : null;
  } finally {
    walk.close();
  }
}
