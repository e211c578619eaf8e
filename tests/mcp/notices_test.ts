/**
 * What a client is told without asking again: changed pools, pools that come and go, the progress of
 * a wait, the end of a subscription.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Client } from "../../lib/client/client.ts";
import type { Grant } from "../../lib/types.ts";
import { createMcpFetch } from "../../mcp/http.ts";
import { Watcher } from "../../mcp/watch.ts";
import { poolsOf } from "./mcp_tools_util.ts";
import { type Any, Place, until } from "./mcp_util.ts";

Deno.test("mcp notices: a pool that changes, goes and comes back", async () => {
  using place = new Place();
  const told: string[] = [];
  let lists = 0;
  const watcher = new Watcher(poolsOf(place.dir), {
    updated: (uri) => told.push(uri),
    listChanged: () => lists++,
  });
  try {
    assert.throws(() => watcher.add("file:///etc"), /scheme/);
    const uri = "plasmite:///pools/p";
    await Promise.all([watcher.add(uri), watcher.addList()]);
    // A pool that is missing at first has not changed: an agent would read it for nothing.
    assert.deepEqual(told, []);
    {
      using pool = place.client.createPool("p");
      await until(() => told.length === 1 && lists === 1);
      pool.append({ n: 1 });
      await until(() => told.length === 2);
      // Many messages are one notice, or two.
      for (let n = 0; n < 500; n++) pool.append({ n });
      await until(() => told.length >= 3);
      assert.ok(told.length <= 4, `told ${told.length} times`);
    }
    const before = told.length;
    place.client.deletePool("p");
    await until(() => told.length > before && lists === 2);
    assert.deepEqual([...new Set(told)], [uri]);
    watcher.remove(uri);
    watcher.remove(uri);
  } finally {
    watcher.close();
  }
  // Timers of the watcher end with it.
  await new Promise((resolve) => setTimeout(resolve, 50));
});

// What happened between the acknowledgement and a late or failed first look was never told.
Deno.test("mcp notices: a first look that takes long delays nobody, and hides nothing", async () => {
  using place = new Place();
  using pool = place.client.createPool("p");
  const pools = poolsOf(place.dir);
  const look = Promise.withResolvers<void>();
  const [open, names] = [pools.open.bind(pools), pools.names.bind(pools)];
  pools.open = (name) => look.promise.then(() => open(name));
  pools.names = () => look.promise.then(() => names());
  const told: string[] = [];
  let lists = 0;
  const listener = { updated: (uri: string) => told.push(uri), listChanged: () => lists++ };
  const watcher = new Watcher(pools, listener, 20);
  try {
    const uri = "plasmite:///pools/p";
    await Promise.all([watcher.add(uri), watcher.add(uri), watcher.addList()]);
    pool.append({ n: 1 });
    place.client.createPool("q").close();
    look.resolve();
    await until(() => told.length === 1 && lists === 1);
  } finally {
    watcher.close();
  }
  const failing = new Watcher(pools, listener);
  try {
    pools.names = () => Promise.reject(new Error("not now"));
    await failing.addList();
    place.client.createPool("r").close();
    pools.names = names;
    await until(() => lists === 2);
    // A closed watcher lets go of those who wait for a first look.
    pools.open = () => new Promise(() => {});
    const waiting = failing.add("plasmite:///pools/q");
    failing.close();
    await waiting;
  } finally {
    failing.close();
  }
});

// A pool that was made right behind the acknowledgement was not on the list until the next change.
Deno.test("mcp notices: a pool made after the acknowledgement is told", async () => {
  using place = new Place();
  const mcp = await createMcpFetch(place.client);
  for (let n = 0; n < 2; n++) {
    const response = await mcp(
      modern("subscriptions/listen", { notifications: { resourcesListChanged: true } }),
    );
    const stream = events(response);
    const next = async (): Promise<unknown> => (await stream.next()).value?.["method"];
    assert.equal(await next(), "notifications/subscriptions/acknowledged");
    place.client.createPool(`p${n}`).close();
    assert.equal(await next(), "notifications/resources/list_changed");
    await stream.return(undefined);
  }
  await mcp.close();
});

/** The events of an SSE stream. */
async function* events(response: Response): AsyncGenerator<Any> {
  assert.ok(response.body !== null);
  let rest = "";
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    const frames = (rest + piece).split("\n\n");
    rest = frames.pop() ?? "";
    for (const frame of frames) {
      const data = /^data: (.*)$/m.exec(frame)?.[1];
      if (data !== undefined) yield JSON.parse(data) as Any;
    }
  }
}

function modern(method: string, params: Any, meta: Any = {}): Request {
  return new Request("http://127.0.0.1:9700/mcp", {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "accept": "application/json, text/event-stream",
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": method,
      ...(typeof params["name"] === "string" ? { "mcp-name": params["name"] } : {}),
    },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method,
      params: {
        ...params,
        _meta: {
          "io.modelcontextprotocol/protocolVersion": "2026-07-28",
          "io.modelcontextprotocol/clientCapabilities": {},
          ...meta,
        },
      },
    }),
  });
}

Deno.test("mcp notices: a wait reports its progress to who asked, data stays exact in the stream", async () => {
  using place = new Place();
  using pool = place.client.createPool("p");
  const mcp = await createMcpFetch(place.client, { progressMs: 20 });
  const args = { pool: "p", timeout_ms: 30_000 };
  const response = await mcp(
    modern("tools/call", { name: "plasmite_wait", arguments: args }, { progressToken: "t" }),
  );
  assert.match(response.headers.get("content-type") ?? "", /^text\/event-stream/);
  let last = 0;
  let result: Any | undefined;
  for await (const event of events(response)) {
    if (event["method"] === "notifications/progress") {
      const { progress, progressToken } = event["params"] as { progress: number } & Any;
      assert.equal(progressToken, "t");
      assert.ok(progress > last);
      if (last === 0) pool.appendJson(new TextEncoder().encode(`{"2":1,"1":2}`));
      last = progress;
    } else result = event["result"] as Any;
  }
  assert.ok(last > 0);
  const [message] = (result?.["structuredContent"] as Any)["messages"] as Any[];
  assert.deepEqual(message?.["data"], { "2": 1, "1": 2 });
  const [, text] = result?.["content"] as { text: string }[];
  assert.match(text?.text ?? "", /"data":\{"2":1,"1":2\}/);
  await mcp.close();
});

Deno.test("mcp notices: a subscription over HTTP hears of its pool only, and of its end", async () => {
  using place = new Place();
  using pool = place.client.createPool("mine");
  using other = place.client.createPool("other");
  const mcp = await createMcpFetch(place.client);
  const response = await mcp(modern("subscriptions/listen", {
    notifications: { resourceSubscriptions: ["plasmite:///pools/mine"] },
  }));
  const seen: Any[] = [];
  const reading = (async () => {
    for await (const event of events(response)) seen.push(event);
  })();
  await until(() => seen.length === 1);
  assert.equal(seen[0]?.["method"], "notifications/subscriptions/acknowledged");
  other.append({ n: 1 });
  pool.append({ n: 1 });
  await until(() => seen.length === 2);
  assert.equal(seen[1]?.["method"], "notifications/resources/updated");
  assert.equal((seen[1]?.["params"] as Any)["uri"], "plasmite:///pools/mine");
  await mcp.close();
  await reading;
  assert.equal(seen.length, 3);
  assert.equal("result" in (seen[2] ?? {}), true);
});

// A key for one pool was told whenever another one changed, and what it is called.
Deno.test("mcp notices: a grant for some pools hears of no other", async () => {
  using place = new Place();
  using mine = place.client.createPool("mine");
  using other = place.client.createPool("other");
  const mcp = await createMcpFetch(place.client);
  const grant: Grant = {
    subject: "ann",
    can: (need, pool) => need === "read" && (pool === undefined || pool === "mine"),
  };
  const uri = (pool: string): string => `plasmite:///pools/${pool}`;
  const listen = async (who?: Grant) => {
    const wanted = { resourceSubscriptions: ["mine", "other", "other.plasmite"].map(uri) };
    const seen: string[] = [];
    const response = await mcp(modern("subscriptions/listen", { notifications: wanted }), who);
    const reading = (async () => {
      for await (const { method, params } of events(response)) {
        if (method === "notifications/resources/updated") seen.push(String((params as Any)["uri"]));
      }
    })();
    return { seen, reading };
  };
  const ann = await listen(grant);
  const all = await listen();
  other.append({ n: 1 });
  // Whoever may read all has heard of it, so Ann would have as well.
  await until(() => all.seen.includes(uri("other")));
  mine.append({ n: 1 });
  await until(() => ann.seen.length > 0 && all.seen.includes(uri("mine")));
  const ask = async (method: string, params: Any): Promise<string> => {
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
    const headers = { "content-type": "application/json" };
    const request = new Request("http://127.0.0.1:9700/mcp", { method: "POST", headers, body });
    return await (await mcp(request, grant)).text();
  };
  const list = await ask("resources/list", {});
  assert.ok(list.includes(uri("mine")) && !list.includes("other"), list);
  assert.match(await ask("resources/read", { uri: uri("other") }), /"error_kind":"Permission"/);
  assert.match(await ask("resources/read", { uri: uri("nosuch") }), /"error_kind":"Permission"/);
  assert.match(await ask("resources/read", { uri: uri("mine") }), /messages/);
  const argument = { name: "pool", value: "" };
  const ref = { type: "ref/prompt", name: "catch_up" };
  const names = JSON.parse(await ask("completion/complete", { ref, argument })) as Any;
  assert.deepEqual(((names["result"] as Any)["completion"] as Any)["values"], ["mine"]);
  await mcp.close();
  await Promise.all([ann.reading, all.reading]);
  assert.deepEqual([...new Set(ann.seen)], [uri("mine")]);
});

// A name that is a path would have opened files outside of the directory.
Deno.test("mcp notices: invalid names of pools are not watched", async () => {
  using place = new Place();
  Deno.mkdirSync(`${place.dir}/pools`);
  using outside = place.client.createPool("outside");
  const told: string[] = [];
  const watcher = new Watcher(poolsOf(`${place.dir}/pools`), {
    updated: (uri) => told.push(uri),
    listChanged: () => {},
  });
  try {
    await watcher.add(`plasmite:///pools/${encodeURIComponent(`${place.dir}/outside.plasmite`)}`);
    await watcher.add("plasmite:///pools/p");
    outside.append({ n: 1 });
    using _ = new Client(`${place.dir}/pools`).createPool("p");
    await until(() => told.length > 0);
    assert.deepEqual(told, ["plasmite:///pools/p"]);
  } finally {
    watcher.close();
  }
});
