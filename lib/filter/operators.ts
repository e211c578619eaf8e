/**
 * jq's operators and the built-ins that work on plain values.
 *
 * @module
 */

import { Lite3Key } from "../lite3/layout.ts";
import { EMPTY, ERROR, type Outcome } from "./context.ts";
import {
  asArray,
  asMap,
  Calc,
  childOffsets,
  compareText,
  compareValues,
  computed,
  isNumber,
  LazyObject,
  load,
  rank,
  Ref,
  toDouble,
  type Value,
} from "./values.ts";
import type { BinaryOp } from "./ast.ts";

/** The longest string that is built; jq would run out of memory at about this length. */
export const MAX_TEXT: number = 1 << 28;

/** Whether jq counts a value as true: all but `null` and `false`. */
export function truthy(v: Value): boolean {
  return v !== null && v !== false;
}

/** Applies a binary operator. */
export function apply(op: BinaryOp, a: Value, b: Value): Outcome {
  switch (op) {
    case "==":
      return compareValues(a, b) === 0;
    case "!=":
      return compareValues(a, b) !== 0;
    case "<":
      return compareValues(a, b) < 0;
    case "<=":
      return compareValues(a, b) <= 0;
    case ">":
      return compareValues(a, b) > 0;
    case ">=":
      return compareValues(a, b) >= 0;
    case "+":
      return add(a, b);
    default:
      return isNumber(a) && isNumber(b)
        ? arithmetic(op, toDouble(a), toDouble(b))
        : op === "-" && rank(a) === 5 && rank(b) === 5
        ? subtract(asArray(a), asArray(b))
        : op === "*" && rank(a) === 6 && rank(b) === 6
        ? merge(asMap(a), asMap(b))
        : op === "/" && typeof a === "string" && typeof b === "string"
        ? split(a, b)
        : ERROR;
  }
}

function add(a: Value, b: Value): Outcome {
  if (a === null) return b;
  if (b === null) return a;
  if (isNumber(a) && isNumber(b)) return computed(toDouble(a) + toDouble(b));
  if (typeof a === "string" && typeof b === "string") {
    return a.length + b.length > MAX_TEXT ? ERROR : a + b;
  }
  const ra = rank(a);
  if (ra !== rank(b)) return ERROR;
  if (ra === 5) return [...asArray(a), ...asArray(b)];
  return ra === 6 ? new Map([...asMap(a), ...asMap(b)]) : ERROR;
}

function arithmetic(op: BinaryOp, a: number, b: number): Outcome {
  switch (op) {
    case "-":
      return computed(a - b);
    case "*":
      return computed(a * b);
    case "/":
      return b === 0 ? ERROR : computed(a / b);
    default:
      return remainder(a, b);
  }
}

const MAX_I64 = 2n ** 63n - 1n;

/** jq's `%`: both sides as 64-bit integers, the sign of the left one. */
function remainder(a: number, b: number): Outcome {
  if (Number.isNaN(a) || Number.isNaN(b)) return NaN;
  const m = Math.trunc(b);
  if (m === 0) return ERROR;
  const n = Math.trunc(a);
  // + 0: jq has no -0 here
  if (Number.isSafeInteger(n) && Number.isSafeInteger(m)) return n % m + 0;
  const divisor = toI64(m);
  return computed(Number(toI64(n) % (divisor < 0n ? -divisor : divisor)));
}

function toI64(d: number): bigint {
  if (d >= 2 ** 63) return MAX_I64;
  return d < -(2 ** 63) ? -MAX_I64 - 1n : BigInt(d);
}

/** `*` of objects: members that are objects on both sides are merged recursively. */
function merge(a: ReadonlyMap<string, Value>, b: ReadonlyMap<string, Value>): Value {
  const merged = new Map(a);
  for (const [key, right] of b) {
    const left = a.get(key);
    const both = left !== undefined && rank(left) === 6 && rank(right) === 6;
    merged.set(key, both ? merge(asMap(left), asMap(right)) : right);
  }
  return merged;
}

function subtract(a: readonly Value[], b: readonly Value[]): Value {
  return a.filter((x) => !b.some((y) => compareValues(x, y) === 0));
}

function split(text: string, separator: string): Value {
  if (text === "") return [];
  return separator === "" ? [...text] : text.split(separator);
}

/** Unary minus; literals keep their digits. */
export function negate(v: Value): Outcome {
  if (typeof v === "number" || typeof v === "bigint") return -v;
  return v instanceof Calc ? new Calc(-v.d) : ERROR;
}

/** `.[key]` with the rule of docs/spec/command-line.md 5.3: a missing value is an error. */
export function index(v: Value, key: Value): Outcome {
  if (typeof key === "string") return member(v, new Lite3Key(key));
  if (!isNumber(key) || rank(v) !== 5) return ERROR;
  const d = Math.trunc(toDouble(key));
  if (v instanceof Ref) {
    const at = d < 0 ? d + v.doc.count(v.at) : d;
    const offset = at >= 0 && at < 0x7fffffff ? v.doc.element(v.at, at) : -1;
    return offset < 0 ? ERROR : load(v.doc, offset);
  }
  const array = asArray(v);
  const found = array[d < 0 ? d + array.length : d];
  return found === undefined ? ERROR : found;
}

/** `.key` on any value except the envelope. */
export function member(v: Value, key: Lite3Key): Outcome {
  if (v instanceof Ref) {
    if (v.isArray) return ERROR;
    const at = v.doc.lookup(v.at, key);
    return at < 0 ? ERROR : load(v.doc, at);
  }
  const found = v instanceof LazyObject
    ? v.member(key.name)
    : v instanceof Map
    ? v.get(key.name)
    : undefined;
  return found === undefined ? ERROR : found;
}

/** `.[from:to]` of arrays and strings. */
export function slice(v: Value, from: Value, to: Value): Outcome {
  if ((from !== null && !isNumber(from)) || (to !== null && !isNumber(to))) return ERROR;
  if (typeof v !== "string" && rank(v) !== 5) return ERROR;
  const items = typeof v === "string" ? [...v] : asArray(v);
  const n = items.length;
  // a bound that is null or NaN is treated as missing
  const clamp = (key: Value, missing: number) => {
    const d = isNumber(key) ? toDouble(key) : NaN;
    return Number.isNaN(d) ? missing : Math.min(Math.max(d < 0 ? d + n : d, 0), n);
  };
  const start = Math.floor(clamp(from, 0));
  const end = Math.ceil(clamp(to, n));
  const part = items.slice(start, Math.max(start, end));
  return typeof v === "string" ? part.join("") : part;
}

/** The children of a container; undefined for other values. */
export function children(v: Value): readonly Value[] | undefined {
  if (v instanceof Ref) return childOffsets(v).map((at) => load(v.doc, at));
  if (Array.isArray(v)) return v;
  return rank(v) === 6 ? [...asMap(v).values()] : undefined;
}

/** `length`: characters, elements, members, the absolute value of a number, 0 for null. */
export function length(v: Value): Outcome {
  if (v === null) return 0;
  if (v instanceof Ref) return v.doc.count(v.at);
  switch (typeof v) {
    case "boolean":
      return ERROR;
    case "string":
      return characters(v);
    case "number":
      return Math.abs(v);
    case "bigint":
      return v < 0n ? -v : v;
  }
  if (v instanceof Calc) return new Calc(Math.abs(v.d));
  return rank(v) === 6 ? asMap(v).size : asArray(v).length;
}

function characters(text: string): number {
  let count = text.length;
  for (let i = 0; i < text.length; i++) if ((text.charCodeAt(i) & 0xfc00) === 0xdc00) count--;
  return count;
}

/** `has(key)`. */
export function has(v: Value, key: Value): Outcome {
  const r = rank(v);
  if (r === 6 && typeof key === "string") {
    return v instanceof Ref ? v.doc.lookup(v.at, new Lite3Key(key)) >= 0 : asMap(v).has(key);
  }
  if (r !== 5 || !isNumber(key)) return v === null ? false : ERROR;
  const d = Math.trunc(toDouble(key));
  const n = v instanceof Ref ? v.doc.count(v.at) : asArray(v).length;
  return d >= 0 && d < n;
}

/** `contains(part)`. */
export function contains(v: Value, part: Value): Outcome {
  const r = rank(v);
  if (typeof v === "string" && typeof part === "string") return v.includes(part);
  if (r !== rank(part)) return ERROR;
  if (r === 5) {
    const whole = asArray(v);
    return every(asArray(part), (p) => some(whole, (w) => contained(w, p)));
  }
  if (r === 6) {
    const whole = asMap(v);
    return every([...asMap(part)], ([key, p]) => {
      const w = whole.get(key);
      return w === undefined ? false : contained(w, p);
    });
  }
  return compareValues(v, part) === 0;
}

/**
 * `contains` for nested values, where values of different types do not match instead of failing.
 */
function contained(v: Value, part: Value): Outcome {
  return rank(v) === rank(part) ? contains(v, part) : false;
}

function every<T>(items: readonly T[], test: (item: T) => Outcome): Outcome {
  return items.every((item) => test(item) === true);
}

function some<T>(items: readonly T[], test: (item: T) => Outcome): boolean {
  return items.some((item) => test(item) === true);
}

/** `keys`: sorted names, or the indexes. */
export function keys(v: Value): Outcome {
  const r = rank(v);
  if (r === 5) return asArray(v).map((_, i) => i);
  return r === 6 ? [...asMap(v).keys()].sort(compareText) : ERROR;
}

/** `ascii_downcase` and `ascii_upcase`. */
export function asciiCase(v: Value, up: boolean): Outcome {
  if (typeof v !== "string") return ERROR;
  return up
    ? v.replace(/[a-z]+/g, (s) => s.toUpperCase())
    : v.replace(/[A-Z]+/g, (s) => s.toLowerCase());
}

/** `floor`, `ceil`, `round` (half away from zero), `sqrt`, `fabs`. */
export function mathematics(name: string, v: Value): Outcome {
  if (!isNumber(v)) return ERROR;
  const d = toDouble(v);
  switch (name) {
    case "floor":
      return computed(Math.floor(d));
    case "ceil":
      return computed(Math.ceil(d));
    case "round":
      return computed(roundAway(d));
    case "sqrt":
      return computed(Math.sqrt(d));
    default:
      return computed(Math.abs(d));
  }
}

function roundAway(d: number): number {
  const whole = Math.trunc(d);
  return Math.abs(d - whole) >= 0.5 ? whole + Math.sign(d) : whole;
}

/** `values`, `nulls`, `booleans` and so on: the value itself, or nothing. */
export function typeSelect(name: string, v: Value): Outcome {
  const r = rank(v);
  const pass = {
    nulls: r === 0,
    values: r !== 0,
    booleans: r === 1 || r === 2,
    numbers: r === 3,
    strings: r === 4,
    arrays: r === 5,
    objects: r === 6,
    iterables: r >= 5,
    scalars: r < 5,
  }[name];
  return pass === true ? v : EMPTY;
}
