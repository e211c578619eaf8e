/**
 * Small JSON bodies, checked by their schemas.
 *
 * @module
 */

import { type BodyReader, requireJson } from "./body.ts";
import { U64_MAX } from "../lib/client/options.ts";
import { bad } from "./errors.ts";
import type * as Schemas from "./schemas.ts";
import { isAbsent, MemberWalker, type Span, valueOf } from "./members.ts";

/** A value in which integers are bigints, so that `65536.0` and `1e5` are not accepted as sizes. */
export function exactValue(bytes: Uint8Array, span: Span): unknown {
  const value = valueOf(bytes, span);
  if (typeof value !== "number") return value;
  const text = new TextDecoder().decode(bytes.subarray(span.start, span.end));
  return /^(?:0|[1-9][0-9]{0,19})$/.test(text) ? BigInt(text) : Number.NaN;
}

/** The schemas, loaded when the first body is checked. */
export function schemas(): Promise<typeof Schemas> {
  return import("./schemas.ts");
}

/** The part of a zod schema that is used here. */
export interface Schema<T> {
  safeParse(value: unknown): { success: true; data: T } | {
    success: false;
    error: { issues: readonly { path: readonly PropertyKey[]; message: string }[] };
  };
}

/**
 * Checks a body against its schema.
 *
 * @throws {HttpError} 400
 */
export function checked<T>(schema: Schema<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const message = issue?.message ?? "";
  // What `exactValue` makes of other numbers.
  const hint = message.endsWith("received NaN")
    ? "Use a whole number, without sign, fraction or exponent."
    : `${message}.`;
  throw bad(`invalid field ${issue?.path.map(String).join(".") ?? ""}`, hint);
}

/**
 * A body with numbers instead of bigints, for a schema; numbers beyond 2^53 become 2^53 - 1. The
 * fields keep the exact values.
 */
export function plain(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const numbers: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    numbers[name] = typeof value === "bigint"
      ? Math.min(Number(value), Number.MAX_SAFE_INTEGER)
      : value;
  }
  return numbers;
}

/** An integer of a body that its schema has accepted; undefined if it is absent. */
export function wholeOf(
  fields: Readonly<Record<string, unknown>>,
  name: string,
): bigint | undefined {
  const value = fields[name];
  return typeof value === "bigint" ? value : undefined;
}

/** A value that is no integer, or one that fits 64 bits. Throws 400. */
function inRange(value: unknown, name: string): unknown {
  if (typeof value !== "bigint" || value <= U64_MAX) return value;
  throw bad(`invalid field ${name}`, "Use a whole number from 0 to 2^64 - 1.");
}

/**
 * Reads the known fields of a small JSON body; integers are bigints.
 *
 * @param nullable fields in which null has a meaning; in others it counts as absent
 */
export async function readFields(
  request: Request,
  bodies: BodyReader,
  names: readonly string[],
  nullable: readonly string[] = [],
): Promise<Record<string, unknown>> {
  requireJson(request);
  const bytes = await bodies.read(request);
  try {
    const fields: Record<string, unknown> = {};
    for (const [key, span] of new MemberWalker().walk(bytes, names)) {
      if (!isAbsent(bytes, span)) fields[key] = inRange(exactValue(bytes, span), key);
      else if (nullable.includes(key)) fields[key] = null;
    }
    return fields;
  } finally {
    bodies.done(bytes);
  }
}
