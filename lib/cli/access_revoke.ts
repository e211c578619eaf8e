/**
 * `plasmite access revoke`: ends an access key and what it has open (docs/spec/sharing.md 1.7).
 *
 * @module
 */

import { ErrorKind, PlasmiteError } from "../errors.ts";
import { administer, type AdministrationModule } from "./access_admin.ts";
import type { CommandContext } from "./context.ts";

/** Runs `access revoke`. */
export async function run(context: CommandContext, module: AdministrationModule): Promise<number> {
  const id = context.args.required("ID");
  using administered = await administer(context, module);
  const { revoked } = await administered.administration.revoke(id).catch(adviseOnId);
  if (context.isForPeople) context.stdout.text(`Revoked ${id}\n`);
  else context.document({ id, revoked });
  return 0;
}

function adviseOnId(error: unknown): never {
  throw PlasmiteError.is(error, ErrorKind.NotFound)
    ? error.withHint("Give the whole id: `plasmite access keys` shows it.")
    : error;
}
