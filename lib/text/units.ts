/**
 * Parses sizes, durations and durabilities as users type them.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";

/** Milliseconds of each unit of a duration. */
const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const U64_MAX = 0xffff_ffff_ffff_ffffn;
const SIZE_HINT = "Use bytes or a number with K/M/G, for example 64K or 8M.";

/**
 * Parses a size (docs/spec/command-line.md 1.4): decimal digits, then optionally `K`, `M` or `G`
 * for powers of 1024.
 *
 * @example
 * ```ts
 * import { parseSize } from "./units.ts";
 *
 * console.assert(parseSize("8 m") === 8n * 1024n * 1024n);
 * ```
 *
 * @returns bytes
 * @throws {PlasmiteError} Usage
 */
export function parseSize(text: string): bigint {
  const trimmed = text.trim();
  const digits = /^[0-9]*/.exec(trimmed)?.[0] ?? "";
  if (digits === "") {
    throw new PlasmiteError("Usage", "invalid size", {
      hint: SIZE_HINT,
      causes: [trimmed === "" ? "the size is empty" : `no digits at the start of "${trimmed}"`],
    });
  }
  const suffix = trimmed.slice(digits.length).trim();
  const shift = suffix === "" ? 0 : 10 * ("KMG".indexOf(suffix.toUpperCase()) + 1);
  if (suffix.length > 1 || (suffix !== "" && shift === 0)) {
    throw new PlasmiteError("Usage", "invalid size suffix", { hint: SIZE_HINT });
  }
  const size = BigInt(digits) << BigInt(shift);
  if (size > U64_MAX) {
    throw new PlasmiteError("Usage", "size overflow", { hint: "Use a smaller size." });
  }
  return size;
}

/**
 * Parses a duration (docs/spec/command-line.md 1.4): digits directly followed by `ms`, `s`, `m`,
 * `h` or `d`.
 *
 * @returns milliseconds
 * @throws {PlasmiteError} Usage
 */
export function parseDuration(text: string): number {
  const match = /^([0-9]+)(ms|s|m|h|d)$/.exec(text.trim());
  const duration = Number(match?.[1] ?? NaN) * (UNITS[match?.[2] ?? ""] ?? NaN);
  if (!Number.isSafeInteger(duration)) {
    throw new PlasmiteError("Usage", "invalid duration", {
      hint: "Use a whole number with a unit ms|s|m|h|d, for example 500ms or 5s.",
    });
  }
  return duration;
}

/**
 * Parses an age: a duration as {@linkcode parseDuration} takes it, or days as `d`.
 *
 * @returns milliseconds
 * @throws {PlasmiteError} Usage
 */
export function parseAge(text: string): number {
  const days = /^([0-9]{1,6})d$/.exec(text.trim())?.[1];
  return days === undefined ? parseDuration(text) : Number(days) * 86_400_000;
}

/**
 * Parses a durability (docs/spec/command-line.md 1.4).
 *
 * @throws {PlasmiteError} Usage
 */
export function parseDurability(text: string): "fast" | "flush" {
  const trimmed = text.trim();
  if (trimmed === "fast" || trimmed === "flush") return trimmed;
  throw new PlasmiteError("Usage", "invalid durability", {
    hint: "Use fast (not synced to disk) or flush (synced before the receipt).",
  });
}
