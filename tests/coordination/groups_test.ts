/**
 * Work groups: each task must be done at least once, whoever is killed, and twice only where its
 * worker was killed or late.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { beforeLock, withPool } from "./pool_util.ts";
import type { HandedTask } from "../../lib/backend/coordination.ts";
import type { LocalPool } from "../../lib/backend/local.ts";
import { Buf } from "../../lib/bytes.ts";
import { withGroup } from "../../lib/coordination/group_file.ts";
import { PlasmiteError } from "../../lib/errors.ts";
import { compileWhere, type Where } from "../../lib/filter/where.ts";
import { printJson } from "../../lib/lite3/print.ts";
import { serve, type TestServer } from "../client/remote_util.ts";
import { fails } from "../support/fails.ts";
import { start } from "../support/processes.ts";
import { SCALE } from "../support/rings.ts";

const seqs = (tasks: readonly HandedTask[]): bigint[] => tasks.map(({ message }) => message.seq);

Deno.test("group: each task to one worker; done is done", async () => {
  await withPool(async ({ coordinator, put }) => {
    const ann = coordinator.group("g", { holder: "ann" });
    const bob = coordinator.group("g", { holder: "bob" });
    assert.deepEqual(await ann.take({ count: 5 }), {
      tasks: [],
      lost: 0n,
      idle: true,
    });
    await put(5);
    const [first, ...more] = (await ann.take({ count: 2 })).tasks;
    assert.deepEqual(seqs(more), [2n]);
    assert.deepEqual(seqs((await bob.take({ count: 9 })).tasks), [3n, 4n, 5n]);
    assert.equal((await ann.take({ count: 1 })).idle, false);
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
    const [late] = (await ann.take({ count: 1, ackWaitMs: 0 })).tasks;
    const [again] = (await bob.take({ count: 1, ackWaitMs: 60_000 })).tasks;
    assert(late !== undefined && again !== undefined);
    assert.deepEqual([again.message.seq, again.tries], [1n, 2]);
    assert.deepEqual(again.message.payload, late.message.payload);
    await fails("Conflict", () => ann.ack(1n, late.token));
    await fails("Conflict", () => ann.extend(1n, late.token));
    assert.equal(await bob.extend(1n, again.token, 60_000), true);
    assert.deepEqual((await ann.take({ count: 1 })).tasks, []);
    assert.equal(await bob.fail(1n, again.token, 0), true);
    await fails("Conflict", () => bob.ack(1n, again.token));
    assert.equal((await ann.take({ count: 1 })).tasks[0]?.tries, 3);
    ann.close();
    bob.close();
  });
});

async function readAll(pool: LocalPool): Promise<[bigint, string, string[]][]> {
  const walk = await pool.select({});
  const found: [bigint, string, string[]][] = [];
  while (walk.next()) {
    const { doc, dataAt } = walk.message;
    const out = new Buf(256);
    printJson(doc, dataAt, out);
    const data = new TextDecoder().decode(out.bytes());
    found.push([walk.frame.seq, data, walk.message.tags()]);
  }
  walk.close();
  return found;
}

Deno.test("group: tried too often it goes to the dead pool, once, and the others go on", async () => {
  await withPool(async ({ backend, coordinator, put, path }) => {
    await put(2, (n) => [`t${n}`]);
    const group = coordinator.group("g", { maxTries: 2 });
    for (let tries = 1; tries <= 2; tries++) {
      const [task] = (await group.take()).tasks;
      assert.deepEqual([task?.message.seq, task?.tries], [1n, tries]);
      // There is nothing to wait for after the last try.
      await group.fail(1n, task?.token ?? 0, tries < 2 ? 0 : undefined);
    }
    const file = path.replace(".plasmite", ".cursors/g");
    const before = Deno.readFileSync(file);
    const [second] = (await group.take()).tasks;
    assert.equal(second?.message.seq, 2n, "the next task comes at once");
    assert.equal(await group.ack(1n, second?.token ?? 0), false, "it is done");
    // Killed between the copy and the acknowledgement: it is moved again.
    Deno.writeFileSync(file, before);
    const again = coordinator.group("g", { maxTries: 2 });
    assert.deepEqual(seqs((await again.take({ count: 9 })).tasks), [2n]);
    const dead = await backend.open("p.dead");
    assert.equal((await dead.info()).fileSize, 1 << 20, "as large as the pool");
    const [message, ...more] = await readAll(dead);
    assert.deepEqual(more, []);
    const pool = await backend.open("p");
    const { timestampNs } = await pool.get(1n) ?? { timestampNs: 0n };
    pool.close();
    const tags = ["t1", "dead:1", `id:dead:g:${timestampNs}:1`];
    assert.deepEqual(message, [1n, '{"n":1}', tags]);
    group.close();
    again.close();
    dead.close();
  });
});

Deno.test("group: without a dead pool that may be created, exhausted tasks wait, others go on", async () => {
  await withPool(async ({ backend, coordinator, put }) => {
    await put(2);
    const group = coordinator.group("g", { maxTries: 1, createDead: false });
    const [task] = (await group.take()).tasks;
    await group.fail(1n, task?.token ?? 0, 0);
    assert.deepEqual(seqs((await group.take({ count: 9 })).tasks), [2n]);
    assert.deepEqual(await backend.names(), ["p"]);
    const [info] = await coordinator.cursors();
    assert.equal(info?.pending, 2);
    await group.close();
    // The dead pool can have any name.
    await backend.create("graves", { sizeBytes: 65536 });
    const other = coordinator.group("h", { maxTries: 1, createDead: false, dead: "graves" });
    const [first] = (await other.take()).tasks;
    await other.fail(1n, first?.token ?? 0, 0);
    assert.deepEqual(seqs((await other.take({ count: 9 })).tasks), [2n]);
    const graves = await backend.open("graves");
    assert.equal((await graves.info()).bounds.newestSeq, 1n);
    graves.close();
    other.close();
  });
});

// A worker whose dead pool cannot take the task would do nothing else any more.
Deno.test("group: a task that the dead pool refuses fails alone", async () => {
  await withPool(async ({ backend, coordinator, put }) => {
    await put(2);
    await backend.create("p.dead");
    const group = coordinator.group("g", { maxTries: 1 });
    const [task] = (await group.take()).tasks;
    await group.fail(1n, task?.token ?? 0, 0);
    Deno.writeTextFileSync(backend.path("p.dead"), "no pool");
    assert.deepEqual(seqs((await group.take({ count: 9 })).tasks), [2n]);
    assert.deepEqual((await group.take()).tasks, [], "it is tried again later");
    group.close();
  });
});

Deno.test("group: waits for a message, for a failed task, and until its time is over", async () => {
  await withPool(async ({ coordinator, put }) => {
    const ann = coordinator.group("g", { holder: "ann" });
    const bob = coordinator.group("g", { holder: "bob" });
    const waiting = ann.take({ waitMs: 30_000 });
    await put(1);
    const [task] = (await waiting).tasks;
    assert.equal(task?.message.seq, 1n);
    // Another worker's failure changes the group, not the pool.
    const second = bob.take({ waitMs: 30_000 });
    await ann.fail(1n, task?.token ?? 0, 0);
    assert.equal((await second).tasks[0]?.tries, 2);
    // A hand-out that runs out does not even change the group.
    await bob.extend(1n, (await second).tasks[0]?.token ?? 0, 300);
    assert.equal((await ann.take({ waitMs: 30_000 })).tasks[0]?.tries, 3);
    assert.deepEqual((await bob.take({ waitMs: 20 })).tasks, []);
    const stop = new AbortController();
    const reason = new Error("enough");
    const stopped = bob.take({ waitMs: 30_000, signal: stop.signal });
    const after = bob.take({ waitMs: 30_000 });
    stop.abort(reason);
    await assert.rejects(stopped, reason);
    await put(1);
    assert.deepEqual(seqs((await after).tasks), [2n], "calls are served in order");
    ann.close();
    bob.close();
  });
});

Deno.test("group: with 512 pending it waits until one is done, without spinning", async () => {
  await withPool(async ({ coordinator, put }) => {
    await put(600);
    const group = coordinator.group("g");
    const other = coordinator.group("g");
    const { tasks } = await group.take({ count: 600 });
    assert.equal(tasks.length, 512);
    const waiting = other.take({ waitMs: 30_000 });
    await new Promise((resolve) => setTimeout(resolve, 50));
    await group.ack(5n, tasks[4]?.token ?? 0);
    assert.deepEqual(seqs((await waiting).tasks), [513n]);
    group.close();
    other.close();
  });
});

Deno.test("group: ordered by key, no two tasks of a key are out at once, and their order holds", async () => {
  await withPool(async ({ coordinator, put }) => {
    await put(9, (n) => n === 9 ? [] : [`key:${n % 3}`]);
    const ann = coordinator.group("g", { holder: "ann", orderedByKey: true });
    const { tasks } = await ann.take({ count: 9 });
    assert.deepEqual(seqs(tasks), [1n, 2n, 3n, 9n]);
    // A new process knows nothing of the keys yet.
    const bob = coordinator.group("g", { holder: "bob", orderedByKey: true });
    assert.deepEqual((await bob.take({ count: 9 })).tasks, []);
    const token = tasks[0]?.token ?? 0;
    await ann.ack(2n, token);
    assert.deepEqual(seqs((await bob.take({ count: 9 })).tasks), [5n]);
    // A task that failed comes before those behind it.
    await ann.fail(1n, token, 60_000);
    await put(1, () => ["key:1"]);
    await ann.ack(3n, token);
    assert.deepEqual(seqs((await ann.take({ count: 9 })).tasks), [6n]);
    assert.deepEqual((await bob.take({ count: 9 })).tasks, [], "4 and 10 wait for 1");
    ann.close();
    bob.close();
  });
});

Deno.test("group: a condition of jq alone does not stop the group at the last match", async () => {
  await withPool(async ({ coordinator, put }) => {
    await put(700);
    const jq = [await compileWhere('.data.n | tostring | test("^[1-3]$")')];
    assert.equal(jq[0]?.isNative, false);
    const group = coordinator.group("g", { where: jq });
    const { tasks } = await group.take({ count: 9 });
    assert.deepEqual(seqs(tasks), [1n, 2n, 3n]);
    for (const { message, token } of tasks) await group.ack(message.seq, token);
    assert.equal((await group.take()).idle, true);
    assert.equal((await coordinator.cursors())[0]?.lag, 0n);
    group.close();
  });
});

// A group that went on would have passed a task over that nobody ever saw.
Deno.test("group: a condition that fails ends taking after the tasks before it, every time", async () => {
  await withPool(async ({ coordinator, put }) => {
    await put(5);
    for (
      const expression of [
        "if .data.n == 4 then 1 else true end",
        '.data.n | tostring | test("4") | if . then 1 else true end',
      ]
    ) {
      const where = [await compileWhere(expression)];
      const group = coordinator.group(where[0]?.isNative === true ? "a" : "b", { where });
      assert.deepEqual(seqs((await group.take({ count: 9 })).tasks), [1n, 2n, 3n]);
      for (let i = 0; i < 2; i++) await fails("Usage", () => group.take({ count: 9 }));
      const other = coordinator.group(group.name, { where });
      await fails("Usage", () => other.take({ count: 9 }));
      other.close();
      group.close();
    }
  });
});

// A budget for filters stopped such a group for good: each call began with the same messages.
Deno.test("group: what was examined before a condition failed is not examined again", async () => {
  await withPool(async ({ coordinator, put }) => {
    await put(100);
    const never = await compileWhere(".data.n == -1");
    let left = 60;
    const where: Where[] = [{
      expression: never.expression,
      isNative: true,
      failed: 0,
      batch: () => never.batch(),
      matches: (view) => {
        if (left-- === 0) throw new PlasmiteError("Usage", "enough");
        return never.matches(view);
      },
    }];
    const group = coordinator.group("g", { where });
    await fails("Usage", () => group.take());
    assert.equal((await coordinator.cursors())[0]?.next, 60n);
    assert.equal((await group.take()).idle, true);
    assert.equal(left, -41, "the rest was examined once");
    group.close();
  });
});

// Power was lost inside a write: the tasks of the newer record would never be handed out again.
Deno.test("group: after a torn write a worker that continues finds the tasks of the older record", async () => {
  await withPool(async ({ coordinator, put, path }) => {
    await put(3);
    const group = coordinator.group("g");
    assert.deepEqual(seqs((await group.take()).tasks), [1n]);
    const file = path.replace(".plasmite", ".cursors/g");
    const older = Deno.readFileSync(file);
    assert.deepEqual(seqs((await group.take()).tasks), [2n]);
    Deno.writeFileSync(file, older);
    assert.deepEqual(seqs((await group.take({ count: 9 })).tasks), [2n, 3n]);
    group.close();
  });
});

// Tasks that are recorded in a file that is gone would all be handed out a second time.
Deno.test("group: deleted just before it is locked, it is not used", async () => {
  await withPool(async ({ coordinator, put, path }) => {
    await put(1);
    const group = coordinator.group("g");
    assert.equal((await group.take()).tasks.length, 1);
    group.close();
    const file = path.replace(".plasmite", ".cursors/g");
    await beforeLock(
      () => Deno.removeSync(file),
      () => assert.equal(withGroup(path, "g", { create: false }, () => "used"), null),
    );
    assert.deepEqual(withGroup(path, "g", { create: true }, ({ record }) => record), {
      value: null,
    });
  });
});

Deno.test("group: the filter is the group's; what does not match is passed over", async () => {
  await withPool(async ({ coordinator, put }) => {
    await put(10, (n) => n % 3 === 0 ? ["task"] : []);
    const where = [await compileWhere(".data.n != 6")];
    const group = coordinator.group("g", { tags: ["task"], where });
    const { tasks } = await group.take({ count: 9 });
    assert.deepEqual(seqs(tasks), [3n, 9n]);
    for (const { message, token } of tasks) await group.ack(message.seq, token);
    assert.equal((await group.take({ count: 1 })).idle, true, "message 10 was passed over");
    const other = coordinator.group("g", { tags: ["other"] });
    await fails("Usage", () => other.take({ count: 1 }));
    await fails("Usage", () => coordinator.group("big", { tags: ["x".repeat(9000)] }));
    (await coordinator.cursor("c")).close();
    await fails("Usage", () => coordinator.group("c").take({ count: 1 }));
    await fails("Usage", () => coordinator.cursor("g"));
    await fails("Usage", () => coordinator.setCursor("g", { to: "end" }));
    group.close();
  });
});

Deno.test("group: an overwritten message is reported once, with its number", async () => {
  await withPool(async ({ coordinator, put }) => {
    await put(3);
    const group = coordinator.group("g");
    assert.equal((await group.take({ count: 2 })).tasks.length, 2);
    await put(500);
    const { lost, tasks } = await group.take({ count: 1 });
    const oldest = tasks[0]?.message.seq ?? 0n;
    assert(oldest > 3n);
    assert.equal(lost, oldest - 1n);
    assert.equal((await group.take({ count: 1 })).lost, 0n);
    group.close();
  }, 65536);
});

Deno.test("group: with 512 pending there is no more until one is done", async () => {
  await withPool(async ({ coordinator, put }) => {
    await put(600);
    const group = coordinator.group("g");
    const { tasks } = await group.take({ count: 600 });
    assert.equal(tasks.length, 512);
    assert.deepEqual((await group.take({ count: 1 })).tasks, []);
    await group.ack(5n, tasks[4]?.token ?? 0);
    assert.deepEqual(seqs((await group.take({ count: 9 })).tasks), [513n]);
    group.close();
  });
});

Deno.test("group: a pool that was recreated is NotFound", async () => {
  await withPool(async ({ backend, coordinator, put, path }) => {
    await put(3);
    const group = coordinator.group("g");
    await group.take({ count: 1 });
    const file = path.replace(".plasmite", ".cursors/g");
    const kept = Deno.readFileSync(file);
    await backend.remove("p");
    await backend.create("p");
    await fails("NotFound", () => group.take({ count: 1 }));
    group.close();
    Deno.mkdirSync(path.replace(".plasmite", ".cursors"), { recursive: true });
    Deno.writeFileSync(file, kept);
    const pool = backend.open("p") as LocalPool;
    const other = (await pool.coordinate()).group("g");
    await fails("NotFound", () => other.take({ count: 1 }));
    other.close();
    pool.close();
  });
});

/** Workers are killed at random; `addresses` names the pool for each of them in turn. */
async function killWorkers(
  addresses: (path: string) => readonly string[],
): Promise<void> {
  await withPool(async ({ put, path }) => {
    const ways = addresses(path);
    const total = 400 * SCALE;
    await put(total);
    const log = `${path}.log`;
    const dead = new Set<string>();
    let next = 0;
    const work = async (kills: number): Promise<void> => {
      for (let life = 0; life <= kills; life++) {
        const holder = `w${next++}`;
        const way = ways[next % ways.length] ?? path;
        const worker = start("worker.ts", way, "g", holder, log, "400");
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
    const done = new Map<number, { holder: string; token: string }[]>();
    const tokens = new Map<string, string>();
    const late = new Set<string>();
    for (const line of Deno.readTextFileSync(log).trimEnd().split("\n")) {
      const [holder = "", seq = "", token = ""] = line.split(" ");
      if (holder === "late") {
        late.add(`${seq} ${token}`);
        continue;
      }
      done.set(Number(seq), [...done.get(Number(seq)) ?? [], { holder, token }]);
      const owner = tokens.get(`${seq} ${token}`);
      assert(owner === undefined, `task ${seq} was handed to ${owner} and ${holder} at once`);
      tokens.set(`${seq} ${token}`, holder);
    }
    assert.equal(done.size, total, "every task was done");
    for (const [seq, times] of done) {
      // The last one finished it; every earlier one was killed before it could acknowledge, or was told
      // that it came too late.
      times.sort((a, b) => Number(a.token) - Number(b.token));
      for (const { holder, token } of times.slice(0, -1)) {
        const excused = dead.has(holder) || late.has(`${seq} ${token}`);
        assert(excused, `task ${seq} was done by ${times.map((time) => time.holder)}`);
      }
    }
  }, 1 << 22);
}

Deno.test("processes: workers killed at random, every task is done, twice only for a reason", async () => {
  await killWorkers((path) => [path]);
});

Deno.test("processes: workers of a server and of its files share the tasks, whoever is killed", async () => {
  const servers: TestServer[] = [];
  try {
    await killWorkers((path) => {
      const server = serve({ dir: path.slice(0, path.lastIndexOf("/")) });
      servers.push(server);
      return [`${server.url}/p`, `${server.url}/p`, path];
    });
  } finally {
    for (const server of servers) await server.stop();
  }
});
