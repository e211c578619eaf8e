/**
 * What must not get in: rebinding, cross-site requests, wrong tokens, path tricks, endless and slow
 * clients (docs/spec/http-api.md 5 to 7). Nothing is let in and nothing is lost.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Client } from "../../mod.ts";
import { equalSecrets } from "../../lib/access/key.ts";
import { normalizeOrigin } from "../../server/guard.ts";
import { bench, listening, raw } from "./server_util.ts";
import { until } from "../support/patience.ts";

const ROUTES: [string, string][] = [
  ["GET", "/healthz"],
  ["GET", "/ui"],
  ["GET", "/v0/openapi.json"],
  ["GET", "/v0/pools"],
  ["POST", "/v0/pools"],
  ["POST", "/v0/pools/p/append"],
  ["POST", "/v0/pools/p/append_lite3"],
  ["POST", "/v0/pools/p/append_batch"],
  ["DELETE", "/v0/pools/p"],
  ["GET", "/v0/pools/p/tail"],
  ["GET", "/v0/ui/pools/p/events"],
  ["POST", "/v0/ui/streams"],
  ["POST", "/v0/ui/streams/p"],
  ["GET", "/metrics"],
  ["GET", "/unknown"],
  ["OPTIONS", "/v0/pools"],
];

Deno.test("server guard: a rebound Host reaches nothing", async () => {
  const { app, client, end } = await bench({ allowHosts: ["proxy.example"] });
  client.createPool("p").close();
  const bad = [
    "evil.example",
    "evil.example:9700",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
  ]
    .concat(
      "10.0.0.1",
      "[::2]",
      "127.0.0.1@evil.example",
      "",
      "127.0.0.1 evil",
      "localhost.",
      "0.0.0.0",
    );
  for (const host of bad) {
    for (const [method, path] of ROUTES) {
      const answer = await app.request(path, { method, headers: { host } });
      assert.ok(answer.status === 403 || answer.status === 400, `${host} ${method} ${path}`);
      const { error } = await answer.json();
      assert.ok(error.kind === "Permission" || error.kind === "Usage");
    }
    const byUrl = await app.fetch(new Request(`http://evil.example:9700/v0/pools`));
    assert.equal(byUrl.status, 403);
    await byUrl.body?.cancel();
  }
  const good = [
    "localhost",
    "LOCALHOST:1",
    "127.0.0.1:9700",
    "127.9.9.9",
    "[::1]:80",
    "proxy.example:443",
  ];
  for (const host of good) {
    const answer = await app.request("/v0/pools", { headers: { host } });
    assert.equal(answer.status, 200, host);
    await answer.body?.cancel();
  }
  await end();
});

Deno.test("server guard: pages of other origins reach nothing", async () => {
  const { app, client, dir, end } = await bench();
  client.createPool("p").close();
  const host = "127.0.0.1:9700";
  const bad: Record<string, string>[] = [
    { origin: "https://evil.example" },
    { origin: "null" },
    { origin: "http://127.0.0.1:9701" },
    { origin: "http://localhost:9700" },
    { origin: "http://127.0.0.1:9700.evil.example" },
    { origin: "http://127.0.0.1:9700/" },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
    { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" },
  ];
  for (const headers of bad) {
    for (const [method, path] of ROUTES) {
      const answer = await app.request(path, { method, headers: { host, ...headers } });
      assert.equal(answer.status, 403, JSON.stringify([headers, method, path]));
      assert.equal(answer.headers.get("access-control-allow-origin"), null);
      await answer.body?.cancel();
    }
  }
  // A form, an image or fetch in mode no-cors can send only these types, and no-cors no Origin less.
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
    const answer = await app.request("/v0/pools/p/append", {
      method: "POST",
      body: '{"data":{}}',
      headers: { host, "content-type": type },
    });
    assert.equal(answer.status, 415);
    await answer.body?.cancel();
  }
  const good: Record<string, string>[] = [
    { origin: "http://127.0.0.1:9700" },
    { origin: "https://127.0.0.1:9700" },
    { "sec-fetch-site": "same-origin" },
    { "sec-fetch-site": "none" },
    {
      "sec-fetch-site": "cross-site",
      "sec-fetch-mode": "navigate",
      "sec-fetch-dest": "document",
    },
  ];
  for (const headers of good) {
    const answer = await app.request("/v0/pools", { headers: { host, ...headers } });
    assert.equal(answer.status, 200, JSON.stringify(headers));
    await answer.body?.cancel();
  }
  assert.equal(new Client(dir).poolInfo("p").bounds.newestSeq, null);
  await end();
});

Deno.test("server guard: CORS for exact origins only", async () => {
  const { app, client, end } = await bench({
    corsOrigins: ["https://Demo.Example:443/", "http://a.example:8080"],
    token: "t",
  });
  client.createPool("p").close();
  const ask = async (origin: string, method = "GET", path = "/v0/pools") => {
    const answer = await app.request(path, {
      method,
      headers: { origin, authorization: "Bearer t" },
    });
    await answer.body?.cancel();
    return answer;
  };
  const good = await ask("https://demo.example");
  assert.equal(good.status, 200);
  assert.equal(good.headers.get("access-control-allow-origin"), "https://demo.example");
  assert.match(good.headers.get("access-control-expose-headers") ?? "", /plasmite-seq/);
  assert.match(good.headers.get("vary") ?? "", /origin/);
  for (
    const origin of ["https://demo.example:443", "http://demo.example", "https://x.demo.example"]
  ) {
    const answer = await ask(origin);
    assert.equal(answer.status, 403, origin);
    assert.equal(answer.headers.get("access-control-allow-origin"), null);
  }
  const preflight = await app.request("/anything", {
    method: "OPTIONS",
    headers: { origin: "http://a.example:8080" },
  });
  assert.equal(preflight.status, 200);
  assert.equal(
    preflight.headers.get("access-control-allow-methods"),
    "GET,POST,PUT,DELETE,OPTIONS",
  );
  assert.equal(preflight.headers.get("access-control-allow-origin"), "http://a.example:8080");
  const foreign = await ask("https://evil.example", "OPTIONS");
  assert.equal(foreign.status, 200);
  assert.equal(foreign.headers.get("access-control-allow-origin"), null);
  const errors: [string, RegExp][] = [
    ["", /must not be empty/],
    ["*", /wildcard/],
    ["https://*.example", /wildcard/],
    ["ftp://x", /scheme must be http or https/],
    ["nonsense", /invalid CORS origin/],
    ["https://", /must include a host/],
    ["https://u@x", /userinfo/],
    ["https://x/path", /must not include a path/],
    ["https://x/?q", /query or fragment/],
  ];
  for (const [origin, message] of errors) assert.throws(() => normalizeOrigin(origin), message);
  await end();
});

Deno.test("server auth: wrong tokens in every position", async () => {
  const token = "0123456789abcdef";
  const { app, client, end } = await bench({ token });
  client.createPool("p").close();
  const wrong: (string | null)[] = [
    null,
    "",
    "Bearer",
    "Bearer ",
    `Bearer  ${token}`,
    `Basic ${token}`,
  ];
  wrong.push(
    token,
    `Bearer ${token}x`,
    `Bearer ${token.slice(0, -1)}`,
    `Bearer ${token} x`,
    "Bearer null",
  );
  for (let i = 0; i < token.length; i++) {
    wrong.push(`Bearer ${token.slice(0, i)}X${token.slice(i + 1)}`);
  }
  const open = new Set(["/healthz", "/ui", "/v0/openapi.json", "/unknown"]);
  for (const [method, path] of ROUTES) {
    if (open.has(path) || method === "OPTIONS") continue;
    for (const authorization of wrong) {
      const answer = await app.request(`${path}?since_seq=bad&token=${token}`, {
        method,
        headers: authorization === null ? {} : { authorization },
      });
      assert.equal(answer.status, 401, `${method} ${path} ${authorization}`);
      assert.equal(answer.headers.get("www-authenticate"), "Bearer");
      const { error } = await answer.json();
      assert.equal(error.kind, "Permission");
      assert.equal(
        error.message,
        authorization === null ? "missing bearer token" : "invalid bearer token",
      );
    }
  }
  for (const scheme of ["Bearer", "bearer", "BEARER"]) {
    const answer = await app.request("/v0/access/check", {
      headers: { authorization: `${scheme} ${token}` },
    });
    assert.equal(answer.status, 200);
    await answer.body?.cancel();
  }
  await end();
});

Deno.test("server auth: the comparison is of all characters", () => {
  assert.ok(equalSecrets("abc", "abc"));
  for (const given of ["", "a", "ab", "abd", "abcabc", "abca", "xbc"]) {
    assert.ok(!equalSecrets(given, "abc"), given);
  }
  assert.ok(!equalSecrets("a", ""));
});

const END = "connection: close\r\n";

Deno.test("server sockets: request lines and hosts that only a raw client can send", async () => {
  const { server, client, end } = await listening();
  const { port } = server;
  const cases: [string, RegExp][] = [
    [`GET /v0/pools HTTP/1.1\r\nHost: 127.0.0.1@evil.example\r\n${END}\r\n`, / 400 /],
    [`GET /v0/pools HTTP/1.1\r\nHost: evil.example\r\n${END}\r\n`, / 403 /],
    [`GET http://evil.example/v0/pools HTTP/1.1\r\nHost: 127.0.0.1\r\n${END}\r\n`, / 403 /],
    [`GET /v0/pools HTTP/1.1\r\nHost:\r\n${END}\r\n`, / 400 /],
    [`GET /v0/pools HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n${END}\r\n`, / 400 /],
    [
      `GET /v0/pools/../../../etc/passwd/info HTTP/1.1\r\nHost: 127.0.0.1\r\n${END}\r\n`,
      / 40[04] /,
    ],
    [`GET /v0/pools/%2e%2e/info HTTP/1.1\r\nHost: 127.0.0.1\r\n${END}\r\n`, / 40[04] /],
    [`GET /v0/pools/..%2f..%2fetc/info HTTP/1.1\r\nHost: 127.0.0.1\r\n${END}\r\n`, / 400 /],
    [`GET /v0/pools/..\\..\\x/info HTTP/1.1\r\nHost: 127.0.0.1\r\n${END}\r\n`, / 40[04] /],
    [`GET //v0/pools HTTP/1.1\r\nHost: 127.0.0.1\r\n${END}\r\n`, / 404 /],
    [`GET /v0/pools/%00/info HTTP/1.1\r\nHost: 127.0.0.1\r\n${END}\r\n`, / 400 /],
    [
      `POST /v0/pools/p/append HTTP/1.1\r\nHost: 127.0.0.1\r\ncontent-length: 5\r\n` +
      `transfer-encoding: chunked\r\n${END}\r\n0\r\n\r\n`,
      / 400 /,
    ],
    [`NONSENSE\r\n\r\n`, / 400 /],
  ];
  for (const [request, status] of cases) {
    const [line = ""] = (await raw(port, request)).split("\r\n");
    assert.match(line, status, request);
  }
  assert.equal(client.poolInfo("p").bounds.newestSeq, null);
  await end();
});

Deno.test("server sockets: bodies too large or never ending are refused while they come", async () => {
  const { server, client, end } = await listening({ maxBodyBytes: 2000 }, { bodyIdleMs: 200 });
  const { port } = server;
  const head =
    "POST /v0/pools/p/append HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n";
  assert.match(await raw(port, `${head}content-length: 100000000\r\n\r\n{`, "\r\n\r\n"), / 413 /);
  const chunk = `${(1500).toString(16)}\r\n${" ".repeat(1500)}\r\n`;
  const chunked = `${head}transfer-encoding: chunked\r\n\r\n${chunk}${chunk}`;
  assert.match(await raw(port, chunked, "\r\n\r\n"), / 413 /);
  assert.match(await raw(port, `${head}content-length: 20\r\n\r\n{"da`, "\r\n\r\n"), / 408 /);
  assert.match(
    await raw(port, `${head}transfer-encoding: chunked\r\n\r\n3\r\n{"d\r\n`, "\r\n\r\n"),
    / 408 /,
  );
  // A client that leaves in the middle of a body changes nothing.
  const conn = await Deno.connect({ port, hostname: "127.0.0.1" });
  await conn.write(new TextEncoder().encode(`${head}content-length: 20\r\n\r\n{"data":{}`));
  conn.close();
  const good = await fetch(`${server.url}/v0/pools/p/append`, {
    method: "POST",
    body: '{"data":{"ok":1}}',
    headers: { "content-type": "application/json" },
  });
  assert.equal((await good.json()).message.seq, 1);
  assert.equal(client.poolInfo("p").bounds.newestSeq, 1n);
  await end();
});

Deno.test("server sockets: a client that does not read loses its stream, others continue", async () => {
  const { server, client, end } = await listening(
    { maxTailTimeoutMs: 100, maxTailConcurrency: 1 },
    {
      readerGraceMs: 200,
    },
  );
  using pool = client.createPool("big", 1 << 24);
  for (let i = 0; i < 300; i++) pool.append({ pad: "x".repeat(30_000) });
  using slow = await Deno.connect({ port: server.port, hostname: "127.0.0.1" });
  const request = "GET /v0/pools/big/tail HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
  await slow.write(new TextEncoder().encode(request));
  const url = `${server.url}/v0/pools/big/tail?max=1`;
  // Its time is 100 ms, its grace 200 ms; then the slot is free for others.
  await until(async () => {
    const answer = await fetch(url);
    await answer.body?.cancel();
    return answer.status === 200;
  }, "the slot is never free");
  await end();
});

Deno.test("server sockets: a thousand connections, silent and talking", async () => {
  const { server, client, end } = await listening({ maxTailConcurrency: 400 });
  const silent = await Promise.all(
    Array.from({ length: 400 }, () => Deno.connect({ port: server.port, hostname: "127.0.0.1" })),
  );
  const half = new TextEncoder().encode("POST /v0/pools/p/append HTTP/1.1\r\nhost: 127");
  for (const conn of silent.slice(0, 200)) await conn.write(half);
  const append = async (i: number): Promise<number> => {
    const answer = await fetch(`${server.url}/v0/pools/p/append`, {
      method: "POST",
      body: JSON.stringify({ data: { i } }),
      headers: { "content-type": "application/json" },
    });
    return (await answer.json()).message.seq;
  };
  const seqs = await Promise.all(Array.from({ length: 600 }, (_, i) => append(i)));
  assert.equal(new Set(seqs).size, 600);
  assert.equal(client.poolInfo("p").bounds.newestSeq, 600n);
  for (const conn of silent) conn.close();
  await end();
});
