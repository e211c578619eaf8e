/**
 * Raw data of runs: one file a run in `bench/runs/`, of JSON lines. The first says what was run,
 * where and when, each other one is a measurement.
 *
 * @module
 */

import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { commit, load, type Machine, machineKind, thisMachine } from "./machine.ts";

/** The folder of the runs that are kept. */
export const RUNS: string = fileURLToPath(new URL("../runs/", import.meta.url));

/** The first line of a run. */
export interface Header {
  /** The script without folder and ending, such as `run`. */
  readonly script: string;
  /** Runs of different forms did work of different sizes and are not compared. */
  readonly form: string;
  readonly command: string;
  readonly date: string;
  readonly commit: string;
  readonly machine: Machine;
  readonly load: number;
}

/** A run that was kept. `M` is what its script measures. */
export interface Run<M> {
  readonly header: Header;
  readonly measured: readonly M[];
}

/** Describes the run that begins now. */
export async function beginRun(script: string, form: string): Promise<Header> {
  const args = Deno.args.filter((arg) => !arg.startsWith("/"));
  return {
    script,
    form,
    command: ["deno run -A", `bench/${script}.ts`, ...args].join(" "),
    date: new Date().toISOString(),
    commit: await commit(),
    machine: thisMachine(),
    load: load(),
  };
}

/** The text of a run. */
export function printRun<M>({ header, measured }: Run<M>): string {
  return [header, ...measured].map((line) => `${JSON.stringify(line)}\n`).join("");
}

/** Reads the text of a run; nothing if it is none. */
export function parseRun<M>(text: string): Run<M> | undefined {
  const [first = "null", ...rest] = text.split("\n").filter((line) => line !== "");
  const header = JSON.parse(first) as Header | null;
  if (typeof header?.script !== "string" || header.machine?.cpu === undefined) return undefined;
  return { header, measured: rest.map((line) => JSON.parse(line) as M) };
}

/**
 * Stores a run, in place of what was stored of it before; returns the name of its file. A run that
 * is stored after each measurement is not lost when it is stopped.
 */
export function keepRun<M>(run: Run<M>, folder: string = RUNS): string {
  const { script, form, date } = run.header;
  const when = date.slice(0, 16).replace("T", "-").replace(":", "");
  const name = [script, ...(form === "full" ? [] : [form]), when].join("-") + ".jsonl";
  Deno.mkdirSync(folder, { recursive: true });
  Deno.writeTextFileSync(`${folder}/${name}`, printRun(run));
  return name;
}

/** All runs of a script that are kept, oldest first. */
export async function readRuns<M>(script: string, folder: string = RUNS): Promise<Run<M>[]> {
  const runs: Run<M>[] = [];
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.startsWith(`${script}-`) || !name.endsWith(".jsonl")) continue;
    const run = parseRun<M>(await Deno.readTextFile(`${folder}/${basename(name)}`));
    if (run?.header.script === script) runs.push(run);
  }
  return runs.sort((a, b) => a.header.date < b.header.date ? -1 : 1);
}

/** The newest run of the same script, form and kind of machine that is older than this one. */
export function formerRun<M>(runs: readonly Run<M>[], header: Header): Run<M> | undefined {
  return runs.findLast(({ header: { script, form, machine, date } }) =>
    script === header.script && form === header.form && date < header.date &&
    machineKind(machine) === machineKind(header.machine)
  );
}
