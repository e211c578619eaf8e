/**
 * Appends over HTTP, beside a bare `Deno.serve` that parses and answers JSON. More is in
 * `bench/server_bench.ts`, whose client sends the requests, from a process of its own.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { Client } from "../../mod.ts";
import { DEFAULT_FLAGS, resolveServe } from "../../server/config.ts";
import { startServer } from "../../server/serve.ts";
import { type Bench, DENO, round, times } from "../support/bench.ts";
import { type Measurement, median, ratioOf } from "../support/comparison.ts";
import { output, ownCpuMs } from "../support/processes.ts";

const CLIENT = fileURLToPath(new URL("../server_bench.ts", import.meta.url));

/** Microseconds for an answer: as the client sees it, and of the processor in this process. */
interface Answer {
  readonly wall: number;
  readonly cpu: number;
}

async function load(port: number, connections: number, seconds: number): Promise<Answer> {
  const args = ["client", `${port}`, `${connections}`, `${seconds}`, "small"];
  const before = ownCpuMs();
  const rate = Number(await output(DENO, ["run", "-A", CLIENT, ...args]));
  const cpuMs = ownCpuMs() - before;
  return { wall: round(1e6 / rate), cpu: round(1000 * cpuMs / (rate * seconds)) };
}

/** One connection and sixteen. */
export async function http(bench: Bench): Promise<void> {
  using client = new Client(bench.dir);
  client.createPool("bench", 1 << 24).close();
  const config = await resolveServe({ ...DEFAULT_FLAGS, bind: "127.0.0.1:0" });
  const server = await startServer(client, config, { registry: false });
  const bare = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    async (request) => Response.json({ message: { seq: 1, ...await request.json() } }),
  );
  try {
    for (const [connections, part] of [[1, 0.55], [16, 0.5]] as const) {
      const ours: Answer[] = [];
      const theirs: Answer[] = [];
      const seconds = bench.quick ? 0.7 : 1.5;
      const run = (to: Answer[], port: number) => async (): Promise<void> =>
        void to.push(await load(port, connections, seconds));
      const both = [run(ours, server.port), run(theirs, bare.addr.port)];
      for (const first of both) await first(); // The first turn compiles.
      ours.length = theirs.length = 0;
      for (let turn = 0; turn < bench.rounds; turn++) {
        for (const next of turn % 2 === 0 ? both : both.toReversed()) await next();
      }
      const series = (key: keyof Answer, name: string): Measurement => ({
        name,
        yardstick: "a bare `Deno.serve`",
        unit: "µs an answer",
        costs: ours.map((answer) => answer[key]),
        yardsticks: theirs.map((answer) => answer[key]),
      });
      const name = `HTTP append, ${connections} connection${connections === 1 ? "" : "s"}`;
      const wall = series("wall", name);
      const speed = 1 / ratioOf(wall).median;
      bench.record({
        ...wall,
        measured: `${Math.round(1e6 / median(wall.costs))}/s = ${times(speed)} bare`,
        goal: `≥ ${part} × bare`,
        met: speed >= part,
      });
      const cpu = series("cpu", `${name}, CPU`);
      const measured = `${median(cpu.costs).toFixed(0)} µs = ${times(ratioOf(cpu).median)} bare`;
      bench.record({ ...cpu, measured, goal: "", met: null });
    }
  } finally {
    await bare.shutdown();
    await server.shutdown();
  }
}
