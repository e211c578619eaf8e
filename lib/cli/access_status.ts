/**
 * `plasmite access status`: whether a server can be reached and takes the saved key
 * (docs/spec/sharing.md 1.7).
 *
 * @module
 */

import { Connections } from "../access/connections.ts";
import { destinationOf } from "../access/destination.ts";
import { accessFolder } from "../access/folder.ts";
import { PlasmiteError } from "../errors.ts";
import { type Check, checkAccess, problemOf, statusDocument } from "./access_check.ts";
import type { CommandContext } from "./context.ts";
import { token } from "./words.ts";

/** Runs `access status`; the exit code says whether the connection works. */
export async function run(context: CommandContext): Promise<number> {
  const destination = destinationOf(context.args.required("SERVER"));
  const key = await new Connections(accessFolder()).find(destination);
  const asked = await checkAccess(destination, key);
  const isSaved = key !== null;
  const check = isSaved ? asked : unsaved(asked, destination);
  if (context.isForPeople) context.stdout.text(report(destination, isSaved, check));
  else context.document(statusDocument({ destination, isSaved, check, withCommands: false }));
  return isSaved && check.accepted === true ? 0 : 1;
}

/** Without a key a server that answers at all is reachable, whatever it says. */
function unsaved(check: Check, destination: string): Check {
  if (!check.reachable) return check;
  const error = new PlasmiteError("Permission", "no access key is saved for this server", {
    hint: `Run \`plasmite access connect ${token(new URL(destination).origin)}\`.`,
  });
  return { reachable: true, accepted: null, error };
}

function report(destination: string, isSaved: boolean, check: Check): string {
  const word = (value: boolean | null): string => value === null ? "unknown" : value ? "yes" : "no";
  const { error } = check;
  return [
    `Server:    ${destination}`,
    `Key saved: ${word(isSaved)}`,
    `Reachable: ${word(check.reachable)}`,
    `Accepted:  ${word(check.accepted)}`,
    ...(error === null ? [] : [`Problem:   ${problemOf(error)}`]),
    ...(error?.hint === undefined ? [] : [`Hint:      ${error.hint}`]),
    "",
  ].join("\n");
}
