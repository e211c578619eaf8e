/**
 * Reading on behind damage: library, command line, and servers (docs/spec/format.md 5.5).
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { HttpBackend } from "../../lib/backend/http.ts";
import { LocalBackend } from "../../lib/backend/local.ts";
import type { Backend, Selection } from "../../lib/backend/types.ts";
import { compileServed } from "../../lib/filter/served.ts";
import { compileWhere } from "../../lib/filter/where.ts";
import { Client } from "../../mod.ts";
import { openToAppend } from "../../lib/pool/mending.ts";
import { disk } from "../../lib/storage/file.ts";
import { createApp } from "../../server/app.ts";
import { cli, spawnCli } from "../cli/cli_util.ts";
import { spoil } from "../support/damaged_pool.ts";
import { fails } from "../support/fails.ts";
import { until, watchdog } from "../support/patience.ts";
import { append, payload } from "../support/rings.ts";

interface Scene extends AsyncDisposable {
  readonly dir: string;
  readonly client: Client;
  readonly path: string;
  readonly url: string;
}

/**
 * A served directory with the pool `p` of 40 messages, of which 28 to 30 are damaged, and 35 was
 * stored by something that stores no messages.
 */
async function scene(features?: string): Promise<Scene> {
  const dir = await Deno.makeTempDir();
  const client = new Client(dir);
  const pool = client.createPool("p", 1 << 18);
  for (let n = 1; n <= 34; n++) pool.append({ n }, [n % 2 === 0 ? "even" : "odd"]);
  const path = `${dir}/p.plasmite`;
  const ring = openToAppend(disk, path);
  append(ring, payload(1, 300));
  ring.close();
  for (let n = 36; n <= 40; n++) pool.append({ n }, [n % 2 === 0 ? "even" : "odd"]);
  pool.close();
  spoil(path, 28, 29, 30);
  const app = createApp(client);
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    async (request) => {
      const response = await app.fetch(request);
      if (features === undefined) return response;
      const headers = new Headers(response.headers);
      headers.set("plasmite-features", features);
      return new Response(response.body, { status: response.status, headers });
    },
  );
  return {
    dir,
    client,
    path,
    url: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: async () => {
      await app.shutdown();
      await server.shutdown();
      client.close();
      await Deno.remove(dir, { recursive: true });
    },
  };
}

/** What a walk tells: numbers of messages, and `[28-30]`. */
async function told(backend: Backend, selection: Selection): Promise<string> {
  const pool = await backend.open("p");
  const walk = await pool.select({ ...selection, skipCorrupt: true });
  const all: string[] = [];
  const stop = watchdog();
  try {
    for (;;) {
      const found = walk.next();
      for (const { first, last } of walk.takeUnreadable()) all.push(`[${first}-${last}]`);
      if (found) all.push(`${walk.message.seq}`);
      else if (walk.ended) return all.join(" ");
      else await walk.wait(undefined, stop);
    }
  } finally {
    walk.close();
    await pool.close();
  }
}

const numbers = (from: number, to: number, step = 1): string =>
  Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => from + i * step).join(" ");

// Lost: everything behind one bad sector; or, with a filter, that anything was lost at all.
Deno.test("damage is skipped and named, whatever is selected, in files and on servers", async (t) => {
  await using one = await scene();
  const backends: [string, Backend][] = [
    ["local", new LocalBackend(one.dir)],
    ["serving", new LocalBackend(one.dir, { serving: true })],
    ["http", new HttpBackend(one.url)],
  ];
  const native = [await compileWhere(".data.n > 26")];
  const jq = [await compileWhere(".data | to_entries | .[0].value > 26")];
  assert.ok(native[0]?.isNative && !jq[0]?.isNative);
  const bad = "[28-30]", alien = "[35-35]";
  const all = `${numbers(1, 27)} ${bad} ${numbers(31, 34)} ${alien} ${numbers(36, 40)}`;
  const late = `27 ${bad} ${numbers(31, 34)} ${alien} ${numbers(36, 40)}`;
  const cases: [string, Selection, string][] = [
    ["everything", {}, all],
    ["from a number", { from: 27n }, late],
    ["from a damaged number", { from: 29n, until: 31n }, "[29-30] 31"],
    ["up to a damaged number", { from: 27n, until: 29n }, "27 [28-29]"],
    [
      "a tag",
      { tags: ["even"] },
      `${numbers(2, 26, 2)} ${bad} 32 34 ${alien} 36 38 40`,
    ],
    ["a condition on the bytes", { where: native }, late],
    ["a condition in jq", { where: jq }, late],
    ["the last", { last: 3 }, "38 39 40"],
    [
      "the last, with damage",
      { last: 12 },
      `[29-30] ${numbers(31, 34)} ${alien} ${numbers(36, 40)}`,
    ],
    ["the last of a tag", { tags: ["even"], last: 6 }, `26 ${bad} 32 34 ${alien} 36 38 40`],
  ];
  for (const [name, backend] of backends) {
    for (const [what, selection, expected] of cases) {
      await t.step(`${name}: ${what}`, async () => {
        assert.equal(await told(backend, selection), expected);
      });
    }
    await t.step(`${name}: without asking, damage is an error`, async () => {
      const pool = await backend.open("p");
      const walk = await pool.select({ from: 26n });
      await fails("Corrupt", async () => {
        for (let i = 0; i < 100; i++) if (!walk.next()) await walk.wait(1000);
      });
      walk.close();
      await pool.close();
    });
    await backend.close();
  }
});

// Lost: up to 512 messages that were whole and matched, because the one behind them is damaged.
Deno.test("with a filter in jq, what comes before damage is delivered before the error", async (t) => {
  await using one = await scene();
  const expression = ".data | to_entries | .[0].value > 20";
  const here = [await compileWhere(expression)];
  const elsewhere = [await compileServed(expression, { maxSteps: 1000, limited: (one) => one })];
  assert.ok(elsewhere[0]?.deferred !== undefined && here[0]?.deferred === undefined);
  const backends: [string, Backend, Selection][] = [
    ["local", new LocalBackend(one.dir), { where: here }],
    ["serving", new LocalBackend(one.dir, { serving: true }), { where: here }],
    ["in a worker", new LocalBackend(one.dir, { serving: true }), { where: elsewhere }],
    ["http", new HttpBackend(one.url), { where: here }],
  ];
  const cases: [string, Selection, string][] = [
    ["a frame", {}, numbers(21, 27)],
    ["a payload", { from: 31n, tags: ["odd"] }, "31 33"],
    ["the last that is wanted", { from: 31n, until: 35n, tags: ["odd"] }, "31 33"],
  ];
  for (const [name, backend, filter] of backends) {
    for (const [what, selection, expected] of cases) {
      await t.step(`${name}: ${what}`, async () => {
        const pool = await backend.open("p");
        const walk = await pool.select({ ...selection, ...filter });
        const found: string[] = [];
        const stop = watchdog();
        await fails("Corrupt", async () => {
          while (!walk.ended) {
            if (walk.next()) found.push(`${walk.message.seq}`);
            else if (!walk.ended) await walk.wait(undefined, stop);
          }
        });
        assert.equal(found.join(" "), expected);
        walk.close();
        await pool.close();
      });
    }
    await backend.close();
  }
  const told = await cli([
    ...["--dir", one.dir, "follow", "p", "--no-follow", "--jsonl", "--data-only"],
    ...["--where", expression],
  ]);
  assert.equal(told.code, 7);
  assert.equal(
    told.stdout.trim(),
    [21, 22, 23, 24, 25, 26, 27].map((n) => `{"n":${n}}`).join("\n"),
  );
});

Deno.test("a server that cannot skip damage is not asked to", async () => {
  await using one = await scene("batch,since,where,no-follow,heartbeat,select");
  const backend = new HttpBackend(one.url);
  const pool = await backend.open("p");
  const error = await fails("Usage", () => pool.select({ skipCorrupt: true }));
  assert.match(error.message, /skip-corrupt/);
  await pool.close();
  backend.close();
});

// Lost: the page ended at the first damaged message and called the server dead.
Deno.test("page streams name what cannot be read and go on; other streams end with Corrupt", async () => {
  await using one = await scene();
  const get = async (path: string): Promise<string> => await (await fetch(one.url + path)).text();
  for (const more of ["", "&tag=even", `&where=${encodeURIComponent(".data.n > 0")}`]) {
    const events = await get(`/v0/ui/pools/p/events?since_seq=26&no_follow=1${more}`);
    const lines = events.split("\n").filter((line) => line.startsWith("data:")).map((line) => {
      const { unreadable, seq } = JSON.parse(line.slice(5));
      return unreadable === undefined ? `${seq}` : `[${unreadable.from}-${unreadable.to}]`;
    });
    const expected = more.startsWith("&tag")
      ? "26 [28-30] 32 34 [35-35] 36 38 40"
      : `26 27 [28-30] ${numbers(31, 34)} [35-35] ${numbers(36, 40)}`;
    assert.equal(lines.join(" "), expected, more);
    assert.match(events, /id: 30\nevent: unreadable\ndata: {"unreadable":{"from":28,"to":30}}\n\n/);
  }
  const tail = (await get("/v0/pools/p/tail?since_seq=26&no_follow=1")).trim().split("\n");
  assert.equal(JSON.parse(tail.at(-1) ?? "").error.kind, "Corrupt");
  assert.equal(tail.length, 3);
  const refused = await fetch(`${one.url}/v0/pools/p/tail?skip_corrupt=1`);
  assert.equal(refused.status, 400);
  await refused.body?.cancel();
});

Deno.test("library: a tail goes on behind damage if it is asked to", async () => {
  await using one = await scene();
  using pool = one.client.pool("p");
  const ranges: string[] = [];
  const seqs: bigint[] = [];
  const tail = pool.tail({
    sinceSeq: 27,
    maxMessages: 10,
    skipCorrupt: true,
    onUnreadable: ({ first, last }) => ranges.push(`${first}-${last}`),
  });
  for await (const { seq } of tail) seqs.push(seq);
  assert.deepEqual(seqs, [27n, 31n, 32n, 33n, 34n, 36n, 37n, 38n, 39n, 40n]);
  assert.deepEqual(ranges, ["28-30", "35-35"]);
  await fails("Corrupt", async () => {
    for await (const _ of pool.tail({ sinceSeq: 27, maxMessages: 3 }));
  });
});

Deno.test("follow --skip-corrupt goes on with a notice; without it follow ends with Corrupt", async () => {
  await using one = await scene();
  for (const pool of [["--dir", one.dir, "follow", "p"], ["follow", `${one.url}/p`]]) {
    const plain = await cli([...pool, "--no-follow", "--jsonl"]);
    assert.equal(plain.code, 7);
    assert.equal(plain.stdout.trim().split("\n").length, 27);
    const on = await cli([...pool, "--no-follow", "--jsonl", "--skip-corrupt"]);
    assert.equal(on.code, 1, on.stderr);
    assert.equal(on.stdout.trim().split("\n").length, 36);
    const notices = on.stderr.trim().split("\n").map((line) => JSON.parse(line).notice);
    assert.deepEqual(notices.map(({ kind }) => kind), ["corrupt", "corrupt"]);
    assert.match(notices[0].message, /messages 28 to 30/);
    assert.deepEqual(
      [notices[0].details.first_seq, notices[0].details.last_seq, notices[1].details.first_seq],
      [28, 30, 35],
    );
    assert.equal((await cli([...pool, "--skip-corrupt", "--cursor", "c"])).code, 2);
  }
  // Live: what is appended behind the damage arrives.
  const child = spawnCli(
    ["--dir", one.dir, "follow", "p", "--tail", "12", "--skip-corrupt", "--data-only", "--jsonl"],
    { stdout: "piped" },
  );
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const until = async (end: string): Promise<void> => {
    while (!text.endsWith(end)) text += (await reader.read()).value ?? assert.fail(text);
  };
  await until('{"n":40}\n');
  using pool = one.client.pool("p");
  pool.append({ n: 41 });
  await until('{"n":41}\n');
  child.kill("SIGTERM");
  await child.status;
  await reader.cancel();
});

// Lost: the second damage on a server, which nothing told of until another message arrived.
Deno.test("follow --skip-corrupt tells of every damage, although nothing else arrives", async () => {
  await using one = await scene();
  for (const pool of [`${one.dir}/p.plasmite`, `${one.url}/p`]) {
    const child = spawnCli(["follow", pool, "--tail", "13", "--skip-corrupt"], { stderr: "piped" });
    let text = "";
    const reading = (async (): Promise<void> => {
      for await (const part of child.stderr.pipeThrough(new TextDecoderStream())) text += part;
    })();
    try {
      await until(() => text.split("\n").length > 2, () => text);
    } finally {
      child.kill("SIGTERM");
      await child.status;
      await reading;
    }
    const notices = text.trim().split("\n").map((line) => JSON.parse(line).notice);
    assert.deepEqual(notices.map(({ details }) => details.first_seq), [28, 35], pool);
  }
});
