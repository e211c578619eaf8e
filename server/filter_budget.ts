/**
 * The time limit of filters.
 *
 * @module
 */

import type { ErrorContext } from "../lib/errors.ts";
import { withBudget } from "../lib/filter/budget.ts";
import type { ServedLimits } from "../lib/filter/served.ts";
import type { Where } from "../lib/filter/where.ts";
import { HttpError } from "./errors.ts";

/** How many steps a filter may take on the stored bytes of a message. */
const FILTER_STEPS = 20_000;
/** How long a filter on the stored bytes may compute in one request, in milliseconds. */
const FILTER_TIME = 2_000;

const ADVICE = { hint: "Narrow the stream with tags or since, or filter in the client." };

/** The error for a filter that has used up its time. */
export class FilterTimeout extends HttpError {
  constructor(context: ErrorContext = ADVICE) {
    super(400, "Usage", "filter exceeds its time budget", context);
  }

  protected override copy(context: ErrorContext): FilterTimeout {
    return new FilterTimeout(context);
  }
}

/** A filter with a time limit, at which it throws {@linkcode FilterTimeout}. */
export function limited(where: Where): Where {
  return withBudget(where, FILTER_TIME, () => new FilterTimeout());
}

/** The limits of a client's filter. */
export const FILTER_LIMITS: ServedLimits = { maxSteps: FILTER_STEPS, limited };

/** The same where the next request goes on from there: then jq has no more time either. */
export const SLICE_LIMITS: ServedLimits = {
  ...FILTER_LIMITS,
  total: { ms: FILTER_TIME, spent: () => new FilterTimeout() },
};
