/**
 * Tags and the most frequent values of fields (docs/spec/http-api.md 3).
 *
 * @module
 */

import assert from "node:assert/strict";
import { bench, read } from "./server_util.ts";

interface Facet {
  readonly count: number;
  readonly exact: boolean;
  readonly values: { value: unknown; count: number }[];
}
interface Answer {
  readonly retained: number;
  readonly counted: number;
  readonly part: number;
  readonly tags: Facet;
  readonly fields: (Facet & { path: string[] })[];
}

const path = (query: Record<string, string> = {}): string =>
  `/v0/ui/pools/p/facets?${new URLSearchParams(query)}`;
const field = ({ fields }: Answer, name: string): Facet | undefined =>
  fields.find((one) => one.path.join(".") === name);
const counts = (facet: Facet | undefined): [unknown, number][] =>
  facet?.values.map(({ value, count }): [unknown, number] => [value, count]) ?? [];

// Lost: what there is to choose from, as soon as something has been chosen.
Deno.test("facets: tags and values are counted exactly, of all kinds, in objects in objects", async () => {
  const { client, get, end } = await bench();
  using pool = client.createPool("p");
  for (let n = 1; n <= 60; n++) {
    pool.append({
      level: n % 3 ? "info" : "error",
      ok: n % 2 === 0,
      user: { plan: n % 4 ? "free" : null, "odd name": 1.5 },
      list: [1, 2],
      big: 9_007_199_254_740_993n,
    }, n % 2 ? ["a", "a", "b"] : ["b"]);
  }
  const { text, status } = await get(path());
  assert.equal(status, 200);
  const all: Answer = JSON.parse(text);
  assert.deepEqual([all.retained, all.counted, all.part], [60, 60, 1]);
  assert.deepEqual(counts(all.tags), [["b", 60], ["a", 30]]);
  assert.deepEqual(counts(field(all, "level")), [["info", 40], ["error", 20]]);
  assert.deepEqual(new Map(counts(field(all, "ok"))), new Map([[true, 30], [false, 30]]));
  assert.deepEqual(counts(field(all, "user.plan")), [["free", 45], [null, 15]]);
  assert.deepEqual(counts(field(all, "user.odd name")), [[1.5, 60]]);
  assert.equal(field(all, "list"), undefined);
  assert.match(text, /"value":9007199254740993,"count":60/);
  const errors: Answer = (await get(path({ where: '.data.level == "error"', tag: "a" }))).json;
  assert.deepEqual([errors.counted, counts(field(errors, "level"))], [10, [["error", 10]]]);
  const none: Answer = (await get(path({ before: "2001-01-01T00:00:00Z" }))).json;
  assert.deepEqual([none.retained, none.counted, none.fields], [60, 0, []]);
  assert.equal((await get(path({ where: ".data.n =" }))).status, 400);
  assert.equal((await get(path({ before: "never" }))).json.error.message, "invalid before");
  await end();
});

// Lost: memory, to a field of identifiers, or to objects that are tables.
Deno.test("facets: fields with very many values and names stay bounded, and say that they are", async () => {
  const { client, get, end } = await bench();
  using pool = client.createPool("p", 1 << 24);
  for (let n = 1; n <= 3000; n++) {
    pool.append({
      id: `id-${n}`,
      host: n % 2 ? "often" : `rare-${n}`,
      [`key${n}`]: n,
      text: "x".repeat(200),
    });
  }
  const { text } = await get(path());
  assert.ok(text.length < 300_000, String(text.length));
  const all: Answer = JSON.parse(text);
  assert.ok(all.fields.length <= 64);
  const host = field(all, "host");
  assert.deepEqual([host?.count, host?.exact], [3000, false]);
  assert.deepEqual(counts(host)[0], ["often", 1500]);
  const long = field(all, "text");
  assert.deepEqual([long?.count, long?.exact, long?.values], [3000, false, []]);
  await end();
});

Deno.test("facets: of very many messages an even part is counted, which the answer says", async () => {
  const { client, get, end } = await bench();
  using pool = client.createPool("p", 1 << 26);
  const batch = Array.from({ length: 1000 }, (_, i) => ({ half: i % 2, n: i }));
  for (let i = 0; i < 70; i++) await pool.appendBatch(batch.map((data) => ({ ...data, i })));
  const all: Answer = (await get(path())).json;
  assert.equal(all.retained, 70_000);
  assert.equal(all.counted, 50_000);
  assert.equal(all.part, 50_000 / 70_000);
  assert.deepEqual(new Map(counts(field(all, "half"))), new Map([[0, 25_000], [1, 25_000]]));
  // From the oldest to the newest.
  const seen = counts(field(all, "i")).map(([i]) => i);
  assert.ok(seen.includes(0) && seen.includes(69), JSON.stringify(seen));
  await end();
});

Deno.test("facets: an empty pool, a missing one, and the place among the streams", async () => {
  const { app, client, get, end } = await bench({ maxTailConcurrency: 1 });
  assert.equal((await get(path())).status, 404);
  client.createPool("p").close();
  const none: Answer = (await get(path())).json;
  assert.deepEqual([none.retained, none.counted, none.fields], [0, 0, []]);
  const held = await app.request("/v0/pools/p/tail");
  assert.equal((await read(app.request(path()))).status, 423);
  await held.body?.cancel();
  assert.equal((await get(path())).status, 200);
  await end();
});
