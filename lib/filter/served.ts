/**
 * Compiles filters that strangers wrote, in a process that serves others: on the stored bytes
 * within a budget of steps and time, or in jq within a budget of time and memory
 * (docs/spec/http-api.md 12).
 *
 * @module
 */

import type { TotalTime } from "./deferred.ts";
import { parse } from "./parser.ts";
import { invalid, InvalidFilter, refuseHopeless } from "./refusal.ts";
import { compileWhereSync, type Where } from "./where.ts";

/** The limits of a filter. */
export interface ServedLimits {
  /** The steps allowed per message on the stored bytes. */
  readonly maxSteps: number;
  /** Limits the time of a filter on the stored bytes. */
  limited(where: Where): Where;
  /** The limit of all messages together in jq; default none. */
  readonly total?: TotalTime;
}

/**
 * Compiles a filter.
 *
 * @throws {PlasmiteError} Usage for an expression that cannot be compiled, that can match no message,
 *   or whose compilation takes too long; Io if jq cannot be loaded
 */
export async function compileServed(expression: string, limits: ServedLimits): Promise<Where> {
  let problem: string;
  try {
    const native = compileWhereSync(expression, { maxSteps: limits.maxSteps });
    await refuseHopeless(expression);
    if (native !== undefined) return limits.limited(native);
    const node = parse(expression);
    const { unknownFunction } = await import("./diagnose.ts");
    const unknown = unknownFunction(node);
    const { DeferredWhere } = await import("./deferred.ts");
    const compiled = unknown === undefined
      ? await DeferredWhere.compile(expression, node, limits.total)
      : { problem: unknown };
    if (compiled instanceof DeferredWhere) return compiled;
    problem = compiled.problem;
  } catch (error) {
    if (!(error instanceof InvalidFilter)) throw error;
    problem = error.problem;
  }
  const { suggest } = await import("./suggest.ts");
  throw invalid(expression, problem, suggest(expression));
}
