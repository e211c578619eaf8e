/**
 * A live stream that reconnects: it resumes after the last sequence number, and lost messages are
 * shown as a row.
 *
 * @module
 */

import { ApiError, poolInfo } from "./api.js";
import { span } from "./dom.js";
import { earlyRows } from "./early.js";
import { events } from "./events.js";
import { readMessage } from "./json.js";
import { sharedStreams } from "./shared.js";
import { serverNow } from "./times.js";

/** @typedef {import("./list.js").Row} Row */
/** @typedef {"connecting" | "live" | "reconnecting" | "missing" | "corrupt" | "stopped"} State */

/** How long to wait before a damaged pool is opened again, in milliseconds. */
const REPAIR_MS = 3000;

/**
 * The row for messages that cannot be read. @param {string} name @param {bigint} from @param
 * {bigint} to @param {number} t @returns {Row}
 */
export function unreadableRow(name, from, to, t) {
  const what = from === to ? `${from}` : `${from} to ${to}`;
  return {
    kind: "note",
    text: `${what} unreadable: the file is damaged there. Check it: plasmite doctor ${name}`,
    t,
    bad: true,
  };
}

/** @param {number} ms @param {AbortSignal} signal @returns {Promise<void>} */
const sleep = (ms, signal) =>
  new Promise((done) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), done()), { once: true });
  });

/** As `sleep`, but ends when the tab is shown. @param {number} ms @param {AbortSignal} signal */
async function seen(ms, signal) {
  const shown = new AbortController();
  const wake = () => document.hidden || shown.abort();
  document.addEventListener("visibilitychange", wake);
  await sleep(ms, AbortSignal.any([signal, shown.signal]));
  document.removeEventListener("visibilitychange", wake);
}

/** Adds a filter to a request. @param {URLSearchParams} query @param {import("./filter.js").Filter} filter */
export function narrow(query, { tags, where, q }) {
  for (const tag of tags) query.append("tag", tag);
  if (where) query.set("where", where);
  if (q) query.set("q", q);
  return query;
}

/** A place for a stream of this tab's own; few browsers need that. @param {() => void} lost */
const placeOf = (lost) =>
  // Without an answer it asks again and again until there is one.
  import("./stream_place.js").then(({ takePlace }) => takePlace(lost), () => null);

export class Live {
  /** @type {State} */
  state = "connecting";
  /** The next sequence number; null before the first message. @type {bigint | null} */
  next = null;
  #stop = new AbortController();
  #connection = new AbortController();
  #fromOldest = false;
  /** @type {number | null} */
  #downAt = null;
  /** What went wrong, while it is not live. @type {ApiError | null} */
  problem = null;
  /** The time of the last message. */
  #t = 0;

  /**
   * @param {string} name
   * @param {import("./filter.js").Filter} filter
   * @param {{rows: (rows: Row[]) => void, state: (state: State, detail?: string) => void, refused: (error: ApiError) => void}} on
   */
  constructor(name, filter, on) {
    this.name = name;
    this.filter = filter;
    this.filtered = filter.tags.length > 0 || filter.where !== "" || filter.q !== "";
    this.on = on;
  }

  stop() {
    this.#stop.abort();
    this.#connection.abort();
  }

  /** @param {State} state @param {string} [detail] */
  #say(state, detail) {
    this.state = state;
    if (state === "live") this.problem = null;
    if (!this.#stop.signal.aborted) this.on.state(state, detail);
  }

  /** @param {string} text @param {boolean} [bad] */
  #note(text, bad = false) {
    if (this.#stop.signal.aborted) return;
    this.on.rows([{ kind: "note", text, t: serverNow(), bad }]);
  }

  /**
   * Checks the pool's newest number: one below what was read means that the pool was recreated.
   * @param {bigint | null} newest null for an empty pool
   * @param {bigint | null} readBefore `next` when the request was sent
   */
  check(newest, readBefore) {
    if (readBefore === null || this.state !== "live" || (newest ?? 0n) + 1n >= readBefore) return;
    this.#note("The pool was recreated; numbers start again", true);
    this.#restart();
  }

  /** Ends the stream of a deleted pool, which would otherwise wait on the removed file. */
  gone() {
    if (this.state === "live") this.#connection.abort("gone");
  }

  #restart() {
    this.next = null;
    this.#fromOldest = true;
    this.#connection.abort("again");
  }

  /** Runs until stopped or refused. @param {bigint | null} from */
  async run(from) {
    const stopped = this.#stop.signal;
    this.next = from;
    let failures = 0;
    /** @type {(() => void) | null} */
    let place = null;
    const giveUp = () => {
      place?.();
      place = null;
    };
    stopped.addEventListener("abort", giveUp);
    // What was asked for before this view was there is read as a stream that ends, and the next one
    // goes on behind its last message.
    let early = from === null || this.filtered ? null : await earlyRows(this.name, from);
    while (!stopped.aborted) {
      const shared = early ? null : await sharedStreams();
      if (shared) giveUp();
      else if (!early) {
        place ??= await placeOf(() => {
          giveUp();
          this.#connection.abort("again");
        });
      }
      if (stopped.aborted) return giveUp();
      const follow = shared !== null || place !== null;
      const begun = Date.now();
      this.#connection = new AbortController();
      try {
        const query = early ?? this.#query(follow);
        await events(this.name, query, this.#connection.signal, {
          open: () => {
            failures = 0;
            if (!early) this.#opened();
          },
          batch: (lines) => this.#take(lines),
          unreadable: (first, last) => this.#unreadable(first, last),
          next: (seq) => {
            // Messages that did not match count as read: they need not be filtered again.
            if (this.next === null || seq > this.next) this.next = seq;
            this.#fromOldest = false;
          },
        }, shared);
        // A server ends every stream after a while; pause if it does so at once.
        if (!early && (!follow || Date.now() - begun < 500)) await seen(700, stopped);
        early = null;
      } catch (error) {
        early = null;
        if (stopped.aborted) return;
        if (!(error instanceof ApiError)) {
          if (this.#connection.signal.reason === "gone") await this.#missing("deleted");
          else if (!this.#connection.signal.aborted) throw error;
        } else if (error.kind === "RetentionGap") this.#gap(error);
        else if (error.kind === "NotFound") {
          await this.#missing(this.next === null ? "" : "deleted");
        } else if (error.kind === "Corrupt") {
          // Behind damage in the middle the stream goes on by itself: this is the file as a whole.
          this.problem = error;
          this.#say("corrupt", error.message);
          await sleep(REPAIR_MS, stopped);
        } else if (
          error.status === 0 || error.kind === "Busy" ||
          error.status >= 500
        ) {
          this.problem = error;
          this.#downAt ??= Date.now();
          const wait = Math.min(10_000, 300 * 2 ** failures++) * (0.7 + Math.random() * 0.6);
          this.#say("reconnecting", error.status ? error.message : "the server does not answer");
          await seen(wait, stopped);
        } else {
          this.problem = error;
          this.#say("stopped", error.message);
          this.on.refused(error);
          return;
        }
      }
    }
  }

  /** @param {boolean} follow whether the stream stays open */
  #query(follow) {
    const query = new URLSearchParams(follow ? {} : { no_follow: "1" });
    if (this.next !== null && !this.#fromOldest) {
      query.set("since_seq", String(this.next));
      // Without a filter the sequence numbers show gaps; with one only the server can report them.
      if (this.filtered) query.set("gap_policy", "error");
    }
    return narrow(query, this.filter);
  }

  #opened() {
    if (this.#downAt !== null) {
      this.#note(
        `Disconnected for ${span(Date.now() - this.#downAt)}, resuming after the last message`,
        true,
      );
      this.#downAt = null;
    }
    this.#say("live");
  }

  /** @param {string[]} lines */
  #take(lines) {
    if (this.#stop.signal.aborted) return;
    /** @type {Row[]} */
    const rows = [];
    for (const line of lines) {
      const message = readMessage(line);
      if (this.next !== null) {
        if (message.seq < this.next) continue;
        if (message.seq > this.next && !this.filtered) {
          rows.push({ kind: "gap", from: this.next, to: message.seq, t: message.t });
        }
      }
      this.next = message.seq + 1n;
      this.#t = message.t;
      this.#fromOldest = false;
      rows.push(message);
    }
    if (rows.length) this.on.rows(rows);
  }

  /** @param {bigint} first @param {bigint} last */
  #unreadable(first, last) {
    if (this.#stop.signal.aborted || (this.next !== null && last < this.next)) return;
    /** @type {Row[]} */
    const rows = [];
    if (this.next !== null && first > this.next && !this.filtered) {
      rows.push({ kind: "gap", from: this.next, to: first, t: this.#t });
    }
    this.next = last + 1n;
    this.#fromOldest = false;
    rows.push(unreadableRow(this.name, first, last, this.#t || serverNow()));
    this.on.rows(rows);
  }

  /** @param {ApiError} error */
  #gap(error) {
    const from = BigInt(error.seq ?? this.next ?? 0);
    const to = BigInt(/next available message is (\d+)/.exec(error.message)?.[1] ?? from + 1n);
    if (to > from) this.on.rows([{ kind: "gap", from, to, t: serverNow() }]);
    this.next = to;
    this.#fromOldest = true;
  }

  /** Waits for a pool of that name. @param {string} why */
  async #missing(why) {
    const stopped = this.#stop.signal;
    if (why) this.#note("The pool was deleted", true);
    this.#say("missing");
    while (!stopped.aborted) {
      await sleep(1500, stopped);
      try {
        await poolInfo(this.name, stopped);
        break;
      } catch { /* not yet, or no server: retry */ }
    }
    if (why && !stopped.aborted) this.#note("A pool with this name was created again");
    this.next = null;
    this.#fromOldest = true;
  }
}

/**
 * Reads a range of retained messages, by time or sequence number, and ends.
 * @param {string} name
 * @param {Record<string, string>} range query parameters saying where to start
 * @param {import("./filter.js").Filter} filter
 * @param {AbortSignal} signal
 * @param {(message: import("./json.js").Message) => boolean} take returns false to stop
 * @param {(first: bigint, last: bigint) => void} [unreadable] called for what cannot be read
 */
export async function readPast(name, range, filter, signal, take, unreadable) {
  const query = narrow(new URLSearchParams({ no_follow: "1", ...range }), filter);
  const enough = new AbortController();
  const abort = () => enough.abort();
  signal.addEventListener("abort", abort);
  try {
    await events(name, query, enough.signal, {
      open: () => {},
      batch: (lines) => {
        for (const line of lines) {
          if (!enough.signal.aborted && !take(readMessage(line))) abort();
        }
      },
      unreadable: (first, last) => enough.signal.aborted || unreadable?.(first, last),
    });
  } catch (error) {
    if (!enough.signal.aborted || signal.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/**
 * One message, if it matches; else null.
 * @param {string} name
 * @param {bigint} seq
 * @param {import("./filter.js").Filter} filter
 * @param {AbortSignal} signal
 */
export async function readOne(name, seq, filter, signal) {
  /** @type {import("./json.js").Message | null} */
  let found = null;
  const range = { since_seq: String(seq), until: String(seq) };
  await readPast(name, range, filter, signal, (message) => {
    found = message;
    return false;
  });
  return /** @type {import("./json.js").Message | null} */ (found);
}
