/**
 * Rights belong to a request: a server whose callers may do different things with different pools
 * keeps to it on every route, and looks again at every request.
 *
 * @module
 */

import { bench } from "./server_util.ts";
import assert from "node:assert/strict";
import type { Authenticator, Grant, Need } from "../../server/app.ts";
import { createMcpFetch } from "../../mcp/http.ts";

/** Callers by the text of their `x-caller` header; what each may do can be changed at any time. */
function callers(): {
  readonly rights: Map<string, string[]>;
  readonly authenticator: Authenticator;
} {
  const rights = new Map<string, string[]>();
  const grantOf = (subject: string): Grant => ({
    subject,
    can: (need: Need, pool?: string) =>
      (rights.get(subject) ?? []).some((right) =>
        pool === undefined ? right.startsWith(`${need} `) : right === `${need} ${pool}`
      ),
  });
  const authenticator: Authenticator = {
    authenticate(request) {
      const subject = request.headers.get("x-caller");
      if (subject === null) return "missing";
      return rights.has(subject) ? Promise.resolve(grantOf(subject)) : "invalid";
    },
  };
  return { rights, authenticator };
}

const json = { "content-type": "application/json" };

// A key for one pool that opens others gives away what was kept apart on purpose.
Deno.test("grants: rights on one pool give nothing of another, on every route", async () => {
  const { rights, authenticator } = callers();
  rights.set("ann", ["read a", "append a", "admin a"]);
  const { app, client, end } = await bench({ authenticator });
  for (const name of ["a", "b"]) {
    using pool = client.createPool(name);
    pool.append({ secret: name });
  }
  const ask = async (method: string, path: string, body?: string, type = json) => {
    const headers = { "x-caller": "ann", ...(body === undefined ? {} : type) };
    const answer = await app.request(path, {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
    });
    return { status: answer.status, text: await answer.text() };
  };
  const lines = { "content-type": "application/jsonl" };
  const lite3 = { "content-type": "application/x-plasmite-lite3" };
  const cases: [string, string, string?, typeof json?][] = [
    ["GET", "/v0/pools/POOL/info"],
    ["GET", "/v0/ui/pools/POOL/info"],
    ["HEAD", "/v0/pools/POOL/tail"],
    ["GET", "/v0/pools/POOL/messages/1"],
    ["GET", "/v0/pools/POOL/messages/1/lite3"],
    ["GET", "/v0/pools/POOL/tail?no_follow=1"],
    ["GET", "/v0/pools/POOL/tail_lite3?no_follow=1"],
    ["GET", "/v0/ui/pools/POOL/events?no_follow=1"],
    ["POST", "/v0/pools/POOL/append", '{"data":{}}'],
    ["POST", "/v0/pools/POOL/messages", '{"data":{}}'],
    ["POST", "/v0/pools/POOL/append_batch", '{"data":{}}\n', lines],
    ["POST", "/v0/pools/open", '{"pool":"POOL"}'],
  ];
  for (const [method, path, body, type] of cases) {
    const of = (pool: string) =>
      ask(method, path.replace("POOL", pool), body?.replace("POOL", pool), type);
    assert.equal((await of("a")).status, 200, path);
    assert.equal((await of("a.plasmite")).status, 200, `${path}, its other name`);
    // The last one is a pool of its own, in a file with the ending twice.
    for (const other of ["b", "b.plasmite", "nosuch", "a.plasmite.plasmite"]) {
      const refused = await of(other);
      assert.equal(refused.status, 403, `${path} of ${other}`);
      assert.ok(!refused.text.includes("secret"), refused.text);
    }
  }
  const raw = await ask("POST", "/v0/pools/b/append_lite3", "x", lite3);
  assert.equal(raw.status, 403);
  assert.equal((await ask("POST", "/v0/pools", '{"pool":"c"}')).status, 403);
  assert.equal((await ask("DELETE", "/v0/pools/b")).status, 403);
  for (const path of ["/v0/pools", "/v0/ui/pools"]) {
    const list = JSON.parse((await ask("GET", path)).text);
    assert.deepEqual(list.pools.map(({ name }: { name: string }) => name), ["a"], path);
    const named = JSON.parse((await ask("GET", `${path}?name=b&name=a&name=nosuch`)).text);
    assert.deepEqual(named.pools.map(({ name }: { name: string }) => name), ["a"], path);
    assert.deepEqual(JSON.parse((await ask("GET", `${path}?name=b`)).text), { pools: [] }, path);
  }
  assert.deepEqual(JSON.parse((await ask("GET", "/v0/ui/names")).text), { names: ["a"] });
  const { text } = await ask("GET", "/metrics");
  assert.match(text, /pool="a"/);
  assert.doesNotMatch(text, /pool="b"/);
  assert.equal((await ask("DELETE", "/v0/pools/a")).status, 200);
  await end();
});

// A right that was taken away is still used when the server remembers what it was.
Deno.test("grants: each request is checked against the current rights", async () => {
  const { rights, authenticator } = callers();
  rights.set("ann", ["read a"]);
  const { app, client, end } = await bench({
    authenticator,
    mcp: () => createMcpFetch(client),
  });
  client.createPool("a").close();
  const append = async (): Promise<number> => {
    const headers = { "x-caller": "ann", ...json };
    const answer = await app.request("/v0/pools/a/append", {
      method: "POST",
      headers,
      body: '{"data":{}}',
    });
    await answer.body?.cancel();
    return answer.status;
  };
  const tools = async (): Promise<string[]> => {
    const answer = await app.request("/mcp", {
      method: "POST",
      headers: { "x-caller": "ann", accept: "application/json, text/event-stream", ...json },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} }),
    });
    assert.equal(answer.status, 200);
    const { result } = await answer.json();
    return result.tools.map(({ name }: { name: string }) => name);
  };
  assert.equal(await append(), 403);
  assert.ok(!(await tools()).includes("plasmite_feed"));
  rights.set("ann", ["read a", "append a"]);
  assert.equal(await append(), 200);
  assert.ok((await tools()).includes("plasmite_feed"));
  rights.set("ann", ["read a"]);
  assert.equal(await append(), 403);
  assert.ok(!(await tools()).includes("plasmite_feed"));
  rights.delete("ann");
  assert.equal(await append(), 401);
  await end();
});

// `--access read-only` is a promise about the server, whatever keys say.
Deno.test("grants: the server's access mode is the most that any caller gets", async () => {
  const { rights, authenticator } = callers();
  rights.set("ann", ["read a", "append a", "admin a"]);
  const { app, client, end } = await bench({ authenticator, access: "read-only" });
  client.createPool("a").close();
  const headers = { "x-caller": "ann" };
  const info = await app.request("/v0/pools/a/info", { headers });
  assert.equal(info.headers.get("plasmite-access"), "read-only");
  await info.body?.cancel();
  const refused = await app.request("/v0/pools/a", { method: "DELETE", headers });
  assert.equal(refused.status, 403);
  await refused.body?.cancel();
  await end();
});
