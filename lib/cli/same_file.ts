/**
 * Tells whether two paths lead to one file.
 *
 * @module
 */

/** Whether both paths lead to the same file, by links or in another way; throws if one leads to none. */
export function isSameFile(one: string, other: string): boolean {
  const [a, b] = [Deno.statSync(one), Deno.statSync(other)];
  if (a.ino !== null && b.ino !== null) return a.dev === b.dev && a.ino === b.ino;
  return Deno.realPathSync(one) === Deno.realPathSync(other);
}
