/**
 * `plasmite access list`: the servers that a key is saved for; asks none of them
 * (docs/spec/sharing.md 1.7).
 *
 * @module
 */

import { Connections } from "../access/connections.ts";
import { accessFolder } from "../access/folder.ts";
import type { CommandContext } from "./context.ts";

/** Runs `access list`. */
export async function run(context: CommandContext): Promise<number> {
  const destinations = await new Connections(accessFolder()).destinations();
  if (!context.isForPeople) {
    context.document(destinations.map((destination) => ({ destination })));
  } else if (destinations.length === 0) {
    context.stdout.text("No access keys are saved. Save one with `plasmite access connect URL`.\n");
  } else context.stdout.text(destinations.map((destination) => `${destination}\n`).join(""));
  return 0;
}
