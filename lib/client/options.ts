/**
 * The options of the library's calls, and the checks that every one of them passes through.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";

/** A sequence number or count as input: a non-negative safe integer, or a bigint up to 2^64 - 1. */
export type Seq = number | bigint;

/** A JSON object; values are JSON types plus bigint. */
export type JsonObject = { [key: string]: unknown };

/** How safely to store: `fast` leaves it to the operating system, `flush` waits for the disk. */
export const Durability = {
  /** Survives the end of the process, not a power loss. */
  Fast: 0,
  /** On stable storage before the call returns. */
  Flush: 1,
} as const;

/** A durability, by number or by name. */
export type Durability = 0 | 1 | "fast" | "flush";

/** How to append. */
export interface AppendOptions {
  /** Tags, kept in order; default none. */
  readonly tags?: readonly string[];
  /** Default `fast`. */
  readonly durability?: Durability;
  /** The time to store, in nanoseconds since 1970; default now. */
  readonly timestampNs?: bigint;
  /** Calls off an asynchronous append that is still waiting for the lock. */
  readonly signal?: AbortSignal;
}

/** Where and how to follow a pool. */
export interface TailOptions {
  /** First sequence number wanted (inclusive). */
  readonly sinceSeq?: Seq;
  /** Last sequence number wanted (inclusive); the stream ends when it is passed, even if lost. */
  readonly untilSeq?: Seq;
  /** Only messages at or after this time, in nanoseconds since 1970; live ones always pass. */
  readonly sinceTimeNs?: bigint;
  /** End after this many messages. */
  readonly maxMessages?: Seq;
  /** Only messages that carry all of these tags. */
  readonly tags?: string | readonly string[];
  /** Reject with RetentionGap when messages were lost; default false. */
  readonly errorOnGap?: boolean;
  /** End normally after this many milliseconds, counted from the first `next()`. */
  readonly timeoutMs?: Seq;
  /** End normally after this many milliseconds without a message. */
  readonly idleTimeoutMs?: number;
  /** Where to begin without `sinceSeq`: the oldest retained message (default), or behind the end. */
  readonly from?: "oldest" | "end";
  /** Told of every gap when `errorOnGap` is off. */
  readonly onGap?: (gap: { readonly firstMissing: bigint; readonly next: bigint }) => void;
  /** Ends the wait and rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Which stored messages to give out again, and how fast. */
export interface ReplayOptions {
  /** 1 is the original pace, 2 twice as fast, 0 without pauses; default 1. */
  readonly speed?: number;
  /** First sequence number wanted (inclusive). */
  readonly sinceSeq?: Seq;
  /** Only messages at or after this time, in nanoseconds since 1970. */
  readonly sinceTimeNs?: bigint;
  /** Only the last so many of the selected messages. */
  readonly last?: number;
  /** End after this many messages. */
  readonly maxMessages?: Seq;
  /** End normally after this many milliseconds. */
  readonly timeoutMs?: Seq;
  /** Only messages that carry all of these tags. */
  readonly tags?: string | readonly string[];
  /** Ends the pause and rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** The highest value of an unsigned 64-bit integer. */
export const U64_MAX = 0xffff_ffff_ffff_ffffn;

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
  throw new PlasmiteError("Usage", `invalid ${name}: ${String(value)}`, {
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
  const ms = Number(value);
  if (ms >= 0) return ms;
  throw new PlasmiteError("Usage", `invalid ${name}: ${String(value)}`, {
    hint: "Use a non-negative number of milliseconds.",
  });
}

/**
 * Whether to wait for the disk.
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
  throw new PlasmiteError("Usage", "invalid tags", { hint: "Pass tags as an array of strings." });
}

/**
 * A checked time in nanoseconds since 1970, as two 32-bit halves; default now.
 *
 * @throws {PlasmiteError} Usage for a time outside unsigned 64 bits
 */
export function stamp(timestampNs?: bigint): { lo: number; hi: number } {
  const ns = timestampNs ?? Temporal.Now.instant().epochNanoseconds;
  if (typeof ns !== "bigint" || ns < 0n || ns > U64_MAX) {
    throw new PlasmiteError("Usage", "invalid timestampNs", {
      hint: "Use nanoseconds since 1970 as a bigint.",
    });
  }
  return { lo: Number(ns & 0xffff_ffffn), hi: Number(ns >> 32n) };
}
