/**
 * Reading and waiting with cursors: which messages go into an answer, and where to go on
 * (docs/spec/agents.md 6).
 *
 * @module
 */

import { PlasmiteError } from "../lib/errors.ts";
import type { Where } from "../lib/filter/where.ts";
import { Lite3Tag, type MessageView } from "../lib/lite3/message.ts";
import {
  ahead,
  type Batch,
  Collector,
  finish,
  fit,
  type Found,
  type Limits,
  ofBounds,
  Window,
} from "./answer.ts";
import type { Grouping } from "./latest.ts";
import type { Bounds, Live, Snapshot } from "./store.ts";

/** How long one filter may take over one scan, in milliseconds. */
const FILTER_TIME = 5_000;
/** Messages in the first piece of a search from the end; each further piece is four times as long. */
const FIRST_PIECE = 256n;

/** Which messages are wanted. */
export interface Wanted extends Limits {
  /** Only messages behind this one. */
  readonly after?: bigint | undefined;
  /** Only messages at or after this time, in nanoseconds since 1970. */
  readonly since?: bigint | undefined;
  /** Only messages with all of these tags. */
  readonly tags: readonly string[];
  /** Only messages that match. */
  readonly where?: Where | undefined;
  /** Only the newest of each group. */
  readonly latest?: Grouping | undefined;
}

/** The filters of one call, prepared. */
class Filter {
  readonly #wanted: Wanted;
  readonly #tags: readonly Lite3Tag[];
  readonly #until = performance.now() + FILTER_TIME;

  constructor(wanted: Wanted) {
    this.#wanted = wanted;
    this.#tags = wanted.tags.map((tag) => new Lite3Tag(tag));
  }

  get passesAll(): boolean {
    const { since, where } = this.#wanted;
    return since === undefined && where === undefined && this.#tags.length === 0;
  }

  matches(view: MessageView): boolean {
    const { since, where } = this.#wanted;
    if (since !== undefined && view.timestampNs < since) return false;
    if (this.#tags.length > 0 && !view.hasTags(this.#tags)) return false;
    if (where === undefined) return true;
    if (performance.now() > this.#until) {
      throw new PlasmiteError("Usage", "filter took too long", {
        hint: "Narrow the search with tags, since or after_seq, or use a simpler expression.",
      });
    }
    return where.matches(view);
  }
}

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

async function readFrom(
  pool: Snapshot,
  bounds: Bounds,
  wanted: Wanted,
  after: bigint,
  signal: AbortSignal | undefined,
): Promise<Batch> {
  const base = { ...ofBounds(bounds), ...ahead(bounds, after) };
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
  const base = { ...ofBounds(bounds), next_after_seq: bounds.oldest === 0n ? null : bounds.newest };
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
  return finish({ ...base, fell_behind: lost, ...fit(matches, wanted) }, matches);
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
    next_after_seq: next,
  };
  const groups = new Map<string, bigint>();
  /** For each message that is the newest of a group: of how many. */
  const kept = new Map<bigint, number>();
  let lost = wanted.after !== undefined && after + 1n < bounds.oldest;
  if (!empty && bounds.newest > after) {
    const filter = new Filter(wanted);
    const visit = (view: MessageView): boolean => {
      const { seq } = view;
      const keys = filter.matches(view) ? wanted.latest?.keysOf(view) ?? [] : [];
      for (const key of keys) {
        const before = groups.get(key);
        const left = before === undefined ? 0 : (kept.get(before) ?? 0) - 1;
        if (before !== undefined && left === 0) kept.delete(before);
        else if (before !== undefined) kept.set(before, left);
        // Put at the end again, so that the groups are in the order of their newest messages.
        groups.delete(key);
        groups.set(key, seq);
      }
      if (keys.length > 0) kept.set(seq, keys.length);
      return true;
    };
    const from = after + 1n > bounds.oldest ? after + 1n : bounds.oldest;
    lost ||= (await pool.scan(from, bounds.newest, visit, signal)).gap;
  }
  const chosen = [...kept.keys()].slice(-wanted.count);
  const matches = await readChosen(pool, chosen, wanted, signal);
  fit(matches, wanted);
  const omitted = kept.size - matches.length;
  const shown = new Set(matches.map(({ seq }) => seq));
  const latest = [...groups].filter(([, seq]) => shown.has(seq)).map(([key, seq]) => ({
    key,
    seq,
  }));
  const note = omitted === 0 ? {} : {
    omitted,
    note:
      `${omitted} older message${omitted === 1 ? " was" : "s were"} left out, each the newest ` +
      `of its group; a larger count or max_bytes shows more, tags or since narrow the search.`,
  };
  return finish({ ...base, fell_behind: lost, ...note, latest }, matches);
}

/** Asked anew after a pause. */
function aborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

/** Waits for the first matches behind the cursor; an empty answer when the time is over. */
export async function waitBatch(
  pool: Live,
  wanted: Wanted,
  /** When the time is over, as `performance.now()` tells time. */
  deadline: number,
  signal: AbortSignal,
  /** Ends the wait early, with whatever there is. */
  ending?: AbortSignal,
): Promise<Batch> {
  const after = wanted.after ?? pool.start.newest;
  const filter = new Filter(wanted);
  const collector = new Collector(wanted);
  const either = ending === undefined ? signal : AbortSignal.any([signal, ending]);
  let examined = after;
  let behind = after + 1n < pool.start.oldest;
  let more = false;
  for (;;) {
    signal.throwIfAborted();
    let view = await pool.next(signal);
    for (; view !== null; view = await pool.next(signal)) {
      if (pool.lost()) behind = true;
      if (filter.matches(view) && !collector.add(view)) {
        more = true;
        break;
      }
      examined = view.seq;
      if (collector.full) break;
    }
    const left = deadline - performance.now();
    if (collector.found.length > 0 || left <= 0 || aborted(ending)) break;
    try {
      await pool.wait(left, either);
    } catch (error) {
      if (signal.aborted || !aborted(ending)) throw error;
    }
  }
  const bounds = await pool.bounds();
  return finish({
    ...ofBounds(bounds),
    ...ahead(bounds, after),
    next_after_seq: examined,
    fell_behind: behind,
    timed_out: collector.found.length === 0,
    has_more: more || (collector.full && examined < bounds.newest),
  }, collector.found);
}
