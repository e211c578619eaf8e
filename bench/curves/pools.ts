/**
 * How the cost of lists grows with the pools in a directory: the command, the request, and how long
 * another request has to wait in the meantime.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { Client } from "../../mod.ts";
import { DENO, plasmite, round } from "../support/bench.ts";
import { activity, end, measure } from "../support/processes.ts";
import { startServe } from "./serve.ts";
import { type Curves, decades } from "./points.ts";

const PINGER = fileURLToPath(new URL("./pinger.ts", import.meta.url));
const SIZE = 16 << 10;

/** From one pool up. */
export async function pools(curves: Curves): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "plasmite-curves-" });
  try {
    let made = 0;
    for (const count of decades(1, curves.most)) {
      using client = new Client(dir);
      for (; made < count; made++) {
        using pool = client.createPool(`pool-${String(made).padStart(6, "0")}`, SIZE);
        pool.append({ n: made });
      }
      await oneSize(curves, dir, count);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function oneSize({ rounds, record }: Curves, dir: string, count: number): Promise<void> {
  const point = (name: string, costs: number[], yardstick?: true): void =>
    record({
      ...{ panel: "pools", name, unit: "ms", x: count, costs },
      ...(yardstick === undefined ? {} : { yardstick }),
    });
  const listed: number[] = [];
  const walls: number[] = [];
  const bare: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const { cpuMs, wallMs } = await measure(DENO, plasmite(dir, "pool", "list"));
    listed.push(round(cpuMs));
    walls.push(round(wallMs));
    bare.push(round((await measure(DENO, ["eval", "0"])).cpuMs));
  }
  point("pool list", listed);
  point("pool list, wall", walls);
  point("deno eval 0", bare, true);
  const { child, url } = await startServe(dir);
  try {
    const spans: number[] = [];
    const get = async (): Promise<number> => {
      const before = activity(child.pid).cpuMs;
      const start = performance.now();
      const answer = await fetch(`${url}/v0/pools`);
      await answer.arrayBuffer();
      spans.push(round(performance.now() - start));
      if (!answer.ok) throw new Error(`GET /v0/pools: ${answer.status}`);
      return round(activity(child.pid).cpuMs - before);
    };
    point("GET /v0/pools, the first", [await get()]);
    const waits: number[] = [];
    const costs: number[] = [];
    for (let i = 0; i < rounds; i++) {
      costs.push(await get());
      waits.push(await longestWait(url, get));
    }
    point("GET /v0/pools", costs);
    point("GET /v0/pools, wall", spans.slice(1));
    point("wait of another request", waits);
    point("a wait without lists", [await longestWait(url, async () => {})], true);
  } finally {
    await end(child);
  }
}

/** The longest that a small request waits while something else is done, in milliseconds. */
async function longestWait(url: string, work: () => Promise<unknown>): Promise<number> {
  const pinger = new Deno.Command(DENO, {
    args: ["run", "-A", PINGER, url],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = pinger.stdout.pipeThrough(new TextDecoderStream()).getReader();
  await reader.read();
  await work();
  await pinger.stdin.close();
  let text = "";
  for (let r = await reader.read(); !r.done; r = await reader.read()) text += r.value;
  await pinger.status;
  return round(Number(text));
}
