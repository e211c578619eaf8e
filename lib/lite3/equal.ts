/**
 * Compares documents as JSON: integers and doubles are different, the order of members is ignored.
 *
 * @module
 */

import type { MessageView } from "./message.ts";
import { toValue } from "./value.ts";

/**
 * Whether the data of two messages is the same JSON value.
 *
 * @throws {PlasmiteError} Corrupt, if one of them is damaged
 */
export function sameData(a: MessageView, b: MessageView): boolean {
  return same(toValue(a.doc, a.dataAt, "bigint"), toValue(b.doc, b.dataAt, "bigint"));
}

function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length &&
      a.every((one, i) => same(one, b[i]));
  }
  const members = Object.entries(a);
  const others = new Map<string, unknown>(Object.entries(b));
  return members.length === others.size &&
    members.every(([name, value]) => others.has(name) && same(value, others.get(name)));
}
