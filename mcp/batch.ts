/**
 * Reads the messages of an answer, and the position for the next call (docs/spec/agents.md 6).
 *
 * @module
 */

import type { PoolHandle, Selection } from "../lib/backend/types.ts";
import type { Bounds } from "../lib/types.ts";
import {
  type Batch,
  boundsMembers,
  Collector,
  complete,
  cursorMembers,
  dropOldest,
  type Found,
  take,
  Window,
} from "./answer.ts";
import { type Grouping, Groups } from "../lib/filter/latest.ts";
import { KEY_TAG } from "../lib/coordination/names.ts";
import { MessageView } from "../lib/lite3/message.ts";
import { retained, Scan } from "./scan.ts";
import { failuresOf, filtersOf, firstAfter, type Wanted } from "./selection.ts";

/**
 * Reads existing messages: the first matches after the cursor, or the last ones without a cursor.
 */
export async function readBatch(
  pool: PoolHandle,
  wanted: Wanted,
  signal?: AbortSignal,
): Promise<Batch> {
  const { latest, after, key } = wanted;
  if (key !== undefined) return await readKey(pool, wanted, key, signal);
  if (latest !== undefined) return await readLatest(pool, wanted, latest, signal);
  return after === undefined
    ? await readLast(pool, wanted, signal)
    : await readFrom(pool, wanted, after, signal);
}

/** Scans a pool, and ends the scan whatever happens. */
async function scanning<T>(
  pool: PoolHandle,
  selection: Selection,
  work: (scan: Scan) => Promise<T>,
): Promise<T> {
  const scan = await Scan.begin(pool, selection);
  try {
    return await work(scan);
  } finally {
    scan.close();
  }
}

/**
 * The member that reports that messages of a time window, or the newest ones of their group, may
 * have been overwritten, so that the answer may be incomplete.
 */
async function retention(
  pool: PoolHandle,
  bounds: Bounds,
  { since, latest, after }: Wanted,
): Promise<{ window_incomplete?: boolean }> {
  if (since === undefined && latest === undefined) return {};
  if (bounds.oldest <= 1n || (after !== undefined && after + 1n >= bounds.oldest)) return {};
  if (since === undefined) return { window_incomplete: true };
  // The oldest message may be overwritten before it is read; then the next one will do.
  for (let { oldest } = bounds, tries = 0; tries < 3 && oldest > 0n; tries++) {
    const frame = await pool.get(oldest);
    if (frame !== null) return frame.timestampNs >= since ? { window_incomplete: true } : {};
    ({ oldest } = retained(await pool.bounds()));
  }
  return { window_incomplete: true };
}

async function readFrom(
  pool: PoolHandle,
  wanted: Wanted,
  after: bigint,
  signal: AbortSignal | undefined,
): Promise<Batch> {
  return await scanning(pool, { ...filtersOf(wanted), from: firstAfter(after) }, async (scan) => {
    const { start, walk } = scan;
    const base = {
      ...boundsMembers(start),
      ...cursorMembers(start, after),
      ...await retention(pool, start, wanted),
    };
    if (start.newest <= after) {
      return complete({ ...base, next_after_seq: after, fell_behind: false }, []);
    }
    const collector = new Collector(wanted);
    const whole = await scan.each((view) => collector.take(view), signal);
    const examined = whole ? walk.position - 1n : collector.refused ?? walk.frame.seq;
    return complete({
      ...base,
      ...failuresOf(wanted),
      next_after_seq: examined,
      fell_behind: after + 1n < start.oldest || scan.lost,
      has_more: examined < start.newest,
    }, collector.found);
  });
}

/** The newest message of a key; searched by the backend if nothing else is asked for. */
async function readKey(
  pool: PoolHandle,
  wanted: Wanted,
  key: string,
  signal: AbortSignal | undefined,
): Promise<Batch> {
  const { tags, since, condition, maxBytes } = wanted;
  const tag = KEY_TAG + key;
  if (tags.length > 0 || since !== undefined || condition !== undefined) {
    return await readLast(pool, { ...wanted, count: 1, tags: [...tags, tag] }, signal);
  }
  const bounds = retained(await pool.bounds());
  const found = await (await pool.coordinate()).latest(key);
  const base = {
    ...boundsMembers(bounds),
    next_after_seq: bounds.oldest === 0n ? null : bounds.newest,
  };
  const matches = found === null ? [] : [take(new MessageView().openStored(found), maxBytes)];
  return complete({ ...base, fell_behind: false }, matches);
}

async function readLast(
  pool: PoolHandle,
  wanted: Wanted,
  signal: AbortSignal | undefined,
): Promise<Batch> {
  return await scanning(pool, { ...filtersOf(wanted), last: wanted.count }, async (scan) => {
    const { start } = scan;
    const empty = start.oldest === 0n;
    const base = {
      ...boundsMembers(start),
      ...await retention(pool, start, wanted),
      next_after_seq: empty ? null : start.newest,
    };
    if (empty) return complete({ ...base, fell_behind: false }, []);
    const window = new Window(wanted);
    await scan.each((view) => {
      window.add(view);
      return true;
    }, signal);
    const matches = window.found.slice(-wanted.count);
    return complete({
      ...base,
      ...failuresOf(wanted),
      fell_behind: scan.lost,
      ...dropOldest(matches, wanted),
    }, matches);
  });
}

/** Reads messages by their sequence numbers; leaves out those overwritten in the meantime. */
async function readChosen(
  pool: PoolHandle,
  seqs: readonly bigint[],
  wanted: Wanted,
  signal: AbortSignal | undefined,
): Promise<Found[]> {
  const [first] = seqs;
  const last = seqs.at(-1);
  if (first === undefined || last === undefined) return [];
  const window = new Window(wanted);
  const chosen = new Set(seqs);
  const { tags } = wanted;
  await scanning(pool, { from: first, until: last, tags }, async (scan) => {
    await scan.each((view) => {
      if (chosen.has(view.seq)) window.add(view);
      return true;
    }, signal);
  });
  return window.found;
}

async function readLatest(
  pool: PoolHandle,
  wanted: Wanted,
  latest: Grouping,
  signal: AbortSignal | undefined,
): Promise<Batch> {
  const after = wanted.after ?? 0n;
  const from = wanted.after === undefined ? "oldest" : firstAfter(after);
  const groups = new Groups();
  const base = await scanning(pool, { ...filtersOf(wanted), from }, async (scan) => {
    const { start } = scan;
    const empty = start.oldest === 0n;
    const given = wanted.after !== undefined;
    const members = {
      ...boundsMembers(start),
      ...(given ? cursorMembers(start, after) : {}),
      ...await retention(pool, start, wanted),
      next_after_seq: empty ? wanted.after ?? null : after > start.newest ? after : start.newest,
    };
    if (!empty && start.newest > after) {
      await scan.each((view) => {
        groups.add(view.seq, latest.keysOf(view));
        return true;
      }, signal);
    }
    return {
      ...members,
      ...failuresOf(wanted),
      fell_behind: (given && after + 1n < start.oldest) || scan.lost,
    };
  });
  const matches = await readChosen(pool, groups.last(wanted.count), wanted, signal);
  dropOldest(matches, wanted);
  const omitted = groups.size - matches.length;
  const more = groups.forgotten ? "more than " : "";
  const note = omitted === 0 ? {} : {
    omitted,
    note:
      `${more}${omitted} older message${omitted === 1 ? " was" : "s were"} left out, each the ` +
      "newest of its group; a larger count or max_bytes shows more, tags or since narrow the search.",
  };
  const shown = groups.of(new Set(matches.map(({ seq }) => seq)));
  return complete({ ...base, ...note, latest: shown }, matches);
}
