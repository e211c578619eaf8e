/**
 * The time limit of filters.
 *
 * @module
 */

import { withBudget } from "../lib/filter/budget.ts";
import type { Where } from "../lib/filter/where.ts";
import { HttpError } from "./errors.ts";

/** How long a filter may compute in one stream, in milliseconds. */
const FILTER_TIME = 2_000;

/** The error for a filter that has used up its time. */
export class FilterTimeout extends HttpError {
  constructor() {
    super(400, "Usage", "filter exceeds its time budget", {
      hint: "Narrow the stream with tags or since, or filter in the client.",
    });
  }
}

/** A filter with a time limit, at which it throws {@linkcode FilterTimeout}. */
export function limited(where: Where): Where {
  return withBudget(where, FILTER_TIME, () => new FilterTimeout());
}
