/**
 * The repair of damaged pools: what is whole stays, what is lost is named, and afterwards the pool
 * is healthy by both checkers and goes on.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { PlasmiteError } from "../../lib/errors.ts";
import { openToAppend } from "../../lib/pool/mending.ts";
import { type RepairReport, repairRing } from "../../lib/pool/rebuild.ts";
import { Killed, MemoryStorage } from "../support/memory.ts";
import {
  type Damage,
  damage,
  message,
  messagePool,
  type Region,
  unharmed,
} from "../support/damage.ts";
import { append, newRing, payload, POOL, readAll, same, SCALE } from "../support/rings.ts";
import { specCheck, type Verdict } from "../support/spec_checker.ts";

function repair(bytes: Uint8Array): { storage: MemoryStorage; report: RepairReport } {
  const storage = new MemoryStorage();
  storage.put(POOL, bytes);
  const report = repairRing(storage, POOL, "pool", { messages: true, backup: () => null });
  return { storage, report };
}

/** A message that stands in for a lost one, and says so as far as there was room. */
function isStandIn(bytes: Uint8Array): boolean {
  const text = new TextDecoder("latin1").decode(bytes);
  return text.includes("plasmite.lost") || !text.includes("text");
}

/**
 * What an independent checker finds, but for bytes that nobody reads (docs/spec/format.md 1.1, 2).
 */
function verdict(bytes: Uint8Array): Verdict {
  const file = bytes.slice();
  for (const [from, to] of [[9, 16], [36, 40], [56, 64], [104, 4096]]) file.fill(0, from, to);
  const { problems, ...rest } = specCheck(file, false);
  return { ...rest, problems: problems.filter((one) => !/^(reserved|frame flags)/.test(one)) };
}

/** Healthy by both checkers, everything readable, and it goes on from where it was. */
function assertUsable(storage: MemoryStorage, where: string): void {
  assert.deepEqual(verdict(storage.bytes(POOL)).problems, [], where);
  const ring = openToAppend(storage, POOL);
  const before = ring.state();
  for (const m of readAll(ring)) assert(m.payload.length > 0);
  for (let i = 0; i < 12; i++) {
    const bytes = message(1000 + i, 40 * i);
    assert.equal(append(ring, bytes), before.newest + 1n + BigInt(i), where);
    const found = readAll(ring);
    assert(same(found.at(-1)?.payload ?? new Uint8Array(), bytes), where);
  }
  assert.deepEqual(verdict(storage.bytes(POOL)).problems, [], `${where} after appends`);
  ring.close();
}

const region = fc.constantFrom<Region>("header", "state", "index", "ring", "ring", "any");
const fraction = fc.double({ min: 0, max: 1, noNaN: true });
const accident: fc.Arbitrary<Damage> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("bit" as const),
      where: region,
      at: fraction,
      bit: fc.nat(7),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom("zero" as const, "noise" as const),
      where: region,
      at: fraction,
      length: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 41, max: 5000 })),
      seed: fc.nat(1000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom("cut" as const, "grow" as const),
      at: fraction,
    }),
  },
);

Deno.test("random damage: nothing whole is lost, nothing broken is passed off as whole", () => {
  const seen = { healthy: 0, repaired: 0, hopeless: 0, mended: 0, replaced: 0, dropped: 0 };
  const property = fc.property(
    fc.integer({ min: 1500, max: 12000 }),
    fc.constantFrom(0, 3, 8, 64),
    fc.array(fc.record({ ours: fc.boolean(), size: fc.nat(500) }), {
      minLength: 1,
      maxLength: 30,
    }),
    fc.array(accident, { minLength: 1, maxLength: 3 }),
    (C, slots, turns, accidents) => {
      const { bytes, known } = messagePool(C, slots, turns);
      const broken = accidents.reduce<Uint8Array<ArrayBuffer>>(damage, bytes);
      const whole = unharmed(bytes, broken);
      let done: ReturnType<typeof repair>;
      try {
        done = repair(broken);
      } catch (error) {
        // Another version, or nothing left to recognise: refused, and not a byte changed.
        assert(PlasmiteError.is(error), String(error));
        assert(["Usage", "Corrupt"].includes(error.kindName), error.message);
        assert(whole.size === 0 || error.kindName === "Usage", "whole messages were given up");
        seen.hopeless++;
        return;
      }
      const { storage, report } = done;
      assert.deepEqual(report.after.issues, []);
      assert.equal(report.after.indexWrong, 0);
      if (report.salvage === null) seen.healthy++;
      else seen.repaired++;
      seen.mended += report.salvage?.mended.length ?? 0;
      seen.replaced += report.salvage?.replaced.length ?? 0;
      seen.dropped += report.salvage?.dropped === null ? 0 : 1;
      // A header that says "empty" and is sound in itself is believed.
      if (report.before.status === "ok" && report.after.bounds.newestSeq === null) return;
      const after = verdict(storage.bytes(POOL));
      const found = new Map(after.messages.map((m) => [m.seq, m]));
      for (const [seq, payload] of whole) {
        const now = found.get(seq);
        assert(now !== undefined, `message ${seq} was whole and is gone`);
        assert(same(now.payload, payload), `message ${seq} was whole and is changed`);
      }
      for (const { seq, payload, crc } of after.messages) {
        const original = known.get(seq);
        if (crc === 0 || isStandIn(payload)) continue; // what the reference wrote has no checksum
        assert(original !== undefined && same(payload, original), `message ${seq} is broken`);
      }
      assertUsable(storage, "after the repair");
    },
  );
  // The generator reaches every outcome, which is asked of the same cases each time.
  fc.assert(property, { numRuns: 300, seed: 1 });
  assert(seen.healthy > 0 && seen.repaired > 200 && seen.hopeless > 0, JSON.stringify(seen));
  assert(seen.mended > 20 && seen.replaced > 0 && seen.dropped > 50, JSON.stringify(seen));
  fc.assert(property, { numRuns: 300 * SCALE });
});

Deno.test("a repair that is killed at any write can be done again, and loses no more", () => {
  const turns = Array.from({ length: 14 }, (_, i) => ({ ours: i % 3 > 0, size: i * 37 % 300 }));
  const cases: readonly (readonly Damage[])[] = [
    [{ kind: "zero", where: "ring", at: 0.3, length: 900, seed: 0 }],
    [{ kind: "noise", where: "ring", at: 0.9, length: 600, seed: 1 }, {
      kind: "noise",
      where: "state",
      at: 0,
      length: 40,
      seed: 2,
    }],
    [{ kind: "noise", where: "index", at: 0, length: 100, seed: 3 }, {
      kind: "bit",
      where: "ring",
      at: 0.5,
      bit: 3,
    }],
    [{ kind: "zero", where: "header", at: 0, length: 4096, seed: 0 }],
    [{ kind: "cut", at: 0.8 }],
  ];
  for (const accidents of cases) {
    const { bytes } = messagePool(6000, 8, turns);
    const broken = accidents.reduce<Uint8Array<ArrayBuffer>>(damage, bytes);
    const whole = unharmed(bytes, broken);
    assert(whole.size > 1);
    for (let killAfter = 0;; killAfter++) {
      let ended = false;
      for (const torn of [0, 8, 17, 100]) {
        const storage = new MemoryStorage();
        storage.put(POOL, broken);
        storage.plan({ killAfter, torn });
        ended = true;
        try {
          repairRing(storage, POOL, "pool", { messages: true, backup: () => null });
        } catch (error) {
          if (!(error instanceof Killed)) throw error;
          ended = false;
        }
        const { storage: again, report } = repair(storage.afterKill().bytes(POOL));
        assert.deepEqual(report.after.issues, []);
        const found = new Map(
          verdict(again.bytes(POOL)).messages.map((m) => [m.seq, m.payload]),
        );
        for (const [seq, payload] of whole) {
          const now = found.get(seq);
          assert(now !== undefined && same(now, payload), `kill ${killAfter}, message ${seq}`);
        }
        assertUsable(again, `kill ${killAfter}`);
      }
      if (ended) break;
      assert(killAfter < 100);
    }
  }
});

Deno.test("payloads that are no messages: any bytes are kept as they are", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 600, max: 4000 }),
      fc.array(fc.nat(200), { minLength: 3, maxLength: 30 }),
      fraction,
      fc.integer({ min: 1, max: 900 }),
      (C, sizes, at, length) => {
        const { storage, ring } = newRing(C, 8);
        sizes.forEach((size, i) => append(ring, payload(i, size)));
        const bytes = storage.bytes(POOL);
        const broken = damage(bytes, { kind: "zero", where: "ring", at, length, seed: 0 });
        const whole = unharmed(bytes, broken);
        const left = new MemoryStorage();
        left.put(POOL, broken);
        const { after } = repairRing(left, POOL, "pool", { backup: () => null });
        assert.deepEqual(after.issues, []);
        const found = new Map(verdict(left.bytes(POOL)).messages.map((m) => [m.seq, m.payload]));
        for (const [seq, payload] of whole) {
          const now = found.get(seq);
          assert(now !== undefined && same(now, payload), `message ${seq}`);
        }
        append(openToAppend(left, POOL), payload(99, 100));
        assert.deepEqual(verdict(left.bytes(POOL)).problems, []);
      },
    ),
    { numRuns: 300 * SCALE },
  );
});
