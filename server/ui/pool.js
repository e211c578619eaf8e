/**
 * The view of one pool: its live stream, its retained messages, and one message in full.
 *
 * @module
 */

import { poolInfo, rights } from "./api.js";
import { AppendBox } from "./append.js";
import { chooseColumns, samePath, storedPins, togglePin } from "./columns.js";
import { button, count, fill, h, icon, moment, toast } from "./dom.js";
import { Coordination } from "./coordination.js";
import { drawEmpty, drawFacts } from "./facts.js";
import { FilterBox } from "./filter.js";
import { Inspector } from "./inspect.js";
import { MessageList } from "./list.js";
import { PastBar } from "./past.js";
import { recall, remember } from "./rate.js";
import { Replay } from "./replay.js";
import { MAX_ROWS, messageOf, Rows } from "./rows.js";
import { Live, readPast } from "./stream.js";
import { addKnot, knotOf, KNOTS, sampleKnots, Timeline } from "./timeline.js";

/** @typedef {import("./list.js").Row} Row */
/** @typedef {import("./json.js").Message} Message */

/** How much backlog is read at the start, in bytes, and its limits in messages. */
const BACKLOG_BYTES = 4e6;
const BACKLOG = [200, 20_000];
/** How many older messages are loaded at once. */
const OLDER = 1000;

export class PoolView {
  /** @type {"live" | "past"} */
  mode = "live";
  /** @type {import("./api.js").Pool | null} */
  info = null;
  /** @type {Live | null} */
  live = null;

  #dirty = true;
  #busy = false;
  #done = new AbortController();
  #reading = new AbortController();

  facts = h("dl", { class: "facts" });
  head = h("div", { class: "head", "aria-hidden": "true" });
  blank = h("div", { class: "empty", role: "status" });
  status = h("p", { class: "offscreen", role: "status" });
  pause = button("Pause", () => this.togglePause(), {
    icon: "pause",
    text: "Pause",
    class: "tool pause",
    key: "space",
  });
  appendButton = button("Append a message", () => this.append.toggle(), {
    icon: "send",
    text: "Append",
    class: "tool",
    key: "a",
  });
  older = h("button", {
    type: "button",
    class: "older",
    hidden: true,
    onclick: () => this.#loadOlder(),
  });
  newest = button("Newest", () => this.list.toEnd(), {
    icon: "down",
    text: "Newest",
    class: "newest",
    key: "G",
    hidden: true,
  });
  split = h("div", { class: "split" });

  /**
   * @param {string} name
   * @param {URLSearchParams} query
   * @param {{crumbs: (...children: import("./dom.js").Child[]) => void, state: (state: string, words: string) => void}} shell
   */
  constructor(name, query, shell) {
    this.name = name;
    this.shell = shell;
    this.query = query;
    const asked = { tags: query.getAll("tag"), where: query.get("where") ?? "" };
    this.filter = new FilterBox(name, asked, {
      change: () => this.#filtered(),
      leave: () => this.list.element.focus(),
    });
    document.title = `${name} · Plasmite UI`;
    shell.crumbs(name);
    this.list = new MessageList({
      select: (index, open) => this.select(index, open),
      tag: (tag) => this.filter.toggle(tag),
      moved: () => this.#controls(),
    });
    this.list.pins = storedPins(name);
    this.timeline = new Timeline((from, to) => this.showPast(from, to));
    this.inspector = new Inspector(name, {
      close: () => this.closeInspector(),
      step: (by) => this.step(by),
      pin: (path) => this.pin(path),
      pinned: (path) => this.list.pins.some((pin) => samePath(pin, path)),
      where: (where) => this.filter.set({ tags: this.filter.value.tags, where }),
      tag: (tag) => this.filter.toggle(tag),
    });
    this.replay = new Replay(this.list, {
      moved: (t) => {
        this.timeline.cursor = t;
        this.timeline.draw();
      },
    });
    this.past = new PastBar(this.replay.element, () => this.showLive());
    this.rows = new Rows(this.list, (rows) => this.#keepKnots(rows));
    this.append = new AppendBox(name);
    this.coordination = new Coordination(name);
    this.element = this.#build();
    this.ticker = setInterval(() => this.#tick(), 500);
    this.#start();
  }

  dispose() {
    this.#done.abort();
    this.#reading.abort();
    this.live?.stop();
    clearInterval(this.ticker);
    this.filter.dispose();
    this.replay.stop();
    this.list.dispose();
    this.timeline.dispose();
  }

  // ---- The page -----------------------------------------------------------------------------

  #build() {
    this.split.append(
      h(
        "section",
        { class: "stream", "aria-label": "Stream" },
        this.head,
        this.older,
        h("div", { class: "hold" }, this.list.element, this.blank, this.newest),
      ),
      this.inspector.element,
    );
    this.#drawHead();
    return h(
      "main",
      { class: "one" },
      h("h1", { class: "offscreen" }, `Pool ${this.name}`),
      this.facts,
      this.coordination.element,
      this.timeline.element,
      h(
        "div",
        { class: "tools" },
        this.filter.element,
        this.pause,
        button("Columns", () => this.#columns(), {
          icon: "columns",
          text: "Columns",
          class: "tool",
          key: "c",
        }),
        button("Export what is listed as JSON lines", () => this.exportRows(), {
          icon: "save",
          text: "Export",
          class: "tool",
          key: "e",
        }),
        this.appendButton,
      ),
      this.filter.chips,
      this.past.element,
      this.split,
      this.append.element,
      this.status,
    );
  }

  #drawHead() {
    fill(
      this.head,
      h("span", { class: "seq" }, "#"),
      h("span", { class: "time" }, "Time"),
      h("span", { class: "tags" }, "Tags"),
      this.list.pins.map((path) =>
        h("span", { class: "cell", title: path.join(".") }, path.join("."))
      ),
      h("span", { class: "data" }, "Data"),
    );
    const columns = this.list.pins.length ? `repeat(${this.list.pins.length}, var(--pinw))` : "";
    this.split.style.setProperty("--pins", columns);
  }

  #controls() {
    const { list, pause, newest } = this;
    const { paused, waiting: n } = this.rows;
    pause.hidden = this.mode === "past";
    const words = paused ? (n ? `Resume, ${count(n)} waiting` : "Resume") : "Pause";
    fill(
      pause,
      icon(paused ? "play" : "pause"),
      h("span", { class: paused && n ? "wide" : null }, paused ? "Resume" : "Pause"),
      paused && n > 0 && h("span", null, `${count(n)} waiting`),
    );
    pause.setAttribute("aria-label", words);
    pause.title = `${words} (space)`;
    pause.classList.toggle("on", paused);
    const below = list.length - list.window[1];
    newest.hidden = list.follow || list.length === 0 || (paused && below <= 0);
    fill(newest, icon("down"), h("span", null, below > 0 ? `${count(below)} newer` : "Newest"));
    this.appendButton.hidden = !rights.write;
    if (!rights.write) this.append.element.hidden = true;
    this.#offerOlder();
    this.blank.hidden = list.length > 0;
    if (list.length > 0) return;
    drawEmpty(this.blank, {
      name: this.name,
      past: this.mode === "past",
      reading: this.#busy,
      filtered: this.filter.active,
      state: this.live?.state,
    });
  }

  #offerOlder() {
    const { list, older } = this;
    const { oldest } = this.#bounds();
    const first = this.rows.first;
    const whole = this.mode === "live" && !this.live?.filtered;
    const left = whole && first && oldest !== null ? first.seq - oldest : 0n;
    older.hidden = left <= 0n || list.window[0] > 0 || list.rows.length > MAX_ROWS - OLDER;
    const next = count(left < OLDER ? left : OLDER);
    if (left > 0n) fill(older, `${count(left)} older messages are retained. Load ${next}`);
  }

  // ---- Reading ------------------------------------------------------------------------------

  #bounds() {
    const { oldest, newest } = this.info?.bounds ?? {};
    return {
      oldest: oldest === undefined ? null : BigInt(oldest),
      newest: newest === undefined ? null : BigInt(newest),
    };
  }

  async #start() {
    const { query } = this;
    await this.#poll();
    if (this.info) recall(this.info).then(() => drawFacts(this.facts, this.info), () => {});
    const seq = query.get("seq"), from = query.get("from"), to = query.get("to");
    if (seq && /^\d{1,20}$/.test(seq)) await this.openSeq(BigInt(seq));
    else if (from && to && Date.parse(from) < Date.parse(to)) {
      this.showPast(Date.parse(from), Date.parse(to));
    } else this.showLive();
    while (!this.#done.signal.aborted) {
      await new Promise((done) => setTimeout(done, 2000));
      if (!document.hidden && !this.#done.signal.aborted) await this.#poll();
    }
  }

  async #poll() {
    if (document.querySelector("dialog.sign-in")) return;
    const before = this.live?.next ?? null;
    try {
      this.info = await poolInfo(this.name, this.#done.signal);
      remember(this.info, Date.now());
      const { newest } = this.#bounds();
      this.live?.check(newest, before);
      this.#dirty = true;
    } catch (error) {
      const status = /** @type {{status?: number}} */ (error).status;
      if (status === 404) this.live?.gone();
    }
    drawFacts(this.facts, this.info);
    this.#controls();
    // Not awaited: what is new in the pool does not wait for who works with it.
    if (this.info && rights.read) void this.coordination.refresh(this.#done.signal);
  }

  /** Empties the list. */
  #reset() {
    this.live?.stop();
    this.#reading.abort();
    this.#reading = new AbortController();
    this.replay.stop();
    this.rows.clear();
    this.#busy = false;
    this.#dirty = true;
    this.inspector.hide();
  }

  showLive() {
    this.#reset();
    this.mode = "live";
    this.timeline.range = null;
    this.timeline.cursor = null;
    this.past.hide();
    this.list.follow = true;
    this.#address();
    const live = this.live = new Live(this.name, this.filter.value, {
      rows: (rows) => this.#take(rows),
      state: (state, detail) => {
        if (this.rows.paused && state === "live") return;
        const words = {
          connecting: "Connecting",
          live: "Live",
          reconnecting: "Reconnecting",
          missing: "Waiting for the pool",
          stopped: "Stopped",
        };
        this.shell.state(state, detail ? `${words[state]}: ${detail}` : words[state]);
        this.#controls();
      },
      refused: (error) => this.#refused(error),
    });
    this.shell.state("connecting", "Connecting");
    live.run(live.filtered ? null : this.#backlogStart());
    this.#controls();
    this.#sample();
  }

  /** @returns {bigint | null} */
  #backlogStart() {
    const { oldest, newest } = this.#bounds();
    const metrics = this.info?.metrics;
    if (oldest === null || newest === null || !metrics) return null;
    const size = metrics.utilization.used_bytes / Math.max(1, metrics.message_count);
    const asked = Number(this.query.get("n"));
    const n = asked >= 1
      ? Math.min(asked, MAX_ROWS)
      : Math.min(Math.max(BACKLOG_BYTES / size, BACKLOG[0] ?? 0), BACKLOG[1] ?? 0);
    const from = newest - BigInt(Math.round(n)) + 1n;
    return from > oldest ? from : oldest;
  }

  /** @param {import("./api.js").ApiError} error */
  #refused(error) {
    if (error.status === 401) return;
    if (this.filter.active && error.kind === "Usage") this.filter.problem(error);
    else toast(error.message, true);
    this.#controls();
  }

  /** @param {Row[]} rows */
  #take(rows) {
    this.#dirty = true;
    this.rows.take(rows);
    if (!this.blank.hidden) this.#controls();
  }

  /** Keeps removed rows as samples of the timeline. @param {readonly Row[]} rows */
  #keepKnots(rows) {
    const step = Math.max(1, Math.floor(rows.length / 100));
    for (let i = 0; i < rows.length; i += step) {
      const message = messageOf(rows[i]);
      if (message) addKnot(this.timeline.knots, knotOf(message));
    }
  }

  async #loadOlder() {
    const { first } = this.rows;
    const { oldest } = this.#bounds();
    if (this.#busy || !first || oldest === null || first.seq <= oldest) return;
    this.#busy = true;
    const from = first.seq - BigInt(OLDER) > oldest ? first.seq - BigInt(OLDER) : oldest;
    /** @type {Row[]} */
    const rows = [];
    try {
      await readPast(
        this.name,
        { since_seq: String(from) },
        { tags: [], where: "" },
        this.#reading.signal,
        (message) => {
          if (message.seq < first.seq) rows.push(message);
          return message.seq < first.seq - 1n;
        },
      );
      this.rows.prepend(rows);
    } catch (error) {
      toast(String(error), true);
    }
    this.#busy = false;
    this.#controls();
  }

  /**
   * Samples messages across the retained range, coarsely at first, to estimate what is not loaded.
   */
  async #sample() {
    const { oldest, newest } = this.#bounds();
    if (oldest === null || newest === null) return;
    const to = this.live?.filtered || this.mode === "past"
      ? newest
      : this.#backlogStart() ?? newest;
    const width = Number(to - oldest);
    if (width < 2) return;
    const known = this.timeline.knots.filter((k) => k.seq >= Number(oldest)).length;
    if (known >= KNOTS) return;
    await sampleKnots(this.name, oldest, to, this.timeline, this.#reading.signal);
    this.#dirty = true;
  }

  #tick() {
    if (document.hidden) return;
    this.#controls();
    const { timeline, list } = this;
    const rows = list.rows.slice(...list.window).filter((row) => row.kind === "message");
    const first = rows[0], last = rows.at(-1);
    timeline.view = first && last ? [first.t, last.t] : null;
    if (!this.#dirty && this.mode === "past") return timeline.draw();
    this.#dirty = false;
    const { oldest, newest } = this.#bounds();
    const age = this.info?.metrics?.age;
    timeline.rows = list.rows;
    timeline.partial = this.mode === "past" || this.filter.active;
    timeline.knots = timeline.knots.filter((knot) => oldest === null || knot.seq >= Number(oldest));
    if (newest !== null && age?.newest_time) {
      addKnot(timeline.knots, { seq: Number(newest), t: Date.parse(age.newest_time), hue: 0 });
    }
    const start = Date.parse(age?.oldest_time ?? "") || Date.now() - 60_000;
    timeline.from = Math.min(start, list.rows[0]?.t ?? start);
    timeline.to = Math.max(Date.now(), timeline.from + 1000);
    timeline.update();
    this.filter.draw(list.rows);
  }

  // ---- The past -----------------------------------------------------------------------------

  /** @param {Record<string, string>} range @param {(message: Message) => boolean} take @param {string} title */
  async #readPast(range, take, title) {
    this.#reset();
    this.mode = "past";
    this.list.follow = false;
    this.#busy = true;
    this.list.element.scrollTop = 0;
    this.shell.state("past", "Looking back");
    const say = () => this.past.show(title, this.list.rows.length, this.#busy);
    say();
    this.#controls();
    const { signal } = this.#reading;
    this.#sample();
    /** @type {Row[]} */
    let piece = [];
    const flush = () => {
      if (signal.aborted) return;
      this.rows.add(piece);
      piece = [];
      say();
    };
    const timer = setInterval(flush, 100);
    try {
      await readPast(this.name, range, this.filter.value, signal, (message) => {
        if (!take(message)) return false;
        piece.push(message);
        return this.list.rows.length + piece.length < MAX_ROWS && !this.rows.full;
      });
    } catch (error) {
      if (!signal.aborted) toast(error instanceof Error ? error.message : String(error), true);
    }
    clearInterval(timer);
    if (signal.aborted) return false;
    this.#busy = false;
    flush();
    this.#dirty = true;
    this.#controls();
    fill(this.status, `${title}: ${count(this.list.rows.length)} messages`);
    return true;
  }

  /** @param {number} from @param {number} to */
  async showPast(from, to) {
    this.timeline.range = [from, to];
    this.query = new URLSearchParams({
      from: new Date(from).toISOString(),
      to: new Date(to).toISOString(),
    });
    this.#address();
    await this.#readPast(
      { since: new Date(Math.floor(from)).toISOString() },
      (message) => message.t <= to,
      `${moment(from)} – ${moment(to)}`,
    );
  }

  /** Opens a message by its sequence number, with its neighbours. @param {bigint} seq */
  async openSeq(seq) {
    const { oldest, newest } = this.#bounds();
    const start = this.#backlogStart();
    const filtered = this.filter.active;
    if (oldest === null || newest === null || seq < oldest || seq > newest) {
      toast(
        oldest === null || newest === null
          ? `Message ${seq} does not exist: the pool is empty`
          : `Message ${seq} is not retained: the pool holds ${oldest} to ${newest}`,
        true,
      );
      this.query.delete("seq");
      return this.showLive();
    }
    if (!filtered && start !== null && seq >= start) {
      this.query.delete("seq");
      this.showLive();
      this.list.follow = false;
      while (!this.#done.signal.aborted && this.mode === "live" && (this.live?.next ?? 0n) <= seq) {
        await new Promise((done) => setTimeout(done, 30));
        if (this.live?.state === "stopped") return;
      }
    } else {
      this.filter.reset();
      const from = seq - 200n > oldest ? seq - 200n : oldest;
      if (
        !await this.#readPast(
          { since_seq: String(from) },
          (m) => m.seq <= seq + 300n,
          `Around message ${seq}`,
        )
      ) return;
    }
    const index = this.list.rows.findIndex((row) => row.kind === "message" && row.seq === seq);
    if (index < 0) return;
    this.select(index, true);
    this.list.show(index, "center");
  }

  // ---- Actions -------------------------------------------------------------------------------

  togglePause() {
    if (this.mode === "past") return this.replay.toggle();
    const { rows } = this;
    if (rows.paused) rows.resume();
    else rows.paused = true;
    fill(this.status, rows.paused ? "Paused" : "Resumed");
    if (this.live?.state === "live") {
      this.shell.state(rows.paused ? "past" : "live", rows.paused ? "Paused" : "Live");
    }
    this.#controls();
  }

  #filtered() {
    if (this.mode === "past" && this.timeline.range) this.showPast(...this.timeline.range);
    else this.showLive();
    this.filter.draw(this.list.rows);
  }

  /** @param {number} index @param {boolean} [open] */
  select(index, open = false) {
    const { list } = this;
    list.select(index);
    const message = messageOf(list.rows[list.selected]);
    if (list.selected >= 0 && list.selected < list.length - 1) list.follow = false;
    if (message && (open || !this.inspector.element.hidden)) {
      this.inspector.show(message);
      this.#address(message.seq);
    }
    this.#controls();
  }

  /** @param {number} by */
  step(by) {
    const { list } = this;
    const [first, end] = list.window;
    this.select(list.selected < 0 ? (by > 0 ? first : end - 1) : Math.max(0, list.selected + by));
  }

  closeInspector() {
    this.inspector.hide();
    this.#address();
    this.list.element.focus();
    this.list.refresh();
  }

  /** Updates the URL to the current view, so that it can be shared. @param {bigint} [seq] */
  #address(seq) {
    const query = new URLSearchParams();
    const n = this.query.get("n");
    if (n) query.set("n", n);
    for (const tag of this.filter.value.tags) query.append("tag", tag);
    if (this.filter.value.where) query.set("where", this.filter.value.where);
    if (this.mode === "past" || (this.timeline.range && seq === undefined)) {
      for (const key of ["from", "to"]) {
        if (this.timeline.range && this.query.has(key)) query.set(key, this.query.get(key) ?? "");
      }
    }
    if (seq !== undefined) query.set("seq", String(seq));
    const text = query.toString();
    history.replaceState(null, "", location.pathname + (text ? `?${text}` : ""));
  }

  /** @param {string[]} path */
  pin(path) {
    this.list.pins = togglePin(this.name, this.list.pins, path);
    this.#drawHead();
    this.list.refresh();
  }

  #columns() {
    chooseColumns(this.list.rows, this.list.pins, (path) => this.pin(path));
  }

  /** Exports the listed messages as JSON lines. */
  exportRows() {
    const messages = this.list.rows.slice(0, this.list.length).filter((row) =>
      row.kind === "message"
    );
    const first = messages[0], last = messages.at(-1);
    if (!first || !last) return toast("There is nothing to export");
    const url = URL.createObjectURL(
      new Blob(messages.map((m) => m.text + "\n"), { type: "application/jsonl" }),
    );
    const link = h("a", { href: url, download: `${this.name}-${first.seq}-${last.seq}.jsonl` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
    toast(`Exported ${count(messages.length)} messages`);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const { list } = this;
    const { key } = event;
    if (key === "/") this.filter.where.select();
    else if (key === "j" || key === "ArrowDown") this.step(1);
    else if (key === "k" || key === "ArrowUp") this.step(-1);
    else if (key === "PageDown") this.step(list.page);
    else if (key === "PageUp") this.step(-list.page);
    else if (key === " ") this.togglePause();
    else if (key === "g" || key === "Home") (list.follow = false), this.select(0);
    else if (key === "G" || key === "End") (list.selected = -1), list.toEnd();
    else if (key === "Enter") list.selected >= 0 && this.select(list.selected, true);
    else if (key === "t") this.timeline.plot.focus();
    else if (key === "c") this.#columns();
    else if (key === "e") this.exportRows();
    else if (key === "a" && rights.write) this.append.toggle();
    else if (key === "Escape") {
      if (!this.inspector.element.hidden) this.closeInspector();
      else if (!this.append.element.hidden) this.append.toggle();
      else if (this.mode === "past") this.showLive();
    } else return false;
    return true;
  }
}
