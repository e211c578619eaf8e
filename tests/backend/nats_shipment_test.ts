/** Copies into streams: what is stored once stays stored once, whoever copies beside. */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { connect } from "@nats-io/transport-node";
import { jetstreamManager } from "@nats-io/jetstream";
import { advance } from "../../lib/backend/advance.ts";
import type { PoolHandle } from "../../lib/backend/types.ts";
import type { Shipment } from "../../lib/backend/shipment.ts";
import { PlasmiteError } from "../../lib/errors.ts";
import { messageFromValue } from "../../lib/lite3/from_value.ts";
import { FrameBatch } from "../../lib/pool/batch.ts";
import { testNatsPool } from "../support/nats_pool.ts";

const FROM = "0123456789abcdef0123456789abcdef";

function test(title: string, run: (pool: PoolHandle, url: string) => Promise<void>): void {
  testNatsPool(
    `nats % shipment: ${title}`,
    1 << 24,
    ({ pool, server }) => run(pool, server.url),
  );
}

/** A process that copies, and knows how far the copy is. */
async function copying(pool: PoolHandle, source = "pi.ring"): Promise<Shipment> {
  const shipment = pool.ship?.(source);
  assert(shipment !== undefined);
  await shipment.last();
  return shipment;
}

function upTo(last: number, first = 1): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

async function store(shipment: Shipment, first: number, last: number): Promise<void> {
  const batch = new FrameBatch();
  for (const n of upTo(last, first)) {
    batch.beginFrame();
    messageFromValue(batch.encoder, { n }, []);
    batch.endFrame(n, 0);
  }
  await shipment.store(batch, FROM, upTo(last, first).map(BigInt));
}

/** The messages in the stream; each has its number as its time. */
async function stored(pool: PoolHandle): Promise<number[]> {
  const { newest } = await pool.bounds();
  const walk = await pool.select({ until: newest });
  const found: number[] = [];
  while (await advance(walk)) found.push(Number(walk.frame.timestampNs));
  walk.close();
  return found;
}

// Lost: that a message is stored once. Who comes behind another copier, with other groups, stored all
// of its group again: the last message of the stream was none of it.
for (const [first, last] of [[1, 10], [1, 15], [1, 20], [1, 30], [11, 15]] as const) {
  test(`messages ${first} to ${last}, which another process has stored, are not again`, async (pool) => {
    const [one, other] = [await copying(pool), await copying(pool)];
    if (first > 1) {
      await store(one, 1, first - 1);
      await other.last();
      await store(one, first, 20);
    } else {
      await store(one, 1, 10);
      await store(one, 11, 20);
    }
    await assert.rejects(
      store(other, first, last),
      (error) => PlasmiteError.is(error) && error.topic === "copy source",
    );
    assert.deepEqual(await stored(pool), upTo(20));
  });
}

// Lost: what one of two cloned cards has. Their pools have one id, so that a message of the second one
// had the id of one of the first, and counted as stored.
test("clones of one pool are sources of their own", async (pool) => {
  const [one, other] = [await copying(pool, "one"), await copying(pool, "other")];
  await store(one, 1, 10);
  await store(other, 1, 10);
  await store(one, 11, 11);
  await store(other, 11, 30);
  await store(one, 12, 30);
  for (const last of [31, 32]) {
    for (const copier of [one, other]) await store(copier, last, last);
  }
  for (const source of ["one", "other"]) {
    const walk = await pool.select({ source });
    const found: number[] = [];
    while (await advance(walk)) found.push(Number(walk.frame.timestampNs));
    walk.close();
    assert.deepEqual(found, upTo(32), source);
  }
  assert.equal((await stored(pool)).length, 64);
});

// Lost: what a clone has beyond the first messages of a group, of which the other one has none.
test("clones that are copied from different messages on are sources of their own", async (pool) => {
  const [one, other] = [await copying(pool, "one"), await copying(pool, "other")];
  await store(one, 11, 20);
  await store(other, 1, 20);
  for (const [source, first] of [["one", 11], ["other", 1]] as const) {
    const walk = await pool.select({ source });
    const found: number[] = [];
    while (await advance(walk)) found.push(Number(walk.frame.timestampNs));
    walk.close();
    assert.deepEqual(found, upTo(20, first), source);
  }
});

// Lost: messages that were removed, and whose ids the server remembers.
test("messages that no longer exist are stored again", async (pool, url) => {
  const shipment = await copying(pool);
  await store(shipment, 1, 10);
  await store(shipment, 11, 20);
  const nc = await connect({ servers: url });
  await (await jetstreamManager(nc)).streams.purge("P");
  await nc.close();
  await store(await copying(pool), 1, 20);
  assert.deepEqual(await stored(pool), upTo(20));
});
