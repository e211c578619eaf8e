/**
 * The ring against a plain model in memory: generated sizes, batches, reads, cursors and crashes.
 *
 * The model places frames by the pseudo-code of docs/spec/format.md 5.2, so after every operation
 * the whole state block is compared, not only what can be read.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { createRing } from "../../lib/pool/creation.ts";
import { openToAppend } from "../../lib/pool/mending.ts";
import { Cursor } from "../../lib/pool/cursor.ts";
import { automaticCapacity } from "../../lib/pool/layout.ts";
import type { WritableRing } from "../../lib/pool/writable_ring.ts";
import { Killed, MemoryStorage } from "../support/memory.ts";
import { specCheck } from "../support/spec_checker.ts";
import {
  append,
  assertHealthy,
  assertMessages,
  batchOf,
  current,
  drain,
  get,
  payload,
  POOL,
  type Read,
  SCALE,
} from "../support/rings.ts";

interface Item extends Read {
  readonly at: number;
  readonly length: number;
}

const align8 = (n: number): number => Math.ceil(n / 8) * 8;

/** What the pool must look like. */
class Model {
  items: Item[] = [];
  head = 0;
  newest = 0n;

  constructor(readonly C: number) {}

  copy(): Model {
    const copy = new Model(this.C);
    copy.items = [...this.items];
    copy.head = this.head;
    copy.newest = this.newest;
    return copy;
  }

  get oldest(): bigint {
    return this.items[0]?.seq ?? 0n;
  }

  fits(size: number): boolean {
    return size <= Math.max(0, this.C - 72) && align8(72 + size) <= this.C;
  }

  #free(t: number): number {
    if (this.items.length === 0) return this.C;
    return this.head === t ? 0 : this.head > t ? this.C - (this.head - t) : t - this.head;
  }

  /** docs/spec/format.md 5.2: drops what must go, places one frame. */
  append(bytes: Uint8Array): void {
    const { C, head: h } = this;
    const L = align8(72 + bytes.length);
    const avoidable = 0 < C - h - L && C - h - L < 64 && !(0 < C - L && C - L < 64);
    const wrap = C - h < L || avoidable;
    const need = !wrap ? L : C - h < L ? L + Math.min(C - h, 64) : L + 64;
    const f = wrap ? 0 : h;
    const next = f + L === C ? 0 : f + L;
    for (let t = this.items[0]?.at; t !== undefined; t = this.items[0]?.at) {
      if (this.#free(t) >= need && !(wrap && t < L) && next !== t) break;
      this.items.shift();
    }
    this.newest++;
    this.items.push({ seq: this.newest, payload: bytes, at: f, length: L });
    this.head = next;
  }

  /** Forgets the messages before `oldest`, as an append that died on its way would. */
  dropTo(oldest: bigint): void {
    this.items = oldest === 0n ? [] : this.items.filter((item) => item.seq >= oldest);
  }

  compare(storage: MemoryStorage): void {
    const { state } = specCheck(storage.bytes(POOL));
    const tail = this.items[0];
    assert.deepEqual(state, {
      head: this.head,
      tail: tail?.at ?? this.head,
      tailNext: tail === undefined
        ? this.head
        : tail.at + tail.length === this.C
        ? 0
        : tail.at + tail.length,
      oldest: this.oldest,
      newest: this.newest,
    });
  }
}

type Step =
  | { readonly kind: "append"; readonly sizes: readonly number[] }
  | { readonly kind: "crash"; readonly sizes: readonly number[]; after: number; torn: number }
  | { readonly kind: "get"; readonly back: number }
  | { readonly kind: "cursor"; readonly back: number }
  | { readonly kind: "follow"; readonly which: number; readonly turns: number }
  | { readonly kind: "reopen" };

/** Payload sizes as a share of the largest: many small, some as large as the ring. */
const share = fc.oneof(
  { weight: 6, arbitrary: fc.double({ min: 0, max: 0.2, noNaN: true }) },
  { weight: 3, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) },
  { weight: 2, arbitrary: fc.double({ min: 0.85, max: 1, noNaN: true }) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 1.01) },
);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("append" as const),
      sizes: fc.array(share, { minLength: 1, maxLength: 8 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("crash" as const),
      sizes: fc.array(share, { minLength: 1, maxLength: 4 }),
      after: fc.nat(7),
      torn: fc.nat(4000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("get" as const),
      back: fc.integer({ min: -2, max: 60 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("cursor" as const),
      back: fc.integer({ min: -3, max: 60 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("follow" as const),
      which: fc.nat(5),
      turns: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reopen" as const) }) },
);

/** Rings from too small for anything over the least useful size up; any remainder modulo 8. */
const ringSize = fc.oneof(
  fc.integer({ min: 1, max: 200 }),
  fc.integer({ min: 201, max: 700 }),
  fc.integer({ min: 480, max: 3000 }),
  fc.integer({ min: 3000, max: 12000 }),
);

const capacity = fc.constantFrom(0, 1, 7, 32, "auto" as const);

interface Following {
  readonly cursor: Cursor;
  wanted: bigint;
}

class Run {
  readonly model: Model;
  storage = new MemoryStorage();
  ring: WritableRing;
  cursors: Following[] = [];
  #made = 0;

  constructor(size: number, slots: number | "auto") {
    const file = 4096 + size;
    const used = slots === "auto" ? automaticCapacity(file) : slots;
    const total = slots === "auto" ? file : file + 16 * slots;
    this.model = new Model(total - 4096 - 16 * used);
    createRing(this.storage, POOL, {
      size: total,
      ...(slots === "auto" ? {} : { indexCapacity: slots }),
    });
    this.ring = openToAppend(this.storage, POOL);
    assert.equal(this.ring.layout.ringSize, this.model.C);
  }

  #payloads(sizes: readonly number[]): Uint8Array[] {
    const max = Math.max(0, this.model.C - 72);
    return sizes.map((part) => payload(++this.#made, Math.round(part * max)));
  }

  #reopen(storage: MemoryStorage): void {
    this.ring.close();
    this.storage = storage;
    this.ring = openToAppend(storage, POOL);
    // A process that comes back goes on at its checkpoint.
    this.cursors = this.cursors.map(({ cursor, wanted }) => ({
      cursor: new Cursor(this.ring, cursor.expected),
      wanted,
    }));
  }

  step(what: Step): void {
    const { model } = this;
    switch (what.kind) {
      case "append": {
        const payloads = this.#payloads(what.sizes);
        if (!payloads.every((bytes) => model.fits(bytes.length))) {
          const before = this.storage.bytes(POOL);
          assert.throws(() => append(this.ring, ...payloads), (error) => {
            assert(PlasmiteError.is(error, ErrorKind.Usage));
            assert.match(error.message, /payload exceeds ring capacity|frame larger than ring/);
            return true;
          });
          assert.deepEqual(this.storage.bytes(POOL), before, "a refused append changes nothing");
          return;
        }
        const first = append(this.ring, ...payloads);
        assert.equal(first, model.newest + 1n);
        for (const bytes of payloads) model.append(bytes);
        return;
      }
      case "crash": {
        const payloads = this.#payloads(what.sizes).filter((bytes) => model.fits(bytes.length));
        if (payloads.length === 0) return;
        // The state block lies in one page: that write is whole or absent
        // (docs/spec/format.md 5.2).
        const dry = new MemoryStorage();
        dry.put(POOL, this.storage.bytes(POOL));
        const trial = openToAppend(dry, POOL);
        const batch = batchOf(...payloads);
        const placed = trial.tryAppend(batch)?.count ?? 0;
        trial.close();
        const writes = dry.log;
        const dies = what.after % (writes.length + 1);
        const write = writes[dies];
        const torn = write === undefined || write.at === 64 ? 0 : what.torn % (write.length + 1);
        this.storage.plan({ killAfter: dies, torn });
        let killed = false;
        try {
          this.ring.tryAppend(batchOf(...payloads));
        } catch (error) {
          assert(error instanceof Killed);
          killed = true;
        }
        this.storage.plan({});
        assert.equal(killed, dies < writes.length);
        this.#reopen(this.storage.afterKill());
        const after = model.copy();
        for (const bytes of payloads.slice(0, placed)) after.append(bytes);
        const state = this.ring.state();
        if (state.newest === after.newest) {
          model.items = after.items;
          model.head = after.head;
          model.newest = after.newest;
        } else {
          assert(killed, "an acknowledged append is there");
          assert.equal(state.newest, model.newest);
          assert(state.oldest === 0n || state.oldest >= model.oldest);
          assert(
            state.oldest !== 0n || model.items.length === 0 || after.oldest > model.newest,
            "emptied only when the new frames need the room",
          );
          model.dropTo(state.oldest);
        }
        return;
      }
      case "get": {
        const seq = model.newest - BigInt(what.back);
        if (seq <= 0n) return;
        const expected = model.items.find((item) => item.seq === seq)?.payload ?? null;
        assert.deepEqual(get(this.ring, seq), expected);
        return;
      }
      case "cursor": {
        if (this.cursors.length >= 4) this.cursors.shift();
        const seq = model.newest - BigInt(what.back);
        const start = seq < 0n ? 0n : seq;
        this.cursors.push({ cursor: new Cursor(this.ring, start), wanted: start });
        return;
      }
      case "follow": {
        const one = this.cursors[what.which % Math.max(1, this.cursors.length)];
        if (one === undefined) return;
        for (let turn = 0; turn < what.turns; turn++) this.#follow(one);
        return;
      }
      case "reopen":
        this.#reopen(this.storage.afterKill());
    }
  }

  /** Fills a cursor once and compares what it gives, and what it says it lost. */
  #follow(one: Following): void {
    const { model } = this;
    const { cursor } = one;
    const first = one.wanted < model.oldest ? model.oldest : one.wanted;
    const ready = cursor.fill();
    if (model.oldest === 0n || one.wanted > model.newest) {
      assert.equal(ready, 0);
      return;
    }
    assert(ready > 0);
    const lost = one.wanted !== 0n && one.wanted < first
      ? { first: one.wanted, last: first - 1n }
      : null;
    assert.deepEqual(cursor.gap, lost, "the exact range that was lost");
    cursor.gap = null;
    for (let i = 0; i < ready; i++) {
      assert(cursor.next());
      const seq = first + BigInt(i);
      assert.equal(cursor.seq, seq);
      assert.deepEqual(
        current(cursor).payload,
        model.items.find((item) => item.seq === seq)?.payload,
      );
    }
    assert(!cursor.next());
    one.wanted = first + BigInt(ready);
    assert.equal(cursor.expected, one.wanted);
  }

  check(): void {
    this.model.compare(this.storage);
    assertHealthy(this.storage);
  }

  finish(): void {
    assertMessages(drain(new Cursor(this.ring, 0n)).messages, this.model.items);
    for (const { cursor, wanted } of this.cursors) {
      const { messages } = drain(cursor);
      const rest = this.model.items.filter((item) => item.seq >= wanted);
      assertMessages(messages, rest);
    }
    this.ring.close();
  }
}

Deno.test("the ring is what the model says, after every operation", () => {
  fc.assert(
    fc.property(ringSize, capacity, fc.array(step, { maxLength: 24 }), (size, slots, steps) => {
      const run = new Run(size, slots);
      for (const what of steps) {
        run.step(what);
        run.check();
      }
      run.finish();
    }),
    { numRuns: 1000 * SCALE },
  );
});

Deno.test("long runs of one frame size meet every position of the ring's end", () => {
  // Every remainder of ring size modulo 8, and frames that end 0 to 80 bytes before the end.
  for (let C = 1000; C < 1100; C += 3) {
    const run = new Run(C, 7);
    for (let i = 0; i < 12; i++) {
      run.step({ kind: "append", sizes: [((C % 7) + 2) / 20, i / 13] });
      run.check();
    }
    run.finish();
  }
});
