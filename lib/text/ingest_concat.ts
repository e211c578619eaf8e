/**
 * Concatenated JSON: values separated by blanks or by nothing, each delivered with its last byte.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { type RecordGate, skipBlanks } from "./ingest_gate.ts";
import { append, type RecordParser } from "./ingest_lines.ts";
import { JsonScanner } from "./json_scanner.ts";

/** Reads concatenated JSON values (`--in jq`, `--input-format json`). */
export class ConcatenatedJson implements RecordParser {
  readonly #gate: RecordGate;
  readonly #scanner = new JsonScanner();
  /** The incomplete value. */
  readonly #carry = new Buf(4096);

  /** Creates a reader. */
  constructor(gate: RecordGate) {
    this.#gate = gate;
    gate.unbounded = true;
  }

  /** @inheritdoc */
  push(chunk: Uint8Array, start: number): number {
    const gate = this.#gate;
    const scanner = this.#scanner;
    const carry = this.#carry;
    const end = chunk.length;
    let at = start;
    if (carry.len > 0) {
      const stop = scanner.scan(chunk, at, end, true);
      // The wrong byte is included, so that the sink can report the problem.
      append(carry, chunk, at, scanner.bad ? stop + 1 : stop);
      at = stop;
      if (!scanner.bad && !scanner.between) {
        if (carry.len > gate.limit) gate.oversize(carry.u8, 0, carry.len, undefined);
        return end;
      }
      gate.json(carry.u8, 0, carry.len, undefined, false, false);
      carry.clear();
      if (gate.sink.full) return at;
    }
    for (;;) {
      at = skipBlanks(chunk, at, end);
      if (at === end) return end;
      gate.index++;
      if (chunk[at] === 0x7b) {
        const next = gate.value(chunk, at, end);
        if (next >= 0) {
          at = next;
          if (gate.sink.full) return at;
          continue;
        }
      }
      scanner.reset();
      const stop = scanner.scan(chunk, at, end, true);
      if (!scanner.bad && !scanner.between) {
        append(carry, chunk, at, end);
        if (carry.len > gate.limit) gate.oversize(carry.u8, 0, carry.len, undefined);
        return end;
      }
      const behind = scanner.bad ? stop + 1 : stop;
      gate.json(chunk, at, behind, undefined, false, false);
      at = behind;
    }
  }

  /** @inheritdoc */
  end(): void {
    const { u8, len } = this.#carry;
    if (len > 0) this.#gate.json(u8, 0, len, undefined, false, false);
    this.#carry.clear();
  }
}
