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

import { emptied, frameOffset, type Item } from "./frame.ts";
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
 * @throws {BrokenChain} when a frame to be dropped is not there
 */
export function planBatch(
  state: State,
  ringSize: number,
  count: number,
  lengthOf: (i: number) => number,
  look: (offset: number) => Item,
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

  for (; placed < count; placed++) {
    const length = lengthOf(placed);
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
    const end = at + length === ringSize ? 0 : at + length;
    let fits = true;
    const before = { live, oldest, tail, moved };
    while (live > 0 || placed > 0) {
      // Enough free bytes do not suffice. After a wrap they must be at the start of the ring: with
      // the tail inside the new frame, a live frame would be overwritten. And the end must not
      // reach the tail: head = tail with messages is a full ring, where 0.8 would start over
      // (docs/spec/format.md 5.1 D4).
      const free = head === tail ? 0 : head > tail ? ringSize - (head - tail) : tail - head;
      if (free >= need && !(wrap && tail < length) && end !== tail) break;
      if (live === 0) {
        // Only frames of this batch could be dropped, and they are not published yet.
        fits = false;
        break;
      }
      const item = expectFrame(look, tail, oldest);
      live--;
      oldest++;
      moved = true;
      tail = live > 0 ? normalise(nextOf(item)) : placed > 0 ? firstAt : head;
    }
    if (!fits) {
      // What would have been dropped for this frame stays readable until it is actually placed.
      ({ live, oldest, tail, moved } = before);
      break;
    }
    if (wrap && room >= FRAME_HEADER) wrapAt = head;
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
  const tailNext = !moved && state.tailNext !== 0
    ? state.tailNext
    : nextOf(expectFrame(look, tail, oldest));
  return {
    count: placed,
    advanced: moved ? { ...state, tail, tailNext, oldest } : null,
    wrapAt,
    firstAt,
    second: second < 0 ? placed : second,
    published: { head, tail, tailNext, oldest, newest },
  };
}
