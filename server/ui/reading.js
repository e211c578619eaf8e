/**
 * What a pool's page reads: the live stream, older messages, a range of the past, the surroundings
 * of one message.
 *
 * @module
 */

import { address } from "./address.js";
import { ApiError } from "./api.js";
import { count, moment, toast } from "./dom.js";
import { backlogOf, backlogStart } from "./early.js";
import { MAX_ROWS } from "./rows.js";
import { say } from "./say.js";
import { Live, readOne, readPast, unreadableRow } from "./stream.js";
import { serverNow } from "./times.js";

/** @typedef {import("./list.js").Row} Row */
/** @typedef {import("./json.js").Message} Message */

/** How many older messages are loaded at once. */
export const OLDER = 1000;

const WORDS = {
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  missing: "Waiting for the pool",
  corrupt: "Damaged",
  stopped: "Stopped",
};

/**
 * What was listed before the filter changed. @typedef {object} Former
 * @property {import("./address.js").Shown} shown
 * @property {bigint} goal the newest message at that time
 * @property {Row[]} rows
 * @property {boolean} trimmed
 * @property {bigint | null} next where its stream goes on; null if it is read again
 * @property {number | null} top how far it was scrolled; null for the end
 */

export class Reading {
  /** Until what is asked for now has been looked for in all that there was. @type {Former | null} */
  #former = null;
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
    this.live = null;
    this.#fromOldest = false;
    this.#reading.abort();
    this.#reading = new AbortController();
    view.replay.now?.stop();
    view.rows.clear();
    this.busy = false;
    view.dirty = true;
    view.inspector.now?.hide();
  }

  /** The range that is shown. */
  get range() {
    return address.range;
  }

  /** Shows what the address says. */
  async show() {
    const { seq } = address.shown;
    this.leave();
    // What was listed before is no answer.
    this.#reset();
    if (seq === null || this.#missing(seq)) await this.#showQuery();
    else await this.openSeq(seq);
  }

  /** Shows what is asked for, without regard to the message that is open. */
  async #showQuery() {
    const { range } = this;
    if (range) return await this.#showRange(...range);
    this.#showLive();
    return true;
  }

  /** Keeps what is listed, in case that the next filter turns out to be refused. */
  hold() {
    const { view, live } = this;
    this.settle();
    const { newest } = view.bounds;
    if (this.#former || newest === null) return;
    if (view.rows.paused) view.rows.resume();
    const { list, rows } = view;
    const isLive = this.mode === "live" && live?.state === "live";
    this.#former = {
      shown: address.shown,
      goal: newest,
      rows: isLive ? list.rows.slice() : [],
      trimmed: rows.trimmed,
      next: isLive ? live.next : null,
      top: list.follow ? null : list.element.scrollTop,
    };
  }

  /** Forgets what was listed before, once the filter has been evaluated on all that there was. */
  settle() {
    if ((this.live?.next ?? 0n) > (this.#former?.goal ?? 0n)) this.#former = null;
  }

  /** Forgets what was listed before: the reader has gone somewhere else. */
  forget() {
    this.#former = null;
  }

  /** Lists again what was listed before. @param {Former} former */
  #goBack({ rows, trimmed, next, top }) {
    const { list, rows: listed } = this.view;
    if (next === null) return void this.show();
    this.#showLive(next);
    listed.add(rows);
    listed.trimmed = trimmed;
    if (top !== null) list.back(top);
  }

  /** Follows the pool. @param {bigint} [next] from there on */
  #showLive(next) {
    const { view } = this;
    this.#reset();
    this.mode = "live";
    view.timeline.range = null;
    view.timeline.cursor = null;
    view.past.hide();
    view.list.follow = true;
    const live = this.live = new Live(view.name, view.filter.filter, {
      rows: (rows) => view.take(rows),
      state: (state, detail) => {
        const words = detail ? `${WORDS[state]}: ${detail}` : WORDS[state];
        if (view.rows.paused && state === "live") view.shell.state("past", "Paused");
        else view.shell.state(state === "corrupt" ? "stopped" : state, words);
        view.controls.draw();
      },
      refused: (error) => this.#refused(error),
    });
    view.shell.state("connecting", "Connecting");
    live.run(next ?? (live.filtered ? null : this.#backlogStart()));
    view.controls.draw();
  }

  /** @returns {bigint | null} */
  #backlogStart() {
    const asked = Number(address.shown.n);
    const many = asked >= 1 ? () => Math.min(asked, MAX_ROWS) : backlogOf;
    return backlogStart(this.view.info, many);
  }

  /** @param {ApiError} error */
  #refused(error) {
    const { view } = this;
    if (error.status === 401) return;
    this.settle();
    const former = this.#former;
    this.#former = null;
    if (!view.filter.active || error.kind !== "Usage") toast(error.message, true);
    else if (former) {
      view.goBack(former.shown, error);
      this.#goBack(former);
    } else view.filter.problem(error);
    view.controls.draw();
  }

  /** Loads messages before the first row. */
  async loadOlder() {
    const { view } = this;
    const { first } = view.rows;
    const { oldest } = view.bounds;
    if (this.busy || !first || oldest === null || first.seq <= oldest) return;
    this.busy = true;
    // Whoever goes back to the end meanwhile stays there.
    view.list.follow = false;
    const { signal } = this.#reading;
    const from = first.seq - BigInt(OLDER) > oldest ? first.seq - BigInt(OLDER) : oldest;
    /** @type {Row[]} */
    const rows = [];
    try {
      await readPast(
        view.name,
        { since_seq: String(from) },
        { tags: [], where: "", q: "" },
        signal,
        (message) => {
          if (message.seq < first.seq) rows.push(message);
          return message.seq < first.seq - 1n;
        },
        (from, to) => {
          const end = to < first.seq ? to : first.seq - 1n;
          const t = rows.at(-1)?.t ?? first.t;
          if (from < first.seq) rows.push(unreadableRow(view.name, from, end, t));
        },
      );
      if (!signal.aborted) view.rows.prepend(rows);
    } catch (error) {
      if (!signal.aborted) toast(String(error), true);
    }
    // What is shown now is something else.
    if (signal.aborted) return;
    this.busy = false;
    view.controls.draw();
  }

  /**
   * Reads parts of the past to their end; false if something else is shown meanwhile.
   * @param {Record<string, string>[]} ranges @param {(message: Message) => boolean} take
   * @param {string} title
   */
  async #readPast(ranges, take, title) {
    const { view } = this;
    const { list, rows } = view;
    this.#reset();
    this.mode = "past";
    list.back(0);
    this.busy = true;
    view.replay.use(() => {});
    view.shell.state("past", "Looking back");
    const tell = () => view.past.show(title, list.rows.length, this.busy);
    tell();
    view.controls.draw();
    const { signal } = this.#reading;
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
      for (const range of ranges) {
        await readPast(view.name, range, view.filter.filter, signal, (message) => {
          if (!take(message)) return false;
          piece.push(message);
          return list.rows.length + piece.length < MAX_ROWS && !rows.full;
        }, (from, to) => {
          const t = (piece.at(-1) ?? list.rows.at(-1))?.t ?? serverNow();
          piece.push(unreadableRow(view.name, from, to, t));
        });
      }
    } catch (error) {
      if (signal.aborted) return false;
      if (error instanceof ApiError) this.#refused(error);
      else toast(error instanceof Error ? error.message : String(error), true);
    } finally {
      clearInterval(timer);
    }
    if (signal.aborted) return false;
    this.#former = null;
    this.busy = false;
    flush();
    view.dirty = true;
    view.controls.draw();
    say(`${title}: ${count(list.rows.length)} messages`, "past");
    return true;
  }

  /** Shows what was appended between two times. @param {number} from @param {number} to */
  async #showRange(from, to) {
    this.view.timeline.range = [from, to];
    return await this.#readPast(
      [{ since: new Date(Math.floor(from)).toISOString() }],
      (message) => message.t <= to,
      `${moment(from)} – ${moment(to)}`,
    );
  }

  /** Says that a message is not there; then nothing is open. @param {bigint} seq */
  #missing(seq) {
    const { oldest, newest } = this.view.bounds;
    if (oldest !== null && newest !== null && seq >= oldest && seq <= newest) return false;
    toast(
      oldest === null || newest === null
        ? `Message ${seq} does not exist: the pool is empty`
        : `Message ${seq} is not retained: the pool holds ${oldest} to ${newest}`,
      true,
    );
    address.set({ seq: null });
    return true;
  }

  /**
   * Goes to a message by its sequence number: in the rows, in what is asked for, else with its
   * neighbours.
   * @param {bigint} seq
   * @param {boolean} [open] whether to show it in full
   */
  async openSeq(seq, open = true) {
    if (this.#select(seq, open)) return;
    if (this.#missing(seq)) return;
    const { view } = this;
    const isOver = this.leave();
    if (view.filter.active) {
      const message = await this.#matching(seq, view.filter.filter);
      if (isOver()) return;
      if (!message) return await this.#besides(seq, isOver);
    }
    const start = this.#backlogStart();
    if (this.range) {
      if (!await this.#showQuery() || isOver() || this.#select(seq, open)) return;
      // It lies outside of the range.
      address.set({ from: "", to: "" });
      view.timeline.range = null;
    } else if (view.filter.active || (start !== null && seq >= start)) {
      if (this.mode !== "live" || !this.live || (this.live.next ?? 0n) > seq) this.#showLive();
      view.list.follow = false;
      if (!await this.#reached(seq) || isOver() || this.#select(seq, open)) return;
    }
    if (await this.#showAround(seq) && !isOver()) this.#select(seq, open);
  }
  #asked = {};

  /**
   * The reader goes somewhere else: nothing goes any more to where they wanted to before. Returns
   * whether they have left again.
   */
  leave() {
    const asked = this.#asked = {};
    return () => this.#asked !== asked || this.view.disposed;
  }

  /** The message if it matches; null if not. @param {bigint} seq @param {import("./filter.js").Filter} filter */
  async #matching(seq, filter) {
    try {
      return await readOne(this.view.name, seq, filter, this.#reading.signal);
    } catch {
      return null; // The stream will say what is wrong.
    }
  }

  /**
   * Opens a message that is not listed, because it does not match.
   * @param {bigint} seq @param {() => boolean} isOver
   */
  async #besides(seq, isOver) {
    const { view } = this;
    if (!await this.#showQuery() || isOver()) return;
    const message = await this.#matching(seq, { tags: [], where: "", q: "" });
    if (!message || isOver()) return;
    toast(`Message ${seq} does not match the filter`);
    address.set({ seq });
    view.inspector.use((it) => it.show(message));
  }

  /** Waits until the live stream has come to a message; false if something else is shown. @param {bigint} seq */
  async #reached(seq) {
    const { live, view } = this;
    while (live && (live.next ?? 0n) <= seq) {
      await new Promise((done) => setTimeout(done, 30));
      if (view.disposed || this.live !== live || live.state === "stopped") return false;
    }
    return this.mode === "live";
  }

  /**
   * Lists from the oldest message on, unless it is listed already; false if there is none, or if
   * something else is shown meanwhile.
   */
  async toOldest() {
    const { view } = this;
    const { rows } = view.list;
    const first = view.rows.first;
    const isWhole = this.mode === "past"
      ? this.#fromOldest || this.range !== null
      : first !== null && !view.rows.trimmed &&
        (view.filter.active || first.seq <= (view.bounds.oldest ?? first.seq));
    if (isWhole && rows.length > 0) return true;
    const reading = this.#readPast([{}], () => true, "From the oldest message");
    this.#fromOldest = true;
    const { signal } = this.#reading;
    // It is there long before all is read.
    const done = reading.then(() => true);
    while (rows.length === 0 && !signal.aborted) {
      const pause = new Promise((after) => setTimeout(() => after(false), 30));
      if (await Promise.race([done, pause])) break;
    }
    return !signal.aborted && rows.length > 0;
  }
  #fromOldest = false;

  /** @param {bigint} seq */
  async #showAround(seq) {
    this.view.timeline.range = null;
    return await this.#readPast(
      [{ until: String(seq), last: "201" }, { since_seq: String(seq + 1n), max: "300" }],
      () => true,
      `Around message ${seq}`,
    );
  }

  /** Selects a message that is listed. @param {bigint} seq @param {boolean} open */
  #select(seq, open) {
    const { view } = this;
    const index = view.list.rows.findIndex((row) => row.kind === "message" && row.seq === seq);
    if (index < 0 || index >= view.list.length) return false;
    view.list.follow = false;
    view.select(index, open);
    view.list.show(index, "center");
    return true;
  }
}
