/** Work groups on NATS: what is lost is told, and what does not match is not. */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { NatsBackend } from "../../lib/backend/nats.ts";
import type { PoolHandle } from "../../lib/backend/types.ts";
import { fails } from "../support/fails.ts";
import type { NatsServer } from "../support/nats.ts";
import { testNatsPool } from "../support/nats_pool.ts";
import { PATIENCE_MS, pause } from "../support/patience.ts";
import { put } from "./suite.ts";

function test(
  title: string,
  run: (pool: PoolHandle, backend: NatsBackend, server: NatsServer) => Promise<void>,
): void {
  testNatsPool(
    `nats % group: ${title}`,
    1 << 20,
    ({ backend, pool, server }) => run(pool, backend, server),
  );
}

/** Appends messages of which every tenth has key `a`; the others have key `b`. */
async function more(pool: PoolHandle, count: number): Promise<void> {
  const data = Array.from({ length: count }, (_, n) => ({ n, text: "x".repeat(100) }));
  await put(pool, data, (i) => [i % 10 === 0 ? "key:a" : "key:b"]);
}

// A worker whose tasks were overwritten while it had them was told of none of them.
test("tasks that are overwritten while a worker has them are lost, those it finished are not", async (pool) => {
  await more(pool, 100);
  const group = (await pool.coordinate()).group("g");
  const { tasks } = await group.take({ count: 10 });
  for (const { message, token } of tasks.slice(0, 4)) await group.ack(message.seq, token);
  for (let i = 0; i < 12; i++) await more(pool, 1000);
  const { oldest } = await pool.bounds();
  const after = await group.take();
  assert.equal(after.lost, oldest - 1n - 4n);
  assert.equal(after.tasks[0]?.message.seq, oldest);
  assert.equal((await group.take()).lost, 0n);
  group.close();
});

// Every message is handed out, or told as lost: a worker that is too slow knows what it missed.
test("what is handed out and what is told as lost are together everything", async (pool) => {
  const group = (await pool.coordinate()).group("g");
  let handed = 0n;
  let lost = 0n;
  const work = async (count: number): Promise<boolean> => {
    const round = await group.take({ count });
    handed += BigInt(round.tasks.length);
    lost += round.lost;
    for (const { message, token } of round.tasks) await group.ack(message.seq, token);
    return round.idle;
  };
  await group.take();
  for (let i = 0; i < 15; i++) {
    // The writer overtakes the worker, also while it asks.
    const writing = more(pool, 2000);
    await work(500);
    await work(1);
    await writing;
  }
  while (!await work(500));
  assert.equal(handed + lost, 30_000n);
  assert(handed > 0n && lost > 0n);
  group.close();
});

// What a group does not want had been told as lost when it was overwritten.
test("a group of one key is told of nothing but what it could not look at", async (pool) => {
  const group = (await pool.coordinate()).group("g", { tags: ["key:a"] });
  await more(pool, 10);
  const drain = async (): Promise<{ handed: number; lost: bigint }> => {
    let handed = 0;
    let lost = 0n;
    for (;;) {
      const round = await group.take({ count: 100 });
      lost += round.lost;
      handed += round.tasks.length;
      for (const { message, token } of round.tasks) await group.ack(message.seq, token);
      if (round.idle) return { handed, lost };
    }
  };
  assert.deepEqual(await drain(), { handed: 1, lost: 0n });
  // Others are overwritten many times, while the worker looks often enough.
  for (let i = 0; i < 40; i++) {
    await put(pool, Array.from({ length: 300 }, (_, n) => ({ n, text: "x".repeat(100) })));
    assert.deepEqual(await drain(), { handed: 0, lost: 0n });
  }
  assert((await pool.bounds()).oldest > 3000n);
  await more(pool, 20);
  assert.deepEqual(await drain(), { handed: 2, lost: 0n });
  group.close();
});

// Done twice: a task that its worker held to be its own for longer than the server did.
test("a task is not extended beyond what the server waits for", async (pool, _, server) => {
  await more(pool, 1);
  const other = new NatsBackend(server.url);
  const again = await other.open("P", { write: true });
  const ann = (await pool.coordinate()).group("g");
  const bob = (await again.coordinate()).group("g");
  const { tasks: [task] } = await ann.take({ ackWaitMs: 500 });
  const { message: { seq }, token } = task ?? assert.fail();
  assert.equal(await ann.extend(seq, token, 3_600_000), true);
  const { tasks: [his] } = await bob.take({ ackWaitMs: 500, waitMs: PATIENCE_MS });
  assert.equal(his?.message.seq, seq);
  await pause(1_000); // What was left to Ann is over, too.
  await fails("Conflict", () => ann.ack(seq, token));
  ann.close();
  bob.close();
  await again.close();
  await other.close();
});

// A task of one group would have been taken for that of another one with the same number.
test("two groups of one connection have tasks of their own", async (pool) => {
  await more(pool, 2);
  const coordination = await pool.coordinate();
  const [one, other] = [coordination.group("one"), coordination.group("other")];
  const { tasks: mine } = await one.take({ count: 2 });
  assert.equal((await other.take({ count: 1, ackWaitMs: 120_000 })).tasks.length, 1);
  const { tasks: [again] } = await other.take();
  for (const { message, token } of mine) assert.equal(await one.ack(message.seq, token), true);
  const { message: { seq }, token } = again ?? assert.fail();
  assert.equal(await other.ack(seq, token), true);
  one.close();
  other.close();
});

// A task that somebody else had by then was told as lost when its message was overwritten.
test(
  "a task whose time was over is not lost for the worker that had it",
  async (pool, _, server) => {
    await more(pool, 1);
    const other = new NatsBackend(server.url);
    const again = await other.open("P", { write: true });
    const ann = (await pool.coordinate()).group("g");
    const bob = (await again.coordinate()).group("g");
    assert.equal((await ann.take({ ackWaitMs: 500 })).tasks.length, 1);
    assert.equal((await bob.take({ ackWaitMs: 500, waitMs: PATIENCE_MS })).tasks.length, 1);
    await pause(1_000); // Ann's time is over, too.
    while ((await pool.bounds()).oldest === 1n) await more(pool, 1000);
    const gone = (await pool.bounds()).oldest - 1n;
    assert.equal((await ann.take()).lost, gone - 1n);
    ann.close();
    bob.close();
    await again.close();
    await other.close();
  },
);
