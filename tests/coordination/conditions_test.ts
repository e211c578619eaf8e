/**
 * Conditional and idempotent appends: without them three workers did 13 of 30 tasks twice, and ten
 * cancelled calls that were repeated doubled their messages.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import * as coordination from "../../lib/backend/local/coordinator.ts";
import { Hubs } from "../../lib/backend/local/hub.ts";
import { LocalBackend, type LocalPool } from "../../lib/backend/local.ts";
import type { Conditions } from "../../lib/backend/types.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { openToAppend } from "../../lib/pool/mending.ts";
import { creating } from "../../lib/pool/creation.ts";
import type { WritableRing } from "../../lib/pool/writable_ring.ts";
import { Killed, MemoryStorage } from "../support/memory.ts";
import { inPlace } from "../../lib/storage/steps.ts";
import { frames, storeAll, storeWhen } from "../support/coordinated.ts";
import { fails } from "../support/fails.ts";
import { start, withDir } from "../support/processes.ts";
import { batchOf, hooked, payload, SCALE } from "../support/rings.ts";

const PATH = "/memory/p.plasmite";

/** A pool in memory, and a storage that calls `onLock` before each lock. */
function memory(options: { sizeBytes?: number; slots?: number; onLock?: () => void } = {}) {
  const inner = new MemoryStorage();
  const { sizeBytes: size = 1 << 20, slots: indexCapacity = 64 } = options;
  inPlace(creating(inner, PATH, { size, indexCapacity }));
  let locks = 0;
  const storage = hooked(inner, {
    onLock: (exclusive) => {
      if (!exclusive) return;
      locks++;
      options.onLock?.();
    },
  });
  const open = (): LocalPool =>
    new LocalBackend("/", { storage, coordination }).open(PATH, { write: true }) as LocalPool;
  return { inner, open, pool: open(), locks: () => locks };
}

Deno.test("expect: the newest message, or none", async () => {
  const { pool } = memory();
  assert.deepEqual(await storeWhen(pool, { n: 1 }, [], { expect: 0n }), {
    seq: 1n,
    duplicate: false,
  });
  const error = await fails("Conflict", () => storeWhen(pool, { n: 2 }, [], { expect: 0n }), {
    expected: 0n,
    actual: 1n,
  });
  assert.equal(error.message, "pool is at 1, expected none");
  assert.equal((await storeWhen(pool, { n: 2 }, [], { expect: 1n })).seq, 2n);
  await fails("Conflict", () => storeWhen(pool, { n: 2 }, [], { expect: 9n }));
  assert.equal(pool.boundsNow().newest, 2n);
});

Deno.test("expect with a key: the newest message of the key, whoever wrote it", async () => {
  const { pool, open } = memory();
  const put = (expect: bigint, key = "a") =>
    storeWhen(pool, { n: 1 }, [`key:${key}`], { expect, key });
  assert.equal((await put(0n)).seq, 1n);
  const other = open();
  await storeWhen(other, { n: 1 }, ["x", "key:b"]);
  await fails("Conflict", () => put(0n), { key: "a", expected: 0n, actual: 1n });
  assert.equal((await put(1n)).seq, 3n);
  await storeWhen(other, { n: 1 }, ["key:a"]);
  await fails("Conflict", () => put(3n), { actual: 4n });
  assert.equal((await put(2n, "b")).seq, 5n);
  // A look-up by a handle that has not lived: from the end backwards.
  for (let i = 0; i < 700; i++) await storeWhen(other, { i }, ["key:c"]);
  const late = open();
  await fails("Conflict", () => storeWhen(late, {}, ["key:a"], { expect: 0n, key: "a" }), {
    actual: 4n,
  });
  assert.equal((await storeWhen(late, {}, ["key:d"], { expect: 0n, key: "d" })).seq, 706n);
});

Deno.test("a guard sees what was added between look-up and lock: 0, 1, 256, 257 messages", async () => {
  for (const added of [0, 1, 255, 256, 257, 1000]) {
    for (const hit of [true, false]) {
      let adding = false;
      const made = memory({
        onLock: () => {
          if (!adding) return;
          adding = false;
          for (let i = 0; i < added; i++) {
            storeNow(other, hit && i === 0 ? ["key:a"] : ["t"]);
          }
        },
      });
      const other = openToAppend(made.inner, PATH);
      storeNow(other, ["key:a"]);
      const { pool } = made;
      const coordinator = await pool.coordinate();
      await coordinator.latest("a"); // So that it was looked up before.
      const before = made.locks();
      adding = true;
      const appending = () => storeWhen(pool, {}, ["key:a"], { expect: 1n, key: "a" });
      if (hit && added > 0) await fails("Conflict", appending, { actual: 2n });
      else assert.equal((await appending()).seq, BigInt(added) + 2n);
      assert.equal(made.locks() - before, added > 256 ? 2 : 1, `${added} locks`);
    }
  }
});

function storeNow(ring: WritableRing, tags: string[]): void {
  assert.notEqual(ring.tryAppend(frames([{ n: 1 }, tags])), null);
}

Deno.test("others that always append faster than can be looked up: Busy, never a guess", async () => {
  const made = memory({
    onLock: () => {
      const batch = frames(...Array.from({ length: 300 }, () => [{}, ["t"]] as const));
      other.tryAppend(batch);
    },
  });
  const other = openToAppend(made.inner, PATH);
  await fails("Busy", () => storeWhen(made.pool, {}, ["key:a"], { expect: 0n, key: "a" }));
});

Deno.test("id: repeated it is the stored message, with other data a conflict", async () => {
  const { pool, open } = memory();
  const put = (data: object, id = "x", more: Conditions = {}, on = pool) =>
    storeWhen(on, data, [`id:${id}`], { ids: [id], ...more });
  assert.deepEqual(await put({ a: 1, b: [2] }), { seq: 1n, duplicate: false });
  assert.deepEqual(await put({ b: [2], a: 1 }), { seq: 1n, duplicate: true });
  assert.deepEqual(await put({ a: 1, b: [2] }, "x", {}, open()), { seq: 1n, duplicate: true });
  for (const other of [{ a: 1 }, { a: 1.5, b: [2] }, { a: "1", b: [2] }, { a: 1, b: [2, 3] }]) {
    await fails("Conflict", () => put(other), { id: "x", seq: 1n });
  }
  // The id is judged before the expectation: repeating after a lost answer must not fail.
  assert.deepEqual(await put({ a: 1, b: [2] }, "x", { expect: 0n }), { seq: 1n, duplicate: true });
  await fails("Conflict", () => put({ a: 1 }, "y", { expect: 0n }), { expected: 0n });
  assert.equal(pool.boundsNow().newest, 1n);
});

Deno.test("id: a duplicate's receipt has the time of the stored message", async () => {
  const { pool } = memory();
  const first = frames([{ n: 1 }, ["id:x"]]);
  await storeAll(pool, first, { ids: ["x"] });
  const again = frames([{ n: 1 }, ["id:x"]]);
  assert.notEqual(again.timeOf(0), first.timeOf(0));
  await storeAll(pool, again, { ids: ["x"] });
  assert.equal(again.timeOf(0), first.timeOf(0));
});

Deno.test("id: remembered for the last W messages, not one more", async () => {
  for (const idWindow of [1, 2, 5, 400]) {
    for (const fresh of [true, false]) {
      const { pool, open } = memory();
      const put = (on = pool) => storeWhen(on, { n: 1 }, ["id:x"], { ids: ["x"], idWindow });
      await put();
      for (let i = 1; i < idWindow; i++) await storeWhen(pool, { i }, []);
      assert.equal((await put(fresh ? open() : pool)).duplicate, true, `inside ${idWindow}`);
      await storeWhen(pool, {}, []);
      assert.equal((await put(fresh ? open() : pool)).duplicate, false, `outside ${idWindow}`);
    }
  }
  const { pool } = memory();
  for (const idWindow of [0, 1.5, 1_000_001]) {
    await fails("Usage", () => storeWhen(pool, {}, [], { ids: ["x"], idWindow }));
  }
});

Deno.test("id: a batch is filtered under the lock and goes in whole", async () => {
  const { pool } = memory();
  const batch = (ids: string[], data = (id: string): object => ({ id })) =>
    frames(...ids.map((id) => [data(id), [`id:${id}`]] as const));
  const told = async (ids: string[], from = 0): Promise<string> =>
    (await storeAll(pool, batch(ids), { ids: ids.slice(from) }, { from }))
      .map(({ seq, duplicate }) => `${seq}${duplicate ? "=" : ""}`).join(" ");
  assert.equal(await told(["b", "d"]), "1 2");
  assert.equal(await told(["a", "b", "c", "c", "d", "e", "f"]), "3 1= 4 4= 2= 5 6");
  assert.equal(await told(["a", "b"]), "3= 1=");
  assert.equal((await told(["skipped", "g", "a"], 1)).trim(), "7 3=");
  const newest = pool.boundsNow().newest;
  const other = batch(["h", "a"], (id) => ({ id, other: true }));
  await fails("Conflict", () => storeAll(pool, other, { ids: ["h", "a"] }), { id: "a", seq: 3n });
  const twins = frames([{ n: 1 }, ["id:i"]], [{ n: 2 }, ["id:i"]]);
  await fails("Conflict", () => storeAll(pool, twins, { ids: ["i", "i"] }), { id: "i" });
  assert.equal(pool.boundsNow().newest, newest);
});

Deno.test("random histories of many handles agree with a simple model", async () => {
  const step = fc.record({
    handle: fc.nat(2),
    key: fc.constantFrom(undefined, "a", "b"),
    id: fc.option(fc.nat(12), { nil: undefined }),
    data: fc.nat(1),
    expect: fc.constantFrom(undefined, "right" as const, "wrong" as const),
    window: fc.constantFrom(3, 8, 4096),
    size: fc.constantFrom(0, 0, 0, 3000),
  });
  const property = fc.asyncProperty(
    fc.array(step, { maxLength: 60 }),
    fc.constantFrom(0, 5, 64),
    async (steps, slots) => {
      const { open } = memory({ sizeBytes: 4096 + 16 * slots + 16_000, slots });
      const pools = [open(), open(), open()];
      const model: { key?: string; id?: number; data: number; size: number }[] = [];
      for (const one of steps) {
        const { key, id, data, size, window } = one;
        const pool = pools[one.handle] ?? open();
        const { oldest, newest } = pool.boundsNow();
        const last = (test: (m: typeof model[number]) => boolean): bigint => {
          const seq = BigInt(model.findLastIndex(test) + 1);
          return oldest !== 0n && seq >= oldest ? seq : 0n;
        };
        const actual = key === undefined ? newest : last((m) => m.key === key);
        const expect = one.expect === undefined
          ? undefined
          : one.expect === "right"
          ? actual
          : actual + 1n;
        const stored = id === undefined ? 0n : last((m) => m.id === id);
        const known = stored > newest - BigInt(window) ? stored : 0n;
        const tags = [
          ...(key === undefined ? [] : [`key:${key}`]),
          ...(id === undefined ? [] : [`id:${id}`]),
        ];
        const when = {
          ...(expect === undefined ? {} : { expect }),
          ...(key === undefined ? {} : { key }),
          ...(id === undefined ? {} : { ids: [`${id}`], idWindow: window }),
        };
        const storing = () => storeWhen(pool, { data, text: "x".repeat(size) }, tags, when);
        if (known !== 0n) {
          const former = model[Number(known) - 1];
          if (former?.data === data && former.size === size) {
            assert.deepEqual(await storing(), { seq: known, duplicate: true });
          } else await fails("Conflict", storing, { seq: known });
        } else if (expect !== undefined && expect !== actual) {
          await fails("Conflict", storing, { actual });
        } else {
          assert.deepEqual(await storing(), { seq: newest + 1n, duplicate: false });
          model.push({
            data,
            size,
            ...(key === undefined ? {} : { key }),
            ...(id === undefined ? {} : { id }),
          });
        }
      }
    },
  );
  await fc.assert(property, { numRuns: 60 * SCALE });
});

Deno.test("a process that serves others waits in turns, and conditions hold all the same", async () => {
  await withDir(async (dir) => {
    const backend = new LocalBackend(dir, { serving: new Hubs() });
    await backend.create("p");
    const pool = await backend.open("p", { write: true });
    const results = await Promise.allSettled(
      Array.from({ length: 40 }, (_, n) => storeWhen(pool, { n }, [], { expect: 0n })),
    );
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
    for (const result of results) {
      if (result.status === "rejected") {
        assert(PlasmiteError.is(result.reason, ErrorKind.Conflict));
        assert.equal(result.reason.actual, 1n);
      }
    }
    pool.close();
  });
});

Deno.test("an emptied batch, and a batch that is too large", async () => {
  const { pool } = memory({ sizeBytes: 65536 });
  assert.deepEqual(await storeAll(pool, frames(), { expect: 5n }), []);
  const large = batchOf(...Array.from({ length: 8 }, (_, i) => payload(i, 20_000)));
  await fails("Usage", () => storeAll(pool, large, { expect: 0n }));
  assert.equal(pool.boundsNow().newest, 0n);
});

Deno.test("processes: every conditional message follows what its writer had seen", async () => {
  await withDir(async (dir) => {
    const path = `${dir}/p.plasmite`;
    const backend = new LocalBackend(dir, { coordination });
    await backend.create("p", { sizeBytes: 1 << 24 });
    const pool = backend.open("p", { write: true }) as LocalPool;
    const count = String(60 * SCALE);
    const helpers = [1, 2, 3].map((n) => start("conditional.ts", path, `w${n}`, "newest", count));
    const keyed = [1, 2].map((n) => start("conditional.ts", path, `k${n}`, "key", count));
    const plain = start("writer.ts", path, "plain", "sync", count);
    let stored = 0;
    const keySeqs: [bigint, bigint][] = [];
    for (const helper of helpers) {
      for (let line = await helper.line(); line !== null; line = await helper.line()) {
        const [what, seq = "0", seen = "0"] = line.split(" ");
        if (what !== "stored") continue;
        stored++;
        assert.equal(BigInt(seen) + 1n, BigInt(seq));
      }
      assert.equal((await helper.status).code, 0);
    }
    for (const helper of keyed) {
      for (let line = await helper.line(); line !== null; line = await helper.line()) {
        const [what, seq = "0", seen = "0"] = line.split(" ");
        if (what === "stored") keySeqs.push([BigInt(seq), BigInt(seen)]);
      }
      assert.equal((await helper.status).code, 0);
    }
    assert.equal((await plain.status).code, 0);
    for (const helper of [...helpers, ...keyed, plain]) await helper[Symbol.asyncDispose]();
    assert(stored > 0 && keySeqs.length > 0);
    // Each message of the key names the one before it: a chain without a fork.
    keySeqs.sort(([a], [b]) => a < b ? -1 : 1);
    keySeqs.forEach(([, seen], i) => assert.equal(seen, keySeqs[i - 1]?.[0] ?? 0n));
    pool.close();
  });
});

Deno.test("processes: killed at random and repeated, each id is stored once", async () => {
  await withDir(async (dir) => {
    const path = `${dir}/p.plasmite`;
    const backend = new LocalBackend(dir, { coordination });
    await backend.create("p", { sizeBytes: 1 << 24 });
    const total = 300 * SCALE;
    let next = 1;
    for (let kills = 0; next <= total; kills++) {
      const helper = start("conditional.ts", path, "w", "id", String(total - next + 1), `${next}`);
      const until = 20 + (kills * 37) % 60;
      for (let lines = 0; lines < until; lines++) {
        const line = await helper.line();
        if (line === null) break;
        next = Number(line.split(" ")[2]) + 1;
      }
      helper.kill();
      await helper[Symbol.asyncDispose]();
      // What it wrote after the last line that was read is not known: it is repeated.
    }
    const pool = backend.open("p") as LocalPool;
    const walk = await pool.select({});
    const seen: string[] = [];
    while (walk.next()) seen.push(...walk.message.tags());
    walk.close();
    pool.close();
    const wanted = Array.from({ length: total }, (_, i) => `id:${i + 1}`);
    assert.deepEqual(seen, wanted);
  });
});

Deno.test("killed at every write of a conditional append: whole or absent, and repeating settles it", async () => {
  const when: Conditions = { expect: 3n, key: "a", ids: ["x", "y"] };
  const batch = () => frames([{ n: 1 }, ["key:a", "id:x"]], [{ n: 2 }, ["key:a", "id:y"]]);
  const make = async (): Promise<{ storage: MemoryStorage; pool: LocalPool }> => {
    const storage = new MemoryStorage();
    inPlace(creating(storage, PATH, { size: 4096 + 16 * 8 + 2600, indexCapacity: 8 }));
    const pool = open(storage);
    for (let i = 0; i < 3; i++) await storeWhen(pool, { text: "x".repeat(300) }, ["key:a"]);
    return { storage, pool };
  };
  const open = (storage: MemoryStorage): LocalPool =>
    new LocalBackend("/", { storage, coordination }).open(PATH, { write: true }) as LocalPool;
  const rehearsal = await make();
  rehearsal.storage.plan({});
  await storeAll(rehearsal.pool, batch(), when);
  const { calls } = rehearsal.storage;
  assert(calls >= 3);
  let absent = 0;
  for (let killAfter = 0; killAfter < calls; killAfter++) {
    const { storage, pool } = await make();
    storage.plan({ killAfter });
    await assert.rejects(async () => await storeAll(pool, batch(), when), Killed);
    const later = open(storage.afterKill());
    const { newest } = later.boundsNow();
    assert(newest === 3n || newest === 5n, `whole or absent, not up to ${newest}`);
    if (newest === 3n) absent++;
    assert.deepEqual(await storeAll(later, batch(), when), [
      { seq: 4n, duplicate: newest === 5n },
      { seq: 5n, duplicate: newest === 5n },
    ]);
  }
  assert(absent > 0);
});
