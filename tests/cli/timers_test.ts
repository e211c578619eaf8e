/**
 * Times beyond 2^31 ms: the platform's timers would fire at once instead of late.
 *
 * @module
 */

import assert from "node:assert/strict";
import { every, startTimer } from "../../lib/timers.ts";
import { RemoteClient } from "../../mod.ts";
import { inTemp } from "./cli_util.ts";
import { serve, take } from "../client/remote_util.ts";

/** More than a timer holds: just so, in a u32 and beyond, in a u64, and without end. */
const LONG = [2 ** 31, 2 ** 32 + 5, Number.MAX_SAFE_INTEGER, 2 ** 64, Infinity];

// Lost: everything that waits "forever" did not wait at all.
Deno.test("a timer of any length does not fire before a short one", async () => {
  const fired: number[] = [];
  const timers = LONG.map((ms) => startTimer(() => fired.push(ms), ms));
  await new Promise<void>((resolve) => startTimer(resolve, 20));
  timers.forEach(clearTimeout);
  assert.deepEqual(fired, []);
  for (const ms of [-1, 0, NaN, -Infinity]) {
    await new Promise<void>((resolve) => startTimer(resolve, ms));
  }
});

// Lost: a follower that missed a notice looked never again, or one that was closed went on looking.
Deno.test("what ticks does so until it is stopped, also by itself, and keeps the process alive", async () => {
  const { resolve, promise } = Promise.withResolvers<void>();
  let ticks = 0;
  const stop = every(1, () => {
    if (++ticks < 3) return;
    stop();
    resolve();
  });
  const other = every(1, () => assert.fail("stopped before it ticked"));
  other();
  await promise;
  await new Promise<void>((resolve) => startTimer(resolve, 20));
  assert.equal(ticks, 3);

  const timers = new URL("../../lib/timers.ts", import.meta.url).href;
  const program = `const { every } = await import("${timers}");
    let ticks = 0;
    const stop = every(1, () => { if (++ticks === 3) { stop(); console.log("three"); } });
    every(1 << 30, () => {})();`;
  const { code, stdout } = await new Deno.Command(Deno.execPath(), { args: ["eval", program] })
    .output();
  assert.deepEqual([code, new TextDecoder().decode(stdout)], [0, "three\n"]);
});

// Lost: a server that was told to let tails live for a month broke each of them off at once.
Deno.test("--max-tail-timeout-ms beyond 2^31: a tail survives silence", () =>
  inTemp(async (dir) => {
    for (const maxTailTimeoutMs of LONG) {
      await using server = serve({ dir, maxTailTimeoutMs, heartbeatMs: 10 });
      using local = server.local.pool("p");
      const next = (local.bounds().newestSeq ?? 0n) + 1n;
      const answer = await fetch(`${server.url}/v0/pools/p/tail?since_seq=${next}&max=1`);
      assert.ok(answer.body !== null);
      const reader = answer.body.getReader();
      // Heartbeats: the stream outlived the millisecond that a wrong timer gives it.
      for (let beats = 0; beats < 5; beats++) {
        assert.equal((await reader.read()).done, false, `ended with ${maxTailTimeoutMs}`);
      }
      local.append({ n: 1 });
      let text = "";
      for (let got = await reader.read(); !got.done; got = await reader.read()) {
        text += new TextDecoder().decode(got.value);
      }
      assert.match(text, /"n":1/);
    }
  }));

// Lost: with "no time limit" given as a large number, every request failed before its answer.
Deno.test("RemoteClient with a time limit beyond 2^31 waits for a slow server", () =>
  inTemp(async (dir) => {
    await using server = serve({
      dir,
      after: (_request, response) =>
        new Promise((resolve) => setTimeout(() => resolve(response), 50)),
    });
    for (const timeoutMs of LONG) {
      await using client = new RemoteClient(server.url, { timeoutMs });
      await using pool = await client.pool("p");
      const { seq } = await pool.append({ a: 1 });
      const tail = pool.tail({ sinceSeq: seq, timeoutMs: 2 ** 31, idleTimeoutMs: 2 ** 40 });
      assert.equal((await take(tail, 1))[0]?.seq, seq);
    }
  }));

// Lost: the next delay that somebody takes from an option and hands to the platform.
Deno.test("lib, server and mcp start timers only where the delay is bounded", () => {
  const root = new URL("../../", import.meta.url);
  const wrong: string[] = [];
  const visit = (folder: URL, name: string): void => {
    for (const entry of Deno.readDirSync(folder)) {
      const path = `${name}${entry.name}`;
      // These two are on the way to every command, and their delays are constants.
      if (
        ["server/ui", "lib/timers.ts", "lib/stdio.ts", "lib/storage/semaphore.ts"].includes(path)
      ) {
        continue;
      }
      if (entry.isDirectory) visit(new URL(`${entry.name}/`, folder), `${path}/`);
      else if (
        /(?<!typeof )\b(setTimeout|AbortSignal\.timeout)\(/.test(
          Deno.readTextFileSync(new URL(entry.name, folder)),
        )
      ) wrong.push(path);
    }
  };
  for (const folder of ["lib/", "server/", "mcp/"]) visit(new URL(folder, root), folder);
  assert.deepEqual(wrong, [], "use startTimer of lib/timers.ts");
});
