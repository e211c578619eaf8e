/**
 * Reading without a lock while the reference stores (docs/spec/format.md 5.3): every store of its
 * writer can fall between any two reads of our cursor, and into the middle of one.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { crc32c } from "../../lib/pool/crc32c.ts";
import { BUSY, Cursor } from "../../lib/pool/cursor.ts";
import { FIELD } from "../../lib/pool/frame.ts";
import { Ring } from "../../lib/pool/ring.ts";
import {
  append,
  assertHealthy,
  assertMessages,
  batchOf,
  current,
  drain,
  hooked,
  mapped,
  newRing,
  payload,
  POOL,
  same,
  SCALE,
} from "../support/rings.ts";
import { type Phase, refAppend, refAppendAll } from "../support/ref_writer.ts";
import { specCheck } from "../support/spec_checker.ts";

// ---- reading while the reference overwrites ----------------------------------------------------------

Deno.test("a cursor that copies while the reference stores gives whole messages in order", () => {
  let delivered = 0;
  let lost = 0;
  let waited = 0;
  fc.assert(
    fc.property(
      fc.integer({ min: 1080, max: 4000 }),
      fc.constantFrom(0, 5, 64),
      fc.integer({ min: 0, max: 0x7fff_ffff }),
      fc.constantFrom(16, 64, 400),
      fc.boolean(),
      // Without a look at checksums, what was copied must not be torn either: a filter judges it.
      fc.boolean(),
      (C, slots, seed, piece, mixed, later) => {
        let random = seed;
        const next = (n: number): number => {
          random = (Math.imul(random, 1103515245) + 12345) & 0x7fff_ffff;
          return (random >> 8) % n;
        };
        const { storage, ring: writer } = newRing(C, slots);
        const map = mapped(storage);
        const known: Uint8Array[] = [];
        let appending: Generator<Phase, bigint> | null = null;
        const advance = (): void => {
          if (appending === null) {
            if (known.length >= 60) return;
            const bytes = payload(seed + known.length, next(900));
            if (mixed && next(3) === 0) {
              if (writer.tryAppend(batchOf(bytes)) !== null) known.push(bytes);
              return;
            }
            if (!map.file.tryLock(true)) return;
            known.push(bytes);
            appending = refAppend(map, bytes, 1n, piece);
          }
          if (appending.next().done === true) {
            map.file.unlock();
            appending = null;
          }
        };
        const pace = 1 + next(12);
        let reading = false;
        const storageSeen = hooked(storage, {
          onRead: () => {
            if (reading) { for (let i = next(pace); i > 0; i--) advance(); }
          },
        });
        const ring = Ring.open(storageSeen, POOL);
        const cursor = new Cursor(ring, 1n);
        cursor.checksLater = later;
        let wanted = 1n;
        reading = true;
        for (let rounds = 0; rounds < 8000; rounds++) {
          const ready = cursor.fill();
          if (cursor.gap !== null) {
            assert.equal(cursor.gap.first, wanted, "the gap begins where we were");
            assert(cursor.gap.last >= cursor.gap.first);
            wanted = cursor.gap.last + 1n;
            lost++;
            cursor.gap = null;
          }
          if (ready === BUSY) waited++;
          for (let i = 0; i < ready; i++) {
            assert(cursor.next());
            const message = current(cursor);
            assert.equal(message.seq, wanted);
            const expected = known[Number(message.seq) - 1];
            assert(expected !== undefined && same(message.payload, expected), "not torn");
            wanted++;
            delivered++;
          }
          if (ready <= 0) advance();
          if (wanted > 60n) break;
        }
        assert.equal(wanted, 61n, "it comes to the end");
        ring.close();
      },
    ),
    { numRuns: 300 * SCALE },
  );
  assert(delivered > 1000);
  assert(lost > 0, "it was overtaken");
  assert(waited > 0, "the lock was needed and taken");
});

Deno.test("where stores may be reordered, frames without checksums are read under the lock", async () => {
  // Another processor cannot be had here; its name is enough for the cursor to be careful.
  const script = new URL("../support/other_processor.ts", import.meta.url);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-lock", "-A", script.href],
    stdout: "piped",
    stderr: "piped",
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  assert.deepEqual(JSON.parse(new TextDecoder().decode(stdout)), {
    seqs: [1, 2, 3],
    locked: true,
    busy: -1,
  });
});

for (let stores = 1; stores <= 8; stores++) {
  const fields = stores > 4 ? stores - 4 : stores;
  const later = stores > 4;
  const what = later ? "nothing looks at checksums, and " : "";
  Deno.test(`no torn copy when ${what}the reference sleeps after ${fields} of its 5 state fields`, () => {
    const { storage } = newRing(1200);
    const map = mapped(storage);
    for (let i = 1; i <= 3; i++) refAppendAll(map, payload(i, 400), 1n);
    if (later) {
      for (const { seq, at } of specCheck(storage.bytes(POOL), false).messages) {
        const sum = new DataView(new ArrayBuffer(4));
        const bytes = payload(Number(seq), 400);
        sum.setUint32(0, crc32c(bytes, new DataView(bytes.buffer), 0, 400), true);
        map.write(new Uint8Array(sum.buffer), 4096 + at + FIELD.crc);
      }
    }
    const { state } = specCheck(storage.bytes(POOL), false);
    assert.deepEqual([state.head, state.tail, state.oldest], [472, 472, 2n], "exactly full");
    // Message 4 goes over message 2, while that is being copied.
    let appending: Generator<Phase, bigint> | null = null;
    const ring = Ring.open(
      hooked(storage, {
        onRead: (at) => {
          if (appending !== null || at <= 4096 + 472) return;
          assert(map.file.tryLock(true));
          appending = refAppend(map, payload(4, 400), 1n);
          for (let published = 0; published < fields;) {
            if (appending.next().value === "publish") published++;
          }
        },
      }),
      POOL,
    );
    const cursor = new Cursor(ring, 2n);
    cursor.checksLater = later;
    const ready = cursor.fill();
    assert(appending !== null, "it was met while copying");
    if (ready !== BUSY) {
      // It may have gone on to 3 and 4 only when it had seen that 2 was gone.
      assert(cursor.next());
      assert.equal(cursor.seq, 3n);
      assert.deepEqual(cursor.gap, { first: 2n, last: 2n });
    }
    [...(appending as Generator<Phase, bigint>)];
    map.file.unlock();
    cursor.gap = null;
    const rest = ready === BUSY ? [3n, 4n] : [4n];
    if (ready !== BUSY) { while (cursor.next()); }
    const { messages } = drain(cursor);
    assert.deepEqual(messages.map((m) => m.seq), rest);
    for (const m of messages) assert.deepEqual(m.payload, payload(Number(m.seq), 400));
  });
}

Deno.test("no torn copy when the reference writes after a wrap, far from the tail", () => {
  const { storage } = newRing(1200, 8);
  const map = mapped(storage);
  [400, 400, 128, 128, 128, 400].forEach((size, i) => refAppendAll(map, payload(i + 1, size), 1n));
  const { state, messages } = specCheck(storage.bytes(POOL), false);
  assert.deepEqual(messages.map((m) => [m.seq, m.at]), [[3n, 944], [4n, 0], [5n, 200], [6n, 400]]);
  assert.equal(state.tail, 944);
  // Message 7 drops all, and its 672 bytes go over 4, 5 and the first half of 6.
  let appending: Generator<Phase, bigint> | null = null;
  const ring = Ring.open(
    hooked(storage, {
      split: () => 480, // Behind the header of message 6.
      onRead: (at) => {
        if (appending !== null || at !== 4096 + 16 * 8 + 480) return;
        assert(map.file.tryLock(true));
        appending = refAppend(map, payload(7, 600), 1n);
        while (appending.next().value !== "commit");
      },
    }),
    POOL,
  );
  const cursor = new Cursor(ring, 4n);
  assert.equal(cursor.fill(), BUSY, "only the lock can tell");
  assert(appending !== null, "it was met while copying");
  [...(appending as Generator<Phase, bigint>)];
  map.file.unlock();
  const { messages: found, gaps } = drain(cursor);
  assert.deepEqual(gaps, [{ first: 4n, last: 6n }]);
  assertMessages(found, [{ seq: 7n, payload: payload(7, 600) }]);
});

Deno.test("a half-stored state block: Busy while its writer holds the lock, damage without one", () => {
  const { storage, ring } = newRing(2000, 4);
  append(ring, payload(1, 50), payload(2, 50));
  const good = storage.bytes(POOL).slice(64, 104);
  const reader = Ring.open(storage, POOL);
  const cursor = new Cursor(reader, 1n);
  const map = mapped(storage);
  assert(map.file.tryLock(true));
  map.write(new Uint8Array(8), 88); // oldest 0, while head and tail differ
  assert.equal(reader.tryState(), null);
  assert.equal(cursor.fill(), BUSY);
  assert.throws(() => reader.state(), (error) => PlasmiteError.is(error, ErrorKind.Busy));
  map.write(good, 64);
  assert.equal(cursor.fill(), 2, "the writer went on");
  map.write(new Uint8Array(8), 88);
  map.file.unlock();
  for (const look of [() => reader.tryState(), () => reader.state(), () => cursor.fill()]) {
    assert.throws(look, (error) => {
      assert(PlasmiteError.is(error, ErrorKind.Corrupt));
      assert.equal(error.message, "empty header offsets mismatch");
      return true;
    });
  }
  assert.throws(
    () => append(ring, payload(3, 50)),
    (error) => PlasmiteError.is(error, ErrorKind.Corrupt),
  );
  map.write(good, 64);
  assert.equal(append(ring, payload(3, 50)), 3n);
  assertHealthy(storage);
});
