/**
 * A pool's numbers as a document and as text: what `pool create`, `info` and `list` share
 * (docs/spec/command-line.md 4.2).
 *
 * @module
 */

import type { PoolInfo } from "../backend/local/info.ts";
import { formatTime } from "../text/time.ts";
import { Float, type Json } from "./output.ts";

/** The document of one pool; bounds are absent and ages null when it is empty. */
export function infoJson(info: PoolInfo, name: string): { [key: string]: Json | undefined } {
  const { metrics, stream } = info;
  const file = {
    index_offset: info.indexOffset,
    index_capacity: info.indexCapacity,
    index_size_bytes: info.indexSizeBytes,
    ring_offset: info.ringOffset,
    ring_size: info.ringSize,
  };
  return {
    name,
    path: info.path,
    file_size: info.fileSize,
    ...(stream === undefined ? file : { ...stream }),
    bounds: boundsJson(info),
    metrics: metrics && {
      message_count: metrics.messageCount,
      seq_span: metrics.seqSpan,
      utilization: {
        used_bytes: metrics.utilization.usedBytes,
        free_bytes: metrics.utilization.freeBytes,
        used_percent: new Float(metrics.utilization.usedPercent),
      },
      age: {
        oldest_time: timeOrNull(metrics.age.oldestTimeNs),
        newest_time: timeOrNull(metrics.age.newestTimeNs),
        oldest_age_ms: metrics.age.oldestAgeMs,
        newest_age_ms: metrics.age.newestAgeMs,
      },
    },
  };
}

/** `{"newest":N,"oldest":N}`, or `{}` for an empty pool. */
export function boundsJson(info: PoolInfo): { [key: string]: Json | undefined } {
  const { oldestSeq, newestSeq } = info.bounds;
  return { oldest: oldestSeq ?? undefined, newest: newestSeq ?? undefined };
}

function timeOrNull(ns: bigint | null): string | null {
  return ns === null ? null : formatTime(ns);
}

/** Messages a second over the retained span, or undefined when it cannot be told. */
export function messageRate(info: PoolInfo): number | undefined {
  if (info.metrics === undefined) return undefined;
  const { messageCount, age: { oldestTimeNs, newestTimeNs } } = info.metrics;
  if (oldestTimeNs === null || newestTimeNs === null) return undefined;
  const seconds = Number(newestTimeNs - oldestTimeNs) / 1e9;
  return seconds > 0 ? Number(messageCount - 1n) / seconds : undefined;
}

/** A rate in the unit that reads best: `1.2K/s`, `3.5/s`, `12/min`, `4.0/h`, `0.5/day`. */
export function humanRate(perSecond: number | undefined): string {
  if (perSecond === undefined) return "-";
  if (perSecond >= 1e6) return `${(perSecond / 1e6).toFixed(1)}M/s`;
  if (perSecond >= 1e3) return `${(perSecond / 1e3).toFixed(1)}K/s`;
  const units: [number, string][] = [[1, "s"], [60, "min"], [3600, "h"]];
  for (const [length, unit] of units) {
    const rate = perSecond * length;
    if (rate >= 1) return `${rate >= 10 ? Math.round(rate) : rate.toFixed(1)}/${unit}`;
  }
  return `${(perSecond * 86400).toFixed(1)}/day`;
}
