/**
 * Cursors: a reader that was killed must get every message again that it had not finished, and one
 * whose pool was replaced must be told, not wait in silence.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { beforeLock, withPool } from "./pool_util.ts";
import { LocalBackend, type LocalPool } from "../../lib/backend/local.ts";
import { cursorDir } from "../../lib/coordination/cursor_file.ts";
import { printCursor } from "../../lib/coordination/cursor_record.ts";
import { CURSOR_SLOT, encodeSlot } from "../../lib/coordination/slots.ts";
import { frames, storeAll } from "../support/coordinated.ts";
import { fails } from "../support/fails.ts";
import { start } from "../support/processes.ts";
import { SCALE } from "../support/rings.ts";

Deno.test("cursor: starts where requested, and continues where it was", async () => {
  await withPool(async ({ coordinator, put }) => {
    const empty = await coordinator.cursor("empty");
    assert.deepEqual([empty.seq, empty.isNew], [0n, true]);
    empty.close();
    await put(5);
    for (const [from, seq] of [["oldest", 0n], ["end", 5n], [3n, 3n]] as const) {
      const cursor = await coordinator.cursor(`c-${from}`, { from });
      assert.equal(cursor.seq, seq);
      cursor.close();
      const again = await coordinator.cursor(`c-${from}`, { from: "end" });
      assert.deepEqual(
        [again.seq, again.isNew],
        [seq, false],
        "where it begins is written at once",
      );
      again.close();
    }
    // A job that is started again as the first time: its first message may be gone by now.
    const known = await coordinator.cursor("c-3", { from: 600n });
    assert.deepEqual([known.seq, known.isNew], [3n, false]);
    known.close();
    await fails("Usage", () => coordinator.cursor("far", { from: 6n }));
    await fails("Usage", () => coordinator.cursor("Bad Name"));
    assert.equal((await coordinator.setCursor("far", { to: 2n })).seq, 2n);
    assert.equal((await coordinator.setCursor("far", { to: "end" })).seq, 5n);
  });
});

Deno.test("cursor: acknowledging moves it, never past what is not acknowledged", async () => {
  await withPool(async ({ coordinator, put }) => {
    await put(9);
    const cursor = await coordinator.cursor("c");
    for (const seq of [2n, 4n, 7n]) cursor.deliver(seq, 1n);
    await cursor.pass(9n);
    assert.equal(cursor.seq, 0n);
    assert.equal(cursor.ack(3n), false, "was not delivered");
    assert.equal(cursor.ack(4n), true);
    assert.deepEqual([cursor.seq, cursor.pending], [4n, 1]);
    assert.equal(cursor.ack(2n), true, "again");
    await cursor.pass(9n);
    assert.equal(cursor.seq, 4n);
    cursor.ack(7n);
    await cursor.pass(9n);
    assert.equal(cursor.seq, 8n);
    await cursor.pass(4n);
    assert.equal(cursor.seq, 8n, "never backwards");
    cursor.close();
  });
});

Deno.test("cursor: one reader at a time, the refusal names it", async () => {
  await withPool(async ({ coordinator }) => {
    const cursor = await coordinator.cursor("c");
    const error = await fails("Busy", () => coordinator.cursor("c"));
    assert.equal(error.details["pid"], BigInt(Deno.pid));
    await fails("Busy", () => coordinator.setCursor("c", { to: "end" }));
    cursor.close();
    (await coordinator.cursor("c")).close();
  });
});

Deno.test("cursor: a replaced pool is reported, shorter or longer or without identity", async () => {
  for (const count of [2, 5, 9]) {
    for (const stamped of [true, false]) {
      await withPool(async ({ backend, coordinator, put, path }) => {
        await put(5);
        const cursor = await coordinator.cursor("c", { from: 4n });
        cursor.close();
        const file = `${cursorDir(path)}/c`;
        const kept = Deno.readFileSync(file);
        await backend.remove("p");
        await backend.create("p");
        if (!stamped) {
          using raw = Deno.openSync(path, { write: true });
          raw.seekSync(128, Deno.SeekMode.Start);
          raw.writeSync(new Uint8Array(64));
        }
        Deno.mkdirSync(cursorDir(path), { recursive: true });
        Deno.writeFileSync(file, kept);
        const pool = backend.open("p", { write: true }) as LocalPool;
        const batch = frames(...Array.from({ length: count }, () => [{}, []] as const));
        await storeAll(pool, batch, undefined);
        const other = await pool.coordinate();
        const error = await fails("NotFound", () => other.cursor("c"));
        assert.equal(error.details["cursor"], "c");
        assert.equal(error.details["seq"], 4n);
        assert.equal((await other.setCursor("c", { to: "oldest" })).seq, 0n);
        (await other.cursor("c")).close();
        pool.close();
      });
    }
  }
});

Deno.test("cursor: deleting a pool deletes its cursors", async () => {
  await withPool(async ({ backend, coordinator, path }) => {
    (await coordinator.cursor("c")).close();
    assert(Deno.statSync(cursorDir(path)).isDirectory);
    await backend.remove("p");
    assert.throws(() => Deno.statSync(cursorDir(path)), Deno.errors.NotFound);
  });
});

Deno.test("cursor: each byte of the newer slot destroyed, the older counts; both, it is Corrupt", async () => {
  await withPool(async ({ coordinator, put, path }) => {
    await put(5);
    const cursor = await coordinator.cursor("c");
    for (const seq of [1n, 2n, 3n]) cursor.deliver(seq, 1n);
    cursor.ack(1n);
    cursor.ack(2n);
    cursor.close();
    const file = `${cursorDir(path)}/c`;
    const whole = Deno.readFileSync(file);
    const text = new TextDecoder().decode(whole);
    const newer = text.indexOf('"seq":"2"') < 512 ? 0 : 512;
    const end = text.indexOf("  ", newer);
    for (let at = newer; at < end; at++) {
      const torn = whole.slice();
      torn[at] = (torn[at] ?? 0) ^ 0x55;
      Deno.writeFileSync(file, torn);
      const { CursorFile } = await import("../../lib/coordination/cursor_file.ts");
      const held = CursorFile.open(path, "c", { create: false });
      assert.equal(held.record?.seq, 1n, `byte ${at}`);
      held.close();
    }
    const both = whole.slice();
    both[newer + 3] = 0;
    both[(512 - newer) + 3] = 0;
    Deno.writeFileSync(file, both);
    await fails("Corrupt", () => coordinator.cursor("c"));
    assert.equal((await coordinator.setCursor("c", { to: 3n })).seq, 3n);
    (await coordinator.cursor("c")).close();
  });
});

Deno.test("cursor: reading continues after the position, also after losses", async () => {
  await withPool(async ({ coordinator, put }) => {
    await put(3);
    const cursor = await coordinator.cursor("c");
    const read = async (): Promise<bigint[]> => {
      const walk = await cursor.select();
      const seqs: bigint[] = [];
      while (walk.next()) {
        seqs.push(walk.frame.seq);
        cursor.deliver(walk.frame.seq, walk.frame.timestampNs);
      }
      const gap = walk.takeGap();
      walk.close();
      return gap === null ? seqs : [gap.first, gap.last, ...seqs.slice(0, 1)];
    };
    assert.deepEqual(await read(), [1n, 2n, 3n]);
    cursor.ack(2n);
    assert.deepEqual(await read(), [3n]);
    cursor.ack(3n);
    assert.deepEqual(await read(), []);
    cursor.close();
  }, 65536);
});

Deno.test("cursor: the list says who holds it, and a damaged one does not hide the others", async () => {
  await withPool(async ({ coordinator, put, path }) => {
    await put(5);
    assert.deepEqual(await coordinator.cursors(), []);
    const held = await coordinator.cursor("held", { from: 2n });
    (await coordinator.cursor("free", { from: "end" })).close();
    const group = coordinator.group("work");
    await group.take({ count: 2 });
    group.close();
    for (const name of ["bad", "worse"]) (await coordinator.cursor(name)).close();
    Deno.writeFileSync(`${cursorDir(path)}/bad`, new Uint8Array(1024).fill(0x41));
    Deno.writeFileSync(`${cursorDir(path)}/worse`, new Uint8Array(131072).fill(0x41));
    Deno.writeFileSync(`${cursorDir(path)}/born`, new Uint8Array());
    Deno.writeTextFileSync(`${cursorDir(path)}/NOT-ONE`, "x");
    const told = (await coordinator.cursors()).map((one) => [
      one.name,
      one.kind,
      one.seq,
      one.lag,
      one.lost,
      one.inUse?.pid ?? null,
      one.error?.kindName ?? null,
    ]);
    assert.deepEqual(told, [
      ["bad", "cursor", 0n, 0n, 0n, null, "Corrupt"],
      ["free", "cursor", 5n, 0n, 0n, null, null],
      ["held", "cursor", 2n, 3n, 0n, Deno.pid, null],
      ["work", "group", 0n, 5n, 0n, null, null],
      ["worse", "group", 0n, 0n, 0n, null, "Corrupt"],
    ]);
    const work = (await coordinator.cursors()).find(({ name }) => name === "work");
    assert.deepEqual([work?.next, work?.pending, work?.headroom], [2n, 2, 0n]);
    // Looking at it does not take it away from anybody.
    held.close();
    for (let i = 0; i < 50; i++) {
      await coordinator.cursors();
      (await coordinator.cursor("held")).close();
    }
  });
});

// Somebody who only looked was told of as a reader, and a reader was turned away by who looked.
Deno.test("cursor: listing cursors does not hold them", async () => {
  await withPool(async ({ coordinator, backend, path }) => {
    (await coordinator.cursor("c")).close();
    const looking = Deno.openSync(`${cursorDir(path)}/c`, { read: true });
    assert.equal(looking.tryLockSync(false), true);
    assert.equal((await coordinator.cursors())[0]?.inUse, null);
    const other = new LocalBackend(backend.place, { serving: true });
    const pool = await other.open("p");
    const serving = await pool.coordinate();
    for (
      const use of [
        async () => (await serving.cursor("c")).close(),
        async () => await serving.setCursor("c", { to: "end" }),
        async () => await serving.deleteCursor("c"),
      ]
    ) {
      looking.tryLockSync(false);
      const using = use();
      looking.unlockSync();
      await using;
    }
    looking.close();
    pool.close();
  });
});

Deno.test("cursor: what was overwritten is counted in the list", async () => {
  await withPool(async ({ coordinator, put, pool }) => {
    await put(3);
    (await coordinator.cursor("c", { from: 1n })).close();
    const group = coordinator.group("g");
    await group.take();
    group.close();
    await put(600);
    const { oldest, newest } = pool.boundsNow();
    const [cursor, work] = await coordinator.cursors();
    assert.deepEqual([cursor?.lag, cursor?.lost], [newest - 1n, oldest - 2n]);
    assert.deepEqual([work?.lost, work?.headroom], [oldest - 1n, 0n]);
  }, 65536);
});

Deno.test("cursor: is set only at the expected position, and deleted only when no one holds it", async () => {
  await withPool(async ({ coordinator, put, path }) => {
    await put(5);
    const at = { expected: 3n, actual: null };
    const none = await fails("Conflict", () => coordinator.setCursor("c", { to: 4n, ifSeq: 3n }));
    assert.deepEqual({ ...none.details }, at);
    assert.deepEqual(await coordinator.cursors(), [], "nothing is left behind");
    const made = await coordinator.setCursor("c", { to: 2n, ifSeq: null });
    assert.deepEqual([made.seq, made.lag, made.inUse], [2n, 3n, null]);
    const there = await fails(
      "Conflict",
      () => coordinator.setCursor("c", { to: 2n, ifSeq: null }),
    );
    assert.deepEqual({ ...there.details }, { expected: null, actual: 2n });
    const moved = await fails("Conflict", () => coordinator.setCursor("c", { to: 5n, ifSeq: 1n }));
    assert.deepEqual({ ...moved.details }, { expected: 1n, actual: 2n });
    assert.equal((await coordinator.setCursor("c", { to: 5n, ifSeq: 2n })).seq, 5n);
    const held = await coordinator.cursor("c");
    await fails("Busy", () => coordinator.deleteCursor("c"));
    held.close();
    await coordinator.deleteCursor("c");
    const error = await fails("NotFound", () => coordinator.deleteCursor("c"));
    assert.equal(error.details["cursor"], "c");
    const group = coordinator.group("g");
    await group.take();
    await coordinator.deleteCursor("g");
    assert.equal((await group.take()).tasks[0]?.message.seq, 1n, "a worker makes it anew");
    group.close();
    // A damaged one must not be taken for one that is where it should be.
    await coordinator.setCursor("c", { to: 2n });
    Deno.writeFileSync(`${cursorDir(path)}/c`, new Uint8Array(1024).fill(0x41));
    await fails("Corrupt", () => coordinator.setCursor("c", { to: 3n, ifSeq: 2n }));
    await coordinator.deleteCursor("c");
  });
});

// A client that knows the position of a pool that is gone would skip what is in the new one.
Deno.test("cursor: is not moved on in a pool that was replaced", async () => {
  await withPool(async ({ backend, coordinator, put, path }) => {
    await put(5);
    await coordinator.setCursor("c", { to: 2n });
    const kept = Deno.readFileSync(`${cursorDir(path)}/c`);
    await backend.remove("p");
    await backend.create("p");
    const pool = backend.open("p", { write: true }) as LocalPool;
    await storeAll(pool, frames([{}, []], [{}, []], [{}, []]), undefined);
    Deno.mkdirSync(cursorDir(path), { recursive: true });
    Deno.writeFileSync(`${cursorDir(path)}/c`, kept);
    const other = await pool.coordinate();
    const update = { to: 3n, ifSeq: 2n };
    const error = await fails("NotFound", () => other.setCursor("c", update));
    assert.deepEqual({ ...error.details }, { cursor: "c", seq: 2n, actual: 3n });
    await other.setCursor("c", { to: 3n });
    pool.close();
  });
});

// The cursor would skip messages of another pool, whose message of that number has another time.
Deno.test("cursor: exchanged just before it is locked, it is not moved on", async () => {
  await withPool(async ({ coordinator, put, path }) => {
    await put(5);
    await coordinator.setCursor("c", { to: 2n });
    const record = { gen: 9, pool: "", seq: 2n, ns: 1n, first: 0n, acked: "", pid: 1, host: "" };
    const other = encodeSlot(printCursor(record), CURSOR_SLOT);
    await beforeLock(
      () => Deno.writeFileSync(`${cursorDir(path)}/c`, other),
      () => fails("NotFound", async () => await coordinator.setCursor("c", { to: 3n, ifSeq: 2n })),
    );
    assert.equal((await coordinator.cursors())[0]?.seq, 2n);
  });
});

Deno.test("cursor: a message that is given up goes to the dead pool, once", async () => {
  await withPool(async ({ backend, coordinator, put, path }) => {
    await put(2, () => ["t"]);
    for (let life = 0; life < 2; life++) {
      const cursor = await coordinator.cursor("c");
      const kept = Deno.readFileSync(`${cursorDir(path)}/c`);
      const walk = await cursor.select();
      assert(walk.next());
      const { seq, timestampNs, u8, payloadAt, payloadLength } = walk.frame;
      const payload = u8.slice(payloadAt, payloadAt + payloadLength);
      cursor.deliver(seq, timestampNs);
      await cursor.bury({ seq, timestampNs, flags: 0, payload });
      assert.deepEqual([cursor.seq, cursor.pending], [1n, 0]);
      walk.close();
      cursor.close();
      // Killed between the copy and the acknowledgement.
      Deno.writeFileSync(`${cursorDir(path)}/c`, kept);
    }
    const dead = await backend.open("p.dead");
    assert.equal((await dead.info()).metrics?.messageCount, 1n);
    dead.close();
  });
});

Deno.test("processes: killed over and over, nothing is missing and the order is kept", async () => {
  await withPool(async ({ put, path, coordinator }) => {
    const total = 1500 * SCALE;
    await put(total);
    const log = `${path}.log`;
    let kills = 0;
    for (let position = 0n; position < BigInt(total); kills++) {
      const reader = start("consumer.ts", path, "c", log);
      const most = 1 + (kills * 7919) % 300;
      for (let lines = 0; lines < most; lines++) if (await reader.line() === null) break;
      reader.kill();
      await reader[Symbol.asyncDispose]();
      const cursor = await coordinator.cursor("c");
      assert(cursor.seq >= position, "a position never goes back");
      position = cursor.seq;
      cursor.close();
    }
    let highest = 0;
    let count = 0;
    for (const line of Deno.readTextFileSync(log).trimEnd().split("\n")) {
      const seq = Number(line);
      assert(seq === highest || seq === highest + 1, `${seq} after ${highest}`);
      highest = seq;
      count++;
    }
    assert.equal(highest, total);
    assert(count - total <= kills, `${count - total} twice in ${kills} lives`);
  }, 1 << 24);
});
