/**
 * Notifies a client of changes: of the pools that it subscribed to, and of the list of pools.
 *
 * @module
 */

import type { Walk } from "../lib/backend/types.ts";
import { Slice } from "../lib/storage/turns.ts";
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

/** The largest number of pools per subscription. */
const MOST = 256;

/** Receives the notifications of a watcher. */
export interface Listener {
  /** A pool has new messages, was deleted, or came back. */
  updated(uri: string): void;
  /** Pools were created or deleted. */
  listChanged(): void;
}

/** The pools that one client watches. */
export class Watcher {
  readonly #pools: GrantedPools;
  readonly #listener: Listener;
  readonly #watched = new Map<string, { readonly stop: AbortController; users: number }>();
  #list: { readonly stop: AbortController; users: number } | undefined;

  /** Creates a watcher that watches nothing. */
  constructor(pools: GrantedPools, listener: Listener) {
    this.#pools = pools;
    this.#listener = listener;
  }

  /**
   * Watches a pool, which need not exist yet.
   *
   * @throws {ResourceProblem} for a URI that is not that of a pool
   */
  add(uri: string): void {
    const name = poolOfUri(uri);
    const known = this.#watched.get(uri);
    if (known !== undefined) {
      known.users++;
      return;
    }
    const stop = new AbortController();
    this.#watched.set(uri, { stop, users: 1 });
    void this.#watchPool(uri, name, stop.signal);
  }

  /** Ends one use of {@linkcode Watcher.add}. */
  remove(uri: string): void {
    const known = this.#watched.get(uri);
    if (known === undefined || --known.users > 0) return;
    this.#watched.delete(uri);
    known.stop.abort();
  }

  /** Watches the list of pools. */
  addList(): void {
    if (this.#list !== undefined) {
      this.#list.users++;
      return;
    }
    this.#list = { stop: new AbortController(), users: 1 };
    void this.#watchList(this.#list.stop.signal);
  }

  /** Ends one use of {@linkcode Watcher.addList}. */
  removeList(): void {
    if (this.#list === undefined || --this.#list.users > 0) return;
    this.#list.stop.abort();
    this.#list = undefined;
  }

  /** Watches what a listen request names; returns a function that stops it. */
  listen({ uris, list }: Listening): () => void {
    const watched: string[] = [];
    for (const uri of uris.slice(0, MOST)) {
      try {
        this.add(uri);
        watched.push(uri);
      } catch {
        // Not the URI of a pool: there will be no notifications about it.
      }
    }
    if (list) this.addList();
    return () => {
      for (const uri of watched) this.remove(uri);
      if (list) this.removeList();
    };
  }

  /** Ends everything. */
  close(): void {
    for (const { stop } of this.#watched.values()) stop.abort();
    this.#watched.clear();
    this.#list?.stop.abort();
    this.#list = undefined;
  }

  async #watchPool(uri: string, name: string, signal: AbortSignal): Promise<void> {
    /** Undefined at first: a pool that has been missing all the time has not changed. */
    let there: boolean | undefined;
    while (!signal.aborted) {
      try {
        const walk = await this.#follow(name);
        try {
          if (there === false) this.#listener.updated(uri);
          there = true;
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

  async #watchList(signal: AbortSignal): Promise<void> {
    let before: string | undefined;
    while (!signal.aborted) {
      const asked = performance.now();
      try {
        const now = JSON.stringify(await this.#pools.names());
        if (before !== undefined && now !== before) this.#listener.listChanged();
        before = now;
      } catch {
        // A directory that cannot be read now may be readable later.
      }
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
