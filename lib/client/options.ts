/**
 * The options of the library's calls, and their validation.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { clampTime, nowHalves, nowNs, readSince } from "../text/time.ts";

/**
 * A sequence number, count or size as input: a non-negative safe integer, or a bigint up to 2^64 -
 * 1.
 *
 * @example Numbers and bigints
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool("demo");
 * pool.append({ n: 1 });
 * console.assert(pool.get(1).seq === pool.get(1n).seq);
 * ```
 */
export type Seq = number | bigint;

/** A JSON object; values are JSON types plus bigint. */
export type JsonObject = { [key: string]: unknown };

/**
 * How durably to store a message: `fast` leaves it to the operating system, `flush` waits for the
 * disk.
 *
 * @example Wait for the disk
 * ```ts
 * import { Client, Durability } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool("demo");
 * pool.append({ paid: true }, [], Durability.Flush);
 * ```
 */
export const Durability = {
  /** The message survives the end of the process, but not a power loss. */
  Fast: 0,
  /** The message is on stable storage before the call returns. */
  Flush: 1,
} as const;

/** A durability, by number or by name. */
export type Durability = 0 | 1 | "fast" | "flush";

/**
 * Options of an append.
 *
 * @example Append with tags, and wait for the disk
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool("demo");
 * const message = pool.append({ paid: true }, { tags: ["order"], durability: "flush" });
 * console.assert(message.tags[0] === "order");
 * ```
 */
export interface AppendOptions {
  /** Tags, stored in this order; default none. */
  readonly tags?: readonly string[];
  /** How durably to store the message; default `fast`. */
  readonly durability?: Durability;
  /** The time to store, in nanoseconds since 1970; default the current time. */
  readonly timestampNs?: bigint;
  /** Aborts an asynchronous append that is still waiting for the lock. */
  readonly signal?: AbortSignal;
  /**
   * The required sequence number of the newest message of the pool or, with `key`, of the newest
   * with that key; `"none"` or 0 if there must be none. Otherwise nothing is stored, and the error
   * is a Conflict with `expected` and `actual`.
   */
  readonly expect?: Seq | "none";
  /** A key for `expect`, `latest` and compacted views: stored as the tag `key:K`, behind `tags`. */
  readonly key?: string;
  /**
   * Names this message: if one of the last `idWindow` messages has the same id and the same data,
   * nothing is stored, and that message is returned with `duplicate` set. With other data it is a
   * Conflict. So an append whose outcome is unknown can be repeated.
   */
  readonly id?: string;
  /** How many messages back an id is searched for, 1 to 1,000,000; default 4096. */
  readonly idWindow?: number;
}

/**
 * Options of an append of several messages.
 *
 * @example Import records that may have been imported before
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool("orders");
 * await pool.appendBatch([{ order: 7 }], { ids: ["order-7"] });
 * const again = await pool.appendBatch([{ order: 7 }, { order: 8 }], { ids: ["order-7", "order-8"] });
 * console.assert(again[0]?.duplicate === true && again[1]?.duplicate === false);
 * ```
 */
export interface BatchOptions extends Omit<AppendOptions, "id"> {
  /** The id of each message, in the order of the messages; see {@linkcode AppendOptions.id}. */
  readonly ids?: readonly string[];
}

/**
 * Options of a tail: what to read and when to end.
 *
 * @example Select by tag and content, and end when idle
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool<{ level: number }>("demo");
 * pool.append({ level: 1 }, ["disk"]);
 * pool.append({ level: 5 }, ["disk"]);
 * const options = { tags: "disk", where: ".data.level > 3", idleTimeoutMs: 10 };
 * for await (const message of pool.tail(options)) console.assert(message.data.level === 5);
 * ```
 */
export interface TailOptions {
  /** First sequence number wanted (inclusive). */
  readonly sinceSeq?: Seq;
  /** Last sequence number wanted (inclusive); the stream ends after it, even if it was lost. */
  readonly untilSeq?: Seq;
  /**
   * Only messages at or after this time; messages appended after the start are always included. A
   * `Date`, nanoseconds since 1970, an age such as `"5m"`, or an RFC 3339 time.
   */
  readonly since?: Date | bigint | string;
  /** The same as `since`, in nanoseconds since 1970. */
  readonly sinceTimeNs?: bigint;
  /** End after this many messages. */
  readonly maxMessages?: Seq;
  /** Only messages that carry all of these tags. */
  readonly tags?: string | readonly string[];
  /**
   * Only messages for which this jq expression, or each of several, is true: `.data.level > 3`. Its
   * input is `{data, meta: {tags}, seq, time}`. A message without a key that the expression reads
   * does not match.
   */
  readonly where?: string | readonly string[];
  /** Reject with RetentionGap when messages were lost; default false. */
  readonly errorOnGap?: boolean;
  /** End normally after this many milliseconds, counted from the first `next()`. */
  readonly timeoutMs?: Seq;
  /** End normally after this many milliseconds without a message. */
  readonly idleTimeoutMs?: number;
  /**
   * Where to start without `sinceSeq`: at the oldest retained message (default), or after the
   * newest.
   */
  readonly from?: "oldest" | "end";
  /**
   * Called for every gap, unless `errorOnGap` is set: the first lost sequence number and the next
   * available one.
   */
  readonly onGap?: (gap: { readonly firstMissing: bigint; readonly next: bigint }) => void;
  /**
   * Whether to go on behind damage in the file instead of rejecting with Corrupt; default false.
   */
  readonly skipCorrupt?: boolean;
  /** Called with `skipCorrupt` for messages that cannot be read, both ends inclusive. */
  readonly onUnreadable?: (range: { readonly first: bigint; readonly last: bigint }) => void;
  /** Aborts the tail; it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Options of a replay: which stored messages, and how fast.
 *
 * @example Replay the last hour at ten times the pace
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool("demo");
 * pool.append({ n: 1 });
 * for await (const message of pool.replay({ since: "1h", speed: 10 })) {
 *   console.assert(message.seq === 1n);
 * }
 * ```
 */
export interface ReplayOptions {
  /** Speed factor: 1 is the original pace (default), 2 twice as fast, 0 without pauses. */
  readonly speed?: number;
  /** First sequence number wanted (inclusive). */
  readonly sinceSeq?: Seq;
  /** Only messages at or after this time; see {@linkcode TailOptions.since}. */
  readonly since?: Date | bigint | string;
  /** The same as `since`, in nanoseconds since 1970. */
  readonly sinceTimeNs?: bigint;
  /** Only this many of the selected messages, counted from the end. */
  readonly last?: number;
  /** End after this many messages. */
  readonly maxMessages?: Seq;
  /** End normally after this many milliseconds. */
  readonly timeoutMs?: Seq;
  /** Only messages that carry all of these tags. */
  readonly tags?: string | readonly string[];
  /** Only messages for which this jq expression is true; see {@linkcode TailOptions.where}. */
  readonly where?: string | readonly string[];
  /** Aborts the replay; it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** The highest value of an unsigned 64-bit integer. */
export const U64_MAX = 0xffff_ffff_ffff_ffffn;

/** A wrong value as shown in an error message. */
export function shown(value: unknown): string {
  return (typeof value === "object" && value !== null) || typeof value === "function"
    ? Object.prototype.toString.call(value)
    : String(value);
}

/**
 * A checked sequence number.
 *
 * @throws {PlasmiteError} Usage for negative, fractional, unsafe or too large values
 */
export function checkSeq(value: Seq, name: string): bigint {
  if (
    typeof value === "bigint"
      ? value >= 0n && value <= U64_MAX
      : Number.isSafeInteger(value) && value >= 0
  ) {
    return BigInt(value);
  }
  throw new PlasmiteError("Usage", `invalid ${name}: ${shown(value)}`, {
    hint: "Use a non-negative whole number; above 2^53 - 1 use a bigint, up to 2^64 - 1.",
  });
}

/**
 * A checked time span in milliseconds; undefined stays undefined.
 *
 * @throws {PlasmiteError} Usage for anything but a non-negative number
 */
export function checkMs(value: Seq | undefined, name: string): number | undefined {
  if (value === undefined) return undefined;
  const ms = typeof value === "number" || typeof value === "bigint" ? Number(value) : NaN;
  if (ms >= 0) return ms;
  throw new PlasmiteError("Usage", `invalid ${name}: ${shown(value)}`, {
    hint: "Use a non-negative number of milliseconds.",
  });
}

/**
 * Whether a durability means waiting for the disk.
 *
 * @throws {PlasmiteError} Usage for an unknown durability
 */
export function checkDurability(value: Durability | undefined): boolean {
  const plain = typeof value === "string" ? value.toLowerCase() : value;
  if (plain === undefined || plain === 0 || plain === "fast") return false;
  if (plain === 1 || plain === "flush") return true;
  throw new PlasmiteError("Usage", "invalid durability", { hint: "Use `fast` or `flush`." });
}

/**
 * Tags as a list of strings.
 *
 * @throws {PlasmiteError} Usage when one is not a string
 */
export function checkTags(value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return [];
  const tags = typeof value === "string" ? [value] : value;
  if (Array.isArray(tags) && tags.every((tag) => typeof tag === "string")) return tags;
  throw invalidTags();
}

/** The error for tags that are not a list of strings. */
export function invalidTags(): PlasmiteError {
  return new PlasmiteError("Usage", "invalid tags", { hint: "Pass tags as an array of strings." });
}

/**
 * Checks that a value is bytes.
 *
 * @throws {PlasmiteError} Usage for anything else
 */
export function checkBytes(value: Uint8Array, name: string): void {
  if (value instanceof Uint8Array) return;
  throw new PlasmiteError("Usage", `invalid ${name}: ${shown(value)}`, {
    hint: "Pass bytes as a Uint8Array.",
  });
}

/**
 * Checks the messages of a batch.
 *
 * @throws {PlasmiteError} Usage when they are not an array
 */
export function checkItems(value: readonly unknown[]): void {
  if (Array.isArray(value)) return;
  throw new PlasmiteError("Usage", `invalid batch: ${shown(value)}`, {
    hint: "Pass an array of messages' data.",
  });
}

/**
 * The expressions of a filter as a list.
 *
 * @throws {PlasmiteError} Usage when one is not a string
 */
export function checkWhere(value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return [];
  const list = typeof value === "string" ? [value] : value;
  if (Array.isArray(list) && list.every((one) => typeof one === "string")) return list;
  throw new PlasmiteError("Usage", "invalid where", {
    hint: "Pass a jq expression as a string, such as '.data.level == \"error\"', or several.",
  });
}

/**
 * The time given by `since` or `sinceTimeNs`, in nanoseconds since 1970; 0 if neither is given.
 *
 * @throws {PlasmiteError} Usage for an invalid time, or when both are given
 */
export function checkSince(
  { since, sinceTimeNs }: Pick<TailOptions, "since" | "sinceTimeNs">,
): bigint {
  if (sinceTimeNs !== undefined) {
    if (since !== undefined) {
      throw new PlasmiteError("Usage", "since and sinceTimeNs are both given", {
        hint: "Leave one of them out.",
      });
    }
    if (typeof sinceTimeNs === "bigint" && sinceTimeNs >= 0n && sinceTimeNs <= U64_MAX) {
      return sinceTimeNs;
    }
    throw new PlasmiteError("Usage", `invalid sinceTimeNs: ${shown(sinceTimeNs)}`, {
      hint: "Use nanoseconds since 1970 as a bigint.",
    });
  }
  if (since === undefined) return 0n;
  const ns = sinceOf(since);
  if (ns !== undefined && ns <= U64_MAX) return clampTime(ns);
  throw new PlasmiteError("Usage", `invalid since: ${shown(since)}`, {
    hint: 'Use a Date, "5m" for five minutes ago, an RFC 3339 time, or nanoseconds as a bigint.',
  });
}

/** The time in nanoseconds since 1970; undefined if it is not a valid time. */
function sinceOf(since: Date | bigint | string): bigint | undefined {
  if (since instanceof Date) {
    const ms = since.getTime();
    return Number.isNaN(ms) ? undefined : BigInt(ms) * 1_000_000n;
  }
  if (typeof since === "bigint") return since < 0n ? undefined : since;
  if (typeof since !== "string") return undefined;
  const ms = /^\s*(\d+)ms\s*$/.exec(since)?.[1];
  return ms === undefined ? readSince(since, nowNs()) : nowNs() - BigInt(ms) * 1_000_000n;
}

/**
 * A checked time in nanoseconds since 1970, as two 32-bit halves; default the current time.
 *
 * @throws {PlasmiteError} Usage for a time outside unsigned 64 bits
 */
export function stamp(timestampNs?: bigint): { lo: number; hi: number } {
  if (timestampNs === undefined) return nowHalves();
  const ns = timestampNs;
  if (typeof ns !== "bigint" || ns < 0n || ns > U64_MAX) {
    throw new PlasmiteError("Usage", "invalid timestampNs", {
      hint: "Use nanoseconds since 1970 as a bigint.",
    });
  }
  return { lo: Number(ns & 0xffff_ffffn), hi: Number(ns >> 32n) };
}
