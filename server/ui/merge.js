/**
 * Brings the rows of several pools into the order of their times. A row waits until every pool that
 * is still read from the past has passed its time, and otherwise for a short while, in which rows of
 * other pools may come. What comes later than that is shown when it comes.
 *
 * @module
 */

/** @typedef {import("./list.js").Row} Row */
/** @typedef {{row: Row, from: number, at: number}} Waiting `from`: the number of its pool, `at`: when it came */

/** How long a row waits for rows of other pools, in milliseconds. */
const WINDOW_MS = 400;
/** A pool that is still read from the past holds the others up for no longer than this. */
const PATIENCE_MS = 10_000;
/** How many rows wait at most; the oldest of more are passed on. */
const MOST = 20_000;

/** Times have nanoseconds, of which numbers of milliseconds know nothing. @param {Waiting} a @param {Waiting} b */
function byTime({ row: a }, { row: b }) {
  if (a.t !== b.t || a.kind !== "message" || b.kind !== "message") return a.t - b.t;
  const [x, y] = [a.time.slice(0, -1), b.time.slice(0, -1)];
  return x < y ? -1 : x > y ? 1 : 0;
}

export class Merge {
  /** @type {Waiting[]} */
  #waiting = [];
  /** Of each pool: the time of its last row, and whether everything of the past was read. */
  #pools;
  #began;

  /** @param {number} pools how many there are @param {number} now in milliseconds */
  constructor(pools, now) {
    this.#began = now;
    this.#pools = Array.from({ length: pools }, () => ({ last: -Infinity, caught: false }));
  }

  /** How many rows wait. */
  get size() {
    return this.#waiting.length;
  }

  /** @param {number} from the number of a pool @param {readonly Row[]} rows @param {number} now */
  add(from, rows, now) {
    const pool = this.#pools[from];
    if (!pool) return;
    for (const row of rows) {
      this.#waiting.push({ row, from, at: now });
      if (row.kind === "message") pool.last = Math.max(pool.last, row.t);
    }
  }

  /** Everything that was there at the start has come. @param {number} from the number of a pool */
  caught(from) {
    const pool = this.#pools[from];
    if (pool) pool.caught = true;
  }

  /** The rows whose turn it is, in order. @param {number} now @returns {Waiting[]} */
  take(now) {
    const patient = now < this.#began + PATIENCE_MS;
    // No row of the past can come that is older than this.
    let past = Infinity, live = Infinity;
    for (const { last, caught } of this.#pools) {
      live = Math.min(live, last);
      if (!caught && patient) past = Math.min(past, last);
    }
    // Rows of one pool and the same time stay in the order in which they came.
    const ordered = this.#waiting.sort((a, b) => byTime(a, b) || a.from - b.from);
    let ready = 0;
    const over = ordered.length - MOST;
    for (const { row, at } of ordered) {
      const waited = row.t <= past && now >= at + WINDOW_MS;
      if (ready >= over && row.t > live && !waited) break;
      ready++;
    }
    this.#waiting = ordered.slice(ready);
    return ordered.slice(0, ready);
  }
}
