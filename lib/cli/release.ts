/**
 * `plasmite release`: release claimed keys (docs/spec/coordination.md 6).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import type { CommandContext } from "./context.ts";
import { partiesOf, tell } from "./lease.ts";
import { findPool, openPool } from "./open.ts";

/** Runs `release`. */
export async function run(context: CommandContext): Promise<number> {
  const { keys, holder } = partiesOf(context);
  const token = context.args.integer("token");
  const force = context.args.has("force");
  if (token === undefined && !force) {
    throw new PlasmiteError("Usage", "release requires --token or --force", {
      hint: "Give the token that claim printed, or end anybody's lease with --force.",
    });
  }
  const ref = await findPool(context);
  const pool = await openPool(context, ref, { write: true });
  try {
    const done = await (await pool.coordinate()).release({ keys, holder, token, force });
    const released = done.seq !== 0n;
    const text = released
      ? `released ${done.keys.join(" ")}  token=${done.token}`
      : `nothing to release: ${done.keys.join(" ")}`;
    tell(context, { keys: done.keys, released, seq: done.seq, token: done.token }, text);
    return 0;
  } finally {
    await pool.close();
  }
}
