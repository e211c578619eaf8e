/**
 * Information about a pool as the JSON text of servers (docs/spec/http-api.md 2, PoolInfo). Lists are
 * made of tens of thousands, so it is put together without a document in between.
 *
 * @module
 */

import type { Gap } from "../types.ts";
import { formatTime } from "../text/time.ts";
import type { PoolInfo, PoolMetrics, PoolRetention } from "./local/info.ts";

/** What a server knows of a pool besides. */
export interface PoolTextOptions {
  /**
   * The number of readers that follow the pool through this server; with it come `identity`,
   * `retention` and `last_seq`, which are not in v0. Without it, `retention` is included only if
   * there is a limit.
   */
  readonly followers?: number | undefined;
  /** The messages that are known to be damaged. */
  readonly unreadable?: readonly Gap[];
  /** The error of the pool as JSON text. */
  readonly error?: string | undefined;
}

/** The members of a pool of which its caller may not know the content; without braces. */
function sizesText(info: PoolInfo, name: string): string {
  // Clients need a string as `path`, but not the location on the server: the file name is enough.
  const path = info.path.slice(info.path.lastIndexOf("/") + 1);
  return `"name":${JSON.stringify(name)},"path":${JSON.stringify(path)}` +
    `,"file_size":${info.fileSize},"index_offset":${info.indexOffset}` +
    `,"index_capacity":${info.indexCapacity},"index_size_bytes":${info.indexSizeBytes}` +
    `,"ring_offset":${info.ringOffset},"ring_size":${info.ringSize}`;
}

/** Like {@linkcode poolText}, for a caller who may not read the pool. */
export function briefPoolText(info: PoolInfo, name: string): string {
  return `{${sizesText(info, name)}}`;
}

/**
 * Information about a pool.
 *
 * @param name the name in the request
 */
export function poolText(
  info: PoolInfo,
  name: string,
  { followers, unreadable = [], error }: PoolTextOptions = {},
): string {
  const { identity, lastSeq, metrics, retention } = info;
  const { oldestSeq, newestSeq } = info.bounds;
  const isFull = followers !== undefined;
  let text = `{${sizesText(info, name)}`;
  if (isFull && identity !== undefined) text += `,"identity":"${identity}"`;
  text += oldestSeq === null || newestSeq === null
    ? ',"bounds":{}'
    : `,"bounds":{"oldest":${oldestSeq},"newest":${newestSeq}}`;
  if (metrics !== undefined) text += metricsText(metrics);
  if (retention !== undefined && (isFull || retention.maxAgeMs !== null)) {
    text += retentionText(retention);
  }
  if (isFull && lastSeq !== undefined) text += `,"last_seq":${lastSeq}`;
  if (isFull) text += `,"followers":${followers}`;
  if (unreadable.length > 0) {
    const ranges = unreadable.map(({ first, last }) => `{"from":${first},"to":${last}}`);
    text += `,"unreadable":[${ranges}]`;
  }
  if (error !== undefined) text += `,"error":${error}`;
  return `${text}}`;
}

function metricsText({ messageCount, seqSpan, utilization, age }: PoolMetrics): string {
  const { usedBytes, freeBytes, usedPercent } = utilization;
  const percent = Number.isInteger(usedPercent) ? `${usedPercent}.0` : usedPercent;
  const { oldestTimeNs, newestTimeNs } = age;
  const oldest = timeText(oldestTimeNs);
  const newest = newestTimeNs === oldestTimeNs ? oldest : timeText(newestTimeNs);
  return `,"metrics":{"message_count":${messageCount},"seq_span":${seqSpan},"utilization":{` +
    `"used_bytes":${usedBytes},"free_bytes":${freeBytes},"used_percent":${percent}},"age":{` +
    `"oldest_time":${oldest},"newest_time":${newest}` +
    `,"oldest_age_ms":${age.oldestAgeMs},"newest_age_ms":${age.newestAgeMs}}}`;
}

function timeText(ns: bigint | null): string {
  return ns === null ? "null" : `"${formatTime(ns)}"`;
}

function retentionText({ maxAgeMs, oldestLiveSeq, expired }: PoolRetention): string {
  return `,"retention":{"max_age_ms":${maxAgeMs},"oldest_live":${oldestLiveSeq}` +
    `,"expired":${expired}}`;
}
