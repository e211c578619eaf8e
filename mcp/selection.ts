/**
 * The selection of messages of a call.
 *
 * @module
 */

import type { Selection } from "../lib/backend/types.ts";
import { U64_MAX } from "../lib/client/options.ts";
import { ErrorKind, PlasmiteError } from "../lib/errors.ts";
import { withBudget } from "../lib/filter/budget.ts";
import type { ServedLimits } from "../lib/filter/served.ts";
import type { Where } from "../lib/filter/where.ts";
import type { Limits } from "./answer.ts";
import { BadArgument } from "./args.ts";
import type { Grouping } from "../lib/filter/latest.ts";

/**
 * How many steps a condition may take on one message: enough for `test("a.*b")` on ten thousand
 * characters; at worst some tens of milliseconds.
 */
const STEPS = 1_000_000;
/** How long one condition may compute in one call, in milliseconds. */
const TIME = 5_000;
/** The same in jq, in which filters have a budget for each message besides. */
const JQ_TIME = 30_000;

/** A compiled `where`. */
export interface Condition {
  /** The condition; it throws when it has used up its time. */
  readonly where: Where;
  /** A key that it reads from the envelope although no envelope has it. */
  readonly strangeKey: string | undefined;
}

/** The selection of messages. */
export interface Wanted extends Limits {
  /** Only messages after this one. */
  readonly after?: bigint | undefined;
  /** Only messages at or after this time, in nanoseconds since 1970. */
  readonly since?: bigint | undefined;
  /** Only messages with all of these tags. */
  readonly tags: readonly string[];
  /** Only messages that meet the condition. */
  readonly condition?: Condition | undefined;
  /** Only the newest message with this key. */
  readonly key?: string | undefined;
  /** Only the newest message of each group. */
  readonly latest?: Grouping | undefined;
}

/**
 * Compiles the argument `where`.
 *
 * @throws {BadArgument} with the problem
 */
export async function compileCondition(expression: string): Promise<Condition> {
  const { compileServed } = await import("../lib/filter/served.ts");
  const { strangeKey } = await import("../lib/filter/hopeless.ts");
  try {
    const where = await compileServed(expression, LIMITS);
    return { where, strangeKey: strangeKey(expression) };
  } catch (error) {
    if (!PlasmiteError.is(error, ErrorKind.Usage)) throw error;
    throw new BadArgument("where", `${error.message}. ${error.hint ?? ""}`.trim());
  }
}

/** Limits a condition to five seconds of computing; waiting does not count. */
export function budgeted(where: Where): Where {
  return withBudget(where, TIME, tooLong);
}

function tooLong(): PlasmiteError {
  return new PlasmiteError("Usage", "filter took too long", {
    hint: "Narrow the search with tags, since or after_seq, or use a simpler expression.",
  });
}

const LIMITS: ServedLimits = {
  maxSteps: STEPS,
  limited: budgeted,
  total: { ms: JQ_TIME, spent: tooLong },
};

/** The filters of a call as a selection. */
export function filtersOf({ since, tags, condition }: Wanted): Selection {
  return {
    tags,
    ...(since === undefined ? {} : { since }),
    ...(condition === undefined ? {} : { where: [condition.where], countFailures: true }),
  };
}

/** The members of the answer about messages on which the condition failed. */
export function failuresOf(
  { condition }: Wanted,
): { readonly where_failed?: number; readonly strangeKey?: string | undefined } {
  if (condition === undefined || condition.where.failed === 0) return {};
  return { where_failed: condition.where.failed, strangeKey: condition.strangeKey };
}

/** The sequence number after `after`; the highest one has no successor. */
export function firstAfter(after: bigint): bigint {
  return after === U64_MAX ? after : after + 1n;
}
