/**
 * Real processes that work together through the library, on the files of a directory and through a
 * server, and are killed while they do: nothing is done by two who both think it is theirs, nothing
 * is left out.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Client } from "../../mod.ts";
import { start, withDir } from "../support/processes.ts";
import { serve } from "./remote_util.ts";

const ACTOR = "library_actor.ts";

interface Ground {
  readonly place: string;
  readonly client: Client;
  readonly log: string;
}

function test(name: string, run: (ground: Ground) => Promise<void>): void {
  for (const kind of ["directory", "server"] as const) {
    Deno.test(`library processes on a ${kind}: ${name}`, () =>
      withDir(async (dir) => {
        const client = new Client(dir);
        client.createPool("p", 1 << 22).close();
        await using server = kind === "server" ? serve({ dir }) : null;
        await run({ place: server?.url ?? dir, client, log: `${dir}/log` });
      }));
  }
}

async function linesOf(helper: ReturnType<typeof start>): Promise<string[]> {
  const lines: string[] = [];
  for (let line = await helper.line(); line !== null; line = await helper.line()) lines.push(line);
  return lines;
}

function logged(log: string): string[] {
  return Deno.readTextFileSync(log).split("\n").filter((line) => /^\d+( \d+ \d+)?$/.test(line));
}

// Two agents took the same decision on the same state.
test("of those who saw the same state exactly one appends", async ({ place, client }) => {
  const racers = ["a", "b", "c", "d"].map((name) => start(ACTOR, place, "race", name));
  try {
    const won = (await Promise.all(racers.map(linesOf))).flat();
    for (const racer of racers) assert.equal((await racer.status).code, 0);
    using pool = client.openPool<{ seen: number }>("p");
    assert.equal(pool.bounds().newestSeq, 100n);
    for (let seq = 1; seq <= 100; seq++) assert.equal(pool.get(seq).data.seen, seq - 1);
    assert.equal(new Set(won).size, 100);
    assert.equal(won.length, 100);
  } finally {
    for (const racer of racers) await racer[Symbol.asyncDispose]();
  }
});

// A killed deployer blocked all others for ever.
test("the keys of a killed holder are free when its time is over", async ({ place }) => {
  const holders = ["a", "b", "c"].map((name) => start(ACTOR, place, "hold", name));
  const left = new Map(holders.map((holder) => [holder, holder.line()]));
  const tokens: number[] = [];
  try {
    while (left.size > 0) {
      const next = [...left].map(async ([holder, line]) => [holder, await line] as const);
      const [holder, line] = await Promise.race(next);
      tokens.push(Number(line?.split(" ")[1]));
      left.delete(holder);
      holder.kill();
      await holder.status;
    }
  } finally {
    for (const holder of holders) await holder[Symbol.asyncDispose]();
  }
  assert.equal(tokens.length, 3);
  assert.deepEqual(tokens, tokens.toSorted((a, b) => a - b));
  assert.equal(new Set(tokens).size, 3);
});

// A restarted worker lost its place.
test("a consumer that is killed again and again misses nothing", async (ground) => {
  const { place, client, log } = ground;
  const total = 200;
  {
    using pool = client.openPool("p");
    await pool.appendBatch(Array.from({ length: total }, (_, n) => ({ n })));
  }
  let kills = 0;
  for (let code = 1; code !== 0;) {
    await using consumer = start(ACTOR, place, "consume", "c", log);
    if (kills < 8) {
      for (let i = 0; i < 20; i++) await consumer.line();
      consumer.kill();
      kills++;
      await consumer.status;
    } else {
      await linesOf(consumer);
      ({ code } = await consumer.status);
      assert.equal(code, 0);
    }
  }
  const seen = logged(log).map(Number);
  assert.deepEqual([...new Set(seen)], Array.from({ length: total }, (_, i) => i + 1));
  assert(seen.length <= total + kills, `${seen.length - total} repeated after ${kills} kills`);
});

// Three workers that read and then appended did 13 of 30 tasks twice.
test("four workers, some killed: each task is done, by one at a time", async (ground) => {
  const { place, client, log } = ground;
  const total = 200;
  {
    using pool = client.openPool("p");
    await pool.appendBatch(Array.from({ length: total }, (_, n) => ({ n })));
  }
  const worker = (n: number) => start(ACTOR, place, "work", `w${n}`, log);
  const workers = [0, 1, 2, 3].map(worker);
  try {
    for (let n = 4; n < 8; n++) {
      const victim = workers[n - 4];
      for (let i = 0; i < 5; i++) await victim?.line();
      victim?.kill();
      workers.push(worker(n));
    }
    for (const one of workers.slice(4)) {
      await linesOf(one);
      assert.equal((await one.status).code, 0);
    }
  } finally {
    for (const one of workers) await one[Symbol.asyncDispose]();
  }
  const tasks = logged(log).map((line) => line.split(" ").map(Number));
  assert.equal(new Set(tasks.map(([seq]) => seq)).size, total);
  const tokens = tasks.map(([seq, token]) => `${seq} ${token}`);
  assert.equal(new Set(tokens).size, tokens.length, "one hand-out was done twice");
  for (const [seq, , tries = 0] of tasks) {
    if (tries === 1) continue;
    // Only what somebody had before comes again.
    assert(tries > 1, `task ${seq}`);
  }
});
