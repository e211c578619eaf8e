/**
 * The table of pools: a real table with sortable columns, of which only the rows on screen exist.
 *
 * @module
 */

import { address, TOGETHER } from "./address.js";
import { rights } from "./api.js";
import { button, count, fill, h, icon } from "./dom.js";
import { cellOf, COLUMNS } from "./pools_columns.js";
import { unlessPressed } from "./press.js";
import { trouble } from "./pools_order.js";

/** @typedef {import("./pools_order.js").Column} Column */
/** @typedef {import("./pools_order.js").Line} Line */
/** @typedef {import("./pools_columns.js").Cell} Cell */

/** Rows beyond those on screen, so that a short scroll shows no gap. */
const SPARE = 6;

export class PoolsTable {
  /** @type {readonly Line[]} */
  lines = [];
  /** The line that has the focus, or had it. */
  at = -1;
  /** @type {Map<string, HTMLTableRowElement>} */
  #drawn = new Map();
  #height = 40;
  #frame = 0;
  #now = 0;
  #drawnTop = 0;
  #body = h("tbody", null);
  #above = spacer();
  #below = spacer();

  /**
   * @param {HTMLElement} scroller what scrolls
   * @param {{sort: (column: Column) => void, fold: (group: string) => void, remove: (pool: import("./api.js").Pool) => void, seen: () => void}} on
   */
  constructor(scroller, on) {
    this.scroller = scroller;
    this.on = on;
    this.heads = COLUMNS.map(({ id, title, about }) =>
      h(
        "th",
        { scope: "col", class: `c-${id}` },
        h(
          "button",
          { type: "button", class: "sort", title: about, onclick: () => on.sort(id) },
          title,
          icon("down"),
        ),
      )
    );
    this.element = h(
      "table",
      { class: "pools", "aria-label": "Pools", onclick: clicked },
      h("thead", null, h("tr", null, this.heads, h("td", { class: "c-acts" }))),
      this.#body,
    );
    this.#body.append(this.#above, this.#below);
    scroller.addEventListener("scroll", () => this.draw());
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(scroller);
  }

  dispose() {
    this.observer.disconnect();
    cancelAnimationFrame(this.#frame);
  }

  /** @param {Column} column @param {boolean} down */
  sorted(column, down) {
    COLUMNS.forEach(({ id }, i) => {
      const head = this.heads[i];
      if (id === column) head?.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head?.removeAttribute("aria-sort");
    });
  }

  /** @param {readonly Line[]} lines */
  show(lines) {
    this.lines = lines;
    this.element.setAttribute("aria-rowcount", String(lines.length + 1));
    this.draw();
  }

  /** The names of the pools that have rows. */
  get names() {
    const names = [];
    for (const row of this.#drawn.values()) {
      if (row.dataset["pool"]) names.push(row.dataset["pool"]);
    }
    return names;
  }

  /** Draws at the next frame. */
  draw() {
    if (!this.#frame) this.#frame = requestAnimationFrame(() => this.#drawUnlessPressed());
  }

  /** What is pressed goes on to another place when it is let go, or when somebody scrolls. */
  #drawUnlessPressed() {
    this.#frame = 0;
    const scrolled = () => this.scroller.scrollTop !== this.#drawnTop;
    unlessPressed(this.#body, () => this.#render(), scrolled);
  }

  /** Moves the focus to a line, also one that has no row yet. @param {number} index */
  focus(index) {
    this.at = Math.max(0, Math.min(this.lines.length - 1, index));
    const { scroller, element } = this;
    const head = element.tHead?.offsetHeight ?? 0;
    const top = this.at * this.#height;
    const from = scroller.scrollTop - element.offsetTop;
    if (top < from) scroller.scrollTop = top + element.offsetTop;
    const room = scroller.clientHeight - head - this.#height;
    if (top > from + room) scroller.scrollTop = top - room + element.offsetTop;
    this.#render();
    const row = this.#drawn.get(keyOf(this.lines[this.at]));
    const target = row?.querySelector("a, button");
    if (target instanceof HTMLElement) target.focus({ preventScroll: true });
  }

  /** The line in which the focus is; -1 if it is elsewhere. */
  get focused() {
    const row = document.activeElement?.closest("tr");
    const key = [...this.#drawn].find(([, drawn]) => drawn === row)?.[0];
    return key === undefined ? -1 : this.lines.findIndex((line) => keyOf(line) === key);
  }

  #render() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#now = Date.now();
    const { scroller, element, lines } = this;
    const height = parseFloat(getComputedStyle(element).getPropertyValue("--line-height"));
    if (height > 0) this.#height = height;
    this.#drawnTop = scroller.scrollTop;
    const top = this.#drawnTop - element.offsetTop;
    const first = Math.max(0, Math.min(lines.length, Math.floor(top / this.#height)) - SPARE);
    const end = Math.min(
      lines.length,
      first + Math.ceil(scroller.clientHeight / this.#height) + 2 * SPARE,
    );
    const shown = lines.slice(first, end);
    /** @type {Map<string, HTMLTableRowElement>} */
    const rows = new Map();
    for (const [i, line] of shown.entries()) {
      const key = keyOf(line);
      const row = this.#drawn.get(key) ?? this.#make(line);
      row.setAttribute("aria-rowindex", String(first + i + 2));
      this.#update(row, line);
      rows.set(key, row);
    }
    for (const [key, row] of this.#drawn) if (!rows.has(key)) row.remove();
    this.#drawn = rows;
    // Only rows that stand elsewhere are moved: moving one takes the focus from it.
    /** @type {Element} */
    let before = this.#above;
    for (const row of rows.values()) {
      if (before.nextElementSibling !== row) before.after(row);
      before = row;
    }
    space(this.#above, first * this.#height);
    space(this.#below, (lines.length - end) * this.#height);
    this.on.seen();
  }

  /** @param {Line} line */
  #make(line) {
    const cells = COLUMNS.slice(1).map(({ id }) => h("td", { class: `c-${id}` }));
    if ("group" in line) {
      const { name } = line.group;
      const fold = h(
        "button",
        { type: "button", class: "fold", onclick: () => this.on.fold(name) },
        icon("next"),
        h("span", null, `${name}-…`),
        h("small", null),
      );
      return h(
        "tr",
        { class: "group", "data-group": name },
        h("th", { scope: "rowgroup", class: "c-name" }, fold),
        cells,
        h("td", { class: "c-acts" }),
      );
    }
    const { pool } = line.item;
    const href = address.pathOf([pool.name]);
    return h(
      "tr",
      { "data-pool": pool.name },
      h(
        "th",
        { scope: "row", class: "c-name" },
        h("a", { class: "pool", href, title: pool.name }, pool.name),
      ),
      cells,
      h("td", { class: "c-acts" }),
    );
  }

  /** @param {HTMLTableRowElement} row @param {Line} line */
  #update(row, line) {
    if ("group" in line) {
      const { name, items } = line.group;
      row.querySelector("button")?.setAttribute("aria-expanded", String(line.open));
      const small = row.querySelector("small");
      if (small) say(small, [count(items.length)]);
      COLUMNS.forEach(({ id, sum }, i) => {
        const cell = row.cells[i];
        if (!cell || !sum) return;
        const words = sum(items);
        if (id === "state") cell.classList.toggle("bad", words !== "ok");
        say(cell, [words]);
      });
      const acts = row.cells[COLUMNS.length];
      const names = items.map(({ pool }) => pool.name).sort();
      const label = `Show the pools ${name}-… together`;
      const link = () => {
        const attributes = { class: "together", title: label, "aria-label": label };
        return h("a", { href: address.pathOf(names), ...attributes }, icon("columns"));
      };
      if (acts) say(acts, names.length > TOGETHER ? [""] : [names.join(), () => [link()]]);
      return;
    }
    const { pool, known } = line.item;
    row.classList.toggle("inside", line.inside);
    row.classList.toggle("bad", trouble(pool, known) > 0);
    row.classList.toggle("unopened", pool.error !== undefined);
    const acts = row.cells[COLUMNS.length];
    if (acts && rights.admin !== acts.childElementCount > 0) {
      const remove = () => this.on.remove(pool);
      fill(acts, rights.admin && button(`Delete ${pool.name}`, remove, { icon: "trash" }));
    }
    for (let i = 1; i < COLUMNS.length; i++) {
      const cell = row.cells[i];
      const head = COLUMNS[i];
      if (cell && head) say(cell, cellOf(head, line.item, this.#now));
    }
  }
}

/**
 * The link of a row lies over it, except over cells with a tooltip: these pass clicks on. @param
 * {MouseEvent} event
 */
function clicked(event) {
  const at = event.target instanceof Element ? event.target : null;
  if (!at || at.closest("a, button, thead")) return;
  at.closest("tr")?.querySelector("a, button")?.dispatchEvent(new MouseEvent("click", event));
}

/** @param {Line | undefined} line */
const keyOf = (line) =>
  line === undefined
    ? ""
    : "group" in line
    ? `group ${line.group.name}`
    : `pool ${line.item.pool.name}`;

/** What elements say. @type {WeakMap<Element, string>} */
const said = new WeakMap();

/** Draws a cell if it says something else. @param {HTMLElement} element @param {Cell} cell */
function say(element, [words, draw, title = ""]) {
  if (element.title !== title) element.title = title;
  if (said.get(element) === words) return;
  said.set(element, words);
  fill(element, draw ? draw() : words);
}

/** A row in place of those that do not exist. */
const spacer = () =>
  h(
    "tr",
    { class: "space", "aria-hidden": "true" },
    h("td", { colspan: COLUMNS.length + 1 }),
  );

/** @param {HTMLTableRowElement} row @param {number} height */
function space(row, height) {
  row.hidden = height === 0;
  const cell = row.cells[0];
  if (cell) cell.style.height = `${height}px`;
}
