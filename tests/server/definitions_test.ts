/**
 * What is served, what `/v0/openapi.json` says and what docs/spec/http-api.md says are the same, in both
 * directions: whoever writes a client from the documents finds everything there, and nothing that is not.
 *
 * @module
 */

import { messageFromValue } from "../../lib/lite3/from_value.ts";
import { bench } from "./server_util.ts";
import assert from "node:assert/strict";
import type { Coordination } from "../../lib/backend/coordination.ts";
import { HttpBackend } from "../../lib/backend/http.ts";
import { FrameBatch } from "../../lib/pool/batch.ts";
import { createApp } from "../../server/app.ts";
import { makeRecord } from "../../server/registry.ts";
import { createMcpFetch } from "../../mcp/http.ts";
import { ROUTES } from "../../server/routes/mod.ts";
import { Client } from "../../mod.ts";
import { ROOT } from "../support/paths.ts";

// deno-lint-ignore no-explicit-any -- a document of JSON Schema
type Json = any;

/** Every route of a server that has all of them, as `GET /path`. */
const DEFINED = ROUTES.flatMap(({ method, paths }) => paths.map((path) => `${method} ${path}`))
  .sort();

const DOCUMENT = Deno.readTextFileSync(`${ROOT}docs/spec/http-api.md`);

/** A section of the document, without its heading. */
function section(number: number): string {
  return DOCUMENT.split(/^## /m).find((text) => text.startsWith(`${number}. `)) ?? "";
}

/** A server that has every route, with a pool `p` that has one message. */
async function complete(): Promise<Awaited<ReturnType<typeof bench>> & { openapi: Json }> {
  const place: Awaited<ReturnType<typeof bench>> = await bench({
    status: () => makeRecord("/pools", null, null),
    mcp: () => createMcpFetch(place.client),
    maxTailTimeoutMs: 12_345,
    administered: true,
  });
  using pool = place.client.createPool("p");
  pool.append({ a: 1 }, { tags: ["t"] });
  return { ...place, openapi: (await place.get("/v0/openapi.json")).json };
}

Deno.test("definitions: the OpenAPI document has every route that is served, and no other", async () => {
  const { openapi, app, end } = await complete();
  const documented = Object.entries(openapi.paths as Record<string, object>)
    .flatMap(([path, methods]) => Object.keys(methods).map((m) => `${m.toUpperCase()} ${path}`))
    .sort();
  assert.deepEqual(documented, DEFINED);
  for (const path of Object.keys(openapi.paths)) {
    const concrete = path.replaceAll(/\{(\w+)\}/g, (_, name) => name === "seq" ? "1" : "p");
    // A method that no route has: the answer lists what is there.
    const refused = await app.request(concrete, { method: "PATCH" });
    assert.equal(refused.status, 405, path);
    const allow = refused.headers.get("allow")?.split(",").filter((m) => m !== "HEAD").sort();
    const methods = Object.keys(openapi.paths[path]).map((m) => m.toUpperCase());
    // Paths that look alike are one pattern: `/v0/pools/open` is also a pool that can be deleted.
    for (const method of methods) assert.ok(allow?.includes(method), `${method} ${path}: ${allow}`);
    await refused.body?.cancel();
  }
  await end();
});

/** Every `$ref` in a document. */
function refs(value: Json): string[] {
  if (value === null || typeof value !== "object") return [];
  const own = typeof value.$ref === "string" ? [value.$ref] : [];
  return [...own, ...Object.values(value).flatMap(refs)];
}

// A generator of clients stops at the first reference that leads nowhere.
Deno.test("definitions: every reference in the OpenAPI document resolves, every schema is used", async () => {
  const { openapi, get, end } = await complete();
  const bare = await bench();
  for (const document of [openapi, (await bare.get("/v0/openapi.json")).json]) {
    const found = new Set(refs(document));
    assert.ok(found.size > 5);
    for (const ref of found) {
      assert.match(ref, /^#\//);
      const target = ref.slice(2).split("/").reduce((at: Json, key) => at?.[key], document);
      assert.equal(typeof target, "object", ref);
    }
  }
  const used = new Set(refs(openapi).map((ref) => ref.split("/").at(-1)));
  assert.deepEqual(Object.keys(openapi.components.schemas).filter((name) => !used.has(name)), []);
  assert.doesNotMatch((await get("/v0/openapi.json")).text, /\$defs/);
  await bare.end();
  await end();
});

Deno.test("definitions: each method of each path is documented and served, or neither", async () => {
  const { openapi, app, end } = await complete();
  const paths = Object.keys(openapi.paths);
  assert.ok(paths.includes("/mcp"));
  const matches = (template: string, path: string): boolean =>
    new RegExp(`^${template.replaceAll(/\{\w+\}/g, "[^/]+")}$`).test(path);
  for (const template of paths) {
    // No such pool: nothing is created, deleted or followed.
    const path = template.replaceAll(/\{(\w+)\}/g, (_, name) => name === "seq" ? "1" : "nosuch");
    const documented = paths.filter((one) => matches(one, path))
      .flatMap((one) => Object.keys(openapi.paths[one]));
    for (const method of ["get", "post", "put", "patch", "delete", "options"]) {
      const answer = await app.request(path, { method: method.toUpperCase() });
      await answer.body?.cancel();
      const served = answer.status !== 405;
      assert.equal(served, documented.includes(method), `${method} ${path}: ${answer.status}`);
    }
  }
  await end();
});

Deno.test("definitions: what a server does not have is not in its document", async () => {
  const { get, end } = await bench();
  const { paths } = (await get("/v0/openapi.json")).json;
  for (const path of ["/mcp", "/v0/serve/status"]) {
    assert.ok(!(path in paths), path);
    assert.equal((await get(path)).status, 404, path);
  }
  await end();
});

Deno.test("definitions: docs/spec/http-api.md has the same routes with the same rights", () => {
  const rights = {
    R: ["read"],
    W: ["append", "admin"],
    RW: ["work"],
    any: ["any"],
    open: ["open"],
  };
  const rows = [
    ...section(2).matchAll(/^\| (GET|POST|PUT|DELETE)\s*\| `([^`]+)`\s*\| (\w+)\s*\|/gm),
  ];
  assert.deepEqual(rows.map(([, method, path]) => `${method} ${path}`).sort(), DEFINED);
  for (const [, method, path = "", access] of rows) {
    const route = ROUTES.find((one) => one.method === method && one.paths.includes(path));
    assert.ok(rights[access as keyof typeof rights].includes(route?.access ?? ""), path);
  }
});

Deno.test("definitions: stream parameters are documented, read, and have the server's limits", async () => {
  const { openapi, get, end } = await complete();
  const rows = [...section(3).matchAll(/^\| `(\w+)`\s*\|/gm)].map(([, name]) => name).sort();
  const of = (path: string): Json[] => openapi.paths[path].get.parameters;
  const queried = (path: string) =>
    of(path).filter((one) => one.in === "query").map(({ name }) => name).sort();
  assert.deepEqual(queried("/v0/pools/{pool}/tail_lite3"), rows);
  for (const path of ["/v0/pools/{pool}/tail", "/v0/ui/pools/{pool}/events"]) {
    assert.deepEqual(
      queried(path),
      rows.filter((name) => name !== "marks" && name !== "skip_corrupt"),
      path,
    );
    const timeout = of(path).find(({ name }) => name === "timeout_ms");
    assert.equal(timeout.schema.maximum, 12_345);
  }
  // A parameter that is read refuses nonsense, or is given twice at most where it may be.
  for (const name of rows) {
    if (name === "tag") continue;
    const twice = await get(`/v0/pools/p/tail_lite3?max=0&${name}=1&${name}=1`);
    assert.equal(twice.status, 400, name);
    assert.match(twice.text, new RegExp(`duplicate parameter (${name}|max)\\b`));
  }
  await end();
});

/** What an answer has that its schema does not know, or lacks. */
function differences(value: Json, schema: Json, openapi: Json, at = "$"): string[] {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.split("/").at(-1);
    return differences(value, openapi.components.schemas[name], openapi, at);
  }
  if (schema.anyOf !== undefined) {
    const all = schema.anyOf.map((one: Json) => differences(value, one, openapi, at));
    return all.some((found: string[]) => found.length === 0) ? [] : all[0];
  }
  if (schema.const !== undefined) return value === schema.const ? [] : [`${at} is ${value}`];
  const kind = value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
  const wanted = [schema.type ?? kind].flat().map((one) => one === "integer" ? "number" : one);
  if (!wanted.includes(kind)) return [`${at} is ${kind}, not ${schema.type}`];
  if (kind === "array") {
    return value.flatMap((one: Json, i: number) =>
      differences(one, schema.items ?? {}, openapi, `${at}[${i}]`)
    );
  }
  if (kind !== "object") return [];
  const found: string[] = (schema.required ?? []).filter((name: string) => !(name in value))
    .map((name: string) => `${at}.${name} is missing`);
  for (const [name, one] of Object.entries(value)) {
    const known = schema.properties?.[name] ?? schema.additionalProperties;
    if (known === undefined) found.push(`${at}.${name} is not documented`);
    else found.push(...differences(one, known, openapi, `${at}.${name}`));
  }
  return found;
}

Deno.test("definitions: answers and errors have the documented shape, with nothing left out", async () => {
  const { openapi, app, client, dir, end } = await complete();
  client.createPool("empty").close();
  await Deno.writeTextFile(`${dir}/broken.plasmite`, "x");
  const bodies: Record<string, [string, string]> = {
    "/v0/pools": ['{"pool":"made"}', "application/json"],
    "/v0/pools/open": ['{"pool":"p"}', "application/json"],
    "/v0/pools/{pool}/append": ['{"data":{}}', "application/json"],
    "/v0/pools/{pool}/messages": ['{"data":{}}', "application/json"],
    "/v0/pools/{pool}/append_batch": ['{"data":{}}\n', "application/jsonl"],
    "/v0/access/invite": ['{"name":"a","server_fingerprint":""}', "application/json"],
    "/v0/access/revoke": ['{"id":"a","server_fingerprint":""}', "application/json"],
    "/v0/pools/{pool}/claims": [
      '{"action":"claim","keys":["a"],"holder":"ann"}',
      "application/json",
    ],
    "/v0/pools/{pool}/cursors/{name}": ['{"seq":0}', "application/json"],
    "/v0/pools/{pool}/groups/{name}": ['{"action":"take"}', "application/json"],
    "/v0/browser/session": ['{"access_key":""}', "application/json"],
    "/mcp": ['{"jsonrpc":"2.0","id":1,"method":"ping"}', "application/json"],
  };
  let seen = 0;
  const check = async (path: string, method: string, pool: string): Promise<void> => {
    const operation = openapi.paths[path][method];
    const concrete = path.replaceAll(/\{(\w+)\}/g, (_, name) => {
      return name === "seq" ? "1" : name === "name" ? path.includes("groups") ? "g" : "c" : pool;
    });
    const [body, type] = method === "get" ? [] : bodies[path] ?? [];
    const query = path.includes("tail") ? "?max=0" : path.endsWith("latest") ? "?by=" : "";
    const answer = await app.request(concrete + query, {
      method: method.toUpperCase(),
      headers: { host: "localhost", ...type === undefined ? {} : { "content-type": type } },
      ...(body === undefined ? {} : { body }),
    });
    const { status } = answer;
    const text = await answer.text();
    const content = operation.responses[status]?.content;
    assert.ok(content !== undefined, `${method} ${concrete}: ${status} is not documented`);
    const schema = content["application/json"]?.schema;
    if (schema === undefined || status === 200 && path === "/v0/openapi.json") return;
    seen++;
    assert.deepEqual(differences(JSON.parse(text), schema, openapi), [], `${method} ${concrete}`);
  };
  for (const pool of ["p", "empty", "broken", "nosuch"]) {
    for (const [path, methods] of Object.entries(openapi.paths as Record<string, object>)) {
      // A body of any bytes, and streams that would go on, are tested elsewhere.
      if (/append_lite3|events|assets|pools\/stream/.test(path)) {
        continue;
      }
      for (const method of Object.keys(methods)) {
        if (method !== "delete") await check(path, method, pool);
      }
    }
  }
  await check("/v0/pools/{pool}", "delete", "p");
  assert.ok(seen > 40, `${seen} answers`);
  await end();
});

Deno.test("definitions: our client calls the routes that name its methods", async () => {
  const dir = await Deno.makeTempDir();
  const app = createApp(new Client(dir));
  const called = new Set<string>();
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
    called.add(`${request.method} ${new URL(request.url).pathname}`);
    return app.fetch(request);
  });
  const backend = new HttpBackend(`http://127.0.0.1:${server.addr.port}`);
  const methods: Record<string, () => unknown> = {
    features: () => backend.features(),
    create: () => backend.create("p"),
    list: () => backend.list(),
    open: async () => (await backend.open("p", { write: true })).close(),
    info: () => backend.info("p"),
    append: async () => {
      const pool = await backend.open("p", { write: true });
      const batch = new FrameBatch();
      for (let i = 0; i < 2; i++) {
        batch.beginFrame();
        messageFromValue(batch.encoder, { i }, []);
        batch.endFrame(0, 1);
      }
      await pool.append(batch, { flush: false, stored: () => {} });
      await pool.append(batch, { flush: false, from: 1, stored: () => {} });
      // Too large for a request as bytes, small enough as text.
      batch.clear();
      batch.beginFrame();
      messageFromValue(batch.encoder, { zeros: Array.from({ length: 250_000 }, () => 0) }, []);
      batch.endFrame(0, 1);
      await pool.append(batch, { flush: false, stored: () => {} }).catch(() => {});
      pool.close();
    },
    get: async () => {
      const pool = await backend.open("p");
      await pool.get(1n, true);
      pool.close();
    },
    select: async () => {
      const pool = await backend.open("p");
      const walk = await pool.select({});
      while (!walk.next() && !walk.ended) await walk.wait();
      walk.close();
      pool.close();
    },
    ...Object.fromEntries(
      Object.entries<(it: Coordination) => unknown>({
        latest: (it) => it.latest("k"),
        claim: (it) => it.claim({ keys: ["a"], holder: "ann" }),
        cursors: (it) => it.cursors(),
        cursor: async (it) => await (await it.cursor("c")).close(),
        setCursor: (it) => it.setCursor("c", { to: "end" }),
        group: (it) => it.group("c2").take(),
        deleteCursor: (it) => it.deleteCursor("c"),
      }).map(([name, use]) => [name, async () => {
        const pool = await backend.open("p");
        await use(await pool.coordinate());
        pool.close();
      }]),
    ),
    remove: () => backend.remove("p"),
  };
  try {
    for (const [name, call] of Object.entries(methods)) {
      called.clear();
      await call();
      for (const { remote, method, paths } of ROUTES) {
        if (remote !== name) continue;
        const concrete = paths[0].replace("{pool}", "p").replace("{seq}", "1")
          .replace("{name}", name === "group" ? "c2" : "c");
        assert.ok(called.has(`${method} ${concrete}`), `${name}: ${concrete} of ${[...called]}`);
      }
    }
    const named = ROUTES.flatMap(({ remote }) => remote ?? []);
    assert.deepEqual([...new Set(named)].filter((name) => !(name in methods)), []);
  } finally {
    backend.close();
    await server.shutdown();
    await app.shutdown();
    await Deno.remove(dir, { recursive: true });
  }
});
