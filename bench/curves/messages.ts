/**
 * How the cost of commands and of calls of the library grows with the messages in a pool.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { DENO, plasmite, round } from "../support/bench.ts";
import { makeSmallLines } from "../support/lines.ts";
import { measure, output } from "../support/processes.ts";
import { type Curves, decades } from "./points.ts";

const CALLS = fileURLToPath(new URL("./calls.ts", import.meta.url));
/** Bytes of a frame with the message that is fed. */
const FRAME = 496;

/** From ten thousand messages up. */
export async function messages(curves: Curves): Promise<void> {
  for (const count of decades(10_000, curves.most)) {
    const dir = await Deno.makeTempDir({ prefix: "plasmite-curves-" });
    try {
      await oneSize(curves, dir, count);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  }
}

async function oneSize({ rounds, record }: Curves, dir: string, count: number): Promise<void> {
  const lines = `${dir}/lines.jsonl`;
  makeSmallLines(lines, count);
  const size = FRAME * count + Math.ceil(0.05 * FRAME * count) + (1 << 20);
  const cpu = async (...args: string[]): Promise<number> =>
    round((await measure(DENO, plasmite(dir, ...args))).cpuMs);
  const times = count >= 5_000_000 ? Math.min(2, rounds) : rounds;
  const repeat = async (run: () => Promise<number>): Promise<number[]> => {
    const costs: number[] = [];
    for (let i = 0; i < times; i++) costs.push(await run());
    return costs;
  };
  const feed = async (): Promise<number> => {
    const cost = await cpu("feed", "p", "--create-size", `${size}`, "--file", lines);
    return cost;
  };
  const point = (name: string, costs: number[]): void =>
    record({ panel: "commands", name, unit: "ms", x: count, costs });
  const fed = [await feed()];
  for (let i = 1; i < times; i++) {
    await measure(DENO, plasmite(dir, "pool", "delete", "p"));
    fed.push(await feed());
  }
  point("feed all", fed);
  await Deno.remove(lines);
  const middle = count >> 1;
  const { time } = JSON.parse(await output(DENO, plasmite(dir, "fetch", "p", `${middle}`)));
  const commands: readonly (readonly [name: string, ...args: string[]])[] = [
    ["doctor", "doctor", "p"],
    ["doctor --quick", "doctor", "p", "--quick"],
    ["follow --tag, nothing found", "follow", "p", "--no-follow", "--jsonl", "--tag", "none"],
    ["follow --since the middle --one", "follow", "p", "--one", "--jsonl", "--since", time],
    ["follow --tail 1", "follow", "p", "--no-follow", "--jsonl", "--tail", "1"],
    ["fetch of the middle", "fetch", "p", `${middle}`],
  ];
  for (const [name, ...args] of commands) point(name, await repeat(() => cpu(...args)));
  const bare = await repeat(async () => round((await measure(DENO, ["eval", "0"])).cpuMs));
  record({
    ...{ panel: "commands", name: "deno eval 0", unit: "ms", x: count, costs: bare },
    yardstick: true,
  });
  const calls: Record<string, number[]> = {};
  for (let i = 0; i < times; i++) {
    const text = await output(DENO, ["run", "-A", CALLS, `${dir}/p.plasmite`]);
    for (const [name, µs] of Object.entries(JSON.parse(text) as Record<string, number>)) {
      (calls[name] ??= []).push(round(µs));
    }
  }
  for (const [name, costs] of Object.entries(calls)) {
    record({ panel: "calls", name, unit: "µs", x: count, costs });
  }
}
