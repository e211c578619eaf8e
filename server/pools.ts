/**
 * The pools a server has open: one file a pool for appends, reopened when the pool was replaced,
 * and appends that arrive together committed together.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { Appender, type Encode, type Stored } from "../lib/client/appender.ts";
import { poolPath } from "../lib/client/refs.ts";
import type { Lite3Frame } from "../lib/client/tail.ts";
import { findFrame } from "../lib/client/lookup.ts";
import { ErrorKind, PlasmiteError } from "../lib/errors.ts";
import { Ring } from "../lib/pool/ring.ts";
import { disk } from "../lib/storage/file.ts";
import { lockTimeout, sleep } from "../lib/storage/pause.ts";
import { inTurns } from "../lib/storage/turns.ts";
import { busy } from "./errors.ts";
import { Hubs } from "./hub.ts";
import { Slots } from "./slots.ts";

/** Open pools kept for appending. */
const KEEP = 128;
/** How long to wait for a lock that someone else holds, in milliseconds. */
const LOCK_TIMEOUT = 10_000;
/** One in so many appends waits for others as long as none came. */
const PROBE = 32;
/** How long a call waits for a storage slot before it is refused, in milliseconds. */
const SLOT_WAIT = 1_000;

/** How often idle pools are closed, so that deleted ones free their disk space, in milliseconds. */
const SWEEP = 5_000;

/** One pool that is open for appending. */
class Writer {
  readonly path: string;
  readonly ring: Ring;
  readonly appender: Appender;
  pending = 0;
  used = true;

  constructor(path: string) {
    this.path = path;
    this.ring = Ring.open(disk, path, { write: true });
    this.appender = new Appender(this.ring);
  }
}

/** Whether a failed append says that the file that is open is no longer the pool, or is damaged. */
function isOutdated(error: unknown): boolean {
  return PlasmiteError.is(error, ErrorKind.NotFound) || PlasmiteError.is(error, ErrorKind.Corrupt);
}

/** Everything a server does with pool files. */
export class Pools {
  /** The directory. */
  readonly dir: string;
  /** Change notices for streams. */
  readonly hubs = new Hubs();
  /** Storage calls under way (counter B of docs/spec/http-api.md 6). */
  readonly slots: Slots;
  /** Messages appended so far. */
  appended = 0;
  readonly #writers = new Map<string, Writer>();
  #sweeper: ReturnType<typeof setInterval> | null = null;
  #turn: Promise<void> | null = null;
  #gathered = 0;
  #crowded = false;
  #alone = 0;
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
      writer.used = true;
      if (this.#writers.size > KEEP / 2) {
        this.#writers.delete(path); // Last used goes last.
        this.#writers.set(path, writer);
      }
      return writer;
    }
    writer = new Writer(path);
    this.#writers.set(path, writer);
    if (this.#sweeper === null) {
      this.#sweeper = setInterval(() => this.#sweep(), SWEEP);
      Deno.unrefTimer(this.#sweeper);
    }
    if (this.#writers.size > KEEP) {
      for (const [old, { pending }] of this.#writers) {
        if (pending > 0) continue;
        this.#forget(old);
        break;
      }
    }
    return writer;
  }

  #sweep(): void {
    for (const [path, writer] of this.#writers) {
      if (!writer.used && writer.pending === 0) this.#forget(path);
      else writer.used = false;
    }
    if (this.#writers.size === 0) this.#stopSweeping();
  }

  #stopSweeping(): void {
    if (this.#sweeper !== null) clearInterval(this.#sweeper);
    this.#sweeper = null;
  }

  #forget(path: string): void {
    const writer = this.#writers.get(path);
    this.#writers.delete(path);
    if (writer !== undefined && writer.pending === 0) writer.ring.close();
  }

  /**
   * Appends one message at once while nobody else appends and the lock is free.
   *
   * @returns what was stored, its payload valid until the next append; null when nothing was stored
   * and {@linkcode Pools.append} is to be asked
   * @throws {PlasmiteError} NotFound, Usage, Corrupt, Io
   */
  appendNow(path: string, encode: Encode, flush: boolean): Stored | null {
    // Whoever comes while one waits for others is one of them.
    if (this.#crowded || this.#turn !== null || ++this.#alone % PROBE === 0) return null;
    const writer = this.#writer(path);
    let stored: Stored | null;
    try {
      stored = writer.appender.appendNow(encode, flush);
    } catch (error) {
      // Deleted, replaced or cut short; whoever asks again opens what is there now.
      if (isOutdated(error)) this.#forget(path);
      if (!PlasmiteError.is(error, ErrorKind.NotFound)) throw error;
      return null;
    }
    if (stored === null) return null;
    this.appended++;
    this.hubs.appended(path);
    return stored;
  }

  /**
   * Appends; those that arrive in the same turn of the event loop share one lock and one write. What
   * cannot be encoded is refused alone.
   *
   * @throws {PlasmiteError} NotFound, Usage, Busy, Corrupt, Io
   */
  async append(path: string, encode: Encode, flush: boolean): Promise<Stored[]> {
    const writer = this.#writer(path);
    this.#pending++;
    writer.pending++;
    try {
      await this.#gather();
      const stored = await writer.appender.append(encode, flush);
      this.appended += stored.length;
      this.hubs.appended(path);
      return stored;
    } catch (error) {
      if (isOutdated(error) && this.#writers.get(path) === writer) this.#forget(path);
      if (!PlasmiteError.is(error, ErrorKind.NotFound)) throw error;
    } finally {
      this.#settled(writer);
    }
    // Deleted or replaced since it was opened; if it is there again, so are we.
    return await this.append(path, encode, flush);
  }

  /**
   * The end of this turn of the event loop. Each request comes in a task of its own, so without it
   * every append would take the lock alone. Whoever comes alone would only lose time by it: as long
   * as that is so, only one in a few comes here, to see whether others come.
   */
  #gather(): Promise<void> {
    this.#gathered++;
    return this.#turn ??= new Promise((resolve) =>
      setImmediate(() => {
        this.#crowded = this.#gathered > 1;
        this.#gathered = 0;
        this.#turn = null;
        resolve();
      })
    );
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
    const ring = await inTurns(Ring.opening(disk, path, { write: false }));
    try {
      const frame = await inTurns(findFrame(ring, seq));
      if (frame !== null) return frame;
      throw new PlasmiteError("NotFound", "message not found", {
        seq,
        hint: "It was overwritten or never written; the pool's info tells what is retained.",
      });
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
      // docs/spec/format.md 14.3: whoever appends under this lock later finds the path gone.
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

  /**
   * The largest payload that fits into a pool, in bytes.
   *
   * @throws {PlasmiteError} NotFound, Permission, Corrupt, Usage or Io
   */
  maxPayload(path: string): number {
    return this.#writer(path).ring.maxPayload;
  }

  /** Closes all files. */
  close(): void {
    this.#stopSweeping();
    for (const path of [...this.#writers.keys()]) this.#forget(path);
  }
}
