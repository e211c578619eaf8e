/**
 * `plasmite access connect`: saves an access key when the server has taken it
 * (docs/spec/sharing.md 1.7).
 *
 * @module
 */

import { Connections } from "../access/connections.ts";
import { destinationOf } from "../access/destination.ts";
import { accessFolder } from "../access/folder.ts";
import { parseAccessKey } from "../access/key.ts";
import { checkAccess, statusDocument } from "./access_check.ts";
import type { CommandContext } from "./context.ts";
import { readSecret } from "./secret_input.ts";
import { token } from "./words.ts";

/** Runs `access connect`. */
export async function run(context: CommandContext): Promise<number> {
  const destination = destinationOf(context.args.required("SERVER"));
  const connections = new Connections(accessFolder());
  const key = parseAccessKey(await readSecret(context, `Access key for ${destination}`));
  const check = await checkAccess(destination, key);
  if (check.error !== null) throw check.error;
  await connections.save(destination, key);
  if (context.isForPeople) context.stdout.text(success(destination));
  else {
    context.document(statusDocument({ destination, isSaved: true, check, withCommands: true }));
  }
  return 0;
}

function success(destination: string): string {
  const { origin } = new URL(destination);
  return [
    `Connected to ${destination}`,
    "The access key is saved; every command with this address uses it:",
    `  plasmite pool list ${token(origin)}`,
    `  plasmite follow ${token(`${origin}/POOL`)}`,
    "For an agent on this machine:",
    `  claude mcp add plasmite -- plasmite mcp --remote ${token(origin)}`,
    "",
  ].join("\n");
}
