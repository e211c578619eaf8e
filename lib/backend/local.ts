/**
 * Pools in the files of a directory.
 *
 * Only what every call needs is loaded with this module; other code is loaded on demand, so that a
 * command for one message starts quickly.
 *
 * @module
 */

import { ErrorKind, PlasmiteError } from "../errors.ts";
import type { FrameBatch } from "../pool/batch.ts";
import { maxAgeNs } from "../pool/header.ts";
import { DEFAULT_POOL_SIZE, type Limits, limitsOf } from "../pool/layout.ts";
import { Ring } from "../pool/ring.ts";
import { isMissing } from "../pool/unfinished.ts";
import type { WritableRing } from "../pool/writable_ring.ts";
import { disk } from "../storage/file.ts";
import { LOCK_LIMIT, untilUnlocked } from "../storage/lock_wait.ts";
import { inPlace, type Steps } from "../storage/steps.ts";
import type { Storage } from "../storage/storage.ts";
import type { Awaitable, Bounds } from "../types.ts";
import type { Coordinator } from "./local/coordinator.ts";
import type { Hubs } from "./local/hub.ts";
import type { PoolInfo } from "./local/info.ts";
import { poolName, poolPath } from "./refs.ts";
import type {
  AppendRequest,
  Backend,
  Choose,
  ListOptions,
  NewPool,
  OpenOptions,
  PoolHandle,
  Selection,
  StoredFrame,
  Walk,
} from "./types.ts";

/** Options of a local backend. */
export interface LocalOptions {
  /**
   * For a process that serves others or does several things at once: long work then yields to other
   * tasks, and nothing blocks. The hubs are the change notifications that followers share; `true`
   * creates new ones. Without it, calls are as fast as possible and return synchronously.
   */
  readonly serving?: Hubs | true | undefined;
  /** The storage of the pool files; default the disk. */
  readonly storage?: Storage;
  /**
   * The coordination module, if already loaded; opening for appends and conditional appends are
   * then synchronous too. By default it is loaded on demand.
   */
  readonly coordination?: CoordinatorModule | undefined;
}

/** The parts needed to open for appends, from `lib/pool/writable_ring.ts`. */
type Writing = Pick<typeof import("../pool/writable_ring.ts"), "WritableRing">;

/** The module `local/coordinator.ts`. */
export type CoordinatorModule = typeof import("./local/coordinator.ts");

/** How work in one directory runs. */
export interface Runner {
  readonly storage: Storage;
  readonly serving: boolean;
  readonly hubs: Hubs | undefined;
  readonly coordination: CoordinatorModule | undefined;
  <T>(steps: Steps<T>, signal?: AbortSignal): Awaitable<T>;
}

function runner({ serving, storage = disk, coordination }: LocalOptions): Runner {
  const run = <T>(steps: Steps<T>, signal?: AbortSignal): Awaitable<T> =>
    serving === undefined ? inPlace(steps) : withTurns(({ inTurns }) => inTurns(steps, signal));
  const hubs = serving === true ? undefined : serving;
  return Object.assign(run, { storage, serving: serving !== undefined, hubs, coordination });
}

/** Loads a module on first use; later uses are synchronous. */
function lazily<M>(load: () => Promise<M>): <T>(use: (module: M) => Awaitable<T>) => Awaitable<T> {
  let loaded: M | null = null;
  return (use) => loaded !== null ? use(loaded) : load().then((module) => use(loaded = module));
}

const withTurns = lazily(() => import("../storage/turns.ts"));
const withWriting = lazily(() => import("../pool/writable_ring.ts"));
const withCreation = lazily(() => import("../pool/creation.ts"));
const withMending = lazily(() => import("../pool/mending.ts"));
const withLookup = lazily(() => import("./local/lookup.ts"));
const withSelect = lazily(() => import("./local/select.ts"));
const withResync = lazily(() => import("../pool/resync.ts"));
const withInfo = lazily(() => import("./local/info.ts"));
const withListing = lazily(() => import("./local/listing.ts"));
const withServedFiles = lazily(() => import("./local/files.ts"));
const withRemoval = lazily(() => import("./local/remove.ts"));
const withJump = lazily(() => import("../pool/jump.ts"));

/** Calls a function with a result, at once if it is there. */
function then<T, R>(result: Awaitable<T>, use: (value: T) => Awaitable<R>): Awaitable<R> {
  return result instanceof Promise ? result.then(use) : use(result as T);
}

/** From so many pools on, a worker helps to describe them: it takes as long to start as a thousand. */
export const MANY = 2000;

/** In a ring of fewer bytes a message is always found quickly by walking. */
const LARGE_RING = 1 << 28;

/** Makes far messages of large pools quick to find, then calls a function. */
function withFarSearch<T>(use: () => Awaitable<T>): Awaitable<T> {
  return withJump(({ findFar }) => {
    Ring.findFar = findFar;
    return use();
  });
}

/** A directory of pools. */
export class LocalBackend implements Backend {
  readonly place: string;
  /** Runs the steps of a call. */
  protected readonly run: Runner;
  /** Opens another pool of this backend. */
  protected readonly opener: OpenPool = (name, options) => this.open(name, options);

  /**
   * Creates a backend without accessing the disk.
   *
   * @param dir the directory that bare names resolve into
   */
  constructor(dir: string, options: LocalOptions = {}) {
    this.place = dir;
    this.run = runner(options);
  }

  features(): ReadonlySet<string> {
    const all = ["select", "batch", "expect", "key", "id", "latest", "claim", "skip-corrupt"];
    // Cursors and groups are files next to the pool.
    return new Set(this.run.storage === disk ? [...all, "cursor", "group"] : all);
  }

  /** The file of a pool. */
  path(name: string): string {
    return poolPath(name, this.place);
  }

  open(name: string, { write = false, create }: OpenOptions = {}): Awaitable<LocalPool> {
    return create === undefined ? this.#open(name, write) : this.#openOrCreate(name, write, create);
  }

  /** Opens a pool for reading, synchronously; for the synchronous library. */
  openNow(name: string): LocalPool {
    return inPlace(this.#opening(name, Ring.opening(this.run.storage, this.path(name))));
  }

  #open(name: string, write: boolean): Awaitable<LocalPool> {
    const { coordination, storage } = this.run;
    const path = this.path(name);
    if (!write) return this.run(this.#opening(name, Ring.opening(storage, path)));
    const open = ({ WritableRing }: Writing): Awaitable<LocalPool> =>
      this.run(this.#opening(name, WritableRing.opening(storage, path)));
    return coordination === undefined ? withWriting(open) : open(coordination);
  }

  *#opening(name: string, ring: Steps<Ring>): Steps<LocalPool> {
    return new LocalPool(this.run, yield* ring, name, this.opener);
  }

  /** Opens a pool, creating it if it is missing; another process may create it at the same time. */
  async #openOrCreate(name: string, write: boolean, create: NewPool): Promise<LocalPool> {
    try {
      return await this.#open(name, write);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    try {
      await withCreation(({ creating }) =>
        this.run(creating(this.run.storage, this.path(name), ringOptions(create)))
      );
    } catch (error) {
      if (!PlasmiteError.is(error, ErrorKind.AlreadyExists)) throw error;
    }
    return await this.#open(name, write);
  }

  create(name: string, options: NewPool = {}): Awaitable<PoolInfo> {
    const path = this.path(name);
    const { storage } = this.run;
    return withCreation(({ creating }) =>
      withListing(({ readingInfo }) => {
        const steps = function* (): Steps<PoolInfo> {
          yield* creating(storage, path, ringOptions(options));
          return yield* readingInfo(path, name, storage);
        };
        return this.run(steps());
      })
    );
  }

  info(name: string): Awaitable<PoolInfo> {
    const path = this.path(name);
    const { storage } = this.run;
    return withListing(({ readingInfo }) => this.run(readingInfo(path, name, storage)));
  }

  names(): Awaitable<readonly string[]> {
    return then(this.#files(), (paths) => paths.map(poolName));
  }

  list(choose?: Choose, { brief = false }: ListOptions = {}): Awaitable<readonly PoolInfo[]> {
    return then(
      this.#files(choose),
      (paths) =>
        this.#areMany(paths)
          ? Array.fromAsync(this.#surveying(paths, brief)).then((pieces) => pieces.flat())
          : this.#describing(paths, brief),
    );
  }

  /** The paths of the selected pools, sorted by name. */
  #files(choose?: Choose): Awaitable<readonly string[]> {
    const { serving, storage } = this.run;
    return storage.files === undefined && serving
      ? withServedFiles(({ servedFiles }) => servedFiles(this.place, choose))
      : withListing(({ chosen, filesIn }) =>
        chosen(storage.files?.(this.place) ?? filesIn(this.place), choose)
      );
  }

  #describing(paths: readonly string[], brief: boolean): Awaitable<readonly PoolInfo[]> {
    return withListing(({ describingFiles }) =>
      this.run(describingFiles(paths, this.run.storage, brief))
    );
  }

  #areMany({ length }: readonly string[]): boolean {
    return length >= MANY && this.run.storage === disk;
  }

  async *#surveying(
    paths: readonly string[],
    brief: boolean,
  ): AsyncGenerator<readonly PoolInfo[], void> {
    const { surveying } = await import("./local/survey/survey.ts");
    yield* surveying(paths, { brief, serving: this.run.serving, run: this.run });
  }

  async remove(name: string): Promise<void> {
    const path = this.path(name);
    await withRemoval(({ removing }) => this.run(removing(path, this.run.storage)));
  }

  close(): void {}
}

function ringOptions({ sizeBytes, indexCapacity, maxAgeMs }: NewPool) {
  return {
    size: sizeBytes ?? DEFAULT_POOL_SIZE,
    ...(indexCapacity === undefined ? {} : { indexCapacity }),
    ...(maxAgeMs === undefined ? {} : { maxAgeNs: maxAgeNs(maxAgeMs) }),
  };
}

/** Opens a pool of a backend. */
export type OpenPool = (name: string, options: OpenOptions) => Awaitable<PoolHandle>;

/** An open pool file. */
export class LocalPool implements PoolHandle {
  readonly name: string;
  readonly path: string;
  readonly limits: Limits;
  /** Runs the steps of a call. */
  protected readonly run: Runner;
  /** The open file. */
  protected readonly ring: Ring;
  /** The number of users of the ring: the handle, and searches in progress. */
  #users = 1;
  #closed = false;
  #coordinator: Coordinator | null = null;
  /** Opens another pool of the same backend. */
  readonly #open: OpenPool;

  /** For internal use: call {@linkcode LocalBackend.open}. */
  constructor(run: Runner, ring: Ring, name: string, open: OpenPool) {
    this.name = name;
    this.#open = open;
    this.path = ring.path;
    this.run = run;
    this.ring = ring;
    this.limits = limitsOf(ring.layout.ringSize);
  }

  bounds(): Awaitable<Bounds> {
    return this.ring.tryLive(this.ring.tryState()) ?? this.run(this.ring.living());
  }

  /** Like {@linkcode LocalPool.bounds}, but synchronous. */
  boundsNow(): Bounds {
    return inPlace(this.ring.living());
  }

  info(): Awaitable<PoolInfo> {
    return withInfo(({ describing }) => this.run(describing(this.ring, this.name)));
  }

  get(seq: bigint): Awaitable<StoredFrame | null> {
    const read = () => withLookup(({ findStored }) => this.run(findStored(this.ring, seq)));
    return this.#lacksFarSearch && this.ring.indexOffset(seq) < 0 ? withFarSearch(read) : read();
  }

  /** Whether a message that is far from any known place would take long to find. */
  get #lacksFarSearch(): boolean {
    return this.ring.layout.ringSize >= LARGE_RING && Ring.findFar === null;
  }

  append(batch: FrameBatch, request: AppendRequest): Awaitable<void> {
    const { flush, signal, stored, when } = request;
    if (when !== undefined) {
      const coordinator = this.coordinate();
      return coordinator instanceof Promise
        ? coordinator.then((ready) => ready.append(batch, request, when))
        : coordinator.append(batch, request, when);
    }
    const ring = this.ring.asWritable();
    for (let from = request.from ?? 0; from < batch.count;) {
      signal?.throwIfAborted();
      const done = ring.tryAppend(batch, from, flush);
      if (done === null) return this.#appendLater(ring, batch, { ...request, from });
      stored(from, done.count, done.first);
      from += done.count;
    }
  }

  /** Appends once the lock is free; the pool may have to be repaired first. */
  #appendLater(ring: WritableRing, batch: FrameBatch, request: AppendRequest): Awaitable<void> {
    if (ring.mends) return this.run(this.#appending(ring, batch, request), request.signal);
    return withMending(({ Mender }) => {
      ring.mendWith(Mender);
      return this.#appendLater(ring, batch, request);
    });
  }

  *#appending(ring: WritableRing, batch: FrameBatch, request: AppendRequest): Steps<void> {
    const { from = 0, flush, lockMs = LOCK_LIMIT, stored } = request;
    for (let next = from; next < batch.count;) {
      const attempt = () => ring.tryAppend(batch, next, flush);
      const done = yield* untilUnlocked(this.path, attempt, lockMs);
      stored(next, done.count, done.first);
      next += done.count;
    }
  }

  /** Runs one step of coordination. */
  protected coordinated<T>(steps: Steps<T>, signal?: AbortSignal): Awaitable<T> {
    return this.run(steps, signal);
  }

  /** The coordinator of this pool; a promise if its module must be loaded first. */
  coordinate(): Awaitable<Coordinator> {
    if (this.#coordinator !== null) return this.#coordinator;
    const { coordination } = this.run;
    const begin = ({ Coordinator }: CoordinatorModule): Coordinator =>
      this.#coordinator ??= new Coordinator({
        name: this.name,
        ring: this.ring,
        sizeBytes: () => this.ring.layout.fileSize,
        onDisk: this.run.storage === disk,
        run: (steps, signal) => this.coordinated(steps, signal),
        runAppend: this.run,
        select: (selection) => this.select(selection),
        open: this.#open,
      });
    return coordination === undefined
      ? import("./local/coordinator.ts").then(begin)
      : begin(coordination);
  }

  select(selection: Selection): Awaitable<Walk> {
    const { from = "oldest", last } = selection;
    const isPlaced = last === undefined && typeof from === "string";
    return !isPlaced && this.#lacksFarSearch
      ? withFarSearch(() => this.#select(selection))
      : this.#select(selection);
  }

  #select(selection: Selection): Awaitable<Walk> {
    return withSelect(({ selecting }) => {
      const { storage, serving, hubs } = this.run;
      const retain = (): () => void => {
        this.#users++;
        return () => this.#release();
      };
      const pool = { ring: this.ring, storage, serving, hubs, run: this.run, retain };
      return selection.skipCorrupt === true
        ? withResync(({ Resync }) => this.run(selecting(pool, selection, () => new Resync())))
        : this.run(selecting(pool, selection));
    });
  }

  #release(): void {
    if (--this.#users === 0) this.ring.close();
  }

  close(): void {
    if (!this.#closed) this.#release();
    this.#closed = true;
  }
}
