/**
 * Choosing messages: by tags and conditions, and the last N that match.
 *
 * @module
 */

import type { SeqSet } from "../backend/seq_set.ts";
import { findLast, type Last, type SearchOptions } from "../client/last.ts";
import type { FrameSource, PoolReader } from "../backend/source.ts";
import { PlasmiteError } from "../errors.ts";
import type { Where } from "../filter/where.ts";
import { type Lite3Tag, MessageView } from "../lite3/message.ts";
import type { Bounds, FrameBytes, Gap } from "../types.ts";

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

/**
 * Finds the last `count` matching messages of `bounds`; see {@linkcode findLast}.
 *
 * @param found is told of each match on the way; windows come newest first, their matches in order
 */
export function lastMatches(
  reader: PoolReader,
  bounds: Bounds,
  count: number,
  match: Matcher,
  found: (message: Match) => void,
  options: SearchOptions,
): Promise<Last> {
  const sift = (mark: (frame: FrameBytes) => void): Sieve =>
    new Sieve(match, (message) => {
      mark(message.frame);
      found(message);
      return false;
    });
  return findLast(reader, bounds, count, sift, options);
}

/** A stretch of history, and which of its messages are wanted. */
export interface Past {
  /** Where it begins. */
  readonly from: bigint;
  /** The wanted ones, judged already; null when each is to be judged on the way. */
  readonly matches: SeqSet | null;
}

/**
 * Where the last `count` matches begin. Without a filter, or when nothing retained can be left out,
 * that is known without a search.
 *
 * @param lost is told of messages that were overwritten during the search
 */
export async function lastOf(
  reader: PoolReader,
  bounds: Bounds,
  count: number,
  match: Matcher,
  lost: (gap: Gap) => void,
  options: SearchOptions,
): Promise<Past> {
  const { oldest, newest } = bounds;
  if (oldest === 0n) return { from: newest + 1n, matches: null };
  const enough = BigInt(count) > newest - oldest;
  if (enough || (match.tags.length === 0 && match.wheres.length === 0)) {
    return { from: enough ? oldest : newest - BigInt(count) + 1n, matches: null };
  }
  const last = await lastMatches(reader, bounds, count, match, () => {}, options);
  if (last.lost !== null) lost(last.lost);
  return { from: last.first ?? newest + 1n, matches: last.matches };
}
