// deno-lint-ignore-file no-console
/**
 * Writes the newest raw data of `bench/runs/` into `bench/README.md` and `docs/performance.md`:
 * `deno run -A bench/tables.ts`.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { type Point, valueOf } from "./curves/points.ts";
import { sentences } from "./curves/sentences.ts";
import type { Result } from "./support/bench.ts";
import { replaceBlock, table } from "./support/blocks.ts";
import { describe } from "./support/machine.ts";
import { type Header, readRuns, type Run } from "./support/runs.ts";

const README = fileURLToPath(new URL("./README.md", import.meta.url));
const PAGE = fileURLToPath(new URL("../docs/performance.md", import.meta.url));

const verdict = (met: boolean | null): string => met === null ? "" : met ? "met" : "missed";

/** Where and when: without it a number says nothing. */
function origin({ command, date, commit, machine, load }: Header): string {
  const when = date.slice(0, 16).replace("T", " ");
  return `\`${command}\`, ${when}, commit ${commit}, ${describe(machine)}, load average ${load} ` +
    "at the start.";
}

/** All that a run measured. */
function whole({ header, measured }: Run<Result>): string {
  const rows = measured.map((
    { name, measured, goal, met },
  ) => [name, measured, goal, verdict(met)]);
  return `${origin(header)}\n\n${table(["What", "Measured", "Goal", ""], rows)}`;
}

/** A row of the goals of scale, and the script that measures it. */
interface Row {
  readonly work: string;
  readonly script: "goals" | "run" | "startup";
  readonly name: string;
}

const ROWS: readonly Row[] = [
  { work: "`doctor`, 6 GB", script: "goals", name: "`doctor`" },
  { work: "`doctor --quick`", script: "goals", name: "`doctor --quick`" },
  {
    work: "`follow --tail 1000000 --jsonl`",
    script: "goals",
    name: "`follow --tail 1000000 --jsonl`",
  },
  {
    work: "the same with `--where`",
    script: "goals",
    name: "the same with `--where`, all match",
  },
  {
    work: "`fetch` of a number that the index no longer holds",
    script: "goals",
    name: "`fetch` of a number that the index no longer holds, start-up included",
  },
  {
    work: "`follow --since`, the middle of the ring",
    script: "goals",
    name: "`follow --since` the middle, to the first message, start-up included",
  },
  { work: "scan with `--tag`, nothing found", script: "goals", name: "`--tag`, nothing found" },
  { work: "scan with `--where`, nothing found", script: "goals", name: "`--where`, nothing found" },
  { work: "export of all, 200 B lines", script: "goals", name: "export of all, 200 B lines" },
  { work: "`feed` of 200 B lines", script: "goals", name: "`feed` of 200 B lines from a file" },
  {
    work: "page: first rows of a million",
    script: "goals",
    name: "page: first rows shown, a million messages retained",
  },
  { work: "one-shot `feed`, sources", script: "startup", name: "`feed`, sources" },
  { work: "one-shot `fetch`, sources", script: "startup", name: "`fetch`, sources" },
  { work: "one-shot `feed`, bundle", script: "startup", name: "`feed`, bundle" },
  { work: "one-shot `fetch`, bundle", script: "startup", name: "`fetch`, bundle" },
  { work: "one-shot `feed`, npm", script: "startup", name: "`feed`, installed npm command" },
  { work: "one-shot `fetch`, npm", script: "startup", name: "`fetch`, installed npm command" },
  { work: "idle `follow`, PSS", script: "run", name: "idle `follow`, PSS" },
  { work: "idle `serve`, PSS", script: "run", name: "idle `serve`, PSS" },
  { work: "HTTP append, one connection", script: "run", name: "HTTP append, 1 connection" },
  { work: "HTTP append, sixteen", script: "run", name: "HTTP append, 16 connections" },
  { work: "one frame a lock, library", script: "run", name: "one raw frame a lock" },
  {
    work: "feed to follow, eight followers",
    script: "run",
    name: "feed to follow, 8 followers (the worst of them), p50",
  },
];

const COMMANDS = {
  goals: "bench/goals.ts",
  run: "deno task bench",
  startup: "bench/startup.ts",
} as const;

type Newest = ReadonlyMap<string, Run<Result>>;

/** The greatest list of pools that was measured. */
function lists(curves: Run<Point> | undefined): string[][] {
  const of = (name: string): Point | undefined =>
    curves?.measured.findLast((point) => point.panel === "pools" && point.name === name);
  const rows: string[][] = [];
  for (
    const [work, name, most] of [
      ["`pool list`, CPU", "pool list", 300],
      ["`pool list`, wall", "pool list, wall", 300],
      ["`GET /v0/pools`, CPU", "GET /v0/pools", 300],
      ["`GET /v0/pools`, wall", "GET /v0/pools, wall", 300],
      ["longest wait of another request meanwhile", "wait of another request", 10],
    ] as const
  ) {
    const point = of(name);
    if (point === undefined) continue;
    const ms = valueOf(point);
    rows.push([
      `${work}, ${point.x.toLocaleString("en-US")} pools`,
      `${ms.toFixed(0)} ms`,
      `≤ ${most} ms`,
      verdict(ms <= most),
      "`bench/curves.ts`",
    ]);
  }
  return rows;
}

function scale(newest: Newest, curves: Run<Point> | undefined): string {
  const rows = ROWS.flatMap(({ work, script, name }) => {
    const found = newest.get(script)?.measured.find((one) => one.name === name);
    if (found === undefined) return [];
    return [[work, found.measured, found.goal, verdict(found.met), `\`${COMMANDS[script]}\``]];
  });
  const origins = Object.keys(COMMANDS).flatMap((script) => {
    const header = newest.get(script)?.header;
    return header === undefined ? [] : [`- ${origin(header)}`];
  });
  const head = ["Work", "Now", "Goal", "", "Command"];
  return `${table(head, [...rows, ...lists(curves)])}\n\n${origins.join("\n")}`;
}

/** The newest full run, or else one of less work: its command and its rows say so. */
async function newestOf(script: string): Promise<Run<Result> | undefined> {
  const runs = (await readRuns<Result>(script)).filter(({ measured }) => measured.length > 0);
  const full = runs.findLast(({ header }) => header.form === "full");
  return full ?? (script === "pi" ? runs.at(-1) : undefined);
}

async function newestFull<M>(script: string): Promise<Run<M> | undefined> {
  return (await readRuns<M>(script)).findLast(({ header }) => header.form === "full");
}

/** Rewrites the blocks of a document that there is data for. */
async function rewrite(path: string, blocks: Readonly<Record<string, string | undefined>>) {
  let text = await Deno.readTextFile(path);
  for (const [name, block] of Object.entries(blocks)) {
    if (block !== undefined) text = replaceBlock(text, name, block);
  }
  await Deno.writeTextFile(path, text);
  await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", path] }).output();
}

const newest = new Map<string, Run<Result>>();
for (const script of ["goals", "run", "startup", "pi"]) {
  const run = await newestOf(script);
  if (run !== undefined) newest.set(script, run);
}
const curves = await newestFull<Point>("curves");
const part = (script: string): string | undefined => {
  const run = newest.get(script);
  return run === undefined ? undefined : whole(run);
};
await rewrite(README, {
  scale: scale(newest, curves),
  bench: part("run"),
  startup: part("startup"),
  pi: part("pi"),
});
await rewrite(PAGE, {
  curves: curves === undefined ? undefined : `${origin(curves.header)}\n\n${sentences(curves)}`,
});
console.log("Written into bench/README.md and docs/performance.md");
