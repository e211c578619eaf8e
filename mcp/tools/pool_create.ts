/**
 * `plasmite_pool_create`.
 *
 * @module
 */

import { LARGEST_POOL } from "../../lib/client/names.ts";
import { maxAge, size, text } from "../input.ts";
import { poolJson } from "../pool_json.ts";
import { field, POOL } from "../schema.ts";
import { tool } from "../tool.ts";

/** Creates a pool. */
export const poolCreate = tool({
  name: "plasmite_pool_create",
  title: "Create a pool",
  description:
    "Make a pool: a ring of fixed size whose oldest messages are overwritten when it is full. On AlreadyExists nothing changed; use the pool as it is.",
  needs: "admin",
  waits: false,
  hints: { readOnly: false, destructive: false, idempotent: true },
  input: {
    name: text("Name of the new pool, without slashes."),
    size: size(LARGEST_POOL),
    max_age_ms: maxAge(),
  },
  pool: "name",
  missing: "call plasmite_pool_list to see what exists.",
  output: { pool: field(POOL) },
  run: async ({ name, size, max_age_ms: maxAgeMs }, { pools }) => {
    const info = await pools.create(name, {
      ...(size === undefined ? {} : { sizeBytes: size }),
      ...(maxAgeMs === undefined ? {} : { maxAgeMs }),
    });
    return {
      summary: `Created pool ${name}.`,
      result: { pool: poolJson(info, name, pools) },
    };
  },
});
