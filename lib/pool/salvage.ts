/**
 * Plans a repair: which frames make up the pool, and what replaces missing ones. Only reads.
 *
 * All writes of a plan lie in the holes between whole frames, and the state block is published
 * after them. So a repair that is killed has not touched any message that it keeps, and can be run
 * again.
 *
 * There are two views of the pool, that of the state block and that of the frames alone; the one
 * that keeps more messages is used, the state block's in a tie.
 *
 * @module
 */

import { crc32c } from "./crc32c.ts";
import {
  FIELD,
  frameProblem,
  frameState,
  hasMarker,
  payloadLength,
  putFrameHeader,
  putMarker,
} from "./frame.ts";
import { flippedBit } from "./bit_repair.ts";
import { forgotten, type PayloadCheck, type Stretch, wholeFrames } from "./frame_scan.ts";
import { type State, stateProblem } from "./header.ts";
import { COMMITTED, FRAME_HEADER, frameLength, type Layout, MARKER_SIZE, WRAP } from "./layout.ts";
import { believe, type Chain, choose, witness } from "./live_frames.ts";
import { canFill, fillHole, READABLE, SMALLEST, tombstone } from "./tombstone.ts";

/** Bytes to be written into the ring. */
export interface RingWrite {
  /** Ring offset. */
  readonly at: number;
  /** The bytes; null for a wrap marker. */
  readonly bytes: (() => Uint8Array<ArrayBuffer>) | null;
}

/** A range of sequence numbers, both ends included. */
export interface SeqRange {
  /** The first. */
  readonly first: bigint;
  /** The last. */
  readonly last: bigint;
}

/** One frame of the repaired chain. */
interface Link {
  readonly at: number;
  readonly end: number;
  readonly fate: "kept" | "mended" | "lost";
}

/** What a repair would do. */
export interface Salvage {
  /** How many messages are kept or mended. */
  readonly saved: number;
  /** The state block to publish. */
  readonly state: State;
  /** Ring offsets of the messages from `state.oldest` to `state.newest`. */
  readonly places: readonly number[];
  /** What must be written into the ring. */
  readonly writes: readonly RingWrite[];
  /** Messages that were intact. */
  readonly kept: readonly SeqRange[];
  /** Messages whose damage was repaired. */
  readonly mended: readonly SeqRange[];
  /** Lost messages with a placeholder, so that the others keep their numbers. */
  readonly replaced: readonly SeqRange[];
  /** Messages lost at the old end: they count as expired. */
  readonly dropped: SeqRange | null;
  /**
   * Numbers that were assigned according to a state block that was not trusted; they will be
   * assigned again.
   */
  readonly reissued: SeqRange | null;
}

/**
 * Plans the repair of the ring of `layout`, whose state block says `state`.
 *
 * @param nearby whether the file is damaged near the state block too: then it is not trusted if it
 *   says that the pool is empty
 * @param searched ring offset where the search for frames ends
 */
export function planSalvage(
  ring: Stretch,
  layout: Layout,
  state: State,
  payloads: PayloadCheck,
  nearby: boolean,
  searched: number = layout.ringSize,
): Salvage {
  const { ringSize } = layout;
  const all = wholeFrames(ring, ringSize, payloads, searched);
  // Where payloads are messages, a placeholder must be one too.
  const least = payloads.messages ? READABLE : SMALLEST;
  // No more numbers are live together than smallest frames fit in the ring: frames further apart
  // are remains of an earlier round.
  const window = BigInt(Math.floor(ringSize / SMALLEST));
  const empty = state.oldest === 0n;
  const sane = stateProblem(state, ringSize) === null &&
    !(empty && (nearby || forgotten(ring, all, state))) &&
    !(nearby && state.newest - state.oldest >= window);
  // What lies beyond the end of the search is unknown, so it is not relied on.
  const known = state.head <= searched && state.tail <= searched;
  const stated =
    known && (sane || (state.head < ringSize && state.head % 8 === 0 && state.newest > 0n))
      ? believe(all, state, sane, window)
      : null;
  if (sane && empty) {
    return emptied(state.head, state.newest, null);
  }
  const told = stated === null ? null : choose(all, stated, ringSize, least);
  const evidence = witness(all, window, sane && state.oldest > 0n ? state.oldest : 0n);
  const seen = evidence === null ? null : choose(all, evidence, ringSize, least);
  const count = (chain: Chain): number =>
    stated === null || !sane
      ? chain.frames.length
      : chain.frames.filter((frame) => frame.seq >= stated.low && frame.seq <= stated.newest)
        .length;
  // Numbers far from those of all whole frames do not belong to this pool.
  const alien = told !== null && told.frames.length === 0 && seen !== null &&
    (state.newest > seen.account.newest + window || state.newest + window < seen.account.newest);
  const chain = told !== null && !alien && (seen === null || count(told) >= count(seen))
    ? told
    : seen;
  if (chain === null) return emptied(0, state.newest < 1n << 53n ? state.newest : 0n, null);
  const salvage = new ChainBuilder(ring, layout, payloads).build(chain);
  const { oldest, newest } = salvage.state;
  const from = sane && state.oldest > 0n ? state.oldest : oldest;
  const until = oldest === 0n ? newest + 1n : oldest;
  return {
    ...salvage,
    dropped: from > 0n && from < until ? { first: from, last: until - 1n } : null,
    reissued: sane && state.newest > newest ? { first: newest + 1n, last: state.newest } : null,
  };
}

/** `newest` is kept: an assigned number must not be used again for another message. */
function emptied(head: number, newest: bigint, dropped: SeqRange | null): Salvage {
  return {
    state: { head, tail: head, tailNext: head, oldest: 0n, newest },
    places: [],
    writes: [],
    saved: 0,
    kept: [],
    mended: [],
    replaced: [],
    dropped,
    reissued: null,
  };
}

/** Builds one chain from whole frames and the holes between them. */
class ChainBuilder {
  readonly #links: Link[] = [];
  readonly #writes: RingWrite[] = [];
  readonly #size: number;
  readonly #least: number;

  constructor(readonly ring: Stretch, layout: Layout, readonly payloads: PayloadCheck) {
    this.#size = layout.ringSize;
    this.#least = payloads.messages ? READABLE : SMALLEST;
  }

  build({ frames, head, account }: Chain): Omit<Salvage, "dropped" | "reissued"> {
    const { low, newest, tail } = account;
    const end = { at: head, seq: newest + 1n };
    let next: { at: number; seq: bigint } = frames[0] ?? end;
    let oldest = next.seq;
    // Before the first whole frame only repairable messages are worth keeping. A placeholder there
    // would preserve nothing: the pool can start later instead.
    const missing = Number(next.seq - low);
    if (
      tail >= 0 && missing > 0 && canFill(tail, next.at, missing, this.#size, this.#least)
    ) {
      this.#hole(tail, next.at, missing, low, null, true);
      const rescued = this.#links.findIndex((link) => link.fate === "mended");
      const useless = rescued < 0 ? this.#links.length : rescued;
      for (const link of this.#links.splice(0, useless)) {
        const write = this.#writes.findIndex(({ at, bytes }) => at === link.at && bytes !== null);
        if (write >= 0) this.#writes.splice(write, 1);
      }
      if (this.#links.length === 0) this.#writes.length = 0;
      oldest -= BigInt(this.#links.length);
    }
    for (const [i, frame] of frames.entries()) {
      this.#links.push({ at: frame.at, end: frame.end, fate: "kept" });
      next = frames[i + 1] ?? end;
      this.#hole(frame.end, next.at, Number(next.seq - frame.seq) - 1, frame.seq + 1n, frame.at);
    }
    const first = this.#links[0];
    const of = (fate: Link["fate"]): SeqRange[] => this.#ranges(fate, oldest);
    const wrapped = (end: number): number => end === this.#size ? 0 : end;
    const behind = wrapped(this.#links.at(-1)?.end ?? head);
    return {
      state: first === undefined
        ? { head, tail: head, tailNext: head, oldest: 0n, newest }
        : { head: behind, tail: first.at, tailNext: wrapped(first.end), oldest, newest },
      places: this.#links.map((link) => link.at),
      writes: this.#writes,
      saved: this.#links.filter((link) => link.fate !== "lost").length,
      kept: of("kept"),
      mended: of("mended"),
      replaced: of("lost"),
    };
  }

  #ranges(fate: Link["fate"], oldest: bigint): SeqRange[] {
    const ranges: { first: bigint; last: bigint }[] = [];
    for (const [i, link] of this.#links.entries()) {
      if (link.fate !== fate) continue;
      const seq = oldest + BigInt(i);
      const last = ranges.at(-1);
      if (last !== undefined && last.last === seq - 1n) last.last = seq;
      else ranges.push({ first: seq, last: seq });
    }
    return ranges;
  }

  /**
   * Fills the hole from `from` to `to` with `count` messages, `seq` and after. The count must be
   * exact: readers and writers treat a skipped number as damage, and an index slot or a saved
   * position must still find its message.
   */
  #hole(
    from: number,
    to: number,
    count: number,
    seq: bigint,
    before: number | null,
    front = false,
  ): void {
    let at = from === this.#size ? 0 : from;
    while (count > 0) {
      if (at > to && this.#wraps(at)) {
        if (!canFill(0, to, count, this.#size, this.#least)) break;
        at = 0;
      }
      const limit = at < to ? to : this.#size;
      const sure = !front && count === 1 && at < to;
      const found = this.#rescue(at, limit, seq, sure);
      if (found === null || !canFill(found.end, to, count - 1, this.#size, this.#least)) {
        break;
      }
      this.#links.push(found);
      this.#writes.push(...found.writes);
      before = at;
      at = found.end === this.#size ? 0 : found.end;
      seq++;
      count--;
    }
    const filling = at === to && count === 0
      ? null
      : fillHole(at, to, count, this.#size, this.#least);
    if (filling === null) return;
    const [lo, hi] = before === null ? [0, 0] : this.#time(before);
    if (filling.wrapAt >= 0 && !this.#isWrap(filling.wrapAt)) {
      this.#writes.push({ at: filling.wrapAt, bytes: null });
    }
    for (const hole of filling.placeholders) {
      this.#links.push({ at: hole.at, end: hole.at + hole.length, fate: "lost" });
      const own = seq++;
      // Built when it is written: together they are as large as the damage.
      this.#writes.push({ at: hole.at, bytes: () => tombstone(hole.length, own, lo, hi) });
    }
  }

  #time(at: number): [number, number] {
    const i = this.ring.load(at, FRAME_HEADER) + FIELD.time;
    return [this.ring.view.getUint32(i, true), this.ring.view.getUint32(i + 4, true)];
  }

  /** Whether the next item after `at` is at offset 0. */
  #wraps(at: number): boolean {
    return this.#size - at < FRAME_HEADER || this.#isWrap(at);
  }

  #isWrap(at: number): boolean {
    if (this.#size - at < FRAME_HEADER) return false;
    const i = this.ring.load(at, FRAME_HEADER);
    const { view } = this.ring;
    return frameProblem(view, i, this.#size) === null && frameState(view, i) === WRAP;
  }

  /**
   * The damaged frame of message `seq` at `at`, repaired or replaced in place; null if nothing is
   * certain. `sure` means that the frame extends from `at` to `limit`.
   */
  #rescue(
    at: number,
    limit: number,
    seq: bigint,
    sure: boolean,
  ): (Link & { writes: RingWrite[] }) | null {
    if (limit - at < SMALLEST) return null;
    const i = this.ring.load(at, FRAME_HEADER);
    const { view } = this.ring;
    const header = this.ring.u8.slice(i, i + FRAME_HEADER);
    const own = view.getBigUint64(i + FIELD.seq, true);
    const sound = frameProblem(view, i, this.#size) === null &&
      frameState(view, i) === COMMITTED && own === seq;
    if (!sound && !sure && own !== seq) return null;
    const fields = new DataView(header.buffer);
    // The header stores the length twice, so one wrong copy does not lose the payload. If the
    // offset of the next frame is known, it gives the length as well, up to padding.
    const lengths = new Set([
      payloadLength(fields, 0),
      (fields.getUint32(FIELD.payloadXor, true) ^ 0xffff_ffff) >>> 0,
    ]);
    if (sure) { for (let n = 0; n < 8; n++) lengths.add(limit - at - SMALLEST - n); }
    for (const length of lengths) {
      const total = frameLength(length);
      if (at + total > limit || length < 0 || (sure && at + total !== limit)) continue;
      const bytes = this.#mend(at, length, fields, seq);
      if (bytes !== null) {
        return { at, end: at + total, fate: "mended", writes: [{ at, bytes: () => bytes }] };
      }
    }
    const total = frameLength(payloadLength(fields, 0));
    if (!sound || at + total > limit) return null;
    const [lo, hi] = this.#time(at);
    const bytes = (): Uint8Array<ArrayBuffer> => tombstone(total, seq, lo, hi);
    return { at, end: at + total, fate: "lost", writes: [{ at, bytes }] };
  }

  /** The frame at `at` with `length` bytes of payload, repaired; null if that is not possible. */
  #mend(
    at: number,
    length: number,
    fields: DataView,
    seq: bigint,
  ): Uint8Array<ArrayBuffer> | null {
    const i = this.ring.load(at, frameLength(length));
    const bytes = this.ring.u8.slice(i, i + frameLength(length));
    const view = new DataView(bytes.buffer);
    const marked = hasMarker(view, FRAME_HEADER + length);
    const stored = fields.getUint32(FIELD.crc, true);
    const sum = crc32c(bytes, view, FRAME_HEADER, length);
    const certain = stored !== 0 && stored === sum;
    if (!certain) {
      // A frame of the reference has no checksum: its message must be readable.
      if (stored === 0 && !(marked && this.payloads.messages)) return null;
      if (stored !== 0) {
        if (!marked) return null;
        const bit = flippedBit(stored, sum, length);
        if (bit === null) return null;
        if (bit >= 0) {
          const place = FRAME_HEADER + (bit >> 3);
          view.setUint8(place, view.getUint8(place) ^ (1 << (bit & 7)));
        }
      }
    }
    const crc = stored === 0 ? 0 : crc32c(bytes, view, FRAME_HEADER, length);
    if (this.payloads.problem(bytes, view, FRAME_HEADER, length, crc) !== null) return null;
    const lo = fields.getUint32(FIELD.time, true);
    const hi = fields.getUint32(FIELD.time + 4, true);
    putFrameHeader(view, 0, length, lo, hi, crc);
    view.setBigUint64(FIELD.seq, seq, true);
    putMarker(view, FRAME_HEADER + length);
    return bytes.subarray(0, FRAME_HEADER + length + MARKER_SIZE).slice();
  }
}
