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

/** The meaning of an issue in one sentence, with the messages that are lost. */
export function meaningOf({ message, lost }: CheckIssue): string {
  const meaning = MEANINGS.find(([pattern]) => pattern.test(message))?.[1] ??
    "The pool is not what the format says.";
  return lost === null ? meaning : `${meaning} Affected: ${rangeText([lost])}.`;
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
