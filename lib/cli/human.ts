/**
 * Text for people: sizes, ages, tables and paths, without control sequences
 * (docs/spec/command-line.md 4, 1.8).
 *
 * @module
 */

import { escapeControls } from "../visible.ts";
import { optionalVariable, workingDirectory } from "../environment.ts";

/** A size: `504`, `64K`, `1.5M`. The unit grows by 1024, with one decimal unless exact. */
export function humanBytes(bytes: number | bigint): string {
  let value = Number(bytes);
  if (value < 1024) return String(value);
  let unit = "";
  for (const next of ["K", "M", "G"]) {
    if (value < 1024) break;
    value /= 1024;
    unit = next;
  }
  return (Number.isInteger(value) ? String(value) : value.toFixed(1)) + unit;
}

/** An age: `3s ago`, `2h ago`, `5w ago`; at least one second. */
export function humanAge(milliseconds: number): string {
  const seconds = Math.max(1, Math.floor(milliseconds / 1000));
  const steps: [number, string][] = [[604800, "w"], [86400, "d"], [3600, "h"], [60, "m"]];
  for (const [length, unit] of steps) {
    if (seconds >= length) return `${Math.floor(seconds / length)}${unit} ago`;
  }
  return `${seconds}s ago`;
}

/** A duration in option syntax, in the largest exact unit: `7d`, `90m`, `1500ms`. */
export function humanDuration(milliseconds: number): string {
  const units: [number, string][] = [[86_400_000, "d"], [3_600_000, "h"], [60_000, "m"], [
    1000,
    "s",
  ]];
  const [length, unit] = units.find(([length]) => milliseconds % length === 0) ?? [1, "ms"];
  return `${milliseconds / length}${unit}`;
}

/**
 * Rows under a header, left-aligned, two spaces apart, every column padded
 * (docs/spec/command-line.md 4.1).
 */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [header, ...rows.map((row) => row.map(escapeControls))];
  const widths = header.map((_, i) =>
    cells.reduce((widest, row) => Math.max(widest, width(row[i] ?? "")), 0)
  );
  const line = (row: readonly string[]): string =>
    row.map((cell, i) => cell + " ".repeat((widths[i] ?? 0) - width(cell))).join("  ");
  return cells.map((row) => line(row) + "\n").join("");
}

/** The length in characters, as used for padding by the reference. */
export function width(text: string): number {
  let pairs = 0;
  for (let i = 0; i < text.length; i++) if ((text.charCodeAt(i) & 0xfc00) === 0xdc00) pairs++;
  return text.length - pairs;
}

/** A pool's path in tables: relative to `dir` when inside it, else its base name. */
export function shortPath(path: string, dir: string): string {
  const prefix = dir.endsWith("/") ? dir : `${dir}/`;
  return path.startsWith(prefix)
    ? path.slice(prefix.length)
    : path.slice(path.lastIndexOf("/") + 1);
}

/** A directory for people: `./rel/`, `~/rel/` or absolute, with a trailing `/`. */
export function displayDir(dir: string): string {
  const full = dir.endsWith("/") ? dir : `${dir}/`;
  const under = (base: string, short: string): string | undefined =>
    base !== "" && full.startsWith(`${base}/`) ? short + full.slice(base.length + 1) : undefined;
  if (!full.startsWith("/")) return full.startsWith("./") ? full : `./${full}`;
  return under(workingDirectory() ?? "", "./") ?? under(optionalVariable("HOME") ?? "", "~/") ??
    full;
}

/** How full something is, as `[████▌     ]`; `cells` is the inner width. */
export function bar(fraction: number, cells: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, fraction)) * cells * 8);
  const part = " ▏▎▍▌▋▊▉".charAt(eighths % 8);
  const full = "█".repeat(Math.floor(eighths / 8));
  return `[${(full + (eighths % 8 === 0 ? "" : part)).padEnd(cells)}]`;
}
