/**
 * The pools a server has open: one file a pool for appends, reopened when the pool was replaced,
 * and appends that arrive together committed together.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { LocalBackend } from "../lib/backend/local.ts";
import { Hubs } from "../lib/backend/local/hub.ts";
import { Appender, type Encode, type Stored } from "../lib/backend/local/appender.ts";
import type { PoolInfo } from "../lib/backend/local/info.ts";
import { poolPath } from "../lib/backend/refs.ts";
import { readingInfo } from "../lib/backend/local/listing.ts";
import { readingFrame } from "../lib/backend/local/lookup.ts";
import { removing } from "../lib/backend/local/remove.ts";
import { PoolSlots, Slots } from "../lib/backend/local/slots.ts";
import { ErrorKind, PlasmiteError } from "../lib/errors.ts";
import { creating } from "../lib/pool/creation.ts";
import { Ring } from "../lib/pool/ring.ts";
import { disk } from "../lib/storage/file.ts";
import { inTurns, type Steps } from "../lib/storage/turns.ts";
import { busy } from "./errors.ts";
import type { Lite3Frame } from "../lib/backend/frames.ts";

/** Open pools kept for appending. */
const KEEP = 128;
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

  constructor(ring: Ring) {
    this.path = ring.path;
    this.ring = ring;
    this.appender = new Appender(ring);
  }
}

/** Whether a failed append says that the file that is open is no longer the pool, or is damaged. */
function isOutdated(error: unknown): boolean {
  return PlasmiteError.is(error, ErrorKind.NotFound) || PlasmiteError.is(error, ErrorKind.Corrupt);
}

function saturated(): PlasmiteError {
  return busy("server storage executor is saturated");
}

/** Everything a server does with pool files. */
export class Pools {
  /** The directory. */
  readonly dir: string;
  /** Change notices for streams. */
  readonly hubs = new Hubs();
  /** The directory for everything that reads. */
  readonly backend: LocalBackend;
  /** Messages appended so far. */
  appended = 0;
  readonly #slots: Slots;
  readonly #reads: PoolSlots;
  readonly #writes: PoolSlots;
  readonly #writers = new Map<string, Writer>();
  readonly #opening = new Map<string, Promise<void>>();
  #sweeper: ReturnType<typeof setInterval> | null = null;
  #turn: Promise<void> | null = null;
  #gathered = 0;
  #crowded = false;
  #alone = 0;
  #idle: (() => void)[] = [];
  #pending = 0;

  /**
   * @param dir the pool directory
   * @param limit storage calls at once (counter B of docs/spec/http-api.md 6): on the directory, and
   *   on each pool, so that a pool whose lock is held keeps nobody from the others
   */
  constructor(dir: string, limit: number) {
    this.dir = dir;
    this.backend = new LocalBackend(dir, { serving: this.hubs });
    this.#slots = new Slots(limit);
    this.#reads = new PoolSlots(limit);
    this.#writes = new PoolSlots(limit);
  }

  /** Storage calls under way. */
  get calls(): number {
    return this.#slots.used + this.#reads.used + this.#writes.used;
  }

  /** The file of a pool by its (checked) name. */
  path(name: string): string {
    return poolPath(name, this.dir);
  }

  /** The pool if it is open for appending. */
  #known(path: string): Writer | undefined {
    const writer = this.#writers.get(path);
    if (writer === undefined) return undefined;
    writer.used = true;
    if (this.#writers.size > KEEP / 2) {
      this.#writers.delete(path); // Last used goes last.
      this.#writers.set(path, writer);
    }
    return writer;
  }

  /**
   * Opens a pool for appending; those who ask at the same time share one.
   *
   * @throws {PlasmiteError} NotFound, Permission, Corrupt, Usage, Busy or Io
   */
  #open(path: string): Promise<void> {
    let opening = this.#opening.get(path);
    if (opening === undefined) {
      opening = this.#openWriter(path).finally(() => this.#opening.delete(path));
      this.#opening.set(path, opening);
    }
    return opening;
  }

  async #openWriter(path: string): Promise<void> {
    const writer = new Writer(await inTurns(Ring.opening(disk, path, { write: true })));
    this.#writers.set(path, writer);
    if (this.#sweeper === null) {
      this.#sweeper = setInterval(() => this.#sweep(), SWEEP);
      Deno.unrefTimer(this.#sweeper);
    }
    if (this.#writers.size > KEEP) {
      for (const [old, { pending }] of this.#writers) {
        if (pending > 0 || old === path) continue;
        this.#forget(old);
        break;
      }
    }
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
    const writer = this.#known(path);
    if (writer === undefined) return null;
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
    this.hubs.changed(path);
    return stored;
  }

  /**
   * Appends; those that arrive in the same turn of the event loop share one lock and one write. What
   * cannot be encoded is refused alone.
   *
   * @throws {PlasmiteError} NotFound, Usage, Busy, Corrupt, Io
   */
  async append(path: string, encode: Encode, flush: boolean): Promise<Stored[]> {
    let writer = this.#known(path);
    for (; writer === undefined; writer = this.#known(path)) await this.#open(path);
    this.#pending++;
    writer.pending++;
    try {
      await this.#gather();
      const stored = await writer.appender.append(encode, flush);
      this.appended += stored.length;
      this.hubs.changed(path);
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
   * Runs work on the directory in a slot, waiting a second for one at most.
   *
   * @throws {HttpError} 423 when none gets free
   */
  async storage<T>(work: () => T | Promise<T>): Promise<T> {
    if (!this.#slots.take() && !await this.#slots.takeWithin(SLOT_WAIT)) throw saturated();
    try {
      return await work();
    } finally {
      this.#slots.release();
    }
  }

  /**
   * Runs work that waits for a pool's lock in a slot of that pool, waiting a second for one at most.
   *
   * @throws {HttpError} 423 when none gets free
   */
  writing<T>(path: string, work: () => Promise<T>): Promise<T> {
    return this.#writes.run(path, SLOT_WAIT, work, saturated);
  }

  /** Runs a look at a pool in a slot of its own, so that waiting writers keep no reader out. */
  #read<T>(path: string, steps: Steps<T>): Promise<T> {
    return this.#reads.run(path, SLOT_WAIT, () => inTurns(steps), saturated);
  }

  /**
   * Reads one frame.
   *
   * @throws {PlasmiteError} NotFound with `seq` when it is not retained, Busy, Corrupt, Io
   */
  async frame(path: string, seq: bigint): Promise<Lite3Frame> {
    const frame = await this.#read(path, readingFrame(path, seq));
    if (frame !== null) return frame;
    throw new PlasmiteError("NotFound", "message not found", {
      seq,
      hint: "It was overwritten or never written; the pool's info tells what is retained.",
    });
  }

  /**
   * What a pool says of itself.
   *
   * @throws {PlasmiteError} NotFound, Permission, Corrupt, Usage, Busy or Io
   */
  info(path: string, name: string): Promise<PoolInfo> {
    return this.#read(path, readingInfo(path, name));
  }

  /**
   * Makes a pool.
   *
   * @throws {PlasmiteError} AlreadyExists, Usage, Permission, Busy or Io
   */
  create(path: string, size: number | undefined): Promise<void> {
    return this.writing(
      path,
      () => inTurns(creating(disk, path, size === undefined ? {} : { size })),
    );
  }

  /**
   * Deletes a pool once running appends are over.
   *
   * @throws {PlasmiteError} NotFound, Permission, Busy or Io
   */
  remove(path: string): Promise<void> {
    return this.writing(path, async () => {
      await inTurns(removing(path));
      this.#forget(path);
      this.hubs.changed(path);
    });
  }

  /** Resolves when no append is under way. */
  settled(): Promise<void> {
    if (this.#pending === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Closes all files. */
  close(): void {
    this.#stopSweeping();
    for (const path of [...this.#writers.keys()]) this.#forget(path);
  }
}
