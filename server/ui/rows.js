/**
 * The rows of a page: limited in number and size, with a second list for rows that arrive during a
 * pause.
 *
 * @module
 */

import { count, hue } from "./dom.js";
import { serverNow } from "./times.js";

/** @typedef {import("./list.js").Row} Row */
/** @typedef {import("./json.js").Message} Message */

/** The largest number of rows. */
export const MAX_ROWS = 100_000;
/** Rows beyond that before some are removed: removing a few thousand at once is cheaper. */
const SLACK = 2000;
/** The largest total number of characters of messages. */
const MAX_CHARS = 150e6;

/** @param {Row} row */
const charsOf = (row) => row.kind === "message" ? row.text.length : 0;
/** @param {readonly Row[]} rows */
const lengthOf = (rows) => rows.reduce((n, row) => n + charsOf(row), 0);
/** @param {Row | undefined} row @returns {Message | null} */
export const messageOf = (row) => row?.kind === "message" ? row : null;

export class Rows {
  paused = false;
  /** Whether rows were removed because there were too many. */
  trimmed = false;
  /** @type {Row[]} */
  #waiting = [];
  #waitingChars = 0;
  #chars = 0;
  #lost = 0;

  /** @param {import("./list.js").MessageList} list */
  constructor(list) {
    this.list = list;
  }

  /** The number of rows that arrived during the pause. */
  get waiting() {
    return this.#waiting.length + this.#lost;
  }

  get full() {
    return this.list.rows.length >= MAX_ROWS || this.#chars >= MAX_CHARS;
  }

  /** The first message. @returns {Message | null} */
  get first() {
    return messageOf(this.list.rows.find((row) => row.kind === "message"));
  }

  clear() {
    const { list } = this;
    list.clear();
    this.paused = this.trimmed = false;
    this.#waiting = [];
    this.#waitingChars = this.#chars = this.#lost = 0;
  }

  /**
   * Adds rows of a live stream and removes the oldest if there are too many. @param {Row[]} rows
   */
  take(rows) {
    if (this.paused) return this.#wait(rows);
    this.add(rows);
    const { list } = this;
    let over = list.rows.length > MAX_ROWS + SLACK ? list.rows.length - MAX_ROWS : 0;
    if (this.#chars > MAX_CHARS) {
      let chars = this.#chars;
      for (over = 0; chars > MAX_CHARS * 0.9 && over < list.rows.length - 1; over++) {
        chars -= messageOf(list.rows[over])?.text.length ?? 0;
      }
    }
    if (!over) return;
    const gone = list.rows.slice(0, over);
    this.#chars -= lengthOf(gone);
    this.trimmed = true;
    list.trim(over);
  }

  /** @param {Row[]} rows */
  #wait(rows) {
    for (const row of rows) this.#waiting.push(row);
    this.#waitingChars += lengthOf(rows);
    let over = this.#waiting.length > MAX_ROWS + SLACK ? this.#waiting.length - MAX_ROWS : 0;
    if (this.#waitingChars > MAX_CHARS) over = Math.max(over, this.#waiting.length >> 1);
    const lost = this.#waiting.splice(0, over);
    this.#waitingChars -= lengthOf(lost);
    this.#lost += lost.length;
  }

  /** Appends rows and shows them. @param {Row[]} rows */
  add(rows) {
    const { list } = this;
    if (!list.rows.length) {
      // Colours are assigned in this order, so that the same tags get the same ones next time.
      const lists = new Set(rows.map((row) => messageOf(row)?.tags ?? []));
      [...new Set([...lists].flat())].sort().forEach(hue);
    }
    // A replay shows them when it is their turn.
    const isWhole = list.length === list.rows.length;
    for (const row of rows) list.rows.push(row);
    this.#chars += lengthOf(rows);
    if (isWhole) list.length = list.rows.length;
    list.draw();
  }

  /** @param {Row[]} rows */
  prepend(rows) {
    this.#chars += lengthOf(rows);
    this.list.prepend(rows);
  }

  /** Shows the rows that arrived during the pause. */
  resume() {
    this.paused = false;
    const rows = this.#waiting;
    if (this.#lost) {
      const text = `${count(this.#lost)} messages that arrived during the pause were not kept`;
      rows.unshift({ kind: "note", bad: true, t: serverNow(), text });
    }
    this.#waiting = [];
    this.#waitingChars = this.#lost = 0;
    this.take(rows);
    this.list.toEnd();
  }
}
