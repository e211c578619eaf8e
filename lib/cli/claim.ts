/**
 * `plasmite claim`: claim keys for a while, or run a command while they are claimed
 * (docs/spec/coordination.md 6 and 13.5).
 *
 * @module
 */

import type { CommandContext } from "./context.ts";
import { partiesOf, tellLease, ttlOf, warnShort } from "./lease.ts";
import { findPool, openPool } from "./open.ts";
import { findProgram } from "./tap_program.ts";
import { parseDuration } from "../text/units.ts";

/** Runs `claim`; with a command, the exit code is the command's. */
export async function run(context: CommandContext): Promise<number> {
  const { args } = context;
  const { keys, holder } = partiesOf(context);
  const ttlMs = ttlOf(context);
  const wait = args.text("wait");
  const waitMs = wait === undefined ? undefined : parseDuration(wait);
  const words = args.texts("COMMAND");
  const [program] = words;
  const ref = await findPool(context);
  if (program !== undefined) findProgram(program);
  // Whoever waits or runs a command must go on in the meantime: renewing, passing signals on.
  const pool = await openPool(context, ref, { write: true, serving: true });
  try {
    const coordination = await pool.coordinate();
    const lease = await coordination.claim({ keys, holder, ttlMs, waitMs });
    warnShort(context, pool, lease);
    if (program === undefined) {
      tellLease(context, "claimed", lease);
      return 0;
    }
    const { runClaimed } = await import("./claim_run.ts");
    return await runClaimed(context, pool, coordination, lease, words);
  } finally {
    await pool.close();
  }
}
