/**
 * The body of a request for streams in a bundle (docs/spec/http-api.md 3).
 *
 * It is checked without its schema, `BundleBody` in schemas.ts: a page asks for its stream first, and
 * would wait for the library of schemas. A test compares the two.
 *
 * @module
 */

import { MOST_STREAMS } from "./bundle.ts";
import { bad } from "./errors.ts";

/** The members of the body. */
export const BUNDLE_FIELDS = ["open", "close"] as const;

/** The longest key, in characters. */
const LONGEST_KEY = 64;

/** A stream that is asked for. */
export interface AskedStream {
  /** What its lines are marked with. */
  readonly key: string;
  /** The pool. */
  readonly pool: string;
  /** What of the pool, as for its stream of events. */
  readonly query?: string;
}

/** What a request asks for. */
export interface BundleChange {
  /** The streams to open. */
  readonly open: readonly AskedStream[];
  /** The keys of those to close. */
  readonly close: readonly string[];
}

function wrong(field: string, should: string): Error {
  return bad(`invalid field ${field}`, `It should be ${should}.`);
}

function listOf(field: string, value: unknown): readonly unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw wrong(field, "an array");
  if (value.length > MOST_STREAMS) throw wrong(field, `no longer than ${MOST_STREAMS}`);
  return value;
}

function textOf(field: string, value: unknown): string {
  if (typeof value !== "string") throw wrong(field, "a string");
  return value;
}

function streamOf(field: string, value: unknown): AskedStream {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw wrong(field, "an object");
  }
  const { key, pool, query }: { key?: unknown; pool?: unknown; query?: unknown } = value;
  const mark = textOf(`${field}.key`, key);
  if (mark === "" || mark.length > LONGEST_KEY) {
    throw wrong(`${field}.key`, `1 to ${LONGEST_KEY} characters long`);
  }
  const asked = { key: mark, pool: textOf(`${field}.pool`, pool) };
  return query === undefined ? asked : { ...asked, query: textOf(`${field}.query`, query) };
}

/**
 * Checks what a request asks for.
 *
 * @throws {HttpError} 400 that names the first field that is wrong
 */
export function bundleChange(fields: Readonly<Record<string, unknown>>): BundleChange {
  return {
    open: listOf("open", fields["open"]).map((one, i) => streamOf(`open.${i}`, one)),
    close: listOf("close", fields["close"]).map((one, i) => textOf(`close.${i}`, one)),
  };
}
