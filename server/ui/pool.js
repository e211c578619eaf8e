/**
 * The view of one pool: its live stream, its retained messages, and one message in full.
 *
 * @module
 */

import { address } from "./address.js";
import { json, poolInfo, rights, wordsOf } from "./api.js";
import { samePath, storedPins, togglePin } from "./columns.js";
import { Controls } from "./controls.js";
import { count, toast } from "./dom.js";
import { kept, onPrefs, prefs } from "./prefs.js";
import { drawFacts } from "./facts.js";
import { FilterBox } from "./filter.js";
import { ColumnHead } from "./head.js";
import { Later } from "./later.js";
import { MessageList } from "./list.js";
import { RowLook } from "./look.js";
import { PastBar } from "./past.js";
import { recall, remember } from "./rate.js";
import { Reading } from "./reading.js";
import { messageOf, Rows } from "./rows.js";
import { say } from "./say.js";
import { Timeline } from "./timeline.js";

/** @typedef {import("./list.js").Row} Row */

/** How often the numbers of the pool are read, in milliseconds. */
const EVERY_MS = 2000;
/** When parts that may be used soon are loaded, in milliseconds after the rows were asked for. */
const WARM_MS = 1000;

export class PoolView {
  kind = /** @type {const} */ ("pool");
  /** @type {import("./api.js").Pool | null} */
  info = null;
  /** Whether the timeline has to be counted again. */
  dirty = true;
  #done = new AbortController();
  /** Rows that arrived since screen readers were told. */
  #arrived = 0;
  #unsubscribe = () => {};
  #unprefer = () => {};
  /** The query that is shown. */
  #query = "";
  /** Whether the rate of the minute before was asked for. */
  #recalled = false;

  finder = new Later(async () => {
    const { Finder } = await import("./finder.js");
    const finder = new Finder(this);
    this.controls.split.before(finder.element);
    return finder;
  });
  facets = new Later(async () => {
    const { Facets } = await import("./facets.js");
    const facets = new Facets(this);
    this.controls.split.prepend(facets.element);
    return facets;
  });
  counting = new Later(async () => new (await import("./counting.js")).Counting(this));
  inspector = new Later(() => this.#makeInspector());
  append = new Later(async () => {
    const { AppendBox } = await import("./append.js");
    const box = new AppendBox(this.name);
    this.element.append(box.element);
    return box;
  });
  replay = new Later(() => this.#makeReplay());
  alerts = new Later(async () => {
    const { Alerts } = await import("./alerts.js");
    return new Alerts({
      name: this.name,
      newest: () => this.bounds.newest ?? 0n,
      filtered: () => this.filter.active,
      changed: () => this.controls.draw(),
    });
  });
  chart = new Later(async () => {
    const { Chart } = await import("./chart.js");
    const chart = new Chart({
      tags: () => this.filter.value.tags,
      close: () => this.toggleChart(),
    });
    this.controls.split.before(chart.element);
    return chart;
  });
  coordination = new Later(async () => {
    const { Coordination } = await import("./coordination.js");
    const section = new Coordination(this.name);
    this.controls.facts.after(section.element);
    return section;
  });

  /**
   * @param {string} name
   * @param {{crumbs: (...children: import("./dom.js").Child[]) => void, state: (state: string, words: string) => void}} shell
   */
  constructor(name, shell) {
    this.name = name;
    this.shell = shell;
    this.filter = new FilterBox(name, {
      change: () => this.#filtered(),
      leave: () => this.list.element.focus(),
    });
    document.title = `${name} · Plasmite UI`;
    shell.crumbs(name);
    this.list = new MessageList({
      select: (index, open) => this.select(index, open),
      tag: (tag) => this.filter.toggle(tag),
      moved: () => this.controls.draw(),
      layout: (digits) => this.head.layout(digits),
    });
    this.timeline = new Timeline((from, to) => this.showPast(from, to));
    this.past = new PastBar(() => this.showLive());
    this.rows = new Rows(this.list);
    this.reading = new Reading(this);
    this.controls = new Controls(this);
    this.head = new ColumnHead(name, this.list, this.controls.split);
    this.look = new RowLook(this.list, this.controls.split);
    this.element = this.controls.build();
    this.#adopt();
    this.#unsubscribe = address.subscribe(() => this.#moved());
    this.#unprefer = onPrefs(() => {
      this.list.refresh();
      drawFacts(this.controls.facts, this.info);
    });
    this.ticker = setInterval(() => this.#tick(), 500);
    this.#start();
  }

  /** Aborted when another page is shown. */
  get signal() {
    return this.#done.signal;
  }

  get disposed() {
    return this.#done.signal.aborted;
  }

  dispose() {
    this.#done.abort();
    this.#unsubscribe();
    this.#unprefer();
    this.finder.now?.stop();
    this.facets.now?.dispose();
    this.reading.dispose();
    clearInterval(this.ticker);
    this.filter.dispose();
    this.replay.now?.stop();
    this.list.dispose();
    this.timeline.dispose();
    this.chart.now?.dispose();
    this.alerts.now?.dispose();
  }

  async #makeInspector() {
    const { Inspector } = await import("./inspect.js");
    const inspector = new Inspector(this.name, {
      close: () => this.closeInspector(),
      step: (by) => this.list.step(by),
      pin: (path) => this.pin(path),
      pinned: (path) => this.list.pins.some((pin) => samePath(pin, path)),
      filter: () => this.filter.value,
      where: (where) => this.filter.set({ where }),
      tag: (tag) => this.filter.toggle(tag),
    });
    this.controls.split.append(inspector.element);
    return inspector;
  }

  async #makeReplay() {
    const { Replay } = await import("./replay.js");
    const replay = new Replay(this.list, {
      moved: (t) => {
        this.timeline.cursor = t;
        this.timeline.draw();
      },
    });
    this.past.hold(replay.element);
    return replay;
  }

  // ---- The state of the pool ----------------------------------------------------------------

  /** The oldest and the newest number; null in an empty pool. */
  get bounds() {
    const { oldest, newest } = this.info?.bounds ?? {};
    return {
      oldest: oldest === undefined ? null : BigInt(oldest),
      newest: newest === undefined ? null : BigInt(newest),
    };
  }

  async #start() {
    await this.#poll();
    void this.#show();
    // Before anybody chooses a range: the timeline has to know its ends.
    this.#tick();
    // As they were the last time.
    if (kept("facets")) this.toggleFacets();
    this.#warm();
    while (!this.disposed) {
      await new Promise((done) => setTimeout(done, EVERY_MS));
      if (document.hidden || this.disposed) continue;
      await this.#poll();
      // Not awaited: what is new in the pool does not wait for who works with it.
      if (this.info && rights.read) {
        this.coordination.use((section) => void section.refresh(this.#done.signal));
      }
    }
  }

  /** Loads what works without a server, in case that it stops. @param {boolean} [shown] */
  #warm(shown) {
    if (this.disposed) return;
    // On a slow network the first rows have it for themselves.
    if (!shown) {
      const live = this.reading.live?.state !== "connecting";
      setTimeout(() => this.#warm(live), WARM_MS);
      return;
    }
    const parts = [this.inspector.get(), import("./choose_columns.js"), import("./save.js")];
    // Without an answer they are loaded when they are used.
    void Promise.allSettled(parts);
  }

  /** Takes over what the address says of filter and columns. */
  #adopt() {
    const shown = address.shown;
    this.filter.reset(shown);
    this.list.pins = shown.columns ?? storedPins(this.name);
    if (this.list.pins.length > 0) address.set({ columns: this.list.pins });
    this.#query = this.#asked;
    this.head.draw();
    this.list.refresh();
  }

  /** What is asked for, to be compared. */
  get #asked() {
    const { where, tags, q, hits, from, to } = address.shown;
    return JSON.stringify([where, tags, q, hits, from, to]);
  }

  /** Shows what the address says. */
  async #show() {
    this.#find();
    this.facets.now?.show();
    await this.reading.show();
  }

  /** Searches for the words that are asked for. */
  #find() {
    if (this.filter.value.q || this.finder.now) this.finder.use((finder) => finder.show());
  }

  /** The reader went back or forward. */
  #moved() {
    const { view, shown } = address;
    if (view.kind !== "pool" || view.name !== this.name) return;
    const before = this.#query;
    this.#adopt();
    if (this.#query !== before) {
      this.reading.forget();
      void this.#show();
    } else if (shown.seq === null) this.inspector.now?.hide();
    else void this.reading.openSeq(shown.seq);
  }

  /** Shows what was appended between two times. @param {number} from @param {number} to */
  showPast(from, to) {
    const [start, end] = [new Date(from).toISOString(), new Date(to).toISOString()];
    if (start < end) this.#ask({ from: start, to: end });
  }

  /** Goes back to the live stream. */
  showLive() {
    this.#ask({ from: "", to: "" });
  }

  /** Goes to the oldest message of what is asked for. */
  async toOldest() {
    const isOver = this.reading.leave();
    this.list.follow = false;
    if (!await this.reading.toOldest() || isOver()) return;
    this.select(0);
    this.list.show(0);
  }

  /** Goes to the newest message, and follows. */
  toNewest() {
    if (this.reading.mode === "past") this.showLive();
    this.toEnd();
  }

  /** Goes to the last message of what is listed, and follows. */
  toEnd() {
    this.reading.leave();
    this.list.select(-1);
    this.list.toEnd();
  }

  goTo() {
    new Later(() => import("./goto.js")).use(({ askPlace }) => askPlace(this));
  }

  /** Asks for something else. @param {Partial<import("./address.js").Shown>} change */
  #ask(change) {
    address.set({ ...change, seq: null });
    this.#query = this.#asked;
    void this.#show();
  }

  async #poll() {
    if (document.querySelector("dialog.sign-in")) return;
    const { live } = this.reading;
    const before = live?.next ?? null;
    try {
      this.info = await poolInfo(this.name, this.#done.signal);
      remember(this.info, Date.now());
      live?.check(this.bounds.newest, before);
      this.reading.settle();
      this.dirty = true;
    } catch (error) {
      const status = /** @type {{status?: number}} */ (error).status;
      if (status === 404) live?.gone();
    }
    drawFacts(this.controls.facts, this.info);
    this.controls.draw();
  }

  /** Shows rows of the stream. @param {Row[]} rows */
  take(rows) {
    this.dirty = true;
    this.rows.take(rows);
    this.finder.now?.take(rows);
    this.alerts.now?.take(rows);
    if (!this.controls.blank.hidden) this.controls.draw();
    this.#arrived += rows.length;
    say(() => this.#takeArrived(), "arrived");
  }

  /** What screen readers hear of messages that arrived. */
  #takeArrived() {
    const n = this.#arrived;
    this.#arrived = 0;
    if (document.hidden || this.rows.paused || this.disposed) return "";
    return `${count(n)} ${n === 1 ? "message" : "messages"} arrived`;
  }

  #tick() {
    if (document.hidden) return;
    if (prefs.times === "relative") this.list.refresh();
    this.controls.draw();
    this.#drawChart();
    const { timeline, list } = this;
    const rows = list.rows.slice(...list.window).filter((row) => row.kind === "message");
    const first = rows[0], last = rows.at(-1);
    timeline.view = first && last ? [first.t, last.t] : null;
    // The first rows come before what is counted.
    if (!this.dirty || this.reading.live?.state === "connecting") return timeline.draw();
    this.dirty = false;
    this.#recall();
    this.counting.use((counting) => void counting.ask());
    this.filter.draw(list.rows);
  }

  /** Estimates the rate of the minute before, once. */
  #recall() {
    if (this.#recalled || !this.info) return;
    this.#recalled = true;
    recall(this.info).then(
      () => drawFacts(this.controls.facts, this.info),
      () => this.#recalled = false, // It is asked again, with the next numbers.
    );
  }

  /** Whether there is a pool. */
  get usable() {
    return this.reading.live?.state !== "missing";
  }

  /** Whether what is shown may be old: nothing comes from the server. */
  get isStale() {
    const state = this.reading.live?.state;
    return rights.read && this.reading.mode === "live" && state !== undefined && state !== "live" &&
      state !== "connecting";
  }

  /** Creates the pool of this page. */
  async create() {
    try {
      await json("/v0/pools", { method: "POST", body: JSON.stringify({ pool: this.name }) });
      toast(`Created ${this.name}`);
    } catch (error) {
      toast(wordsOf(error), true);
    }
  }

  // ---- Actions -------------------------------------------------------------------------------

  togglePause() {
    const { rows, reading } = this;
    if (!this.usable) return;
    if (reading.mode === "past") return this.replay.use((replay) => replay.toggle());
    if (rows.paused) rows.resume();
    else rows.paused = true;
    say(rows.paused ? "Paused" : "Resumed", "pause");
    if (reading.live?.state === "live") {
      this.shell.state(rows.paused ? "past" : "live", rows.paused ? "Paused" : "Live");
    }
    this.controls.draw();
  }

  #filtered() {
    this.reading.hold();
    this.#ask(this.filter.value);
    this.filter.draw(this.list.rows);
  }

  /**
   * Asks for what was asked for before, without showing it: the filter was refused.
   * @param {import("./address.js").Shown} before @param {import("./api.js").ApiError} error
   */
  goBack({ where, tags, q, hits, from, to }, error) {
    address.set({ where, tags, q, hits, from, to }, true);
    this.#query = this.#asked;
    this.filter.refuse({ where, tags, q, hits }, error);
    this.#find();
    this.facets.now?.show();
  }

  /** @param {number} index @param {boolean} [open] */
  select(index, open = false) {
    const { list, inspector } = this;
    this.reading.leave();
    list.select(index);
    const message = messageOf(list.rows[list.selected]);
    if (message && (open || this.inspecting)) {
      address.set({ seq: message.seq });
      // Keys that were pressed while it was loaded have moved the selection.
      inspector.use((it) => it.show(messageOf(list.rows[list.selected]) ?? message));
    }
    this.controls.draw();
  }

  /** Whether a message is open. */
  get inspecting() {
    return this.inspector.now?.element.hidden === false;
  }

  closeInspector() {
    this.inspector.now?.hide();
    address.set({ seq: null });
    this.list.element.focus();
    this.list.refresh();
  }

  /** @param {string[]} path */
  pin(path) {
    this.list.pins = togglePin(this.name, this.list.pins, path);
    address.set({ columns: this.list.pins });
    this.head.draw();
    this.list.refresh();
  }

  chooseColumns() {
    new Later(() => import("./choose_columns.js")).use(({ chooseColumns }) =>
      chooseColumns(this.list, this.look, {
        toggle: (path) => this.pin(path),
        fit: () => this.head.reset(),
      })
    );
  }

  /** Offers what is listed as a file. */
  exportRows() {
    if (!this.usable) return;
    new Later(() => import("./save.js")).use(({ offerExport }) =>
      offerExport(this.name, this.list, this.filter.value)
    );
  }

  /** Asks what to tell of. */
  askAlerts() {
    this.alerts.use((alerts) => alerts.ask());
  }

  /** Shows or hides the chart. */
  toggleChart() {
    address.set({ chart: address.shown.chart ? "" : "1" });
    this.#drawChart();
  }

  #drawChart() {
    const { chart } = address.shown;
    if (!chart && !this.chart.now) return;
    this.chart.use((it) => {
      it.element.hidden = !address.shown.chart;
      if (address.shown.chart) it.update(this.list.rows);
    });
    this.controls.chart.setAttribute("aria-pressed", String(chart !== ""));
    this.controls.chart.classList.toggle("on", chart !== "");
  }

  toggleAppend() {
    if (!this.usable) return;
    this.append.use((box) => box.toggle());
  }

  /** Shows or hides the facets. */
  toggleFacets() {
    this.facets.use((facets) => facets.toggle());
  }

  /** Goes to the next hit of the search. @param {number} by */
  #step(by) {
    if (this.filter.value.q) this.finder.use((finder) => finder.step(by));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const { list, reading } = this;
    const { key } = event;
    if (key === "/") this.filter.where.select();
    else if (key === "j" || key === "ArrowDown") list.step(1);
    else if (key === "k" || key === "ArrowUp") list.step(-1);
    else if (key === "PageDown") list.step(list.page);
    else if (key === "PageUp") list.step(-list.page);
    else if (key === " ") this.togglePause();
    else if (key === "g") void this.toOldest();
    else if (key === "G") this.toNewest();
    else if (key === ":") this.goTo();
    else if (key === "Home") (list.follow = false), this.select(0);
    else if (key === "End") this.toEnd();
    else if (key === "Enter") list.selected >= 0 && this.select(list.selected, true);
    else if (key === "n" || key === "N") this.#step(key === "n" ? 1 : -1);
    else if (key === "t") this.timeline.plot.focus();
    else if (key === "f") this.toggleFacets();
    else if (key === "c") this.chooseColumns();
    else if (key === "v") this.toggleChart();
    else if (key === "e") this.exportRows();
    else if (key === "x" && this.inspecting) this.inspector.use((it) => it.compare());
    else if (key === "o" && this.inspecting) this.inspector.use((it) => it.around());
    else if (key === "a" && rights.write) this.toggleAppend();
    else if (key === "Escape") {
      if (this.inspecting) this.closeInspector();
      else if (this.append.now?.element.hidden === false) this.toggleAppend();
      else if (reading.mode === "past") this.showLive();
      else if (this.filter.value.q) this.filter.set({ q: "" });
    } else return false;
    return true;
  }
}
