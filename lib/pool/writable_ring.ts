/**
 * Appending to an open pool file (docs/spec/format.md 5.2).
 *
 * It needs no journal and no recovery on opening, because a process that is killed between any two
 * of its writes leaves a pool that everyone can read and append to. The reasons are given at each
 * write, in `#appendLocked`.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { Semaphore } from "../storage/semaphore.ts";
import type { Steps } from "../storage/steps.ts";
import type { Storage } from "../storage/storage.ts";
import type { FrameBatch } from "./batch.ts";
import { type Item, type Passing, wrapMarker } from "./frame.ts";
import { putState, type State } from "./header.ts";
import {
  FRAME_HEADER,
  HEADER_SIZE,
  refuseOversize,
  SLOT_SIZE,
  STATE_AT,
  STATE_SIZE,
} from "./layout.ts";
import type { Mender } from "./mending.ts";
import { BrokenChain, type Plan, planBatch, spareOf } from "./plan.ts";
import { EXPIRED_WINDOW, Ring } from "./ring.ts";

/** How many expired messages an append drops, so that its time under the lock is limited. */
const MOST_EXPIRED = 64;

/** How many bytes are read at once where room is made ahead. */
const AHEAD_WINDOW = 1 << 14;

/** The highest possible sequence number. */
const LAST_SEQUENCE = 0xffff_ffff_ffff_ffffn;

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

/** An open pool file that may be appended to. */
export class WritableRing extends Ring {
  readonly #block = new Uint8Array(STATE_SIZE);
  readonly #blockView = new DataView(this.#block.buffer);
  #slots = new Uint8Array(SLOT_SIZE);
  #slotsView = new DataView(this.#slots.buffer);
  #tail: { offset: number; item: Item } | null = null;
  #mender: Mender | null = null;
  #semaphore: Semaphore | null = null;
  #guarding = false;

  /**
   * Opens a pool file for appending, in steps.
   *
   * @param mender the class of `mending.ts`, which repairs a broken chain; where it is loaded only
   *   when it is needed, {@linkcode WritableRing.mendWith} follows
   * @throws {PlasmiteError} as {@linkcode Ring.open}
   */
  static override opening(
    storage: Storage,
    path: string,
    mender?: typeof Mender,
  ): Steps<WritableRing> {
    return Ring.verifying(storage.open(path, { write: true }), (verified) => {
      const ring = new WritableRing(verified);
      if (mender !== undefined) ring.mendWith(mender);
      return ring;
    });
  }

  /** @inheritdoc */
  override asWritable(): WritableRing {
    return this;
  }

  /** Whether an append repairs a broken chain that it finds. */
  get mends(): boolean {
    return this.#mender !== null;
  }

  /** Lets appends repair a broken chain; the class of `mending.ts`. */
  mendWith(mender: typeof Mender): void {
    this.#mender ??= new mender(this.file, this.layout);
  }

  #tooLarge(): PlasmiteError {
    return new PlasmiteError("Usage", "batch too large for a conditional append", {
      path: this.path,
      hint: "The batch must fit at once: send fewer messages, at most half of the pool.",
    });
  }

  /** @inheritdoc */
  override tryShared<T>(work: () => T): T | null {
    if (this.#guarding) throw new Error("a guard must not give up the exclusive lock");
    return super.tryShared(work);
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
   *   the remains of a broken chain is in progress (docs/spec/format.md 5.4). A ring that does not
   *   {@linkcode WritableRing.mends | mend} needs {@linkcode WritableRing.mendWith} before that
   * @throws {PlasmiteError} Usage, NotFound (pool deleted or replaced), Corrupt or Io; whatever the
   *   guard throws
   */
  tryAppend(batch: FrameBatch, from = 0, flush = false, guard?: Guard): Appended | null {
    this.checkOpen();
    for (let i = from; i < batch.count; i++) this.checkFits(batch.payloadOf(i));
    if (from >= batch.count) return { count: 0, first: 0n };
    let done: Appended | null = null;
    while (done === null) {
      if (this.#mender?.search() === false) return null;
      if (!this.file.tryLock(true)) return null;
      try {
        // Checked under the lock, which deletion takes too: an earlier result could be outdated,
        // and the messages would go into a file that no one can open any more.
        this.checkPath();
        done = guard === undefined
          ? this.#appendLocked(batch, from, flush, false)
          : this.#appendGuarded(batch, from, flush, guard);
      } catch (error) {
        if (error instanceof BrokenChain) {
          if (this.#mender === null) return null;
          continue; // A search has started; it needs no lock.
        }
        throw PlasmiteError.is(error) ? error.with({ path: this.path }) : error;
      } finally {
        this.file.unlock();
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

  /**
   * Reads what is at the tail: for one message only a header, and more only where room is made
   * ahead; for many, as much at once as must be dropped.
   */
  #tailReader(
    count: number,
    bytes: number,
    spare: number,
    expiring: boolean,
  ): { look: (offset: number) => Item; pass?: Passing } {
    if (count > 1) return this.frameReader(Math.min(bytes, this.layout.ringSize, 1 << 18));
    const first = expiring ? EXPIRED_WINDOW : FRAME_HEADER;
    return { look: this.itemReader(first, Math.max(first, Math.min(spare, AHEAD_WINDOW))) };
  }

  #plan(batch: FrameBatch, from: number, guarded: boolean): { plan: Plan; state: State } {
    const { ringSize } = this.layout;
    const count = batch.count - from;
    const bytes = batch.startOf(batch.count) - batch.startOf(from);
    let state = this.lockedState();
    const expiring = this.maxAgeNs !== 0n;
    const spare = spareOf(ringSize);
    const { look: read, pass } = this.#tailReader(count, bytes, spare, expiring);
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
        const live = expiring ? this.expireOld(state, look, MOST_EXPIRED) : state;
        const plan = planBatch(live, ringSize, wanted, lengthOf, look, spare, pass);
        this.#tail = seen;
        this.#mender?.settled();
        if (live === state || plan.advanced !== null) return { plan, state };
        return { plan: { ...plan, advanced: live }, state };
      } catch (error) {
        if (!(error instanceof BrokenChain)) throw error;
        // Under the lock this cannot be a writer in progress; a killed writer of the reference left
        // it (docs/spec/format.md 5.4). Nothing was written yet, so the lock can be released for
        // the search without leaving anything incomplete.
        if (this.#mender === null) throw error;
        state = this.#mender.mend(state, error);
        if (guarded) throw error; // The guard decided on a state that has changed.
        known = null;
      }
    }
  }

  /** Appends what a guard accepts, as a whole. */
  #appendGuarded(given: FrameBatch, at: number, flush: boolean, guard: Guard): Appended {
    const instead = this.#runGuard(guard);
    const batch = instead ?? given;
    const from = instead === null ? at : 0;
    if (from >= batch.count) return { count: 0, first: 0n };
    if (instead !== null) {
      for (let i = 0; i < batch.count; i++) this.checkFits(batch.payloadOf(i));
    }
    return this.#appendLocked(batch, from, flush, true);
  }

  /** Runs a guard, after repairing a broken chain if it finds one. */
  #runGuard(guard: Guard): FrameBatch | null {
    let state = this.lockedState();
    for (;;) {
      this.#guarding = true;
      try {
        return guard(state);
      } catch (error) {
        if (!(error instanceof BrokenChain)) throw error;
        if (this.#mender === null) throw error;
        state = this.#mender.mend(state, error);
      } finally {
        this.#guarding = false;
      }
    }
  }

  /** Steps A to E of docs/spec/format.md 5.2, in this order and no other. */
  #appendLocked(batch: FrameBatch, from: number, flush: boolean, guarded: boolean): Appended {
    const file = this.file;
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
    this.file.writeAt(this.#block, STATE_AT);
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
    this.file.writeAt(bytes.subarray(0, straight * SLOT_SIZE), HEADER_SIZE + slot * SLOT_SIZE);
    if (straight < to - begin) {
      this.file.writeAt(bytes.subarray(straight * SLOT_SIZE, length), HEADER_SIZE);
    }
  }

  /** @inheritdoc */
  override close(): void {
    if (!this.closed) this.#semaphore?.close();
    super.close();
  }
}
