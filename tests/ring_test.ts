/**
 * The ring and the cursor beside the reference's writer: mixed files, what a killed writer of the
 * reference leaves (pool-format.md 5.1), reading while it overwrites, and the worked example.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { ErrorKind, PlasmiteError } from "../lib/errors.ts";
import { FrameBatch } from "../lib/pool/batch.ts";
import { checkRing } from "../lib/pool/check.ts";
import { BUSY, Cursor } from "../lib/pool/cursor.ts";
import { automaticCapacity, planLayout } from "../lib/pool/layout.ts";
import { Ring } from "../lib/pool/ring.ts";
import { MemoryStorage } from "../lib/storage/memory.ts";
import {
  append,
  assertHealthy,
  assertMessages,
  batchOf,
  current,
  drain,
  get,
  hooked,
  mapped,
  newRing,
  payload,
  POOL,
  type Read,
  readAll,
  same,
  SCALE,
} from "./support/rings.ts";
import { mapBytes, type Phase, refAppend, refAppendAll } from "./support/ref_writer.ts";
import { specCheck } from "./support/spec_checker.ts";

const hex = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

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
    assert.throws(() => Ring.open(storage, POOL, { write: false }), check);
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
      () => Ring.open(storage, POOL, { write: false }),
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
        const reader = Ring.open(damaged, POOL, { write: false });
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
        create: () => {},
        remove: () => {},
      },
      POOL,
      { write: false },
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
    const reader = Ring.open(storage, POOL, { write: true });
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
  const end = Ring.open(storage, POOL, { write: true });
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
  const url = new URL("./data/lite3-vectors.json", import.meta.url);
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
  Ring.create(storage, POOL, { size: 5248, indexCapacity: 4 });
  const ring = Ring.open(storage, POOL, { write: true });
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
  assert.equal(await sha256(file), EXAMPLE);
  // And our reference writer is right about it, too.
  const empty = new MemoryStorage();
  Ring.create(empty, POOL, { size: 5248, indexCapacity: 4 });
  const map = mapped(empty);
  refAppendAll(map, simple, FIRST_NS);
  refAppendAll(map, minimal, SECOND_NS);
  assert.equal(await sha256(empty.bytes(POOL)), EXAMPLE);
});

Deno.test("the third message of section 12: the reference fills the ring, we empty it first", () => {
  const storage = new MemoryStorage();
  Ring.create(storage, POOL, { size: 5248, indexCapacity: 4 });
  const ring = Ring.open(storage, POOL, { write: true });
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
  const again = Ring.open(advanced, POOL, { write: true });
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
    { numRuns: 300 * SCALE },
  );
  for (const [what, count] of Object.entries(met)) assert(count > 0, `the shape was met: ${what}`);
});

Deno.test("D1, D2: a message behind padding is read, and the tail leaves the padding", () => {
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
  const reopened = Ring.open(storage, POOL, { write: true });
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
    const reopened = Ring.open(storage, POOL, { write: true });
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
        const mended = Ring.open(left, POOL, { write: true });
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
    const mended = Ring.open(left, POOL, { write: true });
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
      (C, slots, seed, piece, mixed) => {
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
        const ring = Ring.open(storageSeen, POOL, { write: false });
        const cursor = new Cursor(ring, 1n);
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
  const script = new URL("./support/other_processor.ts", import.meta.url);
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

for (let stores = 1; stores <= 4; stores++) {
  Deno.test(`no torn copy when the reference sleeps after ${stores} of its 5 state fields`, () => {
    const { storage } = newRing(1200);
    const map = mapped(storage);
    for (let i = 1; i <= 3; i++) refAppendAll(map, payload(i, 400), 1n);
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
          for (let published = 0; published < stores;) {
            if (appending.next().value === "publish") published++;
          }
        },
      }),
      POOL,
      { write: false },
    );
    const cursor = new Cursor(ring, 2n);
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

Deno.test("no torn copy when the reference writes behind a wrap, far from the tail", () => {
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
    { write: false },
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
      const known = new Map<bigint, Uint8Array>();
      for (let i = 1; i <= 6 + more; i++) {
        const bytes = payload(i, 60 + 31 * i % 200);
        known.set(append(ring, bytes), bytes);
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
      let open: Ring;
      try {
        open = Ring.open(left, POOL, { write: true });
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
            const expected = known.get(m.seq);
            // A zeroed checksum is nobody's guarantee; everything else is.
            if (expected === undefined || !same(m.payload, expected)) {
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
          known.set(append(open, bytes), bytes);
        } catch (error) {
          expectError(error);
        }
        look();
      }
      seen[damaged ? "damaged" : "whole"]++;
    }),
    { numRuns: 600 * SCALE },
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

Deno.test("a half-stored state block: Busy while its writer holds the lock, damage without one", () => {
  const { storage, ring } = newRing(2000, 4);
  append(ring, payload(1, 50), payload(2, 50));
  const good = storage.bytes(POOL).slice(64, 104);
  const reader = Ring.open(storage, POOL, { write: false });
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
          const reader = Ring.open(left, POOL, { write: true });
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
