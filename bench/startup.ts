/**
 * How long one-shot commands take as they are installed, beside `deno eval 0`: from the sources,
 * from the folder of `deno task bundle`, and from the npm package installed into a temporary prefix.
 * `deno run -A bench/startup.ts [--rounds N] [--no-keep]`. Needs npm and tar.
 *
 * @module
 */

import { makeNpmPackage } from "../.ci/package/npm.ts";
import { makePortable } from "../.ci/package/portable.ts";
import { Client } from "../mod.ts";
import { type Bench, DENO, inTurns, plasmite, recordTimes } from "./support/bench.ts";
import { median, ratioOf } from "./support/comparison.ts";
import { type Cost, measure, output } from "./support/processes.ts";
import { type Job, runScript } from "./support/script.ts";

const EVAL = "`deno eval 0`";

/** How the program is started, and the most that it may take. */
interface Way {
  readonly name: string;
  readonly goal: number;
  readonly start: (args: readonly string[]) => Promise<Cost>;
}

/** Installs the npm package with npm itself, as `npm install -g --prefix` does. */
async function installed(dir: string): Promise<Way> {
  const tarball = await makeNpmPackage(`${dir}/dist`);
  const quiet = ["--no-fund", "--no-audit", "--no-update-notifier"];
  await output("npm", ["install", "-g", "--prefix", `${dir}/prefix`, ...quiet, tarball]);
  const start = (args: readonly string[]): Promise<Cost> =>
    measure(`${dir}/prefix/bin/plasmite`, ["--dir", dir, ...args]);
  return { name: "installed npm command", goal: 1.25, start };
}

/** Unpacks the archive; the Deno in it is the one that runs this. */
async function bundled(dir: string): Promise<Way[]> {
  const archive = await makePortable(Deno.build.target, await Deno.readFile(DENO), `${dir}/dist`);
  await Deno.mkdir(`${dir}/folder`);
  await output("tar", ["xzf", archive, "-C", `${dir}/folder`, "--strip-components", "1"]);
  const flags = ["run", "-A", "--quiet", "--no-config", "--no-lock"];
  const program = `${dir}/folder/lib/cli.js`;
  return [{
    name: "bundle",
    goal: 1.25,
    start: (args) => measure(`${dir}/folder/plasmite`, ["--dir", dir, ...args]),
  }, {
    name: "bundle without its launcher",
    goal: 1.25,
    start: (args) =>
      measure(DENO, [
        ...[...flags, "--unstable-lazy-dynamic-imports", program, "--dir", dir],
        ...args,
      ]),
  }];
}

async function compare(bench: Bench, ways: readonly Way[]): Promise<void> {
  const { dir } = bench;
  {
    using client = new Client(dir);
    using pool = client.pool("one");
    pool.append({ x: 1 });
  }
  await Deno.writeTextFile(`${dir}/empty.js`, "");
  const candidates: Record<string, () => Promise<Cost>> = {
    [EVAL]: () => measure(DENO, ["eval", "0"]),
    "an empty file": () => measure(DENO, ["run", "-A", "--no-config", `${dir}/empty.js`]),
  };
  const goals = new Map<string, number>();
  for (const { name, goal, start } of ways) {
    candidates[`\`feed\`, ${name}`] = () => start(["feed", "one", '{"x":1}']);
    candidates[`\`fetch\`, ${name}`] = () => start(["fetch", "one", "1"]);
    goals.set(`\`feed\`, ${name}`, goal).set(`\`fetch\`, ${name}`, goal);
  }
  for (const run of Object.values(candidates)) await run(); // Fills caches.
  const found = await inTurns(bench.rounds, candidates);
  const evaluated = found[EVAL] ?? [];
  for (const [name, costs] of Object.entries(found)) {
    if (name === EVAL) continue;
    const goal = goals.get(name);
    recordTimes(bench, name, EVAL, costs, evaluated, (wall) => {
      const ratio = ratioOf(wall).median;
      const least = Math.min(...wall.costs);
      const bare = Math.min(...wall.yardsticks);
      const cpu = median(costs.map(({ cpuMs }, i) => cpuMs / (evaluated[i]?.cpuMs ?? NaN)));
      return {
        measured: `${ratio.toFixed(2)} × (least ${least.toFixed(1)} of ${bare.toFixed(1)} ms), ` +
          `CPU ${cpu.toFixed(2)} ×`,
        goal: goal === undefined ? "" : `≤ ${goal} ×`,
        met: goal === undefined ? null : ratio <= goal,
      };
    });
  }
}

function jobs(bench: Bench): Job[] {
  const { dir } = bench;
  const ways: Way[] = [{
    name: "sources",
    goal: 1.5,
    start: (args) => measure(DENO, plasmite(dir, ...args)),
  }];
  return [
    ["The folder of `deno task bundle`", async () => void ways.push(...await bundled(dir))],
    ["The npm package", async () => void ways.push(await installed(dir))],
    ["Start-up", () => compare(bench, ways)],
  ];
}

await runScript("startup", 40, jobs);
