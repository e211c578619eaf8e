/**
 * Words for the summaries of tools.
 *
 * @module
 */

/** `1 message`, `2 messages`. */
export function counted(n: number, word: string): string {
  return `${n} ${word}${n === 1 ? "" : "s"}`;
}
