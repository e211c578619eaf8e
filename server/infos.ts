/**
 * Information about a pool as JSON text (docs/spec/http-api.md 2, PoolInfo).
 *
 * @module
 */

import type { PoolInfo } from "../lib/backend/local/info.ts";
import { briefPoolText, poolText } from "../lib/backend/pool_text.ts";
import type { Gap } from "../lib/types.ts";
import { errorJson } from "./errors.ts";

/** Like {@linkcode infoJson}, for a caller who may not read the pool. */
export const briefJson = briefPoolText;

/**
 * Information about a pool.
 *
 * @param name the name in the request
 * @param followers the number of readers that follow the pool through this server; with it come
 *   `identity`, `retention` and `last_seq`, which are not in v0. Without it, `retention` is included
 *   only if there is a limit
 * @param unreadable the messages that are known to be damaged
 */
export function infoJson(
  info: PoolInfo,
  name: string,
  followers?: number,
  unreadable: readonly Gap[] = [],
): string {
  const error = info.error && errorJson(info.error).slice('{"error":'.length, -1);
  return poolText(info, name, { followers, unreadable, error });
}
