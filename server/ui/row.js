/**
 * Draws one row of the list. Its name for screen readers is what it shows; rows.css says the names of
 * columns in it.
 *
 * @module
 */

import { clock, count, fill, h } from "./dom.js";
import { pick } from "./json.js";
import { dayOf, isSameDay, stamp } from "./times.js";
import { fieldsOf, gap, isTelling, piecesOf, shownCell, troubleOf } from "./line.js";
import { tagPills } from "./tags.js";

/** @typedef {import("./list.js").Row} Row */
/** @typedef {import("./json.js").Message} Message */
/** @typedef {import("./list.js").Gap} Gap */

/** How many characters of a message's data a row reads, and shows of it: on one line, wrapped. */
const READ = 4000;
const SHOWN = [600, 2400];
/** Characters of a column. */
const CELL = 400;

/**
 * How rows are drawn.
 * @typedef {object} Look
 * @property {string[][]} pins paths of `data` shown as columns
 * @property {ReadonlySet<string>} pinned members of `data` that have a column of their own
 * @property {boolean} wrap
 * @property {number} tagRoom the width of the tags, in pixels
 */

/** The text for a gap. @param {Gap} gap */
export function gapText({ from, to }) {
  const n = to - from;
  return n === 1n
    ? `Message ${from} is no longer retained: it was overwritten before it was read`
    : `Messages ${from}–${to - 1n} are no longer retained: ${
      count(n)
    } were overwritten before they were read`;
}

/**
 * The text of a column. @param {Message} message @param {string[]} path
 */
export function cellText({ text, from, to }, path) {
  const value = pick(text, from, to, path);
  return value === undefined ? "" : shownCell(value.slice(0, CELL));
}

/** @param {HTMLElement} element @param {Row} row @param {Look} look @param {Row} [before] the row before */
export function drawRow(element, row, look, before) {
  // Where a day ends.
  const isNewDay = before !== undefined && before.t > 0 && !isSameDay(before.t, row.t);
  if (isNewDay) element.setAttribute("data-day", dayOf(row.t));
  else element.removeAttribute("data-day");
  if (row.kind !== "message") return drawMark(element, row);
  const { text, from, to, tags } = row;
  const fields = fieldsOf(text.slice(from, Math.min(to, from + READ)));
  const trouble = troubleOf(fields, tags);
  const pieces = piecesOf(fields, trouble, look.pinned);
  const cells = look.pins.map((path) => cellText(row, path));
  element.className = `row t${trouble}`;
  fill(
    element,
    h("span", { class: "seq" }, String(row.seq)),
    h("time", { class: "time", title: row.time }, stamp(row.t)),
    h("span", { class: "tags" }, tagPills(tags, look.tagRoom)),
    cells.map((cell, i) => {
      const style = isTelling(look.pins[i] ?? []) ? ` t${trouble}` : "";
      const name = (look.pins[i] ?? []).join(".");
      return h("span", { class: `cell${style}`, title: cell, "data-name": name }, cell);
    }),
    h("span", { class: "data" }, dataOf(pieces, look)),
  );
}

/** @param {HTMLElement} element @param {Exclude<Row, Message>} row */
function drawMark(element, row) {
  const words = row.kind === "gap" ? gapText(row) : row.text;
  element.className = `row mark ${row.kind === "gap" || row.bad ? "bad" : ""}`;
  fill(element, h("span", null, `${clock(row.t, false)}  ${words}`));
}

/** @param {readonly import("./line.js").Piece[]} pieces @param {Look} look */
function dataOf(pieces, look) {
  /** @type {import("./dom.js").Child[]} */
  const out = [];
  let room = SHOWN[look.wrap ? 1 : 0] ?? 0;
  for (const [i, piece] of pieces.entries()) {
    if (room <= 0) break;
    const words = piece.text.slice(0, room);
    room -= piece.text.length + 2;
    out.push(gap(pieces, i));
    if (piece.kind === "k") out.push(h("i", { class: "k" }, words));
    else if (piece.trouble) out.push(h("b", { class: `t${piece.trouble}` }, words));
    else if (piece.kind === "m") out.push(h("b", null, words));
    else out.push(words);
  }
  return out;
}
