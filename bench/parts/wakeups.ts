/**
 * How soon followers see an append, beside as many bare `Deno.watchFs` loops.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { Client } from "../../mod.ts";
import { type Bench, DENO, round, times } from "../support/bench.ts";
import { type Measurement, median, ratioOf } from "../support/comparison.ts";
import { sleep } from "../support/processes.ts";

const FOLLOWER = fileURLToPath(new URL("../follower.ts", import.meta.url));
const BARE = fileURLToPath(new URL("../bare_watch.ts", import.meta.url));

/** Delays in microseconds from append to read, for `n` followers at once. */
export async function delays(
  dir: string,
  script: string,
  n: number,
  count: number,
): Promise<number[][]> {
  using client = new Client(dir);
  using pool = client.createPool(`wake${n}`);
  const children = Array.from({ length: n }, () =>
    new Deno.Command(DENO, {
      args: ["run", "-A", script, pool.path, String(count)],
      stdout: "piped",
    }).spawn());
  const readers = children.map((c) => c.stdout.pipeThrough(new TextDecoderStream()).getReader());
  for (const reader of readers) await reader.read();
  await sleep(300);
  for (let i = 0; i < count; i++) {
    pool.append({ i });
    await sleep(9);
  }
  const all: number[][] = [];
  for (const reader of readers) {
    let text = "";
    for (let r = await reader.read(); !r.done; r = await reader.read()) text += r.value;
    all.push((JSON.parse(text) as number[]).sort((a, b) => a - b));
  }
  client.deletePool(`wake${n}`);
  return all;
}

/** A quantile of the worst follower, in milliseconds. */
function worst(all: readonly (readonly number[])[], quantile: number): number {
  const of = (sorted: readonly number[]): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))] ?? NaN;
  return round(Math.max(...all.map(of)) / 1000);
}

/** One follower and eight; of eight, the one that waits longest counts. */
export async function wakeups(bench: Bench): Promise<void> {
  const rounds = Math.min(bench.rounds, 5);
  const count = bench.quick ? 100 : 200;
  for (const n of [1, 8]) {
    const found = { bare50: [], bare99: [], ours50: [], ours99: [] } as Record<string, number[]>;
    for (let turn = 0; turn < rounds; turn++) {
      for (const script of turn % 2 === 0 ? [BARE, FOLLOWER] : [FOLLOWER, BARE]) {
        const all = await delays(bench.dir, script, n, count);
        const who = script === BARE ? "bare" : "ours";
        found[`${who}50`]?.push(worst(all, 0.5));
        found[`${who}99`]?.push(worst(all, 0.99));
      }
    }
    const who = n === 1 ? "1 follower" : `${n} followers (the worst of them)`;
    const series = (part: "50" | "99"): Measurement => ({
      name: `feed to follow, ${who}, p${part}`,
      yardstick: `as many bare \`Deno.watchFs\` loops`,
      unit: "ms",
      costs: found[`ours${part}`] ?? [],
      yardsticks: found[`bare${part}`] ?? [],
    });
    const limits = { "50": n === 1 ? Infinity : 1.15, "99": Infinity };
    const absolute = { "50": 0.5, "99": 3 };
    for (const part of ["50", "99"] as const) {
      const one = series(part);
      const ratio = ratioOf(one).median;
      const ms = median(one.costs);
      const bound = n === 1 ? `≤ ${absolute[part]} ms` : part === "50" ? "≤ 1.15 ×" : "≤ 3 ms";
      const met = n === 1 || part === "99" ? ms <= absolute[part] : ratio <= limits[part];
      bench.record({
        ...one,
        measured: `${ms.toFixed(2)} ms = ${times(ratio)} the bare loop`,
        goal: bound,
        met,
      });
    }
  }
}
