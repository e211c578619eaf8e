/**
 * Where the last N matching messages begin, found by looking backwards in growing pieces. However
 * large N is, only a bounded number of positions is held and no message.
 *
 * @module
 */

import type { Awaitable, Gap } from "../types.ts";
import type { Walk } from "./types.ts";

/** Messages in the first piece; each further one is twice as long, */
const FIRST_PIECE = 256n;
/** up to this length. */
const LARGEST_PIECE = 1n << 20n;
/** Most positions that are held at once: 8 MiB. */
const MOST_HELD = 1 << 20;

/** The positions of the last matches of a piece, as many as may matter. */
class Positions {
  readonly #ring: BigUint64Array;
  count = 0;

  constructor(size: number) {
    this.#ring = new BigUint64Array(size);
  }

  add(seq: bigint): void {
    this.#ring[this.count++ % this.#ring.length] = seq;
  }

  /** The position of the `nth` match from the end (1 is the last); null when it is not held. */
  fromEnd(nth: number): bigint | null {
    if (nth > this.#ring.length || nth > this.count) return null;
    return this.#ring[(this.count - nth) % this.#ring.length] ?? null;
  }
}

/** What was found. */
export interface LastStart {
  /** The number of the first of the last N matches, or of the oldest message. */
  readonly from: bigint;
  /** What was lost while looking. */
  readonly lost: Gap | null;
}

/**
 * Finds where the last `count` matches in `oldest` to `newest` begin.
 *
 * @param open gives a walk over the matches of a piece, bounds inclusive
 */
export async function findLast(
  oldest: bigint,
  newest: bigint,
  count: number,
  open: (from: bigint, until: bigint) => Awaitable<Walk>,
  signal?: AbortSignal,
): Promise<LastStart> {
  let missing = count;
  let piece = FIRST_PIECE;
  for (let until = newest; until >= oldest && oldest > 0n;) {
    const from = until - piece + 1n > oldest ? until - piece + 1n : oldest;
    const { found, lost } = await scan(await open(from, until), missing, signal);
    if (lost !== null) {
      // Everything before it is gone as well; the loss is told by whoever reads from here.
      const first = found.fromEnd(Math.min(missing, found.count));
      return { from: found.count >= missing && first !== null ? first : lost.last + 1n, lost };
    }
    if (found.count >= missing) {
      const first = found.fromEnd(missing);
      if (first !== null) return { from: first, lost: null };
      return await inPiece(from, until, found.count - missing, open, signal);
    }
    missing -= found.count;
    until = from - 1n;
    if (piece < LARGEST_PIECE) piece *= 2n;
  }
  return { from: oldest, lost: null };
}

/** The start is the match behind the first `skip` of a piece: more than could be held. */
async function inPiece(
  from: bigint,
  until: bigint,
  skip: number,
  open: (from: bigint, until: bigint) => Awaitable<Walk>,
  signal: AbortSignal | undefined,
): Promise<LastStart> {
  let passed = 0;
  let start = until + 1n;
  const lost = await drain(await open(from, until), signal, (seq) => {
    if (passed++ < skip) return false;
    start = seq;
    return true;
  });
  return { from: start, lost };
}

async function scan(
  walk: Walk,
  missing: number,
  signal: AbortSignal | undefined,
): Promise<{ found: Positions; lost: Gap | null }> {
  const found = new Positions(Math.min(missing, MOST_HELD));
  const lost = await drain(walk, signal, (seq) => {
    found.add(seq);
    return false;
  });
  return { found, lost };
}

/** Goes through a walk until `stop` says so; returns what was lost on the way. */
async function drain(
  walk: Walk,
  signal: AbortSignal | undefined,
  stop: (seq: bigint) => boolean,
): Promise<Gap | null> {
  try {
    for (;;) {
      while (walk.next()) if (stop(walk.frame.seq)) return walk.takeGap();
      if (walk.ended) return walk.takeGap();
      await walk.wait(undefined, signal);
    }
  } finally {
    walk.close();
  }
}
