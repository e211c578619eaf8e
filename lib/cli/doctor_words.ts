/**
 * Explains damage to people.
 *
 * @module
 */

import type { CheckIssue } from "../pool/check.ts";
import type { SeqRange } from "../pool/salvage.ts";

const MEANINGS: readonly (readonly [RegExp, string])[] = [
  [
    /^the file is mostly holes/,
    "Far less is on the disk than the file is long; from here on nothing was looked at.",
  ],
  [/^unsupported pool format/, "The pool was written in another format; it is not damaged."],
  [/^bad magic|^corrupt data|^unsupported endianness/, "The file's header is gone or overwritten."],
  [/^invalid file size/, "The file was cut off or has grown since it was made."],
  [
    /^(invalid (index|ring) offset|ring (offset mismatch|bounds mismatch|size is zero))/,
    "The header's sizes contradict each other.",
  ],
  [
    /^(header offset|seq bounds inverted|empty header offsets)/,
    "The record of what is live in the pool is torn; the messages themselves may be whole.",
  ],
  [/^state block is empty/, "The record of what is live was wiped; messages are still there."],
  [
    /^(tail points at|tail frame is not|tail_next)/,
    "The mark of the oldest message is not exact, as old versions and killed writers leave it.",
  ],
  [/^tail seq mismatch/, "A writer was killed while it overwrote the oldest messages."],
  [/^head offset mismatch/, "The mark of where writing goes on is wrong; appends may fail."],
  [
    /^payload (checksum|cannot)/,
    "The message's content changed on disk; reading it fails or gives something else.",
  ],
  [/^missing frame commit/, "The message was not written to its end."],
  [
    /frame|seq mismatch|payload length|header length|truncated/,
    "Something other than a message is at this place; readers stop there.",
  ],
];

/** What an issue means, in one sentence: issues of one kind mean the same. */
export function kindOf({ message }: Pick<CheckIssue, "message">): string {
  return MEANINGS.find(([pattern]) => pattern.test(message))?.[1] ??
    "The pool is not what the format says.";
}

/** What an issue means, with the messages that are lost. */
export function meaningOf(issue: CheckIssue): string {
  return meaningOfAll(kindOf(issue), [issue]);
}

/** What issues of one kind mean, with the messages that are lost. */
export function meaningOfAll(kind: string, issues: readonly CheckIssue[]): string {
  const lost = issues.flatMap((issue) => issue.lost === null ? [] : [issue.lost]);
  return lost.length === 0 ? kind : `${kind} Affected: ${rangeText(joined(lost))}.`;
}

/** Ranges in order, those that touch as one. */
function joined(ranges: readonly SeqRange[]): SeqRange[] {
  const sorted = [...ranges].sort((a, b) => a.first < b.first ? -1 : a.first > b.first ? 1 : 0);
  const all: SeqRange[] = [];
  for (const range of sorted) {
    const former = all.at(-1);
    if (former === undefined || range.first > former.last + 1n) all.push(range);
    else if (range.last > former.last) all[all.length - 1] = { ...former, last: range.last };
  }
  return all;
}

/** Things by their kind, in the order in which the kinds come first. */
export function byKind<T>(things: readonly T[], kind: (thing: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const thing of things) {
    const of = kind(thing);
    const group = groups.get(of);
    if (group === undefined) groups.set(of, [thing]);
    else group.push(thing);
  }
  return groups;
}

/** `message 7`, `messages 3..5, 9`. */
export function rangeText(ranges: readonly SeqRange[]): string {
  const parts = ranges.map(({ first, last }) =>
    first === last ? String(first) : `${first}..${last}`
  );
  return (countOf(ranges) === 1n ? "message " : "messages ") + parts.join(", ");
}

/** The number of messages in ranges. */
export function countOf(ranges: readonly SeqRange[]): bigint {
  return ranges.reduce((sum, { first, last }) => sum + last - first + 1n, 0n);
}

/** `1 issue`, `3 issues`. */
export function countText(count: number | bigint, what: string): string {
  return `${count} ${what}${Number(count) === 1 ? "" : "s"}`;
}
