/**
 * What a process that serves many callers adds: appends that wait together, and files that are shared.
 *
 * @module
 */

import { collect, put } from "./suite.ts";
import assert from "node:assert/strict";
import { LocalBackend } from "../../lib/backend/local.ts";
import { ServingBackend } from "../../lib/backend/serving.ts";
import type { Conditions } from "../../lib/backend/types.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { messageFromValue } from "../../lib/lite3/from_value.ts";
import { FrameBatch } from "../../lib/pool/batch.ts";

async function withBackend(run: (backend: ServingBackend, dir: string) => Promise<void>) {
  const dir = await Deno.makeTempDir();
  const backend = new ServingBackend(dir);
  try {
    await run(backend, dir);
  } finally {
    backend.close();
    await Deno.remove(dir, { recursive: true });
  }
}

function batchOf(data: readonly object[]): FrameBatch {
  const batch = new FrameBatch();
  for (const one of data) {
    batch.beginFrame();
    messageFromValue(batch.encoder, one, []);
    batch.endFrame(0, 1);
  }
  return batch;
}

// Each conditional append took two places of its pool: with many at once all waited for the second.
Deno.test("serving: a conditional append, a claim and a task take one place each", async () => {
  const dir = await Deno.makeTempDir();
  const backend = new ServingBackend(dir, { limit: 1 });
  try {
    await backend.create("p");
    const pool = await backend.open("p", { write: true });
    const request = { flush: false, stored: () => {} };
    await pool.append(batchOf([{ n: 1 }]), { ...request, when: { expect: 0n } });
    const it = await pool.coordinate();
    await it.claim({ keys: ["a"], holder: "ann" });
    const group = it.group("g", { maxTries: 1 });
    const { tasks } = await group.take();
    await group.fail(1n, tasks[0]?.token ?? 0, 0);
    assert.equal((await group.take()).tasks[0]?.message.seq, 2n);
    group.close();
    pool.close();
  } finally {
    backend.close();
    await Deno.remove(dir, { recursive: true });
  }
});

// While another process holds the lock, one caller's bad or abandoned message must not become, or
// keep away, the messages of the others.
Deno.test("serving: of appends that wait for a lock, bad and abandoned ones leave alone", () =>
  withBackend(async (backend) => {
    await backend.create("p", { sizeBytes: 65_536 });
    const pool = await backend.open("p", { write: true });
    using holder = Deno.openSync(pool.path, { read: true, write: true });
    holder.lockSync(true);
    const runs = new Map<string, [number, number, bigint][]>();
    const append = async (name: string, data: readonly object[], signal?: AbortSignal) => {
      const told: [number, number, bigint][] = [];
      runs.set(name, told);
      await pool.append(batchOf(data), {
        flush: false,
        signal,
        stored: (...run) => told.push(run),
      });
    };
    const abort = new AbortController();
    const first = append("first", [{ n: 1 }, { n: 2 }]);
    const large = append("large", [{ big: "x".repeat(70_000) }]);
    const called = append("called off", [{ n: -1 }], abort.signal);
    const last = append("last", [{ n: 3 }]);
    const refused = assert.rejects(large, (error) => PlasmiteError.is(error, ErrorKind.Usage));
    const reason = new Error("called off");
    const rejected = assert.rejects(called, reason);
    await refused;
    // The lock was asked for with the third one; now it is not to be written any more.
    abort.abort(reason);
    await rejected;
    holder.unlockSync();
    await Promise.all([first, last]);
    assert.deepEqual(runs.get("first"), [[0, 2, 1n]]);
    assert.deepEqual(runs.get("last"), [[0, 1, 3n]]);
    assert.deepEqual(runs.get("called off"), []);
    assert.deepEqual(runs.get("large"), []);
    assert.deepEqual(await collect(await pool.select({})), ['1:{"n":1}', '2:{"n":2}', '3:{"n":3}']);
    pool.close();
  }));

// One caller's patience is not another's.
Deno.test("serving: each append waits for a lock as long as requested", () =>
  withBackend(async (backend) => {
    await backend.create("p");
    const pool = await backend.open("p", { write: true });
    using holder = Deno.openSync(pool.path, { read: true, write: true });
    holder.lockSync(true);
    const stored: bigint[] = [];
    const request = {
      flush: false,
      stored: (_from: number, _count: number, first: bigint) => stored.push(first),
    };
    const patient = pool.append(batchOf([{ n: 1 }]), { ...request, lockMs: Infinity });
    for (const lockMs of [0, 20]) {
      await assert.rejects(
        async () => await pool.append(batchOf([{ n: 2 }]), { ...request, lockMs }),
        (error) => PlasmiteError.is(error, ErrorKind.Busy),
      );
    }
    holder.unlockSync();
    await patient;
    assert.deepEqual(stored, [1n]);
    pool.close();
  }));

// Large ones go alone, small ones together; in whichever way, all go in, in order.
Deno.test("serving: large and small appends that arrive together are all stored", () =>
  withBackend(async (backend) => {
    await backend.create("p", { sizeBytes: 8 << 20 });
    const pool = await backend.open("p", { write: true });
    const sizes = [10, 700_000, 20, 300_000, 300_000, 30, 40];
    const numbers = await Promise.all(
      sizes.map((size) => put(pool, [{ size, text: "x".repeat(size) }, { size }])),
    );
    assert.deepEqual(numbers.flat(), Array.from({ length: 14 }, (_, i) => BigInt(i + 1)));
    const told = await collect(await pool.select({}));
    assert.deepEqual(
      told.map((one) => Number(/"size":(\d+)/.exec(one)?.[1])),
      sizes.flatMap((size) => [size, size]),
    );
    pool.close();
  }));

// Sixteen callers, of whom one came alone for a moment, paid for a lock each.
Deno.test("serving: appends that arrive together share a lock, also after one that came alone", () =>
  withBackend(async (backend) => {
    await backend.create("p", { sizeBytes: 1 << 20 });
    const pool = await backend.open("p", { write: true });
    const { tryLockSync } = Deno.FsFile.prototype;
    let locks = 0;
    Deno.FsFile.prototype.tryLockSync = function (exclusive) {
      locks++;
      return tryLockSync.call(this, exclusive);
    };
    const locksFor = async (work: () => unknown): Promise<number> => {
      const before = locks;
      await work();
      return locks - before;
    };
    const crowd = (length = 16): Promise<unknown> =>
      Promise.all(Array.from({ length }, (_, i) => put(pool, [{ i }])));
    try {
      await crowd(40); // One in 32 looks whether there are others.
      for (const alone of [1, 2, 8]) {
        assert.equal(await locksFor(() => crowd()), 1);
        for (let i = 0; i < alone; i++) assert.equal(await locksFor(() => put(pool, [{ i }])), 1);
      }
      assert.equal(await locksFor(() => crowd()), 1);
      // Whoever stays alone does not wait for others for ever.
      const waits: boolean[] = [];
      for (let i = 0; i < 100; i++) {
        const done = pool.append(batchOf([{ i }]), { flush: false, stored: () => {} });
        waits.push(done instanceof Promise);
        await done;
      }
      assert.ok(waits.slice(0, 10).every((waited) => waited));
      assert.ok(waits.slice(-64).filter((waited) => waited).length <= 2, `${waits}`);
    } finally {
      Deno.FsFile.prototype.tryLockSync = tryLockSync;
    }
    pool.close();
  }));

// Together they may be more than the ring holds: each still gets its own numbers.
Deno.test("serving: many appends that overwrite one another keep their order and numbers", () =>
  withBackend(async (backend) => {
    await backend.create("p", { sizeBytes: 65_536 });
    const pool = await backend.open("p", { write: true });
    const text = "x".repeat(1000);
    const numbers = await Promise.all(
      Array.from({ length: 100 }, (_, i) => put(pool, [{ i, text }, { i, text }, { i, text }])),
    );
    assert.equal(new Set(numbers.flat()).size, 300);
    for (const [a = 0n, b, c] of numbers) assert.deepEqual([b, c], [a + 1n, a + 2n]);
    const newest = numbers.findIndex((three) => three.includes(300n));
    assert.match(
      (await collect(await pool.select({ last: 1 })))[0] ?? "",
      new RegExp(`"i":${newest},`),
    );
    pool.close();
  }));

// A refused one that kept its place would leave fewer for all others, and at last none.
Deno.test("serving: an append that is refused among others gives its place back", async () => {
  const dir = await Deno.makeTempDir();
  const backend = new ServingBackend(dir, { limit: 4 });
  try {
    await backend.create("p", { sizeBytes: 65_536 });
    const pool = await backend.open("p", { write: true });
    for (let round = 0; round < 10; round++) {
      const sizes = [10, 100_000, 20, 100_000, 30, 100_000];
      const results = await Promise.allSettled(
        sizes.map((size) => put(pool, [{ text: "x".repeat(size) }])),
      );
      const kinds = results.map(({ status }) => status);
      assert.deepEqual(kinds, sizes.map((size) => size > 1000 ? "rejected" : "fulfilled"));
      assert.equal(backend.calls, 0);
    }
    assert.deepEqual(await put(pool, [{ n: 1 }]), [31n]);
    pool.close();
  } finally {
    backend.close();
    await Deno.remove(dir, { recursive: true });
  }
});

// Of those who all expect the same number only one may win, however the rest arrives together.
Deno.test("serving: conditions hold among appends that arrive together", () =>
  withBackend(async (backend) => {
    await backend.create("p");
    const pool = await backend.open("p", { write: true });
    const expecting = Array.from({ length: 10 }, async (_, i) => {
      const numbers: bigint[] = [];
      await pool.append(batchOf([{ i }]), {
        flush: false,
        when: { expect: 0n },
        stored: (_from, _count, first) => numbers.push(first),
      });
      return numbers;
    });
    const results = await Promise.allSettled(expecting);
    const won = results.filter(({ status }) => status === "fulfilled");
    assert.equal(won.length, 1);
    for (const result of results) {
      if (result.status === "rejected") {
        assert.ok(PlasmiteError.is(result.reason, ErrorKind.Conflict), String(result.reason));
      } else assert.deepEqual(result.value, [1n]);
    }
    assert.equal((await collect(await pool.select({}))).length, 1);
    pool.close();
  }));

// A file that is opened for every append is slow; one that stays open keeps a deleted pool's space.
Deno.test("serving: callers share one file, and a deleted pool is closed", () =>
  withBackend(async (backend) => {
    await backend.create("p");
    const [one, two] = await Promise.all([
      backend.open("p", { write: true }),
      backend.open("p", { write: true }),
    ]);
    assert.equal(one, two);
    one.close();
    assert.deepEqual(await put(two, [{ n: 1 }]), [1n], "one caller's close is not the other's");
    await backend.remove("p");
    await assert.rejects(
      () => put(two, [{ n: 2 }]),
      (error) => PlasmiteError.is(error, ErrorKind.NotFound),
    );
    two.close();
    await assert.rejects(
      async () => await backend.open("p", { write: true }),
      (error) => PlasmiteError.is(error, ErrorKind.NotFound),
    );
    await backend.create("p");
    const again = await backend.open("p", { write: true });
    assert.notEqual(again, two);
    assert.deepEqual(await put(again, [{ n: 1 }]), [1n]);
    again.close();
  }));

// What is open belongs to the file of yesterday: its size must not refuse a message of today.
Deno.test("serving: an append goes to the pool that has taken the place of the open one", () =>
  withBackend(async (backend, dir) => {
    const other = new LocalBackend(dir);
    const large = [{ text: "x".repeat(100_000) }];
    const append = async (data: readonly object[], when?: Conditions) => {
      const pool = await backend.open("p", { write: true });
      try {
        const numbers: bigint[] = [];
        await pool.append(batchOf(data), {
          flush: false,
          when,
          stored: (_from, _count, first) => numbers.push(first),
        });
        return numbers;
      } finally {
        pool.close();
      }
    };
    await other.create("p", { sizeBytes: 65_536 });
    assert.deepEqual(await append([{ n: 1 }]), [1n]);
    await assert.rejects(() => append(large), (error) => PlasmiteError.is(error, ErrorKind.Usage));
    for (const when of [undefined, { expect: 0n }]) {
      await other.remove("p");
      await other.create("p", { sizeBytes: 1 << 20 });
      assert.deepEqual(await append(large, when), [1n]);
      await other.remove("p");
      await assert.rejects(
        () => append([{ n: 2 }], when),
        (error) => PlasmiteError.is(error, ErrorKind.NotFound),
      );
      await other.create("p", { sizeBytes: 65_536 });
      assert.deepEqual(await append([{ n: 3 }], when), [1n]);
    }
  }));

Deno.test("serving: more pools than are kept open", () =>
  withBackend(async (backend) => {
    const names = Array.from({ length: 150 }, (_, i) => `p${i}`);
    for (const name of names) await backend.create(name, { sizeBytes: 65_536 });
    for (const wanted of [1n, 2n]) {
      await Promise.all(names.map(async (name) => {
        const pool = await backend.open(name, { write: true });
        assert.deepEqual(await put(pool, [{ name }]), [wanted]);
        pool.close();
      }));
    }
    assert.equal(
      (await backend.list()).filter((pool) => pool.metrics?.messageCount === 2n).length,
      150,
    );
  }));
