/**
 * A process that serves others never waits in place. Somebody who is put to sleep while it holds one
 * pool's lock used to stop the whole server: every stream, every page and every agent for ten seconds.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { TakeRequest } from "../../lib/backend/coordination.ts";
import { Slots } from "../../lib/backend/local/slots.ts";
import { accessGrant } from "../../lib/grant.ts";
import { Client } from "../../mod.ts";
import { createApp } from "../../server/app.ts";
import { BodyReader } from "../../server/body.ts";
import { Metrics } from "../../server/metrics.ts";
import { GROUP_ROUTES } from "../../server/routes/groups.ts";
import type { Call, RouteHost } from "../../server/routes/route.ts";
import { waiting } from "../../server/waiting.ts";
import { Place, serveMcp, until, WAYS } from "../mcp/mcp_util.ts";
import { bench, listening } from "./server_util.ts";
import { withDir } from "../support/processes.ts";
import { runTool } from "../../mcp/run.ts";
import { poolsOf } from "../mcp/mcp_tools_util.ts";
import { PATIENCE_MS } from "../support/patience.ts";

/** A pool's lock, held as another process holds it. */
class Held implements Disposable {
  readonly #file: Deno.FsFile;

  constructor(path: string) {
    this.#file = Deno.openSync(path, { read: true, write: true });
    this.#file.lockSync(true);
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** Whether something is settled, without waiting for it. */
function watched<T>(work: Promise<T>): { done: boolean; readonly result: Promise<T> } {
  const state = { done: false, result: work };
  const settle = (): void => {
    state.done = true;
  };
  work.then(settle, settle);
  return state;
}

function append(n: number): RequestInit {
  return {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: `{"data":{"n":${n}}}`,
  };
}

/** Writes a state block that is only half stored, as a writer that sleeps half-way leaves it. */
function tear(path: string): void {
  using file = Deno.openSync(path, { read: true, write: true });
  file.seekSync(64, Deno.SeekMode.Start);
  const block = new Uint8Array(40);
  file.readSync(block);
  // A newest number without an oldest one.
  new DataView(block.buffer).setBigUint64(24, 0n, true);
  file.seekSync(64, Deno.SeekMode.Start);
  file.writeSync(block);
}

// Clients of the SDK leave timers behind when they are closed.
Deno.test.sanitizer({ ops: false, resources: false });

Deno.test("agents: a deletion that waits for a lock keeps no answer back", async (t) => {
  for (const way of WAYS.filter(({ name }) => /^(stdio|http), client of 2025$/.test(name))) {
    await t.step(way.name, async () => {
      using place = new Place();
      const { client, dir } = place;
      client.createPool("held").close();
      using news = client.createPool("news");
      await using server = await serveMcp(client);
      await using peer = await way.connect({ dir, url: server.url });
      const arrival = peer.call("plasmite_wait", {
        pool: "news",
        after_seq: 0,
        timeout_ms: 30_000,
      });
      let deletion;
      {
        using _ = new Held(`${dir}/held.plasmite`);
        deletion = watched(peer.call("plasmite_pool_delete", { pool: "held" }));
        if (way.name.startsWith("http")) await peer.call("plasmite_pool_info", { pool: "news" });
        news.append({ n: 1 });
        assert.equal((await arrival).isError, false);
        assert.equal(deletion.done, false, "the deletion came first");
      }
      const { isError, text } = await deletion.result;
      assert.equal(isError, false, text.join(" "));
      assert.deepEqual(client.listPools().map(({ name }) => name), ["news"]);
    });
  }
});

Deno.test("server: while requests wait for a locked pool, others are answered", async (t) => {
  const cases: Record<string, (url: string) => Promise<Response>> = {
    "delete": (url) => fetch(url, { method: "DELETE" }),
    "append": (url) => fetch(`${url}/append`, append(1)),
    "append_batch": (url) =>
      fetch(`${url}/append_batch`, {
        method: "POST",
        headers: { "content-type": "application/jsonl" },
        body: '{"data":{}}\n{"data":{}}\n',
      }),
  };
  for (const [name, send] of Object.entries(cases)) {
    await t.step(name, async () => {
      const { server, client, end } = await listening();
      client.createPool("held").close();
      let waiting;
      {
        using _ = new Held(`${client.poolDir}/held.plasmite`);
        waiting = watched(send(`${server.url}/v0/pools/held`));
        for (let i = 0; i < 5; i++) {
          const answer = await fetch(`${server.url}/healthz`);
          await answer.body?.cancel();
        }
        assert.equal(waiting.done, false);
      }
      const answer = await waiting.result;
      assert.equal(answer.status, 200, await answer.text());
      await end();
    });
  }
});

Deno.test("server, agents, library: a half-stored state block is not waited for in place", async (t) => {
  await withDir(async (dir) => {
    const client = new Client(dir);
    {
      using pool = client.createPool("asleep");
      pool.append({ n: 1 });
    }
    using opened = client.openPool("asleep");
    const path = `${dir}/asleep.plasmite`;
    const before = Deno.readFileSync(path);
    tear(path);
    using _ = new Held(path);
    const pools = poolsOf(dir);
    const { signal } = new AbortController();
    const tool = (name: string, args: { readonly [key: string]: unknown }) => async () => {
      const answer = await runTool(name, { pool: "asleep", ...args }, { pools, signal });
      assert.match(JSON.stringify(answer), /resource is busy/);
    };
    const app = createApp(client);
    const status = (path: string, init?: RequestInit) => async (): Promise<void> => {
      const answer = await app.request(path, init);
      assert.equal(answer.status, 423, await answer.text());
    };
    const busy = (work: () => Promise<unknown>) => () => assert.rejects(work, /resource is busy/);
    const cases: Record<string, () => Promise<unknown>> = {
      "info": status("/v0/pools/asleep/info"),
      "append": status("/v0/pools/asleep/append", append(2)),
      "message": status("/v0/pools/asleep/messages/1"),
      "tail": status("/v0/pools/asleep/tail"),
      "list": async () => {
        const { pools } = await (await app.request("/v0/pools")).json();
        assert.equal(pools[0].error.kind, "Busy");
      },
      "an agent's info": tool("plasmite_pool_info", {}),
      "an agent's read": tool("plasmite_read", {}),
      "an agent's wait": tool("plasmite_wait", {}),
      "an agent's fetch": tool("plasmite_fetch", { seq: 1 }),
      "an agent's feed": tool("plasmite_feed", { data: {} }),
      "infoAsync": busy(() => opened.infoAsync()),
    };
    for (const [name, work] of Object.entries(cases)) {
      await t.step(name, async () => {
        // A tenth of a second is twenty turns, however slow the machine; in place it ends as well.
        const real = performance.now;
        let now = real.call(performance);
        let turns = 0;
        performance.now = () => now += 0.1;
        const tick = setInterval(() => {
          turns++;
          now += 5;
        }, 1);
        try {
          await work();
        } finally {
          clearInterval(tick);
          performance.now = real;
        }
        assert.ok(turns >= 5, `${turns} turns while it waited`);
      });
    }
    await app.shutdown();
    Deno.writeFileSync(path, before);
  });
});

Deno.test("server: many waits for locked pools do not delay other pools", async () => {
  const { server, client, end } = await listening({ maxTailConcurrency: 8 });
  const pools = Array.from({ length: 20 }, (_, i) => `held${i}`);
  for (const name of pools) client.createPool(name, 65536).close();
  const locks = pools.map((name) => new Held(`${client.poolDir}/${name}.plasmite`));
  const post = async (pool: string, n: number): Promise<number> => {
    const answer = await fetch(`${server.url}/v0/pools/${pool}/append`, append(n));
    await answer.body?.cancel();
    return answer.status;
  };
  // More than one pool has slots, and more pools than there are slots.
  const crowd = Array.from({ length: 20 }, (_, n) => watched(post("held0", n)));
  const each = pools.slice(1).map((name, n) => watched(post(name, n)));
  // Those for whom held0 has no slot are refused after a moment; the others wait.
  await until(() => crowd.filter(({ done }) => done).length === 12);
  for (let n = 0; n < 10; n++) assert.equal(await post("p", n), 200);
  // Reading a held pool needs no lock, and so no slot of those who wait.
  const info = await fetch(`${server.url}/v0/pools/held0/info`);
  assert.equal(info.status, 200);
  await info.body?.cancel();
  for (const lock of locks) lock[Symbol.dispose]();
  const stored = await Promise.all([...crowd, ...each].map(({ result }) => result));
  assert.equal(stored.filter((status) => status === 200).length, 8 + 19, "nobody's was lost");
  assert.equal(client.poolInfo("held0").bounds.newestSeq, 8n);
  await end();
});

Deno.test("server: answers about thousands of pools leave time for other requests", async (t) => {
  const { app, client, dir, end } = await bench();
  client.createPool("p0", 65536).close();
  const header = Deno.readFileSync(`${dir}/p0.plasmite`).subarray(0, 4096);
  for (let i = 1; i < 2000; i++) {
    using file = Deno.openSync(`${dir}/p${i}.plasmite`, { write: true, createNew: true });
    file.writeSync(header);
    file.truncateSync(65536);
  }
  for (const path of ["/v0/pools", "/v0/ui/pools", "/metrics"]) {
    await t.step(path, async () => {
      let turns = 0;
      let running = true;
      const tick = (): void => {
        turns++;
        if (running) setTimeout(tick, 0);
      };
      setTimeout(tick, 0);
      const answers = await Promise.all(
        Array.from({ length: 3 }, async () => await (await app.request(path)).text()),
      );
      running = false;
      for (const text of answers) assert.match(text, /p1999\b/);
      // In place it would be a turn or two.
      assert.ok(turns >= 10, `${turns} turns`);
    });
  }
  await end();
});

/** What a call is given by its server. */
function hostOf(more: Partial<RouteHost>): RouteHost {
  const host: Partial<RouteHost> = {
    tails: new Slots(1),
    metrics: new Metrics(),
    bodies: new BodyReader(1024),
    stopping: new AbortController().signal,
    maxTailTimeoutMs: 1_000,
    ...more,
  };
  return host as RouteHost;
}

function callOf(body: object): Call {
  const request = new Request("http://localhost/", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const grant = accessGrant("test", "read-write");
  return { request, grant, search: "", pool: "p", part: () => "g" };
}

// One search without an end would keep a place for streams for good.
Deno.test("waits: a call that does not end by itself is ended, and gives its place back", async () => {
  const host = hostOf({ maxTailTimeoutMs: -2_000 });
  const endless = (signal: AbortSignal): Promise<never> =>
    new Promise((_, reject) => {
      // Without the limit the test would hang.
      const timer = setTimeout(() => reject(new Error("it was not ended")), PATIENCE_MS);
      signal.addEventListener("abort", () => {
        clearTimeout(timer);
        reject(signal.reason);
      });
    });
  await assert.rejects(waiting(callOf({}), host, endless), {
    status: 423,
    message: "the call takes too long",
  });
  assert.deepEqual([host.tails.used, host.metrics.waits], [0, 0]);
});

// A mounted stream has no limit of its own: all of its messages would be in memory at once.
Deno.test("waits: whatever count a take has, at most 512 tasks are handed out", async () => {
  const asked: (number | undefined)[] = [];
  const group = {
    take: ({ count }: TakeRequest) => {
      asked.push(count);
      return Promise.resolve({ tasks: [], lost: 0n, idle: true });
    },
    close: () => {},
  };
  const pool = { coordinate: () => ({ group: () => group }), close: () => {} };
  const backend = { open: () => pool } as unknown as RouteHost["backend"];
  const [route] = GROUP_ROUTES;
  for (const count of [511, 512, 513, 2 ** 40]) {
    const response = await route?.handler(callOf({ action: "take", count }), hostOf({ backend }));
    assert.equal(response?.status, 200);
  }
  assert.deepEqual(asked, [511, 512, 512, 512]);
});
