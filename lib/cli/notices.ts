/**
 * Notices on stderr about events other than errors (docs/spec/command-line.md 1.11). Loaded by the
 * commands that may print some.
 *
 * @module
 */

import type { PlasmiteError } from "../errors.ts";
import { colors, type CommandContext } from "./context.ts";
import type { Json } from "./output.ts";
import { renderNotice } from "./report.ts";

/** A non-fatal event, printed on stderr (docs/spec/command-line.md 1.11). */
export interface Notice {
  /** `ingest_skip`, `ingest_summary`, `drop`, … */
  readonly kind: string;
  /** The text for people. */
  readonly message: string;
  /** The pool reference as typed. */
  readonly pool: string;
  /** Facts for programs. */
  readonly details: { readonly [key: string]: Json | undefined };
  /** `feed`, `follow`, …; the running command when absent. */
  readonly cmd?: string;
}

/** Prints a notice about a non-fatal event on stderr. */
export function printNotice(context: CommandContext, notice: Notice): void {
  const { color, name, stderr, yaml } = context;
  const form = context.stderrForm ?? (stderr.isTerminal ? "text" : "json");
  stderr.text(renderNotice({ cmd: name, ...notice }, form, colors(stderr, color), yaml));
}

/** A pool in notices: its path, and the reference as typed. */
export interface NoticedPool {
  /** Its path, or its address on a server. */
  readonly path: string;
  /** The positional that names it; default `POOL`. */
  readonly argument?: string;
}

/** Says, once an outage, that the server of a pool does not answer. */
export function noticeOutage(
  context: CommandContext,
  { path, argument = "POOL" }: NoticedPool,
  error: Error,
): void {
  printNotice(context, {
    kind: "reconnect",
    message: "The server does not answer; trying again until it does.",
    pool: context.args.required(argument),
    details: { error: error.message, pool_path: path },
  });
}

/** Reports a message of another program that is left out. */
export function noticeUnreadable(
  context: CommandContext,
  { path, argument = "POOL" }: NoticedPool,
  error: PlasmiteError,
): void {
  printNotice(context, {
    kind: "corrupt",
    message: `Left out message ${error.seq}: ${error.message}.`,
    pool: context.args.required(argument),
    details: { pool_path: path, seq: error.seq },
  });
}
