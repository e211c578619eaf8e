/**
 * Framed Lite3 input: each payload is a complete message.
 *
 * @module
 */

import { FrameStreamReader } from "./frames.ts";
import type { RecordGate } from "./ingest_gate.ts";
import type { RecordParser } from "./ingest_lines.ts";

/** Reads a framed Lite3 stream; sequence numbers and times of the source are not kept. */
export class FramedLite3 implements RecordParser {
  readonly #gate: RecordGate;
  readonly #reader: FrameStreamReader;

  /** Creates a reader. */
  constructor(gate: RecordGate) {
    this.#gate = gate;
    this.#reader = new FrameStreamReader((bytes, start, end) => gate.lite3(bytes, start, end));
  }

  /** @inheritdoc */
  push(chunk: Uint8Array, start: number): number {
    let at = start;
    while (at < chunk.length) {
      at = this.#reader.push(chunk, at, true);
      if (this.#gate.sink.full) break;
    }
    return at;
  }

  /** @inheritdoc */
  end(): void {
    this.#reader.end();
  }
}
