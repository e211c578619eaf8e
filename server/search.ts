/**
 * Search for words in everything that a pool retains, from the newest message to the oldest
 * (docs/spec/http-api.md 3).
 *
 * @module
 */

import type { PoolHandle, Selection, Walk } from "../lib/backend/types.ts";
import type { Where } from "../lib/filter/where.ts";
import { Slice } from "../lib/storage/turns.ts";
import { readStretch } from "./stretches.ts";

/** The first stretch is short, so that the newest hits are there at once. */
const FIRST_STRETCH = 512n;
/** The longest stretch, and so the longest line, in messages. */
const LONGEST_STRETCH = 16_384n;

/** What to search. */
export interface SearchQuery {
  /** The words. */
  readonly words: Where;
  /** The newest number; null for the newest retained. */
  readonly until: bigint | null;
  /** Tags, time and conditions of the messages that are searched. */
  readonly filter: Pick<Selection, "tags" | "since" | "where">;
}

/** Yields one line of JSON per stretch; see docs/spec/http-api.md 3. */
export async function* searchLines(
  pool: PoolHandle,
  { words, until, filter }: SearchQuery,
  signal: AbortSignal,
): AsyncGenerator<string, void, void> {
  const { oldest, newest } = await pool.bounds();
  const last = until !== null && until < newest ? until : newest;
  const slice = new Slice();
  if (oldest === 0n || last < oldest) {
    yield line({ oldest, newest, from: last + 1n, until: last, searched: 0, unreadable: 0n }, []);
    return;
  }
  let length = FIRST_STRETCH;
  for (let end = last; end >= oldest && !signal.aborted;) {
    const from = end - length + 1n > oldest ? end - length + 1n : oldest;
    const hits: bigint[] = [];
    let searched = 0;
    const each = ({ message, frame }: Walk): boolean => {
      searched++;
      if (words.matches(message)) hits.push(frame.seq);
      return false;
    };
    const unreadable = await readStretch(pool, { from, until: end, filter, each }, slice, signal);
    if (signal.aborted) return;
    yield line({ oldest, newest, from, until: end, searched, unreadable }, hits);
    end = from - 1n;
    if (length < LONGEST_STRETCH) length *= 2n;
    slice.restart();
  }
}

function line(facts: Record<string, bigint | number>, hits: readonly bigint[]): string {
  const parts = Object.entries(facts).map(([name, value]) => `"${name}":${value}`);
  return `{${parts.join(",")},"hits":[${hits.join(",")}]}`;
}
