/**
 * JSON at the edge of the protocol, exact where `JSON.parse` and `JSON.stringify` are not: 64-bit
 * integers and the order of keys such as `"10"` survive in both directions.
 *
 * The SDK in the middle parses, copies and prints plain values. What must stay text travels through
 * it as one string inside an object with a secret key ({@linkcode wrap}) and is put back as text
 * when the answer is printed ({@linkcode unwrap}).
 *
 * @module
 */

/** Deeper text is refused, as everywhere in Plasmite (docs/spec/command-line.md 1.5). */
const MAX_LEVELS = 127;

/** Where a value stands in a text. */
export interface Span {
  /** Index of its first character. */
  readonly start: number;
  /** Index behind its last one. */
  readonly end: number;
}

let secret: string | undefined;

/** The key that marks text; random, so that no message can contain it. */
function key(): string {
  return secret ??= `plasmite:${crypto.randomUUID()}`;
}

/** JSON text as a plain object that the SDK hands through. */
export function wrap(json: string): { [key: string]: unknown } {
  // A line break can only be white space between values, and would end a line of the protocol.
  return { [key()]: /[\r\n]/.test(json) ? json.replace(/[\r\n]+/g, " ") : json };
}

/** The text inside a wrapper, or undefined if it is none. */
export function wrapped(value: unknown): string | undefined {
  if (value === null || typeof value !== "object" || secret === undefined) return undefined;
  const text = (value as { [key: string]: unknown })[secret];
  return typeof text === "string" ? text : undefined;
}

/** Puts the text of every wrapper in printed JSON back in its place. */
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

/** Index behind the string that begins at `at`; the text is valid JSON. */
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

/** Index behind the value that begins at `at`, and how deep it is nested. */
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

/** The members of the object at `at` in valid JSON text; of a repeated key the last one counts. */
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

/** The elements of the array at `at` in valid JSON text. */
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
 * What the strict rules of docs/spec/agents.md 1 have against valid JSON text: half surrogate pairs,
 * more than 127 levels. `JSON.parse` takes both.
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
 * The JSON text inside a string that holds a value of this kind: what some models send for it.
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
