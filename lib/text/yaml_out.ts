/**
 * Converts JSON text to one YAML document (docs/spec/command-line.md 1.13), written so that parsers
 * of YAML 1.1 and 1.2 read the same values: strings are always quoted and on one line, and keys are
 * bare only if they are unambiguous.
 *
 * @module
 */

import type { Buf } from "../bytes.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const APOSTROPHE = 0x27;

/** A bare key, unless it is one of the words below. */
const RESERVED = /^(?:y|n|yes|no|on|off|true|false|null)$/i;
/** Parsers accept single-line keys of at most 1024 characters. */
const LONGEST_KEY = 1000;

/**
 * Appends the JSON value in `json[start, end)` to `out` as a YAML document with start and end
 * markers.
 *
 * @param json valid, compact JSON text, as written by the printers of this program
 */
export function printYaml(json: Uint8Array, start: number, end: number, out: Buf): void {
  const printer = new YamlPrinter(json, start, end, out);
  printer.put("---\n");
  printer.root();
  printer.put("...\n");
}

class YamlPrinter {
  readonly #text: DataView;
  readonly #end: number;
  readonly #out: Buf;
  /** Where the next token starts. */
  #at: number;

  constructor(json: Uint8Array, start: number, end: number, out: Buf) {
    this.#text = new DataView(json.buffer, json.byteOffset, json.byteLength);
    this.#at = start;
    this.#end = end;
    this.#out = out;
  }

  put(ascii: string): void {
    const out = this.#out;
    out.reserve(ascii.length);
    for (let i = 0; i < ascii.length; i++) out.dv.setUint8(out.len++, ascii.charCodeAt(i));
  }

  root(): void {
    const kind = this.#containerKind();
    if (kind === "object") this.#object(0, false);
    else if (kind === "array") this.#array(0, false);
    else {
      this.#scalar();
      this.put("\n");
    }
  }

  /** The kind of value at the current position; empty containers are scalars in YAML. */
  #containerKind(): "object" | "array" | "scalar" {
    const c = this.#peek(0);
    if (c !== 0x7b && c !== 0x5b) return "scalar";
    if (this.#peek(1) === c + 2) return "scalar";
    return c === 0x7b ? "object" : "array";
  }

  #peek(ahead: number): number {
    const at = this.#at + ahead;
    return at < this.#end ? this.#text.getUint8(at) : 0;
  }

  #indent(n: number): void {
    const out = this.#out;
    out.reserve(n);
    for (let i = 0; i < n; i++) out.dv.setUint8(out.len++, 0x20);
  }

  /** @param inline whether the first member follows a `- ` */
  #object(indent: number, inline: boolean): void {
    do {
      this.#at++; // { or ,
      if (!inline) this.#indent(indent);
      inline = false;
      const long = this.#stringEnd() - this.#at > LONGEST_KEY;
      if (long) {
        this.put("? ");
        this.#doubleQuoted();
        this.put("\n");
        this.#indent(indent);
      } else this.#key();
      this.put(":");
      this.#at++; // :
      this.#value(indent, long);
    } while (this.#peek(0) === 0x2c);
    this.#at++;
  }

  /**
   * Prints the value after a key's colon; lists are indented like their key, if that is a simple
   * key.
   */
  #value(indent: number, long: boolean): void {
    switch (this.#containerKind()) {
      case "object":
        this.put("\n");
        this.#object(indent + 2, false);
        break;
      case "array":
        this.put("\n");
        this.#array(long ? indent + 2 : indent, false);
        break;
      default:
        this.put(" ");
        this.#scalar();
        this.put("\n");
    }
  }

  #array(indent: number, inline: boolean): void {
    do {
      this.#at++; // [ or ,
      if (!inline) this.#indent(indent);
      inline = false;
      this.put("- ");
      switch (this.#containerKind()) {
        case "object":
          this.#object(indent + 2, true);
          break;
        case "array":
          this.#array(indent + 2, true);
          break;
        default:
          this.#scalar();
          this.put("\n");
      }
    } while (this.#peek(0) === 0x2c);
    this.#at++;
  }

  #scalar(): void {
    const c = this.#peek(0);
    if (c === QUOTE) this.#string();
    else if (c === 0x7b) {
      this.put("{}");
      this.#at += 2;
    } else if (c === 0x5b) {
      this.put("[]");
      this.#at += 2;
    } else this.#word();
  }

  /** A number or a literal. */
  #word(): void {
    const text = this.#text;
    let word = "";
    let at = this.#at;
    for (; at < this.#end; at++) {
      const c = text.getUint8(at);
      if (c === 0x2c || c === 0x7d || c === 0x5d) break;
      word += String.fromCharCode(c);
    }
    this.#at = at;
    // A YAML 1.1 float needs a point, and a sign in the exponent.
    if (/^[-0-9]/.test(word) && /e/i.test(word)) {
      const [digits = "", exponent = ""] = word.split(/e/i);
      word = digits + (digits.includes(".") ? "" : ".0") + "e" +
        (/^[-+]/.test(exponent) ? "" : "+") + exponent;
    }
    this.put(word);
  }

  /** The index after the string that starts at the current position. */
  #stringEnd(): number {
    for (let i = this.#at + 1;; i++) {
      const c = this.#text.getUint8(i);
      if (c === QUOTE) return i + 1;
      if (c === BACKSLASH) i++;
    }
  }

  /** A key: bare where that is safe. */
  #key(): void {
    const text = this.#text;
    const start = this.#at + 1;
    let at = start;
    for (;; at++) {
      const c = text.getUint8(at);
      const letter = (c >= 0x61 && c <= 0x7a) || (c >= 0x41 && c <= 0x5a) || c === 0x5f;
      if (!letter && (at === start || !((c >= 0x30 && c <= 0x39) || c === 0x2d))) break;
    }
    const bare = at > start && text.getUint8(at) === QUOTE &&
      !(at - start <= 5 && RESERVED.test(this.#ascii(start, at)));
    if (!bare) return this.#doubleQuoted();
    this.#copy(start, at);
    this.#at = at + 1;
  }

  #ascii(start: number, end: number): string {
    let s = "";
    for (let i = start; i < end; i++) s += String.fromCharCode(this.#text.getUint8(i));
    return s;
  }

  #copy(start: number, end: number): void {
    const out = this.#out;
    out.reserve(end - start);
    const { dv } = out;
    let o = out.len;
    for (let i = start; i < end; i++) dv.setUint8(o++, this.#text.getUint8(i));
    out.len = o;
  }

  /** Prints a string value: in single quotes if it needs no escapes. */
  #string(): void {
    const text = this.#text;
    const start = this.#at + 1;
    let at = start;
    for (;; at++) {
      const c = text.getUint8(at);
      if (c === QUOTE) break;
      if (
        c === BACKSLASH || c === APOSTROPHE || c === 0x7f || (c >= 0xc2 && this.#special(at) > 0)
      ) {
        return this.#doubleQuoted();
      }
    }
    this.put("'");
    this.#copy(start, at);
    this.put("'");
    this.#at = at + 1;
  }

  /**
   * Prints the string at the current position in double quotes: YAML supports nearly all JSON
   * escapes.
   */
  #doubleQuoted(): void {
    const text = this.#text;
    const end = this.#stringEnd();
    let from = this.#at;
    for (let i = from; i < end; i++) {
      const c = text.getUint8(i);
      if (c === 0x7f || (c >= 0xc2 && this.#special(i) > 0)) {
        const code = c === 0x7f ? c : this.#special(i);
        this.#copy(from, i);
        this.put(`\\u${code.toString(16).padStart(4, "0")}`);
        i += code < 0x80 ? 0 : code < 0x800 ? 1 : 2;
        from = i + 1;
      } else if (c === BACKSLASH) {
        // YAML 1.1 does not support this one.
        if (text.getUint8(i + 1) === 0x2f) {
          this.#copy(from, i);
          from = i + 1;
        }
        i++;
      }
    }
    this.#copy(from, end);
    this.#at = end;
  }

  /**
   * The code of the character at `at` if it must be escaped, else 0. These are, for YAML: C1
   * controls and U+0085, U+2028, U+2029 (line breaks in YAML 1.1), U+FEFF, U+FFFE and U+FFFF; and
   * for terminals: text-direction characters, which cannot be escaped in single quotes.
   */
  #special(at: number): number {
    const text = this.#text;
    const c = text.getUint8(at);
    const b = text.getUint8(at + 1);
    if (c === 0xc2) return b < 0xa0 ? b : 0;
    if (c === 0xd8) return b === 0x9c ? 0x61c : 0;
    if (c !== 0xe2 && c !== 0xef) return 0;
    const code = (c & 15) << 12 | (b & 63) << 6 | text.getUint8(at + 2) & 63;
    const turning = code === 0x200e || code === 0x200f || (code >= 0x2028 && code <= 0x202e) ||
      (code >= 0x2066 && code <= 0x2069);
    return turning || code === 0xfeff || code >= 0xfffe ? code : 0;
  }
}
