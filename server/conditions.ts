/**
 * The conditions of appends, as bodies and queries state them (docs/spec/http-api.md 12.1).
 *
 * @module
 */

import type { Conditions } from "../lib/backend/types.ts";
import { U64_MAX } from "../lib/client/options.ts";
import { checkKey, tagsOf } from "../lib/coordination/names.ts";
import { bad } from "./errors.ts";
import { exactValue } from "./fields.ts";
import { isAbsent, type Span } from "./members.ts";
import { parseU64, single } from "./query.ts";

/** The members of a body that state conditions. */
export const CONDITION_FIELDS = ["expect", "key", "id", "id_window"] as const;

/** The conditions of one message. */
export interface MessageConditions {
  /** The required newest message, of the pool or with `key`. */
  readonly expect?: bigint | undefined;
  /** The key of the message. */
  readonly key?: string | undefined;
  /** The id of the message. */
  readonly id?: string | undefined;
  /** How many messages back to search for the id. */
  readonly idWindow?: number | undefined;
}

/** No conditions. */
export const UNCONDITIONAL: MessageConditions = {};

function sequence(value: unknown, name: string): bigint {
  if (typeof value === "bigint" && value <= U64_MAX) return value;
  throw bad(`invalid ${name}`, "Use a whole number from 0 to 2^64 - 1.");
}

function text(value: unknown, name: string): string {
  if (typeof value === "string") return checkKey(value, name);
  throw bad(`invalid ${name}`, "Use a string.");
}

/**
 * The conditions in the members of a body.
 *
 * @param found the members; other ones are ignored
 * @throws {HttpError} 400
 */
export function conditionsIn(
  bytes: Uint8Array,
  found: ReadonlyMap<string, Span>,
): MessageConditions {
  if (!CONDITION_FIELDS.some((name) => found.has(name))) return UNCONDITIONAL; // The hot path.
  const value = (name: string): unknown => {
    const span = found.get(name);
    return span === undefined || isAbsent(bytes, span) ? undefined : exactValue(bytes, span);
  };
  const [expect, key, id, window] = CONDITION_FIELDS.map(value);
  return {
    expect: expect === undefined ? undefined : sequence(expect, "expect"),
    key: key === undefined ? undefined : text(key, "key"),
    id: id === undefined ? undefined : text(id, "id"),
    idWindow: window === undefined ? undefined : Number(sequence(window, "id_window")),
  };
}

/**
 * The conditions in a query.
 *
 * @throws {HttpError} 400
 */
export function conditionsOf(search: string): MessageConditions {
  if (search === "") return UNCONDITIONAL;
  const params = new URLSearchParams(search);
  const [expect, key, id, window] = CONDITION_FIELDS.map((name) =>
    single(params, name) ?? undefined
  );
  return {
    expect: expect === undefined ? undefined : parseU64(expect, "expect"),
    key: key === undefined ? undefined : checkKey(key, "key"),
    id: id === undefined ? undefined : checkKey(id, "id"),
    idWindow: window === undefined ? undefined : Number(parseU64(window, "id_window")),
  };
}

/** The tags of a message with those that its conditions add. */
export function conditionedTags(
  tags: readonly string[],
  conditions: MessageConditions,
): readonly string[] {
  return conditions === UNCONDITIONAL ? tags : tagsOf(tags, conditions);
}

/**
 * The conditions of an append.
 *
 * @param ids the id of each frame
 * @returns undefined if there are none: a key alone is only a tag
 */
export function whenOf(
  { expect, key, idWindow }: MessageConditions,
  ids: readonly (string | null)[],
): Conditions | undefined {
  const hasIds = ids.some((id) => id !== null);
  if (expect === undefined && !hasIds) return undefined;
  return {
    ...(expect === undefined ? {} : { expect }),
    ...(key === undefined ? {} : { key }),
    ...(hasIds ? { ids } : {}),
    ...(idWindow === undefined ? {} : { idWindow }),
  };
}
