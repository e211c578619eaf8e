/**
 * Explains why a filter that parses cannot be used: an unknown function, a missing dot, or a part
 * that a filter with a budget may not use. Loaded only on errors.
 *
 * @module
 */

import type { Node } from "./ast.ts";

/** The built-ins of jq 1.8, each with its numbers of arguments, and those of the prelude. */
const BUILTINS = new Map(
  ("abs:0 acos:0 acosh:0 add:0,1 all:0,1,2 any:0,1,2 arrays:0 ascii:0 ascii_downcase:0 " +
    "ascii_upcase:0 asin:0 asinh:0 atan:0 atan2:2 atanh:0 booleans:0 bsearch:1 builtins:0 " +
    "capture:1,2 cbrt:0 ceil:0 combinations:0,1 contains:1 copysign:2 cos:0 cosh:0 debug:0,1 " +
    "del:1 delpaths:1 drem:2 empty:0 endswith:1 env:0 erf:0 erfc:0 error:0,1 escape_csv:0 " +
    "escape_sh:0 exp:0 exp10:0 exp2:0 explode:0 expm1:0 fabs:0 false:0 fdim:2 finites:0 first:0,1 " +
    "flatten:0,1 floor:0 fma:3 fmax:2 fmin:2 fmod:2 format:1 frexp:0 from_entries:0 fromdate:0 " +
    "fromdateiso8601:0 fromjson:0 fromstream:1 gamma:0 getpath:1 gmtime:0 group_by:1 gsub:2,3 " +
    "halt:0 halt_error:0,1 has:1 hypot:2 implode:0 in:1 IN:1,2 index:1 INDEX:1,2 indices:1 " +
    "infinite:0 input:0 input_filename:0 input_line_number:0 inputs:0 inside:1 isempty:1 " +
    "isfinite:0 isinfinite:0 isnan:0 isnormal:0 iterables:0 j0:0 j1:0 jn:2 join:1 JOIN:2,3,4 " +
    "keys:0 keys_unsorted:0 last:0,1 ldexp:2 length:0 lgamma:0 lgamma_r:0 limit:2 localtime:0 " +
    "log:0 log10:0 log1p:0 log2:0 logb:0 ltrim:0 ltrimstr:1 map:1 map_values:1 match:1,2 max:0 " +
    "max_by:1 max_by_or_empty:1 min:0 min_by:1 min_by_or_empty:1 mktime:0 modf:0 modulemeta:0 " +
    "nan:0 nearbyint:0 nextafter:2 nexttoward:2 normals:0 not:0 now:0 nth:1,2 null:0 nulls:0 " +
    "numbers:0 objects:0 path:1 paths:0,1 pick:1 pow:2 range:1,2,3 recurse:0,1,2 remainder:2 " +
    "repeat:1 reverse:0 rindex:1 rint:0 round:0 rtrim:0 rtrimstr:1 scalars:0 scalb:2 scalbln:2 " +
    "scan:1,2 select:1 setpath:2 significand:0 sin:0 sinh:0 skip:2 sort:0 sort_by:1 split:1,2 " +
    "splits:1,2 sqrt:0 startswith:1 stderr:0 strflocaltime:1 strftime:1 strings:0 strptime:1 " +
    "sub:2,3 tan:0 tanh:0 test:1,2 tgamma:0 to_entries:0 toboolean:0 todate:0 todateiso8601:0 " +
    "tojson:0 tonumber:0 tostream:0 tostring:0 transpose:0 trim:0 trimstr:1 true:0 trunc:0 " +
    "truncate_stream:1 type:0 unique:0 unique_by:1 until:2 utf8bytelength:0 values:0 walk:1 " +
    "while:2 with_entries:1 y0:0 y1:0 yn:2").split(" ").map((entry) => {
      const [name = "", arities = ""] = entry.split(":");
      return [name, arities.split(",").map(Number)] as const;
    }),
);

/** The paths of a message's members. */
export const MEMBERS: ReadonlyMap<string, string> = new Map([
  ["data", ".data"],
  ["meta", ".meta"],
  ["tags", ".meta.tags"],
  ["seq", ".seq"],
  ["time", ".time"],
]);

/** Names in other languages for jq's functions. */
const ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ["len", "length"],
  ["size", "length"],
  ["count", "length"],
  ["lower", "ascii_downcase"],
  ["tolower", "ascii_downcase"],
  ["tolowercase", "ascii_downcase"],
  ["upper", "ascii_upcase"],
  ["toupper", "ascii_upcase"],
  ["touppercase", "ascii_upcase"],
  ["includes", "contains"],
  ["matches", "test"],
  ["regex", "test"],
  ["like", "test"],
  ["exists", "has"],
  ["filter", "select"],
  ["none", "null"],
  ["nil", "null"],
  ["undefined", "null"],
  ["int", "tonumber"],
  ["str", "tostring"],
]);

/** Describes the first call of an unknown function; undefined if there is none. */
export function unknownFunction(node: Node): string | undefined {
  return firstUnknown(node, new Set());
}

function firstUnknown(node: Node, own: ReadonlySet<string>): string | undefined {
  if (node.t === "call" && !own.has(node.name)) {
    const problem = problemOfCall(node.name, node.args.length);
    if (problem !== undefined) return problem;
  }
  let names = own;
  if (node.t === "def") {
    const { name, params } = node.def;
    names = new Set([...own, name, ...params.map((param) => param.replace(/^\$/, ""))]);
  }
  for (const child of childrenOf(node)) {
    const problem = firstUnknown(child, names);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** The child nodes of a node, in any of its properties. */
export function childrenOf(value: unknown): Node[] {
  if (value === null || typeof value !== "object") return [];
  return Object.values(value).flatMap((item: unknown) => {
    if (Array.isArray(item)) return item.flatMap((one: unknown) => nodeOr(one));
    return nodeOr(item);
  });
}

function nodeOr(item: unknown): Node[] {
  if (item === null || typeof item !== "object") return [];
  return "t" in item ? [item as Node] : childrenOf(item);
}

function problemOfCall(name: string, given: number): string | undefined {
  const arities = BUILTINS.get(name);
  if (arities?.includes(given) === true) return undefined;
  const problem = `${name}/${given} is not defined`;
  if (arities !== undefined) {
    const [least = 0] = arities;
    const takes = arities.map(String).join(" or ");
    return `${problem}; the function ${name} takes ${takes === "0" ? "no" : takes} ` +
      `argument${takes === "1" ? "" : "s"}` +
      (given > least ? " (separated by semicolons; the input comes through a pipe)" : "");
  }
  const member = given === 0 ? MEMBERS.get(name) : undefined;
  if (member !== undefined) return `${problem}; did you mean ${member}, with a dot in front?`;
  const near = nearest(name);
  if (near !== undefined) return `${problem}; did you mean ${near}?`;
  return given > 0
    ? `${problem}; there is no such function`
    : `${problem}; a key of the data is .data.${name}, a text "${name}"`;
}

/** Whether jq has a function with that many arguments. */
export function isBuiltin(name: string, args: number): boolean {
  return BUILTINS.get(name)?.includes(args) === true;
}

/** What other languages call something that jq has too. */
export function elsewhere(name: string): string | undefined {
  return ELSEWHERE.get(name.toLowerCase());
}

/** The closest known function name; undefined if none is close. */
export function nearest(name: string): string | undefined {
  const lower = name.toLowerCase();
  const foreign = elsewhere(name);
  if (foreign !== undefined) return foreign;
  const plain = lower.replaceAll("_", "");
  let best: string | undefined;
  let least = name.length < 4 ? 1 : 2;
  for (const known of BUILTINS.keys()) {
    const distance = edits(plain, known.toLowerCase().replaceAll("_", ""), least + 1);
    if (distance > least || (best !== undefined && distance === least)) continue;
    best = known;
    least = distance;
  }
  return best;
}

/** The edit distance of two words, at most `most`. */
function edits(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) >= most) return most;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return Math.min(row[b.length] ?? most, most);
}
