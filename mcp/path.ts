/**
 * Follows a path in JSON text.
 *
 * @module
 */

import { PlasmiteError } from "../lib/errors.ts";
import type { Path } from "../lib/filter/path.ts";
import { elements, members, type Span } from "./json.ts";

export { parsePath, type Path } from "../lib/filter/path.ts";

/** The number of keys in an error message. */
const KEYS_SHOWN = 10;

/**
 * Follows a path in the JSON text of a message's data.
 *
 * @throws {PlasmiteError} Usage if it does not exist, with the part that exists
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

/** The type of a value, for an error message. */
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
