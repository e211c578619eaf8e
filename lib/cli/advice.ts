/**
 * What to do about an error, in the words of the command line. Errors come from layers that do not
 * know what a flag is; they carry facts.
 *
 * @module
 */

import type { PlasmiteError } from "../errors.ts";
import type { Parsed } from "./args.ts";
import { token } from "./words.ts";

/** The error with the advice for this command line. */
export function advised(error: PlasmiteError, parsed: Parsed | undefined): PlasmiteError {
  const pool = parsed?.args.text("POOL");
  if (error.outcomeUnknown && pool !== undefined) {
    const command = `plasmite follow ${token(pool)} --tail 5 --no-follow`;
    return error.withHint(`Look before you send it again: ${command}`);
  }
  return error;
}
