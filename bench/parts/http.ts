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
import { output } from "../support/processes.ts";

const CLIENT = fileURLToPath(new URL("../server_bench.ts", import.meta.url));

/** Microseconds for an answer, as the client sees it. */
async function load(port: number, connections: number, seconds: number): Promise<number> {
  const args = ["client", `${port}`, `${connections}`, `${seconds}`, "small"];
  return round(1e6 / Number(await output(DENO, ["run", "-A", CLIENT, ...args])));
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
      const costs: number[] = [];
      const yardsticks: number[] = [];
      const seconds = bench.quick ? 0.7 : 1.5;
      for (let turn = -1; turn < bench.rounds; turn++) {
        const ours = async (): Promise<number> => await load(server.port, connections, seconds);
        const theirs = async (): Promise<number> =>
          await load(bare.addr.port, connections, seconds);
        const first = turn % 2 === 0 ? await ours() : undefined;
        const yardstick = await theirs();
        const cost = first ?? await ours();
        if (turn < 0) continue; // The first turn compiles.
        costs.push(cost);
        yardsticks.push(yardstick);
      }
      const one: Measurement = {
        name: `HTTP append, ${connections} connection${connections === 1 ? "" : "s"}`,
        yardstick: "a bare `Deno.serve`",
        unit: "µs an answer",
        costs,
        yardsticks,
      };
      const speed = 1 / ratioOf(one).median;
      bench.record({
        ...one,
        measured: `${Math.round(1e6 / median(costs))}/s = ${times(speed)} bare`,
        goal: `≥ ${part} × bare`,
        met: speed >= part,
      });
    }
  } finally {
    await bare.shutdown();
    await server.shutdown();
  }
}
