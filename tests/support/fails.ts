/**
 * Failures of a certain kind.
 *
 * @module
 */

import assert from "node:assert/strict";
import { ErrorKind, type ErrorKindName, PlasmiteError } from "../../lib/errors.ts";

type Details = Readonly<Record<string, unknown>>;

function checked(error: unknown, kind: ErrorKindName, details: Details): PlasmiteError {
  assert(PlasmiteError.is(error, ErrorKind[kind]), `${kind} expected, got ${error}`);
  for (const [name, value] of Object.entries(details)) assert.equal(error.details[name], value);
  return error;
}

function nothingFailed(kind: ErrorKindName): assert.AssertionError {
  return new assert.AssertionError({ message: `${kind} expected, nothing failed` });
}

/** The error of `work`, which has to be of that kind and have these details. */
export async function fails(
  kind: ErrorKindName,
  work: () => unknown,
  details: Details = {},
): Promise<PlasmiteError> {
  try {
    await work();
  } catch (error) {
    return checked(error, kind, details);
  }
  throw nothingFailed(kind);
}

/** Like {@linkcode fails}, for what fails at once. */
export function failsNow(
  kind: ErrorKindName,
  work: () => unknown,
  details: Details = {},
): PlasmiteError {
  try {
    work();
  } catch (error) {
    return checked(error, kind, details);
  }
  throw nothingFailed(kind);
}
