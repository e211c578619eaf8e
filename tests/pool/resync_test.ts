/**
 * Reading on behind damage (docs/spec/format.md 5.5).
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { FrameBatch } from "../../lib/pool/batch.ts";
import { BUSY, Cursor } from "../../lib/pool/cursor.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { wrapMarker } from "../../lib/pool/frame.ts";
import { openToAppend } from "../../lib/pool/mending.ts";
import { Resync } from "../../lib/pool/resync.ts";
import { Ring } from "../../lib/pool/ring.ts";
import type { Storage } from "../../lib/storage/storage.ts";
import type { Gap } from "../../lib/types.ts";
import { type Damage, damage, messagePool, type Turn, unharmed } from "../support/damage.ts";
import { MemoryStorage } from "../support/memory.ts";
import { current, hooked, payload, POOL, type Read, same, SCALE } from "../support/rings.ts";
import { specCheck } from "../support/spec_checker.ts";

interface Told {
  readonly messages: Read[];
  readonly unreadable: Gap[];
}

/** How many times the ring may be read: a hang is to be a failure and not a silence. */
const MOST_READ = 40;

/** A storage that fails once so much was read from it. */
function bounded(storage: Storage, most: number): Storage {
  let left = most;
  return hooked(storage, {
    onRead: (_, length) => {
      left -= length;
      assert.ok(left >= 0, `more than ${most} bytes are read`);
    },
  });
}

/** Everything from `from` on, behind damage too; `turns` as in a process that serves others. */
function readOn(storage: MemoryStorage, from = 0n, turns = false): Told {
  const most = MOST_READ * storage.bytes(POOL).length;
  const ring = Ring.open(bounded(storage, most), POOL);
  const cursor = new Cursor(ring, from, false, new Resync());
  const messages: Read[] = [];
  const unreadable: Gap[] = [];
  for (;;) {
    const ready = cursor.fill(turns);
    assert.notEqual(ready, BUSY);
    for (const one of cursor.unreadable.splice(0)) {
      const before = unreadable.at(-1);
      if (before?.last !== one.first - 1n) unreadable.push(one);
      else unreadable.splice(-1, 1, { first: before.first, last: one.last });
    }
    assert.equal(cursor.gap, null);
    if (ready === 0) break;
    while (cursor.next()) messages.push(current(cursor));
  }
  ring.close();
  return { messages, unreadable };
}

function stored(bytes: Uint8Array<ArrayBuffer>): MemoryStorage {
  const storage = new MemoryStorage();
  storage.put(POOL, bytes);
  return storage;
}

/** `1,2,[3-5],6`: messages and what could not be read, in order. */
function order({ messages, unreadable }: Told): string {
  const all: [bigint, string][] = [
    ...messages.map(({ seq }): [bigint, string] => [seq, `${seq}`]),
    ...unreadable.map(({ first, last }): [bigint, string] => [first, `[${first}-${last}]`]),
  ];
  return all.sort((a, b) => (a[0] < b[0] ? -1 : 1)).map(([, text]) => text).join(",");
}

const ringAt = (bytes: Uint8Array): number =>
  Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(40, true));

/** A pool whose ring has wrapped, and where its messages are in the file. */
function wrapped(ours = true) {
  const turns = Array.from({ length: 60 }, (_, i): Turn => ({ ours, size: 20 + i % 7 * 30 }));
  const { bytes } = messagePool(24_000, 16, turns);
  const messages = specCheck(bytes, false).messages.map(({ seq, at, payload }) => ({
    seq,
    from: ringAt(bytes) + at,
    to: ringAt(bytes) + at + 64 + payload.length + 8,
  }));
  assert.ok(messages.some(({ from }, i) => from < (messages[i - 1]?.from ?? 0)), "it wraps");
  return { bytes, messages };
}

type Wrapped = ReturnType<typeof wrapped>;

/** Numbers from `a` to `b` as {@linkcode order} writes them. */
const run = (a: bigint, b: bigint): string =>
  Array.from({ length: Number(b - a) + 1 }, (_, i) => `${a + BigInt(i)}`).join(",");

// Lost: everything behind one bad sector, for a reader that could have gone on.
Deno.test("what lies behind damage is read, and what cannot be read is named exactly", () => {
  const pool = wrapped();
  const { bytes, messages } = pool;
  const low = messages[0]?.seq ?? 0n, high = messages.at(-1)?.seq ?? 0n;
  const at = (n: number): Wrapped["messages"][number] => {
    const found = messages.at(n);
    assert.ok(found);
    return found;
  };
  /** A frame after which the ring wraps. */
  const beforeWrap = messages.findIndex(({ from }, i) => (messages[i + 1]?.from ?? from) < from);
  const cases: [string, (next: Uint8Array) => void, bigint, bigint][] = [
    ["a header", (next) => next.fill(0, at(9).from, at(9).from + 64), at(9).seq, at(9).seq],
    ["a payload", (next) => next.fill(7, at(9).from + 80, at(9).from + 90), at(9).seq, at(9).seq],
    ["a commit marker", (next) => next.fill(0, at(9).to - 8, at(9).to), at(9).seq, at(9).seq],
    ["three frames", (next) => next.fill(0, at(9).from, at(11).to), at(9).seq, at(11).seq],
    [
      "halves of two",
      (next) => next.fill(0, at(9).from + 90, at(10).from + 90),
      at(9).seq,
      at(10).seq,
    ],
    ["the oldest", (next) => next.fill(0, at(0).from, at(0).from + 64), low, low],
    ["the newest", (next) => next.fill(0, at(-1).from, at(-1).to), high, high],
    [
      "the last before the wrap, with the wrap marker",
      (next) => next.fill(0, at(beforeWrap).from),
      at(beforeWrap).seq,
      at(beforeWrap).seq,
    ],
    ["all", (next) => next.fill(0, ringAt(bytes)), low, high],
  ];
  for (const [name, harm, first, last] of cases) {
    const next = bytes.slice();
    harm(next);
    const expected = [
      first > low ? run(low, first - 1n) : "",
      `[${first}-${last}]`,
      last < high ? run(last + 1n, high) : "",
    ].filter(Boolean).join(",");
    for (const turns of [false, true]) {
      assert.equal(order(readOn(stored(next), 0n, turns)), expected, name);
    }
    // From a number in the middle, found by the index or by walking there.
    const middle = at(20).seq;
    const told = readOn(stored(next), middle);
    const later = told.messages.length +
      told.unreadable.reduce((n, { first, last }) => n + Number(last - first) + 1, 0);
    assert.equal(later, Number(high - middle) + 1, `${name}, from the middle`);
  }
  // The wrap marker alone: no message is lost.
  const { to } = at(beforeWrap);
  const next = bytes.slice();
  next.fill(0, to + (8 - (to - ringAt(bytes)) % 8) % 8);
  assert.equal(order(readOn(stored(next))), run(low, high));
});

const region = fc.constantFrom("ring" as const, "index" as const, "any" as const);
const fraction = fc.double({ min: 0, max: 0.9999, noNaN: true });
const accident: fc.Arbitrary<Damage> = fc.oneof(
  fc.record({ kind: fc.constant("bit" as const), where: region, at: fraction, bit: fc.nat(7) }),
  fc.record({
    kind: fc.constantFrom("zero" as const, "noise" as const),
    where: region,
    at: fraction,
    length: fc.integer({ min: 1, max: 6000 }),
    seed: fc.nat(1000),
  }),
);

Deno.test("whatever happens to the ring, each message is read as it was or is named once", () => {
  const turn = fc.record({ ours: fc.boolean(), size: fc.nat(900) });
  fc.assert(
    fc.property(
      fc.array(turn, { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 2500, max: 20_000 }).map((n) => n >> 3 << 3),
      fc.constantFrom(0, 8, 64),
      fc.array(accident, { minLength: 1, maxLength: 4 }),
      (turns, ringSize, slots, accidents) => {
        const { bytes } = messagePool(ringSize, slots, turns);
        let after = bytes;
        for (const one of accidents) after = damage(after, one);
        // The state block has its own checks.
        after.set(bytes.subarray(0, 4096));
        const before = specCheck(bytes, false).messages;
        const told = readOn(stored(after));
        const numbers = [
          ...told.messages.map(({ seq }) => seq),
          ...told.unreadable.flatMap(({ first, last }) =>
            Array.from({ length: Number(last - first) + 1 }, (_, i) => first + BigInt(i))
          ),
        ].sort((a, b) => (a < b ? -1 : 1));
        assert.deepEqual(numbers, before.map(({ seq }) => seq));
        const read = new Map(told.messages.map(({ seq, payload }) => [seq, payload]));
        for (const [seq, payload] of unharmed(bytes, after)) {
          const found = read.get(seq);
          assert.ok(found !== undefined && same(found, payload), `message ${seq} was unharmed`);
        }
        assert.equal(order(readOn(stored(after), 0n, true)), order(told), "in turns");
      },
    ),
    { numRuns: 150 * SCALE },
  );
});

// Lost: the processor of a server, to a file that somebody made on purpose.
Deno.test("a ring of traps is searched once, not once for each of them", () => {
  const ringSize = 1 << 18;
  const { bytes } = messagePool(ringSize, 0, [{ ours: true, size: 10 }, { ours: true, size: 10 }]);
  const from = ringAt(bytes);
  const header = bytes.slice(from, from + 64);
  const marker = bytes.slice(
    specCheck(bytes, false).messages.map(({ payload }) => from + 64 + payload.length)[0],
  ).slice(0, 8);
  const state = new DataView(bytes.buffer, 64, 40);
  const newest = 200n;
  for (const [field, value] of [[0, ringSize - 64], [1, 0], [2, 0], [3, 1], [4, newest]] as const) {
    state.setBigUint64(field * 8, BigInt(value), true);
  }
  for (const end of ["each at its own place", "all at one"]) {
    const traps = bytes.slice();
    traps.fill(0, from);
    const view = new DataView(traps.buffer);
    for (let at = 0; at + 64 <= ringSize - 200; at += 64) {
      traps.set(header, from + at);
      view.setBigUint64(from + at + 16, BigInt(1 + at % 199), true);
      const length = end === "all at one" ? ringSize - 136 - at - 64 : 4096;
      view.setUint32(from + at + 32, length, true);
      view.setUint32(from + at + 36, ~length, true);
    }
    traps.set(marker, from + ringSize - 136);
    const told = readOn(stored(traps));
    assert.equal(told.messages.length, 0);
    assert.equal(order(told), `[1-${newest}]`, end);
  }
});

// Lost: as above.
Deno.test("a chain of frames that comes back to its beginning or its end is followed once", () => {
  const ringSize = 1 << 18;
  const { bytes } = messagePool(ringSize, 0, [{ ours: true, size: 10 }]);
  const from = ringAt(bytes);
  const sample = specCheck(bytes, false).messages[0];
  assert.ok(sample);
  const marker = bytes.slice(from + 64 + sample.payload.length).slice(0, 8);
  const header = bytes.slice(from, from + 64);
  header.fill(0, 40, 44); // no checksum
  bytes.fill(0, from);
  const view = new DataView(bytes.buffer);
  const put = (seq: bigint, at: number, end: number): void => {
    bytes.set(header, from + at);
    view.setBigUint64(from + at + 16, seq, true);
    view.setUint32(from + at + 32, end - at - 72, true);
    view.setUint32(from + at + 36, ~(end - at - 72), true);
    bytes.set(marker, from + end - 8);
  };
  const head = ringSize - 1024;
  const pool = (newest: bigint): MemoryStorage => {
    const state = new DataView(bytes.buffer, 64, 40);
    [head, 0, 0, 1, Number(newest)].forEach((n, i) => state.setBigUint64(8 * i, BigInt(n), true));
    return stored(bytes.slice());
  };
  // Behind each message it seems to go on at the beginning, which cannot be read.
  let seq = 1n;
  for (let at = 576; at + 576 < head; at += 576) {
    put(++seq, at, at + 72);
    bytes.set(wrapMarker(), from + at + 72);
  }
  const expected = `[1-1],${run(2n, seq)}`;
  for (const turns of [false, true]) {
    assert.equal(order(readOn(pool(seq), 0n, turns)), expected);
  }
  // Behind each message is a large one, and all of those end at the head.
  bytes.fill(0, from);
  seq = 1n;
  for (let at = 288; at + 288 < head; at += 288) {
    put(++seq, at, at + 72);
    put(++seq, at + 72, head);
  }
  for (const turns of [false, true]) {
    assert.equal(order(readOn(pool(seq), 0n, turns)), `[1-1],2,3,[4-${seq}]`);
  }
});

// Lost: hours, to a large pool of small messages that all have a bad checksum.
Deno.test("behind each of many damaged messages only as much is read as it takes", () => {
  const ringSize = 1 << 21;
  const turns = Array.from({ length: 8000 }, (): Turn => ({ ours: true, size: 5 }));
  const { bytes } = messagePool(ringSize, 0, turns);
  const { messages } = specCheck(bytes, false);
  const low = messages[0]?.seq ?? 0n, high = messages.at(-1)?.seq ?? 0n;
  assert.ok(messages.length > 3000);
  const every = bytes.slice(), half = bytes.slice();
  const from = ringAt(bytes);
  for (const { at, seq } of messages) {
    every.fill(1, from + at + 70, from + at + 80);
    if (seq % 2n === 1n) half.fill(1, from + at + 70, from + at + 80);
  }
  for (const turns of [false, true]) {
    assert.equal(order(readOn(stored(every), 0n, turns)), `[${low}-${high}]`);
    const told = readOn(stored(half), 0n, turns);
    assert.equal(told.messages.length, messages.filter(({ seq }) => seq % 2n === 0n).length);
  }
});

// Lost: the processor, for ever, to a pool of the reference whose wrap marker and next message are
// bad; and every message behind them.
Deno.test("a bad message that is found behind a bad tail is passed by", () => {
  const { bytes, messages } = wrapped();
  const wrap = messages.findIndex(({ from }, i) => from < (messages[i - 1]?.from ?? 0));
  const before = messages[wrap - 1], first = messages[wrap], second = messages[wrap + 1];
  assert.ok(before && first && second);
  const high = messages.at(-1)?.seq ?? 0n;
  // The tail may be at a wrap marker (docs/spec/format.md 5.1 D2).
  const state = new DataView(bytes.buffer, 64, 40);
  state.setBigUint64(8, BigInt(before.to - ringAt(bytes) + 7 >> 3 << 3), true);
  state.setBigUint64(24, first.seq, true);
  assert.equal(order(readOn(stored(bytes))), run(first.seq, high));
  bytes.fill(0, before.to + 8);
  assert.equal(order(readOn(stored(bytes))), run(first.seq, high));
  bytes.fill(7, first.from + 80, first.from + 90);
  const expected = `[${first.seq}-${first.seq}],${run(second.seq, high)}`;
  for (const turns of [false, true]) {
    assert.equal(order(readOn(stored(bytes), 0n, turns)), expected);
    assert.equal(order(readOn(stored(bytes), first.seq, turns)), expected);
  }
});

// Lost: every message of a ring that is exactly full, where the head is at the tail.
Deno.test("behind a bad tail that is the head as well, all the others are read", () => {
  const turn: Turn = { ours: true, size: 100 };
  const one = specCheck(messagePool(4000, 0, [turn]).bytes, false).messages[0];
  assert.ok(one);
  const ringSize = 10 * ((64 + one.payload.length + 8 + 7) >> 3 << 3);
  for (const count of [10, 15, 20]) {
    const { bytes } = messagePool(ringSize, 0, Array.from({ length: count }, () => turn));
    const state = new DataView(bytes.buffer, 64, 40);
    const low = BigInt(count) - 9n, high = BigInt(count);
    // We drop one message more than it takes; others need not.
    const head = state.getBigUint64(0, true);
    assert.deepEqual([state.getBigUint64(8, true), state.getBigUint64(24, true)], [
      head + BigInt(ringSize / 10),
      low + 1n,
    ]);
    state.setBigUint64(16, head + BigInt(ringSize / 10), true);
    state.setBigUint64(8, head, true);
    state.setBigUint64(24, low, true);
    const [first] = specCheck(bytes, false).messages;
    assert.equal(first?.seq, low);
    const from = ringAt(bytes) + first.at;
    for (const harmed of [from, from + 80]) {
      const next = bytes.slice();
      next.fill(7, harmed, harmed + 20);
      assert.equal(order(readOn(stored(next))), `[${low}-${low}],${run(low + 1n, high)}`);
    }
  }
});

/** Wrap markers, and frames that are stored once more somewhere else, whole or in part. */
const misplaced = fc.record({
  from: fraction,
  to: fraction,
  length: fc.integer({ min: 8, max: 200 }).map((n) => 8 * n),
  isWrap: fc.boolean(),
});

// Lost: the processor, for ever, to a chain of frames that comes back to its own beginning.
Deno.test("whatever is stored twice or in the wrong place, and wherever one begins, reading ends", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ ours: fc.boolean(), size: fc.nat(500) }), {
        minLength: 5,
        maxLength: 60,
      }),
      fc.integer({ min: 2500, max: 20_000 }).map((n) => n >> 3 << 3),
      fc.constantFrom(0, 8, 64),
      fc.array(misplaced, { minLength: 1, maxLength: 6 }),
      fc.array(accident, { maxLength: 4 }),
      fc.record({ from: fc.nat(60), more: fc.nat(30), turns: fc.boolean() }),
      (turns, ringSize, slots, copies, accidents, how) => {
        const { bytes } = messagePool(ringSize, slots, turns);
        let after = bytes.slice();
        const start = ringAt(bytes);
        const place = (at: number): number => start + (Math.floor(ringSize * at) >> 3 << 3);
        for (const { from, to, length, isWrap } of copies) {
          if (isWrap && place(to) + 64 <= after.length) after.set(wrapMarker(), place(to));
          else {after.copyWithin(
              place(to),
              place(from),
              Math.min(place(from) + length, after.length),
            );}
        }
        for (const one of accidents) after = damage(after, one);
        after.set(bytes.subarray(0, 4096));
        // A state that claims more messages than there are is not found out before it is read.
        const state = new DataView(after.buffer, 64, 40);
        const newest = state.getBigUint64(32, true) + BigInt(how.more);
        state.setBigUint64(32, newest, true);
        const oldest = state.getBigUint64(24, true);
        const from = how.from === 0 ? oldest : oldest + BigInt(how.from) % (newest - oldest + 1n);
        const told = readOn(stored(after), from, how.turns);
        const numbers = [
          ...told.messages.map(({ seq }) => seq),
          ...told.unreadable.flatMap(({ first, last }) =>
            Array.from({ length: Number(last - first) + 1 }, (_, i) => first + BigInt(i))
          ),
        ].sort((a, b) => (a < b ? -1 : 1));
        const all = Array.from({ length: Number(newest - from) + 1 }, (_, i) => from + BigInt(i));
        assert.deepEqual(numbers, all);
      },
    ),
    { numRuns: 150 * SCALE },
  );
});

// Lost: messages told twice or never, while a writer overwrites the damage that is searched.
Deno.test("a writer may overtake the search behind damage at any moment", () => {
  fc.assert(
    fc.property(
      fc.nat(60),
      fc.integer({ min: 1, max: 12 }),
      fc.boolean(),
      (every, count, turns) => {
        const { bytes, messages } = wrapped();
        for (const i of [3, 4, 9, 10, 11, 12, 20]) {
          const one = messages[i];
          if (one !== undefined) bytes.fill(0, one.from, one.to);
        }
        const storage = stored(bytes);
        const writer = openToAppend(storage, POOL);
        let reads = 0;
        let left = 400;
        const racing = hooked(bounded(storage, 1000 * bytes.length), {
          onRead: (_, length) => {
            if (length < 64 || left === 0 || ++reads % (every + 1) !== 0) return;
            for (let i = 0; i < count && left > 0; i++, left--) {
              const batch = new FrameBatch();
              batch.addPayload(payload(left, 100), 0, 0);
              // Not under the reader's own lock.
              if (writer.tryAppend(batch) === null) return;
            }
          },
        });
        const ring = Ring.open(racing, POOL);
        const first = ring.state().oldest;
        const cursor = new Cursor(ring, first, false, new Resync());
        const told: bigint[] = [];
        const add = ({ first, last }: Gap): void => {
          for (let seq = first; seq <= last; seq++) told.push(seq);
        };
        for (;;) {
          const ready = cursor.fill(turns);
          if (ready === BUSY) continue;
          const ranges = [
            ...cursor.unreadable.splice(0),
            ...cursor.gap === null ? [] : [cursor.gap],
          ];
          cursor.gap = null;
          ranges.sort((a, b) => (a.first < b.first ? -1 : 1)).forEach(add);
          if (ready === 0) break;
          while (cursor.next()) told.push(cursor.seq);
        }
        assert.deepEqual(told, Array.from({ length: told.length }, (_, i) => first + BigInt(i)));
        assert.ok((told.at(-1) ?? 0n) >= 60n);
        ring.close();
        writer.close();
      },
    ),
    { numRuns: 60 * SCALE },
  );
});

// Lost: the processor, for ever, to a message with a bad checksum that somebody looks for.
Deno.test("a bad checksum that is looked at later is found once, and is damage", () => {
  const { bytes, messages } = wrapped();
  const bad = messages[9];
  assert.ok(bad);
  const low = messages[0]?.seq ?? 0n, high = messages.at(-1)?.seq ?? 0n;
  bytes.fill(7, bad.from + 80, bad.from + 90);
  const read = (resync: Resync | null): Told => {
    const ring = Ring.open(bounded(stored(bytes), MOST_READ * bytes.length), POOL);
    const cursor = new Cursor(ring, 0n, false, resync);
    cursor.checksLater = true;
    const messages: Read[] = [];
    while (cursor.fill() > 0) {
      while (cursor.next() && cursor.isWhole()) messages.push(current(cursor));
    }
    ring.close();
    return { messages, unreadable: cursor.unreadable };
  };
  const { seq } = bad;
  const expected = `${run(low, seq - 1n)},[${seq}-${seq}],${run(seq + 1n, high)}`;
  assert.equal(order(read(new Resync())), expected);
  assert.throws(
    () => read(null),
    (error) => PlasmiteError.is(error, ErrorKind.Corrupt) && error.seq === seq,
  );
});
