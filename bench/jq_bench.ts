/**
 * Filters on a server: a search of 100,000 messages over HTTP, on the stored bytes and by jq in a
 * worker. The processor time counts all threads, and depends less on what else runs.
 *
 * `deno run -A bench/jq_bench.ts [EXPRESSION…]`
 *
 * @module
 */

import process from "node:process";
import { Client } from "../mod.ts";
import { createApp } from "../server/app.ts";

const MESSAGES = 100_000;
const BATCH = 5_000;
const DEFAULTS = [
  '.data.level == "error" and .data.n > 99000',
  '(.data.level == "error" and .data.n > 99000) or (.data.n | tostring) == "7"',
];

const dir = await Deno.makeTempDir({ prefix: "plasmite-bench-" });
const client = new Client(dir);
const app = createApp(client, { maxTailTimeoutMs: 600_000 });
try {
  using pool = client.createPool("p", 64 << 20);
  const levels = ["info", "warn", "error", "debug"];
  for (let n = 0; n < MESSAGES; n += BATCH) {
    await pool.appendBatch(Array.from({ length: BATCH }, (_, i) => ({
      n: n + i,
      level: levels[(n + i) % 4],
      service: "checkout",
      message: `upstream timed out after ${(n + i) * 3} ms`,
    })));
  }
  for (const where of Deno.args.length > 0 ? Deno.args : DEFAULTS) {
    const before = performance.now();
    const cpuBefore = process.cpuUsage();
    const path = `/v0/pools/p/tail?no_follow=1&where=${encodeURIComponent(where)}`;
    const text = await (await app.request(path)).text();
    const { user, system } = process.cpuUsage(cpuBefore);
    const cpu = ((user + system) / 1000).toFixed(0).padStart(7);
    const wall = (performance.now() - before).toFixed(0).padStart(7);
    const found = text.split("\n").length - 1;
    const line = `${wall} ms, ${cpu} ms of processor  ${found} of ${MESSAGES}  ${where}\n`;
    await Deno.stdout.write(new TextEncoder().encode(line));
  }
} finally {
  await app.shutdown();
  await Deno.remove(dir, { recursive: true });
}
