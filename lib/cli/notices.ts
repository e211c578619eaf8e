/**
 * Notices on stderr about events other than errors (docs/spec/command-line.md 1.11). Loaded by the
 * commands that may print some.
 *
 * @module
 */

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
