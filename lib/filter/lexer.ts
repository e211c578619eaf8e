/**
 * The jq lexer: splits filter text into tokens with offsets. A string is one token; expressions
 * inside `\(…)` are kept as text ranges for the parser.
 *
 * @module
 */

/** A syntax error with its position; `where.ts` converts it to a `Usage` error. */
export class FilterSyntaxError extends Error {
  /** Offset in the filter text, in UTF-16 code units. */
  readonly offset: number;

  /** Creates an error at `offset`. */
  constructor(message: string, offset: number) {
    super(message);
    this.name = "FilterSyntaxError";
    this.offset = offset;
  }
}

/** The kind of a token. `op` covers operators, brackets and keywords that need no value. */
export type TokenKind =
  | "op"
  | "field"
  | "ident"
  | "keyword"
  | "var"
  | "num"
  | "str"
  | "fmt"
  | "end";

/** A piece of a string literal: plain text, or the range of an interpolated expression. */
export type StringPart = string | { readonly start: number; readonly end: number };

/** One token. */
export interface Token {
  readonly kind: TokenKind;
  /** The operator, name or number text; for strings the empty text. */
  readonly text: string;
  /** Where it starts. */
  readonly start: number;
  /** Where it ends. */
  readonly end: number;
  /** Strings only: their pieces. */
  readonly parts?: readonly StringPart[];
}

const KEYWORDS = "|def|module|import|include|if|then|else|elif|end|and|or|as|reduce|foreach|try|" +
  "catch|label|__loc__|";
const NAME = /[a-zA-Z_][a-zA-Z_0-9]*/y;
const IDENT = /(?:[a-zA-Z_][a-zA-Z_0-9]*::)*[a-zA-Z_][a-zA-Z_0-9]*/y;
const NUMBER = /(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?/y;
const OPERATOR =
  /\?\/\/=?|\/\/=|\|=|\+=|-=|\*=|\/=|%=|==|!=|<=|>=|\/\/|\.\.|[.[\]{}()|,:;=<>+\-*/%?$]/y;
/** The deepest nesting of strings in interpolations. */
const MAX_STRING_DEPTH = 32;

function at(pattern: RegExp, text: string, offset: number): string | undefined {
  pattern.lastIndex = offset;
  return pattern.exec(text)?.[0];
}

/** Whether a name is a keyword; keywords are restricted only as function names. */
function isKeyword(name: string): boolean {
  return KEYWORDS.includes(`|${name}|`);
}

/** Splits `text[start..end)` into tokens; the last one has kind `end`. */
export function tokenize(text: string, start: number, end: number): Token[] {
  const tokens: Token[] = [];
  let offset = start;
  while ((offset = skipBlank(text, offset, end)) < end) {
    const token = next(text, offset, end);
    tokens.push(token);
    offset = token.end;
  }
  tokens.push({ kind: "end", text: "", start: end, end });
  return tokens;
}

function next(text: string, start: number, end: number): Token {
  const char = text[start];
  const make = (kind: TokenKind, value: string, length: number): Token => {
    if (start + length > end) throw new FilterSyntaxError("unexpected end of expression", end);
    return { kind, text: value, start, end: start + length };
  };
  if (char === '"') {
    const { parts, end: stop } = readString(text, start, end, 0);
    return { kind: "str", text: "", start, end: stop, parts };
  }
  const number = at(NUMBER, text, start);
  if (number !== undefined) return make("num", number, number.length);
  if (char === ".") {
    const name = at(NAME, text, start + 1);
    if (name !== undefined) return make("field", name, name.length + 1);
  }
  if (char === "$") {
    const name = at(IDENT, text, start + 1);
    if (name !== undefined) return make("var", name, name.length + 1);
  }
  if (char === "@") {
    const name = at(/[a-zA-Z0-9_]+/y, text, start + 1);
    if (name !== undefined) return make("fmt", name, name.length + 1);
  }
  const ident = at(IDENT, text, start);
  if (ident !== undefined) return make(isKeyword(ident) ? "keyword" : "ident", ident, ident.length);
  const operator = at(OPERATOR, text, start);
  if (operator === undefined || operator === "$") {
    const found = String.fromCodePoint(text.codePointAt(start) ?? 0);
    throw new FilterSyntaxError(`unexpected character ${JSON.stringify(found)}`, start);
  }
  // `?//=` is `?` and `//=`; jq has only `?//`
  if (operator === "?//=") return make("op", "?", 1);
  return make("op", operator, operator.length);
}

/** Spaces and comments; a backslash before the line end continues a comment (jq 1.7). */
function skipBlank(text: string, offset: number, end: number): number {
  for (; offset < end; offset++) {
    const char = text[offset];
    if (char === " " || char === "\t" || char === "\n" || char === "\r") continue;
    if (char !== "#") break;
    while (offset < end && text[offset] !== "\n") {
      offset += text[offset] === "\\" ? (text.startsWith("\\\r\n", offset) ? 3 : 2) : 1;
    }
  }
  return Math.min(offset, end);
}

function readString(text: string, start: number, end: number, depth: number) {
  if (depth > MAX_STRING_DEPTH) throw new FilterSyntaxError("expression too deeply nested", start);
  const parts: StringPart[] = [];
  let plain = "";
  let offset = start + 1;
  for (;;) {
    if (offset >= end) throw new FilterSyntaxError("unterminated string", start);
    const char = text[offset] ?? "";
    if (char === '"') break;
    if (char !== "\\") {
      plain += char;
      offset++;
      continue;
    }
    const escape = text[offset + 1] ?? "";
    if (escape === "(") {
      const stop = skipInterpolation(text, offset + 2, end, depth);
      if (plain !== "") parts.push(plain);
      plain = "";
      parts.push({ start: offset + 2, end: stop });
      offset = stop + 1;
      continue;
    }
    const [decoded, length] = readEscape(text, offset);
    plain += decoded;
    offset += length;
  }
  if (plain !== "" || parts.length === 0) parts.push(plain);
  // lone surrogate escapes become U+FFFD, as in jq
  return { parts: parts.map((p) => typeof p === "string" ? p.toWellFormed() : p), end: offset + 1 };
}

function readEscape(text: string, offset: number): [string, number] {
  const escape = text[offset + 1] ?? "";
  if (escape === "u") {
    const hex = at(/[0-9a-fA-F]{4}/y, text, offset + 2);
    if (hex !== undefined) return [String.fromCharCode(parseInt(hex, 16)), 6];
  } else {
    const index = 'bfnrt"\\/'.indexOf(escape);
    if (escape !== "" && index >= 0) return ['\b\f\n\r\t"\\/'.charAt(index), 2];
  }
  throw new FilterSyntaxError(`invalid escape ${JSON.stringify("\\" + escape)} in string`, offset);
}

/** Skips from after `\(` to the matching `)`. */
function skipInterpolation(text: string, start: number, end: number, depth: number): number {
  let open = 1;
  for (let offset = start; (offset = skipBlank(text, offset, end)) < end;) {
    const char = text[offset];
    if (char === '"') {
      offset = readString(text, offset, end, depth + 1).end;
      continue;
    }
    if (char === "(") open++;
    if (char === ")" && --open === 0) return offset;
    offset++;
  }
  throw new FilterSyntaxError("unterminated string interpolation", start - 2);
}
