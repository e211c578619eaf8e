/**
 * Limits the computing time of filters from remote callers.
 *
 * @module
 */

import type { Where } from "./where.ts";

/** An evaluation that took less than this is quick, in milliseconds. */
const QUICK = 0.05;
/** After a quick evaluation, up to twice as many minus one are not measured. */
const UNMEASURED = 8;

/**
 * Wraps a filter so that it throws once it has computed for `ms` milliseconds. Only time spent
 * evaluating messages counts, not time spent waiting for them.
 *
 * Reading the clock takes longer than a simple filter. So after a quick evaluation the next few are
 * not measured, but counted as if they were as quick. How many is random: messages that are costly
 * now and then cannot avoid being measured, they only get about eight times as long.
 *
 * @param where a filter that runs on the stored bytes: jq itself cannot be stopped
 * @param ms the limit, in milliseconds
 * @param spent creates the error thrown at the limit
 */
export function withBudget(where: Where, ms: number, spent: () => Error): Where {
  let used = 0;
  let unmeasured = 0;
  let left = 0;
  const measured = (view: Parameters<Where["matches"]>[0]): boolean => {
    const before = performance.now();
    const matches = where.matches(view);
    const took = performance.now() - before;
    used += took + unmeasured * Math.min(took, QUICK);
    if (used > ms) throw spent();
    left = unmeasured = took < QUICK ? 1 + Math.floor(Math.random() * (2 * UNMEASURED - 1)) : 0;
    return matches;
  };
  return {
    expression: where.expression,
    isNative: where.isNative,
    isForServers: where.isForServers === true,
    get failed() {
      return where.failed;
    },
    batch: () => where.batch(),
    matches: (view) => {
      if (left === 0) return measured(view);
      left--;
      return where.matches(view);
    },
  };
}
