/**
 * A pool's numbers as the tools and the HTTP interface print them (docs/spec/http-api.md 2,
 * PoolInfo).
 *
 * @module
 */

import type { PoolInfo } from "../lib/backend/local/info.ts";
import { formatTime } from "../lib/text/time.ts";
import { Json, jsonText } from "./json.ts";
import type { GrantedPools } from "./pools.ts";

function time(ns: bigint | null): string | null {
  return ns === null ? null : formatTime(ns);
}

/**
 * The document of one pool.
 *
 * @param name as the caller called it
 */
export function described(info: PoolInfo, name: string, pools: GrantedPools): Json {
  const { metrics, bounds, retention, error } = info;
  return new Json(jsonText({
    name,
    path: pools.shown(info.path),
    file_size: info.fileSize,
    index_offset: info.indexOffset,
    index_capacity: info.indexCapacity,
    index_size_bytes: info.indexSizeBytes,
    ring_offset: info.ringOffset,
    ring_size: info.ringSize,
    bounds: { oldest: bounds.oldestSeq ?? undefined, newest: bounds.newestSeq ?? undefined },
    metrics: metrics && {
      message_count: metrics.messageCount,
      seq_span: metrics.seqSpan,
      utilization: {
        used_bytes: metrics.utilization.usedBytes,
        free_bytes: metrics.utilization.freeBytes,
        used_percent: percent(metrics.utilization.usedPercent),
      },
      age: {
        oldest_time: time(metrics.age.oldestTimeNs),
        newest_time: time(metrics.age.newestTimeNs),
        oldest_age_ms: metrics.age.oldestAgeMs,
        newest_age_ms: metrics.age.newestAgeMs,
      },
    },
    retention: retention && {
      max_age_ms: retention.maxAgeMs,
      oldest_live: retention.oldestLiveSeq,
      expired: retention.expired,
    },
    error: error && { kind: error.kindName, message: error.message },
  }));
}

/** A double, with `.0` when it is whole. */
function percent(value: number): Json {
  return new Json(Number.isInteger(value) ? `${value}.0` : String(value));
}
