// deno-lint-ignore-file no-console
/**
 * How cost grows with messages, pools and followers: `deno run -A bench/curves.ts`. It keeps the raw
 * data in `bench/runs/` and draws them as `docs/assets/performance.svg`.
 *
 * Options: `--messages N`, `--pools N`, `--followers N` (the most: 10,000,000, 20,000 and 1,000),
 * `--rounds N` (3), `--only messages|pools|followers`, `--no-keep`, `--draw` to draw the newest run
 * only. Ten million messages need 6 GB of disk.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { draw } from "./curves/draw.ts";
import { followers } from "./curves/followers.ts";
import { messages } from "./curves/messages.ts";
import type { Curves, Point } from "./curves/points.ts";
import { valueOf } from "./curves/points.ts";
import { pools } from "./curves/pools.ts";
import { describe } from "./support/machine.ts";
import { beginRun, keepRun, readRuns } from "./support/runs.ts";
import { option } from "./support/script.ts";

const PICTURE = fileURLToPath(new URL("../docs/assets/performance.svg", import.meta.url));

const most = {
  messages: Number(option("--messages", "10000000")),
  pools: Number(option("--pools", "20000")),
  followers: Number(option("--followers", "1000")),
};
const parts = { messages, pools, followers } as const;

/** The newest run of all curves as a picture. */
async function drawNewest(): Promise<void> {
  const run = (await readRuns<Point>("curves")).findLast(({ header }) => header.form === "full");
  if (run === undefined) throw new Error("No run of all curves is kept in bench/runs/");
  await Deno.writeTextFile(PICTURE, draw(run));
  console.log("Drawn as docs/assets/performance.svg");
}

async function main(): Promise<void> {
  if (Deno.args.includes("--draw")) return await drawNewest();
  const only = option("--only", "");
  const small = only !== "" || most.messages < 1e7 || most.pools < 20_000 || most.followers < 1000;
  const header = await beginRun("curves", small ? "small" : "full");
  console.log(`${describe(header.machine)}, load average ${header.load}`);
  const keep = !Deno.args.includes("--no-keep");
  const measured: Point[] = [];
  const failed: string[] = [];
  const record = (point: Point): void => {
    measured.push(point);
    if (keep) keepRun({ header, measured });
    const { panel, name, x, unit } = point;
    console.log(`${panel}: ${name}, ${x}: ${valueOf(point).toFixed(3)} ${unit}`);
  };
  for (const [name, part] of Object.entries(parts) as [keyof typeof parts, typeof messages][]) {
    if (only !== "" && only !== name) continue;
    const curves: Curves = { most: most[name], rounds: Number(option("--rounds", "3")), record };
    try {
      await part(curves);
    } catch (error) {
      failed.push(name);
      console.log(`✗ ${name} failed: ${error instanceof Error ? error.message : error}`);
    }
  }
  if (keep) {
    console.log(`Kept as bench/runs/${keepRun({ header, measured })}`);
    if (!small) await drawNewest();
  }
  if (failed.length > 0) Deno.exit(1);
}

await main();
