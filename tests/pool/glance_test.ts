/**
 * A glance says what opening the pool would say, or that it takes more to know: whoever lists pools
 * beside their writers would otherwise see numbers that never were.
 *
 * @module
 */

import assert from "node:assert/strict";
import { glance } from "../../lib/pool/glance.ts";
import { HEADER_SIZE, SLOT_SIZE, STATE_AT } from "../../lib/pool/layout.ts";
import type { StorageFile } from "../../lib/storage/storage.ts";
import { append, newRing, payload, POOL } from "../support/rings.ts";

const CAPACITY = 8;

/** A pool of three messages, and a file of it whose readings are changed on the way. */
function threeMessages(change: (into: Uint8Array, at: number) => void = () => {}): StorageFile {
  const { storage, ring } = newRing(4096, CAPACITY);
  append(ring, payload(1, 100), payload(2, 100), payload(3, 100));
  ring.close();
  const file = storage.open(POOL, { write: false });
  return Object.assign(Object.create(file), {
    path: file.path,
    opened: file.opened,
    readAt: (into: Uint8Array, at: number): number => {
      const got = file.readAt(into, at);
      change(into, at);
      return got;
    },
  });
}

Deno.test("glance: the state and the times of the first and the last message", () => {
  const seen = glance(threeMessages(), false);
  assert.deepEqual([seen?.state.oldest, seen?.state.newest], [1n, 3n]);
  assert.deepEqual([seen?.more?.oldestTimeNs, seen?.more?.newestTimeNs], [1n, 3n]);
});

Deno.test("glance: a state that a writer changes between two readings is not believed", () => {
  for (let byte = 0; byte < 40; byte++) {
    const file = threeMessages((into, at) => {
      if (at === STATE_AT) into[byte] = (into[byte] ?? 0) ^ 1;
    });
    assert.equal(glance(file, true), null, `byte ${byte}`);
  }
});

Deno.test("glance: a file that has another size than its header says takes more to know", () => {
  const file = threeMessages();
  assert.equal(
    glance(Object.assign(file, { opened: { ...file.opened, size: 4096 } }), true),
    null,
  );
});

Deno.test("glance: without the slot of the last message, or with a wrong one, it takes more to know", () => {
  const at = HEADER_SIZE + 3 * SLOT_SIZE;
  for (const byte of [0, 8, 9]) {
    const file = threeMessages((into, from) => {
      if (from === at) into[byte] = (into[byte] ?? 0) ^ 8;
    });
    assert.equal(glance(file, false), null, `byte ${byte}`);
    assert.notEqual(glance(file, true), null, "the header is enough for a brief list");
  }
});
