/**
 * The last N messages that match: where they begin, and which they are.
 *
 * Only the latter is remembered, as one bit a message; the messages themselves are read once more
 * when they are wanted. So memory does not grow with N: ten million matches take a few megabytes.
 *
 * @module
 */

import type { Gap } from "../pool/cursor.ts";
import type { Bounds, FrameBytes, FrameSource, PoolReader } from "./source.ts";
import { Walk } from "./walk.ts";

/** How many messages the first look back takes, and how many times as many each further one. */
const FIRST_WINDOW = 256n;
const GROWTH = 4n;

/** Sequence numbers that share one piece of a set: their upper 48 bits are the same. */
const PIECE = 1 << 16;

/** A set of sequence numbers, dense or sparse: one bit each, in pieces that exist when needed. */
export class SeqSet {
  readonly #pieces = new Map<number, Uint32Array>();
  #key = -1;
  #piece: Uint32Array | undefined;
  #size = 0;

  /** How many are in it. */
  get size(): number {
    return this.#size;
  }

  #find(lo: number, hi: number): Uint32Array | undefined {
    const key = hi * PIECE + (lo >>> 16);
    if (key !== this.#key) {
      this.#key = key;
      this.#piece = this.#pieces.get(key);
    }
    return this.#piece;
  }

  /** Puts a number in, given as its low and high 32 bits. */
  add(lo: number, hi: number): void {
    let piece = this.#find(lo, hi);
    if (piece === undefined) {
      this.#piece = piece = new Uint32Array(PIECE / 32);
      this.#pieces.set(this.#key, piece);
    }
    const word = piece[(lo & 0xffff) >>> 5] ?? 0;
    if ((word >>> (lo & 31) & 1) === 1) return;
    piece[(lo & 0xffff) >>> 5] = word | 1 << (lo & 31);
    this.#size++;
  }

  /** Whether a number is in it. */
  has(lo: number, hi: number): boolean {
    const piece = this.#find(lo, hi);
    return piece !== undefined && ((piece[(lo & 0xffff) >>> 5] ?? 0) >>> (lo & 31) & 1) === 1;
  }

  /** The number that has `before` smaller ones in the set; null when there are not so many. */
  nth(before: number): bigint | null {
    let left = before;
    for (const key of [...this.#pieces.keys()].sort((a, b) => a - b)) {
      for (const [i, word] of (this.#pieces.get(key) ?? []).entries()) {
        const bits = ones(word);
        if (left >= bits) {
          left -= bits;
          continue;
        }
        let rest = word;
        for (; left > 0; left--) rest &= rest - 1;
        return BigInt(key) * BigInt(PIECE) + BigInt(i * 32 + 31 - Math.clz32(rest & -rest));
      }
    }
    return null;
  }
}

/** How many bits of a word are set. */
function ones(word: number): number {
  let n = word - (word >>> 1 & 0x5555_5555);
  n = (n & 0x3333_3333) + (n >>> 2 & 0x3333_3333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}

/** Judges messages, each at once or many together. */
export interface Sifter {
  /** Takes the current message of `source`. */
  offer(source: FrameSource): void;
  /** Judges what waits. */
  flush(): void;
}

/** How long to search. */
export interface SearchOptions {
  /** When to give up and return what was found, by `performance.now()`; default never. */
  readonly deadline?: number;
  /** Calls a wait off. */
  readonly signal?: AbortSignal | undefined;
}

/** The last matches of a pool. */
export interface Last {
  /** Number of the first of them; null when nothing matches. */
  readonly first: bigint | null;
  /** How many there are: as many as were asked for, or fewer. */
  readonly count: number;
  /** The last matches, and perhaps earlier ones: count from `first` on. */
  readonly matches: SeqSet;
  /** Messages that were overwritten before they could be judged, though they might have counted. */
  readonly lost: Gap | null;
}

/**
 * Finds the last `count` matches within `bounds`. Looks backwards in growing windows, and judges no
 * more messages than it needs.
 *
 * @param sift makes a judge for one window, which calls `found` for each match, in order
 * @throws {PlasmiteError} what reading or judging throws; the signal's reason
 */
export async function findLast(
  reader: PoolReader,
  { oldest, newest }: Bounds,
  count: number,
  sift: (found: (frame: FrameBytes) => void) => Sifter,
  { deadline = Infinity, signal }: SearchOptions = {},
): Promise<Last> {
  const matches = new SeqSet();
  let lost = null as Gap | null;
  let size = BigInt(count) > FIRST_WINDOW ? BigInt(count) : FIRST_WINDOW;
  for (let until = newest; until >= oldest && matches.size < count && oldest > 0n;) {
    const from = until - size + 1n > oldest ? until - size + 1n : oldest;
    const sifter = sift((frame) => matches.add(frame.seqLo, frame.seqHi));
    const walk = new Walk(reader, from, until, {
      visit: (source) => {
        sifter.offer(source);
        return false;
      },
      gap: ({ first, last }) => lost = { first: lost?.first ?? first, last },
    });
    try {
      await walk.run(deadline, signal);
    } finally {
      walk.close();
    }
    sifter.flush();
    // What comes before a loss is gone as well.
    if (lost !== null || performance.now() >= deadline) break;
    until = from - 1n;
    size *= GROWTH;
  }
  const found = Math.min(count, matches.size);
  return {
    first: found === 0 ? null : matches.nth(matches.size - found),
    count: found,
    matches,
    lost,
  };
}
