/**
 * Finds whole frames anywhere in a file, without relying on anything else in it.
 *
 * @module
 */

import { MessageView } from "../lite3/message.ts";
import { checkPrintable } from "../lite3/readable.ts";
import { PlasmiteError } from "../errors.ts";
import type { StorageFile } from "../storage/storage.ts";
import type { State } from "./header.ts";
import { crc32c } from "./crc32c.ts";
import { FIELD, frameProblem, frameState, hasMarker, MAGIC, payloadLength } from "./frame.ts";
import { COMMITTED, FRAME_HEADER, frameLength, MARKER_SIZE } from "./layout.ts";

/** Bytes per read. */
const WINDOW = 1 << 18;

/** A range of a file, read through a window. */
export class Stretch {
  #bytes: Uint8Array<ArrayBuffer>;
  /** The window. */
  view: DataView<ArrayBuffer>;
  #from = 0;
  #to = 0;
  /** Where the file ends before the window does. */
  #cutAt = Infinity;

  /**
   * Covers `size` bytes from file offset `base`; bytes beyond the end of the file read as zero.
   *
   * @param onRead is called with the offset reached
   * @param window how many bytes to read at once
   */
  constructor(
    readonly file: StorageFile,
    readonly base: number,
    readonly size: number,
    readonly onRead: (at: number) => void = () => {},
    window = WINDOW,
  ) {
    this.#bytes = new Uint8Array(window);
    this.view = new DataView(this.#bytes.buffer);
  }

  /** The bytes of {@linkcode Stretch.view}. */
  get u8(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }

  /** Loads `length` bytes at `at`; returns their offset in the view. */
  load(at: number, length: number): number {
    if (at >= this.#from && at + length <= this.#to) return at - this.#from;
    if (length > this.#bytes.length) {
      this.#bytes = new Uint8Array(length);
      this.view = new DataView(this.#bytes.buffer);
    }
    const got = this.file.readAt(this.#bytes, this.base + at);
    this.onRead(at);
    this.#bytes.fill(0, Math.max(0, Math.min(got, this.size - at)));
    this.#cutAt = got < this.#bytes.length ? at + got : Infinity;
    this.#from = at;
    this.#to = at + this.#bytes.length;
    return 0;
  }

  /** Whether the file ends before offset `end` of the range, which was loaded. */
  isCut(end: number): boolean {
    return end > this.#cutAt;
  }

  /**
   * The next offset from `at` on, in steps of 8, at which a frame may start; `until` if there is
   * none.
   */
  nextMagic(at: number, until: number): number {
    let place = at;
    while (place < until) {
      const i = this.load(place, FRAME_HEADER);
      const end = Math.min(i + until - place, i + this.#to - place);
      const { view } = this;
      for (let j = i; j + 8 <= end; j += 8) {
        if (view.getUint32(j, true) === MAGIC) return place + j - i;
      }
      place += Math.max(8, end - i - (end - i) % 8);
    }
    return until;
  }

  /** Discards what was read. */
  refresh(): void {
    this.#to = this.#from;
  }
}

/** A frame that is whole. */
export interface WholeFrame {
  /** Offset of its header in the range. */
  readonly at: number;
  /** Offset of its end. */
  readonly end: number;
  /** Sequence number according to its header. */
  readonly seq: bigint;
}

/** Whether the document in `[start, start + len)` of `view` can be read as a message. */
export function readable(
  message: MessageView,
  u8: Uint8Array,
  view: DataView,
  start: number,
  len: number,
): boolean {
  try {
    message.open(u8, view, start, len);
    const { doc } = message;
    for (let i = 0; i < message.tagCount; i++) doc.string(message.tagAt(i));
    checkPrintable(doc, message.dataAt);
    return true;
  } catch (error) {
    if (!PlasmiteError.is(error)) throw error;
    return false;
  }
}

/** Checks payloads. */
export class PayloadCheck {
  readonly #message = new MessageView();

  /** @param messages whether payloads must be readable messages */
  constructor(readonly messages: boolean) {}

  /** The problem with the `len` payload bytes at `start` of a view; null if there is none. */
  problem(
    u8: Uint8Array,
    view: DataView,
    start: number,
    len: number,
    crc: number,
  ): string | null {
    if (crc !== 0 && crc32c(u8, view, start, len) !== crc) return "payload checksum mismatch";
    if (this.messages && !readable(this.#message, u8, view, start, len)) {
      return "payload cannot be decoded";
    }
    return null;
  }
}

/**
 * The whole frame at `at`, with a valid header, commit marker and payload; else null. `limit` is
 * the end of the ring.
 */
function wholeFrame(
  bytes: Stretch,
  at: number,
  limit: number,
  payloads: PayloadCheck,
): WholeFrame | null {
  if (at + FRAME_HEADER > limit) return null;
  let i = bytes.load(at, FRAME_HEADER);
  let { view } = bytes;
  if (view.getUint32(i, true) !== MAGIC || frameProblem(view, i, limit) !== null) return null;
  if (frameState(view, i) !== COMMITTED) return null;
  const payload = payloadLength(view, i);
  const end = at + frameLength(payload);
  if (end > limit) return null;
  const seq = view.getBigUint64(i + FIELD.seq, true);
  const crc = view.getUint32(i + FIELD.crc, true);
  if (seq === 0n) return null;
  i = bytes.load(at, FRAME_HEADER + payload + MARKER_SIZE);
  view = bytes.view;
  if (!hasMarker(view, i + FRAME_HEADER + payload)) return null;
  if (payloads.problem(bytes.u8, view, i + FRAME_HEADER, payload, crc) !== null) return null;
  return { at, end, seq };
}

/**
 * Every whole frame, in order of offset; none lies inside another.
 *
 * @param until the offset at which the search ends
 */
export function wholeFrames(
  bytes: Stretch,
  limit: number,
  payloads: PayloadCheck,
  until: number = limit,
): WholeFrame[] {
  const found: WholeFrame[] = [];
  for (let at = 0;;) {
    at = bytes.nextMagic(at, Math.min(until, limit));
    if (at + FRAME_HEADER > limit || at >= until) return found;
    const frame = wholeFrame(bytes, at, limit, payloads);
    if (frame === null) at += 8;
    else {
      found.push(frame);
      at = frame.end;
    }
  }
}

/**
 * Whether an empty state block is contradicted by the ring.
 *
 * If a pool was emptied for a large message, its head is at the end of its newest message. In a
 * pool that was never used, first appends that were never published leave frames 1, 2, … from
 * offset 0 on, written at about the same time; each new attempt overwrites the start of an earlier
 * one, so no frame is nearer to the ring's start than its number allows. Any other frame was once
 * live.
 */
export function forgotten(
  ring: Stretch,
  all: readonly WholeFrame[],
  state: State,
): boolean {
  if (state.newest !== 0n) {
    const last = all.filter((frame) => frame.seq === state.newest);
    return last.length > 0 && !last.some((frame) => frame.end % ring.size === state.head);
  }
  const times: bigint[] = [];
  for (const frame of all) {
    if (BigInt(frame.at) < (frame.seq - 1n) * BigInt(frameLength(0))) return true;
    times.push(ring.view.getBigUint64(ring.load(frame.at, FRAME_HEADER) + FIELD.time, true));
  }
  const first = times.reduce((a, b) => a < b ? a : b, times[0] ?? 0n);
  return times.some((time) => time - first > 60_000_000_000n);
}
