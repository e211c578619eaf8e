/**
 * What to do next after an error, in the words of the tools. Errors come from everywhere below and
 * from servers, whose hints may be for people at a command line; agents have none.
 *
 * @module
 */

import { ErrorKind, type PlasmiteError } from "../lib/errors.ts";

/** Option names, and commands of the program. */
const COMMAND_LINE = /(?:^|[^\w-])--[a-z]|\bplasmite(?:\.exe)? [a-z]|\b[Rr]un the command\b/;

/** Whether a text is for people at a command line. */
export function isForCommandLine(text: string): boolean {
  return COMMAND_LINE.test(text);
}

const DAMAGED =
  "The pool is damaged: use another one, and tell the person you work for that this one needs a " +
  "repair.";

/**
 * What to do about an error.
 *
 * @param pool the pool concerned, empty if there is none
 * @param missing what to do when it is missing
 */
export function hintFor(error: PlasmiteError, pool: string, missing: string): string | undefined {
  const { kind, message, seq } = error;
  if (kind === ErrorKind.AlreadyExists) return `The pool ${pool} is there; use it as-is.`;
  if (kind === ErrorKind.NotFound && seq === undefined) {
    return message.endsWith("a different file")
      ? `The pool ${pool} was deleted and made anew; start over without after_seq.`
      : `No pool ${pool}; ${missing}`;
  }
  return agentHint(error);
}

/** The hint of an error as agents can follow it. */
export function agentHint(error: PlasmiteError): string | undefined {
  const { kind, message, hint, details, topic } = error;
  const { needed, capacity } = details;
  if (typeof needed === "bigint" && typeof capacity === "bigint") {
    return `This message takes ${needed} bytes and the pool holds ${capacity} at most. Split the ` +
      "message, or make a larger pool with plasmite_pool_create and size.";
  }
  if (topic === "damage" || topic === "repair") return DAMAGED;
  if (hint === undefined || !isForCommandLine(hint)) return hint;
  if (message.includes("too large")) return "Split the message into smaller ones.";
  switch (kind) {
    case ErrorKind.Corrupt:
      return DAMAGED;
    case ErrorKind.Permission:
      return "Tell the person you work for: the rights are theirs to give.";
    default:
      return undefined;
  }
}
