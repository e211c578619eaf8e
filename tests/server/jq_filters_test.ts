/**
 * Filters that run in jq on a server: what they cost is theirs alone. Lost otherwise: the server, to
 * one person whose filter loops or eats memory; or the answer, to those who filter beside them.
 *
 * @module
 */

import assert from "node:assert/strict";
import { JqWorkers } from "../../lib/filter/jq_workers.ts";
import { bench, lines } from "./server_util.ts";

function tail(where: string, more = "no_follow=1"): string {
  return `/v0/pools/p/tail?${more}&where=${encodeURIComponent(where)}`;
}

/** Filters that never end, and one that would, with enough memory. */
const TIME = ["def f: f; f", "last(range(1e12)) > 0", "until(false; .)"];
const MEMORY = ['reduce range(60) as $i ("x"; . + .) | length > 0'];

Deno.test("jq over HTTP: a filter over its budget is 400, and an error line in a stream that has begun", async () => {
  const { client, get, post, end } = await bench();
  using pool = client.createPool("p");
  for (let n = 1; n <= 5; n++) pool.append({ n });
  const cases = [
    ...TIME.map((where) => [where, /time budget/] as const),
    ...MEMORY.map((where) => [where, /memory budget/] as const),
  ];
  for (const [where, message] of cases) {
    const first = await get(tail(where));
    assert.equal(first.status, 400, where);
    assert.equal(first.json.error.kind, "Usage");
    assert.match(first.json.error.message, message, where);
    assert.match(first.json.error.hint, /one second|64 MiB/);
    // The filter is good for three messages.
    const later = await get(tail(`.data.n < 4 or (${where})`));
    assert.equal(later.status, 200, where);
    const told = lines(later.text);
    assert.deepEqual(told.slice(0, 3).map(({ seq }) => seq), [1, 2, 3], where);
    assert.match(told[3].error.message, message, where);
    assert.equal(told[3].error.seq, 4, where);
    assert.equal(told.length, 4);
  }
  const [loop = ""] = TIME;
  const events = await get(`/v0/ui/pools/p/events?no_follow=1&where=${encodeURIComponent(loop)}`);
  assert.equal(events.status, 400);
  const last = await get(`${tail(loop)}&last=2`);
  assert.equal(last.status, 400);
  pool.append({ n: 6 }, ["key:k"]);
  for (const wanted of ["by=.data.n", "key=k"]) {
    for (const name of ["where", "having"]) {
      const query = `${wanted}&${name}=${encodeURIComponent(loop)}`;
      const latest = await get(`/v0/pools/p/latest?${query}`);
      assert.deepEqual([latest.status, latest.json.error.kind], [400, "Usage"], query);
    }
  }
  const take = { action: "take", where: `.data.n < 4 or (${loop})`, count: 10 };
  const taken = await post("/v0/pools/p/groups/g", take);
  assert.equal(taken.status, 200);
  assert.deepEqual(
    taken.json.tasks.map(({ message }: { message: { seq: number } }) => message.seq),
    [1, 2, 3],
  );
  assert.equal((await post("/v0/pools/p/groups/g", take)).status, 400);
  // All that harmed nobody.
  assert.deepEqual(lines((await get(tail('.data.n | tostring == "2"'))).text).length, 1);
  const workers = await JqWorkers.shared();
  assert.ok(workers.size > 0 && workers.size <= navigator.hardwareConcurrency);
  await end();
  assert.equal(workers.size, 0);
});

Deno.test("jq over HTTP: slow filters delay the others by one message a turn, and nobody else", async () => {
  const { app, client, get, end } = await bench({ maxTailTimeoutMs: 600_000 });
  using pool = client.createPool("p", 1 << 24);
  pool.appendBatch(Array.from({ length: 20_000 }, (_, n) => ({ n })));
  const workers = await JqWorkers.shared();
  const slow = Array.from({ length: 6 }, async (_, i) => {
    const where = `([range(20000)] | length) < 0 or (.data.n | tostring) == "none ${i}"`;
    return await app.request(tail(where));
  });
  let slowEnded = 0;
  const streams = await Promise.all(slow);
  const reading = streams.map(async (response) => {
    const reader = response.body?.getReader();
    while (reader !== undefined && !(await reader.read()).done);
    slowEnded++;
  });
  let fastEnded = 0;
  const fast = Array.from({ length: 34 }, async (_, i) => {
    const { status, text } = await get(tail(`.data.n | tostring | test("^${i}.$")`, "until=100"));
    fastEnded++;
    assert.equal(status, 200);
    return lines(text).length;
  });
  let healthy = 0;
  while (fastEnded < fast.length) {
    assert.equal((await get("/healthz")).status, 200);
    if (fastEnded < fast.length) healthy++;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  // 10 to 19, …, 90 to 99 are among the first hundred
  assert.deepEqual(await Promise.all(fast), fast.map((_, i) => i > 0 && i < 10 ? 10 : 0));
  assert.equal(slowEnded, 0, "a slow filter takes a message a turn, and has thousands");
  assert.ok(healthy > 20, `${healthy} others were answered`);
  assert.ok(workers.size <= navigator.hardwareConcurrency);
  // The server stops while the workers are busy.
  await end();
  await Promise.all(reading);
  assert.equal(workers.size, 0);
});

Deno.test("jq over HTTP: the worker of a stream that is closed is free again", async () => {
  const { app, client, get, end } = await bench();
  using pool = client.createPool("p");
  pool.append({ n: 1 });
  const loop = "if .data.n == 1 then true else (def f: f; f) end";
  const streams = [];
  for (let i = 0; i < 3 * navigator.hardwareConcurrency; i++) {
    const { body } = await app.request(tail(`${loop} or ${i} < 0`, "timeout_ms=30000"));
    const reader = body?.getReader();
    await reader?.read();
    streams.push(reader);
  }
  pool.append({ n: 2 });
  const waiting = streams.map((reader) => reader?.read().catch(() => {}));
  await new Promise((resolve) => setTimeout(resolve, 50));
  for (const reader of streams) await reader?.cancel();
  await Promise.all(waiting);
  while (app.streams > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const { status, text } = await get(tail('.data.n | tostring == "2"'));
  assert.deepEqual([status, lines(text).length], [200, 1]);
  await end();
});

Deno.test("jq over HTTP: an innocent filter is not blamed for a server that is busy itself", async () => {
  const { app, client, end } = await bench();
  using pool = client.createPool("p");
  for (let n = 0; n < 5; n++) pool.append({ n });
  const answer = app.request(tail("[range(100000)] | length > 0"));
  // Three times the budget, in which nobody looks after the workers.
  for (let times = 0; times < 3; times++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    const until = performance.now() + 1_000;
    while (performance.now() < until);
  }
  const response = await answer;
  assert.equal(response.status, 200);
  assert.equal(lines(await response.text()).length, 5);
  await end();
});

Deno.test("jq over HTTP: what is delivered comes from the stored bytes, digit by digit", async () => {
  const { client, get, end } = await bench();
  using pool = client.createPool("p");
  const text = '{"n":9223372036854775807,"m":9007199254740993,"z":1,"a":"\\u0000é😀"}';
  pool.append(new TextEncoder().encode(text));
  for (
    const where of ['.data | tojson | contains("9007199254740993")', "now > 1e9 and .seq == 1"]
  ) {
    const { status, text: told } = await get(tail(where));
    assert.equal(status, 200, told);
    assert.ok(told.includes('"n":9223372036854775807,"m":9007199254740993,"z":1'), told);
  }
  await end();
});
