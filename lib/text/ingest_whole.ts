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
  #lost = false;

  /** Creates a reader. */
  constructor(gate: RecordGate) {
    this.#gate = gate;
  }

  /** @inheritdoc */
  push(chunk: Uint8Array, start: number): number {
    if (this.#lost) return chunk.length;
    const text = this.#text;
    append(text, chunk, start, chunk.length);
    // The limit counts the whole input (docs/spec/command-line.md 2.4).
    if (text.len > this.#gate.limit && skipBlanks(text.u8, 0, text.len) < text.len) {
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
    const first = skipBlanks(u8, 0, len);
    if (first === len) return;
    this.#gate.index++;
    this.#gate.json(u8, first, trimBlanks(u8, first, len), undefined, false, false);
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
