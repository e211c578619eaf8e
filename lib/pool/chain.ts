/**
 * Finds what remains of the chain of live frames after a writer of the reference was killed while
 * it overwrote dropped frames (docs/spec/format.md 5.1 D5, 5.4). It works in steps, without a lock,
 * within a read budget.
 *
 * @module
 */

import type { StorageFile } from "../storage/storage.ts";
import type { Steps } from "../storage/steps.ts";
import { hasMarker, itemAt, MAGIC, payloadLength } from "./frame.ts";
import { type State, usedBytes } from "./header.ts";
import { FRAME_HEADER, type Layout, MARKER_SIZE } from "./layout.ts";

/** Bytes per read in sequential reading, and after a jump. */
const LARGE = 1 << 18;
const SMALL = 1 << 12;
/** Free space up to this size is searched as well: the state block may be off by a message. */
const NEAR = 1 << 24;
/** Ring bytes per step of a search, and frames per step of a walk. */
const STEP_BYTES = 1 << 18;
const STEP_FRAMES = 1 << 10;

/** The read budget of an automatic repair is exhausted. */
export class OutOfReach extends Error {}

/** A whole frame found in the ring. */
export interface FoundFrame {
  /** Ring offset of its header. */
  readonly at: number;
  /** Sequence number. */
  readonly seq: bigint;
  /** Ring offset of its end. */
  readonly end: number;
}

/** An unbroken sequence of frames that ends with the newest message at the head. */
export interface Chain {
  /** Its oldest frame. */
  readonly first: FoundFrame;
  /** Its first frame after the wrap to offset 0; null if it does not wrap. */
  readonly turned: FoundFrame | null;
}

/** A window into a ring. */
export class RingWindow {
  readonly #file: StorageFile;
  readonly #layout: Layout;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  /** The loaded bytes. */
  readonly view: DataView<ArrayBuffer>;
  #from = 0;
  #to = 0;
  #left: number;

  /** @param most the read budget in bytes */
  constructor(file: StorageFile, layout: Layout, most = Infinity) {
    this.#file = file;
    this.#layout = layout;
    this.#bytes = new Uint8Array(Math.min(LARGE, layout.ringSize));
    this.view = new DataView(this.#bytes.buffer);
    this.#left = most;
  }

  /**
   * Loads `length` bytes (a small number) of the ring at `at`; returns their offset in the view, or
   * -1 beyond the ring's end.
   *
   * @throws {OutOfReach} when the read budget is exhausted
   */
  load(at: number, length: number): number {
    const { ringOffset, ringSize } = this.#layout;
    if (at + length > ringSize) return -1;
    if (at >= this.#from && at + length <= this.#to) return at - this.#from;
    const goesOn = at >= this.#from && at <= this.#to;
    const want = Math.min(goesOn ? LARGE : SMALL, this.#bytes.length, ringSize - at);
    this.#left -= want;
    if (this.#left < 0) throw new OutOfReach();
    const got = this.#file.readAt(this.#bytes.subarray(0, want), ringOffset + at);
    this.#from = at;
    this.#to = at + got;
    return length <= got ? 0 : -1;
  }

  /**
   * The committed frame at `at` with a sequence number from `low` to `high`; null if there is none.
   */
  frame(at: number, low: bigint, high: bigint): FoundFrame | null {
    const i = this.load(at, FRAME_HEADER);
    if (i < 0 || this.view.getUint32(i, true) !== MAGIC) return null;
    const { kind, seq, end } = itemAt(this.view, i, at, this.#layout.ringSize);
    if (kind !== "frame" || seq < low || seq > high) return null;
    const marker = this.load(at + FRAME_HEADER + payloadLength(this.view, i), MARKER_SIZE);
    return marker >= 0 && hasMarker(this.view, marker) ? { at, seq, end } : null;
  }

  /**
   * The ring offset of the item after a frame that ends at `end`, skipping padding and a wrap
   * marker.
   */
  placeAfter(end: number): number {
    const i = this.load(end, FRAME_HEADER);
    if (i < 0) return 0;
    return itemAt(this.view, i, end, this.#layout.ringSize).kind === "wrap" ? 0 : end;
  }
}

/**
 * Every committed frame up to ring offset `until` with a sequence number from `low` to `high`.
 *
 * @param onRead is called with the ring offset reached
 */
export function scanFrames(
  look: RingWindow,
  until: number,
  low: bigint,
  high: bigint,
  onRead: (at: number) => void,
): FoundFrame[] {
  const found: FoundFrame[] = [];
  for (let at = 0; at < until; at += 8) {
    if (at % STEP_BYTES === 0) onRead(at);
    const i = look.load(at, FRAME_HEADER);
    if (i < 0) break;
    if (look.view.getUint32(i, true) !== MAGIC) continue;
    const frame = look.frame(at, low, high);
    if (frame !== null) found.push(frame);
  }
  return found;
}

/** A set of ring offsets, one bit each. */
class Places {
  readonly #pieces = new Map<number, Uint8Array>();

  /** Adds an offset; false if it was already present. */
  add(at: number): boolean {
    const n = at / 8;
    const key = Math.floor(n / 8192);
    let piece = this.#pieces.get(key);
    if (piece === undefined) this.#pieces.set(key, piece = new Uint8Array(1024));
    const bit = n % 8192;
    const byte = piece[bit >> 3] ?? 0;
    piece[bit >> 3] = byte | 1 << (bit & 7);
    return (byte >> (bit & 7) & 1) === 0;
  }
}

/** A search for one chain. */
class Search {
  readonly #look: RingWindow;
  readonly #ringSize: number;
  readonly #state: State;
  /**
   * Frames from which no chain leads to the head; so each is followed only once, whatever the file
   * contains.
   */
  readonly #dead = new Places();

  constructor(look: RingWindow, ringSize: number, state: State) {
    this.#look = look;
    this.#ringSize = ringSize;
    this.#state = state;
  }

  *run(): Steps<Chain | null> {
    const { head, tail } = this.#state;
    const used = usedBytes(this.#state, this.#ringSize);
    const from = this.#ringSize - used <= NEAR ? head : tail;
    // Going once around from head, ring offsets are ordered from oldest to newest, so the first
    // frame from which a chain reaches the head starts the longest one. Between head and tail there
    // are only dead frames; where that space is large, it is skipped.
    const stretches = from < head
      ? [[from, head]] as const
      : [[from, this.#ringSize], [0, head]] as const;
    for (const [start, end] of stretches) {
      const chain = yield* this.#between(start, end);
      if (chain !== null) return chain;
    }
    return null;
  }

  /** The chain with the first start between two ring offsets. */
  *#between(start: number, end: number): Steps<Chain | null> {
    const look = this.#look;
    const { view } = look;
    const { newest, oldest } = this.#state;
    const low = oldest === 0n ? 1n : oldest;
    for (let at = start; at < end; at += 8) {
      if ((at - start) % STEP_BYTES === 0) yield "more";
      const i = look.load(at, FRAME_HEADER);
      if (i < 0) return null;
      if (view.getUint32(i, true) !== MAGIC) continue;
      const frame = look.frame(at, low, newest);
      const chain = frame === null ? null : yield* this.#follow(frame);
      if (chain !== null) return chain;
    }
    return null;
  }

  /** The chain starting at `first`; null if it does not reach the head. */
  *#follow(first: FoundFrame): Steps<Chain | null> {
    const look = this.#look;
    const { head, newest } = this.#state;
    // Consecutive numbers, each frame at the end of the one before, and the newest at the head: a
    // dead frame of an earlier round can be whole, but never satisfies that.
    let frame: FoundFrame | null = first;
    let turned: FoundFrame | null = null;
    /** The first frame after the head. */
    let behind: FoundFrame | null = null;
    for (let count = 1; frame !== null && this.#dead.add(frame.at); count++) {
      const end: number = frame.end === this.#ringSize ? 0 : frame.end;
      if (behind === null && turned === null && frame.at >= (head || this.#ringSize)) {
        behind = frame;
      }
      if (frame.seq === newest) {
        if (end !== head) return null;
        if (turned === null || frame.end <= first.at) return { first, turned };
        // More than once round: what lies over its own end is no part of it.
        return behind === null ? { first: turned, turned: null } : { first: behind, turned };
      }
      if (count % STEP_FRAMES === 0) yield "more";
      const at: number = look.placeAfter(end);
      const next: FoundFrame | null = look.frame(at, frame.seq + 1n, frame.seq + 1n);
      if (next !== null && at < frame.at) {
        if (turned !== null) return null;
        turned = next;
      }
      frame = next;
    }
    return null;
  }
}

/**
 * The longest unbroken sequence of frames that ends with `state.newest` at `state.head`; null if
 * there is none.
 *
 * @param most the read budget in bytes
 * @throws {OutOfReach} when the budget is not sufficient
 */
export function findChain(
  file: StorageFile,
  layout: Layout,
  state: State,
  most: number,
): Steps<Chain | null> {
  return new Search(new RingWindow(file, layout, most), layout.ringSize, state).run();
}
