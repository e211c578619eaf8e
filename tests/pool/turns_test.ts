/**
 * Long walks in a process that serves others. Without turns, one person who asks a server for an
 * old message of a large pool stops every stream and every request of everyone else meanwhile.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Client } from "../../mod.ts";
import { takeFrame } from "../../lib/backend/frames.ts";
import { findFrame } from "../../lib/backend/local/lookup.ts";
import { listing } from "../../lib/backend/local/listing.ts";
import { Cursor } from "../../lib/pool/cursor.ts";
import { Ring } from "../../lib/pool/ring.ts";
import { inPlace, type Steps } from "../../lib/storage/steps.ts";
import { inTurns, Slice } from "../../lib/storage/turns.ts";
import { createApp } from "../../server/app.ts";
import { Hubs } from "../../lib/backend/local/hub.ts";
import { LocalBackend } from "../../lib/backend/local.ts";
import { withDir } from "../support/processes.ts";
import { append, get, hooked, newRing, payload, POOL, same } from "../support/rings.ts";
import { runTool } from "../../mcp/run.ts";
import { poolsOf } from "../mcp/mcp_tools_util.ts";
import { PATIENCE_MS } from "../support/patience.ts";
import { turnsDuring } from "../support/turns.ts";

/** Gives `work` a clock that it moves itself: how busy the machine is does not matter. */
async function withClock(work: (pass: (ms: number) => void) => Promise<unknown>): Promise<void> {
  const real = performance.now;
  let now = real.call(performance);
  performance.now = () => now;
  try {
    await work((ms) => now += ms);
  } finally {
    performance.now = real;
  }
}

Deno.test("long work ends although it depends on a timer that needs a turn", async () => {
  let fired = false;
  const watchdog = performance.now() + PATIENCE_MS;
  function* untilFired(): Steps<string> {
    while (!fired) {
      assert.ok(performance.now() < watchdog, "nobody else had a turn");
      yield "more";
    }
    return "done";
  }
  setTimeout(() => fired = true, 20);
  assert.equal(await inTurns(untilFired()), "done");
});

Deno.test("work that is called off stops, and closes what it has open", async () => {
  let closed = 0;
  const watchdog = performance.now() + PATIENCE_MS;
  function* endless(): Steps<void> {
    try {
      while (performance.now() < watchdog) yield "more";
    } finally {
      closed++;
    }
  }
  const stop = new AbortController();
  setTimeout(() => stop.abort(new Error("enough")), 20);
  await assert.rejects(inTurns(endless(), stop.signal), /enough/);
  await assert.rejects(inTurns(endless(), AbortSignal.abort(new Error("at once"))), /at once/);
  assert.equal(closed, 1, "one was begun, and it was closed");
});

Deno.test("concurrent tasks continue one after the other, each for its slice", async () => {
  const order: number[] = [];
  let ready = 0;
  let turns = 0;
  await withClock(async (pass) => {
    function* work(me: number): Steps<void> {
      // All have begun before the first may end.
      ready++;
      while (ready < 6) {
        pass(1);
        yield "more";
      }
      for (let slice = 0; slice < 3; slice++) {
        order.push(me);
        // Longer than a slice.
        for (let ms = 0; ms < 5; ms++) {
          pass(1);
          yield "more";
        }
      }
    }
    turns = await turnsDuring(() => Promise.all([1, 2, 3, 4, 5, 6].map((me) => inTurns(work(me)))));
  });
  assert.equal(order.length, 18);
  // Between two slices of one, others had theirs; and everyone else had a turn after each.
  assert.ok(new Set(order.slice(0, 8)).size >= 5, order.join(" "));
  assert.ok(turns >= 12, `${turns} turns in 18 slices`);
});

// Lost: each of a thousand streams took a pause of its own, and the last one waited for a second.
Deno.test("tasks with little to do share a turn, and those with much to do have their own", async () => {
  const turns = (each: number): Promise<number> =>
    turnsDuring(() =>
      withClock((pass) =>
        Promise.all(Array.from({ length: 400 }, async () => {
          await new Slice().next();
          pass(each);
        }))
      )
    );
  const [few, many] = [await turns(0.01), await turns(3)];
  assert.ok(few < 100, `${few} turns for 400 tasks of a hundredth of a millisecond`);
  assert.ok(many >= 200, `${many} turns for 400 tasks of three milliseconds`);
});

Deno.test("a turn is a whole slice of work, also for a task with two slices", async () => {
  let steps = 0;
  let turns = 0;
  const work = async (pass: (ms: number) => void): Promise<void> => {
    // A stream and the pool it reads: each has its own.
    const [stream, pool] = [new Slice(), new Slice()];
    for (let left = 40; left > 0;) {
      if (stream.over) {
        turns++;
        await stream.next();
      }
      do {
        pass(0.5);
        steps++;
        left--;
      } while (left > 0 && !pool.over);
      if (left === 0) return;
      turns++;
      await pool.next();
      stream.restart();
    }
  };
  await withClock((pass) => Promise.all([1, 2, 3, 4, 5, 6].map(() => work(pass))));
  assert.equal(steps, 240);
  assert.ok(turns < 120, `${turns} turns for ${steps} steps of half a millisecond`);
});

Deno.test("a walk to an old message pauses after each piece, and finds the same", () => {
  const { storage, ring } = newRing(3 << 20, 0);
  for (let i = 0; i < 40; i++) {
    append(
      ring,
      ...Array.from({ length: 60 }, (_, k) => payload(i, 900 + k)),
    );
  }
  const { oldest, newest } = ring.state();
  let bytes = 0;
  const counted = Ring.open(
    hooked(storage, { onRead: (_at, length) => bytes += length, split: (length) => length - 8 }),
    POOL,
  );
  for (const seq of [oldest, oldest + 1n, (oldest + newest) / 2n, newest, newest + 1n, 1n]) {
    const steps = findFrame(counted, seq, takeFrame);
    let count = 1;
    bytes = 0;
    let most = 0;
    let step = steps.next();
    for (; step.done !== true; step = steps.next()) {
      assert.equal(step.value, "more");
      most = Math.max(most, bytes);
      bytes = 0;
      count++;
    }
    assert.ok(most <= 600_000, `${most} bytes in one step`);
    const expected = get(ring, seq);
    assert.equal(step.value === null, expected === null, `message ${seq}`);
    if (step.value !== null && expected !== null) assert(same(step.value.payload, expected));
    if (seq === newest) assert.ok(count > 8, `${count} steps for a walk through 3 MiB`);
    assert.deepEqual(inPlace(findFrame(ring, seq, takeFrame))?.payload, step.value?.payload);
  }
});

Deno.test("a walk passes over large messages without reading them", () => {
  const { storage, ring } = newRing(24 << 20, 0);
  let random = 7;
  const size = (): number => {
    random = (Math.imul(random, 1103515245) + 12345) & 0x7fff_ffff;
    return [60, 3000, 5000, 70_000, 1 << 20][random % 5] ?? 0;
  };
  const known = new Map<bigint, Uint8Array>();
  for (let i = 0; i < 400; i++) {
    const bytes = payload(i, size() + i);
    known.set(append(ring, bytes), bytes);
  }
  const { oldest, newest } = ring.state();
  let read = 0;
  let most = 0;
  const counted = Ring.open(
    hooked(storage, { onRead: (_at, length) => read += length, split: (length) => length - 8 }),
    POOL,
  );
  for (let seq = oldest; seq <= newest; seq++) {
    read = 0;
    const found = inPlace(findFrame(counted, seq, takeFrame));
    assert(same(found?.payload ?? new Uint8Array(), known.get(seq) ?? new Uint8Array()));
    most = Math.max(most, read - 2 * (found?.payload.length ?? 0));
  }
  assert.ok(most < (6 << 20), `${most} bytes of 24 MiB`);
});

Deno.test("a walk in pieces that is overtaken reports the gap once, and continues after it", () => {
  const { ring } = newRing(1 << 20, 0);
  const fill = (): void => {
    for (let i = 0; i < 10; i++) {
      append(
        ring,
        ...Array.from({ length: 50 }, () => payload(i, 1000)),
      );
    }
  };
  fill();
  fill();
  const { newest } = ring.state();
  const cursor = new Cursor(ring, newest - 10n);
  const steps = cursor.filling();
  assert.equal(steps.next().value, "more");
  for (let i = 0; i < 4; i++) fill(); // Once around: what was wanted is gone.
  let step = steps.next();
  while (step.done !== true) step = steps.next();
  assert.ok(step.value > 0);
  assert.ok(cursor.next());
  const { oldest } = ring.state();
  assert.equal(cursor.seq, oldest);
  assert.deepEqual(cursor.gap, { first: newest - 10n, last: oldest - 1n });
});

/** A pool in which every look-up is a walk. */
async function withoutIndex(client: Client, name: string): Promise<bigint> {
  using pool = client.createPool(name, { sizeBytes: 48 << 20, indexCapacity: 0 });
  const items = Array.from({ length: 12_000 }, (_, i) => ({ i, pad: "x".repeat(100) }));
  let last = 0n;
  for (let n = 0; n < 8; n++) last = (await pool.appendBatch(items)).at(-1)?.seq ?? 0n;
  return last;
}

Deno.test("server, agents, library: others have turns while old messages are looked up", async (t) => {
  await withDir(async (dir) => {
    const client = new Client(dir);
    const last = await withoutIndex(client, "large");
    const app = createApp(client);
    const backend = new LocalBackend(dir, { serving: new Hubs() });
    const many = (work: () => Promise<unknown>) => () =>
      Promise.all(Array.from({ length: 24 }, async () => await work()));
    const cases: Record<string, () => Promise<unknown>> = {
      "a message of a server": async () => {
        const answer = await app.request(`/v0/pools/large/messages/${last}`);
        assert.equal(answer.status, 200);
        await answer.body?.cancel();
      },
      "a stream of a server, from a number on": async () => {
        const answer = await app.request(`/v0/pools/large/tail?since_seq=${last}&max=1`);
        assert.equal(JSON.parse(await answer.text()).seq, Number(last));
      },
      "a finite stream of a server": async () => {
        const answer = await app.request(`/v0/pools/large/tail?since_seq=${last}&no_follow=true`);
        assert.equal(JSON.parse(await answer.text()).seq, Number(last));
      },
      "a message for an agent": async () => {
        const pool = await backend.open("large");
        assert.equal((await pool.get(last))?.seq, last);
        await pool.close();
      },
      "a wait of an agent": async () => {
        const { pools, signal } = { pools: poolsOf(dir), signal: new AbortController().signal };
        const args = { pool: "large", after_seq: last - 1n };
        const answer = await runTool("plasmite_wait", args, { pools, signal });
        assert.match(JSON.stringify(answer), new RegExp(`last_returned_seq\\\\":${last}`));
      },
      "information for an agent": async () => await backend.info("large"),
      "a list for an agent": async () => await backend.list(),
      "getAsync": async () => {
        using pool = client.openPool("large");
        assert.equal((await pool.getAsync(last)).seq, last);
      },
      "infoAsync": async () => {
        using pool = client.openPool("large");
        assert.notEqual((await pool.infoAsync()).metrics?.age.newestTimeNs, null);
      },
      "tail": async () => {
        using pool = client.openPool("large");
        for await (const message of pool.tail({ sinceSeq: last, maxMessages: 1 })) {
          assert.equal(message.seq, last);
        }
      },
    };
    for (const [name, work] of Object.entries(cases)) {
      await t.step(name, async () => {
        // In place, the walks of 24 would be one turn; in slices of a few milliseconds they are many.
        const turns = await turnsDuring(many(work));
        assert.ok(turns >= 8, `${turns} turns`);
      });
    }
    await app.shutdown();
    client.close();
  });
});

Deno.test("a list of pools is made in steps, and is the same", async () => {
  await withDir(async (dir) => {
    using client = new Client(dir);
    for (const name of ["b", "a", "c"]) client.createPool(name, 65536).close();
    Deno.writeTextFileSync(`${dir}/broken.plasmite`, "no pool");
    const steps = listing(dir);
    let count = 0;
    let step = steps.next();
    for (; step.done !== true; step = steps.next()) count++;
    assert.equal(count, 4);
    const names = step.value.map(({ name, error }) => `${name} ${error?.kindName ?? "ok"}`);
    assert.deepEqual(names, ["a ok", "b ok", "broken Corrupt", "c ok"]);
    assert.deepEqual(client.listPools().map(({ name }) => name), ["a", "b", "broken", "c"]);
    await Promise.resolve();
  });
});
