/**
 * Reading: which messages go into an answer, and where to go on (docs/spec/agents.md 6).
 *
 * @module
 */

import type { MessageView } from "../lib/lite3/message.ts";
import {
  ahead,
  type Batch,
  Collector,
  finish,
  fit,
  type Found,
  ofBounds,
  Window,
} from "./answer.ts";
import { Groups } from "./latest.ts";
import { Filter, type Wanted } from "./selection.ts";
import type { Bounds, Snapshot } from "./store.ts";

/** Messages in the first piece of a search from the end; each further piece is four times as long. */
const FIRST_PIECE = 256n;

/** Reads what is there: the first matches behind the cursor, or without one the last. */
export async function readBatch(
  pool: Snapshot,
  wanted: Wanted,
  signal?: AbortSignal,
): Promise<Batch> {
  const bounds = await pool.bounds();
  if (wanted.latest !== undefined) return await readLatest(pool, bounds, wanted, signal);
  return wanted.after === undefined
    ? await readLast(pool, bounds, wanted, signal)
    : await readFrom(pool, bounds, wanted, wanted.after, signal);
}

/**
 * Says so when messages that may belong to a time window, or be the newest of their group, are gone:
 * then what is not in the answer may still have been there.
 */
async function retention(
  pool: Snapshot,
  bounds: Bounds,
  { since, latest, after }: Wanted,
  signal: AbortSignal | undefined,
): Promise<{ window_incomplete?: boolean }> {
  if (since === undefined && latest === undefined) return {};
  if (bounds.oldest <= 1n || (after !== undefined && after + 1n >= bounds.oldest)) return {};
  if (since === undefined) return { window_incomplete: true };
  // The oldest message may be overwritten before it is looked at; the next one tells as much.
  for (let { oldest } = bounds, tries = 0; tries < 3 && oldest > 0n; tries++) {
    let time: bigint | undefined;
    await pool.scan(oldest, oldest, (view) => {
      time = view.timestampNs;
      return true;
    }, signal);
    if (time !== undefined) return time >= since ? { window_incomplete: true } : {};
    ({ oldest } = await pool.bounds());
  }
  return { window_incomplete: true };
}

async function readFrom(
  pool: Snapshot,
  bounds: Bounds,
  wanted: Wanted,
  after: bigint,
  signal: AbortSignal | undefined,
): Promise<Batch> {
  const base = {
    ...ofBounds(bounds),
    ...ahead(bounds, after),
    ...await retention(pool, bounds, wanted, signal),
  };
  if (bounds.newest <= after) {
    return finish({ ...base, next_after_seq: after, fell_behind: false }, []);
  }
  const filter = new Filter(wanted);
  const collector = new Collector(wanted);
  const behind = after + 1n < bounds.oldest;
  const from = behind ? bounds.oldest : after + 1n;
  const visit = (view: MessageView): boolean =>
    !collector.full && (!filter.matches(view) || collector.add(view));
  const { examined, gap } = await pool.scan(from, bounds.newest, visit, signal);
  // With the last wanted message in hand nothing behind it was looked at.
  return finish({
    ...base,
    ...filter.failures,
    next_after_seq: examined,
    fell_behind: behind || gap,
    has_more: examined < bounds.newest,
  }, collector.found);
}

async function readLast(
  pool: Snapshot,
  bounds: Bounds,
  wanted: Wanted,
  signal: AbortSignal | undefined,
): Promise<Batch> {
  const base = {
    ...ofBounds(bounds),
    ...await retention(pool, bounds, wanted, signal),
    next_after_seq: bounds.oldest === 0n ? null : bounds.newest,
  };
  if (bounds.oldest === 0n) return finish({ ...base, fell_behind: false }, []);
  const filter = new Filter(wanted);
  const count = BigInt(wanted.count);
  let matches: Found[] = [];
  let lost = false;
  let piece = filter.passesAll ? count : count > FIRST_PIECE ? count : FIRST_PIECE;
  for (let to = bounds.newest; to >= bounds.oldest && matches.length < wanted.count;) {
    const from = to - piece + 1n > bounds.oldest ? to - piece + 1n : bounds.oldest;
    const used = matches.reduce((sum, { size }) => sum + size, 0);
    const window = new Window(wanted, used);
    const visit = (view: MessageView): boolean => {
      if (filter.matches(view)) window.add(view);
      return true;
    };
    const { gap } = await pool.scan(from, to, visit, signal);
    lost ||= gap;
    matches = [...window.found, ...matches].slice(-wanted.count);
    to = from - 1n;
    piece *= 4n;
    signal?.throwIfAborted();
  }
  return finish({
    ...base,
    ...filter.failures,
    fell_behind: lost,
    ...fit(matches, wanted),
  }, matches);
}

/** Reads the messages of these sequence numbers; those that are gone meanwhile are left out. */
async function readChosen(
  pool: Snapshot,
  seqs: readonly bigint[],
  wanted: Wanted,
  signal: AbortSignal | undefined,
): Promise<Found[]> {
  const [first] = seqs;
  const last = seqs.at(-1);
  if (first === undefined || last === undefined) return [];
  const window = new Window(wanted, 0);
  const chosen = new Set(seqs);
  await pool.scan(first, last, (view) => {
    if (chosen.has(view.seq)) window.add(view);
    return true;
  }, signal);
  return window.found;
}

async function readLatest(
  pool: Snapshot,
  bounds: Bounds,
  wanted: Wanted,
  signal: AbortSignal | undefined,
): Promise<Batch> {
  const after = wanted.after ?? 0n;
  const empty = bounds.oldest === 0n;
  const next = empty ? wanted.after ?? null : after > bounds.newest ? after : bounds.newest;
  const base = {
    ...ofBounds(bounds),
    ...(wanted.after === undefined ? {} : ahead(bounds, after)),
    ...await retention(pool, bounds, wanted, signal),
    next_after_seq: next,
  };
  const groups = new Groups();
  let lost = wanted.after !== undefined && after + 1n < bounds.oldest;
  const filter = new Filter(wanted);
  if (!empty && bounds.newest > after) {
    const visit = (view: MessageView): boolean => {
      if (filter.matches(view)) groups.add(view.seq, wanted.latest?.keysOf(view) ?? []);
      return true;
    };
    const from = after + 1n > bounds.oldest ? after + 1n : bounds.oldest;
    lost ||= (await pool.scan(from, bounds.newest, visit, signal)).gap;
  }
  const matches = await readChosen(pool, groups.last(wanted.count), wanted, signal);
  fit(matches, wanted);
  const omitted = groups.size - matches.length;
  const latest = groups.of(new Set(matches.map(({ seq }) => seq)));
  const more = groups.forgotten ? "more than " : "";
  const note = omitted === 0 ? {} : {
    omitted,
    note:
      `${more}${omitted} older message${omitted === 1 ? " was" : "s were"} left out, each the ` +
      "newest of its group; a larger count or max_bytes shows more, tags or since narrow the search.",
  };
  return finish({ ...base, ...filter.failures, fell_behind: lost, ...note, latest }, matches);
}
