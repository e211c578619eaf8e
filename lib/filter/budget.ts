/**
 * Limits the computing time of filters from remote callers.
 *
 * @module
 */

import type { Where } from "./where.ts";

/**
 * Wraps a filter so that it throws once it has computed for `ms` milliseconds. Only time spent
 * evaluating messages counts, not time spent waiting for them.
 *
 * @param where a filter that runs on the stored bytes: jq itself cannot be stopped
 * @param ms the limit, in milliseconds
 * @param spent creates the error thrown at the limit
 */
export function withBudget(where: Where, ms: number, spent: () => Error): Where {
  let used = 0;
  return {
    expression: where.expression,
    isNative: where.isNative,
    get failed() {
      return where.failed;
    },
    batch: () => where.batch(),
    matches: (view) => {
      const before = performance.now();
      const matches = where.matches(view);
      used += performance.now() - before;
      if (used > ms) throw spent();
      return matches;
    },
  };
}
