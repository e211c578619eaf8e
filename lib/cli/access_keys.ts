/**
 * `plasmite access keys`: the access keys of a pool directory, without their secrets
 * (docs/spec/sharing.md 1.7).
 *
 * @module
 */

import { administer, type AdministrationModule, type ListedKey } from "./access_admin.ts";
import type { CommandContext } from "./context.ts";
import { humanAge, table } from "./human.ts";

/** Runs `access keys`. */
export async function run(context: CommandContext, module: AdministrationModule): Promise<number> {
  using administered = await administer(context, module);
  const { keys } = await administered.administration.keys();
  if (!context.isForPeople) context.document({ keys: keys.map((key) => ({ ...key })) });
  else if (keys.length === 0) {
    context.stdout.text("No access keys. Make one with `plasmite access invite NAME`.\n");
  } else {
    const header = ["NAME", "STATE", "RIGHTS", "POOLS", "EXPIRES", "USED", "ID"];
    context.stdout.text(table(header, keys.map(row)));
  }
  return 0;
}

/** A time as UTC, to the minute. */
export function expiryText(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 16)}Z`;
}

function row(key: ListedKey): string[] {
  const { expires_at: expiresAt, last_used_at: usedAt } = key;
  const isOver = typeof expiresAt === "number" && expiresAt * 1000 <= Date.now();
  return [
    key.name,
    key.revoked ? "revoked" : isOver ? "expired" : "valid",
    key.rights ?? "all",
    key.pools?.join(",") ?? "*",
    typeof expiresAt === "number" ? expiryText(expiresAt) : "-",
    usedAt === null ? "-" : humanAge(Date.now() - usedAt * 1000),
    key.id,
  ];
}
