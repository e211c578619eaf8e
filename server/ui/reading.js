/**
 * What a pool's page reads: the live stream, older messages, a range of the past, the surroundings
 * of one message, and samples for the timeline.
 *
 * @module
 */

import { count, moment, toast } from "./dom.js";
import { MAX_ROWS } from "./rows.js";
import { say } from "./say.js";
import { Live, readPast } from "./stream.js";
import { KNOTS, sampleKnots } from "./timeline.js";

/** @typedef {import("./list.js").Row} Row */
/** @typedef {import("./json.js").Message} Message */

/** How much backlog is read at the start, in bytes, and its limits in messages. */
const BACKLOG_BYTES = 4e6;
const BACKLOG = [200, 20_000];
/** How many older messages are loaded at once. */
export const OLDER = 1000;

const WORDS = {
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  missing: "Waiting for the pool",
  stopped: "Stopped",
};

export class Reading {
  /** @type {"live" | "past"} */
  mode = "live";
  /** @type {Live | null} */
  live = null;
  busy = false;
  #reading = new AbortController();

  /** @param {import("./pool.js").PoolView} view */
  constructor(view) {
    this.view = view;
  }

  dispose() {
    this.#reading.abort();
    this.live?.stop();
  }

  /** Empties the list. */
  #reset() {
    const { view } = this;
    this.live?.stop();
    this.#reading.abort();
    this.#reading = new AbortController();
    view.replay.now?.stop();
    view.rows.clear();
    this.busy = false;
    view.dirty = true;
    view.inspector.now?.hide();
  }

  /** Follows the pool. */
  showLive() {
    const { view } = this;
    this.#reset();
    this.mode = "live";
    view.timeline.range = null;
    view.timeline.cursor = null;
    view.past.hide();
    view.list.follow = true;
    view.address();
    const live = this.live = new Live(view.name, view.filter.value, {
      rows: (rows) => view.take(rows),
      state: (state, detail) => {
        if (view.rows.paused && state === "live") return;
        view.shell.state(state, detail ? `${WORDS[state]}: ${detail}` : WORDS[state]);
        view.controls.draw();
      },
      refused: (error) => this.#refused(error),
    });
    view.shell.state("connecting", "Connecting");
    live.run(live.filtered ? null : this.#backlogStart());
    view.controls.draw();
    this.#sample();
  }

  /** @returns {bigint | null} */
  #backlogStart() {
    const { bounds, info, query } = this.view;
    const { oldest, newest } = bounds;
    const metrics = info?.metrics;
    if (oldest === null || newest === null || !metrics) return null;
    const size = metrics.utilization.used_bytes / Math.max(1, metrics.message_count);
    const asked = Number(query.get("n"));
    const n = asked >= 1
      ? Math.min(asked, MAX_ROWS)
      : Math.min(Math.max(BACKLOG_BYTES / size, BACKLOG[0] ?? 0), BACKLOG[1] ?? 0);
    const from = newest - BigInt(Math.round(n)) + 1n;
    return from > oldest ? from : oldest;
  }

  /** @param {import("./api.js").ApiError} error */
  #refused(error) {
    const { view } = this;
    if (error.status === 401) return;
    if (view.filter.active && error.kind === "Usage") view.filter.problem(error);
    else toast(error.message, true);
    view.controls.draw();
  }

  /** Loads messages before the first row. */
  async loadOlder() {
    const { view } = this;
    const { first } = view.rows;
    const { oldest } = view.bounds;
    if (this.busy || !first || oldest === null || first.seq <= oldest) return;
    this.busy = true;
    const from = first.seq - BigInt(OLDER) > oldest ? first.seq - BigInt(OLDER) : oldest;
    /** @type {Row[]} */
    const rows = [];
    try {
      await readPast(
        view.name,
        { since_seq: String(from) },
        { tags: [], where: "" },
        this.#reading.signal,
        (message) => {
          if (message.seq < first.seq) rows.push(message);
          return message.seq < first.seq - 1n;
        },
      );
      view.rows.prepend(rows);
    } catch (error) {
      toast(String(error), true);
    }
    this.busy = false;
    view.controls.draw();
  }

  /**
   * Samples messages across the retained range, coarsely at first, to estimate what is not loaded.
   */
  async #sample() {
    const { timeline, name, bounds: { oldest, newest } } = this.view;
    if (oldest === null || newest === null) return;
    const to = this.live?.filtered || this.mode === "past"
      ? newest
      : this.#backlogStart() ?? newest;
    if (Number(to - oldest) < 2) return;
    if (timeline.knots.filter((k) => k.seq >= Number(oldest)).length >= KNOTS) return;
    await sampleKnots(name, oldest, to, timeline, this.#reading.signal);
    this.view.dirty = true;
  }

  /**
   * Reads a part of the past to its end; false if something else is shown meanwhile.
   * @param {Record<string, string>} range @param {(message: Message) => boolean} take
   * @param {string} title
   */
  async #readPast(range, take, title) {
    const { view } = this;
    const { list, rows } = view;
    this.#reset();
    this.mode = "past";
    list.follow = false;
    this.busy = true;
    view.replay.use(() => {});
    list.element.scrollTop = 0;
    view.shell.state("past", "Looking back");
    const tell = () => view.past.show(title, list.rows.length, this.busy);
    tell();
    view.controls.draw();
    const { signal } = this.#reading;
    this.#sample();
    /** @type {Row[]} */
    let piece = [];
    const flush = () => {
      if (signal.aborted) return;
      rows.add(piece);
      piece = [];
      tell();
    };
    const timer = setInterval(flush, 100);
    try {
      await readPast(view.name, range, view.filter.value, signal, (message) => {
        if (!take(message)) return false;
        piece.push(message);
        return list.rows.length + piece.length < MAX_ROWS && !rows.full;
      });
    } catch (error) {
      if (!signal.aborted) toast(error instanceof Error ? error.message : String(error), true);
    }
    clearInterval(timer);
    if (signal.aborted) return false;
    this.busy = false;
    flush();
    view.dirty = true;
    view.controls.draw();
    say(`${title}: ${count(list.rows.length)} messages`, "past");
    return true;
  }

  /** Shows what was appended between two times. @param {number} from @param {number} to */
  async showPast(from, to) {
    const { view } = this;
    view.timeline.range = [from, to];
    view.query = new URLSearchParams({
      from: new Date(from).toISOString(),
      to: new Date(to).toISOString(),
    });
    view.address();
    await this.#readPast(
      { since: new Date(Math.floor(from)).toISOString() },
      (message) => message.t <= to,
      `${moment(from)} – ${moment(to)}`,
    );
  }

  /** Opens a message by its sequence number, with its neighbours. @param {bigint} seq */
  async openSeq(seq) {
    const { view } = this;
    const { oldest, newest } = view.bounds;
    const start = this.#backlogStart();
    if (oldest === null || newest === null || seq < oldest || seq > newest) {
      toast(
        oldest === null || newest === null
          ? `Message ${seq} does not exist: the pool is empty`
          : `Message ${seq} is not retained: the pool holds ${oldest} to ${newest}`,
        true,
      );
      view.query.delete("seq");
      return this.showLive();
    }
    if (!view.filter.active && start !== null && seq >= start) {
      view.query.delete("seq");
      this.showLive();
      view.list.follow = false;
      while (!view.disposed && this.mode === "live" && (this.live?.next ?? 0n) <= seq) {
        await new Promise((done) => setTimeout(done, 30));
        if (this.live?.state === "stopped") return;
      }
    } else {
      view.filter.reset();
      const from = seq - 200n > oldest ? seq - 200n : oldest;
      const range = { since_seq: String(from) };
      const title = `Around message ${seq}`;
      if (!await this.#readPast(range, (m) => m.seq <= seq + 300n, title)) return;
    }
    const index = view.list.rows.findIndex((row) => row.kind === "message" && row.seq === seq);
    if (index < 0) return;
    view.select(index, true);
    view.list.show(index, "center");
  }
}
