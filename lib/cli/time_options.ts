/**
 * `--since` and `--timeout`, as `follow` and `duplex` take them.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { readSince } from "../text/time.ts";
import type { CommandContext } from "./context.ts";

/** Exit code when `--timeout` runs out. */
export const TIMED_OUT = 124;

/**
 * The time of `--since` in nanoseconds since 1970; undefined without it.
 *
 * @param now the time in nanoseconds that relative values count from
 * @throws {PlasmiteError} Usage for anything but a time
 */
export function sinceOf(context: CommandContext, now: bigint): bigint | undefined {
  const text = context.args.text("since");
  if (text === undefined) return undefined;
  const since = readSince(text, now);
  if (since !== undefined) return since;
  throw new PlasmiteError("Usage", "invalid --since value", {
    hint: "Use an RFC 3339 time such as 2026-02-02T23:45:00Z, or a relative one such as 5m.",
  });
}

/**
 * The milliseconds of `--timeout`; undefined without it.
 *
 * @throws {PlasmiteError} Usage for anything but a duration
 */
export async function timeoutOf(context: CommandContext): Promise<number | undefined> {
  const text = context.args.text("timeout");
  if (text === undefined) return undefined;
  const { parseDuration } = await import("../text/units.ts");
  return parseDuration(text);
}

/** Says on a terminal that `--timeout` ran out; returns the exit code. */
export function timedOut({ args, stderr }: CommandContext): number {
  if (stderr.isTerminal) {
    stderr.text(`No messages received (timed out after ${args.text("timeout") ?? ""}).\n`);
  }
  return TIMED_OUT;
}
