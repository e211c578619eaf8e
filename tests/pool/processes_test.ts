/**
 * Real processes on one pool: writers that are killed, readers that must never see it, locks that
 * others hold.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Client } from "../../mod.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { disk } from "../../lib/storage/file.ts";
import { type Body, body, isWhole } from "../support/body.ts";
import { PATIENCE_MS } from "../support/patience.ts";
import { type Helper, start, withDir } from "../support/processes.ts";
import { SCALE } from "../support/rings.ts";
import { specCheck } from "../support/spec_checker.ts";

const MODES = ["sync", "batch", "async", "flush"] as const;

/** The file as it is between two appends. */
async function snapshot(path: string): Promise<Uint8Array> {
  const file = disk.open(path, { write: false });
  try {
    while (!file.tryLock(false)) await new Promise((resolve) => setTimeout(resolve, 1));
    return Deno.readFileSync(path);
  } finally {
    file.close();
  }
}

/** What readers and writers said about each sequence number; two must never differ. */
class Ledger {
  readonly said = new Map<bigint, string>();
  readonly acknowledged = new Set<bigint>();

  note(line: string, acknowledged: boolean): void {
    const [seq = "", ...rest] = line.split(" ");
    const number = BigInt(seq);
    const what = rest.join(" ");
    const known = this.said.get(number);
    assert(known === undefined || known === what, `seq ${seq} is both "${known}" and "${what}"`);
    assert(!acknowledged || !this.acknowledged.has(number), `seq ${seq} acknowledged twice`);
    this.said.set(number, what);
    if (acknowledged) this.acknowledged.add(number);
  }
}

async function collect(reader: Helper, ledger: Ledger): Promise<{ seen: number; gaps: number }> {
  let seen = 0;
  let gaps = 0;
  for (let line = await reader.line(); line !== "end"; line = await reader.line()) {
    assert(line !== null, "the reader came to its end");
    assert(!line.startsWith("bad"), line);
    if (line.startsWith("gap")) gaps++;
    else {
      ledger.note(line, false);
      seen++;
    }
  }
  return { seen, gaps };
}

/** Starts writers, kills each after some acknowledgements, checks the pool after every kill. */
async function killWriters(
  dir: string,
  size: number,
  kills: number,
  readers: number,
): Promise<{ acknowledged: number; seen: number; newest: bigint }> {
  const path = `${dir}/pool.plasmite`;
  using client = new Client(dir);
  using pool = client.createPool<Body>("pool", size);
  const ledger = new Ledger();
  const following: Helper[] = [];
  try {
    for (let i = 0; i < readers; i++) {
      const reader = start("reader.ts", path);
      following.push(reader);
      assert.equal(await reader.line(), "ready");
    }
    const collected = following.map((reader) => collect(reader, ledger));
    // A failure there must not be reported as unhandled while writers are still being killed.
    for (const one of collected) one.catch(() => {});
    let started = 0;
    const life = async (): Promise<void> => {
      while (started < kills) {
        const turn = started++;
        await using writer = start(
          "writer.ts",
          path,
          `w${turn}`,
          MODES[turn % 4] ?? "sync",
          "100000",
        );
        const enough = 1 + (turn * 13) % 60;
        for (let i = 0; i < enough; i++) {
          const line = await writer.line();
          assert(line !== null, "the writer lives until it is killed");
          ledger.note(line, true);
        }
        if (turn % 3 === 0) await new Promise((resolve) => setTimeout(resolve, turn % 5));
        writer.kill();
        // What it said before it died counts.
        for (let line = await writer.line(); line !== null; line = await writer.line()) {
          if (line.split(" ").length === 3) ledger.note(line, true);
        }
        await writer.status;
        const verdict = specCheck(await snapshot(path));
        assert.deepEqual(verdict.problems, [], `after kill ${turn}`);
        const mine = await pool.appendAsync(body("parent", turn));
        ledger.note(`${mine.seq} parent ${turn}`, true);
      }
    };
    await Promise.all([life(), life()]);
    pool.append(body("stop", 0));
    const results = await Promise.all(collected);
    const { oldestSeq, newestSeq } = pool.bounds();
    assert(oldestSeq !== null && newestSeq !== null);
    for (const seq of ledger.acknowledged) {
      assert(seq <= newestSeq, "no acknowledged number was lost at the end");
      if (seq < oldestSeq) continue;
      const { data } = pool.get(seq);
      assert(isWhole(data));
      assert.equal(`${data.w} ${data.n}`, ledger.said.get(seq));
    }
    let expected = oldestSeq;
    for await (const { seq } of pool.tail({ untilSeq: newestSeq, errorOnGap: true })) {
      assert.equal(seq, expected++);
    }
    assert.equal(expected, newestSeq + 1n);
    assert.equal(client.validatePool("pool").status, "ok");
    return {
      acknowledged: ledger.acknowledged.size,
      seen: results.reduce((sum, one) => sum + one.seen, 0),
      newest: newestSeq,
    };
  } finally {
    for (const reader of following) await reader[Symbol.asyncDispose]();
  }
}

Deno.test("writers are killed on a pool that goes round; nothing acknowledged is lost", () =>
  withDir(async (dir) => {
    const { acknowledged, seen } = await killWriters(dir, 128 * 1024, 50 * SCALE, 2);
    assert(acknowledged > 500);
    assert(seen > 500);
  }));

Deno.test("writers are killed on a pool that holds everything; every number is accounted for", () =>
  withDir(async (dir) => {
    const { acknowledged, seen, newest } = await killWriters(dir, 4 * 1024 * 1024, 12, 1);
    assert(acknowledged > 100);
    assert.equal(seen, Number(newest) - 1, "the reader saw every message but the last, its stop");
  }));

Deno.test("four writers at once: every message is there once, in each writer's order", () =>
  withDir(async (dir) => {
    const path = `${dir}/pool.plasmite`;
    using client = new Client(dir);
    using pool = client.createPool<Body>("pool", 8 * 1024 * 1024);
    const writers = MODES.map((mode, i) => start("writer.ts", path, `w${i}`, mode, "300"));
    const ledger = new Ledger();
    try {
      await Promise.all(writers.map(async (writer) => {
        for (let line = await writer.line(); line !== null; line = await writer.line()) {
          ledger.note(line, true);
        }
        assert.equal((await writer.status).code, 0);
      }));
    } finally {
      for (const writer of writers) await writer[Symbol.asyncDispose]();
    }
    const last = new Map<string, number>();
    let expected = 1n;
    for await (const { seq, data } of pool.tail({ idleTimeoutMs: 0, errorOnGap: true })) {
      assert.equal(seq, expected++);
      assert(isWhole(data));
      assert.equal(data.n, (last.get(data.w) ?? 0) + 1, `the order of ${data.w}`);
      last.set(data.w, data.n);
      assert(ledger.acknowledged.has(seq));
    }
    assert.equal(ledger.acknowledged.size, Number(expected) - 1);
    assert.deepEqual([...last.values()].map((n) => n >= 300), [true, true, true, true]);
    assert.deepEqual(specCheck(Deno.readFileSync(path)).problems, []);
  }));

// ---- locks that others hold ------------------------------------------------------------------------

Deno.test("an asynchronous append behind someone's lock leaves the event loop free", () =>
  withDir(async (dir) => {
    using client = new Client(dir);
    using pool = client.createPool("pool");
    await using holder = start("hold_lock.ts", pool.path, "exclusive", `${PATIENCE_MS}`);
    assert.equal(await holder.line(), "locked");
    let settled = false;
    const one = pool.appendAsync({ n: 1 }).finally(() => settled = true);
    const two = pool.appendBatch([{ n: 2 }, { n: 3 }]);
    let turns = 0;
    for (; turns < 20; turns++) {
      await new Promise((resolve) => setTimeout(resolve, 2));
      assert(!settled);
      assert.equal(pool.bounds().newestSeq, null, "reading needs no lock");
    }
    await holder.release();
    assert.equal((await one).seq, 1n);
    assert.deepEqual((await two).map((message) => message.seq), [2n, 3n]);
    assert.equal(turns, 20);
  }));

Deno.test("an append that is called off behind someone's lock stores nothing", () =>
  withDir(async (dir) => {
    using client = new Client(dir);
    using pool = client.createPool("pool");
    await using holder = start("hold_lock.ts", pool.path, "exclusive", `${PATIENCE_MS}`);
    assert.equal(await holder.line(), "locked");
    const reason = new Error("changed my mind");
    const abort = new AbortController();
    const off = pool.appendBatch([{ n: 1 }, { n: 2 }], { signal: abort.signal });
    const on = pool.appendAsync({ n: 3 }, { tags: ["kept"] });
    await new Promise((resolve) => setTimeout(resolve, 5));
    abort.abort(reason);
    await assert.rejects(off, reason);
    await holder.release();
    const kept = await on;
    assert.equal(kept.seq, 1n);
    assert.deepEqual(kept.data, { n: 3 });
    assert.deepEqual(pool.get(1).tags, ["kept"]);
    assert.equal(pool.bounds().newestSeq, 1n);
    await assert.rejects(pool.appendAsync({ n: 4 }, { signal: AbortSignal.abort(reason) }), reason);
    assert.equal(pool.bounds().newestSeq, 1n);
  }));

for (const mode of ["exclusive", "shared"] as const) {
  Deno.test(`a synchronous append waits in place for a ${mode} lock that is given back`, () =>
    withDir(async (dir) => {
      using client = new Client(dir);
      using pool = client.createPool("pool");
      await using holder = start("hold_lock.ts", pool.path, mode, "300");
      assert.equal(await holder.line(), "locked");
      const file = disk.open(pool.path, { write: true });
      assert(!file.tryLock(true));
      assert.equal(pool.append({ n: 1 }).seq, 1n);
      // It came in only after the lock was given back.
      assert(file.tryLock(true));
      file.close();
      await holder.status;
    }));
}

Deno.test("a delete waits for the lock too", () =>
  withDir(async (dir) => {
    using client = new Client(dir);
    using pool = client.createPool("pool");
    await using holder = start("hold_lock.ts", pool.path, "shared", "200");
    assert.equal(await holder.line(), "locked");
    client.deletePool("pool");
    assert.throws(
      () => pool.append({ n: 1 }),
      (error) => PlasmiteError.is(error, ErrorKind.NotFound),
    );
    await holder.status;
  }));

Deno.test("a lock that is not given back ends in Busy, and nothing is stored", async () => {
  // The clock of the wait is the number of tries: shortened in a process of its own.
  const script = new URL("../support/busy.ts", import.meta.url);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--no-lock", "-A", script.href],
    stdout: "piped",
    stderr: "piped",
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  assert.deepEqual(JSON.parse(new TextDecoder().decode(stdout)), {
    sync: "Busy",
    async: "Busy",
    delete: "Busy",
    check: "Busy",
    newest: null,
    later: 1,
  });
});
