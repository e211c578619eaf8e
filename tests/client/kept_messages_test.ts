/**
 * Messages that are kept after their append: their payloads are copies, small ones side by side.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { Copier } from "../../lib/bytes.ts";
import { Client } from "../../mod.ts";

// A copy that shares its place with another one shows the data of a message that came later.
Deno.test("kept messages: copies of any length stay as they were", () => {
  const lengths = fc.array(fc.oneof(fc.nat(40), fc.integer({ min: 500, max: 530 }), fc.nat(9000)));
  fc.assert(fc.property(lengths, (all) => {
    const copier = new Copier();
    const room = new Uint8Array(9000);
    const copies = all.map((length, i) => copier.copy(room.fill(i + 1).subarray(0, length)));
    copies.forEach((copy, i) => {
      assert.equal(copy.length, all[i]);
      assert.ok(copy.every((byte) => byte === i + 1), `copy ${i} of ${all}`);
    });
  }));
});

// What an append returned would change with the next appends.
Deno.test("kept messages: what an append returned stays, however many follow", async () => {
  const dir = await Deno.makeTempDir();
  try {
    using client = new Client(dir);
    using pool = client.pool<{ text: string }>("kept");
    const texts = Array.from({ length: 200 }, (_, i) => `${i} `.repeat(1 + (i * 7) % 300));
    const kept = await Promise.all(texts.map((text) => pool.appendAsync({ text })));
    const later = texts.map((text) => pool.append({ text }));
    for (const messages of [kept, later]) {
      assert.deepEqual(messages.map(({ data }) => data.text), texts);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
