/**
 * Search for words in everything that a pool retains (docs/spec/http-api.md 3).
 *
 * @module
 */

import assert from "node:assert/strict";
import { bench, lines, read } from "./server_util.ts";

interface Line {
  readonly oldest: number;
  readonly newest: number;
  readonly from: number;
  readonly until: number;
  readonly searched: number;
  readonly unreadable: number;
  readonly hits: number[];
}

const path = (query: Record<string, string>): string =>
  `/v0/ui/pools/p/search?${new URLSearchParams(query)}`;

/** All hits in order, and how many messages were searched. */
function summed(found: readonly Line[]) {
  return {
    hits: found.flatMap(({ hits }) => hits).sort((a, b) => a - b),
    searched: found.reduce((sum, { searched }) => sum + searched, 0),
    unreadable: found.reduce((sum, { unreadable }) => sum + unreadable, 0),
  };
}

// Lost: hits in messages that the page has not loaded.
Deno.test("search: everything retained, the newest first, without gaps between the stretches", async () => {
  const { client, get, end } = await bench();
  using pool = client.createPool("p", 1 << 22);
  for (let n = 1; n <= 3000; n++) {
    pool.append({ n, text: n % 1000 === 7 ? "Connection REFUSED" : "fine" }, [
      n % 2 ? "odd" : "even",
    ]);
  }
  const answer = await get(path({ q: "refused" }));
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("content-type"), "application/jsonl");
  const found: Line[] = lines(answer.text);
  assert.deepEqual(summed(found), { hits: [7, 1007, 2007], searched: 3000, unreadable: 0 });
  assert.ok(found.length > 2);
  for (const [i, { oldest, newest, from, until }] of found.entries()) {
    assert.deepEqual([oldest, newest], [1, 3000]);
    assert.equal(until, i === 0 ? 3000 : (found[i - 1]?.from ?? 0) - 1);
    assert.ok(from <= until);
  }
  assert.equal(found.at(-1)?.from, 1);
  // Cut off behind the first stretch, it goes on where it was.
  const first = found[0]?.from ?? 0;
  const rest: Line[] = lines((await get(path({ q: "refused", until: String(first - 1) }))).text);
  assert.equal(summed(rest).searched, first - 1);
  // Inside of a filter.
  const narrow = lines(
    (await get(path({ q: "refused", tag: "odd", where: ".data.n > 100" }))).text,
  );
  assert.deepEqual(summed(narrow), { hits: [1007, 2007], searched: 1450, unreadable: 0 });
  const since = lines((await get(path({ q: "refused", since: "2099-01-01T00:00:00Z" }))).text);
  assert.equal(summed(since).searched, 0);
  await end();
});

Deno.test("search: only the hits as a stream, with the same words", async () => {
  const { client, get, end } = await bench();
  using pool = client.createPool("p");
  for (const text of ["a Straße", "STRASSE b", "Strasbourg"]) pool.append({ text });
  const hits = async (q: string) => {
    const { text } = await get(`/v0/pools/p/tail?${new URLSearchParams({ q, no_follow: "1" })}`);
    return lines(text).map(({ seq }) => seq);
  };
  assert.deepEqual(await hits("strasse"), [1, 2]);
  assert.deepEqual(await hits("Stras"), [3]);
  await end();
});

Deno.test("search: an empty pool, a missing one, no words, too many words", async () => {
  const { client, get, end } = await bench();
  assert.equal((await get(path({ q: "a" }))).status, 404);
  client.createPool("p").close();
  const [only] = lines((await get(path({ q: "a" }))).text) as Line[];
  assert.deepEqual([only?.oldest, only?.newest, only?.searched, only?.hits], [0, 0, 0, []]);
  for (const q of ["", "  ", '""', "a".repeat(5000)]) {
    const { status, json } = await get(path({ q }));
    assert.deepEqual([status, json.error.kind], [400, "Usage"], q.slice(0, 9));
  }
  assert.equal((await get(path({ q: "a", where: ".data.n =" }))).status, 400);
  await end();
});

// Lost: every hit behind the first damaged message.
Deno.test("search: what cannot be read is counted, and the rest is searched", async () => {
  const { client, dir, get, end } = await bench();
  const pool = client.createPool("p", { sizeBytes: 1 << 20, indexCapacity: 0 });
  for (let n = 1; n <= 700; n++) pool.append({ n, text: n === 300 ? "found here" : "found" });
  pool.close();
  const file = `${dir}/p.plasmite`;
  const bytes = await Deno.readFile(file);
  const at = new TextDecoder("latin1").decode(bytes).indexOf("found here");
  bytes[at + 7] = 0x58;
  await Deno.writeFile(file, bytes);
  const found = summed(lines((await get(path({ q: "found" }))).text));
  assert.equal(found.hits.length, 699);
  assert.ok(!found.hits.includes(300));
  assert.deepEqual([found.searched, found.unreadable], [699, 1]);
  await end();
});

Deno.test("search: a filter that fails is told, and every end gives its place back", async () => {
  const { app, client, get, end } = await bench({ maxTailConcurrency: 1 });
  using pool = client.createPool("p", 1 << 22);
  for (let n = 1; n <= 2000; n++) pool.append({ n });
  for (let i = 0; i < 3; i++) {
    const failed = await get(path({ q: "n", where: ".data.n" }));
    assert.match(failed.text, /must yield booleans/);
    const left = await app.request(path({ q: "n" }));
    assert.equal((await read(app.request(path({ q: "n" })))).status, 423);
    await left.body?.cancel();
    const reader = (await app.request(path({ q: "n" }))).body?.getReader();
    await reader?.read();
    await reader?.cancel();
  }
  assert.equal(summed(lines((await get(path({ q: "n" }))).text)).searched, 2000);
  assert.equal((await read(app.request(path({ q: "n" }), { method: "HEAD" }))).status, 200);
  // The end of the server ends a search that nobody reads.
  const last = await app.request(path({ q: "n" }));
  await app.shutdown();
  await last.body?.cancel();
  await end();
});
