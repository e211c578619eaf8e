/**
 * An open pool file: its layout, its state block, and appending to it.
 *
 * Appending (docs/spec/format.md 5.2) needs no journal and no recovery on opening, because a
 * process that is killed between any two of its writes leaves a pool that everyone can read and
 * append to. The reasons are given at each write, in `#appendLocked`.
 *
 * @module
 */

import { DAMAGE, PlasmiteError } from "../errors.ts";
import { Semaphore } from "../storage/semaphore.ts";
import { lockTimeout } from "../storage/lock_wait.ts";
import { inPlace, type Steps } from "../storage/steps.ts";
import type { Storage, StorageFile } from "../storage/storage.ts";
import type { FrameBatch } from "./batch.ts";
import { awaitHeader, creating, type RingOptions } from "./creation.ts";
import { type Item, itemAt, wrapMarker } from "./frame.ts";
import {
  type Extension,
  EXTENSION_AT,
  EXTENSION_SIZE,
  parseExtension,
  parseState,
  putState,
  sameState,
  type State,
  stateProblem,
  verifyLayout,
} from "./header.ts";
import {
  FRAME_HEADER,
  HEADER_SIZE,
  HEADER_USED,
  type Layout,
  maxPayload,
  refuseOversize,
  SLOT_SIZE,
  STATE_AT,
  STATE_SIZE,
} from "./layout.ts";
import { Mender } from "./mending.ts";
import { BrokenChain, type Plan, planBatch } from "./plan.ts";

/** The highest possible sequence number. */
const LAST_SEQUENCE = 0xffff_ffff_ffff_ffffn;

/** How long to wait for an incomplete publication, in milliseconds. */
const PUBLICATION_TIMEOUT = 100;

/** The result of an append. */
export interface Appended {
  /** How many frames were appended. */
  readonly count: number;
  /** Sequence number of the first one; the others follow consecutively. */
  readonly first: bigint;
}

/**
 * Decides about an append under the exclusive lock, before anything is written, from the state and
 * what a {@linkcode TagWalk} reads. If it throws, the append is refused and the file is unchanged.
 * It may run more than once per append, because a broken chain may have to be repaired first.
 *
 * It must not read through a {@linkcode Cursor}, which may take the shared lock: on the same
 * descriptor that would turn the exclusive lock into a shared one.
 *
 * @returns what to append instead, possibly nothing; null for the unchanged batch
 */
export type Guard = (state: State) => FrameBatch | null;

/** An open pool file. */
export class Ring {
  /** The sizes fixed at creation. */
  readonly layout: Layout;
  readonly #file: StorageFile;
  readonly #fixed: DataView<ArrayBuffer>;
  readonly #header = new Uint8Array(HEADER_USED);
  readonly #headerView = new DataView(this.#header.buffer);
  readonly #block = new Uint8Array(STATE_SIZE);
  readonly #blockView = new DataView(this.#block.buffer);
  #slots = new Uint8Array(SLOT_SIZE);
  #slotsView = new DataView(this.#slots.buffer);
  #window = new Uint8Array(FRAME_HEADER);
  #windowView = new DataView(this.#window.buffer);
  #tail: { offset: number; item: Item } | null = null;
  #mender: Mender | null = null;
  #semaphore: Semaphore | null = null;
  #judging = false;
  #closed = false;

  private constructor(file: StorageFile, layout: Layout, fixed: Uint8Array<ArrayBuffer>) {
    this.#file = file;
    this.layout = layout;
    this.#fixed = new DataView(fixed.buffer);
  }

  /**
   * Creates a pool file; blocks while another process is creating the same one.
   *
   * @throws {PlasmiteError} Usage, AlreadyExists, Permission, Busy or Io
   */
  static create(storage: Storage, path: string, options: RingOptions = {}): void {
    inPlace(creating(storage, path, options));
  }

  /**
   * Opens a pool file with all checks of docs/spec/format.md 1.6.
   *
   * @throws {PlasmiteError} NotFound, Permission, Io, Corrupt, Busy while another process is
   *   creating it, or Usage for another format version
   */
  static open(storage: Storage, path: string, options: { readonly write: boolean }): Ring {
    return inPlace(Ring.opening(storage, path, options));
  }

  /** Like {@linkcode Ring.open}, in steps: never blocks. */
  static *opening(
    storage: Storage,
    path: string,
    options: { readonly write: boolean },
  ): Steps<Ring> {
    const file = storage.open(path, options);
    let ring: Ring | null = null;
    try {
      const bytes = new Uint8Array(HEADER_USED);
      const view = new DataView(bytes.buffer);
      let length = file.readAt(bytes, 0);
      if (view.getUint32(0, true) === 0) length = yield* awaitHeader(file, bytes);
      const layout = verifyLayout({ view, length }, file.size(), path);
      const opened = new Ring(file, layout, bytes.slice());
      yield* opened.stating();
      return ring = opened;
    } finally {
      if (ring === null) file.close();
    }
  }

  /** The path it was opened by. */
  get path(): string {
    return this.#file.path;
  }

  /** Whether it may be appended to. */
  get writable(): boolean {
    return this.#file.writable;
  }

  /** The largest payload in bytes that fits. */
  get maxPayload(): number {
    return maxPayload(this.layout.ringSize);
  }

  /** Fills `into` from ring offset `offset`; returns the number of bytes read. */
  readRing(into: Uint8Array, offset: number): number {
    return this.#file.readAt(into, this.layout.ringOffset + offset);
  }

  #readBlock(): State {
    this.#checkOpen();
    if (this.#file.readAt(this.#block, STATE_AT) !== STATE_SIZE) {
      throw this.#corrupt("file is truncated");
    }
    return parseState(this.#blockView, 0);
  }

  /** Reads the highest sequence number without verification, for idle followers. */
  newestHint(): bigint {
    this.#checkOpen();
    this.#file.readAt(this.#block, STATE_AT);
    return this.#blockView.getBigUint64(32, true);
  }

  /**
   * The verified state block; read until two reads agree, because a writer of the reference stores
   * it field by field (docs/spec/format.md 5.1 D7).
   *
   * @returns null while a suspended writer has stored only part of it, and so holds the lock
   * @throws {PlasmiteError} Corrupt when it is damaged
   */
  tryState(): State | null {
    // Two equal reads are no proof, since a writer can sleep between two stores. But a mixture
    // either fails the checks, or is found when frames and numbers do not match.
    let before = this.#readBlock();
    for (let tries = 0; tries < 64; tries++) {
      const now = this.#readBlock();
      if (sameState(before, now) && stateProblem(now, this.layout.ringSize) === null) return now;
      before = now;
    }
    // An incomplete publication lasts nanoseconds; one that persists without a writer is damage.
    const locked = this.tryShared(() => this.#readBlock());
    if (locked === null) return null;
    const problem = stateProblem(locked, this.layout.ringSize);
    if (problem === null) return locked;
    throw this.#corrupt(problem);
  }

  /**
   * Like {@linkcode Ring.tryState}, but blocks while a suspended writer holds the lock.
   *
   * @throws {PlasmiteError} Corrupt when it is damaged, Busy when the writer does not resume
   */
  state(): State {
    return this.tryState() ?? inPlace(this.stating());
  }

  /** Like {@linkcode Ring.state}, in steps: never blocks. */
  *stating(): Steps<State> {
    const first = this.tryState();
    if (first !== null) return first;
    for (const since = performance.now(); performance.now() - since < PUBLICATION_TIMEOUT;) {
      yield "busy";
      const state = this.tryState();
      if (state !== null) return state;
    }
    throw lockTimeout(this.path);
  }

  #corrupt(message: string, offset?: number): PlasmiteError {
    return new PlasmiteError("Corrupt", message, {
      path: this.path,
      ...DAMAGE,
      ...(offset === undefined ? {} : { offset: BigInt(offset) }),
    });
  }

  #tooLarge(): PlasmiteError {
    return new PlasmiteError("Usage", "batch too large for a conditional append", {
      path: this.path,
      hint: "All of it goes in at once or nothing does: send fewer messages, half a pool at most.",
    });
  }

  #checkOpen(): void {
    if (this.#closed) {
      throw new PlasmiteError("Usage", "pool is closed", { hint: "Open the pool again." });
    }
  }

  /**
   * Runs `work` under the shared lock, which excludes all writers; null if the lock is not free.
   */
  tryShared<T>(work: () => T): T | null {
    this.#checkOpen();
    if (this.#judging) throw new Error("a guard must not give up the exclusive lock");
    if (!this.#file.tryLock(false)) return null;
    try {
      return work();
    } finally {
      this.#file.unlock();
    }
  }

  /**
   * Checks that the path still refers to the open file (docs/spec/format.md 14.3).
   *
   * @throws {PlasmiteError} NotFound when it was deleted or replaced, Corrupt when it was truncated
   */
  checkIdentity(): void {
    this.#checkOpen();
    const state = this.#file.pathState(this.layout.fileSize);
    if (state === "same") return;
    if (state === "resized") {
      const cut = this.#file.size() < this.layout.fileSize;
      throw this.#corrupt(cut ? "file is truncated" : "invalid file size");
    }
    throw new PlasmiteError(
      "NotFound",
      state === "missing" ? "not found" : "pool path now refers to a different file",
      { path: this.path, hint: "The pool was deleted or replaced. Open the pool again." },
    );
  }

  /**
   * Runs `work` under the exclusive lock, with the current state. Every change that it makes must
   * be safe to interrupt by a kill.
   *
   * @returns null when another process holds the lock
   * @throws {PlasmiteError} NotFound (pool deleted or replaced), Corrupt or Io; whatever `work`
   *   throws
   */
  tryExclusive<T>(work: (file: StorageFile, state: State) => T): T | null {
    this.#checkOpen();
    if (!this.#file.tryLock(true)) return null;
    try {
      this.checkIdentity();
      return work(this.#file, this.#lockedState());
    } finally {
      this.#file.unlock();
    }
  }

  /** The header's extension block; null if there is none. */
  extension(): Extension | null {
    this.#checkOpen();
    const bytes = new Uint8Array(EXTENSION_SIZE);
    const got = this.#file.readAt(bytes, EXTENSION_AT);
    return parseExtension(bytes.subarray(0, got));
  }

  /** Reads the header under the lock, with all checks of docs/spec/format.md 1.6. */
  #lockedState(): State {
    const length = this.#file.readAt(this.#header, 0);
    for (let at = 0; at < STATE_AT; at += 8) {
      if (this.#headerView.getBigUint64(at, true) === this.#fixed.getBigUint64(at, true)) continue;
      verifyLayout({ view: this.#headerView, length }, this.#file.size(), this.path);
      throw this.#corrupt("header changed while open");
    }
    const state = parseState(this.#headerView, STATE_AT);
    const problem = stateProblem(state, this.layout.ringSize);
    if (problem !== null) throw this.#corrupt(problem);
    return state;
  }

  /**
   * A function that classifies the item at a ring offset, reading ahead `window` bytes at a time.
   */
  #itemReader(window: number): (offset: number) => Item {
    const { ringSize } = this.layout;
    if (this.#window.length < window) {
      this.#window = new Uint8Array(window);
      this.#windowView = new DataView(this.#window.buffer);
    }
    const view = this.#windowView;
    let from = 0;
    let to = 0;
    return (offset) => {
      if (offset < from || offset + FRAME_HEADER > to) {
        const length = Math.min(window, ringSize - offset);
        const got = this.readRing(this.#window.subarray(0, length), offset);
        from = offset;
        to = offset + got;
      }
      if (offset + FRAME_HEADER > to) {
        return { kind: "bad", seq: 0n, end: 0, problem: "frame header too small" };
      }
      return itemAt(view, offset - from, offset, ringSize);
    };
  }

  /** Refuses a payload that can never fit, before taking the lock. */
  checkFits(payload: number): void {
    refuseOversize(payload, this.layout.ringSize, this.path);
  }

  /**
   * Appends frames `from` and after of a batch under one lock, as many as fit without overwriting
   * one another; call again for the rest.
   *
   * @param flush whether they must be on stable storage before this returns
   * @param guard decides about the append under the lock; the batch is then appended as a whole or
   *   not at all
   * @returns null if it must be retried shortly: another process holds the lock, or the search for
   *   the remains of a broken chain is in progress (docs/spec/format.md 5.4)
   * @throws {PlasmiteError} Usage, NotFound (pool deleted or replaced), Corrupt or Io; whatever the
   *   guard throws
   */
  tryAppend(batch: FrameBatch, from = 0, flush = false, guard?: Guard): Appended | null {
    this.#checkOpen();
    for (let i = from; i < batch.count; i++) this.checkFits(batch.payloadOf(i));
    if (from >= batch.count) return { count: 0, first: 0n };
    let done: Appended | null = null;
    while (done === null) {
      if (this.#mender?.search() === false) return null;
      if (!this.#file.tryLock(true)) return null;
      try {
        // Checked under the lock, which deletion takes too: an earlier result could be outdated,
        // and the messages would go into a file that no one can open any more.
        this.checkIdentity();
        done = guard === undefined
          ? this.#appendLocked(batch, from, flush, false)
          : this.#appendGuarded(batch, from, flush, guard);
      } catch (error) {
        if (error instanceof BrokenChain) continue; // A search has started; it needs no lock.
        throw PlasmiteError.is(error) ? error.with({ path: this.path }) : error;
      } finally {
        this.#file.unlock();
      }
    }
    if (done.count === 0) return done; // The guard left nothing to append.
    // After unlocking: a follower of 1.x would wake up only to wait for the lock.
    this.#semaphore ??= new Semaphore(this.path);
    this.#semaphore.post();
    return done;
  }

  /**
   * The tail frame's header, if the last append looked at it and it is still the tail. A live frame
   * does not change, and its number is assigned only once; the published end must agree as well.
   */
  #knownTail(state: State): { offset: number; item: Item } | null {
    const known = this.#tail;
    if (known === null || known.offset !== state.tail || known.item.seq !== state.oldest) {
      return null;
    }
    return known.item.end % this.layout.ringSize === state.tailNext ? known : null;
  }

  #plan(batch: FrameBatch, from: number, guarded: boolean): { plan: Plan; state: State } {
    const { ringSize } = this.layout;
    const count = batch.count - from;
    const bytes = batch.startOf(batch.count) - batch.startOf(from);
    // For one message, read only the tail header; for many, read as much at once as must be
    // dropped.
    const read = this.#itemReader(count === 1 ? FRAME_HEADER : Math.min(bytes, ringSize, 1 << 18));
    let state = this.#lockedState();
    let known = this.#knownTail(state);
    let seen = known;
    const look = (offset: number): Item => {
      if (known !== null && offset === known.offset) return known.item;
      const item = read(offset);
      if (item.kind === "frame") seen = { offset, item };
      return item;
    };
    if (state.newest === LAST_SEQUENCE) {
      throw new PlasmiteError("Usage", "sequence space exhausted; create another pool", {
        path: this.path,
        hint: "Create another pool: this one has used its last sequence number.",
      });
    }
    const left = LAST_SEQUENCE - state.newest;
    const wanted = left < BigInt(count) ? Number(left) : count;
    const lengthOf = (i: number): number => batch.lengthOf(from + i);
    this.#tail = null;
    for (;;) {
      try {
        const plan = planBatch(state, ringSize, wanted, lengthOf, look);
        this.#tail = seen;
        this.#mender?.settled();
        return { plan, state };
      } catch (error) {
        if (!(error instanceof BrokenChain)) throw error;
        // Under the lock this cannot be a writer in progress; a killed writer of the reference left
        // it (docs/spec/format.md 5.4). Nothing was written yet, so the lock can be released for
        // the search without leaving anything incomplete.
        this.#mender ??= new Mender(this.#file, this.layout);
        state = this.#mender.mend(state, error);
        if (guarded) throw error; // The guard judged a state that no longer is.
        known = null;
      }
    }
  }

  /** Appends what a guard accepts, as a whole. */
  #appendGuarded(given: FrameBatch, at: number, flush: boolean, guard: Guard): Appended {
    const instead = this.#judge(guard);
    const batch = instead ?? given;
    const from = instead === null ? at : 0;
    if (from >= batch.count) return { count: 0, first: 0n };
    if (instead !== null) {
      for (let i = 0; i < batch.count; i++) this.checkFits(batch.payloadOf(i));
    }
    return this.#appendLocked(batch, from, flush, true);
  }

  /** Runs a guard, after repairing a broken chain if it finds one. */
  #judge(guard: Guard): FrameBatch | null {
    let state = this.#lockedState();
    for (;;) {
      this.#judging = true;
      try {
        return guard(state);
      } catch (error) {
        if (!(error instanceof BrokenChain)) throw error;
        this.#mender ??= new Mender(this.#file, this.layout);
        state = this.#mender.mend(state, error);
      } finally {
        this.#judging = false;
      }
    }
  }

  /** Steps A to E of docs/spec/format.md 5.2, in this order and no other. */
  #appendLocked(batch: FrameBatch, from: number, flush: boolean, guarded: boolean): Appended {
    const file = this.#file;
    const { ringOffset } = this.layout;
    const { plan, state } = this.#plan(batch, from, guarded);
    if (guarded && plan.count < batch.count - from) throw this.#tooLarge();
    // A. Disclaim what must be dropped before it is overwritten. Killed here: those messages have
    //    expired, as they were about to. A reader that is copying one of them sees `oldest` above
    //    its number when it looks again, and discards the copy.
    if (plan.advanced !== null) {
      this.#publish(plan.advanced);
      // Otherwise a power loss could leave the old header above the new frames.
      if (flush) file.sync();
    }
    // B and C. Everything between head and tail is free now. Killed here, even inside a write: no
    // reader looks beyond head, and the next append starts at the same offset. The order of these
    // writes does not matter, so frames are written whole, with state 2.
    if (plan.wrapAt >= 0) file.writeAt(wrapMarker(), ringOffset + plan.wrapAt);
    const first = state.newest + 1n;
    const to = from + plan.count;
    const turn = from + plan.second;
    batch.number(from, to, first);
    file.writeAt(batch.slice(from, turn), ringOffset + plan.firstAt);
    if (turn < to) file.writeAt(batch.slice(turn, to), ringOffset);
    // D. Killed here: the slots have numbers above `newest`, which are never looked up, and a
    //    number they displaced is found by walking.
    this.#index(batch, from, to, turn, plan.firstAt, first);
    // The frames must be on disk before a header that refers to them.
    if (flush) file.sync();
    // E. From here on the messages exist, all of them at once.
    this.#publish(plan.published);
    if (flush) file.sync();
    return { count: plan.count, first };
  }

  /**
   * One write of 40 bytes inside one sector and one page: a killed process leaves the old block or
   * the new one, never a mixture. Field by field would not work: every order has a state that is
   * refused on opening or looks like a full ring.
   */
  #publish(state: State): void {
    putState(this.#blockView, 0, state);
    this.#file.writeAt(this.#block, STATE_AT);
  }

  /**
   * Writes the slots of frames `from` to `to`, which are adjacent in the table: one or two writes.
   */
  #index(
    batch: FrameBatch,
    from: number,
    to: number,
    turn: number,
    firstAt: number,
    first: bigint,
  ): void {
    const { indexCapacity: capacity } = this.layout;
    if (capacity === 0) return;
    const begin = Math.max(from, to - capacity);
    const length = (to - begin) * SLOT_SIZE;
    if (this.#slots.length < length) {
      this.#slots = new Uint8Array(length);
      this.#slotsView = new DataView(this.#slots.buffer);
    }
    const bytes = this.#slots;
    const view = this.#slotsView;
    const seq = first + BigInt(begin - from);
    let lo = Number(seq & 0xffff_ffffn);
    let hi = Number(seq >> 32n);
    for (let i = begin, at = 0; i < to; i++, at += SLOT_SIZE) {
      const offset = i < turn
        ? firstAt + batch.startOf(i) - batch.startOf(from)
        : batch.startOf(i) - batch.startOf(turn);
      view.setUint32(at, lo, true);
      view.setUint32(at + 4, hi, true);
      view.setUint32(at + 8, offset, true);
      view.setUint32(at + 12, offset / 0x1_0000_0000, true);
      lo = (lo + 1) >>> 0;
      if (lo === 0) hi++;
    }
    const slot = Number(seq % BigInt(capacity));
    const straight = Math.min(to - begin, capacity - slot);
    this.#file.writeAt(bytes.subarray(0, straight * SLOT_SIZE), HEADER_SIZE + slot * SLOT_SIZE);
    if (straight < to - begin) {
      this.#file.writeAt(bytes.subarray(straight * SLOT_SIZE, length), HEADER_SIZE);
    }
  }

  /**
   * The ring offset of `seq` according to the index, or -1; only a hint (docs/spec/format.md 1.3).
   */
  indexOffset(seq: bigint): number {
    const { indexCapacity, ringSize } = this.layout;
    if (indexCapacity === 0) return -1;
    const bytes = new Uint8Array(SLOT_SIZE);
    const slot = Number(seq % BigInt(indexCapacity));
    if (this.#file.readAt(bytes, HEADER_SIZE + slot * SLOT_SIZE) !== SLOT_SIZE) return -1;
    const view = new DataView(bytes.buffer);
    if (view.getBigUint64(0, true) !== seq) return -1;
    const offset = view.getBigUint64(8, true);
    return offset < BigInt(ringSize) && offset % 8n === 0n ? Number(offset) : -1;
  }

  /** Closes the file; a second call does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#semaphore?.close();
    this.#file.close();
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#closed;
  }
}
