/**
 * Parses a path into the data of a message, such as `.data.a[0]`.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";

/** The steps after `.data`: keys and indexes; a negative index counts from the end. */
export type Path = readonly (string | number)[];

const STEP =
  /\.([A-Za-z_][A-Za-z0-9_]*)|\.?\[\s*(-?\d{1,9})\s*\]|\.?\[\s*("(?:[^"\\]|\\.)*")\s*\]|\.("(?:[^"\\]|\\.)*")/y;

/**
 * Parses a path.
 *
 * @throws {PlasmiteError} Usage
 */
export function parsePath(text: string): Path {
  const steps: (string | number)[] = [];
  const path = text.trim();
  let at = 0;
  while (at < path.length) {
    STEP.lastIndex = at;
    const [found, name, index, bracketed, quoted] = STEP.exec(path) ?? [];
    if (found === undefined) break;
    at += found.length;
    if (name !== undefined) steps.push(name);
    else if (index !== undefined) steps.push(Number(index));
    else steps.push(unquoted(bracketed ?? quoted ?? ""));
  }
  const [root, ...rest] = steps;
  if (at === path.length && root === "data") return rest;
  throw new PlasmiteError("Usage", `invalid path ${JSON.stringify(text)}`, {
    hint: 'Write it as .data.name, .data.list[0] or .data["odd name"].',
  });
}

/** The text of a string literal; anything else is returned unchanged and matches nothing. */
function unquoted(literal: string): string {
  try {
    return JSON.parse(literal) as string;
  } catch {
    return literal;
  }
}
