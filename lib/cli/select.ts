/**
 * Choosing messages: by tags and conditions, and the last N that match.
 *
 * @module
 */

import type { FrameBytes, PoolReader } from "../client/source.ts";
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
): Promise<{ frames: Kept[]; lost: Gap | null }> {
  const frames: Kept[] = [];
  const source = reader.open(from, false);
  let lost = null as Gap | null;
  try {
    for (let expected = from; expected <= until;) {
      if (!source.next()) {
        const { oldest, newest } = await reader.bounds();
        if (oldest === 0n && newest >= until) {
          return { frames, lost: { first: expected, last: until } };
        }
        await source.wait(100);
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

/**
 * The last `count` messages up to `newest` that match, oldest first. Looks backwards in growing
 * windows and evaluates no more messages than it needs.
 */
export async function lastMatching(
  reader: PoolReader,
  oldest: bigint,
  newest: bigint,
  count: number,
  match: Matcher,
): Promise<{ messages: Kept[]; lost: Gap | null }> {
  const found: Kept[] = [];
  let lost = null as Gap | null;
  const all = match.tags.length === 0 && match.wheres.length === 0;
  let size = all || BigInt(count) > FIRST_WINDOW ? BigInt(count) : FIRST_WINDOW;
  for (let until = newest; until >= oldest && found.length < count;) {
    const from = until - size + 1n > oldest ? until - size + 1n : oldest;
    const piece = await window(reader, from, until);
    if (piece.lost !== null) {
      lost = { first: piece.lost.first, last: lost?.last ?? piece.lost.last };
    }
    for (let i = piece.frames.length - 1; i >= 0 && found.length < count; i--) {
      const kept = piece.frames[i];
      if (kept !== undefined && passes(match, kept.view)) found.push(kept);
    }
    if (piece.lost !== null) break; // Everything before it is gone as well.
    until = from - 1n;
    size *= 2n;
  }
  return { messages: found.reverse(), lost };
}
