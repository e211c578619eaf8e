/**
 * An open pool file: its layout, its state block, and its locks. Appending is in
 * `writable_ring.ts`.
 *
 * @module
 */

import { DAMAGE, PlasmiteError } from "../errors.ts";
import { untilUnlocked } from "../storage/lock_wait.ts";
import { inPlace, type Steps } from "../storage/steps.ts";
import type { Storage, StorageFile } from "../storage/storage.ts";
import {
  emptied,
  frameEnd,
  type Item,
  itemAt,
  noFrame,
  type Passing,
  withoutExpired,
} from "./frame.ts";
import {
  AgeLimit,
  type Extension,
  EXTENSION_AT,
  EXTENSION_SIZE,
  indexedOffset,
  parseExtension,
  parseState,
  saidFileSize,
  sameState,
  type State,
  stateProblem,
  verifyLayout,
} from "./header.ts";
import { FRAME_HEADER, type Layout, maxPayload, STATE_AT } from "./layout.ts";
import { awaitHeader } from "./unfinished.ts";
import type { WritableRing } from "./writable_ring.ts";

/** How much of the header is read: up to the end of the extension block. */
const HEADER_READ = EXTENSION_AT + EXTENSION_SIZE;

/** How many bytes are read at once where expired messages are expected, */
export const EXPIRED_WINDOW = 4096;
/** and where there may be many of them. */
const SEARCH_WINDOW = 1 << 16;
/** After how many expired messages a reader lets others have a turn. */
const SEARCH_STEP = 1024;

/** How long to wait for an incomplete publication, in milliseconds. */
const PUBLICATION_TIMEOUT = 100;

/** An open pool file whose header was verified. */
export interface VerifiedFile {
  /** The file. */
  readonly file: StorageFile;
  /** Its layout. */
  readonly layout: Layout;
  /** The header as read. */
  readonly fixed: Uint8Array<ArrayBuffer>;
}

/** The first message that had not expired. */
interface LiveStart {
  /** The limit at that time. */
  readonly maxAgeNs: bigint;
  readonly seq: bigint;
  /** The ring offset of its frame. */
  readonly place: number;
  /** Whether the search goes on from there. */
  readonly far: boolean;
}

/** A search for a message far from the tail, in steps. */
export interface Jump {
  /** Goes on; returns the ring offset of the message, -1 if it was not found, null for more. */
  step(): number | null;
}

/** Begins to look for message `seq`; null if a walk from the tail is as quick. */
export type FindFar = (ring: Ring, state: State, seq: bigint) => Jump | null;

const NO_BYTES = new Uint8Array();
const NO_VIEW = new DataView(NO_BYTES.buffer);

/** An open pool file. */
export class Ring {
  /**
   * Finds messages that the index no longer holds, once `jump.ts` is loaded; before that, and if it
   * is null, they are walked to. Who opens large pools loads it.
   */
  static findFar: FindFar | null = null;

  /** The sizes fixed at creation. */
  readonly layout: Layout;
  /** The open file. */
  protected readonly file: StorageFile;
  readonly #fixed: DataView<ArrayBuffer>;
  /** What `#readHeader` reads, made by its first call. */
  #header: Uint8Array<ArrayBuffer> | null = null;
  #headerView = NO_VIEW;
  /** What {@linkcode Ring.tryState} reads: the state block and the extension block. */
  readonly #block = new Uint8Array(HEADER_READ - STATE_AT);
  readonly #blockView = new DataView(this.#block.buffer);
  /** What {@linkcode Ring.itemReader} reads into, made by its first call. */
  #window = NO_BYTES;
  #windowView = NO_VIEW;
  readonly #limit = new AgeLimit();
  /** The first message that had not expired, with the ring offset of its frame. */
  #live: LiveStart | null = null;
  #closed = false;
  /** The state at the time it was opened. */
  #opened: State | null = null;

  /** For internal use: call {@linkcode Ring.open}. */
  protected constructor({ file, layout, fixed }: VerifiedFile) {
    this.file = file;
    this.layout = layout;
    this.#fixed = new DataView(fixed.buffer);
  }

  /**
   * Opens a pool file for reading, with all checks of docs/spec/format.md 1.6.
   *
   * @throws {PlasmiteError} NotFound, Permission, Io, Corrupt, Busy while another process is
   *   creating it, or Usage for another format version
   */
  static open(storage: Storage, path: string): Ring {
    return inPlace(Ring.opening(storage, path));
  }

  /** Like {@linkcode Ring.open}, in steps: never blocks. */
  static opening(storage: Storage, path: string): Steps<Ring> {
    return Ring.verifying(storage.open(path, { write: false }), (verified) => new Ring(verified));
  }

  /** Verifies an open file, which is closed if that fails. */
  protected static *verifying<R extends Ring>(
    file: StorageFile,
    make: (verified: VerifiedFile) => R,
  ): Steps<R> {
    let ring: R | null = null;
    try {
      const fixed = new Uint8Array(HEADER_READ);
      const view = new DataView(fixed.buffer);
      let length = file.readAt(fixed, 0);
      if (view.getUint32(0, true) === 0) length = yield* awaitHeader(file, fixed);
      // A creator may have sized the file after it was opened; then its size is asked again.
      const told = saidFileSize(view);
      const size = file.opened.size === told ? told : file.size();
      const layout = verifyLayout({ view, length }, size, file.path);
      const opened = make({ file, layout, fixed });
      opened.#opened = opened.#agreed(length) ?? (yield* opened.stating());
      return ring = opened;
    } finally {
      if (ring === null) file.close();
    }
  }

  /** The state in the header that was read on opening, if a second reading agrees. */
  #agreed(length: number): State | null {
    if (length < HEADER_READ) return null;
    const before = parseState(this.#fixed, STATE_AT);
    const now = this.#readBlock();
    return sameState(before, now) && stateProblem(now, this.layout.ringSize) === null ? now : null;
  }

  /** The path it was opened by. */
  get path(): string {
    return this.file.path;
  }

  /** Whether both are open on the same file, whatever their paths refer to now. */
  isSameFile({ file }: Ring): boolean {
    const identity = this.file.identity ?? null;
    return identity !== null && identity === (file.identity ?? null);
  }

  /** The state at the time it was opened, verified. */
  get openedState(): State | null {
    return this.#opened;
  }

  /** When the file was last modified as it was opened, in milliseconds since 1970. */
  get openedMtimeMs(): number | null {
    return this.file.opened.mtimeMs;
  }

  /** Whether it may be appended to. */
  get writable(): boolean {
    return this.file.writable;
  }

  /**
   * This ring as one that may be appended to.
   *
   * @throws {PlasmiteError} Internal when it was opened for reading only
   */
  asWritable(): WritableRing {
    throw new PlasmiteError("Internal", "the pool was opened for reading only", {
      path: this.path,
    });
  }

  /** The largest payload in bytes that fits. */
  get maxPayload(): number {
    return maxPayload(this.layout.ringSize);
  }

  /** Fills `into` from ring offset `offset`; returns the number of bytes read. */
  readRing(into: Uint8Array, offset: number): number {
    return this.file.readAt(into, this.layout.ringOffset + offset);
  }

  #readBlock(): State {
    this.checkOpen();
    if (this.file.readAt(this.#block, STATE_AT) !== this.#block.length) {
      throw this.corrupt("file is truncated");
    }
    this.#limit.note(this.#block, this.#blockView, EXTENSION_AT - STATE_AT);
    return parseState(this.#blockView, 0);
  }

  /**
   * The maximum age of messages in nanoseconds, as of the last reading of the state; 0 for no limit.
   */
  get maxAgeNs(): bigint {
    return this.#limit.ns;
  }

  /**
   * A state as readers see it: without the messages that are older than the limit, up to the first
   * younger one (docs/spec/format.md 15.2).
   *
   * @returns null if it must be called again with a newer state: the search goes on, or a writer
   *   overtook it
   */
  tryLive(state: State | null): State | null {
    const hasLimit = this.#limit.ns !== 0n;
    return hasLimit && state !== null && state.oldest !== 0n ? this.#searchLive(state) : state;
  }

  #searchLive(state: State): State | null {
    const maxAgeNs = this.#limit.ns;
    const known = this.#knownLive(state);
    if (known !== null && known.seq > state.newest) return emptied(state);
    const from = known === null
      ? state
      : { ...state, oldest: known.seq, tail: known.place, tailNext: 0 };
    const look = this.itemReader(known?.far === false ? EXPIRED_WINDOW : SEARCH_WINDOW);
    // Damage is reported by whoever reads there.
    const live = this.expireOld(from, look, SEARCH_STEP);
    const now = this.tryState();
    if (now === null || (live.oldest !== 0n && now.oldest > live.oldest)) return null;
    const seq = live.oldest === 0n ? state.newest + 1n : live.oldest;
    const far = live.oldest !== 0n && seq - from.oldest >= BigInt(SEARCH_STEP);
    this.#live = { maxAgeNs, seq, place: live.tail, far };
    return far ? null : live;
  }

  /** Where the last search got to, if that is still in the pool. */
  #knownLive({ oldest, newest }: State): LiveStart | null {
    const last = this.#live;
    if (last === null || last.maxAgeNs !== this.#limit.ns) return null;
    return last.seq >= oldest && last.seq <= newest + 1n ? last : null;
  }

  /** The current state as readers see it, in steps: never blocks. */
  *living(): Steps<State> {
    for (;;) {
      const live = this.tryLive(yield* this.stating());
      if (live !== null) return live;
      yield "more";
    }
  }

  /** The state without the first messages that are older than the limit, `most` at most. */
  protected expireOld(state: State, look: (offset: number) => Item, most: number): State {
    const cutoff = BigInt(Date.now()) * 1_000_000n - this.#limit.ns; // Precise enough, and cheaper.
    const isExpired = (_: bigint, timeNs: bigint): boolean => timeNs < cutoff;
    return withoutExpired(state, this.layout.ringSize, look, { isExpired, most });
  }

  /**
   * A function that classifies the item at a ring offset, reading ahead `window` bytes at a time,
   * after the first time `then` bytes. It may be used until the next such function is made.
   */
  itemReader(window: number, then = window): (offset: number) => Item {
    return this.frameReader(window, then).look;
  }

  /** Such a function, and one for many frames after one another. */
  frameReader(window: number, then = window): { look: (offset: number) => Item; pass: Passing } {
    const { ringSize } = this.layout;
    let size = window;
    let from = 0;
    let to = 0;
    const load = (offset: number): boolean => {
      if (offset < from || offset + FRAME_HEADER > to) {
        if (this.#window.length < size) {
          this.#window = new Uint8Array(size);
          this.#windowView = new DataView(this.#window.buffer);
        }
        const length = Math.min(size, ringSize - offset);
        const got = this.readRing(this.#window.subarray(0, length), offset);
        from = offset;
        to = offset + got;
        size = then;
      }
      return offset + FRAME_HEADER <= to;
    };
    const look = (offset: number): Item =>
      load(offset)
        ? itemAt(this.#windowView, offset - from, offset, ringSize)
        : noFrame("bad", "frame header too small");
    const pass: Passing = (offset, seq, until, most) => {
      let lo = Number(seq & 0xffff_ffffn);
      let hi = Number(seq >> 32n);
      let at = offset;
      let count = 0;
      for (; count < most && at <= until && load(at); count++) {
        const end = frameEnd(this.#windowView, at - from, at, lo, hi, ringSize);
        if (end < 0) break;
        at = end;
        lo = (lo + 1) >>> 0;
        if (lo === 0) hi++;
      }
      return { count, end: at };
    };
    return { look, pass };
  }

  /** Reads the highest sequence number without verification, for idle followers. */
  newestHint(): bigint {
    this.checkOpen();
    this.file.readAt(this.#block, STATE_AT);
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
      if (sameState(before, now) && stateProblem(now, this.layout.ringSize) === null) {
        if (now.newest === 0n) this.#readHeader(); // A file of zeros looks like a new pool.
        return now;
      }
      before = now;
    }
    // An incomplete publication lasts nanoseconds; one that persists without a writer is damage.
    const locked = this.tryShared(() => this.#readBlock());
    if (locked === null) return null;
    const problem = stateProblem(locked, this.layout.ringSize);
    if (problem === null) return locked;
    throw this.corrupt(problem);
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
    return yield* untilUnlocked(this.path, () => this.tryState(), PUBLICATION_TIMEOUT);
  }

  /** The error for damage. */
  protected corrupt(message: string, offset?: number): PlasmiteError {
    return new PlasmiteError("Corrupt", message, {
      path: this.path,
      ...DAMAGE,
      ...(offset === undefined ? {} : { offset: BigInt(offset) }),
    });
  }

  /** Refuses to use a closed ring. */
  checkOpen(): void {
    if (this.#closed) {
      throw new PlasmiteError("Usage", "pool is closed", { hint: "Open the pool again." });
    }
  }

  /**
   * Runs `work` under the shared lock, which excludes all writers; null if the lock is not free.
   */
  tryShared<T>(work: () => T): T | null {
    this.checkOpen();
    if (!this.file.tryLock(false)) return null;
    try {
      return work();
    } finally {
      this.file.unlock();
    }
  }

  /**
   * Checks that the path still refers to the open file, and that the file is still this pool
   * (docs/spec/format.md 14.3).
   *
   * @throws {PlasmiteError} NotFound when it was deleted or replaced, Corrupt when it was truncated
   *   or overwritten
   */
  checkIdentity(): void {
    this.checkPath();
    const header = this.#readHeader();
    const before = parseExtension(new Uint8Array(this.#fixed.buffer, EXTENSION_AT))?.id;
    const now = parseExtension(header.subarray(EXTENSION_AT))?.id;
    // A program that does not know the block may leave it out; then nothing can be said.
    if (before === undefined || now === undefined || before === now) return;
    throw this.#replaced("pool file now holds a different pool");
  }

  /**
   * Checks only that the path still refers to the open file.
   *
   * @throws {PlasmiteError} NotFound when it was deleted or replaced, Corrupt when it was truncated
   */
  protected checkPath(): void {
    this.checkOpen();
    const state = this.file.pathState(this.layout.fileSize);
    if (state === "same") return;
    if (state === "resized") {
      const cut = this.file.size() < this.layout.fileSize;
      throw this.corrupt(cut ? "file is truncated" : "invalid file size");
    }
    throw this.#replaced(
      state === "missing" ? "not found" : "pool path now refers to a different file",
    );
  }

  #replaced(message: string): PlasmiteError {
    return new PlasmiteError("NotFound", message, {
      path: this.path,
      hint: "The pool was deleted or replaced. Open the pool again.",
    });
  }

  /**
   * Reads the header, with a check that what is fixed at creation is as it was on opening. The bytes
   * are those of `#headerView`, until the next call.
   */
  #readHeader(): Uint8Array<ArrayBuffer> {
    if (this.#header === null) {
      this.#header = new Uint8Array(HEADER_READ);
      this.#headerView = new DataView(this.#header.buffer);
    }
    const view = this.#headerView;
    const length = this.file.readAt(this.#header, 0);
    for (let at = 0; at < STATE_AT; at += 8) {
      if (view.getBigUint64(at, true) === this.#fixed.getBigUint64(at, true)) continue;
      verifyLayout({ view, length }, this.file.size(), this.path);
      throw this.corrupt("header changed while open");
    }
    return this.#header;
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
    this.checkOpen();
    if (!this.file.tryLock(true)) return null;
    try {
      this.checkPath();
      return work(this.file, this.lockedState());
    } finally {
      this.file.unlock();
    }
  }

  /** The header's extension block; null if there is none. */
  extension(): Extension | null {
    this.checkOpen();
    const bytes = new Uint8Array(EXTENSION_SIZE);
    const got = this.file.readAt(bytes, EXTENSION_AT);
    return parseExtension(bytes.subarray(0, got));
  }

  /** The extension block as of the last reading of the state; null as above. */
  lastExtension(): Extension | null {
    return parseExtension(this.#block.subarray(EXTENSION_AT - STATE_AT));
  }

  /** Reads the header under the lock, with all checks of docs/spec/format.md 1.6. */
  protected lockedState(): State {
    const bytes = this.#readHeader();
    const view = this.#headerView;
    const state = parseState(view, STATE_AT);
    const problem = stateProblem(state, this.layout.ringSize);
    if (problem !== null) throw this.corrupt(problem);
    this.#limit.note(bytes, view, EXTENSION_AT);
    return state;
  }

  /**
   * The ring offset of `seq` according to the index, or -1; only a hint (docs/spec/format.md 1.3).
   */
  indexOffset(seq: bigint): number {
    return indexedOffset(this.file, this.layout, seq);
  }

  /** Closes the file; a second call does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.file.close();
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#closed;
  }
}
