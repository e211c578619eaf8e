/**
 * What somebody meant who wrote a filter that is refused: the commonest slips, corrected. Loaded
 * only on errors.
 *
 * @module
 */

import type { Suggestion } from "../errors.ts";
import type { Node } from "./ast.ts";
import { Context } from "./context.ts";
import { childrenOf, elsewhere, isBuiltin, MEMBERS, nearest, unknownFunction } from "./diagnose.ts";
import { hopelessPart, neverBoolean } from "./hopeless.ts";
import { literal } from "./literal.ts";
import { compileNative } from "./native.ts";
import { FilterSyntaxError, parse } from "./parser.ts";
import { comparing, misplacedNot, respelled, type Rewritten } from "./spelling.ts";

/** The most slips corrected in one expression. */
const MOST = 12;
/** The longest expression that is looked at, in characters. */
const LONGEST = 4096;

/**
 * The corrected form of a filter that cannot be used; undefined if the slip is not a known one, or
 * the corrected form cannot be compiled either.
 *
 * @example
 * ```ts ignore
 * suggest('.data.level = error')?.expression; // .data.level == "error"
 * ```
 */
export function suggest(expression: string): Suggestion | undefined {
  if (expression.length > LONGEST) return undefined;
  let text = expression.trim();
  const reasons = new Set<string>();
  for (let n = 0; n < MOST; n++) {
    const next = corrected(text);
    if (next === undefined) break;
    if (next.text === text) return undefined;
    text = next.text.trim();
    reasons.add(next.why);
  }
  if (reasons.size === 0 || !compiles(text)) return undefined;
  return { expression: text, why: [...reasons].join("; ") };
}

function parsed(text: string): Node | undefined {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof FilterSyntaxError) return undefined;
    throw error;
  }
}

/** The expression with one slip corrected. */
function corrected(text: string): Rewritten | undefined {
  const node = parsed(text);
  if (node === undefined) return respelled(text);
  return quoted(node) ?? misplacedNot(text) ?? assigned(node, text) ?? unknownWord(node, text) ??
    hopeless(node, text);
}

/** A filter in quotes. */
function quoted(node: Node): Rewritten | undefined {
  const content = literal(node);
  if (typeof content !== "string" || !/[.=<>|]/.test(content)) return undefined;
  return { text: content, why: "the quotes around the whole expression are too many" };
}

/** `=` where a comparison is meant. */
function assigned(node: Node, text: string): Rewritten | undefined {
  return assigns(node) ? comparing(text) : undefined;
}

/** Whether the result of a filter, or of a condition in it, is that of an `=`. */
function assigns(node: Node): boolean {
  switch (node.t) {
    case "assign":
      return node.op === "=";
    case "pipe":
      return assigns(node.r) || (isCall(node.r, "not") && assigns(node.l));
    case "and":
    case "or":
    case "comma":
      return assigns(node.l) || assigns(node.r);
    case "as":
    case "def":
    case "label":
      return assigns(node.body);
    case "if":
      return assigns(node.cond) || assigns(node.then);
    case "call":
      return ["select", "any", "all"].includes(node.name) && node.args.some(assigns);
  }
  return false;
}

function isCall(node: Node, name: string): boolean {
  return node.t === "call" && node.name === name;
}

/** Where a word stands. */
interface Place {
  /** Whether its input is the whole message. */
  readonly root: boolean;
  /** Whether a value is expected there, rather than a path. */
  readonly value: boolean;
  /** Whether it is behind a pipe, where functions stand. */
  readonly piped: boolean;
}

/** A call of a function that does not exist. */
interface Unknown {
  readonly call: Extract<Node, { t: "call" }>;
  readonly place: Place;
}

const LITERALS: ReadonlyMap<string, string> = new Map([
  ["True", "true"],
  ["TRUE", "true"],
  ["yes", "true"],
  ["False", "false"],
  ["FALSE", "false"],
  ["no", "false"],
]);

/** A word that is no function: a text without quotes, or a path without its beginning. */
function unknownWord(node: Node, text: string): Rewritten | undefined {
  const found = findUnknown(node, { root: true, value: false, piped: false }, new Set());
  if (found === undefined) return undefined;
  const { call: { name, args, at }, place } = found;
  const put = (word: string, why: string): Rewritten => ({
    text: text.slice(0, at) + word + text.slice(at + name.length),
    why,
  });
  const known = elsewhere(name);
  if (args.length > 0) {
    const near = nearest(name);
    return near === undefined ? undefined : put(near, `there is no function ${name}`);
  }
  if (text === name) return searching(name);
  const constant = LITERALS.get(name) ?? (known === "null" ? known : undefined);
  if (place.value) {
    return constant === undefined
      ? put(JSON.stringify(name), "a text takes double quotes")
      : put(constant, `jq writes \`${constant}\``);
  }
  const near = place.piped ? nearest(name) : place.root ? undefined : known;
  if (near !== undefined) return put(near, `there is no function ${name}`);
  return place.root
    ? put(
      MEMBERS.get(name) ?? `.data.${name}`,
      "a path begins with a dot, and the data is in .data",
    )
    : put(`.${name}`, "a path begins with a dot");
}

function searching(word: string): Rewritten {
  return {
    text: `.data | tostring | contains(${JSON.stringify(word)})`,
    why: "a text alone is no condition; this looks for it in the data",
  };
}

/** Functions whose arguments are values, not conditions. */
const TAKES_VALUES =
  /^(?:IN|contains|inside|startswith|endswith|test|match|capture|has|in|index|rindex|indices|split|join|sub|gsub|ltrimstr|rtrimstr|trimstr|splits|scan)$/;

function findUnknown(node: Node, place: Place, own: ReadonlySet<string>): Unknown | undefined {
  const operand = { ...place, piped: false };
  switch (node.t) {
    case "call": {
      if (!own.has(node.name) && !isBuiltin(node.name, node.args.length)) {
        return { call: node, place };
      }
      const value = TAKES_VALUES.test(node.name);
      const root = place.root && !/^(?:map|any|all)$/.test(node.name);
      return firstOf(node.args, (arg) => findUnknown(arg, { root, value, piped: false }, own));
    }
    case "binary": {
      // a word is a text on the right, and on the left only beside a path
      const left = { ...operand, value: isWord(node.l) && isPath(node.r) };
      return findUnknown(node.l, left, own) ??
        findUnknown(node.r, { ...operand, value: true }, own);
    }
    case "pipe":
      return findUnknown(node.l, operand, own) ??
        findUnknown(node.r, { root: false, value: false, piped: true }, own);
    case "index":
      return findUnknown(node.term, { ...operand, value: false }, own) ??
        findUnknown(node.key, { ...operand, value: true }, own);
    case "array":
      return node.body === undefined ? undefined : findUnknown(node.body, operand, own);
    case "comma":
    case "and":
    case "or":
    case "alt":
      return findUnknown(node.l, operand, own) ?? findUnknown(node.r, operand, own);
    case "def": {
      const { name, params, body } = node.def;
      const names = new Set([...own, name, ...params.map((param) => param.replace(/^\$/, ""))]);
      return findUnknown(body, { root: false, value: false, piped: false }, names) ??
        findUnknown(node.body, operand, names);
    }
  }
  return firstOf(childrenOf(node), (child) => findUnknown(child, operand, own));
}

function isWord(node: Node): boolean {
  return node.t === "call" && node.args.length === 0;
}

function isPath(node: Node): boolean {
  return ["index", "slice", "iterate"].includes(node.t);
}

function firstOf<T, R>(items: readonly T[], find: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** A key that no message has, or a function where a text was meant. */
function hopeless(node: Node, text: string): Rewritten | undefined {
  const part = hopelessPart(node, false);
  if (part?.at === undefined) return undefined;
  const { kind, name, at } = part;
  const rest = text.slice(at);
  if (text === name) return searching(name);
  if (kind === "word") {
    return {
      text: text.slice(0, at) + JSON.stringify(name) + rest.slice(name.length),
      why: "a text takes double quotes",
    };
  }
  const place = name === "tags" ? ".meta" : ".data";
  return {
    text: text.slice(0, at) + place + rest,
    why: `messages have .data, .meta, .seq and .time, and no .${name}`,
  };
}

/** The formats of jq. */
const FORMATS = /^(?:text|json|html|uri|urid|csv|tsv|sh|base64|base64d|base32|base32d)$/;

/** Whether jq accepts an expression, and it may match a message. */
function compiles(text: string): boolean {
  const node = parsed(text);
  if (node === undefined || neverBoolean(node) !== undefined) return false;
  if (hopelessPart(node) !== undefined) return false;
  if (compileNative(node, new Context(Infinity)) !== undefined) return true;
  return unknownFunction(node) === undefined && isClosed(node);
}

/** Whether a tree has no name that jq might not know; some that it would know do not count. */
function isClosed(node: Node): boolean {
  if (["var", "break", "as", "reduce", "foreach"].includes(node.t)) return false;
  if (node.t === "format" && !FORMATS.test(node.name)) return false;
  if (node.t === "str" && node.format !== undefined && !FORMATS.test(node.format)) return false;
  return childrenOf(node).every(isClosed);
}
