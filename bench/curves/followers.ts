/**
 * How delivery costs more with followers: streams of one server, beside a bare server that sends
 * the same bytes, and processes, beside as many bare `Deno.watchFs` loops.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { Client } from "../../mod.ts";
import { DENO, round } from "../support/bench.ts";
import { median } from "../support/comparison.ts";
import { activity, end, sleep } from "../support/processes.ts";
import { type Curves, decades, type Point } from "./points.ts";
import { startServe } from "./serve.ts";

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const TAILS = file("./tails.ts");
const BARE_TAILS = file("./bare_tails.ts");
const FOLLOWER = file("../follower.ts");
const BARE_WATCH = file("../bare_watch.ts");
/** A process takes some 20 MB and a core is busy for a millisecond to wake it. */
const MOST_PROCESSES = 100;
const IDLE_MS = 3000;

/** From one follower up. */
export async function followers({ most, rounds, record }: Curves): Promise<void> {
  for (const n of decades(1, most)) {
    const runs = [server, bareServer, bareServer, server];
    const points: Point[] = [];
    for (const run of runs) points.push(...await run(n, rounds));
    if (n <= MOST_PROCESSES) {
      points.push(...await processes("processes", FOLLOWER, n, rounds));
      points.push(...await processes("bare watchFs processes", BARE_WATCH, n, rounds));
    }
    for (const point of together(points)) record(point);
  }
}

/** The points of several turns, each with all its costs. */
function together(points: readonly Point[]): Iterable<Point> {
  const all = new Map<string, Point>();
  for (const point of points) {
    const key = `${point.panel} ${point.name}`;
    all.set(key, { ...point, costs: [...all.get(key)?.costs ?? [], ...point.costs] });
  }
  return all.values();
}

interface Found {
  readonly delays: readonly number[];
  readonly cpuMs: number;
  readonly idle: number;
  readonly count: number;
}

function pointsOf(name: string, n: number, found: Found, bare: boolean): Point[] {
  const one = (panel: Point["panel"], unit: string, cost: number): Point => ({
    ...{ panel, name, unit, x: n, costs: [round(cost)] },
    ...(bare ? { yardstick: true } : {}),
  });
  return [
    one("delivery", "ms", median(found.delays)),
    one("append", "ms", found.cpuMs / found.count),
    one("idle", "% of a core", Math.max(0.001, found.idle * 100)),
  ];
}

/** How many messages, and how far apart, so that one is delivered before the next one comes. */
function pace(n: number, rounds: number): { readonly count: number; readonly ms: number } {
  return { count: Math.max(20, 20 * rounds), ms: Math.max(10, n / 5) };
}

async function idleShare(pids: readonly number[]): Promise<number> {
  const used = (): number => pids.reduce((sum, pid) => sum + activity(pid).cpuMs, 0);
  await sleep(500);
  const before = used();
  const start = performance.now();
  await sleep(IDLE_MS);
  return (used() - before) / (performance.now() - start);
}

/** Connects `n` streams of one process, and sends messages. */
async function deliver(
  url: string,
  path: string,
  pid: number,
  n: number,
  rounds: number,
  send: () => Promise<void> | void,
): Promise<Found> {
  const { count, ms } = pace(n, rounds);
  const client = new Deno.Command(DENO, {
    args: ["run", "-A", TAILS, url, path, `${n}`, `${count}`],
    stdout: "piped",
  }).spawn();
  const reader = client.stdout.pipeThrough(new TextDecoderStream()).getReader();
  await reader.read();
  const idle = await idleShare([pid]);
  const before = activity(pid).cpuMs;
  for (let i = 0; i < count; i++) {
    await send();
    await sleep(ms);
  }
  let text = "";
  for (let r = await reader.read(); !r.done; r = await reader.read()) text += r.value;
  const cpuMs = activity(pid).cpuMs - before;
  await client.status;
  return { delays: JSON.parse(text) as number[], cpuMs, idle, count };
}

/** Now, as a number of microseconds that fits into a message. */
const now = (): number => Number(Temporal.Now.instant().epochNanoseconds / 1000n);

async function server(n: number, rounds: number): Promise<Point[]> {
  const dir = await Deno.makeTempDir({ prefix: "plasmite-curves-" });
  using client = new Client(dir);
  using pool = client.createPool("p", 1 << 22);
  const { child, url } = await startServe(dir, { args: ["--max-tail-concurrency", `${n + 10}`] });
  try {
    const send = (): void => void pool.append({ t: now() });
    const found = await deliver(url, "/v0/pools/p/tail", child.pid, n, rounds, send);
    return pointsOf("streams of one server", n, found, false);
  } finally {
    await end(child);
    await Deno.remove(dir, { recursive: true });
  }
}

async function bareServer(n: number, rounds: number): Promise<Point[]> {
  const child = new Deno.Command(DENO, {
    args: ["run", "-A", BARE_TAILS],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const reader = child.stdout.getReader();
  try {
    const url = new TextDecoder().decode((await reader.read()).value).trim();
    const send = async (): Promise<void> =>
      await writer.write(new TextEncoder().encode(`{"t":${now()}}\n`));
    const found = await deliver(url, "/", child.pid, n, rounds, send);
    return pointsOf("bare streams", n, found, true);
  } finally {
    await writer.close();
    await reader.cancel();
    await end(child);
  }
}

async function processes(
  name: string,
  script: string,
  n: number,
  rounds: number,
): Promise<Point[]> {
  const dir = await Deno.makeTempDir({ prefix: "plasmite-curves-" });
  using client = new Client(dir);
  using pool = client.createPool("p");
  const { count } = pace(n, rounds);
  const children = Array.from({ length: n }, () =>
    new Deno.Command(DENO, {
      args: ["run", "-A", script, pool.path, `${count}`],
      stdout: "piped",
    }).spawn());
  const pids = children.map(({ pid }) => pid);
  const readers = children.map((child) =>
    child.stdout.pipeThrough(new TextDecoderStream()).getReader()
  );
  for (const reader of readers) await reader.read();
  const idle = await idleShare(pids);
  const used = (): number => pids.reduce((sum, pid) => sum + activity(pid).cpuMs, 0);
  const before = used();
  let after = before;
  for (let i = 0; i < count; i++) {
    // They end with the last message, and their processor time is gone then.
    if (i === count - 1) after = used();
    pool.append({ i });
    await sleep(Math.max(10, n * 2));
  }
  const delays: number[] = [];
  for (const reader of readers) {
    let text = "";
    for (let r = await reader.read(); !r.done; r = await reader.read()) text += r.value;
    for (const µs of JSON.parse(text) as number[]) delays.push(µs / 1000);
  }
  await Promise.all(children.map((child) => child.status));
  await Deno.remove(dir, { recursive: true });
  const found = { delays, cpuMs: after - before, idle, count: count - 1 };
  return pointsOf(name, n, found, script === BARE_WATCH);
}
