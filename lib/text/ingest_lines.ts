/**
 * Line-based JSON: JSON lines, and values that span several lines.
 *
 * A line that starts and ends with braces goes directly to the sink. Only a value that is still
 * open at the end of its line is tracked (its brackets and strings), so that its end is known
 * without parsing it again with every line, and so that no object inside it is mistaken for a
 * record.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { type RecordGate, skipBlanks, trimBlanks } from "./ingest_gate.ts";
import { JsonScanner } from "./json_scanner.ts";

/** A reader of one input format: bytes in, records out to the gate's sink. */
export interface RecordParser {
  /**
   * Reads the bytes of `chunk` from `start` on; the chunk may be reused afterwards.
   *
   * @returns the index reached: the chunk's length, or less if the sink is full
   */
  push(chunk: Uint8Array, start: number): number;
  /** Marks the end of the input. */
  end(): void;
}

const NEWLINE = 0x0a;
const OPEN = 0x7b;
const CLOSE = 0x7d;
/** After how many lines it is tried again at the latest whether a line is one object. */
const MOST_WAITS = 1023;

/** Reads JSON lines. */
export class JsonLines implements RecordParser {
  readonly #gate: RecordGate;
  /** Whether values may span several lines. */
  readonly #multi: boolean;
  /** Whether a line may contain several values. */
  readonly #many: boolean;
  /** The incomplete record from earlier chunks, from its first byte. */
  readonly #carry = new Buf(0);
  /** Where the last, incomplete line starts in the carry. */
  #lineAt = 0;
  /** Lines ended so far. */
  #line: number;

  /** Whether a value is open at the end of its line. */
  #open = false;
  /** Whether the open value is already skipped; it is only followed to its end. */
  #lost = false;
  /** Whether the start of the current line was dropped. */
  #midLine = false;
  /** Whether to drop only the rest of the current line. */
  #drop = false;
  /** How many lines that start with an object are first looked at as lines. */
  #waits = 0;
  #misses = 0;
  /** The line on which the open value started, and its indentation. */
  #firstLine = 0;
  #indent = 0;
  /** Whether the open value's inner lines are not indented, so indentation is no evidence. */
  #flat = false;
  readonly #scanner = new JsonScanner();

  /**
   * Creates a reader.
   *
   * @param multi whether a value may span several lines
   */
  constructor(gate: RecordGate, multi: boolean) {
    this.#gate = gate;
    this.#multi = multi;
    this.#many = multi && !gate.skip;
    this.#line = gate.line;
  }

  /** @inheritdoc */
  push(chunk: Uint8Array, start: number): number {
    const { sink } = this.#gate;
    let at = start;
    while (this.#carry.len > 0 && at < chunk.length) {
      at = this.#extendCarry(chunk, at);
      if (this.#carry.len === 0 && sink.full) return at;
    }
    let unit = at;
    /** The end of the last whole line; 0 until it is needed. */
    let whole = 0;
    for (;;) {
      if (chunk[at] === OPEN && !this.#open && !this.#drop && --this.#waits < 0) {
        if (whole === 0) whole = chunk.lastIndexOf(NEWLINE) + 1;
        const next = at < whole ? this.#object(chunk, at, whole) : -1;
        if (next >= 0) {
          unit = at = next + 1;
          if (sink.full) return at;
          continue;
        }
      }
      const end = chunk.indexOf(NEWLINE, at);
      if (end < 0) break;
      unit = this.#take(chunk, unit, at, end);
      at = end + 1;
      if (unit === at && sink.full) return at;
    }
    if (unit < chunk.length) {
      this.#lineAt = at - unit;
      append(this.#carry, chunk, unit, chunk.length);
      if (this.#carry.len > this.#gate.limit + 1) this.#overflow();
    }
    return chunk.length;
  }

  /** @inheritdoc */
  end(): void {
    const carry = this.#carry;
    let unit = 0;
    if (carry.len > this.#lineAt) unit = this.#take(carry.u8, 0, this.#lineAt, carry.len);
    if (this.#open && !this.#lost) {
      this.#gate.json(carry.u8, unit, carry.len, this.#firstLine, this.#many, false);
    }
    this.#open = false;
    carry.clear();
  }

  /** Returns the bytes of the incomplete record, to be read by another parser. */
  release(): Uint8Array {
    const rest = this.#carry.bytes().slice();
    this.#carry.clear();
    if (this.#open && !this.#lost) this.#gate.index--;
    this.#open = false;
    return rest;
  }

  /**
   * Reads the object that starts a line at `at`, and the line with it; returns the index of its end,
   * or -1 if it is to be read line by line, as are more and more lines after it.
   */
  #object(chunk: Uint8Array, at: number, whole: number): number {
    const next = this.#gate.object(chunk, at, whole, this.#line + 1, this.#many);
    this.#misses = next < 0 ? Math.min(2 * this.#misses + 1, MOST_WAITS) : 0;
    this.#waits = this.#misses;
    if (next >= 0) this.#line++;
    return next;
  }

  /**
   * Adds bytes up to the end of the line to the carry, and processes the line if it is complete.
   */
  #extendCarry(chunk: Uint8Array, at: number): number {
    const carry = this.#carry;
    const newline = chunk.indexOf(NEWLINE, at);
    const stop = newline < 0 ? chunk.length : newline + 1;
    append(carry, chunk, at, stop);
    if (newline < 0) {
      if (carry.len > this.#gate.limit + 1) this.#overflow();
      return stop;
    }
    const unit = this.#take(carry.u8, 0, this.#lineAt, carry.len - 1);
    if (unit > 0) {
      carry.u8.copyWithin(0, unit, carry.len);
      carry.len -= unit;
    }
    this.#lineAt = carry.len;
    return stop;
  }

  /**
   * Processes the line `text[at, end)` of the record that started at `unit`; returns the start of
   * the incomplete record: the index after the line's newline if there is none.
   */
  #take(text: Uint8Array, unit: number, at: number, end: number): number {
    this.#line++;
    if (this.#open) return this.#continue(text, unit, at, end);
    if (this.#drop) {
      this.#drop = false;
      return end + 1;
    }
    if (
      text[at] === OPEN && text[end - 1] === CLOSE && end - at <= this.#gate.limit
    ) {
      this.#gate.index++;
      if (this.#gate.skip) return this.#single(text, at, at, end, end);
      if (this.#gate.json(text, at, end, this.#line, this.#many, this.#multi)) return end + 1;
      return this.#begin(text, at, at, end);
    }
    return this.#takeOther(text, at, end);
  }

  #takeOther(text: Uint8Array, at: number, end: number): number {
    const first = skipBlanks(text, at, end);
    if (first === end) return end + 1;
    this.#gate.index++;
    const last = trimBlanks(text, first, end);
    if (last - first > this.#gate.limit) {
      this.#gate.oversize(text, first, last, this.#line);
      this.#lose(text, at, first, end);
      return end + 1;
    }
    const opener = text[first] === OPEN || text[first] === 0x5b;
    if (this.#multi && opener && text[last - 1] !== CLOSE && text[last - 1] !== 0x5d) {
      return this.#begin(text, at, first, end);
    }
    return this.#single(text, at, first, last, end);
  }

  /** Processes a line that may be a complete record: tries the sink first. */
  #single(text: Uint8Array, at: number, first: number, last: number, end: number): number {
    const gate = this.#gate;
    const failed = gate.failed;
    if (!gate.json(text, first, last, this.#line, this.#many, this.#multi)) {
      return this.#begin(text, at, first, end);
    }
    // A broken value may continue on the next lines: follow it to its end.
    if (gate.failed !== failed) this.#lose(text, at, first, end);
    return end + 1;
  }

  /** Starts to track the value at `first`, which is still open at the end of the line. */
  #begin(text: Uint8Array, at: number, first: number, end: number): number {
    const scanner = this.#scanner;
    scanner.reset();
    const stopped = scanner.scan(text, first, end);
    if (!scanner.bad) scanner.newline();
    if (scanner.bad || scanner.depth === 0) {
      // More lines cannot fix it. With `skip`, only this line fails.
      const failed = this.#gate.failed;
      this.#gate.json(text, first, end, this.#line, this.#many, false);
      if (this.#gate.failed === failed) return end + 1;
      scanner.scan(text, stopped, end);
      scanner.newline();
      this.#lost = this.#open = this.#multi && scanner.depth > 0;
      this.#remember(at, first);
      return end + 1;
    }
    this.#open = true;
    this.#lost = false;
    this.#remember(at, first);
    return at;
  }

  /** Follows the value of a skipped line to its end, if that is on a later line. */
  #lose(text: Uint8Array, at: number, first: number, end: number): void {
    const scanner = this.#scanner;
    scanner.reset();
    if (!this.#multi || (text[first] !== OPEN && text[first] !== 0x5b)) return;
    this.#scanLost(text, first, end);
    scanner.newline();
    this.#lost = this.#open = scanner.depth > 0;
    this.#remember(at, first);
  }

  #scanLost(text: Uint8Array, start: number, end: number): void {
    const stopped = this.#scanner.scan(text, start, end);
    if (stopped < end) this.#scanner.scan(text, stopped, end);
  }

  #remember(at: number, first: number): void {
    this.#firstLine = this.#line;
    this.#indent = first - at;
    this.#flat = false;
  }

  /** Processes a further line of the open value. */
  #continue(text: Uint8Array, unit: number, at: number, end: number): number {
    const gate = this.#gate;
    const scanner = this.#scanner;
    const first = skipBlanks(text, at, end);
    const c = text[first];
    const deeper = this.#midLine || first - at > this.#indent;
    this.#midLine = false;
    // If a line starts a record although the open value cannot continue like this, the value is
    // incomplete. A line indented more than the value belongs to the value.
    const opener = gate.skip && !deeper && first < end && (c === OPEN || c === 0x5b);
    if (opener && scanner.bad && !this.#flat) return this.#restart(text, at, end);

    const wasBad = scanner.bad;
    const stopped = scanner.scan(text, at, end);
    const bad = scanner.bad;
    if (bad && !wasBad && opener && stopped === first) {
      if (!this.#lost) gate.json(text, unit, at, this.#firstLine, false, false);
      return this.#restart(text, at, end);
    }
    if (bad && !wasBad) scanner.scan(text, stopped, end);
    scanner.newline();
    if (!bad && !deeper && first < end && c !== CLOSE && c !== 0x5d) this.#flat = true;

    if (scanner.bad && !this.#lost) {
      // Reports the problem and its position; never returns unless the scanner is stricter than the
      // sink.
      gate.json(text, unit, end, this.#firstLine, this.#many, false);
      this.#lost = true;
    }
    if (scanner.depth === 0) {
      this.#open = false;
      if (!this.#lost) this.#finish(text, unit, end);
      return end + 1;
    }
    if (this.#lost) return end + 1;
    if (end - unit > gate.limit) {
      gate.oversize(text, unit, end, this.#firstLine);
      this.#lost = true;
      return end + 1;
    }
    return unit;
  }

  #finish(text: Uint8Array, unit: number, end: number): void {
    const gate = this.#gate;
    const last = trimBlanks(text, unit, end);
    if (last - unit > gate.limit) gate.oversize(text, unit, last, this.#firstLine);
    else gate.json(text, unit, last, this.#firstLine, this.#many, false);
  }

  /** The open value is incomplete; the line starts a new record. */
  #restart(text: Uint8Array, at: number, end: number): number {
    this.#open = this.#lost = false;
    this.#line--;
    return this.#take(text, at, at, end);
  }

  /** Handles an incomplete line that is longer than any record may be. */
  #overflow(): void {
    const carry = this.#carry;
    const gate = this.#gate;
    const { u8, len } = carry;
    const first = skipBlanks(u8, this.#lineAt, len);
    if (!this.#open && !this.#drop && first < len) {
      gate.index++;
      gate.oversize(u8, first, len, this.#line + 1);
      this.#scanner.reset();
      this.#remember(this.#lineAt, first);
      this.#firstLine = this.#line + 1;
      // A line that does not start an object or array ends the record.
      const opener = u8[first] === OPEN || u8[first] === 0x5b;
      this.#open = this.#lost = this.#multi && opener;
      this.#drop = !this.#open;
    } else if (this.#open && !this.#lost) {
      gate.oversize(u8, 0, len, this.#firstLine);
      this.#lost = true;
    }
    if (this.#open) {
      this.#scanLost(u8, this.#lineAt, len);
      this.#midLine = true;
    }
    carry.clear();
    this.#lineAt = 0;
  }
}

/** Appends `chunk[start, end)` to `carry`. */
export function append(carry: Buf, chunk: Uint8Array, start: number, end: number): void {
  carry.reserve(end - start);
  carry.u8.set(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end), carry.len);
  carry.len += end - start;
}
