/**
 * The pools a server has open: one file a pool for appends, reopened when the pool was replaced,
 * and appends that arrive together committed together.
 *
 * @module
 */

import { Appender, type Encode, lockTimeout, type Stored } from "../lib/client/appender.ts";
import { poolPath } from "../lib/client/refs.ts";
import { type Lite3Frame, takeFrame } from "../lib/client/tail.ts";
import { ErrorKind, PlasmiteError } from "../lib/errors.ts";
import { BUSY, Cursor } from "../lib/pool/cursor.ts";
import { Ring } from "../lib/pool/ring.ts";
import { disk } from "../lib/storage/file.ts";
import { sleep } from "../lib/storage/pause.ts";
import { busy } from "./errors.ts";
import { Hubs } from "./hub.ts";
import { Slots } from "./slots.ts";

/** Open pools kept for appending. */
const KEEP = 128;
/** How long to wait for a lock that someone else holds, in milliseconds. */
const LOCK_TIMEOUT = 10_000;
/** How long an append waits for those that are still being read, in milliseconds. */
const GATHER = 1;
/** How long a call waits for a storage slot before it is refused, in milliseconds. */
const SLOT_WAIT = 1_000;

interface Job {
  readonly encode: Encode;
  readonly flush: boolean;
  readonly resolve: (stored: Stored[]) => void;
  readonly reject: (error: unknown) => void;
}

/** One pool that is open for appending. */
class Writer {
  readonly path: string;
  readonly ring: Ring;
  readonly appender: Appender;
  jobs: Job[] = [];
  pending = 0;

  constructor(path: string) {
    this.path = path;
    this.ring = Ring.open(disk, path, { write: true });
    this.appender = new Appender(this.ring);
  }
}

/** Says that an append's body is being read; ends when the append is queued or given up. */
export interface Arrival {
  /** The append is queued, or there will be none. */
  done(): void;
}

/** Everything a server does with pool files. */
export class Pools {
  /** The directory. */
  readonly dir: string;
  /** Change notices for streams. */
  readonly hubs = new Hubs();
  /** Storage calls under way (counter B of http.md 6). */
  readonly slots: Slots;
  /** Messages appended so far. */
  appended = 0;
  readonly #writers = new Map<string, Writer>();
  #waiting = new Set<Writer>();
  #arriving = 0;
  #turn = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #idle: (() => void)[] = [];
  #pending = 0;

  /**
   * @param dir the pool directory
   * @param limit storage calls at once
   */
  constructor(dir: string, limit: number) {
    this.dir = dir;
    this.slots = new Slots(limit);
  }

  /** The file of a pool by its (checked) name. */
  path(name: string): string {
    return poolPath(name, this.dir);
  }

  /**
   * The pool, open for appending.
   *
   * @throws {PlasmiteError} NotFound, Permission, Corrupt, Usage or Io
   */
  #writer(path: string): Writer {
    let writer = this.#writers.get(path);
    if (writer !== undefined) {
      if (this.#writers.size > KEEP / 2) {
        this.#writers.delete(path); // Last used goes last.
        this.#writers.set(path, writer);
      }
      return writer;
    }
    writer = new Writer(path);
    this.#writers.set(path, writer);
    if (this.#writers.size > KEEP) {
      for (const [old, { pending }] of this.#writers) {
        if (pending > 0) continue;
        this.#forget(old);
        break;
      }
    }
    return writer;
  }

  #forget(path: string): void {
    const writer = this.#writers.get(path);
    this.#writers.delete(path);
    if (writer !== undefined && writer.pending === 0) writer.ring.close();
  }

  /** Announces an append whose body is still on its way: commits wait for it, a moment at most. */
  arrive(): Arrival {
    this.#arriving++;
    const turn = this.#turn;
    let open = true;
    return {
      done: () => {
        if (!open) return;
        open = false;
        if (turn === this.#turn && --this.#arriving === 0) this.#commit();
      },
    };
  }

  /**
   * Appends together with all others that arrive at the same time. What cannot be encoded is
   * refused alone.
   *
   * @throws {PlasmiteError} NotFound, Usage, Busy, Corrupt, Io
   */
  append(path: string, encode: Encode, flush: boolean): Promise<Stored[]> {
    const writer = this.#writer(path);
    this.#pending++;
    writer.pending++;
    return new Promise<Stored[]>((resolve, reject) => {
      writer.jobs.push({
        encode,
        flush,
        resolve: (stored) => {
          this.appended += stored.length;
          this.#settled(writer);
          resolve(stored);
        },
        reject: (error) => {
          this.#settled(writer);
          if (!PlasmiteError.is(error, ErrorKind.NotFound)) return reject(error);
          // Deleted or replaced since it was opened; if it is there again, so are we.
          if (this.#writers.get(path) === writer) this.#forget(path);
          try {
            this.#writer(path);
          } catch (gone) {
            return reject(gone);
          }
          this.append(path, encode, flush).then(resolve, reject);
        },
      });
      this.#waiting.add(writer);
      if (this.#arriving === 0) this.#commit();
      else this.#timer ??= setTimeout(() => this.#late(), GATHER);
    });
  }

  #settled(writer: Writer): void {
    this.#pending--;
    writer.pending--;
    if (writer.pending === 0 && this.#writers.get(writer.path) !== writer) writer.ring.close();
    if (this.#pending > 0) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }

  /** Those who are still reading had their chance: nobody waits for a slow client. */
  #late(): void {
    this.#timer = null;
    this.#turn++;
    this.#arriving = 0;
    this.#commit();
  }

  #commit(): void {
    if (this.#waiting.size === 0) return;
    if (this.#timer !== null) {
      clearTimeout(this.#timer);
      this.#timer = null;
    }
    const writers = this.#waiting;
    this.#waiting = new Set();
    for (const writer of writers) {
      const { jobs, appender, path } = writer;
      writer.jobs = [];
      for (const { encode, flush, resolve, reject } of jobs) {
        appender.append(encode, flush).then(resolve, reject);
      }
      if (!this.hubs.has(path)) continue;
      // Queued behind the jobs above, so it settles when they have been written.
      void appender.append(() => {}, false).then(() => this.hubs.appended(path), () => {});
    }
  }

  /**
   * Runs a storage call in a slot, waiting a second for one at most.
   *
   * @throws {HttpError} 423 when none gets free
   */
  async storage<T>(work: () => T | Promise<T>): Promise<T> {
    if (!this.slots.take() && !await this.slots.takeWithin(SLOT_WAIT)) {
      throw busy("server storage executor is saturated");
    }
    try {
      return await work();
    } finally {
      this.slots.release();
    }
  }

  /**
   * Reads one frame.
   *
   * @throws {PlasmiteError} NotFound with `seq` when it is not retained, Busy, Corrupt, Io
   */
  async frame(path: string, seq: bigint): Promise<Lite3Frame> {
    const ring = Ring.open(disk, path, { write: false });
    try {
      const cursor = new Cursor(ring, seq);
      for (let tries = 0; tries < LOCK_TIMEOUT; tries++) {
        const ready = cursor.fill();
        if (ready === BUSY) {
          await sleep(1);
          continue;
        }
        if (seq > 0n && ready > 0 && cursor.next() && cursor.seq === seq) {
          return takeFrame({ cursor });
        }
        throw new PlasmiteError("NotFound", "message not found", {
          seq,
          hint: "It was overwritten or never written; the pool's info tells what is retained.",
        });
      }
      throw lockTimeout(path);
    } finally {
      ring.close();
    }
  }

  /**
   * Deletes a pool once running appends are over.
   *
   * @throws {PlasmiteError} NotFound, Permission, Busy or Io
   */
  async remove(path: string): Promise<void> {
    const file = disk.open(path, { write: false });
    try {
      const since = performance.now();
      while (!file.tryLock(true)) {
        if (performance.now() - since >= LOCK_TIMEOUT) throw lockTimeout(path);
        await sleep(1);
      }
      // pool-format.md 14.3: whoever appends under this lock later finds the path gone.
      if (file.pathState() === "missing") disk.open(path, { write: false }).close();
      disk.remove(path);
    } finally {
      file.close();
    }
    this.#forget(path);
    this.hubs.appended(path);
  }

  /** Resolves when no append is under way. */
  settled(): Promise<void> {
    if (this.#pending === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Closes all files. */
  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (const path of [...this.#writers.keys()]) this.#forget(path);
  }
}
