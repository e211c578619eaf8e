/**
 * Finds the next frame behind damage, for readers that go on there instead of ending with an error
 * (docs/spec/format.md 5.5).
 *
 * The live part of the ring is searched once from the damage to the head, however the bytes look: a
 * candidate has a valid header and a commit marker, and its number fits the space before and behind
 * it. Its payload is checked by the reader that takes it; if that fails, the search goes on behind
 * the candidate and not inside it.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { readable } from "./frame_scan.ts";
import { FIELD, frameProblem, frameState, hasMarker, MAGIC, payloadLength } from "./frame.ts";
import { MessageView } from "../lite3/message.ts";
import type { FrameBytes } from "../types.ts";
import type { State } from "./header.ts";
import { COMMITTED, FRAME_HEADER, frameLength, MARKER_SIZE } from "./layout.ts";
import type { Ring } from "./ring.ts";

/** How much one step searches at most, in bytes, */
const STEP = 1 << 18;
/** and the first one: the next frame is often close. It grows fourfold. */
const FIRST_STEP = 1 << 10;
const SMALLEST = BigInt(frameLength(0));

/** A frame that a search has found. */
export interface Candidate {
  /** Its sequence number. */
  readonly seq: bigint;
  /** Ring offset of its header. */
  readonly place: number;
}

/** A search behind one place of damage at a time. */
export class Resync {
  #seq = 0n;
  #start = 0;
  #at = 0;
  /** Whether the search has passed the end of the ring. */
  #turned = false;
  /** Whether there is nothing to search: the place is the head. */
  #over = false;
  /** How much the next step searches. */
  #step = FIRST_STEP;
  readonly #view = new MessageView();
  #bytes = new Uint8Array(0);
  #window = new DataView(this.#bytes.buffer);

  /**
   * Begins behind message `seq`, which should be at `place` and cannot be read.
   *
   * @param isFirst whether the place is the tail, which in a full ring is the head
   */
  begin(ring: Ring, state: State, seq: bigint, place: number, isFirst: boolean): void {
    this.#seq = seq;
    this.#start = place;
    this.#turned = false;
    this.#over = place === state.head && !isFirst;
    this.#step = FIRST_STEP;
    this.#at = place + 8;
    const header = new Uint8Array(FRAME_HEADER);
    const view = new DataView(header.buffer);
    if (ring.readRing(header, place) !== FRAME_HEADER) return;
    const { ringSize } = ring.layout;
    if (frameProblem(view, 0, ringSize) !== null || frameState(view, 0) !== COMMITTED) return;
    if (view.getBigUint64(FIELD.seq, true) !== seq) return;
    // Only the payload is damaged: nothing inside of it is a frame of this pool.
    const end = place + frameLength(payloadLength(view, 0));
    if (end <= this.#end(state, ringSize)) this.#at = end;
  }

  /** Where the stretch that is being searched ends: at the head, or at the end of the ring. */
  #end({ head }: State, ringSize: number): number {
    return this.#turned || head > this.#start ? head : ringSize;
  }

  /**
   * Searches one piece.
   *
   * @param state the state, in which the damaged message still counts as live
   * @returns null if nothing up to the head can be read, "more" if there is more to search
   */
  step(ring: Ring, state: State): Candidate | null | "more" {
    const { ringSize } = ring.layout;
    if (this.#over) return null;
    const end = this.#end(state, ringSize);
    if (end - this.#at < FRAME_HEADER) {
      if (this.#turned || end !== ringSize || state.head > this.#start) return null;
      this.#turned = true;
      this.#at = 0;
      return "more";
    }
    const want = Math.min(this.#step + FRAME_HEADER, end - this.#at);
    if (this.#bytes.length < want) {
      this.#bytes = new Uint8Array(Math.min(this.#step, ringSize) + FRAME_HEADER);
      this.#window = new DataView(this.#bytes.buffer);
    }
    this.#step = Math.min(4 * this.#step, STEP);
    const got = ring.readRing(this.#bytes.subarray(0, want), this.#at);
    if (got < FRAME_HEADER) return null; // The file was truncated.
    for (let i = 0; i + FRAME_HEADER <= got; i += 8) {
      if (this.#window.getUint32(i, true) !== MAGIC) continue;
      const candidate = this.#candidate(ring, state, i, end);
      if (candidate === null) continue;
      this.#at += i;
      return candidate;
    }
    this.#at += got - (got - FRAME_HEADER) % 8 - FRAME_HEADER + 8;
    return "more";
  }

  /** The frame at `i` of the window, if it can be a live one. */
  #candidate(ring: Ring, state: State, i: number, end: number): Candidate | null {
    const view = this.#window;
    const { ringSize } = ring.layout;
    if (frameProblem(view, i, ringSize) !== null || frameState(view, i) !== COMMITTED) return null;
    const seq = view.getBigUint64(i + FIELD.seq, true);
    if (seq < this.#seq || seq > state.newest) return null;
    const place = this.#at + i;
    const payload = payloadLength(view, i);
    const behind = place + frameLength(payload);
    if (behind > end) return null;
    // As many frames as there are numbers must fit before and behind it: that excludes dead frames,
    // and numbers that somebody wrote into a message.
    const before = place - this.#start + (this.#turned ? ringSize : 0);
    const after = state.head - behind + (end === state.head ? 0 : ringSize);
    if ((seq - this.#seq) * SMALLEST > BigInt(before)) return null;
    if ((state.newest - seq) * SMALLEST > BigInt(after)) return null;
    const marker = new DataView(new ArrayBuffer(MARKER_SIZE));
    ring.readRing(new Uint8Array(marker.buffer), place + FRAME_HEADER + payload);
    return hasMarker(marker, 0) ? { seq, place } : null;
  }

  /**
   * Checks that a frame is a message that can be read to its end.
   *
   * @throws {PlasmiteError} Corrupt
   */
  check({ u8, payloadAt, payloadLength, seq }: FrameBytes): void {
    const view = new DataView(u8.buffer, u8.byteOffset, u8.byteLength);
    if (readable(this.#view, u8, view, payloadAt, payloadLength)) return;
    throw new PlasmiteError("Corrupt", "payload cannot be decoded", { seq });
  }
}
