/**
 * Opening, reading and appending at the edges: sizes, damage, hostile bytes, the last sequence number,
 * and the worked example of the specification.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { createRing } from "../../lib/pool/creation.ts";
import { openToAppend } from "../../lib/pool/mending.ts";
import { checkRing } from "../../lib/pool/check.ts";
import { Cursor } from "../../lib/pool/cursor.ts";
import { Ring } from "../../lib/pool/ring.ts";
import type { WritableRing } from "../../lib/pool/writable_ring.ts";
import { MemoryStorage } from "../support/memory.ts";
import {
  append,
  assertHealthy,
  assertMessages,
  batchOf,
  drain,
  get,
  mapped,
  newRing,
  payload,
  POOL,
  readAll,
  same,
  SCALE,
} from "../support/rings.ts";
import { mapBytes, refAppendAll } from "../support/ref_writer.ts";
import { specCheck } from "../support/spec_checker.ts";
import { FrameBatch } from "../../lib/pool/batch.ts";
import { EXTENSION_AT, EXTENSION_SIZE } from "../../lib/pool/header.ts";
import { automaticCapacity, planLayout } from "../../lib/pool/layout.ts";

const hex = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

// ---- frames ----------------------------------------------------------------------------------

// Lost: what stood in the buffer before became a frame's flags, and other programs refused it.
Deno.test("frames of a batch that is used again carry nothing of what was there before", () => {
  const batch = new FrameBatch();
  const dirt = new Uint8Array(20_000).fill(0xff);
  batch.addPayload(dirt, 0xffff_ffff, 0xffff_ffff);
  batch.clear();
  const { storage, ring } = newRing(8192);
  for (let i = 0; i < 5; i++) batch.addPayload(payload(i, 40 + i), 1, 0);
  assert.equal(ring.tryAppend(batch, 0, false)?.count, 5);
  assert.deepEqual(specCheck(storage.bytes(POOL), false).problems, []);
  ring.close();
});

// ---- sizes ---------------------------------------------------------------------------------------

Deno.test("automatic index capacities are those of section 1.4", () => {
  for (
    const [size, capacity] of [[4097, 0], [5120, 0], [8192, 32], [1 << 20, 4096], [1 << 26, 65536]]
  ) {
    assert.equal(automaticCapacity(size ?? 0), capacity);
  }
  assert.deepEqual(planLayout(8192), {
    fileSize: 8192,
    indexCapacity: 32,
    ringOffset: 4608,
    ringSize: 3584,
  });
  for (
    const [size, capacity] of [[4096, 0], [4112, 1], [0, 0], [1.5, 0], [8192, -1], [8192, 0.5]]
  ) {
    assert.throws(() => planLayout(size ?? 0, capacity), (error) => {
      assert(PlasmiteError.is(error, ErrorKind.Usage));
      assert(error.hint !== undefined);
      return true;
    });
  }
});

// ---- opening -------------------------------------------------------------------------------------

const BAD_HEADERS:
  readonly (readonly [string, number, readonly number[], keyof typeof ErrorKind])[] = [
    ["bad magic", 0, [0], "Corrupt"],
    ["unsupported pool format version 4 (supported: 3)", 4, [4], "Usage"],
    ["unsupported endianness", 8, [2], "Corrupt"],
    ["invalid file size", 16, [1], "Corrupt"],
    ["invalid index offset", 24, [8], "Corrupt"],
    ["invalid ring offset", 40, [0, 0], "Corrupt"],
    ["ring offset mismatch", 32, [5], "Corrupt"],
    ["ring bounds mismatch", 48, [1], "Corrupt"],
    ["header offset out of range", 64, [0xf8, 0xff], "Corrupt"],
    ["header offset out of range", 71, [0xff], "Corrupt"],
    ["header offset not aligned", 72, [4], "Corrupt"],
    ["seq bounds inverted", 88, [9], "Corrupt"],
    ["empty header offsets mismatch", 88, [0], "Corrupt"],
  ];

for (const [message, at, bytes, kind] of BAD_HEADERS) {
  Deno.test(`a damaged header is refused: ${message} (byte ${at})`, () => {
    const { storage, ring } = newRing(1000, 4);
    append(ring, payload(1, 20), payload(2, 20));
    const file = storage.bytes(POOL);
    file.set(bytes, at);
    storage.put(POOL, file);
    const check = (error: unknown): boolean => {
      assert(PlasmiteError.is(error, ErrorKind[kind]));
      assert.equal(error.message, message);
      assert.equal(error.path, POOL);
      assert(error.hint !== undefined);
      return true;
    };
    assert.throws(() => Ring.open(storage, POOL), check);
    const report = checkRing(storage, POOL, "pool");
    assert.equal(report.status, "corrupt");
    assert.equal(report.issues[0]?.message, message);
    assert.notDeepEqual(specCheck(file).problems, []);
  });
}

Deno.test("files that are no pools are refused, whatever their size", () => {
  const storage = new MemoryStorage();
  for (const size of [0, 1, 63, 64, 103, 104, 4095, 4096, 5000]) {
    storage.put(POOL, new Uint8Array(size));
    assert.throws(
      () => Ring.open(storage, POOL),
      (error) => PlasmiteError.is(error, ErrorKind.Corrupt),
    );
  }
});

Deno.test("every damaged byte of the header gives an error or leaves the messages alone", () => {
  const { storage, ring } = newRing(1000, 4);
  append(ring, payload(1, 20), payload(2, 20));
  const good = storage.bytes(POOL);
  for (let at = 0; at < 104; at++) {
    for (const flip of [1, 8, 0x80, 0xff]) {
      const file = good.slice();
      file[at] = (file[at] ?? 0) ^ flip;
      const damaged = new MemoryStorage();
      damaged.put(POOL, file);
      try {
        const reader = Ring.open(damaged, POOL);
        for (const { seq, payload: found } of readAll(reader)) {
          assert(same(found, payload(Number(seq), 20)));
        }
      } catch (error) {
        assert(
          PlasmiteError.is(error, ErrorKind.Corrupt) || PlasmiteError.is(error, ErrorKind.Usage),
          `byte ${at}: ${error}`,
        );
      }
    }
  }
});

Deno.test("a file cut short under an open pool is an error, not an endless read", () => {
  for (const left of [4096, 4200, 4300, 4500]) {
    const { storage, ring } = newRing(2000);
    append(ring, payload(1, 300), payload(2, 300), payload(3, 300));
    const whole = storage.bytes(POOL);
    const short: MemoryStorage = new MemoryStorage();
    short.put(POOL, whole);
    let cut = false;
    const reader = Ring.open(
      {
        ...short,
        open: (path, options) => {
          const file = short.open(path, options);
          return {
            ...file,
            readAt: (into, at) =>
              cut
                ? file.readAt(into.subarray(0, Math.max(0, left - at)), at)
                : file.readAt(into, at),
          };
        },
        create: () => true,
        remove: () => {},
      },
      POOL,
    );
    const cursor = new Cursor(reader, 0n);
    cut = true;
    assert.throws(
      () => drain(cursor),
      (error) => PlasmiteError.is(error, ErrorKind.Corrupt),
      `cut at ${left}`,
    );
  }
});

Deno.test("a damaged frame is Corrupt with its place; the messages around it are readable", () => {
  const { storage, ring } = newRing(4000, 8);
  const sizes = [100, 200, 300, 150];
  append(ring, ...sizes.map((size, i) => payload(i + 1, size)));
  const places = specCheck(storage.bytes(POOL)).messages;
  const good = storage.bytes(POOL);
  const hit = places[1];
  assert(hit !== undefined);
  const at = 4096 + 16 * 8 + hit.at;
  // Magic, state, header length, sequence, length, xor, checksum, payload, commit marker.
  for (const offset of [0, 4, 12, 16, 32, 36, 40, 64, 64 + 199, 64 + 200]) {
    const file = good.slice();
    file[at + offset] = (file[at + offset] ?? 0) ^ 0x11;
    storage.put(POOL, file);
    const reader = openToAppend(storage, POOL);
    for (const seq of [1n, 3n, 4n]) {
      const found = get(reader, seq);
      assert(found !== null && same(found, payload(Number(seq), sizes[Number(seq) - 1] ?? 0)));
    }
    const seen: bigint[] = [];
    const cursor = new Cursor(reader, 0n);
    const check = (error: unknown): boolean => {
      assert(PlasmiteError.is(error, ErrorKind.Corrupt));
      assert.equal(error.message, "malformed frame in the retained ring");
      assert.equal(error.offset, BigInt(hit.at));
      assert.equal(error.seq, 2n);
      assert.equal(error.path, POOL);
      return true;
    };
    assert.throws(() => {
      while (cursor.fill() > 0) while (cursor.next()) seen.push(cursor.seq);
    }, check);
    assert.deepEqual(seen, [1n], "what comes before is delivered first");
    assert.throws(() => get(reader, 2n), check);
    const report = checkRing(storage, POOL, "pool");
    assert.equal(report.status, "corrupt");
    assert.deepEqual(report.issues[0]?.lost, { first: 2n, last: 2n });
    assert.equal(report.issues[0]?.offset, hit.at);
    assert.equal(report.lastGoodSeq, 1n);
    // It can still be appended to; the damage goes when the ring comes round.
    assert.equal(append(reader, payload(9, 50)), 5n);
    reader.close();
  }
});

Deno.test("the last sequence number is given out, and none after it", () => {
  const { storage, ring } = newRing(2000, 4);
  append(ring, payload(1, 20));
  const file = storage.bytes(POOL);
  const view = new DataView(file.buffer);
  const last = 2n ** 64n - 1n;
  // Message 1 becomes message 2^64 - 3.
  view.setBigUint64(88, last - 2n, true);
  view.setBigUint64(96, last - 2n, true);
  view.setBigUint64(4096 + 64 + 16, last - 2n, true);
  file.fill(0, 4096, 4160);
  storage.put(POOL, file);
  const end = openToAppend(storage, POOL);
  const batch = batchOf(payload(2, 20), payload(3, 20), payload(4, 20));
  assert.deepEqual(end.tryAppend(batch), { count: 2, first: last - 1n });
  assertHealthy(storage);
  assert.throws(() => end.tryAppend(batch, 2), (error) => {
    assert(PlasmiteError.is(error, ErrorKind.Usage));
    assert.equal(error.message, "sequence space exhausted; create another pool");
    return true;
  });
  assertMessages(readAll(end), [
    { seq: last - 2n, payload: payload(1, 20) },
    { seq: last - 1n, payload: payload(2, 20) },
    { seq: last, payload: payload(3, 20) },
  ]);
  const one = get(end, last);
  assert(one !== null && same(one, payload(3, 20)));
});

Deno.test("a deleted or replaced pool is not written to", () => {
  const { storage, ring } = newRing(2000);
  append(ring, payload(1, 20));
  const was = storage.bytes(POOL);
  storage.put(POOL, was);
  assert.throws(() => append(ring, payload(2, 20)), (error) => {
    assert(PlasmiteError.is(error, ErrorKind.NotFound));
    assert.equal(error.message, "pool path now refers to a different file");
    return true;
  });
  storage.remove(POOL);
  assert.throws(() => append(ring, payload(2, 20)), (error) => {
    assert(PlasmiteError.is(error, ErrorKind.NotFound));
    assert.equal(error.path, POOL);
    return true;
  });
  // Reading the old file goes on; nothing was added to it.
  assert.equal(readAll(ring).length, 1);
  storage.put(POOL, was);
  assert.deepEqual(storage.bytes(POOL), was);
});

// ---- the worked example (12) ---------------------------------------------------------------------

interface Vector {
  readonly name: string;
  readonly hex: string;
}

function vector(name: string): Uint8Array<ArrayBuffer> {
  const url = new URL("../data/lite3-vectors.json", import.meta.url);
  const vectors = JSON.parse(Deno.readTextFileSync(url)) as readonly Vector[];
  const text = vectors.find((one) => one.name === name)?.hex ?? "";
  assert(text !== "", name);
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

const EXAMPLE = "7805ddc03a2a9b83a770ab8b55d9d3e2a6994b412de63dc8ee787e92cb9bbe3a";
const FIRST_NS = 1_700_000_000_000_000_000n;
const SECOND_NS = 1_700_000_001_500_000_000n;

function stamped(...messages: readonly (readonly [Uint8Array, bigint])[]): FrameBatch {
  const batch = new FrameBatch();
  for (const [bytes, ns] of messages) {
    batch.addPayload(bytes, Number(ns & 0xffff_ffffn), Number(ns >> 32n));
  }
  return batch;
}

Deno.test("the worked example of section 12, byte for byte", async () => {
  const storage = new MemoryStorage();
  createRing(storage, POOL, { size: 5248, indexCapacity: 4 });
  const ring = openToAppend(storage, POOL);
  assert.equal(ring.layout.ringOffset, 0x1040);
  const simple = vector("message-simple");
  const minimal = vector("message-minimal");
  ring.tryAppend(stamped([simple, FIRST_NS]));
  ring.tryAppend(stamped([minimal, SECOND_NS]));
  const file = storage.bytes(POOL);
  // The reference leaves the checksum fields 0; ours are filled, and they are the only difference.
  const view = new DataView(file.buffer);
  assert.notEqual(view.getUint32(0x1040 + 40, true), 0);
  assert.notEqual(view.getUint32(0x1238 + 40, true), 0);
  assertHealthy(storage);
  view.setUint32(0x1040 + 40, 0, true);
  view.setUint32(0x1238 + 40, 0, true);
  file.fill(0, 128, 192); // Each pool's own identity, docs/spec/format.md 15.
  assert.equal(await sha256(file), EXAMPLE);
  // And our reference writer is right about it, too.
  const empty = new MemoryStorage();
  createRing(empty, POOL, { size: 5248, indexCapacity: 4 });
  const map = mapped(empty);
  refAppendAll(map, simple, FIRST_NS);
  refAppendAll(map, minimal, SECOND_NS);
  const theirs = empty.bytes(POOL);
  theirs.fill(0, 128, 192);
  assert.equal(await sha256(theirs), EXAMPLE);
});

Deno.test("the third message of section 12: the reference fills the ring, we empty it first", () => {
  const storage = new MemoryStorage();
  createRing(storage, POOL, { size: 5248, indexCapacity: 4 });
  const ring = openToAppend(storage, POOL);
  const simple = vector("message-simple");
  ring.tryAppend(stamped([simple, FIRST_NS]));
  ring.tryAppend(stamped([vector("message-minimal"), SECOND_NS]));
  const two = storage.bytes(POOL);

  const theirs = two.slice();
  assert.equal(refAppendAll(mapBytes(theirs), simple, SECOND_NS), 3n);
  assert.deepEqual(specCheck(theirs, false).state, {
    head: 504,
    tail: 504,
    tailNext: 984,
    oldest: 2n,
    newest: 3n,
  });

  const start = storage.log.length;
  storage.plan({ killAfter: 1 });
  assert.throws(() => ring.tryAppend(stamped([simple, SECOND_NS])));
  const advanced = storage.afterKill();
  assert.deepEqual(specCheck(advanced.bytes(POOL)).state, {
    head: 984,
    tail: 984,
    tailNext: 984,
    oldest: 0n,
    newest: 2n,
  });
  const again = openToAppend(advanced, POOL);
  assert.equal(again.tryAppend(stamped([simple, SECOND_NS]))?.first, 3n);
  assert.deepEqual(specCheck(advanced.bytes(POOL)).state, {
    head: 504,
    tail: 0,
    tailNext: 504,
    oldest: 3n,
    newest: 3n,
  });
  assertHealthy(advanced);
  assert.equal(storage.log.length - start, 1);
});

Deno.test("hostile bytes anywhere: errors or right messages, never a hang or a crash", () => {
  const seen = { refused: 0, damaged: 0, whole: 0 };
  const flip = fc.record({
    at: fc.oneof(fc.nat(104), fc.nat(4096 + 128 + 1500)),
    to: fc.oneof(fc.constantFrom(0, 1, 3, 8, 0x46, 0x7f, 0xff), fc.nat(255)),
    count: fc.constantFrom(1, 1, 2, 8, 40),
  });
  fc.assert(
    fc.property(fc.array(flip, { minLength: 1, maxLength: 4 }), fc.nat(8), (flips, more) => {
      const { storage, ring } = newRing(1500, 8);
      // Where the header says that fewer are stored, a number is given to two.
      const known = new Map<bigint, Uint8Array[]>();
      const note = (seq: bigint, bytes: Uint8Array): void =>
        void known.set(seq, [...known.get(seq) ?? [], bytes]);
      for (let i = 1; i <= 6 + more; i++) {
        const bytes = payload(i, 60 + 31 * i % 200);
        note(append(ring, bytes), bytes);
      }
      const file = storage.bytes(POOL);
      for (const { at, to, count } of flips) file.fill(to, at, at + count);
      const left = new MemoryStorage();
      left.put(POOL, file);
      const report = checkRing(left, POOL, "pool");
      let damaged = false;
      const expectError = (error: unknown): void => {
        assert(
          PlasmiteError.is(error, ErrorKind.Corrupt) || PlasmiteError.is(error, ErrorKind.Usage),
          String(error instanceof Error ? error.stack : error),
        );
        damaged = true;
      };
      let open: WritableRing;
      try {
        open = openToAppend(left, POOL);
      } catch (error) {
        expectError(error);
        assert.equal(report.status, "corrupt", "the checker sees what open sees");
        seen.refused++;
        return;
      }
      const look = (): void => {
        try {
          const { messages } = drain(new Cursor(open, 0n));
          for (const m of messages) {
            // A zeroed checksum is nobody's guarantee; everything else is.
            if (!known.get(m.seq)?.some((bytes) => same(m.payload, bytes))) {
              assert(
                damagedChecksum(left.bytes(POOL), m.seq),
                `seq ${m.seq} is not what was stored`,
              );
            }
          }
        } catch (error) {
          if (error instanceof assert.AssertionError) throw error;
          expectError(error);
        }
        for (let seq = 1n; seq <= 20n; seq++) {
          try {
            get(open, seq);
          } catch (error) {
            expectError(error);
          }
        }
      };
      look();
      if (damaged) assert.equal(report.status, "corrupt", "the checker sees what readers see");
      for (let i = 0; i < 4; i++) {
        try {
          const bytes = payload(100 + i, 150);
          note(append(open, bytes), bytes);
        } catch (error) {
          expectError(error);
        }
        look();
      }
      seen[damaged ? "damaged" : "whole"]++;
    }),
    { numRuns: 900 * SCALE },
  );
  for (const [what, count] of Object.entries(seen)) assert(count > 20, `${what}: ${count}`);
});

/** Whether the frame of `seq` carries no checksum, or the state block itself was altered. */
function damagedChecksum(file: Uint8Array, seq: bigint): boolean {
  const view = new DataView(file.buffer);
  const ringAt = 4096 + 128;
  for (let at = ringAt; at + 64 <= file.length; at += 8) {
    if (view.getUint32(at, true) !== 0x314d5246 || view.getBigUint64(at + 16, true) !== seq) {
      continue;
    }
    if (view.getUint32(at + 40, true) === 0) return true;
  }
  return false;
}

// Lost otherwise: readers would end, as if the pool were another one, because of a program that does
// not know the block with its identity.
Deno.test("a pool whose extension block another program leaves out is still the same pool", () => {
  const { storage, ring } = newRing(8192, 16);
  append(ring, payload(1, 40));
  const { file } = mapped(storage);
  const read = (length: number): Uint8Array<ArrayBuffer> => {
    const bytes = new Uint8Array(length);
    file.readAt(bytes, EXTENSION_AT);
    return bytes;
  };
  const block = read(EXTENSION_SIZE);
  ring.checkIdentity();
  file.writeAt(new Uint8Array(EXTENSION_SIZE), EXTENSION_AT);
  ring.checkIdentity();
  // Nor can anything be said of a pool that had none when it was opened.
  const opened = Ring.open(storage, POOL);
  file.writeAt(block, EXTENSION_AT);
  opened.checkIdentity();
  ring.checkIdentity();
  opened.close();
  ring.close();
});
