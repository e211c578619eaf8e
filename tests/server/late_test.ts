/**
 * A server whose code is loaded with its first request. Whoever comes first, or while it loads, must
 * get the answer that everybody gets: not an error, not the rights of another, not a second server
 * that numbers the same messages.
 *
 * @module
 */

import assert from "node:assert/strict";
import { createApp } from "../../server/app.ts";
import { LateApp } from "../../server/late.ts";
import { Client, ErrorKind } from "../../mod.ts";
import { inTemp } from "../cli/cli_util.ts";
import { copyTree } from "../../.ci/package/common.ts";
import { CLI, ROOT } from "../support/paths.ts";
import { read } from "./server_util.ts";

/** Runs `serve` in a process of its own, until `use` has ended, or until it ends by itself. */
async function serving(
  dir: string,
  use: (url: string) => Promise<void>,
  { program = CLI, ends = false } = {},
): Promise<{ code: number; said: string }> {
  const ready = `${dir}/ready`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "-q", program, "--dir", `${dir}/pools`, "serve", "--bind", "127.0.0.1:0"],
    env: { PLASMITE_SERVE_READY_FILE: ready },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const said = new Response(child.stderr).text();
  let running = true;
  const ended = child.status.finally(() => running = false);
  try {
    let address = "";
    while (address === "" && running) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      address = await Deno.readTextFile(ready).catch(() => "");
    }
    await use(`http://${address}`);
    if (ends) {
      const late = setTimeout(() => child.kill("SIGKILL"), 120_000);
      await ended;
      clearTimeout(late);
    }
  } finally {
    if (running) child.kill("SIGTERM");
    await ended;
  }
  return { code: (await ended).code, said: await said };
}

Deno.test("late: all who come while the server loads are answered by one server, by its rules", async () => {
  await inTemp(async (dir) => {
    new Client(`${dir}/pools`).createPool("p").close();
    await serving(dir, async (url) => {
      const headers = { "content-type": "application/json" };
      const all = await Promise.all(Array.from({ length: 30 }, (_, i) => {
        if (i % 3 === 0) return read(fetch(`${url}/healthz`));
        if (i % 3 === 1) {
          return read(
            fetch(`${url}/v0/pools/p/info`, { headers: { origin: "https://evil.test" } }),
          );
        }
        const body = JSON.stringify({ data: { i } });
        return read(fetch(`${url}/v0/pools/p/append`, { method: "POST", headers, body }));
      }));
      assert.deepEqual(all.map(({ status }) => status), all.map((_, i) => i % 3 === 1 ? 403 : 200));
      const seqs = all.filter((_, i) => i % 3 === 2).map(({ json }) => json.message.seq);
      assert.deepEqual(seqs.sort((a, b) => a - b), seqs.map((_, i) => i + 1));
      assert.deepEqual(JSON.parse(all[0]?.text ?? ""), { ok: true });
    });
  });
});

// Counted from the first request, a server that starts again and again looks as if it ran for hours.
Deno.test("late: the time of the start is when it began to listen, not the first request", async () => {
  await inTemp(async (dir) => {
    await serving(dir, async (url) => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      const asked = Date.now() / 1000;
      const { text } = await read(fetch(`${url}/metrics`));
      const since = Number(/^plasmite_start_time_seconds ([\d.]+)$/m.exec(text)?.[1]);
      assert.ok(since < asked - 0.04, `${since}, asked at ${asked}`);
    });
  });
});

// After an update that replaces the files of a running program, its first request fails for good. A
// server that goes on like that looks healthy to its supervisor, and answers nobody.
Deno.test("late: a server that cannot load its code says so to its client, and ends with an error", async () => {
  await inTemp(async (dir) => {
    for (const name of ["lib", "server", "mcp"]) copyTree(`${ROOT}${name}`, `${dir}/${name}`);
    for (const name of ["cli.ts", "deno.json", "deno.lock"]) {
      await Deno.copyFile(`${ROOT}${name}`, `${dir}/${name}`);
    }
    const { code, said } = await serving(dir, async (url) => {
      await Deno.remove(`${dir}/server/router.ts`);
      const { status, headers, text } = await read(fetch(`${url}/healthz`));
      assert.deepEqual([status, headers.get("retry-after")], [503, "1"]);
      assert.equal(JSON.parse(text).error.kind, "Busy");
      assert.match(text, /cannot load its code.*start it again/);
      assert.ok(!text.includes(dir), "where its files are is nobody's business");
    }, { program: `${dir}/cli.ts`, ends: true });
    assert.equal(code, ErrorKind.Io, said);
    assert.match(said, /router\.ts.*Start it again.*cannot load its code/s);
  });
});

Deno.test("late: all requests that wait for code that cannot be loaded are answered", async () => {
  const faults: string[] = [];
  let loads = 0;
  const app = new LateApp(
    () => (loads++, Promise.reject(new Error("gone"))),
    (error) => faults.push(`${error.kindName}: ${error.causes}`),
  );
  const refused = await Promise.all(
    ["/healthz", "/v0/pools", "/ui"].map((path) => read(app.request(path))),
  );
  assert.deepEqual(refused.map(({ status }) => status), [503, 503, 503]);
  assert.deepEqual([faults[0], loads], ["Io: gone", 1]);
  await app.shutdown();
});

Deno.test("late: a stop while it loads waits for the request; after a stop nothing is loaded", async () => {
  await inTemp(async (dir) => {
    const { promise: loaded, resolve } = Promise.withResolvers<void>();
    const client = new Client(dir);
    client.createPool("p").close();
    const app = new LateApp(async () => (await loaded, createApp(client)));
    const answer = read(app.request("/v0/pools/p/info"));
    const stopped = app.shutdown();
    resolve();
    assert.equal((await answer).status, 200);
    await stopped;

    let loads = 0;
    const unasked = new LateApp(() => (loads++, Promise.resolve(createApp(client))));
    await unasked.shutdown();
    assert.deepEqual([(await read(unasked.request("/healthz"))).status, loads], [503, 0]);
  });
});
