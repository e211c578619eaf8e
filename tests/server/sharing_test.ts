/**
 * What the followers of one pool in one process share: a system has 128 watchers for all of a user's
 * programs, and looking is paid once.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Hubs } from "../../lib/backend/local/hub.ts";
import { inPlace } from "../../lib/storage/steps.ts";
import { createMcpFetch } from "../../mcp/http.ts";
import { createApp } from "../../server/app.ts";
import { Client } from "../../mod.ts";
import { inTemp } from "../cli/cli_util.ts";
import { pause, until } from "../support/patience.ts";

interface Counts {
  opened: number;
  watched: number;
  /** Watchers that were not closed again. */
  left: number;
}

/** Runs `body` and returns how often it had files opened and watched. */
async function counted(body: (counts: Counts) => Promise<void>): Promise<Counts> {
  const { openSync, watchFs } = Deno;
  const counts = { opened: 0, watched: 0, left: 0 };
  Deno.openSync = (...args) => {
    counts.opened++;
    return openSync(...args);
  };
  Deno.watchFs = (...args) => {
    counts.watched++;
    counts.left++;
    const watcher = watchFs(...args);
    const close = watcher.close.bind(watcher);
    watcher.close = () => {
      counts.left--;
      close();
    };
    return watcher;
  };
  try {
    await body(counts);
  } finally {
    Deno.openSync = openSync;
    Deno.watchFs = watchFs;
  }
  return counts;
}

// Lost: a program that followed one pool in fifty places used up half of all watchers.
Deno.test("library: many tails of one pool share one watcher; the last one closes it", () =>
  inTemp(async (dir) => {
    using client = new Client(dir);
    using pool = client.pool("p");
    const round = async (counts: Counts): Promise<void> => {
      const tails = Array.from({ length: 50 }, () => pool.tail({ from: "end" }));
      const firsts = tails.map((tail) => tail.next());
      // A tail watches only when it has nothing to give: let them get there.
      await until(() => counts.watched > 0, "nobody watches");
      await pause(50);
      pool.append({ n: 1 });
      for (const first of firsts) assert.deepEqual((await first).value?.data, { n: 1 });
      tails.forEach((tail) => tail.close());
    };
    for (let i = 0; i < 2; i++) {
      const { watched, left } = await counted(round);
      assert.deepEqual({ watched, left }, { watched: 1, left: 0 });
    }
  }));

// Lost: each append was looked at two hundred times, by two hundred handles.
Deno.test("server: the followers of one pool look through one handle; the last one closes it", () =>
  inTemp(async (dir) => {
    using client = new Client(dir);
    using pool = client.pool("p");
    const hubs = new Hubs();
    const counts = await counted(async () => {
      const watches = Array.from({ length: 20 }, () => inPlace(hubs.watching(pool.path)));
      assert.equal(hubs.followers(pool.path), 20);
      const seen = watches.map(({ version }) => version);
      const woken = watches.map((watch, i) => watch.wait(seen[i] ?? 0));
      pool.append({ n: 1 });
      hubs.changed(pool.path);
      for (const one of woken) assert.equal(await one, true);
      for (const watch of watches) watch.close();
      assert.equal(hubs.followers(pool.path), 0);
    });
    assert.deepEqual(counts, { opened: 1, watched: 1, left: 0 });
  }));

// Lost: what came in at one side of a server took the other side a lock, a file and a look of its own.
Deno.test("server: agents at /mcp and HTTP clients share what is open for a pool", () =>
  inTemp(async (dir) => {
    using client = new Client(dir);
    client.createPool("p").close();
    const app = createApp(client, { mcp: (limits) => createMcpFetch(client, limits) });
    const call = (name: string, args: unknown): Promise<Response> =>
      app.request("/mcp", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          jsonrpc: "2.0",
          id: 1,
          method: "tools/call",
          params: { name, arguments: args },
        }),
      });
    const post = (): Promise<Response> =>
      app.request("/v0/pools/p/append", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: '{"data":{"by":"http"}}',
      });
    const followers = async (): Promise<number> =>
      (await (await app.request("/v0/pools/p/info")).json()).pool.followers;
    const counts = await counted(async () => {
      await (await post()).json();
      await (await call("plasmite_feed", { pool: "p", data: { by: "agent" } })).json();
    });
    assert.equal(counts.opened, 1, "one open file for the appends of both");
    const stream = await app.request("/v0/pools/p/tail?since_seq=3");
    const wait = call("plasmite_wait", { pool: "p", after_seq: 2, timeout_ms: 30_000 });
    while (await followers() < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    await (await post()).json();
    const { structuredContent } = (await (await wait).json()).result;
    assert.deepEqual(structuredContent.messages.map(({ data }: { data: unknown }) => data), [
      { by: "http" },
    ]);
    await stream.body?.cancel();
    // Nor does what is open keep an agent from a pool that somebody else has made anew.
    client.deletePool("p");
    client.createPool("p").close();
    const fed = await call("plasmite_feed", { pool: "p", data: { by: "agent" } });
    assert.equal((await fed.json()).result.structuredContent?.message.seq, 1);
    await app.shutdown();
  }));
