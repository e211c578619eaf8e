/**
 * The fast form of a filter: a predicate on the bytes of a message. Paths are keys with precomputed
 * hashes, comparisons happen in place, and nothing is decoded or allocated.
 *
 * It covers paths and literals, comparisons between them, `and`, `or`, `not`, `if`, `select`,
 * `has`, the string tests, and `any`/`all` over an array. The rest is `native.ts`.
 *
 * @module
 */

import { Lite3Key, Tag } from "../lite3/layout.ts";
import type { BinaryOp, Node } from "./ast.ts";
import type { Context } from "./context.ts";
import { type ByteTest, comparator, compareInPlace, find, same } from "./inplace.ts";
import { literal } from "./literal.ts";
import { matchCost, translate } from "./regex.ts";
import { load, type Value } from "./values.ts";

/** The result of a predicate: `false`. */
export const FALSE = 0;
/** `true`. */
export const TRUE = 1;
/** A runtime error. */
export const FAILED = 2;
/** No output. */
export const NOTHING = 3;
/** A truthy value that is not a boolean. */
export const TRUTHY = 4;
/** `null`. */
export const NULL = 5;

/** Evaluates the value at an offset of the context's document, or the envelope (`ROOT`). */
export type Predicate = (at: number) => number;
/** Finds a value: its offset, or one of the two constants below. */
type Locator = (at: number) => number;

const NOT_THERE = -2;
const SKIPPED = -3;

/** Compiles a filter on the whole envelope, or returns undefined if it has no fast form. */
export function compilePredicate(node: Node, context: Context): Predicate | undefined {
  return new Compiler(context).predicate(node, true);
}

function code(value: boolean): number {
  return value ? TRUE : FALSE;
}

/** Converts a locator's failure to an outcome. */
function absent(at: number): number {
  return at === SKIPPED ? NOTHING : FAILED;
}

function isTrue(outcome: number): boolean {
  return outcome === TRUE || outcome === TRUTHY;
}

class Compiler {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** `root`: the input is the envelope; otherwise it is a value in the document. */
  predicate(node: Node, root: boolean): Predicate | undefined {
    const constant = literal(node);
    if (constant !== undefined) {
      const outcome = typeof constant === "boolean"
        ? code(constant)
        : constant === null
        ? NULL
        : TRUTHY;
      return () => outcome;
    }
    switch (node.t) {
      case "and":
      case "or":
        return this.#logic(
          node.t === "or",
          this.predicate(node.l, root),
          this.predicate(node.r, root),
        );
      case "binary":
        return this.#comparison(node.op, node.l, node.r, root);
      case "pipe":
        return this.#pipe(node.l, node.r, root);
      case "if":
        return this.#if(node, root);
      case "call":
        return this.#call(node.name, node.args, root);
      case "id":
      case "index":
        return this.#truth(node, root);
    }
    return undefined;
  }

  /** A path used as a condition: its value may be anything. */
  #truth(node: Node, root: boolean): Predicate | undefined {
    const locate = this.#locator(node, root);
    if (locate === undefined) return undefined;
    const context = this.#context;
    return (at) => {
      const found = locate(at);
      if (found < 0) return absent(found);
      const tag = context.doc.tag(found);
      if (tag === Tag.Bool) return code(context.doc.bool(found));
      return tag === Tag.Null ? NULL : TRUTHY;
    };
  }

  #logic(or: boolean, l: Predicate | undefined, r: Predicate | undefined): Predicate | undefined {
    if (l === undefined || r === undefined) return undefined;
    return (at) => {
      const a = l(at);
      if (a === FAILED || a === NOTHING) return a;
      if (isTrue(a) === or) return or ? TRUE : FALSE;
      const b = r(at);
      return b === FAILED || b === NOTHING ? b : code(isTrue(b));
    };
  }

  #if(node: Extract<Node, { t: "if" }>, root: boolean): Predicate | undefined {
    const cond = this.predicate(node.cond, root);
    const yes = this.predicate(node.then, root);
    const no = node.else === undefined ? undefined : this.predicate(node.else, root);
    if (cond === undefined || yes === undefined || no === undefined) return undefined;
    return (at) => {
      const c = cond(at);
      return c === FAILED || c === NOTHING ? c : isTrue(c) ? yes(at) : no(at);
    };
  }

  #pipe(l: Node, r: Node, root: boolean): Predicate | undefined {
    if (r.t === "call" && r.name === "not" && r.args.length === 0) {
      const inner = this.predicate(l, root);
      if (inner === undefined) return undefined;
      return (at) => {
        const a = inner(at);
        return a === FAILED || a === NOTHING ? a : code(!isTrue(a));
      };
    }
    if (l.t === "call" && l.name === "select" && l.args.length === 1) {
      return this.#select(l.args[0], r, root);
    }
    const locate = this.#locator(l, root);
    const next = locate === undefined ? undefined : this.predicate(r, false);
    if (locate === undefined || next === undefined) return undefined;
    return (at) => {
      const found = locate(at);
      return found < 0 ? absent(found) : next(found);
    };
  }

  #select(cond: Node | undefined, then: Node, root: boolean): Predicate | undefined {
    const test = cond === undefined ? undefined : this.predicate(cond, root);
    const next = this.predicate(then, root);
    if (test === undefined || next === undefined) return undefined;
    return (at) => {
      const c = test(at);
      return c === FAILED || c === NOTHING ? c : isTrue(c) ? next(at) : NOTHING;
    };
  }

  /** Paths of fixed keys and indexes from the input into the document. */
  #locator(node: Node, root: boolean): Locator | undefined {
    const context = this.#context;
    if (node.t === "id") return root ? undefined : (at) => at;
    if (node.t !== "index") return undefined;
    const key = literal(node.key);
    const miss = node.opt ? SKIPPED : NOT_THERE;
    if (root && node.term.t === "id") {
      return key === "data" ? () => context.dataAt : undefined;
    }
    if (root && isMeta(node.term)) return key === "tags" ? () => context.tagsAt : undefined;
    const term = this.#locator(node.term, root);
    if (term === undefined) return undefined;
    if (typeof key === "string") {
      const prepared = new Lite3Key(key);
      return (at) => {
        const parent = term(at);
        if (parent < 0) return parent;
        const { doc } = context;
        if (doc.tag(parent) !== Tag.Object) return miss;
        const found = doc.lookup(parent, prepared);
        return found < 0 ? miss : found;
      };
    }
    if (typeof key !== "number" || !Number.isInteger(key) || Math.abs(key) > 1e9) return undefined;
    return (at) => {
      const parent = term(at);
      if (parent < 0) return parent;
      const { doc } = context;
      if (doc.tag(parent) !== Tag.Array) return miss;
      const place = key < 0 ? key + doc.count(parent) : key;
      const found = place < 0 ? -1 : doc.element(parent, place);
      return found < 0 ? miss : found;
    };
  }

  #comparison(op: BinaryOp, l: Node, r: Node, root: boolean): Predicate | undefined {
    const accept = ACCEPT[op];
    if (accept === undefined) return undefined;
    const right = literal(r);
    const locate = this.#locator(l, root);
    if (locate !== undefined && right !== undefined) return this.#against(locate, right, accept);
    const left = literal(l);
    const other = this.#locator(r, root);
    if (left !== undefined && other !== undefined) {
      return this.#against(other, left, mirror(accept));
    }
    if (locate === undefined || other === undefined) return undefined;
    const context = this.#context;
    return (at) => {
      const b = other(at);
      if (b < 0) return absent(b);
      const a = locate(at);
      if (a < 0) return absent(a);
      return code((accept & (1 << (compareInPlace(context.doc, a, b) + 1))) !== 0);
    };
  }

  /** Compares a value in the document with a constant. */
  #against(locate: Locator, constant: Value, accept: number): Predicate {
    const context = this.#context;
    const compare = comparator(constant);
    return (at) => {
      const found = locate(at);
      if (found < 0) return absent(found);
      return code((accept & (1 << (compare(context.doc, found) + 1))) !== 0);
    };
  }

  #call(name: string, args: readonly Node[], root: boolean): Predicate | undefined {
    const [first, second] = args;
    if (name === "any" || name === "all") {
      const generator = second === undefined ? undefined : first;
      return this.#quantifier(name === "any", generator, second ?? first, root);
    }
    if (first === undefined || root) return undefined;
    const text = literal(first);
    if (typeof text !== "string") return undefined;
    if (second !== undefined) {
      const flags = literal(second);
      if (name !== "test" || args.length > 2) return undefined;
      return typeof flags === "string" ? this.#test(text, flags) : undefined;
    }
    switch (name) {
      case "test":
        return this.#test(text, "");
      case "contains":
        return this.#bytes(text, find);
      case "startswith":
        return this.#bytes(
          text,
          (doc, start, length, bytes) => bytes.byteLength <= length && same(doc, start, bytes),
        );
      case "endswith":
        return this.#bytes(
          text,
          (doc, start, length, bytes) =>
            bytes.byteLength <= length && same(doc, start + length - bytes.byteLength, bytes),
        );
      case "has":
        return this.#has(new Lite3Key(text));
    }
    return undefined;
  }

  #has(key: Lite3Key): Predicate {
    const context = this.#context;
    return (at) => {
      const tag = context.doc.tag(at);
      if (tag === Tag.Null) return FALSE;
      return tag === Tag.Object ? code(context.doc.lookup(at, key) >= 0) : FAILED;
    };
  }

  #bytes(text: string, test: ByteTest): Predicate {
    const context = this.#context;
    const encoded = new TextEncoder().encode(text);
    const wanted = new DataView(encoded.buffer, encoded.byteOffset, encoded.byteLength);
    return (at) => {
      const { doc } = context;
      const tag = doc.tag(at);
      if (tag !== Tag.String) {
        if (tag !== Tag.Bytes) return FAILED;
        const shown = new TextEncoder().encode(String(load(doc, at)));
        const view = new DataView(shown.buffer, shown.byteOffset, shown.byteLength);
        return code(test({ dv: view }, 0, shown.length, wanted));
      }
      const length = doc.stringLength(at);
      context.tick(length >>> 5);
      return code(test(doc, doc.stringStart(at), length, wanted));
    };
  }

  #test(pattern: string, flags: string): Predicate | undefined {
    const translated = translate(pattern, flags);
    if (translated === undefined) return undefined;
    const { literal: plain, regexp, effort } = translated;
    if (plain !== undefined) return this.#bytes(plain, find);
    const context = this.#context;
    return (at) => {
      const v = load(context.doc, at);
      if (typeof v !== "string") return FAILED;
      context.tick(matchCost(v.length, effort));
      return code(regexp.test(v));
    };
  }

  /** `any(cond)` on a container, `any(PATH[]; cond)`, and `all` likewise. */
  #quantifier(
    any: boolean,
    generator: Node | undefined,
    condition: Node | undefined,
    root: boolean,
  ): Predicate | undefined {
    const container: Node | undefined = generator === undefined
      ? { t: "id" }
      : generator.t === "iterate" && !generator.opt
      ? generator.term
      : undefined;
    const locate = container === undefined ? undefined : this.#locator(container, root);
    const test = this.predicate(condition ?? { t: "id" }, false);
    if (locate === undefined || test === undefined) return undefined;
    const context = this.#context;
    return (at) => {
      const found = locate(at);
      // nothing to iterate over when the path was optional
      if (found < 0) return found === SKIPPED ? code(!any) : FAILED;
      const { doc } = context;
      const tag = doc.tag(found);
      if (tag < Tag.Object) return FAILED;
      const entries = doc.entries(found);
      context.tick(entries.length + 1);
      for (const entry of entries) {
        const outcome = test(tag === Tag.Array ? entry : doc.readKey(entry));
        if (outcome === FAILED) return FAILED;
        if (outcome !== NOTHING && isTrue(outcome) === any) return code(any);
      }
      return code(!any);
    };
  }
}

function isMeta(node: Node): boolean {
  return node.t === "index" && node.term.t === "id" && literal(node.key) === "meta";
}

/** The orders that satisfy an operator: bit 0 less, bit 1 equal, bit 2 greater. */
const ACCEPT: Readonly<Partial<Record<BinaryOp, number>>> = {
  "<": 1,
  "==": 2,
  "<=": 3,
  ">": 4,
  "!=": 5,
  ">=": 6,
};

function mirror(accept: number): number {
  return (accept & 2) | ((accept & 1) << 2) | ((accept & 4) >> 2);
}
