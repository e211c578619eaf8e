/**
 * Accidents at every point of an append: kills, torn writes, full disks, power losses.
 *
 * Each scenario is run once to learn its writes, then once for every place where it can go wrong.
 *
 * @module
 */

import assert from "node:assert/strict";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { createRing } from "../../lib/pool/creation.ts";
import { openToAppend } from "../../lib/pool/mending.ts";
import { STATE_AT, STATE_SIZE } from "../../lib/pool/layout.ts";
import { Ring } from "../../lib/pool/ring.ts";
import type { WritableRing } from "../../lib/pool/writable_ring.ts";
import { Killed, MemoryStorage } from "../support/memory.ts";
import {
  append,
  assertHealthy,
  assertMessages,
  batchOf,
  get,
  newRing,
  payload,
  POOL,
  type Read,
  readAll,
  same,
  SCALE,
} from "../support/rings.ts";
import { specCheck } from "../support/spec_checker.ts";

interface Scenario {
  readonly name: string;
  readonly ring: number;
  readonly slots: number;
  /** Payload sizes that are there before. */
  readonly before: readonly number[];
  /** Payload sizes of the batch that meets the accident. */
  readonly batch: readonly number[];
}

const SCENARIOS: readonly Scenario[] = [
  { name: "the first message", ring: 1088, slots: 4, before: [], batch: [428] },
  { name: "behind others, nothing dropped", ring: 2000, slots: 4, before: [100, 50], batch: [300] },
  { name: "one dropped, no wrap", ring: 1000, slots: 0, before: [400, 300, 600], batch: [40] },
  { name: "wrap with marker", ring: 1088, slots: 4, before: [428, 408], batch: [428] },
  { name: "wrap over several", ring: 1003, slots: 7, before: [90, 80, 70, 200, 140], batch: [500] },
  { name: "early wrap, no padding", ring: 1044, slots: 3, before: [428, 444], batch: [200] },
  { name: "as large as the ring", ring: 1000, slots: 1, before: [100, 200, 90], batch: [928] },
  { name: "emptied, marker covered", ring: 1000, slots: 2, before: [100, 90], batch: [850] },
  {
    name: "a batch around the end",
    ring: 1500,
    slots: 7,
    before: [300, 400],
    batch: [150, 160, 170],
  },
  {
    name: "a batch that drops all",
    ring: 1200,
    slots: 2,
    before: [300, 400, 100],
    batch: [400, 450],
  },
];

interface Prepared {
  readonly storage: MemoryStorage;
  readonly ring: WritableRing;
  readonly before: readonly Read[];
  readonly batch: readonly Uint8Array[];
}

function prepare({ ring: size, slots, before, batch }: Scenario): Prepared {
  const { storage, ring } = newRing(size, slots);
  before.forEach((bytes, i) => append(ring, payload(i + 1, bytes)));
  return {
    storage,
    ring,
    before: readAll(ring),
    batch: batch.map((bytes, i) => payload(100 + i, bytes)),
  };
}

/** The writes of the accident-free run, and what it leaves. */
function rehearse(scenario: Scenario, flush = false) {
  const { storage, ring, before, batch } = prepare(scenario);
  const start = storage.log.length;
  storage.plan({});
  const done = ring.tryAppend(batchOf(...batch), 0, flush);
  assert.equal(done?.count, batch.length, `${scenario.name} goes in whole`);
  const after = readAll(ring);
  assertHealthy(storage);
  const dropped = before.filter((m) => !after.some((kept) => kept.seq === m.seq));
  return { writes: storage.log.slice(start), calls: storage.calls, after, dropped };
}

const newestOf = (messages: readonly Read[]): bigint => messages.at(-1)?.seq ?? 0n;

const isState = (write: { at: number; length: number }): boolean => write.at < 4096;

/**
 * What an accident may leave: the state before, perhaps without what had to be dropped anyway, or
 * the state after.
 */
function assertBeforeOrAfter(
  found: readonly Read[],
  before: readonly Read[],
  dropped: readonly Read[],
  after: readonly Read[],
  where: string,
): "before" | "after" {
  const newest = found.at(-1)?.seq ?? 0n;
  const last = before.at(-1)?.seq ?? 0n;
  if (newest > last) {
    assertMessages(found, after, where);
    return "after";
  }
  const rest = before.slice(before.length - found.length);
  assertMessages(found, rest, where);
  assert(before.length - found.length <= dropped.length, `${where}: only what makes room is gone`);
  return "before";
}

/** The pool goes on: opens, appends twice round the ring, both checkers agree. */
function assertGoesOn(storage: MemoryStorage, newest: bigint, where: string): void {
  const ring = openToAppend(storage, POOL);
  for (let i = 0; i < 5; i++) {
    const bytes = payload(900 + i, 150);
    const seq = append(ring, bytes);
    assert.equal(seq, newest + 1n + BigInt(i), where);
    const stored = get(ring, seq);
    assert(stored !== null && same(stored, bytes), where);
    assertHealthy(storage);
  }
  ring.close();
}

Deno.test("the state block is one write of 40 bytes, published last", () => {
  for (const scenario of SCENARIOS) {
    const { writes, dropped } = rehearse(scenario);
    const blocks = writes.filter(isState);
    assert.deepEqual(
      blocks,
      Array(dropped.length > 0 ? 2 : 1).fill({ at: STATE_AT, length: STATE_SIZE }),
      scenario.name,
    );
    assert.deepEqual(writes.at(-1), blocks[0]);
    if (dropped.length > 0) assert.deepEqual(writes[0], blocks[0], "the tail moves first");
  }
});

for (const scenario of SCENARIOS) {
  Deno.test(`killed at every byte: ${scenario.name}`, () => {
    const { writes, after, dropped } = rehearse(scenario);
    let outcomes = 0;
    for (const [i, write] of writes.entries()) {
      const last = isState(write) ? 0 : write.length;
      for (let torn = 0; torn <= last; torn++) {
        const where = `${scenario.name}, write ${i}, byte ${torn}`;
        const { storage, ring, before, batch } = prepare(scenario);
        storage.plan({ killAfter: i, torn });
        assert.throws(() => ring.tryAppend(batchOf(...batch)), Killed);
        const left = storage.afterKill();
        const reader = Ring.open(left, POOL);
        const found = readAll(reader);
        assert.equal(assertBeforeOrAfter(found, before, dropped, after, where), "before");
        for (const { seq, payload } of found) {
          const one = get(reader, seq);
          assert(one !== null && same(one, payload), where);
        }
        assert.equal(
          get(reader, newestOf(before) + 1n),
          null,
          "what was not published is not there",
        );
        reader.close();
        assertHealthy(left);
        // Going on is the same for neighbouring bytes: every seventh place is enough for that.
        if (torn % 7 === 0) assertGoesOn(left, newestOf(before), where);
        outcomes++;
      }
    }
    assert(outcomes > 100);
  });
}

Deno.test("a torn state block is reported or harmless, never wrong data", () => {
  // No system tears 40 bytes inside one page when a process dies; a broken disk may.
  let refused = 0;
  let opened = 0;
  for (const scenario of SCENARIOS) {
    const { writes, after } = rehearse(scenario);
    for (const [i, write] of writes.entries()) {
      if (!isState(write)) continue;
      for (let torn = 1; torn < write.length; torn++) {
        const where = `${scenario.name}, write ${i}, byte ${torn}`;
        const { storage, ring, before, batch } = prepare(scenario);
        storage.plan({ killAfter: i, torn });
        assert.throws(() => ring.tryAppend(batchOf(...batch)), Killed);
        const left = storage.afterKill();
        const known = new Map([...before, ...after].map((m) => [m.seq, m.payload]));
        try {
          const reader = openToAppend(left, POOL);
          for (const { seq, payload } of readAll(reader)) {
            const expected = known.get(seq);
            assert(expected !== undefined && same(expected, payload), where);
          }
          reader.close();
          opened++;
        } catch (error) {
          assert(PlasmiteError.is(error, ErrorKind.Corrupt), `${where}: ${error}`);
          refused++;
        }
      }
    }
  }
  assert(opened > 100);
  assert(refused > 10);
});

for (const scenario of SCENARIOS) {
  Deno.test(`the disk fails or is full: ${scenario.name}`, () => {
    const { writes, calls, after, dropped } = rehearse(scenario);
    for (let fails = 0; fails < calls; fails++) {
      const write = writes[fails];
      const parts = write === undefined || isState(write) ? [0] : [0, 8, 63, write.length - 1];
      for (const failTorn of parts) {
        const where = `${scenario.name}, call ${fails}, byte ${failTorn}`;
        const { storage, ring, before, batch } = prepare(scenario);
        storage.plan({ failAfter: fails, failTorn });
        for (let again = 0; again < 2; again++) {
          assert.throws(() => ring.tryAppend(batchOf(...batch)), (error) => {
            assert(PlasmiteError.is(error, ErrorKind.Io), where);
            assert.equal(error.path, POOL);
            assert.match(String(error.causes), /No space left/);
            return true;
          });
        }
        // The same handle still reads, and appends as soon as there is room again.
        const found = readAll(ring);
        assertBeforeOrAfter(found, before, dropped, after, where);
        assertHealthy(storage);
        storage.plan({});
        const done = ring.tryAppend(batchOf(...batch));
        assert.equal(done?.count, batch.length, where);
        assertHealthy(storage);
        assertMessages(readAll(ring), after, where);
        ring.close();
        assertGoesOn(storage, newestOf(after), where);
      }
    }
  });
}

Deno.test("creating a pool fails whole", () => {
  const storage = new MemoryStorage();
  storage.plan({ failAfter: 0 });
  assert.throws(() => createRing(storage, POOL, { size: 8192 }), (error) => {
    return PlasmiteError.is(error, ErrorKind.Io);
  });
  storage.plan({});
  assert.throws(() => openToAppend(storage, POOL), (error) => {
    return PlasmiteError.is(error, ErrorKind.NotFound);
  });
});

Deno.test("flush: an acknowledged message survives a power loss, whatever reached the disk", () => {
  let losses = 0;
  for (const scenario of SCENARIOS) {
    const { calls } = rehearse(scenario, true);
    // `calls` itself means: the power goes after the append was acknowledged.
    for (let dies = 0; dies <= calls; dies++) {
      const { storage, ring, before, batch } = prepare(scenario);
      // What was appended before was flushed too.
      const flushed = new MemoryStorage();
      flushed.put(POOL, storage.bytes(POOL));
      ring.close();
      const writer = openToAppend(flushed, POOL);
      flushed.plan({ killAfter: dies });
      let acknowledged = false;
      try {
        acknowledged = writer.tryAppend(batchOf(...batch), 0, true) !== null;
      } catch (error) {
        assert(error instanceof Killed);
      }
      assert.equal(acknowledged, dies === calls);
      const { after, dropped } = rehearse(scenario);
      let unsynced = 0;
      flushed.afterPowerLoss((_i, count) => (unsynced = count, false));
      assert(unsynced <= 6, "few enough for all subsets");
      for (let subset = 0; subset < 1 << unsynced; subset++) {
        const where = `${scenario.name}, call ${dies}, subset ${subset.toString(2)}`;
        const left = flushed.afterPowerLoss((i) => (subset >> i & 1) === 1);
        const reader = Ring.open(left, POOL);
        const outcome = assertBeforeOrAfter(readAll(reader), before, dropped, after, where);
        reader.close();
        if (acknowledged) assert.equal(outcome, "after", where);
        assert.deepEqual(specCheck(left.bytes(POOL)).problems, [], where);
        assertGoesOn(left, newestOf(outcome === "after" ? after : before), where);
        losses++;
      }
    }
  }
  assert(losses > 100);
});

Deno.test("flush: a long history of power losses loses nothing that was acknowledged", () => {
  let seed = 7;
  const random = (n: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fff_ffff;
    return (seed >> 8) % n;
  };
  for (let round = 0; round < 20 * SCALE; round++) {
    let { storage } = newRing(3000 + random(9), random(3) * 5);
    const acknowledged = new Map<bigint, Uint8Array>();
    let made = round * 1000;
    for (let life = 0; life < 12; life++) {
      const ring = openToAppend(storage, POOL);
      storage.plan({ killAfter: random(30) });
      try {
        for (let i = 0; i < 10; i++) {
          const payloads = Array.from(
            { length: 1 + random(3) },
            () => payload(++made, random(500)),
          );
          const done = ring.tryAppend(batchOf(...payloads), 0, true);
          assert(done !== null);
          payloads.slice(0, done.count).forEach((bytes, k) => {
            acknowledged.set(done.first + BigInt(k), bytes);
          });
        }
      } catch (error) {
        assert(error instanceof Killed);
      }
      storage = storage.afterPowerLoss(() => random(2) === 1);
      const after = Ring.open(storage, POOL);
      const { oldest, newest } = after.state();
      const last = [...acknowledged.keys()].at(-1) ?? 0n;
      assert(newest >= last, "no acknowledged number is given out again");
      assert(oldest !== 0n || acknowledged.size === 0 || newest >= last);
      for (const { seq, payload } of readAll(after)) {
        const known = acknowledged.get(seq);
        // One more than was acknowledged may be there: the append that died on its way.
        if (known === undefined) assert(seq > last);
        else assert(same(known, payload));
        acknowledged.set(seq, payload);
      }
      after.close();
      assertHealthy(storage);
    }
  }
});

Deno.test("a first append that dies twice leaves a pool that the checker calls empty and well", () => {
  // The second leaves behind what the first wrote further on: message 2, without a message 1.
  const { storage, ring } = newRing(3000);
  storage.plan({ killAfter: 1 });
  assert.throws(() => ring.tryAppend(batchOf(payload(1, 2490), payload(2, 0))), Killed);
  const once = storage.afterKill();
  const again = openToAppend(once, POOL);
  once.plan({ killAfter: 0, torn: 41 });
  assert.throws(() => again.tryAppend(batchOf(payload(3, 2490))), Killed);
  const left = once.afterKill();
  assertHealthy(left);
  assertGoesOn(left, 0n, "after two deaths");
});
