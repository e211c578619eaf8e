/**
 * The limits of a key that is not a full key: its pools, operations and expiry
 * (docs/spec/sharing.md 1.8).
 *
 * @module
 */

import { PlasmiteError } from "../../lib/errors.ts";
import type { Need } from "../../lib/types.ts";

/** The names of rights, and what they allow. */
export const RIGHTS = {
  "read": ["read"],
  "append": ["append"],
  "read-append": ["read", "append"],
  "admin": ["read", "append", "admin"],
} as const satisfies { readonly [name: string]: readonly Need[] };

/** The name of a key's rights. */
export type Rights = keyof typeof RIGHTS;

/** The limits of a key. */
export interface Restriction {
  /** Pool name patterns. */
  readonly pools: readonly string[];
  /** What it may do in those pools. */
  readonly rights: Rights;
  /** When it expires, in seconds since 1970; null for never. */
  readonly expiresAt: number | null;
}

/** The maximum number of patterns of a key. */
const MOST_PATTERNS = 64;
/** The maximum length of a pattern, in UTF-16 code units. */
const LONGEST_PATTERN = 255;

function usage(message: string, hint: string): PlasmiteError {
  return new PlasmiteError("Usage", message, { hint });
}

/** Whether a text is a name of rights. */
export function isRights(text: unknown): text is Rights {
  return typeof text === "string" && Object.hasOwn(RIGHTS, text);
}

/** Describes what is wrong with a pattern, or returns null. */
export function patternProblem(pattern: string): string | null {
  if (pattern === "") return "it is empty";
  if (pattern.length > LONGEST_PATTERN) return "it is too long";
  // deno-lint-ignore no-control-regex -- matches control characters on purpose
  if (/[\x00-\x1f\x7f,/]/.test(pattern)) return "it has a comma, a slash or a control character";
  // A pool's name ends before it; dropping it here could turn one pool into all of them.
  if (pattern.endsWith(".plasmite")) return "names of pools are given without .plasmite";
  return null;
}

/**
 * Validates the patterns of an invitation.
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
/** The latest expiry of a key, in seconds since 1970: the last second that a Date can hold. */
const LATEST = 8_640_000_000_000;

/**
 * When a key created now expires.
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

/** Whether the limits restrict nothing, so that the key can be a full key. */
export function isFull({ pools, rights, expiresAt }: Restriction): boolean {
  return pools.includes("*") && rights === "admin" && expiresAt === null;
}

/** Whether a name matches a pattern: `*` matches any text, `?` one character. */
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

/** Matches names and caches the results, because names repeat. */
export class Patterns {
  readonly #patterns: readonly string[];
  readonly #known = new Map<string, boolean>();

  /** @param patterns pool name patterns */
  constructor(patterns: readonly string[]) {
    this.#patterns = patterns;
  }

  /** Whether any pattern matches. */
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
