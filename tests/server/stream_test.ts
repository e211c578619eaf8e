/**
 * Tails and events (docs/spec/http-api.md 3, 12), in-process.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Client } from "../../mod.ts";
import { openToAppend } from "../../lib/pool/mending.ts";
import { disk } from "../../lib/storage/file.ts";
import type { App } from "../../server/app.ts";
import { Follower } from "../../lib/backend/local/follower.ts";
import { bench, lines, read } from "./server_util.ts";
import { append, payload } from "../support/rings.ts";
import { until } from "../support/patience.ts";

/** Numbers `from` to `to`. */
function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

async function seqs(app: App, path: string): Promise<number[]> {
  const { status, text } = await read(app.request(path));
  assert.equal(status, 200, text);
  return lines(text).map(({ seq }) => seq);
}

Deno.test("server tail: history, bounds and filters", async () => {
  const { app, client, get, end } = await bench();
  using pool = client.createPool("p");
  for (let i = 1; i <= 20; i++) {
    pool.append({ i, even: i % 2 === 0 }, {
      tags: i % 3 === 0 ? ["three", "x,y"] : [],
      timestampNs: BigInt(i) * 1_000_000_000n,
    });
  }
  const tail = "/v0/pools/p/tail?no_follow=1";
  assert.deepEqual(await seqs(app, tail), range(1, 20));
  assert.deepEqual(await seqs(app, `${tail}&since_seq=18`), [18, 19, 20]);
  assert.deepEqual(await seqs(app, `${tail}&since_seq=0&max=2&gap_policy=error`), [1, 2]);
  assert.deepEqual(await seqs(app, `${tail}&since_seq=21`), []);
  assert.deepEqual(await seqs(app, `${tail}&max=0`), []);
  assert.deepEqual(await seqs(app, "/v0/pools/p/tail?timeout_ms=0"), []);
  assert.deepEqual(await seqs(app, `${tail}&tag=three&tag=%20x,y%20&tag=`), [3, 6, 9, 12, 15, 18]);
  assert.deepEqual(await seqs(app, `${tail}&where=${encodeURIComponent(".data.i > 18")}`), [
    19,
    20,
  ]);
  assert.deepEqual(
    await seqs(app, `${tail}&tag=three&where=${encodeURIComponent(".data.even")}&max=2`),
    [6, 12],
  );
  assert.deepEqual(await seqs(app, `${tail}&since=1970-01-01T00:00:15Z`), range(15, 20));
  assert.deepEqual(await seqs(app, `${tail}&since=10m`), []);
  assert.deepEqual(await seqs(app, "/v0/pools/p/tail?max=3&unknown=1"), [1, 2, 3]);
  const answer = await get(`${tail}&max=1`);
  assert.equal(answer.headers.get("content-type"), "application/jsonl");
  assert.equal(
    answer.text,
    '{"data":{"i":1,"even":false},"meta":{"tags":[]},"seq":1,"time":"1970-01-01T00:00:01Z"}\n',
  );
  await end();
});

Deno.test("server tail: wrong parameters are refused before anything else", async () => {
  const { client, get, end } = await bench({ maxTailTimeoutMs: 1000 });
  client.createPool("p").close();
  const bad = [
    "since_seq=",
    "since_seq=x",
    "since_seq=-1",
    "since_seq=1.0",
    "max=+1",
    "max=1&max=1",
  ]
    .concat("since_seq=18446744073709551616", "timeout_ms=1001", "gap_policy=maybe", "no_follow=x")
    .concat(
      "since=yesterday",
      "where=",
      "where=.data.",
      "where=.a&where=.b",
      "timeout_ms=1&timeout_ms=1",
    );
  for (const query of bad) {
    for (const route of ["pools/p/tail", "pools/p/tail_lite3", "ui/pools/p/events"]) {
      const { status, json } = await get(`/v0/${route}?${query}`);
      assert.equal(status, 400, query);
      assert.equal(json.error.kind, "Usage");
    }
  }
  assert.equal(
    (await get("/v0/pools/p/tail?timeout_ms=1001")).json.error.message,
    "tail timeout exceeds server limit",
  );
  assert.equal((await get("/v0/pools/p/tail_lite3?gap_policy=error")).status, 400);
  for (const route of ["pools/p/tail", "ui/pools/p/events"]) {
    const { status, json } = await get(`/v0/${route}?marks=1&no_follow=1`);
    assert.deepEqual([status, json.error.kind], [400, "Usage"], `${route} has no marks`);
  }
  assert.equal((await get("/v0/pools/nope/tail")).status, 404);
  assert.equal((await get("/v0/pools/nope/tail_lite3?since_seq=1")).status, 404);
  await end();
});

Deno.test("server tail: live messages, deadline, and the end at max", async () => {
  const { app, client, end } = await bench();
  using pool = client.createPool("p");
  pool.append({ i: 1 });
  const live = read(app.request("/v0/pools/p/tail?since_seq=2&max=3"));
  for (const i of [2, 3, 4]) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    pool.append({ i });
  }
  assert.deepEqual(lines((await live).text).map(({ data }) => data.i), [2, 3, 4]);
  const start = performance.now();
  assert.deepEqual(await seqs(app, "/v0/pools/p/tail?timeout_ms=150"), [1, 2, 3, 4]);
  assert.ok(performance.now() - start >= 149, "a live tail must not end early");
  await end();
});

Deno.test("server tail: a wrapped ring is read from its oldest message, with gaps on request", async () => {
  const { app, client, get, end } = await bench();
  using pool = client.createPool("p", 8192);
  for (let i = 1; i <= 40; i++) pool.append({ i, pad: "x".repeat(200) });
  const { oldestSeq, newestSeq } = pool.bounds();
  const oldest = Number(oldestSeq);
  assert.ok(oldest > 2);
  const all = range(oldest, Number(newestSeq));
  assert.deepEqual(await seqs(app, "/v0/pools/p/tail?no_follow=1"), all);
  assert.deepEqual(await seqs(app, "/v0/pools/p/tail?no_follow=1&gap_policy=error"), all);
  assert.deepEqual(await seqs(app, "/v0/pools/p/tail?no_follow=1&since_seq=2"), all);
  assert.deepEqual(
    await seqs(app, `/v0/pools/p/tail?no_follow=1&gap_policy=error&since_seq=${oldest}`),
    all,
  );
  const [error] = lines((await get("/v0/pools/p/tail?gap_policy=error&since_seq=2")).text);
  assert.equal(error.error.kind, "RetentionGap");
  assert.equal(error.error.seq, 2);
  assert.equal(
    error.error.message,
    `messages 2-${oldest - 1} are no longer retained; the next available message is ${oldest}`,
  );
  await end();
});

Deno.test("server tail: frames have sequence, time and payload, big-endian", async () => {
  const { app, client, end } = await bench();
  using pool = client.createPool("p");
  pool.append({ a: 1 }, { timestampNs: 1795382936109051288n });
  pool.append({ b: "two" }, { tags: ["t"], timestampNs: 5n });
  const answer = await app.request("/v0/pools/p/tail_lite3?no_follow=1");
  assert.equal(answer.headers.get("content-type"), "application/x-plasmite-lite3-stream");
  const bytes = new Uint8Array(await answer.arrayBuffer());
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [seq, time] of [[1n, 1795382936109051288n], [2n, 5n]] as const) {
    assert.equal(view.getBigUint64(at), seq);
    assert.equal(view.getBigUint64(at + 8), time);
    const length = view.getUint32(at + 16);
    assert.deepEqual(bytes.slice(at + 20, at + 20 + length), pool.getLite3(seq).payload);
    at += 20 + length;
  }
  assert.equal(at, bytes.length);
  await end();
});

Deno.test("server events: ids, resume by Last-Event-ID, heartbeats", async () => {
  const { app, client, get, end } = await bench({ heartbeatMs: 30 });
  using pool = client.createPool("p");
  for (let i = 1; i <= 5; i++) pool.append({ i });
  const events = "/v0/ui/pools/p/events";
  const first = await get(`${events}?max=2`);
  assert.equal(first.headers.get("content-type"), "text/event-stream");
  assert.equal(first.headers.get("cache-control"), "no-cache, no-transform");
  const [retry, one, two, rest] = first.text.split("\n\n");
  assert.equal(retry, "retry: 1000");
  assert.match(one ?? "", /^id: 1\nevent: message\ndata: \{"data":\{"i":1\},.*"seq":1,.*\}$/);
  assert.match(two ?? "", /^id: 2\nevent: message\n/);
  assert.equal(rest, "");
  const resumed = await get(`${events}?since_seq=1&max=2`, { headers: { "last-event-id": "3" } });
  assert.deepEqual([...resumed.text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => id), ["4", "5"]);
  assert.equal((await get(events, { headers: { "last-event-id": "x" } })).status, 400);
  assert.match(
    (await get(`${events}?since_seq=6&timeout_ms=200`)).text,
    /\n\n: next 6\n\n: next 6\n\n/,
  );
  assert.match((await get("/v0/pools/p/tail?since_seq=6&timeout_ms=200")).text, /^\n\n+$/);
  const frames = await app.request("/v0/pools/p/tail_lite3?since_seq=6&timeout_ms=100");
  assert.equal((await frames.arrayBuffer()).byteLength, 0);
  await end();
});

Deno.test("server tail: slots are given back however a stream ends", async () => {
  const { app, client, get, end } = await bench({ maxTailConcurrency: 2 });
  client.createPool("p").close();
  const tail = "/v0/pools/p/tail?since_seq=9";
  const one = await app.request(tail);
  const two = await app.request(tail);
  const refused = await get(tail);
  assert.equal(refused.status, 423);
  assert.equal(refused.json.error.message, "too many concurrent tail requests");
  assert.equal(refused.headers.get("retry-after"), "1");
  assert.equal((await get("/v0/pools/p/tail?gap_policy=x")).status, 400);
  for (let i = 0; i < 5; i++) {
    const head = await app.request(tail, { method: "HEAD" });
    assert.equal(head.status, 200);
    assert.equal(head.body, null);
  }
  await one.body?.cancel();
  assert.equal(app.streams, 1);
  assert.equal((await get("/v0/pools/p/tail?max=0")).status, 200);
  assert.equal((await get("/v0/pools/nope/tail")).status, 404);
  await two.body?.cancel();
  assert.equal(app.streams, 0);
  await end();
});

Deno.test("server tail: shutdown ends idle, busy and unread streams normally and at once", async () => {
  const { app, client, dir } = await bench();
  using pool = client.createPool("p");
  for (let i = 1; i <= 2000; i++) pool.append({ i, pad: "x".repeat(100) });
  const idle = read(app.request("/v0/pools/p/tail?since_seq=99999"));
  const events = read(app.request("/v0/ui/pools/p/events?since_seq=99999"));
  const unread = await app.request("/v0/pools/p/tail");
  await until(() => app.streams === 3);
  await app.shutdown();
  assert.equal((await idle).text, "");
  assert.equal((await events).text, "retry: 1000\n\n");
  const text = await unread.text();
  assert.ok(text === "" || text.endsWith("\n"), "ends on a line");
  assert.equal(app.streams, 0);
  assert.equal((await app.request("/v0/pools/p/tail")).status, 503);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("server tail: a deleted pool ends its streams with an error line, a new one can be followed", async () => {
  const { app, client, end } = await bench();
  client.createPool("p").close();
  const old = read(app.request("/v0/pools/p/tail"));
  await until(() => app.streams === 1);
  client.deletePool("p");
  using pool = client.createPool("p");
  pool.append({ fresh: true });
  const fresh = lines((await read(app.request("/v0/pools/p/tail?max=1"))).text);
  assert.deepEqual(fresh[0].data, { fresh: true });
  const [error] = lines((await old).text);
  assert.equal(error.error.kind, "NotFound");
  assert.equal(error.error.path, "p.plasmite");
  await end();
});

// Lost: every reader cost a watcher, of which a system has 128 for all of a user's programs.
Deno.test("server tail: hundreds of followers share one watcher, and all see every message", async () => {
  const { app, client, end } = await bench({ maxTailConcurrency: 300 });
  using pool = client.createPool("p");
  const real = Deno.watchFs;
  let watchers = 0;
  Deno.watchFs = (...args) => {
    watchers++;
    return real(...args);
  };
  try {
    const all = range(1, 200).map(() => read(app.request("/v0/pools/p/tail?max=3")));
    while (app.streams < 200) await new Promise((resolve) => setTimeout(resolve, 5));
    for (const i of [1, 2, 3]) pool.append({ i });
    for (const { text } of await Promise.all(all)) {
      assert.deepEqual(lines(text).map(({ seq }) => seq), [1, 2, 3]);
    }
    assert.equal(watchers, 1);
    assert.equal(app.streams, 0);
    // The last one took it along; the next one has one again.
    await read(app.request("/v0/pools/p/tail?max=3"));
    assert.equal(watchers, 2);
  } finally {
    Deno.watchFs = real;
  }
  await end();
});

Deno.test("server tail: a follower of the library sees what the server appends", async () => {
  const { client, dir, post, end } = await bench();
  client.createPool("p").close();
  const follower = new Follower(`${dir}/p.plasmite`, "end");
  await post("/v0/pools/p/append", { data: { x: 1 } });
  while (!follower.next()) await follower.wait(1000);
  assert.equal(follower.message.seq, 1n);
  follower.close();
  await end();
});

Deno.test("server tail: a pool whose first message cannot be read gives an error status", async (t) => {
  const good = (client: Client): Uint8Array => {
    using pool = client.createPool("good");
    pool.append({ text: "x".repeat(200) });
    return pool.getLite3(1).payload;
  };
  const { app, client, end } = await bench();
  const whole = good(client);
  // Cut inside the value: the outer shape is that of a message, what is within is not.
  const deep = whole.slice();
  deep.fill(0xff, deep.length - 120);
  const broken: Record<string, Uint8Array> = { outside: payload(1, 300), within: deep };
  const store = (name: string, ...payloads: Uint8Array[]): void => {
    client.createPool(name, 1 << 20).close();
    const ring = openToAppend(disk, `${client.poolDir}/${name}.plasmite`);
    append(ring, ...payloads);
    ring.close();
  };
  const ways: [string, string][] = [
    ["tail", ""],
    ["tail", "&tag=x"],
    ["tail", "&where=.data.a%20%3D%3D%201"],
    ["tail", "&gap_policy=error"],
    ["tail", "&no_follow=1"],
    ["tail_lite3", ""],
  ];
  for (const [name, bad] of Object.entries(broken)) {
    await t.step(name, async () => {
      store(name, bad, whole);
      store(`${name}-later`, whole, bad, whole);
      for (const [way, more] of ways) {
        const first = await app.request(`/v0/pools/${name}/${way}?timeout_ms=5000${more}`);
        // What is within is looked at only where it is to be printed.
        if (name === "within" && (way === "tail_lite3" || /tag|where/.test(more ?? ""))) {
          await first.body?.cancel();
          continue;
        }
        assert.equal(first.status, 500, `${name} ${way} ${more}`);
        const { error } = await first.json();
        assert.equal(error.kind, "Corrupt");
        // Behind one that can be read the stream has begun, and ends with the error.
        if (way === "tail" && more === "") {
          const later = await app.request(`/v0/pools/${name}-later/tail?timeout_ms=5000`);
          assert.equal(later.status, 200);
          const [one, two, ...none] = lines(await later.text());
          assert.equal(one.seq, 1);
          assert.equal(two.error.kind, "Corrupt");
          assert.deepEqual(none, []);
          const from = await app.request(`/v0/pools/${name}-later/tail?since_seq=2`);
          assert.equal(from.status, 500);
          await from.body?.cancel();
        }
      }
      assert.equal(app.streams, 0, "no place is lost to a stream that never was");
    });
  }
  await end();
});
