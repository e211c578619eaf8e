/**
 * The syntax tree of a filter: all of jq except modules.
 *
 * @module
 */

/** A destructuring pattern of `as`. */
export type Pattern =
  | { readonly p: "var"; readonly name: string }
  | { readonly p: "arr"; readonly items: readonly Pattern[] }
  | { readonly p: "obj"; readonly entries: readonly PatternEntry[] };

/** `$name`, `$name: pattern`, `"key": pattern` or `(expr): pattern` in an object pattern. */
export interface PatternEntry {
  readonly variable?: string;
  readonly key?: Node;
  readonly value?: Pattern;
}

/** A function parameter is a filter (`f`) or a value (`$x`). */
export interface Definition {
  readonly name: string;
  readonly params: readonly string[];
  readonly body: Node;
}

/** Operators on two values, evaluated right operand first as jq does. */
export type BinaryOp = "+" | "-" | "*" | "/" | "%" | "==" | "!=" | "<" | "<=" | ">" | ">=";

/** One node; `t` is the construct. */
export type Node =
  | { readonly t: "id" }
  | { readonly t: "num"; readonly text: string }
  | { readonly t: "str"; readonly parts: readonly (string | Node)[]; readonly format?: string }
  | { readonly t: "format"; readonly name: string }
  | { readonly t: "array"; readonly body?: Node }
  | {
    readonly t: "object";
    readonly entries: readonly { readonly key: Node; readonly value: Node }[];
  }
  | {
    readonly t: "index";
    readonly term: Node;
    readonly key: Node;
    readonly opt: boolean;
    /** Where it starts in the text, if it starts a path: `.a`. */
    readonly at?: number;
  }
  | {
    readonly t: "slice";
    readonly term: Node;
    readonly from?: Node;
    readonly to?: Node;
    readonly opt: boolean;
  }
  | { readonly t: "iterate"; readonly term: Node; readonly opt: boolean }
  | { readonly t: "try"; readonly body: Node; readonly handler?: Node }
  | { readonly t: "pipe" | "comma" | "and" | "or" | "alt"; readonly l: Node; readonly r: Node }
  | { readonly t: "binary"; readonly op: BinaryOp; readonly l: Node; readonly r: Node }
  | { readonly t: "assign"; readonly op: string; readonly l: Node; readonly r: Node }
  | { readonly t: "neg"; readonly body: Node }
  | { readonly t: "if"; readonly cond: Node; readonly then: Node; readonly else?: Node }
  | {
    readonly t: "reduce";
    readonly source: Node;
    readonly patterns: readonly Pattern[];
    readonly init: Node;
    readonly update: Node;
  }
  | {
    readonly t: "foreach";
    readonly source: Node;
    readonly patterns: readonly Pattern[];
    readonly init: Node;
    readonly update: Node;
    readonly extract?: Node;
  }
  | {
    readonly t: "as";
    readonly source: Node;
    readonly patterns: readonly Pattern[];
    readonly body: Node;
  }
  | { readonly t: "def"; readonly def: Definition; readonly body: Node }
  | { readonly t: "label"; readonly name: string; readonly body: Node }
  | { readonly t: "break"; readonly name: string }
  | { readonly t: "var"; readonly name: string }
  | { readonly t: "loc"; readonly line: number }
  | {
    readonly t: "call";
    readonly name: string;
    readonly args: readonly Node[];
    readonly at: number;
  };
