/**
 * Where the frames of a batch go, and what must be dropped for them: the writer of
 * docs/spec/format.md 5.2, frame by frame, as one pure function.
 *
 * A plan guarantees two things, which are the whole crash argument:
 * 1. Everything it writes between `advanced` and `published` lies in bytes that `advanced` does not
 *    count as live. So a process that dies in between has destroyed nothing.
 * 2. Nothing it writes is live before `published`. So a process that dies in between has added
 *    nothing, and the next writer plans over the same free bytes.
 *
 * @module
 */

import { emptied, frameOffset, type Item, type Passing } from "./frame.ts";
import type { State } from "./header.ts";
import { FRAME_HEADER } from "./layout.ts";

/**
 * The steps for a batch: advance, wrap marker, at most two contiguous writes of frames, publish.
 */
export interface Plan {
  /** How many frames of the batch are placed; the rest need another plan. */
  readonly count: number;
  /** The state to publish before any byte is written, if the tail moves; null if it does not. */
  readonly advanced: State | null;
  /** Ring offset for a wrap marker, or -1. */
  readonly wrapAt: number;
  /** Ring offset of the first frame. */
  readonly firstAt: number;
  /** Index of the first frame placed at ring offset 0 after a wrap; `count` if there is none. */
  readonly second: number;
  /** The state to publish once all frames are written. */
  readonly published: State;
}

/**
 * The chain of live frames contradicts the state block: damage to repair (docs/spec/format.md 5.4).
 */
export class BrokenChain extends Error {
  /** Creates an error for the problem at a ring offset. */
  constructor(readonly offset: number, problem: string) {
    super(problem);
    this.name = "BrokenChain";
  }
}

/** The frame that must be at `offset` with sequence number `seq`. */
function expectFrame(look: (offset: number) => Item, offset: number, seq: bigint): Item {
  const item = look(offset);
  if (item.kind !== "frame") throw new BrokenChain(offset, item.problem || "frame expected");
  if (item.seq !== seq) throw new BrokenChain(offset, "tail seq mismatch");
  return item;
}

/** Where a frame goes. */
interface Place {
  /** Whether it goes to ring offset 0, because it does not fit at the head. */
  readonly wrap: boolean;
  /** How many bytes behind the head it takes, with what is passed over. */
  readonly need: number;
  readonly at: number;
  /** Its end, the size of the ring becoming 0. */
  readonly end: number;
}

/** The place of a frame of `length` bytes; whether that is free is another question. */
function placeOf(head: number, length: number, ringSize: number): Place {
  const room = ringSize - head;
  const over = room - length;
  const edge = ringSize - length;
  // The second condition avoids padding, which readers of 0.8 cannot handle (docs/spec/format.md
  // 5.1 D1).
  const wrap = over < 0 ||
    (over > 0 && over < FRAME_HEADER && !(edge > 0 && edge < FRAME_HEADER));
  // A wrap also consumes the marker at the old head, or the dead bytes there if no marker fits.
  const need = !wrap
    ? length
    : over < 0
    ? length + Math.min(room, FRAME_HEADER)
    : length + FRAME_HEADER;
  const at = wrap ? 0 : head;
  return { wrap, need, at, end: at + length === ringSize ? 0 : at + length };
}

/** How much room is made ahead: 1/256 of the ring, at most this many bytes. */
const MOST_AHEAD = 1 << 16;
/** The size of ring from which room is made ahead: in a small one every message counts. */
const LEAST_AHEAD = 1 << 19;

/**
 * How many bytes an append makes free for the appends after it (docs/spec/format.md 5.2). Frames
 * that are larger get no room ahead.
 */
export function spareOf(ringSize: number): number {
  return ringSize < LEAST_AHEAD ? 0 : Math.min(MOST_AHEAD, Math.floor(ringSize / 2048) * 8);
}

/**
 * Plans as many frames of a batch as fit without overwriting one another.
 *
 * A batch is split only where its own frames would have to be dropped for the next one, so a batch
 * no larger than half the ring is always written as a whole.
 *
 * @param state the published state, verified
 * @param ringSize size of the ring in bytes
 * @param count number of frames, at least 1
 * @param lengthOf total length of frame `i` in bytes, at most `ringSize`
 * @param look classifies the item at a ring offset
 * @param spare how much room to make for later appends, if this one had to drop something and the
 *   next one of the last frame's length would again; frames that are longer get none
 * @param pass passes over frames as `look` would see them; for batches, where this is faster
 * @throws {BrokenChain} when a frame to be dropped is not there
 */
export function planBatch(
  state: State,
  ringSize: number,
  count: number,
  lengthOf: (i: number) => number,
  look: (offset: number) => Item,
  spare = 0,
  pass?: Passing,
): Plan {
  const normalise = (offset: number): number => frameOffset(look, offset, ringSize);
  const nextOf = (item: Item): number => item.end === ringSize ? 0 : item.end;

  let live = state.oldest === 0n ? 0 : Number(state.newest - state.oldest) + 1;
  let oldest = state.oldest;
  let head = state.head;
  let tail = live > 0 ? normalise(state.tail) : head;
  let moved = live > 0 && tail !== state.tail;
  let placed = 0;
  let firstAt = 0;
  let firstEnd = 0;
  let wrapAt = -1;
  let second = -1;

  // Whether a frame fits at `place` without touching what is kept.
  const fits = ({ wrap, need, end }: Place, length: number): boolean => {
    // Enough free bytes do not suffice. After a wrap they must be at the start of the ring: with
    // the tail inside the new frame, a live frame would be overwritten. And the end must not
    // reach the tail: head = tail with messages is a full ring, where 0.8 would start over
    // (docs/spec/format.md 5.1 D4).
    const free = head === tail ? 0 : head > tail ? ringSize - (head - tail) : tail - head;
    return free >= need && !(wrap && tail < length) && end !== tail;
  };
  const drop = (): void => {
    const item = expectFrame(look, tail, oldest);
    live--;
    oldest++;
    moved = true;
    tail = live > 0 ? normalise(nextOf(item)) : placed > 0 ? firstAt : head;
  };

  // Most batches go behind the head in one piece, and what they need is in one piece too.
  const whole = (pass: Passing): void => {
    let total = 0;
    for (let i = 0; i < count; i++) total += lengthOf(i);
    const end = head + total;
    if (live === 0 || end > ringSize - FRAME_HEADER) return;
    if (head <= tail) {
      const passed = pass(tail, oldest, end, live - 1);
      if (passed.end <= end) return;
      if (passed.count > 0 && normalise(passed.end) !== passed.end) return;
      live -= passed.count;
      oldest += BigInt(passed.count);
      moved ||= passed.count > 0;
      tail = passed.end;
    }
    firstAt = head;
    head = end;
    placed = count;
  };
  if (pass !== undefined) whole(pass);

  for (; placed < count; placed++) {
    const length = lengthOf(placed);
    const place = placeOf(head, length, ringSize);
    const before = { live, oldest, tail, moved };
    // Without messages before it, only frames of this batch could be dropped, and they are not
    // published yet.
    while (live > 0 && !fits(place, length)) drop();
    if (placed > 0 && live === 0 && !fits(place, length)) {
      // What would have been dropped for this frame stays readable until it is actually placed.
      ({ live, oldest, tail, moved } = before);
      break;
    }
    const { wrap, at, end } = place;
    if (wrap && ringSize - head >= FRAME_HEADER) wrapAt = head;
    if (placed === 0) {
      firstAt = at;
      firstEnd = end;
      // From now on the batch's own frames must not be overwritten.
      if (live === 0) tail = at;
    } else if (at === 0 && second < 0) second = placed;
    head = end;
  }

  const newest = state.newest + BigInt(placed);
  if (live === 0) {
    // Everything was dropped. An empty ring has one valid form, all offsets equal
    // (docs/spec/format.md 1.6), so the tail goes to the old head; `published` then moves it to the
    // first new frame.
    return {
      count: placed,
      advanced: moved ? emptied(state) : null,
      wrapAt,
      firstAt,
      second: second < 0 ? placed : second,
      published: { head, tail: firstAt, tailNext: firstEnd, oldest: state.newest + 1n, newest },
    };
  }
  // docs/spec/format.md 3.4: the published value is exact; 0 in the header means that it is not
  // known yet.
  const endOfTail = (): number =>
    !moved && state.tailNext !== 0 ? state.tailNext : nextOf(expectFrame(look, tail, oldest));
  const kept = { tail, tailNext: endOfTail(), oldest };
  const advanced = moved ? { ...state, ...kept } : null;
  const plan = { count: placed, advanced, wrapAt, firstAt, second: second < 0 ? placed : second };
  const length = lengthOf(placed - 1);
  // Nothing goes ahead of its time in a ring that has not had to drop anything yet.
  if (!moved || length > spare || fits(placeOf(head, length, ringSize), length)) {
    return { ...plan, published: { head, ...kept, newest } };
  }
  const ahead = placeOf(head, spare, ringSize);
  // One message is kept, so that the tail never meets the frames of this batch.
  while (live > 1 && !fits(ahead, spare)) {
    const item = look(tail);
    if (item.kind !== "frame" || item.seq !== oldest) break;
    const next = normalise(nextOf(item));
    const then = look(next);
    // Damage is repaired by who has to drop it.
    if (then.kind !== "frame" || then.seq !== oldest + 1n) break;
    live--;
    oldest++;
    moved = true;
    tail = next;
  }
  return { ...plan, published: { head, tail, tailNext: endOfTail(), oldest, newest } };
}
