/**
 * What a pool says about itself, as JSON text (docs/spec/http-api.md 2, PoolInfo).
 *
 * @module
 */

import type { PoolInfo } from "../lib/backend/local/info.ts";
import { formatTime } from "../lib/text/time.ts";
import { errorJson } from "./errors.ts";

/** A number that is printed with a fraction even when it is whole, as the reference does. */
function float(value: number): string {
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}

function timeText(ns: bigint | null): string {
  return ns === null ? "null" : `"${formatTime(ns)}"`;
}

function sizes(info: PoolInfo, name: string): string {
  // Clients need a string here, not where the pool is: the file's name is enough.
  const file = info.path.slice(info.path.lastIndexOf("/") + 1);
  return `"name":${JSON.stringify(name)},"path":${JSON.stringify(file)},` +
    `"file_size":${info.fileSize},"index_offset":${info.indexOffset},` +
    `"index_capacity":${info.indexCapacity},"index_size_bytes":${info.indexSizeBytes},` +
    `"ring_offset":${info.ringOffset},"ring_size":${info.ringSize}`;
}

/**
 * A pool's object with its name as asked. `brief` leaves out what tells of its content; `followers`
 * (streams of this server) is ours beyond v0, for the page, and so are `retention` and
 * `last_seq` with it; elsewhere `retention` is there if there is a limit.
 */
export function infoJson(
  info: PoolInfo,
  name: string,
  brief = false,
  followers?: number,
): string {
  if (brief) return `{${sizes(info, name)}}`;
  const { bounds, metrics, retention, error } = info;
  const parts = [sizes(info, name)];
  parts.push(
    bounds.oldestSeq === null
      ? '"bounds":{}'
      : `"bounds":{"oldest":${bounds.oldestSeq},"newest":${bounds.newestSeq}}`,
  );
  if (metrics !== undefined) {
    const { utilization: use, age } = metrics;
    parts.push(
      `"metrics":{"message_count":${metrics.messageCount},"seq_span":${metrics.seqSpan},` +
        `"utilization":{"used_bytes":${use.usedBytes},"free_bytes":${use.freeBytes},` +
        `"used_percent":${float(use.usedPercent)}},` +
        `"age":{"oldest_time":${timeText(age.oldestTimeNs)},` +
        `"newest_time":${timeText(age.newestTimeNs)},` +
        `"oldest_age_ms":${age.oldestAgeMs},"newest_age_ms":${age.newestAgeMs}}}`,
    );
  }
  if (retention !== undefined && (retention.maxAgeMs !== null || followers !== undefined)) {
    parts.push(
      `"retention":{"max_age_ms":${retention.maxAgeMs},` +
        `"oldest_live":${retention.oldestLiveSeq},"expired":${retention.expired}}`,
    );
  }
  if (followers !== undefined) {
    const last = info.lastSeq === undefined ? "" : `"last_seq":${info.lastSeq},`;
    parts.push(`${last}"followers":${followers}`);
  }
  if (error !== undefined) parts.push(errorJson(error).slice(1, -1));
  return `{${parts.join(",")}}`;
}
