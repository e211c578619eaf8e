/**
 * The HTTP v0 documents for pools and messages (docs/spec/http-api.md 2).
 *
 * @module
 */

import { Buf, printAscii } from "../../bytes.ts";
import type { CursorInfo, Released } from "../coordination.ts";
import type { PoolBounds, PoolInfo, PoolMetrics, PoolRetention } from "../local/info.ts";
import type { LeaseState } from "../types.ts";
import { PlasmiteError } from "../../errors.ts";
import { Lite3Key } from "../../lite3/doc.ts";
import { JsonSyntaxError, Lite3Encoder } from "../../lite3/encode.ts";
import { Tag } from "../../lite3/layout.ts";
import { MessageView } from "../../lite3/message.ts";
import { printJson } from "../../lite3/print.ts";
import { parseRfc3339 } from "../../text/time.ts";
import { envelopeError, unreadable } from "./error.ts";
import { elementsOf, membersOf, NoJson } from "./json_parts.ts";

type Fields = { readonly [key: string]: unknown };

function fieldsOf(value: unknown): Fields | undefined {
  return value !== null && typeof value === "object" ? value as Fields : undefined;
}

function int(value: unknown): bigint | null {
  if (typeof value === "bigint") return value;
  return typeof value === "number" && Number.isInteger(value) ? BigInt(value) : null;
}

function time(value: unknown): bigint | null {
  return typeof value === "string" ? parseRfc3339(value) ?? null : null;
}

function age(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value);
}

function metricsOf(value: unknown): PoolMetrics | undefined {
  const fields = fieldsOf(value);
  const use = fieldsOf(fields?.["utilization"]);
  const ages = fieldsOf(fields?.["age"]);
  if (fields === undefined || use === undefined || ages === undefined) return undefined;
  return {
    messageCount: int(fields["message_count"]) ?? 0n,
    seqSpan: int(fields["seq_span"]) ?? 0n,
    utilization: {
      usedBytes: Number(use["used_bytes"]),
      freeBytes: Number(use["free_bytes"]),
      usedPercent: Number(use["used_percent"]),
    },
    age: {
      oldestTimeNs: time(ages["oldest_time"]),
      newestTimeNs: time(ages["newest_time"]),
      oldestAgeMs: age(ages["oldest_age_ms"]),
      newestAgeMs: age(ages["newest_age_ms"]),
    },
  };
}

function retentionOf(value: unknown): PoolRetention | undefined {
  const fields = fieldsOf(value);
  if (fields === undefined) return undefined;
  return {
    maxAgeMs: age(fields["max_age_ms"]),
    oldestLiveSeq: int(fields["oldest_live"]),
    expired: int(fields["expired"]) ?? 0n,
  };
}

/**
 * A pool's object; a write-only server omits bounds and metrics.
 *
 * @param name the requested name, if the response has none
 * @throws {RemoteError} Internal if it is invalid
 */
export function poolInfo(value: unknown, name?: string): PoolInfo {
  const fields = fieldsOf(value);
  const path = fields?.["path"];
  const known = fields?.["name"] ?? name;
  if (fields === undefined || typeof path !== "string" || typeof known !== "string") {
    throw unreadable(name);
  }
  const size = (key: string): number => Number(fields[key] ?? 0);
  const bounds = fieldsOf(fields["bounds"]);
  const metrics = metricsOf(fields["metrics"]);
  const retention = retentionOf(fields["retention"]);
  const lastSeq = int(fields["last_seq"]);
  const error = envelopeError(200, fields, known);
  const identity = fields["identity"];
  return {
    name: known,
    path,
    fileSize: size("file_size"),
    indexOffset: size("index_offset"),
    indexCapacity: size("index_capacity"),
    indexSizeBytes: size("index_size_bytes"),
    ringOffset: size("ring_offset"),
    ringSize: size("ring_size"),
    bounds: { oldestSeq: int(bounds?.["oldest"]), newestSeq: int(bounds?.["newest"]) },
    ...(typeof identity === "string" ? { identity } : {}),
    ...(metrics === undefined ? {} : { metrics }),
    ...(retention === undefined ? {} : { retention }),
    ...(lastSeq === null ? {} : { lastSeq }),
    ...(typeof fields["followers"] === "number" ? { followers: fields["followers"] } : {}),
    ...(error === null ? {} : { error }),
  };
}

/** The last assigned sequence number according to the description; 0 for none. */
export function lastSeqOf({ bounds, lastSeq }: PoolInfo): bigint {
  return lastSeq ?? bounds.newestSeq ?? 0n;
}

/** The first and last readable sequence numbers according to the description. */
export function readableBounds({ bounds, retention }: PoolInfo): PoolBounds {
  if (retention === undefined || retention.maxAgeMs === null) return bounds;
  const { oldestLiveSeq } = retention;
  return { oldestSeq: oldestLiveSeq, newestSeq: oldestLiveSeq === null ? null : bounds.newestSeq };
}

/** A message from a response: its envelope as a Lite3 document, with its `seq` and `time`. */
export interface WireMessage {
  /** Sequence number. */
  readonly seq: bigint;
  /** Time in nanoseconds since 1970. */
  readonly timestampNs: bigint;
  /** A Lite3 document with `meta` and `data`. */
  readonly payload: Uint8Array<ArrayBuffer>;
}

const WRAPPER = '{"message":';

function startsWith(bytes: Uint8Array, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[i] !== text.charCodeAt(i)) return false;
  return true;
}

/**
 * The message of a response `{"message":{…}}`, or the message alone with `bare`. The text is parsed
 * by the Lite3 encoder instead of `JSON.parse`, so that every number and key is exact.
 *
 * @throws {RemoteError} Internal if it is invalid
 */
export function wireMessage(answer: Uint8Array, pool: string, bare = false): WireMessage {
  try {
    const out = new Buf(answer.length + 1024);
    const encoder = new Lite3Encoder(out);
    if (bare) encoder.documentFromJson(answer, 0, answer.length);
    else if (startsWith(answer, WRAPPER)) {
      encoder.documentFromJson(answer, WRAPPER.length, answer.length);
    } else {
      encoder.documentFromJson(answer, 0, answer.length);
      const doc = new MessageView().doc.reset(out.u8, out.dv, 0, out.len);
      const at = doc.lookup(0, new Lite3Key("message"));
      if (at < 0) throw unreadable(pool);
      const text = new Buf(answer.length);
      printJson(doc, at, text);
      out.clear();
      encoder.documentFromJson(text.u8, 0, text.len);
    }
    const payload = out.bytes();
    const view = new MessageView();
    view.open(payload, out.dv, 0, payload.length);
    const { doc } = view;
    const seqAt = doc.lookup(0, new Lite3Key("seq"));
    const timeAt = doc.lookup(0, new Lite3Key("time"));
    if (seqAt < 0 || timeAt < 0 || doc.tag(timeAt) !== Tag.String) throw unreadable(pool);
    const seq = doc.tag(seqAt) === Tag.I64 ? doc.i64(seqAt) : BigInt(doc.f64(seqAt));
    const timestampNs = parseRfc3339(doc.string(timeAt));
    if (timestampNs === undefined) throw unreadable(pool);
    return { seq, timestampNs, payload };
  } catch (error) {
    if (error instanceof JsonSyntaxError || PlasmiteError.is(error)) throw unreadable(pool);
    throw error;
  }
}

/** A message in a list, with the other members of its element. */
export interface ListedMessage {
  /** The message. */
  readonly message: WireMessage;
  /** The other members of the element; empty if the message is the element. */
  readonly fields: Fields;
}

/**
 * The messages of a list in a response, with every number and key exact.
 *
 * @param list the member that contains the list
 * @param member the member of each element that contains the message; by default the element itself
 * @throws {RemoteError} Internal if it is invalid
 */
export function messagesOf(
  answer: Uint8Array,
  list: string,
  pool: string,
  member?: string,
): ListedMessage[] {
  try {
    const elements = elementsOf(membersOf(answer).get(list) ?? new Uint8Array());
    return elements.map((element) => {
      if (member === undefined) return { message: wireMessage(element, pool, true), fields: {} };
      const members = membersOf(element);
      const message = wireMessage(members.get(member) ?? new Uint8Array(), pool, true);
      members.delete(member);
      const fields: Record<string, unknown> = {};
      for (const [name, text] of members) {
        fields[name] = JSON.parse(new TextDecoder().decode(text));
      }
      return { message, fields };
    });
  } catch (error) {
    if (error instanceof NoJson || error instanceof SyntaxError) throw unreadable(pool);
    throw error;
  }
}

/**
 * A lease.
 *
 * @throws {RemoteError} Internal if it is invalid
 */
export function leaseOf(value: unknown, pool: string): LeaseState {
  const fields = fieldsOf(value);
  const [seq, token, untilNs] = [
    int(fields?.["seq"]),
    int(fields?.["token"]),
    time(fields?.["until"]),
  ];
  const { holder, keys, short_retention: short } = fields ?? {};
  if (seq === null || token === null || untilNs === null || typeof holder !== "string") {
    throw unreadable(pool);
  }
  return { holder, keys: texts(keys), seq, token, untilNs, shortRetention: short === true };
}

/**
 * A release.
 *
 * @throws {RemoteError} Internal if it is invalid
 */
export function releasedOf(value: unknown, pool: string): Released {
  const fields = fieldsOf(value);
  const [seq, token] = [int(fields?.["seq"]), int(fields?.["token"])];
  if (seq === null || token === null) throw unreadable(pool);
  return { keys: texts(fields?.["keys"]), seq, token };
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
}

/**
 * A cursor or a group.
 *
 * @throws {RemoteError} Internal if it is invalid
 */
export function cursorOf(value: unknown, pool: string): CursorInfo {
  const fields = fieldsOf(value);
  const { name, kind, acked } = fields ?? {};
  const number = (key: string): bigint => int(fields?.[key]) ?? 0n;
  if (fields === undefined || typeof name !== "string") throw unreadable(pool);
  const holder = fieldsOf(fields["in_use"]);
  const error = envelopeError(200, fields, pool);
  const info = {
    name,
    kind: kind === "group" ? "group" as const : "cursor" as const,
    seq: number("seq"),
    lag: number("lag"),
    lost: number("lost"),
    acked: typeof acked === "string" ? acked : "",
    inUse: holder === undefined
      ? null
      : { pid: Number(holder["pid"]), host: String(holder["host"] ?? "") },
    ...(error === null ? {} : { error }),
  };
  if (info.kind === "cursor" || error !== null) return info;
  const pending = Number(number("pending"));
  return { ...info, next: number("next"), pending, headroom: number("headroom") };
}

/**
 * Appends `{"data":…,"tags":[…]}`: the body of an append, or a line of a batch.
 *
 * @throws {PlasmiteError} Corrupt if the payload cannot be read
 */
export function printBody(view: MessageView, out: Buf): void {
  const ascii = (text: string): void => {
    out.reserve(text.length);
    out.len = printAscii(out.dv, out.len, text);
  };
  ascii('{"data":');
  printJson(view.doc, view.dataAt, out);
  ascii(',"tags":[');
  for (let i = 0; i < view.tagCount; i++) {
    if (i > 0) ascii(",");
    printJson(view.doc, view.tagAt(i), out);
  }
  ascii("]}");
}
