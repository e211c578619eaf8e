/**
 * Information about a pool in answers (docs/spec/http-api.md 2, PoolInfo).
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
import { float, Json, jsonText } from "../lib/text/json_exact.ts";
import type { GrantedPools } from "./pools.ts";

/**
 * The document of one pool.
 *
 * @param name the name as given by the caller
 */
export function poolJson(info: PoolInfo, name: string, pools: GrantedPools): Json {
  const { error } = info;
  return new Json(jsonText({
    name,
    path: pools.shown(info.path),
    ...sizesDocument(info),
    bounds: boundsDocument(info),
    metrics: metricsDocument(info, float),
    retention: retentionDocument(info),
    error: error && { kind: error.kindName, message: error.message },
  }));
}
