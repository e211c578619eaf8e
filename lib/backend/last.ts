/**
 * Where the last N matching messages begin, and which they are. Only the latter is remembered, as
 * one bit a message, so memory does not grow with N; the messages are read once more when they are
 * wanted.
 *
 * @module
 */

import type { Awaitable } from "../types.ts";
import { SeqSet } from "./seq_set.ts";
import type { Walk } from "./types.ts";

/** How many messages the first look back takes, and how many times as many each further one. */
const FIRST_PIECE = 256n;
const GROWTH = 4n;

/** How a search goes. */
export interface Search {
  /** Calls it off. */
  readonly signal?: AbortSignal;
  /** Told that it goes on. */
  readonly looked?: () => void;
}

/** The last matches. */
export interface LastMatches {
  /** The number of the first of them; behind the newest when nothing matches. */
  readonly first: bigint;
  /** The matches, and perhaps earlier ones. */
  readonly matches: SeqSet;
}

/**
 * Finds the last `count` matches in `oldest` to `newest`. Looks backwards in growing pieces, and
 * judges no more messages than it needs.
 *
 * @param open gives a walk over the matches of a piece, bounds inclusive
 * @throws {PlasmiteError} what reading or judging throws; the signal's reason
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
  // What was lost on the way might have counted: whoever reads from there is told of the gap.
  if (lost !== null && matches.size < count) return { first: lost, matches };
  const found = Math.min(count, matches.size);
  const first = found === 0 ? null : matches.nth(matches.size - found);
  return { first: first ?? newest + 1n, matches };
}

/** Puts the matches of a walk into the set; returns the first number that was lost, or null. */
async function collect(
  walk: Walk,
  matches: SeqSet,
  { signal, looked }: Search,
): Promise<bigint | null> {
  let before = 0;
  try {
    for (;;) {
      while (walk.next()) matches.add(walk.frame.seqLo, walk.frame.seqHi);
      if (walk.looked !== before) looked?.();
      before = walk.looked;
      if (walk.ended) return walk.takeGap()?.first ?? null;
      await walk.wait(undefined, signal);
    }
  } finally {
    walk.close();
  }
}
