/**
 * A limit on the time that a stranger's filter may take.
 *
 * @module
 */

import type { Where } from "../lib/filter/where.ts";
import { HttpError } from "./errors.ts";

/** A filter may use so much time in one stream, in milliseconds of computing. */
const FILTER_TIME = 2_000;

/** A filter has used up its time. */
export class FilterTimeout extends HttpError {
  constructor() {
    super(400, "Usage", "filter exceeds its time budget", {
      hint: "Narrow the stream with tags or since, or filter in the client.",
    });
  }
}

/**
 * The filter, until its time is used up; then it throws.
 *
 * @param where a filter that runs on the stored bytes: jq itself cannot be stopped
 */
export function withBudget(where: Where): Where {
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
      if (used > FILTER_TIME) throw new FilterTimeout();
      return matches;
    },
  };
}
