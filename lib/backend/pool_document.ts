/**
 * The parts of the document about a pool that the command line, the server and the agents print
 * (docs/spec/command-line.md 4.2, docs/spec/http-api.md 2).
 *
 * @module
 */

import { formatTime } from "../text/time.ts";
import type { PoolInfo } from "./local/info.ts";

function timeOrNull(ns: bigint | null): string | null {
  return ns === null ? null : formatTime(ns);
}

/** Sizes and offsets of the file, in bytes. */
export function sizesDocument(info: PoolInfo): { readonly [name: string]: number } {
  return {
    file_size: info.fileSize,
    index_offset: info.indexOffset,
    index_capacity: info.indexCapacity,
    index_size_bytes: info.indexSizeBytes,
    ring_offset: info.ringOffset,
    ring_size: info.ringSize,
  };
}

/** The first and last retained sequence number; no members for an empty pool. */
export function boundsDocument({ bounds }: PoolInfo): { readonly [name: string]: bigint } {
  const { oldestSeq, newestSeq } = bounds;
  return oldestSeq === null || newestSeq === null ? {} : { oldest: oldestSeq, newest: newestSeq };
}

/** Use and age. */
export interface MetricsDocument<F> {
  readonly [name: string]: bigint | { readonly [name: string]: number | string | null | F };
}

/**
 * Use and age; undefined if they are unknown.
 *
 * @param float marks a number to be printed with a fraction even if it is an integer
 */
export function metricsDocument<F>(
  { metrics }: PoolInfo,
  float: (value: number) => F,
): MetricsDocument<F> | undefined {
  if (metrics === undefined) return undefined;
  const { messageCount, seqSpan, utilization, age } = metrics;
  return {
    message_count: messageCount,
    seq_span: seqSpan,
    utilization: {
      used_bytes: utilization.usedBytes,
      free_bytes: utilization.freeBytes,
      used_percent: float(utilization.usedPercent),
    },
    age: {
      oldest_time: timeOrNull(age.oldestTimeNs),
      newest_time: timeOrNull(age.newestTimeNs),
      oldest_age_ms: age.oldestAgeMs,
      newest_age_ms: age.newestAgeMs,
    },
  };
}

/** The age limit and what has expired; undefined if it is unknown. */
export function retentionDocument(
  { retention }: PoolInfo,
): { readonly [name: string]: number | bigint | null } | undefined {
  return retention && {
    max_age_ms: retention.maxAgeMs,
    oldest_live: retention.oldestLiveSeq,
    expired: retention.expired,
  };
}
