/**
 * What a process remembers of the tags of a pool: it must not grow with the pool.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { KnownTags } from "../../lib/backend/local/known_tags.ts";
import { MessageView } from "../../lib/lite3/message.ts";
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

// Lost: minutes of a processor, to one batch whose every line has an id.
Deno.test("known tags: many are looked for together, not one by one in each message", () => {
  const { ring } = newRing(1 << 22, 2048);
  for (let i = 1; i <= 500; i++) {
    const claimed = i % 100 === 0 ? ["claim"] : [];
    assert.equal(ring.tryAppend(frames([{}, [`key:${i % 50}`, ...claimed]]))?.count, 1);
  }
  const own = MessageView.prototype.hasTags;
  let compared = 0;
  MessageView.prototype.hasTags = function (tags) {
    compared++;
    return own.call(this, tags);
  };
  try {
    const wanted = Array.from({ length: 1000 }, (_, i) => ({ tag: `key:${i}` }));
    const claims = wanted.map(({ tag }) => ({ tag, claim: true }));
    const known = new KnownTags(ring);
    inPlace(known.looking([...wanted, ...claims]));
    assert.equal(compared, 0);
    const state = inPlace(ring.living());
    assert.equal(known.find({ tag: "key:49" }, state), 499n);
    assert.equal(known.find({ tag: "key:50" }, state), 0n);
    assert.equal(known.find({ tag: "key:0", claim: true }, state), 500n);
    assert.equal(known.find({ tag: "key:1", claim: true }, state), 0n);
    // Nothing but what was looked for is remembered of a first look-up.
    assert.equal(inPlace(new KnownTags(ring).newestOf({ tag: "key:7" })), 457n);
  } finally {
    MessageView.prototype.hasTags = own;
  }
});
