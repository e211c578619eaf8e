/**
 * Decides which of the whole frames in a damaged ring are live: by what the state block says, and by
 * what the frames alone show.
 *
 * @module
 */

import type { WholeFrame } from "./frame_scan.ts";
import type { State } from "./header.ts";
import { canFill } from "./tombstone.ts";

/** A view of the pool: which numbers are live, and where. */
export interface Account {
  /** Ring offset after the newest message. */
  readonly head: number;
  /** The lowest live number. */
  readonly low: bigint;
  /** The highest live number. */
  readonly newest: bigint;
  /** The claimed ring offset of message `low`, or -1. */
  readonly tail: number;
}

/** Whole frames that can be live together, in order. */
export interface Chain {
  /** The frames. */
  readonly frames: readonly WholeFrame[];
  /** Ring offset after the newest message. */
  readonly head: number;
  /** The view that they were chosen by. */
  readonly account: Account;
}

/** The state block's view, corrected where a whole frame proves a field wrong. */
export function believe(
  all: readonly WholeFrame[],
  state: State,
  sane: boolean,
  window: bigint,
): Account {
  const { head, tail } = state;
  let { newest } = state;
  // An incomplete publication: head has moved, newest has not.
  const last = all.find((frame) => frame.end === head);
  if (last !== undefined && last.seq > newest && last.seq <= newest + window) newest = last.seq;
  if (!sane || state.oldest === 0n) {
    const low = newest > window ? newest - window : 1n;
    return { head, low, newest, tail: -1 };
  }
  const first = all.find((frame) => frame.at === tail);
  const early = first !== undefined && first.seq < state.oldest &&
    first.seq + window >= newest;
  return { head, low: early ? first.seq : state.oldest, newest, tail: early ? -1 : tail };
}

/** The view of the frames alone: the window of numbers that contains most of them. */
export function witness(
  all: readonly WholeFrame[],
  window: bigint,
  oldest: bigint,
): Account | null {
  const bySeq = [...all].sort((a, b) => a.seq < b.seq ? -1 : a.seq > b.seq ? 1 : 0);
  let best: { count: number; last: WholeFrame } | null = null;
  let from = 0;
  for (const [i, frame] of bySeq.entries()) {
    while (frame.seq - (bySeq[from]?.seq ?? frame.seq) > window) from++;
    if (best === null || i - from + 1 >= best.count) best = { count: i - from + 1, last: frame };
  }
  if (best === null) return null;
  const { seq, end } = best.last;
  const low = seq > window ? seq - window : 1n;
  return { head: end, low: oldest > low && oldest <= seq ? oldest : low, newest: seq, tail: -1 };
}

/** The largest set of frames that form a chain ending at the view's head. */
export function choose(
  all: readonly WholeFrame[],
  account: Account,
  ringSize: number,
  least: number,
): Chain {
  const { low, newest } = account;
  const head = account.head === ringSize ? 0 : account.head;
  // Writers go around the ring, so going once around from head, live numbers only increase. That
  // order distinguishes live frames from dead ones, which are whole too.
  const inOrder = [
    ...all.filter((frame) => frame.at >= head),
    ...all.filter((frame) => frame.end <= head),
  ].filter((frame) => frame.seq >= low && frame.seq <= newest);
  const chain = longestChain(inOrder, head, newest, ringSize, least);
  const last = chain.at(-1);
  // The head is at the end of the newest frame, whatever the state block says.
  const end = last !== undefined && last.seq === newest ? last.end % ringSize : head;
  return { frames: chain, head: end, account };
}

/** How many following frames are considered as a frame's successor, by offset and by number. */
const NEAR = 16;

/**
 * The longest chain of frames between which all holes can be filled, ending at `head`. `frames` are
 * ordered by offset, starting at `head` and going once around the ring.
 */
function longestChain(
  frames: readonly WholeFrame[],
  head: number,
  newest: bigint,
  ringSize: number,
  least: number,
): WholeFrame[] {
  const bySeq = [...frames.keys()].sort((a, b) => {
    const [x, y] = [frames[a]?.seq ?? 0n, frames[b]?.seq ?? 0n];
    return x < y ? -1 : x > y ? 1 : a - b;
  });
  const rank = new Map(bySeq.map((i, r) => [i, r]));
  /** For each frame, the length of the best chain that starts with it, and the next frame. */
  const best: { count: number; next: number }[] = [];
  const fits = (frame: WholeFrame, to: number, seq: bigint): boolean =>
    seq > frame.seq &&
    canFill(frame.end, to, Number(seq - frame.seq) - 1, ringSize, least);
  for (let i = frames.length - 1; i >= 0; i--) {
    const frame = frames[i];
    if (frame === undefined) continue;
    const ends = frame.seq === newest || fits(frame, head, newest + 1n);
    let own = { count: ends ? 1 : 0, next: -1 };
    const consider = (j: number | undefined): void => {
      const after = j === undefined || j <= i ? undefined : frames[j];
      const count = j === undefined ? 0 : best[j]?.count ?? 0;
      if (j === undefined || after === undefined || count === 0 || count + 1 <= own.count) return;
      if (fits(frame, after.at, after.seq)) own = { count: count + 1, next: j };
    };
    consider(i + 1);
    const r = rank.get(i) ?? 0;
    // No successor is better than one adjacent in offset and number.
    if (own.next < 0 || frames[i + 1]?.seq !== frame.seq + 1n) {
      for (let n = 1; n <= NEAR; n++) {
        consider(bySeq[r + n]);
        consider(i + n);
      }
    }
    best[i] = own;
  }
  let start = -1;
  for (const [i, { count }] of best.entries()) {
    if (count > 0 && count > (best[start]?.count ?? 0)) start = i;
  }
  const chain: WholeFrame[] = [];
  for (let i = start; i >= 0; i = best[i]?.next ?? -1) {
    const frame = frames[i];
    if (frame !== undefined) chain.push(frame);
  }
  return chain;
}
