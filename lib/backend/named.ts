/**
 * Lists of what has a name.
 *
 * @module
 */

import type { Choose } from "./types.ts";

interface Named {
  readonly name: string;
}

/** Compares by UTF-16 code unit, as all sorted output of the program. */
export function byName(a: Named, b: Named): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

/** A list sorted by name; if `choose` is given, only what it chooses from the names. */
export function namedList<T extends Named>(list: readonly T[], choose?: Choose): readonly T[] {
  const all = list.toSorted(byName);
  if (choose === undefined) return all;
  const chosen = new Set(choose(all.map(({ name }) => name)));
  return all.filter(({ name }) => chosen.has(name));
}
