/**
 * Finds out before any message is read that a filter can match none: it reads a key that no message
 * has, compares with a bare `error`, or yields no boolean. All of these are slips.
 *
 * @module
 */

import type { Node } from "./ast.ts";
import { literal } from "./literal.ts";
import { parse } from "./parser.ts";

/** A part of a filter because of which it matches nothing. */
export interface Hopeless {
  /** A `key` that no message has, or a `word` that was meant as a text. */
  readonly kind: "key" | "word";
  /** The key or the word. */
  readonly name: string;
  /** Where it starts in the text, if that is known. */
  readonly at: number | undefined;
}

/** The members of every message. */
const MEMBERS: readonly string[] = ["data", "meta", "seq", "time"];
/** Functions that make no sense as an operand, each also a common word. */
const WORDS: readonly string[] = ["error", "debug", "stderr", "empty", "halt", "input", "inputs"];
/** Functions whose first argument is evaluated on their input, and whose errors are errors. */
const TRANSPARENT: readonly string[] = ["select", "first", "last", "isempty", "any"];

/**
 * The part because of which a filter can match no message; undefined if it may match some.
 *
 * @param certain false to find also parts that are not always evaluated, such as the right side of
 *   `or`
 */
export function hopelessPart(node: Node, certain = true): Hopeless | undefined {
  return seek(node, true, certain);
}

/**
 * A key that a filter reads from the message although no message has it: `level` in `.seq == 1 or
 * .level == "error"`, where `.data.level` is meant.
 *
 * @param expression a filter that can be compiled
 */
export function strangeKey(expression: string): string | undefined {
  const part = hopelessPart(parse(expression), false);
  return part?.kind === "key" ? part.name : undefined;
}

/** `root`: the input is the whole message. */
function seek(node: Node, root: boolean, certain: boolean): Hopeless | undefined {
  const go = (child: Node | undefined, at = root) =>
    child === undefined ? undefined : seek(child, at, certain);
  switch (node.t) {
    case "index":
      return node.term.t === "id" ? root ? unknownMember(node) : undefined : go(node.term);
    case "slice":
    case "iterate":
      return go(node.term);
    case "pipe":
      return go(node.l) ?? go(node.r, root && keepsInput(node.l));
    case "and":
    case "comma":
      return go(node.l) ?? go(node.r);
    case "or":
      return go(node.l) ?? (certain ? undefined : go(node.r));
    case "alt":
      return certain ? undefined : go(node.l) ?? go(node.r);
    case "binary":
      return bareWord(node.l) ?? bareWord(node.r) ?? go(node.l) ?? go(node.r);
    case "neg":
      return go(node.body);
    case "as":
      return go(node.source) ?? go(node.body);
    case "if":
      return go(node.cond) ?? (certain ? undefined : go(node.then) ?? go(node.else));
    case "array":
    case "assign":
      return certain ? undefined : go(node.t === "array" ? node.body : node.l);
    case "call":
      return inCall(node, root, certain);
  }
  return undefined;
}

function inCall(
  node: Extract<Node, { t: "call" }>,
  root: boolean,
  certain: boolean,
): Hopeless | undefined {
  const { name, args: [first, second] } = node;
  if (first === undefined) return bareWord(node);
  if (!TRANSPARENT.includes(name)) return undefined;
  // any(f) tests the elements of its input, any(g; f) the outputs of g
  const overElements = name === "any" && second === undefined;
  return seek(first, root && !overElements, certain) ??
    (second === undefined ? undefined : seek(second, false, certain));
}

/** Whether the outputs are the input itself. */
function keepsInput(node: Node): boolean {
  return node.t === "id" || (node.t === "call" && node.name === "select");
}

function unknownMember({ key, opt, at }: Extract<Node, { t: "index" }>): Hopeless | undefined {
  const name = literal(key);
  if (opt || typeof name !== "string" || MEMBERS.includes(name)) return undefined;
  return { kind: "key", name, at };
}

function bareWord(node: Node): Hopeless | undefined {
  if (node.t !== "call" || node.args.length > 0 || !WORDS.includes(node.name)) return undefined;
  return { kind: "word", name: node.name, at: node.at };
}

/** What a filter yields instead of a boolean, as far as its form shows; undefined if it may be one. */
export function neverBoolean(node: Node): string | undefined {
  switch (node.t) {
    case "assign":
      return `the whole message, changed by the assignment ${node.op}. To compare, write ==`;
    case "str":
    case "format":
      return "a text";
    case "num":
    case "neg":
      return "a number";
    case "array":
      return "an array";
    case "object":
      return "an object";
    case "pipe":
      return neverBoolean(node.r.t === "id" ? node.l : node.r);
    case "comma":
      return neverBoolean(node.l);
    case "as":
    case "def":
    case "label":
      return neverBoolean(node.body);
  }
  return undefined;
}
