/**
 * The HTTP server compared with a bare `Deno.serve` in the same run, as ratios.
 *
 * `deno run -A bench/server_bench.ts [seconds per round]`. The load comes from another process
 * (this file with `client` as its first argument), over raw TCP, with one request at a time per
 * connection.
 *
 * @module
 */

import { Client } from "../mod.ts";
import { startServer } from "../server/serve.ts";
import { DEFAULT_FLAGS, resolveServe } from "../server/config.ts";

const encoder = new TextEncoder();

/**
 * Sends the same request on `connections` kept-alive connections; prints the responses per second.
 */
async function load(port: number, connections: number, seconds: number, request: Uint8Array) {
  const until = performance.now() + seconds * 1000;
  let answers = 0;
  const worker = async (): Promise<void> => {
    const conn = await Deno.connect({ port, hostname: "127.0.0.1" });
    conn.setNoDelay(true);
    const buffer = new Uint8Array(64 * 1024);
    const decoder = new TextDecoder();
    while (performance.now() < until) {
      await conn.write(request);
      let text = "";
      let need = -1;
      while (need < 0 || text.length < need) {
        const n = await conn.read(buffer);
        if (n === null) throw new Error("connection closed");
        text += decoder.decode(buffer.subarray(0, n));
        const end = need < 0 ? text.indexOf("\r\n\r\n") : -1;
        if (end >= 0) {
          if (!text.startsWith("HTTP/1.1 200")) throw new Error(text.slice(0, 400));
          need = end + 4 + Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
        }
      }
      answers++;
    }
    conn.close();
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: connections }, worker));
  return answers / ((performance.now() - start) / 1000);
}

function post(port: number, path: string, type: string, body: string): Uint8Array {
  return encoder.encode(
    `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: ${type}\r\n` +
      `content-length: ${encoder.encode(body).length}\r\n\r\n${body}`,
  );
}

/** Runs the load in another process. */
async function measure(
  port: number,
  connections: number,
  seconds: number,
  kind: string,
): Promise<number> {
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", import.meta.filename ?? "", "client", `${port}`, `${connections}`]
      .concat(`${seconds}`, kind),
    stderr: "inherit",
  }).output();
  if (!success) throw new Error("client failed");
  return Number(new TextDecoder().decode(stdout));
}

const SMALL = '{"data":{"level":"info","value":12345,"msg":"hello"},"tags":["bench"]}';

if (Deno.args[0] === "client") {
  const [, port, connections, seconds, kind] = Deno.args;
  const lines = `${SMALL}\n`.repeat(1000);
  const request = kind === "batch"
    ? post(Number(port), "/v0/pools/bench/append_batch", "application/jsonl", lines)
    : post(Number(port), "/v0/pools/bench/append", "application/json", SMALL);
  const rate = await load(Number(port), Number(connections), Number(seconds), request);
  await Deno.stdout.write(encoder.encode(`${rate}`));
  Deno.exit(0);
}

/** CPU time used by this process, in ticks of 10 ms. */
function cpuTicks(): number {
  const fields = Deno.readTextFileSync("/proc/self/stat").split(") ")[1]?.split(" ") ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

const out = (text: string): void => void Deno.stdout.writeSync(encoder.encode(`${text}\n`));
const seconds = Number(Deno.args[0] ?? 2);
const dir = await Deno.makeTempDir();
const client = new Client(dir);
client.createPool("bench", 1 << 24).close();
const config = await resolveServe({
  ...DEFAULT_FLAGS,
  bind: "127.0.0.1:0",
  maxTailConcurrency: 1000,
});
const server = await startServer(client, config, { registry: false });
const bare = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
  const body = await request.json();
  return Response.json({ message: { seq: 1, ...body } });
});

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] ?? 0;
for (const connections of [1, 16]) {
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < 3; round++) {
    theirs.push(await measure(bare.addr.port, connections, seconds, "small"));
    ours.push(await measure(server.port, connections, seconds, "small"));
  }
  const goal = connections === 1 ? 0.6 : 0.3;
  out(
    `append, ${connections} connection(s): ${median(ours).toFixed(0)}/s, bare ` +
      `${median(theirs).toFixed(0)}/s, ratio ${(median(ours) / median(theirs)).toFixed(2)} ` +
      `(goal ${goal})`,
  );
}
const batch = await measure(server.port, 1, seconds, "batch");
out(`batch append: ${(batch * 1000).toFixed(0)} messages/s (goal 60000)`);

const streams = await Promise.all(
  Array.from({ length: 200 }, () => fetch(`${server.url}/v0/pools/bench/tail?since_seq=99999999`)),
);
await new Promise((resolve) => setTimeout(resolve, 500));
const before = cpuTicks();
const idleMs = 5000;
await new Promise((resolve) => setTimeout(resolve, idleMs));
const share = (cpuTicks() - before) / (idleMs / 10) * 100;
out(`200 idle followers: ${share.toFixed(2)} % of a core, client included (goal 1)`);
for (const stream of streams) await stream.body?.cancel();

const follow = await fetch(`${server.url}/v0/pools/bench/tail?since_seq=99999999`);
await follow.body?.cancel();
const info = await (await fetch(`${server.url}/v0/pools/bench/info`)).json();
const live = await fetch(
  `${server.url}/v0/pools/bench/tail?since_seq=${info.pool.bounds.newest + 1}`,
);
const reader = live.body?.getReader();
const waits: number[] = [];
using writer = client.openPool("bench");
for (let i = 0; i < 200; i++) {
  await new Promise((resolve) => setTimeout(resolve, 5));
  const start = performance.now();
  writer.append({ i });
  await reader?.read();
  waits.push(performance.now() - start);
}
out(`remote follow: p50 ${median(waits).toFixed(2)} ms (goal 2)`);
await reader?.cancel();
await bare.shutdown();
await server.shutdown();
await Deno.remove(dir, { recursive: true });
Deno.exit(0);
