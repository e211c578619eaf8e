/**
 * Input that is a single record: a JSON value, or a raw Lite3 payload.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { MAX_LITE3_PAYLOAD } from "./frames.ts";
import { type RecordGate, skipBlanks, trimBlanks } from "./ingest_gate.ts";
import { append, type RecordParser } from "./ingest_lines.ts";

/** Reads one JSON value; text after it is an error (`--in json`). */
export class WholeJson implements RecordParser {
  readonly #gate: RecordGate;
  readonly #text = new Buf(4096);
  /** The number of bytes before the text: blanks, which are not kept. */
  #blanks = 0;
  #lost = false;

  /** Creates a reader. */
  constructor(gate: RecordGate) {
    this.#gate = gate;
  }

  /** @inheritdoc */
  push(chunk: Uint8Array, start: number): number {
    if (this.#lost) return chunk.length;
    const text = this.#text;
    const first = text.len > 0 ? start : skipBlanks(chunk, start, chunk.length);
    this.#blanks += first - start;
    append(text, chunk, first, chunk.length);
    // The limit counts the whole input (docs/spec/command-line.md 2.4).
    if (text.len > 0 && this.#blanks + text.len > this.#gate.limit) {
      this.#gate.index++;
      this.#gate.oversize(text.u8, 0, text.len, undefined);
      this.#lost = true;
      text.clear();
    }
    return chunk.length;
  }

  /** @inheritdoc */
  end(): void {
    const { u8, len } = this.#text;
    if (len === 0) return;
    this.#gate.index++;
    this.#gate.json(u8, 0, trimBlanks(u8, 0, len), undefined, false, false);
  }
}

/** Reads one Lite3 payload (`--input-format lite3-raw`). */
export class WholeLite3 implements RecordParser {
  readonly #gate: RecordGate;
  readonly #bytes = new Buf(4096);

  /** Creates a reader. */
  constructor(gate: RecordGate) {
    this.#gate = gate;
  }

  /** @inheritdoc */
  push(chunk: Uint8Array, start: number): number {
    append(this.#bytes, chunk, start, chunk.length);
    if (this.#bytes.len > MAX_LITE3_PAYLOAD) {
      this.#gate.fail("Lite3 payload exceeds 256 MiB", undefined, "Split the message.");
    }
    return chunk.length;
  }

  /** @inheritdoc */
  end(): void {
    const { u8, len } = this.#bytes;
    if (len > 0) this.#gate.lite3(u8, 0, len);
  }
}
