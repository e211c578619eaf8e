/**
 * Following: tail, replay and the blocking streams (docs/spec/library.md 7, 12.2).
 *
 * Deno's sanitizers watch every test here: what is not released fails it.
 *
 * @module
 */

import assert from "node:assert/strict";
import {
  Client,
  ErrorKind,
  type JsonObject,
  type Message,
  PlasmiteError,
  type Pool,
  replay,
  type TailOptions,
} from "../../mod.ts";
import { Follower } from "../../lib/backend/local/follower.ts";
import { disk } from "../../lib/storage/file.ts";
import { withTime } from "../support/patience.ts";
import { start, withDir } from "../support/processes.ts";
import { refAppendAll } from "../support/ref_writer.ts";

type Numbered = { n: number };

/** A small pool, and everything of it closed afterwards. */
function withPool(
  work: (pool: Pool<Numbered>, client: Client, dir: string) => Promise<void>,
  size = 1 << 20,
): () => Promise<void> {
  return () =>
    withDir(async (dir) => {
      using client = new Client(dir);
      using pool = client.createPool<Numbered>("p", size);
      await work(pool, client, dir);
    });
}

function fill(
  pool: Pool<Numbered>,
  from: number,
  to: number,
  tags?: (n: number) => string[],
): void {
  for (let n = from; n <= to; n++) pool.append({ n }, tags?.(n) ?? [], 0);
}

/** The numbers of all messages until the tail ends. */
async function numbers(messages: AsyncIterable<Message<Numbered>>): Promise<number[]> {
  const found: number[] = [];
  for await (const { data } of messages) found.push(data.n);
  return found;
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);

const pause = (ms = 1): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Everything that is there, then the end. */
const NOW: TailOptions = { idleTimeoutMs: 0 };

// ---- where it begins and ends ----------------------------------------------------------------------

Deno.test(
  "a tail begins at the oldest, at a number, at a time, or at the end",
  withPool(async (pool) => {
    for (let n = 1; n <= 10; n++) pool.append({ n }, { timestampNs: BigInt(n * 100) });
    const cases: [TailOptions, number[]][] = [
      [{}, range(1, 10)],
      [{ from: "oldest" }, range(1, 10)],
      [{ from: "end" }, []],
      [{ sinceSeq: 0 }, range(1, 10)],
      [{ sinceSeq: 4 }, range(4, 10)],
      [{ sinceSeq: 10n }, [10]],
      [{ sinceSeq: 11 }, []],
      [{ sinceSeq: 99 }, []],
      [{ sinceSeq: 4, from: "end" }, range(4, 10)],
      [{ sinceTimeNs: 750n }, range(8, 10)],
      [{ sinceTimeNs: 700n, sinceSeq: 9 }, [9, 10]],
      [{ untilSeq: 3 }, range(1, 3)],
      [{ sinceSeq: 5, untilSeq: 7n }, range(5, 7)],
      [{ sinceSeq: 5, untilSeq: 4 }, []],
      [{ maxMessages: 2 }, [1, 2]],
      [{ maxMessages: 0 }, []],
      [{ sinceSeq: 9, maxMessages: 100n }, [9, 10]],
    ];
    for (const [options, expected] of cases) {
      assert.deepEqual(
        await numbers(pool.tail({ ...NOW, ...options, errorOnGap: true })),
        expected,
        JSON.stringify(options, (_, value) => typeof value === "bigint" ? `${value}` : value),
      );
    }
    // A bound that is reached ends the stream by itself.
    assert.deepEqual(await numbers(pool.tail({ untilSeq: 10 })), range(1, 10));
    assert.deepEqual(await numbers(pool.tail({ maxMessages: 10 })), range(1, 10));
  }),
);

Deno.test(
  "tags: every one of them, exactly",
  withPool(async (pool) => {
    fill(pool, 1, 30, (n) => [n % 2 === 0 ? "even" : "odd", ...(n % 3 === 0 ? ["three"] : [])]);
    const by = (tags: string | string[]) => numbers(pool.tail({ ...NOW, tags }));
    assert.deepEqual(await by("even"), range(1, 15).map((n) => 2 * n));
    assert.deepEqual(await by(["even", "three"]), [6, 12, 18, 24, 30]);
    assert.deepEqual(await by([]), range(1, 30));
    assert.deepEqual(await by("Even"), []);
    assert.deepEqual(await by(""), []);
    assert.deepEqual(await numbers(pool.tail({ tags: "three", maxMessages: 2 })), [3, 6]);
    assert.throws(
      () => pool.tail({ tags: [1] as unknown as string[] }),
      (error) => PlasmiteError.is(error, ErrorKind.Usage),
    );
  }),
);

Deno.test(
  "bad options are Usage before anything is opened",
  withPool((pool) => {
    const bad: TailOptions[] = [
      { sinceSeq: -1 },
      { sinceSeq: 1.5 },
      { untilSeq: 2n ** 64n },
      { maxMessages: -1n },
      { timeoutMs: -1 },
      { timeoutMs: NaN },
      { idleTimeoutMs: -5 },
    ];
    for (const options of bad) {
      assert.throws(
        () => pool.tail(options),
        (error) => PlasmiteError.is(error, ErrorKind.Usage) && error.hint !== undefined,
      );
    }
    return Promise.resolve();
  }),
);

Deno.test(
  "a timeout ends a quiet tail, an idle timeout too, and what was there is delivered",
  withPool(async (pool) => {
    fill(pool, 1, 3);
    assert.deepEqual(await numbers(pool.tail({ timeoutMs: 0 })), [1, 2, 3]);
    assert.deepEqual(await numbers(pool.tail({ timeoutMs: 20n })), [1, 2, 3]);
    assert.deepEqual(await numbers(pool.tail({ idleTimeoutMs: 5 })), [1, 2, 3]);
    assert.deepEqual(await numbers(pool.tail({ timeoutMs: 20, tags: "none" })), []);
    assert.deepEqual(await numbers(pool.tail({ timeoutMs: 5, sinceSeq: 50 })), []);
  }),
);

Deno.test(
  "a timeout ends a tail that is never quiet",
  withPool(async (pool) => {
    pool.append({ n: 1 });
    let seen = 0;
    // Each message begets the next: without the limit this would go on forever.
    for await (const { data } of pool.tail({ timeoutMs: 30 })) {
      assert.equal(data.n, ++seen);
      pool.append({ n: data.n + 1 });
      if (seen % 100 === 0) await pause();
      assert(seen < 1_000_000);
    }
    assert(seen > 0);
  }),
);

Deno.test(
  "a timeout ends a tail whose filter lets nothing through, however busy the pool",
  withPool(async (pool) => {
    let running = true;
    const writing = (async () => {
      for (let n = 1; running; n++) {
        pool.append({ n });
        await pause(0);
      }
    })();
    assert.deepEqual(await numbers(pool.tail({ timeoutMs: 30, tags: "no" })), []);
    assert.deepEqual(await numbers(pool.tail({ idleTimeoutMs: 20, tags: "no" })), []);
    running = false;
    await writing;
  }),
);

// ---- live ------------------------------------------------------------------------------------------

Deno.test(
  "what is appended later arrives, from this handle, another, and another process",
  withPool(async (pool, client) => {
    fill(pool, 1, 2);
    using tail = pool.tail({ errorOnGap: true });
    const next = async (): Promise<number | undefined> => (await tail.next()).value?.data.n;
    assert.deepEqual([await next(), await next()], [1, 2]);
    const third = next();
    await pause(5);
    pool.append({ n: 3 });
    assert.equal(await third, 3);
    using other = client.openPool<Numbered>("p");
    const fourth = next();
    await other.appendAsync({ n: 4 });
    assert.equal(await fourth, 4);
    const fifth = tail.next();
    await using writer = start("writer.ts", pool.path, "w", "sync", "2");
    assert.equal((await fifth).value?.seq, 5n);
    assert.equal((await tail.next()).value?.seq, 6n);
    await writer.status;
    assert.equal(tail.nextSeq, 7n);
  }),
);

Deno.test(
  "eight followers get every message, in order",
  withPool(async (pool) => {
    const tails = range(1, 8).map(() => pool.tail({ maxMessages: 200, errorOnGap: true }));
    const found = Promise.all(tails.map(numbers));
    for (let n = 1; n <= 200; n++) {
      pool.append({ n });
      if (n % 10 === 0) await pause();
    }
    for (const one of await found) assert.deepEqual(one, range(1, 200));
  }),
);

Deno.test(
  "several pending next() of one tail are served in order",
  withPool(async (pool) => {
    using tail = pool.tail();
    const pending = [tail.next(), tail.next(), tail.next()];
    await pause();
    fill(pool, 1, 3);
    assert.deepEqual((await Promise.all(pending)).map((one) => one.value?.data.n), [1, 2, 3]);
  }),
);

Deno.test(
  "polling alone is enough when the system gives no watch",
  withPool(async (pool) => {
    const watchFs = Deno.watchFs;
    Deno.watchFs = () => {
      throw new Error("inotify limit reached");
    };
    try {
      using tail = pool.tail();
      const first = tail.next();
      await pause(5);
      pool.append({ n: 1 });
      assert.equal((await first).value?.data.n, 1);
      const follower = new Follower(pool.path, "end", false);
      assert.equal(follower.next(), false);
      pool.append({ n: 2 });
      while (!follower.next()) await follower.wait();
      assert.equal(follower.cursor.seq, 2n);
      // Its pauses grow, so that a short wait is over before the next look.
      let looks = 0;
      while (await follower.wait(3)) assert(!follower.next() && ++looks < 10);
      follower.close();
    } finally {
      Deno.watchFs = watchFs;
    }
  }),
);

Deno.test(
  "messages of the reference's writer arrive as well",
  withPool(async (pool) => {
    pool.append({ n: 1 });
    const { payload } = pool.getLite3(1);
    const file = disk.open(pool.path, { write: true });
    using tail = pool.tail({ sinceSeq: 2 });
    const next = tail.next();
    await pause(3);
    assert(file.tryLock(true));
    refAppendAll(
      {
        read: (at, length) => {
          const bytes = new Uint8Array(length);
          file.readAt(bytes, at);
          return bytes;
        },
        write: (bytes, at) => file.writeAt(bytes, at),
      },
      payload,
      77n,
    );
    file.unlock();
    const { value } = await next;
    assert.equal(value?.seq, 2n);
    assert.equal(value?.timestampNs, 77n);
    assert.deepEqual(value?.data, { n: 1 });
    file.close();
  }),
);

// ---- ending ----------------------------------------------------------------------------------------

Deno.test(
  "break, return, close and using end a tail and release everything",
  withPool(async (pool) => {
    fill(pool, 1, 5);
    const found: number[] = [];
    for await (const { data } of pool.tail()) {
      found.push(data.n);
      if (data.n === 3) break;
    }
    assert.deepEqual(found, [1, 2, 3]);
    {
      await using tail = pool.tail();
      assert.equal((await tail.next()).value?.data.n, 1);
    }
    const tail = pool.tail();
    assert.equal((await tail.next()).value?.seq, 1n);
    assert.deepEqual(await tail.return?.(), { done: true, value: undefined });
    assert.deepEqual(await tail.next(), { done: true, value: undefined });
    // A tail that was never read only needs closing.
    pool.tail().close();
    // An exception in the loop's body ends it as well.
    const reason = new Error("body");
    await assert.rejects(async () => {
      for await (const _ of pool.tail()) throw reason;
    }, reason);
  }),
);

Deno.test(
  "closing ends a next() that waits",
  withPool(async (pool) => {
    const tail = pool.tail({ from: "end" });
    const pending = [tail.next(), tail.next()];
    await pause();
    tail.close();
    tail.close();
    assert.deepEqual(await Promise.all(pending), [
      { done: true, value: undefined },
      { done: true, value: undefined },
    ]);
    pool.append({ n: 1 });
    assert.deepEqual(await tail.next(), { done: true, value: undefined });
  }),
);

Deno.test(
  "an abort rejects the pending next() with its reason, once; then the tail is done",
  withPool(async (pool) => {
    for (const before of [false, true]) {
      const abort = new AbortController();
      const reason = new Error("enough");
      const tail = pool.tail({ from: "end", signal: abort.signal });
      if (before) abort.abort(reason);
      const pending = tail.next();
      if (!before) {
        await pause();
        abort.abort(reason);
      }
      await assert.rejects(pending, reason);
      pool.append({ n: 1 });
      assert.deepEqual(await tail.next(), { done: true, value: undefined });
    }
    // In a loop it is an exception at the loop.
    const abort = new AbortController();
    let seen = 0;
    await assert.rejects(async () => {
      for await (const _ of pool.tail({ signal: abort.signal })) {
        if (++seen === 2) abort.abort();
      }
    }, { name: "AbortError" });
    assert.equal(seen, 2);
    await assert.rejects(
      numbers(pool.tail({ from: "end", signal: AbortSignal.abort("why") })),
      (error: unknown) => error === "why",
    );
  }),
);

Deno.test(
  "a tail outlives its pool and its client",
  withPool(async (pool, client) => {
    fill(pool, 1, 2);
    using tail = pool.tail();
    assert.equal((await tail.next()).value?.data.n, 1);
    pool.close();
    client.close();
    assert.equal((await tail.next()).value?.data.n, 2);
    using again = new Client(client.poolDir).openPool<Numbered>("p");
    const next = tail.next();
    again.append({ n: 3 });
    assert.equal((await next).value?.data.n, 3);
  }),
);

for (const how of ["deleted", "replaced", "deleted and made again"] as const) {
  Deno.test(
    `a tail whose pool is ${how} ends with NotFound`,
    withPool(async (pool, client, dir) => {
      fill(pool, 1, 2);
      using tail = pool.tail();
      await tail.next();
      await tail.next();
      const next = tail.next();
      await pause(2);
      if (how === "replaced") {
        client.createPool("q").close();
        Deno.renameSync(`${dir}/q.plasmite`, pool.path);
      } else {
        client.deletePool("p");
        if (how !== "deleted") client.createPool("p").close();
      }
      await assert.rejects(next, (error) => {
        assert(PlasmiteError.is(error, ErrorKind.NotFound));
        assert.equal(error.path, pool.path);
        return true;
      });
      assert.deepEqual(await tail.next(), { done: true, value: undefined });
    }),
  );
}

// ---- gaps ------------------------------------------------------------------------------------------

const SMALL = 8192;

Deno.test(
  "a wrapped ring: from the oldest without a gap, strict from every retained number",
  withPool(async (pool) => {
    fill(pool, 1, 40);
    const { oldestSeq } = pool.bounds();
    assert(oldestSeq !== null && oldestSeq > 1n);
    const oldest = Number(oldestSeq);
    assert.deepEqual(await numbers(pool.tail({ ...NOW, errorOnGap: true })), range(oldest, 40));
    for (let seq = oldest; seq <= 41; seq++) {
      const rest = await numbers(pool.tail({ ...NOW, sinceSeq: seq, errorOnGap: true }));
      assert.deepEqual(rest, range(seq, 40));
    }
  }, SMALL),
);

Deno.test(
  "a gap: the strict tail rejects once with the first missing number, then is done",
  withPool(async (pool) => {
    fill(pool, 1, 40);
    const tail = pool.tail({ sinceSeq: 1, errorOnGap: true });
    await assert.rejects(tail.next(), (error) => {
      assert(PlasmiteError.is(error, ErrorKind.RetentionGap));
      assert.equal(error.seq, 1n);
      assert.equal(error.path, pool.path);
      assert(error.hint !== undefined);
      return true;
    });
    assert.deepEqual(await tail.next(), { done: true, value: undefined });
  }, SMALL),
);

Deno.test(
  "a gap: the other tail says how large it is and goes on",
  withPool(async (pool) => {
    fill(pool, 1, 3);
    const gaps: { firstMissing: bigint; next: bigint }[] = [];
    using tail = pool.tail({ onGap: (gap) => gaps.push(gap) });
    assert.equal((await tail.next()).value?.data.n, 1);
    assert.equal((await tail.next()).value?.data.n, 2);
    assert.equal((await tail.next()).value?.data.n, 3);
    fill(pool, 4, 60);
    const { oldestSeq } = pool.bounds();
    const { value } = await tail.next();
    assert.equal(value?.seq, oldestSeq);
    assert.deepEqual(gaps, [{ firstMissing: 4n, next: oldestSeq }]);
    assert.equal(tail.nextSeq, (oldestSeq ?? 0n) + 1n);
    // A checkpoint resumes without one.
    const rest = await numbers(
      pool.tail({ ...NOW, sinceSeq: tail.nextSeq ?? 0n, errorOnGap: true }),
    );
    assert.deepEqual(rest, range(Number(oldestSeq) + 1, 60));
  }, SMALL),
);

Deno.test(
  "messages that were read ahead are delivered although the ring has gone on",
  withPool(async (pool) => {
    fill(pool, 1, 5);
    using tail = pool.tail({ errorOnGap: true });
    const first = (await tail.next()).value;
    fill(pool, 6, 60);
    for (let n = 2; n <= 5; n++) assert.equal((await tail.next()).value?.data.n, n);
    assert.deepEqual(first?.data, { n: 1 }, "a message is the caller's own");
    await assert.rejects(
      tail.next(),
      (error) => PlasmiteError.is(error, ErrorKind.RetentionGap) && error.seq === 6n,
    );
  }, SMALL),
);

Deno.test(
  "a gap that swallows the last wanted message ends the tail",
  withPool(async (pool) => {
    fill(pool, 1, 40);
    assert.deepEqual(await numbers(pool.tail({ sinceSeq: 1, untilSeq: 3 })), []);
    await assert.rejects(
      numbers(pool.tail({ sinceSeq: 1, untilSeq: 3, errorOnGap: true })),
      (error) => PlasmiteError.is(error, ErrorKind.RetentionGap),
    );
  }, SMALL),
);

// ---- frames, replay, blocking streams ----------------------------------------------------------------

Deno.test(
  "tailLite3 gives the stored frames",
  withPool(async (pool) => {
    fill(pool, 1, 3, (n) => [`${n}`]);
    const frames = [];
    for await (const frame of pool.tailLite3({ ...NOW, tags: "2" })) frames.push(frame);
    assert.deepEqual(frames, [pool.getLite3(2)]);
    for await (const frame of pool.tailLite3()) {
      assert.equal(frame.time.getTime(), Number(frame.timestampNs / 1_000_000n));
      break;
    }
  }),
);

Deno.test(
  "replay gives what was there when it began, selected by time, number, tag, count",
  withPool(async (pool) => {
    for (let n = 1; n <= 10; n++) {
      pool.append({ n }, { tags: [n % 2 === 0 ? "even" : "odd"], timestampNs: BigInt(n) * 1000n });
    }
    const all = (options: Parameters<typeof pool.replay>[0]) =>
      numbers(pool.replay({ speed: 0, ...options }));
    assert.deepEqual(await all({}), range(1, 10));
    assert.deepEqual(await all({ last: 3 }), [8, 9, 10]);
    assert.deepEqual(await all({ last: 0 }), []);
    assert.deepEqual(await all({ last: 3, tags: "even" }), [6, 8, 10]);
    assert.deepEqual(await all({ sinceTimeNs: 8000n, last: 5 }), [8, 9, 10]);
    assert.deepEqual(await all({ sinceSeq: 9 }), [9, 10]);
    assert.deepEqual(await all({ maxMessages: 2 }), [1, 2]);
    assert.deepEqual(await all({ maxMessages: 0 }), []);
    assert.deepEqual(await all({ sinceSeq: 50 }), []);
    // At full speed the pauses are microseconds.
    assert.deepEqual(await all({ speed: 1 }), range(1, 10));
    // The Node binding's free function, and an end that does not move.
    const found: number[] = [];
    for await (const { data } of replay(pool, { speed: 0 })) {
      found.push(data.n);
      pool.append({ n: 100 });
    }
    assert.deepEqual(found, range(1, 10));
    for (const speed of [-1, NaN, Infinity]) {
      await assert.rejects(
        all({ speed }),
        (error) => PlasmiteError.is(error, ErrorKind.Usage),
      );
    }
  }),
);

Deno.test(
  "replay can be left, aborted and timed out in a pause",
  withPool(async (pool) => {
    for (let n = 1; n <= 3; n++) {
      pool.append({ n }, { timestampNs: BigInt(n) * 3_600_000_000_000n });
    }
    await withTime(async (timeoutMs) => {
      const seen = await numbers(pool.replay({ timeoutMs }));
      assert.deepEqual(seen, [1], "an hour is not waited for");
    }, 10);
    for await (const _ of pool.replay()) break;
    const abort = new AbortController();
    const running = pool.replay({ signal: abort.signal });
    assert.equal((await running.next()).value?.data.n, 1);
    const pending = running.next();
    await pause();
    const reason = new Error("stop");
    abort.abort(reason);
    await assert.rejects(pending, reason);
    assert.deepEqual(await running.next(), { done: true, value: undefined });
    // A pause of years does not overflow the timer.
    pool.append({ n: 4 });
    const leave = new AbortController();
    const far = pool.replay({ sinceSeq: 3, signal: leave.signal });
    assert.equal((await far.next()).value?.data.n, 3);
    const years = far.next();
    const sooner = await Promise.race([years, pause(10)]);
    assert.equal(sooner, undefined, "still waiting");
    leave.abort(reason);
    await assert.rejects(years, reason);
    assert.deepEqual(await numbers(pool.replay({ speed: 1e12 })), [1, 2, 3, 4]);
  }),
);

// It blocks the whole program: without this it would do so for as long as its time-out, or for good.
Deno.test("blocking streams notice that their pool was deleted or replaced", () =>
  withDir((dir) => {
    using client = new Client(dir);
    for (const replaced of [false, true]) {
      using pool = client.createPool("p");
      pool.append({ n: 1 });
      using json = pool.openStream(1, 5, 30_000);
      using lite3 = pool.openLite3Stream(1, 5, 30_000);
      assert(json.nextJson() !== null && lite3.next() !== null);
      client.deletePool("p");
      if (replaced) client.createPool("p").close();
      for (const next of [() => json.nextJson(), () => lite3.next()]) {
        assert.throws(next, (error) => PlasmiteError.is(error, ErrorKind.NotFound));
      }
      if (replaced) client.deletePool("p");
    }
  }));

Deno.test(
  "blocking streams, as in the Node binding",
  withPool(async (pool) => {
    fill(pool, 1, 5);
    const decode = (bytes: Uint8Array | null): number | null =>
      bytes === null ? null : JSON.parse(new TextDecoder().decode(bytes)).data.n;
    {
      using stream = pool.openStream(2, 2, 1);
      assert.deepEqual([1, 2, 3].map(() => decode(stream.nextJson())), [2, 3, null]);
    }
    {
      using stream = pool.openStream(null, null, 0);
      assert.deepEqual([...stream].map(decode), range(1, 5));
      pool.append({ n: 6 });
      assert.equal(decode(stream.nextJson()), 6);
      assert.equal(stream.nextJson(), null);
      stream.close();
      stream.close();
      assert.equal(stream.nextJson(), null);
    }
    using frames = pool.openLite3Stream(undefined, 3n, 1n);
    pool.close();
    assert.deepEqual([...frames].map((frame) => frame.seq), [1n, 2n, 3n], "it outlives the pool");
    await Promise.resolve();
  }),
);

Deno.test(
  "blocking streams report a gap once when asked to",
  withPool(async (pool) => {
    fill(pool, 1, 40);
    const oldest = Number(pool.bounds().oldestSeq);
    {
      using stream = pool.openLite3Stream(1, null, 0, true);
      assert.throws(
        () => stream.next(),
        (error) => PlasmiteError.is(error, ErrorKind.RetentionGap) && error.seq === 1n,
      );
      assert.equal(stream.next(), null);
    }
    using stream = pool.openLite3Stream(1, null, 0);
    assert.deepEqual([...stream].map((frame) => Number(frame.seq)), range(oldest, 40));
    using fresh = pool.openLite3Stream(null, null, 0, true);
    assert.deepEqual([...fresh].map((frame) => Number(frame.seq)), range(oldest, 40));
    for (const [since, max, timeout] of [[-1], [1, 1.5], [1, 1, -1]] as const) {
      assert.throws(
        () => pool.openStream(since, max, timeout),
        (error) => PlasmiteError.is(error, ErrorKind.Usage),
      );
    }
    await Promise.resolve();
  }, SMALL),
);

Deno.test(
  "a program written for the Node binding runs with its import changed",
  withPool(async (_pool, client) => {
    const pool = client.pool<JsonObject>("ci", 1024 * 1024);
    try {
      const stored = pool.append({ status: "green", commit: "abc" }, ["build"]);
      assert.equal(typeof stored.seq, "bigint");
      assert(stored.time instanceof Date);
      for await (const message of pool.tail({ tags: ["build"], timeoutMs: 1000, maxMessages: 1 })) {
        assert.equal(message.data["status"], "green");
      }
      let since: bigint | undefined;
      for await (const message of pool.tail({ maxMessages: 1 })) since = message.seq + 1n;
      assert.equal(since, 2n);
      assert.throws(() => client.openPool("missing"), (error) => {
        return PlasmiteError.is(error) && error.kind === ErrorKind.NotFound;
      });
    } finally {
      pool.close();
      client.close();
    }
  }),
);

Deno.test("a tail of an empty pool ends when its time is over", () =>
  withDir(async (dir) => {
    using client = new Client(dir);
    using pool = client.createPool("p");
    for (const options of [{ timeoutMs: 0 }, { idleTimeoutMs: 0 }, { timeoutMs: 20 }]) {
      assert.deepEqual(await Array.fromAsync(pool.tail(options)), []);
    }
  }));
