/**
 * Tells a client that pools have changed: those it subscribed to, and which pools there are.
 *
 * @module
 */

import type { Walk } from "../lib/backend/types.ts";
import { Slice } from "../lib/storage/turns.ts";
import { pause, restAfter } from "./pause.ts";
import type { GrantedPools } from "./pools.ts";
import { poolOfUri } from "./resources.ts";
import type { Listening } from "./wanted.ts";

/** Least time between two notices about one pool, in milliseconds. */
const QUIET = 1000;
/** How long one look at an idle pool lasts, in milliseconds. */
const LOOK = 60_000;
/** Least and most time between two looks at which pools there are, in milliseconds. */
const LIST = { least: 1_000, most: 10_000 };

/** Most pools that one subscription watches. */
const MOST = 256;

/** What a watcher tells. */
export interface Listener {
  /** A pool has new messages, was deleted, or came back. */
  updated(uri: string): void;
  /** Pools came or went. */
  listChanged(): void;
}

/** The pools one client watches. */
export class Watcher {
  readonly #pools: GrantedPools;
  readonly #listener: Listener;
  readonly #watched = new Map<string, { readonly stop: AbortController; users: number }>();
  #list: { readonly stop: AbortController; users: number } | undefined;

  /** Watches nothing yet. */
  constructor(pools: GrantedPools, listener: Listener) {
    this.#pools = pools;
    this.#listener = listener;
  }

  /**
   * Watches a pool, which need not exist yet.
   *
   * @throws {ResourceProblem} for a URI that is none of ours
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

  /** Watches which pools there are. */
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

  /** Watches what a listen request asks for; returns how to stop. */
  listen({ uris, list }: Listening): () => void {
    const watched: string[] = [];
    for (const uri of uris.slice(0, MOST)) {
      try {
        this.add(uri);
        watched.push(uri);
      } catch {
        // Not one of ours: nothing will ever be said about it.
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
    /** Unknown at first: a pool that was missing all the time has not changed. */
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
        // Deleted, replaced or damaged: said once, then looked for again.
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

/** Passes over all that is there; whether there was something. */
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
