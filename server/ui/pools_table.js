/**
 * The table of pools: a real table with sortable columns, of which only the rows on screen exist.
 *
 * @module
 */

import { rights } from "./api.js";
import { ago, button, bytes, count, fill, h, icon, moment, short, span, svg } from "./dom.js";
import { meter } from "./facts.js";
import { fillsIn, trouble } from "./pools_order.js";
import { BARS, rates } from "./rate.js";

/** @typedef {import("./pools_order.js").Column} Column */
/** @typedef {import("./pools_order.js").Item} Item */
/** @typedef {import("./pools_order.js").Line} Line */
/** @typedef {import("./dom.js").Child} Child */
/** @typedef {{id: Column, title: string, about?: string, cell: (item: Item, now: number) => Cell, sum?: (items: Item[]) => string}} Head */
/** @typedef {[words: string, draw?: (() => Child[]) | null, title?: string]} Cell what it says, which decides whether it is drawn again */

/** Rows beyond those on screen, so that a short scroll shows no gap. */
const SPARE = 6;
const DASH = "–";

/** @param {number[]} values */
function sparkline(values) {
  const top = Math.max(1, ...values);
  const root = svg("svg", {
    viewBox: `0 0 ${BARS * 4} 24`,
    class: values.some((v) => v > 0) ? "spark" : "spark idle",
    "aria-hidden": "true",
    preserveAspectRatio: "none",
  });
  const y = (/** @type {number} */ v) => (23 - v / top * 21).toFixed(1);
  const line = values.map((v, i) => `${i ? "L" : "M"}${i * 4 + 2} ${y(v)}`).join("");
  root.append(
    svg("path", { d: `${line}L${BARS * 4 - 2} 24L2 24Z`, class: "area" }),
    svg("path", { d: line, class: "line" }),
  );
  return root;
}

/** The largest unit of a duration: `3 h`. @param {number} ms */
const roughly = (ms) => span(Math.max(1000, ms)).replace(/\.\d/, "").split(" ", 2).join(" ");

/** @param {Item[]} items @param {(item: Item) => number} of */
const total = (items, of) => items.reduce((sum, item) => sum + of(item), 0);

/** @param {Item} item @returns {Cell} */
function state({ pool, known }) {
  if (pool.error) return [pool.error.kind, null, pool.error.message];
  return known.damage ? ["damaged", null, known.damage] : ["ok"];
}

/** @param {Item} item @returns {Cell} */
function fullness({ pool }) {
  const use = pool.metrics?.utilization;
  if (!use) return [DASH];
  const words = `${Math.round(use.used_percent)}%`;
  const size = bytes(pool.ring_size);
  return [
    `${words} of ${size}`,
    () => [meter(use.used_percent), ` ${words} `, h("small", { class: "of" }, `of ${size}`)],
    `${bytes(use.used_bytes)} of ${size}`,
  ];
}

/** @param {Item} item @returns {Cell} */
function full({ pool, known }) {
  const ms = fillsIn(pool, known.minute);
  if (!pool.metrics) return [DASH];
  if (ms === 0) return ["full", null, "The oldest messages make room for new ones"];
  return ms === Infinity
    ? [DASH, null, "Nothing fills it now"]
    : [`about ${roughly(ms)}`, null, "At the rate of the last minute"];
}

/** @param {Item} item @returns {Cell} */
function retained({ pool }) {
  const { oldest_time: a, newest_time: b } = pool.metrics?.age ?? {};
  if (!a || !b) return [DASH];
  const from = Date.parse(a);
  const kept = span(Date.parse(b) - from).split(" ", 2).join(" ");
  return [kept, null, `Since ${moment(from)}`];
}

/** @param {Item} item @returns {Cell} */
function newest({ pool }, now = 0) {
  const { newest_time: time, newest_age_ms: age } = pool.metrics?.age ?? {};
  if (!pool.metrics) return [DASH];
  if (!time) return ["never"];
  return [ago(now - (age ?? now - Date.parse(time)), now), null, moment(Date.parse(time))];
}

/** @param {Item} item @returns {Cell} */
function readers({ known: { readers: of } }) {
  if (!of?.count) return [of ? "0" : DASH];
  const late = [of.lag && `${short(of.lag)} behind`, of.pending && `${short(of.pending)} pending`];
  return [[of.count, ...late.filter(Boolean)].join(", ")];
}

/** @type {readonly Head[]} */
export const COLUMNS = [
  { id: "name", title: "Pool", cell: ({ pool }) => [pool.name] },
  {
    id: "state",
    title: "State",
    about: "Whether it can be read",
    cell: state,
    sum: (items) => {
      const bad = items.filter(({ pool, known }) => trouble(pool, known));
      return bad.length ? `${bad.length} damaged` : "ok";
    },
  },
  {
    id: "minute",
    title: "Last minute",
    about: "Messages over the last minute",
    cell: ({ pool }, now) => {
      const values = rates(pool.name, now);
      return [values.map((v) => v.toFixed(1)).join(), () => [sparkline(values)]];
    },
  },
  {
    id: "rate",
    title: "Rate",
    about: "Messages a second",
    cell: ({ known: { rate } }) => [rate === null ? DASH : `${short(rate)}/s`],
    sum: (items) => `${short(total(items, ({ known }) => known.rate ?? 0))}/s`,
  },
  { id: "fill", title: "Fill", cell: fullness },
  { id: "full", title: "Fills in", about: "When it is about full", cell: full },
  {
    id: "messages",
    title: "Messages",
    cell: ({ pool: { metrics, bounds } }) => [
      metrics ? count(metrics.message_count) : DASH,
      null,
      bounds?.oldest === undefined ? "" : `${bounds.oldest} to ${bounds.newest}`,
    ],
    sum: (items) => count(total(items, ({ pool }) => pool.metrics?.message_count ?? 0)),
  },
  { id: "retained", title: "Retained", about: "How far back it reaches", cell: retained },
  { id: "newest", title: "Newest", cell: newest },
  {
    id: "followers",
    title: "Followers",
    about: "Streams of this server that follow it",
    cell: ({ pool }) => [pool.followers === undefined ? DASH : count(pool.followers)],
  },
  {
    id: "readers",
    title: "Cursors",
    about: "Cursors and work groups, and how far they are behind",
    cell: readers,
  },
];

/**
 * What a cell says; where a pool cannot be opened, the reason stands across the row. @param {Head} head
 * @param {Item} item @param {number} now @returns {Cell}
 */
function cellOf({ id, cell }, item, now) {
  const { error } = item.pool;
  if (!error || id === "state") return cell(item, now);
  return id === "rate" ? [error.message] : [""];
}

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
  #body = h("tbody", null);
  #above = h(
    "tr",
    { class: "space", "aria-hidden": "true" },
    h("td", { colspan: COLUMNS.length + 1 }),
  );
  #below = h(
    "tr",
    { class: "space", "aria-hidden": "true" },
    h("td", { colspan: COLUMNS.length + 1 }),
  );

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
      { class: "pools", "aria-label": "Pools" },
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
    if (!this.#frame) this.#frame = requestAnimationFrame(() => this.#render());
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
    const top = scroller.scrollTop - element.offsetTop;
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
    const href = `/ui/pools/${encodeURIComponent(pool.name)}`;
    return h(
      "tr",
      { "data-pool": pool.name },
      h(
        "th",
        { scope: "row", class: "c-name" },
        h("a", { class: "pool", href, title: pool.name }, pool.name),
      ),
      cells,
      h(
        "td",
        { class: "c-acts" },
        button(`Delete ${pool.name}`, () => this.on.remove(pool), { icon: "trash" }),
      ),
    );
  }

  /** @param {HTMLTableRowElement} row @param {Line} line */
  #update(row, line) {
    if ("group" in line) {
      const { items } = line.group;
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
      return;
    }
    const { pool, known } = line.item;
    row.classList.toggle("inside", line.inside);
    row.classList.toggle("bad", trouble(pool, known) > 0);
    row.classList.toggle("unopened", pool.error !== undefined);
    const trash = row.lastElementChild?.firstElementChild;
    if (trash instanceof HTMLElement) trash.hidden = !rights.admin;
    for (let i = 1; i < COLUMNS.length; i++) {
      const cell = row.cells[i];
      const head = COLUMNS[i];
      if (cell && head) say(cell, cellOf(head, line.item, this.#now));
    }
  }
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

/** @param {HTMLTableRowElement} row @param {number} height */
function space(row, height) {
  row.hidden = height === 0;
  const cell = row.cells[0];
  if (cell) cell.style.height = `${height}px`;
}
