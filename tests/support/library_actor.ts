/**
 * A process that uses the library on a pool `p` of a directory or of a server:
 * `library_actor.ts PLACE ROLE NAME [LOG]`. Roles: `race` appends with an expectation until the pool
 * has 100 messages, `hold` claims a key and keeps it until it is killed, `consume` reads with a
 * cursor, `work` takes tasks of a group. What is done is written to the log before it is
 * acknowledged.
 *
 * @module
 */

import { type AsyncPool, Client, ErrorKind, PlasmiteError, RemoteClient } from "../../mod.ts";
import { say } from "./coordinated.ts";

const [place = "", role = "", name = "", log = ""] = Deno.args;
const pool: AsyncPool = place.startsWith("http")
  ? await new RemoteClient(place).openPool("p")
  : new Client(place).openPool("p");

function write(line: string): void {
  Deno.writeTextFileSync(log, `${line}\n`, { append: true });
}

/** The number of the newest message. */
async function newest(): Promise<bigint> {
  return (await pool.infoAsync()).bounds?.newestSeq ?? 0n;
}

async function race(): Promise<void> {
  for (let seen = await newest(); seen < 100n;) {
    try {
      seen = (await pool.appendAsync({ name, seen: Number(seen) }, { expect: seen })).seq;
      say(`won ${seen}`);
    } catch (error) {
      if (!PlasmiteError.is(error, ErrorKind.Conflict)) throw error;
      seen = error.actual ?? await newest();
    }
  }
}

async function hold(): Promise<void> {
  const lease = await pool.claim("k", { holder: name, ttlMs: 1_000, waitMs: 60_000 });
  say(`token ${lease.token}`);
  await new Promise((resolve) => setTimeout(resolve, 600_000));
}

async function consume(): Promise<void> {
  await using cursor = await pool.cursor(name);
  for await (const { seq } of cursor.tail({ untilSeq: await newest() })) {
    write(`${seq}`);
    await cursor.ack(seq);
    say(`got ${seq}`);
  }
}

async function work(): Promise<void> {
  using group = await pool.group("g", { holder: name, ackWaitMs: 500, maxTries: 1_000 });
  for (;;) {
    for (const task of await group.take({ count: 2, waitMs: 100 })) {
      write(`${task.message.seq} ${task.token} ${task.tries}`);
      try {
        await task.ack();
      } catch (error) {
        if (!PlasmiteError.is(error, ErrorKind.Conflict)) throw error;
      }
      say(`did ${task.message.seq}`);
    }
    const [{ pending = 0, lag } = { lag: 1n }] = await pool.cursors();
    if (pending === 0 && lag === 0n) return;
  }
}

const roles: Readonly<Record<string, () => Promise<void>>> = { race, hold, consume, work };
await roles[role]?.();
await pool[Symbol.asyncDispose]();
