/**
 * When messages were appended, and with which tags: counted once for each pool and filter, and from
 * then on only what is new (docs/spec/http-api.md 3).
 *
 * @module
 */

import type { PoolInfo } from "../lib/backend/local/info.ts";
import type { Backend, PoolHandle, SeenPool, Walk } from "../lib/backend/types.ts";
import type { Where } from "../lib/filter/where.ts";
import { Slice } from "../lib/storage/turns.ts";
import type { Gap } from "../lib/types.ts";
import { PlasmiteError } from "../lib/errors.ts";
import { pause } from "../lib/timers.ts";
import { FilterTimeout } from "./filter_budget.ts";

/** How many messages are remembered in all, at 18 bytes each. */
const MOST = 1_000_000;
/** How many different lists of tags one count remembers; where there are more, */
const MOST_LISTS = 2_000;
/** so many tags, the most frequent, are kept. */
const KEPT_TAGS = 200;
/** How many counts are remembered. */
const MOST_COUNTS = 64;
/** How many tags are named. */
const MOST_TAGS = 24;
/** How many ranges of unreadable messages are named. */
const MOST_UNREADABLE = 100;
/** How many pools can wait to be looked at for damage, */
const MOST_DUE = 1000;
/** and of how many it is remembered. */
const MOST_NAMES = 10_000;
/** The share of the time in which they are looked at, */
const SHARE = 0.1;
/** and the longest pause in between, in milliseconds. */
const LONGEST_REST = 60_000;
const MS = 1_000_000n;

/** Which messages to count. */
interface Filter {
  /** Only messages with all of these tags. */
  readonly tags: readonly string[];
  /** Only messages that match, */
  readonly where: readonly Where[];
  /** and the conditions as text. */
  readonly filter: string;
}

/** What to count. */
export interface HistogramQuery extends Filter {
  /** The first millisecond; null for the oldest message. */
  readonly from: number | null;
  /** The first millisecond that is not counted any more; null for after the newest message. */
  readonly to: number | null;
  /** The number of buckets. */
  readonly buckets: number;
}

const EVERYTHING: HistogramQuery = {
  from: null,
  to: null,
  buckets: 1,
  tags: [],
  where: [],
  filter: "",
};

/** One bucket. */
interface Bucket {
  readonly time: string;
  count: number;
  readonly tags: { [tag: string]: number };
}

/** The answer. */
export interface HistogramDocument {
  readonly from: string;
  readonly to: string;
  readonly bucket_ms: number;
  readonly exact: boolean;
  readonly buckets: readonly Bucket[];
  readonly unreadable: readonly { readonly from: number; readonly to: number }[];
}

/** The times and tags of the messages of one pool that match one filter. */
class Count {
  /** Every message before this number was counted. */
  position = 0n;
  /** The identity of the pool that was counted. */
  identity: string | undefined;
  /** Whether messages were left out because there are too many. */
  cut = false;
  /** Whether the filter has used up its time; the next call goes on from there. */
  partial = false;
  unreadable: Gap[] = [];
  length = 0;
  #seqs = new Float64Array(1024);
  #times = new Float64Array(1024);
  #lists = new Uint16Array(1024);
  /** The numbers of lists by their tags as text. */
  #numbers = new Map<string, number>();
  #tags: (readonly string[])[] = [];
  #running: Promise<void> | null = null;

  #clear(): void {
    this.position = 0n;
    this.length = 0;
    this.cut = this.partial = false;
    this.unreadable = [];
    this.#numbers.clear();
    this.#tags = [];
  }

  /** Counts what is new; callers at the same time share the work. */
  update(pool: PoolHandle, filter: Filter, stopping: AbortSignal): Promise<void> {
    return this.#running ??= this.#update(pool, filter, stopping).finally(() => {
      this.#running = null;
    });
  }

  async #update(pool: PoolHandle, filter: Filter, stopping: AbortSignal): Promise<void> {
    const { identity, lastSeq } = await pool.info();
    const { oldest, newest } = await pool.bounds();
    // Another pool of the same name, or one that was emptied by hand.
    if (identity !== this.identity || (lastSeq ?? newest) + 1n < this.position) this.#clear();
    this.identity = identity;
    this.#drop(oldest === 0n ? newest + 1n : oldest);
    if (oldest === 0n || newest < this.position) return;
    const from = this.position > oldest ? this.position : oldest;
    const { tags, where } = filter;
    const walk = await pool.select({ from, tags, where, skipCorrupt: true, yielding: true });
    try {
      this.partial = false;
      await this.#take(walk, stopping);
    } catch (error) {
      if (!(error instanceof FilterTimeout)) throw error;
      this.partial = true;
    } finally {
      walk.close();
    }
  }

  async #take(walk: Walk, stopping: AbortSignal): Promise<void> {
    const slice = new Slice();
    for (let looked = 0;; looked++) {
      if (looked % 64 === 0 && slice.over) await slice.next();
      stopping.throwIfAborted();
      const found = walk.next();
      for (const range of walk.takeUnreadable()) {
        if (this.unreadable.length < MOST_UNREADABLE) this.unreadable.push(range);
      }
      if (found) {
        const { seq, timestampNs } = walk.frame;
        this.#add(Number(seq), Number(timestampNs / MS), this.#list(walk.message.tags()));
      } else if (walk.ended) {
        if (walk.position > this.position) this.position = walk.position;
        return;
      } else await walk.wait(undefined, stopping);
      if (walk.position > this.position) this.position = walk.position;
    }
  }

  #add(seq: number, time: number, list: number): void {
    if (this.length === this.#seqs.length) {
      if (this.length >= MOST) {
        this.cut = true;
        this.#shift(MOST >> 3);
      } else this.#grow();
    }
    const at = this.length++;
    this.#seqs[at] = seq;
    this.#times[at] = time;
    this.#lists[at] = list;
  }

  #grow(): void {
    const size = Math.min(MOST, this.#seqs.length * 2);
    const larger = <A extends Float64Array | Uint16Array>(old: A, next: A): A => {
      next.set(old);
      return next;
    };
    this.#seqs = larger(this.#seqs, new Float64Array(size));
    this.#times = larger(this.#times, new Float64Array(size));
    this.#lists = larger(this.#lists, new Uint16Array(size));
  }

  /** Removes the first messages. */
  #shift(count: number): void {
    for (const array of [this.#seqs, this.#times, this.#lists]) {
      array.copyWithin(0, count, this.length);
    }
    this.length -= count;
  }

  /** Removes what is no longer retained. */
  #drop(oldest: bigint): void {
    const low = Number(oldest);
    let count = 0;
    while (count < this.length && (this.#seqs[count] ?? 0) < low) count++;
    if (count > 0) this.#shift(count);
    this.unreadable = this.unreadable.filter(({ last }) => last >= oldest);
  }

  /** The number of a list of tags. */
  #list(tags: readonly string[]): number {
    const key = tags.join("\0");
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    if (this.#tags.length >= MOST_LISTS) this.#forgetRare();
    this.#numbers.set(key, this.#tags.length);
    return this.#tags.push([...new Set(tags)]) - 1;
  }

  /** Forgets the rarest tags: there may be one for each message, such as an id. */
  #forgetRare(): void {
    const seen = new Map<number, number>();
    for (let i = 0; i < this.length; i++) {
      const list = this.#lists[i] ?? 0;
      seen.set(list, (seen.get(list) ?? 0) + 1);
    }
    const frequent = this.#frequent([seen], KEPT_TAGS);
    const old = this.#tags;
    let numbers: readonly number[];
    do {
      this.#numbers.clear();
      this.#tags = [];
      const kept = new Set(frequent);
      numbers = old.map((list) => this.#list(list.filter((tag) => kept.has(tag))));
      frequent.length >>= 1;
    } while (this.#tags.length > MOST_LISTS / 2);
    for (let i = 0; i < this.length; i++) this.#lists[i] = numbers[this.#lists[i] ?? 0] ?? 0;
  }

  /** The most frequent tags of lists that were seen so often. */
  #frequent(seen: readonly ReadonlyMap<number, number>[], most: number): string[] {
    const totals = new Map<string, number>();
    for (const lists of seen) {
      for (const [list, n] of lists) {
        for (const tag of this.#tags[list] ?? []) totals.set(tag, (totals.get(tag) ?? 0) + n);
      }
    }
    return [...totals].sort((a, b) => b[1] - a[1]).slice(0, most).map(([tag]) => tag);
  }

  /** Puts the messages into buckets. */
  fill({ from, to, buckets: count }: HistogramQuery): HistogramDocument {
    const [low, high] = this.#span();
    const start = from ?? low;
    const end = Math.max(to ?? high + 1, start + 1);
    const width = Math.max(1, Math.ceil((end - start) / count));
    const buckets: Bucket[] = Array.from(
      { length: Math.ceil((end - start) / width) },
      // A tag may have any name.
      (_, i) => ({ time: iso(start + i * width), count: 0, tags: Object.create(null) }),
    );
    const perList = buckets.map(() => new Map<number, number>());
    for (let i = 0; i < this.length; i++) {
      const time = this.#times[i] ?? 0, list = this.#lists[i] ?? 0;
      if (time < start || time >= end) continue;
      const at = Math.floor((time - start) / width);
      const bucket = buckets[at], lists = perList[at];
      if (bucket === undefined || lists === undefined) continue;
      bucket.count++;
      lists.set(list, (lists.get(list) ?? 0) + 1);
    }
    const named = new Set(this.#frequent(perList, MOST_TAGS));
    for (const [i, lists] of perList.entries()) {
      const counts = buckets[i]?.tags ?? {};
      for (const [list, n] of lists) {
        for (const tag of this.#tags[list] ?? []) {
          if (named.has(tag)) counts[tag] = (counts[tag] ?? 0) + n;
        }
      }
    }
    return {
      from: iso(start),
      to: iso(end),
      bucket_ms: width,
      exact: !this.cut && !this.partial,
      buckets,
      unreadable: this.unreadable.map(({ first, last }) => ({
        from: Number(first),
        to: Number(last),
      })),
    };
  }

  /** The times of the first and the last message; they need not be those of the oldest and newest. */
  #span(): [number, number] {
    let low = Infinity, high = -Infinity;
    for (let i = 0; i < this.length; i++) {
      const time = this.#times[i] ?? 0;
      if (time < low) low = time;
      if (time > high) high = time;
    }
    const now = Date.now();
    return low === Infinity ? [now - 60_000, now] : [low, high];
  }
}

/** The most that a date can be, in milliseconds. */
const LATEST = 8.64e15;

function iso(ms: number): string {
  return new Date(Math.min(LATEST, Math.max(-LATEST, ms))).toISOString();
}

/** What cannot be read of a pool. */
interface Damage {
  /** The identity of the pool that was looked at. */
  readonly identity: string | undefined;
  readonly ranges: readonly Gap[];
}

/** The counts of one server. */
export class Histograms {
  readonly #counts = new Map<string, Count>();
  readonly #damage = new Map<string, Damage>();
  /** Pools to be looked at, with their identities. */
  readonly #due = new Map<string, string | undefined>();
  #looking: Promise<void> | null = null;
  readonly #backend: Backend;
  readonly #stopping: AbortSignal;
  readonly #fault: (error: unknown) => void;

  /**
   * @param backend the pools of this machine
   * @param stopping aborted when the server stops
   * @param fault called only for bugs, which nobody waits for
   */
  constructor(backend: Backend, stopping: AbortSignal, fault: (error: unknown) => void) {
    this.#backend = backend;
    this.#stopping = stopping;
    this.#fault = fault;
  }

  /** Counts the messages of a pool. */
  async of(pool: PoolHandle, query: HistogramQuery): Promise<HistogramDocument> {
    const key = JSON.stringify([pool.name, query.filter, query.tags]);
    const count = this.#counts.get(key) ?? new Count();
    // The ones that were asked for last are kept.
    this.#counts.delete(key);
    this.#counts.set(key, count);
    try {
      await count.update(pool, query, this.#stopping);
    } catch (error) {
      this.#counts.delete(key);
      throw error;
    }
    this.#note(pool.name, count.identity, count.unreadable);
    this.#forget();
    return count.fill(query);
  }

  /** What cannot be read of a pool and is still retained, as far as somebody has looked. */
  unreadable({ name, identity, bounds: { oldestSeq } }: PoolInfo): readonly Gap[] {
    const known = this.#damage.get(name);
    if (known === undefined || known.identity !== identity || oldestSeq === null) return [];
    return known.ranges.filter(({ last }) => last >= oldestSeq);
  }

  /** The names of the pools of which something cannot be read. */
  *damaged(): Generator<string, void> {
    for (const [name, { ranges }] of this.#damage) if (ranges.length > 0) yield name;
  }

  /**
   * Looks for damage in pools that nobody has looked at yet, one after the other, a small part of
   * the time; returns at once.
   */
  look(pools: Iterable<SeenPool>): void {
    for (const { name, identity, error } of pools) {
      if (this.#due.size >= MOST_DUE) break;
      const known = this.#damage.get(name);
      if (known !== undefined && known.identity === identity) continue;
      if (error === undefined) this.#due.set(name, identity);
    }
    if (this.#due.size === 0) return;
    this.#looking ??= this.#survey().finally(() => this.#looking = null);
  }

  /** Resolves when nothing is looked at any more, after the server was stopped. */
  async close(): Promise<void> {
    await this.#looking;
  }

  async #survey(): Promise<void> {
    try {
      for (const [name, identity] of this.#due) {
        if (this.#stopping.aborted) return;
        this.#due.delete(name);
        const began = performance.now();
        await this.#examine(name, identity);
        const rest = (performance.now() - began) / SHARE;
        await pause(Math.min(rest, LONGEST_REST), this.#stopping);
      }
    } catch (error) {
      if (!this.#stopping.aborted) this.#fault(error);
    }
  }

  async #examine(name: string, identity: string | undefined): Promise<void> {
    try {
      const pool = await this.#backend.open(name);
      try {
        await this.of(pool, EVERYTHING);
      } finally {
        void pool.close();
      }
    } catch (error) {
      // Why it cannot be opened is in the list; a server that stops needs no answer.
      if (!PlasmiteError.is(error) && !this.#stopping.aborted) throw error;
      this.#note(name, identity, []);
    }
  }

  #note(name: string, identity: string | undefined, ranges: readonly Gap[]): void {
    if (this.#damage.size >= MOST_NAMES) this.#damage.clear();
    this.#damage.set(name, { identity, ranges });
  }

  #forget(): void {
    let kept = 0;
    for (const [i, [key, count]] of [...this.#counts].reverse().entries()) {
      kept += count.length;
      if (i >= MOST_COUNTS || (i > 0 && kept > MOST)) this.#counts.delete(key);
    }
  }
}
