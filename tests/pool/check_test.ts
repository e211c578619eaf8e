/**
 * The check reads ahead in large pieces. If it judged a frame at the edge of a piece differently, or
 * lost count of the index, `doctor` would report damage that is not there, or hide damage that is.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { checkRing } from "../../lib/pool/check.ts";
import { goodFrames, judgeFrame } from "../../lib/pool/frame_run.ts";
import { PayloadCheck, Stretch } from "../../lib/pool/frame_scan.ts";
import { SLOT_SIZE } from "../../lib/pool/layout.ts";
import { type Damage, damage, messagePool } from "../support/damage.ts";
import { MemoryStorage } from "../support/memory.ts";
import { POOL, SCALE } from "../support/rings.ts";
import { type Found, specCheck } from "../support/spec_checker.ts";

const fraction = fc.double({ min: 0, max: 1, noNaN: true });
const accident: fc.Arbitrary<Damage> = fc.record({
  kind: fc.constant("bit" as const),
  where: fc.constantFrom("ring" as const, "index" as const),
  at: fraction,
  bit: fc.nat(7),
});
/** Messages of any size, or all of one: then old frames stand right behind the newest. */
const turns = fc.oneof(
  fc.array(
    fc.record({ ours: fc.boolean(), size: fc.oneof(fc.nat(40), fc.nat(900)) }),
    { minLength: 1, maxLength: 40 },
  ),
  fc.record({ ours: fc.boolean(), size: fc.nat(400), count: fc.integer({ min: 1, max: 90 }) })
    .map(({ count, ...turn }) => Array.from({ length: count }, () => turn)),
);
/** A bit of a live frame: in its header, its payload or its marker. */
const flip = fc.record({ nth: fraction, part: fc.nat(2), at: fraction, bit: fc.nat(7) });

interface Pool {
  readonly storage: MemoryStorage;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly ringAt: number;
  readonly slots: number;
  /** The live messages before the accidents. */
  readonly live: readonly Found[];
}

const pool: fc.Arbitrary<Pool> = fc.record({
  ringSize: fc.constantFrom(4096, 8192, 24576),
  slots: fc.constantFrom(0, 1, 7, 64),
  turns,
  accidents: fc.array(accident, { maxLength: 1 }),
  flips: fc.array(flip, { maxLength: 2 }),
}).map(({ ringSize, slots, turns, accidents, flips }) => {
  let { bytes } = messagePool(ringSize, slots, turns);
  const ringAt = 4096 + SLOT_SIZE * slots;
  const live = specCheck(bytes, false).messages;
  for (const one of accidents) bytes = damage(bytes, one);
  for (const { nth, part, at, bit } of flips) {
    const frame = live[Math.floor(nth * (live.length - 1))];
    if (frame === undefined) continue;
    const length = frame.payload.length;
    const [from, size] = part === 0 ? [0, 44] : part === 1 ? [64, length] : [64 + length, 8];
    const place = ringAt + frame.at + from + Math.floor(at * (size - 1));
    bytes[place] = (bytes[place] ?? 0) ^ (1 << bit);
  }
  const storage = new MemoryStorage();
  storage.put(POOL, bytes);
  return { storage, bytes, ringAt, slots, live };
});

Deno.test("check: a run of frames ends where the check of single frames finds the first problem", () => {
  fc.assert(
    fc.property(pool, fc.constantFrom(64, 256, 1000, 1 << 18), (made, window) => {
      const file = made.storage.open(POOL, { write: false });
      const size = made.bytes.length - made.ringAt;
      const payloads = new PayloadCheck(true);
      const slow = new Stretch(file, made.ringAt, size);
      for (const start of made.live) {
        const fast = new Stretch(file, made.ringAt, size, () => {}, window);
        const seen: [number, number][] = [];
        const limits = { count: made.live.length, bytes: Infinity };
        const run = goodFrames(fast, payloads, start.at, start.seq, limits, (lo, hi, at) => {
          assert.equal(hi, 0);
          seen.push([lo, at]);
        });
        const expected: [number, number][] = [];
        let at = start.at;
        for (let seq = start.seq; expected.length < limits.count; seq++) {
          const { problem, end } = judgeFrame(slow, payloads, at, seq, false);
          if (problem !== null) break;
          expected.push([Number(seq), at]);
          at = end;
        }
        assert.deepEqual(seen, expected);
        assert.deepEqual(run, { count: expected.length, end: at });
      }
      file.close();
    }),
    { numRuns: Math.ceil(200 * SCALE) },
  );
});

Deno.test("check: a run ends after the bytes and the frames that it may have", () => {
  const { bytes } = messagePool(
    8192,
    0,
    Array.from({ length: 5 }, () => ({ ours: true, size: 9 })),
  );
  const storage = new MemoryStorage();
  storage.put(POOL, bytes);
  const file = storage.open(POOL, { write: false });
  const ring = new Stretch(file, 4096, 8192);
  const run = (count: number, most: number) =>
    goodFrames(ring, new PayloadCheck(true), 0, 1n, { count, bytes: most }, () => {});
  const first = run(9, 0);
  assert.equal(first.count, 1);
  assert.equal(run(3, Infinity).count, 3);
  assert.equal(run(9, first.end - 1).count, 1);
  assert.equal(run(9, first.end).count, 2);
});

Deno.test("check: a file that was cut short while it was checked ends a run", () => {
  const { bytes } = messagePool(
    8192,
    0,
    Array.from({ length: 5 }, () => ({ ours: true, size: 9 })),
  );
  const live = specCheck(bytes, false).messages;
  const last = live.at(-1);
  assert(last !== undefined);
  for (const left of [0, 8, 63, 64, 64 + last.payload.length, 64 + last.payload.length + 7]) {
    const storage = new MemoryStorage();
    storage.put(POOL, bytes.slice(0, 4096 + last.at + left));
    const ring = new Stretch(storage.open(POOL, { write: false }), 4096, 8192);
    const payloads = new PayloadCheck(false);
    const limits = { count: 9, bytes: Infinity };
    assert.equal(goodFrames(ring, payloads, 0, 1n, limits, () => {}).count, 4);
    const { problem } = judgeFrame(ring, payloads, last.at, last.seq, false);
    assert.equal(problem, left < 64 ? "frame header too small" : "file is truncated");
  }
});

Deno.test("check: wrong index slots are counted as by hand", () => {
  let wrong = 0;
  fc.assert(
    fc.property(pool, fc.array(fc.tuple(fc.nat(63), fc.nat(70), fc.nat(8191))), (made, edits) => {
      if (made.slots === 0) return;
      const bytes = made.bytes.slice();
      const view = new DataView(bytes.buffer);
      for (const [slot, seq, at] of edits) {
        view.setBigUint64(4096 + SLOT_SIZE * (slot % made.slots), BigInt(seq), true);
        view.setBigUint64(4096 + SLOT_SIZE * (slot % made.slots) + 8, BigInt(at), true);
      }
      made.storage.put(POOL, bytes);
      const report = checkRing(made.storage, POOL, "pool", { messages: true });
      const newest = view.getBigUint64(96, true);
      const damaged = report.issues.length > 0;
      let expected = 0;
      for (let i = 0; i < made.slots; i++) {
        const seq = view.getBigUint64(4096 + SLOT_SIZE * i, true);
        const at = view.getBigUint64(4096 + SLOT_SIZE * i + 8, true);
        if (seq === 0n) continue;
        const frame = made.live.find((one) => one.seq === seq);
        const misplaced = seq % BigInt(made.slots) !== BigInt(i);
        const elsewhere = frame === undefined
          ? seq > newest + BigInt(1 << 24)
          : BigInt(frame.at) !== at;
        if (misplaced || elsewhere) expected++;
      }
      // In a damaged ring it is not known where some messages are: their slots are not wrong.
      if (damaged) assert(report.indexWrong <= expected);
      else assert.equal(report.indexWrong, expected);
      wrong += report.indexWrong;
    }),
    { numRuns: Math.ceil(200 * SCALE) },
  );
  assert(wrong > 50, `${wrong} slots were wrong`);
});

Deno.test("check: a quick check finds damage in a small pool, and never any that is not there", () => {
  let found = 0;
  fc.assert(
    fc.property(pool, (made) => {
      const full = checkRing(made.storage, POOL, "pool", { messages: true });
      const quick = checkRing(made.storage, POOL, "pool", { messages: true, quick: true });
      assert.equal(full.sampled, null);
      const known = full.issues.map(({ message, offset }) => `${message} ${offset}`);
      for (const { message, offset } of quick.issues) {
        assert(known.includes(`${message} ${offset}`), `${message} ${offset}`);
      }
      if (full.status === "ok") assert.equal(quick.sampled, Number(full.messageCount));
      else if (full.messageCount > 0n) {
        found++;
        assert.equal(quick.status, "corrupt"); // So small a pool is checked as a whole.
      }
    }),
    { numRuns: Math.ceil(200 * SCALE) },
  );
  assert(found > 20, `${found} pools were damaged`);
});
