/**
 * Watches a pool once for all its followers in this process, so that two hundred idle followers
 * cost no more than one, and wakes and reads for them in turns. It also checks for them that the
 * path still refers to the pool.
 *
 * @module
 */

import { messageOf, PlasmiteError } from "../../errors.ts";
import { Ring } from "../../pool/ring.ts";
import { disk } from "../../storage/file.ts";
import type { Steps } from "../../storage/steps.ts";
import type { FreshFrames } from "../../pool/fresh_frames.ts";
import { inTurns, Slice } from "../../storage/turns.ts";
import { type PoolWatch, watchPool } from "../../storage/watch.ts";
import { waitFor } from "../../timers.ts";
import type { SharedWatch } from "./follower.ts";
import { Fresh } from "./fresh.ts";

/** How often to check whether the pool was deleted, in milliseconds. */
const IDENTITY_EVERY = 1000;
/** How many followers are woken before the clock is read, and what they have sent goes out. */
const WOKEN_AT_ONCE = 16;

/** Notifies the followers of one pool of changes. */
class Hub {
  /** Increases with every change; read it before checking the pool. */
  version = 0;
  /** Why it stopped: the pool was deleted, replaced or became unreadable. */
  failure: PlasmiteError | null = null;
  /** The number of followers. */
  users = 0;
  #newest: bigint;
  readonly #watch: PoolWatch;
  /** The pool file. */
  readonly ring: Ring;
  readonly #fresh: Fresh;
  readonly #wakers = new Set<() => void>();
  /** Those of the followers that are being woken. */
  readonly #due = new Set<() => void>();
  #waking = false;
  readonly #release: () => void;
  #checkedAt = performance.now();

  constructor(ring: Ring, release: () => void) {
    this.ring = ring;
    this.#fresh = new Fresh(ring);
    this.#watch = watchPool(ring.path);
    this.#release = release;
    this.#newest = ring.newestHint();
    void this.#run();
  }

  async #run(): Promise<void> {
    while (!this.ring.closed && this.failure === null) {
      const seen = this.#watch.version;
      this.look();
      if (this.failure === null) await this.#watch.wait(seen);
    }
  }

  /** Checks the pool now. */
  look(): void {
    if (this.ring.closed || this.failure !== null) return;
    try {
      const now = performance.now();
      if (now - this.#checkedAt >= IDENTITY_EVERY) {
        this.#checkedAt = now;
        this.ring.checkIdentity();
      }
      const newest = this.ring.newestHint();
      if (newest === this.#newest) return;
      if (newest < this.#newest) this.#fresh.reset();
      this.#newest = newest;
    } catch (error) {
      this.failure = PlasmiteError.is(error)
        ? error
        : new PlasmiteError("Io", messageOf(error), { path: this.ring.path, cause: error });
      this.#release();
    }
    this.version++;
    for (const wake of this.#wakers) this.#due.add(wake);
    this.#wakers.clear();
    if (!this.#waking) void this.#wakeAll();
  }

  /** Wakes one follower after the other, and gives others a turn in between. */
  async #wakeAll(): Promise<void> {
    this.#waking = true;
    // Who has appended is answered first.
    await null;
    const slice = new Slice();
    if (slice.over) await slice.next();
    let woken = 0;
    for (const wake of this.#due) {
      this.#due.delete(wake);
      wake();
      if (++woken % WOKEN_AT_ONCE !== 0) continue;
      await null;
      if (slice.over) await slice.next();
    }
    this.#waking = false;
    this.#fresh.clear();
  }

  /** As {@linkcode SharedWatch.fresh}. */
  fresh(seq: bigint): FreshFrames | null | undefined {
    if (this.users < 2 || this.failure !== null || seq === 0n) return undefined;
    if (seq > this.#newest) return null;
    // Who comes late reads what is there now.
    return this.#waking ? this.#fresh.from(seq) : undefined;
  }

  /** Calls `wake` once, at the next change. */
  sleep(wake: () => void): void {
    this.#wakers.add(wake);
  }

  forget(wake: () => void): void {
    this.#wakers.delete(wake);
    this.#due.delete(wake);
  }

  /** Removes a follower; the last one closes the files. */
  leave(): void {
    if (--this.users > 0) return;
    this.#release();
    this.#watch.close();
    this.ring.close();
  }
}

/** One follower's view of its hub. */
class HubWatch implements SharedWatch {
  readonly checksIdentity = true;
  #hub: Hub;
  readonly #join: () => Steps<Hub>;
  /** The sum of the versions of failed hubs, so that the reported version only increases. */
  #former = 0;
  #open = true;
  #wake: (() => void) | null = null;
  /** Whether the follower reads the file that the hub watches; null if not known yet. */
  #isSame: boolean | null = null;

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
    this.#isSame = null;
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

  sleep(seen: number, wake: () => void): boolean {
    if (!this.#open || this.version !== seen) return false;
    this.#hub.sleep(this.#wake = wake);
    return true;
  }

  fresh(ring: Ring, seq: bigint): FreshFrames | null | undefined {
    this.#isSame ??= ring.isSameFile(this.#hub.ring);
    return this.#isSame ? this.#hub.fresh(seq) : undefined;
  }

  found(): void {}

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    if (this.#wake !== null) this.#hub.forget(this.#wake);
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
  *watching(path: string): Steps<SharedWatch> {
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

  /** The paths of the pools that have followers. */
  paths(): readonly string[] {
    return [...this.#hubs.keys()];
  }

  /** Reports that this process changed a pool, so that its followers check it immediately. */
  changed(path: string): void {
    this.#hubs.get(path)?.look();
  }
}
