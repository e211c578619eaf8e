/**
 * A path into the data of a message, such as `.data.a[0]`: how it is written, and what it leads to
 * in JSON text.
 *
 * @module
 */

import { PlasmiteError } from "../lib/errors.ts";
import { elements, members, type Span } from "./json.ts";

/** The steps behind `.data`: keys and indexes; a negative index counts from the end. */
export type Path = readonly (string | number)[];

const STEP =
  /\.([A-Za-z_][A-Za-z0-9_]*)|\.?\[\s*(-?\d{1,9})\s*\]|\.?\[\s*("(?:[^"\\]|\\.)*")\s*\]|\.("(?:[^"\\]|\\.)*")/y;
/** How many keys an error names. */
const KEYS_SHOWN = 10;

/**
 * Reads a path.
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

/** A string literal's text; what is none stays as it is and leads nowhere. */
function unquoted(literal: string): string {
  try {
    return JSON.parse(literal) as string;
  } catch {
    return literal;
  }
}

/**
 * Where a path leads in the JSON text of a message's data.
 *
 * @throws {PlasmiteError} Usage when it leads nowhere; it says how far it leads
 */
export function follow(json: string, path: Path): string {
  let text = json;
  let shown = ".data";
  for (const step of path) {
    const next = typeof step === "string" ? ofObject(text, step) : ofArray(text, step);
    if (next === undefined) throw leadsNowhere(shown, step, text);
    text = text.slice(next.start, next.end);
    shown += typeof step === "number"
      ? `[${step}]`
      : /^[A-Za-z_][A-Za-z0-9_]*$/.test(step)
      ? `.${step}`
      : `[${JSON.stringify(step)}]`;
  }
  return text;
}

function ofObject(text: string, key: string): Span | undefined {
  return text.startsWith("{") ? members(text, 0).get(key) : undefined;
}

function ofArray(text: string, index: number): Span | undefined {
  return text.startsWith("[") ? elements(text, 0).at(index) : undefined;
}

function leadsNowhere(shown: string, step: string | number, text: string): PlasmiteError {
  const what = typeof step === "number" ? `element ${step}` : `key ${JSON.stringify(step)}`;
  return new PlasmiteError("Usage", `${shown} has no ${what}; it is ${described(text)}`);
}

/** What a value is, as far as somebody needs it who took it for another. */
function described(text: string): string {
  if (text.startsWith("{")) {
    const keys = [...members(text, 0).keys()];
    const list = keys.slice(0, KEYS_SHOWN).map((key) => JSON.stringify(key)).join(", ");
    return keys.length === 0
      ? "an empty object"
      : `an object with ${list}${
        keys.length > KEYS_SHOWN ? ` and ${keys.length - KEYS_SHOWN} more` : ""
      }`;
  }
  if (text.startsWith("[")) return `an array of ${elements(text, 0).length}`;
  return text.startsWith('"')
    ? "a string"
    : text === "null"
    ? "null"
    : text === "true" || text === "false"
    ? "a boolean"
    : "a number";
}
