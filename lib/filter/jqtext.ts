/**
 * Converts a syntax tree to jq text in which every path step is strict: a missing key, an index out
 * of range or a step into null is an error (docs/spec/command-line.md 5.3), where plain jq yields
 * null.
 *
 * Steps are rewritten everywhere in the filter: in definitions, arguments, conditions, object
 * shorthands. Not rewritten are steps that denote a path rather than read a value (the left side of
 * `=`, `|=` and the like, and the argument of `path`, `del` and `pick`), destructuring patterns,
 * and the reads of built-ins (`first`, `last`, `getpath`, `to_entries`, `INDEX`, …).
 *
 * @module
 */

import type { Node, Pattern } from "./ast.ts";

/** Built-ins whose argument is a path, not a value. */
const PLACES = ["path", "del", "pick"];

/**
 * Definitions before every filter: strict steps; no access to other messages, no exit, no debug
 * output; and built-ins of the reference that jq lacks.
 */
export const PRELUDE = `def __key($k): if type == "object" then (if has($k) then .[$k] ` +
  `else error("missing key") end) elif type == "array" and ($k | type) == "number" and ` +
  `(length as $n | $k | trunc | . >= -$n and . < $n) then .[$k] else error("no such step") end;
def __slice($a; $b): if type == "array" or type == "string" then .[$a:$b] ` +
  `else error("no such slice") end;
def input: error("no more inputs"); def inputs: empty; def debug: .; def debug(f): .;
def stderr: .; def halt: error("halt"); def halt_error: error("halt"); def halt_error($x): error("halt");
def escape_csv: split("\\"") | join("\\"\\""); def escape_sh: split("'") | join("'\\\\''");
def min_by_or_empty(f): if length == 0 then empty else min_by(f) end;
def max_by_or_empty(f): if length == 0 then empty else max_by(f) end;
`;

/**
 * Renders `node` with strict steps, or as plain jq if `strict` is false. Everything is in
 * parentheses, so precedence never matters.
 */
export function toJq(node: Node, strict = true): string {
  return render(node, strict);
}

function quote(text: string): string {
  return JSON.stringify(text);
}

function render(node: Node, strict: boolean): string {
  const go = (child: Node) => render(child, strict);
  switch (node.t) {
    case "id":
      return ".";
    case "num":
      return node.text;
    case "str":
      return renderString(node.parts, node.format, strict);
    case "format":
      return `@${node.name}`;
    case "array":
      return node.body === undefined ? "[]" : `[${go(node.body)}]`;
    case "object":
      return `{${node.entries.map((e) => `(${go(e.key)}): ${go(e.value)}`).join(", ")}}`;
    case "index":
      return renderIndex(node, strict);
    case "slice":
      return renderSlice(node, strict);
    case "iterate":
      return `(${go(node.term)} | .[]${node.opt ? "?" : ""})`;
    case "try":
      return node.handler === undefined
        ? `(try ${go(paren(node.body))})`
        : `(try ${go(paren(node.body))} catch ${go(paren(node.handler))})`;
    case "pipe":
      return `(${go(node.l)} | ${go(node.r)})`;
    case "comma":
      return `(${go(node.l)}, ${go(node.r)})`;
    case "and":
    case "or":
      return `(${go(node.l)} ${node.t} ${go(node.r)})`;
    case "alt":
      return `(${go(node.l)} // ${go(node.r)})`;
    case "binary":
      return `(${go(node.l)} ${node.op} ${go(node.r)})`;
    case "assign":
      return `(${render(node.l, false)} ${node.op} ${go(node.r)})`;
    case "neg":
      return `(-${go(node.body)})`;
    case "if": {
      const otherwise = node.else === undefined ? "" : ` else ${go(node.else)}`;
      return `(if ${go(node.cond)} then ${go(node.then)}${otherwise} end)`;
    }
    case "reduce":
      return `(reduce ${go(paren(node.source))} as ${patterns(node.patterns)} ` +
        `(${go(node.init)}; ${go(node.update)}))`;
    case "foreach": {
      const extract = node.extract === undefined ? "" : `; ${go(node.extract)}`;
      return `(foreach ${go(paren(node.source))} as ${patterns(node.patterns)} ` +
        `(${go(node.init)}; ${go(node.update)}${extract}))`;
    }
    case "as":
      return `(${go(paren(node.source))} as ${patterns(node.patterns)} | ${go(node.body)})`;
    case "def": {
      const { name, params, body } = node.def;
      const list = params.length === 0 ? "" : `(${params.join("; ")})`;
      return `(def ${name}${list}: ${go(body)}; ${go(node.body)})`;
    }
    case "label":
      return `(label $${node.name} | ${go(node.body)})`;
    case "break":
      return `(break $${node.name})`;
    case "var":
      return `$${node.name}`;
    case "loc":
      return `{"file": "<top-level>", "line": ${node.line}}`;
    case "call": {
      const place = PLACES.includes(node.name) && node.args.length === 1;
      const args = node.args.map((arg) => render(arg, strict && !place));
      return args.length === 0 ? node.name : `${node.name}(${args.join("; ")})`;
    }
  }
}

/** A node as a parenthesised term: most are already, these are not. */
function paren(node: Node): Node {
  return node.t === "num" ? { t: "neg", body: { t: "neg", body: node } } : node;
}

function renderIndex(node: Extract<Node, { t: "index" }>, strict: boolean): string {
  const opt = node.opt ? "?" : "";
  const constant = node.key.t === "str" && node.key.parts.every((part) => typeof part === "string");
  // the key is evaluated on the input of the whole term, before the term (jq: outer loop)
  const key = render(node.key, strict);
  const [bind, use] = constant ? ["", key] : [`${key} as $__k | `, "$__k"];
  const step = strict ? `__key(${use})${opt}` : `.[${use}]${opt}`;
  return `(${bind}${render(node.term, strict)} | ${step})`;
}

function renderSlice(node: Extract<Node, { t: "slice" }>, strict: boolean): string {
  const from = node.from === undefined ? "null" : render(node.from, strict);
  const to = node.to === undefined ? "null" : render(node.to, strict);
  const step = strict ? "__slice($__a; $__b)" : ".[$__a:$__b]";
  return `(. as $__i | ${from} as $__a | $__i | ${to} as $__b | $__i | ` +
    `${render(node.term, strict)} | ${step}${node.opt ? "?" : ""})`;
}

function renderString(
  parts: readonly (string | Node)[],
  format: string | undefined,
  strict: boolean,
): string {
  const inner = parts.map((part) =>
    typeof part === "string" ? quote(part).slice(1, -1) : `\\(${render(part, strict)})`
  ).join("");
  return `${format === undefined ? "" : `@${format} `}"${inner}"`;
}

function patterns(list: readonly Pattern[]): string {
  return list.map(pattern).join(" ?// ");
}

function pattern(node: Pattern): string {
  switch (node.p) {
    case "var":
      return `$${node.name}`;
    case "arr":
      return `[${node.items.map(pattern).join(", ")}]`;
    case "obj":
      return `{${
        node.entries.map(({ variable, key, value }) => {
          const name = variable === undefined
            ? `(${render(key ?? { t: "id" }, true)})`
            : `$${variable}`;
          return value === undefined ? name : `${name}: ${pattern(value)}`;
        }).join(", ")
      }}`;
  }
}
