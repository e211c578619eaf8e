/**
 * Appends of one process to one pool: those that arrive together go in together.
 *
 * The lock is only ever tried; waiting for it never blocks the event loop, except in the
 * synchronous append, which waits in place for a bounded time (docs/spec/library.md 12).
 *
 * @module
 */

import { PlasmiteError } from "../../errors.ts";
import { FrameBatch } from "../../pool/batch.ts";
import type { WritableRing } from "../../pool/writable_ring.ts";
import { LOCK_LIMIT, lockTimeout, sleepSync } from "../../storage/lock_wait.ts";
import { beforeNextTry } from "../../storage/turns.ts";

/** Pause between two tries for the lock in place, in milliseconds. */
const LOCK_PAUSE = 1;

/** What was stored for one frame. */
export interface Stored {
  /** Its sequence number. */
  readonly seq: bigint;
  /** Its time in nanoseconds since 1970. */
  readonly timestampNs: bigint;
  /** Its payload, a copy. */
  readonly payload: Uint8Array<ArrayBuffer>;
}

/**
 * Encodes frames into a batch, all or none: on an exception nothing of it is kept. `most` is the
 * largest payload that the pool takes, in bytes.
 */
export type Encode = (batch: FrameBatch, most: number) => void;

interface Job {
  from: number;
  to: number;
  readonly flush: boolean;
  readonly settle: (stored: Stored[] | null, error?: unknown) => void;
}

/** The queue in front of one pool's lock. */
export class Appender {
  readonly #ring: WritableRing;
  readonly #batch = new FrameBatch();
  #jobs: Job[] = [];
  #done: Stored[] = [];
  #draining = false;
  #encoding = false;

  /** Appends go to this ring, which stays the caller's to close. */
  constructor(ring: WritableRing) {
    this.#ring = ring;
  }

  /** Encodes all or nothing; returns the number of the first frame. */
  #encode(encode: Encode): number {
    const batch = this.#batch;
    if (this.#encoding) {
      throw new PlasmiteError("Usage", "append while the data of another append is read", {
        hint: "Do not append in a getter or toJSON of the data.",
      });
    }
    const from = batch.count;
    const length = batch.out.len;
    this.#encoding = true;
    try {
      encode(batch, this.#ring.maxPayload);
      for (let i = from; i < batch.count; i++) this.#ring.checkFits(batch.payloadOf(i));
    } catch (error) {
      batch.truncate(from);
      batch.out.len = length;
      throw error;
    } finally {
      this.#encoding = false;
    }
    return from;
  }

  #add(encode: Encode, flush: boolean, settle: Job["settle"]): Job {
    const from = this.#encode(encode);
    const job = { from, to: this.#batch.count, flush, settle };
    this.#jobs.push(job);
    return job;
  }

  /** Appends now, waiting in place for the lock for ten seconds at most. */
  appendSync(encode: Encode, flush: boolean): Stored[] {
    let outcome: Stored[] | null = null;
    let failure: unknown;
    let failed = false;
    const job = this.#add(encode, flush, (stored, error) => {
      outcome = stored;
      failed = stored === null;
      failure = error;
    });
    for (let waited = 0; !this.#commit(); waited += LOCK_PAUSE) {
      if (waited >= LOCK_LIMIT) {
        this.#withdraw(job);
        throw lockTimeout(this.#ring.path);
      }
      sleepSync(LOCK_PAUSE);
    }
    if (failed) throw failure;
    return outcome ?? [];
  }

  /**
   * Appends one frame at once if nothing waits and the lock is free: no promise, no copy.
   *
   * @returns what was stored, its payload valid until the next append; null when it must wait, and
   * nothing was stored
   */
  appendNow(encode: Encode, flush: boolean): Stored | null {
    if (this.#jobs.length > 0) return null;
    const batch = this.#batch;
    this.#encode(encode);
    try {
      const piece = batch.count === 1 ? this.#ring.tryAppend(batch, 0, flush) : null;
      if (piece === null) return null;
      return { seq: piece.first, timestampNs: batch.timeOf(0), payload: batch.payload(0) };
    } finally {
      batch.clear();
    }
  }

  /** Appends together with everything else that is waiting; rejects with Busy after ten seconds. */
  append(encode: Encode, flush: boolean, signal?: AbortSignal): Promise<Stored[]> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const aborted = (): void => {
        this.#withdraw(job);
        reject(signal?.reason);
      };
      const job = this.#add(encode, flush, (stored, error) => {
        signal?.removeEventListener("abort", aborted);
        if (stored === null) reject(error);
        else resolve(stored);
      });
      signal?.addEventListener("abort", aborted, { once: true });
      if (!this.#draining) {
        this.#draining = true;
        queueMicrotask(() => void this.#drain());
      }
    });
  }

  async #drain(): Promise<void> {
    const since = performance.now();
    while (!this.#commit()) {
      if (performance.now() - since >= LOCK_LIMIT) {
        this.#settleAll(lockTimeout(this.#ring.path));
        break;
      }
      await beforeNextTry();
    }
    this.#draining = false;
  }

  /** Takes back an append that has not been written. */
  #withdraw(job: Job): void {
    const at = this.#jobs.indexOf(job);
    if (at < 0 || job.from < this.#done.length) return; // Partly written: too late.
    const count = job.to - job.from;
    this.#batch.remove(job.from, job.to);
    this.#jobs.splice(at, 1);
    for (const later of this.#jobs.slice(at)) {
      later.from -= count;
      later.to -= count;
    }
  }

  /** Ends all that waits; what was stored before the failure is acknowledged nevertheless. */
  #settleAll(error: unknown): void {
    const jobs = this.#jobs;
    const done = this.#done;
    this.#jobs = [];
    this.#done = [];
    this.#batch.clear();
    for (const job of jobs) {
      if (job.to <= done.length) job.settle(done.slice(job.from, job.to));
      else job.settle(null, error);
    }
  }

  /** Writes all that waits; false when the lock is taken. Failures go to the jobs. */
  #commit(): boolean {
    const batch = this.#batch;
    try {
      while (this.#done.length < batch.count) {
        const from = this.#done.length;
        const flush = this.#jobs.some((job) => job.flush);
        const piece = this.#ring.tryAppend(batch, from, flush);
        if (piece === null) return false;
        for (let i = 0; i < piece.count; i++) {
          this.#done.push({
            seq: piece.first + BigInt(i),
            timestampNs: batch.timeOf(from + i),
            payload: batch.payload(from + i).slice(),
          });
        }
      }
    } catch (error) {
      this.#settleAll(error);
      return true;
    }
    const jobs = this.#jobs;
    const done = this.#done;
    this.#jobs = [];
    this.#done = [];
    batch.clear();
    for (const job of jobs) job.settle(done.slice(job.from, job.to));
    return true;
  }
}
