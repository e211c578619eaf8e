/**
 * `plasmite_pool_delete`.
 *
 * @module
 */

import { pool } from "../input.ts";
import { closed, field, TEXT } from "../schema.ts";
import { tool } from "../tool.ts";

/** Deletes a pool. */
export const poolDelete = tool({
  name: "plasmite_pool_delete",
  title: "Delete a pool",
  description:
    "Delete a pool with all its messages, for everyone and for good. Only when the task asks for it.",
  needs: "admin",
  waits: false,
  hints: { readOnly: false, destructive: true, idempotent: true },
  input: { pool: pool() },
  pool: "pool",
  missing: "call plasmite_pool_list to see what exists.",
  output: { deleted: field(closed({ pool: field(TEXT) })) },
  run: async ({ pool: name }, { pools }) => {
    await pools.remove(name);
    return { summary: `Deleted pool ${name}.`, result: { deleted: { pool: name } } };
  },
});
