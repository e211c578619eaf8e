/**
 * Compiles the common part of jq to closures over values. A part that can yield at most one output
 * becomes one function from value to outcome; the others append their outputs to a list, which is
 * equivalent to jq's backtracking because nothing here has side effects or runs forever.
 *
 * @module
 */

import { Lite3Key } from "../lite3/layout.ts";
import type { BinaryOp, Node } from "./ast.ts";
import { Combinators, type One, type Part } from "./combinators.ts";
import { type Context, EMPTY, ERROR, type Outcome, Signal } from "./context.ts";
import { literal } from "./literal.ts";
import {
  apply,
  asciiCase,
  children,
  contains,
  has,
  index,
  keys,
  length,
  mathematics,
  MAX_TEXT,
  member,
  negate,
  slice,
  truthy,
  typeSelect,
} from "./operators.ts";
import { matchCost, translate } from "./regex.ts";
import { isNumber, Ref, toDouble, typeName, type Value } from "./values.ts";

/** A construct that only jq itself can run; the message names it. */
class Unsupported extends Error {}

/** The variables in scope, each with its index in `Context.variables`. */
type Scope = ReadonlyMap<string, number>;

/** Compiles a filter on the whole envelope, or returns undefined if it needs jq. */
export function compileNative(node: Node, context: Context): Part | undefined {
  try {
    return new Compiler(context).part(node, new Map());
  } catch (error) {
    if (error instanceof Unsupported) return undefined;
    throw error;
  }
}

class Compiler {
  readonly #context: Context;

  readonly #parts: Combinators;

  constructor(context: Context) {
    this.#context = context;
    this.#parts = new Combinators(context);
  }

  part(node: Node, scope: Scope): Part {
    const constant = literal(node);
    if (constant !== undefined) return this.#parts.single(() => constant);
    switch (node.t) {
      case "id":
        return this.#parts.single((v) => v);
      case "array":
        return this.#array(node.body, scope);
      case "object":
        return this.#object(node.entries, scope);
      case "index":
        return this.#index(node, scope);
      case "slice":
        return this.#slice(node, scope);
      case "iterate":
        return this.#iterate(node, scope);
      case "try":
        return this.#try(node, scope);
      case "pipe":
        return this.#parts.pipe(this.part(node.l, scope), this.part(node.r, scope));
      case "comma": {
        const l = this.part(node.l, scope);
        const r = this.part(node.r, scope);
        return { many: (v, out) => l.many(v, out) && r.many(v, out) };
      }
      case "and":
      case "or":
        return this.#parts.logic(
          node.t === "or",
          this.part(node.l, scope),
          this.part(node.r, scope),
        );
      case "alt":
        return this.#parts.alternative(this.part(node.l, scope), this.part(node.r, scope));
      case "binary":
        return this.#binary(node.op, this.part(node.l, scope), this.part(node.r, scope));
      case "neg":
        return this.#parts.pipe(this.part(node.body, scope), this.#parts.single(negate));
      case "if":
        return this.#if(node, scope);
      case "as":
        return this.#as(node, scope);
      case "var": {
        const slot = scope.get(node.name);
        if (slot === undefined) throw new Unsupported(`the variable $${node.name}`);
        const { variables } = this.#context;
        return this.#parts.single(() => variables[slot] ?? null);
      }
      case "call":
        return this.#call(node.name, node.args, scope);
    }
    throw new Unsupported(node.t);
  }

  /** Two operands; like jq, the right one is the outer loop. */
  #binary(op: BinaryOp, l: Part, r: Part): Part {
    return this.#parts.cross(l, r, (a, b) => {
      if (typeof a !== "number") {
        this.#context.tick(op === "-" ? cost(a) * cost(b) : cost(a) + cost(b));
      }
      return op === "*" && (typeof a === "string" || typeof b === "string")
        ? this.#repeat(a, b)
        : apply(op, a, b);
    });
  }

  /** `"ab" * 3`; the result counts against the budget before it is built. */
  #repeat(a: Value, b: Value): Outcome {
    const [text, factor] = typeof a === "string" ? [a, b] : [b, a];
    if (typeof text !== "string" || !isNumber(factor)) return ERROR;
    const times = Math.trunc(toDouble(factor));
    if (Number.isNaN(times) || toDouble(factor) < 0) return null;
    if (text === "" || times === 0) return "";
    this.#context.tick(times * text.length);
    return times * text.length > MAX_TEXT ? ERROR : text.repeat(times);
  }

  #try(node: Extract<Node, { t: "try" }>, scope: Scope): Part {
    // errors have no message here, and only a handler could see it
    if (node.handler !== undefined) throw new Unsupported("catch");
    return this.#parts.optional(this.part(node.body, scope));
  }

  #index(node: Extract<Node, { t: "index" }>, scope: Scope): Part {
    const term = this.part(node.term, scope);
    const key = literal(node.key);
    if (typeof key === "string") {
      const prepared = new Lite3Key(key);
      const step = this.#parts.single((v) => member(v, prepared));
      return this.#parts.pipe(term, node.opt ? this.#parts.optional(step) : step);
    }
    return this.#parts.cross(term, this.part(node.key, scope), (v, k) => {
      const found = index(v, k);
      return found === ERROR && node.opt ? EMPTY : found;
    });
  }

  #slice(node: Extract<Node, { t: "slice" }>, scope: Scope): Part {
    const none: Node = { t: "call", name: "null", args: [], at: 0 };
    const from = this.part(node.from ?? none, scope);
    const to = this.part(node.to ?? none, scope);
    // bounds with several outputs are left to jq: the order of loops is not worth the code
    const { one: start } = from;
    const { one: end } = to;
    if (start === undefined || end === undefined) {
      throw new Unsupported("a slice with several bounds");
    }
    const term = this.part(node.term, scope);
    const bounds = this.#parts.single((v) => {
      const a = start(v);
      if (a instanceof Signal) return a;
      const b = end(v);
      return b instanceof Signal ? b : [a, b];
    });
    return this.#parts.cross(term, bounds, (v, pair) => {
      const [a = null, b = null] = Array.isArray(pair) ? pair : [];
      this.#context.tick(cost(v));
      const found = slice(v, a, b);
      return found === ERROR && node.opt ? EMPTY : found;
    });
  }

  #iterate(node: Extract<Node, { t: "iterate" }>, scope: Scope): Part {
    return this.#parts.pipe(this.part(node.term, scope), {
      many: (v, out) => {
        const items = children(v);
        if (items === undefined) return node.opt;
        this.#context.tick(items.length + 1);
        for (const item of items) out.push(item);
        return true;
      },
    });
  }

  #array(body: Node | undefined, scope: Scope): Part {
    if (body === undefined) return this.#parts.single(() => []);
    return this.#parts.gather(
      this.part(body, scope),
      (outputs, failed) => failed ? ERROR : outputs,
    );
  }

  /** Objects with fixed keys and one value each; others are left to jq. */
  #object(entries: readonly { key: Node; value: Node }[], scope: Scope): Part {
    const members = entries.map(({ key, value }) => {
      const name = literal(key);
      const { one } = this.part(value, scope);
      if (typeof name !== "string" || one === undefined) {
        throw new Unsupported("an object with computed keys or several values for one");
      }
      return [name, one] as const;
    });
    return this.#parts.single((v) => {
      const map = new Map<string, Value>();
      for (const [name, one] of members) {
        const outcome = one(v);
        if (outcome instanceof Signal) return outcome;
        map.set(name, outcome);
      }
      return map;
    });
  }

  #if(node: Extract<Node, { t: "if" }>, scope: Scope): Part {
    const cond = this.part(node.cond, scope);
    const then = this.part(node.then, scope);
    const otherwise = this.part(node.else ?? { t: "id" }, scope);
    return this.#parts.choose(cond, then, otherwise);
  }

  /** `TERM as $x | BODY`. Each binding has a slot of its own, as there is no recursion. */
  #as(node: Extract<Node, { t: "as" }>, scope: Scope): Part {
    const [pattern, ...more] = node.patterns;
    if (pattern?.p !== "var" || more.length > 0) throw new Unsupported("destructuring");
    const slot = this.#context.variables.push(null) - 1;
    const source = this.part(node.source, scope);
    const body = this.part(node.body, new Map([...scope, [pattern.name, slot]]));
    return this.#parts.bind(source, slot, body);
  }

  #call(name: string, args: readonly Node[], scope: Scope): Part {
    const [first, second] = args;
    if (first === undefined) return this.#builtin(name);
    const iterate: Node = { t: "iterate", term: { t: "id" }, opt: false };
    if (second === undefined) {
      const part = () => this.part(first, scope);
      switch (name) {
        case "select":
          return this.#parts.select(part());
        case "map":
          return this.#array({ t: "pipe", l: iterate, r: first }, scope);
        case "first":
          return this.#parts.gather(
            part(),
            ([v], failed) => v ?? (v === null ? v : failed ? ERROR : EMPTY),
          );
        case "any":
        case "all":
          return this.#quantifier(name === "any", iterate, first, scope);
        case "has":
          return this.#argument(part(), has);
        case "contains":
          return this.#argument(part(), (v, x) => this.#contains(v, x));
        case "inside":
          return this.#argument(part(), (v, x) => this.#contains(x, v));
        case "in":
          return this.#argument(part(), (v, x) => has(x, v));
        case "startswith":
        case "endswith":
          return this.#argument(
            part(),
            (v, x) =>
              typeof v !== "string" || typeof x !== "string"
                ? ERROR
                : name === "endswith"
                ? v.endsWith(x)
                : v.startsWith(x),
          );
        case "test":
          return this.#test(first, undefined);
      }
      throw new Unsupported(`the function ${name}`);
    }
    if (args.length !== 2) throw new Unsupported(`the function ${name}`);
    if (name === "any" || name === "all") {
      return this.#quantifier(name === "any", first, second, scope);
    }
    if (name === "test") return this.#test(first, second);
    throw new Unsupported(`the function ${name}`);
  }

  #builtin(name: string): Part {
    const id: Node = { t: "id" };
    switch (name) {
      case "not":
        return this.#parts.single((v) => !truthy(v));
      case "length":
        return this.#costly(length);
      case "type":
        return this.#parts.single(typeName);
      case "empty":
        return this.#parts.single(() => EMPTY);
      case "error":
        return this.#parts.single(() => ERROR);
      case "any":
      case "all":
        return this.#quantifier(
          name === "any",
          { t: "iterate", term: id, opt: false },
          id,
          new Map(),
        );
      case "keys":
        return this.#costly(keys);
      case "ascii_downcase":
      case "ascii_upcase":
        return this.#costly((v) => asciiCase(v, name === "ascii_upcase"));
      case "utf8bytelength":
        return this.#costly((v) =>
          typeof v === "string" ? new TextEncoder().encode(v).length : ERROR
        );
      case "floor":
      case "ceil":
      case "round":
      case "sqrt":
      case "fabs":
        return this.#parts.single((v) => mathematics(name, v));
      case "values":
      case "nulls":
      case "booleans":
      case "numbers":
      case "strings":
      case "arrays":
      case "objects":
      case "iterables":
      case "scalars":
        return this.#parts.single((v) => typeSelect(name, v));
    }
    throw new Unsupported(`the function ${name}`);
  }

  /** A built-in that reads its whole input. */
  #costly(one: One): Part {
    return this.#parts.single((v) => {
      this.#context.tick(cost(v));
      return one(v);
    });
  }

  /** A built-in with one argument value. */
  #argument(part: Part, combine: (v: Value, x: Value) => Outcome): Part {
    return this.#parts.cross(this.#parts.single((v) => v), part, combine);
  }

  /** The cost is the product of the sizes: each part may be searched in each element. */
  #contains(v: Value, part: Value): Outcome {
    this.#context.tick(cost(v) * cost(part));
    return contains(v, part);
  }

  #quantifier(any: boolean, generator: Node, condition: Node, scope: Scope): Part {
    return this.#parts.quantify(any, this.part(generator, scope), this.part(condition, scope));
  }

  #test(pattern: Node, flags: Node | undefined): Part {
    const text = literal(pattern);
    const mode = flags === undefined ? null : literal(flags);
    if (typeof text !== "string" || (mode !== null && typeof mode !== "string")) {
      throw new Unsupported("the function test with a pattern that is not written out");
    }
    const translated = translate(text, mode ?? "");
    if (translated === undefined) {
      throw new Unsupported(`the regular expression ${JSON.stringify(text)}`);
    }
    const { regexp, effort } = translated;
    return this.#parts.single((v) => {
      if (typeof v !== "string") return ERROR;
      this.#context.tick(matchCost(v.length, effort));
      return regexp.test(v);
    });
  }
}

/** The steps needed to read a whole value. */
function cost(v: Value): number {
  if (typeof v === "string") return 1 + (v.length >>> 5);
  if (v instanceof Ref) return 1 + (v.doc.len >>> 4);
  return Array.isArray(v) ? v.reduce<number>((sum, item) => sum + cost(item), 1) : 1;
}
