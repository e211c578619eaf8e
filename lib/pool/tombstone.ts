/**
 * The placeholder for a message that cannot be repaired: a valid message that says so.
 *
 * The format needs consecutive sequence numbers, so a hole in the chain would cost everything older
 * than it. With a placeholder, all other messages keep their numbers and offsets.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { Lite3Encoder } from "../lite3/encode.ts";
import { messageFromValue } from "../lite3/from_value.ts";
import { crc32c } from "./crc32c.ts";
import { FIELD, putFrameHeader, putMarker } from "./frame.ts";
import { FRAME_HEADER, frameLength, MARKER_SIZE } from "./layout.ts";

/** The tag of every placeholder. */
const LOST_TAG = "plasmite.lost";

/** The smallest possible frame, in bytes. */
export const SMALLEST = FRAME_HEADER + MARKER_SIZE;

/** The smallest frame that holds a message, in bytes (docs/spec/format.md 1.4). */
export const READABLE = 480;

let payloads: readonly Uint8Array[] | undefined;

/**
 * Placeholder payloads, from the most informative to the smallest; the last one is not a message.
 */
function variants(): readonly Uint8Array[] {
  return payloads ??= [
    encoded({ lost: true, reason: "damaged on disk, replaced by a repair" }, [
      LOST_TAG,
    ]),
    encoded({ lost: true }, [LOST_TAG]),
    encoded({}, [LOST_TAG]),
    encoded({}, []),
    new Uint8Array(),
  ];
}

function encoded(data: unknown, tags: readonly string[]): Uint8Array {
  const out = new Buf();
  messageFromValue(new Lite3Encoder(out), data, tags);
  return out.bytes().slice();
}

/** A frame of exactly `length` bytes for message `seq`. */
export function tombstone(
  length: number,
  seq: bigint,
  timeLo: number,
  timeHi: number,
): Uint8Array<ArrayBuffer> {
  const text = variants().find((one) => frameLength(one.length) <= length) ?? new Uint8Array();
  // Readers ignore bytes after the document (docs/spec/format.md 14.8), so it is padded with zeros.
  const payload = length - SMALLEST;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  bytes.set(text, FRAME_HEADER);
  const sum = crc32c(bytes, view, FRAME_HEADER, payload);
  putFrameHeader(view, 0, payload, timeLo, timeHi, sum);
  view.setBigUint64(FIELD.seq, seq, true);
  putMarker(view, FRAME_HEADER + payload);
  return bytes;
}

/** The position of a placeholder. */
export interface Placeholder {
  /** Ring offset. */
  readonly at: number;
  /** Total length of the frame in bytes. */
  readonly length: number;
}

/** A filled hole: its placeholders, oldest first, and possibly a wrap marker. */
export interface Filling {
  /** The placeholders. */
  readonly placeholders: readonly Placeholder[];
  /** Ring offset for a wrap marker, or -1. */
  readonly wrapAt: number;
}

/** Divides `room` bytes at `at` among `count` frames; the last one gets the remainder. */
function share(at: number, room: number, count: number): Placeholder[] {
  const each = Math.floor(room / count / 8) * 8;
  return Array.from({ length: count }, (_, i) => ({
    at: at + i * each,
    length: i === count - 1 ? room - i * each : each,
  }));
}

/**
 * How `count` frames can lie between `from` and `to`: how many before the ring's end and how many
 * from its start; null if they do not fit.
 */
function divide(
  from: number,
  to: number,
  count: number,
  ringSize: number,
  least: number,
): { readonly first: number; readonly behind: number } | null {
  const start = from === ringSize ? 0 : from;
  if (start <= to) {
    const room = to - start;
    const fits = count === 0 ? room === 0 : room >= count * least;
    return fits ? { first: count, behind: 0 } : null;
  }
  // With a wrap: as many as fit at the ring's start, the rest before its end.
  const before = Math.floor((ringSize - start) / 8) * 8;
  for (const unit of [READABLE, least]) {
    const behind = Math.min(count, Math.floor(to / unit));
    const first = count - behind;
    if ((to > 0 && behind === 0) || before < first * unit) continue;
    return { first, behind };
  }
  return null;
}

/** Whether {@linkcode fillHole} would succeed; cheap. */
export function canFill(
  from: number,
  to: number,
  count: number,
  ringSize: number,
  least: number,
): boolean {
  return divide(from, to, count, ringSize, least) !== null;
}

/**
 * Fills the stretch of the ring from `from` to `to` with `count` frames, so that exactly these
 * frames lie between the frame that ends at `from` and the item at `to`; null if that is not
 * possible.
 *
 * @param least the smallest usable frame, in bytes
 */
export function fillHole(
  from: number,
  to: number,
  count: number,
  ringSize: number,
  least: number,
): Filling | null {
  const parts = divide(from, to, count, ringSize, least);
  if (parts === null) return null;
  const { first, behind } = parts;
  const start = from === ringSize ? 0 : from;
  if (start <= to) {
    return { placeholders: count === 0 ? [] : share(start, to - start, count), wrapAt: -1 };
  }
  const before = Math.floor((ringSize - start) / 8) * 8;
  const placeholders = behind > 0 ? share(0, to, behind) : [];
  if (first > 0) {
    return { placeholders: [...share(start, before, first), ...placeholders], wrapAt: -1 };
  }
  return { placeholders, wrapAt: ringSize - start >= FRAME_HEADER ? start : -1 };
}
