/**
 * Working together through the library: the same behaviours for pools of a directory and of a
 * server. Without them a restarted worker loses its place, two deploy at once, and a repeated append
 * is stored twice.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type AsyncPool, Client, type CoordinatedPool, type Task } from "../../mod.ts";
import { pause } from "../../lib/timers.ts";
import { fails, failsNow } from "../support/fails.ts";
import { PATIENCE_MS } from "../support/patience.ts";
import { serve } from "./remote_util.ts";

type Data = { readonly n?: number; readonly [key: string]: unknown };
type AnyPool = AsyncPool<Data> & CoordinatedPool<Data>;

interface Place {
  readonly kind: "local" | "remote";
  /** A pool as the library opens it. */
  readonly pool: AnyPool;
  /** Another handle, as another program has. */
  again(): Promise<AnyPool>;
  readonly local: Client;
}

const behaviours: { name: string; run: (place: Place) => Promise<void> }[] = [];

function behaviour(name: string, run: (place: Place) => Promise<void>): void {
  behaviours.push({ name, run });
}

/** Resolves when a signal aborts; a lease alone keeps no process alive. */
async function aborted(signal: AbortSignal): Promise<void> {
  const watchdog = setTimeout(() => {}, PATIENCE_MS);
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
  clearTimeout(watchdog);
}

async function numbers(pool: AnyPool): Promise<number[]> {
  const found: number[] = [];
  const { newestSeq } = (await pool.infoAsync()).bounds ?? {};
  if (newestSeq === null || newestSeq === undefined) return found;
  for await (const { data } of pool.tail({ untilSeq: newestSeq })) found.push(data.n ?? -1);
  return found;
}

behaviour("expect: only the first of two who saw the same state stores", async ({ pool }) => {
  const first = await pool.appendAsync({ n: 1 }, { expect: "none" });
  await pool.appendAsync({ n: 2 }, { expect: first.seq });
  const details = { expected: 1n, actual: 2n };
  const error = await fails("Conflict", () => pool.appendAsync({ n: 3 }, { expect: 1 }), details);
  assert.equal(error.expected, 1n);
  assert.equal(error.actual, 2n);
  await fails("Conflict", () => pool.appendAsync({ n: 3 }, { expect: "none" }), {
    expected: 0n,
    actual: 2n,
  });
  assert.deepEqual(await numbers(pool), [1, 2]);
});

behaviour("expect with a key is about the newest message of that key", async ({ pool }) => {
  const a = await pool.appendAsync({ n: 1 }, { tags: ["t"], key: "a" });
  assert.deepEqual(a.tags, ["t", "key:a"]);
  await pool.appendAsync({ n: 2 });
  await pool.appendAsync({ n: 3 }, { key: "a", expect: a.seq });
  await fails("Conflict", () => pool.appendAsync({ n: 4 }, { key: "a", expect: a.seq }), {
    key: "a",
    expected: 1n,
    actual: 3n,
  });
});

behaviour("id: a repeated append stores nothing and returns what is stored", async ({ pool }) => {
  const once = await pool.appendAsync({ n: 1 }, { id: "x" });
  const twice = await pool.appendAsync({ n: 1 }, { id: "x", expect: "none" });
  assert.equal(once.duplicate, false);
  assert.deepEqual([twice.duplicate, twice.seq, twice.timestampNs, twice.data.n], [
    true,
    once.seq,
    once.timestampNs,
    1,
  ]);
  await fails("Conflict", () => pool.appendAsync({ n: 2 }, { id: "x" }), { id: "x", seq: 1n });
  // Outside of the window it is a new message.
  await pool.appendAsync({ n: 2 });
  const later = await pool.appendAsync({ n: 1 }, { id: "x", idWindow: 1 });
  assert.deepEqual([later.duplicate, later.seq], [false, 3n]);
});

behaviour("a batch under conditions is stored as a whole or not at all", async ({ pool }) => {
  const items = [{ n: 1 }, { n: 2 }];
  const stored = await pool.appendBatch(items, { expect: "none", key: "k" });
  assert.deepEqual(stored.map(({ tags }) => tags), [["key:k"], ["key:k"]]);
  await fails("Conflict", () => pool.appendBatch(items, { expect: 1 }));
  const ids = ["a", "b"];
  await pool.appendBatch([{ n: 3 }], { ids: ["a"] });
  const again = await pool.appendBatch([{ n: 3 }, { n: 4 }], { ids });
  assert.deepEqual(again.map(({ duplicate, seq }) => [duplicate, seq]), [[true, 3n], [false, 4n]]);
  await fails("Usage", () => pool.appendBatch(items, { ids: ["a"] }));
  assert.deepEqual(await numbers(pool), [1, 2, 3, 4]);
});

behaviour("latest by key and by tag or path, with tombstones", async ({ pool }) => {
  assert.equal(await pool.latestAsync("a"), null);
  await pool.appendAsync({ n: 1, who: "ann" }, { key: "a", tags: ["who:ann"] });
  await pool.appendAsync({ n: 2, who: "bob" }, { key: "b", tags: ["who:bob"] });
  await pool.appendAsync({ n: 3, who: "ann" }, { key: "a", tags: ["who:ann", "gone"] });
  assert.equal((await pool.latestAsync("a"))?.data.n, 3);
  const by = async (prefix: string, options = {}): Promise<(number | undefined)[]> =>
    (await pool.latestByAsync(prefix, options)).map(({ data }) => data.n);
  assert.deepEqual(await by("who:"), [2, 3]);
  assert.deepEqual(await by(".data.who"), [2, 3]);
  assert.deepEqual(await by("who:", { where: ".data.n < 3" }), [1, 2]);
  assert.deepEqual(await by("who:", { having: '.meta.tags | index("gone") | not' }), [2]);
  assert.deepEqual(await by("who:", { tags: ["gone"] }), [3]);
});

behaviour("claim: one holder, all keys or none, and a later token", async ({ pool, again }) => {
  const lease = await pool.claim(["a", "b"], { holder: "ann", ttlMs: 60_000 });
  assert(lease.until.getTime() > Date.now() + 30_000);
  const other = await again();
  const error = await fails("Busy", () => other.claim(["b", "c"], { holder: "bob" }), {
    key: "b",
    holder: "ann",
  });
  assert.equal(error.holder, "ann");
  await lease.renew();
  await lease.release();
  await lease.release();
  assert.equal(lease.signal.aborted, false);
  await using next = await other.claim(["c", "b"], { holder: "bob" });
  assert(next.token > lease.token);
  await other[Symbol.asyncDispose]();
});

behaviour("claim: waits until the key is released, or is aborted", async ({ pool, again }) => {
  const lease = await pool.claim("a", { holder: "ann" });
  const other = await again();
  const abort = new AbortController();
  const gone = new Error("gone");
  const waiting = other.claim("a", { holder: "eve", waitMs: PATIENCE_MS, signal: abort.signal });
  abort.abort(gone);
  await assert.rejects(waiting, gone);
  const next = other.claim("a", { holder: "bob", waitMs: PATIENCE_MS });
  await lease.release();
  const won = await next;
  assert.equal(won.holder, "bob");
  // A lease outlives the pool that it was claimed with.
  await other[Symbol.asyncDispose]();
  await won.renew();
  await won.release();
});

behaviour("claim: renews by itself, and aborts its signal when it is lost", async (place) => {
  const { pool, local } = place;
  const lease = await pool.claim("a", { holder: "ann", ttlMs: 1_000 });
  using watching = local.openPool<Data>("p");
  let renewals = 0;
  for await (const message of watching.tail({ sinceSeq: 2, timeoutMs: PATIENCE_MS })) {
    assert.equal(message.data["state"], "held");
    if (++renewals === 2) break;
  }
  assert.equal(lease.signal.aborted, false);
  // As `release --force` does.
  watching.append(
    { claim: ["a"], by: "ann", state: "released", ttl_ms: 0, token: Number(lease.token) },
    { tags: ["claim", "key:a", "agent:eve", "forced"] },
  );
  await aborted(lease.signal);
  await fails("Conflict", () => lease.renew());
  await lease.release(); // There is nothing to release.
});

behaviour("claim: without renewal the signal aborts when the time is over", async ({ pool }) => {
  const lease = await pool.claim("a", { holder: "ann", ttlMs: 1_000, autoRenew: false });
  await aborted(lease.signal);
  assert(Date.now() >= lease.until.getTime());
  await using next = await pool.claim("a", { holder: "bob" });
  assert(next.token > lease.token);
});

behaviour("cursor: what is not acknowledged is delivered again", async ({ pool, again }) => {
  for (let n = 1; n <= 5; n++) await pool.appendAsync({ n });
  const cursor = await pool.cursor("c");
  assert.deepEqual([cursor.isNew, cursor.seq, cursor.lag], [true, 0n, 5n]);
  const read = async (count: number): Promise<(number | undefined)[]> => {
    const found: (number | undefined)[] = [];
    for await (const { data } of cursor.tail({ maxMessages: count })) found.push(data.n);
    return found;
  };
  assert.deepEqual(await read(3), [1, 2, 3]);
  await cursor.ack(2);
  assert.deepEqual([cursor.seq, cursor.lag], [2n, 3n]);
  assert.deepEqual(await read(2), [3, 4]);
  await fails("Usage", async () => await cursor.ack(5));
  await cursor.ack(4);
  // It outlives the pool that it was opened with.
  const other = await again();
  await pool[Symbol.asyncDispose]();
  assert.deepEqual(await read(1), [5]);
  await cursor.close();
  await fails("Usage", async () => await cursor.ack(5));
  await using next = await other.cursor("c", { from: "end" });
  assert.deepEqual([next.isNew, next.seq], [false, 4n]);
  for await (const { seq, data } of next.tail()) {
    assert.equal(data.n, 5);
    await next.ack(seq);
    break;
  }
  assert.equal(next.lag, 0n);
  await other[Symbol.asyncDispose]();
});

behaviour("cursor: moves over what does not match, but not past what is open", async (place) => {
  const { pool } = place;
  await pool.appendBatch([{ n: 1 }, { n: 2 }], { tags: ["no"] });
  {
    await using cursor = await pool.cursor("c");
    const tail = cursor.tail({ tags: "yes", untilSeq: 2 });
    for await (const _ of tail) assert.fail("nothing matches");
    assert.equal(cursor.seq, 2n);
  }
  await using cursor = await pool.cursor("c");
  assert.equal(cursor.seq, 2n);
  await pool.appendAsync({ n: 3 }, { tags: ["yes"] });
  await pool.appendAsync({ n: 4 }, { tags: ["no"] });
  for await (const _ of cursor.tail({ tags: "yes", untilSeq: 4 })) continue;
  assert.equal(cursor.seq, 2n);
  await cursor.ack(3);
  assert.equal(cursor.seq, 3n);
});

behaviour("cursor: what was delivered twice is acknowledged once", async ({ pool }) => {
  await pool.appendBatch([{ n: 1 }, { n: 2 }], { tags: ["yes"] });
  await pool.appendAsync({ n: 3 }, { tags: ["no"] });
  await using cursor = await pool.cursor("c");
  for (let round = 0; round < 2; round++) {
    for await (const _ of cursor.tail({ tags: "yes", maxMessages: 2 })) continue;
  }
  await cursor.ack(2);
  for await (const _ of cursor.tail({ tags: "yes", untilSeq: 3 })) assert.fail("all are done");
  assert.equal(cursor.seq, 3n);
});

behaviour("cursor: one tail at a time; they are listed, set and deleted", async ({ pool }) => {
  await pool.appendBatch([{ n: 1 }, { n: 2 }, { n: 3 }]);
  const cursor = await pool.cursor("c", { from: 1 });
  const tail = cursor.tail();
  failsNow("Usage", () => cursor.tail());
  tail.close();
  cursor.tail().close();
  await cursor.close();
  await pool.setCursor("d", "end", { ifSeq: null });
  await fails("Conflict", () => pool.setCursor("d", "oldest", { ifSeq: 1 }), {
    expected: 1n,
    actual: 3n,
  });
  const list = await pool.cursors();
  assert.deepEqual(list.map(({ name, kind, seq, lag }) => [name, kind, seq, lag]), [
    ["c", "cursor", 1n, 2n],
    ["d", "cursor", 3n, 0n],
  ]);
  await pool.deleteCursor("d");
  await fails("NotFound", () => pool.deleteCursor("d"));
});

behaviour("cursor: a pool that was made anew is noticed", async ({ pool, local, again }) => {
  await pool.appendBatch([{ n: 1 }, { n: 2 }]);
  const cursor = await pool.cursor("c");
  for await (const { seq } of cursor.tail({ maxMessages: 2 })) await cursor.ack(seq);
  await cursor.close();
  const copy = `${local.poolDir}/p.copy`;
  Deno.renameSync(`${local.poolDir}/p.cursors`, copy);
  local.deletePool("p");
  local.createPool("p").close();
  Deno.renameSync(copy, `${local.poolDir}/p.cursors`);
  const other = await again();
  await fails("NotFound", () => other.cursor("c"));
  await other[Symbol.asyncDispose]();
});

behaviour("group: each task once, failed ones again, then to the dead pool", async (place) => {
  const { pool, local } = place;
  await pool.appendBatch([{ n: 1 }, { n: 2 }], { tags: ["task"] });
  await pool.appendAsync({ n: 3 });
  using group = await pool.group("g", { tags: "task", maxTries: 2, holder: "w1" });
  const [first, second, ...none] = await group.take({ count: 10 });
  assert(first !== undefined && second !== undefined && none.length === 0);
  assert.deepEqual([first.message.data.n, first.tries, first.signal.aborted], [1, 1, false]);
  assert.equal(await first.ack(), true);
  assert.equal(await first.ack(), false);
  assert.equal(await second.extend(), true);
  await second.fail(0);
  const [retried] = await group.take({ waitMs: PATIENCE_MS });
  assert.deepEqual([retried?.message.data.n, retried?.tries], [2, 2]);
  await retried?.fail(0);
  assert.deepEqual(await group.take(), []);
  assert.deepEqual(await group.take({ waitMs: 50 }), []);
  using dead = local.openPool<Data>("p.dead");
  assert.deepEqual(dead.get(1).tags.slice(0, 2), ["task", "dead:2"]);
  assert.equal((await pool.cursors())[0]?.pending, 0);
});

behaviour("group: a worker that was too slow cannot acknowledge another's task", async (place) => {
  const { pool, again } = place;
  await pool.appendAsync({ n: 1 });
  const other = await again();
  using slow = await pool.group("g", { ackWaitMs: 20, holder: "slow" });
  using quick = await other.group("g", { holder: "quick" });
  const [mine] = await slow.take();
  assert(mine !== undefined);
  await aborted(mine.signal);
  const [theirs] = await quick.take({ waitMs: PATIENCE_MS });
  assert.equal(theirs?.tries, 2);
  await fails("Conflict", () => mine.ack());
  assert.equal(await theirs?.ack(), true);
  await other[Symbol.asyncDispose]();
});

behaviour("group: the iteration waits for tasks and ends with the group", async ({ pool }) => {
  const group = await pool.group("g");
  const done: (number | undefined)[] = [];
  const working = (async () => {
    for await (const task of group) {
      done.push(task.message.data.n);
      await task.ack();
      if (task.message.data.n === 2) setTimeout(() => group.close(), 10);
    }
  })();
  await pool.appendAsync({ n: 1 });
  await pool.appendAsync({ n: 2 });
  await working;
  assert.deepEqual(done, [1, 2]);
  await fails("Usage", () => group.take());
});

behaviour("misspelt and senseless options are refused before anything is done", async (place) => {
  const { pool } = place;
  const bad = <T>(value: unknown): T => value as T;
  for (
    const options of [
      { expect: -1 },
      { expect: "some" },
      { key: "" },
      { key: "a\nb" },
      { id: 7 },
      { id: "x".repeat(257) },
      { idWindow: 4 },
      { id: "x", idWindow: 0 },
      { ids: ["x"] },
    ]
  ) await fails("Usage", () => pool.appendAsync({ n: 1 }, bad(options)));
  await fails("Usage", () => pool.claim("a", bad({})));
  await fails("Usage", () => pool.claim("a", bad({ holder: "ann", ttl: 5 })));
  await fails("Usage", () => pool.claim("a", { holder: "ann", ttlMs: 5 }));
  await fails("Usage", () => pool.claim([], { holder: "ann" }));
  await fails("Usage", () => pool.cursor("Capital"));
  await fails("Usage", () => pool.cursor("c", bad({ from: "newest" })));
  await fails("Usage", () => pool.setCursor("c", 7));
  await fails("Usage", () => pool.latestAsync(""));
  await fails("Usage", () => pool.group("g", { maxTries: 0 }));
  await fails("Usage", async () => {
    using group = await pool.group("g");
    await group.take(bad({ max: 1 }));
  });
  await using cursor = await pool.cursor("c");
  failsNow("Usage", () => cursor.tail(bad({ sinceSeq: 1 })));
  assert.deepEqual(await numbers(pool), []);
});

for (const kind of ["local", "remote"] as const) {
  for (const { name, run } of behaviours) {
    Deno.test(`library, ${kind}: ${name}`, async () => {
      const dir = await Deno.makeTempDir();
      const local = new Client(dir);
      local.createPool("p").close();
      await using server = kind === "remote" ? serve({ dir }) : null;
      await using client = server?.client() ?? null;
      const again = async (): Promise<AnyPool> =>
        client === null ? local.openPool<Data>("p") : await client.openPool<Data>("p");
      {
        await using pool = await again();
        await run({ kind, pool, again, local });
      }
      await Deno.remove(dir, { recursive: true });
    });
  }
}

Deno.test("library: conditional appends, latest and latestBy are there synchronously", () => {
  const dir = Deno.makeTempDirSync();
  const client = new Client(dir);
  {
    using pool = client.pool<Data>("p");
    pool.append({ n: 1 }, { expect: "none", key: "a" });
    failsNow("Conflict", () => pool.append({ n: 2 }, { expect: "none" }), { actual: 1n });
    const twice = [1, 2].map(() => pool.append({ n: 3 }, { id: "x" }));
    assert.deepEqual(twice.map(({ seq, duplicate }) => [seq, duplicate]), [[2n, false], [
      2n,
      true,
    ]]);
    assert.deepEqual(twice[1]?.tags, ["id:x"]);
    assert.equal(pool.latest("a")?.seq, 1n);
    assert.equal(pool.latest("b"), null);
    const found = pool.latestBy("key:", { where: ".data.n == 1" });
    assert.deepEqual(found.map(({ seq }) => seq), [1n]);
    const jq = "[.data.n] | map(. + 1) | add == 2";
    failsNow("Usage", () => pool.latestBy("key:", { where: jq }));
  }
  Deno.removeSync(dir, { recursive: true });
});

Deno.test("library: a cursor survives that its pool is opened for writing later", async () => {
  const dir = Deno.makeTempDirSync();
  const client = new Client(dir);
  client.pool("p").close();
  {
    using pool = client.pool<Data>("p");
    pool.append({ n: 1 });
    await using cursor = await pool.cursor("c");
    await using _lease = await pool.claim("a", { holder: "ann" });
    pool.append({ n: 2 }, { expect: 2 });
    const seen: bigint[] = [];
    for await (const { seq } of cursor.tail({ idleTimeoutMs: 0 })) {
      seen.push(seq);
      cursor.ack(seq); // Local positions are stored at once.
      assert.equal(cursor.seq, seq);
    }
    assert.deepEqual(seen, [1n, 2n, 3n]);
  }
  Deno.removeSync(dir, { recursive: true });
});

Deno.test("library: a task that nobody looks at costs no timer", async () => {
  const dir = Deno.makeTempDirSync();
  const client = new Client(dir);
  const tasks: Task[] = [];
  {
    using pool = client.pool("p");
    await pool.appendBatch([{}, {}, {}]);
    using group = await pool.group("g");
    tasks.push(...await group.take({ count: 3 }));
  }
  await pause(1); // The sanitizer of tests finds timers.
  assert.equal(tasks.length, 3);
  Deno.removeSync(dir, { recursive: true });
});
