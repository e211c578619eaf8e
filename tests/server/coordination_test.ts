/**
 * Working together through a server: with a condition that is not checked, a lease that two have, or a
 * task that is handed to somebody who went away, work is done twice or never.
 *
 * @module
 */

import { type Answer, bench, read } from "./server_util.ts";
import assert from "node:assert/strict";
import { beginningAt } from "../../lib/pool/retention.ts";
import { onRing } from "../support/retained.ts";
import { HttpBackend } from "../../lib/backend/http.ts";
import { LocalBackend } from "../../lib/backend/local.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { createApp } from "../../server/app.ts";
import { Client } from "../../mod.ts";
import { losingProxy, LOSSES } from "../backend/losing_proxy.ts";
import { serve } from "../client/remote_util.ts";
import { frames, storeAll, storeWhen } from "../support/coordinated.ts";
import { pause } from "../support/patience.ts";
import { inTemp } from "../cli/cli_util.ts";

const POOL = "/v0/pools/p";

/** A bench with a pool `p`. */
async function withPool(
  run: (place: Awaited<ReturnType<typeof bench>>) => Promise<void>,
  options: Parameters<typeof bench>[0] = {},
): Promise<void> {
  const place = await bench(options);
  place.client.createPool("p").close();
  try {
    await run(place);
  } finally {
    await place.end();
  }
}

/** The failure of a call; null if it succeeds. */
async function failureOf(call: () => unknown): Promise<PlasmiteError | null> {
  try {
    await call();
    return null;
  } catch (error) {
    if (PlasmiteError.is(error)) return error;
    throw error;
  }
}

function told({ status, json }: Answer): unknown[] {
  const { error } = json;
  return error === undefined ? [status] : [status, error.kind];
}

Deno.test("append: of 40 with one expectation one is stored, 39 learn what is there", async () => {
  await withPool(async ({ post, client }) => {
    const body = { data: { n: 1 }, expect: 0 };
    const answers = await Promise.all(
      Array.from({ length: 40 }, () => post(`${POOL}/append`, body)),
    );
    const conflicts = answers.filter(({ status }) => status === 409);
    assert.equal(conflicts.length, 39);
    for (const { json } of conflicts) {
      const { kind, expected, actual } = json.error;
      assert.deepEqual([kind, expected, actual], ["Conflict", 0, 1]);
    }
    using pool = client.pool("p");
    assert.equal(pool.bounds().newestSeq, 1n);
  });
});

Deno.test("append: of 40 clients that race for a key over a connection one wins", () =>
  inTemp(async (dir) => {
    await using server = serve({ dir });
    server.local.createPool("p").close();
    const backend = new HttpBackend(server.url);
    const pool = await backend.open("p", { write: true });
    const tries = await Promise.allSettled(
      Array.from(
        { length: 40 },
        (_, n) => storeWhen(pool, { n }, ["key:k"], { expect: 0n, key: "k" }),
      ),
    );
    const lost = tries.filter((one) => one.status === "rejected").map(({ reason }) => reason);
    assert.equal(lost.length, 39);
    for (const error of lost) {
      assert.ok(PlasmiteError.is(error, ErrorKind.Conflict), String(error));
      assert.deepEqual({ ...error.details }, { expected: 0n, actual: 1n, key: "k" });
    }
    await pool.close();
    backend.close();
  }));

Deno.test("append: key and id become tags, in that order, on every way in", async () => {
  await withPool(async ({ post, get, client, app }) => {
    const first = await post(`${POOL}/append`, { data: {}, tags: ["t"], key: "k", id: "1" });
    assert.deepEqual(first.json.message.meta.tags, ["t", "key:k", "id:1"]);
    assert.equal("duplicate" in first.json, false);
    const again = await post(`${POOL}/append`, { data: {}, tags: ["other"], id: "1" });
    assert.deepEqual(again.json, { ...first.json, duplicate: true }, "the stored message");
    const other = await post(`${POOL}/append`, { data: { n: 1 }, id: "1" });
    const { kind, id, seq } = other.json.error;
    assert.deepEqual([other.status, kind, id, seq], [409, "Conflict", "1", 1]);
    using pool = client.pool("p");
    const { payload } = pool.getLite3(1);
    const lite3 = async (query: string): Promise<Answer> =>
      await read(app.request(`${POOL}/append_lite3?${query}`, { method: "POST", body: payload }));
    assert.deepEqual((await lite3("id=1")).json.duplicate, true);
    const added = await lite3("id=2&key=x");
    assert.deepEqual(added.json.message.meta.tags, ["t", "key:k", "id:1", "key:x", "id:2"]);
    const lines = [
      '{"data":{"a":1},"id":"3"}',
      '{"data":{"a":2},"key":"l","id":"4"}',
      '{"data":{}}',
    ];
    const batch = async (query: string, ...lines: string[]): Promise<Answer> =>
      await post(`${POOL}/append_batch${query}`, lines.join("\n"), {
        headers: { "content-type": "application/jsonl" },
      });
    const stored = (await batch("?key=all", ...lines)).json;
    assert.deepEqual([stored.count, stored.first_seq, stored.last_seq], [3, 3, 5]);
    assert.deepEqual([stored.duplicates, stored.seqs, stored.times], [0, [3, 4, 5], undefined]);
    const tags = async (seq: number): Promise<string[]> =>
      (await get(`${POOL}/messages/${seq}`)).json.message.meta.tags;
    assert.deepEqual(await tags(3), ["key:all", "id:3"]);
    assert.deepEqual(await tags(4), ["key:l", "id:4"]);
    assert.deepEqual(await tags(5), ["key:all"]);
    const mixed = (await batch("", '{"data":{"b":1},"id":"5"}', lines[0] ?? "")).json;
    assert.deepEqual([mixed.first_seq, mixed.last_seq, mixed.duplicates], [6, 6, 1]);
    assert.deepEqual([mixed.seqs, mixed.times.length], [[6, 3], 2]);
    const known = (await batch("", lines[1] ?? "")).json;
    assert.deepEqual([known.count, known.first_seq, known.duplicates], [1, null, 1]);
    const repeated = await batch("?expect=5", ...lines.slice(0, 2));
    assert.deepEqual([repeated.status, repeated.json.duplicates], [200, 2], "ids first");
    assert.deepEqual(told(await batch("?expect=5", '{"data":{}}', '{"data":{}}')), [
      409,
      "Conflict",
    ]);
    using raw = client.pool("p");
    assert.equal(raw.bounds().newestSeq, 6n);
  });
});

Deno.test("append: what is no condition is refused, and nothing is stored", async () => {
  await withPool(async ({ post, client }) => {
    for (
      const more of [
        { expect: -1 },
        { expect: 1.5 },
        { expect: "1" },
        { key: 1 },
        { key: "" },
        { id: "x".repeat(257) },
        { id: "a\nb" },
        { id: "a", id_window: 0 },
        { id: "a", id_window: 2_000_000 },
      ]
    ) {
      const answer = await post(`${POOL}/append`, { data: {}, ...more });
      assert.deepEqual(told(answer), [400, "Usage"], JSON.stringify(more));
    }
    const line = JSON.stringify({ data: {}, expect: 0 });
    const headers = { "content-type": "application/jsonl" };
    const answer = await post(`${POOL}/append_batch`, line, { headers });
    assert.deepEqual([answer.status, answer.json.error.line], [400, 1]);
    // What a line says and nobody heeds is a promise that is broken in silence.
    for (const more of [{ id: "a", id_window: 9 }, { durability: "always" }, { durability: 1 }]) {
      const second = JSON.stringify({ data: {}, ...more });
      const refused = await post(`${POOL}/append_batch`, `{"data":{}}\n${second}`, { headers });
      assert.deepEqual([refused.status, refused.json.error.line], [400, 2], second);
    }
    const calm = JSON.stringify({ data: {}, durability: null, id_window: null });
    assert.equal((await post(`${POOL}/append_batch`, calm, { headers })).status, 200);
    assert.equal((await post(`${POOL}/append_batch?id=a`, "", { headers })).status, 400);
    assert.equal(
      (await post(`${POOL}/append_batch?expect=1&expect=2`, "", { headers })).status,
      400,
    );
    // Absent as ever.
    const nothing = { data: {}, expect: null, key: null, id: null, id_window: null };
    assert.equal((await post(`${POOL}/append`, nothing)).status, 200);
    using pool = client.pool("p");
    assert.equal(pool.bounds().newestSeq, 2n);
  });
});

// Lost: what was acknowledged, when the power goes.
Deno.test("append: a line of a batch that must be on disk puts the whole batch there", async () => {
  await withPool(async ({ post }) => {
    const headers = { "content-type": "application/jsonl" };
    const own = Deno.FsFile.prototype.syncDataSync;
    let synced = 0;
    Deno.FsFile.prototype.syncDataSync = function () {
      synced++;
      own.call(this);
    };
    try {
      const fast = '{"data":{},"durability":"fast"}\n{"data":{}}';
      assert.equal((await post(`${POOL}/append_batch`, fast, { headers })).status, 200);
      assert.equal(synced, 0);
      const mixed = `${fast}\n{"data":{},"durability":"flush"}\n{"data":{}}`;
      assert.equal((await post(`${POOL}/append_batch`, mixed, { headers })).status, 200);
      assert.ok(synced > 0);
      synced = 0;
      assert.equal((await post(`${POOL}/append_batch`, fast, { headers })).status, 200);
      assert.equal(synced, 0, "the next one is fast again");
    } finally {
      Deno.FsFile.prototype.syncDataSync = own;
    }
  });
});

// Lost: a number that no pool has is taken for one, and the answer tells of a conflict there is not.
Deno.test("bodies: whole numbers beyond 64 bits are refused, whatever they are for", async () => {
  await withPool(async ({ app, post, client }) => {
    const beyond = String(2n ** 64n);
    const claim = '"keys":["k"],"holder":"h"';
    const cases: [string, string][] = [
      ["/v0/pools", `{"pool":"q","size_bytes":${beyond}}`],
      ["/v0/pools", `{"pool":"q","size_bytes":${2n ** 64n - 1n}}`],
      ["/v0/pools", `{"pool":"q","max_age_ms":${beyond}}`],
      [`${POOL}/claims`, `{"action":"renew","token":${beyond},${claim}}`],
      [`${POOL}/claims`, `{"action":"claim","ttl_ms":${beyond},${claim}}`],
      [`${POOL}/groups/g`, `{"action":"ack","seq":${beyond},"token":1}`],
      [`${POOL}/groups/g`, `{"action":"take","timeout_ms":${beyond}}`],
    ];
    for (const [path, body] of cases) {
      const answer = await post(path, body);
      assert.deepEqual(told(answer), [400, "Usage"], body);
      assert.doesNotMatch(answer.text, /9007199254740991/, "what is wrong, in its own terms");
    }
    const put = app.request(`${POOL}/cursors/c`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: `{"seq":0,"if_seq":${beyond}}`,
    });
    assert.deepEqual(told(await read(put)), [400, "Usage"]);
    assert.deepEqual(client.listPools().length, 1);
  });
});

// A server that does not know the members stores the message as if they were absent.
Deno.test("client: nothing is sent to a server that would ignore it", () =>
  inTemp(async (dir) => {
    const client = new Client(dir);
    client.createPool("p").close();
    const app = createApp(client);
    const seen: string[] = [];
    const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (r) => {
      if (r.method !== "GET") seen.push(`${r.method} ${new URL(r.url).pathname}`);
      const answer = await app.fetch(r);
      answer.headers.set("plasmite-features", "batch,since,where,no-follow,heartbeat,select");
      return answer;
    });
    const backend = new HttpBackend(`http://127.0.0.1:${server.addr.port}`);
    const pool = await backend.open("p");
    const it = await pool.coordinate();
    const calls: [string, () => unknown][] = [
      ["expect", () => storeWhen(pool, {}, [], { expect: 0n })],
      ["id", () => storeWhen(pool, {}, ["id:a"], { ids: ["a"] })],
      ["latest", () => it.latest("k")],
      ["latest", () => it.latestBy("key:")],
      ["claim", () => it.claim({ keys: ["a"], holder: "ann" })],
      ["claim", () => it.release({ keys: ["a"], holder: "ann", token: 1n })],
      ["cursor", () => it.cursors()],
      ["cursor", () => it.cursor("c")],
      ["cursor", () => it.setCursor("c", { to: 0n })],
      ["cursor", () => it.deleteCursor("c")],
      ["group", () => it.group("g").take()],
      ["group", () => it.group("g").ack(1n, 1)],
    ];
    for (const [feature, call] of calls) {
      const error = await failureOf(call);
      assert.ok(PlasmiteError.is(error, ErrorKind.Usage), `${feature}: ${error}`);
      const words = new RegExp(`^this server cannot .*\\(${feature}\\): it would ignore it$`);
      assert.match(error.message, words);
    }
    assert.deepEqual(seen, []);
    await pool.close();
    backend.close();
    await server.shutdown();
    await app.shutdown();
  }));

const LOST = [
  "the connection is reset",
  "closed inside the headers",
  "closed inside the body",
  "502 of a gateway",
];

Deno.test("client: an append whose answer is lost may be repeated if it has an id, and only then", () =>
  inTemp(async (dir) => {
    await using server = serve({ dir });
    using local = server.local.createPool("p");
    await using proxy = await losingProxy(server.port);
    const backend = new HttpBackend(proxy.url);
    const pool = await backend.open("p", { write: true });
    const batch = (n: number) => frames([{ n }, [`id:${n}`]], [{ n: n + 1 }, [`id:${n + 1}`]]);
    for (const [i, name] of LOST.entries()) {
      const fails = async (work: () => Promise<unknown>): Promise<PlasmiteError | null> => {
        await pool.info();
        proxy.lose(LOSSES[name] ?? assert.fail(name));
        return await failureOf(work);
      };
      const id = `x${i}`;
      const one = () => storeWhen(pool, { i }, [`id:${id}`], { ids: [id] });
      // The client repeats it itself, or says that it may be repeated.
      const first = await fails(one);
      if (first !== null) {
        assert.deepEqual([first.outcomeUnknown, first.isRepeatable], [false, true]);
      }
      assert.equal((await one()).duplicate, true, name);
      const n = 10 * (i + 1);
      const ids = [`${n}`, `${n + 1}`];
      const second = await fails(() => storeAll(pool, batch(n), { ids }));
      if (second !== null) assert.equal(second.isRepeatable, true);
      const again = await storeAll(pool, batch(n), { ids });
      assert.deepEqual(again.map(({ duplicate }) => duplicate), [true, true]);
      const { newestSeq } = local.bounds();
      const expect = newestSeq ?? 0n;
      const error = await fails(() => storeWhen(pool, { i }, [], { expect }));
      assert.deepEqual([error?.outcomeUnknown, error?.isRepeatable], [true, false], name);
    }
    assert.equal(local.bounds().newestSeq, BigInt(4 * LOST.length));
    await pool.close();
    backend.close();
  }));

const only = (...needs: string[]) => ({
  authenticator: {
    authenticate: () => ({
      subject: "x",
      can: (need: string, pool?: string) => needs.includes(need) && (pool ?? "p") !== "other",
    }),
  },
});

Deno.test("rights: who may only append learns nothing that others wrote", async () => {
  await withPool(async ({ client, dir, app: full }) => {
    const app = createApp(client, only("append"));
    const post = async (path: string, body: unknown): Promise<Answer> =>
      await read(app.request(`${POOL}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      }));
    const claim = { action: "claim", keys: ["a"], holder: "secret-holder" };
    await full.request(`${POOL}/claims`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(claim),
    });
    await full.request(`${POOL}/append`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ data: { a: 1 }, tags: ["secret-tag"], id: "1" }),
    });
    const answers = [
      await post("/claims", { ...claim, holder: "me" }),
      await post("/claims", { ...claim, action: "renew", token: 1, holder: "me" }),
      await post("/claims", { ...claim, action: "renew", token: 9 }),
      await post("/claims", { ...claim, action: "release", token: 1, holder: "me" }),
      await post("/append", { data: { a: 2 }, id: "1" }),
      await post("/append", { data: {}, expect: 1 }),
      await post("/append", { data: {}, expect: 2, key: "a" }),
    ];
    const allowed = [
      "kind",
      "message",
      "hint",
      "path",
      "expected",
      "actual",
      "seq",
      "key",
      "until",
    ];
    for (const { status, text, json } of answers) {
      assert.ok(status === 409 || status === 423, text);
      assert.doesNotMatch(text, /secret|token|holder/, text);
      assert.deepEqual(Object.keys(json.error).filter((name) => !allowed.includes(name)), []);
    }
    assert.deepEqual(answers.map(({ status }) => status), [423, 409, 409, 409, 409, 409, 409]);
    const { json } = await post("/append", { data: { a: 1 }, tags: ["own"], id: "1" });
    assert.deepEqual([json.duplicate, json.message.seq], [true, 2]);
    assert.deepEqual(json.message.meta.tags, ["own", "id:1"]);
    for (const path of ["latest?key=a", "cursors", "cursors/c"]) {
      assert.equal((await read(app.request(`${POOL}/${path}`))).status, 403, path);
    }
    await app.shutdown();
    assert.ok(dir.length > 0);
  });
});

Deno.test("rights: what changes what others see needs to read and to append", async () => {
  await withPool(async ({ client }) => {
    for (const needs of [["read"], ["append"], ["read", "append"]]) {
      const app = createApp(client, only(...needs));
      const send = async (method: string, path: string, body?: unknown): Promise<number> => {
        const answer = await read(app.request(`${POOL}/${path}`, {
          method,
          headers: { "content-type": "application/json" },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        }));
        return answer.status;
      };
      const both = needs.length === 2;
      const status = both ? 200 : 403;
      assert.equal(await send("PUT", "cursors/c", { seq: 0 }), status, `${needs}`);
      assert.equal(await send("DELETE", "cursors/c"), status, `${needs}`);
      assert.equal(await send("POST", "groups/g", { action: "take" }), status, `${needs}`);
      const writes = needs.includes("append") ? 200 : 403;
      const claim = { action: "claim", keys: ["a"], holder: "ann" };
      assert.equal(await send("POST", "claims", claim), writes, `${needs}`);
      // A dead pool elsewhere is a pool like others.
      const dead = { action: "take", dead: "other" };
      assert.equal(await send("POST", "groups/g2", dead), 403, `${needs}`);
      await app.shutdown();
    }
  });
});

Deno.test("rights: only who may create pools causes a dead pool", async () => {
  await withPool(async ({ client, post, get }) => {
    for (let n = 1; n <= 2; n++) await post(`${POOL}/append`, { data: { n } });
    const app = createApp(client, only("read", "append"));
    const act = async (body: unknown): Promise<Answer> =>
      await read(app.request(`${POOL}/groups/g`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      }));
    const [task] = (await act({ action: "take", max_tries: 1 })).json.tasks;
    await act({ action: "fail", seq: 1, token: task.token, delay_ms: 0 });
    const { tasks } = (await act({ action: "take", max_tries: 1, count: 9 })).json;
    assert.deepEqual(tasks.map((one: typeof task) => one.message.seq), [2]);
    assert.equal((await get("/v0/pools/p.dead/info")).status, 404);
    const { cursors } = (await get(`${POOL}/cursors`)).json;
    assert.equal(cursors[0].pending, 2, "it waits for the pool");
    await app.shutdown();
  });
});

// A reader of one pool could not give a message up, and nobody but an administrator saw what was.
Deno.test("rights: the dead pool of a pool goes with the pool", async () => {
  await withPool(async ({ client, post }) => {
    for (const name of ["p.dead", "p.dead.dead", "q.dead", ".dead", "pq"]) {
      client.createPool(name).close();
    }
    await post("/v0/pools/p.dead/append", { data: { n: 1 } });
    const rights = (...needs: string[]) =>
      createApp(client, {
        authenticator: {
          authenticate: () => ({
            subject: "x",
            can: (need: string, pool?: string) => needs.includes(need) && (pool ?? "p") === "p",
          }),
        },
      });
    const status = async (app: typeof reader, path: string, init?: RequestInit): Promise<number> =>
      (await read(app.request(`/v0/pools${path}`, init))).status;
    const reader = rights("read");
    for (const name of ["p", "p.dead", "p.dead.dead", "p.dead.plasmite"]) {
      assert.equal(await status(reader, `/${name}/info`), 200, name);
    }
    for (const name of ["q.dead", ".dead", "pq"]) {
      assert.equal(await status(reader, `/${name}/info`), 403, name);
    }
    const { pools } = (await read(reader.request("/v0/pools"))).json;
    const names = pools.map(({ name }: { name: string }) => name);
    assert.deepEqual(names.sort(), ["p", "p.dead", "p.dead.dead"]);
    const send = { method: "POST", headers: { "content-type": "application/json" } };
    const body = JSON.stringify({ data: {} });
    assert.equal(await status(reader, "/p.dead/append", { ...send, body }), 403);
    const writer = rights("append");
    assert.equal(await status(writer, "/p.dead/append", { ...send, body }), 200);
    assert.equal(await status(writer, "/p.dead/info"), 403);
    for (const app of [reader, writer]) await app.shutdown();
  });
});

Deno.test("waits: bounded like streams, and ended by the server's stop", async () => {
  await withPool(async ({ post, client, get }) => {
    const long = await post(`${POOL}/groups/g`, { action: "take", timeout_ms: 30_001 });
    assert.equal(long.json.error.message, "tail timeout exceeds server limit");
    const claim = { action: "claim", keys: ["a"], holder: "ann" };
    await post(`${POOL}/claims`, claim);
    const held = await post(`${POOL}/claims`, { ...claim, holder: "bob", timeout_ms: 30 });
    const { kind, holder, token } = held.json.error;
    assert.deepEqual([held.status, kind, holder, token], [423, "Busy", "ann", 1]);
    // Each wait has a place; the second one finds none.
    const task = { action: "take", tags: ["t"] };
    const first = post(`${POOL}/groups/g`, { ...task, timeout_ms: 30_000 });
    while (!/^plasmite_waits 1$/m.test((await get("/metrics")).text));
    const second = await post(`${POOL}/groups/g`, { ...task, timeout_ms: 1 });
    assert.deepEqual(told(second), [423, "Busy"]);
    // Without a wait there is no need for one.
    assert.deepEqual((await post(`${POOL}/groups/g`, task)).json.tasks, []);
    await post(`${POOL}/append`, { data: {}, tags: ["t"] });
    assert.equal((await first).json.tasks.length, 1);
    const app = createApp(client, { maxTailTimeoutMs: 60_000 });
    const waiting = read(app.request(`${POOL}/groups/begun`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ action: "take", from: "end", timeout_ms: 60_000 }),
    }));
    // The group exists as soon as the wait has begun.
    while (!(await read(app.request(`${POOL}/cursors`))).text.includes('"begun"'));
    await app.shutdown();
    assert.equal((await waiting).status, 503);
  }, { maxTailConcurrency: 1 });
});

// The next task went to a client that had gone, and nobody did it for a minute.
Deno.test("waits: a client that goes away gets no task and no lease", () =>
  inTemp(async (dir) => {
    await using server = serve({ dir });
    using local = server.local.createPool("p");
    const backend = new HttpBackend(server.url);
    const pool = await backend.open("p", { write: true });
    const it = await pool.coordinate();
    const { token } = await it.claim({ keys: ["a"], holder: "ann" });
    const gone = new AbortController();
    const { signal } = gone;
    const waits = [
      it.group("g", { from: "end" }).take({ waitMs: 30_000, signal }),
      it.claim({ keys: ["a"], holder: "gone", waitMs: 30_000, signal }),
    ];
    const underWay = async (): Promise<number> => {
      const text = await (await fetch(`${server.url}/metrics`)).text();
      return Number(/^plasmite_waits (\d+)$/m.exec(text)?.[1]);
    };
    while (await underWay() < 2);
    gone.abort(new Error("gone"));
    for (const wait of waits) await assert.rejects(wait);
    while (await underWay() > 0);
    local.append({ early: 1 });
    await it.release({ keys: ["a"], holder: "ann", token });
    const { tasks } = await it.group("g").take({ waitMs: 20_000, count: 2 });
    assert.deepEqual(tasks[0]?.tries, 1);
    const lease = await it.claim({ keys: ["a"], holder: "bob", waitMs: 20_000 });
    assert.equal(lease.holder, "bob");
    await pool.close();
    backend.close();
  }));

Deno.test("client: waits longer than the server lets one request wait", () =>
  inTemp(async (dir) => {
    await using server = serve({ dir, maxTailTimeoutMs: 40 });
    using local = server.local.createPool("p");
    const backend = new HttpBackend(server.url);
    const pool = await backend.open("p", { write: true });
    const it = await pool.coordinate();
    const { token } = await it.claim({ keys: ["a"], holder: "ann" });
    const waiting = it.claim({ keys: ["a"], holder: "bob", waitMs: 30_000 });
    const taking = it.group("g").take({ waitMs: 30_000, count: 2 });
    await new Promise((resolve) => setTimeout(resolve, 150));
    await it.release({ keys: ["a"], holder: "ann", token });
    assert.equal((await waiting).holder, "bob");
    local.append({ n: 1 });
    assert.ok((await taking).tasks.length > 0);
    await pool.close();
    backend.close();
  }));

Deno.test("cursor: two clients of one name notice each other, and a local reader both", () =>
  inTemp(async (dir) => {
    await using server = serve({ dir });
    using local = server.local.createPool("p");
    for (let n = 1; n <= 5; n++) local.append({ n });
    const backend = new HttpBackend(server.url);
    const pool = await backend.open("p", { write: true });
    const it = await pool.coordinate();
    const ann = await it.cursor("c");
    const bob = await it.cursor("c");
    for (const cursor of [ann, bob]) cursor.deliver(1n, 1n);
    await ann.ack(1n);
    const error = await failureOf(() => bob.ack(1n));
    assert.equal(error, null, "both have done the same");
    for (const [cursor, seq] of [[ann, 3n], [bob, 2n]] as const) cursor.deliver(seq, 1n);
    await ann.ack(3n);
    const lost = await failureOf(() => bob.ack(2n));
    assert.ok(PlasmiteError.is(lost, ErrorKind.Conflict), String(lost));
    assert.deepEqual([lost.expected, lost.actual], [1n, 3n]);
    await ann.close();
    const { CursorFile } = await import("../../lib/coordination/cursor_file.ts");
    const held = CursorFile.open(`${dir}/p.plasmite`, "c", { create: false });
    const busy = await failureOf(() => it.cursor("c"));
    assert.ok(PlasmiteError.is(busy, ErrorKind.Busy), String(busy));
    assert.equal(busy.details["pid"], BigInt(Deno.pid));
    assert.deepEqual((await it.cursors())[0]?.inUse?.pid, Deno.pid);
    held.close();
    await pool.close();
    backend.close();
  }));

Deno.test("cursor: a pool that was replaced is told over HTTP too", () =>
  inTemp(async (dir) => {
    await using server = serve({ dir });
    for (const count of [1, 9]) {
      using local = server.local.createPool("p");
      for (let n = 1; n <= 5; n++) local.append({ n });
      const backend = new HttpBackend(server.url);
      const pool = await backend.open("p", { write: true });
      const it = await pool.coordinate();
      const cursor = await it.cursor("c", { from: 4n });
      await cursor.close();
      const kept = Deno.readFileSync(`${dir}/p.cursors/c`);
      await backend.remove("p");
      await backend.create("p");
      const other = await backend.open("p", { write: true });
      await storeAll(
        other,
        frames(...Array.from({ length: count }, () => [{}, []] as const)),
        undefined,
      );
      Deno.mkdirSync(`${dir}/p.cursors`, { recursive: true });
      Deno.writeFileSync(`${dir}/p.cursors/c`, kept);
      const error = await failureOf(async () => await (await other.coordinate()).cursor("c"));
      assert.ok(PlasmiteError.is(error, ErrorKind.NotFound), String(error));
      const { cursor: name, seq, actual } = error.details;
      assert.deepEqual([name, seq, actual], ["c", 4n, BigInt(count)]);
      for (const one of [pool, other]) await one.close();
      await backend.remove("p");
      backend.close();
    }
  }));

Deno.test("tasks and messages keep every digit, key and level", () =>
  inTemp(async (dir) => {
    await using server = serve({ dir });
    using local = server.local.createPool("p");
    const deep = '{"a":'.repeat(29) + "1" + "}".repeat(29);
    const data = `{"10":1,"b":9007199254740993,"__proto__":{"x":1},"deep":${deep}}`;
    const answer = await fetch(`${server.url}/v0/pools/p/append`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: `{"data":${data},"key":"k"}`,
    });
    assert.equal(answer.status, 200, await answer.text());
    const backend = new HttpBackend(server.url);
    const pool = await backend.open("p", { write: true });
    const it = await pool.coordinate();
    const { MessageView } = await import("../../lib/lite3/message.ts");
    const { printJson } = await import("../../lib/lite3/print.ts");
    const { Buf } = await import("../../lib/bytes.ts");
    const text = (payload: Uint8Array<ArrayBuffer>): string => {
      const view = new MessageView();
      view.open(payload, new DataView(payload.buffer, payload.byteOffset), 0, payload.length);
      const out = new Buf(4096);
      printJson(view.doc, view.dataAt, out);
      return new TextDecoder().decode(out.bytes());
    };
    const [task] = (await it.group("g").take()).tasks;
    assert.equal(text(task?.message.payload ?? assert.fail()), data);
    assert.equal(text((await it.latest("k"))?.payload ?? assert.fail()), data);
    const { messages } = await it.latestBy("key:");
    assert.equal(text(messages[0]?.payload ?? assert.fail()), data);
    assert.equal(local.bounds().newestSeq, 1n);
    await pool.close();
    backend.close();
  }));

Deno.test("latest: says what it needs, and what is not there", async () => {
  await withPool(async ({ get, post }) => {
    await post(`${POOL}/append`, { data: { n: 1 }, key: "k" });
    assert.equal((await get(`${POOL}/latest?key=k`)).json.message.seq, 1);
    const none = await get(`${POOL}/latest?key=none`);
    assert.deepEqual([none.status, none.json.error.key], [404, "none"]);
    for (
      const query of ["", "?key=a&by=b", "?key=a&key=b", "?by=.", "?by=a&since=x", "?by=a&last=x"]
    ) {
      assert.deepEqual(told(await get(`${POOL}/latest${query}`)), [400, "Usage"], query);
    }
    const groups = await get(`${POOL}/latest?by=key:&max_age=1h`);
    assert.deepEqual(groups.json.latest, [{ key: "key:k", seq: 1 }]);
    assert.deepEqual((await get(`${POOL}/latest?by=.data.none`)).json, {
      messages: [],
      latest: [],
    });
  });
});

// Lost: who asks for the last green build of a branch is told of a red one.
Deno.test("latest: what chooses messages chooses the newest of a key too", async () => {
  await withPool(async ({ get, post }) => {
    for (const [n, tags] of [[1, ["green"]], [2, ["green"]], [3, ["red"]]] as const) {
      await post(`${POOL}/append`, { data: { n }, tags, key: "k" });
      await post(`${POOL}/append`, { data: { n: -n }, tags, key: "k2" });
    }
    const found = async (query: string): Promise<unknown> => {
      const { status, json } = await get(`${POOL}/latest?key=k&${query}`);
      return status === 200 ? json.message.data.n : [status, json.error.key];
    };
    assert.equal(await found(""), 3);
    assert.equal(await found("tag=green"), 2);
    assert.equal(await found("where=.data.n==1"), 1);
    assert.equal(await found("where=[.data.n]|length==1"), 3);
    assert.equal(await found("having=.data.n==3"), 3);
    assert.equal(await found("max_age=1h&since=1h"), 3);
    for (
      const query of [
        "tag=blue",
        "where=.data.n>3",
        "having=.data.n<3",
        "since=2999-01-01T00:00:00Z",
      ]
    ) {
      assert.deepEqual(await found(query), [404, "k"], query);
    }
    // Both apply, and an error names the one that is wrong.
    const both = await get(`${POOL}/latest?by=key:&since=2999-01-01T00:00:00Z&max_age=1h`);
    assert.deepEqual(both.json.latest, []);
    await pause(20); // What is there is older than now.
    const neither = await get(`${POOL}/latest?by=key:&since=1h&max_age=0s`);
    assert.deepEqual(neither.json.latest, []);
    const wrong = await get(`${POOL}/latest?by=key:&max_age=soon`);
    assert.deepEqual([wrong.status, wrong.json.error.message], [400, "invalid max_age"]);
    const none = await get(`${POOL}/latest?by=key:&last=0`);
    assert.deepEqual(none.json, { messages: [], latest: [], forgotten: true });
  });
});

// A pool can go on with the numbers of another one, however high they are.
Deno.test("numbers beyond 2^53 go through cursors, groups and conditions unrounded", () =>
  inTemp(async (dir) => {
    await using server = serve({ dir });
    server.local.createPool("p").close();
    const first = 2n ** 60n + 1n;
    const local = new LocalBackend(dir);
    const file = await local.open("p", { write: true });
    onRing(file.path, (ring) => beginningAt(ring, first));
    file.close();
    const backend = new HttpBackend(server.url);
    const pool = await backend.open("p", { write: true });
    const it = await pool.coordinate();
    const message = await storeWhen(pool, { n: 1 }, ["key:k"], { expect: first - 1n });
    assert.equal(message.seq, first);
    const when = { expect: first, key: "k", ids: ["x"] };
    const tags = ["key:k", "id:x"];
    assert.deepEqual(await storeWhen(pool, { n: 2 }, tags, when), {
      seq: first + 1n,
      duplicate: false,
    });
    const cursor = await it.cursor("c");
    assert.equal(cursor.seq, first - 1n);
    cursor.deliver(first, 1n);
    await cursor.ack(first);
    await cursor.close();
    assert.equal((await it.setCursor("c", { to: first + 1n, ifSeq: first })).seq, first + 1n);
    const group = it.group("g");
    const [task] = (await group.take()).tasks;
    assert.equal(task?.message.seq, first);
    assert.equal(await group.ack(first, task?.token ?? 0), true);
    const lease = await it.claim({ keys: ["a"], holder: "ann" });
    assert.equal(lease.token, first + 2n);
    const released = await it.release({ keys: ["a"], holder: "ann", token: lease.token });
    assert.deepEqual([released.token, released.seq], [first + 2n, first + 3n]);
    assert.deepEqual((await it.latestBy("id:")).latest, [{ key: "id:x", seq: first + 1n }]);
    await pool.close();
    backend.close();
  }));

Deno.test("browsers: a page of a listed origin may put", async () => {
  const place = await bench({ corsOrigins: ["https://page.test"] });
  const preflight = await place.app.request(`${POOL}/cursors/c`, {
    method: "OPTIONS",
    headers: { "origin": "https://page.test", "access-control-request-method": "PUT" },
  });
  assert.match(preflight.headers.get("access-control-allow-methods") ?? "", /\bPUT\b/);
  await place.end();
});

// Every pool that somebody misnames a group of would stay open, and its disk space taken after it is
// deleted. Files that stay open fail a test here.
Deno.test("server groups: a call that is refused leaves no pool open", () =>
  withPool(async ({ app, post }) => {
    const { status, json } = await post(`${POOL}/groups/BAD%20NAME`, { action: "take" });
    assert.deepEqual([status, json.error.kind], [400, "Usage"]);
    const { status: deleted } = await read(app.request(POOL, { method: "DELETE" }));
    assert.equal(deleted, 200);
  }));
