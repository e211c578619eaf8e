/**
 * The main jobs under the limits of a Raspberry Pi: one core (`taskset`) and 64 MB for V8
 * (`--max-old-space-size`), in turns with the same jobs without limits.
 * `deno run -A bench/pi.ts [--messages N] [--rounds N] [--no-keep]`. Needs taskset of util-linux, 3
 * GB of disk, and Chromium for the page, which is not limited itself: a browser runs elsewhere.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { startServe } from "./curves/serve.ts";
import { type Bench, DENO, inTurns, least, plasmite, type Result, round } from "./support/bench.ts";
import { median } from "./support/comparison.ts";
import { makeLines } from "./support/lines.ts";
import { LIMITS, PI_FLAGS, PI_STARTER } from "./support/pi.ts";
import { type Cost, end, measure, memory, output, sleep } from "./support/processes.ts";
import { type Job, option, runScript } from "./support/script.ts";

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const CLIENT = file("./server_bench.ts");
const TAILS = file("./curves/tails.ts");
const PAGE = file("./page.ts");
const YARDSTICK = "the same without limits";

/** What the program may hold in all; V8 has 64 MB of it. */
const MOST_MB = 200;

function limited(dir: string, args: readonly string[]): Promise<Cost> {
  const [program = DENO, ...before] = [...PI_STARTER, DENO];
  const [run = "run", ...rest] = plasmite(dir, ...args);
  return measure(program, [...before, run, ...PI_FLAGS, ...rest], { peak: true });
}

/** Records how long a job took, what it held, and how much the limits cost. */
function recordLimited(
  bench: Bench,
  name: string,
  costs: readonly number[],
  yardsticks: readonly number[],
  peakMb: number,
  said: string,
): void {
  const result: Result = {
    ...{ name, yardstick: YARDSTICK, unit: "ms", costs, yardsticks },
    measured: `${said}, ${peakMb.toFixed(0)} MB`,
    goal: `≤ ${MOST_MB} MB`,
    met: peakMb <= MOST_MB,
  };
  bench.record(result);
}

/** A command, in turns with and without limits. */
async function command(
  bench: Bench,
  name: string,
  args: readonly string[],
  work?: number,
): Promise<void> {
  const { dir } = bench;
  const found = await inTurns(bench.rounds, {
    pi: () => limited(dir, args),
    free: () => measure(DENO, plasmite(dir, ...args)),
  });
  const costs = found.pi.map(({ wallMs }) => round(wallMs));
  const free = found.free.map(({ wallMs }) => round(wallMs));
  const peak = Math.max(...found.pi.map(({ peakMb }) => peakMb ?? NaN));
  const best = least(costs);
  const rate = work === undefined ? "" : ` (${(work / best / 1000).toFixed(2)} M messages/s)`;
  const said = `${(best / 1000).toFixed(2)} s${rate}, ${(best / least(free)).toFixed(2)} ×`;
  recordLimited(bench, name, costs, free, peak, said);
}

/** Ten connections that append as fast as they can. */
async function tenWriters(url: string, seconds: number): Promise<number> {
  const { port } = new URL(url);
  const args = ["run", "-A", CLIENT, "client", port, "10", `${seconds}`, "small"];
  return Number(await output(DENO, args));
}

async function clients(bench: Bench): Promise<void> {
  const { dir } = bench;
  await measure(DENO, plasmite(dir, "pool", "create", "bench", "--size", "16M"));
  const rates: Record<string, number> = {};
  let peakMb = 0;
  for (const [name, options] of [["pi", LIMITS], ["free", {}]] as const) {
    const { child, url } = await startServe(dir, options);
    try {
      await tenWriters(url, 0.5);
      rates[name] = await tenWriters(url, bench.quick ? 1 : 3);
      if (name === "pi") peakMb = memory(child.pid).peakMb;
    } finally {
      await end(child);
    }
  }
  const { pi = NaN, free = NaN } = rates;
  const said = `${Math.round(pi)} appends/s, ${(pi / free).toFixed(2)} × the rate`;
  const costs = [[1000 / pi], [1000 / free]] as const;
  recordLimited(bench, "`serve`, ten clients that append", costs[0], costs[1], peakMb, said);
}

/** Ten streams of one server, while the library appends. */
async function streams(bench: Bench): Promise<void> {
  const { dir } = bench;
  const found: Record<string, number> = {};
  let peakMb = 0;
  for (const [name, options] of [["pi", LIMITS], ["free", {}]] as const) {
    // A stream begins with what is there, so each server has a pool of its own.
    await measure(DENO, plasmite(dir, "pool", "create", name));
    const { child, url } = await startServe(dir, options);
    try {
      const count = bench.quick ? 100 : 300;
      const tails = new Deno.Command(DENO, {
        args: ["run", "-A", TAILS, url, `/v0/pools/${name}/tail`, "10", `${count}`],
        stdout: "piped",
      }).spawn();
      const reader = tails.stdout.pipeThrough(new TextDecoderStream()).getReader();
      await reader.read();
      for (let i = 0; i < count; i++) {
        const t = Number(Temporal.Now.instant().epochNanoseconds / 1000n);
        await fetch(`${url}/v0/pools/${name}/append`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ data: { t } }),
        }).then((answer) => answer.body?.cancel());
        await sleep(5);
      }
      let text = "";
      for (let r = await reader.read(); !r.done; r = await reader.read()) text += r.value;
      await tails.status;
      found[name] = median(JSON.parse(text) as number[]);
      if (name === "pi") peakMb = memory(child.pid).peakMb;
    } finally {
      await end(child);
    }
  }
  const { pi = NaN, free = NaN } = found;
  const said = `p50 ${pi.toFixed(2)} ms from append to stream, ${(pi / free).toFixed(2)} ×`;
  recordLimited(bench, "`serve`, ten streams", [round(pi)], [round(free)], peakMb, said);
}

interface PageTimes {
  readonly rows_ms: readonly number[];
  readonly server_peak_mb: number;
}

async function page(bench: Bench, count: number): Promise<void> {
  const open = async (...limits: string[]): Promise<PageTimes> => {
    const args = ["--messages", `${count}`, "--rounds", `${bench.rounds + 2}`, ...limits];
    return JSON.parse(await output(DENO, ["run", "-A", PAGE, ...args])) as PageTimes;
  };
  const pi = await open("--pi");
  const free = await open();
  const ms = median(pi.rows_ms);
  const said = `${ms.toFixed(0)} ms, ${(ms / median(free.rows_ms)).toFixed(2)} ×`;
  const name = `page: first rows of ${count.toLocaleString("en-US")} messages`;
  recordLimited(bench, name, pi.rows_ms, free.rows_ms, pi.server_peak_mb, said);
}

function jobs(bench: Bench): Job[] {
  const { dir, quick } = bench;
  const count = Number(option("--messages", quick ? "150000" : "1500000"));
  const lines = `${dir}/lines.jsonl`;
  const size = Math.ceil(2 ** 30 * count / 1_500_000);
  const all = size >= 2 ** 30 ? "1 GB" : `${Math.round(size / 2 ** 20)} MB`;
  const tail = Math.ceil(count / 15);
  const scan = ["follow", "gb", "--no-follow", "--jsonl"];
  const run = (name: string, args: string[], work?: number): Job => [
    name,
    () => command(bench, name, args, work),
  ];
  return [
    ["Lines", () => {
      makeLines(lines, count, 200);
      return Promise.resolve();
    }],
    run(
      `\`feed\` of ${count.toLocaleString("en-US")} lines, 200 B`,
      ["feed", "gb", "--create-size", `${size}`, "--file", lines],
      count,
    ),
    run("one-shot `feed`", ["feed", "gb", '{"x":1}']),
    run(`\`follow --tail ${tail}\``, [...scan, "--tail", `${tail}`], tail),
    run("`--where`, nothing found", [...scan, "--where", ".data.n == -1"]),
    run(`export of ${all}`, scan),
    run(`\`doctor\` of ${all}`, ["doctor", "gb"]),
    run("`doctor --quick`", ["doctor", "gb", "--quick"]),
    ["Ten clients", () => clients(bench)],
    ["Ten streams", () => streams(bench)],
    ["The page", () => page(bench, Math.ceil(count / 7.5))],
  ];
}

await runScript("pi", 3, jobs);
