/**
 * What is known of the pools of the list: the list itself, asked for as often as its length allows,
 * the rows on screen more often, and the cursors of pools one after the other.
 *
 * @module
 */

import { json, listPools, poolPath } from "./api.js";
import { minuteRate, rateOf, recall, remember } from "./rate.js";
import { prefixOf } from "./pools_order.js";

/** @typedef {import("./api.js").Pool} Pool */
/** @typedef {import("./pools_order.js").Readers} Readers */

/** How often to ask, in milliseconds. */
const EVERY_MS = 2000;
/** The pause after the whole list, as a multiple of the time that it took. */
const REST = 20;
/** A list of more pools is asked for less often, and its rows on screen in between. */
const MANY = 300;
/** How many pools are asked for by name: their names have to fit into an address. */
const SOME = 40;
const SOME_CHARS = 4000;
/** How long the cursors of a pool are good for, in milliseconds, and how many are asked for at once. */
const CURSORS_MS = 8000;
const AT_ONCE = 4;
/** In a list of at most so many pools, the cursors of pools out of sight are asked for too. */
const ALL = 1000;

export class PoolsWatch {
  /** @type {Map<string, Pool>} */
  pools = new Map();
  /** Damage by pool, in words. @type {Map<string, string>} */
  damage = new Map();
  /** @type {Map<string, {t: number, readers: Readers | undefined}>} */
  #cursors = new Map();
  #asking = 0;
  #wholeAt = -Infinity;
  #rest = EVERY_MS;
  #told = new Set();
  #stop = new AbortController();

  /** @param {() => void} changed called when the cursors of a pool have come */
  constructor(changed) {
    this.changed = changed;
  }

  stop() {
    this.#stop.abort();
  }

  /** Asks again. @param {readonly string[]} seen the pools on screen @param {boolean} [whole] */
  async load(seen, whole = false) {
    const began = performance.now();
    if (!whole && this.pools.size > MANY && began < this.#wholeAt + this.#rest) {
      return this.#take(await listPools(few(seen)));
    }
    const list = await listPools();
    const took = performance.now() - began;
    this.#wholeAt = performance.now();
    this.#rest = Math.max(EVERY_MS, REST * took);
    const names = new Set(list.map(({ name }) => name));
    for (const name of this.pools.keys()) if (!names.has(name)) this.#forget(name);
    this.#take(list);
  }

  /** @param {readonly Pool[]} list */
  #take(list) {
    const now = Date.now();
    for (const pool of list) {
      this.pools.set(pool.name, pool);
      const [first, ...more] = pool.unreadable ?? [];
      if (!first) this.damage.delete(pool.name);
      else {
        const what = first.from === first.to ? `${first.from}` : `${first.from} to ${first.to}`;
        this.damage.set(pool.name, `${what}${more.length ? " and more" : ""} unreadable`);
      }
      if (!pool.error) remember(pool, now);
    }
  }

  /** @param {string} name */
  #forget(name) {
    this.pools.delete(name);
    this.#cursors.delete(name);
    this.#told.delete(name);
    this.damage.delete(name);
  }

  /** The pools as the table takes them. */
  items() {
    const now = Date.now();
    return [...this.pools.values()].map((pool) => {
      const { name } = pool;
      const readers = this.#cursors.get(name)?.readers;
      const known = {
        rate: rateOf(name),
        minute: minuteRate(name, now),
        readers,
        damage: this.damage.get(name) ?? "",
      };
      return { pool, known, group: prefixOf(name) };
    });
  }

  /** Asks what is missing of the pools on screen, then of the others. @param {readonly string[]} seen */
  look(seen) {
    const names = this.pools.size > ALL ? seen : [...seen, ...this.pools.keys()];
    const now = performance.now();
    for (const name of seen) this.#recall(name);
    for (const name of names) {
      if (this.#asking >= AT_ONCE) return;
      const pool = this.pools.get(name);
      const known = this.#cursors.get(name);
      if (!pool || pool.error || (known && now < known.t + CURSORS_MS)) continue;
      void this.#readers(name);
    }
  }

  /** The minute before the page was opened, once for each pool. @param {string} name */
  #recall(name) {
    const pool = this.pools.get(name);
    if (!pool || pool.error || this.#told.has(name)) return;
    this.#told.add(name);
    recall(pool).then(() => this.changed(), () => this.#told.delete(name));
  }

  /** @param {string} name */
  async #readers(name) {
    this.#asking++;
    const before = this.#cursors.get(name)?.readers;
    this.#cursors.set(name, { t: performance.now(), readers: before });
    try {
      const { signal } = this.#stop;
      const { cursors } = await json(`${poolPath(name)}/cursors`, { signal, quiet: true });
      const readers = { count: cursors.length, lag: 0, pending: 0 };
      for (const { lag, pending } of cursors) {
        readers.lag = Math.max(readers.lag, Number(lag ?? 0));
        readers.pending += Number(pending ?? 0);
      }
      if (this.pools.has(name)) this.#cursors.set(name, { t: performance.now(), readers });
      if (JSON.stringify(before) !== JSON.stringify(readers)) this.changed();
    } catch { /* without them the column stays empty; the list says what is wrong with a pool */ }
    this.#asking--;
  }
}

/** As many names as fit into an address. @param {readonly string[]} names */
function few(names) {
  let chars = 0;
  return names.slice(0, SOME).filter((name) =>
    (chars += encodeURIComponent(name).length + 6) < SOME_CHARS
  );
}
