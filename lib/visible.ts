/**
 * Makes invisible and control characters visible. Control characters can move a terminal's cursor,
 * hide text or act as commands; text-direction characters display a line in a different order.
 *
 * @module
 */

/** C0, DEL and C1 controls, line separators, and text-direction characters. */
const UNSAFE =
  // deno-lint-ignore no-control-regex
  /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
/**
 * The same without C0: characters that JSON text may contain and this program itself never writes.
 */
const BEYOND_C0 = /[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escape(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/**
 * Escapes unsafe characters as `\u202e`, so that data cannot control a terminal or reorder a line.
 */
export function visible(text: string): string {
  return text.replace(UNSAFE, escape);
}

/** Like {@linkcode visible}, but writes `\n`, `\r` and `\t` for these three. */
export function escapeControls(text: string): string {
  return text.replace(UNSAFE, (char) => SHORT[char] ?? escape(char));
}

/** The first unsafe character of a text, as `U+202E`; undefined when there is none. */
export function unsafeIn(text: string): string | undefined {
  const at = text.search(UNSAFE);
  return at < 0
    ? undefined
    : `U+${text.charCodeAt(at).toString(16).toUpperCase().padStart(4, "0")}`;
}

/**
 * Makes UTF-8 text safe for a terminal; line feeds and colour sequences are kept. In JSON the
 * escapes mean the same characters.
 */
export function forTerminal(bytes: Uint8Array): Uint8Array {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  const shown = text.replace(BEYOND_C0, escape);
  return shown === text ? bytes : new TextEncoder().encode(shown);
}
