/**
 * Streams as described by the JetStream API, and the requests about one stream
 * (docs/spec/jetstream.md 3).
 *
 * @module
 */

import { PlasmiteError } from "../../errors.ts";
import { sha256Hex } from "../../storage/sha256.ts";
import { formatTime, parseRfc3339 } from "../../text/time.ts";
import type { Bounds } from "../../types.ts";
import type { PoolInfo } from "../local/info.ts";
import { Code, hasCode } from "./errors.ts";
import { atLeast, type Link } from "./link.ts";
import { Header, headersFrom, type Incoming, subjectPrefix } from "./wire.ts";

/** The parts of a stream's configuration that this program uses. */
export interface StreamConfig {
  readonly name: string;
  readonly subjects?: readonly string[];
  readonly max_bytes: number;
  readonly max_msg_size?: number;
  readonly max_age?: number;
  readonly num_replicas?: number;
  readonly allow_direct?: boolean;
  readonly allow_atomic?: boolean;
  readonly duplicate_window?: number;
  readonly max_msgs?: number;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly mirror?: object;
  readonly sources?: readonly object[] | null;
  readonly subject_transform?: object;
}

/** The parts of a stream's description that this program uses. */
export interface StreamInfo {
  readonly config: StreamConfig;
  /** The creation time; together with the name, it identifies the pool. */
  readonly created: string;
  readonly state: {
    readonly messages: number;
    readonly bytes: number;
    readonly first_seq: number;
    readonly first_ts: string;
    readonly last_seq: number;
    readonly last_ts: string;
    readonly num_subjects?: number;
  };
  readonly cluster?: { readonly leader?: string; readonly name?: string };
}

/** Marks the streams created by this program. */
export const MARKER = "plasmite";

/** Bytes kept free in a stream, because a message that fills the stream would evict itself. */
export const RESERVE = 512;

/** Rejects numbers that were rounded. */
function exact(value: number, path: string): bigint {
  if (Number.isSafeInteger(value)) return BigInt(value);
  throw new PlasmiteError("Internal", "The sequence numbers of the stream are too large", {
    hint: "Numbers above 2^53 cannot be read.",
    path,
  });
}

/** The range of messages currently retained. */
export function boundsOf({ state }: StreamInfo, path: string): Bounds {
  const newest = exact(state.last_seq, path);
  return { oldest: state.messages === 0 ? 0n : exact(state.first_seq, path), newest };
}

function ageMs(now: bigint, then: bigint | null): number | null {
  return then === null ? null : Math.max(0, Number((now - then) / 1_000_000n));
}

/** Describes a stream as a pool. */
export function poolInfoOf(info: StreamInfo, path: string, link: Link): PoolInfo {
  const { config, state } = info;
  const { oldest, newest } = boundsOf(info, path);
  const size = Math.max(0, config.max_bytes);
  const isEmpty = oldest === 0n;
  const oldestTimeNs = isEmpty ? null : parseRfc3339(state.first_ts) ?? null;
  const newestTimeNs = isEmpty ? null : parseRfc3339(state.last_ts) ?? null;
  const now = Temporal.Now.instant().epochNanoseconds;
  return {
    name: config.name,
    path,
    fileSize: size,
    indexOffset: 0,
    indexCapacity: 0,
    indexSizeBytes: 0,
    ringOffset: 0,
    ringSize: size,
    bounds: { oldestSeq: isEmpty ? null : oldest, newestSeq: isEmpty ? null : newest },
    metrics: {
      messageCount: BigInt(state.messages),
      seqSpan: isEmpty ? 0n : newest - oldest + 1n,
      utilization: {
        usedBytes: state.bytes,
        freeBytes: Math.max(0, size - state.bytes),
        usedPercent: size === 0 ? 0 : Math.floor(state.bytes * 10000 / size) / 100,
      },
      age: {
        oldestTimeNs,
        newestTimeNs,
        oldestAgeMs: ageMs(now, oldestTimeNs),
        newestAgeMs: ageMs(now, newestTimeNs),
      },
    },
    retention: {
      maxAgeMs: config.max_age ? config.max_age / 1_000_000 : null,
      oldestLiveSeq: isEmpty ? null : oldest,
      expired: 0n, // The server removes them itself.
    },
    lastSeq: newest,
    identity: sha256Hex(new TextEncoder().encode(`${info.created} ${config.name}`)).slice(0, 32),
    stream: {
      replicas: config.num_replicas ?? 1,
      // A single server may call itself the leader.
      leader: info.cluster?.name === undefined ? null : info.cluster.leader || null,
      server: link.nc.info?.server_name ?? "",
      version: link.nc.info?.version ?? "",
    },
  };
}

/** Whether a stream is a pool of this program. */
export function isOurs({ name, metadata, subjects = [] }: StreamConfig): boolean {
  return metadata?.[MARKER] !== undefined ||
    subjects.some((subject) => subject.startsWith(subjectPrefix(name)));
}

/** Whether a pattern with the wildcards `*` and `>` covers a subject. */
function covers(pattern: string, subject: string): boolean {
  const wanted = pattern.split(".");
  const tokens = subject.split(".");
  for (const [i, token] of wanted.entries()) {
    if (token === ">") return tokens.length > i;
    if (i >= tokens.length || (token !== "*" && token !== tokens[i])) return false;
  }
  return wanted.length === tokens.length;
}

/** Whether the stream stores messages published to the subjects of its pool. */
export function takesOurs({ name, subjects = [] }: StreamConfig): boolean {
  return subjects.some((pattern) => covers(pattern, `${subjectPrefix(name)}m`));
}

/** Whether the server stores several messages of the stream as one piece. */
export function takesBatches(link: Link, config: StreamConfig): boolean {
  return config.allow_atomic === true && atLeast(link.version, 2, 12);
}

/** Requests a stream's description. Throws NotFound and the errors of {@linkcode Link.api}. */
export async function streamInfo(
  link: Link,
  name: string,
  path: string,
  body: object | null = null,
): Promise<StreamInfo> {
  return await link.api<StreamInfo>(`STREAM.INFO.${name}`, body, path);
}

/** The range of messages that a stream retains now. */
export async function boundsNow(link: Link, name: string, path: string): Promise<Bounds> {
  return boundsOf(await streamInfo(link, name, path), path);
}

/** How far the clocks of sources may be ahead of the server's, in nanoseconds. */
const AHEAD_NS = 3_600_000_000_000n;

/**
 * A sequence number at or shortly before the first message since a given time. A copied message has
 * the time of its source, so the search begins earlier.
 */
export async function seqSince(
  link: Link,
  name: string,
  since: bigint,
  path: string,
): Promise<bigint> {
  return await seqAt(link, name, since > AHEAD_NS ? since - AHEAD_NS : 0n, path);
}

/** The number of the first message that the server stored since a given time. */
export async function seqAt(
  link: Link,
  name: string,
  since: bigint,
  path: string,
): Promise<bigint> {
  const consumer = `plasmite-${link.library.nuid.next()}`;
  const config = {
    name: consumer,
    ack_policy: "none",
    deliver_policy: "by_start_time",
    opt_start_time: formatTime(since),
    mem_storage: true,
    num_replicas: 1,
    inactive_threshold: 5_000_000_000,
  };
  const body = { stream_name: name, config };
  const { delivered } = await link.api<{ delivered: { stream_seq: number } }>(
    `CONSUMER.CREATE.${name}.${consumer}`,
    body,
    path,
  );
  link.nc.publish(link.subject(`CONSUMER.DELETE.${name}.${consumer}`));
  return exact(delivered.stream_seq, path) + 1n;
}

/** A stored message in an API response. */
interface StoredMessage {
  readonly subject: string;
  readonly seq: number;
  readonly time: string;
  readonly hdrs?: string;
  readonly data?: string;
}

/** Which message to look for. */
export type Lookup =
  | { readonly seq: number }
  | { readonly last_by_subj: string }
  | { readonly seq: number; readonly next_by_subj: string };

/** Requests a message from the leader, as replicas may lag behind; null if it does not exist. */
export async function leaderMessage(
  link: Link,
  name: string,
  lookup: Lookup,
  path: string,
): Promise<Incoming | null> {
  try {
    const subject = `STREAM.MSG.GET.${name}`;
    const { message } = await link.api<{ message: StoredMessage }>(subject, lookup, path);
    const decode = (text: string): Uint8Array => Uint8Array.fromBase64(text);
    return {
      subject: message.subject,
      data: decode(message.data ?? ""),
      headers: message.hdrs === undefined ? undefined : headersFrom(decode(message.hdrs)),
      seq: exact(message.seq, path),
      timestampNs: parseRfc3339(message.time) ?? 0n,
    };
  } catch (error) {
    if (hasCode(error, Code.noMessage)) return null;
    throw error;
  }
}

/** The id that a message was stored with; empty if it has none. */
export function idOf({ headers }: Incoming): string {
  return headers?.get(Header.id) ?? "";
}
