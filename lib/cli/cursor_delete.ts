/**
 * `plasmite cursor delete`: delete a cursor or a work group (docs/spec/coordination.md 2).
 *
 * @module
 */

import { checkCursorName } from "../coordination/names.ts";
import type { CommandContext } from "./context.ts";
import { findPool, openPool } from "./open.ts";

/** Runs `cursor delete`. */
export async function run(context: CommandContext): Promise<number> {
  const { args } = context;
  const name = checkCursorName(args.required("NAME"));
  const ref = await findPool(context);
  const pool = await openPool(context, ref, { write: false });
  try {
    const coordination = await pool.coordinate();
    await coordination.deleteCursor(name, args.text("cursor-dir"));
    context.report(
      () => ({ deleted: { cursor: name, pool: ref.ref } }),
      () => `deleted ${name}\n`,
    );
    return 0;
  } finally {
    await pool.close();
  }
}
