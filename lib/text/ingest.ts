/**
 * Splits raw input into records: bytes are pushed in as they arrive, and each record goes to the
 * sink as soon as it is complete.
 *
 * The format is detected here, from the first bytes that are not blank (docs/spec/command-line.md
 * 2.4). JSON lines are read directly; the readers of all other formats are loaded when needed.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { PlasmiteError } from "../errors.ts";
import {
  type IngestSink,
  isBlank,
  type ModeLabel,
  RECORD_LIMIT,
  RecordGate,
} from "./ingest_gate.ts";
import { JsonLines, type RecordParser } from "./ingest_lines.ts";

export { FatalRecordError } from "./record_sink.ts";
export {
  IngestError,
  type IngestSink,
  type ModeLabel,
  RECORD_LIMIT,
  type SkippedRecord,
} from "./ingest_gate.ts";
export type { RecordParser } from "./ingest_lines.ts";

/**
 * How to read the input: `auto` detects the format; `jsonl`, `json` (one value), `seq` and `jq` as
 * 0.8's `--in`; `objects` is 1.x's `--input-format json` (objects, each delivered at its brace).
 */
export type IngestMode =
  | "auto"
  | "jsonl"
  | "json"
  | "seq"
  | "jq"
  | "objects"
  | "yaml"
  | "lite3"
  | "lite3-raw";

/** Settings of an {@linkcode Ingest}. */
export interface IngestOptions {
  /** The input's format. Default: `auto`. */
  readonly mode?: IngestMode;
  /** What to do with a bad record: end the run, or skip it with a notice. Default: `stop`. */
  readonly errors?: "stop" | "skip";
  /**
   * The largest record in bytes of text that could still fit the pool. It counts only if it is
   * over 1 MiB, and not under `skip` nor in the modes `jsonl`, `json` and `seq`
   * (docs/spec/command-line.md 2.4).
   */
  readonly maxRecord?: number;
}

type Format = Exclude<IngestMode, "auto"> | "lines" | "event";

const LABELS: Record<Format, ModeLabel> = {
  lines: "jsonl",
  jsonl: "jsonl",
  json: "json",
  seq: "seq",
  event: "event",
  jq: "jq",
  objects: "jq",
  yaml: "yaml",
  lite3: "lite3",
  "lite3-raw": "lite3",
};

/** First words that identify a format; `retry:` is an addition of this implementation. */
const WORDS: readonly (readonly [string, Format])[] = [
  ["PLS1", "lite3"],
  ["---", "yaml"],
  ["data:", "event"],
  ["event:", "event"],
  ["id:", "event"],
  ["retry:", "event"],
];

/**
 * The bytes and lines at the start in which a record separator still identifies the input as RFC
 * 7464.
 */
const WINDOW_BYTES = 8192;
const WINDOW_LINES = 8;

/**
 * One input, read incrementally.
 *
 * @example
 * ```ts
 * import { Ingest } from "./ingest.ts";
 *
 * async function readAll(ingest: Ingest, input: AsyncIterable<Uint8Array>) {
 *   for await (const chunk of input) await ingest.take(chunk, () => {});
 *   ingest.end();
 * }
 * ```
 */
export class Ingest {
  readonly #gate: RecordGate;
  readonly #auto: boolean;
  #parser: RecordParser | undefined;
  #lines: JsonLines | undefined;
  #load: (() => Promise<void>) | undefined;
  /** Bytes read before the format was known. */
  readonly #head = new Buf(8);
  /** How many bytes of a byte order mark were seen; 3 once that is decided. */
  #bom = 0;
  #windowBytes = WINDOW_BYTES;
  #windowLines = WINDOW_LINES;

  /**
   * Creates a reader.
   *
   * @throws {PlasmiteError} Usage for a format that cannot skip records
   */
  constructor(sink: IngestSink, options: IngestOptions = {}) {
    const mode = options.mode ?? "auto";
    const skip = options.errors === "skip";
    if (skip) refuseSkip(mode);
    const fixed = skip || mode === "jsonl" || mode === "json" || mode === "seq";
    this.#gate = new RecordGate(sink, {
      skip,
      limit: fixed ? RECORD_LIMIT : Math.max(RECORD_LIMIT, options.maxRecord ?? 0),
      messages: mode === "jq" ? "jq" : mode === "objects" ? "1x" : "jsonl",
    });
    this.#auto = mode === "auto";
    if (mode === "lite3" || mode === "lite3-raw") this.#bom = 3;
    // With `skip`, only the end of the line shows where a broken object ends.
    if (mode !== "auto") this.#choose(mode === "objects" && skip ? "lines" : mode);
  }

  /** Records started so far, not counting blank ones. */
  get records(): number {
    return this.#gate.index;
  }

  /** Whether there was neither a record nor an explicit end marker. */
  get empty(): boolean {
    return this.#gate.index === 0 && !this.#gate.ended;
  }

  /** How the input is read, and the line on which the current record starts. */
  get current(): { readonly mode: ModeLabel; readonly line: number | undefined } {
    return { mode: this.#gate.label, line: this.#gate.at };
  }

  /** Messages passed to the sink so far. */
  get stored(): number {
    return this.#gate.stored;
  }

  /** Records skipped so far. */
  get failed(): number {
    return this.#gate.failed;
  }

  /** Loads the reader that the input needs; undefined if there is nothing to load. */
  get load(): (() => Promise<void>) | undefined {
    return this.#load;
  }

  /**
   * Reads a whole chunk: loads what is needed, and drains the sink whenever it is full. The caller
   * must drain what is left in the sink before it waits for more input. If this throws, the records
   * before the bad one are in the sink.
   *
   * @param drain empties the sink
   * @throws {PlasmiteError} Usage for a bad record, Io for input that is not UTF-8
   */
  async take(chunk: Uint8Array, drain: () => Promise<void> | void): Promise<void> {
    if (this.#load !== undefined) await this.#load();
    let pos = 0;
    while (pos < chunk.length) {
      pos = this.push(chunk, pos);
      if (this.#load !== undefined) await this.#load();
      if (this.#gate.sink.full) await drain();
    }
  }

  /**
   * Reads bytes from `start` on, synchronously.
   *
   * @returns the index reached: less than the chunk's length if the sink is full, or if {@linkcode
   *   Ingest.load} must be awaited first
   */
  push(chunk: Uint8Array, start = 0): number {
    if (this.#load !== undefined) return start;
    if (this.#parser === undefined || this.#bom < 3) return this.#start(chunk, start);
    if (this.#head.len > 0) this.#pushHead(this.#parser);
    const line = this.#windowBytes > 0 ? this.#separatorLine(chunk, start) : -1;
    if (line < 0) return this.#parser.push(chunk, start);
    const at = line > start ? this.#parser.push(chunk.subarray(0, line), start) : line;
    if (at === line) this.#becomeSeq();
    return at;
  }

  /**
   * Marks the end of the input. {@linkcode Ingest.load} must have been awaited.
   *
   * @throws {PlasmiteError} Usage for a bad or incomplete record
   */
  end(): void {
    if (this.#load !== undefined && this.#head.len > 0) {
      throw new PlasmiteError("Internal", "the input's reader was not loaded");
    }
    if (this.#parser === undefined) {
      if (this.#head.len === 0) return;
      if (!this.#gate.skip && isMarker(this.#head.bytes())) {
        this.#gate.index++;
        this.#gate.fail("YAML document is missing its ... end marker", this.#gate.line + 1);
      }
      this.#choose("lines");
    }
    const parser = this.#parser;
    if (parser === undefined) return;
    if (this.#head.len > 0) this.#pushHead(parser);
    parser.end();
  }

  #pushHead(parser: RecordParser): void {
    const head = this.#head.bytes().slice();
    this.#head.clear();
    for (let at = 0; at < head.length;) at = parser.push(head, at);
  }

  /** Reads bytes until the format is known; returns the index of the first unread byte. */
  #start(chunk: Uint8Array, start: number): number {
    const head = this.#head;
    let at = start;
    for (; at < chunk.length; at++) {
      const byte = chunk[at] ?? 0;
      if (this.#bom < 3) {
        if (byte === [0xef, 0xbb, 0xbf][this.#bom]) {
          put(head, byte);
          if (++this.#bom === 3) head.clear();
          continue;
        }
        this.#bom = 3;
        if (head.len > 0 && this.#auto) {
          // It was not a byte order mark, and no other format starts like that.
          this.#choose("lines");
        }
      }
      if (this.#parser !== undefined || this.#load !== undefined) return this.push(chunk, at);
      if (head.len === 0) {
        if (isBlank(byte)) {
          if (byte === 0x0a) this.#gate.line++;
          continue;
        }
        const format = byte === 0x1e ? "seq" : byte === 0x3a ? "event" : "lines";
        if (format !== "lines" || !WORDS.some(([word]) => word.charCodeAt(0) === byte)) {
          this.#choose(format);
          return this.push(chunk, at);
        }
      }
      put(head, byte);
      const format = this.#formatOfHead();
      if (format !== undefined) {
        this.#choose(format);
        return this.push(chunk, at + 1);
      }
    }
    return at;
  }

  /** The format indicated by the head, or undefined if more bytes are needed. */
  #formatOfHead(): Format | undefined {
    const head = String.fromCharCode(...this.#head.bytes());
    for (const [word, format] of WORDS) {
      if (format === "yaml" && head.length === 4 && head.startsWith(word)) {
        return isBlank(head.charCodeAt(3)) && !this.#gate.skip ? format : "lines";
      }
      if (format !== "yaml" && head === word) {
        return format === "lite3" && this.#gate.skip ? "lines" : format;
      }
      if (word.startsWith(head)) return undefined;
    }
    return "lines";
  }

  #choose(format: Format): void {
    this.#gate.label = LABELS[format];
    if (!this.#auto || format !== "lines") this.#windowBytes = 0;
    if (format === "lines" || format === "jsonl") {
      this.#parser = this.#lines = new JsonLines(this.#gate, format === "lines");
      return;
    }
    const gate = this.#gate;
    this.#parser = undefined;
    this.#load = async () => {
      if (format === "lite3" || format === "lite3-raw") await gate.sink.prepareLite3?.();
      switch (format) {
        case "json":
          this.#parser = new (await import("./ingest_whole.ts")).WholeJson(gate);
          break;
        case "lite3-raw":
          this.#parser = new (await import("./ingest_whole.ts")).WholeLite3(gate);
          break;
        case "seq":
          this.#parser = new (await import("./ingest_seq.ts")).JsonSeq(gate);
          break;
        case "event":
          this.#parser = new (await import("./ingest_events.ts")).EventStream(gate);
          break;
        case "jq":
        case "objects":
          this.#parser = new (await import("./ingest_concat.ts")).ConcatenatedJson(gate);
          break;
        case "yaml":
          this.#parser = await (await import("./ingest_yaml.ts")).openYaml(gate, this.#auto);
          break;
        case "lite3":
          this.#parser = new (await import("./ingest_lite3.ts")).FramedLite3(gate);
          break;
      }
      this.#load = undefined;
    };
  }

  /**
   * 0.8 treated input with a record separator in its first bytes as RFC 7464, whatever came before
   * (docs/spec/command-line.md 2.4). Returns the start (in this chunk) of the line that has one, or
   * -1.
   */
  #separatorLine(chunk: Uint8Array, start: number): number {
    const stop = Math.min(chunk.length, start + this.#windowBytes);
    const window = chunk.subarray(0, stop);
    const separator = window.indexOf(0x1e, start);
    const end = separator < 0 ? stop : separator;
    let lines = this.#windowLines;
    let line = start;
    for (; lines > 0; lines--) {
      const newline = window.indexOf(0x0a, line);
      if (newline < 0 || newline >= end) break;
      line = newline + 1;
    }
    if (separator >= 0 && lines > 0) return line;
    this.#windowLines = lines;
    this.#windowBytes = lines === 0 ? 0 : this.#windowBytes - (stop - start);
    return -1;
  }

  /** Rereads the incomplete record as RFC 7464, like the rest. */
  #becomeSeq(): void {
    const rest = this.#lines?.release() ?? new Uint8Array(0);
    this.#head.reserve(rest.length);
    this.#head.u8.set(rest, this.#head.len);
    this.#head.len += rest.length;
    this.#choose("seq");
  }
}

function put(buf: Buf, byte: number): void {
  buf.reserve(1);
  buf.dv.setUint8(buf.len++, byte);
}

function isMarker(head: Uint8Array): boolean {
  return String.fromCharCode(...head) === "---";
}

/**
 * Refuses formats in which the end of a bad record cannot be found.
 *
 * @throws {PlasmiteError} Usage
 */
export function refuseSkip(mode: IngestMode): void {
  if (mode === "jq") {
    throw new PlasmiteError("Usage", "skip is not supported for jq-style streams", {
      hint: "Read JSON lines, where the end of a bad record can be found.",
      topic: "skip values",
    });
  }
  if (mode === "yaml" || mode === "lite3" || mode === "lite3-raw") {
    throw new PlasmiteError("Usage", "skip is not supported for this input", {
      hint: "Stop at bad records, or give the messages as JSON lines.",
      topic: "skip",
    });
  }
}
