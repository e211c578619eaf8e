/**
 * The screen of `follow --interactive`: the rows of the list and a line that says where one is.
 * Knows nothing of pools or keys.
 *
 * @module
 */

import { visible } from "../visible.ts";
import { type FollowView, marked, type Row } from "./follow_view.ts";
import { paint } from "./line_format.ts";
import { fit, padded, type Piece } from "./line_width.ts";

const PLAIN = 0;
const REVERSED = 7;
const DIM = 2;
const RED = 31;
/** What matches the search: black on yellow. */
const HIT = "30;43";

/** The keys, shown by `?`. */
export const KEYS: readonly string[] = [
  "↑ ↓ j k         one row",
  "PgUp PgDn b ␣   one screen",
  "g G             oldest kept, newest (and on with it)",
  "p               pause, go on",
  "⏎ ← →           unfold or fold the message",
  "z               unfold or fold all",
  "/ n N           search, next, previous; capitals count where there are any",
  "e E             next, previous error or warning",
  "Esc             end the search",
  "q               quit",
];

/** What the screen shows beside the list. */
export interface FollowStatus {
  /** The pool's name. */
  readonly pool: string;
  /** The search, also while it is typed. */
  readonly search: string;
  readonly isTyping: boolean;
  /** A word on what just happened; empty for none. */
  readonly said: string;
  /** Whether that is bad. */
  readonly isBad: boolean;
  /** Whether nothing more will arrive. */
  readonly isOver: boolean;
  readonly isHelp: boolean;
  readonly columns: number;
  readonly lines: number;
  readonly colored: boolean;
}

/** The screen, a text a line. */
export function followScreen(view: FollowView, status: FollowStatus): string[] {
  const { columns, lines, colored, isHelp } = status;
  const help = isHelp ? KEYS.slice(0, Math.max(0, lines - 2)) : [];
  view.columns = Math.max(1, columns - 2);
  view.height = Math.max(1, lines - 1 - help.length);
  const rows = view.rows();
  const shown = rows.map((row) => rowText(view, row, columns, colored));
  const empty = shown.length === 0 ? ["No message yet"] : [];
  return [
    ...[...shown, ...empty].slice(0, view.height),
    ...Array<string>(Math.max(0, view.height - Math.max(1, shown.length))).fill(""),
    ...help.map((line) => paint(fit([{ text: line, style: DIM }], columns), colored)),
    statusLine(view, status),
  ];
}

/** A row: a mark of the chosen one and of hits, then the line. */
function rowText(view: FollowView, row: Row, columns: number, colored: boolean): string {
  const isChosen = row.entry === view.at.entry && row.row === view.at.row;
  const line: readonly Piece[] = row.row === 0
    ? view.entry(row.entry)?.line ?? []
    : [{ text: view.unfolded(row.entry)[row.row - 1] ?? "", style: PLAIN }];
  const isHit = row.row === 0 && view.isHit(row.entry);
  const mark = `${isChosen ? ">" : " "}${isHit ? "*" : " "}`;
  const room = Math.max(1, columns - 2);
  const pieces = fit(line, room);
  if (isChosen && colored) {
    const text = pieces.map((piece) => piece.text).join("");
    return paint([{ text: mark + padded(text, room), style: REVERSED }], true);
  }
  const cut = marked(pieces, view.pattern, HIT_STYLE);
  return paint([{ text: mark, style: isHit ? RED : PLAIN }], colored) +
    cut.map((piece) =>
      piece.style === HIT_STYLE && colored
        ? `\x1b[${HIT}m${piece.text}\x1b[0m`
        : paint([piece], colored)
    ).join("");
}

/** Stands for {@linkcode HIT} among the numbers of styles. */
const HIT_STYLE = -1;

/** The last line: the search, or where one is. */
function statusLine(view: FollowView, status: FollowStatus): string {
  const { columns, colored } = status;
  if (status.isTyping) {
    return paint(fit([{ text: `/${visible(status.search)}▏`, style: PLAIN }], columns), colored);
  }
  const moves = status.isOver
    ? "end"
    : view.isLive
    ? "live"
    : `paused${view.unseen > 0 ? `, ${view.unseen} new` : ""}`;
  const found = view.pattern === null
    ? []
    : [`/${visible(status.search)}: ${view.hits} of ${view.count}`];
  const parts = [
    ...(status.said === "" ? [] : [visible(status.said)]),
    moves,
    ...found,
    visible(status.pool),
    `${view.count === 0 ? 0 : view.at.entry + 1} of ${view.count}`,
    "? keys  q quit",
  ];
  const style = status.isBad ? RED : DIM;
  return paint(fit([{ text: parts.join("  "), style }], columns), colored);
}
