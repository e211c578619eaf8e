/**
 * Checks frames in large pieces that are read ahead: runs of good frames without an object per
 * frame ({@linkcode goodFrames}, which stops at anything else), and one frame with all that may be
 * wrong with it ({@linkcode judgeFrame}).
 *
 * @module
 */

import type { PayloadCheck, Stretch } from "./frame_scan.ts";
import { FIELD, frameProblem, frameState, hasMarker, itemAt, payloadLength } from "./frame.ts";
import { COMMITTED, FRAME_HEADER, frameLength, MARKER_SIZE } from "./layout.ts";

/** Called for each good frame with its number and ring offset. */
export type OnGood = (seqLo: number, seqHi: number, place: number) => void;

/** A run of good frames. */
export interface Run {
  /** How many frames it has. */
  readonly count: number;
  /** The ring offset of its end; the ring's size is not converted to 0. */
  readonly end: number;
}

/** The limits of a run. */
export interface RunLimits {
  /** The largest number of frames. */
  readonly count: number;
  /** No frame begins after this many bytes. */
  readonly bytes: number;
}

/**
 * The good frames from ring offset `place` on, the first of which must have the number `seq`.
 *
 * @param ring the whole ring
 * @param each is called for every one of them, in order
 */
export function goodFrames(
  ring: Stretch,
  payloads: PayloadCheck,
  place: number,
  seq: bigint,
  limits: RunLimits,
  each: OnGood,
): Run {
  const { size } = ring;
  let lo = Number(seq & 0xffff_ffffn);
  let hi = Number(seq >> 32n);
  let at = place;
  let count = 0;
  for (; count < limits.count && at - place <= limits.bytes; count++) {
    if (size - at < FRAME_HEADER) break;
    let i = ring.load(at, FRAME_HEADER);
    if (frameProblem(ring.view, i, size) !== null) break;
    const payload = payloadLength(ring.view, i);
    const end = at + frameLength(payload);
    if (frameState(ring.view, i) !== COMMITTED || end > size) break;
    i = ring.load(at, FRAME_HEADER + payload + MARKER_SIZE);
    const { view } = ring; // Beyond the end of a file that was cut short there is no marker.
    if (
      view.getUint32(i + FIELD.seq, true) !== lo || view.getUint32(i + FIELD.seq + 4, true) !== hi
    ) break;
    const start = i + FRAME_HEADER;
    if (!hasMarker(view, start + payload)) break;
    const crc = view.getUint32(i + FIELD.crc, true);
    if (payloads.problem(ring.u8, view, start, payload, crc) !== null) break;
    each(lo, hi, at);
    at = end;
    lo = (lo + 1) >>> 0;
    if (lo === 0) hi++;
  }
  return { count, end: at };
}

/** The verdict on one frame. */
export interface Verdict {
  /** The problem; null if there is none. */
  readonly problem: string | null;
  /** The ring offset of its end; the ring's size is not converted to 0. */
  readonly end: number;
  /** Whether its length cannot be trusted, so that it is not known where the next one is. */
  readonly fatal: boolean;
}

/**
 * Checks one whole frame.
 *
 * @param first whether it is the oldest
 */
export function judgeFrame(
  ring: Stretch,
  payloads: PayloadCheck,
  at: number,
  seq: bigint,
  first: boolean,
): Verdict {
  const { size } = ring;
  const fatal = (problem: string) => ({ problem, end: 0, fatal: true });
  if (size - at < FRAME_HEADER) return fatal("frame header too small");
  let i = ring.load(at, FRAME_HEADER);
  if (ring.isCut(at + FRAME_HEADER)) return fatal("frame header too small");
  const problem = frameProblem(ring.view, i, size);
  if (problem !== null) return fatal(problem);
  if (frameState(ring.view, i) !== COMMITTED) {
    return fatal(first ? "tail frame is not committed" : "unexpected frame state");
  }
  const item = itemAt(ring.view, i, at, size);
  if (item.kind === "bad") return fatal(item.problem);
  if (item.seq !== seq) return fatal(first ? "tail seq mismatch" : "seq mismatch");
  const payload = payloadLength(ring.view, i);
  const length = FRAME_HEADER + payload + MARKER_SIZE;
  i = ring.load(at, length);
  if (ring.isCut(at + length)) return fatal("file is truncated");
  const { u8, view } = ring;
  if (!hasMarker(view, i + FRAME_HEADER + payload)) {
    return { problem: "missing frame commit marker", end: item.end, fatal: false };
  }
  const crc = view.getUint32(i + FIELD.crc, true);
  const wrong = payloads.problem(u8, view, i + FRAME_HEADER, payload, crc);
  return { problem: wrong, end: item.end, fatal: false };
}

/** The ring offset of the item after a frame that ends at `end`. */
export function placeAfter(ring: Stretch, end: number): number {
  if (ring.size - end < FRAME_HEADER) return 0;
  const i = ring.load(end, FRAME_HEADER);
  if (ring.isCut(end + FRAME_HEADER)) return 0;
  return itemAt(ring.view, i, end, ring.size).kind === "wrap" ? 0 : end;
}
