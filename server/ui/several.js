/**
 * The view of several pools: their rows in one list, in the order of time, or a list for each side by
 * side. Every row says its pool, and every gap.
 *
 * @module
 */

import { address, TOGETHER } from "./address.js";
import { poolInfo } from "./api.js";
import { button, count, fill, h, hue, icon, refill, toast } from "./dom.js";
import { FilterBox } from "./filter.js";
import { marker } from "./words.js";
import { Later, styled } from "./later.js";
import { MessageList } from "./list.js";
import { RowLook } from "./look.js";
import { Merge } from "./merge.js";
import { gapText } from "./row.js";
import { messageOf, Rows } from "./rows.js";
import { say } from "./say.js";
import { Live, readPast, unreadableRow } from "./stream.js";
import { serverNow } from "./times.js";

await styled("several");

/** @typedef {import("./list.js").Row} Row */
/** @typedef {import("./json.js").Message} Message */

/** How many messages of all pools together are read at the start. */
const BACKLOG = 8000;
/** How long a filtered pool may hold up the rows of others at the start, in milliseconds. */
const FILTERED_MS = 1500;
/** How often rows are ordered, in milliseconds. */
const EVERY_MS = 100;

/**
 * One of the pools.
 * @typedef {object} Part
 * @property {string} name
 * @property {Live | null} live
 * @property {MessageList} list its own list, side by side
 * @property {Rows} rows
 * @property {HTMLElement} chip
 * @property {bigint | null} goal the newest message at the start; null if what is read ends by itself
 * @property {bigint} older how many older messages are not loaded; said before its first row
 * @property {number} gaps
 */

export class SeveralView {
  kind = /** @type {const} */ ("several");
  #done = new AbortController();
  #reading = new AbortController();
  /** @type {Merge} */
  #merge;
  /** The pool of a row. @type {WeakMap<Row, number>} */
  #of = new WeakMap();
  /** @type {Part[]} */
  #parts;
  /** @type {HTMLElement} */
  #holder = h("div", { class: "split several" });
  #query = "";
  #unsubscribe = () => {};

  inspectors = new Map();

  /**
   * @param {string[]} names
   * @param {{crumbs: (...children: import("./dom.js").Child[]) => void, state: (state: string, words: string) => void, jump: () => void}} shell
   */
  constructor(names, shell) {
    this.names = [...new Set(names)].slice(0, TOGETHER);
    this.shell = shell;
    if (names.length > TOGETHER) toast(`At most ${TOGETHER} pools are shown together`, true);
    document.title = `${this.names.join(", ")} · Plasmite UI`;
    shell.crumbs(this.names.join(" + "));
    this.filter = new FilterBox(this.names[0] ?? "", {
      change: () => this.#ask(),
      leave: () => this.list.element.focus(),
      hitsOnly: true,
    });
    this.list = this.#makeList();
    this.rows = new Rows(this.list);
    this.#parts = this.names.map((name, i) => {
      const list = this.#makeList(i);
      const chip = h("span", { class: `part h${hue(`pool ${name}`)}` });
      return {
        name,
        live: null,
        list,
        rows: new Rows(list),
        chip,
        goal: null,
        older: 0n,
        gaps: 0,
      };
    });
    this.look = new RowLook(this.list, this.#holder);
    this.pause = button("Pause", () => this.togglePause(), {
      icon: "pause",
      text: "Pause",
      class: "tool pause",
      key: "space",
    });
    this.side = button("Side by side", () => this.#turn(), {
      icon: "columns",
      text: "Side by side",
      class: "tool",
      key: "s",
    });
    this.element = h(
      "main",
      { class: "one several-page" },
      h("h1", { class: "offscreen" }, `Pools ${this.names.join(", ")}`),
      h(
        "div",
        { class: "tools" },
        this.filter.element,
        this.pause,
        this.side,
        button("Add a pool", () => shell.jump(), {
          icon: "plus",
          text: "Add",
          class: "tool",
          key: "Ctrl K",
        }),
      ),
      h("div", { class: "parts" }, this.#parts.map(({ chip }) => chip)),
      this.filter.chips,
      this.#holder,
    );
    this.#merge = new Merge(this.names.length, performance.now());
    this.#adopt();
    this.#unsubscribe = address.subscribe(() => this.#moved());
    this.ticker = setInterval(() => this.#flush(), EVERY_MS);
    this.#show();
  }

  dispose() {
    this.#done.abort();
    this.#stop();
    this.#unsubscribe();
    clearInterval(this.ticker);
    this.filter.dispose();
    this.list.dispose();
    for (const { list } of this.#parts) list.dispose();
  }

  #stop() {
    this.#reading.abort();
    this.#reading = new AbortController();
    for (const part of this.#parts) {
      part.live?.stop();
      part.live = null;
    }
  }

  /** @param {number} [of] the pool of a list of its own */
  #makeList(of) {
    const list = new MessageList({
      select: (index, open) => this.#select(list, index, open),
      tag: (tag) => this.filter.toggle(tag),
      moved: () => this.#controls(),
      layout: (digits) => {
        const small = this.#holder.clientWidth < 560 || this.isSide;
        const seq = (Math.max(5, digits) + 1) * 7.6;
        this.#holder.style.setProperty(
          "--cols",
          `${seq}px 98px ${small ? 64 : 128}px minmax(0, 1fr)`,
        );
        return { tagRoom: small ? 64 : 128, columns: false };
      },
    }, of === undefined ? "" : `of${of}-`);
    return list;
  }

  /** Says the pool of a row. @param {HTMLElement} element @param {Message} message */
  #label(element, message) {
    const name = this.names[this.#of.get(message) ?? 0] ?? "";
    element.querySelector(".data")?.prepend(
      h("span", { class: `from h${hue(`pool ${name}`)}`, title: name }, name),
      " ",
    );
  }

  // ---- What is shown ------------------------------------------------------------------------

  get isSide() {
    return address.shown.layout === "side";
  }

  #turn() {
    address.set({ layout: this.isSide ? "" : "side" });
    this.#arrange();
  }

  /** Puts the lists where they belong. */
  #arrange() {
    const side = this.isSide;
    this.side.classList.toggle("on", side);
    this.side.setAttribute("aria-pressed", String(side));
    this.#holder.classList.toggle("side", side);
    const section = (/** @type {string} */ title, /** @type {MessageList} */ list) =>
      h(
        "section",
        { class: "stream", "aria-label": title },
        side && h("h2", null, title),
        h("div", { class: "hold" }, list.element),
      );
    fill(
      this.#holder,
      side
        ? this.#parts.map(({ name, list }) => section(name, list))
        : section("Stream of all pools", this.list),
    );
    // An element that is taken from the page, or moved in it, loses its place.
    for (const list of this.#lists) {
      list.refresh();
      if (list.follow) list.toEnd();
      else list.back();
    }
  }

  get #lists() {
    return this.isSide ? this.#parts.map(({ list }) => list) : [this.list];
  }

  #adopt() {
    this.filter.reset(address.shown);
    this.#query = JSON.stringify(this.filter.filter);
    this.#mark();
    this.#arrange();
  }

  #ask() {
    this.#former = address.shown;
    address.set(this.filter.value);
    this.#query = JSON.stringify(this.filter.filter);
    this.#mark();
    this.#show();
  }

  /** What was asked for before. @type {import("./address.js").Shown | null} */
  #former = null;

  /** A filter has failed while it was evaluated: what was listed before is listed again. @param {import("./api.js").ApiError} error */
  #refused(error) {
    const former = this.#former;
    if (!former) return this.filter.problem(error);
    this.#former = null;
    const { where, tags, q, hits } = former;
    address.set({ where, tags, q, hits }, true);
    this.filter.refuse({ where, tags, q, hits }, error);
    this.#query = JSON.stringify(this.filter.filter);
    this.#mark();
    this.#show();
  }

  /** Marks the words of a search in all lists. */
  #mark() {
    const drawn = marker(this.filter.value.q);
    for (const { list } of this.#parts) list.drawn = drawn;
    this.list.drawn = (element, message) => {
      drawn?.(element);
      this.#label(element, message);
    };
  }

  #moved() {
    const { view } = address;
    if (view.kind !== "several" || String(view.names) !== String(this.names)) return;
    const before = this.#query;
    this.#adopt();
    if (this.#query === before) return;
    this.#former = null;
    this.#show();
  }

  #show() {
    this.#stop();
    for (const rows of [this.rows, ...this.#parts.map((part) => part.rows)]) rows.clear();
    for (const list of [this.list, ...this.#parts.map((part) => part.list)]) list.follow = true;
    this.#merge = new Merge(this.names.length, performance.now());
    this.shell.state("connecting", "Connecting");
    for (const i of this.#parts.keys()) void this.#start(i);
    this.#controls();
  }

  /** @param {number} i the number of a pool */
  async #start(i) {
    const part = this.#parts[i];
    if (!part) return;
    const { signal } = this.#reading;
    const merge = this.#merge;
    part.gaps = 0;
    part.older = 0n;
    part.goal = null;
    const { range } = address;
    if (range) return await this.#readRange(i, ...range, signal);
    /** @type {bigint | null} */
    let first = null;
    const live = new Live(part.name, this.filter.filter, {
      rows: (rows) => this.#take(i, rows),
      state: (state, detail) => {
        if (state === "missing" || state === "stopped") merge.caught(i);
        this.#chip(part, detail);
        this.#state();
      },
      refused: (error) => {
        merge.caught(i);
        if (error.status === 401) return;
        if (this.filter.active && error.kind === "Usage") this.#refused(error);
        else this.#take(i, [{ kind: "note", bad: true, t: serverNow(), text: error.message }]);
      },
    });
    try {
      const { bounds } = await poolInfo(part.name, signal);
      if (bounds?.newest === undefined) merge.caught(i);
      else {
        const [oldest, newest] = [BigInt(bounds.oldest ?? 1), BigInt(bounds.newest)];
        const n = BigInt(Math.floor(BACKLOG / this.names.length));
        part.goal = newest;
        first = newest - n + 1n > oldest ? newest - n + 1n : oldest;
        if (!live.filtered) part.older = first - oldest;
      }
    } catch {
      merge.caught(i); // The stream says what is wrong with it.
    }
    if (signal.aborted) return;
    part.live = live;
    this.#chip(part);
    // What does not match comes without a word of how far the server has looked.
    if (live.filtered) setTimeout(() => merge.caught(i), FILTERED_MS);
    live.run(live.filtered ? null : first);
  }

  /** @param {number} i @param {number} start @param {number} end @param {AbortSignal} signal */
  async #readRange(i, start, end, signal) {
    const part = this.#parts[i];
    if (!part) return;
    const since = new Date(start).toISOString();
    try {
      await readPast(part.name, { since }, this.filter.filter, signal, (message) => {
        if (message.t > end) return false;
        this.#take(i, [message]);
        return !this.rows.full;
      }, (first, last) => {
        const t = part.list.rows.at(-1)?.t ?? start;
        this.#take(i, [unreadableRow(part.name, first, last, t)]);
      });
    } catch (error) {
      if (!signal.aborted) toast(`${part.name}: ${error}`, true);
    }
    if (signal.aborted) return;
    this.#merge.caught(i);
    this.shell.state("past", "Looking back");
  }

  /** @param {number} i the number of a pool @param {Row[]} rows */
  #take(i, rows) {
    const part = this.#parts[i];
    if (!part) return;
    const begin = rows[0];
    if (part.older > 0n && begin) {
      const text = `${count(part.older)} older messages are not loaded`;
      part.older = 0n;
      rows = [{ kind: "note", t: begin.t, text }, ...rows];
    }
    part.rows.take(rows);
    const named = rows.map((row) => this.#named(part, row));
    for (const row of named) this.#of.set(row, i);
    this.#merge.add(i, named, performance.now());
    const last = messageOf(rows.findLast((row) => row.kind === "message"));
    if (last && part.goal !== null && last.seq >= part.goal) this.#merge.caught(i);
  }

  /** A row for the list of all pools: gaps and notes say the pool. @param {Part} part @param {Row} row @returns {Row} */
  #named(part, row) {
    if (row.kind === "gap") {
      part.gaps++;
      this.#chip(part);
      return { kind: "note", bad: true, t: row.t, text: `${part.name}: ${gapText(row)}` };
    }
    return row.kind === "note" ? { ...row, text: `${part.name}: ${row.text}` } : row;
  }

  /** Shows the rows whose turn it is. */
  #flush() {
    const rows = this.#merge.take(performance.now()).map(({ row }) => row);
    if (!rows.length) return;
    this.rows.take(rows);
    this.filter.draw(this.list.rows);
    this.#controls();
  }

  // ---- Controls -----------------------------------------------------------------------------

  /** Draws the name of a pool with its state. @param {Part} part @param {string} [detail] */
  #chip(part, detail) {
    const { name, live, chip, gaps } = part;
    const state = live?.state ?? "connecting";
    const others = this.names.filter((other) => other !== name);
    const words = { live: "", connecting: "connecting", missing: "does not exist" };
    const said = words[/** @type {keyof typeof words} */ (state)] ?? state;
    chip.title = detail ?? "";
    refill(
      chip,
      h("a", { href: pathOf([name]), title: `Show ${name} alone` }, name),
      said && h("small", null, said),
      gaps > 0 && h("small", { class: "problem" }, `${count(gaps)} ${gaps === 1 ? "gap" : "gaps"}`),
      others.length > 0 &&
        h(
          "a",
          { href: pathOf(others), class: "without", "aria-label": `Without ${name}` },
          icon("close"),
        ),
    );
  }

  /** The state of all pools in one. */
  #state() {
    if (this.rows.paused) return;
    const states = this.#parts.map(({ live }) => live?.state ?? "connecting");
    const lost = states.filter((state) => state === "reconnecting").length;
    if (lost) this.shell.state("reconnecting", "Reconnecting: the server does not answer");
    else if (states.includes("connecting")) this.shell.state("connecting", "Connecting");
    else this.shell.state("live", "Live");
  }

  #controls() {
    const { pause, rows } = this;
    const { paused, waiting: n } = rows;
    const words = paused ? (n ? `Resume, ${count(n)} waiting` : "Resume") : "Pause";
    if (pause.title === `${words} (space)`) return;
    pause.title = `${words} (space)`;
    pause.setAttribute("aria-label", words);
    pause.classList.toggle("on", paused);
    fill(
      pause,
      icon(paused ? "play" : "pause"),
      h("span", null, paused ? "Resume" : "Pause"),
      paused && n > 0 && h("span", null, `${count(n)} waiting`),
    );
  }

  togglePause() {
    const all = [this.rows, ...this.#parts.map((part) => part.rows)];
    const paused = !this.rows.paused;
    for (const rows of all) {
      if (paused) rows.paused = true;
      else rows.resume();
    }
    say(paused ? "Paused" : "Resumed", "pause");
    if (paused) this.shell.state("past", "Paused");
    else this.#state();
    this.#controls();
  }

  // ---- One message --------------------------------------------------------------------------

  /** @param {MessageList} list @param {number} index @param {boolean} open */
  #select(list, index, open) {
    list.select(index);
    const message = messageOf(list.rows[list.selected]);
    if (!message || !(open || this.#inspecting)) return;
    const i = list === this.list
      ? this.#of.get(message) ?? 0
      : this.#parts.findIndex((part) => part.list === list);
    for (const [other, later] of this.inspectors) if (other !== i) later.now?.hide();
    let inspector = this.inspectors.get(i);
    if (!inspector) this.inspectors.set(i, inspector = new Later(() => this.#inspector(i)));
    inspector.use((/** @type {import("./inspect.js").Inspector} */ it) => it.show(message));
  }

  /** @param {number} i the number of a pool */
  async #inspector(i) {
    const { Inspector } = await import("./inspect.js");
    const inspector = new Inspector(this.names[i] ?? "", {
      close: () => this.#close(),
      step: (by) => this.#current.step(by),
      pin: () => toast("Columns are chosen on the page of one pool"),
      pinned: () => false,
      filter: () => this.filter.value,
      where: (where) => this.filter.set({ where }),
      tag: (tag) => this.filter.toggle(tag),
    });
    this.element.append(inspector.element);
    inspector.element.classList.add("over");
    return inspector;
  }

  /** What shows a message in full; undefined if none is open. */
  get #opened() {
    return [...this.inspectors.values()].map(({ now }) => now)
      .find((it) => it?.element.hidden === false);
  }

  get #inspecting() {
    return this.#opened !== undefined;
  }

  #close() {
    for (const { now } of this.inspectors.values()) now?.hide();
    this.#lists[0]?.element.focus();
  }

  /** The list that has the focus, or the first one. */
  get #current() {
    return this.#lists.find(({ element }) => element.contains(document.activeElement)) ??
      this.#lists[0] ?? this.list;
  }

  /** @param {KeyboardEvent} event */
  key({ key }) {
    const list = this.#current;
    if (key === "/") this.filter.where.select();
    else if (key === "j" || key === "ArrowDown") list.step(1);
    else if (key === "k" || key === "ArrowUp") list.step(-1);
    else if (key === "PageDown") list.step(list.page);
    else if (key === "PageUp") list.step(-list.page);
    else if (key === "g" || key === "Home") (list.follow = false), this.#select(list, 0, false);
    else if (key === "G" || key === "End") list.select(-1), list.toEnd();
    else if (key === "Enter") list.selected >= 0 && this.#select(list, list.selected, true);
    else if (key === " ") this.togglePause();
    else if (key === "s") this.#turn();
    else if (key === "x" && this.#inspecting) this.#opened?.compare();
    else if (key === "o" && this.#inspecting) this.#opened?.around();
    else if (key === "Escape" && this.#inspecting) this.#close();
    else return false;
    return true;
  }
}

/** The address of one pool, or of several together. @param {readonly string[]} names */
const pathOf = (names) => address.pathOf(names);
