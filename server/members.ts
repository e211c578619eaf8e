/**
 * Finds the members of a JSON object as spans of its text, so that `data` can be encoded directly
 * from the bytes and no number passes through a double (docs/spec/http-api.md 1, 13).
 *
 * @module
 */

import { JsonScanner } from "../lib/text/json_scanner.ts";
import { bad } from "./errors.ts";

/** The position of a value in a text. */
export interface Span {
  /** Index of its first byte. */
  readonly start: number;
  /** Index after its last byte. */
  readonly end: number;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function notJson(detail: string): Error {
  return bad("invalid json", `Send one JSON object as UTF-8 text: ${detail}.`);
}

/**
 * The text of a span.
 *
 * @throws {HttpError} 400 if it is not UTF-8
 */
function textOf(bytes: Uint8Array, { start, end }: Span): string {
  try {
    return decoder.decode(bytes.subarray(start, end));
  } catch {
    throw notJson("it is not valid UTF-8");
  }
}

/**
 * Parses a small value.
 *
 * @throws {HttpError} 400 if it is not JSON
 */
export function valueOf(bytes: Uint8Array, span: Span): unknown {
  try {
    return JSON.parse(textOf(bytes, span));
  } catch (error) {
    throw error instanceof SyntaxError ? notJson("a value is malformed") : error;
  }
}

/** Finds members; can be reused. */
export class MemberWalker {
  readonly #scanner = new JsonScanner();
  #bytes: Uint8Array = new Uint8Array();
  #end = 0;

  /**
   * Finds the members with one of these names. Other members must be JSON too, and are ignored. The
   * grammar inside the objects and arrays found is not checked.
   *
   * @throws {HttpError} 400 unless the text is one JSON object with each of the names at most once
   */
  walk(bytes: Uint8Array, names: readonly string[], span?: Span): Map<string, Span> {
    this.#bytes = bytes;
    this.#end = span?.end ?? bytes.length;
    const found = new Map<string, Span>();
    let at = this.#space(span?.start ?? 0);
    if (this.#at(at) !== 0x7b) {
      if (at >= this.#end) throw notJson("it is empty");
      valueOf(bytes, { start: at, end: this.#end });
      throw bad("request body must be an object", "Send one JSON object.");
    }
    at = this.#space(at + 1);
    if (this.#at(at) === 0x7d) return this.#finish(found, at + 1);
    for (;;) {
      if (this.#at(at) !== 0x22) throw notJson("a key is missing");
      const keyEnd = this.#value(at);
      const key = this.#key(at, keyEnd, names);
      at = this.#space(keyEnd);
      if (this.#at(at) !== 0x3a) throw notJson("a colon is missing");
      const start = this.#space(at + 1);
      const end = this.#value(start);
      if (!names.includes(key)) valueOf(bytes, { start, end });
      else if (found.has(key)) throw bad(`duplicate field ${key}`, "Give each field once.");
      else found.set(key, { start, end });
      at = this.#space(end);
      const c = this.#at(at);
      if (c === 0x7d) return this.#finish(found, at + 1);
      if (c !== 0x2c) throw notJson("a comma or the end is missing");
      at = this.#space(at + 1);
    }
  }

  #finish(found: Map<string, Span>, at: number): Map<string, Span> {
    if (this.#space(at) !== this.#end) throw notJson("something follows the object");
    return found;
  }

  #at(i: number): number {
    return i < this.#end ? this.#bytes[i] ?? -1 : -1;
  }

  #space(i: number): number {
    for (;; i++) {
      const c = this.#at(i);
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return i;
    }
  }

  /** Whether the key is this name, written without escapes. */
  #isName(start: number, end: number, name: string): boolean {
    if (end - start - 2 !== name.length) return false;
    for (let i = 0; i < name.length; i++) {
      if (this.#bytes[start + 1 + i] !== name.charCodeAt(i)) return false;
    }
    return true;
  }

  #key(start: number, end: number, names: readonly string[]): string {
    for (const name of names) if (this.#isName(start, end, name)) return name;
    return String(valueOf(this.#bytes, { start, end }));
  }

  /** The index after a string without escapes; 0 for any other. */
  #plainString(at: number): number {
    for (;; at++) {
      const c = this.#at(at);
      if (c === 0x22) return at + 1;
      if (c === 0x5c || c < 0x20) return 0;
    }
  }

  /** The index after the value at `start`. */
  #value(start: number): number {
    const c = this.#at(start);
    if (c === 0x22) {
      const end = this.#plainString(start + 1);
      if (end > 0) return end;
    }
    if (c === 0x7b || c === 0x5b || c === 0x22) {
      const scanner = this.#scanner;
      scanner.reset();
      const end = scanner.scan(this.#bytes, start, this.#end, true);
      if (scanner.bad) throw notJson(`see byte ${end}`);
      if (!scanner.between) throw notJson("it ends inside a value");
      return end;
    }
    let at = start;
    for (; at < this.#end; at++) {
      const b = this.#at(at);
      if (b === 0x2c || b === 0x7d || b <= 0x20) break;
    }
    if (at === start) throw notJson("a value is missing");
    return at;
  }
}

/**
 * Whether an optional field is absent; `null` counts as absent (docs/spec/http-api.md 1).
 */
export function isAbsent(bytes: Uint8Array, span: Span | undefined): boolean {
  return span === undefined ||
    (span.end - span.start === 4 && bytes.at(span.start) === 0x6e &&
      textOf(bytes, span) === "null");
}
