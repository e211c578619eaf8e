/**
 * Choosing messages: by tags and conditions, and the last N that match.
 *
 * @module
 */

import type { FrameBytes, FrameSource, PoolReader } from "../client/source.ts";
import { PlasmiteError } from "../errors.ts";
import type { Where } from "../filter/where.ts";
import { type Lite3Tag, MessageView } from "../lite3/message.ts";
import type { Gap } from "../pool/cursor.ts";

/** What a message must have. */
export interface Matcher {
  /** All of these tags. */
  readonly tags: readonly Lite3Tag[];
  /** And every one of these conditions. */
  readonly wheres: readonly Where[];
}

/** A message and its frame. */
export interface Match {
  /** The message. */
  readonly view: MessageView;
  /** Its bytes. */
  readonly frame: FrameBytes;
}

/** A message copied out of the ring; its view is opened when it is used. */
export type Kept = Match;

/** How many messages the first look back takes; each further one takes twice as many. */
const FIRST_WINDOW = 256n;

/** Tags first, then the conditions in order, stopping at the first that fails. */
export function passes(match: Matcher, view: MessageView): boolean {
  if (match.tags.length > 0 && !view.hasTags(match.tags)) return false;
  for (const where of match.wheres) if (!where.matches(view)) return false;
  return true;
}

/** Whether every condition runs on the bytes; if not, many messages are judged in one go. */
function isNative(match: Matcher): boolean {
  return match.wheres.every((where) => where.isNative);
}

/** Judges messages together; an error stands in the place of the message that caused it. */
function judge(match: Matcher, messages: readonly Match[]): (boolean | PlasmiteError)[] {
  const verdicts: (boolean | PlasmiteError)[] = messages.map(({ view }) =>
    match.tags.length === 0 || view.hasTags(match.tags)
  );
  for (const where of match.wheres) {
    const batch = where.batch();
    const asked: number[] = [];
    messages.forEach(({ view }, i) => {
      if (verdicts[i] !== true) return;
      batch.add(view);
      asked.push(i);
    });
    batch.run().forEach((verdict, k) => {
      const i = asked[k];
      if (i !== undefined) verdicts[i] = verdict;
    });
  }
  return verdicts;
}

/** How many messages are judged together at most, and how many bytes of them are held. */
const GROUP = 512;
const GROUP_BYTES = 1 << 20;

/** Lets matching messages through, in order: at once, or in groups where jq itself must judge. */
export class Sieve {
  readonly #match: Matcher;
  readonly #emit: (message: Match) => boolean;
  readonly #native: boolean;
  #waiting: Kept[] = [];
  #bytes = 0;

  /** @param emit is given each match; returning true ends the walk */
  constructor(match: Matcher, emit: (message: Match) => boolean) {
    this.#match = match;
    this.#emit = emit;
    this.#native = isNative(match);
  }

  /** Takes the current message of `source`; true when the walk is to end. */
  offer({ message, cursor }: FrameSource): boolean {
    if (this.#native) {
      return passes(this.#match, message) && this.#emit({ view: message, frame: cursor });
    }
    this.#waiting.push(keep(cursor));
    this.#bytes += cursor.payloadLength;
    return (this.#waiting.length >= GROUP || this.#bytes >= GROUP_BYTES) && this.flush();
  }

  /** Judges what waits; to be called when nothing more is there right now. */
  flush(): boolean {
    const waiting = this.#waiting;
    if (waiting.length === 0) return false;
    this.#waiting = [];
    this.#bytes = 0;
    const verdicts = judge(this.#match, waiting);
    for (const [i, kept] of waiting.entries()) {
      const verdict = verdicts[i];
      if (PlasmiteError.is(verdict)) throw verdict;
      if (verdict === true && this.#emit(kept)) return true;
    }
    return false;
  }
}

class KeptMessage implements Kept {
  #view: MessageView | undefined;

  constructor(readonly frame: FrameBytes) {}

  get view(): MessageView {
    if (this.#view !== undefined) return this.#view;
    const { u8, seqLo, seqHi, timeLo, timeHi } = this.frame;
    const view = new MessageView();
    view.seqLo = seqLo;
    view.seqHi = seqHi;
    view.timeLo = timeLo;
    view.timeHi = timeHi;
    view.open(u8, new DataView(u8.buffer, u8.byteOffset, u8.byteLength), 0, u8.length);
    return this.#view = view;
  }
}

/** Copies a frame, so that the ring may go on. */
export function keep(frame: FrameBytes): Kept {
  const { payloadAt, payloadLength, seqLo, seqHi, timeLo, timeHi, seq, timestampNs } = frame;
  return new KeptMessage({
    u8: frame.u8.slice(payloadAt, payloadAt + payloadLength),
    payloadAt: 0,
    payloadLength,
    seqLo,
    seqHi,
    timeLo,
    timeHi,
    seq,
    timestampNs,
  });
}

/** The frames from `from` to `until`, copied, and what was lost of them. */
async function window(
  reader: PoolReader,
  from: bigint,
  until: bigint,
  deadline: number,
): Promise<{ frames: Kept[]; lost: Gap | null }> {
  const frames: Kept[] = [];
  const source = reader.open(from, false, until);
  let lost = null as Gap | null;
  try {
    for (let expected = from, quiet = 0; expected <= until;) {
      if (!source.next()) {
        if (performance.now() >= deadline) break;
        if (await source.wait(LOOK_EVERY) && ++quiet % LOOKS !== 0) continue;
        if (await emptied(reader, until)) {
          return { frames, lost: { first: expected, last: until } };
        }
        continue;
      }
      const gap = source.takeGap();
      if (gap !== null && gap.first <= until) {
        lost = { first: lost?.first ?? gap.first, last: gap.last < until ? gap.last : until };
      }
      const { seq } = source.cursor;
      expected = seq + 1n;
      if (seq <= until) frames.push(keep(source.cursor));
    }
  } finally {
    source.close();
  }
  return { frames, lost };
}

/** How long to wait for messages that should be there, in milliseconds, before asking for bounds. */
export const LOOK_EVERY = 100;
/** After so many waits without a message the bounds are asked for as well. */
export const LOOKS = 32;

/** Whether everything up to `until` is gone: the ring was emptied under the reader. */
export async function emptied(reader: PoolReader, until: bigint): Promise<boolean> {
  const { oldest, newest } = await reader.bounds();
  // A server tells no newest number of an empty pool.
  return oldest === 0n && (newest >= until || newest === 0n);
}

/**
 * The last `count` messages up to `newest` that match, oldest first. Looks backwards in growing
 * windows and evaluates no more messages than it needs.
 *
 * @param deadline when to give up and return what was found, by `performance.now()`
 */
export async function lastMatching(
  reader: PoolReader,
  oldest: bigint,
  newest: bigint,
  count: number,
  match: Matcher,
  deadline = Infinity,
): Promise<{ messages: Kept[]; lost: Gap | null }> {
  const found: Kept[] = [];
  let lost = null as Gap | null;
  const all = match.tags.length === 0 && match.wheres.length === 0;
  let size = all || BigInt(count) > FIRST_WINDOW ? BigInt(count) : FIRST_WINDOW;
  for (let until = newest; until >= oldest && found.length < count;) {
    const from = until - size + 1n > oldest ? until - size + 1n : oldest;
    const piece = await window(reader, from, until, deadline);
    if (piece.lost !== null) {
      lost = { first: piece.lost.first, last: lost?.last ?? piece.lost.last };
    }
    takeNewest(piece.frames, count, match, found);
    if (piece.lost !== null) break; // Everything before it is gone as well.
    if (performance.now() >= deadline) break;
    until = from - 1n;
    size *= 2n;
  }
  return { messages: found.reverse(), lost };
}

/** Adds matches to `found`, newest first, until there are `count`; judges no more than it must. */
function takeNewest(frames: readonly Kept[], count: number, match: Matcher, found: Kept[]): void {
  const group = isNative(match) ? 1 : GROUP;
  for (let end = frames.length; end > 0 && found.length < count; end -= group) {
    const part = frames.slice(Math.max(0, end - group), end).reverse();
    const verdicts = group === 1 ? null : judge(match, part);
    for (const [i, kept] of part.entries()) {
      if (found.length >= count) return;
      const verdict = verdicts === null ? passes(match, kept.view) : verdicts[i];
      if (PlasmiteError.is(verdict)) throw verdict;
      if (verdict === true) found.push(kept);
    }
  }
}
