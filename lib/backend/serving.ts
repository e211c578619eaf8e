/**
 * Pools of a directory in a process that serves many callers: one file per pool stays open for
 * appends, concurrent appends share one lock and one write, and waiting for one pool's lock does
 * not delay the other pools.
 *
 * @module
 */

// Loaded with the server: later it may have no permission to read modules.
import { servedNames } from "./local/files.ts";
import "./local/survey/survey.ts";
import { ErrorKind, PlasmiteError } from "../errors.ts";
import type { FrameBatch } from "../pool/batch.ts";
import { Mender } from "../pool/mending.ts";
import { Ring } from "../pool/ring.ts";
import { WritableRing } from "../pool/writable_ring.ts";
import type { Steps } from "../storage/steps.ts";
import { inTurns } from "../storage/turns.ts";
import type { Awaitable } from "../types.ts";
import { LocalBackend, LocalPool, MANY, type OpenPool, type Runner } from "./local.ts";
import { GroupCommit } from "./local/group_commit.ts";
import { Hubs } from "./local/hub.ts";
import type { PoolInfo } from "./local/info.ts";
import { describingFiles } from "./local/listing.ts";
import { PoolSlots } from "./local/slots.ts";
import { described, printing } from "./local/survey/printed.ts";
import { poolName } from "./refs.ts";
import type {
  AppendRequest,
  Choose,
  NewPool,
  OpenOptions,
  PrintedPools,
  StoredFrame,
} from "./types.ts";

/** The largest number of pools kept open for appending. */
const KEEP = 128;
/** While appends arrive one at a time, one in this many waits for others to arrive. */
const PROBE = 32;
/**
 * For so many turns with one append each they still wait for others after a turn with several:
 * among sixteen callers some turns have one, and whoever did not wait then would store all that
 * follow one by one.
 */
const PATIENCE = 16;
/** How long a call waits for a slot of its pool before it is rejected, in milliseconds. */
const SLOT_WAIT = 1_000;
/** How often idle pools are closed, so that deleted ones free their disk space, in milliseconds. */
const SWEEP = 5_000;

/** Options of a serving backend. */
export interface ServingOptions {
  /** Change notifications shared by all followers; default new ones. */
  readonly hubs?: Hubs;
  /** How many calls may wait for one pool at once; default 64. */
  readonly limit?: number;
}

function saturated(): PlasmiteError {
  return new PlasmiteError("Busy", "server storage executor is saturated", {
    hint: "Too many calls wait for this pool. Try again in a second.",
  });
}

/**
 * Collects the appends of one turn of the event loop. Each request arrives in its own task, so
 * without waiting every append would take the lock separately. Waiting is useless for single
 * appends: once `PATIENCE` turns had one append each, only one in `PROBE` waits.
 */
class Gathering {
  #writes: (() => void)[] = [];
  #gathered = 0;
  #alone = 0;
  /** For how many more turns appends wait although they come singly. */
  #patience = 0;

  /** Whether an append can skip waiting because no others are expected. */
  get alone(): boolean {
    return this.#patience === 0 && this.#gathered === 0 && ++this.#alone % PROBE !== 0;
  }

  /** Counts an append that waits. */
  count(): void {
    this.#gathered++;
  }

  /** Calls `write` at the end of this turn. */
  readonly gather = (write: () => void): void => {
    if (this.#writes.push(write) === 1) setImmediate(this.#end);
  };

  readonly #end = (): void => {
    this.#patience = this.#gathered > 1 ? PATIENCE : Math.max(0, this.#patience - 1);
    this.#gathered = 0;
    for (const write of this.#writes.splice(0)) write();
  };
}

/** State shared by the open pools of one backend. */
interface Shared {
  readonly gathering: Gathering;
  readonly hubs: Hubs;
  readonly writes: PoolSlots;
  /** Makes the next caller reopen the pool. */
  forget(pool: ServedPool): void;
  /** Opens the pool that the name currently refers to. */
  reopen(name: string): Promise<ServedPool>;
}

/** A pool that is open for appending, shared by its callers. */
export class ServedPool extends LocalPool {
  /** Whether it was used since the last sweep. */
  used = true;
  /** The number of callers that have it open. */
  users = 0;
  readonly #ring: WritableRing;
  readonly #shared: Shared;
  readonly #group: GroupCommit;
  #forgotten = false;

  /** For internal use: call {@linkcode ServingBackend.open}. */
  constructor(run: Runner, ring: WritableRing, name: string, open: OpenPool, shared: Shared) {
    super(run, ring, name, open);
    this.#ring = ring;
    this.#shared = shared;
    this.#group = new GroupCommit(ring, {
      gather: shared.gathering.gather,
      written: () => shared.hubs.changed(this.path),
    });
  }

  override append(batch: FrameBatch, request: AppendRequest): Awaitable<void> {
    const { from = 0, signal } = request;
    signal?.throwIfAborted();
    // Conditional appends are not grouped with others.
    if (request.when !== undefined) return this.#conditional(batch, request);
    if (from >= batch.count) return;
    if (!this.#shared.gathering.alone || this.#group.busy) return this.#grouped(batch, request);
    let next = from;
    try {
      const done = this.#ring.tryAppend(batch, from, request.flush);
      if (done === null) return this.#grouped(batch, request);
      next += done.count;
      request.stored(from, done.count, done.first);
      this.#shared.hubs.changed(this.path);
      if (next < batch.count) return this.#grouped(batch, { ...request, from: next });
    } catch (error) {
      return this.#failed(error, batch, request, next > from);
    }
  }

  async #conditional(batch: FrameBatch, request: AppendRequest): Promise<void> {
    await this.#waiting(batch, request, (own) => super.append(batch, own));
    this.#shared.hubs.changed(this.path);
  }

  /** Appends in a slot of this pool, waiting for one if necessary. */
  async #waiting(
    batch: FrameBatch,
    request: AppendRequest,
    append: (own: AppendRequest) => Awaitable<void>,
  ): Promise<void> {
    let begun = false;
    const stored: AppendRequest["stored"] = (from, count, first) => {
      begun = true;
      request.stored(from, count, first);
    };
    const own = { ...request, stored };
    try {
      await this.#shared.writes.run(this.path, SLOT_WAIT, () => append(own), saturated);
    } catch (error) {
      await this.#failed(error, batch, request, begun);
    }
  }

  protected override async coordinated<T>(steps: Steps<T>, signal?: AbortSignal): Promise<T> {
    const { hubs, writes } = this.#shared;
    const before = this.ring.tryState()?.newest;
    try {
      return await writes.run(this.path, SLOT_WAIT, () => this.run(steps, signal), saturated);
    } catch (error) {
      // The next caller opens the current file.
      if (this.#isReplaced() || PlasmiteError.is(error, ErrorKind.Corrupt)) {
        this.#shared.forget(this);
      }
      throw error;
    } finally {
      if (this.ring.tryState()?.newest !== before) hubs.changed(this.path);
    }
  }

  /** Appends in a slot of this pool, with the others of this turn. */
  #grouped(batch: FrameBatch, request: AppendRequest): Promise<void> {
    const { gathering, writes } = this.#shared;
    gathering.count();
    const { path } = this;
    if (!writes.take(path)) {
      return this.#waiting(batch, request, (own) => this.#group.append(batch, own, undefined));
    }
    // The same without a promise for each step: this is the hot path of a server.
    return new Promise((resolve) =>
      this.#group.add(batch, request, (error, begun) => {
        writes.release(path);
        resolve(error === undefined ? error : this.#failed(error, batch, request, begun));
      })
    );
  }

  /**
   * Handles a failure: if the path now refers to another file, the append is repeated there. The
   * state of this file (its limits, whether it is damaged) does not apply to the other one.
   *
   * @param begun whether part of the append is already stored
   */
  async #failed(
    error: unknown,
    batch: FrameBatch,
    request: AppendRequest,
    begun: boolean,
  ): Promise<void> {
    const replaced = this.#isReplaced();
    if (replaced || PlasmiteError.is(error, ErrorKind.Corrupt)) this.#shared.forget(this);
    if (!replaced || begun) throw error;
    const pool = await this.#shared.reopen(this.name);
    try {
      await pool.append(batch, request);
    } finally {
      pool.close();
    }
  }

  #isReplaced(): boolean {
    try {
      this.ring.checkIdentity();
      return false;
    } catch (error) {
      return PlasmiteError.is(error, ErrorKind.NotFound);
    }
  }

  /** Registers another caller. */
  share(): this {
    this.users++;
    this.used = true;
    return this;
  }

  /** Closes the file once no caller has it open. */
  forget(): void {
    this.#forgotten = true;
    if (this.users === 0) super.close();
  }

  /** Unregisters a caller; call it once per opening. */
  override close(): void {
    this.users--;
    if (this.#forgotten && this.users === 0) super.close();
  }
}

/** A pool that is open for reading only. */
class ReadPool extends LocalPool {
  readonly #reads: PoolSlots;

  constructor(run: Runner, ring: Ring, name: string, open: OpenPool, reads: PoolSlots) {
    super(run, ring, name, open);
    this.#reads = reads;
  }

  protected override coordinated<T>(steps: Steps<T>, signal?: AbortSignal): Promise<T> {
    return this.#reads.run(this.path, SLOT_WAIT, () => this.run(steps, signal), saturated);
  }

  override get(seq: bigint): Promise<StoredFrame | null> {
    return this.#reads.run(this.path, SLOT_WAIT, () => super.get(seq), saturated);
  }
}

/** A directory of pools in a process that serves many callers. */
export class ServingBackend extends LocalBackend {
  readonly #hubs: Hubs;
  readonly #reads: PoolSlots;
  readonly #writes: PoolSlots;
  readonly #shared: Shared;
  readonly #pools = new Map<string, ServedPool>();
  readonly #opening = new Map<string, Promise<void>>();
  #sweeper: ReturnType<typeof setInterval> | null = null;

  /**
   * Creates a backend without accessing the disk.
   *
   * @param dir the directory that bare names resolve into
   */
  constructor(dir: string, { hubs = new Hubs(), limit = 64 }: ServingOptions = {}) {
    super(dir, { serving: hubs });
    this.#hubs = hubs;
    this.#reads = new PoolSlots(limit);
    this.#writes = new PoolSlots(limit);
    this.#shared = {
      gathering: new Gathering(),
      hubs,
      writes: this.#writes,
      forget: (pool) => {
        if (this.#pools.get(pool.name) === pool) this.#forget(pool.name);
      },
      reopen: (name) => this.#sharing(name),
    };
  }

  /** The number of calls in progress that may have to wait for a pool. */
  get calls(): number {
    return this.#reads.used + this.#writes.used;
  }

  /** The number of walks in this process that follow a pool. */
  followers(name: string): number {
    return this.#hubs.followers(this.path(name));
  }

  /** The names of the pools that walks in this process follow, and perhaps others. */
  followed(): Iterable<string> {
    return this.#hubs.paths().map(poolName);
  }

  async *printed(
    choose: Choose,
    own: ReadonlySet<string>,
  ): AsyncGenerator<PrintedPools, void> {
    const { run, place } = this;
    const files = await servedNames(place, choose);
    if (files.length >= MANY) yield* printing(place, files, { own, run });
    else yield described(await run(describingFiles(files.map((file) => `${place}/${file}`))));
  }

  override open(name: string, options: OpenOptions = {}): Awaitable<LocalPool> {
    if (options.create !== undefined) return this.#openOrCreate(name, options);
    if (options.write !== true) return this.#reading(name, () => this.#openToRead(name));
    return this.#known(name)?.share() ?? this.#sharing(name);
  }

  async #openOrCreate(name: string, options: OpenOptions): Promise<LocalPool> {
    const made = await this.#writing(name, () => super.open(name, options));
    made.close();
    return await this.open(name, { write: options.write === true });
  }

  async #openToRead(name: string): Promise<LocalPool> {
    const { storage } = this.run;
    const ring = await inTurns(Ring.opening(storage, this.path(name)));
    return new ReadPool(this.run, ring, name, this.opener, this.#reads);
  }

  async #sharing(name: string): Promise<ServedPool> {
    let pool = this.#known(name);
    for (; pool === undefined; pool = this.#known(name)) await this.#openOnce(name);
    return pool.share();
  }

  /** The pool, if it is open for appending. */
  #known(name: string): ServedPool | undefined {
    const pool = this.#pools.get(name);
    if (pool !== undefined && this.#pools.size > KEEP / 2) {
      this.#pools.delete(name); // The most recently used pool is last.
      this.#pools.set(name, pool);
    }
    return pool;
  }

  /** Opens a pool for appending; concurrent callers share one opening. */
  #openOnce(name: string): Promise<void> {
    let opening = this.#opening.get(name);
    if (opening === undefined) {
      opening = this.#openServed(name).finally(() => this.#opening.delete(name));
      this.#opening.set(name, opening);
    }
    return opening;
  }

  async #openServed(name: string): Promise<void> {
    const { storage } = this.run;
    const ring = await inTurns(WritableRing.opening(storage, this.path(name), Mender));
    this.#pools.set(name, new ServedPool(this.run, ring, name, this.opener, this.#shared));
    if (this.#sweeper === null) {
      this.#sweeper = setInterval(() => this.#sweep(), SWEEP);
      Deno.unrefTimer(this.#sweeper);
    }
    if (this.#pools.size <= KEEP) return;
    for (const [old, { users }] of this.#pools) {
      if (users > 0 || old === name) continue;
      this.#forget(old);
      break;
    }
  }

  #sweep(): void {
    for (const [name, pool] of this.#pools) {
      if (!pool.used && pool.users === 0) this.#forget(name);
      else pool.used = false;
    }
    if (this.#pools.size === 0) this.#stopSweeping();
  }

  #stopSweeping(): void {
    if (this.#sweeper !== null) clearInterval(this.#sweeper);
    this.#sweeper = null;
  }

  #forget(name: string): void {
    const pool = this.#pools.get(name);
    this.#pools.delete(name);
    pool?.forget();
  }

  /** Runs a read of a pool in a separate slot, so that waiting writers do not block readers. */
  #reading<T>(name: string, work: () => Awaitable<T>): Promise<T> {
    return this.#reads.run(this.path(name), SLOT_WAIT, work, saturated);
  }

  /** Runs a call that may wait for a pool's lock in a slot of that pool. */
  #writing<T>(name: string, work: () => Awaitable<T>): Promise<T> {
    return this.#writes.run(this.path(name), SLOT_WAIT, work, saturated);
  }

  override info(name: string): Promise<PoolInfo> {
    return this.#reading(name, () => super.info(name));
  }

  override create(name: string, options?: NewPool): Promise<PoolInfo> {
    return this.#writing(name, () => super.create(name, options));
  }

  override remove(name: string): Promise<void> {
    return this.#writing(name, async () => {
      const path = this.path(name);
      await super.remove(name);
      for (const [other, pool] of this.#pools) if (pool.path === path) this.#forget(other);
      this.#hubs.changed(path);
    });
  }

  override close(): void {
    this.#stopSweeping();
    for (const name of [...this.#pools.keys()]) this.#forget(name);
  }
}
