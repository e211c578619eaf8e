/**
 * Checks pool names of requests: names only, never paths (docs/spec/http-api.md 1).
 *
 * @module
 */

import { nameProblem } from "../lib/client/names.ts";
import { bad } from "./errors.ts";

/**
 * Checks a name and returns it.
 *
 * @throws {HttpError} 400 for what {@linkcode nameProblem} finds
 */
export function checkPoolName(name: string): string {
  const problem = nameProblem(name);
  if (problem !== undefined) throw bad(problem.message, problem.hint);
  return name;
}

/**
 * Decodes a path segment as UTF-8.
 *
 * @throws {HttpError} 400 if it is not valid percent-encoded UTF-8
 */
export function decodeSegment(segment: string): string {
  if (!segment.includes("%")) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    throw bad("invalid percent-encoding in the path", "Encode names as UTF-8.");
  }
}
