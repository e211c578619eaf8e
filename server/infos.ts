/**
 * Information about a pool as JSON text (docs/spec/http-api.md 2, PoolInfo).
 *
 * @module
 */

import type { PoolInfo } from "../lib/backend/local/info.ts";
import {
  boundsDocument,
  metricsDocument,
  retentionDocument,
  sizesDocument,
} from "../lib/backend/pool_document.ts";
import type { Gap } from "../lib/types.ts";
import { float, Json, jsonText } from "../lib/text/json_exact.ts";
import { errorJson } from "./errors.ts";

/** Like {@linkcode infoJson}, for a caller who may not read the pool. */
export function briefJson(info: PoolInfo, name: string): string {
  return jsonText(brief(info, name));
}

function brief(info: PoolInfo, name: string): { readonly [name: string]: string | number } {
  // Clients need a string as `path`, but not the location on the server: the file name is enough.
  const path = info.path.slice(info.path.lastIndexOf("/") + 1);
  return { name, path, ...sizesDocument(info) };
}

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
  const { error, lastSeq, retention } = info;
  const hasLimit = retention !== undefined && retention.maxAgeMs !== null;
  return jsonText({
    ...brief(info, name),
    identity: followers === undefined ? undefined : info.identity,
    bounds: boundsDocument(info),
    metrics: metricsDocument(info, float),
    retention: hasLimit || followers !== undefined ? retentionDocument(info) : undefined,
    last_seq: followers === undefined ? undefined : lastSeq,
    followers,
    unreadable: unreadable.length === 0
      ? undefined
      : unreadable.map(({ first, last }) => ({ from: first, to: last })),
    error: error && new Json(errorJson(error).slice('{"error":'.length, -1)),
  });
}
