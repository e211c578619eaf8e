/**
 * Which pool names a server accepts: names only, never paths (docs/spec/http-api.md 1).
 *
 * @module
 */

import { nameProblem } from "../lib/client/names.ts";
import { bad } from "./errors.ts";

/**
 * The name, checked.
 *
 * @throws {HttpError} 400 for what {@linkcode nameProblem} finds
 */
export function checkPoolName(name: string): string {
  const problem = nameProblem(name);
  if (problem !== undefined) throw bad(problem.message, problem.hint);
  return name;
}

/**
 * One path segment, decoded as UTF-8.
 *
 * @throws {HttpError} 400 when it is not valid percent-encoding of UTF-8
 */
export function decodeSegment(segment: string): string {
  if (!segment.includes("%")) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    throw bad("invalid percent-encoding in the path", "Encode names as UTF-8.");
  }
}
