/**
 * YAML input: splits it into documents, which `yaml_in.ts` converts.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { JsonSyntaxError } from "../lite3/encode.ts";
import { isBlank, isUtf8, notUtf8, type RecordGate, skipBlanks } from "./ingest_gate.ts";
import { append, type RecordParser } from "./ingest_lines.ts";
import type { YamlToJson } from "./yaml_in.ts";

const NEWLINE = 0x0a;
const DASH = 0x2d;
const DOT = 0x2e;

const BOUNDARIES = "YAML messages require explicit document boundaries";
const HINT = "Put --- alone on the line before each document and ... alone on the line behind it.";

/**
 * Loads the YAML library and creates a reader.
 *
 * @param marked whether every document must have its markers
 */
export async function openYaml(gate: RecordGate, marked: boolean): Promise<RecordParser> {
  const { loadYaml } = await import("./yaml_in.ts");
  return new YamlDocuments(gate, marked, await loadYaml());
}

/** Reads YAML documents between `---` and `...` (docs/spec/command-line.md 2.9). */
class YamlDocuments implements RecordParser {
  readonly #gate: RecordGate;
  readonly #convert: YamlToJson;
  readonly #json = new Buf(4096);
  /** The incomplete line. */
  readonly #carry = new Buf(4096);
  /** The lines of the document so far. */
  readonly #document = new Buf(4096);
  /** The position in the stream; `bare` is inside a single document without markers. */
  #place: "start" | "between" | "inside" | "bare";
  #line: number;
  #firstLine = 0;

  constructor(gate: RecordGate, marked: boolean, convert: YamlToJson) {
    this.#gate = gate;
    this.#place = marked ? "between" : "start";
    this.#convert = convert;
    this.#line = gate.line;
  }

  push(chunk: Uint8Array, start: number): number {
    const carry = this.#carry;
    let at = start;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, at);
      if (end < 0) break;
      let done: boolean;
      if (carry.len > 0) {
        append(carry, chunk, at, end);
        done = this.#take(carry.u8, 0, carry.len);
        carry.clear();
      } else {
        done = this.#take(chunk, at, end);
      }
      at = end + 1;
      if (done && this.#gate.sink.full) return at;
    }
    append(carry, chunk, at, chunk.length);
    this.#checkSize(carry.len);
    return chunk.length;
  }

  end(): void {
    if (this.#carry.len > 0) this.#take(this.#carry.u8, 0, this.#carry.len);
    this.#carry.clear();
    if (this.#place === "inside") {
      this.#gate.fail("YAML document is missing its ... end marker", this.#firstLine, HINT);
    }
    if (this.#place === "bare") this.#finish();
  }

  /** Reads a line; returns whether it ended a document. */
  #take(text: Uint8Array, at: number, end: number): boolean {
    this.#line++;
    const first = skipBlanks(text, at, end);
    const marker = markerAt(text, at, end);
    const alone = marker !== 0 && skipBlanks(text, at + 3, end) === end;
    switch (this.#place) {
      case "start":
      case "between":
        if (first === end) return false;
        if (text[at] === 0x25) this.#boundaries();
        if (marker === DASH) {
          if (!alone) this.#boundaries();
          this.#begin("inside");
          return false;
        }
        if (this.#place === "between" || marker === DOT) {
          this.#gate.fail("YAML messages require a --- start marker", this.#line, HINT);
        }
        this.#begin("bare");
        break;
      case "inside":
        if (marker === DOT && alone) {
          this.#finish();
          return true;
        }
        if (marker !== 0) this.#boundaries();
        break;
      case "bare":
        if (marker === DOT && alone) {
          this.#finish();
          return true;
        }
        if (marker !== 0) this.#boundaries();
        break;
    }
    this.#checkSize(end - at);
    append(this.#document, text, at, end);
    this.#document.reserve(1);
    this.#document.dv.setUint8(this.#document.len++, NEWLINE);
    return false;
  }

  #begin(place: "inside" | "bare"): void {
    this.#place = place;
    this.#firstLine = this.#line;
    this.#gate.index++;
  }

  #boundaries(): never {
    this.#gate.fail(BOUNDARIES, this.#line, HINT);
  }

  #checkSize(more: number): void {
    const { u8, len } = this.#document;
    if (len + more > this.#gate.limit) this.#gate.oversize(u8, 0, len, this.#firstLine);
  }

  #finish(): void {
    const { u8, len } = this.#document;
    const json = this.#json;
    this.#place = "between";
    if (!isUtf8(u8, 0, len)) throw notUtf8(this.#firstLine, undefined);
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(u8.subarray(0, len));
    this.#document.clear();
    json.clear();
    const refused = this.#convert(text, json);
    if (refused !== undefined) this.#refuse(refused.message, refused.cause);
    try {
      this.#gate.stored += this.#gate.sink.json(json.u8, 0, json.len, false);
    } catch (error) {
      // The text was generated here; JSON only refuses lone surrogates and infinite numbers in it.
      if (!(error instanceof JsonSyntaxError)) throw error;
      this.#refuse("invalid or unsupported YAML message", error.message);
    }
  }

  #refuse(message: string, cause: string): never {
    this.#gate.fail(
      message,
      this.#firstLine,
      "Use plain YAML 1.2 mappings, lists and scalars, or give the messages as JSON.",
      [`document at line ${this.#firstLine}: ${cause}`],
    );
  }
}

/** `-` or `.` if the line starts with that marker, followed by a blank or nothing; else 0. */
function markerAt(text: Uint8Array, at: number, end: number): number {
  const c = text[at];
  if (c !== DASH && c !== DOT) return 0;
  if (end - at < 3 || text[at + 1] !== c || text[at + 2] !== c) return 0;
  return end - at === 3 || isBlank(text[at + 3]) ? c : 0;
}
