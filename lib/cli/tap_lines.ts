/**
 * Converts chunks of output to messages, without JSON in between.
 *
 * All messages have the same bytes except for their text, which comes last; the rest is encoded
 * once and copied. Together with many messages per lock this keeps up with very fast output.
 *
 * @module
 */

import { messageFromValue } from "../lite3/from_value.ts";
import { Buf } from "../bytes.ts";
import { FrameBatch } from "../pool/batch.ts";
import { frameLength } from "../pool/layout.ts";

/** How much of a line is always kept if it fits, in bytes. */
const LEAST_TEXT = 256;
const NEWLINE = 0x0a;
const RETURN = 0x0d;

/** Options for the messages of one stream. */
export interface LineCaptureOptions {
  /** `stdout` or `stderr`. */
  readonly stream: "stdout" | "stderr";
  /** Tags of every line. */
  readonly tags: readonly string[];
  /** The largest payload that the pool accepts, in bytes. */
  readonly maxPayload: number;
  /**
   * The largest payload of a line that does not fit and is cut, in bytes; default: as much as the
   * pool takes. See {@linkcode cutPayload}.
   */
  readonly cutPayload?: number;
  /** The size at which the batch is full, in bytes of frames. */
  readonly batchBytes: number;
  /**
   * Whether only the last non-empty piece between carriage returns is kept, which is what a
   * terminal shows of a progress bar; default false.
   */
  readonly lastPiece?: boolean;
}

/** Splits one stream into lines and encodes each into a batch. */
export class LineCapture {
  /** The encoded lines; the owner stores and clears it. */
  readonly batch: FrameBatch = new FrameBatch(64 * 1024);
  /** Lines encoded so far. */
  lines = 0;
  readonly #whole: Template;
  readonly #cut: Template;
  readonly #batchBytes: number;
  readonly #lastPiece: boolean;
  /** The current line, as far as it can be stored. */
  readonly #rest = new Buf(4096);
  /** Whether bytes of the current line were dropped. */
  #dropped = false;
  #begun = false;
  /** Whether the current line ends with a carriage return so far. */
  #returned = false;
  #timeLo = 0;
  #timeHi = 0;

  /** Encodes the common part of all lines. */
  constructor(options: LineCaptureOptions) {
    const { stream, tags, maxPayload } = options;
    this.#whole = new Template({ kind: "line", stream }, tags, maxPayload);
    const cutPayload = Math.min(maxPayload, options.cutPayload ?? maxPayload);
    this.#cut = new Template(cutLine(stream), tags, cutPayload);
    this.#batchBytes = options.batchBytes;
    this.#lastPiece = options.lastPiece === true;
  }

  /** Sets the time of the next lines, in nanoseconds since 1970. */
  stamp(ns: bigint): void {
    this.#timeLo = Number(ns & 0xffff_ffffn);
    this.#timeHi = Number(ns >> 32n);
  }

  /**
   * Processes a chunk from `start` on.
   *
   * @returns the end of the processed part: less than the length if the batch is full
   */
  push(chunk: Uint8Array, start: number): number {
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    for (let at = start; at < chunk.length;) {
      const newline = chunk.indexOf(NEWLINE, at);
      if (newline < 0) {
        this.#keep(chunk, at, chunk.length);
        return chunk.length;
      }
      if (this.#begun) {
        this.#keep(chunk, at, newline);
        this.#finish();
      } else this.#line(chunk, view, at, newline, false);
      at = newline + 1;
      if (this.batch.bytes >= this.#batchBytes) return at;
    }
    return chunk.length;
  }

  /** Ends the stream: the rest is a line without its end. */
  end(): void {
    if (this.#begun) this.#finish();
  }

  /** Adds a piece to the current line, up to the size of a message and a trailing CR. */
  #keep(chunk: Uint8Array, begin: number, to: number): void {
    this.#begun = true;
    const rest = this.#rest;
    let from = begin;
    if (this.#lastPiece && to > begin) {
      const piece = lastPiece(chunk, begin, to);
      const follows = chunk[piece] !== RETURN;
      if (follows && (piece > begin || this.#returned)) {
        rest.clear();
        this.#dropped = false;
        from = piece;
      }
      this.#returned = chunk[to - 1] === RETURN;
    }
    const room = Math.max(0, this.#whole.room + 1 - rest.len);
    const end = Math.min(to, from + room);
    rest.reserve(end - from);
    rest.u8.set(chunk.subarray(from, end), rest.len);
    rest.len += end - from;
    if (!this.#dropped && end < to) {
      this.#dropped = chunk.subarray(end, to).some((byte) => byte !== RETURN);
    }
  }

  #finish(): void {
    const { u8, dv, len } = this.#rest;
    this.#line(u8, dv, 0, len, this.#dropped);
    this.#rest.clear();
    this.#begun = false;
    this.#dropped = false;
    this.#returned = false;
  }

  #line(text: Uint8Array, view: DataView, begin: number, to: number, dropped: boolean): void {
    let end = to;
    if (!dropped) { while (end > begin && view.getUint8(end - 1) === RETURN) end--; }
    const from = this.#lastPiece ? lastPiece(text, begin, end) : begin;
    this.lines++;
    const length = end - from;
    const cut = dropped || length > this.#whole.room;
    if (cut || !this.#ascii(view, from, length)) {
      this.#lossy(text.subarray(from, end), cut);
    }
  }

  /** Encodes a line of ASCII; returns false for any other line. */
  #ascii(view: DataView, from: number, length: number): boolean {
    const { batch } = this;
    batch.beginFrame();
    let at = this.#whole.put(batch.out, length);
    const { dv } = batch.out;
    const end = from + length;
    let bits = 0;
    let i = from;
    for (; i + 4 <= end; i += 4, at += 4) {
      const word = view.getInt32(i, true);
      bits |= word;
      dv.setInt32(at, word, true);
    }
    for (; i < end; i++, at++) {
      const byte = view.getUint8(i);
      bits |= byte;
      dv.setUint8(at, byte);
    }
    if ((bits & 0x80808080) !== 0) {
      batch.abortFrame();
      return false;
    }
    dv.setUint8(at, 0);
    batch.endFrame(this.#timeLo, this.#timeHi);
    return true;
  }

  /** Replaces invalid UTF-8 with U+FFFD; cuts what does not fit between two characters. */
  #lossy(text: Uint8Array, dropped: boolean): void {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    const kept = dropped ? text.subarray(0, this.#cut.room) : text;
    // In stream mode a character that was cut in half is left out, not replaced.
    const utf8 = new TextEncoder().encode(decoder.decode(kept, { stream: dropped }));
    const { batch } = this;
    batch.beginFrame();
    const cut = dropped || utf8.length > this.#whole.room;
    const template = cut ? this.#cut : this.#whole;
    let length = Math.min(utf8.length, template.room);
    if (length < utf8.length) {
      while (length > 0 && ((utf8[length] ?? 0) & 0xc0) === 0x80) {
        length--;
      }
    }
    const at = template.put(batch.out, length);
    batch.out.u8.set(utf8.subarray(0, length), at);
    batch.out.dv.setUint8(at + length, 0);
    batch.endFrame(this.#timeLo, this.#timeHi);
  }
}

/** The start of the last non-empty piece between carriage returns; `from` if there is none. */
function lastPiece(bytes: Uint8Array, from: number, to: number): number {
  let end = to;
  while (end > from && bytes[end - 1] === RETURN) end--;
  for (let at = end; at > from; at--) if (bytes[at - 1] === RETURN) return at;
  return from;
}

function cutLine(stream: Line["stream"]): Line {
  return { kind: "line", stream, truncated: true };
}

/** The size of the smallest message, for a line of which nothing is kept. */
export function leastLine(tags: readonly string[]): number {
  return encode({ ...cutLine("stdout"), line: "" }, tags).length;
}

/**
 * The largest payload of a line that is cut: a quarter of the ring, so that most other messages are
 * kept, but with some text even in the smallest pool.
 */
export function cutPayload(ringSize: number, tags: readonly string[]): number {
  const quarter = Math.floor(ringSize / 4) - (frameLength(0) + 8);
  return Math.max(quarter, leastLine(tags) + LEAST_TEXT);
}

/** Texts from this length on are aligned to 4 bytes (docs/spec/format.md 7.5). */
const ALIGNED = 90;

/** A message whose last value is a string, without that string: a u32 length, the text, 00. */
class Template {
  /** The message with an empty text. */
  readonly bytes: Uint8Array;
  /** The longest text that fits the pool, in bytes. */
  readonly room: number;
  /** The bytes before a text of {@linkcode ALIGNED} bytes, and a 00. */
  readonly #aligned: Uint8Array;

  constructor(line: Line, tags: readonly string[], max: number) {
    this.bytes = encode({ ...line, line: "" }, tags);
    const aligned = encode({ ...line, line: "x".repeat(ALIGNED) }, tags);
    this.#aligned = aligned.subarray(0, aligned.length - ALIGNED);
    const room = Math.max(0, max - this.bytes.length);
    const padding = this.#aligned.length - this.bytes.length;
    this.room = room >= ALIGNED && room < ALIGNED + padding ? ALIGNED - 1 : room;
  }

  /** Appends the message for a text of `length` bytes; returns the position of the text. */
  put(out: Buf, length: number): number {
    const bytes = length === ALIGNED ? this.#aligned : this.bytes;
    out.reserve(bytes.length + length);
    out.u8.set(bytes, out.len);
    const at = out.len + bytes.length - 1;
    out.dv.setUint32(at - 4, length + 1, true);
    out.len = at + length + 1;
    return at;
  }
}

/** The beginning of the data. */
interface Line {
  readonly kind: "line";
  readonly stream: "stdout" | "stderr";
  readonly truncated?: true;
}

function encode(data: { readonly [key: string]: unknown }, tags: readonly string[]): Uint8Array {
  const scratch = new FrameBatch(1024);
  messageFromValue(scratch.encoder, data, tags);
  return scratch.out.bytes().slice();
}
