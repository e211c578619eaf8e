/**
 * From chunks of a child's output to line messages, without JSON in between.
 *
 * A line message is the same bytes every time but for its text, which comes last; so the rest is
 * encoded once and copied. That, and many lines for one lock, keeps up with a child that floods.
 *
 * @module
 */

import { messageFromValue } from "../lite3/from_value.ts";
import { Buf } from "../bytes.ts";
import { FrameBatch } from "../pool/batch.ts";
import { frameLength } from "../pool/layout.ts";

/** How much of a line is kept in any case where it fits, in bytes. */
const LEAST_TEXT = 256;
const NEWLINE = 0x0a;
const RETURN = 0x0d;

/** What one stream's messages look like. */
export interface LineCaptureOptions {
  /** Which stream: `stdout` or `stderr`. */
  readonly stream: "stdout" | "stderr";
  /** Tags of every line. */
  readonly tags: readonly string[];
  /** The largest payload the pool takes, in bytes. */
  readonly maxPayload: number;
  /**
   * The largest payload of a line that does not fit and is cut, in bytes; default: as much as the pool
   * takes. See {@linkcode cutPayload}.
   */
  readonly cutPayload?: number;
  /** How many bytes of frames make the batch full. */
  readonly batchBytes: number;
  /**
   * Whether only the last non-empty piece between carriage returns is kept, which is what a terminal
   * shows of a progress bar; default false.
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
  /** The begun line, as much of it as can be stored. */
  readonly #rest = new Buf(4096);
  /** Whether bytes of the begun line were dropped. */
  #dropped = false;
  #begun = false;
  /** Whether the begun line ends with a carriage return so far. */
  #returned = false;
  #timeLo = 0;
  #timeHi = 0;

  /** Encodes what all lines have in common. */
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
   * Takes bytes from `start` on.
   *
   * @returns how far it came: less than the chunk's length when the batch is full
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

  /** The stream is over: what is left is a line without its end. */
  end(): void {
    if (this.#begun) this.#finish();
  }

  /** Keeps a piece of a line, up to what a message can hold and a trailing CR. */
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

  /** Encodes a line of ASCII; leaves anything else alone and returns false. */
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

  /** Bytes that are not UTF-8 become U+FFFD; what does not fit is cut between two characters. */
  #lossy(text: Uint8Array, dropped: boolean): void {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    const kept = dropped ? text.subarray(0, this.#cut.room) : text;
    // As a stream, a character that the cut divides is left out instead of replaced.
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

/** Where the last non-empty piece between carriage returns begins; `from` where there is none. */
function lastPiece(bytes: Uint8Array, from: number, to: number): number {
  let end = to;
  while (end > from && bytes[end - 1] === RETURN) end--;
  for (let at = end; at > from; at--) if (bytes[at - 1] === RETURN) return at;
  return from;
}

function cutLine(stream: Line["stream"]): Line {
  return { kind: "line", stream, truncated: true };
}

/** Bytes of the smallest line message that may be needed: a line of which nothing was kept. */
export function leastLine(tags: readonly string[]): number {
  return encode({ ...cutLine("stdout"), line: "" }, tags).length;
}

/**
 * The largest payload of a line that is cut: a quarter of the ring, so that it leaves most of what
 * was there before, but some text also in the smallest of pools.
 */
export function cutPayload(ringSize: number, tags: readonly string[]): number {
  const quarter = Math.floor(ringSize / 4) - (frameLength(0) + 8);
  return Math.max(quarter, leastLine(tags) + LEAST_TEXT);
}

/** A text of so many bytes stands at a multiple of 4 (docs/spec/format.md 7.5). */
const ALIGNED = 90;

/** A message whose last value is a string, without that string: a u32 length, the text, 00. */
class Template {
  /** The message with an empty text. */
  readonly bytes: Uint8Array;
  /** The longest text that fits the pool, in bytes. */
  readonly room: number;
  /** What stands before the text when it is {@linkcode ALIGNED} bytes long, and a 00. */
  readonly #aligned: Uint8Array;

  constructor(line: Line, tags: readonly string[], max: number) {
    this.bytes = encode({ ...line, line: "" }, tags);
    const aligned = encode({ ...line, line: "x".repeat(ALIGNED) }, tags);
    this.#aligned = aligned.subarray(0, aligned.length - ALIGNED);
    const room = Math.max(0, max - this.bytes.length);
    const padding = this.#aligned.length - this.bytes.length;
    this.room = room >= ALIGNED && room < ALIGNED + padding ? ALIGNED - 1 : room;
  }

  /** Appends the message for a text of `length` bytes; returns where the text and its 00 go. */
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

/** What a line's data begins with. */
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
