/**
 * A limit on the time that a stranger's filter may take.
 *
 * @module
 */

import type { Where } from "./where.ts";

/**
 * The filter, until it has computed for so long; then it throws. Time in which nothing is judged
 * does not count: a filter may wait for messages as long as it likes.
 *
 * @param where a filter that runs on the stored bytes: jq itself cannot be stopped
 * @param ms how long it may compute, in milliseconds
 * @param spent makes the error for when that is over
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
