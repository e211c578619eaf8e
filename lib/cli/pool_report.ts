/**
 * Information about a pool as a document and as text, for `pool create`, `info` and `list`
 * (docs/spec/command-line.md 4.2).
 *
 * @module
 */

import type { PoolInfo } from "../backend/local/info.ts";
import {
  boundsDocument,
  metricsDocument,
  retentionDocument,
  sizesDocument,
} from "../backend/pool_document.ts";
import { Float, type Json } from "./output.ts";

/**
 * The document of one pool.
 *
 * @param whole whether to include the age limit even if there is none
 */
export function infoJson(
  info: PoolInfo,
  name: string,
  whole: boolean,
): { [key: string]: Json | undefined } {
  const { retention, stream } = info;
  const isLimited = (retention?.maxAgeMs ?? null) !== null;
  const sizes = sizesDocument(info);
  return {
    name,
    path: info.path,
    ...(stream === undefined ? sizes : { file_size: info.fileSize, ...stream }),
    bounds: boundsDocument(info),
    metrics: metricsDocument(info, (value) => new Float(value)),
    retention: whole || isLimited ? retentionDocument(info) : undefined,
  };
}

/** The rate of messages per second over the retained span; undefined if unknown. */
export function messageRate(info: PoolInfo): number | undefined {
  if (info.metrics === undefined) return undefined;
  const { messageCount, age: { oldestTimeNs, newestTimeNs } } = info.metrics;
  if (oldestTimeNs === null || newestTimeNs === null) return undefined;
  const seconds = Number(newestTimeNs - oldestTimeNs) / 1e9;
  return seconds > 0 ? Number(messageCount - 1n) / seconds : undefined;
}

/** A rate in a suitable unit: `1.2K/s`, `3.5/s`, `12/min`, `4.0/h`, `0.5/day`. */
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
