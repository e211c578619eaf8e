/**
 * Pools in the files of a directory.
 *
 * @module
 */

import { Follower } from "../client/follower.ts";
import { describePool, type PoolInfo, unreadablePool } from "../client/info.ts";
import { poolFiles, poolName, poolPath } from "../client/refs.ts";
import { ErrorKind } from "../errors.ts";
import type { FrameBatch } from "../pool/batch.ts";
import { BUSY, Cursor } from "../pool/cursor.ts";
import { DEFAULT_POOL_SIZE } from "../pool/layout.ts";
import { type Appended, Ring } from "../pool/ring.ts";
import { untilUnlocked } from "../storage/lock_wait.ts";
import { osError } from "../storage/os_error.ts";
import type { Storage } from "../storage/storage.ts";
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
import { SelectedWalk } from "./walk.ts";

/** Bytes of frames in one append: the lock is held for one write. */
const BATCH_BYTES = 512 * 1024;

/** A directory of pools. */
export class LocalBackend implements Backend {
  readonly place: string;
  readonly #storage: Storage;

  /**
   * Touches nothing on disk.
   *
   * @param dir the directory that bare names resolve into
   * @param storage what holds the bytes: the disk, or memory in tests
   */
  constructor(dir: string, storage: Storage) {
    this.place = dir;
    this.#storage = storage;
  }

  features(): ReadonlySet<string> {
    return new Set(["select", "batch"]);
  }

  /** The file of a pool. */
  path(name: string): string {
    return poolPath(name, this.place);
  }

  open(name: string, { write = false }: { readonly write?: boolean } = {}): LocalPool {
    return new LocalPool(this.#storage, this.path(name), name, write);
  }

  create(name: string, { sizeBytes, indexCapacity }: NewPool = {}): PoolInfo {
    const path = this.path(name);
    Ring.create(this.#storage, path, {
      size: sizeBytes ?? DEFAULT_POOL_SIZE,
      ...(indexCapacity === undefined ? {} : { indexCapacity }),
    });
    return this.info(name);
  }

  info(name: string): PoolInfo {
    const ring = Ring.open(this.#storage, this.path(name), { write: false });
    try {
      return describePool(ring, name);
    } finally {
      ring.close();
    }
  }

  names(): readonly string[] {
    return this.#files().map(poolName);
  }

  list(): readonly PoolInfo[] {
    const pools: PoolInfo[] = [];
    for (const path of this.#files()) {
      const name = poolName(path);
      try {
        const mtimeMs = Deno.statSync(path).mtime?.getTime() ?? null;
        const ring = Ring.open(this.#storage, path, { write: false });
        try {
          pools.push({ ...describePool(ring, name), mtimeMs });
        } finally {
          ring.close();
        }
      } catch (cause) {
        const error = osError(cause, { path });
        // Deleted between listing and opening: it is simply not there any more.
        if (error.kind !== ErrorKind.NotFound) pools.push(unreadablePool(name, path, error));
      }
    }
    return pools;
  }

  #files(): string[] {
    try {
      return poolFiles(this.place);
    } catch (error) {
      throw osError(error, { path: this.place }, "failed to read pool directory");
    }
  }

  async remove(name: string): Promise<void> {
    const path = this.path(name);
    const file = this.#storage.open(path, { write: false });
    try {
      await untilUnlocked(path, () => file.tryLock(true) || null);
      // Whoever appends under this lock later finds the path gone and says so.
      if (file.pathState() === "missing") this.#storage.open(path, { write: false }).close();
      this.#storage.remove(path);
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
  readonly #storage: Storage;
  readonly #ring: Ring;

  /** Use {@linkcode LocalBackend.open}. */
  constructor(storage: Storage, path: string, name: string, write: boolean) {
    this.name = name;
    this.path = path;
    this.#storage = storage;
    this.#ring = Ring.open(storage, path, { write });
    const { ringSize } = this.#ring.layout;
    this.limits = {
      maxPayload: this.#ring.maxPayload,
      maxRecord: 6 * ringSize + 64 * 1024,
      // A quarter of a small ring, so that followers see messages before they are overwritten.
      batchBytes: Math.min(BATCH_BYTES, Math.max(1, ringSize >> 2)),
    };
  }

  bounds(): Bounds {
    const { oldest, newest } = this.#ring.state();
    return { oldest, newest };
  }

  info(): PoolInfo {
    return describePool(this.#ring, this.name);
  }

  get(seq: bigint): Awaitable<StoredFrame | null> {
    if (seq === 0n) return null;
    const cursor = new Cursor(this.#ring, seq);
    const found = lookUp(cursor, seq);
    return found === undefined
      ? untilUnlocked(this.path, () => lookUp(cursor, seq) ?? null).then(orNone)
      : orNone(found);
  }

  append(batch: FrameBatch, request: AppendRequest): Awaitable<void> {
    const { flush, signal, stored } = request;
    for (let from = request.from ?? 0; from < batch.count;) {
      signal?.throwIfAborted();
      const done = this.#ring.tryAppend(batch, from, flush);
      if (done === null) return this.#appendLater(batch, { ...request, from });
      stored(from, done.count, done.first);
      from += done.count;
    }
  }

  async #appendLater(batch: FrameBatch, request: AppendRequest): Promise<void> {
    const { flush, signal, stored } = request;
    for (let from = request.from ?? 0; from < batch.count;) {
      const attempt = (): Appended | null => this.#ring.tryAppend(batch, from, flush);
      const done = await untilUnlocked(this.path, attempt, { signal });
      stored(from, done.count, done.first);
      from += done.count;
    }
  }

  select(selection: Selection): Walk {
    const { follow = false, last, since = 0n, tags, where, notify = true } = selection;
    const { oldest, newest } = this.#ring.state();
    const until = selection.until ?? (follow ? null : newest);
    const filter = new Filter(tags, where);
    const plan = { until, filter, since, liveFrom: newest + 1n, bounds: () => this.bounds() };
    const walk = (from: bigint | "oldest", end: bigint | null = until): Walk => {
      const follower = this.#follow(from, notify);
      return new SelectedWalk(follower, {
        ...plan,
        until: end,
        from: from === "oldest" ? 0n : from,
      });
    };
    if (selection.from === "end" || (oldest === 0n && last !== undefined)) return walk(newest + 1n);
    const first = selection.from === undefined || selection.from === 0n ? "oldest" : selection.from;
    if (oldest === 0n) return walk(first === "oldest" ? newest + 1n : first);
    if (last === undefined) return walk(first);
    const low = first === "oldest" || first < oldest ? oldest : first;
    const high = until !== null && until < newest ? until : newest;
    const count = BigInt(last);
    if (filter.passesAll && since === 0n) return walk(high - count < low ? low : high - count + 1n);
    return new LaterWalk(async (signal) => {
      const { from } = await findLast(low, high, last, walk, signal);
      return walk(from);
    });
  }

  #follow(from: bigint | "oldest", notify: boolean): Follower {
    const follower = new Follower(this.path, from, notify);
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

/** The frame of `seq`; "none" when it is not retained, undefined while a lock is in the way. */
function lookUp(cursor: Cursor, seq: bigint): StoredFrame | "none" | undefined {
  const ready = cursor.fill();
  if (ready === BUSY) return undefined;
  return ready > 0 && cursor.next() && cursor.seq === seq ? cursor : "none";
}

function orNone(found: StoredFrame | "none"): StoredFrame | null {
  return found === "none" ? null : found;
}
