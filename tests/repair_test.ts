/**
 * The repair of damaged pools: what is whole stays, what is lost is named, and afterwards the pool
 * is healthy by both checkers and goes on.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { PlasmiteError } from "../lib/errors.ts";
import { type RepairReport, repairRing } from "../lib/pool/rebuild.ts";
import { Ring } from "../lib/pool/ring.ts";
import { MemoryStorage } from "../lib/storage/memory.ts";
import {
  type Damage,
  damage,
  message,
  messagePool,
  type Region,
  unharmed,
} from "./support/damage.ts";
import { append, POOL, readAll, same, SCALE } from "./support/rings.ts";
import { specCheck, type Verdict } from "./support/spec_checker.ts";

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

/** What an independent checker finds, but for bytes that nobody reads (1.1, 2). */
function verdict(bytes: Uint8Array): Verdict {
  const file = bytes.slice();
  for (const [from, to] of [[9, 16], [36, 40], [56, 64], [104, 4096]]) file.fill(0, from, to);
  const { problems, ...rest } = specCheck(file, false);
  return { ...rest, problems: problems.filter((one) => !/^(reserved|frame flags)/.test(one)) };
}

/** Healthy by both checkers, everything readable, and it goes on from where it was. */
function assertUsable(storage: MemoryStorage, where: string): void {
  assert.deepEqual(verdict(storage.bytes(POOL)).problems, [], where);
  const ring = Ring.open(storage, POOL, { write: true });
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
  fc.assert(
    fc.property(
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
        if (report.salvage === null && report.after.bounds.newestSeq === null) return;
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
    ),
    { numRuns: 600 * SCALE },
  );
  if (Deno.env.has("PLASMITE_TEST_VERBOSE")) console.log(seen);
});
