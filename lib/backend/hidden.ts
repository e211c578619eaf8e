/**
 * Removes message content written by others from errors for callers without read permission
 * (docs/spec/coordination.md 13.1).
 *
 * @module
 */

import { type ErrorDetails, ErrorKind, PlasmiteError } from "../errors.ts";
import { mayUse } from "../grant.ts";
import type { Grant } from "../types.ts";
import { poolName } from "./refs.ts";

/** The details that every caller may see. */
const KNOWN = ["expected", "actual", "seq", "key", "until"] as const;

/** Whether a caller may read a pool. */
export function mayRead(grant: Grant, pool: string): boolean {
  return mayUse(grant, "read", poolName(pool));
}

/** The error as shown to a caller: unchanged if the caller may read the pool. */
export function hidden(error: unknown, grant: Grant, pool: string): unknown {
  const isConflict = PlasmiteError.is(error, ErrorKind.Conflict);
  if (!isConflict && !PlasmiteError.is(error, ErrorKind.Busy)) return error;
  const { details: { key, until, expected }, kindName, hint, path, seq } = error;
  if ((!isConflict && until === undefined) || mayRead(grant, pool)) return error;
  const message = !isConflict
    ? `${key} is held until ${until}`
    : key !== undefined && expected === undefined
    ? "Lease lost"
    : error.message;
  const details: Record<string, ErrorDetails[string]> = {};
  for (const name of KNOWN) {
    const fact = error.details[name];
    if (fact !== undefined) details[name] = fact;
  }
  return new PlasmiteError(kindName, message, { hint, path, seq, details });
}
