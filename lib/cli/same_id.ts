/**
 * The error about two records of one input that have the same id and different data. Loaded only
 * then.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";

/** Where a record is in the input, counted from 1. */
export interface RecordPlace {
  readonly index: number;
  /** The line on which it starts, if lines are counted. */
  readonly line?: number | undefined;
}

/**
 * The error of an append, with the places in the input instead of those in what was appended; any
 * other error as it is.
 *
 * @param placeOf the place of the n-th record that was appended, from 1
 */
export function inInput(
  error: PlasmiteError,
  placeOf: (n: number) => RecordPlace | undefined,
): PlasmiteError {
  const { cause, details, hint, kindName, message, path } = error;
  const place = (n: unknown) => typeof n === "bigint" ? placeOf(Number(n)) : undefined;
  const [one, two] = [place(details["other_record"]), place(details["record"])];
  if (one === undefined || two === undefined) return error;
  const hasLines = one.line !== undefined && two.line !== undefined;
  return new PlasmiteError(kindName, message, {
    hint,
    path,
    cause: cause ?? error,
    causes: hasLines ? [`in the records on lines ${one.line} and ${two.line}`] : undefined,
    details: { ...details, other_record: BigInt(one.index), record: BigInt(two.index) },
  });
}
