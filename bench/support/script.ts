// deno-lint-ignore-file no-console
/**
 * What the scripts share that measure one thing after another and keep the results.
 *
 * @module
 */

import type { Bench, Result } from "./bench.ts";
import { describe, load } from "./machine.ts";
import { beginRun, keepRun } from "./runs.ts";

/** An option with a value. */
export function option(name: string, fallback: string): string {
  const at = Deno.args.indexOf(name);
  return at < 0 ? fallback : Deno.args[at + 1] ?? fallback;
}

/** Says one result. */
export function say({ name, measured, goal, met }: Result): void {
  const mark = met === null ? " " : met ? "✓" : "✗";
  console.log(`${mark} ${name}: ${measured}${goal === "" ? "" : `  (goal: ${goal})`}`);
}

/** One thing to measure, on its own: if it fails, that is said, and the others go on. */
export type Job = readonly [name: string, run: () => Promise<void>];

/**
 * Runs a script: its jobs in a folder of their own, and keeps what they record in `bench/runs/`,
 * unless `--no-keep` is given. `--quick` is for less work, `--rounds N` for more.
 */
export async function runScript(
  script: string,
  rounds: number,
  jobs: (bench: Bench) => readonly Job[],
): Promise<void> {
  const quick = Deno.args.includes("--quick");
  const keep = !Deno.args.includes("--no-keep");
  const header = await beginRun(
    script,
    quick ? "quick" : Deno.args.includes("--messages") ? "small" : "full",
  );
  console.log(`${describe(header.machine)}, load average ${header.load}`);
  const measured: Result[] = [];
  const dir = await Deno.makeTempDir({ prefix: `plasmite-${script}-` });
  let failed = 0;
  try {
    const record = (result: Result): void => {
      measured.push(result);
      say(result);
      if (keep) keepRun({ header, measured });
    };
    const turns = Number(option("--rounds", `${quick ? Math.min(2, rounds) : rounds}`));
    for (const [name, run] of jobs({ dir, rounds: turns, quick, record })) {
      try {
        await run();
      } catch (error) {
        failed++;
        console.log(`✗ ${name} failed: ${error instanceof Error ? error.message : error}`);
      }
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
  console.log(`Load average at the end: ${load()}`);
  if (keep) console.log(`Kept as bench/runs/${keepRun({ header, measured })}`);
  if (failed > 0) Deno.exit(1);
}
