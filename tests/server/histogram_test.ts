/**
 * `GET /v0/ui/pools/P/histogram`: when messages were appended (docs/spec/http-api.md 3).
 *
 * @module
 */

import assert from "node:assert/strict";
import { LocalBackend } from "../../lib/backend/local.ts";
import { Client } from "../../mod.ts";
import { Histograms } from "../../server/histogram.ts";
import { spoil } from "../support/damaged_pool.ts";
import { until } from "../support/patience.ts";
import { bench } from "./server_util.ts";

interface Answer {
  readonly from: string;
  readonly to: string;
  readonly bucket_ms: number;
  readonly exact: boolean;
  readonly buckets: readonly {
    readonly time: string;
    readonly count: number;
    readonly tags: Readonly<Record<string, number>>;
  }[];
  readonly unreadable: readonly { readonly from: number; readonly to: number }[];
}

const SECOND = 1_000_000_000n;
const total = ({ buckets }: Answer): number => buckets.reduce((sum, { count }) => sum + count, 0);
const tagged = ({ buckets }: Answer, tag: string): number =>
  buckets.reduce((sum, { tags }) => sum + (tags[tag] ?? 0), 0);

// Lost: the truth about when something happened, to bars that nobody counted.
Deno.test("histogram: the counts add up to what is retained, while messages come and go", async () => {
  const { client, get, end } = await bench();
  using pool = client.createPool("p", 1 << 16);
  const ask = async (query = ""): Promise<Answer> =>
    (await get(`/v0/ui/pools/p/histogram${query}`)).json;
  assert.equal(total(await ask()), 0);
  const start = BigInt(Date.UTC(2026, 0, 1)) * 1_000_000n;
  let n = 0;
  for (const more of [1, 10, 40, 200, 3, 500]) {
    for (let i = 0; i < more; i++, n++) {
      const tags = n % 3 === 0 ? ["three", "x"] : n % 3 === 1 ? ["x"] : [];
      pool.append({ n }, { tags, timestampNs: start + BigInt(n) * SECOND });
    }
    const { oldestSeq: oldest, newestSeq: newest } = pool.bounds();
    const answer = await ask();
    assert.equal(total(answer), Number((newest ?? 0n) - (oldest ?? 0n)) + 1);
    assert.equal(answer.exact, true);
    const numbers = Array.from({ length: total(answer) }, (_, i) => Number(oldest) - 1 + i);
    assert.equal(tagged(answer, "three"), numbers.filter((one) => one % 3 === 0).length);
    assert.equal(tagged(answer, "x"), numbers.filter((one) => one % 3 < 2).length);
    assert.ok(answer.buckets.length <= 120);
    assert.equal(Date.parse(answer.from), Number(start / 1_000_000n) + (Number(oldest) - 1) * 1000);
  }
  const at = (seconds: number): string =>
    new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toISOString();
  // The ends: from is counted, to is not.
  const range = await ask(`?from=${at(n - 20)}&to=${at(n - 10)}&buckets=5`);
  assert.deepEqual(range.buckets.map(({ count, time }) => [time, count]), [
    [at(n - 20), 2],
    [at(n - 18), 2],
    [at(n - 16), 2],
    [at(n - 14), 2],
    [at(n - 12), 2],
  ]);
  assert.equal(range.bucket_ms, 2000);
  const last = `from=${at(n - 30)}&to=${at(n)}`;
  assert.equal(total(await ask(`?${last}&tag=three`)), 10);
  const where = encodeURIComponent(`.data.n >= ${n - 7}`);
  assert.equal(total(await ask(`?where=${where}`)), 7);
  pool.append({ n }, { timestampNs: start + BigInt(n) * SECOND });
  assert.equal(total(await ask(`?where=${where}`)), 8, "a filter is extended too");
  for (const wrong of ["buckets=0", "buckets=2001", "from=never", `from=${at(5)}&to=${at(5)}`]) {
    assert.equal((await get(`/v0/ui/pools/p/histogram?${wrong}`)).status, 400, wrong);
  }
  // The error names the one that is wrong.
  const never = await get(`/v0/ui/pools/p/histogram?from=${at(5)}&to=never`);
  assert.equal(never.json.error.message, "invalid to");
  // Another pool of the same name is counted anew.
  await client.deletePool("p");
  using again = client.createPool("p", 1 << 16);
  again.append({ n: 1 }, ["new"]);
  const fresh = await ask();
  assert.deepEqual([total(fresh), tagged(fresh, "new"), tagged(fresh, "x")], [1, 1, 0]);
  await end();
});

Deno.test("histogram: what cannot be read is named, there and in the list of pools", async () => {
  const { client, get, end } = await bench();
  const pool = client.createPool("p");
  for (let n = 1; n <= 40; n++) pool.append({ n });
  pool.close();
  spoil(`${client.poolDir}/p.plasmite`, 28, 29, 30);
  const listed = async () => (await get("/v0/ui/pools")).json.pools[0].unreadable;
  // The server looks by itself, after the first answer.
  let found = await listed();
  for (let i = 0; i < 600 && found === undefined; i++) {
    await new Promise((done) => setTimeout(done, 50));
    found = await listed();
  }
  assert.deepEqual(found, [{ from: 28, to: 30 }]);
  const { json } = await get("/v0/ui/pools/p/histogram");
  assert.equal(total(json), 37);
  assert.deepEqual(json.unreadable, [{ from: 28, to: 30 }]);
  assert.equal((await get("/v0/ui/pools/none/histogram")).status, 404);
  await end();
});

// Lost: every message behind the first two thousand, where each has a tag of its own.
Deno.test("histogram: messages with a tag are counted, whatever other tags they have", async () => {
  const { client, get, end } = await bench();
  using pool = client.createPool("p", 1 << 22);
  for (let n = 1; n <= 3000; n++) pool.append({ n }, [`id:${n}`, n % 3 === 0 ? "three" : "other"]);
  pool.append({}, ["three", "three", "constructor", "__proto__"]);
  const ask = async (query: string): Promise<Answer> =>
    (await get(`/v0/ui/pools/p/histogram${query}`)).json;
  assert.equal(total(await ask("?tag=three")), 1001);
  assert.equal(total(await ask("?tag=other&tag=id:2999")), 1);
  const all = await ask("");
  assert.deepEqual([total(all), tagged(all, "three"), tagged(all, "other")], [3001, 1001, 2000]);
  const odd = await ask("?tag=constructor");
  assert.deepEqual(
    odd.buckets.flatMap(({ tags }) => Object.entries(tags)),
    [["three", 1], ["constructor", 1], ["__proto__", 1]],
  );
  pool.append({}, ["id:3001", "three"]);
  assert.equal(total(await ask("?tag=three")), 1002);
  await end();
});

// Lost: the same behind the first 65,536, which have no more numbers.
Deno.test("histogram: tags of tens of thousands of messages are bounded and counted", async () => {
  const { client, get, end } = await bench();
  using pool = client.createPool("p", 1 << 26);
  const count = 66_000;
  for (let n = 1; n <= count; n++) pool.append({ n }, [`id:${n}`, n % 3 === 0 ? "three" : "other"]);
  const all: Answer = (await get("/v0/ui/pools/p/histogram")).json;
  assert.equal(total(all), count);
  assert.deepEqual([tagged(all, "three"), tagged(all, "other")], [count / 3, 2 * count / 3]);
  await end();
});

// Lost: trust in a sound pool that was called damaged, because one of its name once was.
Deno.test("histogram: damage is told while it is retained, and of the pool that has it", async () => {
  const { client, get, end } = await bench();
  const refill = (messages: number): void => {
    using pool = client.openPool("p");
    for (let n = 1; n <= messages; n++) pool.append({ n });
  };
  const damaged = (): void => {
    client.createPool("p", 1 << 16).close();
    refill(40);
    spoil(`${client.poolDir}/p.plasmite`, 28, 29, 30);
  };
  const told = async (): Promise<unknown[]> => [
    (await get("/v0/ui/pools")).json.pools[0].unreadable,
    (await get("/v0/pools/p/info")).json.pool.unreadable,
  ];
  const known = [[{ from: 28, to: 30 }], [{ from: 28, to: 30 }]];
  damaged();
  await get("/v0/ui/pools/p/histogram");
  assert.deepEqual(await told(), known);
  // Overwritten; nobody asks for the counts again.
  refill(2000);
  assert.deepEqual(await told(), [undefined, undefined]);
  await client.deletePool("p");
  damaged();
  // Another one, which the server looks at by itself again.
  await until(async () => (await told())[0] !== undefined, "nobody looks");
  assert.deepEqual(await told(), known);
  await client.deletePool("p");
  client.createPool("p", 1 << 16).close();
  refill(40);
  assert.deepEqual(await told(), [undefined, undefined]);
  await end();
});

// Lost: the server and every stream of it, to a bug in work that nobody waits for.
Deno.test("histogram: a bug while the server looks for damage is reported, and harms nobody", async () => {
  using client = new Client(Deno.makeTempDirSync());
  client.createPool("p").close();
  const infos = [client.poolInfo("p")];
  const faults: unknown[] = [];
  const bug = new TypeError("a bug");
  const backend = new LocalBackend(client.poolDir);
  backend.open = () => {
    throw bug;
  };
  const stopping = new AbortController();
  const histograms = new Histograms(backend, stopping.signal, (error) => faults.push(error));
  histograms.look(infos);
  await histograms.close();
  assert.deepEqual(faults, [bug]);
  stopping.abort();
  await backend.close();
  await Deno.remove(client.poolDir, { recursive: true });
});

// Lost: a place among the streams and a worker, to a filter in jq that nobody waits for any more.
Deno.test("histogram: a filter in jq has as little time as any, and goes on with the next call", async () => {
  const { client, get, end } = await bench();
  using pool = client.createPool("p", 1 << 22);
  await pool.appendBatch(Array.from({ length: 10_000 }, (_, n) => ({ n })));
  const where = encodeURIComponent("([range(20000)] | length) > 0");
  let before = 0;
  for (let call = 0; call < 2; call++) {
    const { status, json } = await get(`/v0/ui/pools/p/histogram?where=${where}`);
    assert.equal(status, 200);
    assert.equal(json.exact, false);
    assert.ok(total(json) > before, `${total(json)} after ${before}`);
    before = total(json);
  }
  assert.ok(before < 10_000);
  await end();
});

Deno.test("histogram: many at once are one walk, and the server answers others meanwhile", async () => {
  const { client, get, end } = await bench();
  using pool = client.createPool("p", 1 << 24);
  await pool.appendBatch(Array.from({ length: 20_000 }, (_, n) => ({ n })));
  const order: string[] = [];
  const asked = Array.from({ length: 5 }, async () => {
    const { json } = await get("/v0/ui/pools/p/histogram");
    order.push("histogram");
    return total(json);
  });
  const small = get("/healthz").then(() => order.push("healthz"));
  assert.deepEqual(await Promise.all(asked), [20_000, 20_000, 20_000, 20_000, 20_000]);
  await small;
  assert.equal(order[0], "healthz");
  await end();
});
