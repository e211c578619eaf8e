/**
 * The screen of `top`: rows as text that fits the terminal. Knows nothing of pools or keys.
 *
 * @module
 */

import { visible } from "../visible.ts";
import { humanRate } from "./pool_report.ts";
import { fitMiddle, padded, textWidth, widest } from "./line_width.ts";
import type { PoolRow } from "./top_rows.ts";

/** What rows can be sorted by, and the key that does it. */
export const SORTS = {
  n: "name",
  r: "rate",
  f: "fill",
  m: "messages",
  o: "oldest",
  l: "lag",
} as const;

/** A column to sort by. */
export type Sort = (typeof SORTS)[keyof typeof SORTS];

/** What is shown. */
export interface View {
  /** Where the pools are. */
  readonly place: string;
  readonly rows: readonly PoolRow[];
  readonly sort: Sort;
  /** Only pools whose name contains this. */
  readonly filter: string;
  /** Whether the filter is being typed. */
  readonly isTyping: boolean;
  /** The name of the selected pool. */
  readonly selected: string;
  /** The latest failure to measure; null for none. */
  readonly problem: string | null;
  readonly columns: number;
  readonly lines: number;
  readonly colored: boolean;
}

const BLOCKS = "▁▂▃▄▅▆▇█";

/** Recent rates as a line of blocks, the highest one full. */
export function sparkline(rates: readonly number[], width: number): string {
  const shown = rates.slice(-width);
  const highest = Math.max(...shown, 0);
  const blocks = shown.map((rate) =>
    rate <= 0 || highest === 0
      ? BLOCKS.charAt(0)
      : BLOCKS.charAt(Math.ceil(rate / highest * BLOCKS.length) - 1)
  );
  return blocks.join("").padStart(width);
}

/** An age in one unit: `12s`, `3m`, `2h`, `5d`. */
function shortAge(ms: number | null): string {
  if (ms === null) return "-";
  const seconds = Math.floor(ms / 1000);
  const steps: readonly (readonly [number, string])[] = [[86400, "d"], [3600, "h"], [60, "m"]];
  for (const [length, unit] of steps) {
    if (seconds >= length) return `${Math.floor(seconds / length)}${unit}`;
  }
  return `${seconds}s`;
}

/** The largest lag of a pool's cursors and groups. */
function lagOf({ cursors }: PoolRow): bigint {
  return cursors.reduce((most, { lag }) => lag > most ? lag : most, 0n);
}

/** The rows that are shown, in order. */
export function arranged(
  { rows, sort, filter }: Pick<View, "rows" | "sort" | "filter">,
): PoolRow[] {
  const wanted = filter.toLowerCase();
  const by: Readonly<Record<Sort, (row: PoolRow) => number | bigint>> = {
    name: () => 0,
    rate: (row) => row.rate,
    fill: (row) => row.fillPercent,
    messages: (row) => row.messages,
    oldest: (row) => row.oldestAgeMs ?? -1,
    lag: lagOf,
  };
  const value = by[sort];
  return rows.filter(({ name }) => name.toLowerCase().includes(wanted)).sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    return x < y ? 1 : x > y ? -1 : a.name < b.name ? -1 : 1;
  });
}

/** A column: its heading, whether it is aligned right, and what it shows. */
interface Column {
  readonly heading: string;
  readonly right?: true;
  readonly text: (row: PoolRow) => string;
  /** It is left out first on a narrow terminal: higher ones go earlier. */
  readonly spare: number;
}

const COLUMNS: readonly Column[] = [
  {
    heading: "RATE",
    right: true,
    spare: 0,
    text: (row) => row.rate === 0 ? "-" : humanRate(row.rate),
  },
  { heading: "RECENT", spare: 5, text: (row) => sparkline(row.rates, 12) },
  { heading: "FILL", right: true, spare: 0, text: (row) => `${Math.floor(row.fillPercent)}%` },
  { heading: "MSGS", right: true, spare: 3, text: (row) => String(row.messages) },
  { heading: "OLDEST", right: true, spare: 4, text: (row) => shortAge(row.oldestAgeMs) },
  { heading: "NEWEST", right: true, spare: 2, text: (row) => shortAge(row.newestAgeMs) },
  { heading: "FOLLOW", right: true, spare: 6, text: (row) => String(row.followers ?? "-") },
  {
    heading: "LAG",
    right: true,
    spare: 1,
    text: (row) => row.cursors.length === 0 ? "-" : String(lagOf(row)),
  },
  { heading: "CLAIMS", right: true, spare: 7, text: (row) => String(row.claims.length) },
];

/** The narrowest column of names. */
const NARROWEST = 12;

interface SizedColumn extends Column {
  readonly width: number;
}

/** The columns that fit beside names, and the width of names. */
function layout(rows: readonly PoolRow[], columns: number): {
  readonly chosen: readonly SizedColumn[];
  readonly name: number;
} {
  const longest = Math.max(4, widest(rows.map(({ name }) => visible(name))));
  let chosen: SizedColumn[] = COLUMNS.map((column) => ({
    ...column,
    width: Math.max(column.heading.length, widest(rows.map(column.text))),
  }));
  for (;;) {
    const rest = columns - chosen.reduce((sum, { width }) => sum + width + 2, 0);
    const spare = Math.max(...chosen.map((column) => column.spare));
    if (rest >= Math.min(longest, NARROWEST) || spare === 0) {
      return { chosen, name: Math.max(4, Math.min(longest, rest)) };
    }
    chosen = chosen.filter((column) => column.spare !== spare);
  }
}

/** Details of the selected pool: its cursors and claims. */
function details(row: PoolRow | undefined, columns: number): string[] {
  if (row === undefined) return [];
  const cursors = row.cursors.map((cursor) => {
    const pending = cursor.pending === undefined ? "" : ` pending ${cursor.pending}`;
    const holder = cursor.inUse === null ? "" : ` in use by pid ${cursor.inUse.pid}`;
    return cursor.error === undefined
      ? `${cursor.kind} ${cursor.name}: at ${cursor.seq}, lag ${cursor.lag}${pending}${holder}`
      : `${cursor.kind} ${cursor.name}: ${cursor.error.message}`;
  });
  const now = Date.now();
  const claims = row.claims.map(({ key, holder, untilNs }) =>
    `claim ${key}: ${holder} for ${shortAge(Number(untilNs / 1_000_000n) - now)}`
  );
  const shown = row.error === null
    ? [...cursors, ...claims]
    : [`${row.name}: ${row.error.message}`];
  return shown.map((line) => fitMiddle(visible(line), columns));
}

/** The screen, a text a line, `lines` of them at most. */
export function screen(view: View): string[] {
  const { columns, lines, place, filter, isTyping, sort, problem } = view;
  const style = (number: number, text: string): string =>
    view.colored ? `\x1b[${number}m${text}\x1b[0m` : text;
  const rows = arranged(view);
  const at = Math.max(0, rows.findIndex(({ name }) => name === view.selected));
  const { chosen, name: nameWidth } = layout(rows, columns);
  const cell = (text: string, width: number, right: boolean): string =>
    right ? " ".repeat(Math.max(0, width - textWidth(text))) + text : padded(text, width);
  const line = (name: string, texts: readonly string[]): string =>
    [
      cell(fitMiddle(visible(name), nameWidth), nameWidth, false),
      ...texts.map((text, i) => cell(text, chosen[i]?.width ?? 0, chosen[i]?.right === true)),
    ].join("  ");
  const more = details(rows[at], columns).slice(0, Math.max(0, Math.floor((lines - 4) / 3)));
  const room = Math.max(1, lines - 3 - (more.length > 0 ? more.length + 1 : 0));
  const first = Math.min(Math.max(0, rows.length - room), Math.max(0, at - Math.floor(room / 2)));
  const status = problem ??
    (isTyping || filter !== ""
      ? `/${filter}${isTyping ? "▏" : ""}`
      : "q quit  ↑↓ select  ⏎ follow  / filter  sort: n r f m o l");
  const title = `${rows.length} of ${view.rows.length} pools in ${place}, by ${sort}`;
  return [
    style(1, fitMiddle(visible(title), columns)),
    style(2, line("NAME", chosen.map(({ heading }) => heading))),
    ...rows.slice(first, first + room).map((row, i) => {
      const text = row.error !== null
        ? fitMiddle(`${line(row.name, [])}  ERR ${visible(row.error.message)}`, columns)
        : line(row.name, chosen.map((column) => column.text(row)));
      if (first + i === at) return view.colored ? style(7, text) : `${text} <`;
      return row.error === null ? text : style(31, text);
    }),
    ...(rows.length === 0 ? [filter === "" ? "No pools yet" : "No pool matches"] : []),
    ...(more.length > 0 ? ["", ...more] : []),
    style(problem === null ? 2 : 31, fitMiddle(visible(status), columns)),
  ];
}
