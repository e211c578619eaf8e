/**
 * What every backend must do when several people work through one pool, as far as it has the
 * feature. The lack of a feature must be said before anything is sent.
 *
 * @module
 */

import assert from "node:assert/strict";
import { fails } from "../support/fails.ts";
import type { Coordination, Cursor } from "../../lib/backend/coordination.ts";
import type { Feature, PoolHandle, StoredFrame } from "../../lib/backend/types.ts";
import { compileWhere } from "../../lib/filter/where.ts";
import { MessageView } from "../../lib/lite3/message.ts";
import { frames, storeAll, storeWhen } from "../support/coordinated.ts";
import type { Place } from "./suite.ts";
import { watchdog } from "../support/patience.ts";

/** What the suite needs of the one that it belongs to. */
export interface Tools {
  /** Registers a test with a pool of 1 MiB, or `sizeBytes`. */
  withPool(
    title: string,
    run: (pool: PoolHandle, place: Place) => Promise<void>,
    sizeBytes?: number,
  ): void;
  /** Appends one message a datum. */
  put(
    pool: PoolHandle,
    data: readonly object[],
    tags?: (i: number) => string[],
  ): Promise<bigint[]>;
}

const numbered = (count: number): object[] =>
  Array.from({ length: count }, (_, i) => ({ n: i + 1 }));

function tagsOf({ payload }: StoredFrame): string[] {
  const view = new MessageView();
  view.open(payload, new DataView(payload.buffer, payload.byteOffset), 0, payload.length);
  return view.tags();
}

/** Reads one message with a cursor, and marks it as delivered. */
async function next(cursor: Cursor): Promise<bigint | null> {
  const walk = await cursor.select();
  try {
    for (;;) {
      if (walk.next()) {
        const { seq, timestampNs } = walk.frame;
        cursor.deliver(seq, timestampNs);
        return seq;
      }
      if (walk.ended) return null;
      await walk.wait(undefined, watchdog());
    }
  } finally {
    walk.close();
  }
}

/** Registers the tests. */
export function coordinationSuite({ withPool, put }: Tools): void {
  const withAppend = (
    feature: Feature,
    title: string,
    run: (pool: PoolHandle, place: Place) => Promise<void>,
    sizeBytes?: number,
  ): void =>
    withPool(title, async (pool, place) => {
      if ((await place.backend.features()).has(feature)) await run(pool, place);
      else await refuses(feature, pool);
    }, sizeBytes);
  const withFeature = (
    feature: Feature,
    title: string,
    run: (pool: PoolHandle, coordination: Coordination, place: Place) => Promise<void>,
    sizeBytes?: number,
  ): void =>
    withAppend(
      feature,
      title,
      async (pool, place) => await run(pool, await pool.coordinate(), place),
      sizeBytes,
    );

  /** Whoever believes that a condition was checked, or a lease was given, does damage. */
  async function refuses(feature: Feature, pool: PoolHandle): Promise<void> {
    const calls: Partial<Record<Feature, () => unknown>> = {
      expect: () => storeWhen(pool, {}, [], { expect: 0n }),
      key: () => storeWhen(pool, {}, ["key:a"], { expect: 0n, key: "a" }),
      id: () => storeWhen(pool, {}, ["id:x"], { ids: ["x"] }),
      latest: async () => await (await pool.coordinate()).latest("a"),
      claim: async () => await (await pool.coordinate()).claim({ keys: ["a"], holder: "ann" }),
      cursor: async () => await (await pool.coordinate()).cursor("c"),
      group: async () => await (await pool.coordinate()).group("g").take(),
    };
    const error = await fails("Usage", () => calls[feature]?.());
    assert.match(error.message, /cannot/);
    assert.equal((await pool.info()).bounds.newestSeq, null, "nothing was stored");
  }

  withAppend("expect", "of those who expect the same, one appends", async (pool, place) => {
    const one = (expect: bigint) => storeWhen(pool, { expect }, [], { expect });
    assert.equal((await one(0n)).seq, 1n);
    const tries = await Promise.allSettled(Array.from({ length: 12 }, () => one(1n)));
    const failed = tries.filter((result) => result.status === "rejected");
    assert.equal(failed.length, 11);
    const error = await fails("Conflict", () => one(1n));
    assert.deepEqual([error.expected, error.actual], [1n, 2n]);
    assert.equal((await pool.bounds()).newest, 2n);
    if (place.noBatches === true) return;
    // A batch is one piece: all of it or nothing.
    const batch = () => frames([{ n: 1 }, []], [{ n: 2 }, []]);
    await fails("Conflict", () => storeAll(pool, batch(), { expect: 1n }));
    const stored = await storeAll(pool, batch(), { expect: 2n });
    assert.deepEqual(stored.map(({ seq }) => seq), [3n, 4n]);
    assert.equal((await pool.bounds()).newest, 4n);
  });

  withAppend("key", "an expectation about a key looks at its messages only", async (pool) => {
    const one = (expect: bigint, key: string) =>
      storeWhen(pool, { key }, [`key:${key}`], { expect, key });
    await one(0n, "a");
    await one(0n, "b");
    await put(pool, numbered(3));
    const error = await fails("Conflict", () => one(2n, "a"));
    assert.deepEqual({ ...error.details }, { expected: 2n, actual: 1n, key: "a" });
    assert.equal((await one(1n, "a")).seq, 6n);
    await fails("Conflict", () => one(0n, "a"));
  });

  withAppend("id", "an id is stored once, whatever else was expected", async (pool, place) => {
    const one = (data: object, id: string, expect?: bigint) =>
      storeWhen(pool, data, [`id:${id}`], { ids: [id], ...expect === undefined ? {} : { expect } });
    assert.deepEqual(await one({ n: 1 }, "x", 0n), { seq: 1n, duplicate: false });
    await put(pool, numbered(2));
    // Repeating after an unknown outcome is safe.
    const again = place.idsByTime === true ? undefined : 0n;
    assert.deepEqual(await one({ n: 1 }, "x", again), { seq: 1n, duplicate: true });
    const error = await fails("Conflict", () => one({ n: 2 }, "x"));
    assert.deepEqual([error.details["id"], error.details["seq"]], ["x", 1n]);
    const batch = frames(
      [{ n: 3 }, ["id:y"]],
      [{ n: 1 }, ["id:x"]],
      [{ n: 3 }, ["id:y"]],
      [{ n: 4 }, []],
    );
    assert.deepEqual(await storeAll(pool, batch, { ids: ["y", "x", "y", null] }), [
      { seq: 4n, duplicate: false },
      { seq: 1n, duplicate: true },
      { seq: 4n, duplicate: true },
      { seq: 5n, duplicate: false },
    ]);
    assert.equal((await pool.get(5n)) === null, false);
    assert.equal(await pool.get(6n), null);
    if (place.idsByTime === true) return;
    const far = { ids: ["x"], idWindow: 2 };
    assert.equal((await storeWhen(pool, { n: 9 }, ["id:x"], far)).seq, 6n);
  });

  withFeature("latest", "tells the newest message of a key and of each group", async (pool, it) => {
    await put(pool, numbered(6), (i) => [`key:${"abc"[i % 3]}`, i === 5 ? "gone" : "there"]);
    assert.equal((await it.latest("a"))?.seq, 4n);
    assert.deepEqual(tagsOf(await it.latest("c") ?? assert.fail()), ["key:c", "gone"]);
    assert.equal(await it.latest("none"), null);
    const by = async (...args: Parameters<typeof it.latestBy>): Promise<unknown> => {
      const { latest, messages } = await it.latestBy(...args);
      assert.deepEqual(messages.map(({ seq }) => seq), [...new Set(latest.map(({ seq }) => seq))]);
      return latest.map(({ key, seq }) => `${key}@${seq}`);
    };
    assert.deepEqual(await by("key:"), ["key:a@4", "key:b@5", "key:c@6"]);
    assert.deepEqual(await by(".data.none"), []);
    assert.deepEqual(await by("key:", { tags: ["there"] }), ["key:c@3", "key:a@4", "key:b@5"]);
    const where = [await compileWhere(".data.n < 3")];
    assert.deepEqual(await by(".data.n", { where }), ["1@1", "2@2"]);
    const having = [await compileWhere('.meta.tags | index("gone") | not')];
    assert.deepEqual(await by("key:", { having }), ["key:a@4", "key:b@5"]);
    const most = await it.latestBy("key:", { most: 2 });
    assert.deepEqual(most.messages.map(({ seq }) => seq), [5n, 6n]);
    assert.equal(most.forgotten, true);
    // The newest that are left, not those among the newest that happen to be left.
    assert.deepEqual(await by("key:", { having, most: 1 }), ["key:b@5"]);
    assert.equal((await it.latestBy("key:", { having, most: 1 })).forgotten, true);
    assert.equal((await it.latestBy("key:", { having, most: 2 })).forgotten, false);
    const nothing = await it.latestBy("key:", { most: 0 });
    assert.deepEqual([nothing.messages, nothing.forgotten], [[], true]);
    const sinceNs = Temporal.Now.instant().epochNanoseconds + 60_000_000_000n;
    assert.deepEqual(await by("key:", { sinceNs }), []);
    await fails("Usage", () => it.latestBy("."));
  });

  withFeature(
    "claim",
    "one holder at a time, and the refusal names it",
    async (_, it, place) => {
      const other = await place.backend.open("p", { write: true });
      const bob = await other.coordinate();
      const isOne = place.claimsOneKey === true;
      if (isOne) await fails("Usage", () => it.claim({ keys: ["a", "b"], holder: "ann" }));
      const keys = isOne ? ["a"] : ["a", "b"];
      const mine = await it.claim({ keys, holder: "ann" });
      assert.deepEqual([mine.token, mine.seq, mine.keys], [1n, 1n, keys]);
      const wanted = isOne ? ["a"] : ["b", "c"];
      const error = await fails("Busy", () => bob.claim({ keys: wanted, holder: "bob" }));
      const { until, ...details } = error.details;
      assert.deepEqual(details, { key: wanted[0], holder: "ann", token: 1n });
      assert.equal(Date.parse(String(until)), Number(mine.untilNs / 1_000_000n));
      await fails("Busy", () => bob.claim({ keys: ["a"], holder: "bob", waitMs: 20 }));
      assert.equal((await it.claim({ keys: keys.toReversed(), holder: "ann" })).token, 1n);
      const renewed = await it.claim({ keys, holder: "ann", token: 1n, ttlMs: 90_000 });
      assert(renewed.untilNs > mine.untilNs + 20_000_000_000n);
      const waiting = bob.claim({ keys: ["a"], holder: "bob", waitMs: 30_000 });
      const released = await it.release({ keys, holder: "ann", token: 1n });
      assert.deepEqual([released.keys, released.token], [keys, 1n]);
      assert(released.seq > 0n);
      const his = await waiting;
      assert(his.token > 1n);
      const lost = await fails("Conflict", () => {
        return it.claim({ keys: ["a"], holder: "ann", token: 1n });
      });
      assert.deepEqual([lost.details["key"], lost.holder], ["a", "bob"]);
      if (!isOne) {
        const again = await it.release({ keys: ["b"], holder: "ann", token: 1n });
        assert.deepEqual(again, { keys: ["b"], seq: 0n, token: 1n });
      }
      const forced = await it.release({ keys: ["a"], holder: "root", force: true });
      assert.equal(forced.token, his.token);
      await fails("Usage", () => it.claim({ keys: [], holder: "ann" }));
      await fails("Usage", () => it.release({ keys: ["a"], holder: "ann" }));
      const stop = new AbortController();
      await it.claim({ keys: ["a"], holder: "ann" });
      const aborted = bob.claim({
        keys: ["a"],
        holder: "bob",
        waitMs: 30_000,
        signal: stop.signal,
      });
      stop.abort(new Error("enough"));
      await assert.rejects(aborted);
      await other.close();
    },
  );

  withFeature("cursor", "a cursor keeps the position for the next reader", async (pool, it) => {
    await put(pool, numbered(5), (i) => i === 4 ? [] : ["t"]);
    assert.deepEqual(await it.cursors(), []);
    const cursor = await it.cursor("c");
    assert.deepEqual([cursor.name, cursor.isNew, cursor.seq], ["c", true, 0n]);
    for (const seq of [1n, 2n]) {
      assert.equal(await next(cursor), seq);
      assert.equal(await cursor.ack(seq), true);
    }
    assert.equal(await cursor.ack(4n), false, "it was not delivered");
    assert.equal(await next(cursor), 3n);
    await cursor.pass(5n);
    assert.deepEqual([cursor.seq, cursor.pending], [2n, 1], "it does not pass what is not done");
    await cursor.check();
    await cursor.close();
    const again = await it.cursor("c", { from: "end" });
    assert.deepEqual([again.isNew, again.seq], [false, 2n]);
    assert.equal(await next(again), 3n);
    await again.ack(3n);
    await again.pass(6n);
    assert.equal(again.seq, 5n);
    assert.equal(await next(again), null);
    await again.close();
    const [info] = await it.cursors();
    assert.deepEqual([info?.name, info?.kind, info?.seq, info?.lag], ["c", "cursor", 5n, 0n]);
    for (const [from, seq] of [["end", 5n], ["oldest", 0n], [3n, 3n]] as const) {
      const placed = await it.cursor(`at-${from}`, { from });
      assert.equal(placed.seq, seq);
      await placed.close();
    }
    await fails("Usage", () => it.cursor("far", { from: 6n }));
    await fails("Usage", () => it.cursor("Bad Name"));
  });

  withFeature("cursor", "a cursor is set, compared and deleted", async (pool, it) => {
    await put(pool, numbered(5));
    assert.equal((await it.setCursor("c", { to: 2n, ifSeq: null })).seq, 2n);
    for (const [ifSeq, actual] of [[null, 2n], [1n, 2n]] as const) {
      const error = await fails("Conflict", () => it.setCursor("c", { to: 3n, ifSeq }));
      assert.deepEqual({ ...error.details }, { expected: ifSeq, actual });
    }
    const none = await fails("Conflict", () => it.setCursor("none", { to: 3n, ifSeq: 1n }));
    assert.deepEqual({ ...none.details }, { expected: 1n, actual: null });
    assert.equal((await it.setCursor("c", { to: 4n, ifSeq: 2n })).lag, 1n);
    assert.equal((await it.setCursor("c", { to: "oldest" })).seq, 0n);
    assert.equal((await it.setCursor("c", { to: "end" })).seq, 5n);
    await fails("Usage", () => it.setCursor("c", { to: 6n }));
    await it.deleteCursor("c");
    await fails("NotFound", () => it.deleteCursor("c"));
    assert.deepEqual(await it.cursors(), []);
  });

  // A worker that died with a message in its hands must not take it along, and one that cannot be
  // done must not stop the rest.
  withFeature("cursor", "a message that is given up goes to the dead pool", async (...args) => {
    const [pool, it, { backend, deadPool = "p.dead" }] = args;
    await put(pool, numbered(2), () => ["t"]);
    const cursor = await it.cursor("c");
    const seq = await next(cursor);
    const message = await pool.get(seq ?? 0n, true) ?? assert.fail();
    await cursor.bury(message);
    assert.equal(cursor.seq, 1n);
    assert.equal(await next(cursor), 2n);
    await cursor.close();
    const dead = await backend.open(deadPool);
    const tags = tagsOf(await dead.get(1n, true) ?? assert.fail());
    assert.deepEqual(tags, ["t", "dead:1", `id:dead:c:${message.timestampNs}:1`]);
    await dead.close();
  });

  withFeature(
    "group",
    "a task goes to one worker, and comes again if it fails",
    async (pool, it) => {
      await put(pool, numbered(4), (i) => i === 1 ? [] : ["t"]);
      const request = { tags: ["t"], maxTries: 2 };
      const ann = it.group("g", { ...request, holder: "ann" });
      const bob = it.group("g", { ...request, holder: "bob" });
      const [first] = (await ann.take()).tasks;
      const { message, token, tries } = first ?? assert.fail();
      assert.deepEqual([message.seq, tries, tagsOf(message)], [1n, 1, ["t"]]);
      const his = (await bob.take({ count: 9 })).tasks;
      assert.deepEqual(his.map(({ message: { seq } }) => seq), [3n, 4n]);
      assert.deepEqual(await ann.take(), { tasks: [], lost: 0n, idle: false });
      await fails("Conflict", () => ann.ack(3n, token));
      assert.equal(await ann.extend(1n, token, 60_000), true);
      const waiting = bob.take({ waitMs: 30_000 });
      assert.equal(await ann.fail(1n, token, 0), true);
      const [again] = (await waiting).tasks;
      assert.deepEqual([again?.message.seq, again?.tries], [1n, 2]);
      await fails("Conflict", () => ann.ack(1n, token));
      for (const { message, token } of his) assert.equal(await bob.ack(message.seq, token), true);
      assert.equal(await bob.ack(3n, his[0]?.token ?? 0), false, "it is done");
      const [info] = await it.cursors();
      assert.deepEqual([info?.name, info?.kind, info?.pending, info?.next], ["g", "group", 1, 4n]);
      await bob.fail(1n, again?.token ?? 0, 0);
      assert.deepEqual((await ann.take()).tasks, []);
      assert.equal((await ann.take()).idle, true);
      await fails("Usage", () => it.group("g").take());
      const stop = new AbortController();
      const stopped = ann.take({ waitMs: 30_000, signal: stop.signal });
      stop.abort(new Error("enough"));
      await assert.rejects(stopped);
      ann.close();
      bob.close();
    },
  );

  withFeature("group", "tasks tried too often go to the dead pool", async (pool, it, place) => {
    await put(pool, numbered(2));
    const group = it.group("g", { maxTries: 1 });
    const [task] = (await group.take()).tasks;
    await group.fail(1n, task?.token ?? 0, 0);
    assert.deepEqual((await group.take({ count: 9 })).tasks.map(({ message }) => message.seq), [
      2n,
    ]);
    group.close();
    const dead = await place.backend.open(place.deadPool ?? "p.dead");
    assert.deepEqual(tagsOf(await dead.get(1n, true) ?? assert.fail())[0], "dead:1");
    await dead.close();
  });

  // Lost: a task that nobody gets back within a lifetime, and a pool full of copies of one task.
  withFeature("group", "endless times and the pool as its own dead pool", async (pool, it) => {
    await put(pool, numbered(2));
    const group = it.group("g");
    for (const ackWaitMs of [Number.MAX_SAFE_INTEGER, 10 ** 15, -1, NaN]) {
      await fails("Usage", () => group.take({ ackWaitMs }));
    }
    const year = 365 * 86_400_000;
    const { tasks: [task] } = await group.take({ ackWaitMs: year });
    const { message: { seq }, token } = task ?? assert.fail();
    assert.equal(seq, 1n, "the calls that were refused took nothing");
    await fails("Usage", () => group.extend(seq, token, year + 1));
    await fails("Usage", () => group.extend(seq, token, NaN));
    await fails("Usage", () => group.fail(seq, token, 10 ** 16));
    await fails("Usage", () => group.fail(seq, token, NaN));
    assert.equal(await group.extend(seq, token, year), true);
    assert.equal(await group.fail(seq, token, year), true);
    group.close();
    // Before there is a group of that name.
    for (const dead of [pool.name, `${pool.name}.plasmite`]) {
      await fails("Usage", () => it.group("h", { dead }));
    }
    it.group("h", { dead: `/elsewhere/${pool.name}` }).close();
  });

  // Lost: the messages of a pool, to endless copies of one that nobody can process.
  withFeature("cursor", "a cursor buries nothing in its own pool", async (pool, it) => {
    await put(pool, numbered(1));
    const cursor = await it.cursor("c");
    const message = await pool.get(1n) ?? assert.fail();
    await fails("Usage", () => cursor.bury(message, pool.name));
    assert.equal((await pool.bounds()).newest, 1n);
    await cursor.close();
  });

  withFeature("group", "what was lost is reported once", async (pool, it) => {
    await put(pool, numbered(3));
    const group = it.group("g");
    assert.equal((await group.take({ count: 2 })).tasks.length, 2);
    await put(pool, numbered(2000));
    const { lost, tasks } = await group.take();
    const before = (tasks[0]?.message.seq ?? 0n) - 1n;
    assert(before > 2n);
    assert.equal(lost, before, "what was handed out is lost, too");
    assert.equal((await group.take()).lost, 0n);
    group.close();
  }, 65536);
}
