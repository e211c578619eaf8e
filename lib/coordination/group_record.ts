/**
 * The record of a work group, and how taking, acknowledging, failing and extending change it. The
 * functions are pure: the holder of the lock reads a record, computes the next one, and writes it
 * (docs/spec/coordination.md 8).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { parseObject, u64 } from "./cursor_record.ts";

/** How long a task belongs to a worker by default, in milliseconds. */
export const ACK_WAIT = 60_000;
/** The longest time that a task is handed out, or waits for its next try: a year. */
const LONGEST_TIME = 365 * 86_400_000;
/** The largest number of pending tasks. */
export const MOST_PENDING = 512;
/** The largest number of workers in the table of holders. */
export const MOST_HOLDERS = 64;
/** The holder index of a task that is waiting for its next try. */
export const NOBODY = -1;

/** The pauses before the next try after a failure: 1 s, 2 s, 4 s … 60 s. */
export function retryDelayMs(tries: number): number {
  return Math.min(60_000, 1000 * 2 ** Math.min(Math.max(tries - 1, 0), 6));
}

/**
 * Checks how long a task is handed out, or waits for its next try, and returns it.
 *
 * @throws {PlasmiteError} Usage
 */
export function checkTaskTime(ms: number): number {
  if (ms >= 0 && ms <= LONGEST_TIME) return ms;
  throw new PlasmiteError("Usage", `Invalid time for a task: ${ms} ms`, {
    hint: "A task is handed out, or waits for its next try, for a year at most.",
  });
}

/** Which messages are tasks: tags, and expressions. */
export interface TaskFilter {
  readonly tags: readonly string[];
  readonly where: readonly string[];
}

function equal(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((one, i) => one === b[i]);
}

/**
 * Rejects a worker whose filter is not that of its group.
 *
 * @param path the pool, for errors
 * @throws {PlasmiteError} Usage
 */
export function checkSameFilter(
  group: string,
  own: TaskFilter,
  wanted: TaskFilter,
  path: string,
): void {
  if (equal(own.tags, wanted.tags) && equal(own.where, wanted.where)) return;
  throw new PlasmiteError("Usage", `Group ${group} has another filter`, {
    path,
    hint: "All workers of a group need the same tags and conditions; use another group.",
  });
}

/** A task that was delivered, or is waiting for its next delivery. */
export interface Pending {
  /** Sequence number of its message. */
  readonly seq: bigint;
  /** When it may be delivered again, in milliseconds since 1970. */
  readonly untilMs: number;
  /** The number of deliveries. */
  readonly tries: number;
  /** The token of the last delivery. */
  readonly token: number;
  /** The index of its holder in the table, or {@linkcode NOBODY}. */
  readonly holder: number;
}

/** The progress of a group. */
export interface GroupRecord {
  /** The number of writes; also the source of tokens. */
  readonly gen: number;
  /** Identity of the pool as 32 hex digits; empty if the pool has none. */
  readonly pool: string;
  /** Everything up to this number is done. */
  readonly floor: bigint;
  /** Time of message `floor` in nanoseconds since 1970; 0 if unknown. */
  readonly ns: bigint;
  /** The highest number that was delivered or skipped. */
  readonly next: bigint;
  /** The pending tasks, ordered by number. */
  readonly pending: readonly Pending[];
  /** Names of the workers that hold tasks. */
  readonly holders: readonly string[];
  /** The tags that a message must have to be a task; fixed when the group is created. */
  readonly tags: readonly string[];
  /** The conditions that such a message must meet; fixed when the group is created. */
  readonly where: readonly string[];
  /** The number of messages that were overwritten before they were done. */
  readonly lost: bigint;
  /** When it was written, RFC 3339. */
  readonly acked: string;
}

/** The record as JSON text. */
export function printGroup(record: GroupRecord): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify({
    v: 2,
    gen: record.gen,
    pool: record.pool,
    floor: String(record.floor),
    ns: String(record.ns),
    next: String(record.next),
    tags: record.tags,
    where: record.where,
    lost: String(record.lost),
    acked: record.acked,
    holders: record.holders,
    pending: record.pending.map(({ seq, untilMs, tries, token, holder }) => [
      String(seq),
      untilMs,
      tries,
      token,
      holder,
    ]),
  }));
}

const isCount = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((one) => typeof one === "string");

function parsePending(value: unknown, holders: number): Pending | null {
  if (!Array.isArray(value)) return null;
  const [text, untilMs, tries, token, holder] = value as unknown[];
  const seq = u64(text);
  if (seq === null || !isCount(untilMs) || !isCount(tries) || !isCount(token)) return null;
  if (holder !== NOBODY && (!isCount(holder) || holder >= holders)) return null;
  return { seq, untilMs, tries, token, holder };
}

/** Parses a record; null if it is not one of version 2. */
export function parseGroup(json: string): GroupRecord | null {
  const value = parseObject(json);
  if (value?.["v"] !== 2) return null;
  const [floor, ns, next] = [u64(value["floor"]), u64(value["ns"]), u64(value["next"])];
  const { gen, pool, holders, tags, where, pending, lost, acked } = value;
  if (floor === null || ns === null || next === null || next < floor || !isCount(gen)) return null;
  if (typeof pool !== "string" || !/^(?:[0-9a-f]{32})?$/.test(pool)) return null;
  if (!isTexts(holders) || !isTexts(tags) || !isTexts(where)) return null;
  if (!Array.isArray(pending) || pending.length > MOST_PENDING) return null;
  const tasks: Pending[] = [];
  for (const one of pending) {
    const task = parsePending(one, holders.length);
    const before = tasks.at(-1)?.seq ?? floor;
    if (task === null || task.seq <= before || task.seq > next) return null;
    tasks.push(task);
  }
  return {
    gen,
    pool,
    floor,
    ns,
    next,
    pending: tasks,
    holders,
    tags,
    where,
    lost: u64(lost) ?? 0n,
    acked: typeof acked === "string" ? acked : "",
  };
}

/** The number up to which everything is done: below the first pending one, or `next`. */
function floorOf(pending: readonly Pending[], next: bigint): bigint {
  const [first] = pending;
  return first === undefined ? next : first.seq - 1n;
}

/** Returns the record with new tasks; derives `floor` and `holders`. */
function withPending(
  record: GroupRecord,
  pending: readonly Pending[],
  next: bigint = record.next,
): GroupRecord {
  const floor = floorOf(pending, next);
  const used = [...new Set(pending.map(({ holder }) => holder))].filter((at) => at !== NOBODY)
    .sort((a, b) => a - b);
  const place = new Map(used.map((at, i) => [at, i]));
  return {
    ...record,
    gen: record.gen + 1,
    floor,
    ns: floor === record.floor ? record.ns : 0n,
    next,
    holders: used.map((at) => record.holders[at] ?? ""),
    pending: pending.map((one) => ({ ...one, holder: place.get(one.holder) ?? NOBODY })),
  };
}

/** The tasks that may be delivered again now, in order. */
export function due(record: GroupRecord, nowMs: number): readonly Pending[] {
  return record.pending.filter(({ untilMs }) => untilMs <= nowMs);
}

/** The time of the next task that is not due yet; null if there is none. */
export function nextDueMs(record: GroupRecord, nowMs: number): number | null {
  let first: number | null = null;
  for (const { untilMs } of record.pending) {
    if (untilMs > nowMs && (first === null || untilMs < first)) first = untilMs;
  }
  return first;
}

/** How many more tasks may become pending. */
export function room(record: GroupRecord): number {
  return MOST_PENDING - record.pending.length;
}

/** Parameters of taking tasks. */
export interface Take {
  /** Numbers of pending tasks to deliver again. */
  readonly again: readonly bigint[];
  /** Numbers of new tasks, ascending, all above `next`. */
  readonly fresh: readonly bigint[];
  /** Numbers of new tasks that must wait for another task, ascending; default none. */
  readonly blocked?: readonly bigint[];
  /** The number up to which messages were examined. */
  readonly next: bigint;
  /** The worker. */
  readonly holder: string;
  /** When the tasks expire, in milliseconds since 1970. */
  readonly untilMs: number;
}

/**
 * Delivers tasks; the token of all of them is `gen` of the new record.
 *
 * @returns null if the table of holders is full
 */
export function take(record: GroupRecord, wanted: Take): GroupRecord | null {
  const holders = [...record.holders];
  let holder = holders.indexOf(wanted.holder);
  if (holder < 0) holder = holders.push(wanted.holder) - 1;
  const token = record.gen + 1;
  const again = new Set(wanted.again);
  const { untilMs } = wanted;
  const pending = record.pending.map((one) =>
    again.has(one.seq) ? { ...one, untilMs, tries: one.tries + 1, token, holder } : one
  );
  for (const seq of wanted.fresh) pending.push({ seq, untilMs, tries: 1, token, holder });
  const { blocked = [] } = wanted;
  for (const seq of blocked) pending.push({ seq, untilMs: 0, tries: 0, token, holder: NOBODY });
  if (blocked.length > 0) pending.sort((a, b) => a.seq < b.seq ? -1 : 1);
  const taken = withPending({ ...record, holders }, pending, wanted.next);
  return taken.holders.length > MOST_HOLDERS ? null : taken;
}

/** The state of a task for the holder of a token. */
export type Standing = "mine" | "done" | "another" | "unknown";

/** Whether the last delivery of the task has this token. */
export function standing(record: GroupRecord, seq: bigint, token: number): Standing {
  const task = record.pending.find((one) => one.seq === seq);
  if (task !== undefined) {
    return task.token === token && task.holder !== NOBODY ? "mine" : "another";
  }
  return seq <= record.next ? "done" : "unknown";
}

/** Marks a task as done. */
export function ack(record: GroupRecord, seq: bigint): GroupRecord {
  return withPending(record, record.pending.filter((one) => one.seq !== seq));
}

/** Marks a task as failed; its next try is at `untilMs`. */
export function fail(record: GroupRecord, seq: bigint, untilMs: number): GroupRecord {
  return withPending(
    record,
    record.pending.map((one) => one.seq === seq ? { ...one, untilMs, holder: NOBODY } : one),
  );
}

/** Extends a task until `untilMs`. */
export function extend(record: GroupRecord, seq: bigint, untilMs: number): GroupRecord {
  return withPending(
    record,
    record.pending.map((one) => one.seq === seq ? { ...one, untilMs } : one),
  );
}

/**
 * Drops overwritten tasks: pending or undelivered tasks below `oldest`.
 *
 * @returns the record and the number of lost messages; the same record if none were lost
 */
export function drop(
  record: GroupRecord,
  oldest: bigint,
): { readonly record: GroupRecord; readonly lost: bigint } {
  const kept = record.pending.filter(({ seq }) => seq >= oldest);
  const pendingLost = BigInt(record.pending.length - kept.length);
  const never = oldest > record.next + 1n ? oldest - record.next - 1n : 0n;
  const lost = pendingLost + never;
  if (lost === 0n) return { record, lost };
  const next = never > 0n ? oldest - 1n : record.next;
  return { record: { ...withPending(record, kept, next), lost: record.lost + lost }, lost };
}
