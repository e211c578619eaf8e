/**
 * Reading and waiting with cursors: which messages go into an answer, and where to go on
 * (mcp.md 6).
 *
 * An answer is bounded by bytes as well as by count, because it ends in somebody's context window.
 * What does not fit is left out, or cut if it could never fit, and the answer says so.
 *
 * @module
 */

import { Buf } from "../lib/bytes.ts";
import { PlasmiteError } from "../lib/errors.ts";
import type { Where } from "../lib/filter/where.ts";
import { Lite3Tag, type MessageView } from "../lib/lite3/message.ts";
import { printJson } from "../lib/lite3/print.ts";
import { printEnvelope } from "../lib/text/envelope.ts";
import { Json } from "./json.ts";
import type { Grouping } from "./latest.ts";
import type { Bounds, Live, Snapshot } from "./store.ts";

/** Bytes of JSON in one answer unless asked otherwise. */
export const DEFAULT_BYTES = 65_536;
/** How much of a message that is too large for an answer is shown, in bytes of JSON. */
const PREVIEW = 1024;
/** How long one filter may take over one scan, in milliseconds. */
const FILTER_TIME = 5_000;
/** Messages in the first piece of a search from the end; each further piece is four times as long. */
const FIRST_PIECE = 256n;

/** Which messages are wanted. */
export interface Wanted {
  /** Most messages in an answer. */
  readonly count: number;
  /** Most bytes of JSON in an answer. */
  readonly maxBytes: number;
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

/** A message that was left out of an answer or cut in it. */
interface Cut {
  readonly seq: bigint;
  readonly bytes: number;
}

/** One message of an answer. */
interface Found extends Cut {
  readonly json: string;
  readonly cut: boolean;
}

/** The members of an answer, in the order they are printed. */
export interface Batch {
  /** Pass it back as `after_seq`. */
  next_after_seq: bigint | null;
  /** Sequence number of the last message in the answer. */
  last_returned_seq: bigint | null;
  /** First retained sequence number. */
  oldest_available_seq: bigint | null;
  /** Last one. */
  newest_available_seq: bigint | null;
  /** Whether messages behind the cursor are gone. */
  fell_behind: boolean;
  /** Whether a wait ended without a message. */
  timed_out?: boolean;
  /** Whether more is there behind `next_after_seq`. */
  has_more?: boolean;
  /** The given cursor lies beyond the newest message: the pool was probably made anew. */
  cursor_ahead?: boolean;
  /** Messages whose data was cut. */
  cut?: Cut[];
  /** How many matching older messages were left out for their size. */
  omitted?: number;
  /** The newest message of each group. */
  latest?: { key: string; seq: bigint }[];
  /** What to do about what was cut or left out. */
  note?: string;
  /** The messages. */
  messages: Json[];
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

const buffer = new Buf(16 * 1024);
const decoder = new TextDecoder();

/** The envelope of a message, its data cut if it alone is larger than the answer may be. */
function take(view: MessageView, maxBytes: number): Found {
  buffer.clear();
  printEnvelope(view, buffer);
  const bytes = buffer.len;
  const { seq } = view;
  if (bytes <= maxBytes) return { seq, bytes, cut: false, json: decoder.decode(buffer.bytes()) };
  const whole = buffer.bytes().slice();
  buffer.clear();
  printJson(view.doc, view.dataAt, buffer);
  const length = buffer.len;
  // A character may have been cut in two; what is left of it is no text.
  const start = decoder.decode(buffer.u8.subarray(0, Math.min(length, PREVIEW)))
    .replace(/\ufffd+$/, "");
  const data = JSON.stringify({ plasmite_cut: true, bytes: length, starts_with: start });
  const rest = decoder.decode(whole.subarray('{"data":'.length + length));
  return { seq, bytes, cut: true, json: `{"data":${data}${rest}` };
}

function ofBounds({ oldest, newest }: Bounds): Pick<
  Batch,
  "oldest_available_seq" | "newest_available_seq"
> {
  const empty = oldest === 0n;
  return {
    oldest_available_seq: empty ? null : oldest,
    newest_available_seq: empty ? null : newest,
  };
}

/** Collects messages in order until count or bytes are used up. */
class Collector {
  readonly found: Found[] = [];
  #bytes = 0;
  readonly #wanted: Wanted;

  constructor(wanted: Wanted) {
    this.#wanted = wanted;
  }

  get full(): boolean {
    return this.found.length >= this.#wanted.count;
  }

  /** False when it does not fit any more. */
  add(view: MessageView): boolean {
    if (this.full) return false;
    const found = take(view, this.#wanted.maxBytes);
    if (this.#bytes + found.json.length > this.#wanted.maxBytes && this.found.length > 0) {
      return false;
    }
    this.#bytes += found.json.length;
    this.found.push(found);
    return true;
  }
}

function finish(batch: Omit<Batch, "messages" | "last_returned_seq">, found: Found[]): Batch {
  const cut = found.filter((one) => one.cut).map(({ seq, bytes }) => ({ seq, bytes }));
  const notes: string[] = [];
  if (cut.length > 0) {
    const list = cut.map(({ seq, bytes }) => `${seq} (${bytes} bytes)`).join(", ");
    notes.push(
      `The data of message ${list} is cut to its beginning; plasmite_fetch gives it whole, ` +
        `a larger max_bytes too.`,
    );
  }
  if (batch.note !== undefined) notes.push(batch.note);
  return {
    next_after_seq: batch.next_after_seq,
    last_returned_seq: found.at(-1)?.seq ?? null,
    oldest_available_seq: batch.oldest_available_seq,
    newest_available_seq: batch.newest_available_seq,
    fell_behind: batch.fell_behind,
    ...(batch.timed_out === undefined ? {} : { timed_out: batch.timed_out }),
    ...(batch.has_more === true ? { has_more: true } : {}),
    ...(batch.cursor_ahead === true ? { cursor_ahead: true } : {}),
    ...(cut.length > 0 ? { cut } : {}),
    ...(batch.omitted === undefined ? {} : { omitted: batch.omitted }),
    ...(batch.latest === undefined ? {} : { latest: batch.latest }),
    ...(notes.length > 0 ? { note: notes.join(" ") } : {}),
    messages: found.map(({ json }) => new Json(json)),
  };
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

function ahead(bounds: Bounds, after: bigint): { cursor_ahead?: boolean } {
  return after > bounds.newest ? { cursor_ahead: true } : {};
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
    let found: Found[] = [];
    const visit = (view: MessageView): boolean => {
      if (!filter.matches(view)) return true;
      found.push(take(view, wanted.maxBytes));
      // Twice as many as wanted are kept at most, so that a large piece does not fill memory.
      if (found.length >= 2 * wanted.count) found = found.slice(-wanted.count);
      return true;
    };
    const { gap } = await pool.scan(from, to, visit, signal);
    lost ||= gap;
    matches = [...found, ...matches].slice(-wanted.count);
    to = from - 1n;
    piece *= 4n;
    signal?.throwIfAborted();
  }
  return finish({ ...base, fell_behind: lost, ...fit(matches, wanted) }, matches);
}

/** Leaves out the oldest matches until the rest fits; removes them from the list. */
function fit(matches: Found[], wanted: Wanted): { omitted?: number; note?: string } {
  let bytes = 0;
  let keep = matches.length;
  while (keep > 0) {
    const length = matches[keep - 1]?.json.length ?? 0;
    if (bytes + length > wanted.maxBytes && keep < matches.length) break;
    bytes += length;
    keep--;
  }
  if (keep === 0) return {};
  const [first] = matches.splice(0, keep);
  const after = (first?.seq ?? 1n) - 1n;
  return {
    omitted: keep,
    note: `${keep} older matching message${keep === 1 ? " was" : "s were"} left out to stay ` +
      `within ${wanted.maxBytes} bytes; after_seq ${after} reads from there, ` +
      `a larger max_bytes shows more at once.`,
  };
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
  const kept = new Map<bigint, { readonly found: Found; groups: number }>();
  let lost = wanted.after !== undefined && after + 1n < bounds.oldest;
  if (!empty && bounds.newest > after) {
    const filter = new Filter(wanted);
    const visit = (view: MessageView): boolean => {
      if (!filter.matches(view)) return true;
      const keys = wanted.latest?.keysOf(view) ?? [];
      if (keys.length === 0) return true;
      for (const key of keys) {
        const before = groups.get(key);
        const old = before === undefined ? undefined : kept.get(before);
        if (old !== undefined && --old.groups === 0) kept.delete(old.found.seq);
        // Put at the end again, so that the groups are in the order of their newest messages.
        groups.delete(key);
        groups.set(key, view.seq);
      }
      kept.set(view.seq, { found: take(view, wanted.maxBytes), groups: keys.length });
      return true;
    };
    const from = after + 1n > bounds.oldest ? after + 1n : bounds.oldest;
    lost ||= (await pool.scan(from, bounds.newest, visit, signal)).gap;
  }
  const all = [...kept.values()].map(({ found }) => found);
  const matches = all.slice(-wanted.count);
  fit(matches, wanted);
  const omitted = all.length - matches.length;
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
  timeoutMs: number,
  signal: AbortSignal,
  /** Ends the wait early, with whatever there is. */
  ending?: AbortSignal,
): Promise<Batch> {
  const deadline = performance.now() + timeoutMs;
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
