/**
 * `plasmite access disconnect`: forgets a saved key; the key stays valid
 * (docs/spec/sharing.md 1.7).
 *
 * @module
 */

import { Connections } from "../access/connections.ts";
import { destinationOf } from "../access/destination.ts";
import { accessFolder } from "../access/folder.ts";
import type { CommandContext } from "./context.ts";

/** Runs `access disconnect`. */
export async function run(context: CommandContext): Promise<number> {
  const typed = context.args.required("SERVER");
  const destination = destinationOf(typed);
  await new Connections(accessFolder()).remove(destination);
  if (context.isForPeople) context.stdout.text(`No access key is saved for ${destination}\n`);
  else context.document({ credentials_saved: false, destination: typed });
  return 0;
}
