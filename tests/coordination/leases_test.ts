/**
 * Leases in real pools and real processes: two holders at once would deploy twice, and one that died
 * would block everybody.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { withPool } from "./pool_util.ts";
import { newestOf } from "../../lib/backend/newest.ts";
import { KnownTags } from "../../lib/backend/local/known_tags.ts";
import { compileWhere, type Where } from "../../lib/filter/where.ts";
import { settingMaxAge } from "../../lib/pool/retention.ts";
import { frames, storeAll, storeWhen } from "../support/coordinated.ts";
import { fails } from "../support/fails.ts";
import { pause } from "../support/patience.ts";
import { start } from "../support/processes.ts";
import { onRing } from "../support/retained.ts";
import { SCALE } from "../support/rings.ts";
import { slowWhere } from "../support/slow_filter.ts";
import { turnsDuring } from "../support/turns.ts";

Deno.test("lease: claim, refusal, renewal, release in a pool", async () => {
  await withPool(async ({ pool, open }) => {
    const ann = await pool.coordinate();
    const bob = await open().coordinate();
    const mine = await ann.claim({ keys: ["a", "b"], holder: "ann" });
    assert.deepEqual([mine.token, mine.seq, mine.keys], [1n, 1n, ["a", "b"]]);
    const ahead = mine.untilNs - Temporal.Now.instant().epochNanoseconds;
    assert(ahead > 0n && ahead <= 60_000_000_000n);
    await fails("Busy", () => bob.claim({ keys: ["b", "c"], holder: "bob" }), {
      key: "b",
      holder: "ann",
      token: 1n,
    });
    assert.equal((await bob.claim({ keys: ["c"], holder: "bob" })).token, 2n);
    const again = await ann.claim({ keys: ["b", "a"], holder: "ann" });
    assert.deepEqual([again.token, again.seq], [1n, 3n]);
    assert.equal((await ann.claim({ keys: ["a", "b"], holder: "ann", token: 1n })).seq, 4n);
    await fails("Conflict", () => bob.claim({ keys: ["a"], holder: "bob", token: 1n }), {
      key: "a",
      holder: "ann",
    });
    assert.equal((await ann.release({ keys: ["a", "b"], holder: "ann", token: 1n })).seq, 5n);
    assert.equal((await ann.release({ keys: ["a", "b"], holder: "ann", token: 1n })).seq, 0n);
    await fails("Conflict", () => ann.claim({ keys: ["a", "b"], holder: "ann", token: 1n }));
    assert.equal((await bob.claim({ keys: ["a"], holder: "bob" })).token, 6n);
    assert.equal((await ann.release({ keys: ["a", "c"], holder: "ann", force: true })).seq, 7n);
    assert.equal(pool.boundsNow().newest, 8n, "one release for each token");
    assert.equal((await ann.claim({ keys: ["a", "c"], holder: "ann" })).token, 9n);
    await fails("Usage", () => ann.claim({ keys: [], holder: "ann" }));
    await fails("Usage", () => ann.claim({ keys: ["a"], holder: "ann", ttlMs: 999 }));
    await fails("Usage", () => ann.release({ keys: ["a"], holder: "ann" }));
  });
});

// Lost: a server, to two requests of a megabyte: each key read the whole claim of all again, and kept
// it, while the pool was locked.
Deno.test("lease: however many keys a claim has, it is read once; there may be a thousand", async () => {
  await withPool(async ({ pool, open }) => {
    const own = KnownTags.prototype.readAll;
    let reads = 0;
    KnownTags.prototype.readAll = function (state, seqs, use) {
      own.call(this, state, seqs, (...args) => {
        reads++;
        use(...args);
      });
    };
    try {
      const keys = Array.from({ length: 1000 }, (_, i) => `k${i}`);
      const ann = await pool.coordinate();
      assert.equal((await ann.claim({ keys, holder: "ann" })).token, 1n);
      assert.equal(reads, 0);
      assert.equal((await ann.claim({ keys, holder: "ann" })).token, 1n);
      assert.equal(reads, 1);
      const bob = await open().coordinate();
      await fails("Busy", () => bob.claim({ keys: ["x", ...keys.slice(1)], holder: "bob" }));
      assert.equal(reads, 2);
      const two = keys.slice(0, 500);
      assert.equal((await ann.release({ keys: two, holder: "ann", token: 1n })).seq, 3n);
      assert.equal((await ann.release({ keys, holder: "bob", force: true })).seq, 4n);
      assert.equal(reads, 5, "the release of one half, and the claim of the other");
      await fails("Usage", () => ann.claim({ keys: [...keys, "more"], holder: "ann" }));
      await fails(
        "Usage",
        () => ann.release({ keys: [...keys, "more"], holder: "a", force: true }),
      );
      assert.equal((await ann.claim({ keys: [...keys, ...keys], holder: "ann" })).seq, 5n);
    } finally {
      KnownTags.prototype.readAll = own;
    }
  });
});

Deno.test("lease: what carries the key but is no claim does not free it", async () => {
  await withPool(async ({ pool, open }) => {
    const ann = await pool.coordinate();
    await ann.claim({ keys: ["a"], holder: "ann" });
    await storeWhen(pool, { note: 1 }, ["key:a"]);
    for (const one of [pool, open()]) {
      const bob = await one.coordinate();
      await fails("Busy", () => bob.claim({ keys: ["a"], holder: "bob" }));
      assert.equal((await bob.latest("a"))?.seq, 2n);
    }
  });
});

Deno.test("lease: a waiter gets it at the release, or gives up in time", async () => {
  await withPool(async ({ pool, open }) => {
    const ann = await pool.coordinate();
    const bob = await open().coordinate();
    const { token } = await ann.claim({ keys: ["a"], holder: "ann" });
    await fails("Busy", () => bob.claim({ keys: ["a"], holder: "bob", waitMs: 30 }), { key: "a" });
    const waiting = bob.claim({ keys: ["a"], holder: "bob", waitMs: 30_000 });
    await storeWhen(pool, { other: 1 }, ["claim"]);
    await ann.release({ keys: ["a"], holder: "ann", token });
    assert((await waiting).token > token);
    const stop = new AbortController();
    const reason = new Error("enough");
    const calling = ann.claim({ keys: ["a"], holder: "ann", waitMs: 30_000, signal: stop.signal });
    stop.abort(reason);
    await assert.rejects(calling, reason);
  });
});

Deno.test("lease: an expired one goes to a waiter", async () => {
  await withPool(async ({ pool, open }) => {
    const ann = await pool.coordinate();
    const bob = await open().coordinate();
    const { token } = await ann.claim({ keys: ["a"], holder: "ann", ttlMs: 1000 });
    const taken = await bob.claim({ keys: ["a"], holder: "bob", waitMs: 30_000 });
    assert(taken.token > token);
    await fails("Conflict", () => ann.claim({ keys: ["a"], holder: "ann", token }), {
      holder: "bob",
    });
  });
});

Deno.test("lease: warned where the pool forgets too fast", async () => {
  await withPool(async ({ pool }) => {
    const ann = await pool.coordinate();
    assert.equal((await ann.claim({ keys: ["a"], holder: "ann" })).shortRetention, false);
    for (let i = 0; i < 200; i++) await storeWhen(pool, { text: "x".repeat(300) }, []);
    assert((await pool.bounds()).oldest > 1n);
    assert.equal((await ann.claim({ keys: ["b"], holder: "ann" })).shortRetention, true);
    await fails("Conflict", () => ann.claim({ keys: ["a"], holder: "ann", token: 1n }));
    assert.equal(await (await ann.claim({ keys: ["a"], holder: "bob" })).holder, "bob");
  }, 32768);
  await withPool(async ({ path, pool }) => {
    const ann = await pool.coordinate();
    onRing(path, (ring) => settingMaxAge(ring, 30_000_000_000n));
    const short = async (ttlMs: number): Promise<boolean> =>
      (await ann.claim({ keys: ["a"], holder: "ann", ttlMs })).shortRetention;
    assert.equal(await short(60_000), true, "it expires as a message before it does as a lease");
    assert.equal(await short(10_000), false);
  });
});

Deno.test("processes: a witness sees no two holders, tokens only grow, killed ones free it", async () => {
  await withPool(async ({ path }) => {
    const witness = `${path}.witness`;
    const rounds = String(12 * SCALE);
    const count = SCALE > 1 ? 8 : 3;
    const workers = Array.from({ length: count }, (_, n) =>
      // Keys in opposite order: all or none, so nobody waits forever.
      start("claimer.ts", path, `w${n}`, n % 2 === 1 ? "b,a" : "a,b", rounds, witness, "60000"));
    const tokens: bigint[] = [];
    await Promise.all(workers.map(async (worker) => {
      let last = 0n;
      for (let line = await worker.line(); line !== null; line = await worker.line()) {
        assert.match(line, /^token \d+$/, "no overlap");
        const token = BigInt(line.split(" ")[1] ?? "0");
        assert(token > last);
        last = token;
        tokens.push(token);
      }
      assert.equal((await worker.status).code, 0);
      await worker[Symbol.asyncDispose]();
    }));
    assert.equal(tokens.length, count * 12 * SCALE);
    assert.equal(new Set(tokens).size, tokens.length, "each holder had a token of its own");
    let highest = tokens.reduce((a, b) => a > b ? a : b);
    for (let kills = 0; kills < 2 * Math.min(SCALE, 10); kills++) {
      const victim = start("claimer.ts", path, `v${kills}`, "a,b", "1000000", "", "1000");
      for (let i = 0; i < 3; i++) await victim.line();
      victim.kill();
      await victim[Symbol.asyncDispose]();
      const heir = start("claimer.ts", path, `h${kills}`, "a,b", "1", witness, "1000");
      const line = await heir.line();
      await heir[Symbol.asyncDispose]();
      const token = BigInt(line?.split(" ")[1] ?? "0");
      assert(token > highest, `${line} after ${highest}`);
      highest = token;
    }
  }, 1 << 22);
});

Deno.test("latest by: the newest of each group, tombstones hidden", async () => {
  await withPool(async ({ pool }) => {
    const put = (data: object, ...tags: string[]) =>
      storeAll(pool, frames([data, tags]), undefined);
    await put({ s: "a", n: 1 }, "key:a");
    await put({ s: "b", n: 2 }, "key:b", "x");
    await put({ s: "a", n: 3 }, "key:a", "x");
    await put({ s: "c", n: 4 }, "key:c", "gone");
    await put({ n: 5 });
    const coordinator = await pool.coordinate();
    assert.equal((await coordinator.latest("a"))?.seq, 3n);
    assert.equal(await coordinator.latest("none"), null);
    const by = async (...args: Parameters<typeof coordinator.latestBy>) =>
      (await coordinator.latestBy(...args)).latest.map(({ key, seq }) => `${key}@${seq}`);
    assert.deepEqual(await by("key:"), ["key:b@2", "key:a@3", "key:c@4"]);
    assert.deepEqual(await by(".data.s"), ["b@2", "a@3", "c@4"]);
    assert.deepEqual(await by("key:", { tags: ["x"] }), ["key:b@2", "key:a@3"]);
    const having = [await compileWhere('.meta.tags | index("gone") | not')];
    assert.deepEqual(await by("key:", { having }), ["key:b@2", "key:a@3"]);
    const where = [await compileWhere(".data.n < 3")];
    assert.deepEqual(await by("key:", { where }), ["key:a@1", "key:b@2"]);
    assert.deepEqual(await by("key:", { most: 1 }), ["key:c@4"]);
    const { messages, forgotten } = await coordinator.latestBy("key:");
    assert.equal(forgotten, false);
    const [, second = 0, third = 0] = messages.map(({ payload }) => payload.length);
    assert.deepEqual(await by("key:", { mostBytes: second + third }), ["key:a@3", "key:c@4"]);
    assert.deepEqual(await by("key:", { mostBytes: second + third - 1 }), ["key:c@4"]);
    assert.deepEqual(await by("key:", { mostBytes: 1 }), ["key:c@4"], "the newest in any case");
    assert.equal((await coordinator.latestBy("key:", { mostBytes: 1 })).forgotten, true);
    const late = Temporal.Now.instant().epochNanoseconds + 10_000_000_000n;
    assert.deepEqual(await by("key:", { sinceNs: late }), []);
  });
});

// Lost: the time of a server, to a search whose caller is gone.
Deno.test("latest by, and the last of many: a search that is aborted ends", async () => {
  await withPool(async ({ pool }) => {
    const slow = await slowWhere(".data.n >= 0", 0.2);
    const all = Array.from({ length: 2000 }, (_, n) => [{ n }, []] as const);
    await storeAll(pool, frames(...all), undefined);
    const coordinator = await pool.coordinate();
    let looked = 0;
    const matches: Where["matches"] = (view) => {
      looked++;
      return slow.matches(view);
    };
    const where = [{ ...slow, matches }];
    const gone = new Error("gone");
    const aborted = async (search: (signal: AbortSignal) => Promise<unknown>): Promise<number> => {
      looked = 0;
      const abort = new AbortController();
      setTimeout(() => abort.abort(gone), 0);
      await assert.rejects(search(abort.signal), gone);
      for (let before = -1; before !== looked;) {
        before = looked;
        await pause(20); // It ends in its next turn.
      }
      return looked;
    };
    const by = await aborted((signal) => coordinator.latestBy(".data.n", { where, signal }));
    assert(by < 1000, `${by} of 2000 were looked at`);
    const last = await aborted((signal) =>
      newestOf(
        { select: (selection) => pool.select({ ...selection, last: 1500 }) },
        { where },
        signal,
      )
    );
    assert(last < 1000, `${last} of 1500 were looked at`);
  });
});

// Lost: the answers of a server to everyone else, for as long as a million messages take.
Deno.test("latest by, and the last of many: who finds much gives others a turn", async () => {
  await withPool(async ({ pool }) => {
    const slow = await slowWhere(".data.n >= 0", 0.2);
    const all = Array.from({ length: 2048 }, (_, n) => [{ n }, []] as const);
    await storeAll(pool, frames(...all.slice(0, 512)), undefined);
    const coordinator = await pool.coordinate();
    const where = [slow];
    const turns = await turnsDuring(() => coordinator.latestBy(".data.n", { where }));
    assert(turns >= 4, `512 slow messages were grouped in ${turns} turns`);
    const others = await turnsDuring(async () => {
      const walk = await pool.select({ where, last: 400 });
      while (!walk.next()) await walk.wait();
      assert.equal(walk.frame.seq, 113n);
      walk.close();
    });
    assert(others >= 4, `512 slow messages were counted in ${others} turns`);
    await storeAll(pool, frames(...all.slice(512)), undefined);
    const judged = await turnsDuring(() => coordinator.latestBy(".data.n", { having: where }));
    assert(judged >= 6, `2048 groups were judged in ${judged} turns`);
  });
});
