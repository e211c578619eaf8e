/**
 * Finds the last N messages that match.
 *
 * Matches are stored as one bit per message, and the messages are read again when they are needed.
 * So ten million matches take only a few megabytes.
 *
 * @module
 */

import type { FrameSource, PoolReader } from "../backend/source.ts";
import { SeqSet } from "../backend/seq_set.ts";
import { Walk } from "./walk.ts";
import type { Bounds, FrameBytes, Gap } from "../types.ts";

/** The size of the first window, in messages, and the growth factor of the following ones. */
const FIRST_WINDOW = 256n;
const GROWTH = 4n;

/** Filters messages, one by one or in groups. */
export interface Sifter {
  /** Takes the current message of `source`. */
  offer(source: FrameSource): void;
  /** Filters the messages that are waiting. */
  flush(): void;
}

/** Limits of a search. */
export interface SearchOptions {
  /** When to stop and return what was found, in `performance.now()` time; default never. */
  readonly deadline?: number;
  /** Aborts a wait. */
  readonly signal?: AbortSignal | undefined;
}

/** The last matches of a pool. */
export interface Last {
  /** The sequence number of the first one; null if nothing matches. */
  readonly first: bigint | null;
  /** The number of matches, at most as many as requested. */
  readonly count: number;
  /** The last matches, and possibly earlier ones: use those from `first` on. */
  readonly matches: SeqSet;
  /** Messages that were overwritten before they could be filtered and might have matched. */
  readonly lost: Gap | null;
}

/**
 * Finds the last `count` matches within `bounds`. Searches backwards in growing windows, and
 * filters no more messages than necessary.
 *
 * @param sift creates a filter for one window, which calls `found` for each match, in order
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
    // Everything before a loss is gone as well.
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
