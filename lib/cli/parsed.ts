/**
 * The result of parsing a command line. Only types.
 *
 * @module
 */

import type { CommandSpec, FlagSpec, PositionalSpec } from "./table.ts";
import type { Args } from "./values.ts";

/** The global options as they were typed. */
export interface Globals {
  /** `--dir`, or undefined. */
  dir: string | undefined;
  /** Two different `--dir` values were given outside `mcp`. */
  dirConflict: boolean;
  /** `--color`. */
  color: "auto" | "always" | "never";
  /** `--format` as typed. */
  format: string | undefined;
  /** `--json`. */
  json: boolean;
  /** `--yaml`. */
  yaml: boolean;
}

/** A parsed command line. */
export interface Parsed {
  /** Whether to run the command or to print something instead. */
  readonly action: "run" | "help" | "short-help" | "empty" | "version" | "manual";
  /** The commands from the root to the one selected. */
  readonly at: readonly CommandSpec[];
  /** Words of the command without `plasmite`: `pool create`. */
  readonly name: string;
  /** Its own values. */
  readonly args: Args;
  /** The global options. */
  readonly globals: Globals;
  /** Those of them that were typed, by name, with the value that counts. */
  readonly globalsTyped: ReadonlyMap<string, string>;
}

/** Facts for the hint of a `ParseProblem`. */
export interface ProblemDetail {
  /** The kind of mistake. */
  readonly kind: "flag" | "word" | "command" | "value" | "none" | "missing";
  /** The word that was typed. */
  readonly word?: string;
  /** Values that would have been accepted. */
  readonly values?: readonly string[];
  /** The option that was waiting for a value. */
  readonly flag?: FlagSpec;
  /** The option or word without which the line is valid. */
  readonly surplus?: FlagSpec | string;
  /** The missing positionals. */
  readonly missing?: readonly PositionalSpec[];
}
