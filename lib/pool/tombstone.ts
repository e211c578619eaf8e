/**
 * What stands in the place of a message that cannot be saved: a valid message that says so.
 *
 * The format needs consecutive sequence numbers, so a hole in the chain would cost everything older
 * than it. A stand-in costs nothing else: all other messages keep their numbers and places.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { Lite3Encoder } from "../lite3/encode.ts";
import { crc32c } from "./crc32c.ts";
import { FIELD, putFrameHeader, putMarker } from "./frame.ts";
import { FRAME_HEADER, frameLength, MARKER_SIZE } from "./layout.ts";

/** The tag of every stand-in. */
const LOST_TAG = "plasmite.lost";

/** The smallest frame there can be, in bytes. */
export const SMALLEST = FRAME_HEADER + MARKER_SIZE;

/** The smallest frame that holds a message, in bytes (docs/spec/format.md 1.4). */
export const READABLE = 480;

let payloads: readonly Uint8Array[] | undefined;

/** Stand-ins from the most telling to the smallest; the last is no message any more. */
function variants(): readonly Uint8Array[] {
  return payloads ??= [
    encoded({ lost: true, reason: "damaged on disk, replaced by plasmite doctor --repair" }, [
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
  new Lite3Encoder(out).messageFromValue(data, tags);
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
  // Readers ignore what stands behind the document (docs/spec/format.md 14.8), so zeros fill it up.
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

/** Where a stand-in goes. */
export interface Grave {
  /** Ring offset. */
  readonly at: number;
  /** Total length of the frame in bytes. */
  readonly length: number;
}

/** A hole filled: its stand-ins, oldest first, and perhaps a wrap marker. */
export interface Filling {
  /** The stand-ins. */
  readonly graves: readonly Grave[];
  /** Ring offset for a wrap marker, or -1. */
  readonly wrapAt: number;
}

/** Shares `room` bytes at `at` among `count` frames; the last one takes what is over. */
function share(at: number, room: number, count: number): Grave[] {
  const each = Math.floor(room / count / 8) * 8;
  return Array.from({ length: count }, (_, i) => ({
    at: at + i * each,
    length: i === count - 1 ? room - i * each : each,
  }));
}

/**
 * How `count` frames can lie between `from` and `to`: how many before the ring's end and how many
 * from its beginning on; null when they cannot.
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
  // Around the ring's end: as many as there is room for at its start, the rest in front of it.
  const before = Math.floor((ringSize - start) / 8) * 8;
  for (const unit of [READABLE, least]) {
    const behind = Math.min(count, Math.floor(to / unit));
    const first = count - behind;
    if ((to > 0 && behind === 0) || before < first * unit) continue;
    return { first, behind };
  }
  return null;
}

/** Whether {@linkcode fillHole} can; costs nothing. */
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
 * Fills the stretch of the ring from `from` to `to` with `count` frames, so that they and nothing
 * else lie between the frame that ends at `from` and the item at `to`; null when that cannot be.
 *
 * @param least the smallest frame that will do
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
    return { graves: count === 0 ? [] : share(start, to - start, count), wrapAt: -1 };
  }
  const before = Math.floor((ringSize - start) / 8) * 8;
  const graves = behind > 0 ? share(0, to, behind) : [];
  if (first > 0) return { graves: [...share(start, before, first), ...graves], wrapAt: -1 };
  return { graves, wrapAt: ringSize - start >= FRAME_HEADER ? start : -1 };
}
