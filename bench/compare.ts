/**
 * The CPU time of whole commands, of this checkout and of another one, in turns:
 * `deno run -A bench/compare.ts OTHER [RUNS] [THIS]`. The other checkout may be an older commit
 * (`git worktree add OTHER COMMIT`). Both may also be the `cli.js` of a bundle.
 *
 * CPU time, user and system, because wall time says little on a machine that does other work too;
 * and the lower quartile of the runs, because other work disturbs this as well, but never speeds it
 * up.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { DENO } from "./support/bench.ts";
import { measure } from "./support/processes.ts";

const HERE = fileURLToPath(new URL("../", import.meta.url));
const [other, runs = "40", own = HERE] = Deno.args;
const LINES = 300_000;

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

/** The CPU time of a command of a checkout, or of the `cli.js` of a bundle. */
async function cpu(checkout: string, args: readonly string[]): Promise<number> {
  const bundled = ["--no-config", "--no-lock", "--unstable-lazy-dynamic-imports"]; // As its launcher.
  const what = checkout.endsWith(".js") ? [...bundled, checkout] : [`${checkout}/cli.ts`];
  const { cpuMs } = await measure(DENO, ["run", "-A", "--quiet", ...what, "--dir", dir, ...args]);
  return cpuMs;
}

if (other === undefined) {
  print("usage: deno run -A bench/compare.ts OTHER [RUNS] [THIS]");
  Deno.exit(2);
}

const dir = await Deno.makeTempDir({ prefix: "plasmite-compare-" });
const lines = `${dir}/lines.jsonl`;

const EXPORT = ["follow", "big", "--no-follow", "--jsonl"];

/** What is compared: a name, the arguments, and whether it takes long, so that few runs will do. */
const COMMANDS: readonly (readonly [name: string, args: string[], long: boolean])[] = [
  ["one-shot `feed`", ["feed", "small", '{"a":1}'], false],
  ["one-shot `fetch`", ["fetch", "small", "1"], false],
  ["`follow --tail 1 --one`", ["follow", "small", "--tail", "1", "--one"], false],
  ["`feed` of 300,000 lines", ["feed", "sink", "--file", lines], true],
  ["export of 300,000 messages", EXPORT, true],
  [
    "the same with `--where`",
    [...EXPORT, "--where", '.data.level=="error"'],
    true,
  ],
  ["the same with `--tag`, nothing found", [...EXPORT, "--tag", "none"], true],
];

function lowerQuartile(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 2] ?? NaN;
}

const levels = ["info", "warn", "error", "debug"];
await Deno.writeTextFile(
  lines,
  Array.from(
    { length: LINES },
    (_, i) =>
      JSON.stringify({ ts: i, level: levels[i * 7 % 4], text: "x".repeat(60 + i * 31 % 60), i }),
  )
    .join("\n"),
);
for (const [pool, size] of [["small", "1M"], ["sink", "128M"], ["big", "128M"]] as const) {
  await cpu(own, ["pool", "create", pool, "--size", size]);
}
await cpu(own, ["feed", "small", '{"a":1}']);
await cpu(own, ["feed", "big", "--file", lines]);

print("| Command | Other | This | Ratio |\n| --- | --- | --- | --- |");
for (const [name, args, long] of COMMANDS) {
  const times: [number[], number[]] = [[], []];
  const count = long ? Math.ceil(Number(runs) / 5) : Number(runs);
  for (let i = -1; i < count; i++) {
    const order = i % 2 === 0 ? [0, 1] as const : [1, 0] as const;
    for (const which of order) {
      const ms = await cpu(which === 0 ? other : own, args);
      if (i >= 0) times[which].push(ms); // The first run fills caches.
    }
  }
  const [theirs, ours] = times.map(lowerQuartile) as [number, number];
  print(
    `| ${name} | ${theirs.toFixed(1)} ms | ${ours.toFixed(1)} ms | ${(ours / theirs).toFixed(2)} |`,
  );
}
await Deno.remove(dir, { recursive: true });
