/**
 * The library as a program meets it: what its types accept, what a message shows of itself, what is
 * refused instead of swallowed, and what `tail` selects, local and remote alike.
 *
 * @module
 */

import assert from "node:assert/strict";
import { inspect } from "node:util";
import { pathToFileURL } from "node:url";
import {
  type AppendOptions,
  type AsyncPool,
  Client,
  connect,
  ErrorKind,
  type Message,
  type NatsClient,
  type NatsPool,
  parseMessage,
  PlasmiteError,
  RemoteClient,
  RemotePool,
  replay,
  type TailOptions,
} from "../../mod.ts";

import { createMcpFetch } from "../../mcp/http.ts";
import { createApp } from "../../server/app.ts";
import { inTemp } from "../cli/cli_util.ts";
import { serve } from "./remote_util.ts";
import { ROOT } from "../support/paths.ts";

/** What `connect` may return. */
type Anything = Client | RemoteClient | RemotePool | NatsClient | NatsPool;

interface Reading {
  n: number;
  note?: string;
}

/** Runs a body with the same pool twice: from its file, and from a server. */
async function onBoth(
  body: (pool: AsyncPool<Reading>, local: Client) => Promise<void>,
): Promise<void> {
  await inTemp(async (dir) => {
    using client = new Client(dir);
    using pool = client.pool<Reading>("p");
    await body(pool, client);
  });
  await inTemp(async (dir) => {
    await using server = serve({ dir });
    await using client = server.client();
    await using pool = await client.pool<Reading>("p");
    await body(pool, server.local);
  });
}

/** A value that the types would not let through. */
function any(value: unknown): never {
  return value as never;
}

function isUsage(error: unknown): boolean {
  return PlasmiteError.is(error, ErrorKind.Usage) && (error.hint ?? "") !== "";
}

/** Makes sure that a call is Usage, by throwing or by rejecting. */
async function refused(what: string, call: () => unknown): Promise<void> {
  await assert.rejects(
    async () => await call(),
    (error) => isUsage(error) || assert.fail(`${what}: ${error}`),
    what,
  );
}

async function numbers(pool: AsyncPool<Reading>, options: TailOptions): Promise<number[]> {
  const found: number[] = [];
  const untilSeq = (await pool.infoAsync()).bounds.newestSeq ?? 0n;
  for await (const { data } of pool.tail({ untilSeq, ...options })) found.push(data.n);
  return found;
}

/** Appends again and again until a tail, which takes a while to begin, has its first message. */
async function live(
  pool: AsyncPool<Reading>,
  options: TailOptions,
  appended: readonly number[],
): Promise<Reading> {
  await using tail = pool.tail(options);
  let found: Reading | undefined;
  const first = tail.next().then(({ value }) => found = value?.data);
  while (found === undefined) {
    for (const n of appended) await pool.appendAsync({ n });
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await first;
  return found;
}

// Lost: `interface` is how most people write a type down, and it was refused.
Deno.test("types: an interface can be the type of a pool's data, local and remote", () =>
  onBoth(async (pool) => {
    const message: Message<Reading> = await pool.appendAsync({ n: 1, note: "typed" });
    const n: number = message.data.n;
    assert.equal(n, 1);
    // @ts-expect-error n is a number
    await pool.appendAsync({ n: "1" });
    const [two] = await pool.appendBatch([{ n: 2 }]);
    assert.equal(two?.data.note satisfies string | undefined, undefined);
    for await (const { data } of pool.tail({ maxMessages: 1 })) assert.equal(data.note, "typed");
  }));

// Lost: every use of connect() began with a cast.
Deno.test("types: connect() is a client of a directory, of a server, or a pool, by its argument", async () => {
  using local: Client = connect("./pools");
  assert.ok(local instanceof Client);
  using home: Client = connect();
  assert.ok(home.poolDir.endsWith(".plasmite/pools"));
  using named: Client = connect(undefined, { poolDir: "/somewhere", integers: "bigint" });
  assert.equal(named.poolDir, "/somewhere");
  const port = 9700;
  await using remote: RemoteClient = connect(`http://127.0.0.1:${port}`);
  await using slash: RemoteClient = connect("https://example.com/", { token: "t" });
  assert.equal(remote.baseUrl.href, "http://127.0.0.1:9700/");
  assert.ok(slash instanceof RemoteClient);
  await using pool: RemotePool = connect("http://127.0.0.1:9700/ci");
  assert.equal(pool.poolRef(), "http://127.0.0.1:9700/ci");
  // What is not known when it is compiled can be any of them.
  const unknown: string = "./pools";
  const some: Anything = connect(unknown);
  // @ts-expect-error it could be a server
  some satisfies Client;
  assert.ok(some instanceof Client);
  const url: Anything = connect(new URL("http://h:1/a%20b"));
  assert.ok(url instanceof RemotePool && url.name === "a b");
});

// Lost: the address that works everywhere on the command line was "must not include a path".
Deno.test("connect() takes a pool's URL, and the pool works", () =>
  inTemp(async (dir) => {
    await using server = serve({ dir, token: "secret" });
    server.local.createPool("build").close();
    await using pool = connect(`${server.url}/build`, { token: "secret" });
    assert.ok(pool instanceof RemotePool);
    assert.equal((await pool.append({ step: "test" })).seq, 1n);
    assert.deepEqual((await pool.get(1)).data, { step: "test" });
    for (const form of ["v0/pools/build", "pools/build", "pool/build"]) {
      await using same = connect(`${server.url}/${form}`, { token: "secret" }) as RemotePool;
      assert.equal((await same.info()).name, "build");
    }
    await using missing = connect(`${server.url}/none`, { token: "secret" }) as RemotePool;
    await assert.rejects(
      missing.append({}),
      (error) => PlasmiteError.is(error, ErrorKind.NotFound),
    );
  }));

// Lost: a mistyped address went to a directory of that name, or to a host without its password.
Deno.test("connect() refuses what it cannot understand", async () => {
  for (
    const target of [
      "http://h/a/b",
      "http://h/a?x=1",
      "http://h/a#x",
      "http://user:secret@h/a",
      "http://user:secret@h",
      "http://",
      "ftp://h/a",
      "file://other-machine/pools",
      "file:///a%ff",
    ]
  ) {
    await refused(target, () => connect(target));
  }
  await refused("5", () => connect(any(5)));
  await refused("null", () => connect(any(null)));
  await refused("two directories", () => connect("./a", { poolDir: "./b" }));
  await refused("a misspelt option", () => connect("http://h", any({ tokn: "secret" })));
  assert.equal((connect("file:///a%20b/c%25d") as Client).poolDir, "/a b/c%d");
});

// Lost: console.log, the first thing that everybody tries, showed a message without its content.
Deno.test("messages show their data and tags: log, spread, structuredClone, JSON, a worker", () =>
  onBoth(async (pool) => {
    const data = { n: 1, note: "shown", deep: { big: 2n ** 60n } };
    const appended = await pool.appendAsync(data, { tags: ["t1", "t2"] });
    const read = await pool.getAsync(1);
    for (const message of [appended, read]) {
      for (const text of [Deno.inspect(message), inspect(message), Deno.inspect([message])]) {
        assert.match(text, /shown/);
        assert.match(text, /t1.*t2/s);
        assert.match(text, /seq: 1n/);
        assert.match(text, /1152921504606846976n/);
      }
      for (const copy of [{ ...message }, structuredClone(message), Object.assign({}, message)]) {
        assert.deepEqual(copy.data, data);
        assert.deepEqual(copy.tags, ["t1", "t2"]);
        assert.equal(copy.seq, 1n);
        assert.equal(copy.timestampNs, message.timestampNs);
        assert.deepEqual(parseMessage(copy), message, "a copy can be made a message again");
      }
      const json = JSON.stringify(message);
      assert.match(json, /"note":"shown"/);
      assert.match(json, /"big":1152921504606846976\b/);
      assert.deepEqual(JSON.parse(json).meta, { tags: ["t1", "t2"] });
      assert.throws(() => any(Object.assign(message, { data: {} })), TypeError);
    }
    // A message in the data of another one keeps its numbers.
    const nested = await pool.appendAsync(any({ n: 2, of: read }));
    const { of } = any(nested.data) as { of: { seq: unknown; data: unknown } };
    assert.equal(of.seq, 1);
    assert.deepEqual(of.data, data);
  }));

const WRONG_APPENDS: [string, unknown[]][] = [
  ["a tag that is no list", [{ n: 1 }, "tag"]],
  ["a list with a number", [{ n: 1 }, ["a", 1]]],
  ["null for tags", [{ n: 1 }, null]],
  ["a number for tags", [{ n: 1 }, 5]],
  ["a Map of options", [{ n: 1 }, new Map([["tags", ["a"]]])]],
  ["a misspelt option", [{ n: 1 }, { tag: ["a"] }]],
  ["tags in options that are no list", [{ n: 1 }, { tags: "a" }]],
  ["a signal that is none", [{ n: 1 }, { signal: {} }]],
  ["an unknown durability", [{ n: 1 }, [], "sync"]],
  ["a durability twice", [{ n: 1 }, { tags: [] }, "flush"]],
  ["a time that is no bigint", [{ n: 1 }, { timestampNs: 5 }]],
];

// Lost: append(data, "urgent") was stored without its tag, and nobody was told.
Deno.test("append: wrong kinds and unknown options are Usage, and nothing is stored", () =>
  onBoth(async (pool, local) => {
    const { append } = any(pool) as { append(...args: unknown[]): unknown };
    for (const [what, args] of WRONG_APPENDS) {
      await refused(`append: ${what}`, () => append.apply(pool, args));
      const [data, options] = args;
      if (args.length !== 2) continue;
      await refused(`appendAsync: ${what}`, () => pool.appendAsync(any(data), any(options)));
      await refused(`appendBatch: ${what}`, () => pool.appendBatch([any(data)], any(options)));
    }
    await refused("tags in place of options", () => pool.appendAsync({ n: 1 }, any(["tag"])));
    await refused("a batch that is no array", () => pool.appendBatch(any({ n: 1 })));
    const raw = any(pool) as { appendLite3(payload: unknown): unknown };
    await refused("a payload that is text", () => raw.appendLite3("text"));
    assert.equal(local.poolInfo("p").bounds.newestSeq, null);
    const options: AppendOptions = { tags: ["a"], durability: "flush" };
    assert.deepEqual((await (append.call(pool, { n: 1 }, options) as Promise<Message>)).tags, [
      "a",
    ]);
  }));

class Secretive {
  readonly #inside = 1;
  get value(): number {
    return this.#inside;
  }
}
class Point {
  x = 1;
  y = 2;
}
const cycle: Record<string, unknown> = {};
cycle["self"] = cycle;

// Lost: a Map was stored as {}, and its content was gone.
Deno.test("append: what JSON would empty or bend is Usage; what it keeps is kept", () =>
  onBoth(async (pool, local) => {
    const values = {
      "a Map": new Map([["a", 1]]),
      "a Set": new Set([1]),
      "bytes": new Uint8Array(2),
      "a buffer": new ArrayBuffer(2),
      "an Error": new TypeError("x"),
      "a RegExp": /x/,
      "a Promise": Promise.resolve(1),
      "Headers": new Headers([["a", "b"]]),
      "a class that shows nothing": new Secretive(),
      "an invalid Date": new Date(NaN),
      "a function": () => 1,
      "a symbol": Symbol("x"),
      "NaN": NaN,
      "Infinity": Infinity,
      "an integer of 65 bits": 2n ** 64n,
      "a lone surrogate": "\ud800",
      "a cycle": cycle,
      "a getter that throws": Object.defineProperty({}, "x", {
        enumerable: true,
        get: () => assert.fail("boom"),
      }),
      "a toJSON that throws": { toJSON: () => assert.fail("boom") },
    };
    for (const [what, value] of Object.entries(values)) {
      await refused(what, () => pool.appendAsync(any({ n: 1, value })));
      await refused(`${what} in an array`, () => pool.appendAsync(any({ n: 1, list: [value] })));
      await refused(`${what} as data`, () => pool.appendAsync(any(value)));
    }
    for (const data of [undefined, null, "text", 5, true, [1], new Date(0), new Number(1)]) {
      await refused(`${data} as data`, () => pool.appendAsync(any(data)));
    }
    assert.equal(local.poolInfo("p").bounds.newestSeq, null);

    const { data } = await pool.appendAsync(any({
      n: 1,
      left: undefined,
      date: new Date(0),
      url: new URL("http://h/"),
      point: new Point(),
      bare: Object.assign(Object.create(null), { a: 1 }),
      boxed: new Number(5),
      own: { toJSON: () => ({ told: true }) },
      list: [undefined, 1],
      empty: {},
    }));
    assert.deepEqual(data, {
      n: 1,
      date: "1970-01-01T00:00:00.000Z",
      url: "http://h/",
      point: { x: 1, y: 2 },
      bare: { a: 1 },
      boxed: 5,
      own: { told: true },
      list: [null, 1],
      empty: {},
    });
  }));

// Lost: an append in a getter of the data put its own message in the place of the outer one.
Deno.test("append: within the data of another append it is refused, and neither is stored", () =>
  inTemp((dir) => {
    using client = new Client(dir);
    using pool = client.pool("p");
    const data = {
      get inner() {
        return pool.append({ n: 1 }).seq;
      },
    };
    assert.throws(() => pool.append(data), isUsage);
    assert.equal(pool.bounds().newestSeq, null);
    assert.equal(pool.append({ n: 2 }).data["n"], 2);
  }));

// Lost: what a local pool refused, a remote one stored, cut off at the first value.
Deno.test("append: bytes are read by one encoder, local and remote", () =>
  onBoth(async (pool, local) => {
    const bytes = (text: string) => new TextEncoder().encode(text);
    for (
      const text of ['{"a":1} junk', '{"a":1}{"b":2}', '{"a":1}\0', "", " ", "[1]", "1", '{"a":}']
        .concat('{"a":NaN}', '{"a":1,}', "{'a':1}", "\ufeff1")
    ) {
      await refused(JSON.stringify(text), () => pool.appendAsync(bytes(text)));
      await refused(JSON.stringify(text), () => pool.appendBatch([bytes(text)]));
    }
    await refused("no UTF-8", () => pool.appendAsync(new Uint8Array([0x7b, 0x22, 0xff, 0x22])));
    assert.equal(local.poolInfo("p").bounds.newestSeq, null);
    const { data } = await pool.appendAsync(bytes(' {"n": 9007199254740993, "n2": [1.5, null]}\n'));
    assert.deepEqual(data, { n: 9007199254740993n, n2: [1.5, null] });
  }));

const WRONG_TAILS: [string, unknown][] = [
  ["a misspelt timeout", { timeoutms: 50 }],
  ["an option of another call", { speed: 2 }],
  ["a list", ["tag"]],
  ["null", null],
  ["text", "oldest"],
  ["a Map", new Map([["timeoutMs", 5]])],
  ["from a word that it does not know", { from: "start" }],
  ["from a number", { from: 5 }],
  ["a negative number", { sinceSeq: -1 }],
  ["a number as text", { sinceSeq: "1" }],
  ["a fraction", { maxMessages: 1.5 }],
  ["a time as text", { timeoutMs: "50" }],
  ["a time that is no number", { timeoutMs: NaN }],
  ["an idle time that is null", { idleTimeoutMs: null }],
  ["a flag that is a number", { errorOnGap: 1 }],
  ["a callback that is none", { onGap: true }],
  ["a signal that is none", { signal: new AbortController() }],
  ["tags with a number", { tags: [1] }],
  ["a filter that is no text", { where: 5 }],
  ["a filter that is a function", { where: () => true }],
  ["a filter that does not parse", { where: ".data.n >" }],
  ["one of two filters that does not parse", { where: [".data.n > 1", "]"] }],
  ["since a number", { since: 5 }],
  ["since nonsense", { since: "yesterday" }],
  ["since no time", { since: new Date(NaN) }],
  ["since before time", { since: -1n }],
  ["since beyond time", { since: 2n ** 64n }],
  ["since a number of nanoseconds", { sinceTimeNs: 5 }],
  ["since twice", { since: "5m", sinceTimeNs: 5n }],
];

// Lost: tail({ where }) delivered everything, tail({ timeoutms }) never ended.
Deno.test("tail: unknown options and wrong kinds are Usage, before anything is delivered", () =>
  onBoth(async (pool) => {
    await pool.appendAsync({ n: 1 });
    const both = any(pool) as {
      tail(options: unknown): AsyncIterable<unknown>;
      tailLite3(options: unknown): AsyncIterable<unknown>;
    };
    for (const [what, options] of WRONG_TAILS) {
      for (const call of ["tail", "tailLite3"] as const) {
        await refused(`${call}: ${what}`, async () => {
          for await (const _ of both[call](options)) assert.fail(`${what} was delivered`);
        });
      }
    }
    const local = pool as { reconnect?: boolean };
    if (!(local instanceof RemotePool)) {
      await refused("reconnect on a local pool", () => both.tail({ reconnect: true }));
    } else {
      await refused("reconnect that is no flag", () => both.tail({ reconnect: "yes" }));
      assert.deepEqual(await numbers(pool, any({ reconnect: true })), [1]);
    }
    assert.deepEqual(await numbers(pool, any({ tags: undefined, signal: undefined })), [1]);
  }));

// Lost: the filter of the command line was not there for programs, and nothing said so.
Deno.test("tail: where selects, as --where does", () =>
  onBoth(async (pool) => {
    for (let n = 1; n <= 6; n++) {
      await pool.appendAsync(n === 4 ? any({ other: true }) : { n }, { tags: n > 2 ? ["t"] : [] });
    }
    assert.deepEqual(await numbers(pool, { where: ".data.n > 4" }), [5, 6]);
    assert.deepEqual(await numbers(pool, { where: [".data.n > 1", ".data.n < 5"] }), [2, 3]);
    assert.deepEqual(
      await numbers(pool, { where: '.meta.tags == ["t"] and .data.n > 3', tags: "t" }),
      [5, 6],
    );
    assert.deepEqual(await numbers(pool, { where: ".data.n > 1", maxMessages: 2 }), [2, 3]);
    assert.deepEqual(await numbers(pool, { where: ".data.n != 5", untilSeq: 5 }), [1, 2, 3]);
    assert.deepEqual(await numbers(pool, { where: [] }), [1, 2, 3, any(undefined), 5, 6]);
    // jq itself.
    assert.deepEqual(
      await numbers(pool, { where: '(.data | tojson) == "{"n":3}"'.replaceAll('"n"', '\\"n\\"') }),
      [3],
    );
    // Live ones as well.
    const found = await live(pool, { where: ".data.n > 6", from: "end" }, [1, 7]);
    assert.equal(found.n, 7);
    await refused("a filter that yields a number", () => numbers(pool, { where: ".data.n" }));
  }));

// Lost: the last five minutes meant counting nanoseconds in a bigint.
Deno.test("tail: since is a Date, a text or nanoseconds; live messages pass", () =>
  onBoth(async (pool, local) => {
    using writer = local.openPool<Reading>("p");
    const now = Temporal.Now.instant().epochNanoseconds;
    for (const [n, seconds] of [[1, 7200], [2, 600], [3, 240], [4, 1]] as const) {
      writer.append({ n }, { timestampNs: now - BigInt(seconds) * 10n ** 9n });
    }
    const ago = (seconds: number) => now - BigInt(seconds) * 10n ** 9n;
    assert.deepEqual(await numbers(pool, { since: "5m" }), [3, 4]);
    assert.deepEqual(await numbers(pool, { since: "1h" }), [2, 3, 4]);
    assert.deepEqual(await numbers(pool, { since: " 300S " }), [3, 4]);
    assert.deepEqual(await numbers(pool, { since: "300000ms" }), [3, 4]);
    assert.deepEqual(await numbers(pool, { since: "9999999d" }), [1, 2, 3, 4]);
    assert.deepEqual(await numbers(pool, { since: new Date(Number(ago(700)) / 1e6) }), [2, 3, 4]);
    assert.deepEqual(await numbers(pool, { since: new Date(-1) }), [1, 2, 3, 4]);
    assert.deepEqual(await numbers(pool, { since: ago(300) }), [3, 4]);
    assert.deepEqual(await numbers(pool, { since: ago(240) }), [3, 4], "inclusive");
    assert.deepEqual(await numbers(pool, { since: ago(239) }), [4]);
    assert.deepEqual(await numbers(pool, { sinceTimeNs: ago(300) }), [3, 4]);
    const text = Temporal.Instant.fromEpochNanoseconds(ago(300)).toString();
    assert.deepEqual(await numbers(pool, { since: text }), [3, 4]);
    assert.deepEqual(await numbers(pool, { since: "5m", where: ".data.n != 3" }), [4]);
    const soon = new Date(Date.now() + 3_600_000);
    assert.equal((await live(pool, { since: soon }, [5])).n, 5);
  }));

// Lost: replay took what tail took, but for its new options.
Deno.test("replay: where and since select before the last so many; mistakes are Usage", () =>
  inTemp(async (dir) => {
    using client = new Client(dir);
    using pool = client.pool<Reading>("p");
    const now = Temporal.Now.instant().epochNanoseconds;
    for (let n = 1; n <= 6; n++) {
      pool.append({ n }, { timestampNs: now - BigInt(7 - n) * 60n * 10n ** 9n });
    }
    const replayed = async (options: Parameters<typeof pool.replay>[0]): Promise<number[]> => {
      const found: number[] = [];
      for await (const { data } of pool.replay({ speed: 0, ...options })) found.push(data.n);
      return found;
    };
    assert.deepEqual(await replayed({ where: ".data.n > 4" }), [5, 6]);
    assert.deepEqual(await replayed({ where: ".data.n < 5", last: 2 }), [3, 4]);
    assert.deepEqual(await replayed({ since: "150s" }), [5, 6]);
    assert.deepEqual(await replayed({ since: new Date(Date.now() - 210_000), last: 1 }), [6]);
    for (
      const options of [{ spede: 2 }, { speed: "2" }, { last: -1 }, { errorOnGap: true }, null, []]
        .concat(any([{ where: "]" }, { since: "soon" }, { signal: 1 }, { tags: 1 }]))
    ) {
      await refused(JSON.stringify(options), async () => {
        for await (const _ of pool.replay(any(options))) assert.fail("it was delivered");
      });
    }
    await refused("no pool", () => replay(any({})).next());
  }));

// Lost: a token under a wrong name is a server without a token.
Deno.test("clients, servers and pools refuse options that they do not know", async () => {
  await refused("Client", () => new Client(any({ pooldir: "/x" })));
  await refused("Client", () => new Client(any({ poolDir: 5 })));
  await refused("Client", () => new Client(any({ integers: "exact" })));
  await refused("Client", () => new Client(any(5)));
  await refused("Client", () => new Client(any(null)));
  const http = "http://127.0.0.1:1";
  await refused("RemoteClient", () => new RemoteClient(http, any({ tokn: "x" })));
  await refused("RemoteClient", () => new RemoteClient(http, any({ token: 5 })));
  await refused("RemoteClient", () => new RemoteClient(http, any({ timeoutMs: "5" })));
  await refused("RemoteClient", () => new RemoteClient(http, any({ timeoutMs: NaN })));
  await refused("RemoteClient", () => new RemoteClient(http, any({ fetch: {} })));
  await refused("RemoteClient", () => new RemoteClient(http, any({ integers: 1 })));
  await refused("RemoteClient", () => new RemoteClient(http, any("token")));
  await refused("RemoteClient", () => new RemoteClient(any(undefined)));
  await refused("tls", () => new RemoteClient(http, any({ tls: { skipverify: true } })));
  await refused("tls", () => new RemoteClient(http, any({ tls: { skipVerify: "yes" } })));
  await refused("tls", () => new RemoteClient(http, any({ tls: { caCerts: "PEM" } })));
  await refused("tls", () => new RemoteClient(http, any({ tls: true })));
  await inTemp(async (dir) => {
    using client = new Client(dir);
    await refused("createApp", () => createApp(client, any({ tokn: "secret" })));
    await refused("createApp", () => createApp(client, any({ access: "readonly" })));
    await refused("createApp", () => createApp(client, any({ loopbackOnly: "no" })));
    await refused("createApp", () => createApp(client, any({ corsOrigins: "http://h" })));
    await refused("createApp", () => createApp(client, any({ maxBodyBytes: "1M" })));
    await refused("createMcpFetch", () => createMcpFetch(client, any({ acess: "read-only" })));
    await refused("createMcpFetch", () => createMcpFetch(client, any({ access: "readonly" })));
    for (const size of [{ size: 65536 }, { sizeBytes: "64K" }, "64K", -1, 1.5, null, [65536]]) {
      await refused(`size ${JSON.stringify(size)}`, () => client.createPool("p", any(size)));
    }
    await refused("indexCapacity", () => client.createPool("p", any({ indexCapacity: "8" })));
    await refused("indexCapacity", () => client.createPool("p", { indexCapacity: 1.5 }));
    for (const name of [undefined, null, 5, {}]) {
      await refused(`${name}`, () => client.openPool(any(name)));
      await refused(`${name}`, () => client.pool(any(name)));
      await refused(`${name}`, () => client.deletePool(any(name)));
      await refused(`${name}`, () => client.poolInfo(any(name)));
      await refused(`${name}`, () => connect(http).openPool(any(name)));
    }
    assert.deepEqual(client.listPools(), []);
    using pool = client.createPool("p", { sizeBytes: 65536n, indexCapacity: 8 });
    assert.equal(pool.info().indexCapacity, 8);
    for (const seq of ["1", null, undefined, -1, 0.5, {}]) {
      await refused(`get(${seq})`, () => pool.get(any(seq)));
    }
    await refused("openStream", () => pool.openStream(1, 1, 1, any("yes")));
    await refused("openStream", () => pool.openStream(any("1")));
  });
});

/** Runs a program on the library in a process of its own. */
async function program(
  dir: string,
  permissions: readonly string[],
  text: string,
  uid?: number,
): Promise<{ code: number; out: string }> {
  const file = `${dir}/program.ts`;
  await Deno.writeTextFile(
    file,
    `import { Client, PlasmiteError } from ${JSON.stringify(pathToFileURL(`${ROOT}mod.ts`))};
     using client = new Client(${JSON.stringify(`${dir}/pools`)});\n${text}`,
  );
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-check", "--quiet", "--no-lock", ...permissions, file],
    stdin: "null",
    ...(uid === undefined ? {} : { uid, gid: uid }),
  }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout) + decoder.decode(stderr) };
}

const READS = `
  using pool = client.openPool("p");
  console.log(pool.get(1).data.n, pool.info().bounds.newestSeq, client.pool("p").bounds().oldestSeq);
  for await (const { data } of pool.tail({ where: ".data.n > 1", maxMessages: 1 })) console.log(data.n);
  for await (const { seq } of pool.replay({ speed: 0, last: 1 })) console.log(seq);
  using stream = pool.openStream(1, 1);
  console.log(stream.nextJson().length > 0, client.validatePool("p").status);
  for (const call of [
    () => pool.append({ n: 3 }),
    () => pool.appendAsync({ n: 3 }),
    () => pool.appendBatch([{ n: 3 }]),
  ]) {
    try {
      await call();
      console.log("appended");
    } catch (error) {
      console.log(error.kindName, PlasmiteError.is(error), error.path === pool.path);
    }
  }`;
const READ = "1 2n 1n\n2\n2n\ntrue ok\n" + "Permission true true\n".repeat(3);

// Lost: a dashboard that may only read could not read: opening wanted to write.
Deno.test("a pool that Deno may only read is read with --allow-read alone; appending is Permission", () =>
  inTemp(async (dir) => {
    using client = new Client(`${dir}/pools`);
    using pool = client.pool<Reading>("p");
    for (const n of [1, 2]) pool.append({ n });
    const before = await Deno.readFile(pool.path);
    const read = await program(dir, ["--allow-read"], READS);
    assert.equal(read.out, READ);
    const some = await program(dir, ["--allow-read", `--allow-write=${dir}/elsewhere`], READS);
    assert.equal(some.out, READ);
    assert.deepEqual(await Deno.readFile(pool.path), before);
    const missing = await program(dir, ["--allow-read"], 'client.openPool("none");');
    assert.match(missing.out, /not found/);
    const blind = await program(dir, [`--allow-read=${ROOT}`], 'client.openPool("p");');
    assert.match(blind.out, /Requires read access|permission denied/);
  }));

// Lost: the same, where it is the file that may only be read.
Deno.test({
  name: "a pool file without write permission is read; appending is Permission",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inTemp(async (dir) => {
      {
        using client = new Client(`${dir}/pools`);
        using pool = client.pool<Reading>("p");
        for (const n of [1, 2]) pool.append({ n });
      }
      await Deno.chmod(`${dir}/pools/p.plasmite`, 0o444);
      if (Deno.uid() !== 0) return assert.equal((await program(dir, ["-A"], READS)).out, READ);
      // Root may write all the same: in a file system that is read-only, nobody can.
      using client = new Client(`${dir}/pools`);
      using pool = client.openPool<Reading>("p");
      assert.equal(pool.append({ n: 3 }).seq, 3n);
    }),
});

// Lost: write permission that is granted later was of no use to a pool that was open.
Deno.test("a pool that was opened for reading is written as soon as it may be", () =>
  inTemp(async (dir) => {
    using client = new Client(`${dir}/pools`);
    client.pool("p").close();
    const { out } = await program(
      dir,
      ["--allow-read", "--allow-write"],
      `const path = client.poolDir + "/p.plasmite";
       Deno.permissions.revokeSync({ name: "write" });
       using pool = client.openPool("p");
       try { pool.append({ n: 1 }); } catch (error) { console.log(error.kindName); }
       console.log(pool.bounds().newestSeq);`,
    );
    assert.equal(out, "Permission\nnull\n");
    using pool = client.openPool("p");
    pool.close();
    for (const call of [() => pool.append({}), () => pool.get(1), () => pool.bounds()]) {
      assert.throws(call, isUsage);
    }
  }));
