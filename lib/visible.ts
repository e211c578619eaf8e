/**
 * Text that looks like what it is. Controls can move a terminal's cursor, hide text or run as its
 * commands; marks of the writing direction show a line in another order than it has.
 *
 * @module
 */

/** C0, DEL and C1 controls, line separators, and the marks of the writing direction. */
const UNSAFE =
  // deno-lint-ignore no-control-regex
  /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
/** The same without C0: what may be in JSON text, and is in nothing that this program writes itself. */
const BEYOND_C0 = /[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escape(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** Shows what is unsafe as `\u202e`, so that data cannot drive a terminal or reorder a line. */
export function visible(text: string): string {
  return text.replace(UNSAFE, escape);
}

/** As {@linkcode visible}, with `\n`, `\r` and `\t` for these three. */
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
 * Text, as UTF-8, as it may go to a terminal: line feeds and the sequences of colours stay. In JSON
 * what is escaped stands for the same as before.
 */
export function forTerminal(bytes: Uint8Array): Uint8Array {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  const shown = text.replace(BEYOND_C0, escape);
  return shown === text ? bytes : new TextEncoder().encode(shown);
}
