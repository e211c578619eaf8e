/**
 * The JSON Schema of results.
 *
 * @module
 */

import { ErrorKind } from "../lib/errors.ts";

/** A JSON Schema. */
export type Schema = { readonly [key: string]: unknown };

/** A member of a result. */
export interface Field<Optional extends boolean = boolean> {
  /** Its schema. */
  readonly schema: Schema;
  /** Whether it may be absent. */
  readonly optional: Optional;
}

/** The members of a result by name. */
export type Output = { readonly [name: string]: Field };

/** A result with the members of an {@linkcode Output}. */
export type Result<O extends Output> =
  & { readonly [N in keyof O as O[N] extends Field<false> ? N : never]: unknown }
  & { readonly [N in keyof O as O[N] extends Field<false> ? never : N]?: unknown };

/** A member that is always present. */
export function field(schema: Schema): Field<false> {
  return { schema, optional: false };
}

/** An optional member. */
export function maybe(schema: Schema): Field<true> {
  return { schema, optional: true };
}

/** An object with exactly these members. */
export function closed(fields: Output): Schema {
  const all = Object.entries(fields);
  return {
    type: "object",
    properties: Object.fromEntries(all.map(([name, { schema }]) => [name, schema])),
    required: all.filter(([, { optional }]) => !optional).map(([name]) => name),
    additionalProperties: false,
  };
}

/** A text. */
export const TEXT: Schema = { type: "string" };
/** A boolean. */
export const FLAG: Schema = { type: "boolean" };
/** An integer. */
export const WHOLE: Schema = { type: "integer", minimum: 0 };
const WHOLE_OR_NULL: Schema = { type: ["integer", "null"], minimum: 0 };

/** A failed call. */
export const FAILURE: Schema = {
  type: "object",
  properties: { tool: TEXT, error_kind: { type: "string", enum: Object.keys(ErrorKind) } },
  required: ["tool", "error_kind"],
};

/** Information about a pool. */
export const POOL: Schema = {
  type: "object",
  properties: {
    name: TEXT,
    path: TEXT,
    file_size: WHOLE,
    index_offset: WHOLE,
    index_capacity: WHOLE,
    index_size_bytes: WHOLE,
    ring_offset: WHOLE,
    ring_size: WHOLE,
    bounds: {
      type: "object",
      properties: { oldest: WHOLE, newest: WHOLE },
      additionalProperties: false,
    },
    metrics: { type: "object" },
    retention: {
      type: "object",
      properties: { max_age_ms: WHOLE_OR_NULL, oldest_live: WHOLE_OR_NULL, expired: WHOLE },
      additionalProperties: false,
    },
    error: closed({ kind: field(TEXT), message: field(TEXT) }),
  },
  required: ["name", "path", "file_size", "bounds"],
  additionalProperties: true,
};

/** A message. */
export const MESSAGE: Schema = closed({
  seq: field(WHOLE),
  time: field(TEXT),
  meta: field(closed({ tags: field({ type: "array", items: TEXT }) })),
  data: field({}),
});

/** The messages whose data was cut. */
export const CUT: Schema = {
  type: "array",
  items: closed({ seq: field(WHOLE), bytes: field(WHOLE) }),
};

/** Messages and the position for the next call. */
export const BATCH = {
  messages: field({ type: "array", items: MESSAGE }),
  next_after_seq: field(WHOLE_OR_NULL),
  last_returned_seq: field(WHOLE_OR_NULL),
  oldest_available_seq: field(WHOLE_OR_NULL),
  newest_available_seq: field(WHOLE_OR_NULL),
  fell_behind: field(FLAG),
  has_more: maybe(FLAG),
  cursor_ahead: maybe(FLAG),
  window_incomplete: maybe(FLAG),
  where_failed: maybe(WHOLE),
  cut: maybe(CUT),
  omitted: maybe(WHOLE),
  note: maybe(TEXT),
} as const;
