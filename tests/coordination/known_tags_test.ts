/**
 * What a process remembers of the tags of a pool: it must not grow with the pool.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { KnownTags } from "../../lib/backend/local/known_tags.ts";
import { frames } from "../support/coordinated.ts";
import { inPlace } from "../../lib/storage/steps.ts";
import { newRing } from "../support/rings.ts";

// A server that is up for months would run out of memory.
Deno.test("known tags: of more than a hundred thousand the older are forgotten, and found all the same", () => {
  const { ring } = newRing(1 << 25, 2048);
  const known = new KnownTags(ring);
  assert.equal(inPlace(known.newestOf({ tag: "id:0-0" })), 0n);
  const EACH = 128;
  const count = 1600;
  for (let i = 0; i < count; i++) {
    const tags = Array.from({ length: EACH }, (_, j) => `id:${i}-${j}`);
    assert.equal(ring.tryAppend(frames([{}, tags]))?.count, 1);
  }
  assert.equal(inPlace(known.newestOf({ tag: `id:${count - 1}-5` })), BigInt(count));
  assert(known.size <= 1 << 17, `${known.size} remembered`);
  assert.equal(inPlace(known.newestOf({ tag: "id:3-7" })), 4n);
  assert.equal(inPlace(known.newestOf({ tag: "id:absent" })), 0n);
});
