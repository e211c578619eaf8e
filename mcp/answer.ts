/**
 * What goes into an answer. It is bounded by bytes as well as by count, because it ends in somebody's
 * context window: what does not fit is left out, or cut if it could never fit, and the answer says so.
 *
 * @module
 */

import { Buf } from "../lib/bytes.ts";
import type { MessageView } from "../lib/lite3/message.ts";
import { printJson } from "../lib/lite3/print.ts";
import { printEnvelope } from "../lib/text/envelope.ts";
import { Json } from "../lib/text/json_exact.ts";
import type { Bounds } from "../lib/types.ts";

/** How much of a message that is too large for an answer is shown, in bytes of JSON. */
const PREVIEW = 1024;

/** How large an answer may be. */
export interface Limits {
  /** Most messages. */
  readonly count: number;
  /** Most bytes of JSON. */
  readonly maxBytes: number;
}

/** A message that was left out of an answer or cut in it. */
export interface Cut {
  /** Its sequence number. */
  readonly seq: bigint;
  /** Bytes of its whole envelope as JSON. */
  readonly bytes: number;
}

/** One message of an answer. */
export interface Found extends Cut {
  /** The envelope; empty if it is known to be too much. */
  json: string;
  /** Bytes of `json`. */
  readonly size: number;
  /** Whether the data is cut. */
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
  /** The time window or `latest_by` reaches behind what is retained. */
  window_incomplete?: boolean;
  /** On how many of the messages that were looked at `where` failed. */
  where_failed?: number;
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

const buffer = new Buf(16 * 1024);
const decoder = new TextDecoder();

/** The envelope of a message, its data cut if it alone is larger than the answer may be. */
export function take(view: MessageView, maxBytes: number): Found {
  buffer.clear();
  printEnvelope(view, buffer);
  const bytes = buffer.len;
  const { seq } = view;
  if (bytes <= maxBytes) {
    return { seq, bytes, size: bytes, cut: false, json: decoder.decode(buffer.bytes()) };
  }
  const whole = buffer.bytes().slice();
  buffer.clear();
  printJson(view.doc, view.dataAt, buffer);
  const length = buffer.len;
  // A character may have been cut in two; what is left of it is no text.
  const start = decoder.decode(buffer.u8.subarray(0, Math.min(length, PREVIEW, maxBytes >> 2)))
    .replace(/\ufffd+$/, "");
  const data = JSON.stringify({ plasmite_cut: true, bytes: length, starts_with: start });
  const rest = decoder.decode(whole.subarray('{"data":'.length + length));
  const json = `{"data":${data}${rest}`;
  return { seq, bytes, size: new TextEncoder().encode(json).length, cut: true, json };
}

/** What is retained, as the answer has it. */
export function ofBounds({ oldest, newest }: Bounds): Pick<
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
export class Collector {
  /** The messages. */
  readonly found: Found[] = [];
  /** The number in front of the message that did not fit; null if none was refused. */
  refused: bigint | null = null;
  #bytes = 0;
  readonly #limits: Limits;

  /** Collects nothing yet. */
  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Whether there are as many as wanted. */
  get full(): boolean {
    return this.found.length >= this.#limits.count;
  }

  /** Takes the next message if it fits; false when no more is wanted. */
  take(view: MessageView): boolean {
    const found = take(view, this.#limits.maxBytes);
    if (this.#bytes + found.size > this.#limits.maxBytes && this.found.length > 0) {
      this.refused = view.seq - 1n;
      return false;
    }
    this.#bytes += found.size;
    this.found.push(found);
    return !this.full;
  }
}

/** Puts an answer together. */
export function finish(
  batch: Omit<Batch, "messages" | "last_returned_seq"> & { strangeKey?: string | undefined },
  found: Found[],
): Batch {
  const cut = found.filter((one) => one.cut).map(({ seq, bytes }) => ({ seq, bytes }));
  const notes: string[] = [];
  if (cut.length > 0) {
    const list = cut.map(({ seq, bytes }) => `${seq} (${bytes} bytes)`).join(", ");
    notes.push(
      `The data of message ${list} is cut to its beginning; plasmite_fetch gives it whole ` +
        `or, with path, a part of it; a larger max_bytes shows more here.`,
    );
  }
  if (batch.note !== undefined) notes.push(batch.note);
  if (batch.window_incomplete === true) {
    notes.push(
      `Older messages that may belong here were overwritten: the pool retains messages from ` +
        `${batch.oldest_available_seq} on.`,
    );
  }
  const { where_failed: failed = 0, strangeKey } = batch;
  if (failed > 0) notes.push(failure(failed, strangeKey));
  return {
    next_after_seq: batch.next_after_seq,
    last_returned_seq: found.at(-1)?.seq ?? null,
    oldest_available_seq: batch.oldest_available_seq,
    newest_available_seq: batch.newest_available_seq,
    fell_behind: batch.fell_behind,
    ...(batch.timed_out === undefined ? {} : { timed_out: batch.timed_out }),
    ...(batch.has_more === true ? { has_more: true } : {}),
    ...(batch.cursor_ahead === true ? { cursor_ahead: true } : {}),
    ...(batch.window_incomplete === true ? { window_incomplete: true } : {}),
    ...(failed > 0 ? { where_failed: failed } : {}),
    ...(cut.length > 0 ? { cut } : {}),
    ...(batch.omitted === undefined ? {} : { omitted: batch.omitted }),
    ...(batch.latest === undefined ? {} : { latest: batch.latest }),
    ...(notes.length > 0 ? { note: notes.join(" ") } : {}),
    messages: found.map(({ json }) => new Json(json)),
  };
}

/** What it means that a condition failed on some messages. */
function failure(failed: number, strangeKey: string | undefined): string {
  const what = `where failed on ${failed} message${
    failed === 1 ? "" : "s"
  }, which therefore did not match: `;
  return strangeKey === undefined
    ? `${what}a key that it reads is missing there, or a value is of another type. ` +
      "Write (.data.key? // false) to give a missing key a value."
    : `${what}a message has only .data, .meta.tags, .seq and .time; ` +
      `did you mean .data.${strangeKey}?`;
}

/** Says so when a cursor lies beyond the newest message. */
export function ahead(bounds: Bounds, after: bigint): { cursor_ahead?: boolean } {
  return after > bounds.newest ? { cursor_ahead: true } : {};
}

/** Leaves out the oldest matches until the rest fits; removes them from the list. */
export function fit(matches: Found[], wanted: Limits): { omitted?: number; note?: string } {
  let bytes = 0;
  let keep = matches.length;
  while (keep > 0) {
    const length = matches[keep - 1]?.size ?? 0;
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

/** Keeps the last messages of a search, and the text only of those that can be in the answer. */
export class Window {
  /** The messages, oldest first. */
  found: Found[] = [];
  readonly #limits: Limits;
  #free: number;
  /** The first message whose text is kept. */
  #first = 0;

  /** Keeps nothing yet. */
  constructor(limits: Limits) {
    this.#limits = limits;
    this.#free = limits.maxBytes;
  }

  /** Adds the next message. */
  add(view: MessageView): void {
    const one = take(view, this.#limits.maxBytes);
    this.found.push(one);
    this.#free -= one.size;
    for (; this.#free < 0 && this.#first < this.found.length - 1; this.#first++) {
      const old = this.found[this.#first];
      if (old === undefined) break;
      this.#free += old.size;
      old.json = "";
    }
    // Cut back only now and then: twice as many as wanted are kept at most.
    const { count } = this.#limits;
    if (this.found.length < 2 * count) return;
    this.found = this.found.slice(-count);
    this.#first = Math.max(0, this.#first - count);
  }
}

/** What a reader of the summary line should know about the cursor and about what is missing. */
export function moreOf(batch: Batch): string[] {
  const { has_more, fell_behind, next_after_seq, cursor_ahead, newest_available_seq, note } = batch;
  const parts: string[] = [];
  if (cursor_ahead === true) {
    parts.push(
      `after_seq is ahead of the newest message there was (${
        newest_available_seq ?? "none"
      } now): ` +
        "the pool was probably made anew; start over without after_seq, or with 0 for all of it.",
    );
  }
  if (has_more === true) parts.push(`More: after_seq ${next_after_seq}.`);
  if (fell_behind) parts.push("Older messages were overwritten before they were read.");
  if (note !== undefined) parts.push(note);
  return parts;
}
