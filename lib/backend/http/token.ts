/**
 * Validates bearer tokens, for clients and servers.
 *
 * @module
 */

import { PlasmiteError } from "../../errors.ts";

/**
 * Rejects a token that is not valid in an `Authorization` header; the error does not contain it.
 *
 * @param path the file that contains it
 * @param advice how to get a valid token
 * @throws {PlasmiteError} Usage
 */
export function checkToken(token: string, path?: string, advice = ""): void {
  if (/^[\x21-\x7e]+$/.test(token)) return;
  const rule = token === ""
    ? "The token is empty; it must be printable ASCII without blanks."
    : "No header can carry this token: it must be printable ASCII without blanks, on one line.";
  throw new PlasmiteError("Usage", "invalid bearer token", {
    path,
    hint: `${rule} ${advice}`.trim(),
  });
}
