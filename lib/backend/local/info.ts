/**
 * Information about a pool: sizes, bounds, use and age.
 *
 * @module
 */

import type { PlasmiteError } from "../../errors.ts";
import { Cursor, MORE } from "../../pool/cursor.ts";
import { type State, usedBytes } from "../../pool/header.ts";
import { frameFrom } from "../../pool/frame.ts";
import type { Glimpse } from "../../pool/glance.ts";
import { FRAME_HEADER, HEADER_SIZE, type Layout, SLOT_SIZE } from "../../pool/layout.ts";
import type { Ring } from "../../pool/ring.ts";
import { inPlace, type Steps } from "../../storage/steps.ts";

/** The first and last retained sequence number; null when the pool is empty. */
export interface PoolBounds {
  /** The oldest retained sequence number. */
  readonly oldestSeq: bigint | null;
  /** The newest one. */
  readonly newestSeq: bigint | null;
}

/** How full a ring is and how old its messages are. */
export interface PoolMetrics {
  /** Number of retained messages. */
  readonly messageCount: bigint;
  /** `newest - oldest + 1`; equals the count, because retained messages are contiguous. */
  readonly seqSpan: bigint;
  /** Use of the ring in bytes, and in percent truncated to two decimals. */
  readonly utilization: {
    readonly usedBytes: number;
    readonly freeBytes: number;
    readonly usedPercent: number;
  };
  /** Times in nanoseconds since 1970 and ages in milliseconds; null when empty. */
  readonly age: {
    readonly oldestTimeNs: bigint | null;
    readonly newestTimeNs: bigint | null;
    readonly oldestAgeMs: number | null;
    readonly newestAgeMs: number | null;
  };
}

/** The age limit of a pool, and what has expired. */
export interface PoolRetention {
  /** The maximum age of messages in milliseconds; null for no limit. */
  readonly maxAgeMs: number | null;
  /** The oldest message that has not expired, where readers start; null if there is none. */
  readonly oldestLiveSeq: bigint | null;
  /** How many messages have expired but are still in the file. */
  readonly expired: bigint;
}

/**
 * Sizes in bytes, bounds and metrics of one pool.
 *
 * @example See how full a pool is
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool("demo");
 * pool.append({ n: 1 });
 * const info = client.poolInfo("demo");
 * console.assert(info.bounds.newestSeq === 1n && info.ringSize < info.fileSize);
 * console.assert((info.metrics?.utilization.usedPercent ?? 100) < 1);
 * ```
 */
export interface PoolInfo {
  /** The name or reference by which the pool was requested. */
  readonly name: string;
  /** The path of the file. */
  readonly path: string;
  /** Size of the file in bytes. */
  readonly fileSize: number;
  /** Offset of the index in the file, in bytes. */
  readonly indexOffset: number;
  /** Number of index slots. */
  readonly indexCapacity: number;
  /** Size of the index in bytes. */
  readonly indexSizeBytes: number;
  /** Offset of the ring in the file, in bytes. */
  readonly ringOffset: number;
  /** Size of the ring in bytes. */
  readonly ringSize: number;
  /** First and last sequence number in the file, whether expired or not. */
  readonly bounds: PoolBounds;
  /** Use and age. */
  readonly metrics?: PoolMetrics;
  /** The age limit; absent from older servers. */
  readonly retention?: PoolRetention;
  /**
   * The last sequence number assigned, even if no message is retained; absent from older servers.
   */
  readonly lastSeq?: bigint;
  /** How many of the server's streams and waits follow the pool; only in lists from servers. */
  readonly followers?: number;
  /**
   * The identity of the pool, 32 hex digits, if it has one; a new pool of the same name gets a
   * different one.
   */
  readonly identity?: string;
  /** The location of a NATS stream. */
  readonly stream?: StreamPlace;
  /** Last modification of the file in milliseconds since 1970; only in lists. */
  readonly mtimeMs?: number | null;
  /** Why the pool cannot be opened; only in lists. The numbers are then 0. */
  readonly error?: PlasmiteError;
}

/** The location of a NATS stream. */
export interface StreamPlace {
  /** The number of replicas. */
  readonly replicas: number;
  /** The server that leads the stream; null on a single server. */
  readonly leader: string | null;
  /** The server that answered. */
  readonly server: string;
  /** The version of that server. */
  readonly version: string;
}

/**
 * The time of message `seq`; null if it was overwritten in the meantime or cannot be read.
 *
 * @param place where its frame should be; -1 if that is not known
 */
function* timeOf(ring: Ring, seq: bigint, place: number): Steps<bigint | null> {
  if (place >= 0) {
    const { ringSize } = ring.layout;
    const item = frameFrom(ring.itemReader(FRAME_HEADER), place, ringSize);
    if (item.kind === "frame" && item.seq === seq) return item.time;
  }
  const cursor = new Cursor(ring, seq, true);
  let ready = cursor.fill(true);
  for (; ready === MORE; ready = cursor.fill(true)) yield "more";
  return ready > 0 && cursor.next() && cursor.seq === seq ? cursor.timestampNs : null;
}

function* retentionOf(ring: Ring, state: State): Steps<PoolRetention> {
  return retentionFrom(state, ring.maxAgeNs === 0n ? state : yield* ring.living(), ring.maxAgeNs);
}

/** @param live the state without the messages that have expired */
function retentionFrom({ oldest, newest }: State, live: State, maxAgeNs: bigint): PoolRetention {
  const end = newest + 1n;
  const first = live.oldest === 0n || live.oldest > end ? end : live.oldest;
  return {
    maxAgeMs: maxAgeNs === 0n ? null : Number(maxAgeNs / 1_000_000n),
    oldestLiveSeq: live.oldest === 0n ? null : live.oldest,
    expired: oldest === 0n || first < oldest ? 0n : first - oldest,
  };
}

function ageMs(now: bigint, then: bigint | null): number | null {
  return then === null ? null : Math.max(0, Number((now - then) / 1_000_000n));
}

/** The list entry of a pool that could not be read. */
export function unreadablePool(name: string, path: string, error: PlasmiteError): PoolInfo {
  return {
    name,
    path,
    fileSize: 0,
    indexOffset: 0,
    indexCapacity: 0,
    indexSizeBytes: 0,
    ringOffset: 0,
    ringSize: 0,
    bounds: { oldestSeq: null, newestSeq: null },
    error,
  };
}

/** Describes an open pool from one snapshot of its state. */
export function describePool(ring: Ring, name: string): PoolInfo {
  return inPlace(describing(ring, name));
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** What was learned when the pool was opened, a moment ago. */
export interface Known {
  /** Its state; it is read again if this is absent. */
  readonly opened?: State | null;
  /** The last modification of the file in milliseconds since 1970. */
  readonly mtimeMs?: number | null;
  /** Whether to leave out use, age and retention. */
  readonly brief?: boolean;
}

/**
 * Like {@linkcode describePool}, in steps for `inTurns`: without an index, finding the newest
 * message requires a scan of the pool.
 */
export function* describing(ring: Ring, name: string, known: Known = {}): Steps<PoolInfo> {
  const state = known.opened ?? (yield* ring.stating());
  const info = sizesAndBounds(name, ring.path, ring.layout, state);
  if (known.brief !== true) {
    info.metrics = yield* measuring(ring, state);
    info.retention = yield* retentionOf(ring, state);
  }
  const identity = ring.lastExtension()?.id;
  if (identity !== undefined) info.identity = identity;
  if (known.mtimeMs !== undefined) info.mtimeMs = known.mtimeMs;
  return info;
}

/** Describes a pool that was only glanced at. */
export function glimpsed(
  name: string,
  path: string,
  { layout, state, more }: Glimpse,
  mtimeMs: number | null,
): PoolInfo {
  const info = sizesAndBounds(name, path, layout, state);
  if (more !== null) {
    const { identity, oldestTimeNs, newestTimeNs } = more;
    info.metrics = metricsOf(layout, state, oldestTimeNs, newestTimeNs);
    info.retention = retentionFrom(state, state, 0n);
    if (identity !== undefined) info.identity = identity;
  }
  info.mtimeMs = mtimeMs;
  return info;
}

function sizesAndBounds(
  name: string,
  path: string,
  layout: Layout,
  { oldest, newest }: State,
): Writable<PoolInfo> {
  const empty = oldest === 0n;
  return {
    name,
    path,
    fileSize: layout.fileSize,
    indexOffset: HEADER_SIZE,
    indexCapacity: layout.indexCapacity,
    indexSizeBytes: layout.indexCapacity * SLOT_SIZE,
    ringOffset: layout.ringOffset,
    ringSize: layout.ringSize,
    bounds: { oldestSeq: empty ? null : oldest, newestSeq: empty ? null : newest },
    lastSeq: newest,
  };
}

function* measuring(ring: Ring, state: State): Steps<PoolMetrics> {
  const { oldest, newest, tail } = state;
  const oldestTimeNs = oldest === 0n ? null : yield* timeOf(ring, oldest, tail);
  const newestTimeNs = oldest === newest || oldest === 0n
    ? oldestTimeNs
    : yield* timeOf(ring, newest, ring.indexOffset(newest));
  return metricsOf(ring.layout, state, oldestTimeNs, newestTimeNs);
}

function metricsOf(
  { ringSize }: Layout,
  state: State,
  oldestTimeNs: bigint | null,
  newestTimeNs: bigint | null,
): PoolMetrics {
  const { oldest, newest } = state;
  const count = oldest === 0n ? 0n : newest - oldest + 1n;
  const used = usedBytes(state, ringSize);
  const now = Temporal.Now.instant().epochNanoseconds;
  return {
    messageCount: count,
    seqSpan: count,
    utilization: {
      usedBytes: used,
      freeBytes: ringSize - used,
      usedPercent: Math.floor(used * 10000 / ringSize) / 100,
    },
    age: {
      oldestTimeNs,
      newestTimeNs,
      oldestAgeMs: ageMs(now, oldestTimeNs),
      newestAgeMs: ageMs(now, newestTimeNs),
    },
  };
}
