/**
 * Pools in the files of a directory.
 *
 * @module
 */

import { Follower } from "./local/follower.ts";
import { describing, type PoolInfo } from "./local/info.ts";
import { chosen, describingFiles, filesIn, filesOf, readingInfo } from "./local/listing.ts";
import { findFrame } from "./local/lookup.ts";
import { removing } from "./local/remove.ts";
import { poolName, poolPath } from "./refs.ts";
import type { FrameBatch } from "../pool/batch.ts";
import { creating } from "../pool/creation.ts";
import { DEFAULT_POOL_SIZE } from "../pool/layout.ts";
import { Ring } from "../pool/ring.ts";
import { disk } from "../storage/file.ts";
import { untilUnlocked } from "../storage/lock_wait.ts";
import type { Storage } from "../storage/storage.ts";
import { inPlace, inTurns, type Steps } from "../storage/turns.ts";
import type { Awaitable, Bounds } from "../types.ts";
import { Filter } from "./filter.ts";
import { findLast } from "./last.ts";
import { LaterWalk } from "./later.ts";
import type { Coordinator } from "./local/coordinator.ts";
import type { Hubs } from "./local/hub.ts";
import type {
  AppendRequest,
  Backend,
  Choose,
  Limits,
  NewPool,
  OpenOptions,
  PoolHandle,
  Selection,
  StoredFrame,
  Walk,
} from "./types.ts";
import { SelectedWalk, type WalkPlan } from "./walk.ts";

/** Bytes of frames in one append: the lock is held for one write. */
const BATCH_BYTES = 512 * 1024;

/** How a directory is used. */
export interface LocalOptions {
  /**
   * For a process that serves others, the change notices that its followers share: long work then
   * gives everyone turns, and nothing waits in place. Without it calls are as fast as can be and
   * answer at once.
   */
  readonly serving?: Hubs | undefined;
  /** What holds the bytes; default the disk. */
  readonly storage?: Storage;
  /**
   * The code for working together, where it is loaded already: then a conditional append answers at
   * once as well. Otherwise it is loaded when it is first needed.
   */
  readonly coordination?: Coordination | undefined;
}

/** The module `local/coordinator.ts`. */
export type Coordination = typeof import("./local/coordinator.ts");

/** How one directory runs its work. */
export interface Runner {
  readonly storage: Storage;
  readonly hubs: Hubs | undefined;
  readonly coordination: Coordination | undefined;
  <T>(steps: Steps<T>, signal?: AbortSignal): Awaitable<T>;
}

function runner({ serving, storage = disk, coordination }: LocalOptions): Runner {
  const run = <T>(steps: Steps<T>, signal?: AbortSignal): Awaitable<T> =>
    serving === undefined ? inPlace(steps) : inTurns(steps, signal);
  return Object.assign(run, { storage, hubs: serving, coordination });
}

/** A directory of pools. */
export class LocalBackend implements Backend {
  readonly place: string;
  /** Runs the steps of a call. */
  protected readonly run: Runner;

  /**
   * Touches nothing on disk.
   *
   * @param dir the directory that bare names resolve into
   */
  constructor(dir: string, options: LocalOptions = {}) {
    this.place = dir;
    this.run = runner(options);
  }

  features(): ReadonlySet<string> {
    return new Set(["select", "batch", "expect", "key", "id", "latest", "claim"]);
  }

  /** The file of a pool. */
  path(name: string): string {
    return poolPath(name, this.place);
  }

  open(name: string, options: OpenOptions = {}): Awaitable<LocalPool> {
    return this.run(this.#opening(name, options.write === true));
  }

  /** Opens a pool for reading at once, waiting in place; for the synchronous library. */
  openNow(name: string): LocalPool {
    return inPlace(this.#opening(name, false));
  }

  *#opening(name: string, write: boolean): Steps<LocalPool> {
    const ring = yield* Ring.opening(this.run.storage, this.path(name), { write });
    return new LocalPool(this.run, ring, name);
  }

  create(name: string, options: NewPool = {}): Awaitable<PoolInfo> {
    return this.run(this.#creating(name, options));
  }

  *#creating(name: string, { sizeBytes, indexCapacity }: NewPool): Steps<PoolInfo> {
    yield* creating(this.run.storage, this.path(name), {
      size: sizeBytes ?? DEFAULT_POOL_SIZE,
      ...(indexCapacity === undefined ? {} : { indexCapacity }),
    });
    return yield* readingInfo(this.path(name), name, this.run.storage);
  }

  info(name: string): Awaitable<PoolInfo> {
    return this.run(readingInfo(this.path(name), name, this.run.storage));
  }

  names(): Awaitable<readonly string[]> {
    const files = this.#files();
    return files instanceof Promise
      ? files.then((paths) => paths.map(poolName))
      : files.map(poolName);
  }

  list(choose?: Choose): Awaitable<readonly PoolInfo[]> {
    const describe = (paths: readonly string[]): Awaitable<readonly PoolInfo[]> =>
      this.run(describingFiles(chosen(paths, choose), this.run.storage));
    const files = this.#files();
    return files instanceof Promise ? files.then(describe) : describe(files);
  }

  /** Paths of all pools, sorted by name. */
  #files(): Awaitable<readonly string[]> {
    const { hubs, storage } = this.run;
    if (storage.files !== undefined) return storage.files(this.place);
    return hubs === undefined ? filesIn(this.place) : filesOf(this.place);
  }

  async remove(name: string): Promise<void> {
    await this.run(removing(this.path(name), this.run.storage));
  }

  close(): void {}
}

/** An open pool file. */
export class LocalPool implements PoolHandle {
  readonly name: string;
  readonly path: string;
  readonly limits: Limits;
  /** Runs the steps of a call. */
  protected readonly run: Runner;
  /** The open file. */
  protected readonly ring: Ring;
  /** Who needs the ring: the handle, and searches that are under way. */
  #users = 1;
  #closed = false;
  #coordinator: Coordinator | null = null;

  /** Use {@linkcode LocalBackend.open}. */
  constructor(run: Runner, ring: Ring, name: string) {
    this.name = name;
    this.path = ring.path;
    this.run = run;
    this.ring = ring;
    const { ringSize } = ring.layout;
    this.limits = {
      maxPayload: ring.maxPayload,
      maxRecord: 6 * ringSize + 64 * 1024,
      // A quarter of a small ring, so that followers see messages before they are overwritten.
      batchBytes: Math.min(BATCH_BYTES, Math.max(1, ringSize >> 2)),
    };
  }

  bounds(): Awaitable<Bounds> {
    return this.ring.tryState() ?? this.run(this.ring.stating());
  }

  /** As {@linkcode LocalPool.bounds}, waiting in place. */
  boundsNow(): Bounds {
    return this.ring.state();
  }

  info(): Awaitable<PoolInfo> {
    return this.run(describing(this.ring, this.name));
  }

  get(seq: bigint): Awaitable<StoredFrame | null> {
    return this.run(findFrame(this.ring, seq));
  }

  append(batch: FrameBatch, request: AppendRequest): Awaitable<void> {
    const { flush, signal, stored, when } = request;
    if (when !== undefined) {
      const coordinator = this.coordinate();
      return coordinator instanceof Promise
        ? coordinator.then((ready) => ready.append(batch, request, when))
        : coordinator.append(batch, request, when);
    }
    for (let from = request.from ?? 0; from < batch.count;) {
      signal?.throwIfAborted();
      const done = this.ring.tryAppend(batch, from, flush);
      if (done === null) return this.run(this.#appending(batch, { ...request, from }), signal);
      stored(from, done.count, done.first);
      from += done.count;
    }
  }

  *#appending(batch: FrameBatch, { from = 0, flush, stored }: AppendRequest): Steps<void> {
    for (let next = from; next < batch.count;) {
      const attempt = () => this.ring.tryAppend(batch, next, flush);
      const done = yield* untilUnlocked(this.path, attempt);
      stored(next, done.count, done.first);
      next += done.count;
    }
  }

  /** What people need to work together in this pool: a promise where that must be loaded first. */
  coordinate(): Awaitable<Coordinator> {
    if (this.#coordinator !== null) return this.#coordinator;
    const { coordination } = this.run;
    const begin = ({ Coordinator }: Coordination): Coordinator =>
      this.#coordinator ??= new Coordinator({
        ring: this.ring,
        run: this.run,
        select: (selection) => this.select(selection),
      });
    return coordination === undefined
      ? import("./local/coordinator.ts").then(begin)
      : begin(coordination);
  }

  select(selection: Selection): Awaitable<Walk> {
    return this.run(this.#selecting(selection));
  }

  *#selecting(selection: Selection): Steps<Walk> {
    const { oldest, newest } = yield* this.ring.stating();
    const { follow = false, last, since = 0n, tags, where } = selection;
    const until = selection.until ?? (follow ? null : newest);
    const filter = new Filter(tags, where);
    const plan: Omit<WalkPlan, "from" | "bounds"> = {
      until,
      filter,
      since,
      start: { oldest, newest },
    };
    const yielding = selection.yielding === true;
    const how = { notify: follow && selection.notify !== false, yielding };
    const start = startOf(selection, { oldest, newest });
    if (last === undefined || oldest === 0n) return yield* this.#walking(start, plan, how);
    const low = start === "oldest" || start < oldest ? oldest : start;
    const high = until !== null && until < newest ? until : newest;
    if (filter.passesAll && since === 0n) {
      const first = high - BigInt(last) + 1n;
      return yield* this.#walking(first < low ? low : first, plan, how);
    }
    this.#users++; // Closing the pool does not end the search.
    return new LaterWalk({ oldest, newest }, async (signal) => {
      const piece = (from: bigint, end: bigint): Awaitable<Walk> =>
        this.run(this.#walking(from, { ...plan, until: end }, { notify: false, yielding }));
      const { first, matches } = await findLast(low, high, last, piece, signal);
      return await this.run(this.#walking(first, { ...plan, chosen: matches }, how));
    }, () => this.#release());
  }

  *#walking(
    from: bigint | "oldest",
    plan: Omit<WalkPlan, "from" | "bounds">,
    { notify, yielding }: { readonly notify: boolean; readonly yielding: boolean },
  ): Steps<Walk> {
    const follower = yield* this.#following(from, notify, yielding);
    try {
      this.ring.checkIdentity(); // The follower has the path's file: make sure it is still ours.
    } catch (error) {
      follower.close();
      throw error;
    }
    const { ring } = follower;
    return new SelectedWalk(follower, {
      ...plan,
      from: from === "oldest" ? 0n : from,
      bounds: () => ring.tryState() ?? this.run(ring.stating()),
    });
  }

  *#following(
    from: bigint | "oldest",
    notify: boolean,
    yielding: boolean,
  ): Steps<Follower> {
    const { hubs, storage } = this.run;
    if (hubs === undefined) {
      const ring = yield* Ring.opening(storage, this.path, { write: false });
      return new Follower(this.path, from, notify, yielding, ring);
    }
    if (!notify) return yield* Follower.opening(this.path, from, false);
    const watch = yield* hubs.watching(this.path);
    let follower: Follower | null = null;
    try {
      return follower = yield* Follower.opening(this.path, from, true, watch);
    } finally {
      if (follower === null) watch.close();
    }
  }

  #release(): void {
    if (--this.#users === 0) this.ring.close();
  }

  close(): void {
    if (!this.#closed) this.#release();
    this.#closed = true;
  }
}

/** The first number that a selection wants; behind the end of an empty pool there is none. */
function startOf({ from = "oldest", last, follow }: Selection, bounds: Bounds): bigint | "oldest" {
  const { oldest, newest } = bounds;
  if (from === "end") return newest + 1n;
  if (oldest === 0n && (last !== undefined || (from === "oldest" && follow !== true))) {
    return newest + 1n;
  }
  return from === 0n ? "oldest" : from;
}
