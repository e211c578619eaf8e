/**
 * A cursor that was being written when its process was killed: the former position counts, and
 * never "start anywhere".
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type CursorRecord,
  parseCursor,
  printCursor,
} from "../../lib/coordination/cursor_record.ts";
import {
  CURSOR_SLOT,
  decodeSlot,
  encodeSlot,
  fitsSlot,
  isBlank,
} from "../../lib/coordination/slots.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { readCurrent, writeCurrent } from "../../lib/coordination/record_store.ts";
import type { RecordFile } from "../../lib/storage/record_file.ts";

/** A record file in memory whose next write may stop half-way. */
class MemoryRecord implements RecordFile {
  readonly path = "memory";
  bytes = new Uint8Array();
  torn = Infinity;

  tryLock(): boolean {
    return true;
  }
  unlock(): void {}
  size(): number {
    return this.bytes.length;
  }
  read(most: number, at = 0): Uint8Array<ArrayBuffer> {
    return this.bytes.slice(at, at + most);
  }
  write(bytes: Uint8Array, at: number): void {
    const arrived = bytes.subarray(0, this.torn);
    const grown = new Uint8Array(Math.max(this.bytes.length, at + arrived.length));
    grown.set(this.bytes);
    grown.set(arrived, at);
    this.bytes = grown;
  }
  sync(): void {}
  isCurrent(): boolean {
    return true;
  }
  close(): void {}
}

function record(gen: number, seq: bigint): CursorRecord {
  return {
    gen,
    pool: "0123456789abcdef0123456789abcdef",
    seq,
    ns: 1_700_000_000_123_456_789n,
    first: 3n,
    acked: "2026-11-27T10:00:00.000Z",
    pid: 42,
    host: "pi",
  };
}

const read = (file: RecordFile) => readCurrent(file, CURSOR_SLOT, parseCursor);

/** Writes positions 1 to `count`, one after the other. */
function written(count: number): MemoryRecord {
  const file = new MemoryRecord();
  for (let gen = 1; gen <= count; gen++) {
    const next = record(gen, BigInt(gen * 10));
    writeCurrent(file, CURSOR_SLOT, read(file), next, printCursor(next), false);
  }
  return file;
}

Deno.test("slots: any text is restored, any changed byte is noticed", () => {
  fc.assert(fc.property(
    fc.uint8Array({ minLength: 1, maxLength: 200 }).map((bytes) =>
      new TextEncoder().encode(JSON.stringify({ v: 1, bytes: [...bytes].join() }).slice(0, 400))
    ),
    fc.nat(CURSOR_SLOT - 1),
    fc.integer({ min: 1, max: 255 }),
    (json, at, change) => {
      const slot = encodeSlot(json, CURSOR_SLOT);
      assert.equal(slot.length, CURSOR_SLOT);
      const text = new TextDecoder().decode(json);
      assert.equal(decodeSlot(slot), text);
      slot[at] = (slot[at] ?? 0) ^ change;
      // A change in the padding may leave the record readable, but never as another one.
      assert([null, text].includes(decodeSlot(slot)));
      if (at < json.length) assert.equal(decodeSlot(slot), null);
    },
  ));
  assert.equal(fitsSlot(new Uint8Array(CURSOR_SLOT - 10), CURSOR_SLOT), true);
  assert.equal(fitsSlot(new Uint8Array(CURSOR_SLOT - 9), CURSOR_SLOT), false);
  assert.throws(() => encodeSlot(new Uint8Array(CURSOR_SLOT), CURSOR_SLOT), RangeError);
});

Deno.test("cursor file: a record survives exactly, with numbers of 64 bits", () => {
  const most = 2n ** 64n - 1n;
  const one = { ...record(7, most), ns: most };
  assert.deepEqual(parseCursor(new TextDecoder().decode(printCursor(one))), one);
  for (const bad of ["{}", "[]", "nonsense", '{"v":2}', '{"v":1,"gen":1,"pool":"x"}']) {
    assert.equal(parseCursor(bad), null, bad);
  }
  const big = { ...one, seq: 2n ** 64n };
  assert.equal(parseCursor(new TextDecoder().decode(printCursor(big))), null);
});

Deno.test("cursor file: the longest record fits into its slot", () => {
  const most = 2n ** 64n - 1n;
  const longest = {
    ...record(Number.MAX_SAFE_INTEGER, most),
    ns: most,
    first: most,
    pid: 4194304,
    host: "\u{10ffff}".repeat(200),
  };
  assert(fitsSlot(printCursor(longest), CURSOR_SLOT));
});

Deno.test("cursor file: written in turn, the newer counts", () => {
  const file = written(1);
  assert.equal(file.bytes.length, 2 * CURSOR_SLOT, "the first write covers both slots");
  for (const count of [1, 2, 3, 4, 5]) {
    const { record: current, slot } = read(written(count));
    assert.equal(current?.seq, BigInt(count * 10));
    assert.equal(slot, (count + 1) % 2);
  }
});

Deno.test("cursor file: killed inside any write, the former position or the new one counts", () => {
  for (const count of [1, 2, 3]) {
    for (let torn = 0; torn <= CURSOR_SLOT; torn++) {
      const file = written(count);
      const next = record(count + 1, 999n);
      file.torn = torn;
      writeCurrent(file, CURSOR_SLOT, read(file), next, printCursor(next), false);
      const seq = read(file).record?.seq;
      assert(seq === BigInt(count * 10) || seq === 999n, `torn after ${torn}: ${seq}`);
    }
  }
});

Deno.test("cursor file: every byte of the newer slot destroyed gives the older, both give Corrupt", () => {
  for (let at = 0; at < CURSOR_SLOT - 1; at++) {
    const file = written(3);
    const newer = read(file).slot * CURSOR_SLOT + at;
    file.bytes[newer] = (file.bytes[newer] ?? 0) ^ 0x55;
    const seq = read(file).record?.seq;
    assert(seq === 20n || (seq === 30n && at > 200), `byte ${at}: ${seq}`);
  }
  const file = written(3);
  file.bytes.fill(0x41);
  assert.throws(() => read(file), (error) => PlasmiteError.is(error, ErrorKind.Corrupt));
});

Deno.test("cursor file: killed at birth it is new, whatever its size", () => {
  for (const size of [0, 1, 512, 1024]) {
    for (const fill of [0, 0x20]) {
      const file = new MemoryRecord();
      file.bytes = new Uint8Array(size).fill(fill);
      assert(isBlank(file.bytes));
      assert.equal(read(file).record, null);
    }
  }
});
