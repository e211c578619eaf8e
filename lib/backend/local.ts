/**
 * Pools in the files of a directory.
 *
 * @module
 */

import { Follower } from "./local/follower.ts";
import { describing, type PoolInfo } from "./local/info.ts";
import { listing, readingInfo } from "./local/listing.ts";
import { findFrame } from "./local/lookup.ts";
import { poolFiles, poolName, poolPath } from "./refs.ts";
import type { FrameBatch } from "../pool/batch.ts";
import { creating } from "../pool/creation.ts";
import { DEFAULT_POOL_SIZE } from "../pool/layout.ts";
import { Ring } from "../pool/ring.ts";
import { disk } from "../storage/file.ts";
import { untilUnlocked } from "../storage/lock_wait.ts";
import { osError } from "../storage/os_error.ts";
import type { Storage } from "../storage/storage.ts";
import { inPlace, inTurns, type Steps } from "../storage/turns.ts";
import type { Awaitable, Bounds } from "../types.ts";
import { Filter } from "./filter.ts";
import { findLast } from "./last.ts";
import { LaterWalk } from "./later.ts";
import type {
  AppendRequest,
  Backend,
  Limits,
  NewPool,
  PoolHandle,
  Selection,
  StoredFrame,
  Walk,
} from "./types.ts";
import type { SeqSet } from "./seq_set.ts";
import { SelectedWalk } from "./walk.ts";

/** Bytes of frames in one append: the lock is held for one write. */
const BATCH_BYTES = 512 * 1024;

/** How a directory is used. */
export interface LocalOptions {
  /**
   * Whether this process serves others: long work then gives them turns, and nothing waits in
   * place. Default false: calls are as fast as can be and answer at once.
   */
  readonly serving?: boolean;
  /** What holds the bytes; default the disk. */
  readonly storage?: Storage;
}

/** How one directory runs its work. */
interface Runner {
  readonly storage: Storage;
  readonly serving: boolean;
  <T>(steps: Steps<T>, signal?: AbortSignal): Awaitable<T>;
}

function runner({ serving = false, storage = disk }: LocalOptions): Runner {
  const run = <T>(steps: Steps<T>, signal?: AbortSignal): Awaitable<T> =>
    serving ? inTurns(steps, signal) : inPlace(steps);
  return Object.assign(run, { storage, serving });
}

/** A directory of pools. */
export class LocalBackend implements Backend {
  readonly place: string;
  readonly #run: Runner;

  /**
   * Touches nothing on disk.
   *
   * @param dir the directory that bare names resolve into
   */
  constructor(dir: string, options: LocalOptions = {}) {
    this.place = dir;
    this.#run = runner(options);
  }

  features(): ReadonlySet<string> {
    return new Set(["select", "batch"]);
  }

  /** The file of a pool. */
  path(name: string): string {
    return poolPath(name, this.place);
  }

  open(name: string, options: { readonly write?: boolean } = {}): Awaitable<LocalPool> {
    return this.#run(this.#opening(name, options.write === true));
  }

  *#opening(name: string, write: boolean): Steps<LocalPool> {
    const ring = yield* Ring.opening(this.#run.storage, this.path(name), { write });
    return new LocalPool(this.#run, ring, name);
  }

  create(name: string, options: NewPool = {}): Awaitable<PoolInfo> {
    return this.#run(this.#creating(name, options));
  }

  *#creating(name: string, { sizeBytes, indexCapacity }: NewPool): Steps<PoolInfo> {
    yield* creating(this.#run.storage, this.path(name), {
      size: sizeBytes ?? DEFAULT_POOL_SIZE,
      ...(indexCapacity === undefined ? {} : { indexCapacity }),
    });
    return yield* readingInfo(this.path(name), name);
  }

  info(name: string): Awaitable<PoolInfo> {
    return this.#run(readingInfo(this.path(name), name));
  }

  names(): readonly string[] {
    try {
      return poolFiles(this.place).map(poolName);
    } catch (error) {
      throw osError(error, { path: this.place }, "failed to read pool directory");
    }
  }

  list(): Awaitable<readonly PoolInfo[]> {
    return this.#run(listing(this.place));
  }

  async remove(name: string): Promise<void> {
    await this.#run(this.#removing(this.path(name)));
  }

  *#removing(path: string): Steps<void> {
    const { storage } = this.#run;
    const file = storage.open(path, { write: false });
    try {
      yield* untilUnlocked(path, () => file.tryLock(true) || null);
      // Whoever appends under this lock later finds the path gone and says so.
      if (file.pathState() === "missing") storage.open(path, { write: false }).close();
      storage.remove(path);
    } finally {
      file.close();
    }
  }

  close(): void {}
}

/** An open pool file. */
export class LocalPool implements PoolHandle {
  readonly name: string;
  readonly path: string;
  readonly limits: Limits;
  readonly #run: Runner;
  readonly #ring: Ring;

  /** Use {@linkcode LocalBackend.open}. */
  constructor(run: Runner, ring: Ring, name: string) {
    this.name = name;
    this.path = ring.path;
    this.#run = run;
    this.#ring = ring;
    const { ringSize } = ring.layout;
    this.limits = {
      maxPayload: ring.maxPayload,
      maxRecord: 6 * ringSize + 64 * 1024,
      // A quarter of a small ring, so that followers see messages before they are overwritten.
      batchBytes: Math.min(BATCH_BYTES, Math.max(1, ringSize >> 2)),
    };
  }

  bounds(): Awaitable<Bounds> {
    return this.#ring.tryState() ?? this.#run(this.#ring.stating());
  }

  info(): Awaitable<PoolInfo> {
    return this.#run(describing(this.#ring, this.name));
  }

  get(seq: bigint): Awaitable<StoredFrame | null> {
    return this.#run(findFrame(this.#ring, seq));
  }

  append(batch: FrameBatch, request: AppendRequest): Awaitable<void> {
    const { flush, signal, stored } = request;
    for (let from = request.from ?? 0; from < batch.count;) {
      signal?.throwIfAborted();
      const done = this.#ring.tryAppend(batch, from, flush);
      if (done === null) return this.#run(this.#appending(batch, { ...request, from }), signal);
      stored(from, done.count, done.first);
      from += done.count;
    }
  }

  *#appending(batch: FrameBatch, { from = 0, flush, stored }: AppendRequest): Steps<void> {
    for (let next = from; next < batch.count;) {
      const attempt = () => this.#ring.tryAppend(batch, next, flush);
      const done = yield* untilUnlocked(this.path, attempt);
      stored(next, done.count, done.first);
      next += done.count;
    }
  }

  select(selection: Selection): Awaitable<Walk> {
    const state = this.#ring.tryState();
    if (state !== null) return this.#walk(selection, state);
    return this.#run(this.#selecting(selection));
  }

  *#selecting(selection: Selection): Steps<Walk> {
    return this.#walk(selection, yield* this.#ring.stating());
  }

  #walk(selection: Selection, { oldest, newest }: Bounds): Walk {
    const { follow = false, last, since = 0n, tags, where, notify = true } = selection;
    const until = selection.until ?? (follow ? null : newest);
    const filter = new Filter(tags, where);
    const walk = (
      from: bigint | "oldest",
      end: bigint | null = until,
      chosen?: SeqSet,
    ): Walk =>
      new SelectedWalk(this.#follow(from, notify), {
        from: from === "oldest" ? 0n : from,
        until: end,
        filter,
        since,
        liveFrom: newest + 1n,
        chosen,
        bounds: () => this.bounds(),
        serving: this.#run.serving,
      });
    if (selection.from === "end" || (oldest === 0n && last !== undefined)) return walk(newest + 1n);
    const first = selection.from === undefined || selection.from === 0n ? "oldest" : selection.from;
    if (oldest === 0n) return walk(first === "oldest" ? newest + 1n : first);
    if (last === undefined) return walk(first);
    const low = first === "oldest" || first < oldest ? oldest : first;
    const high = until !== null && until < newest ? until : newest;
    const count = BigInt(last);
    if (filter.passesAll && since === 0n) return walk(high - count < low ? low : high - count + 1n);
    return new LaterWalk(async (signal) => {
      const { first, matches } = await findLast(low, high, last, walk, signal);
      return walk(first, until, matches);
    });
  }

  #follow(from: bigint | "oldest", notify: boolean): Follower {
    const follower = new Follower(this.path, from, notify, this.#run.serving);
    try {
      this.#ring.checkIdentity(); // The follower has the path's file: make sure it is still ours.
      return follower;
    } catch (error) {
      follower.close();
      throw error;
    }
  }

  close(): void {
    this.#ring.close();
  }
}
