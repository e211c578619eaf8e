/**
 * Reads messages in order, without a lock, while writers overwrite the ring (docs/spec/format.md
 * 5.3).
 *
 * Frames are copied in large chunks into private memory, checked there (header, sequence, commit
 * marker, checksum), and delivered only after a second look at the header has shown that they were
 * not overwritten while they were being copied.
 *
 * Why a second look is enough: a writer that follows docs/spec/format.md 5.2 disclaims a frame
 * (raises `oldest`) before it overwrites it. If `oldest` is still at or below our number after the
 * copy, overwriting had not started when the copy was finished. Writers of the reference overwrite
 * first; {@linkcode beingWritten} and {@linkcode tailFits} find them by the frame they are writing.
 *
 * @module
 */

import { DAMAGE, PlasmiteError } from "../errors.ts";
import { untilUnlocked } from "../storage/lock_wait.ts";
import type { Steps } from "../storage/steps.ts";
import { crc32c } from "./crc32c.ts";
import { FIELD, frameProblem, frameState, hasMarker, payloadLength } from "./frame.ts";
import { sameState, type State } from "./header.ts";
import type { Gap } from "../types.ts";
import { COMMITTED, FRAME_HEADER, frameLength, MARKER_SIZE, WRAP } from "./layout.ts";
import type { Resync } from "./resync.ts";
import { type Jump, Ring } from "./ring.ts";
import type { FrameRun, FreshFrames } from "./fresh_frames.ts";
import { beingWritten, tailFits } from "./unfinished.ts";

/** {@linkcode Cursor.fill}: a writer holds the lock that is needed; try again shortly. */
export const BUSY = -1;
/** {@linkcode Cursor.fill} in steps: the first wanted frame is not reached yet. */
export const MORE = -2;

/**
 * The first chunk in bytes: small, because often only one message is wanted; grows fourfold while
 * there is more.
 */
const FIRST_CHUNK = 4 * 1024;
/** The chunk behind damage: the next frame may be bad as well. */
const CHUNK_BEHIND_DAMAGE = 1024;
const LARGEST_CHUNK = 1024 * 1024;
/** The chunk per step while frames are only skipped, in a process that serves others. */
const STEP_CHUNK = 256 * 1024;
/** How many times a changing state block is read again before the shared lock is taken. */
const RECHECKS = 8;
/**
 * On other processors the order of the reference's stores is not known (docs/spec/format.md 5.3).
 */
const STORES_IN_ORDER = Deno.build.arch === "x86_64";

/** Why parsing a chunk of frames ended. */
type Stop = "end" | "wrap" | "partial" | "bad";

/**
 * A position in a pool. After {@linkcode Cursor.fill} returned a number above 0,
 * {@linkcode Cursor.next} steps through that many frames; their bytes stay valid until the next
 * `fill`.
 */
export class Cursor {
  /** The bytes that hold the current frame. */
  u8: Uint8Array<ArrayBuffer>;
  /** A view of the same bytes. */
  dv: DataView<ArrayBuffer>;
  /** Where the current payload begins in them. */
  payloadAt = 0;
  /** Bytes of the current payload. */
  payloadLength = 0;
  /** Low 32 bits of the current sequence number. */
  seqLo = 0;
  /** High 32 bits of it. */
  seqHi = 0;
  /** Low 32 bits of the current time in nanoseconds since 1970. */
  timeLo = 0;
  /** High 32 bits of it. */
  timeHi = 0;
  /**
   * Messages lost before the frames of the last `fill`; whoever handles the gap sets it to null.
   */
  gap: Gap | null = null;
  /**
   * Messages that cannot be read, before the frames of the last `fill`, in order; only if damage is
   * skipped. Whoever tells of them empties it.
   */
  unreadable: Gap[] = [];
  /**
   * Whether checksums are left to {@linkcode Cursor.isWhole}, so that who looks for a few messages
   * does not pay for all. Frames are still known not to have been overwritten: that is found out as
   * for frames that have no checksum.
   */
  checksLater = false;
  /** The frames of another cursor that are being stepped through; null if they are its own. */
  shared: FreshFrames | null = null;

  readonly #ring: Ring;
  readonly #all: boolean;
  readonly #resync: Resync | null;
  /** Whether the frame behind damage is being searched. */
  #seeking = false;
  /** Whether the place is a guess of the index, and not the end of the frame before. */
  #guessed = false;
  /** Whether it was found behind damage, so that the tail is not the place of the oldest message. */
  #found = false;
  #expected: bigint;
  #place = -1;
  #misses = 0;
  #skipUntil = 0n;
  /** The search for the expected frame, while it lasts. */
  #jump: Jump | null = null;
  #chunk = FIRST_CHUNK;
  #at = 0;
  #end = 0;
  #count = 0;
  #parsed = 0;
  #skipped = 0;
  #noChecksum = false;
  /** The ring offset of the chunk. */
  #from = 0;
  /** The frame whose checksum was wrong, and which is read again with all checks; -1 for none. */
  #doubted = -1n;
  #stepwise = false;
  #stop: Stop = "end";

  /**
   * @param ring the pool; the cursor reads through it and never closes it
   * @param seq the first sequence number wanted; 0 for the oldest retained, without a gap
   * @param all whether expired messages are read too, as long as they are in the file
   * @param resync goes on behind damage, which is an error without it
   */
  constructor(ring: Ring, seq: bigint, all = false, resync: Resync | null = null) {
    this.#ring = ring;
    this.#expected = seq;
    this.#all = all;
    this.#resync = resync;
    this.u8 = new Uint8Array(0);
    this.dv = new DataView(this.u8.buffer);
  }

  /** The sequence number that comes after the frames filled so far. */
  get expected(): bigint {
    return this.#expected;
  }

  /** Sequence number of the current frame. */
  get seq(): bigint {
    return (BigInt(this.seqHi) << 32n) | BigInt(this.seqLo);
  }

  /** Time of the current frame in nanoseconds since 1970. */
  get timestampNs(): bigint {
    return (BigInt(this.timeHi) << 32n) | BigInt(this.timeLo);
  }

  /** How the current message was printed, by form, if others get the same bytes. */
  get printed(): Map<object, Uint8Array<ArrayBuffer>> | null {
    return this.shared === null ? null : this.shared.printed(this.payloadAt);
  }

  /** The flags of the current frame. */
  get flags(): number {
    return this.dv.getUint32(this.payloadAt - FRAME_HEADER + FIELD.flags, true);
  }

  /** Moves to the next frame of the last `fill`; false if there is none left. */
  next(): boolean {
    if (this.#count === 0) return false;
    const at = this.#at;
    const { dv } = this;
    this.#count--;
    this.seqLo = dv.getUint32(at + FIELD.seq, true);
    this.seqHi = dv.getUint32(at + FIELD.seq + 4, true);
    this.timeLo = dv.getUint32(at + FIELD.time, true);
    this.timeHi = dv.getUint32(at + FIELD.time + 4, true);
    this.payloadLength = payloadLength(dv, at);
    this.payloadAt = at + FRAME_HEADER;
    this.#at = at + frameLength(this.payloadLength);
    return true;
  }

  /**
   * Checks what {@linkcode Cursor.checksLater} left out for the current frame. If the checksum is
   * wrong, the cursor goes back: it reads the frame again with all checks, under the lock if need
   * be, and reports damage as always.
   */
  isWhole(): boolean {
    const { dv, u8, payloadAt, payloadLength } = this;
    if (!this.checksLater || this.shared !== null) return true;
    const header = payloadAt - FRAME_HEADER;
    const crc = dv.getUint32(header + FIELD.crc, true);
    if (crc === 0 || crc32c(u8, dv, payloadAt, payloadLength) === crc) return true;
    this.#count = 0;
    this.#expected = this.#doubted = this.seq;
    this.#place = this.#from + header;
    return false;
  }

  /** A copy of the frames of the last `fill`, none of which was consumed, for other cursors. */
  share(): FrameRun {
    const u8 = this.u8.slice(this.#at, this.#behind(this.#count, this.#at));
    const end = this.#expected;
    return { u8, first: end - BigInt(this.#count), end, place: this.#place };
  }

  /**
   * Steps through frames that another cursor of the same file has filled, instead of `fill`.
   *
   * @returns false if the expected one is not among them, or something else is to be done first
   */
  adopt(shared: FreshFrames): boolean {
    const isBusy = this.#count > 0 || this.#skipUntil !== 0n || this.#jump !== null;
    if (isBusy || this.#seeking) return false;
    if (this.#expected < shared.first || this.#expected >= shared.end) return false;
    this.shared = shared;
    this.u8 = shared.u8;
    this.dv = shared.dv;
    this.#at = this.#behind(Number(this.#expected - shared.first), 0);
    this.#count = Number(shared.end - this.#expected);
    this.#expected = shared.end;
    this.#place = shared.place;
    this.#guessed = this.#found = false;
    this.#misses = 0;
    return true;
  }

  /** Lets go of another cursor's frames, whose bytes must not be overwritten. */
  #disown(): void {
    if (this.shared === null) return;
    this.shared = null;
    this.u8 = new Uint8Array(0);
    this.dv = new DataView(this.u8.buffer);
  }

  /**
   * Copies new frames. Frames of an earlier `fill` that were not consumed are dropped.
   *
   * @param stepwise whether to return {@linkcode MORE} after each chunk of a long walk
   * @returns how many frames are ready; 0 if there is nothing new; {@linkcode BUSY} if a frame that
   *   looks damaged must be read under a lock that another process holds
   * @throws {PlasmiteError} Corrupt for damage inside the retained range
   */
  fill(stepwise = false): number {
    this.#count = 0;
    this.#stepwise = stepwise;
    this.#disown();
    for (let again = false;; again = true) {
      if (again && stepwise) return MORE;
      const stored = this.#ring.tryState();
      if (stored === null) return BUSY;
      if (stored.oldest === 0n || stored.newest < this.#expected) return 0;
      const state = this.#all ? stored : this.#ring.tryLive(stored);
      if (state === null) continue;
      if (state.oldest === 0n) return 0;
      this.#locate(state);
      if (this.#jump !== null || this.#seeking) {
        if (this.#jump !== null) this.#goOn(this.#jump, state);
        else this.#seek(state);
        continue;
      }
      const outcome = this.#load(state, false);
      if (outcome === "again") continue;
      if (outcome === "unsafe") {
        const locked = this.#ring.tryShared(() => this.#loadLocked());
        if (locked === null) return BUSY;
        if (locked === "again") continue;
      }
      if (this.#count > 0) return this.#count;
    }
  }

  /**
   * As {@linkcode Cursor.fill}, in steps.
   *
   * @throws {PlasmiteError} Corrupt, or Busy for a lock that stays held
   */
  *filling(): Steps<number> {
    for (;;) {
      const ready = yield* untilUnlocked(this.#ring.path, () => {
        const filled = this.fill(true);
        return filled === BUSY ? null : filled;
      });
      if (ready >= 0) return ready;
      yield "more";
    }
  }

  /** Records a gap if messages were lost and finds the ring offset of the expected frame. */
  #locate(state: State): void {
    // Overtaken: continue with the oldest message, at the tail. The old offset now holds other
    // bytes.
    if (this.#expected < state.oldest) {
      if (this.#expected !== 0n && this.#skipUntil === 0n) {
        const first = this.gap?.first ?? this.#expected;
        this.gap = { first, last: state.oldest - 1n };
      }
      this.#expected = state.oldest;
      this.#place = -1;
      this.#seeking = false;
      this.#jump = null;
    }
    if (this.#skipUntil !== 0n && this.#skipUntil < state.oldest) {
      // The walk to the first wanted message was itself overtaken.
      this.gap = { first: this.gap?.first ?? this.#skipUntil, last: state.oldest - 1n };
      this.#skipUntil = 0n;
    }
    if (this.#place >= 0 || this.#jump !== null) return;
    this.#guessed = this.#found = false;
    if (this.#expected === state.oldest) {
      this.#place = state.tail;
      return;
    }
    this.#place = this.#ring.indexOffset(this.#expected);
    this.#guessed = true;
    if (this.#place >= 0) return;
    // What is not where the search found it is walked to.
    if (this.#misses === 0) this.#jump = Ring.findFar?.(this.#ring, state, this.#expected) ?? null;
    if (this.#jump === null) this.#walkFrom(state);
  }

  /** One step of a search. */
  #goOn(jump: Jump, state: State): void {
    const place = jump.step();
    if (place === null) return;
    this.#jump = null;
    if (place < 0) this.#walkFrom(state);
    else this.#place = place;
  }

  /** Starts at the oldest frame and skips those before the expected one. */
  #walkFrom(state: State): void {
    if (this.#skipUntil === 0n) this.#skipUntil = this.#expected;
    this.#expected = state.oldest;
    this.#place = state.tail;
    this.#guessed = this.#found = false;
  }

  /** Searches one step further behind damage, and goes on at the next frame or at the head. */
  #seek(state: State): void {
    const found = this.#resync?.step(this.#ring, state) ?? null;
    if (found === "more") return;
    const next = found?.seq ?? state.newest + 1n;
    const first = this.#skipUntil > this.#expected ? this.#skipUntil : this.#expected;
    if (next >= this.#skipUntil) this.#skipUntil = 0n;
    if (next > first) this.#addUnreadable({ first, last: next - 1n });
    this.#expected = next;
    this.#place = found?.place ?? state.head;
    this.#found = found !== null;
    this.#seeking = this.#guessed = false;
  }

  #addUnreadable({ first, last }: Gap): void {
    const before = this.unreadable.at(-1);
    if (before?.last !== first - 1n) this.unreadable.push({ first, last });
    else this.unreadable[this.unreadable.length - 1] = { first: before.first, last };
  }

  /** Under the shared lock nothing changes: a bad frame now is damage. */
  #loadLocked(): "again" | "done" {
    const state = this.#ring.state();
    if (state.oldest === 0n || this.#expected < state.oldest) return "again";
    // What was found behind damage stays where it is: at the tail the same damage would be found,
    // and this again behind it.
    const isFirst = this.#expected === state.oldest &&
      (!this.#found || this.#place === state.tail);
    if (isFirst) this.#place = state.tail;
    const outcome = this.#load(state, true);
    if (outcome !== "unsafe") return outcome;
    if (this.#resync !== null) {
      if (this.#guessed && !isFirst) {
        this.#walkFrom(state);
        return "again";
      }
      this.#seeking = true;
      this.#resync.begin(this.#ring, state, this.#expected, this.#place, isFirst);
      this.#chunk = CHUNK_BEHIND_DAMAGE;
      return "again";
    }
    throw new PlasmiteError("Corrupt", "malformed frame in the retained ring", {
      path: this.#ring.path,
      seq: this.#expected,
      offset: BigInt(this.#place),
      ...DAMAGE,
    });
  }

  #load(state: State, locked: boolean): "again" | "unsafe" | "done" {
    const { ringSize } = this.#ring.layout;
    if (ringSize - this.#place < FRAME_HEADER && wraps(state, this.#place)) this.#place = 0;
    const from = this.#place;
    this.#read(state, from, locked);
    if (this.#parsed === 0) {
      if (this.#stop === "wrap" && from !== 0) {
        this.#place = 0;
        return this.#load(state, locked);
      }
      if (this.#stop === "partial" && !this.#skipLarge(from, locked)) {
        this.#chunk = frameLength(payloadLength(this.dv, 0));
        return this.#load(state, locked);
      }
      if (this.#parsed === 0) return locked ? "unsafe" : this.#missing(state);
    }
    const safe = locked ? this.#parsed : this.#recheck(from);
    if (safe <= 0) return safe === 0 ? "again" : "unsafe";
    this.#accept(safe, from);
    return this.#count > 0 ? "done" : "again";
  }

  /** Counts a large frame that is only skipped as parsed, without copying its payload. */
  #skipLarge(from: number, locked: boolean): boolean {
    const { dv } = this;
    if (this.#skipUntil <= this.#expected) return false;
    const payload = payloadLength(dv, 0);
    const marker = new DataView(new ArrayBuffer(MARKER_SIZE));
    this.#ring.readRing(new Uint8Array(marker.buffer), from + FRAME_HEADER + payload);
    if (!hasMarker(marker, 0)) return false;
    this.#noChecksum = dv.getUint32(FIELD.crc, true) === 0;
    if (this.#noChecksum && !STORES_IN_ORDER && !locked) return false;
    this.#parsed = 1;
    this.#end = frameLength(payload);
    this.#chunk = FIRST_CHUNK; // The next frame may be large as well.
    return true;
  }

  /**
   * Handles a missing frame: the reader was overtaken, its offset was wrong, or there is damage.
   */
  #missing(state: State): "again" | "unsafe" {
    const now = this.#ring.tryState();
    if (now === null) return "unsafe";
    if (now.oldest > this.#expected || now.oldest === 0n) return "again";
    // Where damage is skipped there may be much of it, and walking there each time would take long.
    if (this.#resync !== null && !this.#guessed) return "unsafe";
    this.#misses++;
    // First suspect the remembered offset, then the index, which is only a hint
    // (docs/spec/format.md 1.3).
    if (this.#misses === 1) this.#place = -1;
    else if (this.#misses === 2) this.#walkFrom(state);
    else return "unsafe";
    return "again";
  }

  /** Copies a chunk and parses the whole, correct frames in it. */
  #read(state: State, from: number, locked: boolean): void {
    const { ringSize } = this.#ring.layout;
    this.#skipped = 0;
    this.#noChecksum = false;
    // Never beyond head: that space is free, with dead frames and frames that are being written.
    const until = from < state.head ? state.head : ringSize;
    const want = Math.min(until - from, this.#chunk);
    if (this.u8.length < want) {
      this.u8 = new Uint8Array(Math.max(want, Math.min(this.#chunk, ringSize)));
      this.dv = new DataView(this.u8.buffer);
    }
    const got = this.#ring.readRing(this.u8.subarray(0, want), from);
    const { dv, u8 } = this;
    // Without a checksum, only the order of stores guarantees that a copied frame is whole.
    const copyable = STORES_IN_ORDER || locked;
    const later = this.checksLater && copyable && this.#doubted !== this.#expected;
    const check = this.#skipUntil === 0n && !later;
    this.#from = from;
    let at = 0;
    let count = 0;
    let lo = Number(this.#expected & 0xffff_ffffn);
    let hi = Number(this.#expected >> 32n);
    const available = state.newest - this.#expected + 1n;
    const most = available > 0x3fff_ffffn ? 0x3fff_ffff : Number(available);
    const wrap = wraps(state, from) ? "wrap" : "bad";
    let stop: Stop = "end";
    while (count < most) {
      if (ringSize - from - at < FRAME_HEADER) {
        stop = wrap;
        break;
      }
      if (at + FRAME_HEADER > got) {
        stop = got === want && from + got < until ? "partial" : "bad";
        break;
      }
      if (frameProblem(dv, at, ringSize) !== null) {
        stop = "bad";
        break;
      }
      const kind = frameState(dv, at);
      if (kind !== COMMITTED) {
        stop = kind === WRAP ? wrap : "bad";
        break;
      }
      const payload = payloadLength(dv, at);
      const length = frameLength(payload);
      // The number distinguishes our frame from a later one at the same offset.
      if (
        dv.getUint32(at + FIELD.seq, true) !== lo ||
        dv.getUint32(at + FIELD.seq + 4, true) !== hi ||
        from + at + length > until
      ) {
        stop = "bad";
        break;
      }
      if (at + length > got) {
        stop = got === want ? "partial" : "bad"; // A short read: the file was truncated.
        break;
      }
      if (!hasMarker(dv, at + FRAME_HEADER + payload)) {
        stop = "bad";
        break;
      }
      const crc = dv.getUint32(at + FIELD.crc, true);
      if (
        crc === 0 ? !copyable : check && crc32c(u8, dv, at + FRAME_HEADER, payload) !== crc
      ) {
        stop = "bad";
        break;
      }
      if (crc === 0 || later) this.#noChecksum = true;
      at += length;
      count++;
      lo = (lo + 1) >>> 0;
      if (lo === 0) hi++;
    }
    this.#parsed = count;
    this.#end = at;
    this.#stop = stop;
    // A full chunk means that there is more: read larger chunks from now on.
    if (stop === "partial" && count > 0) {
      const most = this.#stepwise && this.#skipUntil !== 0n ? STEP_CHUNK : LARGEST_CHUNK;
      this.#chunk = Math.min(this.#chunk * 4, most);
    }
  }

  /**
   * How many of the parsed frames, counted from the first, were certainly not overwritten during
   * the copy: 0 if the first is gone, -1 if it takes the lock to decide.
   */
  #recheck(from: number): number {
    for (let tries = 0; tries < RECHECKS; tries++) {
      const now = this.#ring.tryState();
      if (now === null) return -1;
      if (now.oldest === 0n || now.oldest > this.#expected + BigInt(this.#parsed - 1)) return 0;
      const busy = this.#overwriting(now, from);
      if (this.#noChecksum && !tailFits(this.#ring, now)) continue;
      // Both checks above used offsets from `now`; they are void if it was outdated.
      const again = this.#ring.tryState();
      if (again === null || !sameState(now, again)) continue;
      const gone = now.oldest > this.#expected ? Number(now.oldest - this.#expected) : 0;
      if (gone > 0) {
        // Skip what may be torn; the rest of the chunk is good.
        this.#overtaken(now.oldest, gone);
      }
      if (busy < 0) return this.#parsed;
      // A reference writer is writing inside the chunk, or died there. Frames before it are good.
      // If it touches the first one, the shared lock decides: a live writer holds the exclusive
      // lock, and what a dead one left no longer changes.
      return busy > gone ? busy - gone : -1;
    }
    return -1;
  }

  /** Records that the first `gone` parsed frames were overwritten. */
  #overtaken(oldest: bigint, gone: number): void {
    if (this.#skipUntil === 0n) {
      this.gap = { first: this.gap?.first ?? this.#expected, last: oldest - 1n };
    } else if (this.#skipUntil < oldest) {
      this.gap = { first: this.gap?.first ?? this.#skipUntil, last: oldest - 1n };
      this.#skipUntil = 0n;
    }
    this.#skipped = this.#behind(gone, 0);
    this.#parsed -= gone;
    this.#expected = oldest;
  }

  /** Where `count` frames of the chunk end, the first of which is at `start`. */
  #behind(count: number, start: number): number {
    let at = start;
    for (let i = 0; i < count; i++) at += frameLength(payloadLength(this.dv, at));
    return at;
  }

  /** The number of parsed frames before the first one that is being overwritten; -1 for none. */
  #overwriting(now: State, from: number): number {
    let first = -1;
    for (const stored of beingWritten(this.#ring, now)) {
      let at = 0;
      for (let i = 0; i < this.#parsed && (first < 0 || i < first); i++) {
        const length = frameLength(payloadLength(this.dv, at));
        if (from + at < stored.to && stored.from < from + at + length) {
          first = i;
          break;
        }
        at += length;
      }
    }
    return first;
  }

  /** Makes the first `count` parsed frames ready and moves the position past them. */
  #accept(count: number, from: number): void {
    const { ringSize } = this.#ring.layout;
    const start = this.#skipped;
    this.#skipped = 0;
    let end = this.#end;
    if (count < this.#parsed) end = this.#behind(count, start);
    let at = start;
    let ready = count;
    // Still before the first wanted message: numbers and lengths were checked, checksums were not.
    if (this.#skipUntil !== 0n) {
      const far = this.#skipUntil - this.#expected;
      const pass = far < BigInt(count) ? Number(far) : count;
      at = this.#behind(pass, at);
      ready -= pass;
      if (ready > 0) {
        // These were parsed without their checksums; read them once more, checked.
        this.#expected = this.#skipUntil;
        this.#skipUntil = 0n;
        this.#place = from + at;
        return;
      }
    }
    if (ready > 0) this.#misses = 0;
    this.#guessed = this.#found = false;
    this.#at = at;
    this.#count = ready;
    this.#expected += BigInt(count);
    const place = from + end;
    this.#place = place === ringSize || (this.#stop === "wrap" && end === this.#end) ? 0 : place;
  }
}

/**
 * Whether the live messages may go on at offset 0 behind this place. Nowhere else is a wrap marker
 * obeyed, so that a reader comes nearer to the head with every step, whatever the bytes are.
 */
function wraps({ head }: State, place: number): boolean {
  return head > 0 && place >= head;
}
