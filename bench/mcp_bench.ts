/**
 * The overhead of MCP: the time from starting `plasmite mcp` to its first response, and each tool
 * call compared with the corresponding library call.
 *
 * `deno run -A bench/mcp_bench.ts [program words…]`; without words the command is run from source.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { Client } from "../lib/client/client.ts";
import { createMcpFetch } from "../mcp/http.ts";

const STARTS = 10;
const ROUNDS = 5;
const CALLS = 300;

const words = Deno.args.length > 0
  ? Deno.args
  : [Deno.execPath(), "run", "-A", fileURLToPath(new URL("../cli.ts", import.meta.url))];

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

function request(id: number, method: string, params: unknown = {}): string {
  return JSON.stringify({ jsonrpc: "2.0", id, method, params });
}

/** The command as a child process, driven line by line. */
class Child {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<string>;
  #rest = "";

  constructor(dir: string) {
    const [program = "", ...args] = words;
    this.#child = new Deno.Command(program, {
      args: [...args, "mcp", "--dir", dir],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#reader = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  async ask(line: string): Promise<string> {
    await this.#writer.write(new TextEncoder().encode(`${line}\n`));
    for (;;) {
      const end = this.#rest.indexOf("\n");
      if (end >= 0) {
        const answer = this.#rest.slice(0, end);
        this.#rest = this.#rest.slice(end + 1);
        return answer;
      }
      const { done, value } = await this.#reader.read();
      if (done) throw new Error("the server ended");
      this.#rest += value;
    }
  }

  async end(): Promise<void> {
    await this.#writer.close();
    await this.#reader.cancel();
    await this.#child.status;
  }
}

/** Milliseconds per call in the best round, because the machine may be busy. */
async function time(work: (n: number) => unknown): Promise<number> {
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    for (let n = 0; n < CALLS; n++) await work(round * CALLS + n);
    rounds.push((performance.now() - start) / CALLS);
  }
  return Math.min(...rounds);
}

const dir = Deno.makeTempDirSync({ prefix: "plasmite-bench-" });
try {
  const starts: number[] = [];
  for (let i = 0; i < STARTS; i++) {
    const start = performance.now();
    const child = new Child(dir);
    await child.ask(request(1, "initialize"));
    starts.push(performance.now() - start);
    await child.end();
  }
  print(
    `start to first answer: median ${median(starts).toFixed(0)} ms, min ${
      Math.min(...starts).toFixed(0)
    } ms (aim: 250 ms)`,
  );

  const client = new Client({ poolDir: dir });
  using pool = client.createPool("bench", 16 << 20);
  const data = { job: 7, status: "green", text: "x".repeat(100) };
  for (let n = 0; n < 1000; n++) pool.append(data, ["ci"]);
  const mcp = await createMcpFetch(client);
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    ({ url, method, headers, body }) => mcp(new Request(url, { method, headers, body })),
  );
  const url = `http://127.0.0.1:${server.addr.port}/mcp`;
  const child = new Child(dir);
  await child.ask(request(0, "initialize"));

  const cases: [string, () => unknown, string, unknown][] = [
    ["feed", () => pool.append(data, ["ci"]), "plasmite_feed", { data, tags: ["ci"] }],
    ["fetch", () => pool.get(500).raw, "plasmite_fetch", { seq: 500 }],
    [
      "read 20",
      () => {
        for (let n = 1; n <= 20; n++) pool.get(500 + n).raw;
      },
      "plasmite_read",
      { after_seq: 500 },
    ],
    ["info", () => client.poolInfo("bench"), "plasmite_pool_info", {}],
  ];
  print("milliseconds a call     library    stdio     http   (aim: at most 2 over the library)");
  for (const [name, library, tool, args] of cases) {
    const params = { name: tool, arguments: { pool: "bench", ...args as object } };
    const body = request(1, "tools/call", params);
    const headers = { "content-type": "application/json" };
    const check = await child.ask(body);
    if (check.includes('"isError"')) throw new Error(check);
    const base = await time(library);
    const stdio = await time((n) => child.ask(request(n + 1, "tools/call", params)));
    const http = await time(async () =>
      await (await fetch(url, { method: "POST", headers, body })).text()
    );
    const cell = (ms: number): string => ms.toFixed(3).padStart(9);
    print(`${name.padEnd(22)}${cell(base)}${cell(stdio)}${cell(http)}`);
  }
  const wakes: number[] = [];
  for (let n = 0; n < 50; n++) {
    const params = { name: "plasmite_wait", arguments: { pool: "bench", timeout_ms: 10_000 } };
    const waiting = child.ask(request(n + 1, "tools/call", params));
    await new Promise((resolve) => setTimeout(resolve, 30));
    const start = performance.now();
    pool.append(data, ["ci"]);
    await waiting;
    wakes.push(performance.now() - start);
  }
  print(
    `wait, from the append in another process to the answer: median ${median(wakes).toFixed(1)} ms`,
  );
  await child.end();
  await mcp.close();
  await server.shutdown();
} finally {
  Deno.removeSync(dir, { recursive: true });
}
