/**
 * Bundles: many streams in one answer, each as good as alone (docs/spec/http-api.md 3).
 *
 * @module
 */

import assert from "node:assert/strict";
import type { App, Grant } from "../../server/app.ts";
import { until } from "../support/patience.ts";
import { spoil } from "../support/damaged_pool.ts";
import { type Ask, asking, BundleReader } from "./bundle_util.ts";
import { bench, read } from "./server_util.ts";
import { sharing } from "./shared_util.ts";

const PATH = "/v0/ui/streams";
const NO_FOLLOW = "no_follow=1";

async function opened(app: App, open: readonly Ask[], headers = {}): Promise<BundleReader> {
  return new BundleReader(await app.request(PATH, asking(open, [], headers)));
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

// Lost: rows of the seventh tab, or of all tabs when one of them asks for something else.
Deno.test("bundle: streams open and close while others run, each whole and in order", async () => {
  const { app, client, end } = await bench();
  using a = client.createPool("a");
  using b = client.createPool("b.c d");
  using c = client.createPool("c");
  for (let n = 1; n <= 3; n++) for (const pool of [a, b, c]) pool.append({ n });
  const answer = await app.request(PATH, asking([{ key: "1", pool: "a" }]));
  assert.equal(answer.headers.get("content-type"), "application/x-plasmite-streams");
  assert.equal(answer.headers.get("cache-control"), "no-cache, no-transform");
  const bundle = new BundleReader(answer);
  const path = `${PATH}/${await bundle.name()}`;
  await bundle.untilText("1", '"seq":3');
  const more = [
    { key: "2", pool: "b.c d", query: "since_seq=3" },
    { key: "3", pool: "c", query: `where=${encodeURIComponent(".data.n == 2")}` },
  ];
  assert.equal((await read(app.request(path, asking(more)))).text, '{"ok":true}');
  await bundle.untilText("2", '"seq":3');
  await bundle.untilText("3", '"seq":2');
  for (const pool of [a, b, c]) pool.append({ n: 4 });
  await bundle.untilText("1", '"seq":4');
  await bundle.untilText("2", '"seq":4');
  // In one request: one ends, another begins where it stopped.
  await read(app.request(path, asking([{ key: "4", pool: "a", query: "since_seq=5" }], ["1"])));
  a.append({ n: 5 });
  await bundle.untilText("4", '"seq":5');
  assert.deepEqual(bundle.seqs("1"), range(1, 4));
  assert.deepEqual(bundle.seqs("2"), [3, 4]);
  assert.deepEqual(bundle.seqs("3"), [2]);
  assert.deepEqual(bundle.seqs("4"), [5]);
  assert.equal(app.streams, 3);
  await bundle.leave();
  assert.equal(app.streams, 0);
  assert.equal((await read(app.request(path, asking([])))).status, 404);
  await end();
});

// Lost: what is wrong with a filter or a pool, or the rows of the other tabs because of it.
Deno.test("bundle: a refused stream has the error that it has alone, and the others go on", async () => {
  const { app, client, dir, get, end } = await bench({ heartbeatMs: 100_000 });
  using good = client.createPool("good");
  good.append({ n: 1 });
  await Deno.writeTextFile(`${dir}/broken.plasmite`, "no pool");
  const queries = [
    "since_seq=x",
    "max=1&max=1",
    "where=.data.",
    "where=.data.a = 1",
    "where=def f: f; f",
    "marks=1",
    "timeout_ms=99999999",
    "gap_policy=maybe",
    "q=",
  ];
  const asks: Ask[] = [
    ...queries.map((query, i) => ({ key: `q${i}`, pool: "good", query })),
    { key: "missing", pool: "missing" },
    { key: "broken", pool: "broken" },
    { key: "name", pool: "a/b" },
    { key: "ok", pool: "good" },
  ];
  const bundle = await opened(app, asks);
  for (const { key, pool, query = "" } of asks) {
    if (key === "ok") continue;
    const alone = await get(`/v0/ui/pools/${encodeURIComponent(pool)}/events?${query}`);
    assert.ok(alone.status >= 400, key);
    if (bundle.states.get(key) === undefined) await bundle.until((told) => told.key === key);
    assert.deepEqual(bundle.states.get(key), [alone.status], `${pool}?${query}`);
  }
  const again = await opened(app, [{ key: "f", pool: "good", query: "where=.data.a = 1" }]);
  const { error } = await again.until(({ key }) => key === "f");
  const alone = await get(`/v0/ui/pools/good/events?where=${encodeURIComponent(".data.a = 1")}`);
  assert.deepEqual(error, alone.json.error);
  assert.equal(typeof alone.json.error.suggestion.expression, "string");
  await bundle.untilText("ok", '"seq":1');
  good.append({ n: 2 });
  await bundle.untilText("ok", '"seq":2');
  await bundle.leave();
  await again.leave();
  await end();
});

// Lost: a stream that says nothing about why it stopped, and then all the others.
Deno.test("bundle: an error after the start, damage and lost messages are in the stream they concern", async () => {
  const { app, client, dir, end } = await bench();
  using p = client.createPool("p");
  using ring = client.createPool("ring", { sizeBytes: 65_536 });
  for (let n = 1; n <= 40; n++) p.append({ n });
  spoil(`${dir}/p.plasmite`, 28, 29, 30);
  for (let n = 1; n <= 2000; n++) ring.append({ n });
  const loop = encodeURIComponent(".data.n < 4 or (def f: f; f)");
  const bundle = await opened(app, [
    { key: "late", pool: "p", query: `${NO_FOLLOW}&where=${loop}` },
    { key: "damage", pool: "p" },
    { key: "gap", pool: "ring", query: "since_seq=1&gap_policy=error" },
  ]);
  await bundle.untilText("damage", '"seq":40');
  while (bundle.states.get("late")?.at(-1) !== "end") await bundle.next();
  while (bundle.states.get("gap")?.at(-1) !== "end") await bundle.next();
  assert.deepEqual(bundle.seqs("damage"), [...range(1, 27), ...range(31, 40)]);
  assert.match(bundle.texts.get("damage") ?? "", /\{"unreadable":\{"from":28,"to":30\}\}/);
  assert.deepEqual(bundle.seqs("late"), [1, 2, 3]);
  assert.match(bundle.texts.get("late") ?? "", /event: error\ndata: .*time budget.*\n\n$/);
  assert.deepEqual(bundle.seqs("gap"), []);
  assert.match(bundle.texts.get("gap") ?? "", /event: error\ndata: .*RetentionGap/);
  p.append({ n: 41 });
  await bundle.untilText("damage", '"seq":41');
  await bundle.leave();
  await end();
});

/** Bearer tokens `ann` and `bob`: each may read pools whose names begin with theirs. */
function twoPeople() {
  const ends = { ann: new AbortController(), bob: new AbortController() };
  const grants = new Map(
    Object.entries(ends).map(([name, { signal }]): [string, Grant] => [name, {
      subject: name,
      can: (need, pool) => need === "read" && !signal.aborted && (pool ?? name).startsWith(name),
      ended: signal,
    }]),
  );
  const authenticator = {
    authenticate: ({ headers }: Request) =>
      grants.get(headers.get("authorization")?.slice(7) ?? "") ?? "invalid" as const,
  };
  const as = (name: keyof typeof ends) => ({ authorization: `Bearer ${name}` });
  return { ends, authenticator, as };
}

/** A request for stream 1 of a pool, whose body ends only when it is let go on. */
function slowly(
  app: App,
  path: string,
  pool: string,
  headers = {},
): { readonly answer: Promise<Response>; readonly goOn: () => Promise<void> } {
  const { body, ...rest } = asking([{ key: "slow", pool }], [], headers);
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const bytes = new TextEncoder().encode(`${body}`);
  const begun = writer.write(bytes.subarray(0, 5));
  const goOn = async (): Promise<void> => {
    await begun;
    await writer.write(bytes.subarray(5));
    await writer.close();
  };
  return { answer: Promise.resolve(app.request(path, { ...rest, body: readable })), goOn };
}

// Lost: places for streams, to readers that left while they asked for more.
Deno.test("bundle: what is asked for while it ends opens nothing", async () => {
  const { app, client, end } = await bench();
  client.createPool("p").close();
  const bundle = await opened(app, [{ key: "1", pool: "p" }]);
  const { answer, goOn } = slowly(app, `${PATH}/${await bundle.name()}`, "p");
  await bundle.leave();
  await goOn();
  assert.equal((await read(answer)).status, 404);
  assert.equal(app.streams, 0);
  await end();
});

// Lost: messages, to a key that was revoked while it asked for them.
Deno.test("bundle: rights that end while it is asked for open nothing", async () => {
  const { ends, authenticator, as } = twoPeople();
  const { app, client, end } = await bench({ authenticator });
  using pool = client.createPool("ann1");
  pool.append({ n: 1 });
  const { answer, goOn } = slowly(app, PATH, "ann1", as("ann"));
  ends.ann.abort();
  await goOn();
  assert.equal((await read(answer)).text, "");
  assert.equal(app.streams, 0);
  await end();
});

// Lost: another person's messages, to whoever asks for them by way of a bundle.
Deno.test("bundle: every stream needs the right to its pool, and a bundle is its opener's alone", async () => {
  const { ends, authenticator, as } = twoPeople();
  const { app, client, end } = await bench({ authenticator });
  for (const name of ["ann1", "ann2", "bob1"]) {
    using pool = client.createPool(name);
    pool.append({ of: name });
  }
  assert.equal((await read(app.request(PATH, asking([])))).status, 401);
  const ann = await opened(
    app,
    [{ key: "1", pool: "ann1" }, { key: "2", pool: "bob1" }],
    as("ann"),
  );
  const bob = await opened(app, [{ key: "1", pool: "bob1" }], as("bob"));
  const path = `${PATH}/${await ann.name()}`;
  await ann.until(({ key, status }) => key === "2" && status === 403);
  await ann.untilText("1", "ann1");
  // Even who knows its name gets nothing into it or out of it.
  for (const who of ["bob", "eve", ""]) {
    const headers = { authorization: `Bearer ${who}` };
    const change = asking([{ key: "3", pool: "bob1" }], ["1"], headers);
    const { status } = await read(app.request(path, change));
    assert.equal(status, who === "bob" ? 404 : 401, who);
  }
  await read(app.request(path, asking([{ key: "4", pool: "ann2" }], [], as("ann"))));
  await ann.untilText("4", "ann2");
  using ann1 = client.openPool("ann1");
  ann1.append({ n: 2 });
  await ann.untilText("1", '"seq":2');
  await bob.untilText("1", "bob1");
  // Rights that end take their streams with them, and leave those of others.
  ends.ann.abort();
  await ann.rest();
  assert.equal(app.streams, 1);
  assert.equal((await read(app.request(PATH, asking([], [], as("ann"))))).status, 403);
  using bob1 = client.openPool("bob1");
  bob1.append({ n: 2 });
  await bob.untilText("1", '"seq":2');
  assert.ok(!JSON.stringify([...ann.texts]).includes("bob1"));
  await bob.leave();
  await end();
});

// Lost: the end of a key between the check of the request and the start of a stream.
Deno.test("bundle: rights that end while streams are opened end it at once", async () => {
  const ending = new AbortController();
  const grant: Grant = {
    subject: "ann",
    can: (_, pool) => {
      if (pool !== undefined) ending.abort();
      return true;
    },
    ended: ending.signal,
  };
  const { app, client, end } = await bench({ authenticator: { authenticate: () => grant } });
  using pool = client.createPool("p");
  pool.append({ n: 1 });
  const bundle = await opened(app, [{ key: "1", pool: "p" }]);
  await bundle.rest();
  await until(() => app.streams === 0);
  await end();
});

// Lost: whatever was written after a key had been taken away, in a tab that was still open.
Deno.test("bundle: a revoked key ends its bundle, in a server with keys; that of others goes on", async () => {
  await using server = await sharing({ maxTailTimeoutMs: 600_000 });
  using pool = server.client.createPool("p");
  pool.append({ n: 1 });
  const gone = await server.invite("gone", { pools: ["p"], rights: "read" });
  const stays = await server.invite("stays");
  const init = asking([{ key: "1", pool: "p" }]);
  const ask = {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: `${init.body}`,
  };
  const mine = await server.remote(gone).send(PATH, ask);
  const other = await server.remote(stays).send(PATH, ask);
  assert.match(await mine.first(), /^\{"bundle":"[0-9a-f]{64}"\}\n/);
  await other.first();
  await server.revoke("gone");
  assert.ok(!(await mine.text()).includes("error"));
  assert.equal((await server.remote(gone).send(PATH, ask)).status, 401);
  pool.append({ n: 2 });
  const here = new BundleReader(await fetch(`http://${server.running.local}${PATH}`, init));
  await here.untilText("1", '"seq":2');
  await here.leave();
  other.destroy();
});

Deno.test("bundle: wrong requests change nothing", async () => {
  const { app, client, end } = await bench();
  client.createPool("p").close();
  const bundle = await opened(app, [{ key: "1", pool: "p" }]);
  const path = `${PATH}/${await bundle.name()}`;
  await bundle.until(({ key }) => key === "1");
  const wrong = [
    "",
    "[]",
    '{"open":[{"key":"2","pool":"p"},{"key":"2","pool":"p"}]}',
    '{"open":[{"key":"","pool":"p"}]}',
    '{"open":[{"key":"2"}]}',
    '{"open":[{"key":2,"pool":"p"}]}',
    '{"open":[{"key":"2","pool":"p","query":3}]}',
    '{"open":"p"}',
    '{"open":[],"open":[]}',
    '{"close":["1",2]}',
    `{"close":[${Array(257).fill('"1"')}]}`,
  ];
  const taken = '{"open":[{"key":"1","pool":"p"}]}';
  for (const where of [PATH, path]) {
    for (const text of where === PATH ? wrong : [...wrong, taken]) {
      const answer = await read(app.request(where, { ...asking([]), body: text }));
      assert.equal(answer.status, 400, `${where} ${text}`);
      assert.equal(answer.json.error.kind, "Usage");
    }
    const form = { method: "POST", body: "{}", headers: { "content-type": "text/plain" } };
    assert.equal((await read(app.request(where, form))).status, 415);
  }
  assert.equal((await read(app.request(`${PATH}/none`, asking([])))).status, 404);
  assert.equal((await read(app.request(PATH))).status, 405);
  assert.equal(app.streams, 1);
  // A key is free again when its stream has ended.
  await read(app.request(path, asking([{ key: "1", pool: "p" }], ["1"])));
  await bundle.until(({ key, status }) => key === "1" && status === 200);
  assert.equal(app.streams, 1);
  await bundle.leave();
  await end();
});

// Lost: the server's memory, and places for everybody else.
Deno.test("bundle: it takes a place, and so does each of its streams, until they end in any way", async () => {
  const { app, client, end } = await bench({ maxTailConcurrency: 3 });
  client.createPool("p").close();
  const p = (...keys: string[]): Ask[] => keys.map((key) => ({ key, pool: "p" }));
  const first = await opened(app, p("1", "2", "3"));
  const path = `${PATH}/${await first.name()}`;
  const { key } = await first.until(({ status }) => status === 423);
  assert.equal((await read(app.request(PATH, asking([])))).status, 423);
  assert.equal((await read(app.request("/v0/pools/p/tail"))).status, 423);
  const open = ["1", "2", "3"].filter((one) => one !== key);
  await read(app.request(path, asking([], open.slice(0, 1))));
  assert.equal(app.streams, 1);
  await read(app.request(path, asking(p("4"))));
  await first.until((told) => told.key === "4" && told.status === 200);
  assert.equal((await read(app.request("/v0/pools/p/tail"))).status, 423);
  await first.leave();
  const second = await opened(app, p("1", "2"));
  await second.until((told) => told.key === "1" && told.status === 200);
  await second.until((told) => told.key === "2" && told.status === 200);
  await app.shutdown();
  await second.rest();
  assert.equal(app.streams, 0);
  await end();
});

Deno.test("bundle: it has at most 256 streams, those included whose errors nobody has read", async () => {
  const { app, end } = await bench({ maxTailConcurrency: 1000 });
  const some = (from: number, to: number): Ask[] =>
    range(from, to).map((n) => ({ key: `${n}`, pool: "missing" }));
  assert.equal((await read(app.request(PATH, asking(some(1, 257))))).status, 400);
  const bundle = await opened(app, some(1, 200));
  const path = `${PATH}/${await bundle.name()}`;
  assert.equal((await read(app.request(path, asking(some(201, 257))))).status, 423);
  assert.equal((await read(app.request(path, asking(some(201, 256))))).status, 200);
  for (let n = 0; n < 256; n++) assert.equal((await bundle.next())?.status, 404);
  assert.equal((await read(app.request(path, asking(some(257, 500))))).status, 200);
  await bundle.leave();
  await end();
});

// Lost: the rows of a quiet pool, behind the hundred thousand of a busy one.
Deno.test("bundle: streams take turns, however much one of them has to say", async () => {
  const { app, client, end } = await bench();
  using noisy = client.createPool("noisy", { sizeBytes: 1 << 24 });
  using quiet = client.createPool("quiet");
  const text = "x".repeat(1000);
  for (let n = 1; n <= 8000; n++) noisy.append({ n, text });
  quiet.append({ n: 1 });
  const noisies = ["1", "2", "3"].map((key) => ({ key, pool: "noisy", query: NO_FOLLOW }));
  const bundle = await opened(app, [...noisies, { key: "quiet", pool: "quiet" }]);
  await bundle.untilText("1", '"seq":1,');
  await bundle.untilText("quiet", '"seq":1,');
  // 8 MB in pieces of 64 kB: each has had few turns when the last one has had its first.
  for (const { key } of noisies) {
    assert.ok(bundle.seqs(key).length < 1000, `${bundle.seqs(key).length}`);
  }
  quiet.append({ n: 2 });
  await bundle.untilText("quiet", '"seq":2,');
  while (noisies.some(({ key }) => bundle.states.get(key)?.at(-1) !== "end")) await bundle.next();
  for (const { key } of noisies) assert.deepEqual(bundle.seqs(key), range(1, 8000));
  await bundle.leave();
  await end();
});

// Lost: the server's memory to a tab that sleeps; and messages, without a word.
Deno.test("bundle: for a reader that does not read little is held, and nothing is left out", async () => {
  const { app, client, get, end } = await bench();
  using pool = client.createPool("p", { sizeBytes: 1 << 22 });
  const text = "x".repeat(1000);
  const asks = ["1", "2"].map((key) => ({ key, pool: "p" }));
  const bundle = await opened(app, asks);
  let n = 0;
  const add = (count: number) => {
    for (let i = 0; i < count; i++) pool.append({ n: ++n, text });
  };
  add(1);
  for (const { key } of asks) await bundle.untilText(key, '"seq":1,');
  const delivered = async (): Promise<number> =>
    Number(/messages_streamed_total (\d+)/.exec((await get("/metrics")).text)?.[1]);
  add(3000);
  // What has been taken out of the pool for it is a piece of each stream, then nothing more.
  let taken = -1;
  await until(async () => {
    const before = taken;
    await new Promise((resolve) => setTimeout(resolve, 200));
    taken = await delivered();
    return taken > asks.length && before === taken;
  });
  assert.ok(taken < 500, `${taken}`);
  // Half of it is overwritten now.
  add(6000);
  while (!bundle.seqs("1").includes(n) || !bundle.seqs("2").includes(n)) await bundle.next();
  for (const { key } of asks) {
    const seqs = bundle.seqs(key);
    assert.ok(seqs.every((seq, i) => i === 0 || seq > (seqs[i - 1] ?? 0)), "each once, in order");
    const oldest = Number((await get("/v0/pools/p/info")).json.pool.bounds.oldest);
    assert.deepEqual(seqs.filter((seq) => seq >= oldest), range(oldest, n));
    assert.ok(seqs.length < n, "some were overwritten");
  }
  await bundle.leave();
  await end();
});

Deno.test("bundle: lost messages end a stream that wants to know, before any later one", async () => {
  const { app, client, end } = await bench();
  using pool = client.createPool("p", { sizeBytes: 1 << 20 });
  const text = "x".repeat(1000);
  const where = encodeURIComponent(".data.n > 0");
  const query = `since_seq=1&gap_policy=error&where=${where}`;
  const bundle = await opened(app, [{ key: "1", pool: "p", query }]);
  await bundle.until(({ status }) => status === 200);
  for (let n = 1; n <= 3000; n++) pool.append({ n, text });
  while (bundle.states.get("1")?.at(-1) !== "end") await bundle.next();
  const seqs = bundle.seqs("1");
  assert.deepEqual(seqs, range(1, seqs.length));
  const [, error = "{}"] = /event: error\ndata: (.*)\n\n$/.exec(bundle.texts.get("1") ?? "") ?? [];
  assert.equal(JSON.parse(error).error.kind, "RetentionGap");
  assert.equal(JSON.parse(error).error.seq, seqs.length + 1);
  await bundle.leave();
  await end();
});

// Lost: places, to clients that have gone away without a word.
Deno.test("bundle: one whose reader takes nothing is cut off, one without streams ends", async () => {
  const limits = { maxTailTimeoutMs: 50, readerGraceMs: 50, maxTailConcurrency: 2 };
  const { app, client, end } = await bench(limits);
  using pool = client.createPool("p");
  pool.append({ n: 1 });
  const slow = await app.request(PATH, asking([{ key: "1", pool: "p" }]));
  await until(async () => {
    const next = await app.request(PATH, asking([]));
    const text = await next.text();
    if (next.status !== 200) return false;
    // Nothing was asked of it: it ends by itself.
    assert.match(text, /^\{"bundle":"\w+"\}\n$/);
    return true;
  });
  await until(() => app.streams === 0);
  await assert.rejects(slow.text(), /too slow/);
  await end();
});

Deno.test("bundle: heartbeats when there is nothing to say, of the bundle and of streams", async () => {
  const { app, client, get, end } = await bench({ heartbeatMs: 20 });
  using pool = client.createPool("p");
  pool.append({ n: 1 });
  const bundle = await opened(app, []);
  const path = `${PATH}/${await bundle.name()}`;
  await bundle.until(({ beat }) => beat === true);
  await read(app.request(path, asking([{ key: "1", pool: "p" }])));
  await bundle.untilText("1", ": next 2\n\n");
  const followers = async () => (await get("/v0/pools/p/info")).json.pool.followers;
  assert.equal(await followers(), 1);
  await read(app.request(path, asking([], ["1"])));
  assert.equal(await followers(), 0);
  await bundle.leave();
  await end();
});

Deno.test("bundle: a stream's time is its own, and the next one goes on behind it", async () => {
  const { app, client, end } = await bench();
  using pool = client.createPool("p");
  pool.append({ n: 1 });
  const bundle = await opened(app, [{ key: "1", pool: "p", query: "timeout_ms=100" }]);
  const path = `${PATH}/${await bundle.name()}`;
  await bundle.until(({ key, end }) => key === "1" && end === true);
  pool.append({ n: 2 });
  const seqs = bundle.seqs("1");
  const next = (seqs.at(-1) ?? 0) + 1;
  const query = `since_seq=${next}`;
  await read(app.request(path, asking([{ key: "1", pool: "p", query }])));
  await bundle.untilText("1", '"seq":2');
  assert.deepEqual(bundle.seqs("1"), [1, 2]);
  await bundle.leave();
  await end();
});

// Lost: a place, to a tab that had been closed before its stream was open.
Deno.test("bundle: a stream that is closed while it is opened gives its place back", async () => {
  const { app, client, get, end } = await bench({ maxTailTimeoutMs: 600_000 });
  using pool = client.createPool("p");
  pool.append({ n: 1 });
  const bundle = await opened(app, []);
  const path = `${PATH}/${await bundle.name()}`;
  const query = `where=${encodeURIComponent(".data.n == last(range(2e5))")}`;
  const opening = read(app.request(path, asking([{ key: "0", pool: "p", query }])));
  await Promise.all([opening, read(app.request(path, asking([], ["0"])))]);
  // The bundle and its stream.
  await until(async () => /streams_opened_total 2\n/.test((await get("/metrics")).text));
  await until(() => app.streams === 0);
  await bundle.leave();
  assert.deepEqual(bundle.states.get("0") ?? [], []);
  await end();
});
