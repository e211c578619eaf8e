/**
 * The age limit: what has expired is not shown any more, although it may still be in the file, and a
 * reader that comes too late is told what it missed.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import * as coordination from "../../lib/backend/local/coordinator.ts";
import { LocalBackend, type LocalPool } from "../../lib/backend/local.ts";
import { describing } from "../../lib/backend/local/info.ts";
import { findFrame } from "../../lib/backend/local/lookup.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { Cursor } from "../../lib/pool/cursor.ts";
import { settingMaxAge } from "../../lib/pool/retention.ts";
import { Ring } from "../../lib/pool/ring.ts";
import type { WritableRing } from "../../lib/pool/writable_ring.ts";
import { inPlace } from "../../lib/storage/steps.ts";
import { Killed, type MemoryStorage } from "../support/memory.ts";
import { frames, storeWhen } from "../support/coordinated.ts";
import { assertHealthy, batchOf, drain, newRing, payload, POOL, SCALE } from "../support/rings.ts";

const HOUR = 3_600_000_000_000n;

const now = (): bigint => Temporal.Now.instant().epochNanoseconds;

/** Appends messages of the given ages in hours, one by one. */
function appendAged(ring: WritableRing, ages: readonly number[], size = 40): void {
  for (const [i, age] of ages.entries()) {
    const batch = batchOf(payload(i, size));
    batch.setTime(0, now() - BigInt(Math.round(age * 10)) * HOUR / 10n);
    assert(ring.tryAppend(batch) !== null);
  }
}

/** Whether they are older than an hour, from the oldest in the file on. */
function expiredPrefix(ages: readonly number[]): number {
  const first = ages.findIndex((age) => age <= 1);
  return first < 0 ? ages.length : first;
}

function aged(ringSize: number, slots: number, ages: readonly number[], size = 40) {
  const made = newRing(ringSize, slots);
  appendAged(made.ring, ages, size);
  return made;
}

const seqsOf = (ring: Ring, from = 0n): bigint[] =>
  drain(new Cursor(ring, from)).messages.map(({ seq }) => seq);

const range = (first: bigint, last: bigint): bigint[] =>
  Array.from({ length: Math.max(0, Number(last - first) + 1) }, (_, i) => first + BigInt(i));

Deno.test("age limit: readers start behind the expired prefix, from wherever they are told to", () => {
  const run = fc.record({
    ringSize: fc.integer({ min: 900, max: 6000 }),
    slots: fc.constantFrom(0, 3, 40),
    ages: fc.array(fc.constantFrom(0, 0.5, 2, 2, 3), { maxLength: 40 }),
    from: fc.nat(45),
  });
  fc.assert(
    fc.property(run, ({ ringSize, slots, ages, from }) => {
      const { storage, ring } = aged(ringSize, slots, ages);
      const { oldest, newest } = ring.state();
      const kept = ages.slice(ages.length - Number(oldest === 0n ? 0n : newest - oldest + 1n));
      inPlace(settingMaxAge(ring, HOUR));
      const live = oldest + BigInt(expiredPrefix(kept));
      const reader = Ring.open(storage, POOL);
      assert.deepEqual(seqsOf(reader), oldest === 0n ? [] : range(live, newest));
      const bounds = inPlace(reader.living());
      assert.equal(bounds.oldest, oldest === 0n || live > newest ? 0n : live);
      assert.equal(bounds.newest, newest);
      const seq = BigInt(from);
      const found = inPlace(findFrame(reader, seq, ({ cursor }) => cursor.seq));
      assert.equal(found, oldest !== 0n && seq >= live && seq <= newest ? seq : null);
      // What a cursor wanted and did not get is told, never passed over in silence.
      if (seq > 0n && seq < live && live <= newest) {
        const { gaps, messages } = drain(new Cursor(reader, seq));
        assert.deepEqual(gaps, [{ first: seq, last: live - 1n }]);
        assert.deepEqual(messages.map((one) => one.seq), range(live, newest));
      }
      const info = inPlace(describing(reader, "p"));
      assert.equal(
        info.bounds.oldestSeq,
        oldest === 0n ? null : oldest,
        "bounds are those of the file",
      );
      assert.deepEqual(info.retention, {
        maxAgeMs: 3_600_000,
        oldestLiveSeq: oldest === 0n || live > newest ? null : live,
        expired: oldest === 0n ? 0n : live - oldest,
      });
      assertHealthy(storage);
    }),
    { numRuns: 300 * SCALE },
  );
});

Deno.test("age limit: an append drops expired messages, 64 at most, and the pool stays healthy", () => {
  const { storage, ring } = aged(40_000, 16, [...Array(100).fill(2), 0, 2]);
  inPlace(settingMaxAge(ring, HOUR));
  appendAged(ring, [0]);
  assert.equal(ring.state().oldest, 65n);
  assertHealthy(storage);
  appendAged(ring, [0]);
  assert.equal(ring.state().oldest, 101n, "the first younger one ends it");
  assertHealthy(storage);
  assert.deepEqual(seqsOf(ring), [101n, 102n, 103n, 104n]);
});

Deno.test("age limit: a batch of messages that have expired already is stored and not shown", () => {
  const { storage, ring } = aged(40_000, 16, [2, 2, 2]);
  inPlace(settingMaxAge(ring, HOUR));
  appendAged(ring, [3]);
  assert.deepEqual([ring.state().oldest, ring.state().newest], [4n, 4n]);
  assert.deepEqual(seqsOf(Ring.open(storage, POOL)), []);
  assertHealthy(storage);
  appendAged(ring, [0]);
  assert.deepEqual(seqsOf(Ring.open(storage, POOL)), [5n]);
  assertHealthy(storage);
});

Deno.test("age limit: a long expired prefix is searched in steps, and once", () => {
  const { storage, ring } = aged(400_000, 0, Array(3000).fill(2), 8);
  inPlace(settingMaxAge(ring, HOUR));
  let reads = 0;
  const reader = Ring.open({
    open: (path, options) => {
      const file = storage.open(path, options);
      return Object.assign(Object.create(file), {
        readAt: (into: Uint8Array, at: number) => {
          if (at >= 4096) reads++;
          return file.readAt(into, at);
        },
      });
    },
  } as Pick<MemoryStorage, "open"> as MemoryStorage, POOL);
  let steps = 0;
  const search = reader.living();
  for (let step = search.next(); step.done !== true; step = search.next()) steps++;
  assert.ok(steps >= 2, `${steps} steps`);
  const first = reads;
  assert.ok(first > 0);
  assert.equal(inPlace(reader.living()).oldest, 0n);
  assert.ok(reads - first <= 1, "known from now on");
  appendAged(ring, [0]);
  assert.equal(inPlace(reader.living()).oldest, 3001n);
  assert.ok(reads - first <= 4);
});

Deno.test("age limit: who is reading when it is set, changed and removed goes by it at once", () => {
  const { storage, ring } = aged(40_000, 16, [30, 5, 5, 2, 0]);
  const reader = Ring.open(storage, POOL);
  assert.equal(seqsOf(reader).length, 5);
  inPlace(settingMaxAge(ring, HOUR));
  assert.deepEqual(seqsOf(reader), [5n]);
  inPlace(settingMaxAge(ring, 10n * HOUR));
  assert.deepEqual(seqsOf(reader), [2n, 3n, 4n, 5n]);
  inPlace(settingMaxAge(ring, 0n));
  assert.equal(seqsOf(reader).length, 5);
});

Deno.test("age limit: killed at any write of an append that drops, nothing live is lost", () => {
  // In the second pool the new message goes where expired ones are.
  for (const [ringSize, size] of [[3000, 40], [900, 300]] as const) {
    let dropped = 0;
    for (let killAfter = 0;; killAfter++) {
      const { storage, ring } = aged(ringSize, 4, [2, 2, 2, 2, 0], size === 40 ? 40 : 100);
      const { newest, oldest } = ring.state();
      inPlace(settingMaxAge(ring, HOUR));
      storage.plan({ killAfter });
      let killed = false;
      try {
        ring.tryAppend(batchNow(size));
      } catch (error) {
        assert(error instanceof Killed);
        killed = true;
      }
      const left = storage.afterKill();
      assertHealthy(left);
      const reader = Ring.open(left, POOL);
      assert.deepEqual(seqsOf(reader), killed ? [newest] : [newest, newest + 1n], `${killAfter}`);
      if (reader.state().oldest > oldest) dropped++;
      if (!killed) break;
      assert.ok(killAfter < 10);
    }
    assert.ok(dropped > 1, "what is dropped is disclaimed first");
  }
});

function batchNow(size: number) {
  const batch = batchOf(payload(9, size));
  batch.setTime(0, now());
  return batch;
}

Deno.test("age limit: a damaged block is no limit, and a limit below a second is refused", () => {
  const { storage, ring } = aged(3000, 4, [2, 2, 0]);
  inPlace(settingMaxAge(ring, HOUR));
  assert.equal(seqsOf(ring).length, 1);
  storage.open(POOL, { write: true }).writeAt(new Uint8Array([0xff]), 128 + 61);
  assert.equal(seqsOf(ring).length, 3);
  for (const ns of [1n, 999_999_999n, 1n << 64n, -HOUR]) {
    assert.throws(
      () => inPlace(settingMaxAge(ring, ns)),
      (error) => PlasmiteError.is(error, ErrorKind.Usage),
      String(ns),
    );
  }
});

function aging(): {
  pool: LocalPool;
  store: (age: number, tags: string[]) => Promise<void>;
  limit: (ns: bigint) => void;
} {
  const { storage, ring } = newRing(40_000, 16);
  inPlace(settingMaxAge(ring, HOUR));
  const pool = new LocalBackend("/", { storage, coordination }).open(POOL, {
    write: true,
  }) as LocalPool;
  const store = async (age: number, tags: string[]): Promise<void> => {
    const batch = frames([{ age }, tags]);
    batch.setTime(0, now() - BigInt(age) * HOUR);
    await pool.append(batch, { flush: false, stored: () => {} });
  };
  return { pool, store, limit: (ns) => inPlace(settingMaxAge(ring, ns)) };
}

Deno.test("age limit: keys and ids of expired messages are forgotten, in look-ups and under the lock", async () => {
  const { pool, store } = aging();
  await store(2, ["key:a", "id:x"]);
  assert.equal(await (await pool.coordinate()).latest("a"), null);
  assert.deepEqual(await storeWhen(pool, { n: 1 }, ["key:a"], { key: "a", expect: 0n }), {
    seq: 2n,
    duplicate: false,
  });
  await store(2, ["id:y"]);
  // Message 2 is younger than an hour, so 3 behind it has not expired.
  assert.deepEqual(await storeWhen(pool, { age: 2 }, ["id:y"], { ids: ["y"] }), {
    seq: 3n,
    duplicate: true,
  });
  assert.deepEqual(await storeWhen(pool, { age: 2 }, ["id:x"], { ids: ["x"] }), {
    seq: 4n,
    duplicate: false,
  });
});

Deno.test("age limit: a walk that waits for what expires in the meantime ends, and tells the gap", async () => {
  const { limit, pool, store } = aging();
  for (const age of [0, 0, 0]) await store(age, []);
  const walk = await pool.select({ from: 1n });
  limit(1_000_000_000n);
  await new Promise((resolve) => setTimeout(resolve, 1100));
  const seen: bigint[] = [];
  const gaps: unknown[] = [];
  for (;;) {
    const found = walk.next();
    const gap = walk.takeGap();
    if (gap !== null) gaps.push(gap);
    if (found) seen.push(walk.frame.seq);
    else if (walk.ended) break;
    else await walk.wait();
  }
  walk.close();
  assert.deepEqual(seen, []);
  assert.deepEqual(gaps, [{ first: 1n, last: 3n }]);
  assert.deepEqual(await pool.bounds(), { ...await pool.bounds(), oldest: 0n, newest: 3n });
});
