/**
 * One look at a pool for all of its streams: two hundred idle followers cost what one does.
 *
 * @module
 */

import { PlasmiteError } from "../lib/errors.ts";
import { Ring } from "../lib/pool/ring.ts";
import { disk } from "../lib/storage/file.ts";
import { inTurns } from "../lib/storage/turns.ts";
import { type PoolWatch, watchPool } from "../lib/storage/watch.ts";
import { startTimer } from "../lib/timers.ts";

/** How often to make sure that the pool was not deleted, in milliseconds. */
const IDENTITY_EVERY = 1000;

/** Tells streams of one pool that something new is there. */
export class Hub {
  /** Grows with every change; read it before looking at the pool. */
  version = 0;
  /** The newest sequence number as of the last look. */
  newest: bigint;
  /** Why it stopped looking: the pool was deleted, replaced or cannot be read any more. */
  failure: PlasmiteError | null = null;
  readonly #ring: Ring;
  readonly #watch: PoolWatch;
  readonly #wakers = new Set<() => void>();
  readonly #release: () => void;
  #users = 0;
  #checkedAt = performance.now();

  /** Use {@linkcode Hubs.join}. */
  constructor(ring: Ring, release: () => void) {
    this.#ring = ring;
    this.#watch = watchPool(ring.path);
    this.#release = release;
    this.newest = this.#ring.newestHint();
    void this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#ring.closed && this.failure === null) {
      const seen = this.#watch.version;
      this.look();
      if (this.failure === null) await this.#watch.wait(seen);
    }
  }

  /** Looks now; our own appends call it without waiting for a notice. */
  look(): void {
    if (this.#ring.closed || this.failure !== null) return;
    try {
      const now = performance.now();
      if (now - this.#checkedAt >= IDENTITY_EVERY) {
        this.#checkedAt = now;
        this.#ring.checkIdentity();
      }
      const newest = this.#ring.newestHint();
      if (newest === this.newest) return;
      this.newest = newest;
    } catch (error) {
      this.failure = PlasmiteError.is(error)
        ? error
        : new PlasmiteError("Io", "i/o error", { path: this.#ring.path, cause: error });
      this.#release();
    }
    this.version++;
    const wakers = [...this.#wakers];
    this.#wakers.clear();
    for (const wake of wakers) wake();
  }

  /**
   * Waits for a version later than `seen`, for `ms` milliseconds at most.
   *
   * @param hold receives what ends this one wait early
   */
  wait(seen: number, ms: number, hold: (wake: () => void) => void): Promise<void> {
    if (this.version !== seen) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#wakers.delete(wake);
        resolve();
      };
      const timer = startTimer(wake, ms);
      this.#wakers.add(wake);
      hold(wake);
    });
  }

  /** Streams that follow the pool here. */
  get users(): number {
    return this.#users;
  }

  /** One more stream. */
  enter(): this {
    this.#users++;
    return this;
  }

  /** One stream less; the last one closes the files. */
  leave(): void {
    if (--this.#users > 0) return;
    this.#release();
    this.#watch.close();
    this.#ring.close();
  }
}

/** The hubs of one server. */
export class Hubs {
  readonly #hubs = new Map<string, Hub>();

  /**
   * The hub of a pool; call {@linkcode Hub.leave} once when done.
   *
   * @throws {PlasmiteError} NotFound, Permission, Corrupt, Usage, Busy or Io
   */
  async join(path: string): Promise<Hub> {
    const known = this.#hubs.get(path);
    if (known !== undefined) return known.enter();
    const ring = await inTurns(Ring.opening(disk, path, { write: false }));
    const other = this.#hubs.get(path);
    if (other !== undefined) {
      ring.close(); // Somebody came at the same time and was quicker.
      return other.enter();
    }
    const hub: Hub = new Hub(ring, () => {
      if (this.#hubs.get(path) === hub) this.#hubs.delete(path);
    });
    this.#hubs.set(path, hub);
    return hub.enter();
  }

  /** Whether anybody follows a pool. */
  has(path: string): boolean {
    return this.#hubs.has(path);
  }

  /** Streams of this server that follow a pool. */
  followers(path: string): number {
    return this.#hubs.get(path)?.users ?? 0;
  }

  /** Says that this process has appended to a pool. */
  appended(path: string): void {
    this.#hubs.get(path)?.look();
  }
}
