/**
 * The routes of docs/spec/http-api.md 2, 12, in-process.
 *
 * @module
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Client } from "../../mod.ts";
import { bench, lines } from "./server_util.ts";

Deno.test("server: a pool's life over HTTP", async () => {
  const { app, get, post, end } = await bench();
  assert.equal((await get("/healthz")).text, '{"ok":true}');
  assert.equal((await get("/v0/pools")).text, '{"pools":[]}');
  const made = await post("/v0/pools", { pool: "chat", size_bytes: 65536 });
  assert.equal(made.status, 200);
  assert.equal(made.headers.get("plasmite-version"), "0");
  assert.deepEqual(
    made.text,
    '{"pool":{"name":"chat","path":"chat.plasmite","file_size":65536,"index_offset":4096,' +
      '"index_capacity":256,"index_size_bytes":4096,"ring_offset":8192,"ring_size":57344,' +
      '"bounds":{},"metrics":{"message_count":0,"seq_span":0,"utilization":{"used_bytes":0,' +
      '"free_bytes":57344,"used_percent":0.0},"age":{"oldest_time":null,"newest_time":null,' +
      '"oldest_age_ms":null,"newest_age_ms":null}}}}',
  );
  const again = await post("/v0/pools", { pool: "chat" });
  assert.equal(again.status, 409);
  assert.equal(again.json.error.kind, "AlreadyExists");
  assert.equal(again.json.error.path, "chat.plasmite");
  assert.equal(
    (await post("/v0/pools/open", { pool: "chat.plasmite" })).json.pool.name,
    "chat.plasmite",
  );
  for (let i = 1; i <= 3; i++) {
    const { json } = await post("/v0/pools/chat/append", { data: { i }, tags: [" a ", `t${i}`] });
    assert.equal(json.message.seq, i);
    assert.deepEqual(json.message.meta, { tags: ["a", `t${i}`] });
    assert.match(json.message.time, /^\d{4}-.*Z$/);
  }
  assert.deepEqual((await get("/v0/pools/chat/info")).json.pool.bounds, { oldest: 1, newest: 3 });
  assert.equal((await get("/v0/ui/pools/chat/info")).json.pool.metrics.message_count, 3);
  assert.deepEqual((await get("/v0/pools/chat/messages/2")).json.message.data, { i: 2 });
  assert.equal((await get("/v0/pools/chat/messages/007")).json.error.seq, 7);
  for (const bad of ["abc", "-1", "1.0", "18446744073709551616"]) {
    assert.equal((await get(`/v0/pools/chat/messages/${bad}`)).status, 400, bad);
  }
  const gone = await app.request("/v0/pools/chat", {
    method: "DELETE",
    body: "null",
    headers: { "content-type": "application/json" },
  });
  assert.equal(await gone.text(), '{"ok":true}');
  const missing = await post("/v0/pools/chat/append", { data: {} });
  assert.equal(missing.status, 404);
  assert.equal(missing.json.error.message, "not found");
  assert.equal((await get("/v0/pools/chat/info")).json.error.kind, "NotFound");
  await end();
});

Deno.test("server: a lone append waits for a lock that is taken and is stored once", async () => {
  const { client, dir, post, get, end } = await bench();
  client.createPool("p").close();
  assert.equal((await post("/v0/pools/p/append", { data: { i: 0 } })).status, 200);
  const file = await Deno.open(`${dir}/p.plasmite`, { read: true, write: true });
  try {
    await file.lock(true);
    const waiting = post("/v0/pools/p/append", { data: { i: 1 }, tags: ["late"] });
    await new Promise((resolve) => setTimeout(resolve, 20));
    await file.unlock();
    const { message } = (await waiting).json;
    assert.deepEqual([message.seq, message.data, message.meta.tags], [2, { i: 1 }, ["late"]]);
    // The tags of one request are not those of the next.
    const other = (await post("/v0/pools/p/append", { data: {}, tags: ["late2"] })).json.message;
    assert.deepEqual([other.seq, other.meta.tags], [3, ["late2"]]);
    const none = (await post("/v0/pools/p/append", { data: {}, tags: [] })).json.message;
    assert.deepEqual([none.seq, none.meta.tags], [4, []]);
    assert.equal((await get("/v0/pools/p/info")).json.pool.bounds.newest, 4);
  } finally {
    file.close();
    await end();
  }
});

Deno.test("server: a pool that is deleted and made again gets the appends", async () => {
  const { client, post, end } = await bench();
  client.createPool("p").close();
  assert.equal((await post("/v0/pools/p/append", { data: { a: 1 } })).json.message.seq, 1);
  client.deletePool("p");
  client.createPool("p").close();
  assert.equal((await post("/v0/pools/p/append", { data: { a: 2 } })).json.message.seq, 1);
  // Another size: what the former pool holds refuses nothing, what this one holds does, by its line.
  client.deletePool("p");
  client.createPool("p", { sizeBytes: 65_536 }).close();
  const lines = [100, 60_000].map((n) => JSON.stringify({ data: { text: "x".repeat(n) } }));
  const jsonl = { headers: { "content-type": "application/jsonl" } };
  const send = (body: string) => post("/v0/pools/p/append_batch", body, jsonl);
  const refused = await send(`\n${lines.join("\n\n")}`);
  assert.equal(refused.status, 400);
  assert.deepEqual(
    [refused.json.error.line, refused.json.error.message],
    [4, "payload exceeds ring capacity"],
  );
  client.deletePool("p");
  client.createPool("p").close();
  assert.equal((await send(lines.join("\n"))).json.last_seq, 2);
  await end();
});

Deno.test("server: data passes through byte-exactly: 64-bit integers, key order, doubles", async () => {
  const { client, get, post, end } = await bench();
  client.createPool("p").close();
  const data =
    '{"10":1,"2":9223372036854775807,"b":-9223372036854775808,"a":1.5,"e":1e21,"__proto__":1}';
  const answer = await post("/v0/pools/p/append", `{ "tags" : null, "data" : ${data} , "x":[1] }`);
  assert.ok(
    answer.text.startsWith(`{"message":{"data":${data.replace("1e21", "1e+21")},`),
    answer.text,
  );
  assert.ok(
    (await get("/v0/pools/p/messages/1")).text.includes('"2":9223372036854775807,"b":-9223'),
  );
  await end();
});

Deno.test("server: bodies that are wrong are refused with an envelope, and nothing is stored", async () => {
  const { client, get, post, end } = await bench({ maxBodyBytes: 1000 });
  client.createPool("p").close();
  const cases: [string, number, string?][] = [
    ["", 400],
    ["{", 400],
    ["[1]", 400],
    ["[{},[],null]", 400],
    ['"x"', 400],
    ['{"data":{}} x', 400],
    ['{"tags":[]}', 400, "missing field `data`"],
    ['{"data":[1]}', 400, "data must be object"],
    ['{"data":null}', 400, "data must be object"],
    ['{"data":{"a":}}', 400],
    ['{"data":{"a":1e400}}', 400],
    ['{"data":{"a":"\\ud800"}}', 400],
    ['{"data":{},"data":{}}', 400, "duplicate field data"],
    ['{"data":{},"tags":"x"}', 400],
    ['{"data":{},"tags":[1]}', 400],
    ['{"data":{},"tags":[" "]}', 400],
    ['{"data":{},"durability":"later"}', 400],
    ['{"data":{},"other":tru}', 400],
    [`{"data":{"a":${"[".repeat(40)}${"]".repeat(40)}}}`, 400],
    ['\ufeff{"data":{}}', 400],
    [`{"data":{"a":"${"x".repeat(1000)}"}}`, 413],
  ];
  for (const [body, status, message] of cases) {
    const answer = await post("/v0/pools/p/append", body);
    assert.equal(answer.status, status, body);
    assert.equal(answer.json.error.kind, "Usage", body);
    assert.equal(answer.headers.get("plasmite-version"), "0");
    if (message !== undefined) assert.equal(answer.json.error.message, message);
  }
  const invalid = new Uint8Array([
    ...new TextEncoder().encode('{"data":{"a":"'),
    0xff,
    0x22,
    0x7d,
    0x7d,
  ]);
  assert.equal((await post("/v0/pools/p/append", invalid)).status, 400);
  for (
    const type of [
      "text/plain",
      "text/json",
      "application/jsonl",
      "application/x-www-form-urlencoded",
    ]
  ) {
    const answer = await post("/v0/pools/p/append", "{}", { headers: { "content-type": type } });
    assert.equal(answer.status, 415, type);
  }
  for (
    const type of ["application/json; charset=utf-8", "Application/JSON", "application/x+json"]
  ) {
    const answer = await post("/v0/pools/nope/append", '{"data":{}}', {
      headers: { "content-type": type },
    });
    assert.equal(answer.status, 404, type);
  }
  assert.equal((await get("/v0/pools/p/info")).json.pool.metrics.message_count, 0);
  await end();
});

Deno.test("server: pool sizes are whole numbers of a sensible size", async () => {
  const { get, post, end } = await bench();
  for (
    const size of ["65536.0", "1e5", "-1", '"65536"', "18446744073709551616", "0", "4096", "true"]
      .concat("9223372036854775807", "[65536]")
  ) {
    const { status, json } = await post("/v0/pools", `{"pool":"x","size_bytes":${size}}`);
    assert.equal(status, 400, size);
    assert.equal(json.error.kind, "Usage", size);
    assert.doesNotMatch(json.error.hint, /NaN/, size);
  }
  assert.equal((await get("/v0/pools")).text, '{"pools":[]}');
  assert.equal(
    (await post("/v0/pools", '{"pool":"x","size_bytes":null}')).json.pool.file_size,
    1 << 20,
  );
  await end();
});

Deno.test("server: lite3 goes in and comes out byte for byte; a damaged document is not stored", async () => {
  const { app, client, get, post, end } = await bench();
  using pool = client.createPool("p");
  pool.append({ deep: [1, { a: "text" }] }, ["x"]);
  const raw = new Uint8Array(
    await (await app.request("/v0/pools/p/messages/1/lite3")).arrayBuffer(),
  );
  const type = { headers: { "content-type": "application/x-plasmite-lite3" } };
  const stored = await post("/v0/pools/p/append_lite3?durability=flush", raw, type);
  assert.equal(stored.status, 200, stored.text);
  assert.deepEqual(stored.json.message.data, { deep: [1, { a: "text" }] });
  assert.equal(stored.json.message.seq, 2);
  const back = await app.request("/v0/pools/p/messages/2/lite3");
  assert.equal(back.headers.get("plasmite-seq"), "2");
  assert.equal(back.headers.get("content-type"), "application/x-plasmite-lite3");
  assert.deepEqual(new Uint8Array(await back.arrayBuffer()), raw);
  for (const cut of [1, 10, 97, raw.length - 1]) {
    const answer = await post("/v0/pools/p/append_lite3", raw.slice(0, cut), type);
    assert.equal(answer.status, 500);
    assert.equal(answer.json.error.kind, "Corrupt");
  }
  assert.equal(
    (await post("/v0/pools/p/append_lite3", raw, {
      headers: { "content-type": "text/plain" },
    })).json.error.message,
    "invalid content-type for lite3 append",
  );
  assert.equal(
    (await post("/v0/pools/p/append_lite3", "", type)).json.error.message,
    "lite3 payload is required",
  );
  assert.equal((await post("/v0/pools/p/append_lite3?durability=x", raw, type)).status, 400);
  assert.equal(
    (await post("/v0/pools/p/append_lite3?durability=fast&durability=fast", raw, type)).status,
    400,
  );
  assert.deepEqual((await get("/v0/pools/p/info")).json.pool.bounds, { oldest: 1, newest: 2 });
  await end();
});

Deno.test("server: a batch is stored as a whole, in order, or not at all", async () => {
  const { client, get, post, end } = await bench();
  client.createPool("p").close();
  const type = { headers: { "content-type": "application/x-ndjson" } };
  const good = Array.from({ length: 500 }, (_, i) => `{"data":{"i":${i}},"tags":["b"]}\n`).join(
    "\r\n",
  );
  const stored = (await post("/v0/pools/p/append_batch", good, type)).text;
  const { message } = (await get("/v0/pools/p/messages/500")).json;
  assert.equal(message.data.i, 499);
  assert.equal(stored, `{"count":500,"first_seq":1,"last_seq":500,"time":"${message.time}"}`);
  const bad = await post("/v0/pools/p/append_batch", '{"data":{}}\n\n{"data":[]}\n', type);
  assert.equal(bad.status, 400);
  assert.equal(bad.json.error.line, 3);
  assert.equal(bad.json.error.message, "data must be object");
  client.createPool("small", 8192).close();
  const large = `{"data":{}}\n{"data":{"pad":"${"x".repeat(8192)}"}}\n`;
  const refused = await post("/v0/pools/small/append_batch", large, type);
  assert.equal(refused.json.error.message, "payload exceeds ring capacity");
  assert.equal(refused.json.error.line, 2);
  const rounds = `{"data":{"pad":"${"x".repeat(100)}"}}\n`.repeat(200);
  assert.match(
    (await post("/v0/pools/small/append_batch", rounds, type)).text,
    /^\{"count":200,"first_seq":1,"last_seq":200,"time":"[^"]+"\}$/,
  );
  assert.equal((await get("/v0/pools/p/info")).json.pool.bounds.newest, 500);
  assert.equal(
    (await post("/v0/pools/p/append_batch", "\n \n", type)).text,
    '{"count":0,"first_seq":null,"last_seq":null,"time":null}',
  );
  assert.equal((await post("/v0/pools/p/append_batch", good)).status, 415);
  await end();
});

Deno.test("server: appends that arrive together are all stored once, bad ones refused alone", async () => {
  const { client, get, post, end } = await bench();
  client.createPool("p").close();
  const answers = await Promise.all(
    Array.from(
      { length: 200 },
      (_, i) => post("/v0/pools/p/append", i % 10 === 7 ? '{"data":3}' : { data: { i } }),
    ),
  );
  const seqs = answers.filter(({ status }) => status === 200).map(({ json }) => json.message.seq);
  assert.equal(answers.filter(({ status }) => status === 400).length, 20);
  assert.deepEqual(seqs.toSorted((a, b) => a - b), Array.from({ length: 180 }, (_, i) => i + 1));
  const tail = await get("/v0/pools/p/tail?no_follow=1");
  const stored = lines(tail.text).map(({ data }) => data.i).toSorted((a, b) => a - b);
  assert.deepEqual(stored, Array.from({ length: 200 }, (_, i) => i).filter((i) => i % 10 !== 7));
  await end();
});

Deno.test("server: pool names", async () => {
  const { dir, get, post, end } = await bench();
  for (
    const name of [
      "",
      ".",
      "..",
      "...",
      ".plasmite",
      "a/b",
      "/etc/x",
      "../x",
      "a\u0000b",
      "a\nb",
      "\ud800",
    ]
      .concat("x".repeat(260))
  ) {
    const { status, json } = await post("/v0/pools", { pool: name });
    assert.equal(status, 400, JSON.stringify(name));
    assert.equal(json.error.kind, "Usage");
  }
  for (const path of ["a%2Fb", "..%2Fx", "%00", "%ff", "%"]) {
    assert.equal((await get(`/v0/pools/${path}/info`)).status, 400, path);
    assert.equal((await post(`/v0/pools/${path}/append`, { data: {} })).status, 400, path);
  }
  assert.equal((await get("/v0/pools//info")).status, 404);
  assert.equal((await post("/v0/pools//append", { data: {} })).status, 404);
  assert.deepEqual([...Deno.readDirSync(dir)], []);
  for (const name of ["a b", "ä+%", "open", "..x", "-"]) {
    assert.equal((await post("/v0/pools", { pool: name })).status, 200, name);
    const at = `/v0/pools/${encodeURIComponent(name)}`;
    assert.equal((await post(`${at}/append`, { data: { name } })).status, 200);
    assert.equal((await get(`${at}/messages/1`)).json.message.data.name, name);
  }
  await end();
});

Deno.test("server: DELETE reaches a pool called open", async () => {
  const { app, client, end } = await bench();
  client.createPool("open").close();
  const answer = await app.request("/v0/pools/open", { method: "DELETE" });
  assert.equal(answer.status, 200);
  await answer.body?.cancel();
  await end();
});

Deno.test("server: unknown paths and methods", async () => {
  const { app, get, end } = await bench();
  for (const path of ["/", "/v0", "/v0/pools/", "/v0/Pools", "/v0/pools/a/b/c", "/healthz/"]) {
    const answer = await get(path);
    assert.equal(answer.status, 404, path);
    assert.equal(answer.json.error.kind, "NotFound");
  }
  const methods: [string, string, string][] = [
    ["GET", "/v0/pools/x", "DELETE"],
    ["PUT", "/v0/pools", "GET,HEAD,POST"],
    ["GET", "/v0/pools/open", "POST"],
    ["POST", "/healthz", "GET,HEAD"],
    ["OPTIONS", "/v0/pools", "GET,HEAD,POST"],
    ["GET", "/v0/pools/x/append", "POST"],
  ];
  for (const [method, path, allow] of methods) {
    const answer = await app.request(path, { method });
    assert.equal(answer.status, 405, `${method} ${path}`);
    assert.equal(answer.headers.get("allow"), allow);
    await answer.body?.cancel();
  }
  await end();
});

Deno.test("server: the list names what is damaged and leaves the rest usable", async () => {
  const { client, dir, get, end } = await bench();
  client.createPool("good").close();
  await Deno.writeTextFile(`${dir}/bad.plasmite`, "x".repeat(10_000));
  await Deno.mkdir(`${dir}/dir.plasmite`);
  const { json } = await get("/v0/pools");
  assert.deepEqual(json.pools.map((pool: { name: string }) => pool.name), ["bad", "good"]);
  assert.equal(json.pools[0].error.kind, "Corrupt");
  assert.equal(json.pools[0].path, "bad.plasmite");
  const info = await get("/v0/pools/bad/info");
  assert.equal(info.status, 500);
  assert.equal(info.json.error.kind, "Corrupt");
  assert.ok(!info.text.includes(dir), "a local path got out");
  await end();
});

// `Deno.serve(app.fetch)`, as our own example has it, answered every request with status 500.
Deno.test("server: the functions of an app work without it", async () => {
  const { createApp } = await import("../../server/app.ts");
  const dir = await Deno.makeTempDir();
  const { fetch: answer, request, shutdown } = createApp(new Client(dir));
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, answer);
  const response = await fetch(`http://127.0.0.1:${server.addr.port}/v0/pools`);
  assert.deepEqual([response.status, await response.json()], [200, { pools: [] }]);
  assert.equal((await request("/v0/pools/none/info")).status, 404);
  await shutdown();
  await server.shutdown();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("server: access modes", async () => {
  const dir = await Deno.makeTempDir();
  const client = new Client(dir);
  {
    using pool = client.createPool("p");
    pool.append({ secret: 1 });
  }
  const { createApp } = await import("../../server/app.ts");
  const json = { "content-type": "application/json" };
  const ask = async (
    access: "read-only" | "write-only",
    method: string,
    path: string,
    body?: string,
  ) => {
    const app = createApp(client, { access });
    const answer = await app.request(path, {
      method,
      headers: json,
      ...(body === undefined ? {} : { body }),
    });
    const text = await answer.text();
    await app.shutdown();
    return { status: answer.status, text };
  };
  const reads = [
    "/v0/pools",
    "/v0/pools/p/info",
    "/v0/pools/p/messages/1",
    "/v0/pools/p/messages/1/lite3",
  ]
    .concat("/v0/pools/p/tail?max=1", "/v0/pools/p/tail_lite3?max=1", "/v0/ui/pools", "/metrics")
    .concat("/v0/ui/pools/p/info", "/v0/ui/pools/p/events?max=1");
  for (const path of reads) {
    assert.equal((await ask("read-only", "GET", path)).status, 200, path);
    const refused = await ask("write-only", "GET", path);
    assert.equal(refused.status, 403, path);
    assert.ok(refused.text.includes("forbidden: access mode disallows read operations"));
  }
  const writes: [string, string, string][] = [
    ["POST", "/v0/pools/p/append", '{"data":{}}'],
    ["POST", "/v0/pools/p/messages", '{"data":{}}'],
    ["POST", "/v0/pools", '{"pool":"q"}'],
    ["DELETE", "/v0/pools/q", ""],
  ];
  for (const [method, path, body] of writes) {
    assert.equal((await ask("read-only", method, path, body)).status, 403, path);
    assert.equal((await ask("write-only", method, path, body)).status, 200, path);
  }
  const brief = await ask("write-only", "POST", "/v0/pools/open", '{"pool":"p"}');
  assert.equal(brief.status, 200);
  assert.ok(!brief.text.includes("bounds") && !brief.text.includes("metrics"), brief.text);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("server: metrics, access check, status", async () => {
  const { client, get, post, end } = await bench({ status: () => ({ pid: 1 }) });
  client.createPool("p").close();
  await post("/v0/pools/p/append", { data: {} });
  const metrics = await get("/metrics");
  assert.match(metrics.text, /^plasmite_messages_appended_total 1$/m);
  assert.match(metrics.text, /^plasmite_http_requests_total\{method="POST",code="200"\} 1$/m);
  for (let i = 0; i < 3; i++) await get("/v0/pools/none/info");
  await get("/v0/pools/p/info", { method: "BREW" });
  const later = (await get("/metrics")).text;
  assert.match(later, /^plasmite_http_requests_total\{method="GET",code="404"\} 3$/m);
  assert.match(later, /^plasmite_http_requests_total\{method="other",code="\d+"\} 1$/m);
  assert.doesNotMatch(later, /BREW/);
  assert.match(metrics.text, /^plasmite_pool_newest_seq\{pool="p"\} 1$/m);
  assert.ok(metrics.text.endsWith("# EOF\n"));
  assert.equal((await get("/v0/access/check")).text, '{"accepted":true}');
  assert.equal((await get("/v0/serve/status")).text, '{"pid":1}');
  await end();
});

Deno.test("server: long finished answers are compressed on request, streams never", async () => {
  const { app, client, end } = await bench();
  using pool = client.createPool("p");
  pool.append({ text: "x".repeat(5000) });
  const headers = { "accept-encoding": "gzip" };
  const document = await app.request("/v0/openapi.json", { headers });
  assert.equal(document.headers.get("content-encoding"), "gzip");
  const plain = document.body?.pipeThrough(new DecompressionStream("gzip"));
  assert.equal((await new Response(plain).json()).openapi, "3.1.0");
  const refused = await app.request("/v0/openapi.json", {
    headers: { "accept-encoding": "gzip;q=0" },
  });
  assert.equal(refused.headers.get("content-encoding"), null);
  await refused.body?.cancel();
  const tail = await app.request("/v0/pools/p/tail?max=1", { headers });
  assert.equal(tail.headers.get("content-encoding"), null);
  assert.equal(lines(await tail.text()).length, 1);
  await end();
});

Deno.test("server: a bug is reported to the operator only", async () => {
  const faults: unknown[] = [];
  const { get, end } = await bench({
    ui: () => Promise.reject(new Error("secret detail")),
    onFault: (error) => faults.push(error),
  });
  const answer = await get("/ui");
  assert.equal(answer.status, 500);
  assert.equal(answer.text, '{"error":{"kind":"Internal","message":"internal error"}}');
  assert.match(String(faults[0]), /secret detail/);
  await get("/nothing");
  await get("/v0/pools/none/info");
  assert.equal(faults.length, 1);
  await end();
});

Deno.test("server: the page comes with a policy that allows its own files only", async () => {
  const { get, end } = await bench();
  const page = await get("/ui");
  assert.match(page.headers.get("content-type") ?? "", /^text\/html/);
  assert.match(page.text, /Plasmite UI/);
  const policy = page.headers.get("content-security-policy") ?? "";
  assert.match(policy, /^default-src 'none';/);
  assert.match(policy, /frame-ancestors 'none'/);
  assert.ok(!policy.includes("unsafe"));
  // Lost: the script that helps when no other comes.
  const [, script = ""] = /<script>([^<]+)<\/script>/.exec(page.text) ?? [];
  const digest = createHash("sha256").update(script).digest("base64");
  assert.ok(policy.includes(`; script-src 'self' 'sha256-${digest}'; `));
  assert.equal(page.headers.get("referrer-policy"), "no-referrer");
  const pool = await get("/ui/pools/any");
  assert.match(pool.text, /Plasmite UI/);
  assert.equal((await get("/ui/pools/other")).text, pool.text);
  const assets = [...(page.text + pool.text).matchAll(/(?:src|href)="(\/ui\/assets\/[^"]+)"/g)];
  assert.ok(assets.length > 0);
  for (const [, path = ""] of assets) {
    const asset = await get(path);
    assert.equal(asset.status, 200, path);
    assert.equal(asset.headers.get("x-content-type-options"), "nosniff");
  }
  for (
    const path of ["/ui/", "/ui/pools", "/ui/assets/", "/ui/assets/../../deno.json", "/ui/assets/x"]
  ) {
    assert.equal((await get(path)).status, 404, path);
  }
  await end();
});
