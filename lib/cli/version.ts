/**
 * `plasmite version`: text for people, JSON for programs (docs/spec/command-line.md 12).
 *
 * @module
 */

import config from "../../deno.json" with { type: "json" };
import type { CommandContext } from "./context.ts";

/** The program's version: that of the package. */
export const VERSION: string = config.version;

/** Runs `version`. */
export function run(context: CommandContext): number {
  if (context.isForPeople) context.stdout.text(`plasmite ${VERSION}\n`);
  else context.document({ name: "plasmite", version: VERSION });
  return 0;
}
