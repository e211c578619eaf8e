/**
 * Small JSON bodies, checked by their schemas.
 *
 * @module
 */

import { type BodyReader, requireJson } from "./body.ts";
import { bad } from "./errors.ts";
import { isAbsent, MemberWalker, type Span, valueOf } from "./members.ts";

/** A value in which whole numbers are bigints: `65536.0` and `1e5` are no sizes. */
function exactValue(bytes: Uint8Array, span: Span): unknown {
  const value = valueOf(bytes, span);
  if (typeof value !== "number") return value;
  const text = new TextDecoder().decode(bytes.subarray(span.start, span.end));
  return /^(?:0|[1-9][0-9]{0,19})$/.test(text) ? BigInt(text) : Number.NaN;
}

/** The part of a zod schema that is used here. */
export interface Schema<T> {
  safeParse(value: unknown): { success: true; data: T } | {
    success: false;
    error: { issues: readonly { path: readonly PropertyKey[]; message: string }[] };
  };
}

/**
 * A body of the right shape.
 *
 * @throws {HttpError} 400
 */
export function checked<T>(schema: Schema<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw bad(`invalid field ${issue?.path.map(String).join(".") ?? ""}`, `${issue?.message}.`);
}

/** A small JSON body's known fields; fields given as null are left out. */
export async function readFields(
  request: Request,
  bodies: BodyReader,
  names: readonly string[],
): Promise<Record<string, unknown>> {
  requireJson(request);
  const bytes = await bodies.read(request);
  try {
    const fields: Record<string, unknown> = {};
    for (const [key, span] of new MemberWalker().walk(bytes, names)) {
      if (!isAbsent(bytes, span)) fields[key] = exactValue(bytes, span);
    }
    return fields;
  } finally {
    bodies.done(bytes);
  }
}
