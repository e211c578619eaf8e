/**
 * Rewrites what comes from other languages into jq, piece by piece: quotes, `&&`, `||`, `!`, `=`,
 * `level:error`, `text contains "x"`. For expressions that cannot be parsed, so it knows only pieces
 * of text and which of them belong together.
 *
 * @module
 */

/** A rewritten expression, and why. */
export interface Rewritten {
  /** The new text. */
  readonly text: string;
  /** The reason, as a sentence without a period. */
  readonly why: string;
}

const PIECE =
  /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|[“”„‟«»](?:[^“”„‟«»"])*["“”„‟«»]|[‘’‚‛][^‘’‚‛']*['‘’‚‛]|\s+|\.?[A-Za-z_]\w*|\d[\w.]*|===|!==|==|!=|<>|=~|&&|\|\||<=|>=|\/\/|[-+*/%|]=|\?\/\/|./gsu;

const PLAIN_PATH = /^\.?[A-Za-z_]\w*$/;
const OTHER_QUOTE = /^['`“”„‟«»‘’‚‛]/u;
const CALLED =
  "contains|startswith|endswith|test|inside|has|index|ltrimstr|rtrimstr|split|join|match";
const TESTS: ReadonlyMap<string, string> = new Map([
  ...CALLED.split("|").map((name) => [name, name] as const),
  ["includes", "contains"],
  ["startsWith", "startswith"],
  ["endsWith", "endswith"],
  ["matches", "test"],
]);

/** The text as pieces: strings, spaces, names with their dot, numbers and signs. */
function piecesOf(text: string): string[] {
  return text.match(PIECE) ?? [];
}

function isBlank(piece: string | undefined): boolean {
  return piece !== undefined && piece.trim() === "";
}

function isString(piece: string | undefined): boolean {
  return piece !== undefined && /^".*"$/s.test(piece) && piece.length > 1;
}

/** The content of a string in other quotes, as a jq string. */
function requoted(piece: string): string {
  const inner = piece.slice(1, -1).replaceAll(/\\(['`])/g, "$1");
  return `"${inner.replaceAll(/(\\.)|"/gs, (_, escaped) => escaped ?? '\\"')}"`;
}

/** Where the operand that ends before `end` begins: a path, a string, a group in parentheses. */
function operandStart(pieces: readonly string[], end: number): number {
  let start = end;
  for (let depth = 0; start > 0; start--) {
    const piece = pieces[start - 1] ?? "";
    if (piece === ")" || piece === "]") depth++;
    else if (piece === "(" || piece === "[") {
      if (--depth < 0) return start;
    } else if (
      depth === 0 && !PLAIN_PATH.test(piece) && !isString(piece) && !/^[.?\d]/.test(piece)
    ) {
      return start;
    }
  }
  return start;
}

/** Where the operand that begins at `start` ends. */
function operandEnd(pieces: readonly string[], start: number): number {
  let end = start;
  for (let depth = 0; end < pieces.length; end++) {
    const piece = pieces[end] ?? "";
    if (piece === "(" || piece === "[") depth++;
    else if (piece === ")" || piece === "]") {
      if (--depth < 0) return end;
    } else if (
      depth === 0 && !PLAIN_PATH.test(piece) && !isString(piece) && !/^[.?\d]/.test(piece)
    ) {
      return end;
    }
  }
  return end;
}

/** The place of the next piece that is not blank. */
function skipBlanks(pieces: readonly string[], from: number): number {
  let at = from;
  while (isBlank(pieces[at])) at++;
  return at;
}

/** The end of what is written before `at`, without blanks. */
function beforeBlanks(pieces: readonly string[], at: number): number {
  let end = at;
  while (end > 0 && isBlank(pieces[end - 1])) end--;
  return end;
}

function splice(pieces: readonly string[], from: number, to: number, text: string): string {
  return pieces.slice(0, from).join("") + text + pieces.slice(to).join("");
}

/** A sign for a word or another sign. */
const SIGNS: ReadonlyMap<string, readonly [string, string]> = new Map([
  ["&&", ["and", "jq writes `and`"]],
  ["AND", ["and", "jq writes `and`"]],
  ["And", ["and", "jq writes `and`"]],
  ["||", ["or", "jq writes `or`"]],
  ["OR", ["or", "jq writes `or`"]],
  ["Or", ["or", "jq writes `or`"]],
  ["===", ["==", "equal is written `==`"]],
  ["!==", ["!=", "not equal is written `!=`"]],
  ["<>", ["!=", "not equal is written `!=`"]],
  ["≠", ["!=", "not equal is written `!=`"]],
  ["≤", ["<=", "at most is written `<=`"]],
  ["≥", [">=", "at least is written `>=`"]],
]);

function quotes(pieces: readonly string[]): Rewritten | undefined {
  const other = pieces.filter((piece) => OTHER_QUOTE.test(piece) && piece.length > 1);
  if (other.length === 0) return undefined;
  const [only = ""] = other;
  if (pieces.join("").trim() === only && /[.=<>|"]/.test(only)) {
    return {
      text: only.slice(1, -1),
      why: "the quotes around the whole expression are the shell's",
    };
  }
  const text = pieces.map((piece) =>
    OTHER_QUOTE.test(piece) && piece.length > 1 ? requoted(piece) : piece
  ).join("");
  return { text, why: "a text takes straight double quotes" };
}

function signs(pieces: readonly string[]): Rewritten | undefined {
  const reasons = new Set<string>();
  const text = pieces.map((piece, at) => {
    const [sign, why] = SIGNS.get(piece) ?? [];
    if (sign === undefined || why === undefined) return piece;
    reasons.add(why);
    const [before, after] = /^[a-z]/.test(sign)
      ? [at === 0 || isBlank(pieces[at - 1]) ? "" : " ", isBlank(pieces[at + 1]) ? "" : " "]
      : ["", ""];
    return before + sign + after;
  }).join("");
  return reasons.size === 0 ? undefined : { text, why: [...reasons].join("; ") };
}

/** `!.data.ok`, `NOT .data.ok`, `not .data.ok`. */
function negation(pieces: readonly string[]): Rewritten | undefined {
  for (const [at, piece] of pieces.entries()) {
    if (piece !== "!" && !/^not$/i.test(piece)) continue;
    const start = skipBlanks(pieces, at + 1);
    if (piece !== "!" && !/^[.(]/.test(pieces[start] ?? "")) continue;
    const end = operandEnd(pieces, start);
    if (end === start) continue;
    const operand = pieces.slice(start, end).join("");
    return {
      text: splice(pieces, at, end, `(${operand} | not)`),
      why: "not comes behind: `| not`",
    };
  }
  return undefined;
}

/** `.data.text =~ /x/i`, `.data.text contains "x"`, `.data.text.contains("x")`. */
function tests(pieces: readonly string[]): Rewritten | undefined {
  for (const [at, piece] of pieces.entries()) {
    const method = /^\.\w/.test(piece) && pieces[at + 1] === "("
      ? TESTS.get(piece.slice(1))
      : undefined;
    if (method !== undefined) {
      const start = operandStart(pieces, at);
      const end = operandEnd(pieces, at + 1);
      if (start === at) continue;
      const call = method + pieces.slice(at + 1, end).join("");
      const operand = pieces.slice(start, at).join("");
      return {
        text: splice(pieces, start, end, `(${operand} | ${call})`),
        why: "a value goes into a function through a pipe",
      };
    }
    const name = piece === "=~"
      ? "test"
      : TESTS.get(piece) ?? (piece === "like" ? "contains" : undefined);
    const argument = skipBlanks(pieces, at + 1);
    const end = beforeBlanks(pieces, at);
    const start = operandStart(pieces, end);
    if (name === undefined || start === end || !isString(pieces[argument])) continue;
    const operand = pieces.slice(start, end).join("");
    return {
      text: splice(pieces, start, argument + 1, `(${operand} | ${name}(${pieces[argument]}))`),
      why: "a value goes into a function through a pipe",
    };
  }
  return undefined;
}

/** `.data.level in ["warn", "error"]`. */
function membership(pieces: readonly string[]): Rewritten | undefined {
  for (const [at, piece] of pieces.entries()) {
    const open = skipBlanks(pieces, at + 1);
    if (!/^in$/i.test(piece) || !/^[[(]$/.test(pieces[open] ?? "")) continue;
    const end = beforeBlanks(pieces, at);
    const start = operandStart(pieces, end);
    const close = operandListEnd(pieces, open);
    if (start === end || close === undefined) continue;
    const list = pieces.slice(open + 1, close - 1).join("");
    const operand = pieces.slice(start, end).join("");
    return {
      text: splice(pieces, start, close, `(${operand} | IN(${list}))`),
      why: "one of several is `IN(…)`, behind a pipe",
    };
  }
  return undefined;
}

/** The end of a list in brackets that begins at `open`. */
function operandListEnd(pieces: readonly string[], open: number): number | undefined {
  let depth = 0;
  for (let at = open; at < pieces.length; at++) {
    if (/^[[(]$/.test(pieces[at] ?? "")) depth++;
    else if (/^[\])]$/.test(pieces[at] ?? "") && --depth === 0) return at + 1;
  }
  return undefined;
}

/** `=` and, outside brackets, `level:error`. */
function equals(pieces: readonly string[]): Rewritten | undefined {
  let depth = 0;
  let changed = false;
  const text = pieces.map((piece, at) => {
    if (/^[{[(]$/.test(piece)) depth++;
    if (/^[}\])]$/.test(piece)) depth--;
    const isWord = /^is$/i.test(piece) && isBlank(pieces[at - 1]) && isBlank(pieces[at + 1]);
    const isColon = piece === ":" && depth === 0 && PLAIN_PATH.test(pieces[at - 1] ?? "");
    if (piece !== "=" && !isColon && !isWord) return piece;
    changed = true;
    return isColon ? ` ==${isBlank(pieces[at + 1]) ? "" : " "}` : "==";
  }).join("");
  return changed ? { text, why: "equal is written `==`" } : undefined;
}

/** A text without its last quote. */
function unclosed(pieces: readonly string[]): Rewritten | undefined {
  if (!pieces.includes('"')) return undefined;
  return { text: `${pieces.join("")}"`, why: "the text has no closing quote" };
}

/** `$.data.level`. */
function jsonPath(pieces: readonly string[]): Rewritten | undefined {
  const kept = pieces.filter((piece, at) => piece !== "$" || !pieces[at + 1]?.startsWith("."));
  if (kept.length === pieces.length) return undefined;
  return { text: kept.join(""), why: "a path begins with a dot" };
}

/** One rewriting of an expression that cannot be parsed; undefined if nothing is recognised. */
export function respelled(text: string): Rewritten | undefined {
  const plain = text.replaceAll(/[\u00a0\u2000-\u200b\u202f\ufeff]/g, " ");
  const pieces = piecesOf(plain);
  for (const rule of [unclosed, quotes, signs, jsonPath, negation, tests, membership, equals]) {
    const found = rule(pieces);
    if (found !== undefined && found.text !== text) return found;
  }
  return plain === text ? undefined : { text: plain, why: "it has spaces of another kind" };
}

/** `not .data.ok`, which jq reads as a key of a boolean. */
export function misplacedNot(text: string): Rewritten | undefined {
  return negation(piecesOf(text));
}

/** Every `=` as `==`. */
export function comparing(text: string): Rewritten | undefined {
  return equals(piecesOf(text));
}
