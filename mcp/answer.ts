/**
 * Collects the messages of an answer. An answer is limited in bytes as well as in number, because
 * it goes into a context window: messages that do not fit are left out, or cut if they could never
 * fit, and the answer says so.
 *
 * @module
 */

import { Buf } from "../lib/bytes.ts";
import type { MessageView } from "../lib/lite3/message.ts";
import { printJson } from "../lib/lite3/print.ts";
import { printEnvelope } from "../lib/text/envelope.ts";
import { Json } from "../lib/text/json_exact.ts";
import type { Bounds } from "../lib/types.ts";

/** How much is shown of a message that is too large, in bytes of JSON. */
const PREVIEW = 1024;

/** The limits of an answer. */
export interface Limits {
  /** The largest number of messages. */
  readonly count: number;
  /** The largest size, in bytes of JSON. */
  readonly maxBytes: number;
}

/** A message that was left out or cut. */
export interface Cut {
  /** Its sequence number. */
  readonly seq: bigint;
  /** Bytes of its whole envelope as JSON. */
  readonly bytes: number;
}

/** One message of an answer. */
export interface Found extends Cut {
  /** The envelope; empty if it will not be needed. */
  json: string;
  /** Bytes of `json`. */
  readonly size: number;
  /** Whether the data is cut. */
  readonly cut: boolean;
}

/** The members of an answer, in the order they are printed. */
export interface Batch {
  /** The position for the next call, as `after_seq`. */
  next_after_seq: bigint | null;
  /** Sequence number of the last message in the answer. */
  last_returned_seq: bigint | null;
  /** First retained sequence number. */
  oldest_available_seq: bigint | null;
  /** Last one. */
  newest_available_seq: bigint | null;
  /** Whether messages after the cursor were overwritten. */
  fell_behind: boolean;
  /** Whether a wait ended without a message. */
  timed_out?: boolean;
  /** Whether there are more matches after `next_after_seq`. */
  has_more?: boolean;
  /** Whether the cursor is after the newest message: the pool was probably recreated. */
  cursor_ahead?: boolean;
  /** Whether the time window or `latest_by` covers messages that are no longer retained. */
  window_incomplete?: boolean;
  /** The number of examined messages on which `where` failed. */
  where_failed?: number;
  /** Messages whose data was cut. */
  cut?: Cut[];
  /** The number of older matches that were left out because of their size. */
  omitted?: number;
  /** The newest message of each group. */
  latest?: { key: string; seq: bigint }[];
  /** Advice about what was cut or left out. */
  note?: string;
  /** The messages. */
  messages: Json[];
}

const buffer = new Buf(16 * 1024);
const decoder = new TextDecoder();

/** The envelope of a message; its data is cut if it alone exceeds the limit. */
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
  // Remove a character that was cut in half.
  const start = decoder.decode(buffer.u8.subarray(0, Math.min(length, PREVIEW, maxBytes >> 2)))
    .replace(/\ufffd+$/, "");
  const data = JSON.stringify({ plasmite_cut: true, bytes: length, starts_with: start });
  const rest = decoder.decode(whole.subarray('{"data":'.length + length));
  const json = `{"data":${data}${rest}`;
  return { seq, bytes, size: new TextEncoder().encode(json).length, cut: true, json };
}

/** The retained range, as members of the answer. */
export function boundsMembers({ oldest, newest }: Bounds): Pick<
  Batch,
  "oldest_available_seq" | "newest_available_seq"
> {
  const empty = oldest === 0n;
  return {
    oldest_available_seq: empty ? null : oldest,
    newest_available_seq: empty ? null : newest,
  };
}

/** Collects messages in order up to the limits. */
export class Collector {
  /** The messages. */
  readonly found: Found[] = [];
  /** The number before the first message that did not fit; null if all did. */
  refused: bigint | null = null;
  #bytes = 0;
  readonly #limits: Limits;

  /** Creates an empty collector. */
  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Whether the number of messages is reached. */
  get full(): boolean {
    return this.found.length >= this.#limits.count;
  }

  /** Adds the next message if it fits; false if no more are needed. */
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

/** Completes an answer. */
export function complete(
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

/** Explains that a condition failed on some messages. */
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

/** The member that reports a cursor after the newest message. */
export function cursorMembers(bounds: Bounds, after: bigint): { cursor_ahead?: boolean } {
  return after > bounds.newest ? { cursor_ahead: true } : {};
}

/** Removes the oldest matches from the list until the rest fits. */
export function dropOldest(matches: Found[], wanted: Limits): { omitted?: number; note?: string } {
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

/** Keeps the last matches of a search, with text only for those that can fit. */
export class Window {
  /** The messages, oldest first. */
  found: Found[] = [];
  readonly #limits: Limits;
  #free: number;
  /** The first message whose text is kept. */
  #first = 0;

  /** Creates an empty collector. */
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
    // Trimmed only occasionally: at most twice as many as needed are kept.
    const { count } = this.#limits;
    if (this.found.length < 2 * count) return;
    this.found = this.found.slice(-count);
    this.#first = Math.max(0, this.#first - count);
  }
}

/** The part of the summary about the cursor and about missing messages. */
export function moreOf(batch: Batch, position = "after_seq"): string[] {
  const { has_more, fell_behind, next_after_seq, cursor_ahead, newest_available_seq, note } = batch;
  const parts: string[] = [];
  if (cursor_ahead === true) {
    parts.push(
      `after_seq is ahead of the newest message there was (${
        newest_available_seq ?? "none"
      } now): ` +
        "the pool was probably recreated; start over without after_seq, or with 0 for all of it.",
    );
  }
  if (has_more === true) parts.push(`More: ${position} ${next_after_seq}.`);
  if (fell_behind) parts.push("Older messages were overwritten before they were read.");
  if (note !== undefined) parts.push(note);
  return parts;
}
