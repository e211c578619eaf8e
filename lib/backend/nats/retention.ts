/**
 * Changes the size and the age limit of a stream, and removes its oldest messages
 * (docs/spec/jetstream.md 3).
 *
 * @module
 */

import type { PoolChange, Trimmed, TrimTo } from "../types.ts";
import type { Link } from "./link.ts";
import { boundsNow, seqAt, type StreamInfo, streamInfo } from "./stream.ts";

const NS_PER_MS = 1_000_000;

/** A stream of a server. */
export interface NamedStream {
  readonly link: Link;
  readonly name: string;
  readonly path: string;
}

/** Changes a stream; everything else stays. */
export async function changeStream(
  { link, name, path }: NamedStream,
  { maxAgeMs, sizeBytes }: PoolChange,
): Promise<StreamInfo> {
  const { config } = await streamInfo(link, name, path);
  const age = maxAgeMs === undefined ? config.max_age ?? 0 : maxAgeMs * NS_PER_MS;
  const window = config.duplicate_window ?? 0;
  const changed = {
    ...config,
    max_age: age,
    max_bytes: sizeBytes ?? config.max_bytes,
    // Ids cannot be remembered for longer than messages.
    duplicate_window: age > 0 ? Math.min(window, age) : window,
  };
  return await link.api<StreamInfo>(`STREAM.UPDATE.${name}`, changed, path);
}

/** Removes the oldest messages of a stream. */
export async function trimStream(stream: NamedStream, to: TrimTo): Promise<Trimmed> {
  const { link, name, path } = stream;
  const request = await purgeRequest(stream, to);
  const dropped = request === null
    ? 0
    : (await link.api<{ readonly purged?: number }>(`STREAM.PURGE.${name}`, request, path))
      .purged ?? 0;
  return { dropped: BigInt(dropped), bounds: await boundsNow(link, name, path) };
}

/** What to purge; null for nothing. */
async function purgeRequest({ link, name, path }: NamedStream, to: TrimTo): Promise<object | null> {
  if ("keep" in to) return to.keep === 0n ? {} : { keep: Number(to.keep) };
  const { newest } = await boundsNow(link, name, path);
  const before = "before" in to ? to.before : await seqAt(link, name, to.olderThanNs, path);
  if (before > newest) return {};
  return before <= 1n ? null : { seq: Number(before) };
}
