/**
 * Group commit: concurrent appends to one pool share one lock and one write.
 *
 * @module
 */

import { FrameBatch } from "../../pool/batch.ts";
import type { WritableRing } from "../../pool/writable_ring.ts";
import { LOCK_LIMIT, lockTimeout, untilUnlocked } from "../../storage/lock_wait.ts";
import { inPlace, type Steps } from "../../storage/steps.ts";
import { inTurns } from "../../storage/turns.ts";
import type { AppendRequest } from "../types.ts";

/** The maximum number of frame bytes per write, unless a single caller has more. */
const GROUP_BYTES = 512 * 1024;

/** One caller's append. */
interface Job {
  readonly batch: FrameBatch;
  readonly request: AppendRequest;
  /** Its first frame. */
  readonly from: number;
  /** Its first frame that is not stored yet. */
  next: number;
  /** The end of its frames in the batch, exclusive. */
  readonly to: number;
  /** The deadline for acquiring the lock, in `performance.now()` time; set when the wait starts. */
  until: number | undefined;
  /** Completes the job. */
  settle: Settle;
}

/**
 * Called when an append has ended.
 *
 * @param error why it failed; undefined if it did not
 * @param begun whether frames were stored
 */
export type Settle = (error: unknown, begun: boolean) => void;

/** When waiting jobs are written, and who hears of it. */
export interface GroupOptions {
  /** Calls `write` once all jobs of the group are there; default after the running task. */
  readonly gather?: (write: () => void) => void;
  /** Called after every write. */
  readonly written?: () => void;
}

/** The queue for one pool's lock. */
export class GroupCommit {
  readonly #ring: WritableRing;
  readonly #gather: (write: () => void) => void;
  readonly #written: () => void;
  readonly #write = (): void => void this.#drain();
  /** Copies of the frames of several jobs that are not contiguous in one batch. */
  readonly #merged = new FrameBatch();
  #jobs: Job[] = [];
  /** Whether a write of the waiting jobs is scheduled. */
  #scheduled = false;

  /** Appends to `ring`, which the caller owns. */
  constructor(
    ring: WritableRing,
    { gather = queueMicrotask, written = () => {} }: GroupOptions = {},
  ) {
    this.#ring = ring;
    this.#gather = gather;
    this.#written = written;
  }

  /** Whether any job is waiting. */
  get busy(): boolean {
    return this.#jobs.length > 0;
  }

  /**
   * Appends together with all waiting jobs. A frame that can never fit is rejected up front, so
   * that it does not affect other jobs.
   *
   * @param batch its frames must not be changed until this settles; frames for other appends may be
   *   added
   * @param result what the promise resolves to
   */
  append<T>(batch: FrameBatch, request: AppendRequest, result: T): Promise<T> {
    return new Promise((resolve, reject) =>
      this.add(batch, request, (error) => error === undefined ? resolve(result) : reject(error))
    );
  }

  /** Like {@linkcode GroupCommit.append}, but calls `settle` instead of settling a promise. */
  add(batch: FrameBatch, request: AppendRequest, settle: Settle): void {
    const { signal } = request;
    let job: Job | null;
    try {
      signal?.throwIfAborted();
      job = this.#add(batch, request, settle);
    } catch (error) {
      return settle(error, false);
    }
    if (job === null) return settle(undefined, false);
    if (signal !== undefined) this.#abortWith(signal, job);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#gather(this.#write);
  }

  /** Ends a job when the signal is aborted, unless it is partly stored: then it is completed. */
  #abortWith(signal: AbortSignal, job: Job): void {
    const { next, settle } = job;
    const aborted = (): void => {
      if (job.next !== next) return;
      this.#jobs = this.#jobs.filter((other) => other !== job);
      job.settle(signal.reason, false);
    };
    signal.addEventListener("abort", aborted, { once: true });
    job.settle = (error, begun) => {
      signal.removeEventListener("abort", aborted);
      settle(error, begun);
    };
  }

  /**
   * Like {@linkcode GroupCommit.append}, but blocks while waiting for the lock. Jobs that are
   * already waiting go first.
   */
  appendInPlace(batch: FrameBatch, request: AppendRequest): void {
    let ended = false;
    let failure: unknown;
    const job = this.#add(batch, request, (error) => {
      ended = true;
      failure = error;
    });
    if (job === null) return;
    if (!this.#attempt()) inPlace(this.#draining(() => ended));
    if (failure !== undefined) throw failure;
  }

  /** Adds a job; null if there is nothing to store. */
  #add(batch: FrameBatch, request: AppendRequest, settle: Settle): Job | null {
    const { from = 0 } = request;
    for (let i = from; i < batch.count; i++) this.#ring.checkFits(batch.payloadOf(i));
    if (from >= batch.count) return null;
    const to = batch.count;
    const job: Job = { batch, request, from, next: from, to, until: undefined, settle };
    this.#jobs.push(job);
    return job;
  }

  async #drain(): Promise<void> {
    try {
      // Usually the lock is free, and no wait is needed.
      if (!this.#attempt()) await inTurns(this.#draining());
    } finally {
      this.#scheduled = false;
    }
  }

  /** Completes jobs until none are left or `enough` returns true; each has its own time limit. */
  #draining(enough = () => false): Steps<true> {
    return untilUnlocked(this.#ring.path, () => this.#attempt() || enough() || null, Infinity);
  }

  /** Writes or fails all waiting jobs; false if any must still wait for the lock. */
  #attempt(): boolean {
    try {
      return this.#commit() || this.#expire();
    } catch (error) {
      const jobs = this.#jobs;
      this.#jobs = [];
      for (const job of jobs) end(job, error);
      return true;
    }
  }

  /** Fails jobs that have reached their time limit; true if none is left. */
  #expire(): boolean {
    const now = performance.now();
    const isLate = (job: Job): boolean => {
      const { lockMs = LOCK_LIMIT } = job.request;
      job.until ??= now + lockMs;
      return now >= job.until;
    };
    const late = this.#jobs.filter(isLate);
    if (late.length > 0) this.#jobs = this.#jobs.filter((job) => !isLate(job));
    for (const job of late) end(job, lockTimeout(this.#ring.path));
    return this.#jobs.length === 0;
  }

  /** Writes all waiting jobs; false if the lock is held. */
  #commit(): boolean {
    while (this.#jobs.length > 0) {
      const { batch, from, flush } = this.#together();
      try {
        for (let next = from; next < batch.count;) {
          const done = this.#ring.tryAppend(batch, next, flush);
          if (done === null) return false;
          this.#stored(done.count, done.first);
          this.#written();
          next += done.count;
        }
      } finally {
        this.#merged.clear();
      }
    }
    return true;
  }

  /**
   * The frames of the first jobs, to be written together. They are copied only if they are not
   * contiguous in one batch. The copy is repeated for each attempt, so its size is limited.
   */
  #together(): { batch: FrameBatch; from: number; flush: boolean } {
    const jobs = this.#jobs;
    const first = jobs[0];
    if (first !== undefined && areNeighbours(jobs, first)) {
      const flush = jobs.some(({ request }) => request.flush);
      return { batch: first.batch, from: first.next, flush };
    }
    let flush = false;
    let bytes = 0;
    for (const job of jobs) {
      bytes += job.batch.startOf(job.to) - job.batch.startOf(job.next);
      if (job !== first && bytes > GROUP_BYTES) break;
      this.#merged.addFrames(job.batch, job.next, job.to);
      flush ||= job.request.flush;
    }
    return { batch: this.#merged, from: 0, flush };
  }

  /** Reports to the jobs that their next `count` frames were stored, numbered from `first`. */
  #stored(count: number, first: bigint): void {
    let seq = first;
    let left = count;
    let ended = 0;
    for (const job of this.#jobs) {
      const { next, request } = job;
      const own = Math.min(left, job.to - next);
      job.next += own;
      request.stored(next, own, seq);
      seq += BigInt(own);
      left -= own;
      if (job.next < job.to) break;
      end(job, undefined);
      ended++;
      if (left === 0) break;
    }
    if (ended === this.#jobs.length) this.#jobs = [];
    else this.#jobs.splice(0, ended);
  }
}

function end(job: Job, error: unknown): void {
  job.settle(error, job.next > job.from);
}

/** Whether the frames of all jobs are contiguous and end at the end of a batch. */
function areNeighbours(jobs: readonly Job[], { batch, next }: Job): boolean {
  let end = next;
  for (const job of jobs) {
    if (job.batch !== batch || job.next !== end) return false;
    end = job.to;
  }
  return end === batch.count;
}
