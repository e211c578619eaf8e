/**
 * Work groups as a state machine: whatever happens in whatever order, no task is lost without being
 * counted and no two workers have a live token for the same task.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  ack,
  drop,
  due,
  extend,
  fail,
  type GroupRecord,
  MOST_HOLDERS,
  MOST_PENDING,
  nextDueMs,
  parseGroup,
  printGroup,
  retryDelayMs,
  room,
  standing,
  take,
} from "../../lib/coordination/group_record.ts";
import { fitsSlot, GROUP_SLOT } from "../../lib/coordination/slots.ts";

const EMPTY: GroupRecord = {
  gen: 1,
  pool: "",
  floor: 0n,
  ns: 0n,
  next: 0n,
  pending: [],
  holders: [],
  tags: [],
  where: [],
  lost: 0n,
  acked: "2026-11-27T10:00:00.000Z",
};

function taken(
  record: GroupRecord,
  fresh: readonly bigint[],
  next: bigint,
  holder = "w",
  untilMs = 1000,
  again: readonly bigint[] = [],
): GroupRecord {
  const result = take(record, { again, fresh, next, holder, untilMs });
  assert(result !== null);
  return result;
}

Deno.test("group: the floor follows the smallest pending task", () => {
  let group = taken(EMPTY, [2n, 4n, 5n], 6n);
  assert.deepEqual([group.floor, group.next], [1n, 6n]);
  group = ack(group, 4n);
  assert.equal(group.floor, 1n);
  group = ack(group, 2n);
  assert.equal(group.floor, 4n);
  group = ack(group, 5n);
  assert.deepEqual([group.floor, group.pending, group.holders], [6n, [], []]);
});

Deno.test("group: an expired task goes to another, whose token alone counts", () => {
  const first = taken(EMPTY, [1n], 1n, "a", 1000);
  assert.deepEqual(due(first, 999), []);
  assert.deepEqual(due(first, 1000).map(({ seq }) => seq), [1n]);
  const token = first.gen;
  assert.equal(standing(first, 1n, token), "mine");
  const second = taken(first, [], 1n, "b", 2000, [1n]);
  assert.equal(standing(second, 1n, token), "another");
  assert.equal(standing(second, 1n, second.gen), "mine");
  assert.equal(second.pending[0]?.tries, 2);
  assert.deepEqual(second.holders, ["b"]);
  assert.equal(standing(ack(second, 1n), 1n, second.gen), "done");
  assert.equal(standing(second, 9n, second.gen), "unknown");
});

Deno.test("group: a failed task waits without a holder, and is delivered again", () => {
  const group = fail(taken(EMPTY, [1n], 1n), 1n, 5000);
  assert.equal(standing(group, 1n, 2), "another");
  assert.deepEqual(group.holders, []);
  assert.deepEqual([due(group, 4999).length, due(group, 5000).length], [0, 1]);
  assert.equal(nextDueMs(group, 0), 5000);
  assert.deepEqual([1, 2, 3, 6, 7, 40].map(retryDelayMs), [1000, 2000, 4000, 32000, 60000, 60000]);
});

Deno.test("group: what was overwritten is counted once, exactly", () => {
  let group = taken(EMPTY, [2n, 3n], 3n);
  const none = drop(group, 2n);
  assert.equal(none.lost, 0n);
  assert.equal(none.record, group);
  const some = drop(group, 3n);
  assert.deepEqual([some.lost, some.record.floor], [1n, 2n]);
  const more = drop(some.record, 10n);
  // Task 3, and 4 to 9 that nobody had seen.
  assert.deepEqual([more.lost, more.record.lost], [7n, 8n]);
  assert.deepEqual([more.record.floor, more.record.next], [9n, 9n]);
  group = more.record;
  assert.equal(drop(group, 10n).lost, 0n);
});

Deno.test("group: 512 tasks of 64 workers fit into the slot, a 65th worker has to wait", () => {
  const most = 2n ** 64n - 1n;
  let group: GroupRecord = { ...EMPTY, floor: most - 600n, next: most - 600n };
  for (let worker = 0; worker < MOST_HOLDERS; worker++) {
    const from = most - 512n + BigInt(worker * 8);
    const fresh = Array.from({ length: 8 }, (_, i) => from + BigInt(i));
    group = taken(group, fresh, from + 7n, `${worker}`.padStart(64, "w"), 9_999_999_999_999);
  }
  assert.equal(group.pending.length, MOST_PENDING);
  assert.equal(room(group), 0);
  assert(fitsSlot(printGroup(group), GROUP_SLOT), `${printGroup(group).length} bytes`);
  assert.equal(
    take(group, { again: [], fresh: [], next: group.next, holder: "one more", untilMs: 1 })
      ?.holders.length,
    MOST_HOLDERS,
    "a worker without a task takes no place",
  );
  const [first] = group.pending;
  const again = first === undefined ? [] : [first.seq];
  const also = { again, fresh: [], next: group.next, holder: "one more", untilMs: 1 };
  assert.equal(take(group, also), null);
});

Deno.test("group: a record is restored exactly, a damaged one not at all", () => {
  const group = {
    ...extend(taken(EMPTY, [1n, 3n], 4n, "ü"), 3n, 7000),
    tags: ["a"],
    where: [".data.x > 1"],
    lost: 3n,
  };
  const text = new TextDecoder().decode(printGroup(group));
  assert.deepEqual(parseGroup(text), group);
  for (
    const [from, to] of [
      ['"v":2', '"v":1'],
      ['"next":"4"', '"next":"0"'],
      ['["3",', '["9",'],
      ['["3",', '["1",'],
      ['"holders":["ü"]', '"holders":[]'],
      ['"gen":3', '"gen":-1'],
    ] as const
  ) {
    assert(text.includes(from), from);
    assert.equal(parseGroup(text.replace(from, to)), null, to);
  }
});

Deno.test("group: random histories keep every task accounted for", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("take" as const), count: fc.integer({ min: 1, max: 4 }) }),
    fc.record({ kind: fc.constant("ack" as const), which: fc.nat(20) }),
    fc.record({ kind: fc.constant("fail" as const), which: fc.nat(20) }),
    fc.record({ kind: fc.constant("sleep" as const), ms: fc.nat(50) }),
    fc.record({ kind: fc.constant("drop" as const), by: fc.nat(3) }),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    let group = EMPTY;
    let now = 0;
    let oldest = 1n;
    const done = new Set<bigint>();
    let lost = 0n;
    const live = new Map<bigint, number>();
    for (const one of steps) {
      if (one.kind === "sleep") now += one.ms;
      if (one.kind === "take") {
        const again = due(group, now).map(({ seq }) => seq).slice(0, one.count);
        const fresh: bigint[] = [];
        for (let i = again.length; i < one.count; i++) {
          fresh.push(group.next + BigInt(fresh.length) + 1n);
        }
        group = taken(group, fresh, group.next + BigInt(fresh.length), "w", now + 20, again);
        for (const seq of [...again, ...fresh]) live.set(seq, group.gen);
      }
      const task = group.pending[("which" in one ? one.which : 0) % (group.pending.length || 1)];
      if (one.kind === "ack" && task !== undefined) {
        if (standing(group, task.seq, live.get(task.seq) ?? -1) === "mine") {
          group = ack(group, task.seq);
          done.add(task.seq);
        }
      }
      if (one.kind === "fail" && task !== undefined) group = fail(group, task.seq, now + 10);
      if (one.kind === "drop") {
        oldest += BigInt(one.by);
        const dropped = drop(group, oldest);
        group = dropped.record;
        lost += dropped.lost;
      }
      assert.deepEqual(parseGroup(new TextDecoder().decode(printGroup(group))), group);
      // Every number up to `next` is done, pending, or lost.
      assert.equal(BigInt(done.size) + BigInt(group.pending.length) + lost, group.next);
      for (const { seq } of group.pending) assert(!done.has(seq), `task ${seq} came again`);
    }
  }));
});
