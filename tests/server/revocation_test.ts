/**
 * A key that ends takes with it what it has open: streams end cleanly, waits with an error, and no
 * data comes afterwards (docs/spec/sharing.md 1.4, 1.8).
 *
 * @module
 */

import assert from "node:assert/strict";
import { pause } from "../../lib/timers.ts";
import { bench } from "./server_util.ts";
import { createMcpFetch } from "../../mcp/http.ts";
import type { Grant } from "../../server/app.ts";
import { type Shared, sharing, soon } from "./shared_util.ts";

const json = { "content-type": "application/json" };

/** One call of a tool by a client of 2025. */
function toolCall(
  name: string,
  args: object,
): { method: string; body: string; headers: typeof MCP } {
  const params = { name, arguments: args };
  return {
    method: "POST",
    headers: MCP,
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params }),
  };
}

const MCP = { ...json, accept: "application/json, text/event-stream" };

/** The result of a tool in an answer of either form. */
function resultOf(text: string): { isError?: boolean; structuredContent: Record<string, unknown> } {
  const data = /^data: (.*)$/m.exec(text)?.[1] ?? text;
  return JSON.parse(data.trim()).result;
}

async function appendLocally(server: Shared, data: object): Promise<void> {
  const stored = await server.local("/v0/pools/p/append", {
    method: "POST",
    headers: json,
    body: JSON.stringify({ data }),
  });
  assert.equal(stored.status, 200, stored.text);
}

// Lost: whatever was written after a key had been taken away, by readers that were still connected.
Deno.test("revocation: two hundred open streams of a key end cleanly, those of others go on", async () => {
  await using server = await sharing({ maxTailConcurrency: 300, maxTailTimeoutMs: 600_000 });
  using pool = server.client.createPool("p");
  pool.append({ n: 1 });
  const gone = await server.invite("gone");
  const stays = await server.invite("stays");
  const paths = [
    "/v0/pools/p/tail",
    "/v0/pools/p/tail?since_seq=2",
    "/v0/ui/pools/p/events",
    "/v0/pools/p/tail_lite3?marks=1",
    "/v0/ui/pools/stream",
  ];
  const streams = await Promise.all(
    Array.from({ length: 200 }, (_, i) => server.remote(gone).send(paths[i % paths.length] ?? "")),
  );
  const other = await server.remote(stays).send("/v0/pools/p/tail");
  assert.ok(streams.every(({ status }) => status === 200));
  await other.first();
  // Two on the listener for this machine, which no key opens.
  const here = await fetch(`http://${server.running.local}/v0/pools/p/tail`);
  await server.revoke("gone");
  const ends = await soon(Promise.all(streams.map((stream) => stream.text())));
  for (const [i, text] of ends.entries()) {
    assert.ok(!text.includes("error"), text);
    if (i % paths.length === 0) assert.equal(text.split("\n").filter((l) => l !== "").length, 1);
    if (i % paths.length === 1) assert.equal(text.trim(), "");
  }
  const refused = await server.remote(gone).send("/v0/pools/p/tail");
  assert.equal(refused.status, 401);
  // Their places are free again, and the others see what comes.
  await appendLocally(server, { n: 2 });
  const reader = here.body?.getReader();
  let seen = "";
  while (!seen.includes('"n":2')) seen += new TextDecoder().decode((await reader?.read())?.value);
  await reader?.cancel();
  const next = await server.remote(stays).send("/v0/pools/p/tail?max=2");
  assert.equal((await next.text()).trim().split("\n").length, 2);
  other.destroy();
});

// Lost: the same by agents, whose waits and subscriptions last as long.
Deno.test("revocation: waits of agents end with an error, tools are refused, writes are whole", async () => {
  await using server = await sharing({ maxTailTimeoutMs: 600_000 });
  server.client.createPool("p").close();
  const key = await server.invite("agent");
  const client = server.remote(key);
  const waits = ["p", "notyet"].map((pool) =>
    client.send("/mcp", toolCall("plasmite_wait", { pool, timeout_ms: 60_000 }))
  );
  // Answers of calls that take a while begin early: then they wait.
  const begun = await Promise.all(waits);
  await Promise.all(begun.map((answer) => answer.first()));
  await server.revoke("agent");
  for (const answer of begun) {
    const result = resultOf(await soon(answer.text()));
    assert.equal(result.isError, true);
    assert.equal(result.structuredContent["error_kind"], "Permission");
  }
  const later = await client.send("/mcp", toolCall("plasmite_pool_list", {}));
  assert.equal(later.status, 401);
});

Deno.test("revocation: a subscription of an agent ends", async () => {
  await using server = await sharing();
  server.client.createPool("p").close();
  const key = await server.invite("agent");
  const method = "subscriptions/listen";
  const stream = await server.remote(key).send("/mcp", {
    method: "POST",
    headers: { ...MCP, "mcp-protocol-version": "2026-07-28", "mcp-method": method },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method,
      params: {
        notifications: { resourceSubscriptions: ["plasmite:///pools/p"] },
        _meta: {
          "io.modelcontextprotocol/protocolVersion": "2026-07-28",
          "io.modelcontextprotocol/clientCapabilities": {},
        },
      },
    }),
  });
  assert.match(`${stream.headers["content-type"]}`, /event-stream/);
  await stream.first();
  await server.revoke("agent");
  await soon(stream.text());
});

// Lost: a guest that stayed connected kept reading forever.
Deno.test("revocation: a key whose time comes ends its streams by itself", async () => {
  await using server = await sharing({ maxTailTimeoutMs: 600_000 });
  using pool = server.client.createPool("p");
  pool.append({ n: 1 });
  const key = await server.invite("guest", { rights: "read", expires: "2s" });
  const forEver = await server.invite("guest too", { rights: "read", expires: "30d" });
  const tail = await server.remote(key).send("/v0/pools/p/tail");
  const other = await server.remote(forEver).send("/v0/pools/p/tail");
  assert.equal(tail.status, 200);
  assert.match(await soon(tail.text()), /^\{[^\n]*"n":1[^\n]*\}\n+$/);
  assert.equal((await server.remote(key).send("/v0/access/check")).status, 401);
  assert.equal((await server.remote(forEver).send("/v0/access/check")).status, 200);
  other.destroy();
});

// Lost: the end of rights between the look at the key and the start of the stream.
Deno.test("revocation: rights that end while a request is on its way end its stream at once", async () => {
  const ending = new AbortController();
  const grant: Grant = {
    subject: "ann",
    can: () => {
      ending.abort();
      return true;
    },
    ended: ending.signal,
  };
  const { app, client, end } = await bench({
    authenticator: { authenticate: () => grant },
    mcp: () => createMcpFetch(client),
  });
  client.createPool("p").close();
  const answer = await app.request("/v0/pools/p/tail");
  assert.equal(await answer.text(), "");
  assert.equal(app.streams, 0);
  const called = await app.request("/mcp", toolCall("plasmite_wait", { pool: "p" }));
  assert.equal(resultOf(await called.text()).isError, true);
  await end();
});

// Lost: a lease or a task, by a worker whose key had been taken away while it waited.
Deno.test("revocation: waits for leases and tasks end, and take nothing afterwards", async () => {
  await using server = await sharing({ maxTailTimeoutMs: 600_000 });
  server.client.createPool("p").close();
  const owner = await server.invite("owner");
  const worker = await server.invite("worker", { pools: ["p"], rights: "read-append" });
  const post = (key: string, path: string, body: object) =>
    server.remote(key).send(`/v0/pools/p/${path}`, {
      method: "POST",
      headers: json,
      body: JSON.stringify(body),
    });
  const claim = { action: "claim", keys: ["k"], ttl_ms: 600_000 };
  const held = await post(owner, "claims", { ...claim, holder: "owner" });
  assert.equal(held.status, 200, await held.text());
  const { claim: { token } } = JSON.parse(await held.text());
  const waits = [
    post(worker, "claims", { ...claim, holder: "worker", timeout_ms: 500_000 }),
    post(worker, "groups/g", { action: "take", tags: ["task"], timeout_ms: 500_000 }),
  ];
  // Long enough to be waiting; one that comes later is refused at once, which is right as well.
  await pause(300);
  await server.revoke("worker");
  for (const wait of waits) {
    const answer = await soon(wait);
    assert.ok(answer.status >= 400, `${answer.status} ${await answer.text()}`);
  }
  const released = await post(owner, "claims", {
    action: "release",
    keys: ["k"],
    holder: "owner",
    token,
  });
  assert.equal(released.status, 200, await released.text());
  const again = await post(owner, "claims", { ...claim, holder: "owner" });
  assert.equal(again.status, 200, await again.text());
  await post(owner, "append", { data: { task: 1 }, tags: ["task"] });
  const taken = await post(owner, "groups/g", { action: "take", tags: ["task"] });
  assert.match(await taken.text(), /"task":1/);
});
