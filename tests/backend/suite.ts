/**
 * What every backend must do, whoever keeps the pools. Each test makes its own place.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import type { Backend, PoolHandle, Selection, Walk } from "../../lib/backend/types.ts";
import { fails } from "../support/fails.ts";
import { compileWhere, type Where } from "../../lib/filter/where.ts";
import { MessageView } from "../../lib/lite3/message.ts";
import { printJson } from "../../lib/lite3/print.ts";
import { messageFromValue } from "../../lib/lite3/from_value.ts";
import { Buf } from "../../lib/bytes.ts";
import { FrameBatch } from "../../lib/pool/batch.ts";
import type { Gap } from "../../lib/types.ts";
import { coordinationSuite } from "./coordination_suite.ts";
import { PATIENCE_MS } from "../support/patience.ts";
import { slowWhere } from "../support/slow_filter.ts";

/** A place with nothing in it. */
export interface Place {
  readonly backend: Backend;
  /** Deletes a pool and makes it anew, behind the backend's back. */
  recreate(name: string): Promise<void>;
  /** Whether it cannot promise that messages are on stable storage. */
  readonly neverFlushes?: boolean;
  /** Whether a claim has one key only. */
  readonly claimsOneKey?: boolean;
  /** The name of the dead pool of `p`; default `p.dead`. */
  readonly deadPool?: string;
  /** Whether it remembers ids for a time instead of a number of messages, and expectations win. */
  readonly idsByTime?: boolean;
  /** Whether it cannot store several messages on one condition. */
  readonly noBatches?: boolean;
  end(): Promise<void>;
}

/** Appends one message a datum and returns the numbers they got. */
export async function put(
  pool: PoolHandle,
  data: readonly object[],
  tags: (i: number) => string[] = () => [],
): Promise<bigint[]> {
  const batch = new FrameBatch();
  const now = Temporal.Now.instant().epochNanoseconds;
  data.forEach((one, i) => {
    batch.beginFrame();
    messageFromValue(batch.encoder, one, tags(i));
    batch.endFrame(Number(now & 0xffff_ffffn), Number(now >> 32n));
  });
  const numbers: bigint[] = [];
  await pool.append(batch, {
    flush: false,
    stored: (from, count, first) => {
      assert.equal(from, numbers.length, "runs are told in order");
      for (let i = 0; i < count; i++) numbers.push(first + BigInt(i));
    },
  });
  return numbers;
}

function text(view: MessageView): string {
  const out = new Buf(256);
  printJson(view.doc, view.dataAt, out);
  return new TextDecoder().decode(out.bytes());
}

/** Everything a walk gives: messages as `seq:data`, losses as `first-last`. */
export async function collect(walk: Walk, most = Infinity): Promise<string[]> {
  const told: string[] = [];
  const watchdog = AbortSignal.timeout(PATIENCE_MS);
  try {
    for (let count = 0; count < most;) {
      const found = walk.next();
      const gap: Gap | null = walk.takeGap();
      if (gap !== null) told.push(`${gap.first}-${gap.last}`);
      if (found) {
        told.push(`${walk.frame.seq}:${text(walk.message)}`);
        count++;
      } else if (walk.ended) break;
      else await walk.wait(undefined, watchdog);
    }
  } finally {
    walk.close();
  }
  return told;
}

const numbered = (count: number): object[] =>
  Array.from({ length: count }, (_, i) => ({ n: i + 1 }));

/** Registers the suite for one backend. */
export function backendSuite(name: string, make: () => Promise<Place>): void {
  const test = (title: string, run: (place: Place) => Promise<void>): void =>
    Deno.test(`${name} backend: ${title}`, async () => {
      const place = await make();
      try {
        await run(place);
      } finally {
        await place.end();
      }
    });
  const withPool = (
    title: string,
    run: (pool: PoolHandle, place: Place) => Promise<void>,
    sizeBytes = 1 << 20,
  ): void =>
    test(title, async (place) => {
      await place.backend.create("p", { sizeBytes });
      const pool = await place.backend.open("p", { write: true });
      try {
        await run(pool, place);
      } finally {
        await pool.close();
      }
    });
  const select = async (pool: PoolHandle, selection: Selection, most?: number): Promise<string[]> =>
    await collect(await pool.select(selection), most);

  coordinationSuite({ withPool, put });

  test("with an age limit nothing older is shown, and who wanted it is told", async ({ backend }) => {
    const made = await backend.create("p", { sizeBytes: 1 << 20, maxAgeMs: 1000 });
    assert.equal(made.retention?.maxAgeMs, 1000);
    const pool = await backend.open("p", { write: true });
    assert.deepEqual(await put(pool, numbered(2)), [1n, 2n]);
    assert.equal((await pool.info()).retention?.oldestLiveSeq, 1n);
    for (const end = Date.now() + PATIENCE_MS; (await pool.bounds()).oldest !== 0n;) {
      assert.ok(Date.now() < end, "they expire");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.equal(await pool.get(1n), null);
    assert.deepEqual(await collect(await pool.select({})), []);
    assert.equal((await pool.info()).retention?.oldestLiveSeq, null);
    assert.equal((await pool.info()).lastSeq, 2n);
    assert.deepEqual(await put(pool, [{ n: 3 }]), [3n]);
    assert.deepEqual(await collect(await pool.select({ from: 1n })), ["1-2", '3:{"n":3}']);
    assert.equal((await pool.bounds()).oldest, 3n);
    await pool.close();
  });

  test("creates, lists, describes and removes pools", async ({ backend }) => {
    assert.deepEqual(await backend.list(), []);
    const made = await backend.create("b", { sizeBytes: 65536 });
    assert.equal(made.fileSize, 65536);
    await backend.create("a");
    assert.deepEqual(await backend.names(), ["a", "b"]);
    assert.deepEqual((await backend.list()).map((pool) => pool.fileSize), [1 << 20, 65536]);
    assert.equal((await backend.info("b")).bounds.newestSeq, null);
    await fails("AlreadyExists", () => backend.create("a"));
    await backend.remove("a");
    await fails("NotFound", () => backend.info("a"));
    await fails("NotFound", () => backend.remove("a"));
    await fails("NotFound", () => backend.open("a"));
    await fails("NotFound", () => backend.open("a", { write: true }));
    assert.deepEqual(await backend.names(), ["b"]);
  });

  test("opens a missing pool by making it, and the one that is there as it is", async ({ backend }) => {
    const create = { sizeBytes: 65536 };
    const made = await backend.open("p", { write: true, create });
    assert.deepEqual(await put(made, numbered(1)), [1n]);
    assert.equal(made.limits.ringSize, (await made.info()).ringSize);
    assert.equal((await made.info()).fileSize, 65536);
    await made.close();
    const again = await backend.open("p", { create: { sizeBytes: 1 << 20 } });
    assert.equal((await again.info()).fileSize, 65536);
    assert.deepEqual(await select(again, {}), ['1:{"n":1}']);
    await again.close();
    await fails("Usage", () => backend.open("q", { create: { sizeBytes: 100 } }));
    assert.deepEqual(await backend.names(), ["p"]);
  });

  test("describes the pools that are chosen by their names", async ({ backend }) => {
    for (const name of ["a", "c", "b"]) await backend.create(name, { sizeBytes: 65536 });
    let seen: readonly string[] = [];
    const some = await backend.list((names) => {
      seen = names;
      return names.filter((name) => name !== "b");
    });
    assert.deepEqual(seen, ["a", "b", "c"]);
    assert.deepEqual(some.map(({ name }) => name), ["a", "c"]);
    // What is left out costs time, not the answer.
    const brief = await backend.list(undefined, { brief: true });
    const whole = await backend.list();
    assert.deepEqual(
      brief.map(({ name, fileSize, bounds }) => ({ name, fileSize, bounds })),
      whole.map(({ name, fileSize, bounds }) => ({ name, fileSize, bounds })),
    );
    assert.deepEqual(await backend.list(() => []), []);
  });

  test("a pool that is opened unchecked is missed at the latest by its first call", async (place) => {
    const { backend } = place;
    await fails("NotFound", async () => {
      const pool = await backend.open("none", { write: true, unchecked: true });
      await put(pool, numbered(1)).finally(() => pool.close());
    });
    await backend.create("p");
    const pool = await backend.open("p", { write: true, unchecked: true });
    assert.deepEqual(await put(pool, numbered(2)), [1n, 2n]);
    assert.deepEqual(await select(pool, { from: 2n }), ['2:{"n":2}']);
    assert.equal((await pool.get(1n))?.seq, 1n);
    await pool.close();
  });

  withPool("stores a batch in order and tells the numbers", async (pool) => {
    assert.deepEqual(await put(pool, numbered(3)), [1n, 2n, 3n]);
    assert.deepEqual(await put(pool, numbered(1)), [4n]);
    const { oldest, newest } = await pool.bounds();
    assert.deepEqual([oldest, newest], [1n, 4n]);
    assert.equal((await pool.info()).metrics?.messageCount, 4n);
  });

  withPool("stores nothing of a batch with a message that can never fit", async (pool) => {
    await fails("Usage", () => put(pool, [{ a: 1 }, { big: "x".repeat(70_000) }]));
    assert.equal((await pool.info()).bounds.newestSeq, null);
  }, 65536);

  withPool("goes on where a failed append stopped", async (pool, place) => {
    const batch = new FrameBatch();
    for (const n of [1, 2, 3]) {
      batch.beginFrame();
      messageFromValue(batch.encoder, { n }, []);
      batch.endFrame(0, 1);
    }
    const runs: [number, number, bigint][] = [];
    const request = { from: 1, stored: (...run: [number, number, bigint]) => void runs.push(run) };
    if (place.neverFlushes === true) {
      await fails("Usage", () => pool.append(batch, { ...request, flush: true }));
    }
    await pool.append(batch, { ...request, flush: place.neverFlushes !== true });
    assert.deepEqual(runs.flatMap(([from, count]) => [from, count]).reduce((a, b) => a + b), 3);
    assert.deepEqual(await select(pool, {}), ['1:{"n":2}', '2:{"n":3}']);
  });

  // A batch that is refused must not take others along, and nobody may get another one's numbers.
  withPool(
    "batches that arrive together are each stored in order, bad ones refused alone",
    async (pool) => {
      const many = Array.from({ length: 20 }, (_, i) => put(pool, [{ i, n: 1 }, { i, n: 2 }]));
      const bad = fails("Usage", () => put(pool, [{ big: "x".repeat(70_000) }]));
      const numbers = await Promise.all(many);
      await bad;
      assert.deepEqual(
        numbers.flat().sort((a, b) => Number(a - b)),
        Array.from({ length: 40 }, (_, i) => BigInt(i + 1)),
      );
      const told = await select(pool, {});
      numbers.forEach(([first, second], i) => {
        assert(told.includes(`${first}:{"i":${i},"n":1}`), `${i} of ${told}`);
        assert(told.includes(`${second}:{"i":${i},"n":2}`), `${i} of ${told}`);
        assert.equal(second, (first ?? 0n) + 1n);
      });
    },
    65536,
  );

  withPool("reads one message by its number", async (pool) => {
    await put(pool, numbered(3), (i) => [`t${i}`]);
    const frame = await pool.get(2n, true);
    assert(frame !== null);
    const view = new MessageView();
    const { payload } = frame;
    const dv = new DataView(payload.buffer, payload.byteOffset, payload.length);
    view.open(payload, dv, 0, payload.length);
    assert.equal(text(view), '{"n":2}');
    assert.deepEqual(view.tags(), ["t1"]);
    assert.equal(frame.seq, 2n);
    assert(frame.timestampNs > 0n);
    assert.equal(await pool.get(0n), null);
    assert.equal(await pool.get(4n), null);
  });

  withPool("an empty pool has nothing to give, and a finite walk ends", async (pool) => {
    assert.deepEqual(await select(pool, {}), []);
    assert.deepEqual(await select(pool, { last: 3 }), []);
    assert.deepEqual(await select(pool, { tags: ["x"], last: 3 }), []);
    assert.deepEqual(await select(pool, { from: "end" }), []);
  });

  withPool("gives what is there at the start, in order, then ends", async (pool) => {
    await put(pool, numbered(5));
    const all = numbered(5).map((one, i) => `${i + 1}:${JSON.stringify(one)}`);
    assert.deepEqual(await select(pool, {}), all);
    assert.deepEqual(await select(pool, { from: 3n }), all.slice(2));
    assert.deepEqual(await select(pool, { from: 2n, until: 3n }), all.slice(1, 3));
    assert.deepEqual(await select(pool, { until: 2n }), all.slice(0, 2));
    assert.deepEqual(await select(pool, { from: "end" }), []);
    // A number that is not there yet is not waited for (it was, for ever).
    assert.deepEqual(await select(pool, { until: 99n }), all);
    assert.deepEqual(await select(pool, { until: 99n, last: 2 }), all.slice(3));
    assert.deepEqual(await select(pool, { from: 4n, until: 2n ** 64n - 1n }), all.slice(3));
    assert.deepEqual(await select(pool, { from: 9n, until: 99n }), []);
  });

  withPool("gives the last N, with and without filters", async (pool) => {
    await put(pool, numbered(900), (i) => i % 100 === 0 ? ["rare"] : []);
    const seqs = (told: string[]): number[] => told.map((one) => Number(one.split(":")[0]));
    assert.deepEqual(seqs(await select(pool, { last: 3 })), [898, 899, 900]);
    assert.deepEqual(seqs(await select(pool, { last: 2, tags: ["rare"] })), [701, 801]);
    assert.deepEqual(seqs(await select(pool, { last: 99, tags: ["rare"] })).length, 9);
    assert.deepEqual(seqs(await select(pool, { last: 2, until: 700n, tags: ["rare"] })), [
      501,
      601,
    ]);
    const where = [await compileWhere(".data.n % 300 == 0")];
    assert.deepEqual(seqs(await select(pool, { last: 2, where })), [600, 900]);
    const jq = [await compileWhere('(.data.n | tostring) == "7"')];
    assert.deepEqual(seqs(await select(pool, { last: 1, where: jq })), [7]);
    assert.deepEqual(seqs(await select(pool, { last: 5000 })).length, 900);
  });

  withPool("filters by tags, by conditions on the bytes and by jq itself", async (pool) => {
    await put(pool, numbered(4), (i) => i % 2 === 0 ? ["even", "x"] : ["x"]);
    assert.deepEqual(await select(pool, { tags: ["x", "even"] }), ['1:{"n":1}', '3:{"n":3}']);
    assert.deepEqual(await select(pool, { tags: ["nothing"] }), []);
    const native = [await compileWhere(".data.n > 2")];
    assert.deepEqual(await select(pool, { where: native }), ['3:{"n":3}', '4:{"n":4}']);
    const jq = [await compileWhere('.data.n | tostring | test("[23]")')];
    assert.deepEqual(await select(pool, { where: jq, tags: ["even"] }), ['3:{"n":3}']);
  });

  withPool(
    "a condition that gives no boolean fails behind what matched before it",
    async (pool) => {
      await put(pool, [{ v: true }, { v: 1 }]);
      for (const expression of [".data.v", ".data.v | [.] | first"]) {
        const where: Where[] = [await compileWhere(expression)];
        const walk = await pool.select({ where });
        const told: string[] = [];
        await fails("Usage", async () => {
          for (;;) {
            if (walk.next()) told.push(text(walk.message));
            else if (walk.ended) break;
            else await walk.wait(undefined, AbortSignal.timeout(PATIENCE_MS));
          }
        });
        walk.close();
        assert.deepEqual(told, ['{"v":true}']);
      }
    },
  );

  withPool("`since` chooses history; what comes later always passes", async (pool) => {
    await put(pool, numbered(2));
    const later = Temporal.Now.instant().epochNanoseconds + 3_600_000_000_000n;
    assert.deepEqual(await select(pool, { since: later }), []);
    assert.deepEqual((await select(pool, { since: 1n })).length, 2);
    const walk = await pool.select({ since: later, follow: true });
    const live = collect(walk, 1);
    await put(pool, [{ live: 1 }]);
    assert.deepEqual(await live, ['3:{"live":1}']);
  });

  withPool("counts the messages on which a condition failed", async (pool) => {
    await put(pool, [{ n: 1 }, { other: 1 }, { n: 3 }], (i) => i === 1 ? ["t"] : []);
    const failures = async (selection: Selection): Promise<unknown[]> => {
      const where = await compileWhere(".data.n == 3");
      const found = await select(pool, { ...selection, where: [where], countFailures: true });
      return [found, where.failed];
    };
    assert.deepEqual(await failures({}), [['3:{"n":3}'], 1]);
    assert.deepEqual(await failures({ last: 1 }), [['3:{"n":3}'], 1]);
    assert.deepEqual(await failures({ tags: ["t"] }), [[], 1]);
    assert.deepEqual(await failures({ tags: ["none"] }), [[], 0]);
  });

  withPool("a walk tells what was retained when it began", async (pool) => {
    const empty = await pool.select({ from: "end", follow: true });
    assert.deepEqual(empty.start, { oldest: 0n, newest: 0n });
    empty.close();
    await put(pool, numbered(3));
    for (const selection of [{}, { from: 2n }, { last: 1 }, { last: 1, tags: ["t"] }]) {
      const walk = await pool.select(selection);
      assert.deepEqual(walk.start, { oldest: 1n, newest: 3n });
      await collect(walk);
    }
  });

  // An agent that asked what is new for a tag waited for a heartbeat to hear "nothing".
  withPool("a walk that goes on tells when all that was there was looked at", async (pool) => {
    await put(pool, numbered(5), (i) => i < 2 ? ["t"] : []);
    const where = [await compileWhere(".data.n < 3")];
    for (const filters of [{ tags: ["t"] }, { where }, { where, countFailures: true }, {}]) {
      const walk = await pool.select({ ...filters, from: 1n, follow: true });
      const watchdog = AbortSignal.timeout(PATIENCE_MS);
      while (walk.next() || walk.position <= walk.start.newest) {
        if (walk.position <= walk.start.newest) await walk.wait(50, watchdog);
      }
      assert.equal(walk.position, 6n);
      walk.close();
    }
  });

  withPool("follows what is appended later", async (pool, { backend }) => {
    await put(pool, numbered(1));
    const following = collect(await pool.select({ from: "end", follow: true }), 3);
    const other = await backend.open("p", { write: true });
    for (const n of [1, 2, 3]) await put(other, [{ live: n }]);
    assert.deepEqual(await following, ['2:{"live":1}', '3:{"live":2}', '4:{"live":3}']);
    await other.close();
  });

  withPool("`last` then live, without a hole in between", async (pool) => {
    await put(pool, numbered(400), (i) => i % 2 === 0 ? ["t"] : []);
    const walk = await pool.select({ last: 2, tags: ["t"], follow: true });
    const following = collect(walk, 3);
    await put(pool, [{ live: 1 }], () => ["t"]);
    assert.deepEqual(await following, ['397:{"n":397}', '399:{"n":399}', '401:{"live":1}']);
  });

  withPool("the count of what was looked at stands still only where nothing is", async (pool) => {
    await put(pool, numbered(300), (i) => i === 7 ? ["t"] : []);
    for (const selection of [{ last: 1, tags: ["t"] }, { tags: ["none"] }, {}]) {
      const walk = await pool.select(selection);
      while (!walk.ended) {
        if (!walk.next()) await walk.wait(undefined, AbortSignal.timeout(PATIENCE_MS));
      }
      assert(walk.looked > 0);
      walk.close();
    }
    const walk = await pool.select({ from: "end", follow: true });
    for (let i = 0; i < 3; i++) if (!walk.next()) await walk.wait(20);
    assert.equal(walk.looked, 0);
    walk.close();
  });

  withPool("tells a gap even when the filter matches nothing behind it", async (pool) => {
    for (let i = 0; i < 40; i++) await put(pool, numbered(100));
    const { oldest, newest } = await pool.bounds();
    assert(oldest > 1n);
    const lost = `1-${oldest - 1n}`;
    assert.deepEqual(await select(pool, { from: 1n, tags: ["nothing"] }), [lost]);
    const native = [await compileWhere(".data.n == -1")];
    assert.deepEqual(await select(pool, { from: 1n, where: native }), [lost]);
    const jq = [await compileWhere('.data.n | tostring | test("nothing")')];
    assert.deepEqual(await select(pool, { from: 1n, where: jq }), [lost]);
    assert.deepEqual((await select(pool, { from: 1n }))[0], lost);
    assert.deepEqual(await select(pool, { from: 1n, until: 5n }), ["1-5"]);
    assert.equal((await select(pool, { from: 1n })).at(-1), `${newest}:{"n":100}`);
  }, 65536);

  withPool("a deleted pool ends a walk with NotFound", async (pool, { backend }) => {
    await put(pool, numbered(1));
    const walk = await pool.select({ from: "end", follow: true });
    await backend.remove("p");
    await fails("NotFound", () => collect(walk));
  });

  withPool("a pool that was made anew is not mistaken for the old one", async (pool, place) => {
    await put(pool, numbered(5));
    const walk = await pool.select({ from: "end", follow: true });
    assert.equal(walk.next(), false);
    await walk.wait(300); // A remote walk connects by waiting.
    await place.recreate("p");
    await fails("NotFound", () => collect(walk));
    await fails("NotFound", () => put(pool, numbered(1))).catch(async (error) => {
      // A server has no handle to go stale: the message is in the new pool then.
      if (!(error instanceof assert.AssertionError)) throw error;
      const anew = await place.backend.open("p");
      assert.deepEqual(await select(anew, {}), ['1:{"n":1}']);
      await anew.close();
    });
  });

  withPool("a wait ends by time, by signal and by close", async (pool) => {
    const walk = await pool.select({ from: "end", follow: true });
    assert.equal(walk.next(), false);
    assert.equal(walk.ended, false);
    // Change notices may come at any time; sooner or later the time is over.
    while (await walk.wait(30)) assert.equal(walk.next(), false);
    const reason = new Error("enough");
    const abort = new AbortController();
    const waiting = (async () => {
      for (;;) await walk.wait(PATIENCE_MS, abort.signal);
    })();
    abort.abort(reason);
    await assert.rejects(waiting, reason);
    const closing = walk.wait(PATIENCE_MS);
    walk.close();
    await closing;
    assert.equal(walk.ended, true);
    assert.equal(walk.next(), false);
  });

  withPool("looking in vain gives others a turn, and the position tells how far", async (pool) => {
    const slow = await slowWhere(".data.n == -1", 0.5);
    await put(pool, numbered(500));
    const walk = await pool.select({ where: [slow] });
    let turns = 0;
    while (!walk.next() && !walk.ended) {
      await walk.wait(undefined, AbortSignal.timeout(PATIENCE_MS));
      turns++;
    }
    walk.close();
    assert(turns >= 2, `500 slow messages were judged in ${turns} turns`);
    assert.equal(walk.position, 501n);
  });
}
