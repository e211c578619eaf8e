/**
 * The last N messages that match: where they begin, and which they are.
 *
 * Only the latter is remembered, as one bit a message; the messages themselves are read once more
 * when they are wanted. So memory does not grow with N: ten million matches take a few megabytes.
 *
 * @module
 */

import type { FrameSource, PoolReader } from "../backend/source.ts";
import { SeqSet } from "../backend/seq_set.ts";
import { Walk } from "./walk.ts";
import type { Bounds, FrameBytes, Gap } from "../types.ts";

/** How many messages the first look back takes, and how many times as many each further one. */
const FIRST_WINDOW = 256n;
const GROWTH = 4n;

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
