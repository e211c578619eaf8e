/**
 * Values that commands check themselves: sizes, durations, durability (cli.md 1.4).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";

/** A size in bytes: `42`, `64K`, `8m`, `1G`. Throws Usage. */
export function parseSize(text: string): number {
  const hint = "Use bytes, or a number with K/M/G: 64K, 8M, 1G.";
  const match = /^([0-9]+)\s*(.*)$/s.exec(text.trim());
  if (match === null) {
    throw new PlasmiteError("Usage", "invalid size", {
      hint,
      causes: [text.trim() === "" ? "empty size" : `not a number: ${JSON.stringify(text.trim())}`],
    });
  }
  const [, digits = "", suffix = ""] = match;
  const power = ["", "K", "M", "G"].indexOf(suffix.toUpperCase());
  if (power < 0) throw new PlasmiteError("Usage", "invalid size suffix", { hint });
  const size = BigInt(digits) << BigInt(10 * power);
  if (size > 0xffff_ffff_ffff_ffffn) throw new PlasmiteError("Usage", "size overflow", { hint });
  return Number(size);
}

/** A duration in milliseconds: `500ms`, `5s`, `1m`, `2h`. Throws Usage. */
export function parseDuration(text: string): number {
  const match = /^([0-9]+)(ms|s|m|h)$/.exec(text.trim());
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match?.[2] ?? ""];
  if (match === null || unit === undefined) {
    throw new PlasmiteError("Usage", "invalid duration", {
      hint: "Use a whole number with ms|s|m|h: 500ms, 5s, 1m, 2h.",
    });
  }
  return Number(match[1]) * unit;
}

/** `fast` or `flush`. Throws Usage. */
export function parseDurability(text: string | undefined): "fast" | "flush" {
  const value = (text ?? "fast").trim();
  if (value === "fast" || value === "flush") return value;
  throw new PlasmiteError("Usage", "invalid durability", { hint: "Use fast or flush." });
}
