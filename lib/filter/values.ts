/**
 * The values of a compiled filter, and jq's order and equality for them.
 *
 * Containers stay in the message's bytes until their content is needed. Numbers follow jq 1.8: a
 * literal (in the message or the filter) compares by its exact decimal value, a computed number as
 * a double.
 *
 * @module
 */

import { corrupt, type Lite3Doc } from "../lite3/doc.ts";
import { MAX_LEVELS, Tag } from "../lite3/layout.ts";

/** A container inside the message. */
export class Ref {
  /** Its document. */
  readonly doc: Lite3Doc;
  /** Offset of its node. */
  readonly at: number;

  /** Refers to the container at `at`. */
  constructor(doc: Lite3Doc, at: number) {
    this.doc = doc;
    this.at = at;
  }

  /** Whether it is an array; otherwise it is an object. */
  get isArray(): boolean {
    return this.doc.tag(this.at) === Tag.Array;
  }
}

/** A computed number of 2^53 or more, which has lost its exact digits. */
export class Calc {
  /** The double. */
  readonly d: number;

  /** Wraps `d`. */
  constructor(d: number) {
    this.d = d;
  }
}

/** An object that is built only if the whole is needed: the envelope. */
export abstract class LazyObject {
  /** One member, or undefined. */
  abstract member(name: string): Value | undefined;
  /** All members. */
  abstract members(): ReadonlyMap<string, Value>;
}

/**
 * A value. `number`: a double as written, or computed and below 2^53. `bigint`: an integer as
 * written beyond ±2^53. Other objects are maps in insertion order.
 */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Calc
  | Ref
  | LazyObject
  | readonly Value[]
  | ReadonlyMap<string, Value>;

const SAFE = 2 ** 53;

/** Wraps the result of arithmetic. */
export function computed(d: number): number | Calc {
  return Math.abs(d) >= SAFE ? new Calc(d) : d;
}

/** Whether it is a number of any of the three kinds. */
export function isNumber(v: Value): v is number | bigint | Calc {
  return typeof v === "number" || typeof v === "bigint" || v instanceof Calc;
}

/** The double that arithmetic works on. jq rounds long literals to 17 digits first. */
export function toDouble(v: number | bigint | Calc): number {
  if (typeof v === "number") return v;
  return typeof v === "bigint" ? bigToDouble(v) : v.d;
}

/** Half to even, which is why a few results differ from rounding once. */
function bigToDouble(n: bigint): number {
  const magnitude = n < 0n ? -n : n;
  const extra = magnitude.toString().length - 17;
  if (extra <= 0) return Number(n);
  const unit = 10n ** BigInt(extra);
  const rest = magnitude % unit;
  let kept = magnitude / unit;
  if (2n * rest > unit || (2n * rest === unit && kept % 2n === 1n)) kept++;
  return Number(`${n < 0n ? "-" : ""}${kept}e${extra}`);
}

/** The integer that a double of 2^53 or more prints as: shortest digits, padded with zeros. */
function shortestInteger(d: number): bigint {
  const [mantissa = "", exponent = "0"] = d.toExponential().split("e");
  const [whole = "", fraction = ""] = mantissa.split(".");
  return BigInt(whole + fraction + "0".repeat(Math.max(0, Number(exponent) - fraction.length)));
}

/** jq's order of two numbers: -1, 0 or 1. NaN is below everything, itself included. */
function compareNumbers(a: number | bigint | Calc, b: number | bigint | Calc): number {
  if (typeof a === "number" && typeof b === "number") {
    return a < b ? -1 : a > b ? 1 : a === b ? 0 : Number.isNaN(a) ? -1 : 1;
  }
  if (typeof a === "bigint" && typeof b === "bigint") return a < b ? -1 : a > b ? 1 : 0;
  if (typeof a === "bigint" && typeof b === "number") return compareExact(a, b);
  if (typeof a === "number" && typeof b === "bigint") {
    return Number.isNaN(a) ? -1 : -compareExact(b, a);
  }
  return compareNumbers(toDouble(a), toDouble(b));
}

function compareExact(n: bigint, d: number): number {
  if (Math.abs(d) < SAFE || !Number.isFinite(d)) return Number.isNaN(d) || Number(n) > d ? 1 : -1;
  const m = shortestInteger(d);
  return n < m ? -1 : n > m ? 1 : 0;
}

/** Order by code point, which is the order of the UTF-8 bytes; JavaScript's is by UTF-16 unit. */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    const high = (x >= 0xd800 && x < 0xe000) === (y >= 0xd800 && y < 0xe000);
    return high ? Math.sign(x - y) : x >= 0xd800 && x < 0xe000 ? 1 : -1;
  }
  return Math.sign(a.length - b.length);
}

/**
 * The rank of a value's type in jq's order: null, false, true, numbers, strings, arrays, objects.
 */
export function rank(v: Value): number {
  if (v === null) return 0;
  switch (typeof v) {
    case "boolean":
      return v ? 2 : 1;
    case "number":
    case "bigint":
      return 3;
    case "string":
      return 4;
  }
  if (v instanceof Calc) return 3;
  if (v instanceof Ref) return v.isArray ? 5 : 6;
  return Array.isArray(v) ? 5 : 6;
}

/** jq's name of a value's type. */
export function typeName(v: Value): string {
  return ["null", "boolean", "boolean", "number", "string", "array", "object"][rank(v)] ?? "null";
}

/** jq's total order: -1, 0 or 1. */
export function compareValues(a: Value, b: Value): number {
  const ra = rank(a);
  const rb = rank(b);
  if (ra !== rb) return ra < rb ? -1 : 1;
  if (typeof a === "string" && typeof b === "string") return a === b ? 0 : compareText(a, b);
  if (isNumber(a) && isNumber(b)) return compareNumbers(a, b);
  if (ra === 5) return compareArrays(asArray(a), asArray(b));
  return ra === 6 ? compareObjects(asMap(a), asMap(b)) : 0;
}

function compareArrays(a: readonly Value[], b: readonly Value[]): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const c = compareValues(a[i] ?? null, b[i] ?? null);
    if (c !== 0) return c;
  }
  return Math.sign(a.length - b.length);
}

/** Sorted keys first, then the values in the order of the keys. */
function compareObjects(a: ReadonlyMap<string, Value>, b: ReadonlyMap<string, Value>): number {
  const keys = [...a.keys()].sort(compareText);
  const c = compareArrays(keys, [...b.keys()].sort(compareText));
  if (c !== 0) return c;
  for (const key of keys) {
    const d = compareValues(a.get(key) ?? null, b.get(key) ?? null);
    if (d !== 0) return d;
  }
  return 0;
}

/** The elements of an array value, unpacked from the message. */
export function asArray(v: Value): readonly Value[] {
  const own = v instanceof Ref ? unpack(v) : v;
  return Array.isArray(own) ? own : [];
}

/** The members of an object value, unpacked from the message. */
export function asMap(v: Value): ReadonlyMap<string, Value> {
  const own = v instanceof Ref ? unpack(v) : v instanceof LazyObject ? v.members() : v;
  return own instanceof Map ? own : new Map();
}

/** The value at `at`: scalars by value, containers as references. */
export function load(doc: Lite3Doc, at: number): Value {
  switch (doc.tag(at)) {
    case Tag.Null:
      return null;
    case Tag.Bool:
      return doc.bool(at);
    case Tag.I64:
      return loadInteger(doc, at);
    case Tag.F64:
      return doc.f64(at);
    case Tag.String:
      return doc.string(at);
    case Tag.Bytes: {
      const start = doc.stringStart(at);
      return doc.u8.subarray(start, start + doc.bytesLength(at)).toBase64();
    }
    default:
      return new Ref(doc, at);
  }
}

function loadInteger(doc: Lite3Doc, at: number): number | bigint {
  const hi = doc.i64Hi(at);
  if (hi >= -0x200000 && hi < 0x200000) return hi * 0x100000000 + doc.i64Lo(at);
  return exact(doc.i64(at));
}

/** A literal integer: as a number if that is exact. */
export function exact(n: bigint): number | bigint {
  return n >= -9007199254740992n && n <= 9007199254740992n ? Number(n) : n;
}

/** The children of a container in the message, in order, as offsets. */
export function childOffsets(ref: Ref): number[] {
  const { doc } = ref;
  const entries = doc.entries(ref.at);
  return ref.isArray ? entries : entries.map((kv) => doc.readKey(kv));
}

/** Unpacks a container to arrays and maps; the walk's accounting detects hostile bytes. */
function unpack(ref: Ref): Value {
  ref.doc.startWalk();
  return unpackAt(ref.doc, ref.at, 1);
}

function unpackAt(doc: Lite3Doc, at: number, level: number): Value {
  const tag = doc.tag(at);
  if (tag < Tag.Object) {
    doc.spend(tag === Tag.String ? doc.stringLength(at) + 6 : 1);
    return load(doc, at);
  }
  if (level > MAX_LEVELS) throw corrupt();
  const n = doc.pushEntries(at);
  const array: Value[] = [];
  const map = new Map<string, Value>();
  for (let i = n; i > 0; i--) {
    const entry = doc.entryFromTop(i);
    if (tag === Tag.Array) array.push(unpackAt(doc, entry, level + 1));
    else map.set(doc.key(entry), unpackAt(doc, doc.readKey(entry), level + 1));
  }
  doc.dropEntries(n);
  return tag === Tag.Array ? array : map;
}

/** A value as JSON text for error messages; long ones are truncated. */
export function describe(v: Value): string {
  const text = toJson(v);
  return text.length > 200 ? `${text.slice(0, 200).toWellFormed()}…` : text;
}

function toJson(v: Value): string {
  switch (rank(v)) {
    case 3:
      return typeof v === "bigint" ? v.toString() : String(v instanceof Calc ? v.d : v);
    case 5:
      return `[${asArray(v).map(toJson).join(",")}]`;
    case 6:
      return `{${[...asMap(v)].map(([k, m]) => `${JSON.stringify(k)}:${toJson(m)}`).join(",")}}`;
    default:
      return JSON.stringify(v);
  }
}
