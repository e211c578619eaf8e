// deno-lint-ignore-file no-console
/**
 * All final numbers in one go: `deno run -A bench/all.ts [--minutes 15] [--quick]`. Runs the scripts
 * one after another, each with a time limit, draws the curves and writes the tables. A script that
 * fails or takes too long is said, what it has measured is kept, and the next one begins.
 *
 * Needs `timeout` of coreutils, which also ends what a script has started.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { option } from "./support/script.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const minutes = Number(option("--minutes", "15"));
const quick = Deno.args.includes("--quick");

/** A script, its arguments, and the part of the time that it may take. */
interface Step {
  readonly script: string;
  readonly args: readonly string[];
  readonly quick: readonly string[];
  readonly share: number;
  /** Seconds without which it is not begun. */
  readonly least: number;
}

const STEPS: readonly Step[] = [
  {
    script: "goals",
    args: [],
    quick: ["--quick", "--messages", "100000"],
    share: 0.25,
    least: 30,
  },
  {
    script: "curves",
    args: [],
    quick: ["--messages", "10000", "--pools", "10"],
    share: 0.35,
    least: 30,
  },
  { script: "run", args: [], quick: ["--quick"], share: 0.3, least: 100 },
  { script: "startup", args: [], quick: ["--quick"], share: 0.1, least: 30 },
  { script: "pi", args: [], quick: ["--quick"], share: 0.15, least: 30 },
  // Once more, if there is time: what the same code differs by from one run to the next.
  { script: "run", args: [], quick: ["--quick"], share: 0.3, least: 200 },
];

const start = performance.now();
const left = (): number => minutes * 60 - (performance.now() - start) / 1000;
const tmp = await Deno.makeTempDir({ prefix: "plasmite-all-" });
const said: string[] = [];

/** Runs a script, and what is left of it when it is stopped is removed at the end. */
async function run(name: string, args: readonly string[], limit: number): Promise<void> {
  console.log(`\n== ${name} (at most ${Math.round(limit)} s)`);
  const began = performance.now();
  const { code } = await new Deno.Command("timeout", {
    args: ["--kill-after=5", `${Math.round(limit)}`, Deno.execPath(), "run", "-A"].concat(args),
    cwd: ROOT,
    env: { TMPDIR: tmp },
    stdin: "null",
  }).spawn().status;
  const seconds = Math.round((performance.now() - began) / 1000);
  said.push(
    code === 0
      ? `${name}: done in ${seconds} s`
      : code === 124 || code === 137
      ? `${name}: stopped after ${seconds} s; what it had measured is kept`
      : `${name}: parts of it failed (exit code ${code}), ${seconds} s`,
  );
}

try {
  for (const step of STEPS) {
    const limit = Math.min(step.share * minutes * 60, left() - 20);
    if (limit < Math.min(step.least, step.least * minutes / 15)) {
      said.push(`${step.script}: no time left`);
      continue;
    }
    await run(step.script, [`bench/${step.script}.ts`, ...quick ? step.quick : step.args], limit);
  }
  if (!quick) {
    await run("picture", ["bench/curves.ts", "--draw"], 30);
    await run("tables", ["bench/tables.ts"], 30);
  }
} finally {
  await Deno.remove(tmp, { recursive: true });
}
console.log(`\n${said.join("\n")}\nLoad average at the end: ${Deno.loadavg()[0]?.toFixed(2)}`);
