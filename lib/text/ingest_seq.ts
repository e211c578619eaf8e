/**
 * JSON text sequences (RFC 7464): records that start with a record separator, 0x1E.
 *
 * A record is complete at the next separator, but waiting for it would delay the record: at each
 * newline the record goes to the sink if its value is complete. A bad record ends at the next
 * separator.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { type RecordGate, skipBlanks, trimBlanks } from "./ingest_gate.ts";
import { append, type RecordParser } from "./ingest_lines.ts";
import { JsonScanner } from "./json_scanner.ts";

const NEWLINE = 0x0a;
const SEPARATOR = 0x1e;

/** Reads a JSON text sequence. */
export class JsonSeq implements RecordParser {
  readonly #gate: RecordGate;
  readonly #carry = new Buf(4096);
  readonly #scanner = new JsonScanner();
  /** Where the last line starts in the carry. */
  #lineAt = 0;
  /** Whether the record spans several lines, which the scanner follows. */
  #open = false;
  /** Whether the record is skipped: bytes are dropped until the next separator. */
  #lost = false;

  /** Creates a reader. */
  constructor(gate: RecordGate) {
    this.#gate = gate;
    gate.lossy = true;
  }

  /** @inheritdoc */
  push(chunk: Uint8Array, start: number): number {
    const carry = this.#carry;
    const { sink, limit } = this.#gate;
    let unit = start;
    let at = start;
    let newline = chunk.indexOf(NEWLINE, at);
    let separator = chunk.indexOf(SEPARATOR, at);
    while (newline >= 0 || separator >= 0) {
      const isLine = separator < 0 || (newline >= 0 && newline < separator);
      const end = isLine ? newline : separator;
      let done: boolean;
      if (carry.len > 0) {
        append(carry, chunk, at, end + 1);
        const { u8, len } = carry;
        done = isLine ? this.#line(u8, 0, this.#lineAt, len - 1) : this.#record(u8, 0, len - 1);
        if (done) carry.clear();
        this.#lineAt = carry.len;
      } else {
        done = isLine ? this.#line(chunk, unit, at, end) : this.#record(chunk, unit, end);
      }
      at = end + 1;
      if (done) {
        unit = at;
        if (sink.full) return at;
      }
      if (isLine) newline = chunk.indexOf(NEWLINE, at);
      else separator = chunk.indexOf(SEPARATOR, at);
    }
    if (carry.len === 0) this.#lineAt = at - unit;
    append(carry, chunk, carry.len > 0 ? at : unit, chunk.length);
    if (carry.len > limit + 1) {
      if (!this.#lost && skipBlanks(carry.u8, 0, carry.len) < carry.len) {
        if (!this.#open) this.#gate.index++;
        this.#lose(carry.u8, 0, carry.len);
      }
      carry.clear();
      this.#lineAt = 0;
    }
    return chunk.length;
  }

  /** @inheritdoc */
  end(): void {
    this.#record(this.#carry.u8, 0, this.#carry.len);
    this.#carry.clear();
  }

  /** Handles the end of a line; returns whether the record in `text[unit, end)` is finished. */
  #line(text: Uint8Array, unit: number, at: number, end: number): boolean {
    if (this.#lost) return true;
    const gate = this.#gate;
    const first = skipBlanks(text, unit, end);
    if (first === end) return true;
    const last = trimBlanks(text, first, end);
    if (!this.#open) gate.index++;
    if (last - first > gate.limit) return this.#lose(text, first, last);
    if (this.#open) this.#scanner.scan(text, at, end);
    else {
      if (text[first] === 0x7b && text[last - 1] === 0x7d) {
        const failed = gate.failed;
        if (gate.json(text, first, last, undefined, false, true)) {
          this.#lost = gate.failed !== failed;
          return true;
        }
      }
      this.#scanner.reset();
      this.#scanner.scan(text, first, end);
    }
    this.#scanner.newline();
    this.#open = !this.#scanner.bad && !this.#scanner.between;
    if (this.#open) return false;
    const failed = gate.failed;
    gate.json(text, first, last, undefined, false, false);
    this.#lost = gate.failed !== failed;
    return true;
  }

  /** Handles the end of a record, valid or not. */
  #record(text: Uint8Array, start: number, end: number): boolean {
    const first = skipBlanks(text, start, end);
    const last = trimBlanks(text, first, end);
    if (!this.#lost && first < last) {
      if (!this.#open) this.#gate.index++;
      if (last - first > this.#gate.limit) this.#lose(text, first, last);
      else this.#gate.json(text, first, last, undefined, false, false);
    }
    this.#open = this.#lost = false;
    return true;
  }

  #lose(text: Uint8Array, start: number, end: number): true {
    this.#gate.oversize(text, start, end, undefined);
    this.#lost = true;
    this.#open = false;
    return true;
  }
}
