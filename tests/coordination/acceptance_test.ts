/**
 * The experiments of docs/spec/coordination.md 10 that need several programs or a large pool: what
 * they find out is a decision made on what is no longer so.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import * as coordination from "../../lib/backend/local/coordinator.ts";
import { LocalBackend, type LocalPool } from "../../lib/backend/local.ts";
import { cursorDir } from "../../lib/coordination/cursor_file.ts";
import { checkRing } from "../../lib/pool/check.ts";
import { creating } from "../../lib/pool/creation.ts";
import { openToAppend } from "../../lib/pool/mending.ts";
import { disk } from "../../lib/storage/file.ts";
import { inPlace } from "../../lib/storage/steps.ts";
import type { Storage } from "../../lib/storage/storage.ts";
import { cli, errorOf, inTemp } from "../cli/cli_util.ts";
import { frames, storeAll, storeWhen } from "../support/coordinated.ts";
import { fails } from "../support/fails.ts";
import { foreignAppendTo } from "../support/foreign.ts";
import { MemoryStorage } from "../support/memory.ts";
import { type Mapping, refAppendAll } from "../support/ref_writer.ts";
import { hooked, SCALE } from "../support/rings.ts";
import { withPool } from "./pool_util.ts";

// Experiment 1.
Deno.test("another program beside coordination: it leaves our bytes alone, and its messages count", () =>
  withPool(async ({ pool, coordinator, path, put }) => {
    await put(3, (n) => [`key:k${n}`]);
    await storeWhen(pool, { n: 4 }, ["id:mine"], { ids: ["mine"] });
    const cursor = await coordinator.cursor("c", { from: 2n });
    cursor.close();
    const group = coordinator.group("g");
    await group.take();
    group.close();
    const stamp = (): Uint8Array => Deno.readFileSync(path).subarray(104, 4096);
    const files = (): Record<string, string> =>
      Object.fromEntries(
        [...Deno.readDirSync(cursorDir(path))].map(({ name }) => [
          name,
          Deno.readFileSync(`${cursorDir(path)}/${name}`).toHex(),
        ]),
      );
    const before = { stamp: stamp().slice(), files: files() };
    assert.ok(before.stamp.some((byte) => byte !== 0));
    assert.equal(foreignAppendTo(path, { by: "other" }, ["key:k1", "id:theirs"]), 5n);
    const claim = { claim: ["deploy"], by: "other", state: "held", ttl_ms: 60_000, token: 0 };
    assert.equal(foreignAppendTo(path, claim, ["claim", "key:deploy", "agent:other"]), 6n);
    assert.deepEqual({ stamp: stamp(), files: files() }, before);
    assert.equal(checkRing(disk, path, "p").status, "ok");

    assert.equal((await coordinator.latest("k1"))?.seq, 5n);
    await fails("Conflict", () => storeWhen(pool, {}, ["key:k1"], { key: "k1", expect: 1n }));
    assert.equal((await storeWhen(pool, {}, ["key:k1"], { key: "k1", expect: 5n })).seq, 7n);
    assert.deepEqual(await storeWhen(pool, { by: "other" }, ["id:theirs"], { ids: ["theirs"] }), {
      seq: 5n,
      duplicate: true,
    });
    await fails(
      "Conflict",
      () => storeWhen(pool, { by: "me" }, ["id:theirs"], { ids: ["theirs"] }),
    );
    const busy = await fails("Busy", () => coordinator.claim({ keys: ["deploy"], holder: "me" }));
    assert.equal(busy.details["holder"], "other");
    assert.equal(busy.details["token"], 6n);
    const released = { ...claim, state: "released", token: 6 };
    foreignAppendTo(path, released, ["claim", "key:deploy", "agent:other"]);
    assert.equal((await coordinator.claim({ keys: ["deploy"], holder: "me" })).token, 9n);
    const again = await coordinator.cursor("c");
    assert.equal(again.seq, 2n);
    again.close();
    assert.equal(checkRing(disk, path, "p").status, "ok");
  }));

// Experiment 17, without a server.
Deno.test("forty programs with one expectation: one of them is right, the others are told by how much not", () =>
  inTemp(async (dir) => {
    await cli(["--dir", dir, "feed", "p", "--create", '{"n":1}']);
    foreignAppendTo(`${dir}/p.plasmite`, { n: 2 }, []);
    const racers = Array.from(
      { length: 40 },
      (_, i) => cli(["--dir", dir, "feed", "p", "--expect", "2", `{"racer":${i}}`]),
    );
    const outcomes = await Promise.all(racers);
    const winners = outcomes.filter(({ code }) => code === 0);
    assert.equal(winners.length, 1);
    assert.equal(JSON.parse(winners[0]?.stdout ?? "").seq, 3);
    for (const outcome of outcomes) {
      if (outcome.code === 0) continue;
      assert.equal(outcome.code, 10, outcome.stderr);
      const { actual, expected, kind } = errorOf(outcome);
      assert.deepEqual({ actual, expected, kind }, { actual: 3, expected: 2, kind: "Conflict" });
    }
    const { stdout } = await cli(["--dir", dir, "follow", "p", "--no-follow", "--jsonl"]);
    assert.equal(stdout.trim().split("\n").length, 3);
  }));

// Experiment 3, for a key whose holders come from the command line.
Deno.test("programs that claim one key at once: one holder, and each release frees it for one", () =>
  inTemp(async (dir) => {
    await cli(["--dir", dir, "pool", "create", "locks"]);
    const tokens: number[] = [];
    for (let round = 0; round < 2 * SCALE; round++) {
      const outcomes = await Promise.all(
        Array.from(
          { length: 12 },
          (_, i) => cli(["--dir", dir, "claim", "locks", "deploy", "--as", `w${i}`]),
        ),
      );
      const held = outcomes.filter(({ code }) => code === 0).map(({ stdout }) =>
        JSON.parse(stdout)
      );
      assert.equal(held.length, 1);
      const [{ holder, token }] = held;
      for (const outcome of outcomes) {
        if (outcome.code === 0) continue;
        assert.equal(outcome.code, 5, outcome.stderr);
        assert.equal(errorOf(outcome)["holder"], holder);
      }
      assert.ok(token > (tokens.at(-1) ?? 0), "tokens only grow");
      tokens.push(token);
      const release = ["release", "locks", "deploy", "--as", holder, "--token", String(token)];
      assert.equal((await cli(["--dir", dir, ...release])).code, 0);
    }
  }));

// Experiment 5, with another program.
Deno.test("another program's message that arrives between look-up and lock is seen by keys, ids and claims", async () => {
  const path = "/memory/p.plasmite";
  const inner = new MemoryStorage();
  inPlace(creating(inner, path, { size: 1 << 20 }));
  let arriving: [object, string[]][] = [];
  const storage = hooked(inner, {
    onLock: (exclusive) => {
      const now = exclusive ? arriving : [];
      if (exclusive) arriving = [];
      for (const [data, tags] of now) {
        const time = Temporal.Now.instant().epochNanoseconds;
        refAppendAll(mapBytes(inner, path), frames([data, tags]).payload(0), time);
      }
    },
  });
  const pool = new LocalBackend("/", { storage, coordination }).open(path, {
    write: true,
  }) as LocalPool;
  const it = await pool.coordinate();
  // So that it knows the pool, and tries without a search first.
  await storeWhen(pool, {}, ["key:k"], { key: "k", expect: 0n });

  for (const count of [1, 300]) {
    const filler = Array.from({ length: count - 1 }, (_, i): [object, string[]] => [{ i }, ["t"]]);
    const newest = pool.boundsNow().newest;
    arriving = [...filler, [{ theirs: count }, ["key:k", `id:x${count}`]]];
    const conflict = await fails(
      "Conflict",
      () => storeWhen(pool, {}, ["key:k"], { key: "k", expect: newest }),
    );
    assert.equal(conflict.details["actual"], newest + BigInt(count));
    arriving = [...filler, [{ theirs: count }, [`id:y${count}`]]];
    const seq = pool.boundsNow().newest + BigInt(count);
    const twin = await storeWhen(pool, { theirs: count }, [`id:y${count}`], { ids: [`y${count}`] });
    assert.deepEqual(twin, { seq, duplicate: true });
    const claim = (key: string, more: object): [object, string[]] => [
      { claim: [key], by: "other", state: "held", ttl_ms: 60_000, token: 0, ...more },
      ["claim", `key:${key}`, "agent:other"],
    ];
    arriving = [...filler, claim(`deploy${count}`, {})];
    const first = pool.boundsNow().newest + BigInt(count);
    const busy = await fails("Busy", () => it.claim({ keys: [`deploy${count}`], holder: "me" }));
    assert.deepEqual([busy.details["holder"], busy.details["token"]], ["other", first]);
    const { token } = await it.claim({ keys: [`mine${count}`], holder: "me" });
    arriving = [
      ...filler,
      claim(`mine${count}`, { by: "me", token: Number(token), state: "released" }),
    ];
    const lost = await fails(
      "Conflict",
      () => it.claim({ keys: [`mine${count}`], holder: "me", token }),
    );
    assert.match(lost.message, /released/);
  }
  pool.close();
});

// Experiment 6.
Deno.test("an id is known just inside the window and forgotten just outside, whoever wrote in between", () =>
  withPool(async ({ pool, path }) => {
    const when = { ids: ["x"], idWindow: 10 };
    assert.deepEqual(await storeWhen(pool, {}, ["id:x"], when), { seq: 1n, duplicate: false });
    for (let i = 0; i < 9; i++) {
      if (i % 2 === 0) foreignAppendTo(path, { i }, []);
      else await storeWhen(pool, { i }, []);
    }
    assert.deepEqual(await storeWhen(pool, {}, ["id:x"], when), { seq: 1n, duplicate: true });
    foreignAppendTo(path, {}, []);
    assert.deepEqual(await storeWhen(pool, {}, ["id:x"], when), { seq: 12n, duplicate: false });
    const other = await fails("Conflict", () => storeWhen(pool, { n: 1 }, ["id:x"], when));
    assert.equal(other.details["seq"], 12n);
  }));

// Experiment 9: the file is the same one, with an older content.
Deno.test("a backup that is put back is told to a cursor that was further on, and to one that looks right", () =>
  withPool(async ({ coordinator, path, pool, put }) => {
    await put(5);
    const backup = Deno.readFileSync(path);
    await put(5);
    for (const [name, from] of [["at-end", 10n], ["middle", 8n], ["early", 4n]] as const) {
      (await coordinator.cursor(name, { from })).close();
    }
    pool.close();
    const restore = (): void => {
      using file = Deno.openSync(path, { write: true });
      for (let done = 0; done < backup.length;) done += file.writeSync(backup.subarray(done));
    };
    restore();
    const reopen = () =>
      new LocalBackend(".", { coordination }).open(path, { write: true }) as LocalPool;
    {
      const again = reopen();
      const other = await again.coordinate();
      for (const name of ["at-end", "middle"]) {
        const error = await fails("NotFound", () => other.cursor(name));
        assert.deepEqual([error.details["cursor"], error.details["actual"]], [name, 5n]);
      }
      const early = await other.cursor("early");
      assert.equal(early.seq, 4n, "what it has done is still there");
      early.close();
      // Now the numbers are there again, with other messages.
      const batch = frames(...Array.from({ length: 6 }, (_, i) => [{ other: i }, []] as const));
      await storeAll(again, batch, undefined);
      for (const name of ["at-end", "middle"]) await fails("NotFound", () => other.cursor(name));
      again.close();
    }
  }));

/** A file in memory as another program sees it. */
function mapBytes(storage: MemoryStorage, path: string): Mapping {
  const file = storage.open(path, { write: true });
  return {
    read: (at, length) => {
      const bytes = new Uint8Array(length);
      file.readAt(bytes, at);
      return bytes;
    },
    write: (bytes, at) => file.writeAt(bytes, at),
  };
}

/** A storage that adds up the bytes that are read while a handle has the exclusive lock. */
function counting(inner: Storage): { storage: Storage; readLocked: () => number } {
  let locked = false;
  let total = 0;
  const storage: Storage = {
    open: (path, options) => {
      const file = inner.open(path, options);
      return Object.assign(Object.create(file), {
        tryLock: (exclusive: boolean) => {
          const got = file.tryLock(exclusive);
          locked = got && exclusive;
          return got;
        },
        unlock: () => {
          locked = false;
          file.unlock();
        },
        readAt: (into: Uint8Array, at: number) => {
          const got = file.readAt(into, at);
          if (locked) total += got;
          return got;
        },
      });
    },
  } as Storage;
  return { storage, readLocked: () => total };
}

// Experiment 13, counted instead of timed.
Deno.test("conditional appends to a large pool read next to nothing while others wait for the lock", async () => {
  const path = "/memory/p.plasmite";
  const inner = new MemoryStorage();
  inPlace(creating(inner, path, { size: 1 << 26 }));
  const many = 20_000 * Math.min(5, SCALE);
  const plain = openToAppend(inner, path);
  const batch = frames(...Array.from({ length: 1000 }, (_, i) => [{ i }, ["t"]] as const));
  for (let stored = 0; stored < many;) stored += plain.tryAppend(batch)?.count ?? 0;
  const { storage, readLocked } = counting(inner);
  const pool = new LocalBackend("/", { storage, coordination }).open(path, {
    write: true,
  }) as LocalPool;
  let last = 0n;
  for (let i = 0; i < 50; i++) {
    // The key is in none of the messages: it has to be looked for in all of them.
    const when = { key: `absent${i}`, expect: 0n };
    const before = readLocked();
    last = (await storeWhen(pool, { i }, [`key:absent${i}`], when)).seq;
    const read = readLocked() - before;
    assert.ok(read < 16_384, `${read} bytes under the lock of append ${i}`);
    // Whoever waits comes in between.
    for (let n = 0; n < 5; n++) assert.ok(plain.tryAppend(frames([{ n }, []])) !== null);
  }
  assert.equal(last, BigInt(many + 50 + 49 * 5));
  pool.close();
});

// Whoever waits for the lock would wait longer for every further id.
Deno.test("conditional appends to a pool with an age limit look for its oldest message once", async () => {
  const path = "/memory/p.plasmite";
  const inner = new MemoryStorage();
  inPlace(creating(inner, path, { size: 1 << 24, maxAgeNs: 3_600_000_000_000n }));
  const { storage, readLocked } = counting(inner);
  const pool = new LocalBackend("/", { storage, coordination }).open(path, {
    write: true,
  }) as LocalPool;
  const store = async (prefix: string): Promise<void> => {
    const ids = Array.from({ length: 500 }, (_, i) => `${prefix}${i}`);
    await storeAll(pool, frames(...ids.map((id) => [{ id }, [`id:${id}`]] as const)), { ids });
  };
  await store("a");
  const before = readLocked();
  await store("b");
  const read = readLocked() - before;
  assert.ok(read < 1 << 19, `${read} bytes under the lock`);
  pool.close();
});
