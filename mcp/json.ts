/**
 * Exact JSON in both directions of the protocol: 64-bit integers and the order of keys such as
 * `"10"` are preserved, unlike with `JSON.parse` and `JSON.stringify`.
 *
 * The SDK parses, copies and prints plain values. JSON that must stay text passes through it as a
 * string in an object with a secret key ({@linkcode wrap}), and is restored when the answer is
 * printed ({@linkcode unwrap}).
 *
 * @module
 */

/** The deepest nesting, as everywhere in Plasmite (docs/spec/command-line.md 1.5). */
const MAX_LEVELS = 127;

/** The position of a value in a text. */
export interface Span {
  /** Index of its first character. */
  readonly start: number;
  /** Index after its last character. */
  readonly end: number;
}

let secret: string | undefined;

/** The key that marks text; random, so that no message can contain it. */
function key(): string {
  return secret ??= `plasmite:${crypto.randomUUID()}`;
}

/** Wraps JSON text in an object for the SDK. */
export function wrap(json: string): { [key: string]: unknown } {
  // A line break can only be white space between values; it would end the line of the protocol.
  return { [key()]: /[\r\n]/.test(json) ? json.replace(/[\r\n]+/g, " ") : json };
}

/** The text in a wrapper; undefined if the value is not a wrapper. */
export function wrapped(value: unknown): string | undefined {
  if (value === null || typeof value !== "object" || secret === undefined) return undefined;
  const text = (value as { [key: string]: unknown })[secret];
  return typeof text === "string" ? text : undefined;
}

/** Replaces all wrappers in printed JSON with their text. */
export function unwrap(json: string): string {
  if (secret === undefined) return json;
  const mark = `{"${secret}":`;
  let at = json.indexOf(mark);
  if (at < 0) return json;
  let out = "";
  let from = 0;
  while (at >= 0) {
    const start = at + mark.length;
    const end = skipString(json, start);
    out += json.slice(from, at) + (JSON.parse(json.slice(start, end)) as string);
    from = end + 1;
    at = json.indexOf(mark, from);
  }
  return out + json.slice(from);
}

/** The index after the string that starts at `at` in valid JSON. */
function skipString(text: string, at: number): number {
  let end = at;
  for (;;) {
    end = text.indexOf('"', end + 1);
    if (end < 0) return text.length;
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === 0x5c) slashes++;
    if (slashes % 2 === 0) return end + 1;
  }
}

function skipSpace(text: string, at: number): number {
  let i = at;
  for (;; i++) {
    const c = text.charCodeAt(i);
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return i;
  }
}

/** The index after the value that starts at `at`, and its depth. */
function skipValue(text: string, at: number): { end: number; levels: number } {
  let depth = 0;
  let levels = 0;
  let i = at;
  do {
    const c = text.charCodeAt(i);
    if (c === 0x22) i = skipString(text, i);
    else if (c === 0x7b || c === 0x5b) {
      levels = Math.max(levels, ++depth);
      i++;
    } else if (c === 0x7d || c === 0x5d) {
      depth--;
      i++;
    } else if (depth > 0) i++;
    else while (i < text.length && !",]} \n\r\t".includes(text.charAt(i))) i++;
  } while (depth > 0 && i < text.length);
  return { end: i, levels };
}

/** The members of the object at `at` in valid JSON; of repeated keys the last one. */
export function members(text: string, at: number): Map<string, Span> {
  const found = new Map<string, Span>();
  let i = skipSpace(text, skipSpace(text, at) + 1);
  while (text.charCodeAt(i) === 0x22) {
    const keyEnd = skipString(text, i);
    const name = JSON.parse(text.slice(i, keyEnd)) as string;
    const start = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const { end } = skipValue(text, start);
    found.set(name, { start, end });
    i = skipSpace(text, end);
    if (text.charCodeAt(i) !== 0x2c) break;
    i = skipSpace(text, i + 1);
  }
  return found;
}

/** The elements of the array at `at` in valid JSON. */
export function elements(text: string, at: number): Span[] {
  const found: Span[] = [];
  let i = skipSpace(text, skipSpace(text, at) + 1);
  while (i < text.length && text.charCodeAt(i) !== 0x5d) {
    const { end } = skipValue(text, i);
    found.push({ start: i, end });
    i = skipSpace(text, end);
    if (text.charCodeAt(i) !== 0x2c) break;
    i = skipSpace(text, i + 1);
  }
  return found;
}

/**
 * The first violation of the strict rules of docs/spec/agents.md 1 in valid JSON: lone surrogates,
 * more than 127 levels. `JSON.parse` accepts both.
 */
export function strictProblem(text: string): string | undefined {
  if (skipValue(text, skipSpace(text, 0)).levels > MAX_LEVELS) {
    return `more than ${MAX_LEVELS} levels of nesting`;
  }
  if (/\\u[dD][89a-fA-F]/.test(text)) {
    const rest = text.replaceAll("\\\\", "")
      .replace(/\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}/g, "");
    if (/\\u[dD][89a-fA-F]/.test(rest)) return "half of a surrogate pair";
  }
  return undefined;
}

/**
 * The JSON text in a string that contains a value of a kind, which some models send instead of it.
 *
 * @param opening the first character of that kind, `{` or `[`
 */
export function insideString(value: string, opening: "{" | "["): string | undefined {
  const text = value.trim();
  if (!text.startsWith(opening)) return undefined;
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  return strictProblem(text) === undefined ? text : undefined;
}
