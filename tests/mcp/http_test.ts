/**
 * `/mcp` as a function from request to response: what each kind of request gets, in both eras, and
 * behind the server's own checks.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { createMcpFetch, type Grant, type McpFetch, type McpOptions } from "../../mcp/http.ts";
import { Client } from "../../mod.ts";
import { LONGEST_WAIT } from "../../mcp/deadline.ts";
import { createApp } from "../../server/app.ts";
import { type Any, Place, serveMcp } from "./mcp_util.ts";

const URL_ = "http://127.0.0.1:9700/mcp";

function post(
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Request {
  return new Request(URL_, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
  });
}

function rpc(method: string, params?: unknown, id: unknown = 1): string {
  return JSON.stringify({ jsonrpc: "2.0", id, method, params });
}

function tool(name: string, args: Any, id = 1): string {
  return rpc("tools/call", { name, arguments: args }, id);
}

/** A request of the revision of 2026-07-28. */
function modern(method: string, params: Any = {}, headers: Record<string, string> = {}): Request {
  const meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const name = params["name"] ?? params["uri"];
  return post(rpc(method, { ...params, _meta: meta }), {
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": method,
    ...(typeof name === "string" ? { "mcp-name": name } : {}),
    ...headers,
  });
}

function modernTool(name: string, args: Any): Request {
  return modern("tools/call", { name, arguments: args });
}

async function json(response: Response): Promise<Any> {
  return await response.json() as Any;
}

async function withMcp(
  options: McpOptions,
  run: (mcp: McpFetch, place: Place) => Promise<void>,
): Promise<void> {
  using place = new Place();
  const mcp = await createMcpFetch(place.client, options);
  try {
    await run(mcp, place);
  } finally {
    await mcp.close();
  }
}

// Without it a handler passed to Deno.serve took the address of the caller for their rights.
Deno.test("mcp http: Deno.serve takes the handler as it is; a broken grant gives no rights", async () => {
  const client = new Client(await Deno.makeTempDir());
  const mcp = await createMcpFetch(client);
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, mcp);
  const { port } = server.addr;
  const answer = await fetch(`http://127.0.0.1:${port}/mcp`, post(rpc("tools/list")));
  assert.equal(answer.status, 200);
  assert.ok((await answer.json()).result.tools.length > 0);
  const broken = { subject: "nobody" } as unknown as Grant;
  await assert.rejects(mcp(post(rpc("tools/list")), broken), /Invalid grant/);
  await mcp.close();
  await server.shutdown();
  client.close();
});

Deno.test("mcp http: plain JSON in, plain JSON out, whatever Accept says", () =>
  withMcp({ version: "9.9.9" }, async (mcp) => {
    for (
      const headers of [
        {},
        { accept: "*/*" },
        { accept: "text/html" },
        {
          "mcp-protocol-version": "2025-06-18",
          "mcp-session-id": "x",
        },
        { "content-type": "application/json; charset=utf-8" },
        {
          "content-type": "application/vnd.x+json",
        },
      ]
    ) {
      const response = await mcp(post(rpc("ping"), headers));
      assert.equal(response.status, 200);
      assert.match(response.headers.get("content-type") ?? "", /^application\/json/);
      assert.deepEqual((await json(response))["result"], {});
    }
    const { result } = await json(await mcp(post(rpc("initialize", {})))) as { result: Any };
    assert.equal(result["protocolVersion"], "2025-11-25");
    assert.deepEqual(result["serverInfo"], { name: "plasmite", version: "9.9.9" });
    assert.match(String(result["instructions"]), /append-only/);
    const older = await json(await mcp(post(rpc("initialize", { protocolVersion: "2024-11-05" }))));
    assert.equal((older["result"] as Any)["protocolVersion"], "2024-11-05");
  }));

Deno.test("mcp http: invalid requests", () =>
  withMcp({ maxBodyBytes: 2000 }, async (mcp, place) => {
    const cases: [Request, number, number | undefined][] = [
      [new Request(URL_), 405, undefined],
      [new Request(URL_, { method: "HEAD" }), 405, undefined],
      [new Request(URL_, { method: "DELETE" }), 405, undefined],
      [post("{", {}), 400, -32700],
      [post("", {}), 400, -32700],
      [post(rpc("ping") + "x"), 400, -32700],
      [post(new Uint8Array([0x22, 0xff, 0x22])), 400, -32700],
      [post(`[${rpc("ping")}]`), 200, -32600],
      [post("{}"), 200, -32600],
      [post(rpc("ping"), { "content-type": "text/plain" }), 415, -32000],
      [post(rpc("ping"), { "mcp-protocol-version": "1999-01-01" }), 400, -32000],
      [post(rpc("ping", { x: "y".repeat(3000) })), 413, -32000],
      [post(rpc("no/such")), 200, -32601],
      [post(tool("no_such_tool", {})), 200, -32602],
    ];
    for (const [request, status, code] of cases) {
      const response = await mcp(request);
      assert.equal(response.status, status, request.method);
      if (code === undefined) {
        assert.equal(response.headers.get("allow"), "POST");
        assert.equal(await response.text(), "");
      } else assert.equal(((await json(response))["error"] as Any)["code"], code);
    }
    for (
      const silent of [
        { jsonrpc: "2.0", method: "notifications/initialized" },
        { jsonrpc: "2.0", id: 1, result: {} },
        {
          jsonrpc: "2.0",
          method: "tools/call",
          params: { name: "plasmite_pool_create", arguments: { name: "unasked" } },
        },
      ]
    ) {
      const response = await mcp(post(JSON.stringify(silent)));
      assert.equal(response.status, 202);
      assert.equal(await response.text(), "");
    }
    assert.deepEqual(place.client.listPools(), []);
  }));

Deno.test("mcp http: both eras store and show data exactly", () =>
  withMcp({}, async (mcp, place) => {
    const data = '{"10":9007199254740993,"2":1.0,"a":"\u00fc"}';
    const call = (pool: string): string =>
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"plasmite_feed","arguments":` +
      `{"pool":"${pool}","create":true,"data":${data}}META}}`;
    const old = await mcp(post(call("old").replace("META", "")));
    const oldText = await old.text();
    assert.ok(oldText.includes(`"data":${data}`), oldText);
    const meta = ',"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",' +
      '"io.modelcontextprotocol/clientCapabilities":{}}';
    const response = await mcp(post(call("new").replace("META", meta), {
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": "tools/call",
      "mcp-name": "plasmite_feed",
    }));
    const text = await response.text();
    assert.ok(text.includes(`"data":${data}`), text);
    assert.equal(text.includes(place.dir), false);
  }));

Deno.test("mcp http: the revision of 2026-07-28 checks its headers and discovers", () =>
  withMcp({}, async (mcp) => {
    const discovered = await json(await mcp(modern("server/discover")));
    const { capabilities, supportedVersions } = discovered["result"] as Any;
    assert.deepEqual(supportedVersions, ["2026-07-28"]);
    assert.deepEqual((capabilities as Any)["resources"], { subscribe: true, listChanged: true });
    const wrong = await mcp(modern("tools/list", {}, { "mcp-method": "tools/call" }));
    assert.equal(wrong.status, 400);
    assert.equal(((await json(wrong))["error"] as Any)["code"], -32020);
    const unknown = await mcp(modern("no/such"));
    assert.equal(unknown.status, 404);
    const missing = await json(
      await mcp(modern("resources/read", { uri: "plasmite:///pools/none" })),
    );
    assert.equal(((missing["error"] as Any)["data"] as Any)["uri"], "plasmite:///pools/none");
  }));

Deno.test("mcp http: access modes, places for waits, no paths of this machine", () =>
  withMcp({ access: "read-only", maxWaits: 1 }, async (mcp, place) => {
    place.client.createPool("p").close();
    const listed = await json(await mcp(post(rpc("tools/list"))));
    const names = ((listed["result"] as Any)["tools"] as Any[]).map((entry) => entry["name"]);
    assert.deepEqual(names, [
      "plasmite_pool_list",
      "plasmite_pool_info",
      "plasmite_fetch",
      "plasmite_read",
      "plasmite_wait",
    ]);
    const refused = await (await mcp(post(tool("plasmite_pool_delete", {})))).text();
    assert.match(refused, /"error_kind":"Permission"/);

    const waiting = mcp(post(tool("plasmite_wait", { pool: "p", timeout_ms: 60_000 }, 7)));
    let busy = "";
    for (let tries = 0; tries < 100 && !busy.includes('"Busy"'); tries++) {
      const second = tool("plasmite_wait", { pool: "p", timeout_ms: 0 });
      busy = await (await mcp(post(second))).text();
    }
    assert.match(busy, /"error_kind":"Busy"/);
    using pool = place.client.openPool("p");
    pool.append({ n: 1 });
    assert.match(await (await waiting).text(), /"timed_out":false/);

    for (const name of ["plasmite_pool_list", "plasmite_pool_info", "plasmite_read"]) {
      const args = name.endsWith("info")
        ? { pool: "p" }
        : name.endsWith("read")
        ? { pool: "q" }
        : {};
      const text = await (await mcp(post(tool(name, args)))).text();
      assert.match(text, /"path":"[pq]\.plasmite"/);
      assert.equal(text.includes(place.dir), false);
    }
    for (const uri of ["plasmite:///pools/none", "plasmite:///pools/p"]) {
      const text = await (await mcp(post(rpc("resources/read", { uri })))).text();
      assert.equal(text.includes(place.dir), false);
    }
  }));

Deno.test("mcp http: write-only servers show nothing", () =>
  withMcp({ access: "write-only" }, async (mcp, place) => {
    place.client.createPool("p").close();
    for (
      const [method, params] of [["resources/list", undefined], ["resources/read", {
        uri: "plasmite:///pools/p",
      }]] as const
    ) {
      const { error } = await json(await mcp(post(rpc(method, params)))) as { error: Any };
      assert.equal(error["code"], -32000);
      assert.equal((error["data"] as Any)["error_kind"], "Permission");
    }
    const ref = { ref: { type: "ref/prompt", name: "catch_up" } };
    const argument = { name: "pool", value: "" };
    const completed = await json(
      await mcp(post(rpc("completion/complete", { ...ref, argument }))),
    );
    assert.deepEqual(((completed["result"] as Any)["completion"] as Any)["values"], []);
    const fed = await (await mcp(post(tool("plasmite_feed", { pool: "p", data: {} })))).text();
    assert.match(fed, /Stored as message 1/);
  }));

Deno.test("mcp http: names that need it are encoded in URIs and found again", () =>
  withMcp({}, async (mcp, place) => {
    for (const name of ["späte züge", "100%", "a?b#c"]) {
      using pool = place.client.createPool(name);
      pool.append({ name });
    }
    const listed = await json(await mcp(post(rpc("resources/list"))));
    const resources = (listed["result"] as Any)["resources"] as { uri: string; name: string }[];
    assert.equal(resources.length, 3);
    for (const { uri, name } of resources) {
      const read = await json(await mcp(post(rpc("resources/read", { uri }))));
      const [content] = (read["result"] as Any)["contents"] as { text: string }[];
      assert.ok(content?.text.includes(JSON.stringify({ name })), content?.text);
    }
    for (
      const uri of [
        "plasmite://host/pools/x",
        "plasmite:///pools/",
        "plasmite:///pools/a/b",
        "plasmite:///other/a",
        "plasmite:///pools/a?",
        "plasmite:///pools/a#",
        "file:///pools/a",
        "nonsense",
      ]
    ) {
      const { error } = await json(await mcp(post(rpc("resources/read", { uri })))) as {
        error: Any;
      };
      assert.equal(error["code"], -32602, uri);
      assert.match(String(error["message"]), /plasmite/);
    }
  }));

Deno.test("mcp http: a client that goes away ends its wait", async () => {
  using place = new Place();
  place.client.createPool("p").close();
  const mcp = await createMcpFetch(place.client, { maxWaits: 1 });
  const args = { pool: "p", timeout_ms: 40_000 };
  const body = tool("plasmite_wait", args);
  // A wait that takes a moment is answered before it is over; leaving that answer ends it.
  const accept = "application/json, text/event-stream";
  for (
    const request of [
      post(body),
      post(body, { accept }),
      modernTool("plasmite_wait", args),
      modern("tools/call", { name: "plasmite_wait", arguments: args }, { accept }),
    ]
  ) {
    await (await mcp(request)).body?.cancel();
    let text = "";
    for (let tries = 0; tries < 500 && !text.includes('"timed_out":true'); tries++) {
      const next = tool("plasmite_wait", { pool: "p", timeout_ms: 0 });
      text = await (await mcp(post(next))).text();
    }
    assert.match(text, /"timed_out":true/);
  }
  await mcp.close();
});

// Every restart of the server broke the sessions of the clients that waited.
Deno.test("mcp http: a server that stops answers its waits first", async () => {
  using place = new Place();
  place.client.createPool("p").close();
  const accept = "application/json, text/event-stream";
  const args = { pool: "p", timeout_ms: 40_000 };
  for (const pause of [0, 100]) {
    const mcp = await createMcpFetch(place.client);
    const waits = [
      post(tool("plasmite_wait", args)),
      post(tool("plasmite_wait", args), { accept }),
      modernTool("plasmite_wait", args),
      modern("tools/call", { name: "plasmite_wait", arguments: args }, { accept }),
    ].map(async (request) => await (await mcp(request)).text());
    await new Promise((resolve) => setTimeout(resolve, pause));
    await mcp.close();
    for (const text of await Promise.all(waits)) assert.match(text, /"timed_out":true/);
  }
});

// A client that cancels one wait lost its session: a JSON answer that breaks off ends it in some.
Deno.test("mcp http: a wait that takes a moment is an event stream for who accepts one, else JSON", async () => {
  using place = new Place();
  using pool = place.client.createPool("p");
  await using served = await serveMcp(place.client);
  const cases: [string | undefined, boolean][] = [
    ["application/json, text/event-stream", true],
    ["Text/Event-Stream;q=0.5 , application/json", true],
    ["application/json, text/event-stream;q=0", false],
    ["application/json", false],
    ["*/*", false],
    [undefined, false],
  ];
  for (const [accept, events] of cases) {
    const answer = await fetch(served.url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(accept === undefined ? {} : { accept }),
      },
      body: tool("plasmite_wait", { pool: "p", timeout_ms: 30_000 }, 7),
    });
    assert.equal(answer.status, 200);
    const type = answer.headers.get("content-type") ?? "";
    assert.equal(type, events ? "text/event-stream" : "application/json", accept);
    pool.appendJson(new TextEncoder().encode('{"2":9007199254740993,"1":"a\\nb"}'));
    const text = await answer.text();
    const [, body = ""] = events ? /^event: message\ndata: (.*)$/m.exec(text) ?? [] : [text, text];
    const { id, result } = JSON.parse(body) as { id: number; result: { content: Any[] } };
    assert.equal(id, 7);
    assert.match(
      String(result.content[1]?.["text"]),
      /"data":\{"2":9007199254740993,"1":"a\\nb"\}/,
    );
    assert.ok(body.includes('"data":{"2":9007199254740993,'), body);
  }
});

// Clients give a request up after a minute: an agent that asked for 60 s always saw an error.
Deno.test("mcp http: a wait is answered in time, however long was asked for", () =>
  withMcp({ maxWaitMs: 30 }, async (mcp, place) => {
    assert.ok(LONGEST_WAIT <= 50_000);
    place.client.createPool("p").close();
    const args = { pool: "p", timeout_ms: 60_000 };
    for (const request of [post(tool("plasmite_wait", args)), modernTool("plasmite_wait", args)]) {
      assert.match(await (await mcp(request)).text(), /"timed_out":true/);
    }
  }));

Deno.test("mcp http: over a socket, too, a client that goes away gives its place back", async () => {
  using place = new Place();
  place.client.createPool("p").close();
  await using served = await serveMcp(place.client, { maxWaits: 1 });
  const ask = (args: Any, signal?: AbortSignal): Promise<Response> =>
    fetch(served.url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: tool("plasmite_wait", { pool: "p", ...args }),
      ...(signal === undefined ? {} : { signal }),
    });
  const gone = new AbortController();
  const left = await ask({ timeout_ms: 60_000 }, gone.signal);
  assert.match(await (await ask({ timeout_ms: 0 })).text(), /"Busy"/);
  gone.abort();
  await left.body?.cancel().catch(() => {});
  let text = "";
  for (let tries = 0; tries < 1000 && !text.includes('"timed_out":true'); tries++) {
    text = await (await ask({ timeout_ms: 0 })).text();
  }
  assert.match(text, /"timed_out":true/);
});

Deno.test("mcp http: many requests at once", async () => {
  using place = new Place();
  await using served = await serveMcp(place.client);
  const calls = Array.from({ length: 200 }, async (_, n) => {
    const body = tool("plasmite_feed", { pool: "many", data: { n }, create: true }, n);
    const response = await fetch(served.url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    const answer = await json(response);
    assert.equal(answer["id"], n);
    assert.match(JSON.stringify(answer), /Stored as message/);
  });
  await Promise.all(calls);
  using pool = place.client.openPool("many");
  assert.deepEqual(pool.bounds(), { oldestSeq: 1n, newestSeq: 200n });
});

Deno.test("mcp http: behind the server rebinding, foreign origins and missing tokens are refused", async () => {
  using place = new Place();
  const app = createApp(place.client, {
    token: "secret",
    mcp: () => createMcpFetch(place.client),
  });
  const cases: [Record<string, string>, number][] = [
    [{ authorization: "Bearer secret" }, 200],
    [{}, 401],
    [{ authorization: "Bearer wrong" }, 401],
    [{ authorization: "Bearer secret", host: "evil.example" }, 403],
    [{ authorization: "Bearer secret", origin: "https://evil.example" }, 403],
    [{ authorization: "Bearer secret", origin: "null" }, 403],
  ];
  try {
    for (const [headers, status] of cases) {
      const response = await app.fetch(post(rpc("ping"), { host: "127.0.0.1:9700", ...headers }));
      assert.equal(response.status, status, JSON.stringify(headers));
      await response.body?.cancel();
    }
  } finally {
    await app.shutdown();
  }
});

// A client that asks for a stream by GET has to be told what is allowed instead.
Deno.test("mcp http: behind the server every other method is 405 and names POST", async () => {
  using place = new Place();
  const app = createApp(place.client, { mcp: () => createMcpFetch(place.client) });
  try {
    for (const method of ["GET", "HEAD", "DELETE", "PUT", "PATCH", "OPTIONS"]) {
      const response = await app.request("/mcp", {
        method,
        headers: { accept: "text/event-stream" },
      });
      assert.equal(response.status, 405, method);
      assert.match(response.headers.get("allow") ?? "", /\bPOST\b/, method);
      await response.body?.cancel();
    }
  } finally {
    await app.shutdown();
  }
});

// A refusal without an id leaves the call open for a minute; a status that says no ends the session
// of some clients.
// Lost: who sends a wrong parameter is told that the server has a fault, and reports or retries it.
Deno.test("mcp http: wrong parameters are refused as wrong, and null counts as left out", () =>
  withMcp({}, async (mcp) => {
    const ref = { type: "ref/prompt", name: "watch_pool" };
    const argument = { name: "pool", value: "" };
    const wrong: [string, unknown][] = [
      ["tools/list", { cursor: 5 }],
      ["resources/list", { cursor: {} }],
      ["resources/templates/list", { cursor: [] }],
      ["prompts/list", { cursor: false }],
      ["resources/read", undefined],
      ["resources/read", { uri: null }],
      ["resources/subscribe", { uri: 5 }],
      ["resources/unsubscribe", {}],
      ["prompts/get", undefined],
      ["prompts/get", { name: 5 }],
      ["prompts/get", { name: "watch_pool", arguments: [] }],
      ["prompts/get", { name: "watch_pool", arguments: { pool: 5 } }],
      ["completion/complete", undefined],
      ["completion/complete", {}],
      ["completion/complete", { ref: "x", argument }],
      ["completion/complete", { ref: { type: "x" }, argument }],
      ["completion/complete", { ref: { type: "ref/prompt" }, argument }],
      ["completion/complete", { ref: { type: "ref/resource", name: "x" }, argument }],
      ["completion/complete", { ref }],
      ["completion/complete", { ref, argument: { name: "pool" } }],
      ["completion/complete", { ref, argument: { name: 1, value: "" } }],
      ["completion/complete", { ref, argument, context: 5 }],
      ["completion/complete", { ref, argument, context: { arguments: { a: 1 } } }],
    ];
    for (const [method, params] of wrong) {
      const about = `${method} ${JSON.stringify(params)}`;
      const answer = await json(await mcp(post(rpc(method, params, "mine"))));
      const { code, message } = answer["error"] as { code: number; message: string };
      assert.deepEqual([code, answer["id"]], [-32602, "mine"], about);
      assert.match(message, /^Invalid params: [^\n]+$/, about);
    }
    const good: [string, unknown][] = [
      ["tools/list", { cursor: null }],
      ["resources/list", { cursor: null, _meta: null }],
      ["resources/templates/list", { cursor: null }],
      ["prompts/list", { cursor: null }],
      ["prompts/get", { name: "ci_status", arguments: null }],
      ["prompts/get", { name: "watch_pool", arguments: { pool: "p", tags: null } }],
      ["completion/complete", { ref, argument, context: null }],
      ["completion/complete", { ref, argument, context: { arguments: null } }],
    ];
    for (const [method, params] of good) {
      const answer = await json(await mcp(post(rpc(method, params))));
      assert.ok("result" in answer, `${method} ${JSON.stringify(answer)}`);
    }
  }));

Deno.test("mcp http: a refused request gets its id back", () =>
  withMcp({}, async (mcp) => {
    const deep = `${"[".repeat(300)}${"]".repeat(300)}`;
    const call = (id: string, data: string): string =>
      `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"plasmite_feed",` +
      `"arguments":{"pool":"s","data":${data}}}}`;
    const cases: [Request, number, string][] = [
      [post(call('"deep"', deep)), 200, '"deep"'],
      [post(call("7", '"\\ud800"')), 200, "7"],
      [post(call("9007199254740993", "{}")), 200, "9007199254740993"],
      [post(call("1.5", "{}")), 200, "null"],
      [post(call("[1]", deep)), 400, "null"],
      [post(rpc("ping", { _meta: { progressToken: {} } }, 8)), 400, "8"],
      [post(rpc("ping", {}, 9), { "mcp-protocol-version": "1999-01-01" }), 400, "9"],
    ];
    for (const [request, status, id] of cases) {
      const response = await mcp(request);
      const text = await response.text();
      assert.equal(response.status, status, text);
      assert.ok(text.includes(`"id":${id}`), text);
      assert.ok(text.includes('"error"'), text);
    }
  }));

Deno.test("mcp http: any body gets an answer, and the server goes on", () =>
  withMcp({}, async (mcp) => {
    const methods = fc.constantFrom("initialize", "ping", "tools/call", "prompts/get", "x", 1);
    const bodies = fc.oneof(
      fc.string(),
      fc.jsonValue().map((value) => JSON.stringify(value)),
      fc.record({
        jsonrpc: fc.constantFrom("2.0", "1.0"),
        id: fc.jsonValue(),
        method: methods,
        params: fc.oneof(fc.jsonValue(), fc.record({ name: fc.string(), _meta: fc.jsonValue() })),
      }, { requiredKeys: [] }).map((value) => JSON.stringify(value)),
    );
    const versions = fc.constantFrom("2025-11-25", "2026-07-28", "x", "");
    await fc.assert(
      fc.asyncProperty(bodies, fc.option(versions, { nil: undefined }), async (body, version) => {
        const headers = version === undefined ? {} : { "mcp-protocol-version": version };
        const response = await mcp(post(body, headers));
        assert.ok([200, 202, 400, 404].includes(response.status), String(response.status));
        const text = await response.text();
        if (response.status === 202) assert.equal(text, "");
        else JSON.parse(text);
      }),
      { numRuns: 200 * Number(Deno.env.get("PLASMITE_TEST_SCALE") ?? 1) },
    );
    assert.equal((await mcp(post(rpc("ping")))).status, 200);
  }));
