/**
 * The age limit in the library, local and remote, over HTTP and for agents: what has expired is shown
 * nowhere, and nowhere is it taken for damage or for another pool.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Client, ErrorKind, PlasmiteError, RemoteClient } from "../../mod.ts";
import { settingMaxAge, trimming } from "../../lib/pool/retention.ts";
import { bench } from "../server/server_util.ts";
import { type Outcome, run, seqs, StorePlace, test } from "../mcp/mcp_tools_util.ts";
import { serve } from "./remote_util.ts";
import { withDir } from "../support/processes.ts";
import { onRing } from "../support/retained.ts";

const HOUR = 3_600_000_000_000n;
const HOUR_MS = 3_600_000;

/** Appends messages of the given ages in hours. */
function appendAged(client: Client, name: string, ages: readonly number[]): void {
  using pool = client.openPool(name);
  const now = Temporal.Now.instant().epochNanoseconds;
  for (const age of ages) pool.append({ age }, { timestampNs: now - BigInt(age) * HOUR });
}

/** Sets the limit behind the appends, so that they have not dropped anything. */
function limit(path: string, ns: bigint): void {
  onRing(path, (ring) => settingMaxAge(ring, ns));
}

const isUsage = (error: unknown): boolean => PlasmiteError.is(error, ErrorKind.Usage);

Deno.test("library: a pool with an age limit", () =>
  withDir(async (dir) => {
    using client = new Client(dir);
    for (const maxAgeMs of [0, 999, -1, 1.5, NaN, 2 ** 53, Infinity]) {
      assert.throws(() => client.createPool("p", { maxAgeMs }), isUsage, String(maxAgeMs));
    }
    // deno-lint-ignore no-explicit-any -- a caller without types
    assert.throws(() => client.createPool("p", { maxAgeMs: "1h" } as any), isUsage);
    using pool = client.pool<{ age: number }>("p", { maxAgeMs: 2 * HOUR_MS });
    assert.deepEqual(pool.info().retention, {
      maxAgeMs: 2 * HOUR_MS,
      oldestLiveSeq: null,
      expired: 0n,
    });
    limit(pool.path, 0n);
    appendAged(client, "p", [5, 4, 1, 0]);
    limit(pool.path, 2n * HOUR);
    assert.deepEqual(pool.bounds(), { oldestSeq: 3n, newestSeq: 4n });
    assert.deepEqual(pool.info().bounds, { oldestSeq: 1n, newestSeq: 4n });
    assert.deepEqual(pool.info().retention?.expired, 2n);
    assert.throws(() => pool.get(2), (error) => PlasmiteError.is(error, ErrorKind.NotFound));
    for await (const { seq } of pool.replay({ speed: 0, last: 9 })) assert.ok(seq >= 3n);
    assert.equal(client.poolInfo("p").retention?.oldestLiveSeq, 3n);
    assert.equal(client.listPools()[0]?.retention?.oldestLiveSeq, 3n);
    using stream = pool.openLite3Stream(1, null, 1);
    assert.equal(stream.next()?.seq, 3n);
  }));

Deno.test("library: a tail tells of what expired before it was read", () =>
  withDir(async (dir) => {
    using client = new Client(dir);
    using pool = client.pool<{ age: number }>("p");
    appendAged(client, "p", [5, 4, 1, 0]);
    limit(pool.path, 2n * HOUR);
    const gaps: unknown[] = [];
    const seen: bigint[] = [];
    const onGap = (gap: unknown): void => void gaps.push(gap);
    for await (const { seq } of pool.tail({ sinceSeq: 1, maxMessages: 2, onGap })) seen.push(seq);
    assert.deepEqual(seen, [3n, 4n]);
    assert.equal(gaps.length, 1);
    for await (const { seq } of pool.tail({ maxMessages: 2, onGap })) seen.push(seq);
    assert.equal(gaps.length, 1, "history that is gone already is no gap");
    const strict = pool.tail({ sinceSeq: 1, errorOnGap: true });
    await assert.rejects(
      () => strict.next(),
      (error) => PlasmiteError.is(error, ErrorKind.RetentionGap) && error.seq === 1n,
    );
    limit(pool.path, 1_000_000_000n);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    assert.deepEqual(pool.bounds(), { oldestSeq: null, newestSeq: null });
    const none: bigint[] = [];
    for await (const { seq } of pool.tail({ timeoutMs: 50 })) none.push(seq);
    assert.deepEqual(none, []);
  }));

Deno.test("http: max_age_ms when a pool is made, retention in what it tells", async () => {
  const { client, dir, get, post, end } = await bench();
  for (const max_age_ms of [0, 999, -1, 1.5, "1h", true, 1e20, [1000]]) {
    const answer = await post("/v0/pools", { pool: "p", max_age_ms });
    assert.equal(answer.status, 400, String(max_age_ms));
    assert.equal(answer.json.error.kind, "Usage");
  }
  assert.equal((await get("/v0/pools/p/info")).status, 404);
  const made = await post("/v0/pools", { pool: "p", max_age_ms: 7_200_000 });
  assert.deepEqual(made.json.pool.retention, {
    max_age_ms: 7_200_000,
    oldest_live: null,
    expired: 0,
  });
  await post("/v0/pools", { pool: "q", max_age_ms: null });
  const path = `${dir}/p.plasmite`;
  limit(path, 0n);
  appendAged(client, "p", [5, 4, 1, 0]);
  limit(path, 2n * HOUR);
  const { pool } = (await get("/v0/pools/p/info")).json;
  assert.deepEqual(pool.bounds, { oldest: 1, newest: 4 });
  assert.deepEqual(pool.retention, { max_age_ms: 7_200_000, oldest_live: 3, expired: 2 });
  assert.equal(pool.last_seq, 4);
  const unlimited = (await get("/v0/pools/q/info")).json.pool;
  assert.deepEqual(unlimited.retention, { max_age_ms: null, oldest_live: null, expired: 0 });
  assert.equal((await get("/v0/pools/p/messages/2")).status, 404);
  assert.equal((await get("/v0/pools/p/messages/3")).status, 200);
  const tail = await get("/v0/pools/p/tail?no_follow=1");
  assert.deepEqual(tail.text.trim().split("\n").map((line) => JSON.parse(line).seq), [3, 4]);
  await end();
});

function remoteOf(
  app: { fetch(request: Request): Response | Promise<Response> },
  edit?: (h: Headers) => void,
) {
  return new RemoteClient("http://localhost:9700", {
    fetch: async (input, init) => {
      const answer = await app.fetch(new Request(input, init));
      if (edit === undefined) return answer;
      const headers = new Headers(answer.headers);
      edit(headers);
      return new Response(answer.body, { status: answer.status, headers });
    },
  });
}

Deno.test("remote: the limit of a server's pool, its bounds and what a tail tells", async () => {
  const { app, client, dir, end } = await bench();
  {
    await using remote = remoteOf(app);
    assert.equal(
      (await remote.createPool("p", { maxAgeMs: 2 * HOUR_MS })).retention?.maxAgeMs,
      2 * HOUR_MS,
    );
    await assert.rejects(() => remote.createPool("q", { maxAgeMs: 5 }), isUsage);
    const path = `${dir}/p.plasmite`;
    limit(path, 0n);
    appendAged(client, "p", [5, 4, 1, 0]);
    limit(path, 2n * HOUR);
    await using pool = await remote.openPool<{ age: number }>("p");
    const info = await pool.info();
    assert.deepEqual(info.retention, { maxAgeMs: 2 * HOUR_MS, oldestLiveSeq: 3n, expired: 2n });
    const gaps: unknown[] = [];
    const seen: bigint[] = [];
    const onGap = (gap: unknown): void => void gaps.push(gap);
    for await (const { seq } of pool.tail({ maxMessages: 2, onGap })) seen.push(seq);
    assert.deepEqual([seen, gaps.length], [[3n, 4n], 0]);
    for await (const { seq } of pool.tail({ sinceSeq: 1, maxMessages: 2, onGap })) seen.push(seq);
    assert.deepEqual([seen, gaps.length], [[3n, 4n, 3n, 4n], 1]);
    await assert.rejects(
      () => pool.get(2),
      (error) => PlasmiteError.is(error, ErrorKind.NotFound),
    );
  }
  await end();
});

Deno.test("remote: a server that would ignore the limit is asked nothing", async () => {
  const { app, client, end } = await bench();
  {
    await using remote = remoteOf(app, (headers) => headers.set("plasmite-features", "batch"));
    await assert.rejects(() => remote.createPool("p", { maxAgeMs: HOUR_MS }), isUsage);
    assert.deepEqual(client.listPools(), []);
    await remote.createPool("p");
  }
  await end();
});

Deno.test("remote: a pool that is emptied is the same pool, and a tail goes on", () =>
  withDir(async (dir) => {
    // Streams end often, and between two of them the client makes sure of the pool.
    await using server = serve({ dir, maxTailTimeoutMs: 100 });
    await using remote = server.client();
    using local = server.local.pool("p");
    local.append({ n: 1 });
    local.append({ n: 2 });
    await using pool = await remote.openPool("p");
    const tail = pool.tail({ reconnect: true });
    assert.equal((await tail.next()).value?.seq, 1n);
    assert.equal((await tail.next()).value?.seq, 2n);
    onRing(`${dir}/p.plasmite`, (ring) => trimming(ring, () => true));
    const next = tail.next();
    const asked = (): number => server.seen.filter((line) => line.endsWith("/info")).length;
    for (const before = asked(); asked() < before + 2;) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.equal((await pool.info()).lastSeq, 2n);
    local.append({ n: 3 });
    assert.equal((await next).value?.seq, 3n);
    await tail.return?.();
  }));

function retentionOf({ result }: Outcome): Record<string, unknown> | undefined {
  return (result["pool"] as { retention?: Record<string, unknown> }).retention;
}

test("agents: max_age_ms of a new pool, retention, and reads without what has expired", async (kind) => {
  await using place = new StorePlace(kind);
  const made = await run(place, "plasmite_pool_create", { name: "p", max_age_ms: 2 * HOUR_MS });
  assert.deepEqual(retentionOf(made), {
    max_age_ms: 2 * HOUR_MS,
    oldest_live: null,
    expired: 0,
  });
  for (const max_age_ms of [0, 999, "1h", 1.5]) {
    const refused = await run(place, "plasmite_pool_create", { name: "q", max_age_ms });
    assert.equal(refused.result["error_kind"], "Usage");
  }
  limit(`${place.dir}/p.plasmite`, 0n);
  using client = new Client(place.dir);
  appendAged(client, "p", [5, 4, 1, 0]);
  limit(`${place.dir}/p.plasmite`, 2n * HOUR);
  const read = await run(place, "plasmite_read", { pool: "p" });
  assert.deepEqual(seqs(read), [3, 4]);
  assert.equal(read.result["oldest_available_seq"], 3);
  const behind = await run(place, "plasmite_read", { pool: "p", after_seq: 0 });
  assert.equal(behind.result["fell_behind"], true);
  const info = await run(place, "plasmite_pool_info", { pool: "p" });
  assert.equal(retentionOf(info)?.["oldest_live"], 3);
  const gone = await run(place, "plasmite_fetch", { pool: "p", seq: 1 });
  assert.equal(gone.result["error_kind"], "NotFound");
});
