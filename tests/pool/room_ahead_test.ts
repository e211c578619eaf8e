/**
 * Room that an append makes for the appends after it (docs/spec/format.md 5.2): without it, a full
 * ring takes a second publication with every message; with too much of it, or in the wrong order,
 * messages would be lost that should have been kept.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { Cursor } from "../../lib/pool/cursor.ts";
import { SLOT_SIZE, STATE_AT } from "../../lib/pool/layout.ts";
import { spareOf } from "../../lib/pool/plan.ts";
import { openToAppend } from "../../lib/pool/mending.ts";
import { Ring } from "../../lib/pool/ring.ts";
import type { WritableRing } from "../../lib/pool/writable_ring.ts";
import { Killed, MemoryStorage } from "../support/memory.ts";
import { refAppendAll } from "../support/ref_writer.ts";
import {
  append,
  assertHealthy,
  assertMessages,
  batchOf,
  drain,
  mapped,
  newRing,
  payload,
  POOL,
  readAll,
  SCALE,
} from "../support/rings.ts";
import { specCheck } from "../support/spec_checker.ts";

/** The smallest ring in which room is made ahead. */
const RING = 1 << 19;
/** How much: 1/256 of the ring. */
const SPARE = RING / 256;

const lengthOf = (size: number): number => Math.ceil((72 + size) / 8) * 8;

/** Fills the ring until the first messages are gone. */
function fill(ring: WritableRing, size: number): void {
  const rounds = Math.ceil(RING / lengthOf(size));
  for (let i = 0; i < rounds; i += 100) {
    append(ring, ...Array.from({ length: 100 }, (_, j) => payload(i + j + 1, size)));
  }
}

function full(size: number): { storage: MemoryStorage; ring: WritableRing } {
  const made = newRing(RING, 64);
  fill(made.ring, size);
  assert(made.ring.state().oldest > 1n);
  return made;
}

/** The bytes of the messages that are retained. */
function retained(storage: MemoryStorage): number {
  return specCheck(storage.bytes(POOL)).messages.reduce((sum, { length }) => sum + length, 0);
}

Deno.test("a ring keeps everything until a message does not fit any more", () => {
  const { storage, ring } = newRing(RING, 64);
  const sure = Math.floor(RING / lengthOf(500)) - 2;
  for (let i = 0; i < sure; i++) append(ring, payload(i, 500));
  let before = 0;
  while (ring.state().oldest <= 1n) {
    before = retained(storage);
    append(ring, payload(0, 500));
  }
  assert(RING - before < lengthOf(500) + 64, `${RING - before} bytes were free`);
  ring.close();
});

Deno.test("a full ring publishes hardly more than once an append, and keeps all but a hundredth of its bytes", () => {
  const { storage, ring } = full(500);
  storage.log.length = 0;
  let published = 0;
  for (let i = 0; i < 400; i++) {
    append(ring, payload(i, 500));
    if (i % 9 > 0) continue;
    assert(
      retained(storage) > RING - 2 * SPARE - 3 * lengthOf(500) - 64,
      "messages are lost before their room is needed",
    );
  }
  for (const { at } of storage.log) if (at === STATE_AT) published++;
  assert(published < 540, `${published} publications for 400 messages`);
  assertHealthy(storage);
  ring.close();
});

Deno.test("a small ring, and a message that is large in its ring, get no room ahead", () => {
  const small = newRing(RING - 8, 0);
  for (let i = 0; i < 2000; i++) {
    append(small.ring, payload(i, 500));
    if (i < 1990) continue;
    assert(retained(small.storage) > RING - 8 - 2 * lengthOf(500) - 128, "every message counts");
  }
  small.ring.close();
  const large = newRing(RING, 0);
  const size = SPARE + 1;
  for (let i = 0; i < 500; i++) {
    append(large.ring, payload(i, size));
    if (i % 25 === 24 && i > 300) assert(retained(large.storage) > RING - 2 * lengthOf(size) - 128);
  }
  large.ring.close();
});

Deno.test("how much room is made: a small part, never many messages, none in small rings", () => {
  assert.deepEqual([RING - 8, RING, 1 << 24, 1 << 30].map(spareOf), [0, SPARE, 65_536, 65_536]);
});

Deno.test("killed between any two writes, or inside one, nothing but the room is gone", () => {
  // Appends until room has been made twice, once of them at the end of the ring.
  const { storage: start, ring: filled } = full(500);
  filled.close();
  let bytes = start.bytes(POOL);
  let madeRoom = 0;
  for (let i = 0; i < 600 && madeRoom < 3; i++) {
    const one = payload(5000 + i, 500);
    const dry = new MemoryStorage();
    dry.put(POOL, bytes);
    const trial = openToAppend(dry, POOL);
    const before = trial.state();
    append(trial, one);
    const after = trial.state();
    trial.close();
    const writes = dry.log;
    const drops = after.oldest - before.oldest;
    // Those that make room, and what comes right behind them.
    if (drops > 1n || i % 150 === 0) {
      if (drops > 1n) madeRoom++;
      for (const [n, write] of writes.entries()) {
        // Half a slot may name another message; whoever asks for that one sees what is there.
        const whole = write.at === STATE_AT || write.length === SLOT_SIZE;
        for (const torn of whole ? [0] : [0, 1, write.length - 1]) {
          const place = `message ${i}, write ${n}, byte ${torn}`;
          const storage = new MemoryStorage();
          storage.put(POOL, bytes.slice());
          const ring = openToAppend(storage, POOL);
          const kept = readAll(ring);
          storage.plan({ killAfter: n, torn });
          assert.throws(() => ring.tryAppend(batchOf(one)), Killed);
          const left = storage.afterKill();
          assertHealthy(left);
          const reader = Ring.open(left, POOL);
          assert.equal(reader.state().newest, before.newest, place);
          assertMessages(readAll(reader), kept.slice(-readAll(reader).length), place);
          assert(
            kept.length - readAll(reader).length <= 2,
            `${place}: what E drops is still there`,
          );
          reader.close();
          const again = openToAppend(left, POOL);
          append(again, one);
          assertMessages(readAll(again).slice(-1), [{ seq: before.newest + 1n, payload: one }]);
          again.close();
          assertHealthy(left);
        }
      }
    }
    bytes = dry.bytes(POOL);
  }
  assert.equal(madeRoom, 3);
});

Deno.test("a foreign writer and other sizes between two appends: both checkers agree each time", () => {
  const size = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: SPARE }) },
    { weight: 1, arbitrary: fc.integer({ min: SPARE, max: RING / 4 }) },
    { weight: 1, arbitrary: fc.integer({ min: RING - 200, max: RING - 72 }) },
  );
  const turn = fc.record({
    who: fc.constantFrom("ours", "other", "reference"),
    sizes: fc.array(size, { minLength: 1, maxLength: 3 }),
  });
  fc.assert(
    fc.property(fc.array(turn, { minLength: 1, maxLength: 40 }), fc.nat(7), (turns, odd) => {
      const { storage, ring } = newRing(RING + odd, 8);
      const other = openToAppend(storage, POOL);
      const cursor = new Cursor(ring, 0n);
      const sent: Uint8Array[] = [];
      const send = (who: WritableRing | null, ...payloads: Uint8Array[]): void => {
        for (const bytes of payloads) sent.push(bytes);
        if (who !== null) append(who, ...payloads);
        else for (const bytes of payloads) refAppendAll(mapped(storage), bytes, 1n);
      };
      let made = 0;
      for (let i = 0; i < 12; i++) {
        send(ring, ...Array.from({ length: 80 }, () => payload(++made, 500 + i)));
      }
      let safe = true;
      for (const { who, sizes } of turns) {
        const payloads = sizes.map((bytes) => payload(++made, Math.min(bytes, RING - 80)));
        send(who === "ours" ? ring : who === "other" ? other : null, ...payloads);
        if (who === "reference") safe = false; // It may leave padding and a tail on a marker.
        assertHealthy(storage, safe);
        const { messages, gaps } = drain(cursor);
        const lost = gaps.reduce((sum, { first, last }) => sum + Number(last - first) + 1, 0);
        for (const { seq, payload } of messages) {
          assert.deepEqual(payload, sent[Number(seq) - 1], `message ${seq}`);
        }
        assert(lost === 0 || messages.length > 0 || ring.state().oldest === 0n);
        assert.equal(cursor.expected, BigInt(sent.length + 1), "the reader is at the end");
      }
      ring.close();
      other.close();
    }),
    { numRuns: Math.ceil(25 * SCALE) },
  );
});

Deno.test("damage behind the oldest message does not stop an append that need not drop it", () => {
  const { storage, ring } = full(500);
  const { oldest } = ring.state();
  // The next that would go, once room is made again.
  const places = new Map(specCheck(storage.bytes(POOL)).messages.map(({ seq, at }) => [seq, at]));
  const at = places.get(oldest + 1n);
  assert(at !== undefined);
  const map = mapped(storage);
  map.write(new Uint8Array(4), storage.bytes(POOL).length - RING + at);
  let free = 0;
  for (let i = 0; i < 100 && ring.state().oldest === oldest; i++) {
    const { head, tail, newest } = ring.state();
    free = (tail - head + RING) % RING;
    assert.equal(append(ring, payload(1, 500)), newest + 1n);
  }
  // The last one had to drop the damaged message, which repairs the chain; all behind it is there.
  assert(free <= lengthOf(500), `${free} bytes were free, and the damaged message was dropped`);
  assert.equal(ring.state().oldest, oldest + 2n);
  assertHealthy(storage);
  ring.close();
});

Deno.test("room is made up to damage, and not beyond", () => {
  const { storage, ring } = full(500);
  // Makes room once, so that it begins with the next message that does not fit.
  const { oldest } = ring.state();
  while (ring.state().oldest === oldest) append(ring, payload(1, 500));
  const first = ring.state().oldest;
  const places = new Map(specCheck(storage.bytes(POOL)).messages.map(({ seq, at }) => [seq, at]));
  const at = places.get(first + 2n);
  assert(at !== undefined);
  mapped(storage).write(new Uint8Array(4), storage.bytes(POOL).length - RING + at);
  while (ring.state().oldest === first) append(ring, payload(2, 500));
  // The one that had to go is gone; its neighbour leads to the damage, and stays.
  assert.equal(ring.state().oldest, first + 1n);
  ring.close();
});
