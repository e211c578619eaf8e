/**
 * Encodes a JavaScript value as Lite3, member by member, without going through JSON text.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import type { Lite3Encoder } from "./encode.ts";
import { Lite3Key, MAX_LEVELS, NODE_SIZE, Tag } from "./layout.ts";
import { encodeFailed, type Lite3Writer, nulInKey } from "./writer.ts";

const I64_MIN = -(2n ** 63n);
const I64_MAX = 2n ** 63n - 1n;
/** How many keys are cached with their hashes; a program uses few different ones. */
const MAX_KEYS = 1024;
const NO_KEY = new DataView(new ArrayBuffer(0));

let keys: Map<string, Lite3Key> | undefined;
let utf8: TextEncoder | undefined;

/**
 * Encodes a message from a JavaScript value: numbers that are safe integers and bigints become
 * 64-bit integers, other numbers doubles; `toJSON` is honoured, undefined members are left out.
 *
 * @throws {PlasmiteError} Usage, if it is not an object or cannot be represented
 */
export function messageFromValue(
  encoder: Lite3Encoder,
  data: unknown,
  tags: readonly string[],
): void {
  encoder.messageWith(tags, (writer, node) => writeValue(writer, data, node));
}

/** Writes the members of `data` into the empty object node at `node`, which is at level 2. */
function writeValue(writer: Lite3Writer, data: unknown, node: number): void {
  const value = plain(data, "");
  if (typeof value === "object" && value !== null) checkReadable(value);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new PlasmiteError("Usage", "data must be object", {
      hint: "Wrap the value in an object, for example { value }.",
    });
  }
  writeObject(writer, value, node, 2);
}

/**
 * The value that `JSON.stringify` would use: the result of `toJSON`, or the value of a wrapper
 * object.
 */
function plain(value: unknown, key: string): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Date && Number.isNaN(value.getTime())) {
    throw new PlasmiteError("Usage", "cannot store an invalid Date", {
      hint: "Store null, or a valid date.",
    });
  }
  const { toJSON } = value as { toJSON?: unknown };
  const given = typeof toJSON === "function" ? toJSON.call(value, key) as unknown : value;
  if (
    given instanceof Number || given instanceof String || given instanceof Boolean ||
    given instanceof BigInt
  ) return given.valueOf();
  return isRaw(given) ? fromRaw(given.rawJSON) : given;
}

/** Whether a value is a result of `JSON.rawJSON`, which `Message.toJSON` uses for numbers. */
function isRaw(value: unknown): value is { readonly rawJSON: string } {
  if (typeof value !== "object" || value === null) return false;
  if ((value as { rawJSON?: unknown }).rawJSON === undefined) return false;
  return (JSON as unknown as { isRawJSON(value: unknown): boolean }).isRawJSON(value);
}

function fromRaw(text: string): unknown {
  return /^-?\d+$/.test(text) ? BigInt(text) : JSON.parse(text) as unknown;
}

/**
 * Refuses objects whose content is not in their members: a Map would become {}. An instance of a
 * user-defined class is stored as its members, as in JSON, unless it has none.
 */
function checkReadable(value: object): void {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null || Array.isArray(value)) return;
  const kind = Object.prototype.toString.call(value).slice(8, -1);
  if (kind === "Object" && Object.keys(value).length > 0) return;
  const name = kind === "Object" ? value.constructor.name : kind;
  throw new PlasmiteError("Usage", `cannot store a value of class ${name}`, {
    hint: HINTS[kind] ?? "Store a plain object with its relevant members.",
  });
}

const HINTS: Readonly<Record<string, string>> = {
  Map: "Store Object.fromEntries(map), or an array of its entries.",
  Set: "Store an array: [...set].",
  Uint8Array: "Store text or an array of numbers, for example bytes.toBase64().",
  Error: "Store its relevant members, for example { message: error.message }.",
  Promise: "Await it first.",
};

function writeObject(writer: Lite3Writer, object: object, node: number, level: number): void {
  checkLevel(level);
  for (const name of Object.keys(object)) {
    const value = plain((object as Record<string, unknown>)[name], name);
    if (value === undefined) continue;
    const key = keyOf(name);
    const length = key.size - 1;
    writer.room(length + 16);
    const slot = writer.place(node, key.hash, key.dv, 0, length);
    const aligned = isAligned(value);
    if (aligned) writer.align(key.tagWidth + key.size);
    writer.out.dv.setInt32(slot, writer.at - writer.base, true);
    writer.writeKey(key.dv, 0, length);
    writeAny(writer, value, level);
  }
}

function writeArray(
  writer: Lite3Writer,
  array: readonly unknown[],
  node: number,
  level: number,
): void {
  checkLevel(level);
  for (let i = 0; i < array.length; i++) {
    // As in JSON, a hole is null.
    const value = plain(array[i], String(i)) ?? null;
    writer.room(16);
    const slot = writer.place(node, i, NO_KEY, 0, -1);
    if (isAligned(value)) writer.align(0);
    writer.out.dv.setInt32(slot, writer.at - writer.base, true);
    writeAny(writer, value, level);
  }
}

function checkLevel(level: number): void {
  if (level > MAX_LEVELS) {
    throw encodeFailed(
      "Nest objects and arrays at most 31 levels deep, data included, and without cycles.",
    );
  }
}

/** Containers are aligned, and so are strings of the same size (docs/spec/format.md 7.5). */
function isAligned(value: unknown): boolean {
  if (typeof value === "string") {
    return value.length <= 90 && value.length >= 30 && utf8Length(value) === 90;
  }
  return typeof value === "object" && value !== null;
}

function utf8Length(text: string): number {
  let n = 0;
  for (const c of text) {
    const code = c.codePointAt(0) ?? 0;
    n += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return n;
}

function writeAny(writer: Lite3Writer, value: unknown, level: number): void {
  switch (typeof value) {
    case "string":
      return writeString(writer, value);
    case "number":
      return writeNumber(writer, value);
    case "boolean":
      writer.out.dv.setUint8(writer.at, Tag.Bool);
      writer.out.dv.setUint8(writer.at + 1, value ? 1 : 0);
      writer.at += 2;
      return;
    case "bigint":
      return writeBigInt(writer, value);
    case "object": {
      if (value === null) {
        writer.out.dv.setUint8(writer.at, Tag.Null);
        writer.at += 1;
        return;
      }
      checkReadable(value);
      const node = writer.at;
      const isArray = Array.isArray(value);
      writer.emptyNode(node, isArray ? Tag.Array : Tag.Object);
      writer.at = node + NODE_SIZE;
      if (isArray) writeArray(writer, value as unknown[], node, level + 1);
      else writeObject(writer, value, node, level + 1);
      return;
    }
    default:
      throw new PlasmiteError("Usage", `cannot store a ${typeof value}`, {
        hint: "Store strings, numbers, bigints, booleans, null, arrays and plain objects.",
      });
  }
}

function writeNumber(writer: Lite3Writer, value: number): void {
  const { dv } = writer.out;
  const at = writer.at;
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
    dv.setUint8(at, Tag.I64);
    dv.setInt32(at + 1, value % 0x100000000 | 0, true);
    dv.setInt32(at + 5, Math.floor(value / 0x100000000), true);
  } else {
    if (!Number.isFinite(value)) {
      throw new PlasmiteError("Usage", `cannot store the number ${value}`, {
        hint: "Store null or a string instead; JSON has finite numbers only.",
      });
    }
    dv.setUint8(at, Tag.F64);
    dv.setFloat64(at + 1, value, true);
  }
  writer.at = at + 9;
}

function writeBigInt(writer: Lite3Writer, value: bigint): void {
  if (value < I64_MIN || value > I64_MAX) {
    throw new PlasmiteError("Usage", `integer ${value} does not fit in 64 bits`, {
      hint: "Store it as a string.",
    });
  }
  writer.out.dv.setUint8(writer.at, Tag.I64);
  writer.out.dv.setBigInt64(writer.at + 1, value, true);
  writer.at += 9;
}

function writeString(writer: Lite3Writer, text: string): void {
  const { length } = text;
  writer.room(3 * length + 8);
  const { dv, u8 } = writer.out;
  const at = writer.at;
  const start = at + 5;
  let end = start;
  let i = 0;
  if (length <= 48) {
    for (; i < length; i++) {
      const c = text.charCodeAt(i);
      if (c > 0x7f) break;
      dv.setUint8(start + i, c);
    }
    end = start + length;
  }
  if (i < length) {
    if (!text.isWellFormed()) throw loneSurrogate();
    utf8 ??= new TextEncoder();
    end = start + utf8.encodeInto(text, u8.subarray(start)).written;
  }
  dv.setUint8(at, Tag.String);
  dv.setUint32(at + 1, end - start + 1, true);
  dv.setUint8(end, 0);
  writer.at = end + 1;
}

function keyOf(name: string): Lite3Key {
  keys ??= new Map();
  let key = keys.get(name);
  if (key !== undefined) return key;
  if (!name.isWellFormed()) throw loneSurrogate();
  if (name.includes("\0")) throw nulInKey();
  key = new Lite3Key(name);
  if (name.length <= 64) {
    if (keys.size >= MAX_KEYS) keys.clear();
    keys.set(name, key);
  }
  return key;
}

function loneSurrogate(): PlasmiteError {
  return new PlasmiteError("Usage", "cannot store a lone surrogate", {
    hint: "Make the text valid Unicode, for example with toWellFormed().",
  });
}
