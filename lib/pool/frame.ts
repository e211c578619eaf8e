/**
 * One frame: the 64-byte header before a payload and the commit marker after it
 * (docs/spec/format.md 2).
 *
 * @module
 */

import type { State } from "./header.ts";
import { COMMITTED, FRAME_HEADER, frameLength, MARKER_SIZE, maxPayload, WRAP } from "./layout.ts";

/** The first four bytes of a frame: "FRM1", little-endian. */
export const MAGIC = 0x314d_5246;
const MARKER_LO = 0x4d53_4c50; // "PLSM"
const MARKER_HI = 0x5449_4d43; // "CMIT"

/** Byte offsets inside a frame header. */
export const FIELD = {
  state: 4,
  flags: 8,
  headerLength: 12,
  seq: 16,
  time: 24,
  payloadLength: 32,
  payloadXor: 36,
  crc: 40,
} as const;

/**
 * The problem with the frame header at `at`, worded as in docs/spec/format.md 2; null if it is
 * valid.
 */
export function frameProblem(view: DataView, at: number, ringSize: number): string | null {
  if (at + FRAME_HEADER > view.byteLength) return "frame header too small";
  if (view.getUint32(at, true) !== MAGIC) return "bad frame magic";
  if (view.getUint32(at + FIELD.state, true) > WRAP) return "invalid frame state";
  if (view.getUint32(at + FIELD.headerLength, true) !== FRAME_HEADER) {
    return "unexpected header length";
  }
  const length = view.getUint32(at + FIELD.payloadLength, true);
  if (view.getUint32(at + FIELD.payloadXor, true) !== (length ^ 0xffff_ffff) >>> 0) {
    return "payload length xor mismatch";
  }
  if (length > maxPayload(ringSize)) return "payload length exceeds max";
  return null;
}

/** The state field of a frame header. */
export function frameState(view: DataView, at: number): number {
  return view.getUint32(at + FIELD.state, true);
}

/** The payload length in bytes of a frame header. */
export function payloadLength(view: DataView, at: number): number {
  return view.getUint32(at + FIELD.payloadLength, true);
}

/** Whether there is a commit marker at `at`. */
export function hasMarker(view: DataView, at: number): boolean {
  return at + MARKER_SIZE <= view.byteLength && view.getUint32(at, true) === MARKER_LO &&
    view.getUint32(at + 4, true) === MARKER_HI;
}

/** Writes a frame header with sequence number 0; {@linkcode putSequence} follows at plan time. */
export function putFrameHeader(
  view: DataView,
  at: number,
  payload: number,
  timeLo: number,
  timeHi: number,
  crc: number,
): void {
  view.setUint32(at, MAGIC, true);
  view.setUint32(at + FIELD.state, COMMITTED, true);
  view.setUint32(at + FIELD.flags, 0, true);
  view.setUint32(at + FIELD.headerLength, FRAME_HEADER, true);
  view.setUint32(at + FIELD.seq, 0, true);
  view.setUint32(at + FIELD.seq + 4, 0, true);
  view.setUint32(at + FIELD.time, timeLo, true);
  view.setUint32(at + FIELD.time + 4, timeHi, true);
  view.setUint32(at + FIELD.payloadLength, payload, true);
  view.setUint32(at + FIELD.payloadXor, payload ^ 0xffff_ffff, true);
  view.setUint32(at + FIELD.crc, crc, true);
  for (let i = FIELD.crc + 4; i < FRAME_HEADER; i += 4) view.setUint32(at + i, 0, true);
}

/** Writes the commit marker to `at`. */
export function putMarker(view: DataView, at: number): void {
  view.setUint32(at, MARKER_LO, true);
  view.setUint32(at + 4, MARKER_HI, true);
}

/** A wrap marker: "the next item is at offset 0". */
export function wrapMarker(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(FRAME_HEADER);
  const view = new DataView(bytes.buffer);
  putFrameHeader(view, 0, 0, 0, 0, 0);
  view.setUint32(FIELD.state, WRAP, true);
  return bytes;
}

/** The item at a ring offset, as far as planning and walking need to know it. */
export interface Item {
  /** A whole message, a wrap marker, or anything else. */
  readonly kind: "frame" | "wrap" | "bad";
  /** Sequence number of a frame. */
  readonly seq: bigint;
  /** Time of a frame, in nanoseconds since 1970. */
  readonly time: bigint;
  /** Ring offset of a frame's end; the ring's size is not converted to 0. */
  readonly end: number;
  /** The problem of a bad item. */
  readonly problem: string;
}

/**
 * Passes over frames that follow one another from ring offset `offset` on, the first of which has
 * the number `seq`: `most` of them, or up to the first that begins after `until`, or that is not
 * there. The end is that of the last one; the ring's size is not converted to 0.
 */
export type Passing = (
  offset: number,
  seq: bigint,
  until: number,
  most: number,
) => { readonly count: number; readonly end: number };

/**
 * The offset of the frame at or after `offset`: skips dead bytes and wrap markers, which the
 * reference may leave at the tail (docs/spec/format.md 5.1 D2).
 */
export function frameOffset(
  look: (offset: number) => Item,
  offset: number,
  ringSize: number,
): number {
  if (offset === ringSize || ringSize - offset < FRAME_HEADER) return 0;
  return look(offset).kind === "wrap" ? 0 : offset;
}

/** The item at {@linkcode frameOffset}, looked at once. */
export function frameFrom(look: (offset: number) => Item, offset: number, ringSize: number): Item {
  if (offset === ringSize || ringSize - offset < FRAME_HEADER) return look(0);
  const item = look(offset);
  return item.kind === "wrap" ? look(0) : item;
}

/** The state after all messages were dropped: all offsets equal (docs/spec/format.md 1.6). */
export function emptied({ head, newest }: State): State {
  return { head, tail: head, tailNext: head, oldest: 0n, newest };
}

/** Which of the oldest messages to drop. */
export interface Dropping {
  /** Tests a message; called in order, up to the first that stays. */
  isExpired(seq: bigint, timeNs: bigint): boolean;
  /** The largest number of messages to drop. */
  readonly most: number;
  /** Called with the ring offset if something else than the next frame is there. */
  broken?(offset: number): void;
}

/**
 * The state without the first messages, up to the first that is not expired or is not where it
 * should be; the same state if nothing is dropped.
 *
 * @param look classifies the item at a ring offset
 */
export function withoutExpired(
  state: State,
  ringSize: number,
  look: (offset: number) => Item,
  dropping: Dropping,
): State {
  if (state.oldest === 0n) return state;
  const { head, newest } = state;
  let { oldest, tail } = state;
  for (let count = 0;; count++) {
    if (oldest > newest) return emptied(state);
    tail = frameOffset(look, tail, ringSize);
    const item = look(tail);
    const isFrame = item.kind === "frame" && item.seq === oldest;
    if (!isFrame) dropping.broken?.(tail);
    if (isFrame && count < dropping.most && dropping.isExpired(oldest, item.time)) {
      tail = item.end % ringSize;
      oldest++;
      continue;
    }
    // The end must be exact: the checkers of 1.x and ours would report 0 as an error.
    const tailNext = isFrame ? item.end % ringSize : 0;
    return count === 0 ? state : { head, tail, tailNext, oldest, newest };
  }
}

/** An item that is not a frame. */
export function noFrame(kind: "wrap" | "bad", problem: string): Item {
  return { kind, seq: 0n, time: 0n, end: 0, problem };
}

/** Classifies the frame header at `at` of `view`, which is at ring offset `offset`. */
export function itemAt(view: DataView, at: number, offset: number, ringSize: number): Item {
  const problem = frameProblem(view, at, ringSize);
  if (problem !== null) return noFrame("bad", problem);
  const state = frameState(view, at);
  if (state === WRAP) return noFrame("wrap", "");
  if (state !== COMMITTED) return noFrame("bad", "unexpected frame state");
  const end = offset + frameLength(payloadLength(view, at));
  if (end > ringSize) return noFrame("bad", "frame exceeds ring");
  const seq = view.getBigUint64(at + FIELD.seq, true);
  const time = view.getBigUint64(at + FIELD.time, true);
  return { kind: "frame", seq, time, end, problem: "" };
}

/**
 * Where the frame ends whose header is at `at` of `view`, at ring offset `offset`, if that is a
 * whole message with this number; -1 for anything else. The ring's size is not converted to 0.
 */
export function frameEnd(
  view: DataView,
  at: number,
  offset: number,
  seqLo: number,
  seqHi: number,
  ringSize: number,
): number {
  if (frameProblem(view, at, ringSize) !== null || frameState(view, at) !== COMMITTED) return -1;
  if (view.getUint32(at + FIELD.seq, true) !== seqLo) return -1;
  if (view.getUint32(at + FIELD.seq + 4, true) !== seqHi) return -1;
  const end = offset + frameLength(payloadLength(view, at));
  return end <= ringSize ? end : -1;
}
