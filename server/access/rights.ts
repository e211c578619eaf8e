/**
 * What a key that is not a full one may do: on which pools, which operations, until when
 * (docs/spec/sharing.md 1.8).
 *
 * @module
 */

import { PlasmiteError } from "../../lib/errors.ts";
import type { Need } from "../../lib/types.ts";

/** The rights by their names, and what they allow. */
export const RIGHTS = {
  "read": ["read"],
  "append": ["append"],
  "read-append": ["read", "append"],
  "admin": ["read", "append", "admin"],
} as const satisfies { readonly [name: string]: readonly Need[] };

/** The name of what a key may do. */
export type Rights = keyof typeof RIGHTS;

/** The limits of a key. */
export interface Restriction {
  /** Patterns of pool names. */
  readonly pools: readonly string[];
  /** What it may do there. */
  readonly rights: Rights;
  /** When it ends, in seconds since 1970; null for never. */
  readonly expiresAt: number | null;
}

/** The most patterns of one key. */
const MOST_PATTERNS = 64;
/** The longest pattern, in UTF-16 units. */
const LONGEST_PATTERN = 255;

function usage(message: string, hint: string): PlasmiteError {
  return new PlasmiteError("Usage", message, { hint });
}

/** Whether a text is the name of rights. */
export function isRights(text: unknown): text is Rights {
  return typeof text === "string" && Object.hasOwn(RIGHTS, text);
}

/** What is wrong with a pattern, or null. */
export function patternProblem(pattern: string): string | null {
  if (pattern === "") return "it is empty";
  if (pattern.length > LONGEST_PATTERN) return "it is too long";
  // deno-lint-ignore no-control-regex -- control characters are what is looked for
  if (/[\x00-\x1f\x7f,/]/.test(pattern)) return "it has a comma, a slash or a control character";
  // A pool's name ends before it; dropping it here could turn one pool into all of them.
  if (pattern.endsWith(".plasmite")) return "names of pools are given without .plasmite";
  return null;
}

/**
 * The patterns of an invitation.
 *
 * @throws {PlasmiteError} Usage
 */
export function checkedPatterns(given: readonly string[]): readonly string[] {
  const patterns = [...new Set(given.map((pattern) => pattern.trim()))];
  if (patterns.length === 0 || patterns.length > MOST_PATTERNS) {
    throw usage(
      `invalid pools: give 1 to ${MOST_PATTERNS} patterns`,
      "Separate patterns by commas, as in ci,logs-*; * stands for all pools.",
    );
  }
  for (const pattern of patterns) {
    const problem = patternProblem(pattern);
    if (problem === null) continue;
    throw usage(
      `invalid pool pattern ${JSON.stringify(pattern)}: ${problem}`,
      "Use names of pools in which * stands for any text and ? for one character.",
    );
  }
  return patterns;
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
/** The furthest end of a key, in seconds since 1970: the last second that a date can have. */
const LATEST = 8_640_000_000_000;

/**
 * When a key ends that is made now.
 *
 * @param text digits and one of `s`, `m`, `h`, `d`
 * @param now in seconds since 1970
 * @throws {PlasmiteError} Usage
 */
export function expiryOf(text: string, now: number): number {
  const [, digits = "", unit = ""] = /^([0-9]{1,12})([smhd])$/.exec(text) ?? [];
  const seconds = Number(digits) * (UNITS[unit] ?? 0);
  if (seconds > 0 && now + seconds <= LATEST) return now + seconds;
  throw usage(
    `invalid expiry ${JSON.stringify(text)}`,
    "Use a number above 0 and a unit: 30d, 12h, 45m or 90s.",
  );
}

/** Whether that is everything a key can do, so that it needs no restriction. */
export function isFull({ pools, rights, expiresAt }: Restriction): boolean {
  return pools.includes("*") && rights === "admin" && expiresAt === null;
}

/** Whether a name matches a pattern: `*` is any text, `?` one character. */
export function matches(pattern: string, name: string): boolean {
  const wanted = [...pattern];
  const given = [...name];
  let p = 0;
  let star = -1;
  let starAt = 0;
  for (let n = 0; n < given.length;) {
    if (wanted[p] === "*") {
      star = p++;
      starAt = n;
    } else if (p < wanted.length && (wanted[p] === "?" || wanted[p] === given[n])) {
      p++;
      n++;
    } else if (star >= 0) {
      p = star + 1;
      n = ++starAt;
    } else return false;
  }
  while (wanted[p] === "*") p++;
  return p === wanted.length;
}

/** Judges names again and again; names repeat. */
export class Patterns {
  readonly #patterns: readonly string[];
  readonly #known = new Map<string, boolean>();

  /** @param patterns of pool names */
  constructor(patterns: readonly string[]) {
    this.#patterns = patterns;
  }

  /** Whether one of them matches. */
  match(name: string): boolean {
    let known = this.#known.get(name);
    if (known === undefined) {
      known = this.#patterns.some((pattern) => matches(pattern, name));
      if (this.#known.size >= 1000) this.#known.clear();
      this.#known.set(name, known);
    }
    return known;
  }
}
