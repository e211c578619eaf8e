/**
 * `plasmite_pool_list`.
 *
 * @module
 */

import type { PoolInfo } from "../../lib/backend/local/info.ts";
import { between, optionalText } from "../input.ts";
import { poolJson } from "../pool_json.ts";
import { field, maybe, POOL, TEXT, WHOLE } from "../schema.ts";
import { tool } from "../tool.ts";
import { counted } from "../words.ts";

/** Names some of the pools in one line. */
function listed(pools: readonly PoolInfo[], total: number, next: string | undefined): string {
  if (total === 0) {
    return "There are no pools yet; plasmite_pool_create or plasmite_feed with create: true makes one.";
  }
  const names = pools.map(({ name }) => name).join(", ");
  if (pools.length === total) return `${counted(total, "pool")}: ${names}.`;
  const rest = next === undefined ? "" : ` Pass cursor ${JSON.stringify(next)} for more.`;
  return `${pools.length} of ${counted(total, "pool")}: ${names}.${rest}`;
}

/** Lists pools, one page at a time. */
export const poolList = tool({
  name: "plasmite_pool_list",
  title: "List pools",
  description:
    "List pools by name with size, bounds and age of their messages, 100 unless asked otherwise. Start here when the pool's name is unknown.",
  needs: "read",
  waits: false,
  hints: { readOnly: true, destructive: false, idempotent: true },
  input: {
    count: between({ least: 1, most: 1000, standard: 100 }, "Most pools in the answer"),
    cursor: optionalText("Where to go on: the next_cursor of the answer before."),
  },
  pool: null,
  missing: "",
  output: {
    pools: field({ type: "array", items: POOL }),
    total: field(WHOLE),
    next_cursor: maybe(TEXT),
  },
  run: async ({ count, cursor = "" }, { pools }) => {
    let total = 0;
    let next: string | undefined;
    const found = await pools.list((names) => {
      total = names.length;
      const rest = names.filter((name) => name > cursor);
      if (rest.length > count) next = rest[count - 1];
      return rest.slice(0, count);
    });
    return {
      summary: listed(found, total, next),
      result: {
        pools: found.map((info) => poolJson(info, info.name, pools)),
        total,
        next_cursor: next,
      },
    };
  },
});
