/**
 * Cursors: a reader that was killed must get every message again that it had not finished, and one
 * whose pool was replaced must be told, not wait in silence.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import * as coordination from "../../lib/backend/local/coordinator.ts";
import { LocalBackend, type LocalPool } from "../../lib/backend/local.ts";
import type { Coordinator } from "../../lib/backend/local/coordinator.ts";
import { cursorDir } from "../../lib/coordination/cursor_file.ts";
import { ErrorKind, type ErrorKindName, PlasmiteError } from "../../lib/errors.ts";
import { inPlace } from "../../lib/storage/steps.ts";
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
  readonly pool: LocalPool;
  readonly coordinator: Coordinator;
  put(count: number, tags?: string[]): Promise<void>;
}

async function withPool(work: (place: Place) => Promise<void>, sizeBytes = 1 << 20): Promise<void> {
  await withDir(async (dir) => {
    const backend = new LocalBackend(dir, { coordination });
    await backend.create("p", { sizeBytes });
    const pool = backend.open("p", { write: true }) as LocalPool;
    const put = async (count: number, tags: string[] = []): Promise<void> => {
      const batch = frames(...Array.from({ length: count }, (_, n) => [{ n }, tags] as const));
      await storeAll(pool, batch, undefined);
    };
    try {
      const coordinator = await pool.coordinate();
      await work({ backend, path: `${dir}/p.plasmite`, pool, coordinator, put });
    } finally {
      pool.close();
    }
  });
}

Deno.test("cursor: begins where it is told, and goes on where it was", async () => {
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
    await fails("Usage", () => coordinator.cursor("far", { from: 6n }));
    await fails("Usage", () => coordinator.cursor("Bad Name"));
    assert.equal(await coordinator.setCursor("far", 2n), 2n);
    assert.equal(await coordinator.setCursor("far", "end"), 5n);
  });
});

Deno.test("cursor: acknowledging moves it, never past what is not acknowledged", async () => {
  await withPool(async ({ coordinator, put }) => {
    await put(9);
    const cursor = await coordinator.cursor("c");
    for (const seq of [2n, 4n, 7n]) cursor.deliver(seq, 1n);
    inPlace(cursor.passing(9n));
    assert.equal(cursor.seq, 0n);
    assert.equal(cursor.ack(3n), false, "was not delivered");
    assert.equal(cursor.ack(4n), true);
    assert.deepEqual([cursor.seq, cursor.pending], [4n, 1]);
    assert.equal(cursor.ack(2n), true, "again");
    inPlace(cursor.passing(9n));
    assert.equal(cursor.seq, 4n);
    cursor.ack(7n);
    inPlace(cursor.passing(9n));
    assert.equal(cursor.seq, 8n);
    inPlace(cursor.passing(4n));
    assert.equal(cursor.seq, 8n, "never backwards");
    cursor.close();
  });
});

Deno.test("cursor: one reader at a time, the refusal names it", async () => {
  await withPool(async ({ coordinator }) => {
    const cursor = await coordinator.cursor("c");
    const error = await fails("Busy", () => coordinator.cursor("c"));
    assert.equal(error.details["pid"], BigInt(Deno.pid));
    await fails("Busy", () => coordinator.setCursor("c", "end"));
    cursor.close();
    (await coordinator.cursor("c")).close();
  });
});

Deno.test("cursor: a pool that was replaced is told, shorter or longer or with no identity", async () => {
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
        assert.equal(await other.setCursor("c", "oldest"), 0n);
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
    assert.equal(await coordinator.setCursor("c", 3n), 3n);
    (await coordinator.cursor("c")).close();
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
