/**
 * The errors of conditional appends whose conditions do not hold (docs/spec/coordination.md 3).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import type { Conditions } from "./types.ts";

/** The error for an expectation: the pool, or the key, is at `actual`. */
export function notExpected(
  { expect = 0n, key }: Conditions,
  actual: bigint,
  path: string,
): PlasmiteError {
  const what = key === undefined ? "pool" : `key ${key}`;
  const wanted = expect === 0n ? "none" : String(expect);
  return new PlasmiteError("Conflict", `${what} is at ${actual}, expected ${wanted}`, {
    path,
    hint:
      "Another writer appended in between: read what is new, decide again, and expect its number.",
    details: { expected: expect, actual, ...(key === undefined ? {} : { key }) },
  });
}

/** The error for an id with which message `seq` was stored, with other data. */
export function otherData(id: string, seq: bigint, path?: string): PlasmiteError {
  return new PlasmiteError("Conflict", `id ${id} was used for other data`, {
    path,
    hint: "An id names one message. Use another id for other data.",
    details: { id, seq },
  });
}

/**
 * The error for two records of one append that have the same id and different data.
 *
 * @param other the number of the first of them, from 1, and `record` that of the second
 */
export function sameIdTwice(
  id: string,
  other: number,
  record: number,
  path: string,
): PlasmiteError {
  return new PlasmiteError("Conflict", `id ${id} was used for other data`, {
    path,
    hint: `Records ${other} and ${record} have the same id and different data. ` +
      "Use another id for other data.",
    details: { id, other_record: BigInt(other), record: BigInt(record) },
  });
}
