/**
 * Decodes Lite3 to JavaScript values.
 *
 * @module
 */

import { corrupt, type Lite3Doc } from "./doc.ts";
import { MAX_LEVELS, Tag } from "./layout.ts";

/**
 * How 64-bit integers are decoded: `"auto"` as a number if that is exact (up to ±(2^53 - 1)), else
 * as a bigint; `"number"` as the nearest number; `"bigint"` always as a bigint.
 *
 * @example Decode large integers exactly
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client({ poolDir: Deno.makeTempDirSync(), integers: "auto" });
 * using pool = client.pool("demo");
 * pool.append({ small: 1n, large: 2n ** 60n });
 * const { data } = pool.get(1);
 * console.assert(data["small"] === 1 && data["large"] === 2n ** 60n);
 * ```
 */
export type IntegerPolicy = "auto" | "number" | "bigint";

/**
 * The value at `value` as a JavaScript value. Members are in insertion order as far as JavaScript
 * objects preserve it; bytes are decoded as base64 text, as in JSON.
 *
 * @throws {PlasmiteError} Corrupt, if the bytes are not a valid document
 */
export function toValue(doc: Lite3Doc, value: number, integers: IntegerPolicy = "auto"): unknown {
  doc.startWalk();
  return read(doc, value, integers, 1);
}

function read(doc: Lite3Doc, value: number, integers: IntegerPolicy, level: number): unknown {
  switch (doc.tag(value)) {
    case Tag.Null:
      doc.spend(1);
      return null;
    case Tag.Bool:
      doc.spend(2);
      return doc.bool(value);
    case Tag.I64:
      doc.spend(9);
      return readInteger(doc, value, integers);
    case Tag.F64: {
      doc.spend(9);
      const x = doc.f64(value);
      if (!Number.isFinite(x)) throw corrupt();
      return x;
    }
    case Tag.String:
      doc.spend(doc.stringLength(value) + 6);
      return doc.string(value);
    case Tag.Object:
      return readObject(doc, value, integers, level);
    case Tag.Array: {
      if (level > MAX_LEVELS) throw corrupt();
      const n = doc.pushEntries(value);
      const array: unknown[] = [];
      for (let i = n; i > 0; i--) {
        array.push(read(doc, doc.entryFromTop(i), integers, level + 1));
      }
      doc.dropEntries(n);
      return array;
    }
    default: {
      const length = doc.bytesLength(value);
      doc.spend(length + 5);
      const start = doc.stringStart(value);
      return doc.u8.subarray(start, start + length).toBase64();
    }
  }
}

function readObject(
  doc: Lite3Doc,
  node: number,
  integers: IntegerPolicy,
  level: number,
): Record<string, unknown> {
  if (level > MAX_LEVELS) throw corrupt();
  const n = doc.pushEntries(node);
  const object: Record<string, unknown> = {};
  for (let i = n; i > 0; i--) {
    const kv = doc.entryFromTop(i);
    const value = doc.readKey(kv);
    doc.spend(value - kv);
    const key = doc.keyText();
    const member = read(doc, value, integers, level + 1);
    if (key === "__proto__") {
      // Assignment would set the prototype.
      Object.defineProperty(object, key, {
        value: member,
        enumerable: true,
        configurable: true,
        writable: true,
      });
    } else object[key] = member;
  }
  doc.dropEntries(n);
  return object;
}

function readInteger(doc: Lite3Doc, value: number, integers: IntegerPolicy): number | bigint {
  if (integers === "bigint") return doc.i64(value);
  const hi = doc.i64Hi(value);
  // Exact within ±2^53; -(2^53) itself is not safe and has lo = 0.
  const n = hi * 0x100000000 + doc.i64Lo(value);
  if (hi >= -0x200000 && hi < 0x200000 && n !== -0x20000000000000) return n;
  return integers === "auto" ? doc.i64(value) : Number(doc.i64(value));
}
