/**
 * `plasmite access invite`: makes an access key and shows it, this once (docs/spec/sharing.md 1.7).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import {
  administer,
  type AdministrationModule,
  type Invitation,
  type Invited,
} from "./access_admin.ts";
import { expiryText } from "./access_keys.ts";
import type { CommandContext } from "./context.ts";
import { token } from "./words.ts";

/** Runs `access invite`. */
export async function run(context: CommandContext, module: AdministrationModule): Promise<number> {
  const invitation = invitationOf(context);
  using administered = await administer(context, module);
  const invited = await administered.administration.invite(invitation);
  const name = invitation.name.trim();
  if (context.isForPeople) {
    context.stdout.text(report(name, invited, administered.sharedAddress));
  } else context.document({ ...invited, name });
  return 0;
}

function invitationOf({ args }: CommandContext): Invitation {
  const name = args.text("NAME") ?? args.text("name");
  if (name === undefined) {
    throw new PlasmiteError("Usage", "missing the name of the access key", {
      hint: "Name the person or the device: `plasmite access invite NAME`.",
    });
  }
  const pools = args.text("pools")?.split(",").map((pattern) => pattern.trim());
  const rights = args.text("rights");
  const expires = args.text("expires");
  return {
    name,
    ...(pools === undefined ? {} : { pools }),
    ...(rights === undefined ? {} : { rights }),
    ...(expires === undefined ? {} : { expires }),
  };
}

function report(name: string, invited: Invited, sharedAddress: string | null): string {
  const { access_key: key, pools, rights, expires_at: expiresAt = null } = invited;
  const limits = rights === undefined
    ? "It opens all pools, to read, write, create and delete."
    : `It allows ${rights} on ${pools?.join(", ")}${
      expiresAt === null ? "" : `, until ${expiryText(expiresAt)}`
    }.`;
  const address = sharedAddress === null ? "https://HOST:PORT" : token(sharedAddress);
  return [
    `Access key for ${name}, shown only now:`,
    "",
    key,
    "",
    limits,
    "On the other machine, paste it into:",
    `  plasmite access connect ${address}`,
    "",
  ].join("\n");
}
