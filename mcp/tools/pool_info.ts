/**
 * `plasmite_pool_info`.
 *
 * @module
 */

import { pool } from "../input.ts";
import { poolJson } from "../pool_json.ts";
import { field, POOL } from "../schema.ts";
import { tool } from "../tool.ts";

/** Describes a pool. */
export const poolInfo = tool({
  name: "plasmite_pool_info",
  title: "Describe a pool",
  description:
    "Describe one pool: capacity, retained sequence numbers, use of the ring, age of its messages.",
  needs: "read",
  waits: false,
  hints: { readOnly: true, destructive: false, idempotent: true },
  input: { pool: pool() },
  pool: "pool",
  missing: "call plasmite_pool_list to see what exists.",
  output: { pool: field(POOL) },
  run: async ({ pool: name }, { pools }) => {
    const info = await pools.info(name);
    return { summary: `Pool ${name}.`, result: { pool: poolJson(info, name, pools) } };
  },
});
