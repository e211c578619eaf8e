/**
 * One large pool, 6 GiB with 6 million messages, and the other goals of scale, each beside a program
 * that does no more than it must. `deno run -A bench/goals.ts [--messages N] [--rounds N]
 * [--no-keep]`. Needs 11 GB of disk, and Chromium for the page.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { type Bench, DENO, inTurns, least, plasmite, type Result, round } from "./support/bench.ts";
import { makeLines, writeInPieces } from "./support/lines.ts";
import { median } from "./support/comparison.ts";
import { type Cost, measure, output } from "./support/processes.ts";
import { type Job, option, runScript } from "./support/script.ts";

const PAGE = fileURLToPath(new URL("./page.ts", import.meta.url));
/** Bytes of a frame with one of {@linkcode largeLines}. */
const FRAME = 1016;

/** Lines of 560 bytes, each of which becomes a frame of {@linkcode FRAME} bytes. */
function largeLines(path: string, count: number): void {
  const pad = "x".repeat(470);
  writeInPieces(
    path,
    count,
    (i) =>
      `{"id":${i},"level":"${i % 10 === 0 ? "warn" : "info"}","host":"web-${i % 17}",` +
      `"ok":true,"msg":"${pad}"}\n`,
  );
}

/** What a command may take at most, or do at least in a second. */
interface Goal {
  readonly seconds?: number;
  readonly megabytes?: number;
  /** Messages a second. */
  readonly rate?: number;
}

interface Command {
  readonly name: string;
  readonly args: readonly string[];
  readonly goal: Goal;
  /** How many messages it looks at, for a rate. */
  readonly work?: number;
}

const seconds = (ms: number): string =>
  ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`;

function judge(
  command: Command,
  costs: readonly Cost[],
): Pick<Result, "measured" | "goal" | "met"> {
  const { goal, work } = command;
  const wall = least(costs.map(({ wallMs }) => wallMs));
  const cpu = least(costs.map(({ cpuMs }) => cpuMs));
  const peak = Math.max(...costs.map(({ peakMb }) => peakMb ?? NaN));
  const rate = work === undefined ? undefined : work / wall * 1000;
  const said = [
    ...rate === undefined ? [] : [`${(rate / 1e6).toFixed(2)} M/s`],
    seconds(wall),
    `CPU ${seconds(cpu)}`,
    `${peak.toFixed(0)} MB`,
  ];
  const wanted = [
    ...goal.seconds === undefined ? [] : [`≤ ${seconds(goal.seconds * 1000)}`],
    ...goal.rate === undefined ? [] : [`≥ ${goal.rate / 1e6} M/s`],
    ...goal.megabytes === undefined ? [] : [`≤ ${goal.megabytes} MB`],
  ];
  const met = wall <= (goal.seconds ?? Infinity) * 1000 && (rate ?? 0) >= (goal.rate ?? 0) &&
    !(peak > (goal.megabytes ?? Infinity));
  return { measured: said.join(", "), goal: wanted.join(", "), met };
}

/** Runs each command in turns with its yardstick. */
async function against(
  bench: Bench,
  yardstick: string,
  bare: () => Promise<Cost>,
  commands: readonly Command[],
): Promise<void> {
  for (const command of commands) {
    const found = await inTurns(bench.rounds, {
      bare,
      ours: () => measure(DENO, plasmite(bench.dir, ...command.args), { peak: true }),
    });
    bench.record({
      name: command.name,
      ...{ yardstick, unit: "ms" },
      costs: found.ours.map(({ wallMs }) => round(wallMs)),
      yardsticks: found.bare.map(({ wallMs }) => round(wallMs)),
      ...judge(command, found.ours),
    });
  }
}

async function largePool(bench: Bench, count: number): Promise<void> {
  const { dir } = bench;
  const lines = `${dir}/large.jsonl`;
  largeLines(lines, count);
  const size = Math.ceil(FRAME * count * 1.001) + (20 << 20);
  await measure(DENO, plasmite(dir, "feed", "big", "--create-size", `${size}`, "--file", lines));
  await Deno.remove(lines);
  const middle = count >> 1;
  const message = await output(DENO, plasmite(dir, "fetch", "big", `${middle}`));
  const { time } = JSON.parse(message) as { time: string };
  const scan = ["follow", "big", "--no-follow", "--jsonl"];
  const tail = Math.ceil(count / 6);
  const reading = () => measure("cat", [`${dir}/big.plasmite`]);
  const starting = () => measure(DENO, ["eval", "0"]);
  await against(bench, "`cat` of the pool", reading, [
    { name: "`doctor`", args: ["doctor", "big"], goal: { seconds: 8, megabytes: 100 } },
    {
      name: "`follow --tail 1000000 --jsonl`",
      args: [...scan, "--tail", `${tail}`],
      goal: { seconds: 2, megabytes: 100 },
    },
    {
      name: "the same with `--where`, all match",
      args: [...scan, "--tail", `${tail}`, "--where", ".data.ok == true"],
      goal: { seconds: 2, megabytes: 100 },
    },
    {
      name: "`--tag`, nothing found",
      args: [...scan, "--tag", "none"],
      goal: { rate: 3e6 },
      work: count,
    },
    {
      name: "`--where`, nothing found",
      args: [...scan, "--where", ".data.id == -1"],
      goal: { rate: 3e6 },
      work: count,
    },
  ]);
  await against(bench, "`deno eval 0`", starting, [
    { name: "`doctor --quick`", args: ["doctor", "big", "--quick"], goal: { seconds: 1 } },
    {
      name: "`fetch` of a number that the index no longer holds, start-up included",
      args: ["fetch", "big", `${middle}`],
      goal: { seconds: 0.03 },
    },
    {
      name: "`follow --since` the middle, to the first message, start-up included",
      args: ["follow", "big", "--one", "--jsonl", "--since", time],
      goal: { seconds: 0.05 },
    },
  ]);
  await measure(DENO, plasmite(dir, "pool", "delete", "big"));
}

/** Two million lines of 200 bytes, in and out. */
async function smallLines(bench: Bench, count: number): Promise<void> {
  const { dir } = bench;
  const lines = `${dir}/small.jsonl`;
  makeLines(lines, count, 200);
  const size = `${700 * count + (1 << 20)}`;
  const reading = () => measure("cat", [lines]);
  const feed = ["feed", "small", "--create-size", size, "--file", lines];
  await measure(DENO, plasmite(dir, ...feed));
  await against(bench, "`cat` of the lines", reading, [
    {
      name: "export of all, 200 B lines",
      args: ["follow", "small", "--no-follow", "--jsonl"],
      goal: { rate: 1.2e6 },
      work: count,
    },
    { name: "`feed` of 200 B lines from a file", args: feed, goal: { rate: 1e6 }, work: count },
  ]);
  await measure(DENO, plasmite(dir, "pool", "delete", "small"));
  await Deno.remove(lines);
}

/** What `bench/page.ts` prints. */
interface PageTimes {
  readonly rows_ms: readonly number[];
  readonly bare_ms: readonly number[];
  readonly main_thread_cpu_ms: { readonly median: number };
}

async function page(bench: Bench, count: number): Promise<void> {
  const args = ["run", "-A", PAGE, "--messages", `${count}`, "--rounds", `${bench.rounds + 2}`];
  const found = JSON.parse(await output(DENO, args)) as PageTimes;
  const ms = median(found.rows_ms);
  bench.record({
    name: "page: first rows shown, a million messages retained",
    ...{ yardstick: "an empty page", unit: "ms", costs: found.rows_ms, yardsticks: found.bare_ms },
    measured: `${ms.toFixed(0)} ms (main thread ${found.main_thread_cpu_ms.median.toFixed(0)} ms)`,
    goal: "≤ 300 ms",
    met: ms <= 300,
  });
}

const messages = Number(option("--messages", "6340000"));
await runScript("goals", 3, (bench): Job[] => [
  ["The large pool", () => largePool(bench, messages)],
  ["Lines of 200 bytes", () => smallLines(bench, Math.ceil(messages / 3.17))],
  ["The page", () => page(bench, Math.ceil(messages / 6.34))],
]);
