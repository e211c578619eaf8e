/**
 * Tells a client that pools have changed: those it subscribed to, and which pools there are.
 *
 * @module
 */

import { pause } from "./pause.ts";
import { poolOfUri } from "./resources.ts";
import type { PoolStore } from "./store.ts";
import type { Listening } from "./wanted.ts";

/** Least time between two notices about one pool, in milliseconds. */
const QUIET = 1000;
/** How long one look at an idle pool lasts, in milliseconds. */
const LOOK = 60_000;

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
  readonly #store: PoolStore;
  readonly #listener: Listener;
  readonly #pools = new Map<string, { readonly stop: AbortController; users: number }>();
  #list: { readonly stop: AbortController; users: number } | undefined;

  /** Watches nothing yet. */
  constructor(store: PoolStore, listener: Listener) {
    this.#store = store;
    this.#listener = listener;
  }

  /**
   * Watches a pool, which need not exist yet.
   *
   * @throws {ResourceProblem} for a URI that is none of ours
   */
  add(uri: string): void {
    const name = poolOfUri(uri);
    const known = this.#pools.get(uri);
    if (known !== undefined) {
      known.users++;
      return;
    }
    const stop = new AbortController();
    this.#pools.set(uri, { stop, users: 1 });
    void this.#watchPool(uri, name, stop.signal);
  }

  /** Ends one use of {@linkcode Watcher.add}. */
  remove(uri: string): void {
    const known = this.#pools.get(uri);
    if (known === undefined || --known.users > 0) return;
    this.#pools.delete(uri);
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
    for (const { stop } of this.#pools.values()) stop.abort();
    this.#pools.clear();
    this.#list?.stop.abort();
    this.#list = undefined;
  }

  async #watchPool(uri: string, name: string, signal: AbortSignal): Promise<void> {
    /** Unknown at first: a pool that was missing all the time has not changed. */
    let there: boolean | undefined;
    while (!signal.aborted) {
      try {
        const pool = await this.#store.follow(name);
        try {
          if (there === false) this.#listener.updated(uri);
          there = true;
          while (!signal.aborted) {
            let news = false;
            while (await pool.next(signal) !== null) news = true;
            if (news) {
              this.#listener.updated(uri);
              await pause(QUIET, signal);
            } else await pool.wait(LOOK, signal);
          }
        } finally {
          pool.close();
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

  async #watchList(signal: AbortSignal): Promise<void> {
    let before: string | undefined;
    while (!signal.aborted) {
      try {
        const now = JSON.stringify(await this.#store.names());
        if (before !== undefined && now !== before) this.#listener.listChanged();
        before = now;
      } catch {
        // A directory that cannot be read now may be readable later.
      }
      await pause(this.#store.listEvery, signal);
    }
  }
}
