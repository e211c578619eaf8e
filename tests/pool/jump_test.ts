/**
 * Finding a message far from the tail by guessing. A wrong place would hand out somebody's bytes as
 * another message: whoever may append could forge the history. So whatever the search finds is where
 * the walk from the tail finds it, in sound pools, in damaged ones, and in pools whose messages are
 * full of frames.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { FIELD, putFrameHeader, putMarker } from "../../lib/pool/frame.ts";
import type { State } from "../../lib/pool/header.ts";
import { farSearch } from "../../lib/pool/jump.ts";
import { COMMITTED, FRAME_HEADER, frameLength, MARKER_SIZE, WRAP } from "../../lib/pool/layout.ts";
import { Ring } from "../../lib/pool/ring.ts";
import { openToAppend } from "../../lib/pool/mending.ts";
import type { MemoryStorage } from "../support/memory.ts";
import { type Phase, refAppend, refAppendAll } from "../support/ref_writer.ts";
import { append, get, hooked, mapped, newRing, payload, POOL, SCALE } from "../support/rings.ts";
import { specCheck } from "../support/spec_checker.ts";

/** A frame inside a payload. Sizes are in units of 8 bytes. */
interface Forgery {
  /** Where it begins in the payload. */
  readonly at: number;
  /** How long its payload is; null: it ends where the real frame ends. */
  readonly length: number | null;
  /** Its number, counted from the real one. */
  readonly seq: number;
  readonly isWrap: boolean;
  /** Whether its header contradicts itself. */
  readonly isBroken?: boolean;
}

/** A message to append. */
interface Turn {
  readonly ours: boolean;
  /** Length of its payload, in units of 8 bytes. */
  readonly units: number;
  readonly forged: readonly Forgery[];
}

/** The bytes of a payload of message `seq`, with its forged frames. */
function bytesOf({ units, forged }: Turn, seq: number): Uint8Array<ArrayBuffer> {
  const bytes = payload(seq, 8 * units);
  const view = new DataView(bytes.buffer);
  for (const { at, length, seq: by, isBroken, isWrap } of forged) {
    const from = 8 * at;
    if (from + FRAME_HEADER > bytes.length) continue;
    const size = length === null ? bytes.length - from - FRAME_HEADER : 8 * length;
    putFrameHeader(view, from, size, 1, 0, 0);
    view.setUint32(from + FIELD.state, isWrap ? WRAP : COMMITTED, true);
    view.setBigUint64(from + FIELD.seq, BigInt(Math.max(1, seq + by)), true);
    if (isBroken === true) view.setUint32(from + FIELD.payloadXor, 0, true);
    const marker = from + FRAME_HEADER + size;
    if (marker + MARKER_SIZE <= bytes.length) putMarker(view, marker);
  }
  return bytes;
}

/** Consecutive frames that end with the real one, under its number: indistinguishable behind it. */
const forgedChain = fc.record({
  units: fc.integer({ min: 40, max: 160 }),
  count: fc.integer({ min: 1, max: 5 }),
})
  .map(({ units, count }): Turn => {
    const each = Math.floor((units - 8) / count);
    const forged = Array.from({ length: count }, (_, i): Forgery => ({
      at: 8 + i * each,
      length: i === count - 1 ? null : each - 9,
      seq: i - count + 1,
      isWrap: false,
    }));
    return { ours: false, units, forged };
  });

const forgery = fc.record({
  at: fc.nat(60),
  length: fc.oneof(fc.constant(null), fc.nat(60)),
  seq: fc.integer({ min: -8, max: 8 }),
  isWrap: fc.boolean(),
});
const anyTurn = fc.oneof(
  {
    weight: 60,
    arbitrary: fc.record({ ours: fc.boolean(), units: fc.nat(30), forged: fc.constant([]) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      ours: fc.boolean(),
      units: fc.nat(90),
      forged: fc.array(forgery, { maxLength: 3 }),
    }),
  },
  { weight: 1, arbitrary: forgedChain },
);
const plainTurn = fc.record({ ours: fc.boolean(), units: fc.nat(40), forged: fc.constant([]) });

/** Frames that go from the middle of each message to the middle of the next: a chain of its own. */
const parallel = fc.record({
  units: fc.integer({ min: 20, max: 40 }),
  count: fc.integer({ min: 3, max: 60 }),
})
  .map(({ units, count }): Turn[] => {
    const at = 9;
    // From here over the rest, the real marker and the next header to just before the same place.
    const length = units + 9 - 9;
    const forged: Forgery[] = [{ at, length, seq: 0, isWrap: false }];
    return Array.from({ length: count }, () => ({ ours: false, units, forged }));
  });

/** A message with a chain of frames under numbers that are still to come. */
const early = fc.record({
  before: fc.integer({ min: 1, max: 6 }),
  count: fc.integer({ min: 1, max: 4 }),
  ahead: fc.integer({ min: 1, max: 6 }),
  after: fc.integer({ min: 10, max: 60 }),
  units: fc.integer({ min: 4, max: 20 }),
}).map(({ before, count, ahead, after, units }): Turn[] => {
  const plain: Turn = { ours: false, units, forged: [] };
  const forged = Array.from({ length: count }, (_, i): Forgery => ({
    at: 8 + 25 * i,
    length: i === count - 1 ? null : 16,
    seq: ahead + i,
    isWrap: false,
  }));
  const chain: Turn = { ours: false, units: 8 + 25 * count, forged };
  return [...Array<Turn>(before).fill(plain), chain, ...Array<Turn>(after).fill(plain)];
});

interface Made {
  readonly storage: MemoryStorage;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Ring offsets of the live messages. */
  readonly places: ReadonlyMap<bigint, number>;
  /** The longest frame ever written. */
  readonly longest: number;
}

function make(ringSize: number, turns: readonly Turn[]): Made {
  const { storage, ring } = newRing(ringSize);
  let longest = 0;
  for (const [i, turn] of turns.entries()) {
    const bytes = bytesOf(turn, i + 1);
    if (frameLength(bytes.length) > ringSize) continue;
    longest = Math.max(longest, frameLength(bytes.length));
    if (turn.ours) append(ring, bytes);
    else refAppendAll(mapped(storage), bytes, 1n);
  }
  ring.close();
  const bytes = storage.bytes(POOL);
  const places = new Map(specCheck(bytes, false).messages.map(({ seq, at }) => [seq, at]));
  return { storage, bytes, places, longest };
}

/** What the search finds for `seq`: a ring offset, or -1. */
function search(
  ring: Ring,
  seq: bigint,
  largest: number,
  unit = 512,
  state: State = ring.state(),
): number {
  const sizes = {
    worth: 0,
    guess: unit,
    guessMost: 1 << 16,
    window: unit,
    step: 4 * unit,
    largest: () => largest,
  };
  const jump = farSearch(sizes)(ring, state, seq);
  if (jump === null) return -1; // It was overwritten before the search began.
  for (let steps = 0;; steps++) {
    const place = jump.step();
    if (place !== null) return place;
    assert(steps < 10_000, "the search ends");
  }
}

const rings = fc.constantFrom(4096, 16384, 65536);

Deno.test("far search: in a sound pool it finds every message, where the walk finds it", () => {
  let found = 0;
  let all = 0;
  fc.assert(
    fc.property(
      rings,
      fc.array(plainTurn, { minLength: 1, maxLength: 150 }),
      fc.constantFrom(64, 512, 4096),
      (ringSize, turns, unit) => {
        const { storage, places, longest } = make(ringSize, turns);
        const ring = Ring.open(storage, POOL);
        for (const [seq, at] of places) {
          const place = search(ring, seq, longest, unit);
          if (place >= 0) assert.equal(place, at, `message ${seq}`);
          all++;
          if (place >= 0) found++;
        }
        ring.close();
      },
    ),
    { numRuns: Math.ceil(100 * SCALE) },
  );
  // Where dead bytes or a wrap marker are near, it may leave a message to the walk.
  assert(found > 0.8 * all, `${found} of ${all}`);
});

/** Flips bits of the ring. */
const damage = fc.array(
  fc.tuple(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), fc.nat(7)),
  { maxLength: 4 },
);

Deno.test("far search: a frame inside a message is never taken for another, damage or not", () => {
  let found = 0;
  let refused = 0;
  const turns = fc.oneof(
    { weight: 5, arbitrary: fc.array(anyTurn, { minLength: 1, maxLength: 120 }) },
    { weight: 1, arbitrary: parallel },
    { weight: 1, arbitrary: early },
  );
  fc.assert(
    fc.property(rings, turns, damage, fc.boolean(), (ringSize, turns, flips, tight) => {
      const { storage, bytes, places, longest } = make(ringSize, turns);
      for (const [where, bit] of flips) {
        const at = bytes.length - ringSize + Math.floor(where * ringSize);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
      }
      storage.put(POOL, bytes);
      const ring = Ring.open(storage, POOL);
      // Only what reaches behind the largest possible frame shows that a header is damaged: a search
      // of no more than the largest one there is meets no other frame before it.
      const largest = tight && flips.length === 0 ? longest : ringSize;
      for (const [seq, at] of places) {
        const place = search(ring, seq, largest);
        if (place >= 0) assert.equal(place, at, `message ${seq}`);
        if (place >= 0) found++;
        else refused++;
      }
      ring.close();
    }),
    { numRuns: Math.ceil(600 * SCALE) },
  );
  assert(found > 150 && refused > 150, `${found} found, ${refused} refused`);
});

Deno.test("far search: a header that is damaged does not make room for the frame inside", () => {
  const plain: Turn = { ours: true, units: 20, forged: [] };
  const chain: Turn = {
    ours: false,
    units: 90,
    forged: [
      { at: 8, length: 20, seq: -1, isWrap: false },
      { at: 8 + 20 + 9, length: null, seq: 0, isWrap: false },
    ],
  };
  const turns = [...Array<Turn>(30).fill(plain), chain, ...Array<Turn>(10).fill(plain)];
  const { storage, bytes, places, longest } = make(65536, turns);
  const at = places.get(31n) ?? -1;
  const ringAt = bytes.length - 65536;
  for (const offset of [0, FIELD.state, FIELD.payloadLength, FIELD.payloadXor, FIELD.seq]) {
    const spoilt = bytes.slice();
    spoilt[ringAt + at + offset] = (spoilt[ringAt + at + offset] ?? 0) ^ 4;
    storage.put(POOL, spoilt);
    const ring = Ring.open(storage, POOL);
    for (const largest of [longest, 65536]) {
      for (const seq of [30n, 31n]) {
        const place = search(ring, seq, largest);
        assert(place === -1 || (seq === 30n && place === places.get(30n)), `${offset}: ${place}`);
      }
    }
    ring.close();
  }
});

/** Runs a search during whose `read`th read a writer of the reference stores a message. */
function overtaken(
  made: Made,
  seq: bigint,
  writer: { read: number; units: number; phase: Phase | null },
  sizes: { largest: number; unit: number },
): number {
  made.storage.put(POOL, made.bytes.slice());
  let reads = -1;
  const watched = hooked(made.storage, {
    onRead: () => {
      if (reads < 0 || reads++ !== writer.read) return;
      reads = -1;
      const writing = refAppend(mapped(made.storage), payload(999, 8 * writer.units), 1n);
      for (let step = writing.next(); !step.done; step = writing.next()) {
        if (step.value === writer.phase) return;
      }
    },
  });
  const ring = Ring.open(watched, POOL);
  reads = 0;
  const place = search(ring, seq, sizes.largest, sizes.unit);
  ring.close();
  return place;
}

Deno.test("far search: what a writer overwrites meanwhile is not taken", () => {
  // The header of a message goes, and the frames inside it claim numbers that are still there.
  let found = 0;
  for (const before of [1, 2, 3]) {
    for (const units of [8, 14, 20]) {
      for (const ahead of [1, 2, 3]) {
        const plain: Turn = { ours: false, units, forged: [] };
        const forged: Forgery[] = [
          { at: 8, length: 8, seq: ahead - 1, isWrap: false },
          { at: 8 + 17, length: 8, seq: ahead, isWrap: false },
          { at: 8 + 34, length: null, seq: ahead + 1, isWrap: false },
        ];
        const chain: Turn = { ours: false, units: 8 + 51, forged };
        const rest = Array<Turn>(40).fill(plain);
        // Only so many that none has been dropped yet.
        const room = 8192 - before * (8 * units + 72) - (8 * chain.units + 72);
        const after = Math.floor(room / (8 * units + 72));
        const made = make(8192, [
          ...Array<Turn>(before).fill(plain),
          chain,
          ...rest.slice(0, after),
        ]);
        for (let read = 0; read < 10; read++) {
          for (const phase of ["writing", "commit", null] as const) {
            for (const unit of [128, 512]) {
              for (const more of [0, 1, 2]) {
                const seq = BigInt(before + 1 + ahead + more);
                const writer = { read, units: chain.units, phase };
                const place = overtaken(made, seq, writer, { largest: made.longest, unit });
                if (place < 0) continue;
                assert.equal(place, made.places.get(seq), `message ${seq}`);
                found++;
              }
            }
          }
        }
      }
    }
  }
  assert(found > 100, `${found} found`);
});

Deno.test("far search: a dead frame behind a wrap marker is not taken for a live one", () => {
  // A writer that was killed left message 8 at the end of the ring; then it was stored at offset 0.
  const { storage, ring } = newRing(4096);
  for (let i = 1; i <= 7; i++) append(ring, payload(i, 400));
  ring.close();
  const turn: Turn = { ours: false, units: 40, forged: [] };
  const map = mapped(storage);
  const writing = refAppend(map, bytesOf(turn, 8), 1n);
  for (let step = writing.next(); !step.done && step.value !== "commit";) step = writing.next();
  const dead = storage.bytes(POOL).slice();
  refAppendAll(map, payload(8, 800), 1n);
  const bytes = storage.bytes(POOL);
  const places = specCheck(bytes, false).messages;
  assert.equal(places.find(({ seq }) => seq === 8n)?.at, 0, "it wrapped");
  // What was left behind the wrap marker may be whole.
  const head = Number(new DataView(dead.buffer).getBigUint64(64, true));
  const view = new DataView(bytes.buffer);
  assert.equal(view.getUint32(4096 + head + FIELD.state, true), WRAP);
  const frame = dead.slice(4096 + head, 4096 + head + frameLength(320));
  let tried = 0;
  for (let at = head + FRAME_HEADER; at + frame.length <= 4096; at += 8) {
    const next = bytes.slice();
    next.set(frame, 4096 + at);
    storage.put(POOL, next);
    const reader = Ring.open(storage, POOL);
    for (const { seq, at: place } of places) {
      for (const largest of [frameLength(800), 4096]) {
        const got = search(reader, seq, largest, 128);
        tried++;
        assert(got === -1 || got === place, `message ${seq} at ${got}`);
      }
    }
    reader.close();
  }
  assert(tried > 100);
});

Deno.test("far search: a reader delivers the same messages with it and without it", () => {
  const before = Ring.findFar;
  const turns = fc.array(anyTurn, { minLength: 1, maxLength: 80 });
  try {
    fc.assert(
      fc.property(rings, turns, (ringSize, turns) => {
        const { storage, places, longest } = make(ringSize, turns);
        const ring = openToAppend(storage, POOL);
        for (const seq of places.keys()) {
          Ring.findFar = null;
          const walked = get(ring, seq);
          Ring.findFar = farSearch({
            worth: 0,
            guess: 512,
            guessMost: 1 << 16,
            window: 512,
            step: 512,
            largest: () => longest,
          });
          assert.deepEqual(get(ring, seq), walked);
          assert(walked !== null);
        }
        ring.close();
      }),
      { numRuns: Math.ceil(60 * SCALE) },
    );
  } finally {
    Ring.findFar = before;
  }
});

// ---- what each check decides by itself ----------------------------------------------------------

const PLAIN: Turn = { ours: false, units: 20, forged: [] };

/** A message whose last frame inside has its own number, so that it is found by itself. */
const FORGED: Turn = {
  ours: false,
  units: 90,
  forged: [
    { at: 8, length: 20, seq: -1, isWrap: false },
    { at: 8 + 20 + 9, length: null, seq: 0, isWrap: false },
  ],
};

Deno.test("far search: what would go beyond the newest message is no frame", () => {
  const long: Turn = {
    ours: false,
    units: 30,
    forged: [{ at: 9, length: 2500, seq: 1, isWrap: false }],
  };
  const turns = [...Array<Turn>(20).fill(PLAIN), long, ...Array<Turn>(20).fill(PLAIN)];
  const { storage, places, longest } = make(65536, turns);
  const ring = Ring.open(storage, POOL);
  for (const seq of [20n, 21n, 22n, 23n, 40n]) {
    assert.equal(search(ring, seq, longest), places.get(seq), `message ${seq}`);
  }
  ring.close();
});

Deno.test("far search: a header across the end of a window is seen", () => {
  const before: Turn = { ours: false, units: 80, forged: [] };
  for (let after = 10; after <= 30; after++) {
    const turns = [
      ...Array<Turn>(20).fill(PLAIN),
      before,
      FORGED,
      ...Array<Turn>(after).fill(PLAIN),
    ];
    const { storage, places, longest } = make(65536, turns);
    const ring = Ring.open(storage, POOL);
    for (let unit = 72; unit <= 800; unit += 8) {
      const place = search(ring, 22n, longest, unit);
      assert(place === -1 || place === places.get(22n), `at ${place}, ${unit} bytes at once`);
    }
    ring.close();
  }
});

Deno.test("far search: behind the turn, the first message begins at offset 0", () => {
  const turns = [...Array<Turn>(34).fill(PLAIN), FORGED, ...Array<Turn>(8).fill(PLAIN)];
  const { storage, bytes, places } = make(8192, turns);
  assert.equal(places.get(35n), 0);
  const spoilt = bytes.slice();
  spoilt[bytes.length - 8192] = 0;
  storage.put(POOL, spoilt);
  const ring = Ring.open(storage, POOL);
  for (const unit of [128, 512, 4096]) {
    for (const seq of [34n, 35n, 36n]) {
      const place = search(ring, seq, 8192, unit);
      assert(place === -1 || place === places.get(seq), `message ${seq} at ${place}`);
    }
  }
  ring.close();
});

Deno.test("far search: with an age limit, the first message begins where the live ones do", () => {
  const tried = (tenth: Turn, spoil: (view: DataView, tail: number, next: number) => void) => {
    const turns = [...Array<Turn>(9).fill(PLAIN), tenth, ...Array<Turn>(30).fill(PLAIN)];
    const { storage, bytes, places } = make(65536, turns);
    const tail = places.get(10n) ?? -1;
    const tailNext = places.get(11n) ?? -1;
    spoil(new DataView(bytes.buffer, bytes.length - 65536), tail, tailNext);
    storage.put(POOL, bytes);
    const ring = Ring.open(storage, POOL);
    const state = { ...ring.state(), oldest: 10n, tail, tailNext };
    for (const unit of [128, 512, 4096]) {
      for (let seq = 10n; seq <= 40n; seq++) {
        const place = search(ring, seq, 65536, unit, state);
        assert(place === -1 || place === places.get(seq), `message ${seq} at ${place}`);
      }
    }
    ring.close();
  };

  tried(FORGED, (view, tail) => view.setUint32(tail, 0, true));
  // Two headers that are damaged in the same way.
  tried(PLAIN, (view, tail, next) => {
    view.setBigUint64(tail + FIELD.seq, 14n, true);
    view.setBigUint64(next + FIELD.seq, 15n, true);
  });
});

Deno.test("far search: dead frames in a row behind a wrap marker are not taken for live ones", () => {
  // A killed writer of several messages leaves them; the first one's header goes with the marker.
  const { storage, ring } = newRing(4096);
  for (let i = 1; i <= 7; i++) append(ring, payload(i, 400));
  const end = 7 * frameLength(400);
  append(ring, payload(8, 800));
  ring.close();
  const small = frameLength(40);
  for (let seq = 9n; seq < 16n; seq++) {
    refAppendAll(mapped(storage), payload(Number(seq), 40), 1n);
    const bytes = storage.bytes(POOL);
    const view = new DataView(bytes.buffer, 4096);
    assert.equal(view.getUint32(end + FIELD.state, true), WRAP);
    const places = new Map(specCheck(bytes, false).messages.map(({ seq, at }) => [seq, at]));
    for (let at = end + FRAME_HEADER; at + 2 * small <= 4096; at += 8) {
      const next = bytes.slice();
      const dead = new DataView(next.buffer, 4096);
      for (const [i, number] of [8n, 9n].entries()) {
        const header = at + i * small;
        putFrameHeader(dead, header, 40, 1, 0, 0);
        dead.setUint32(header + FIELD.state, COMMITTED, true);
        dead.setBigUint64(header + FIELD.seq, number, true);
        putMarker(dead, header + FRAME_HEADER + 40);
      }
      storage.put(POOL, next);
      const reader = Ring.open(storage, POOL);
      for (const unit of [128, 512]) {
        const place = search(reader, 9n, frameLength(800), unit);
        assert(place === -1 || place === places.get(9n), `message 9 at ${place}`);
      }
      reader.close();
    }
    storage.put(POOL, bytes);
  }
});

/** Lets a writer of the reference make so many steps after the state was read, then searches. */
function besideWriter(
  made: Made,
  bytes: Uint8Array<ArrayBuffer>,
  steps: number,
  seq: bigint,
  largest: number,
): number {
  made.storage.put(POOL, made.bytes.slice());
  const ring = Ring.open(made.storage, POOL);
  const state = ring.state();
  const writing = refAppend(mapped(made.storage), bytes, 1n);
  for (let i = 0; i < steps; i++) writing.next();
  const place = search(ring, seq, largest, 4096, state);
  ring.close();
  return place;
}

/** Puts a frame header into a payload. */
function imitate(view: DataView, at: number, seq: bigint, length: number): void {
  putFrameHeader(view, at, length, 1, 0, 0);
  view.setUint32(at + FIELD.state, COMMITTED, true);
  view.setBigUint64(at + FIELD.seq, seq, true);
}

/**
 * A pool with room for a header between the newest and the oldest message, and a message that would
 * overwrite the oldest ones, with the oldest as it is and then others.
 */
function imitation() {
  const turns = [...Array<Turn>(35).fill(PLAIN), { ...PLAIN, units: 5 }];
  const made = make(8192, turns);
  const [head, tail] = [frameLength(40), frameLength(160)];
  assert.equal(made.places.get(36n), 0);
  assert.equal(made.places.get(2n), tail);
  const bytes = payload(999, 1400);
  const view = new DataView(bytes.buffer);
  let at = tail - head - FRAME_HEADER;
  for (const [seq, length] of [[2n, 160], [3n, 240], [4n, 240], [5n, 160]] as const) {
    imitate(view, at, seq, length);
    at += frameLength(length);
  }
  return { made, bytes, head, tail, largest: frameLength(bytes.length) };
}

Deno.test("far search: a message that is being written may hold the oldest ones once more", () => {
  const { made, bytes, largest } = imitation();
  assert.equal(besideWriter(made, bytes, 0, 5n, largest), made.places.get(5n));
  for (const steps of [2, 3, 4]) {
    assert.equal(besideWriter(made, bytes, steps, 5n, largest), -1, `${steps} steps`);
  }
});

Deno.test("far search: a reader that slept while others went around the ring takes nothing", () => {
  const { made, bytes, head, tail, largest } = imitation();
  const map = mapped(made.storage);
  const last = payload(999, 400);
  imitate(new DataView(last.buffer), tail - FRAME_HEADER, 2n, 160);
  const writing = refAppend(map, bytes, 1n);
  let slept = false;
  const watched = hooked(made.storage, {
    onRead: (at, length) => {
      // It has read the state, and now looks who is writing.
      if (slept || at !== 4096 + head || length !== FRAME_HEADER) return;
      slept = true;
      for (let step = writing.next(); step.done !== true;) step = writing.next();
      const end = (): bigint => new DataView(map.read(64, 8).buffer).getBigUint64(0, true);
      while (end() < 8192n - 472n) refAppendAll(map, payload(1000, 160), 1n);
      refAppendAll(map, last, 1n);
      refAppendAll(map, last, 1n);
    },
  });
  const ring = Ring.open(watched, POOL);
  const state = ring.state();
  for (let i = 0; i < 3; i++) writing.next();
  assert.equal(search(ring, 5n, largest, 4096, state), -1);
  assert(slept);
  const stored = new DataView(map.read(4096 + tail, FRAME_HEADER).buffer);
  assert.equal(stored.getBigUint64(FIELD.seq, true), 2n, "the last message is there");
  ring.close();
});

Deno.test("far search: a message of which only the head is published has overwritten others", () => {
  const inside = 94;
  const long: Turn = {
    ours: false,
    units: 120,
    forged: [
      { at: inside - 29, length: 20, seq: -1, isWrap: false },
      { at: inside, length: null, seq: 0, isWrap: false },
    ],
  };
  const small: Turn = { ...PLAIN, units: 5 };
  const made = make(8192, [PLAIN, PLAIN, long, ...Array<Turn>(28).fill(PLAIN), small, small]);
  const { places, longest } = made;
  const [head, tail, from] = [frameLength(40), frameLength(160), 2 * frameLength(160)];
  assert.equal(places.get(33n), 0);
  assert.equal(places.get(2n), tail);
  assert.equal(places.get(3n), from);
  assert(
    from + FRAME_HEADER + 8 * inside - longest > tail,
    "the search does not begin at the tail",
  );
  // It ends behind the header of the third message and before the frames inside.
  const bytes = payload(999, from + FRAME_HEADER - head);
  assert.equal(besideWriter(made, bytes, 0, 3n, longest), from);
  for (let steps = 1; steps <= 9; steps++) {
    assert.equal(besideWriter(made, bytes, steps, 3n, longest), -1, `${steps} steps`);
  }
});

// Lost: the speed of the search, for a whole pool, to whoever stores a few of these.
Deno.test("far search: what only looks like the beginning of a frame hides no message", () => {
  const forge = (one: Partial<Forgery>): Turn => ({
    ...PLAIN,
    forged: [{ at: 9, length: 2, seq: 0, isWrap: false, ...one }],
  });
  const kinds: Readonly<Record<string, Turn>> = {
    "a header that contradicts itself": forge({ isBroken: true }),
    "a wrap marker that contradicts itself": forge({ isBroken: true, isWrap: true }),
    "a wrap marker": forge({ isWrap: true }),
    "a number that was not given yet": forge({ seq: 1000 }),
    "a number of a message that is gone": forge({ seq: -1000 }),
    "a frame beyond the ring": forge({ length: 20_000 }),
  };
  for (const [kind, turn] of Object.entries(kinds)) {
    const { storage, places, longest } = make(16_384, Array<Turn>(100).fill(turn));
    const ring = Ring.open(storage, POOL);
    const { tail } = ring.state();
    let last = 0;
    for (const at of places.values()) last = Math.max(last, at);
    for (const [seq, at] of places) {
      if (at === 0) continue; // Nothing before it says which number it has.
      // Near the end of the ring, such a marker may be the real one.
      if (kind === "a wrap marker" && at >= tail && at > last - longest) continue;
      assert.equal(search(ring, seq, longest), at, `${kind}: message ${seq}`);
    }
    ring.close();
  }
});

/** Does something while the search looks at the state for the last time, then lets it go on. */
function disturbed(made: Made, seq: bigint, work: () => void): number {
  made.storage.put(POOL, made.bytes.slice());
  let looks = -1;
  const watched = hooked(made.storage, {
    onRead: (at) => {
      // The first look at the state is before the search.
      if (at !== 64 || looks < 0 || looks++ !== 0) return;
      looks = -1;
      work();
    },
  });
  const ring = Ring.open(watched, POOL);
  const state = ring.state();
  looks = 0;
  const place = search(ring, seq, made.longest, 4096, state);
  assert.equal(looks, -1, "the search looked at the state");
  ring.close();
  return place;
}

Deno.test("far search: what is gone at its end is not taken, however far the others are", () => {
  const made = make(8192, Array<Turn>(40).fill(PLAIN));
  const first = [...made.places.keys()][0] ?? 0n;
  const seq = first + 20n;
  assert.equal(disturbed(made, seq, () => {}), made.places.get(seq));
  let tried = 0;
  for (let more = 20; more <= 120; more++) {
    const place = disturbed(made, seq, () => {
      const map = mapped(made.storage);
      for (let i = 0; i < more; i++) refAppendAll(map, payload(i, 160), 1n);
      if (Ring.open(made.storage, POOL).state().oldest > seq) tried++;
    });
    const isThere = specCheck(made.storage.bytes(POOL), false).messages.some((one) =>
      one.seq === seq
    );
    assert(place === -1 || isThere, `${more} later ones`);
  }
  assert(tried > 80, `${tried}`);
});

Deno.test("far search: in a file that is cut short meanwhile, nothing is proved", () => {
  const made = make(65_536, Array<Turn>(250).fill(PLAIN));
  const seq = 200n;
  const at = made.places.get(seq) ?? -1;
  const ringAt = made.bytes.length - 65_536;
  for (const end of [at - 4096, at - 256, at + 8]) {
    let isCut = false;
    const whole = hooked(made.storage, {});
    const ring = Ring.open({
      open: (path, options) => {
        const file = whole.open(path, options);
        const readAt = (into: Uint8Array, from: number): number => {
          // The search has found the message when it begins to prove it.
          isCut ||= from < ringAt + at - 4096 && from > ringAt;
          const got = file.readAt(into, from);
          return isCut ? Math.max(0, Math.min(got, ringAt + end - from)) : got;
        };
        return { ...file, readAt };
      },
      remove: (path) => whole.remove(path),
    }, POOL);
    assert.equal(search(ring, seq, 8192, 4096), -1, `cut at ${end}`);
    ring.close();
  }
});
