/**
 * What all input formats share: passing records to the sink, and handling bad records, which end
 * the run or cause a notice.
 *
 * @module
 */

import { type ErrorContext, ErrorKind, PlasmiteError } from "../errors.ts";
import { JsonSyntaxError } from "../lite3/encode.ts";
import { FatalRecordError } from "./record_sink.ts";

/** The size above which records are skipped, in bytes (docs/spec/command-line.md 2.4). */
export const RECORD_LIMIT = 1_048_576;
/**
 * The length of a snippet in bytes, and how much of a longer one is kept (docs/spec/command-line.md
 * 2.5).
 */
const SNIPPET = 200;
const SNIPPET_CUT = 197;

/** Where records go. */
export interface IngestSink {
  /**
   * Whether the sink cannot take more records for now: parsers return early until it is false
   * again.
   */
  readonly full: boolean;
  /**
   * Stores the JSON values in `text[start, end)`, all or none of them.
   *
   * @param many whether several values are allowed, separated by blanks or nothing
   * @returns how many were stored
   * @throws {JsonSyntaxError} when the text is not JSON, with its offset in `text`
   * @throws {PlasmiteError} Usage when a value cannot be stored; a {@linkcode FatalRecordError} if
   *   the same would happen to every other record
   */
  json(text: Uint8Array, start: number, end: number, many: boolean): number;
  /**
   * Reads a JSON object that starts at `start`, which a line end of the text follows; it is stored
   * by {@linkcode IngestSink.keep} or forgotten by {@linkcode IngestSink.drop}, one of which must be
   * called before anything else.
   *
   * @returns the index of its end; -1, with nothing to keep, if it is not valid or has line ends
   */
  read(text: Uint8Array, start: number, end: number): number;
  /** Stores what was read. Throws Usage as {@linkcode IngestSink.json}. */
  keep(): void;
  /** Forgets what was read. */
  drop(): void;
  /** Stores the JSON value that starts at `start` and returns the index of its end. */
  value(text: Uint8Array, start: number, end: number): number;
  /** Stores the Lite3 message in `bytes[start, end)`. */
  lite3(bytes: Uint8Array, start: number, end: number): void;
  /** Called and awaited before the first `lite3`. */
  prepareLite3?(): Promise<void>;
  /** Called for a record that was skipped. */
  skipped(record: SkippedRecord): void;
}

/** The data of a notice about a skipped record (docs/spec/command-line.md 2.5). */
export interface SkippedRecord {
  /** The message for users: `"Skipped invalid JSON."` */
  readonly message: string;
  /** Whether the record was wrong or too large. */
  readonly errorKind: "Parse" | "Oversize";
  /** The number of the record, from 1, not counting blank ones. */
  readonly index: number;
  /** The input line on which it started (for events, on which it ended), from 1. */
  readonly line: number | undefined;
  /** How the input was read. */
  readonly mode: ModeLabel;
  /** The start of the record, at most 200 bytes of UTF-8. */
  readonly snippet: string;
}

/** How the input is read, as notices name it. */
export type ModeLabel = "jsonl" | "json" | "seq" | "event" | "jq" | "yaml" | "lite3";

/** The error for a record that ends the run. */
export class IngestError extends PlasmiteError {
  /** The input line on which the record started, from 1; undefined if lines are not counted. */
  readonly line: number | undefined;

  /** Creates an error for the record on `line`. */
  constructor(
    kind: "Usage" | "Io",
    message: string,
    line: number | undefined,
    context: ErrorContext = {},
  ) {
    super(kind, message, context);
    this.line = line;
  }
}

/** Settings of a {@linkcode RecordGate}. */
export interface GateOptions {
  /** Whether bad records are skipped instead of ending the run. */
  readonly skip: boolean;
  /** The largest record in bytes of text. */
  readonly limit: number;
  /**
   * Which error messages to use: those of 0.8, of 0.8 in jq mode, or of 1.x
   * (docs/spec/command-line.md 2.4).
   */
  readonly messages: "jsonl" | "jq" | "1x";
}

/** Counts records, passes them on and handles failures. */
export class RecordGate {
  /** Where records go. */
  readonly sink: IngestSink;
  /** Whether bad records are skipped. */
  readonly skip: boolean;
  /** The largest record in bytes of text. */
  readonly limit: number;
  /** How the input is read, for notices. */
  label: ModeLabel = "jsonl";
  /** Records started so far. */
  index = 0;
  /** The input line on which the current record starts, from 1; undefined if lines are not counted. */
  at: number | undefined;
  /** Messages stored so far. */
  stored = 0;
  /** Records skipped so far. */
  failed = 0;
  /** Whether the input contained an end marker. */
  ended = false;
  /** Lines before the first one of the parser. */
  line = 0;
  /** Whether invalid UTF-8 is replaced rather than fatal. */
  lossy = false;
  /** Whether records have no explicit end, so that UTF-8 is checked only up to the error. */
  unbounded = false;
  readonly #messages: GateOptions["messages"];

  /** Creates a gate for `sink`. */
  constructor(sink: IngestSink, options: GateOptions) {
    this.sink = sink;
    this.skip = options.skip;
    this.limit = options.limit;
    this.#messages = options.messages;
  }

  /**
   * Passes JSON text to the sink.
   *
   * @param many whether several values are allowed
   * @param open whether the value may continue after `end`
   * @returns false if `open` is set and it continues; otherwise the text is finished, stored or not
   */
  json(
    text: Uint8Array,
    start: number,
    end: number,
    line: number | undefined,
    many: boolean,
    open: boolean,
  ): boolean {
    this.at = line;
    try {
      this.stored += this.sink.json(text, start, end, many);
    } catch (error) {
      if (open && error instanceof JsonSyntaxError && error.incomplete) return false;
      this.#handle(error, text, start, end, line, many);
    }
    return true;
  }

  /**
   * Passes an object that starts a line to the sink, if it is the only value on this line, without
   * looking for the end of the line first.
   *
   * @param end the index after a line end
   * @returns the index of the line's end; -1 if the line must be read in another way
   */
  object(text: Uint8Array, start: number, end: number, line: number, many: boolean): number {
    const { sink } = this;
    const stop = sink.read(text, start, end);
    if (stop < 0) return -1;
    let newline = stop;
    let c = text[newline];
    while (c === 0x20 || c === 0x0d || c === 0x09) c = text[++newline];
    if (c !== 0x0a || stop - start > this.limit) {
      sink.drop();
      return -1;
    }
    this.index++;
    this.at = line;
    try {
      sink.keep();
      this.stored++;
    } catch (error) {
      this.#handle(error, text, start, stop, line, many);
    }
    return newline;
  }

  /**
   * Passes the value at `start` to the sink; returns the index of its end, or -1 if it continues.
   */
  value(text: Uint8Array, start: number, end: number): number {
    try {
      const next = this.sink.value(text, start, end);
      this.stored++;
      return next;
    } catch (error) {
      if (error instanceof JsonSyntaxError && error.incomplete) return -1;
      this.#handle(error, text, start, end, undefined, false);
      return end;
    }
  }

  /** Passes a Lite3 payload to the sink. */
  lite3(bytes: Uint8Array, start: number, end: number): void {
    this.index++;
    this.sink.lite3(bytes, start, end);
    this.stored++;
  }

  /** Handles a record that is too long; `text[start, end)` is the part that was read. */
  oversize(text: Uint8Array, start: number, end: number, line: number | undefined): void {
    if (!this.skip) {
      throw new IngestError("Usage", "record exceeds size limit", line, {
        causes: [`${where(line)}more than ${this.limit} bytes`],
      });
    }
    this.#skipRecord("Oversize", "Skipped oversized record.", text, start, end, line);
  }

  /** Throws an error about the input as a whole. */
  fail(message: string, line?: number, hint?: string, causes?: readonly string[]): never {
    throw new IngestError("Usage", message, line, { hint, causes });
  }

  #handle(
    error: unknown,
    text: Uint8Array,
    start: number,
    end: number,
    line: number | undefined,
    many: boolean,
  ): void {
    if (error instanceof JsonSyntaxError) {
      const { offset } = error;
      if (this.unbounded ? badAt(text, start, offset, end) : !isUtf8(text, start, end)) {
        if (this.lossy) {
          const replaced = replaceInvalid(text, start, end);
          this.json(replaced, 0, replaced.length, line, many, false);
          return;
        }
        throw notUtf8(line, error);
      }
      if (!this.skip) throw this.#syntax(error, text, start, line);
      this.#skipRecord("Parse", "Skipped invalid JSON.", text, start, end, line);
      return;
    }
    const ours = PlasmiteError.is(error, ErrorKind.Usage) && !(error instanceof FatalRecordError);
    if (!ours) throw error;
    if (!this.skip) {
      const { message, hint, path, seq, offset, causes, topic } = error;
      const isOfId = topic === "id" && causes === undefined && line !== undefined;
      throw new IngestError("Usage", message, line, {
        hint,
        path,
        seq,
        offset,
        causes: isOfId ? [`in the record on line ${line}`] : causes,
        cause: error,
      });
    }
    if (/exceed|too large/.test(error.message)) {
      this.#skipRecord("Oversize", "Skipped oversized record.", text, start, end, line);
    } else {
      this.#skipRecord("Parse", `Skipped record: ${error.message}.`, text, start, end, line);
    }
  }

  #syntax(
    error: JsonSyntaxError,
    text: Uint8Array,
    start: number,
    line: number | undefined,
  ): IngestError {
    let column = error.offset - start + 1;
    let row = line;
    if (line !== undefined) {
      // The value spans several lines: count those before the error.
      for (let i = start; i < error.offset; i++) {
        if (text[i] === 0x0a) {
          row = (row ?? 0) + 1;
          column = error.offset - i;
        }
      }
    }
    const what = error.incomplete ? "the input ends inside a value" : error.message;
    const cause = row === undefined
      ? `${what} at byte ${column} of record ${this.index}`
      : `${what} at line ${row} column ${column}`;
    const context = { causes: [cause], cause: error };
    switch (this.#messages) {
      case "1x":
        return new IngestError(
          "Usage",
          error.incomplete ? "incomplete JSON message" : "invalid JSON message",
          line,
          { ...context, hint: "Give JSON objects, separated by blanks or nothing." },
        );
      case "jq":
        return new IngestError("Usage", "invalid json input", line, {
          ...context,
          hint:
            "If every value is on its own line, read JSON lines, where invalid ones can be skipped.",
          topic: "values",
        });
      default:
        return new IngestError("Usage", "invalid json input", line, {
          ...context,
          hint: "Fix the input, or leave out bad records.",
          topic: "record",
        });
    }
  }

  #skipRecord(
    errorKind: SkippedRecord["errorKind"],
    message: string,
    text: Uint8Array,
    start: number,
    end: number,
    line: number | undefined,
  ): void {
    this.failed++;
    this.sink.skipped({
      message,
      errorKind,
      index: this.index,
      line,
      mode: this.label,
      snippet: snippetOf(text, start, end),
    });
  }
}

/** The error for input that is not text (docs/spec/command-line.md 2.4). */
export function notUtf8(line: number | undefined, cause: unknown): IngestError {
  return new IngestError("Io", "failed to read stdin", line, {
    hint: "The input must be UTF-8 text; convert it first, for example with iconv.",
    causes: [`${where(line)}stream did not contain valid UTF-8`],
    cause,
  });
}

function where(line: number | undefined): string {
  return line === undefined ? "" : `line ${line}: `;
}

/** Whether a byte counts as white space in blank lines. */
export function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || (byte !== undefined && byte >= 0x09 && byte <= 0x0d);
}

/** The index of the first byte in `text[start, end)` that is not white space, or `end`. */
export function skipBlanks(text: Uint8Array, start: number, end: number): number {
  while (start < end && isBlank(text[start])) start++;
  return start;
}

/** The index after the last byte in `text[start, end)` that is not white space, or `start`. */
export function trimBlanks(text: Uint8Array, start: number, end: number): number {
  while (end > start && isBlank(text[end - 1])) end--;
  return end;
}

/** Whether `text[start, end)` is well-formed UTF-8. */
export function isUtf8(text: Uint8Array, start: number, end: number): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(text.subarray(start, end));
    return true;
  } catch {
    return false;
  }
}

/** Whether the character at `at` is invalid UTF-8; one cut off by `end` is not. */
function badAt(text: Uint8Array, start: number, at: number, end: number): boolean {
  let lead = at;
  while (lead > start && at - lead < 3 && ((text[lead] ?? 0) & 0xc0) === 0x80) lead--;
  const c = text[lead] ?? 0;
  const length = c < 0xe0 ? (c < 0x80 ? 1 : 2) : c < 0xf0 ? 3 : 4;
  try {
    new TextDecoder("utf-8", { fatal: true })
      .decode(text.subarray(lead, Math.min(end, lead + length)), { stream: true });
    return false;
  } catch {
    return true;
  }
}

function replaceInvalid(text: Uint8Array, start: number, end: number): Uint8Array {
  const decoded = new TextDecoder("utf-8", { ignoreBOM: true }).decode(text.subarray(start, end));
  return new TextEncoder().encode(decoded);
}

/**
 * The start of a record: up to 200 bytes, cut on a character boundary (docs/spec/command-line.md
 * 2.5).
 */
export function snippetOf(text: Uint8Array, start: number, end: number): string {
  start = skipBlanks(text, start, end);
  end = trimBlanks(text, start, end);
  const cut = end - start > SNIPPET;
  if (cut) {
    end = start + SNIPPET_CUT;
    while (end > start && ((text[end] ?? 0) & 0xc0) === 0x80) end--;
  }
  const shown = new TextDecoder("utf-8", { ignoreBOM: true }).decode(text.subarray(start, end));
  return cut ? `${shown}...` : shown;
}
