/**
 * `latest_by` over a pool with millions of groups: an agent that asks for the newest message of each
 * must not take down the server that everyone else uses.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { Groups } from "../../lib/filter/latest.ts";

Deno.test("groups: the newest message of each, in order", () => {
  const keys = fc.uniqueArray(fc.constantFrom("a", "b", "c", "d", "e"), { maxLength: 3 });
  fc.assert(
    fc.property(fc.array(keys, { maxLength: 40 }), fc.integer({ min: 1, max: 6 }), (all, n) => {
      const groups = new Groups();
      const model = new Map<string, bigint>();
      for (const [i, of] of all.entries()) {
        groups.add(BigInt(i + 1), of);
        for (const key of of) {
          model.delete(key);
          model.set(key, BigInt(i + 1));
        }
      }
      const seqs = [...new Set(model.values())];
      assert.equal(groups.size, seqs.length);
      assert.deepEqual(groups.last(n), seqs.slice(-n));
      const shown = new Set(seqs.slice(-n));
      const expected = [...model].filter(([, seq]) => shown.has(seq));
      assert.deepEqual(groups.of(shown), expected.map(([key, seq]) => ({ key, seq })));
      assert.equal(groups.forgotten, false);
    }),
  );
});

Deno.test("groups: of very many, or of very long keys, only the newest are remembered", () => {
  const many = new Groups();
  for (let i = 1n; i <= 60_000n; i++) many.add(i, [`key ${i}`, "one that all have"]);
  assert.ok(many.size <= 20_001, `${many.size}`);
  assert.equal(many.forgotten, true);
  assert.deepEqual(many.last(200), Array.from({ length: 200 }, (_, i) => 59_801n + BigInt(i)));
  assert.deepEqual(many.of(new Set([60_000n])), [
    { key: "key 60000", seq: 60_000n },
    { key: "one that all have", seq: 60_000n },
  ]);
  const long = new Groups();
  for (let i = 1n; i <= 1000n; i++) long.add(i, [`${i}`.padEnd(50_000)]);
  assert.ok(long.size <= 401, `${long.size}`);
  assert.deepEqual(long.last(200), Array.from({ length: 200 }, (_, i) => 801n + BigInt(i)));
});
