/**
 * Work groups: each task must be done at least once, whoever is killed, and twice only where its
 * worker was killed or late.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import * as coordination from "../../lib/backend/local/coordinator.ts";
import type { Coordinator } from "../../lib/backend/local/coordinator.ts";
import type { Handed, PoolGroup } from "../../lib/backend/local/groups.ts";
import { LocalBackend, type LocalPool } from "../../lib/backend/local.ts";
import { ErrorKind, type ErrorKindName, PlasmiteError } from "../../lib/errors.ts";
import { compileWhere } from "../../lib/filter/where.ts";
import { frames, storeAll } from "../support/coordinated.ts";
import { start, withDir } from "../support/processes.ts";
import { SCALE } from "../support/rings.ts";

async function fails(kind: ErrorKindName, work: () => unknown): Promise<PlasmiteError> {
  try {
    await work();
  } catch (error) {
    assert(PlasmiteError.is(error, ErrorKind[kind]), `${kind} expected, got ${error}`);
    return error;
  }
  throw new assert.AssertionError({ message: `${kind} expected, nothing failed` });
}

interface Place {
  readonly backend: LocalBackend;
  readonly path: string;
  readonly coordinator: Coordinator;
  put(count: number, tags?: (n: number) => string[]): Promise<void>;
}

async function withPool(work: (place: Place) => Promise<void>, sizeBytes = 1 << 20): Promise<void> {
  await withDir(async (dir) => {
    const backend = new LocalBackend(dir, { coordination });
    await backend.create("p", { sizeBytes });
    const pool = backend.open("p", { write: true }) as LocalPool;
    let total = 0;
    const put = async (count: number, tags: (n: number) => string[] = () => []): Promise<void> => {
      const batch = frames(
        ...Array.from({ length: count }, () => [{ n: ++total }, tags(total)] as const),
      );
      await storeAll(pool, batch, undefined);
    };
    try {
      await work({ backend, path: `${dir}/p.plasmite`, coordinator: await pool.coordinate(), put });
    } finally {
      pool.close();
    }
  });
}

const seqs = (tasks: readonly Handed[]): bigint[] => tasks.map(({ message }) => message.seq);

Deno.test("group: each task to one worker; done is done", async () => {
  await withPool(async ({ coordinator, put }) => {
    const ann = coordinator.group("g", { holder: "ann" });
    const bob = coordinator.group("g", { holder: "bob" });
    assert.deepEqual(await ann.take(5), {
      tasks: [],
      exhausted: [],
      lost: 0n,
      nextDueMs: null,
      idle: true,
    });
    await put(5);
    const [first, ...more] = (await ann.take(2)).tasks;
    assert.deepEqual(seqs(more), [2n]);
    assert.deepEqual(seqs((await bob.take(9)).tasks), [3n, 4n, 5n]);
    assert.equal((await ann.take(1)).idle, false);
    assert(first !== undefined);
    const { token, message: { seq } } = first;
    assert.equal(first.tries, 1);
    assert.equal((await fails("Conflict", () => bob.ack(seq, token + 1))).details["seq"], 1n);
    assert.equal(await ann.ack(seq, token), true);
    assert.equal(await ann.ack(seq, token), false);
    await fails("Conflict", () => ann.ack(77n, token));
    ann.close();
    bob.close();
  });
});

Deno.test("group: a task whose time is over goes to another, the first cannot acknowledge it", async () => {
  await withPool(async ({ coordinator, put }) => {
    await put(1);
    const ann = coordinator.group("g", { holder: "ann" });
    const bob = coordinator.group("g", { holder: "bob" });
    const [late] = (await ann.take(1, 0)).tasks;
    const [again] = (await bob.take(1, 60_000)).tasks;
    assert(late !== undefined && again !== undefined);
    assert.deepEqual([again.message.seq, again.tries], [1n, 2]);
    assert.deepEqual(again.message.payload, late.message.payload);
    await fails("Conflict", () => ann.ack(1n, late.token));
    await fails("Conflict", () => ann.extend(1n, late.token));
    assert.equal(await bob.extend(1n, again.token, 60_000), true);
    assert.deepEqual((await ann.take(1)).tasks, []);
    assert.equal(await bob.fail(1n, again.token, 0), true);
    await fails("Conflict", () => bob.ack(1n, again.token));
    assert.equal((await ann.take(1)).tasks[0]?.tries, 3);
    ann.close();
    bob.close();
  });
});

Deno.test("group: tried too often it is put aside, once", async () => {
  await withPool(async ({ backend, coordinator, put }) => {
    await put(2, (n) => [`t${n}`]);
    await backend.create("p.dead");
    const dead = backend.open("p.dead", { write: true }) as LocalPool;
    const group = coordinator.group("g", { maxTries: 2 });
    const failing = async (group: PoolGroup): Promise<void> => {
      for (const { message, token } of (await group.take(1)).tasks) {
        await group.fail(message.seq, token, 0);
      }
    };
    await failing(group);
    await failing(group);
    const { tasks, exhausted } = await group.take(1);
    assert.deepEqual([tasks.length, seqs(exhausted)], [0, [1n]]);
    const [task] = exhausted;
    assert(task !== undefined);
    await group.bury(task, dead);
    // Killed between the two steps, it would be done again.
    await group.bury(task, dead);
    const walk = await dead.select({});
    const tags: string[][] = [];
    while (walk.next()) tags.push(walk.message.tags());
    walk.close();
    const id = `id:dead:g:${task.message.timestampNs}:1`;
    assert.deepEqual(tags, [["t1", "dead:1", id]]);
    assert.deepEqual(seqs((await group.take(5)).tasks), [2n]);
    group.close();
    dead.close();
  });
});

Deno.test("group: the filter is the group's; what does not match is passed over", async () => {
  await withPool(async ({ coordinator, put }) => {
    await put(10, (n) => n % 3 === 0 ? ["task"] : []);
    const where = [await compileWhere(".data.n != 6")];
    const group = coordinator.group("g", { tags: ["task"], where });
    const { tasks } = await group.take(9);
    assert.deepEqual(seqs(tasks), [3n, 9n]);
    for (const { message, token } of tasks) await group.ack(message.seq, token);
    assert.equal((await group.take(1)).idle, true, "message 10 was passed over");
    const other = coordinator.group("g", { tags: ["other"] });
    await fails("Usage", () => other.take(1));
    await fails("Usage", () => coordinator.group("big", { tags: ["x".repeat(9000)] }));
    (await coordinator.cursor("c")).close();
    await fails("Usage", () => coordinator.group("c").take(1));
    await fails("Usage", () => coordinator.cursor("g"));
    await fails("Usage", () => coordinator.setCursor("g", "end"));
    group.close();
  });
});

Deno.test("group: what is overwritten is told once, with its number", async () => {
  await withPool(async ({ coordinator, put }) => {
    await put(3);
    const group = coordinator.group("g");
    assert.equal((await group.take(2)).tasks.length, 2);
    await put(500);
    const { lost, tasks } = await group.take(1);
    const oldest = tasks[0]?.message.seq ?? 0n;
    assert(oldest > 3n);
    assert.equal(lost, oldest - 1n);
    assert.equal((await group.take(1)).lost, 0n);
    group.close();
  }, 65536);
});

Deno.test("group: with 512 pending there is no more until one is done", async () => {
  await withPool(async ({ coordinator, put }) => {
    await put(600);
    const group = coordinator.group("g");
    const { tasks } = await group.take(600);
    assert.equal(tasks.length, 512);
    assert.deepEqual((await group.take(1)).tasks, []);
    await group.ack(5n, tasks[4]?.token ?? 0);
    assert.deepEqual(seqs((await group.take(9)).tasks), [513n]);
    group.close();
  });
});

Deno.test("group: a pool that was made anew is NotFound", async () => {
  await withPool(async ({ backend, coordinator, put, path }) => {
    await put(3);
    const group = coordinator.group("g");
    await group.take(1);
    const file = path.replace(".plasmite", ".cursors/g");
    const kept = Deno.readFileSync(file);
    await backend.remove("p");
    await backend.create("p");
    await fails("NotFound", () => group.take(1));
    group.close();
    Deno.mkdirSync(path.replace(".plasmite", ".cursors"), { recursive: true });
    Deno.writeFileSync(file, kept);
    const pool = backend.open("p") as LocalPool;
    const other = (await pool.coordinate()).group("g");
    await fails("NotFound", () => other.take(1));
    other.close();
    pool.close();
  });
});

Deno.test("processes: workers killed at random, every task is done, twice only for a reason", async () => {
  await withPool(async ({ put, path }) => {
    const total = 400 * SCALE;
    await put(total);
    const log = `${path}.log`;
    const dead = new Set<string>();
    let next = 0;
    const work = async (kills: number): Promise<void> => {
      for (let life = 0; life <= kills; life++) {
        const holder = `w${next++}`;
        const worker = start("worker.ts", path, "g", holder, log, "400");
        const most = life < kills ? 5 + (next * 13) % 40 : Infinity;
        let lines = 0;
        while (lines < most && await worker.line() !== null) lines++;
        if (lines === most) {
          worker.kill();
          dead.add(holder);
        }
        await worker[Symbol.asyncDispose]();
      }
    };
    await Promise.all([work(4), work(4), work(4)]);
    const done = new Map<number, string[]>();
    const tokens = new Map<string, string>();
    for (const line of Deno.readTextFileSync(log).trimEnd().split("\n")) {
      const [holder = "", seq = "", token = ""] = line.split(" ");
      done.set(Number(seq), [...done.get(Number(seq)) ?? [], holder]);
      const owner = tokens.get(`${seq} ${token}`);
      assert(owner === undefined, `task ${seq} was handed to ${owner} and ${holder} at once`);
      tokens.set(`${seq} ${token}`, holder);
    }
    assert.equal(done.size, total, "every task was done");
    for (const [seq, holders] of done) {
      // The last one finished it; every earlier one was killed before it could acknowledge.
      for (const holder of holders.slice(0, -1)) {
        assert(dead.has(holder), `task ${seq} was done by ${holders}`);
      }
    }
  }, 1 << 22);
});
