/**
 * Leases: messages in the pool record who holds a key, and until when. The functions are pure: they
 * compute messages to append from the retained claims; the append's guard calls them under the lock
 * (docs/spec/coordination.md 6).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { checkKey, KEY_TAG } from "./names.ts";

/** The tag of every claim, renewal and release. */
export const CLAIM_TAG = "claim";
/** The shortest, default and longest lease, in milliseconds. */
export const TTL = { least: 1_000, usual: 60_000, most: 86_400_000 } as const;
/** The largest number of keys of one claim: all are judged while the pool is locked. */
export const MOST_KEYS = 1000;
/** The longest name of a holder, in bytes, so that it fits in a tag after `agent:`. */
const LONGEST_HOLDER = 250;
/** A claim further in the future than this, in ns, was made with a clock that jumped. */
const AHEAD = 5_000_000_000n;

/** A stored claim, renewal or release. */
export interface ClaimMessage {
  /** Sequence number of the message. */
  readonly seq: bigint;
  /** Its time in nanoseconds since 1970. */
  readonly timeNs: bigint;
  /** Its keys. */
  readonly keys: readonly string[];
  /** Who appended it. */
  readonly by: string;
  /** Its state. */
  readonly state: "held" | "released";
  /** Its duration in milliseconds. */
  readonly ttlMs: number;
  /** The number of the lease's first claim, which is its token. */
  readonly token: bigint;
}

/** The newest claim of each requested key; null if none is retained. */
export type Newest = ReadonlyMap<string, ClaimMessage | null>;

/**
 * Checks the name of a holder and returns it.
 *
 * @throws {PlasmiteError} Usage
 */
export function checkHolder(holder: string): string {
  return checkKey(holder, "holder", LONGEST_HOLDER);
}

/**
 * Checks how long a lease is wanted for; undefined for the usual time.
 *
 * @throws {PlasmiteError} Usage
 */
export function checkTtl(ttlMs: number | undefined): void {
  if (ttlMs === undefined || (ttlMs >= TTL.least && ttlMs <= TTL.most)) return;
  throw new PlasmiteError("Usage", "Invalid time to live", {
    hint: "A lease lasts 1 second to 24 hours.",
  });
}

/** The error for a claim of nothing. */
export function needsKey(): PlasmiteError {
  return new PlasmiteError("Usage", "A claim needs a key", {
    hint: "Name what is to be claimed.",
  });
}

/** The error for a claim of more than {@linkcode MOST_KEYS} keys. */
export function tooManyKeys(): PlasmiteError {
  return new PlasmiteError("Usage", "A claim has too many keys", {
    hint: `Claim at most ${MOST_KEYS} keys at once, or one key that stands for them all.`,
  });
}

/**
 * Checks that a release names its lease, unless it is forced.
 *
 * @throws {PlasmiteError} Usage
 */
export function checkRelease(force: boolean | undefined, token: bigint | undefined): void {
  if (force === true || token !== undefined) return;
  throw new PlasmiteError("Usage", "A release needs the token of the lease", {
    hint: "Give the token that the claim returned, or force the release.",
  });
}

/**
 * Parses a claim; null if the data is not one.
 *
 * @param data the message's data; numbers may be bigints
 */
export function parseClaim(
  seq: bigint,
  timeNs: bigint,
  data: { readonly [key: string]: unknown },
): ClaimMessage | null {
  const { claim, by, state, ttl_ms: ttl, token } = data as Record<string, unknown>;
  if (!Array.isArray(claim) || !claim.every((key) => typeof key === "string")) return null;
  if (typeof by !== "string" || (state !== "held" && state !== "released")) return null;
  const ttlMs = Number(ttl ?? TTL.usual);
  const first = typeof token === "bigint"
    ? token
    : typeof token === "number" && Number.isSafeInteger(token)
    ? BigInt(token)
    : 0n;
  if (!(ttlMs >= 0) || first < 0n) return null;
  return { seq, timeNs, keys: claim, by, state, ttlMs, token: first === 0n ? seq : first };
}

/** The times when claims dated in the future were first seen; their duration starts then. */
export class FirstSights {
  readonly #seen = new Map<bigint, bigint>();

  /** The start time of a claim. */
  begin({ seq, timeNs }: ClaimMessage, nowNs: bigint): bigint {
    if (timeNs <= nowNs + AHEAD) return timeNs;
    const seen = this.#seen.get(seq) ?? nowNs;
    this.#seen.set(seq, seen);
    return seen;
  }
}

/** The end of a claim in nanoseconds since 1970; 0 if it was released. */
export function holdsUntil(message: ClaimMessage, nowNs: bigint, sights?: FirstSights): bigint {
  if (message.state !== "held") return 0n;
  const begin = sights?.begin(message, nowNs) ?? message.timeNs;
  return begin + BigInt(Math.round(message.ttlMs)) * 1_000_000n;
}

/** A claim message to append. */
export interface ClaimAppend {
  /** Its data. */
  readonly data: {
    readonly claim: readonly string[];
    readonly by: string;
    readonly state: "held" | "released";
    readonly ttl_ms: number;
    readonly token: bigint;
  };
  /** Its tags. */
  readonly tags: readonly string[];
}

function appendOf(
  keys: readonly string[],
  by: string,
  state: "held" | "released",
  ttlMs: number,
  token: bigint,
  forced = false,
): ClaimAppend {
  return {
    data: { claim: keys, by, state, ttl_ms: ttlMs, token },
    tags: [
      CLAIM_TAG,
      ...keys.map((key) => KEY_TAG + key),
      `agent:${by}`,
      ...(forced ? ["forced"] : []),
    ],
  };
}

/** Formats a time as RFC 3339 with milliseconds. */
function timeText(ns: bigint): string {
  return new Date(Number(ns / 1_000_000n)).toISOString();
}

function heldBy(key: string, message: ClaimMessage, until: bigint): PlasmiteError {
  const { by: holder, token } = message;
  return new PlasmiteError("Busy", `${key} is held by ${holder} until ${timeText(until)}`, {
    hint: "Wait until it is released or expires, or claim something else.",
    details: { key, holder, token, until: timeText(until) },
  });
}

function lost(key: string, message: string, by?: ClaimMessage, until = 0n): PlasmiteError {
  return new PlasmiteError("Conflict", message, {
    hint: "Stop working on it, and claim it again.",
    details: {
      key,
      ...(by === undefined ? {} : { holder: by.by, until: timeText(until) }),
    },
  });
}

/** The result of a claim. */
export interface ClaimOutcome {
  /** The messages to append. */
  readonly append: ClaimAppend;
  /** The token of the lease; 0 if it is the sequence number of the new message. */
  readonly token: bigint;
  /** The duration in milliseconds. */
  readonly ttlMs: number;
}

/** Keys without duplicates, in the given order. */
export function keySet(keys: readonly string[]): readonly string[] {
  return [...new Set(keys)];
}

function sameKeys(a: readonly string[], b: readonly string[]): boolean {
  const set = new Set(a);
  return set.size === new Set(b).size && b.every((key) => set.has(key));
}

/**
 * Claims all keys or none. Repeating a claim of the same keys while it is active renews it, so a
 * retry after an unknown outcome is safe.
 *
 * @throws {PlasmiteError} Busy if another holder has one of them
 */
export function claim(
  keys: readonly string[],
  holder: string,
  ttlMs: number,
  newest: Newest,
  nowNs: bigint,
  sights?: FirstSights,
): ClaimOutcome {
  const mine: ClaimMessage[] = [];
  for (const key of keys) {
    const message = newest.get(key) ?? null;
    if (message === null) continue;
    const until = holdsUntil(message, nowNs, sights);
    if (until <= nowNs) continue;
    if (message.by !== holder) throw heldBy(key, message, until);
    mine.push(message);
  }
  const [first] = mine;
  const renews = first !== undefined && mine.length === keys.length &&
    mine.every(({ token }) => token === first.token) && sameKeys(first.keys, keys);
  const token = renews ? first.token : 0n;
  return { append: appendOf(keys, holder, "held", ttlMs, token), token, ttlMs };
}

/** The claims of these keys, if the holder has all of them under this token. Throws Conflict. */
function own(
  keys: readonly string[],
  holder: string,
  token: bigint,
  newest: Newest,
  nowNs: bigint,
): ClaimMessage[] {
  return keys.map((key) => {
    const message = newest.get(key) ?? null;
    if (message === null) throw lost(key, "Lease is no longer retained");
    if (message.by === holder && message.token === token) return message;
    const until = holdsUntil(message, nowNs);
    if (message.by !== holder) throw lost(key, `Lease lost to ${message.by}`, message, until);
    throw lost(key, `Lease of ${key} has token ${message.token}, not ${token}`);
  });
}

/**
 * Renews a lease, even an expired one if no one has claimed the keys since.
 *
 * @param ttlMs the new duration; undefined for the previous one
 * @throws {PlasmiteError} Conflict if it was lost, released or is no longer retained
 */
export function renew(
  keys: readonly string[],
  holder: string,
  token: bigint,
  ttlMs: number | undefined,
  newest: Newest,
  nowNs: bigint,
): ClaimOutcome {
  let longest = 0;
  for (const message of own(keys, holder, token, newest, nowNs)) {
    if (message.state === "released") {
      throw lost(message.keys[0] ?? "", "Lease was released");
    }
    longest = Math.max(longest, message.ttlMs);
  }
  const ttl = ttlMs ?? longest;
  return { append: appendOf(keys, holder, "held", ttl, token), token, ttlMs: ttl };
}

/**
 * Releases a lease.
 *
 * @returns the messages to append; none if it was already released or is no longer retained
 * @throws {PlasmiteError} Conflict if another holder has it, or its token differs
 */
export function release(
  keys: readonly string[],
  holder: string,
  token: bigint,
  newest: Newest,
  nowNs: bigint,
): readonly ClaimAppend[] {
  const held = keys.filter((key) => {
    const message = newest.get(key) ?? null;
    return message !== null && !(message.by === holder && message.state === "released");
  });
  if (held.length === 0) return [];
  own(held, holder, token, newest, nowNs);
  return [appendOf(held, holder, "released", 0, token)];
}

/** Ends all leases of these keys, regardless of holder, with one release per token. */
export function forceRelease(
  keys: readonly string[],
  holder: string,
  newest: Newest,
): readonly ClaimAppend[] {
  const byToken = new Map<bigint, string[]>();
  for (const key of keys) {
    const message = newest.get(key) ?? null;
    if (message === null || message.state === "released") continue;
    const same = byToken.get(message.token);
    if (same === undefined) byToken.set(message.token, [key]);
    else same.push(key);
  }
  return [...byToken].map(([token, held]) => appendOf(held, holder, "released", 0, token, true));
}
