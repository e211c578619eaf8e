/**
 * A pool file that is cut short while it is followed is damaged: whoever reads or appends is told so
 * (Corrupt, exit 7), and not that it were another pool (docs/spec/format.md 1.6).
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { Client } from "../../lib/client/client.ts";
import type { Pool } from "../../lib/client/pool.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { runTool } from "../../mcp/run.ts";
import { poolsOf } from "../mcp/mcp_tools_util.ts";
import { createApp } from "../../server/app.ts";
import { CLI, cli, errorOf, inTemp } from "../cli/cli_util.ts";

/** What happens to the file: cut to so many bytes, or lengthened. */
const LENGTHS: readonly number[] = [0, 50, 104, 4096, 40_000, 70_000];

function isDamage(error: unknown): true {
  assert(PlasmiteError.is(error, ErrorKind.Corrupt), String(error));
  assert.match(error.message, /truncated|invalid file size|malformed frame/);
  return true;
}

/** A pool with three messages. */
function withPool(work: (pool: Pool, dir: string) => Promise<void>): () => Promise<void> {
  return () =>
    inTemp(async (dir) => {
      using pool = new Client(dir).createPool("p", 65536);
      for (let n = 1; n <= 3; n++) pool.append({ n });
      await work(pool, dir);
    });
}

interface Ended {
  readonly code: number;
  readonly lines: readonly string[];
  readonly error: Record<string, unknown>;
}

/** Follows `ref` until it waits for more, cuts the file, and tells how that ended. */
async function followed(pool: Pool, ref: readonly string[], length: number): Promise<Ended> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", CLI, ...ref, "--tail", "3", "--jsonl"],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let text = "";
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  for (let step = 0;;) {
    const { done, value } = await reader.read();
    if (done) break;
    text += value;
    const lines = text.split("\n").length - 1;
    if (step === 0 && lines === 3) {
      step = 1;
      pool.append({ n: 4 });
    } else if (step === 1 && lines === 4) {
      step = 2;
      Deno.truncateSync(pool.path, length);
    }
  }
  const stderr = (await new Response(child.stderr).text()).trim().split("\n").at(-1) ?? "";
  const { code } = await child.status;
  const { error } = JSON.parse(stderr);
  return { code, lines: text.trim().split("\n"), error };
}

// Somebody repairs the disk, and goes looking for who replaced the pool.
for (const length of LENGTHS) {
  Deno.test(
    `follow: cut to ${length} bytes, the pool is Corrupt`,
    withPool(async (pool, dir) => {
      const { code, lines, error } = await followed(pool, ["--dir", dir, "follow", "p"], length);
      assert.equal(code, ErrorKind.Corrupt, JSON.stringify(error));
      assert.equal(error["kind"], "Corrupt");
      assert.doesNotMatch(String(error["message"]), /different file/);
      assert.equal(lines.length, 4);
    }),
  );
}

Deno.test(
  "follow of a server's pool, cut on the server, is Corrupt",
  withPool(async (pool, dir) => {
    const app = createApp(new Client(dir), {});
    const server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen: () => {} },
      (request) => app.fetch(request),
    );
    try {
      const url = `http://127.0.0.1:${server.addr.port}/p`;
      const { code, error } = await followed(pool, ["follow", url], 5000);
      assert.equal(code, ErrorKind.Corrupt, JSON.stringify(error));
      assert.equal(error["kind"], "Corrupt");
    } finally {
      await app.shutdown();
      await server.shutdown();
    }
  }),
);

Deno.test(
  "the library's tail, blocking streams and reads of a pool that was cut are Corrupt",
  withPool(async (pool, dir) => {
    using tail = pool.tail({ from: "end" });
    using live = pool.tail();
    for (let n = 1; n <= 3; n++) assert.equal((await live.next()).value?.seq, BigInt(n));
    using stream = pool.openStream(4, null, 10_000);
    const [waiting, reading] = [tail.next(), live.next()];
    waiting.catch(() => {});
    reading.catch(() => {});
    Deno.truncateSync(pool.path, 20_000);
    await assert.rejects(waiting, isDamage);
    await assert.rejects(reading, isDamage);
    assert.throws(() => stream.nextJson(), isDamage);
    assert.throws(() => new Client(dir).openPool("p"), isDamage);
    const fetched = await cli(["--dir", dir, "fetch", "p", "1"]);
    assert.equal(fetched.code, ErrorKind.Corrupt, fetched.stderr);
  }),
);

Deno.test(
  "an append to a pool that was cut or lengthened is Corrupt and writes nothing",
  withPool(async (pool, dir) => {
    for (const length of [30_000, 70_000]) {
      Deno.truncateSync(pool.path, length);
      assert.throws(() => pool.append({ n: 4 }), isDamage);
      await assert.rejects(pool.appendAsync({ n: 4 }), isDamage);
      const fed = await cli(["--dir", dir, "feed", "p", "{}"]);
      assert.equal(fed.code, ErrorKind.Corrupt, fed.stderr);
      assert.equal(errorOf(fed)["message"], "invalid file size");
      assert.equal(Deno.statSync(pool.path).size, length);
    }
  }),
);

// The server kept the damaged file open and answered Corrupt also when the pool was whole again.
Deno.test(
  "a server tells the damage, and goes on as soon as the pool is whole again",
  withPool(async (pool, dir) => {
    const whole = Deno.readFileSync(pool.path);
    const app = createApp(new Client(dir), {});
    const append = async (): Promise<[number, string]> => {
      const answer = await app.request("/v0/pools/p/append", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: '{"data":{"n":4}}',
      });
      return [answer.status, await answer.text()];
    };
    try {
      assert.equal((await append())[0], 200);
      Deno.truncateSync(pool.path, 30_000);
      const [status, text] = await append();
      assert.match(text, /"kind":"Corrupt"/, `${status}`);
      const tail = await app.request("/v0/pools/p/tail?timeout_ms=3000");
      assert.match(await tail.text(), /"kind":"Corrupt"/);
      // Repaired in place, as `doctor --repair` does, but of another size.
      using other = new Client(dir).createPool("other", 81920);
      Deno.writeFileSync(pool.path, Deno.readFileSync(other.path));
      assert.equal((await append())[0], 200);
      Deno.writeFileSync(pool.path, whole);
      assert.match((await append())[1], /"seq":4|Corrupt/);
      assert.match((await append())[1], /"seq":[45]/);
    } finally {
      await app.shutdown();
    }
  }),
);

Deno.test(
  "an agent that waits on a pool that is cut is told that it is Corrupt",
  withPool(async (pool, dir) => {
    const pools = poolsOf(dir);
    const { signal } = new AbortController();
    const args = { pool: "p", after_seq: 3, timeout_ms: 20_000 };
    const waiting = runTool("plasmite_wait", args, { pools, signal });
    await new Promise((resolve) => setTimeout(resolve, 50));
    Deno.truncateSync(pool.path, 20_000);
    const answer = JSON.stringify(await waiting);
    assert.match(answer, /Corrupt/);
    assert.doesNotMatch(answer, /different file/);
  }),
);
