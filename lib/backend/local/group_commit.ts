/**
 * Appends of many callers to one pool: those that arrive together share one lock and one write.
 *
 * @module
 */

import { FrameBatch } from "../../pool/batch.ts";
import type { WritableRing } from "../../pool/writable_ring.ts";
import { LOCK_LIMIT, lockTimeout, untilUnlocked } from "../../storage/lock_wait.ts";
import { inTurns } from "../../storage/turns.ts";
import type { AppendRequest } from "../types.ts";

/** The most bytes of frames per write, unless a single caller has more. */
const GROUP_BYTES = 512 * 1024;

/** One caller's append. */
interface Job {
  readonly batch: FrameBatch;
  readonly request: AppendRequest;
  /** The first frame that is not stored yet. */
  next: number;
  /** When it stops waiting for the lock, in `performance.now()` time. */
  readonly until: number;
  /** Ends it; with an error when it failed. */
  readonly settle: (error?: unknown) => void;
}

/** The queue for one pool's lock. */
export class GroupCommit {
  readonly #ring: WritableRing;
  /** The frames of several jobs; a single job is written from its own batch. */
  readonly #merged = new FrameBatch();
  #jobs: Job[] = [];
  #draining = false;

  /** Appends to `ring`, which the caller owns. */
  constructor(ring: WritableRing) {
    this.#ring = ring;
  }

  /** Whether any job is waiting. */
  get busy(): boolean {
    return this.#jobs.length > 0;
  }

  /**
   * Appends together with all waiting jobs. A frame that can never fit is refused first, so that it
   * does not affect others.
   *
   * @param batch must not be changed until this settles
   */
  append(batch: FrameBatch, request: AppendRequest): Promise<void> {
    const { from = 0, lockMs = LOCK_LIMIT, signal } = request;
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      for (let i = from; i < batch.count; i++) this.#ring.checkFits(batch.payloadOf(i));
      if (from >= batch.count) return resolve();
      const job: Job = {
        batch,
        request,
        next: from,
        until: performance.now() + lockMs,
        settle: (error) => {
          signal?.removeEventListener("abort", aborted);
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      const aborted = (): void => {
        // A partly stored batch is completed.
        if (job.next !== from) return;
        this.#jobs = this.#jobs.filter((other) => other !== job);
        job.settle(signal?.reason);
      };
      signal?.addEventListener("abort", aborted, { once: true });
      this.#jobs.push(job);
      if (this.#draining) return;
      this.#draining = true;
      queueMicrotask(() => void this.#drain());
    });
  }

  async #drain(): Promise<void> {
    try {
      // Each job has its own time limit.
      const done = (): true | null => this.#commit() || this.#expire() || null;
      await inTurns(untilUnlocked(this.#ring.path, done, Infinity));
    } catch (error) {
      const jobs = this.#jobs;
      this.#jobs = [];
      for (const { settle } of jobs) settle(error);
    } finally {
      this.#draining = false;
    }
  }

  /** Fails jobs that have reached their time limit; true if none is left. */
  #expire(): boolean {
    const now = performance.now();
    const late = this.#jobs.filter(({ until }) => now >= until);
    if (late.length > 0) this.#jobs = this.#jobs.filter(({ until }) => now < until);
    for (const { settle } of late) settle(lockTimeout(this.#ring.path));
    return this.#jobs.length === 0;
  }

  /** Writes all waiting jobs; false if the lock is held. */
  #commit(): boolean {
    for (;;) {
      const [first] = this.#jobs;
      if (first === undefined) return true;
      const together = this.#merge();
      const batch = together > 1 ? this.#merged : first.batch;
      try {
        const flush = this.#jobs.slice(0, together).some(({ request }) => request.flush);
        for (let from = together > 1 ? 0 : first.next; from < batch.count;) {
          const done = this.#ring.tryAppend(batch, from, flush);
          if (done === null) return false;
          this.#stored(done.count, done.first);
          from += done.count;
        }
      } finally {
        this.#merged.clear();
      }
    }
  }

  /**
   * Combines the frames of the first jobs. This is repeated for each attempt, so the amount is
   * limited.
   *
   * @returns the number of jobs; the frames of a single job are not copied
   */
  #merge(): number {
    let count = 0;
    let bytes = 0;
    for (const { batch, next } of this.#jobs) {
      bytes += batch.startOf(batch.count) - batch.startOf(next);
      if (count > 0 && bytes > GROUP_BYTES) break;
      count++;
    }
    if (count > 1) {
      for (const { batch, next } of this.#jobs.slice(0, count)) {
        this.#merged.addFrames(batch, next, batch.count);
      }
    }
    return Math.max(1, count);
  }

  /**
   * Reports to the jobs that their next `count` frames got the sequence numbers from `first` on.
   */
  #stored(count: number, first: bigint): void {
    let seq = first;
    for (let left = count; left > 0;) {
      const [job] = this.#jobs;
      if (job === undefined) return;
      const { batch, next, request } = job;
      const own = Math.min(left, batch.count - next);
      job.next += own;
      request.stored(next, own, seq);
      seq += BigInt(own);
      left -= own;
      if (job.next < batch.count) continue;
      this.#jobs.shift();
      job.settle();
    }
  }
}
