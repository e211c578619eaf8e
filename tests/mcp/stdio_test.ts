/**
 * Standard input and output against hostile and clumsy peers: every line gets the answer it should,
 * nothing ends the server but the end of input, and that ends it at once.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { LocalBackend } from "../../lib/backend/local.ts";
import { Hubs } from "../../lib/backend/local/hub.ts";
import { listPrompts, promptText } from "../../mcp/prompts.ts";
import { serveConnection } from "../../mcp/stdio.ts";
import { METHODS } from "../../mcp/frame.ts";
import { type Any, command, Place, until } from "./mcp_util.ts";

/** A connection in this process. */
class Connection {
  readonly lines: Any[] = [];
  readonly ended: Promise<void>;
  broken = false;
  #queue: Uint8Array[] = [];
  #wake: (() => void) | undefined;
  #over = false;
  #rest = "";

  constructor(place: Place, longestLine?: number, maxWaitMs?: number) {
    this.ended = serveConnection(new LocalBackend(place.dir, { serving: new Hubs() }), {
      version: "1",
      input: { read: (into) => this.#read(into) },
      output: { write: (bytes) => this.#write(bytes) },
      ...(longestLine === undefined ? {} : { longestLine }),
      ...(maxWaitMs === undefined ? {} : { maxWaitMs }),
    });
  }

  async #read(into: Uint8Array): Promise<number | null> {
    while (this.#queue.length === 0) {
      if (this.#over) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const next = this.#queue.shift() ?? new Uint8Array(0);
    const length = Math.min(next.length, into.length);
    into.set(next.subarray(0, length));
    if (length < next.length) this.#queue.unshift(next.subarray(length));
    return length;
  }

  #write(bytes: Uint8Array): Promise<number> {
    if (this.broken) return Promise.reject(new Deno.errors.BrokenPipe("gone"));
    const parts = (this.#rest + new TextDecoder().decode(bytes)).split("\n");
    this.#rest = parts.pop() ?? "";
    for (const part of parts) this.lines.push(JSON.parse(part) as Any);
    return Promise.resolve(bytes.length);
  }

  bytes(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    this.#wake?.();
  }

  text(text: string): void {
    this.bytes(new TextEncoder().encode(text));
  }

  send(message: unknown): void {
    this.text(JSON.stringify(message) + "\n");
  }

  call(id: number, name: string, args: unknown): void {
    const params = { name, arguments: args };
    this.send({ jsonrpc: "2.0", id, method: "tools/call", params });
  }

  /** The answer to a request, once it is there. */
  async answer(id: number): Promise<Any> {
    await until(() => this.lines.some((line) => line["id"] === id));
    return this.lines.find((line) => line["id"] === id) ?? {};
  }

  async end(): Promise<void> {
    this.#over = true;
    this.#wake?.();
    await this.ended;
  }
}

function codeOf(line: Any | undefined): unknown {
  return (line?.["error"] as Any | undefined)?.["code"];
}

function resultOf(line: Any): Any {
  return (line["result"] as Any)["structuredContent"] as Any;
}

/** A request whose parameters are nested too deep. */
function deep(id: string): string {
  const params = `{"name":"plasmite_feed","arguments":{"pool":"s","data":${"[".repeat(300)}`;
  return `{"jsonrpc":"2.0",${id},"method":"tools/call","params":${params}${"]".repeat(300)}}}}`;
}

Deno.test("mcp stdio: lines that are no requests are answered one by one", async () => {
  using place = new Place();
  const peer = new Connection(place);
  const cases: [string, number | undefined, unknown][] = [
    ["not json", -32700, null],
    ["   ", -32700, null],
    ["\ufeff{}", -32700, null],
    ['{"jsonrpc":"2.0","id":1,"method":"ping"} x', -32700, null],
    ["[".repeat(200) + "]".repeat(200), -32700, null],
    // Whoever gets no id back waits for an answer until the time is over.
    [deep('"id":"deep"'), -32700, "deep"],
    [deep('"id":21'), -32700, 21],
    [deep('"id":[22]'), -32700, null],
    ['{"jsonrpc":"2.0","id":23,"method":"ping","params":{"a":"\\ud800"}}', -32700, 23],
    [
      '{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"\\udc00"},"id":"last"}',
      -32700,
      "last",
    ],
    ["[]", -32600, null],
    ['[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600, null],
    ["7", -32600, null],
    ["{}", -32600, null],
    ['{"jsonrpc":"1.0","id":7,"method":"ping"}', -32600, 7],
    ['{"jsonrpc":"2.0","id":8}', -32600, 8],
    ['{"jsonrpc":"2.0","id":9,"method":1}', -32600, 9],
    ['{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600, null],
    ['{"jsonrpc":"2.0","id":1e2,"method":"ping"}', -32600, null],
    ['{"jsonrpc":"2.0","id":-0,"method":"ping"}', -32600, null],
    ['{"jsonrpc":"2.0","id":true,"method":"ping"}', -32600, null],
    ['{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600, null],
    ['{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}', -32600, 9007199254740992],
    ['{"jsonrpc":"2.0","id":10,"method":"no/such"}', -32601, 10],
    ['{"jsonrpc":"2.0","id":11,"method":"no/such","params":[1]}', -32601, 11],
    ['{"jsonrpc":"2.0","id":12,"method":"tools/list","params":[1]}', -32602, 12],
    ['{"jsonrpc":"2.0","id":13,"method":"tools/call"}', -32602, 13],
    ['{"jsonrpc":"2.0","id":14,"method":"tools/call","params":{}}', -32602, 14],
    ['{"jsonrpc":"2.0","id":15,"method":"tools/call","params":{"name":"no"}}', -32602, 15],
    [
      '{"jsonrpc":"2.0","id":16,"method":"tools/call","params":{"name":"plasmite_pool_list","arguments":[]}}',
      -32602,
      16,
    ],
    ['{"jsonrpc":"2.0","id":17,"method":"resources/read","params":{}}', -32602, 17],
    [
      '{"jsonrpc":"2.0","id":18,"method":"resources/read","params":{"uri":"file:///etc"}}',
      -32602,
      18,
    ],
    ['{"jsonrpc":"2.0","id":19,"method":"ping"}', undefined, 19],
    ['{"jsonrpc":"2.0","id":-3,"method":"tools/list","params":null}\r\r', undefined, -3],
    ['{"jsonrpc":"2.0","id":"text","method":"initialize"}', undefined, "text"],
    [
      '{"jsonrpc":"2.0","id":20,"method":"tools/call","params":{"name":"plasmite_pool_list","arguments":null}}',
      undefined,
      20,
    ],
  ];
  for (const [line, code, id] of cases) {
    const before = peer.lines.length;
    peer.text(`${line}\n\n`);
    await until(() => peer.lines.length > before);
    const answer = peer.lines[before];
    assert.equal(codeOf(answer), code, line);
    assert.equal(answer?.["id"], id, line);
    assert.equal(answer?.["jsonrpc"], "2.0");
  }
  // Answers and unknown notifications are dropped, and no tool runs without an id.
  peer.send({ jsonrpc: "2.0", id: 1, result: {} });
  peer.send({ jsonrpc: "2.0", method: "notifications/whatever" });
  const params = { name: "plasmite_pool_create", arguments: { name: "unasked" } };
  peer.send({ jsonrpc: "2.0", method: "tools/call", params });
  const count = peer.lines.length;
  peer.send({ jsonrpc: "2.0", id: 99, method: "ping" });
  await peer.answer(99);
  assert.equal(peer.lines.length, count + 1);
  await peer.end();
  assert.deepEqual(place.client.listPools(), []);
});

Deno.test("mcp stdio: invalid UTF-8 and oversized lines cost one line", async () => {
  using place = new Place();
  const peer = new Connection(place, 10_000);
  peer.bytes(new Uint8Array([0x7b, 0xff, 0xfe, 0x7d, 0x0a]));
  peer.text(`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"${"y".repeat(50_000)}"}}\n`);
  peer.text('{"jsonrpc":"2.0","id":2,');
  peer.text('"method":"ping"}'); // The last line has no end.
  await peer.end();
  assert.deepEqual(peer.lines.map(codeOf), [-32700, -32700, undefined]);
  assert.match(String((peer.lines[1]?.["error"] as Any)["message"]), /longer than 10000 bytes/);
  assert.equal(peer.lines[2]?.["id"], 2);
});

Deno.test("mcp stdio: what is piped in runs in order and is answered, waits end at once", async () => {
  using place = new Place();
  const peer = new Connection(place);
  peer.send({ jsonrpc: "2.0", id: 1, method: "initialize" });
  peer.call(2, "plasmite_wait", { pool: "none" });
  peer.call(3, "plasmite_pool_create", { name: "order" });
  for (let n = 0; n < 50; n++) peer.call(10 + n, "plasmite_feed", { pool: "order", data: { n } });
  peer.call(4, "plasmite_wait", { pool: "order", timeout_ms: 60_000 });
  peer.call(5, "plasmite_read", { pool: "order", count: 200 });
  // A wait that went on would be given up after 30 s, without an answer.
  await peer.end();
  const byId = new Map(peer.lines.map((line) => [line["id"], line]));
  assert.equal(byId.size, 55);
  assert.equal(resultOf(byId.get(2) ?? {})["timed_out"], true);
  assert.equal(resultOf(byId.get(4) ?? {})["timed_out"], true);
  const { messages } = resultOf(byId.get(5) ?? {}) as { messages: Any[] };
  assert.deepEqual(messages.map((m) => (m["data"] as Any)["n"]), [...Array(50).keys()]);
});

Deno.test("mcp stdio: waits run beside calls, cancelled ones are not answered", async () => {
  using place = new Place();
  place.client.createPool("p").close();
  const peer = new Connection(place);
  peer.send({ jsonrpc: "2.0", id: 1, method: "initialize" });
  peer.call(2, "plasmite_wait", { pool: "p", timeout_ms: 60_000, tags: ["a"] });
  peer.call(3, "plasmite_wait", { pool: "p", timeout_ms: 60_000, tags: ["b"] });
  peer.call(4, "plasmite_wait", { pool: "p", timeout_ms: 60_000 });
  peer.send({ jsonrpc: "2.0", id: 5, method: "ping" });
  await peer.answer(5);
  const params = { requestId: 3 };
  peer.send({ jsonrpc: "2.0", method: "notifications/cancelled", params });
  peer.call(6, "plasmite_feed", { pool: "p", data: {}, tags: ["b"] });
  assert.equal((resultOf(await peer.answer(4))["messages"] as Any[]).length, 1);
  peer.call(7, "plasmite_feed", { pool: "p", data: {}, tags: ["a"] });
  assert.equal((resultOf(await peer.answer(2))["messages"] as Any[]).length, 1);
  // An id that is running cannot be used twice.
  peer.call(8, "plasmite_wait", { pool: "p", timeout_ms: 60_000 });
  const before = peer.lines.length;
  peer.send({ jsonrpc: "2.0", id: 8, method: "ping" });
  await until(() => peer.lines.length > before);
  assert.equal(codeOf(peer.lines[before]), -32600);
  await peer.end();
  assert.equal(peer.lines.some((line) => line["id"] === 3), false);
});

// Clients give a request up after a minute: an agent that asked for 60 s always saw an error, and
// the prompts made it ask.
Deno.test("mcp stdio: a wait is answered in time, and prompts leave time for it", async () => {
  using place = new Place();
  place.client.createPool("p").close();
  const peer = new Connection(place, undefined, 30);
  peer.call(1, "plasmite_wait", { pool: "p", timeout_ms: 60_000 });
  assert.equal(resultOf(await peer.answer(1))["timed_out"], true);
  await peer.end();
  const given = { pool: "p", agent: "a", files: "f" };
  for (const { name } of listPrompts()) {
    const prompt = promptText(name, given);
    assert.ok("text" in prompt);
    const waits = [...prompt.text.matchAll(/plasmite_wait with (\{.*?\})[ .]/g)];
    for (const [, args = ""] of waits) {
      const [, ms] = /"timeout_ms":(\d+)/.exec(args) ?? [];
      assert.ok(Number(ms) <= 45_000, `${name}: ${args}`);
    }
  }
});

// Lost: a client that shows the pools showed those of its start forever.
Deno.test("mcp stdio: a client of the older era is told when pools come and go", async () => {
  using place = new Place();
  const peer = new Connection(place);
  const params = {
    protocolVersion: "2025-06-18",
    capabilities: {},
    clientInfo: { name: "c", version: "1" },
  };
  peer.send({ jsonrpc: "2.0", id: 1, method: "initialize", params });
  const { capabilities } = (await peer.answer(1))["result"] as { capabilities: Any };
  assert.equal((capabilities["resources"] as Any)["listChanged"], true);
  peer.send({ jsonrpc: "2.0", method: "notifications/initialized" });
  const told = (): number =>
    peer.lines.filter(({ method }) => method === "notifications/resources/list_changed").length;
  // The first look, which says what there was before, may come late.
  for (let n = 0; told() === 0; n++) {
    assert.ok(n < 200, "nothing was told within a minute");
    place.client.createPool(`p${n}`).close();
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  await peer.end();
});

Deno.test("mcp stdio: a peer that stops reading ends the connection quietly", async () => {
  using place = new Place();
  place.client.createPool("p").close();
  const peer = new Connection(place);
  peer.send({ jsonrpc: "2.0", id: 1, method: "initialize" });
  await peer.answer(1);
  peer.call(2, "plasmite_wait", { pool: "p", timeout_ms: 60_000 });
  peer.broken = true;
  peer.send({ jsonrpc: "2.0", id: 3, method: "ping" });
  // It ends although the input goes on and a wait is open.
  await peer.ended;
});

Deno.test("mcp stdio: numbers and keys of data are stored and shown as they were written", async () => {
  using place = new Place();
  const peer = new Connection(place);
  const data = '{"10":1,"2":9223372036854775807,"a":-9007199254740993,"f":1.0,"z":{"b":1,"1":2}}';
  peer.text(
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"plasmite_feed","arguments":` +
      `{"pool":"exact","data":{"lost":true},"data": ${data} ,"create":true}}}\n`,
  );
  peer.text(
    '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"plasmite_read","arguments":' +
      '{"pool":"exact","after_seq":18446744073709551615}}}\n',
  );
  const fed = await peer.answer(1);
  const [, receipt] = (fed["result"] as Any)["content"] as { text: string }[];
  assert.match(
    receipt?.text ?? "",
    /^\{"message":\{"meta":\{"tags":\[\]\},"seq":1,"time":"[^"]+"\}\}$/,
  );
  const raw = JSON.stringify(fed);
  assert.equal(raw.includes("plasmite:"), false, "a wrapper came out");
  await peer.answer(2);
  await peer.end();
  using pool = place.client.openPool("exact");
  const [, stored] = /"data":(.*),"meta"/.exec(new TextDecoder().decode(pool.getJson(1))) ?? [];
  assert.equal(stored, data);
});

Deno.test("mcp stdio: the command itself keeps the bytes exact, speaks protocol only, exits 0", async () => {
  using place = new Place();
  const { command: program, args } = command(place.dir);
  const child = new Deno.Command(program, {
    args,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"plasmite_feed","arguments":' +
      '{"pool":"p","create":true,"data":{"7":9007199254740993,"1":"ü"}}}}\n' +
      "junk\n" +
      '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"plasmite_wait","arguments":' +
      '{"pool":"p","after_seq":0}}}',
  ));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  const lines = new TextDecoder().decode(stdout).trimEnd().split("\n");
  assert.equal(lines.length, 3);
  for (const line of lines) JSON.parse(line);
  const exact = lines.filter((line) => line.includes('"data":{"7":9007199254740993,"1":"ü"}'));
  assert.equal(exact.length, 2);
});

const ENVELOPE = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": {},
};
const LISTEN = { method: "subscriptions/listen" };

Deno.test("mcp stdio: every request gets exactly one answer, whatever it asks for", async () => {
  const others = ["logging/setLevel", "notifications/initialized", "no/such"];
  const methods = fc.constantFrom(...METHODS, ...others);
  const envelope = fc.constant(ENVELOPE);
  const params = fc.oneof(
    fc.jsonValue(),
    fc.record({
      name: fc.constantFrom("plasmite_pool_list", "plasmite_read", "catch_up", "x"),
      arguments: fc.oneof(fc.jsonValue(), fc.record({ pool: fc.constantFrom("p", "q") })),
      uri: fc.constantFrom("plasmite:///pools/p", "plasmite:///pools/q", "x"),
      protocolVersion: fc.constantFrom("2025-11-25", "2024-11-05", "?"),
      _meta: fc.oneof(fc.jsonValue(), envelope),
    }, { requiredKeys: [] }),
  );
  const requests = fc.array(
    fc.record({ method: methods, params }, { requiredKeys: ["method"] }),
    { minLength: 1, maxLength: 12 },
  );
  await fc.assert(
    fc.asyncProperty(requests, async (list) => {
      using place = new Place();
      const peer = new Connection(place);
      list.forEach((request, id) => peer.send({ jsonrpc: "2.0", id, ...request }));
      await peer.end();
      const ids = peer.lines.filter((line) => "result" in line || "error" in line);
      assert.deepEqual(
        ids.map((line) => line["id"]).sort((a, b) => Number(a) - Number(b)),
        [...list.keys()],
      );
    }),
    {
      numRuns: 60 * Number(Deno.env.get("PLASMITE_TEST_SCALE") ?? 1),
      // Subscriptions that are refused right before the end of input: the end swallowed the refusal.
      examples: [
        [[{ method: "server/discover", params: { _meta: ENVELOPE } }, LISTEN]],
        [[{ method: "initialize", params: { _meta: ENVELOPE } }, LISTEN, LISTEN]],
        [[{ ...LISTEN, params: { _meta: ENVELOPE } }, LISTEN]],
      ],
    },
  );
});
