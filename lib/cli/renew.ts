/**
 * `plasmite renew`: renew a lease (docs/spec/coordination.md 6).
 *
 * @module
 */

import type { CommandContext } from "./context.ts";
import { partiesOf, tellLease, ttlOf, warnShort } from "./lease.ts";
import { findPool, openPool } from "./open.ts";

/** Runs `renew`. */
export async function run(context: CommandContext): Promise<number> {
  const { keys, holder } = partiesOf(context);
  const token = context.args.integer("token");
  const ttlMs = ttlOf(context);
  const ref = await findPool(context);
  const pool = await openPool(context, ref, { write: true });
  try {
    const lease = await (await pool.coordinate()).claim({ keys, holder, token, ttlMs });
    warnShort(context, pool, lease);
    tellLease(context, "renewed", lease);
    return 0;
  } finally {
    await pool.close();
  }
}
