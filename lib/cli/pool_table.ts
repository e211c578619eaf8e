/**
 * The table of pools on a terminal: one line per pool, however long the names are.
 *
 * @module
 */

import type { PoolInfo } from "../backend/local/info.ts";
import { visible } from "../visible.ts";
import { bar, humanAge, humanBytes, shortPath } from "./human.ts";
import { fit, fitMiddle, padded, widest } from "./line_width.ts";
import { humanRate, messageRate } from "./pool_report.ts";

/** The smallest width of the column of names. */
const NARROWEST = 12;

/** Options of the table. */
export interface TableView {
  /** The directory that paths are shown relative to. */
  readonly dir: string;
  /** The width of the terminal. */
  readonly columns: number;
  /** Whether damaged pools are red. */
  readonly colored: boolean;
}

/** The table, with a heading; with paths only if one of them is more than the name of its pool. */
export function poolTable(
  pools: readonly PoolInfo[],
  { dir, columns, colored }: TableView,
): string {
  const withPath = pools.some(({ name, path }) => shortPath(path, dir) !== `${name}.plasmite`);
  const header = ["SIZE", "MSGS", "MODIFIED", "FILL", "RATE", ...(withPath ? ["PATH"] : [])];
  const rows = pools.map((info) => {
    const cells = info.error === undefined ? cellsOf(info) : [];
    return withPath ? [...cells, visible(shortPath(info.path, dir))] : cells;
  });
  const widths = header.map((heading, i) =>
    Math.max(heading.length, widest(rows.map((row) => row[i] ?? "")))
  );
  const rest = columns - widths.reduce((sum, width) => sum + width + 2, 0);
  const longest = Math.max(4, widest(pools.map(({ name }) => visible(name))));
  const nameWidth = Math.min(longest, Math.max(NARROWEST, rest));
  const line = (name: string, cells: readonly string[]): string =>
    [fitMiddle(visible(name), nameWidth), ...cells].map((text, i) =>
      padded(text, i === 0 ? nameWidth : widths[i - 1] ?? 0)
    ).join("  ").trimEnd();
  const lines = [line("NAME", header)];
  for (const [i, { name, error }] of pools.entries()) {
    const text = error === undefined
      ? line(name, rows[i] ?? [])
      : `${line(name, [])}  ERR  ${visible(error.message)}`;
    const cut = fit([{ text, style: 0 }], columns).map((piece) => piece.text).join("");
    lines.push(error !== undefined && colored ? `\x1b[31m${cut}\x1b[0m` : cut);
  }
  return lines.map((text) => `${text}\n`).join("");
}

function cellsOf(info: PoolInfo): string[] {
  const { metrics, fileSize, mtimeMs } = info;
  const used = metrics?.utilization.usedBytes ?? 0;
  return [
    humanBytes(fileSize),
    String(metrics?.messageCount ?? "-"),
    typeof mtimeMs === "number" ? humanAge(Date.now() - mtimeMs) : "-",
    metrics === undefined ? "-" : bar(used / info.ringSize, 10),
    humanRate(messageRate(info)),
  ];
}
