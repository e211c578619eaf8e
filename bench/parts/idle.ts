/**
 * What waiting costs: processor time, wake-ups and memory of an idle `follow` and `serve`, beside a
 * bare Deno that waits.
 *
 * @module
 */

import { Client } from "../../mod.ts";
import { type Bench, DENO, plasmite, round, times } from "../support/bench.ts";
import { type Measurement, median, ratioOf } from "../support/comparison.ts";
import { activity, end, memory, sleep } from "../support/processes.ts";

const WINDOWS = 5;
/** A server that nobody asks may not run at all; a ratio needs something. Milliseconds. */
const NOTHING = 0.05;

/** All three at once, so that they wait in the same minute. */
export async function idle(bench: Bench): Promise<void> {
  const { dir, quick } = bench;
  using client = new Client(dir);
  client.pool("idle").close();
  const start = (args: string[]): Deno.ChildProcess =>
    new Deno.Command(DENO, { args, stdin: "null", stdout: "null", stderr: "null" }).spawn();
  const children = {
    bare: start(["eval", "setInterval(() => {}, 1e9)"]),
    follow: start(plasmite(dir, "follow", "idle")),
    serve: start(plasmite(dir, "serve", "--bind", "127.0.0.1:0")),
  };
  const names = ["bare", "follow", "serve"] as const;
  const of = <V>(value: (pid: number) => V): Record<typeof names[number], V> => ({
    bare: value(children.bare.pid),
    follow: value(children.follow.pid),
    serve: value(children.serve.pid),
  });
  try {
    await sleep(3000);
    const cpu = { bare: [], follow: [], serve: [] } as Record<string, number[]>;
    const pss = { bare: [], follow: [], serve: [] } as Record<string, number[]>;
    const wakes = { bare: [], follow: [], serve: [] } as Record<string, number[]>;
    const spans: number[] = [];
    for (let window = 0; window < WINDOWS; window++) {
      const before = of(activity);
      const began = performance.now();
      await sleep(quick ? 1000 : 4000);
      const span = performance.now() - began;
      spans.push(round(span));
      const after = of(activity);
      const used = of((pid) => memory(pid).pssMb);
      for (const name of names) {
        cpu[name]?.push(Math.max(NOTHING, round(after[name].cpuMs - before[name].cpuMs)));
        wakes[name]?.push((after[name].switches - before[name].switches) / span * 1000);
        pss[name]?.push(round(used[name]));
      }
    }
    for (const [name, most] of [["follow", 1.25], ["serve", 1.6]] as const) {
      const share: Measurement = {
        name: `idle \`${name}\`, CPU`,
        yardstick: "one core",
        unit: "ms",
        costs: cpu[name] ?? [],
        yardsticks: spans,
      };
      const part = ratioOf(share).median * 100;
      const wakeups = median(wakes[name] ?? []);
      bench.record({
        ...share,
        measured: `${part.toFixed(2)} % of a core, ${wakeups.toFixed(0)} wake-ups/s`,
        goal: "≤ 0.1 %, ≤ 30/s",
        met: part <= 0.1 && wakeups <= 30,
      });
      const held: Measurement = {
        name: `idle \`${name}\`, PSS`,
        yardstick: "an idle bare Deno",
        unit: "MB",
        costs: pss[name] ?? [],
        yardsticks: pss["bare"] ?? [],
      };
      const ratio = ratioOf(held).median;
      bench.record({
        ...held,
        measured: `${median(held.costs).toFixed(1)} MiB = ${times(ratio)} a bare Deno`,
        goal: `≤ ${most} ×`,
        met: ratio <= most,
      });
    }
  } finally {
    for (const name of names) await end(children[name]);
  }
}
