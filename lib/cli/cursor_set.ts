/**
 * `plasmite cursor set`: set, create or repair a cursor (docs/spec/coordination.md 2).
 *
 * @module
 */

import type { Place } from "../backend/coordination.ts";
import { checkCursorName } from "../coordination/names.ts";
import { PlasmiteError } from "../errors.ts";
import type { CommandContext } from "./context.ts";
import { cursorJson, cursorTable } from "./cursor_report.ts";
import { findPool, openPool } from "./open.ts";

/** Runs `cursor set`. */
export async function run(context: CommandContext): Promise<number> {
  const { args } = context;
  const name = checkCursorName(args.required("NAME"));
  const to = placeOf(context);
  const ref = await findPool(context);
  const pool = await openPool(context, ref, { write: false });
  try {
    const coordination = await pool.coordinate();
    const info = await coordination.setCursor(name, { to, dir: args.text("cursor-dir") });
    context.report(() => ({ cursor: cursorJson(info) }), () => cursorTable([info]));
    return 0;
  } finally {
    await pool.close();
  }
}

function placeOf({ args }: CommandContext): Place {
  const from = args.text("from");
  const seq = args.integer("SEQ");
  if (from === "oldest" || from === "end") return from;
  if (seq !== undefined) return seq;
  throw new PlasmiteError("Usage", "cursor set requires SEQ or --from", {
    hint: "Give the number of the last message that is done, or --from oldest or --from end.",
  });
}
