/**
 * How long a caller's filter may take.
 *
 * @module
 */

import { withBudget } from "../lib/filter/budget.ts";
import type { Where } from "../lib/filter/where.ts";
import { HttpError } from "./errors.ts";

/** How long a filter may compute in one stream, in milliseconds. */
const FILTER_TIME = 2_000;

/** A filter has used up its time. */
export class FilterTimeout extends HttpError {
  constructor() {
    super(400, "Usage", "filter exceeds its time budget", {
      hint: "Narrow the stream with tags or since, or filter in the client.",
    });
  }
}

/** A filter that may compute for a bounded time; then it throws {@linkcode FilterTimeout}. */
export function limited(where: Where): Where {
  return withBudget(where, FILTER_TIME, () => new FilterTimeout());
}
