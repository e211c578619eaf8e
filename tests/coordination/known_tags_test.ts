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
import { TagWalk } from "../../lib/pool/tag_walk.ts";
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

// Lost: a minute of everyone who wanted the lock, to one batch of ids that were stored long ago.
Deno.test("known tags: messages that the index has forgotten are read in one pass", () => {
  const { ring } = newRing(1 << 22, 64);
  for (let i = 1; i <= 2000; i++) {
    assert.equal(ring.tryAppend(frames([{ n: i }, [`id:${i}`]]))?.count, 1);
  }
  const known = new KnownTags(ring);
  inPlace(known.looking([{ tag: "id:1" }]));
  const state = inPlace(ring.living());
  const own = TagWalk.prototype.visit;
  let passes = 0;
  TagWalk.prototype.visit = function (...args) {
    passes++;
    own.apply(this, args);
  };
  const read = (...seqs: bigint[]): string[] => {
    passes = 0;
    const found: string[] = [];
    known.readAll(state, seqs, (seq, view) => found.push(`${seq}:${view.tags()}`));
    return found;
  };
  try {
    const odd = Array.from({ length: 900 }, (_, i) => BigInt(1799 - 2 * i));
    const expected = odd.toReversed().map((seq) => `${seq}:id:${seq}`);
    assert.deepEqual(read(...odd), expected);
    assert.equal(passes, 1, "however many there are");
    const newest = Array.from({ length: 60 }, (_, i) => BigInt(1941 + i));
    assert.deepEqual(read(7n, ...newest, 7n).length, 61);
    assert.equal(passes, 2, "one of those, and one of their neighbours that the index has");
    assert.deepEqual(read(1950n, 1960n, 3000n), ["1950:id:1950", "1960:id:1960"]);
    assert.equal(passes, 3, "what lies between them is not read");
    assert.deepEqual(read(), []);
    assert.equal(passes, 0);
  } finally {
    TagWalk.prototype.visit = own;
  }
});
