/**
 * Every right on every route by every method, on both listeners: what a key does not allow is
 * refused, nothing of other pools is told, and nothing is changed (docs/spec/sharing.md 1.8).
 *
 * @module
 */

import assert from "node:assert/strict";
import { ROUTES } from "../../server/routes/mod.ts";
import { type Shared, sharing } from "./shared_util.ts";

type Right = "read" | "append" | "admin";

/** What a route needs, in words of the document and not of the code. */
const NEEDS: Readonly<
  Record<string, Right | "any" | "work" | "open" | "local" | "named" | "session">
> = {
  "GET /healthz": "open",
  "GET /v0/openapi.json": "open",
  "GET /v0/serve/status": "open",
  "GET /v0/access/check": "any",
  "GET /v0/access/status": "local",
  "POST /v0/access/invite": "local",
  "GET /v0/access/keys": "local",
  "POST /v0/access/revoke": "local",
  "POST /v0/browser/session": "session",
  "GET /v0/browser/session": "session",
  "DELETE /v0/browser/session": "session",
  "GET /metrics": "read",
  "GET /access": "open",
  "GET /ui": "open",
  "GET /ui/pools/{name}": "open",
  "GET /ui/assets/{file}": "open",
  "POST /mcp": "any",
  "GET /v0/pools": "read",
  "GET /v0/ui/pools": "read",
  "POST /v0/pools": "admin",
  "POST /v0/pools/open": "named",
  "GET /v0/pools/{pool}/info": "read",
  "GET /v0/ui/pools/{pool}/info": "read",
  "GET /v0/ui/pools/{pool}/search": "read",
  "GET /v0/ui/pools/{pool}/histogram": "read",
  "GET /v0/ui/pools/{pool}/facets": "read",
  "GET /v0/ui/names": "read",
  "DELETE /v0/pools/{pool}": "admin",
  "POST /v0/pools/{pool}/append": "append",
  "POST /v0/pools/{pool}/messages": "append",
  "POST /v0/pools/{pool}/append_lite3": "append",
  "POST /v0/pools/{pool}/append_batch": "append",
  "GET /v0/pools/{pool}/messages/{seq}": "read",
  "GET /v0/pools/{pool}/messages/{seq}/lite3": "read",
  "GET /v0/pools/{pool}/tail": "read",
  "GET /v0/pools/{pool}/tail_lite3": "read",
  "GET /v0/ui/pools/{pool}/events": "read",
  "GET /v0/ui/pools/stream": "read",
  "POST /v0/ui/streams": "read",
  "POST /v0/ui/streams/{bundle}": "read",
  "GET /v0/pools/{pool}/latest": "read",
  "POST /v0/pools/{pool}/claims": "append",
  "GET /v0/pools/{pool}/cursors": "read",
  "GET /v0/pools/{pool}/cursors/{name}": "read",
  "PUT /v0/pools/{pool}/cursors/{name}": "work",
  "DELETE /v0/pools/{pool}/cursors/{name}": "work",
  "POST /v0/pools/{pool}/groups/{name}": "work",
};

const RIGHTS: Readonly<Record<string, readonly Right[]>> = {
  "read": ["read"],
  "append": ["append"],
  "read-append": ["read", "append"],
  "admin": ["read", "append", "admin"],
  "full": ["read", "append", "admin"],
};

const METHODS = ["GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "QUERY"];

/** Pools: of the key and not, there and not, and names that only look like its own. */
const POOLS = ["in-a", "in-missing", "out", "out-missing", "xin-a", "in", "in-a.plasmite.plasmite"];
const THERE = ["in-a", "out", "xin-a"];
const SECRET = "secret-of-out";
const FINGERPRINT = "x-plasmite-server-fingerprint";

/** Whether the pattern `in-*` means this pool. */
function inside(pool: string): boolean {
  return pool.startsWith("in-");
}

interface Asked {
  readonly status: number;
  readonly text: string;
}

/** A listener as somebody sees it. */
type Ask = (method: string, path: string, init?: RequestInit) => Promise<Asked>;

function asker(base: string, client: Deno.HttpClient | null, secret: string | null): Ask {
  return async (method, path, init = {}) => {
    const headers = new Headers(init.headers);
    if (secret !== null) headers.set("authorization", `Bearer ${secret}`);
    const more = client === null ? {} : { client };
    const answer = await fetch(`${base}${path}`, { ...init, ...more, method, headers });
    // A stream of events without an end: the first one tells.
    const endless = answer.status === 200 &&
      ["GET /v0/ui/pools/stream", "POST /v0/ui/streams"].includes(`${method} ${path}`);
    if (!endless) return { status: answer.status, text: await answer.text() };
    const reader = answer.body?.getReader();
    const text = new TextDecoder().decode((await reader?.read())?.value);
    await reader?.cancel();
    return { status: answer.status, text };
  };
}

/** The pools as they have to be before each request. */
function prepare({ client, dir }: Shared): void {
  const there = new Set([...Deno.readDirSync(dir)].map(({ name }) => name));
  for (const name of THERE) {
    if (there.has(`${name}.plasmite`)) continue;
    using pool = client.createPool(name, { sizeBytes: 65_536 });
    pool.append({ text: inside(name) ? "of the key" : SECRET });
  }
}

function bodyFor(route: string, pool: string): RequestInit {
  const type = (text: string) => ({ "content-type": text });
  switch (route) {
    case "POST /v0/pools":
    case "POST /v0/pools/open":
      return { body: JSON.stringify({ pool }), headers: type("application/json") };
    case "POST /v0/pools/{pool}/append_batch":
      return { body: '{"data":{}}\n', headers: type("application/jsonl") };
    case "POST /v0/pools/{pool}/append_lite3":
      return { body: "x", headers: type("application/x-plasmite-lite3") };
    case "POST /v0/pools/{pool}/claims":
      return {
        body: '{"action":"claim","keys":["k"],"holder":"me"}',
        headers: type("application/json"),
      };
    case "PUT /v0/pools/{pool}/cursors/{name}":
      return { body: '{"seq":0}', headers: type("application/json") };
    case "POST /v0/pools/{pool}/groups/{name}":
      return { body: '{"action":"take"}', headers: type("application/json") };
    case "POST /mcp":
      return {
        body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
        headers: type("application/json"),
      };
    default:
      return { body: '{"data":{}}', headers: type("application/json") };
  }
}

Deno.test("rights: the table has every route", () => {
  const all = ROUTES.flatMap(({ method, paths }) => paths.map((path) => `${method} ${path}`));
  assert.deepEqual(Object.keys(NEEDS).sort(), all.sort());
});

/** What has to come of a request; null for anything but a refusal of credentials or rights. */
function expected(
  caller: string,
  method: string,
  path: string,
  pool: string,
): 401 | 403 | 404 | 405 | null {
  const routed = method === "HEAD" ? "GET" : method;
  const need = NEEDS[`${routed} ${path}`];
  // `/v0/pools/open` and the like are also names of pools, for the methods that those have.
  const asPool = path === "/v0/pools/open" && routed === "DELETE" ? "admin" : undefined;
  const here = path === "/v0/serve/status" || path === "/access";
  if (here) return caller === "here" ? (need ? null : 405) : 404;
  const open = path === "/mcp" ||
    Object.entries(NEEDS).some(([r, n]) => r.endsWith(` ${path}`) && n === "open");
  if (caller === "here") return need === undefined && asPool === undefined ? 405 : null;
  if (need === "local") return 401;
  if (need === "open") return null;
  if (caller === "nobody") return open && need === undefined ? 405 : 401;
  if (need === undefined && asPool === undefined) return 405;
  const rights = RIGHTS[caller] ?? [];
  const mine = caller === "full" || inside(asPool === undefined ? pool : "open");
  if (need === "any" || need === "session") return null;
  if (need === "named") return mine ? null : 403;
  const needs: Right[] = need === "work" ? ["read", "append"] : [asPool ?? need ?? "admin"];
  if (!needs.every((one) => rights.includes(one))) return 403;
  const concerns = path.includes("{pool}") || path === "/v0/pools" && routed === "POST" ||
    asPool !== undefined;
  return concerns && !mine ? 403 : null;
}

// Lost: another team's messages, or a pool, by any way that somebody forgot to guard.
Deno.test("rights: every right, every route, every method, on both listeners", async () => {
  await using server = await sharing({ maxTailTimeoutMs: 1_000 });
  const client = Deno.createHttpClient({ caCerts: [server.running.identity.cert] });
  const remote = `https://localhost:${server.port}`;
  const { fingerprint } = server.running.identity;
  const callers = new Map<string, Ask>([
    ["here", asker(`http://${server.running.local}`, null, null)],
    ["nobody", asker(remote, client, null)],
  ]);
  for (const caller of Object.keys(RIGHTS)) {
    const limits = caller === "full" ? {} : { pools: ["in-*"], rights: caller };
    const secret = (await server.invite(caller, limits)).split(".")[2] ?? "";
    callers.set(caller, asker(remote, client, secret));
  }
  const paths = [...new Set(Object.keys(NEEDS).map((route) => route.split(" ")[1] ?? ""))];
  let asked = 0;
  const wrong: string[] = [];
  for (const [caller, ask] of callers) {
    for (const path of paths) {
      // Signing in is about who somebody is, not about rights.
      if (NEEDS[`GET ${path}`] === "session") continue;
      for (const method of METHODS) {
        const route = `${method} ${path}`;
        // What the requests before have deleted or filled.
        prepare(server);
        const routed = method === "HEAD" || `${route}` in NEEDS;
        const named = routed && (path.includes("{pool}") || route === "POST /v0/pools" ||
          route === "POST /v0/pools/open");
        for (const pool of named ? POOLS : ["in-a", "out"]) {
          const concrete = path.replace("{pool}", pool).replace("{seq}", "1")
            .replace("{name}", "in-a").replace("{file}", "app.js") +
            (/tail|events/.test(path) ? "?timeout_ms=0" : /latest/.test(path) ? "?by=a" : "");
          const reading = method === "GET" || method === "HEAD";
          const init = reading ? { headers: { [FINGERPRINT]: fingerprint } } : bodyFor(route, pool);
          const { status, text } = await ask(method, concrete, init);
          asked++;
          const want = expected(caller, method, path, pool);
          const good = want === null ? status !== 401 && status !== 403 : status === want;
          const told = caller !== "here" && caller !== "full" && text.includes(SECRET);
          if (!good || told) wrong.push(`${caller} ${method} ${concrete}: ${status}, not ${want}`);
          if (reading || caller === "here" || caller === "full") continue;
          // What is not the key's stays as it was, and nothing comes into being beside it.
          using out = server.client.pool("out");
          assert.equal(out.bounds().newestSeq, 1n, `${caller} ${method} ${concrete}`);
        }
      }
    }
    if (caller === "here" || caller === "full") {
      for (const { name } of server.client.listPools()) server.client.deletePool(name);
      continue;
    }
    const foreign = server.client.listPools().map(({ name }) => name)
      .filter((name) => !inside(name) && !THERE.includes(name));
    assert.deepEqual(foreign, [], caller);
  }
  client.close();
  assert.deepEqual(wrong, []);
  assert.ok(asked > 2_000, `${asked} requests`);
});

// Lost: names of pools that nobody was meant to know.
Deno.test("rights: lists and metrics show what a key may read, and nothing else", async () => {
  await using server = await sharing();
  prepare(server);
  server.client.createPool("in-b").close();
  const client = Deno.createHttpClient({ caCerts: [server.running.identity.cert] });
  const names = async (limits: object): Promise<string[] | number> => {
    const secret = (await server.invite("guest", limits)).split(".")[2] ?? "";
    const ask = asker(`https://localhost:${server.port}`, client, secret);
    const metrics = await ask("GET", "/metrics");
    const [list, ui] = await Promise.all(
      ["/v0/pools", "/v0/ui/pools"].map((path) => ask("GET", path)),
    );
    assert.equal(list?.status, ui?.status);
    if (list?.status !== 200) {
      assert.equal(metrics.status, 403);
      return list?.status ?? 0;
    }
    const namesIn = (text = "{}") =>
      JSON.parse(text).pools.map(({ name }: { name: string }) => name);
    const listed = namesIn(list.text);
    assert.deepEqual(namesIn(ui?.text), listed);
    const stream = await ask("GET", "/v0/ui/pools/stream");
    assert.deepEqual(namesIn(/^data: (.*)$/m.exec(stream.text)?.[1]), listed);
    const counted = [...metrics.text.matchAll(/newest_seq\{pool="([^"]*)"/g)].map(([, n]) => n);
    assert.deepEqual(counted.sort(), [...listed].sort());
    return listed.sort();
  };
  assert.deepEqual(await names({}), ["in-a", "in-b", "out", "xin-a"]);
  assert.deepEqual(await names({ rights: "read" }), ["in-a", "in-b", "out", "xin-a"]);
  assert.deepEqual(await names({ pools: ["in-*"], rights: "read" }), ["in-a", "in-b"]);
  assert.deepEqual(await names({ pools: ["in-*", "out"], rights: "admin" }), [
    "in-a",
    "in-b",
    "out",
  ]);
  assert.deepEqual(await names({ pools: ["none"], rights: "read" }), []);
  assert.deepEqual(await names({ pools: ["in-?"], rights: "read-append" }), ["in-a", "in-b"]);
  assert.equal(await names({ rights: "append" }), 403);
  client.close();
});

interface ToolCall {
  readonly need: Right;
  /** A second right. */
  readonly also?: Right;
  readonly args: object;
}

const TOOLS: Readonly<Record<string, ToolCall>> = {
  plasmite_pool_list: { need: "read", args: {} },
  plasmite_pool_create: { need: "admin", args: {} },
  plasmite_pool_info: { need: "read", args: {} },
  plasmite_pool_delete: { need: "admin", args: {} },
  plasmite_feed: { need: "append", args: { data: { a: 1 } } },
  plasmite_fetch: { need: "read", args: { seq: 1 } },
  plasmite_read: { need: "read", args: {} },
  plasmite_wait: { need: "read", args: { timeout_ms: 0, after_seq: 0 } },
  plasmite_claim: { need: "append", args: { action: "claim", keys: ["k"], holder: "h" } },
  plasmite_take: { need: "read", also: "append", args: { group: "g", timeout_ms: 0 } },
  plasmite_done: {
    need: "read",
    also: "append",
    args: { group: "g", seq: 1, token: 1, outcome: "fail" },
  },
};

// Lost: by way of an agent, what every route had refused.
Deno.test("rights: every right, every tool and resource, on both listeners", async () => {
  await using server = await sharing();
  const client = Deno.createHttpClient({ caCerts: [server.running.identity.cert] });
  const call = async (ask: Ask, method: string, params: object) => {
    const { status, text } = await ask("POST", "/mcp", {
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        "mcp-protocol-version": "2025-06-18",
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
    });
    assert.equal(status, 200, text);
    return { text, ...JSON.parse((/^data: (.*)$/m.exec(text)?.[1] ?? text).trim()) };
  };
  for (
    const [caller, rights] of [...Object.entries(RIGHTS), ["here", RIGHTS["full"] ?? []]] as const
  ) {
    let ask = asker(`http://${server.running.local}`, null, null);
    if (caller !== "here") {
      const limits = caller === "full" ? {} : { pools: ["in-*"], rights: caller };
      const secret = (await server.invite(caller, limits)).split(".")[2] ?? "";
      ask = asker(`https://localhost:${server.port}`, client, secret);
    }
    const everything = caller === "full" || caller === "here";
    prepare(server);
    const { result } = await call(ask, "tools/list", {});
    const offered = result.tools.map(({ name }: { name: string }) => name);
    const may = ({ need, also = need }: ToolCall): boolean =>
      rights.includes(need) && rights.includes(also);
    const wanted = Object.entries(TOOLS).filter(([, one]) => may(one));
    for (const [name] of wanted) assert.ok(offered.includes(name), `${caller} ${name}`);
    for (const name of offered) {
      const one = TOOLS[name];
      assert.ok(one !== undefined && may(one), `${caller} is offered ${name}`);
    }
    for (const [name, one] of Object.entries(TOOLS)) {
      const { args } = one;
      for (const pool of name === "plasmite_pool_list" ? [""] : POOLS) {
        prepare(server);
        const key = name === "plasmite_pool_create" ? "name" : "pool";
        const given = pool === "" ? args : { ...args, [key]: pool };
        const { result: done, text } = await call(ask, "tools/call", { name, arguments: given });
        const at = `${caller} ${name} ${pool}: ${text}`;
        const mine = everything || pool === "" || inside(pool);
        const allowed = may(one) && mine;
        const kind = done.structuredContent.error_kind;
        assert.equal(kind === "Permission", !allowed, at);
        if (!everything) assert.ok(!text.includes(SECRET), at);
      }
    }
    prepare(server);
    // Making a pool on the way takes more than the right to append.
    const made = await call(ask, "tools/call", {
      name: "plasmite_feed",
      arguments: { pool: "in-new", data: {}, create: true },
    });
    assert.equal(made.result.isError === true, !rights.includes("admin"), caller);
    const resources = await call(ask, "resources/list", {});
    const read = await call(ask, "resources/read", { uri: "plasmite:///pools/out" });
    const completed = await call(ask, "completion/complete", {
      ref: { type: "ref/resource", uri: "plasmite:///pools/{name}" },
      argument: { name: "name", value: "" },
    });
    const seen = resources.text + completed.text;
    assert.equal(seen.includes("out"), everything, seen);
    assert.equal(seen.includes("in-a"), rights.includes("read"), seen);
    assert.equal(read.text.includes(SECRET), everything, read.text);
    for (const { name } of server.client.listPools()) server.client.deletePool(name);
  }
  client.close();
});
