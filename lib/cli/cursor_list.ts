/**
 * `plasmite cursor list`: cursors and groups with their positions (docs/spec/coordination.md 2).
 *
 * @module
 */

import type { CommandContext } from "./context.ts";
import { cursorJson, cursorTable } from "./cursor_report.ts";
import { findPool, openPool } from "./open.ts";

/** Runs `cursor list`. */
export async function run(context: CommandContext): Promise<number> {
  const ref = await findPool(context);
  const pool = await openPool(context, ref, { write: false });
  try {
    const coordination = await pool.coordinate();
    const infos = await coordination.cursors(context.args.text("cursor-dir"));
    context.report(() => ({ cursors: infos.map(cursorJson) }), () => cursorTable(infos));
    return 0;
  } finally {
    await pool.close();
  }
}
