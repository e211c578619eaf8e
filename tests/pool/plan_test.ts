/**
 * A batch that goes in one piece is planned in one piece. It must be planned as if it were done frame
 * by frame: otherwise messages would be dropped that had room, or overwritten while they are live.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { BrokenChain, type Plan, planBatch, spareOf } from "../../lib/pool/plan.ts";
import { append, mapped, newRing, payload, SCALE } from "../support/rings.ts";

/** The plan, or the problem that there is none for. */
function planned(make: () => Plan): unknown {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof BrokenChain)) throw error;
    return { offset: error.offset, problem: error.message };
  }
}

Deno.test("a batch is planned in one piece as it is frame by frame", () => {
  let pieces = 0;
  // Few sizes, so that frames end where others begin.
  const size = fc.constantFrom(0, 8, 56, 120, 136, 248, 504, 1000);
  const sizes = fc.array(size, { minLength: 1, maxLength: 24 });
  fc.assert(
    fc.property(
      fc.integer({ min: 150, max: 900 }),
      fc.array(sizes, { maxLength: 6 }),
      sizes,
      fc.integer({ min: 64, max: 5000 }),
      fc.option(fc.tuple(fc.nat(20), fc.constantFrom(0, 4, 12, 16, 20, 32, 36), fc.nat(255))),
      fc.boolean(),
      fc.boolean(),
      (words, before, wanted, window, damage, hasSpare, isFull) => {
        const { ring, storage } = newRing(words * 8, 16);
        const { ringOffset, ringSize } = ring.layout;
        let tag = 0;
        for (const group of before) {
          append(ring, ...group.map((size) => payload(tag++, Math.min(size, ringSize - 80))));
        }
        // As writers of the reference may leave it: full to the last byte.
        const state = isFull ? { ...ring.state(), head: ring.state().tail } : ring.state();
        if (damage !== null && state.oldest > 0n) {
          const [frame, field, byte] = damage;
          const look = ring.itemReader(64);
          let at = state.tail;
          for (let i = 0; i < frame && look(at).kind === "frame"; i++) at = look(at).end % ringSize;
          mapped(storage).file.writeAt(Uint8Array.of(byte), ringOffset + at + field);
        }
        const lengths = wanted.map((size) => (72 + Math.min(size, ringSize - 80) + 7) & ~7);
        const lengthOf = (i: number): number => lengths[i] ?? 0;
        const spare = hasSpare ? Math.max(200, spareOf(ringSize)) : 0;
        const count = lengths.length;
        const slow = ring.itemReader(window);
        const expected = planned(() => planBatch(state, ringSize, count, lengthOf, slow, spare));
        const { look, pass } = ring.frameReader(window);
        const watched: typeof pass = (...args) => {
          const passed = pass(...args);
          if (passed.end > args[2]) pieces++;
          return passed;
        };
        const found = planned(() =>
          planBatch(state, ringSize, count, lengthOf, look, spare, watched)
        );
        assert.deepEqual(found, expected);
      },
    ),
    { numRuns: 2500 * SCALE },
  );
  assert.ok(pieces > 100, `${pieces} batches dropped messages in one piece`);
});

Deno.test("a batch that ends where damage begins does not leave a ring that looks empty", () => {
  const { ring, storage } = newRing(4096, 16);
  for (let i = 0; i < 40; i++) append(ring, payload(i, 56));
  const state = ring.state();
  for (let count = 2; count < 12; count++) {
    const end = state.head + 128 * count;
    const file = mapped(storage).file;
    const at = ring.layout.ringOffset + end;
    const magic = mapped(storage).read(at, 1);
    file.writeAt(Uint8Array.of(0), at);
    const { look, pass } = ring.frameReader(4096);
    assert.deepEqual(
      planned(() => planBatch(state, 4096, count, () => 128, look, 0, pass)),
      { offset: end, problem: "bad frame magic" },
    );
    file.writeAt(magic, at);
  }
});
