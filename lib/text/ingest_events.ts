/**
 * Server-sent event streams: the data of each event is a record.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { type RecordGate, skipBlanks, trimBlanks } from "./ingest_gate.ts";
import { append, type RecordParser } from "./ingest_lines.ts";

const NEWLINE = 0x0a;
const RETURN = 0x0d;
/** The end marker of language model streams; a new stream may follow it. */
const DONE = [0x5b, 0x44, 0x4f, 0x4e, 0x45, 0x5d]; // [DONE]
const DATA = [0x64, 0x61, 0x74, 0x61, 0x3a]; // data:

/** Reads an event stream (docs/spec/command-line.md 2.4). */
export class EventStream implements RecordParser {
  readonly #gate: RecordGate;
  /** The incomplete line. */
  readonly #carry = new Buf(4096);
  /** The data of the incomplete event, unless it is still a single line in `#text`. */
  readonly #data = new Buf(4096);
  /** The chunk with the event's only data line so far: most events have just one. */
  #text: Uint8Array | undefined;
  #from = 0;
  #to = 0;
  /** Whether the event has data. */
  #some = false;
  /** Whether the event is too large; it is skipped when it ends. */
  #lost = false;
  /** Whether to drop the rest of the current line. */
  #drop = false;
  /** Whether the last chunk ended in CR: an LF at the start of the next belongs to it. */
  #returned = false;
  #line: number;

  /** Creates a reader. */
  constructor(gate: RecordGate) {
    this.#gate = gate;
    this.#line = gate.line;
  }

  /** @inheritdoc */
  push(chunk: Uint8Array, start: number): number {
    const carry = this.#carry;
    const { sink } = this.#gate;
    let at = start;
    if (this.#returned && at < chunk.length) {
      this.#returned = false;
      if (chunk[at] === NEWLINE) at++;
    }
    // A line ends in LF, CR or both. Each is searched for only once, even if the stream does not
    // use it.
    let lf = chunk.indexOf(NEWLINE, at);
    let cr = chunk.indexOf(RETURN, at);
    for (;;) {
      if (lf >= 0 && lf < at) lf = chunk.indexOf(NEWLINE, at);
      if (cr >= 0 && cr < at) cr = chunk.indexOf(RETURN, at);
      const end = lf < 0 || (cr >= 0 && cr < lf) ? cr : lf;
      if (end < 0) break;
      let dispatched: boolean;
      if (carry.len > 0) {
        append(carry, chunk, at, end);
        dispatched = this.#take(carry.u8, 0, carry.len);
        this.#keep();
        carry.clear();
      } else {
        dispatched = this.#take(chunk, at, end);
      }
      at = end + 1;
      if (end === cr) {
        if (at === chunk.length) this.#returned = true;
        else if (at === lf) at++;
      }
      if (dispatched && sink.full) return at;
    }
    this.#keep();
    append(carry, chunk, at, chunk.length);
    if (carry.len > this.#gate.limit + DATA.length + 2) {
      if (!this.#drop && isData(carry.u8, 0, carry.len)) {
        this.#line++;
        this.#add(carry.u8, 0, carry.len);
        this.#keep();
        this.#line--;
      }
      this.#drop = true;
      carry.clear();
    }
    return chunk.length;
  }

  /** @inheritdoc */
  end(): void {
    if (this.#carry.len > 0) this.#take(this.#carry.u8, 0, this.#carry.len);
    this.#dispatch();
  }

  /** Reads a line; returns whether it ended an event. */
  #take(text: Uint8Array, at: number, end: number): boolean {
    this.#line++;
    if (this.#drop) {
      this.#drop = false;
      return false;
    }
    if (end === at) return this.#dispatch();
    if (isData(text, at, end)) this.#add(text, at, end);
    return false;
  }

  #add(text: Uint8Array, at: number, end: number): void {
    let from = at + DATA.length;
    if (from < end && text[from] === 0x20) from++;
    if (this.#lost) return;
    const first = !this.#some;
    const before = first
      ? 0
      : 1 + (this.#text === undefined ? this.#data.len : this.#to - this.#from);
    if (before + end - from > this.#gate.limit) {
      this.#lost = true;
      if (!this.#gate.skip) {
        this.#gate.index++;
        this.#gate.oversize(text, from, end, this.#line);
      }
      if (!first) return;
    }
    this.#some = true;
    if (first) {
      this.#text = text;
      this.#from = from;
      this.#to = end;
      return;
    }
    this.#keep();
    this.#data.reserve(1);
    this.#data.dv.setUint8(this.#data.len++, NEWLINE);
    append(this.#data, text, from, end);
  }

  /** Copies the only data line, because its chunk is about to be reused or another line follows. */
  #keep(): void {
    if (this.#text === undefined) return;
    append(this.#data, this.#text, this.#from, this.#to);
    this.#text = undefined;
  }

  #dispatch(): boolean {
    if (!this.#some) return false;
    const gate = this.#gate;
    const text = this.#text ?? this.#data.u8;
    const from = this.#text === undefined ? 0 : this.#from;
    const to = this.#text === undefined ? this.#data.len : this.#to;
    const lost = this.#lost;
    this.#text = undefined;
    this.#some = this.#lost = false;
    this.#data.clear();
    if (lost) {
      gate.index++;
      gate.oversize(text, from, to, this.#line);
    } else if (isDone(text, from, to)) {
      gate.ended = true;
    } else if (skipBlanks(text, from, to) < to) {
      gate.index++;
      gate.json(text, from, to, this.#line, false, false);
    }
    return true;
  }
}

function isDone(text: Uint8Array, from: number, to: number): boolean {
  const start = skipBlanks(text, from, to);
  return trimBlanks(text, start, to) - start === DONE.length &&
    DONE.every((byte, i) => text[start + i] === byte);
}

function isData(text: Uint8Array, at: number, end: number): boolean {
  if (end - at < DATA.length) return false;
  for (let i = 0; i < DATA.length; i++) if (text[at + i] !== DATA[i]) return false;
  return true;
}
