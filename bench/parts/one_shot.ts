/**
 * Commands that start, do one thing and end, beside `deno eval 0`.
 *
 * @module
 */

import { Client } from "../../mod.ts";
import { type Bench, DENO, inTurns, least, plasmite, recordTimes } from "../support/bench.ts";
import { ratioOf } from "../support/comparison.ts";
import { measure } from "../support/processes.ts";

/** One-shot `feed` and `fetch`. */
export async function oneShot(bench: Bench): Promise<void> {
  const { dir } = bench;
  {
    using client = new Client(dir);
    using pool = client.pool("one");
    pool.append({ x: 1 });
  }
  const found = await inTurns(bench.rounds * 4, {
    eval: () => measure(DENO, ["eval", "0"]),
    feed: () => measure(DENO, plasmite(dir, "feed", "one", '{"x":1}')),
    fetch: () => measure(DENO, plasmite(dir, "fetch", "one", "1")),
  });
  for (const name of ["feed", "fetch"] as const) {
    recordTimes(bench, `one-shot \`${name}\``, "`deno eval 0`", found[name], found.eval, (wall) => {
      const ratio = ratioOf(wall).median;
      return {
        measured: `${least(wall.costs).toFixed(1)} ms, median ${ratio.toFixed(2)} ×`,
        goal: "≤ 1.5 ×",
        met: ratio <= 1.5,
      };
    });
  }
}
