/**
 * Guarded appends: what is judged under the lock must be what is stored upon. A guard that lets the
 * lock go, or a batch that goes in half, would give one task to two workers.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { messageFromValue } from "../../lib/lite3/from_value.ts";
import { createRing } from "../../lib/pool/creation.ts";
import { openToAppend } from "../../lib/pool/mending.ts";
import { FrameBatch } from "../../lib/pool/batch.ts";
import { Cursor } from "../../lib/pool/cursor.ts";
import type { State } from "../../lib/pool/header.ts";
import { BrokenChain } from "../../lib/pool/plan.ts";
import { Ring } from "../../lib/pool/ring.ts";
import type { Guard, WritableRing } from "../../lib/pool/writable_ring.ts";
import { TagWalk } from "../../lib/pool/tag_walk.ts";
import { disk } from "../../lib/storage/file.ts";
import { Killed, MemoryStorage } from "../support/memory.ts";
import { inPlace } from "../../lib/storage/steps.ts";
import { inCheckout } from "../support/paths.ts";
import { withDir } from "../support/processes.ts";
import {
  append,
  assertHealthy,
  assertMessages,
  batchOf,
  hooked,
  newRing,
  payload,
  POOL,
  readAll,
  SCALE,
} from "../support/rings.ts";

/** A batch of messages with these tags and so much text each. */
function tagged(...messages: readonly (readonly [tags: string[], size?: number])[]): FrameBatch {
  const batch = new FrameBatch();
  messages.forEach(([tags, size = 10], i) => {
    batch.beginFrame();
    messageFromValue(batch.encoder, { text: "x".repeat(size), i }, tags);
    batch.endFrame(i + 1, 0);
  });
  return batch;
}

function store(ring: WritableRing, batch: FrameBatch, guard?: Guard): bigint {
  for (let tries = 0; tries < 1000; tries++) {
    const done = ring.tryAppend(batch, 0, false, guard);
    if (done !== null) return done.first;
  }
  throw new assert.AssertionError({ message: "the lock is free" });
}

const refusal = new Error("refused");
const refuse: Guard = () => {
  throw refusal;
};

/** Number and tags of all messages that a walk visits. */
function tagsUnder(walk: TagWalk, state: State, from = 1n, until = state.newest): string[] {
  const told: string[] = [];
  walk.visit(state, { from, until }, () => told.push(`${walk.seq} ${walk.view.tags()}`));
  return told;
}

function tagsOutside(walk: TagWalk, from: bigint, until: bigint, whole = false): string[] {
  const told: string[] = [];
  inPlace(
    walk.visiting({ from, until, whole }, () => told.push(`${walk.seq} ${walk.view.tags()}`)),
  );
  return told;
}

Deno.test("guard: throwing leaves every byte as it was, and the lock free", () => {
  const { storage, ring } = newRing(2000, 4);
  append(ring, payload(1, 500), payload(2, 500), payload(3, 500));
  const before = storage.bytes(POOL);
  storage.plan({});
  assert.throws(() => ring.tryAppend(batchOf(payload(4, 900)), 0, true, refuse), refusal);
  assert.equal(storage.calls, 0, "nothing was written");
  assert.deepEqual(storage.bytes(POOL), before);
  assert.equal(append(ring, payload(4, 900)), 4n);
});

Deno.test("guard: it sees the state under the lock and may change what is stored", () => {
  const { ring } = newRing(4000, 4);
  append(ring, payload(1, 100), payload(2, 100));
  let seen: State | null = null;
  const instead = batchOf(payload(7, 50));
  const first = store(ring, batchOf(payload(3, 100), payload(4, 100)), (state) => {
    seen = state;
    return instead;
  });
  assert.equal(first, 3n);
  assert.deepEqual([(seen as State | null)?.oldest, (seen as State | null)?.newest], [1n, 2n]);
  assertMessages(readAll(ring).slice(2), [{ seq: 3n, payload: payload(7, 50) }]);
  const none = ring.tryAppend(batchOf(payload(5, 10)), 0, false, () => new FrameBatch());
  assert.deepEqual(none, { count: 0, first: 0n });
  assert.equal(ring.state().newest, 3n);
  const oversize = (): FrameBatch => batchOf(payload(1, 5000));
  assert.throws(
    () => ring.tryAppend(batchOf(payload(5, 10)), 0, false, oversize),
    (error) => PlasmiteError.is(error, ErrorKind.Usage),
  );
});

Deno.test("guard: a batch goes in whole or not at all", () => {
  const { storage, ring } = newRing(2000, 4);
  append(ring, payload(1, 300));
  const before = storage.bytes(POOL);
  const large = batchOf(...[1, 2, 3].map((n) => payload(n, 600)));
  assert.throws(
    () => ring.tryAppend(large, 0, false, () => null),
    (error) =>
      PlasmiteError.is(error, ErrorKind.Usage) &&
      error.message === "batch too large for a conditional append",
  );
  assert.deepEqual(storage.bytes(POOL), before);
  assert.equal(ring.tryAppend(large)?.count, 2, "without a guard it goes in pieces");
  const half = batchOf(...[1, 2, 3, 4].map((n) => payload(n, 160)));
  assert.equal(ring.tryAppend(half, 0, false, () => null)?.count, 4);
});

Deno.test("guard: killed at every write, the batch is whole or absent", () => {
  const make = () => {
    const made = newRing(1500, 7);
    append(made.ring, payload(1, 300), payload(2, 400));
    return made;
  };
  const batch = () => batchOf(payload(3, 150), payload(4, 160), payload(5, 170));
  const rehearsal = make();
  const before = readAll(rehearsal.ring);
  rehearsal.storage.plan({});
  const start = rehearsal.storage.log.length;
  store(rehearsal.ring, batch(), () => null);
  const after = readAll(rehearsal.ring);
  const calls = rehearsal.storage.calls;
  const writes = rehearsal.storage.log.slice(start);
  assert(calls >= 3 && writes.length === calls);
  let judged = 0;
  for (let killAfter = 0; killAfter < calls; killAfter++) {
    // The state block is one write inside one sector, which a kill does not tear.
    const tears = (writes[killAfter]?.at ?? 0) < 4096 ? [0] : [0, 1, 17, 40, 1000];
    for (const torn of tears) {
      const { storage, ring } = make();
      storage.plan({ killAfter, torn });
      assert.throws(() =>
        store(ring, batch(), () => {
          judged++;
          return null;
        }), Killed);
      const disk = storage.afterKill();
      assertHealthy(disk);
      const found = readAll(openToAppend(disk, POOL));
      if ((found.at(-1)?.seq ?? 0n) > 2n) assertMessages(found, after);
      else assertMessages(found, before.slice(before.length - found.length));
    }
  }
  assert(judged >= calls);
});

Deno.test("guard: a broken chain is repaired first, and the guard sees the rest", () => {
  const { storage, ring } = newRing(3000, 0);
  append(ring, ...[1, 2, 3, 4].map((n) => payload(n, 500)));
  const file = storage.open(POOL, { write: true });
  file.writeAt(new Uint8Array(64), 4096); // The oldest frame's header.
  const judged: bigint[] = [];
  const walk = new TagWalk(ring);
  const first = store(ring, batchOf(payload(5, 100)), (state) => {
    judged.push(state.oldest);
    walk.visit(state, { from: 1n, until: state.newest }, () => {});
    return null;
  });
  assert.equal(first, 5n);
  assert.deepEqual([judged[0], judged.at(-1)], [1n, 2n]);
  assertHealthy(storage);
  // Found by the plan and not by the guard: the guard is asked again.
  judged.length = 0;
  file.writeAt(new Uint8Array(64), 4096 + ring.state().tail);
  const other = openToAppend(storage, POOL); // One that has not seen the tail yet.
  store(other, batchOf(payload(6, 2000)), (state) => {
    judged.push(state.oldest);
    return null;
  });
  assert.equal(judged.length > 1 && judged.at(-1) !== judged[0], true, String(judged));
});

Deno.test("guard: another process finds the lock taken all the time", async () => {
  await withDir((dir) => {
    const path = `${dir}/p.plasmite`;
    createRing(disk, path, { size: 65536 });
    const ring = openToAppend(disk, path);
    for (let i = 0; i < 300; i++) store(ring, tagged([["key:a"], 300]));
    const other = (mode: string): string => {
      const { stdout } = new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-lock", "-A", inCheckout("tests/support/try_lock.ts"), path, mode],
      }).outputSync();
      return new TextDecoder().decode(stdout);
    };
    const asked: string[] = [];
    const walk = new TagWalk(ring);
    store(ring, tagged([["key:b"]]), (state) => {
      asked.push(other("shared"));
      assert(tagsUnder(walk, state).length > 50);
      asked.push(other("shared"));
      // Damage is where a cursor turns to the shared lock; the walk must not.
      const { tail } = state;
      const raw = disk.open(path, { write: true });
      const kept = new Uint8Array(64);
      raw.readAt(kept, ring.layout.ringOffset + tail);
      raw.writeAt(new Uint8Array(64), ring.layout.ringOffset + tail);
      assert.throws(() => tagsUnder(walk, state), BrokenChain);
      assert.throws(() => new Cursor(ring, 0n).fill(), /must not give up the exclusive lock/);
      raw.writeAt(kept, ring.layout.ringOffset + tail);
      raw.close();
      asked.push(other("shared"), other("exclusive"));
      return null;
    });
    assert.deepEqual(asked, ["taken", "taken", "taken", "taken"]);
    assert.equal(other("exclusive"), "free");
    ring.close();
  });
});

Deno.test("tag walk: sees the tags of all that is retained, whatever the ring looks like", () => {
  const tags = fc.array(
    fc.oneof(fc.constantFrom("a", "key:x", "id:1"), fc.string({ maxLength: 80 })),
    { maxLength: 12 },
  );
  const message = fc.record({ tags, size: fc.oneof(fc.nat(300), fc.nat(30_000)) });
  const scenario = fc.record({
    ring: fc.integer({ min: 40_000, max: 120_000 }),
    slots: fc.constantFrom(0, 3, 64),
    messages: fc.array(message, { maxLength: 40 }),
  });
  fc.assert(
    fc.property(scenario, fc.nat(40), fc.nat(40), ({ ring: size, slots, messages }, a, b) => {
      const { ring } = newRing(size, slots);
      messages.forEach((one) => store(ring, tagged([one.tags, one.size])));
      const { oldest, newest } = ring.state();
      const all = messages.map((one, i) => `${i + 1} ${one.tags}`);
      const kept = oldest === 0n ? [] : all.slice(Number(oldest) - 1);
      const walk = new TagWalk(ring);
      assert.deepEqual(tagsUnder(walk, ring.state()), kept);
      assert.deepEqual(tagsOutside(walk, 0n, newest), kept);
      const [from, until] = [BigInt(Math.min(a, b)), BigInt(Math.max(a, b))];
      const some = kept.filter((one) => {
        const seq = BigInt(one.split(" ", 1)[0] ?? "");
        return from <= seq && seq <= until;
      });
      assert.deepEqual(tagsUnder(walk, ring.state(), from, until), some);
      assert.deepEqual(tagsOutside(walk, from, until), some);
      assert.deepEqual(tagsOutside(walk, from, until, true), some);
    }),
    { numRuns: 150 * SCALE },
  );
});

Deno.test("tag walk: overtaken while it reads, it never takes one message for another", () => {
  const inner = new MemoryStorage();
  createRing(inner, POOL, { size: 4096 + 16 * 8 + 20_000, indexCapacity: 8 });
  const writer = openToAppend(inner, POOL);
  let n = 0;
  const write = (): void => {
    n++;
    store(writer, tagged([[`key:${n}`], (n * 37) % 900]));
  };
  for (let i = 0; i < 60; i++) write();
  let reads = 0;
  let random = 1;
  const storage = hooked(inner, {
    onRead: () => {
      reads++;
      random = (Math.imul(random, 1103515245) + 12345) >>> 0;
      for (let i = (random >>> 16) % 40; i > 37 && n < 4000; i--) write();
    },
  });
  const reader = Ring.open(storage, POOL);
  const walk = new TagWalk(reader);
  let seen = 0;
  for (let round = 0; round < 60 * SCALE; round++) {
    const { newest } = writer.state();
    let last = 0n;
    inPlace(walk.visiting({ from: newest - 40n, until: newest }, () => {
      seen++;
      assert(walk.seq > last);
      last = walk.seq;
      assert.deepEqual(walk.view.tags(), [`key:${walk.seq}`]);
    }));
  }
  assert(seen > 50 && reads > 100, `${seen} messages in ${reads} reads`);
});

Deno.test("tag walk: invalid messages have no tags; damage is reported, not skipped", () => {
  const { storage, ring } = newRing(4000, 8);
  append(ring, payload(1, 200));
  store(ring, tagged([["key:a"]]));
  append(ring, payload(2, 10));
  const walk = new TagWalk(ring);
  assert.deepEqual(tagsOutside(walk, 0n, 3n), ["1 ", "2 key:a", "3 "]);
  const at = ring.indexOffset(2n);
  storage.open(POOL, { write: true }).writeAt(new Uint8Array(8), ring.layout.ringOffset + at);
  assert.throws(
    () => tagsOutside(walk, 0n, 3n),
    (error) => PlasmiteError.is(error, ErrorKind.Corrupt) && error.seq === 2n,
  );
  assert.throws(() => tagsUnder(walk, ring.state()), BrokenChain);
  assert.deepEqual(tagsOutside(walk, 3n, 3n), ["3 "]);
});
