/**
 * Visits the tags of messages: reads frame headers and the start of payloads, without checksums and
 * without decoding anything else.
 *
 * It never takes a lock, unlike a {@linkcode Cursor}: so a guard may use it under the exclusive
 * lock, where all frames are whole ({@linkcode TagWalk.visit}). Without the lock ({@linkcode
 * TagWalk.visiting}), the state is read again after each copy to find out which of the copied
 * frames were still live.
 *
 * @module
 */

import { DAMAGE, ErrorKind, PlasmiteError } from "../errors.ts";
import { MessageView } from "../lite3/message.ts";
import type { Steps } from "../storage/steps.ts";
import { FIELD, frameProblem, frameState, itemAt, payloadLength } from "./frame.ts";
import type { State } from "./header.ts";
import { COMMITTED, FRAME_HEADER, frameLength, WRAP } from "./layout.ts";
import { BrokenChain } from "./plan.ts";
import type { Ring } from "./ring.ts";

/**
 * The first chunk in bytes: often one message suffices; grows fourfold while whole chunks are used.
 */
const FIRST_CHUNK = 4 * 1024;
const LARGEST_CHUNK = 256 * 1024;
/** How often to retry when a frame is not where it should be, with pauses. */
const LOOKS = 100;

/** Called for each message, which is then the current one of the walk. */
export type Visit = () => void;

/** The range of messages to visit, and how much of each to read. */
export interface Stretch {
  /** The first sequence number; messages that are no longer retained are skipped. */
  readonly from: bigint;
  /** The last sequence number. */
  readonly until: bigint;
  /** Whether to read the whole payload rather than only the tags. */
  readonly whole?: boolean;
}

/** The result of reading one chunk of the ring. */
type Outcome = "on" | "lost";

/** A walk through the tags of a pool's messages. */
export class TagWalk {
  /**
   * The current message; only its tags, unless the whole payload was requested. It has no tags if
   * it is not a message.
   */
  readonly view: MessageView = new MessageView();
  readonly #ring: Ring;
  #u8 = new Uint8Array(0);
  #dv = new DataView(this.#u8.buffer);
  #chunk = FIRST_CHUNK;
  #got = 0;
  /** Sequence number and ring offset of the next frame, and the first number to visit. */
  #seq = 0n;
  #place = 0;
  #from = 0n;
  /** The current frame. */
  #base = 0n;
  #index = 0;
  #at = 0;

  /** @param ring the pool, which the caller owns */
  constructor(ring: Ring) {
    this.#ring = ring;
  }

  /** Sequence number of the current message. */
  get seq(): bigint {
    return this.#base + BigInt(this.#index);
  }

  /** Its time in nanoseconds since 1970. */
  get timestampNs(): bigint {
    return this.#dv.getBigUint64(this.#at + FIELD.time, true);
  }

  /**
   * Visits messages in order; the caller holds the exclusive lock, and `state` was read under it.
   *
   * @throws {BrokenChain} when a frame is not where it should be
   */
  visit(state: State, { from, until, whole = false }: Stretch, each: Visit): void {
    if (!this.#begin(state, from, until)) return;
    let hinted = this.#locate(state);
    while (this.#seq <= until) {
      this.#copy(state);
      if (this.#parse(state, until, whole, each) === "on") continue;
      if (!hinted) throw new BrokenChain(this.#place, "frame expected");
      hinted = false;
      this.#toTail(state);
    }
  }

  /**
   * Visits messages in order, without a lock; those overwritten in the meantime are skipped.
   *
   * @throws {PlasmiteError} Corrupt for damage in the retained range, Busy
   */
  *visiting({ from, until, whole = false }: Stretch, each: Visit): Steps<void> {
    let state = yield* this.#ring.stating();
    if (!this.#begin(state, from, until)) return;
    this.#locate(state);
    for (let lost = 0; this.#seq <= until;) {
      this.#copy(state);
      state = yield* this.#ring.stating();
      if (state.oldest === 0n || state.oldest > until) return;
      const before = this.#from;
      if (this.#parse(state, until, whole, each) === "on") {
        if (this.#from > before) lost = 0;
        yield "more";
        continue;
      }
      // The walk was overtaken, the index was outdated, a writer of the reference is active, or
      // there is damage.
      if (++lost > LOOKS) throw this.#damaged();
      if (lost > 2) yield "busy";
      if (this.#from < state.oldest) this.#from = state.oldest;
      if (lost === 1) this.#locate(state);
      else this.#toTail(state);
    }
  }

  #damaged(): PlasmiteError {
    return new PlasmiteError("Corrupt", "malformed frame in the retained ring", {
      path: this.#ring.path,
      seq: this.#seq,
      offset: BigInt(this.#place),
      ...DAMAGE,
    });
  }

  /** False when there is nothing to visit. */
  #begin(state: State, from: bigint, until: bigint): boolean {
    this.#from = from < state.oldest ? state.oldest : from;
    this.#chunk = FIRST_CHUNK;
    return state.oldest !== 0n && until >= this.#from && state.newest >= this.#from;
  }

  #toTail(state: State): void {
    this.#seq = state.oldest;
    this.#place = state.tail;
  }

  /** Moves to the next wanted frame using the index; returns whether the index has it. */
  #locate(state: State): boolean {
    const { ringSize } = this.#ring.layout;
    const place = this.#from === state.oldest ? -1 : this.#ring.indexOffset(this.#from);
    if (place >= 0 && place + FRAME_HEADER <= ringSize) {
      const header = new DataView(new ArrayBuffer(FRAME_HEADER));
      const got = this.#ring.readRing(new Uint8Array(header.buffer), place);
      const item = itemAt(header, 0, place, ringSize);
      if (got === FRAME_HEADER && item.kind === "frame" && item.seq === this.#from) {
        this.#seq = this.#from;
        this.#place = place;
        return true;
      }
    }
    this.#toTail(state);
    return false;
  }

  /** Copies the next chunk: never beyond head, where frames are dead or being written. */
  #copy(state: State): void {
    const { ringSize } = this.#ring.layout;
    if (ringSize - this.#place < FRAME_HEADER) this.#place = 0;
    const until = this.#place < state.head ? state.head : ringSize;
    const want = Math.min(until - this.#place, this.#chunk);
    if (this.#u8.length < want) {
      this.#u8 = new Uint8Array(Math.max(want, Math.min(this.#chunk, ringSize)));
      this.#dv = new DataView(this.#u8.buffer);
    }
    this.#got = this.#ring.readRing(this.#u8.subarray(0, want), this.#place);
  }

  /** Visits the frames of a chunk that are still live, and moves past them. */
  #parse(state: State, until: bigint, whole: boolean, each: Visit): Outcome {
    const { ringSize } = this.#ring.layout;
    const dv = this.#dv;
    const got = this.#got;
    const start = this.#place;
    const first = this.#seq;
    const wanted = this.#from > state.oldest ? this.#from : state.oldest;
    const skip = wanted > first ? Number(wanted - first) : 0;
    const left = Number((until < state.newest ? until : state.newest) - first) + 1;
    if (left <= 0) {
      this.#seq = until + 1n; // No more is there than what was published.
      return "on";
    }
    let lo = Number(first & 0xffff_ffffn);
    let hi = Number(first >> 32n);
    let at = 0;
    let count = 0;
    let wrapped = false;
    this.#base = first;
    for (; count < left; count++) {
      if (ringSize - start - at < FRAME_HEADER) {
        wrapped = true;
        break;
      }
      if (at + FRAME_HEADER > got || frameProblem(dv, at, ringSize) !== null) break;
      const kind = frameState(dv, at);
      wrapped = kind === WRAP;
      if (kind !== COMMITTED) break;
      if (
        dv.getUint32(at + FIELD.seq, true) !== lo || dv.getUint32(at + FIELD.seq + 4, true) !== hi
      ) break;
      const payload = payloadLength(dv, at);
      const end = at + frameLength(payload);
      if (start + end > ringSize) break;
      if (count >= skip) {
        const here = Math.min(payload, got - at - FRAME_HEADER);
        if ((whole && here < payload) || !this.#open(at + FRAME_HEADER, here, here < payload)) {
          // The wanted part lies beyond the chunk. The next one starts with this frame.
          if (count > 0) return this.#moveTo(start + at, count, got, at);
          if (this.#chunk >= end) return "lost"; // It was copied whole, and was cut short.
          this.#chunk = end;
          return "on";
        }
        this.#index = count;
        this.#at = at;
        each();
      }
      at = end;
      lo = (lo + 1) >>> 0;
      if (lo === 0) hi++;
    }
    if (wrapped && start + at !== 0) {
      this.#seq = first + BigInt(count);
      if (this.#seq > this.#from) this.#from = this.#seq;
      this.#place = 0;
      return "on";
    }
    if (count === 0) return "lost";
    return this.#moveTo(start + at, count, got, at);
  }

  #moveTo(place: number, count: number, got: number, at: number): Outcome {
    this.#seq += BigInt(count);
    if (this.#seq > this.#from) this.#from = this.#seq;
    this.#place = place === this.#ring.layout.ringSize ? 0 : place;
    if (at > got + FIRST_CHUNK) this.#chunk = FIRST_CHUNK; // Large messages: most is passed over.
    else if (count > 0) this.#chunk = Math.min(this.#chunk * 4, LARGEST_CHUNK);
    return "on";
  }

  /** Opens a message; false when its tags are not in the part that was copied. */
  #open(at: number, length: number, partial: boolean): boolean {
    const { view } = this;
    try {
      view.openTags(this.#u8, this.#dv, at, length);
      for (let i = 0; i < view.tagCount; i++) view.doc.stringLength(view.tagAt(i));
      return true;
    } catch (error) {
      if (!PlasmiteError.is(error, ErrorKind.Corrupt)) throw error;
      if (partial) return false;
      view.tagCount = 0; // Bytes that are no message have no tags.
      return true;
    }
  }
}
