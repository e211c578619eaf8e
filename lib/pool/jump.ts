/**
 * Finds a message that the index no longer holds without walking to it from the tail
 * (docs/spec/format.md 5.3): where it should be is guessed from numbers found on the way, and what
 * is found there is proved before it is used.
 *
 * The guesses may be wrong, and the bytes of a frame may as well be part of somebody's message. So a
 * found frame counts only after everything before it that could be the frame around it was
 * searched, at most as many bytes as the largest frame has. There must be one unbroken chain of
 * frames that ends at the found one, and no other frame, not even inside their payloads. A real
 * frame around the found one would be another frame; and a header that is damaged would break the
 * chain. Whatever is not proved is left to the walk.
 *
 * @module
 */

import { FIELD, frameProblem, MAGIC, payloadLength } from "./frame.ts";
import { sameState, type State, usedBytes } from "./header.ts";
import { COMMITTED, FRAME_HEADER, frameLength, maxPayload, WRAP } from "./layout.ts";
import type { FindFar, Jump, Ring } from "./ring.ts";
import { beingWritten, type Stored, tailFits } from "./unfinished.ts";

/** The first eight bytes of a committed frame, and of a wrap marker: magic and state. */
const COMMITTED_START = BigInt(COMMITTED) << 32n | BigInt(MAGIC);
const WRAP_START = BigInt(WRAP) << 32n | BigInt(MAGIC);

/** How many guesses are made. */
const GUESSES = 96;
/** Every so many guesses the middle is taken, whatever the numbers say. */
const BISECT_EVERY = 4;

/** A walk passes over a large frame in the time in which it reads so many bytes. */
const PASSED = 1 << 14;

/** The sizes that a search works with, in bytes. */
export interface SearchSizes {
  /** It is worth it if a walk reads so many times as much as the proof. */
  readonly worth: number;
  /** How much is looked at for a guess, */
  readonly guess: number;
  /** and at most if no frame begins there. */
  readonly guessMost: number;
  /** How much is read at once for the proof, */
  readonly window: number;
  /** and in one step. */
  readonly step: number;
  /** The largest frame that a ring of the given size can have. */
  readonly largest: (ringSize: number) => number;
}

const SIZES: SearchSizes = {
  worth: 1.5,
  guess: 1 << 16,
  guessMost: 1 << 20,
  window: 1 << 18,
  step: 1 << 23,
  largest: (ringSize) => frameLength(maxPayload(ringSize)),
};

/** A frame on the way: bytes from the tail, and messages from the oldest. */
interface Point {
  readonly bytes: number;
  readonly nth: number;
}

/** What a guess has found: consecutive frames. */
interface Sight {
  readonly first: Point;
  readonly last: Point;
  /** The ring offset of the wanted frame among them, or -1. */
  readonly hit: number;
}

/**
 * Returns a function that begins to look for a message; it returns null where it is better to walk.
 */
export function farSearch(sizes: SearchSizes): FindFar {
  return (ring, state, seq) => {
    const { ringSize } = ring.layout;
    // Words of eight bytes are compared, so offset 0 must be at one when the live messages wrap.
    if (ringSize % 8 !== 0) return null;
    const total = Number(state.newest - state.oldest) + 1;
    const far = usedBytes(state, ringSize) * Number(seq - state.oldest) / total;
    const proof = Math.min(far, sizes.largest(ringSize));
    const walk = Math.min(far, PASSED * Number(seq - state.oldest));
    return walk >= sizes.worth * proof ? new FarSearch(ring, state, seq, sizes) : null;
  };
}

/** Begins to look for a message in a pool file. */
export const findFar: FindFar = farSearch(SIZES);

class FarSearch implements Jump {
  readonly #ring: Ring;
  readonly #state: State;
  readonly #ringSize: number;
  readonly #used: number;
  /** The numbers of the oldest message, in halves. */
  readonly #oldestLo: number;
  readonly #oldestHi: number;
  /** Number of messages, and which one of them is wanted. */
  readonly #total: number;
  readonly #wanted: number;
  readonly #sizes: SearchSizes;
  /** The largest frame. */
  readonly #largest: number;
  readonly #u8: Uint8Array<ArrayBuffer>;
  readonly #dv: DataView<ArrayBuffer>;
  readonly #words: BigUint64Array<ArrayBuffer>;
  /** The ring offset of the found frame, once it is to be proved. */
  #found = -1;
  /** Where the proof begins, and how far it got. */
  #from = 0;
  #at = 0;
  /** Where the next frame must be, and which one; -1 before the first. */
  #next = -1;
  #nextNth = -1;

  constructor(ring: Ring, state: State, seq: bigint, sizes: SearchSizes) {
    this.#ring = ring;
    this.#sizes = sizes;
    this.#largest = sizes.largest(ring.layout.ringSize);
    this.#u8 = new Uint8Array(Math.max(sizes.window + FRAME_HEADER, sizes.guess));
    this.#dv = new DataView(this.#u8.buffer);
    this.#words = new BigUint64Array(this.#u8.buffer);
    this.#state = state;
    this.#ringSize = ring.layout.ringSize;
    this.#used = usedBytes(state, this.#ringSize);
    this.#oldestLo = Number(state.oldest & 0xffff_ffffn);
    this.#oldestHi = Number(state.oldest >> 32n);
    this.#total = Number(state.newest - state.oldest) + 1;
    this.#wanted = Number(seq - state.oldest);
  }

  step(): number | null {
    if (this.#found < 0) {
      this.#found = this.#search();
      if (this.#found < 0) return -1;
      this.#beginProof();
      return null;
    }
    const until = Math.min(this.#found, this.#at + this.#sizes.step);
    while (this.#at < until) if (!this.#proveWindow(until)) return -1;
    if (this.#at < this.#found) return null;
    const proved = this.#next === this.#found && this.#nextNth === this.#wanted;
    return proved && this.#isUntouched() ? this.#found : -1;
  }

  // ---- where it may be ------------------------------------------------------------------------

  /** The ring offset of a frame with the wanted number; -1 if none was found. */
  #search(): number {
    let low: Point = { bytes: 0, nth: 0 };
    let high: Point = { bytes: this.#used, nth: this.#total };
    for (let guess = 1; guess <= GUESSES; guess++) {
      const span = high.bytes - low.bytes;
      const share = guess % BISECT_EVERY === 0
        ? 0.5
        : (this.#wanted - low.nth) / (high.nth - low.nth);
      const aim = low.bytes + Math.floor(span * share) - this.#sizes.guess / 2;
      const from = Math.max(low.bytes, aim - aim % 8);
      const sight = this.#look(from, high.bytes);
      if (sight === "none") return -1;
      // If no frame begins between here and `high`, the last one before it is to the left.
      if (sight === "end") high = { bytes: from, nth: high.nth };
      else if (sight.hit >= 0) return sight.hit;
      else if (sight.last.nth < this.#wanted) low = sight.last;
      else high = { bytes: from, nth: sight.first.nth };
      if (low.nth >= high.nth || low.bytes >= high.bytes) return -1;
    }
    return -1;
  }

  /**
   * The first frames from a place on, given in bytes from the tail; `end` if none begins before
   * `end`, `none` if none begins in a large piece.
   */
  #look(from: number, end: number): Sight | "end" | "none" {
    for (let at = from; at < end;) {
      if (at - from > this.#sizes.guessMost) return "none";
      const place = this.#placeOf(at);
      const edge = this.#edgeOf(place);
      const want = Math.min(this.#sizes.guess, edge - place);
      const got = this.#ring.readRing(this.#u8.subarray(0, want), place);
      if (got < want) return "none";
      const sight = this.#sight(at, place, want, edge);
      if (sight !== null) return sight.first.bytes < end ? sight : "end";
      // A header at the end of the window is looked at in the next one, if there is one.
      at += place + want === edge ? want : want - FRAME_HEADER + 8;
    }
    return "end";
  }

  /** The first consecutive frames in the window, which is at ring offset `place`. */
  #sight(bytes: number, place: number, length: number, edge: number): Sight | null {
    let i = this.#find(COMMITTED_START, 0, length);
    while (i >= 0 && this.#nthAt(i, place, edge) < 0) {
      i = this.#find(COMMITTED_START, i + 8, length);
    }
    if (i < 0) return null;
    const first = { bytes: bytes + i, nth: this.#nthAt(i, place, edge) };
    let last = first;
    for (;;) {
      const at = last.bytes - bytes;
      if (last.nth === this.#wanted) return { first, last, hit: place + at };
      const next = at + frameLength(payloadLength(this.#dv, at));
      if (next + FRAME_HEADER > length || this.#words[next / 8] !== COMMITTED_START) break;
      if (this.#nthAt(next, place, edge) !== last.nth + 1) break;
      last = { bytes: bytes + next, nth: last.nth + 1 };
    }
    return { first, last, hit: -1 };
  }

  /** The index in the window of the next such word before `end - FRAME_HEADER`, or -1. */
  #find(word: bigint, from: number, end: number): number {
    const i = this.#words.indexOf(word, from / 8) * 8;
    return i < 0 || i + FRAME_HEADER > end ? -1 : i;
  }

  /**
   * Which live message the frame header at `i` of the window claims to be, counted from the oldest;
   * -1 if it is no such header. The window is at ring offset `place`; no frame goes beyond `edge`.
   */
  #nthAt(i: number, place: number, edge: number): number {
    const dv = this.#dv;
    if (frameProblem(dv, i, this.#ringSize) !== null) return -1;
    if (place + i + frameLength(payloadLength(dv, i)) > edge) return -1;
    const nth = (dv.getUint32(i + FIELD.seq + 4, true) - this.#oldestHi) * 0x1_0000_0000 +
      dv.getUint32(i + FIELD.seq, true) - this.#oldestLo;
    return nth < this.#total ? nth : -1;
  }

  #placeOf(bytes: number): number {
    const place = this.#state.tail + bytes;
    return place < this.#ringSize ? place : place - this.#ringSize;
  }

  /** Whether the live messages go on at offset 0. */
  get #wraps(): boolean {
    return this.#state.head <= this.#state.tail;
  }

  /** Where the stretch of live messages around a ring offset begins: there a frame begins. */
  #startOf(place: number): number {
    return place >= this.#state.tail ? this.#state.tail : 0;
  }

  /** Where it ends. */
  #edgeOf(place: number): number {
    return this.#wraps && place >= this.#state.tail ? this.#ringSize : this.#state.head;
  }

  // ---- proof ----------------------------------------------------------------------------------

  #beginProof(): void {
    const start = this.#startOf(this.#found);
    this.#from = this.#at = Math.max(start, this.#found - this.#largest);
    if (this.#from === start) this.#next = start;
    if (this.#from === this.#state.tail) this.#nextNth = 0;
  }

  /** Whether dead bytes behind a wrap marker may be among those that are searched. */
  get #nearEnd(): boolean {
    const { tail } = this.#state;
    return this.#wraps && this.#found >= tail && this.#ringSize - this.#found <= this.#largest;
  }

  /** Searches one window, up to ring offset `until`; false if there is no proof. */
  #proveWindow(until: number): boolean {
    const place = this.#at;
    const length = Math.min(this.#sizes.window, until - place);
    // The header of a frame that begins in the window may reach beyond it, up to the found frame's.
    const want = length + FRAME_HEADER;
    if (this.#ring.readRing(this.#u8.subarray(0, want), place) < want) return false;
    const edge = this.#edgeOf(place);
    this.#at += length;
    const end = length + FRAME_HEADER - 8;
    if (this.#nearEnd) {
      for (let i = this.#find(WRAP_START, 0, end); i >= 0;) {
        if (frameProblem(this.#dv, i, this.#ringSize) === null) return false;
        i = this.#find(WRAP_START, i + 8, end);
      }
    }
    for (let i = this.#find(COMMITTED_START, 0, end); i >= 0;) {
      if (!this.#isNext(i, place, edge)) return false;
      i = this.#find(COMMITTED_START, i + 8, end);
    }
    return true;
  }

  /** Whether what looks like a frame at `i` of the window is none, or the next one of the chain. */
  #isNext(i: number, place: number, edge: number): boolean {
    const nth = this.#nthAt(i, place, edge);
    if (nth < 0) return true;
    if (this.#next >= 0 && place + i !== this.#next) return false;
    if (this.#nextNth >= 0 && nth !== this.#nextNth) return false;
    this.#next = place + i + frameLength(payloadLength(this.#dv, i));
    this.#nextNth = nth + 1;
    return true;
  }

  /**
   * Whether no writer touched the searched bytes in the meantime: they were live all the time, as
   * for a copied frame (docs/spec/format.md 5.3).
   */
  #isUntouched(): boolean {
    const before = this.#state;
    const now = this.#ring.tryState();
    // Up to the old newest message, the tail has gone around the ring less than once.
    if (now === null || now.oldest === 0n || now.oldest > before.newest) return false;
    const distance = (to: number) => (to - before.tail + this.#ringSize) % this.#ringSize;
    const moved = now.oldest > before.oldest; // With an age limit, ours is behind the real tail.
    if (moved && distance(now.tail) > distance(this.#from)) return false;
    const isSearched = ({ from, to }: Stored) => from < this.#found && to > this.#from;
    if (beingWritten(this.#ring, now).some(isSearched)) return false;
    if (!tailFits(this.#ring, now)) return false;
    const again = this.#ring.tryState();
    return again !== null && sameState(now, again);
  }
}
