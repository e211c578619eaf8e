/**
 * Identity, age limit and trimming: what a cursor relies on to notice that its pool was replaced, and
 * what is dropped so that nobody takes it for damage.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { Ring } from "../../lib/pool/ring.ts";
import { checkRing } from "../../lib/pool/check.ts";
import { openToAppend } from "../../lib/pool/mending.ts";
import {
  EXTENSION_AT,
  EXTENSION_SIZE,
  newExtension,
  parseExtension,
  printExtension,
} from "../../lib/pool/header.ts";
import { repairRing } from "../../lib/pool/rebuild.ts";
import { beginningAt, settingMaxAge, trimming } from "../../lib/pool/retention.ts";
import { Killed, MemoryStorage } from "../support/memory.ts";
import { inPlace } from "../../lib/storage/steps.ts";
import {
  append,
  assertHealthy,
  assertMessages,
  batchOf,
  newRing,
  payload,
  POOL,
  readAll,
  SCALE,
} from "../support/rings.ts";

Deno.test("extension: what is written is read, any changed byte means none", () => {
  const one = newExtension(5n);
  const bytes = printExtension(one);
  assert.equal(bytes.length, 64);
  assert.deepEqual(parseExtension(bytes), one);
  assert.match(one.id, /^[0-9a-f]{32}$/);
  assert.notEqual(newExtension().id, one.id);
  for (let at = 0; at < bytes.length; at++) {
    const other = bytes.slice();
    other[at] = (other[at] ?? 0) ^ 0x10;
    assert.equal(parseExtension(other), null, `byte ${at}`);
  }
  assert.equal(parseExtension(bytes.subarray(0, 63)), null);
  assert.equal(parseExtension(new Uint8Array(64)), null);
});

Deno.test("extension: every new pool has an identity of its own, which appends and repair keep", () => {
  const { storage, ring } = newRing(3000, 4);
  const { ring: other } = newRing(3000, 4);
  const stamped = ring.extension();
  assert(stamped !== null && stamped.maxAgeNs === 0n);
  assert.notEqual(other.extension()?.id, stamped.id);
  for (let n = 1; n < 20; n++) append(ring, payload(n, 500));
  assertHealthy(storage);
  assert.deepEqual(ring.extension(), stamped);
  inPlace(settingMaxAge(ring, 7_000_000_000n));
  assert.deepEqual(ring.extension(), { ...stamped, maxAgeNs: 7_000_000_000n });
  assertHealthy(storage);
  // A ruined fixed part: the repair writes the header anew, and leaves the identity.
  storage.open(POOL, { write: true }).writeAt(new Uint8Array(60), 0);
  const report = repairRing(storage, POOL, "pool", { backup: () => null });
  assert.equal(report.layout.header, true);
  const repaired = openToAppend(storage, POOL);
  assert.deepEqual(repaired.extension(), { ...stamped, maxAgeNs: 7_000_000_000n });
  assertHealthy(storage);
});

Deno.test("extension: a pool without one stays without, until it is given a limit", () => {
  const { storage, ring } = newRing(3000, 4);
  const bytes = storage.bytes(POOL);
  bytes.fill(0, EXTENSION_AT, EXTENSION_AT + EXTENSION_SIZE);
  const plain = new MemoryStorage();
  plain.put(POOL, bytes);
  ring.close();
  const unstamped = openToAppend(plain, POOL);
  append(unstamped, payload(1, 500));
  assert.equal(unstamped.extension(), null);
  assertHealthy(plain);
  inPlace(settingMaxAge(unstamped, 2_000_000_000n));
  assert.equal(unstamped.extension()?.maxAgeNs, 2_000_000_000n);
  inPlace(settingMaxAge(unstamped, 0n));
  assert.equal(unstamped.extension()?.maxAgeNs, 0n);
});

Deno.test("trim: drops only a prefix; appending continues; both checkers agree", () => {
  const run = fc.record({
    ring: fc.integer({ min: 1000, max: 4000 }),
    slots: fc.constantFrom(0, 3, 9),
    before: fc.array(fc.integer({ min: 10, max: 600 }), { minLength: 1, maxLength: 30 }),
    keep: fc.nat(8),
    after: fc.array(fc.integer({ min: 10, max: 600 }), { maxLength: 10 }),
  });
  fc.assert(
    fc.property(run, ({ ring: size, slots, before, keep, after }) => {
      const { storage, ring } = newRing(size, slots);
      before.forEach((bytes, i) => append(ring, payload(i, bytes)));
      const all = readAll(ring);
      const { newest, oldest } = ring.state();
      const first = newest - BigInt(keep) + 1n;
      const dropped = inPlace(trimming(ring, (seq) => seq < first));
      assertHealthy(storage);
      const left = all.filter(({ seq }) => seq >= first);
      assertMessages(readAll(ring), left);
      assert.equal(dropped, BigInt(all.length - left.length));
      assert.equal(ring.state().newest, newest);
      assert.equal(ring.state().oldest, left[0]?.seq ?? 0n);
      assert(oldest <= (left[0]?.seq ?? newest));
      after.forEach((bytes, i) => append(ring, payload(100 + i, bytes)));
      assertHealthy(storage);
      assert.equal(ring.state().newest, newest + BigInt(after.length));
      readAll(ring);
    }),
    { numRuns: 200 * SCALE },
  );
});

Deno.test("trim: by age it stops at the first younger message, and at what came after its start", () => {
  const { ring } = newRing(100_000, 16);
  const stamps = [10, 20, 15, 90, 30];
  for (const [i, time] of stamps.entries()) {
    const batch = batchOf(payload(i, 50));
    batch.setTime(0, BigInt(time));
    ring.tryAppend(batch);
  }
  assert.equal(inPlace(trimming(ring, (_, time) => time < 50n)), 3n);
  assert.equal(ring.state().oldest, 4n);
  for (let i = 0; i < 2500; i++) append(ring, payload(i, 1));
  let added = 0;
  const steps = trimming(ring, () => true);
  for (let step = steps.next(); step.done !== true; step = steps.next()) {
    append(ring, payload(1, 1)); // Somebody who appends all the time.
    assert(++added < 100);
  }
  assert.equal(ring.state().newest - ring.state().oldest + 1n, BigInt(added));
  assert(added >= 1, "the lock was given up in between");
});

Deno.test("trim: killed at any write the pool is as before or as after", () => {
  for (const killAfter of [0, 1]) {
    const { storage, ring } = newRing(3000, 4);
    append(ring, payload(1, 500), payload(2, 500), payload(3, 500));
    storage.plan({ killAfter });
    try {
      inPlace(trimming(ring, (seq) => seq < 3n));
      assert.equal(killAfter, 1);
    } catch (error) {
      assert(error instanceof Killed);
    }
    const left = storage.afterKill();
    assertHealthy(left);
    const seqs = readAll(openToAppend(left, POOL)).map(({ seq }) => seq);
    assert.deepEqual(seqs, killAfter === 0 ? [1n, 2n, 3n] : [3n]);
  }
});

Deno.test("extension: killed inside its write the limit is the old one, the new one or none; no message is lost", () => {
  const HOUR = 3_600_000_000_000n;
  for (let torn = 0; torn <= EXTENSION_SIZE; torn++) {
    const { storage, ring } = newRing(3000, 4);
    append(ring, payload(1, 500), payload(2, 500));
    inPlace(settingMaxAge(ring, 500n * HOUR));
    const before = ring.extension();
    storage.plan({ killAfter: 0, torn });
    assert.throws(() => inPlace(settingMaxAge(ring, 70_000n * HOUR)), Killed);
    const left = storage.afterKill();
    assert.equal(checkRing(left, POOL, "pool").status, "ok");
    const after = Ring.open(left, POOL).extension();
    const limits = [500n * HOUR, 70_000n * HOUR, undefined];
    assert.ok(limits.includes(after?.maxAgeNs), `torn at ${torn}: ${after?.maxAgeNs}`);
    if (after !== null) assert.equal(after.id, before?.id);
    assert.equal(Ring.open(left, POOL).state().newest, 2n);
  }
});

Deno.test("numbers, killed at any write: the import can be begun again", () => {
  for (const killAfter of [0, 1]) {
    const { storage, ring } = newRing(3000, 4);
    storage.plan({ killAfter });
    try {
      inPlace(beginningAt(ring, 42n));
    } catch (error) {
      assert(error instanceof Killed);
    }
    const left = storage.afterKill();
    assertHealthy(left);
    const again = openToAppend(left, POOL);
    inPlace(beginningAt(again, 42n));
    inPlace(beginningAt(again, 42n));
    assert.equal(append(again, payload(1, 100)), 42n);
    for (const first of [42n, 44n, 1n, 0n]) {
      assert.throws(
        () => inPlace(beginningAt(again, first)),
        (error) => PlasmiteError.is(error, ErrorKind.Usage),
      );
    }
    assertHealthy(left);
  }
});

Deno.test("numbers can be continued in a pool that was never written, and nowhere else", () => {
  const { storage, ring } = newRing(3000, 4);
  inPlace(beginningAt(ring, 42n));
  assertHealthy(storage);
  assert.equal(append(ring, payload(1, 100)), 42n);
  assertHealthy(storage);
  assert.throws(
    () => inPlace(beginningAt(ring, 50n)),
    (error) => PlasmiteError.is(error, ErrorKind.Usage),
  );
});
