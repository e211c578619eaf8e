/**
 * Notifies a client of changes: of the pools that it subscribed to, and of the list of pools.
 *
 * @module
 */

import type { Walk } from "../lib/backend/types.ts";
import { Slice } from "../lib/storage/turns.ts";
import { FirstLook } from "./first_look.ts";
import { pause, restAfter } from "./pause.ts";
import type { GrantedPools } from "./pools.ts";
import { poolOfUri } from "./resources.ts";
import type { Listening } from "./wanted.ts";

/** The shortest time between two notifications about one pool, in milliseconds. */
const QUIET = 1000;
/** The length of one wait for changes, in milliseconds. */
const LOOK = 60_000;
/** The pause between two checks of the list of pools, in milliseconds. */
const LIST = { least: 1_000, most: 10_000 };

/** The longest wait for a first look, in milliseconds: a server may not answer. */
const FIRST_LOOK = 5_000;

/** The largest number of pools per subscription. */
const MOST = 256;

/** Receives the notifications of a watcher. */
export interface Listener {
  /** A pool has new messages, was deleted, or came back. */
  updated(uri: string): void;
  /** Pools were created or deleted. */
  listChanged(): void;
}

/** What a listen request watches. */
export interface Listen {
  /** Resolves when it may be acknowledged: what changes from then on is told. */
  readonly begun: Promise<unknown>;
  /** Ends it. */
  stop(): void;
}

/** A watch and how many use it. */
interface Watch {
  readonly stop: AbortController;
  readonly first: FirstLook;
  users: number;
}

/** The pools that one client watches. */
export class Watcher {
  readonly #pools: GrantedPools;
  readonly #listener: Listener;
  readonly #firstLook: number;
  readonly #watched = new Map<string, Watch>();
  #list: Watch | undefined;

  /**
   * Creates a watcher that watches nothing.
   *
   * @param firstLook the longest wait for a first look, in milliseconds
   */
  constructor(pools: GrantedPools, listener: Listener, firstLook = FIRST_LOOK) {
    this.#pools = pools;
    this.#listener = listener;
    this.#firstLook = firstLook;
  }

  /**
   * Watches a pool, which need not exist yet. What is appended after the promise has resolved is
   * told; it resolves after a few seconds at most.
   *
   * @throws {ResourceProblem} for a URI that is not that of a pool
   */
  add(uri: string): Promise<void> {
    const name = poolOfUri(uri);
    let watch = this.#watched.get(uri);
    if (watch !== undefined) watch.users++;
    else {
      watch = this.#newWatch();
      this.#watched.set(uri, watch);
      void this.#watchPool(uri, name, watch);
    }
    return watch.first.over;
  }

  /** Ends one use of {@linkcode Watcher.add}. */
  remove(uri: string): void {
    const known = this.#watched.get(uri);
    if (known === undefined || --known.users > 0) return;
    this.#watched.delete(uri);
    known.stop.abort();
  }

  /** Watches the list of pools, like {@linkcode Watcher.add}. */
  addList(): Promise<void> {
    if (this.#list !== undefined) this.#list.users++;
    else {
      this.#list = this.#newWatch();
      void this.#watchList(this.#list);
    }
    return this.#list.first.over;
  }

  /** Ends one use of {@linkcode Watcher.addList}. */
  removeList(): void {
    if (this.#list === undefined || --this.#list.users > 0) return;
    this.#list.stop.abort();
    this.#list = undefined;
  }

  /** Watches what a listen request names. */
  listen({ uris, list }: Listening): Listen {
    const watched: string[] = [];
    const begun: Promise<void>[] = [];
    for (const uri of uris.slice(0, MOST)) {
      try {
        begun.push(this.add(uri));
        watched.push(uri);
      } catch {
        // Not the URI of a pool: there will be no notifications about it.
      }
    }
    if (list) begun.push(this.addList());
    return {
      begun: Promise.all(begun),
      stop: () => {
        for (const uri of watched) this.remove(uri);
        if (list) this.removeList();
      },
    };
  }

  /** Ends everything. */
  close(): void {
    for (const { stop } of this.#watched.values()) stop.abort();
    this.#watched.clear();
    this.#list?.stop.abort();
    this.#list = undefined;
  }

  #newWatch(): Watch {
    const stop = new AbortController();
    return { stop, first: new FirstLook(this.#firstLook, stop.signal), users: 1 };
  }

  async #watchPool(uri: string, name: string, { stop: { signal }, first }: Watch): Promise<void> {
    /** Undefined at first: a pool that has been missing all the time has not changed. */
    let there: boolean | undefined;
    while (!signal.aborted) {
      try {
        const walk = await this.#follow(name);
        try {
          if (there === false || first.late && there === undefined) this.#listener.updated(uri);
          there = true;
          first.end();
          while (!signal.aborted) {
            if (await hasNews(walk, signal)) {
              this.#listener.updated(uri);
              await pause(QUIET, signal);
            } else await walk.wait(LOOK, signal);
          }
        } finally {
          walk.close();
        }
      } catch {
        // Deleted, replaced or damaged: notify once, then check again.
        if (signal.aborted) return;
        if (there === true) this.#listener.updated(uri);
        there = false;
        first.end();
        await pause(QUIET, signal);
      }
    }
  }

  async #follow(name: string): Promise<Walk> {
    const pool = await this.#pools.open(name);
    try {
      return await pool.select({ from: "end", follow: true });
    } finally {
      await pool.close();
    }
  }

  async #watchList({ stop: { signal }, first }: Watch): Promise<void> {
    /** Empty if the first look was late or failed: there may have been changes since. */
    let before: string | undefined;
    while (!signal.aborted) {
      const asked = performance.now();
      try {
        const now = JSON.stringify(await this.#pools.names());
        if (first.late) before ??= "";
        if (before !== undefined && now !== before) this.#listener.listChanged();
        before = now;
      } catch {
        // A directory that cannot be read now may be readable later.
        before ??= "";
      }
      first.end();
      await pause(restAfter(performance.now() - asked, LIST), signal);
    }
  }
}

/** Skips all new messages; returns whether there were any. */
async function hasNews(walk: Walk, signal: AbortSignal): Promise<boolean> {
  const slice = new Slice();
  let news = false;
  while (walk.next()) {
    news = true;
    if (slice.over) await slice.next();
    signal.throwIfAborted();
  }
  return news;
}
