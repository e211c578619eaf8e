/**
 * The head of the list: the names of the columns, and how wide they are. A width is dragged, or set
 * with the keys of a separator; it fits by a double click or Enter, and is kept for the pool.
 *
 * @module
 */

import { fill, h } from "./dom.js";
import { keep, keptValue } from "./prefs.js";
import { cellText } from "./row.js";
import { tagsWidth } from "./tags.js";

/** @typedef {{key: string, name: string, path?: string[]}} Column */

/** Rows whose texts decide how wide a column has to be. */
const RECENT = 200;
/** In characters: the least width, the most of a width that fits, the most at first, what is left to the data. */
const LEAST = 4;
const MOST = 160;
const FIRST = 48;
const DATA = 28;
/** In pixels: the space between two columns, and left and right of all. */
const GAP = 14;
const SIDES = 29;
/** The largest width, in pixels. */
const WIDEST = 4000;

/** Rows take two lines there; rows.css has the same. */
const narrow = matchMedia("(max-width: 520px) and (min-height: 481px)");

/** @param {string} pool */
const place = (pool) => `widths:${pool}`;

/** @param {string} pool @returns {Map<string, number>} */
function storedWidths(pool) {
  const stored = Object.entries(keptValue(place(pool)) ?? {});
  return new Map(stored.flatMap(([key, px]) => px > 0 && px <= WIDEST ? [[key, px]] : []));
}

export class ColumnHead {
  element = h("div", {
    class: "head",
    onscroll: () => this.#follow(this.element, this.list.element),
  });
  #cells = h("div", { class: "cells", role: "group", "aria-label": "Columns" });
  /** @type {Column[]} */
  #columns = [];
  /** @type {Map<string, number>} widths that were chosen, in pixels */
  #chosen;
  /** @type {Map<string, number>} widths of the texts of pinned columns, in pixels */
  #natural = new Map();
  /** @type {Map<string, number>} */
  #widths = new Map();
  #digits = 0;
  #char = 7.5;
  #context = document.createElement("canvas").getContext("2d");

  /**
   * @param {string} pool @param {import("./list.js").MessageList} list @param {HTMLElement} frame
   *   gets the widths as custom properties
   */
  constructor(pool, list, frame) {
    this.pool = pool;
    this.list = list;
    this.frame = frame;
    this.#chosen = storedWidths(pool);
    this.element.append(this.#cells);
    list.element.addEventListener("scroll", () => this.#follow(list.element, this.element));
  }

  /** @param {HTMLElement} moved @param {HTMLElement} other */
  #follow(moved, other) {
    if (other.scrollLeft !== moved.scrollLeft) other.scrollLeft = moved.scrollLeft;
  }

  /** Draws the names, after the columns changed. */
  draw() {
    const pins = this.list.pins.map((path) => ({
      key: path.join("\0"),
      name: path.join("."),
      path,
    }));
    this.#columns = [
      { key: "#", name: "#" },
      { key: "time", name: "Time" },
      { key: "tags", name: "Tags" },
      ...pins.map((pin) => ({ ...pin, key: `pin:${pin.key}` })),
    ];
    this.#natural.clear();
    fill(
      this.#cells,
      this.#columns.map((column, i) =>
        h(
          "div",
          { class: i < 3 ? `th ${["seq", "time", "tags"][i]}` : "th cell", title: column.name },
          h("span", null, column.name),
          this.#handle(column),
        )
      ),
      h("div", { class: "th data" }, h("span", null, "Data")),
    );
    this.layout(this.#digits);
  }

  /**
   * Sets the widths of the columns. @param {number} digits of the largest number in the list
   * @returns {import("./list.js").Layout}
   */
  layout(digits) {
    this.#digits = digits;
    const { list, frame } = this;
    const style = getComputedStyle(list.element);
    // The shorthand is empty where some of its parts were forced.
    const font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    if (this.#context) this.#context.font = font;
    this.#char = this.#measure("0") || this.#char;
    const screen = list.element.clientWidth;
    const fixed = this.#fixed();
    for (const [key, width] of fixed) this.#widths.set(key, width);
    const used = [...fixed.values()].reduce(
      (sum, width) => sum + width + GAP,
      SIDES + DATA * this.#char,
    );
    this.#spread(screen - used);
    const widths = this.#columns.map(({ key }) => this.#widths.get(key) ?? 0);
    const least = widths.reduce((sum, width) => sum + width + GAP, SIDES + 12 * this.#char);
    frame.style.setProperty("--cols", `${widths.map((w) => `${w}px`).join(" ")} minmax(0, 1fr)`);
    frame.style.setProperty("--rowmin", `${Math.ceil(least)}px`);
    this.#say();
    if (!narrow.matches) return { tagRoom: this.#widths.get("tags") ?? 0, columns: true };
    // On two lines the tags have what number and time leave of the first.
    const tagRoom = Math.max(60, screen - 44 - (Math.max(1, digits) + 12) * this.#char);
    return { tagRoom, columns: false };
  }

  /** The columns that are no pins, and those whose widths were chosen. @returns {Map<string, number>} */
  #fixed() {
    const chars = { "#": Math.max(7, this.#digits + 1), time: 13, tags: 17 };
    const fixed = new Map(
      Object.entries(chars).map(([key, n]) => [key, Math.ceil(n * this.#char)]),
    );
    for (const { key } of this.#columns) {
      const chosen = this.#chosen.get(key);
      if (chosen) fixed.set(key, chosen);
    }
    return fixed;
  }

  /**
   * Gives the other columns what their texts need, and the widest ones less if there is not enough
   * room. @param {number} room in pixels
   */
  #spread(room) {
    const open = this.#columns.filter(({ key, path }) => path && !this.#chosen.has(key));
    const needs = open.map((column) => this.#need(column, FIRST));
    let left = room - GAP * open.length;
    let cap = Infinity;
    [...needs].sort((a, b) => a - b).forEach((need, i) => {
      const share = left / (needs.length - i);
      if (need > share) cap = Math.min(cap, share);
      left -= Math.min(need, share);
    });
    open.forEach(({ key }, i) => {
      const least = 2 * LEAST * this.#char;
      this.#widths.set(key, Math.floor(Math.max(Math.min(needs[i] ?? 0, cap), least)));
    });
  }

  /** @param {string} text */
  #measure(text) {
    return this.#context?.measureText(text).width ?? text.length * this.#char;
  }

  /**
   * The width of the texts of a column in the newest rows, remembered once there are rows.
   * @param {Column} column @param {number} most in characters
   */
  #need({ key, name, path = [] }, most) {
    let need = this.#natural.get(key);
    if (need === undefined) {
      const rows = this.list.rows.slice(-RECENT);
      need = this.#measure(name);
      for (const row of rows) {
        if (row.kind === "message") need = Math.max(need, this.#measure(cellText(row, path)));
      }
      if (rows.length) this.#natural.set(key, need);
    }
    return Math.min(Math.ceil(need) + 3, most * this.#char);
  }

  // ---- Changing a width ----------------------------------------------------------------------

  /** @param {Column} column */
  #handle(column) {
    const { name } = column;
    let from = 0, width = 0;
    return h("div", {
      class: "handle",
      role: "separator",
      tabindex: 0,
      "aria-orientation": "vertical",
      "aria-label": `Width of the column ${name === "#" ? "Number" : name}`,
      "aria-valuemin": LEAST,
      "aria-valuemax": MOST,
      "aria-valuenow": LEAST,
      title: "Drag to change the width; a double click fits it",
      onpointerdown: (/** @type {PointerEvent} */ event) => {
        const handle = /** @type {HTMLElement} */ (event.currentTarget);
        handle.setPointerCapture(event.pointerId);
        [from, width] = [event.clientX, this.#widths.get(column.key) ?? 0];
      },
      onpointermove: (/** @type {PointerEvent} */ event) => {
        const handle = /** @type {HTMLElement} */ (event.currentTarget);
        if (handle.hasPointerCapture(event.pointerId)) {
          this.#set(column, width + event.clientX - from);
        }
      },
      onlostpointercapture: () => this.#keep(),
      ondblclick: () => this.#fit(column),
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event, column),
    });
  }

  /** @param {KeyboardEvent} event @param {Column} column */
  #key(event, column) {
    const now = this.#widths.get(column.key) ?? 0;
    const step = (event.shiftKey ? 8 : 1) * this.#char;
    if (event.key === "ArrowRight") this.#set(column, now + step);
    else if (event.key === "ArrowLeft") this.#set(column, now - step);
    else if (event.key === "Home") this.#set(column, 0);
    else if (event.key === "End") this.#set(column, Infinity);
    else if (event.key === "Enter") this.#fit(column);
    else if (event.key === "Backspace" || event.key === "Delete") this.#chosen.delete(column.key);
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.#keep();
    this.list.refresh();
  }

  /** @param {Column} column @param {number} width in pixels */
  #set({ key }, width) {
    const chars = Math.min(MOST, Math.max(LEAST, width / this.#char));
    this.#chosen.set(key, Math.min(WIDEST, Math.round(chars * this.#char)));
    this.list.refresh();
  }

  /** Makes a column as wide as its texts. @param {Column} column */
  #fit(column) {
    const { key, path } = column;
    if (path) {
      this.#natural.delete(key);
      this.#set(column, this.#need(column, MOST));
    } else {
      this.#set(column, Math.max(this.#measure(column.name), ...this.#shown(key)) + 4);
    }
    this.#keep();
  }

  /** The widths of what rows on screen have in a column. @param {string} key */
  #shown(key) {
    const { list } = this;
    if (key === "tags") {
      return list.rows.slice(...list.window)
        .map((row) => row.kind === "message" ? tagsWidth(row.tags) : 0);
    }
    const cells = list.element.querySelectorAll(
      `.row:not([hidden]) > .${key === "#" ? "seq" : key}`,
    );
    return [...cells].map((cell) => this.#measure(cell.textContent ?? ""));
  }

  /** Forgets the widths that were chosen, and what the others were made for. */
  reset() {
    this.#chosen.clear();
    this.#natural.clear();
    this.#keep();
    this.list.refresh();
  }

  /** Stores the widths. */
  #keep() {
    keep(place(this.pool), JSON.stringify(Object.fromEntries(this.#chosen)));
  }

  /** Tells screen readers the widths. */
  #say() {
    const handles = this.#cells.querySelectorAll(".handle");
    this.#columns.forEach(({ key }, i) => {
      const chars = Math.round((this.#widths.get(key) ?? 0) / this.#char);
      handles[i]?.setAttribute("aria-valuenow", String(Math.min(MOST, Math.max(LEAST, chars))));
      handles[i]?.setAttribute("aria-valuetext", `${chars} characters`);
    });
  }
}
