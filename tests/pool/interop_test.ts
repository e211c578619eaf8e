/**
 * Our writer beside the reference's on one file, and what a killed writer of the reference leaves
 * (docs/spec/format.md 5.1): the shapes D1, D2, D4, D5 and D7.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { openToAppend } from "../../lib/pool/mending.ts";
import { checkRing } from "../../lib/pool/check.ts";
import { Cursor } from "../../lib/pool/cursor.ts";
import type { MemoryStorage } from "../support/memory.ts";
import {
  append,
  assertHealthy,
  assertMessages,
  drain,
  get,
  mapped,
  newRing,
  payload,
  POOL,
  type Read,
  readAll,
  same,
  SCALE,
} from "../support/rings.ts";
import { type Phase, refAppend, refAppendAll } from "../support/ref_writer.ts";
import { specCheck } from "../support/spec_checker.ts";

// ---- both kinds of writer on one file --------------------------------------------------------------

/** Runs the reference's append until `stop` steps are done; null when it was finished before. */
function refUntil(
  storage: MemoryStorage,
  bytes: Uint8Array,
  stop: number,
): Phase | null {
  const steps = refAppend(mapped(storage), bytes, 1n, 64);
  let phase: Phase | null = null;
  for (let i = 0; i <= stop; i++) {
    const step = steps.next();
    if (step.done === true) return null;
    phase = step.value;
  }
  return phase;
}

const sizes = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 120 }) },
  { weight: 3, arbitrary: fc.integer({ min: 100, max: 600 }) },
  { weight: 1, arbitrary: fc.integer({ min: 600, max: 1000 }) },
);

const turn = fc.record({ ours: fc.boolean(), size: sizes, reader: fc.nat(4) });

Deno.test("our writer and the reference's take turns on one file; everything is readable", () => {
  const met = { padding: 0, marker: 0, full: 0, unknownNext: 0 };
  fc.assert(
    fc.property(
      fc.integer({ min: 1080, max: 2400 }),
      fc.constantFrom(0, 3, 16),
      fc.array(turn, { minLength: 5, maxLength: 40 }),
      (C, slots, turns) => {
        const { storage, ring } = newRing(C, slots);
        const known = new Map<bigint, Uint8Array>();
        const cursors = [new Cursor(ring, 1n), new Cursor(ring, 1n), new Cursor(ring, 1n)];
        const position = [1n, 1n, 1n];
        for (const [i, { ours, size, reader }] of turns.entries()) {
          const bytes = payload(i, size);
          const before = ring.state();
          const seq = ours ? append(ring, bytes) : refAppendAll(mapped(storage), bytes, 1n);
          assert.equal(seq, BigInt(i + 1));
          known.set(seq, bytes);
          const verdict = specCheck(storage.bytes(POOL), false);
          assert.deepEqual(verdict.problems, []);
          const { state, messages } = verdict;
          if (state.head === state.tail) met.full++;
          if (C - state.tail < 64) met.padding++;
          else if (messages[0]?.at === 0 && state.tail !== 0) met.marker++;
          if (state.tailNext === 0 && (messages[0]?.length ?? 0) + state.tail !== C) {
            met.unknownNext++;
          }
          if (ours && state.oldest !== before.oldest) {
            assert.equal(messages[0]?.at, state.tail, "we leave the tail on a frame");
          }
          const all = messages.map((m) => ({ seq: m.seq, payload: m.payload }));
          for (const m of all) assert(same(m.payload, known.get(m.seq) ?? new Uint8Array(0)));
          assertMessages(readAll(ring), all);
          const some = all[reader % all.length];
          if (some !== undefined) assert.deepEqual(get(ring, some.seq), some.payload);
          const cursor = cursors[reader];
          const from = position[reader];
          if (cursor === undefined || from === undefined) continue;
          const found = drain(cursor);
          const first = from < state.oldest ? state.oldest : from;
          assert.deepEqual(
            found.gaps,
            from < state.oldest ? [{ first: from, last: state.oldest - 1n }] : [],
          );
          assertMessages(found.messages, all.filter((m) => m.seq >= first));
          position[reader] = state.newest + 1n;
        }
        // One more of ours that drops something puts everything in order.
        for (let i = 0; i < 12; i++) append(ring, payload(i, 300));
        assert.deepEqual(specCheck(storage.bytes(POOL), false).problems, []);
      },
    ),
    { numRuns: 700 * SCALE },
  );
  for (const [what, count] of Object.entries(met)) assert(count > 0, `the shape was met: ${what}`);
});

Deno.test("D1, D2: a message after padding is read, and the tail leaves the padding", () => {
  // 1040 - 504 - 480 = 56 bytes of padding, which only the reference leaves.
  const { storage, ring } = newRing(1040, 0);
  const map = mapped(storage);
  const [a, b, c, d] = [
    payload(1, 428),
    payload(2, 408),
    payload(3, 150),
    payload(4, 200),
  ] as const;
  refAppendAll(map, a, 1n);
  refAppendAll(map, b, 1n);
  refAppendAll(map, c, 1n);
  assert.equal(specCheck(storage.bytes(POOL)).problems.length > 0, true, "avoidable padding");
  assertMessages(readAll(ring), [{ seq: 2n, payload: b }, { seq: 3n, payload: c }]);
  refAppendAll(map, d, 1n);
  const file = storage.bytes(POOL);
  const view = new DataView(file.buffer);
  // The reference may leave the tail inside the padding itself: the same pool, one step on.
  if (view.getBigUint64(88, true) === 2n) {
    view.setBigUint64(72, 984n, true);
    view.setBigUint64(80, 0n, true);
    view.setBigUint64(88, 3n, true);
  }
  storage.put(POOL, file);
  const reopened = openToAppend(storage, POOL);
  const rest = [{ seq: 3n, payload: c }, { seq: 4n, payload: d }];
  assertMessages(readAll(reopened), rest);
  assert.deepEqual(get(reopened, 4n), d);
  append(reopened, payload(5, 20));
  assertHealthy(storage);
  assertMessages(readAll(reopened), [...rest, { seq: 5n, payload: payload(5, 20) }]);
});

Deno.test("D4: a cursor on an exactly full ring begins at its tail, and live at the end", () => {
  const { storage, ring } = newRing(1088, 4);
  const map = mapped(storage);
  refAppendAll(map, payload(1, 428), 1n);
  refAppendAll(map, payload(2, 408), 1n);
  refAppendAll(map, payload(3, 428), 1n);
  const { state } = specCheck(storage.bytes(POOL), false);
  assert.equal(state.head, state.tail);
  assert.deepEqual(readAll(ring).map((m) => m.seq), [2n, 3n]);
  const live = new Cursor(ring, state.newest + 1n);
  assert.equal(live.fill(), 0);
  append(ring, payload(4, 30));
  assert.deepEqual(drain(live).messages.map((m) => m.seq), [4n]);
  assertHealthy(storage);
});

Deno.test("tail_next 0 is looked up, not believed", () => {
  // The first two need no room, the others drop messages.
  for (const size of [20, 100, 400, 700]) {
    const { storage, ring } = newRing(1200, 0);
    for (let i = 1; i <= 3; i++) append(ring, payload(i, 200));
    const file = storage.bytes(POOL);
    new DataView(file.buffer).setBigUint64(80, 0n, true);
    storage.put(POOL, file);
    const reopened = openToAppend(storage, POOL);
    append(reopened, payload(4, size));
    assertHealthy(storage);
  }
});

Deno.test("D5: our append mends what a killed writer of the reference left", () => {
  const shapes = { overwritten: 0, harmless: 0 };
  fc.assert(
    fc.property(
      fc.integer({ min: 1080, max: 3000 }),
      fc.constantFrom(0, 3, 16),
      fc.array(turn, { minLength: 4, maxLength: 25 }),
      fc.integer({ min: 200, max: 1000 }),
      fc.nat(25),
      fc.array(sizes, { minLength: 1, maxLength: 6 }),
      (C, slots, turns, last, stop, later) => {
        const { storage, ring } = newRing(C, slots);
        const known = new Map<bigint, Uint8Array>();
        for (const [i, { ours, size }] of turns.entries()) {
          const bytes = payload(i, size);
          known.set(ours ? append(ring, bytes) : refAppendAll(mapped(storage), bytes, 1n), bytes);
        }
        const before = specCheck(storage.bytes(POOL), false);
        const phase = refUntil(storage, payload(99, last), stop);
        // Its five stores of the state block take nanoseconds; stopped there nothing is certain.
        fc.pre(phase !== null && phase !== "publish");
        const after = specCheck(storage.bytes(POOL), false);
        const broken = after.problems.length > 0;
        shapes[broken ? "overwritten" : "harmless"]++;
        const left = storage.afterKill();
        const mended = openToAppend(left, POOL);
        // Before anyone repairs: whatever is read is right, damage is reported, nothing hangs.
        try {
          for (const m of readAll(mended)) {
            assert(same(m.payload, known.get(m.seq) ?? payload(0, 1)));
          }
        } catch (error) {
          assert(broken && PlasmiteError.is(error, ErrorKind.Corrupt), String(error));
        }
        const added: Read[] = [];
        for (const [i, size] of later.entries()) {
          const bytes = payload(200 + i, size);
          const seq = append(mended, bytes);
          assert.equal(seq, before.state.newest + 1n + BigInt(i), "numbers go on");
          added.push({ seq, payload: bytes });
        }
        // Once the ring has gone round, the damage is gone and nothing of ours with it.
        const readable = (): void => {
          const found = readAll(mended);
          assertMessages(found, added.slice(-found.length));
        };
        while (mended.state().oldest <= before.state.newest) {
          const bytes = payload(300 + added.length, 150);
          added.push({ seq: append(mended, bytes), payload: bytes });
        }
        assert.deepEqual(specCheck(left.bytes(POOL), false).problems, []);
        readable();
      },
    ),
    { numRuns: 400 * SCALE },
  );
  assert(shapes.overwritten > 20, "frames were overwritten");
  assert(shapes.harmless > 20);
});

Deno.test("D5: several dropped frames overwritten; the repair keeps what is whole", () => {
  for (const [slots, unmarked] of [[0, false], [8, false], [0, true]] as const) {
    const { storage, ring } = newRing(1600, slots);
    for (let i = 1; i <= 7; i++) append(ring, payload(i, 128)); // 200 bytes each
    // A frame of 700 bytes wraps: it needs the room of the first four.
    const phase = refUntil(storage, payload(50, 628), 11);
    assert.equal(phase, "payload");
    const left = storage.afterKill();
    if (unmarked) {
      // Message 5 at ring offset 800 lost its commit marker as well: a header alone is no message.
      const file = left.bytes(POOL);
      file.fill(0, 4096 + 800 + 64 + 128, 4096 + 800 + 64 + 136);
      left.put(POOL, file);
    }
    const mended = openToAppend(left, POOL);
    assert.throws(() => readAll(mended), (error) => PlasmiteError.is(error, ErrorKind.Corrupt));
    for (const seq of [5n, 6n, 7n]) {
      if (slots > 0) assert.deepEqual(get(mended, seq), payload(Number(seq), 128));
    }
    const report = checkRing(left, POOL, "pool");
    assert.equal(report.status, "corrupt");
    assert.equal(append(mended, payload(8, 300)), 8n);
    assertHealthy(left);
    const found = readAll(mended);
    assert.deepEqual(found.map((m) => m.seq), unmarked ? [6n, 7n, 8n] : [5n, 6n, 7n, 8n]);
    for (const m of found) {
      assert.deepEqual(m.payload, payload(Number(m.seq), m.seq === 8n ? 300 : 128));
    }
  }
});

Deno.test("a writer of the reference that died inside its publication: right messages or Corrupt", () => {
  const seen = { read: 0, corrupt: 0 };
  fc.assert(
    fc.property(
      fc.integer({ min: 1080, max: 2400 }),
      fc.constantFrom(0, 16),
      fc.array(turn, { minLength: 3, maxLength: 25 }),
      fc.integer({ min: 0, max: 1000 }),
      fc.integer({ min: 1, max: 4 }),
      (C, slots, turns, last, stores) => {
        const { storage, ring } = newRing(C, slots);
        const known = new Map<bigint, Uint8Array>();
        for (const [i, { ours, size }] of turns.entries()) {
          const bytes = payload(i, size);
          known.set(ours ? append(ring, bytes) : refAppendAll(mapped(storage), bytes, 1n), bytes);
        }
        known.set(BigInt(known.size + 1), payload(99, last));
        const steps = refAppend(mapped(storage), payload(99, last), 1n);
        for (let published = 0; published < stores;) {
          if (steps.next().value === "publish") published++;
        }
        const left = storage.afterKill();
        try {
          const reader = openToAppend(left, POOL);
          for (const m of readAll(reader)) {
            assert(same(m.payload, known.get(m.seq) ?? new Uint8Array(0)));
          }
          seen.read++;
        } catch (error) {
          assert(PlasmiteError.is(error, ErrorKind.Corrupt), String(error));
          seen.corrupt++;
        }
      },
    ),
    { numRuns: 200 * SCALE },
  );
  assert(seen.read > 10 && seen.corrupt > 10, JSON.stringify(seen));
});
