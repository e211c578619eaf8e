/**
 * A cursor that can wait for messages, used by `tail`, `follow`, the server's streams and the
 * agents' wait.
 *
 * @module
 */

import { DAMAGE, ErrorKind, PlasmiteError } from "../../errors.ts";
import { MessageView } from "../../lite3/message.ts";
import { BUSY, Cursor, MORE } from "../../pool/cursor.ts";
import type { Resync } from "../../pool/resync.ts";
import { Ring } from "../../pool/ring.ts";
import type { FreshFrames } from "../../pool/fresh_frames.ts";
import { disk } from "../../storage/file.ts";
import type { Steps } from "../../storage/steps.ts";
import { beforeNextTry, Slice } from "../../storage/turns.ts";
import { pollPool, type PoolWatch, watchPool } from "../../storage/watch.ts";
import type { Gap } from "../../types.ts";

/** How often an idle follower checks that its pool was not deleted, in milliseconds. */
const IDENTITY_EVERY = 1000;

/** Where a follower starts. */
export type Start = bigint | "oldest" | "end";

/** A watch that several followers share, and that reads for them. */
export interface SharedWatch extends PoolWatch {
  /**
   * New frames from `seq` on, read once for all who wait for them; null if there are none, undefined
   * if the follower has to look itself.
   */
  fresh?(ring: Ring, seq: bigint): FreshFrames | null | undefined;
  /** Calls `wake` at the next notification later than `seen`; false if there was one. */
  sleep?(seen: number, wake: () => void): boolean;
}

/** Follows one pool through a file handle of its own. */
export class Follower {
  /** The pool file. */
  readonly ring: Ring;
  /** The current frame and its bytes; valid until the next call of {@linkcode Follower.next}. */
  readonly cursor: Cursor;
  /** Its time slice in a process that serves others; null otherwise. */
  readonly slice: Slice | null;
  /** Goes on behind damage; null if damage is an error. */
  readonly #resync: Resync | null;
  readonly #view = new MessageView();
  readonly #watch: SharedWatch;
  #seen = 0;
  #viewed = false;
  #busy = false;
  #unfinished = false;
  #closed = false;
  #checkedAt = performance.now();
  /** Whether it has waited for its next message: then it may be that which others wait for. */
  #rested = false;
  #asleep = false;

  /**
   * Opens the pool at `path`.
   *
   * @param start a sequence number (inclusive), the oldest retained message, or after the newest
   * @param notify whether to wait for change notifications; if false, polls at increasing intervals
   * @param inTurns whether the process serves others: a long walk to the first message is then done
   *   in slices, with {@linkcode Follower.unfinished} in between
   * @param ring the pool, if already open; the follower closes it
   * @param watch the source of change notifications, instead of `notify`; the follower closes it
   * @param resync goes on behind damage, which is an error without it
   * @throws {PlasmiteError} NotFound, Permission, Corrupt, Usage or Io
   */
  constructor(
    path: string,
    start: Start,
    notify = true,
    inTurns = false,
    ring: Ring = Ring.open(disk, path),
    watch?: SharedWatch,
    resync: Resync | null = null,
  ) {
    this.ring = ring;
    const seq = start === "oldest" ? 0n : start === "end" ? this.ring.state().newest + 1n : start;
    this.#resync = resync;
    this.cursor = new Cursor(this.ring, seq, false, resync);
    this.slice = inTurns ? new Slice() : null;
    this.#watch = watch ?? (notify ? watchPool(path) : pollPool());
  }

  /**
   * Like the constructor, but never blocks, for a process that serves others.
   *
   * @throws {PlasmiteError} NotFound, Permission, Corrupt, Usage, Busy or Io
   */
  static *opening(
    path: string,
    start: Start,
    notify = true,
    watch?: SharedWatch,
    resync: Resync | null = null,
  ): Steps<Follower> {
    const ring = yield* Ring.opening(disk, path);
    let follower: Follower | null = null;
    try {
      const seq = start === "end" ? (yield* ring.stating()).newest + 1n : start;
      return follower = new Follower(path, seq, notify, true, ring, watch, resync);
    } finally {
      if (follower === null) ring.close();
    }
  }

  /**
   * Moves to the next available message.
   *
   * @returns false if there is none yet; then call {@linkcode Follower.wait}
   * @throws {PlasmiteError} Corrupt for damage in the retained range
   */
  next(): boolean {
    this.#viewed = false;
    if (this.cursor.next()) return true;
    this.#seen = this.#watch.version;
    const { slice } = this;
    if (this.#asleep) slice?.restart();
    this.#asleep = false;
    if (this.#rested) {
      const fresh = this.#watch.fresh?.(this.ring, this.cursor.expected);
      this.#busy = this.#unfinished = false;
      if (fresh === null) return false;
      if (fresh !== undefined && this.cursor.adopt(fresh)) return this.cursor.next();
    }
    let ready = this.cursor.fill(slice !== null);
    while (ready === MORE && slice?.over !== true) ready = this.cursor.fill(slice !== null);
    this.#busy = ready === BUSY;
    this.#unfinished = ready === MORE;
    if (ready === 0 && this.#watch.begin?.() === true) return this.next();
    if (ready <= 0) return false;
    this.#rested = false;
    this.#watch.found();
    return this.cursor.next();
  }

  /**
   * Whether the last `next` stopped early to yield to other tasks; {@linkcode Follower.wait} then
   * returns when it is this task's turn again.
   */
  get unfinished(): boolean {
    return this.#unfinished;
  }

  /** Checks the current message; if it is not whole, `next` goes back to it. */
  isWhole(): boolean {
    return this.cursor.isWhole();
  }

  /** Returns the gap before the current message, once. */
  takeGap(): Gap | null {
    const { gap } = this.cursor;
    this.cursor.gap = null;
    return gap;
  }

  /** Returns the messages before the current one, or at the end, that cannot be read, once. */
  takeUnreadable(): readonly Gap[] {
    const { unreadable } = this.cursor;
    if (unreadable.length > 0) this.cursor.unreadable = [];
    return unreadable;
  }

  /**
   * Checks that the current message can be read to its end, if damage is skipped.
   *
   * @throws {PlasmiteError} Corrupt
   */
  check(): void {
    const { cursor } = this;
    const checked = cursor.shared?.checked;
    if (this.#resync === null || checked?.has(cursor.payloadAt) === true) return;
    this.#resync.check(cursor);
    checked?.add(cursor.payloadAt);
  }

  /**
   * The current message, with its envelope checked.
   *
   * @throws {PlasmiteError} Corrupt when the payload is not a message
   */
  get message(): MessageView {
    const view = this.#view;
    if (this.#viewed) return view;
    try {
      view.openFrame(this.cursor, this.cursor.dv);
    } catch (error) {
      throw this.#damaged(error);
    }
    this.#viewed = true;
    return view;
  }

  /** The error for an unreadable message, with its position added. */
  #damaged(error: unknown): unknown {
    if (!PlasmiteError.is(error, ErrorKind.Corrupt)) return error;
    const { message, causes } = error;
    const place = { path: this.ring.path, seq: this.cursor.seq };
    return new PlasmiteError("Corrupt", message, { ...DAMAGE, ...place, causes, cause: error });
  }

  /**
   * Waits until there may be new messages.
   *
   * @param ms the time limit in milliseconds; undefined for none
   * @returns false on time-out
   * @throws {PlasmiteError} as {@linkcode Follower.checkIdentity}; the signal's reason when it is
   *   aborted
   */
  async wait(ms?: number, signal?: AbortSignal): Promise<boolean> {
    if (this.#unfinished && this.slice !== null) {
      await this.slice.next();
      signal?.throwIfAborted();
      return true;
    }
    if (this.#busy) {
      await beforeNextTry();
      this.slice?.restart();
      return true;
    }
    if (this.#watch.failed === true && this.#watch.renew !== undefined) {
      this.ring.checkIdentity();
      await this.#watch.renew();
      return true;
    }
    if (this.#watch.checksIdentity !== true) this.checkIdentity();
    const woken = await this.#watch.wait(this.#seen, ms, signal);
    this.#rested = true;
    this.slice?.restart();
    return woken;
  }

  /** As {@linkcode FrameSource.sleep}. */
  sleep(wake: () => void): boolean {
    if (this.#unfinished || this.#busy || this.#watch.failed === true) return false;
    if (this.#watch.checksIdentity !== true) return false;
    if (this.#watch.sleep?.(this.#seen, wake) !== true) return false;
    this.#rested = this.#asleep = true;
    return true;
  }

  /**
   * Checks, at most once per second, that the path still refers to the followed file.
   *
   * @throws {PlasmiteError} NotFound when it was deleted or replaced, Corrupt when it was truncated
   */
  checkIdentity(): void {
    const now = performance.now();
    if (this.#closed || now - this.#checkedAt < IDENTITY_EVERY) return;
    this.#checkedAt = now;
    this.ring.checkIdentity();
  }

  /** Whether the follower was closed. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Ends a wait in progress and closes the file. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.close();
    this.ring.close();
  }
}
