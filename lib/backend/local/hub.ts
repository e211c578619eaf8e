/**
 * Watches a pool once for all its followers in this process, so that two hundred idle followers
 * cost no more than one. It also checks for them that the path still refers to the pool.
 *
 * @module
 */

import { messageOf, PlasmiteError } from "../../errors.ts";
import { Ring } from "../../pool/ring.ts";
import { disk } from "../../storage/file.ts";
import type { Steps } from "../../storage/steps.ts";
import { inTurns } from "../../storage/turns.ts";
import { type PoolWatch, watchPool } from "../../storage/watch.ts";
import { waitFor } from "../../timers.ts";

/** How often to check whether the pool was deleted, in milliseconds. */
const IDENTITY_EVERY = 1000;

/** Notifies the followers of one pool of changes. */
class Hub {
  /** Increases with every change; read it before checking the pool. */
  version = 0;
  /** Why it stopped: the pool was deleted, replaced or became unreadable. */
  failure: PlasmiteError | null = null;
  /** The number of followers. */
  users = 0;
  #newest: bigint;
  readonly #ring: Ring;
  readonly #watch: PoolWatch;
  readonly #wakers = new Set<() => void>();
  readonly #release: () => void;
  #checkedAt = performance.now();

  constructor(ring: Ring, release: () => void) {
    this.#ring = ring;
    this.#watch = watchPool(ring.path);
    this.#release = release;
    this.#newest = ring.newestHint();
    void this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#ring.closed && this.failure === null) {
      const seen = this.#watch.version;
      this.look();
      if (this.failure === null) await this.#watch.wait(seen);
    }
  }

  /** Checks the pool now. */
  look(): void {
    if (this.#ring.closed || this.failure !== null) return;
    try {
      const now = performance.now();
      if (now - this.#checkedAt >= IDENTITY_EVERY) {
        this.#checkedAt = now;
        this.#ring.checkIdentity();
      }
      const newest = this.#ring.newestHint();
      if (newest === this.#newest) return;
      this.#newest = newest;
    } catch (error) {
      this.failure = PlasmiteError.is(error)
        ? error
        : new PlasmiteError("Io", messageOf(error), { path: this.#ring.path, cause: error });
      this.#release();
    }
    this.version++;
    const wakers = [...this.#wakers];
    this.#wakers.clear();
    for (const wake of wakers) wake();
  }

  /** Calls `wake` once, at the next change. */
  sleep(wake: () => void): void {
    this.#wakers.add(wake);
  }

  forget(wake: () => void): void {
    this.#wakers.delete(wake);
  }

  /** Removes a follower; the last one closes the files. */
  leave(): void {
    if (--this.users > 0) return;
    this.#release();
    this.#watch.close();
    this.#ring.close();
  }
}

/** One follower's view of its hub. */
class HubWatch implements PoolWatch {
  readonly checksIdentity = true;
  #hub: Hub;
  readonly #join: () => Steps<Hub>;
  /** The sum of the versions of failed hubs, so that the reported version only increases. */
  #former = 0;
  #open = true;
  #wake: (() => void) | null = null;

  constructor(hub: Hub, join: () => Steps<Hub>) {
    this.#hub = hub;
    this.#join = join;
  }

  get version(): number {
    return this.#former + this.#hub.version;
  }

  get failed(): boolean {
    return this.#hub.failure !== null;
  }

  /** An earlier file with this name was deleted: watch the current one from now on. */
  async renew(): Promise<void> {
    const hub = await inTurns(this.#join());
    if (!this.#open) return hub.leave();
    this.#former += this.#hub.version + 1;
    this.#hub.leave();
    this.#hub = hub;
  }

  wait(seen: number, ms?: number, signal?: AbortSignal): Promise<boolean> {
    if (!this.#open || this.version !== seen) return Promise.resolve(true);
    const hub = this.#hub;
    return waitFor(
      (wake) => hub.sleep(this.#wake = wake),
      (wake) => hub.forget(wake),
      ms,
      signal,
    );
  }

  found(): void {}

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#hub.leave();
    this.#wake?.();
  }
}

/** The hubs of one directory. */
export class Hubs {
  readonly #hubs = new Map<string, Hub>();

  /**
   * Watches a pool, sharing one hub; close the result when done.
   *
   * @throws {PlasmiteError} NotFound, Permission, Corrupt, Usage, Busy or Io
   */
  *watching(path: string): Steps<PoolWatch> {
    return new HubWatch(yield* this.#joining(path), () => this.#joining(path));
  }

  *#joining(path: string): Steps<Hub> {
    let hub = this.#hubs.get(path);
    if (hub === undefined) {
      const ring = yield* Ring.opening(disk, path);
      hub = this.#hubs.get(path);
      if (hub !== undefined) ring.close(); // Another caller created it in the meantime.
      else this.#hubs.set(path, hub = this.#make(ring));
    }
    hub.users++;
    return hub;
  }

  #make(ring: Ring): Hub {
    const { path } = ring;
    const hub = new Hub(ring, () => {
      if (this.#hubs.get(path) === hub) this.#hubs.delete(path);
    });
    return hub;
  }

  /** The number of followers of a pool. */
  followers(path: string): number {
    return this.#hubs.get(path)?.users ?? 0;
  }

  /** Reports that this process changed a pool, so that its followers check it immediately. */
  changed(path: string): void {
    this.#hubs.get(path)?.look();
  }
}
