/**
 * Words of a command line in advice: how one is written, and which one was meant. Loaded only when
 * something went wrong.
 *
 * @module
 */

import { escapeControls, unsafeIn } from "../visible.ts";

/**
 * A word as it can be pasted into a shell, always on one line: bare where every shell reads it so,
 * else as a JSON string (docs/spec/command-line.md 1.8); quoted otherwise where a shell would
 * change that.
 */
export function token(text: string): string {
  if (/^[A-Za-z0-9\-_./:=]+$/.test(text)) return text;
  if (unsafeIn(text) !== undefined) {
    return `$'${[...text].map(quoted).join("")}'`;
  }
  return /[$`!]/.test(text) ? `'${text.replaceAll("'", `'\\''`)}'` : JSON.stringify(text);
}

/** A character inside `$'…'`; beyond ASCII as bytes, which do not depend on the shell's locale. */
function quoted(char: string): string {
  if (/[\\']/.test(char)) return `\\${char}`;
  if (unsafeIn(char) === undefined || char <= "\x7f") return escapeControls(char);
  const bytes = [...new TextEncoder().encode(char)];
  return bytes.map((byte) => `\\x${byte.toString(16)}`).join("");
}

/**
 * The candidate a typing mistake away, or the only one that starts so. In a word of three letters or
 * less another letter is another word: only a missing, a doubled or a swapped one is a slip.
 */
export function closest(word: string, candidates: readonly string[]): string | undefined {
  const length = word.replace(/^-+/, "").length;
  let best: string | undefined;
  let least = Math.max(1, Math.floor(length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = edits(word, candidate);
    if (distance >= least) continue;
    if (length <= 3 && candidate.length === word.length && letters(candidate) !== letters(word)) {
      continue;
    }
    [best, least] = [candidate, distance];
  }
  if (best !== undefined) return best;
  const starting = candidates.filter((c) => length > 1 && c.startsWith(word));
  return starting.length === 1 ? starting[0] : undefined;
}

function letters(word: string): string {
  return [...word].sort().join("");
}

/** The shortest name of which a slip can be told. */
const SHORTEST_NAME = 4;

/**
 * The name that was meant, where names are anybody's choice: other than commands and options, one that
 * is nearly the same may well be somebody else's. Short names, and names that differ in their numbers
 * only (`job-1`, `job-2`), are never a slip of one another.
 */
export function closestName(name: string, candidates: readonly string[]): string | undefined {
  if (name.length < SHORTEST_NAME) return undefined;
  const folded = candidates.find((one) => one.toLowerCase() === name.toLowerCase());
  if (folded !== undefined) return folded;
  const shape = (text: string): string => text.replace(/\d+/g, "0");
  const others = candidates.filter((one) =>
    one.length >= SHORTEST_NAME && shape(one) !== shape(name)
  );
  return closest(name, others);
}

/** Commands that write into a pool or remove it; never to be suggested for another pool. */
const WRITING: ReadonlySet<string> = new Set([
  "feed",
  "tap",
  "duplex",
  "pool delete",
  "pool trim",
  "pool set",
  "import",
  "copy",
  "claim",
  "renew",
  "release",
  "work",
  "cursor set",
  "cursor delete",
]);

/** Whether a command, by its full name, changes the pool that it names. */
export function changesPool(command: string): boolean {
  return WRITING.has(command);
}

/** Edits between two words, a swap of neighbours counting as one. */
function edits(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(
        (last[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (last[j - 1] ?? 0) + (same ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (before[j - 2] ?? 0) + 1);
      }
      row.push(cost);
    }
    [before, last] = [last, row];
  }
  return last[b.length] ?? 0;
}
