/**
 * Finds the last N matching messages. Matches are stored as one bit per message and the messages
 * are read again when needed, so memory use stays small for any N.
 *
 * @module
 */

import { Slice } from "../storage/turns.ts";
import type { Awaitable } from "../types.ts";
import { SeqSet } from "./seq_set.ts";
import type { Walk } from "./types.ts";

/** The size of the first window, in messages, and the growth factor of the following ones. */
const FIRST_PIECE = 256n;
const GROWTH = 4n;
/** How many matches are recorded before reading the clock again. */
const CLOCK_EVERY = 64;

/** Options of a search. */
export interface Search {
  /** Aborts the search. */
  readonly signal?: AbortSignal;
  /** Called when the search makes progress. */
  readonly looked?: () => void;
}

/** The last matches. */
export interface LastMatches {
  /** The sequence number of the first one; newest + 1 if nothing matches. */
  readonly first: bigint;
  /** The matches, and possibly earlier ones. */
  readonly matches: SeqSet;
}

/**
 * Finds the last `count` matches in `oldest` to `newest`. Searches backwards in growing windows,
 * and evaluates as few messages as possible.
 *
 * @param open returns a walk over the matches of a window, bounds inclusive
 * @throws {PlasmiteError} errors of reading and filtering; the signal's reason
 */
export async function findLast(
  oldest: bigint,
  newest: bigint,
  count: number,
  open: (from: bigint, until: bigint) => Awaitable<Walk>,
  search: Search = {},
): Promise<LastMatches> {
  const matches = new SeqSet();
  let size = BigInt(count) > FIRST_PIECE ? BigInt(count) : FIRST_PIECE;
  let lost: bigint | null = null;
  for (let until = newest; until >= oldest && matches.size < count && lost === null;) {
    const from = until - size + 1n > oldest ? until - size + 1n : oldest;
    lost = await collect(await open(from, until), matches, search);
    until = from - 1n;
    size *= GROWTH;
  }
  // Messages lost during the search might have matched: start there, so that the gap is reported.
  if (lost !== null && matches.size < count) return { first: lost, matches };
  const found = Math.min(count, matches.size);
  const first = found === 0 ? null : matches.nth(matches.size - found);
  return { first: first ?? newest + 1n, matches };
}

/** Adds the matches of a walk to the set; returns the first lost sequence number, or null. */
async function collect(
  walk: Walk,
  matches: SeqSet,
  { signal, looked }: Search,
): Promise<bigint | null> {
  let before = 0;
  const slice = new Slice();
  try {
    for (let found = 0;;) {
      while (walk.next()) {
        matches.add(walk.frame.seqLo, walk.frame.seqHi);
        if (++found % CLOCK_EVERY !== 0 || !slice.over) continue;
        signal?.throwIfAborted();
        await slice.next();
      }
      if (walk.looked !== before) looked?.();
      before = walk.looked;
      if (walk.ended) return walk.takeGap()?.first ?? null;
      await walk.wait(undefined, signal);
      slice.restart();
    }
  } finally {
    walk.close();
  }
}
