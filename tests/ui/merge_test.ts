/**
 * The order of the rows of several pools, without a browser.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { Merge } from "../../server/ui/merge.js";

const message = (t: number) => ({
  kind: "message" as const,
  t,
  time: "",
  seq: BigInt(t),
  tags: [],
  text: "{}",
  from: 0,
  to: 2,
});
Deno.test("within a millisecond the nanoseconds decide", () => {
  const merge = new Merge(2, 0);
  merge.add(0, [{ ...message(5), time: "2026-01-05T10:00:00.1001Z" }], 0);
  merge.add(1, [{ ...message(5), time: "2026-01-05T10:00:00.1Z" }], 0);
  merge.caught(0);
  merge.caught(1);
  assert.deepEqual(merge.take(1000).map(({ from }) => from), [1, 0]);
});

const times = (taken: { row: { t: number } }[]): number[] => taken.map(({ row }) => row.t);

// Lost: what happened first, when a slow pool is read after a fast one.
Deno.test("the past of several pools comes out in order, however it arrives", () => {
  fc.assert(fc.property(
    fc.array(fc.array(fc.nat(1000), { maxLength: 40 }), { minLength: 1, maxLength: 4 }),
    fc.infiniteStream(fc.nat(3)),
    (pools, turns) => {
      const merge = new Merge(pools.length, 0);
      const left = pools.map((pool) => [...pool].sort((a, b) => a - b));
      const out: number[] = [];
      let now = 0;
      while (left.some((pool) => pool.length > 0)) {
        const from = turns.next().value % pools.length;
        const pool = left[from] ?? [];
        merge.add(from, pool.splice(0, 5).map(message), now);
        if (pool.length === 0) merge.caught(from);
        out.push(...times(merge.take(now)));
        now += 5;
        if (now > 9000) return;
      }
      for (const from of pools.keys()) merge.caught(from);
      out.push(...times(merge.take(now + 500)));
      assert.deepEqual(out, pools.flat().sort((a, b) => a - b));
      assert.equal(merge.size, 0);
    },
  ));
});

// Lost: the present, behind a pool in which nothing happens or that cannot be read.
Deno.test("a silent pool holds nothing up for long, and what waits is bounded", () => {
  const merge = new Merge(2, 0);
  merge.caught(0);
  merge.caught(1);
  merge.add(0, [message(50)], 1000);
  assert.deepEqual(times(merge.take(1001)), []);
  merge.add(1, [message(40)], 1100);
  assert.deepEqual(times(merge.take(1100)), [40], "everyone has passed it");
  assert.deepEqual(times(merge.take(1500)), [50]);
  const stuck = new Merge(2, 0);
  stuck.caught(0);
  stuck.add(0, [message(1)], 0);
  assert.deepEqual(times(stuck.take(5000)), [], "the other one may still have older rows");
  assert.deepEqual(times(stuck.take(10_000)), [1]);
  const full = new Merge(2, 0);
  full.add(0, Array.from({ length: 30_000 }, (_, i) => message(i)), 0);
  assert.equal(full.take(0).length, 10_000);
  assert.equal(full.size, 20_000);
});
