// deno-lint-ignore-file no-console
/**
 * The benchmark: `deno task bench`. All results are ratios to yardsticks that were measured in turns
 * with them. It keeps the raw data in `bench/runs/`, compares them with the former run on the same
 * kind of machine, and points out what became slower.
 *
 * Options: `--quick` for less work and fewer rounds, `--rounds N`, `--only PART` (streams, wakeups,
 * idle, oneShot, library or http), `--no-keep` to leave no file behind.
 *
 * @module
 */

import { http } from "./parts/http.ts";
import { idle } from "./parts/idle.ts";
import { library } from "./parts/library.ts";
import { oneShot } from "./parts/one_shot.ts";
import { streams } from "./parts/streams.ts";
import { wakeups } from "./parts/wakeups.ts";
import type { Bench, Result } from "./support/bench.ts";
import { type Change, compareRuns, confirmed, describeChange } from "./support/comparison.ts";
import { describe, load } from "./support/machine.ts";
import { option, say } from "./support/script.ts";
import { beginRun, formerRun, keepRun, readRuns, type Run } from "./support/runs.ts";

const PARTS: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
  streams,
  wakeups,
  idle,
  oneShot,
  library,
  http,
};

const quick = Deno.args.includes("--quick");
const rounds = Number(option("--rounds", quick ? "3" : "5"));
const only = option("--only", "");

/** Runs one part in a folder of its own. */
async function runPart(name: string, say: (result: Result) => void): Promise<Result[]> {
  const part = PARTS[name];
  if (part === undefined) throw new Error(`No part ${name}: ${Object.keys(PARTS).join(", ")}`);
  const results: Result[] = [];
  const dir = await Deno.makeTempDir({ prefix: "plasmite-bench-" });
  try {
    const record = (result: Result): void => {
      results.push(result);
      say(result);
    };
    await part({ dir, rounds, quick, record });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
  return results;
}

function printTable(results: readonly Result[]): void {
  console.log("\n| What | Measured | Goal | |\n|---|---|---|---|");
  for (const { name, measured, goal, met } of results) {
    const verdict = met === null ? "" : met ? "met" : "missed";
    console.log(`| ${name} | ${measured} | ${goal} | ${verdict} |`);
  }
}

/** Measures the parts again whose results are slower than before, and keeps what is slower twice. */
async function suspectsAgain(
  then: Run<Result>,
  changes: readonly Change[],
  parts: ReadonlyMap<string, string>,
): Promise<Change[]> {
  const suspects = changes.filter(({ verdict }) => verdict === "slower");
  const names = new Set(suspects.flatMap(({ name }) => parts.get(name) ?? []));
  if (names.size === 0) return [...changes];
  console.log(`\nSlower than before; measured again: ${[...names].join(", ")}`);
  const again: Result[] = [];
  for (const name of names) again.push(...await runPart(name, say));
  return confirmed(changes, compareRuns(then.measured, again));
}

/** Says what changed since the former run. */
async function compareWithFormer(
  run: Run<Result>,
  parts: ReadonlyMap<string, string>,
): Promise<void> {
  const then = formerRun(await readRuns<Result>("run"), run.header);
  if (then === undefined) {
    console.log("\nNo former run of this form on this kind of machine to compare with.");
    return;
  }
  const { date, commit, machine } = then.header;
  console.log(`\nFormer run: ${date}, commit ${commit}, ${describe(machine)}`);
  const all = compareRuns(then.measured, run.measured);
  const known = only === "" ? all : all.filter(({ verdict }) => verdict !== "gone");
  const changes = await suspectsAgain(then, known, parts);
  const worthAWord = changes.filter(({ verdict }) => verdict !== "same");
  for (const change of worthAWord) console.log(`- ${describeChange(change)}`);
  const slower = changes.filter(({ verdict }) => verdict === "slower");
  if (slower.length === 0) {
    console.log("Nothing became slower than 10 % beyond what the runs vary by themselves.");
    return;
  }
  console.log(
    `${slower.length} became slower. Both commits in turns: ` +
      `git worktree add ../former ${commit} && deno run -A bench/compare.ts ../former`,
  );
}

async function main(): Promise<void> {
  const header = await beginRun("run", quick ? "quick" : "full");
  console.log(`${describe(header.machine)}, load average ${header.load}\n`);
  const measured: Result[] = [];
  const parts = new Map<string, string>();
  const failed: string[] = [];
  // A part of a run would hide the whole one that should be compared with.
  const keep = only === "" && !Deno.args.includes("--no-keep");
  for (const name of only === "" ? Object.keys(PARTS) : [only]) {
    try {
      for (const result of await runPart(name, say)) {
        measured.push(result);
        parts.set(result.name, name);
      }
      if (keep) keepRun({ header, measured });
    } catch (error) {
      failed.push(name);
      console.log(`✗ ${name} failed: ${error instanceof Error ? error.message : error}`);
    }
  }
  const run = { header, measured };
  printTable(measured);
  await compareWithFormer(run, parts);
  console.log(`\nLoad average at the end: ${load()}`);
  if (keep) console.log(`Kept as bench/runs/${keepRun(run)}`);
  if (failed.length > 0) Deno.exit(1);
}

await main();
