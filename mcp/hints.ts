/**
 * Advice about errors, in terms of the tools. Errors come from all layers and from servers, and
 * some of their hints are about the command line, which agents do not have.
 *
 * @module
 */

import { ErrorKind, type PlasmiteError } from "../lib/errors.ts";
import { isForCommandLine } from "../lib/hints.ts";

const DAMAGED =
  "The pool is damaged: use another one, and tell the person you work for that this one needs a " +
  "repair.";

/**
 * The advice for an error.
 *
 * @param pool the pool; empty if there is none
 * @param missing the advice for a missing pool
 */
export function hintFor(error: PlasmiteError, pool: string, missing: string): string | undefined {
  const { kind, message, seq } = error;
  if (kind === ErrorKind.AlreadyExists) return `The pool ${pool} is there; use it as-is.`;
  if (kind === ErrorKind.NotFound && error.details["cursor"] !== undefined) {
    return "The pool was recreated, or went back, since this cursor or group was used. Use another " +
      "name for it, or tell the person you work for.";
  }
  if (kind === ErrorKind.NotFound && seq === undefined) {
    return message.endsWith("a different file")
      ? `The pool ${pool} was deleted and recreated; start over without after_seq.`
      : `No pool ${pool}; ${missing}`;
  }
  return agentHint(error);
}

/** The advice for an error, as far as agents can follow it. */
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
