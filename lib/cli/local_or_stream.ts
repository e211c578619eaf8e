/**
 * Commands that work on local pools and on streams.
 *
 * @module
 */

import { isNats, isUrl } from "../backend/refs.ts";
import { localPool, type PoolRef, resolvePool } from "../backend/resolve.ts";
import type { CommandContext } from "./context.ts";
import { refuseUrl } from "./refuse_url.ts";

/** A pool that is created or deleted by its name: a local one, or a stream. Throws Usage. */
export async function localOrStream(context: CommandContext, name: string): Promise<PoolRef> {
  if (!isUrl(name)) return localPool(name, context);
  if (!isNats(name)) refuseUrl(context, name);
  return await resolvePool(name, context);
}
