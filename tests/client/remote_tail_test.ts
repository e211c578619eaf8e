/**
 * Following a remote pool: limits, filters, gaps, and what happens when the connection breaks.
 *
 * @module
 */

import assert from "node:assert/strict";
import { PlasmiteError } from "../../lib/errors.ts";
import { inTemp } from "../cli/cli_util.ts";
import { serve, take } from "./remote_util.ts";

const numbers = (messages: readonly { readonly seq: bigint }[]): number[] =>
  messages.map(({ seq }) => Number(seq));

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

Deno.test("history, then live; nextSeq is the checkpoint", () =>
  inTemp(async (dir) => {
    await using server = serve({ dir });
    await using client = server.client();
    await using pool = await client.pool("p");
    using local = server.local.openPool("p");
    for (let i = 1; i <= 3; i++) local.append({ i });
    const tail = pool.tail();
    assert.equal(tail.nextSeq, null);
    assert.deepEqual(numbers(await take({ [Symbol.asyncIterator]: () => tail }, 3)), [1, 2, 3]);
    assert.equal(tail.nextSeq, 4n);
    const live = take(pool.tail({ from: "end" }), 2);
    while (!server.seen.some((line) => line.includes("since_seq=4"))) await sleep(5);
    local.append({ i: 4 });
    local.append({ i: 5 });
    assert.deepEqual(numbers(await live), [4, 5]);
    assert.deepEqual(numbers(await take(pool.tail({ sinceSeq: 4n }), 2)), [4, 5]);
    assert.deepEqual(numbers(await take(pool.tail({ sinceSeq: 0 }), 1)), [1]);
  }));

Deno.test("maxMessages, untilSeq, tags, sinceTimeNs, timeouts end a tail normally", () =>
  inTemp(async (dir) => {
    await using server = serve({ dir });
    await using client = server.client();
    await using pool = await client.pool("p");
    using local = server.local.openPool("p");
    for (let i = 1; i <= 6; i++) {
      local.append({ i }, { tags: i % 2 ? ["odd", "x"] : [" x"], timestampNs: BigInt(i) });
    }
    const all = async (options: Parameters<typeof pool.tail>[0]): Promise<number[]> =>
      numbers(await Array.fromAsync(pool.tail(options)));
    assert.deepEqual(await all({ maxMessages: 2 }), [1, 2]);
    assert.deepEqual(await all({ maxMessages: 0 }), []);
    assert.deepEqual(await all({ untilSeq: 4 }), [1, 2, 3, 4]);
    assert.deepEqual(await all({ sinceSeq: 3, untilSeq: 4 }), [3, 4]);
    assert.deepEqual(await all({ tags: "odd", maxMessages: 3 }), [1, 3, 5]);
    assert.deepEqual(await all({ tags: ["odd", "x"], untilSeq: 6 }), [1, 3, 5]);
    assert.deepEqual(await all({ tags: [" x"], maxMessages: 2 }), [2, 4]);
    assert.deepEqual(await all({ sinceTimeNs: 5n, maxMessages: 2 }), [5, 6]);
    assert.deepEqual(await all({ timeoutMs: 100 }), range(1, 6));
    assert.deepEqual(await all({ idleTimeoutMs: 100 }), range(1, 6));
    assert.deepEqual(await all({ timeoutMs: 0, from: "end" }), []);
    // Filtered by the server; a tag that it would trim is looked for here.
    const asked = server.seen.filter((line) => line.includes("tag="));
    assert.equal(asked.length, 2, asked.join("\n"));
    const frames = await take(pool.tailLite3({ sinceSeq: 2 }), 2);
    assert.deepEqual(
      frames.map(({ payload }) => payload),
      [2, 3].map((n) => local.getLite3(n).payload),
    );
  }));

Deno.test("a tail outlives the server's limit on one request", () =>
  inTemp(async (dir) => {
    await using server = serve({ dir, maxTailTimeoutMs: 60 });
    await using client = server.client();
    await using pool = await client.pool("p");
    using local = server.local.openPool("p");
    const got = take(pool.tail(), 5);
    const requests = (): number =>
      server.seen.filter((line) => line.includes("timeout_ms=60")).length;
    for (let i = 1; i <= 5; i++) {
      while (requests() < i) await sleep(5); // Each message meets another request.
      local.append({ i });
    }
    assert.deepEqual(numbers(await got), range(1, 5));
    assert.deepEqual(numbers(await Array.fromAsync(pool.tail({ timeoutMs: 300 }))), range(1, 5));
  }));

Deno.test("losses are reported exactly, or reject", () =>
  inTemp(async (dir) => {
    await using server = serve({ dir });
    await using client = server.client();
    await using pool = await client.pool("p", 65536);
    using local = server.local.openPool("p");
    for (let i = 1; i <= 500; i++) local.append({ i, text: "x".repeat(300) });
    const { oldestSeq } = local.bounds();
    assert.ok(oldestSeq !== null && oldestSeq > 10n);
    const gaps: unknown[] = [];
    const options = { sinceSeq: 5, untilSeq: 500, onGap: (gap: unknown) => gaps.push(gap) };
    const got = numbers(await Array.fromAsync(pool.tail(options)));
    assert.deepEqual(got, range(Number(oldestSeq), 500));
    assert.deepEqual(gaps, [{ firstMissing: 5n, next: oldestSeq }]);
    const strict = pool.tail({ sinceSeq: 5, errorOnGap: true, tags: "none" });
    await assert.rejects(strict.next(), (error) =>
      PlasmiteError.is(error, 9) && error.seq === 5n && error.path === "p");
    assert.deepEqual(await strict.next(), { done: true, value: undefined });
    // Nothing is missing for who begins at the oldest.
    const fine = pool.tail({ errorOnGap: true, untilSeq: 500 });
    assert.equal((await Array.fromAsync(fine)).length, got.length);
  }));

Deno.test("signal, close and break end a wait at once and leave nothing open", () =>
  inTemp(async (dir) => {
    await using server = serve({ dir });
    await using client = server.client();
    await using pool = await client.pool("p");
    const abort = new AbortController();
    const aborted = pool.tail({ signal: abort.signal }).next();
    const closed = pool.tail();
    const pending = closed.next();
    while (server.seen.filter((line) => line.includes("tail_lite3")).length < 2) await sleep(5);
    abort.abort(new Error("enough"));
    await assert.rejects(aborted, /enough/);
    closed.close();
    assert.deepEqual(await pending, { done: true, value: undefined });
    assert.deepEqual(await closed.next(), { done: true, value: undefined });
    await assert.rejects(pool.tail({ signal: AbortSignal.abort(new Error("no")) }).next(), /no/);
  }));

Deno.test("without reconnect a broken stream rejects, and nextSeq is where to continue", () =>
  inTemp(async (dir) => {
    let cut = true;
    await using server = serve({
      dir,
      after: (request, response) => cutTail(request, response, cut),
    });
    await using client = server.client();
    await using pool = await client.pool("p");
    using local = server.local.openPool("p");
    for (let i = 1; i <= 3; i++) local.append({ i });
    const tail = pool.tail();
    const got: bigint[] = [];
    await assert.rejects(async () => {
      for await (const { seq } of tail) got.push(seq);
    }, (error) => PlasmiteError.is(error, 8) && error.message === "failed to read tail stream");
    cut = false;
    const rest = pool.tail({ sinceSeq: tail.nextSeq ?? 1n, untilSeq: 3 });
    for await (const { seq } of rest) got.push(seq);
    assert.deepEqual(got, [1n, 2n, 3n]);
  }));

let cuts = 0;

/** Breaks a Lite3 tail off in the middle of its first chunk, or behind it. */
function cutTail(request: Request, response: Response, cut: boolean): Response {
  if (!cut || !request.url.includes("tail_lite3") || response.body === null) return response;
  const reader = response.body.getReader();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const body = new ReadableStream<Uint8Array>({
    cancel() {
      clearTimeout(timer);
      return reader.cancel();
    },
    async pull(controller) {
      const { value } = await reader.read();
      if (value !== undefined) {
        // Every other time the chunk is whole, or a single frame would never arrive.
        const share = cuts++ % 2 === 0 ? 0.6 : 1;
        controller.enqueue(value.subarray(0, Math.ceil(value.length * share)));
        await new Promise((resolve) => timer = setTimeout(resolve, 20));
      }
      controller.error(new Error("cut"));
      await reader.cancel();
    },
  });
  return new Response(body, { headers: response.headers });
}

Deno.test("with reconnect every stream may break anywhere: nothing lost, nothing twice", () =>
  inTemp(async (dir) => {
    await using server = serve({
      dir,
      after: (request, response) => cutTail(request, response, true),
    });
    await using client = server.client();
    await using pool = await client.pool("p");
    using local = server.local.openPool("p");
    for (let i = 1; i <= 20; i++) local.append({ i });
    const tail = pool.tail({ reconnect: true, errorOnGap: true, untilSeq: 25 });
    const got: bigint[] = [];
    for await (const { seq } of tail) {
      if (got.push(seq) === 15) { for (let i = 21; i <= 25; i++) local.append({ i }); }
    }
    assert.deepEqual(got, range(1, 25).map(BigInt));
  }));

Deno.test("a follower lives through restarts of its server", () =>
  inTemp(async (dir) => {
    let server = serve({ dir });
    const { port } = server;
    await using client = server.client();
    await using pool = await client.pool("p", 8 << 20);
    using local = server.local.openPool("p");
    let sent = 0;
    let writing = true;
    const writer = (async () => {
      while (writing) {
        for (let i = 0; i < 20; i++) local.append({ n: ++sent });
        await sleep(5);
      }
    })();
    const got: bigint[] = [];
    const follower = (async () => {
      for await (const { seq, data } of pool.tail({ reconnect: true, errorOnGap: true })) {
        assert.equal(BigInt(data["n"] as number), seq);
        got.push(seq);
        if (data["last"] === true) break;
      }
    })();
    for (let i = 0; i < 3; i++) {
      await sleep(100);
      await server.stop();
      await sleep(60);
      server = serve({ dir, port });
    }
    writing = false;
    await writer;
    local.append({ n: ++sent, last: true });
    await follower;
    assert.deepEqual(got, range(1, sent).map(BigInt));
    await server.stop();
  }));

Deno.test("busy servers are asked again with reconnect, and reported without", () =>
  inTemp(async (dir) => {
    await using server = serve({ dir, maxTailConcurrency: 1 });
    await using client = server.client();
    await using pool = await client.pool("p");
    await pool.append({ i: 1 });
    const holder = pool.tail();
    await holder.next();
    await assert.rejects(pool.tail().next(), (error) => PlasmiteError.is(error, 5));
    using patient = pool.tail({ reconnect: true });
    const first = patient.next();
    await sleep(100);
    holder.close();
    assert.equal((await first).value?.seq, 1n);
  }));

Deno.test("a pool that goes away or is replaced ends a tail, reconnect or not", () =>
  inTemp(async (dir) => {
    await using server = serve({ dir, maxTailTimeoutMs: 100 });
    await using client = server.client();
    for (const anew of [false, true]) {
      await using pool = await client.pool("p");
      await pool.append({ i: 1 });
      await pool.append({ i: 2 });
      const tail = pool.tail({ reconnect: true });
      await take({ [Symbol.asyncIterator]: () => ({ next: () => tail.next() }) }, 2);
      const next = tail.next();
      await client.deletePool("p");
      if (anew) await client.createPool("p");
      await assert.rejects(next, (error) => PlasmiteError.is(error, 3) && error.path === "p");
    }
    await using none = client.uncheckedPool("none");
    await assert.rejects(
      none.tail().next(),
      (error) => PlasmiteError.is(error, 3),
    );
  }));

// Lost: the first messages of a new pool that has as many as the old one, once the connection is back.
Deno.test("a pool that is replaced by one with as many messages ends a tail", () =>
  inTemp(async (dir) => {
    await using server = serve({ dir });
    await using client = server.client();
    for (const where of [undefined, ".data.i > 0"]) {
      const make = async (count: number): Promise<void> => {
        await client.createPool("p");
        await using pool = await client.pool("p");
        for (let i = 1; i <= count; i++) await pool.append({ i });
      };
      await make(2);
      await using pool = await client.pool("p");
      const tail = pool.tail({ reconnect: true, sinceSeq: 0n, ...(where && { where }) });
      await take({ [Symbol.asyncIterator]: () => ({ next: () => tail.next() }) }, 2);
      const next = tail.next();
      await client.deletePool("p");
      await make(3);
      await assert.rejects(next, (error) => PlasmiteError.is(error, 3) && error.path === "p");
      await client.deletePool("p");
    }
  }));

// Lost: the rest of a pool, as its last message that arrived can no longer be compared.
Deno.test("a tail goes on when what it had last was overwritten while its server was away", () =>
  inTemp(async (dir) => {
    let server = serve({ dir });
    const { port } = server;
    try {
      using local = server.local.createPool("p", 1 << 16);
      await using client = server.client();
      await using pool = await client.pool("p");
      local.append({ i: 1 });
      const tail = pool.tail({ reconnect: true, sinceSeq: 0n });
      assert.equal((await tail.next()).value?.seq, 1n);
      const next = tail.next();
      await server.stop();
      for (let i = 2; i <= 2000; i++) local.append({ i });
      const { oldestSeq } = local.info().bounds;
      server = serve({ dir, port });
      assert.equal((await next).value?.seq, oldestSeq);
      tail.close();
    } finally {
      await server.stop();
    }
  }));

Deno.test("damage that ends every stream is reported, not asked for forever", () =>
  inTemp(async (dir) => {
    const error = { kind: "Corrupt", message: "bad frame", offset: 12 };
    await using server = serve({
      dir,
      before: ({ url }) => {
        if (url.includes("tail_lite3")) {
          return new Response(
            new ReadableStream({ start: (controller) => controller.error(new Error("broken")) }),
          );
        }
        if (url.includes("/tail?")) return new Response(`\n${JSON.stringify({ error })}\n`);
        return undefined;
      },
    });
    await using client = server.client();
    await using pool = await client.pool("p");
    await assert.rejects(
      pool.tail({ reconnect: true }).next(),
      (failure) =>
        PlasmiteError.is(failure, 7) && failure.message === "bad frame" && failure.offset === 12n,
    );
  }));

Deno.test("what a tail of 0.8 leaves out on a wrapped ring is fetched one by one", () =>
  inTemp(async (dir) => {
    await using server = serve({
      dir,
      before: (request) => {
        // Such a server begins at the ring's first byte: here at message 8 of 5 to 10.
        const url = new URL(request.url);
        const since = Number(url.searchParams.get("since_seq") ?? 0);
        if (!url.pathname.endsWith("tail_lite3") || since >= 8) return undefined;
        url.searchParams.set("since_seq", "8");
        return fetch(url);
      },
      after: (_request, response) => {
        response.headers.delete("plasmite-features");
        return response;
      },
    });
    await using client = server.client();
    await using pool = await client.pool("p", 65536);
    using local = server.local.openPool("p");
    for (let i = 1; i <= 10; i++) local.append({ i, text: "x".repeat(7_500) });
    const oldest = Number(local.bounds().oldestSeq);
    assert.ok(oldest > 2 && oldest < 8, String(oldest));
    const read = async (sinceSeq?: number): Promise<[number[], unknown[]]> => {
      const gaps: unknown[] = [];
      const messages = await Array.fromAsync(pool.tail({
        untilSeq: 10,
        onGap: (gap) => gaps.push(gap),
        ...(sinceSeq === undefined ? {} : { sinceSeq }),
      }));
      for (const message of messages) {
        assert.deepEqual(message.raw, local.get(message.seq).raw);
      }
      return [numbers(messages), gaps];
    };
    assert.deepEqual(await read(), [range(oldest, 10), []]);
    assert.deepEqual(await read(oldest), [range(oldest, 10), []]);
    assert.deepEqual(await read(1), [
      range(oldest, 10),
      [{ firstMissing: 1n, next: BigInt(oldest) }],
    ]);
  }));
