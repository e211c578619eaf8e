/**
 * The list of thousands of pools on a server. Lost otherwise: a turn for everyone else while one
 * person looks at the list, and memory for texts that nobody reads.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Client } from "../../mod.ts";
import { accessGrant } from "../../lib/grant.ts";
import type { Need } from "../../lib/types.ts";
import { ServingBackend } from "../../lib/backend/serving.ts";
import { openToAppend } from "../../lib/pool/mending.ts";
import { beginningAt } from "../../lib/pool/retention.ts";
import { disk } from "../../lib/storage/file.ts";
import { inPlace } from "../../lib/storage/steps.ts";
import { Histograms } from "../../server/histogram.ts";
import { poolsJson } from "../../server/lists.ts";
import { createApp } from "../../server/app.ts";
import { spoil } from "../support/damaged_pool.ts";
import { until, watchdog } from "../support/patience.ts";
import { withDir } from "../support/processes.ts";

const MANY = 2500;
const decoder = new TextDecoder();
const textOf = (piece: Uint8Array): string => decoder.decode(piece);

async function withMany(work: (dir: string) => Promise<void>): Promise<void> {
  await withDir(async (dir) => {
    using client = new Client(dir);
    {
      using pool = client.createPool("000", 16 << 10);
      pool.append({ n: 1 });
    }
    const bytes = Deno.readFileSync(`${dir}/000.plasmite`);
    for (let i = 1; i < MANY; i++) Deno.writeFileSync(`${dir}/p${i}.plasmite`, bytes);
    Deno.writeTextFileSync(`${dir}/p77.plasmite`, "damaged");
    await work(dir);
  });
}

Deno.test("list of thousands of pools: others have a turn after each few", async () => {
  await withMany(async (dir) => {
    const backend = new ServingBackend(dir);
    const stopping = new AbortController();
    const fault = (error: unknown): void => assert.fail(String(error));
    const histograms = new Histograms(backend, stopping.signal, fault);
    const grant = accessGrant("test", "read-write");
    const real = performance.now;
    const beginning = real.call(performance);
    let printed = 0;
    let [since, most, turns] = [0, 0, 0];
    let timer = setTimeout(function tick() {
      since = 0;
      turns++;
      timer = setTimeout(tick, 0);
    }, 0);
    // Each pool takes a tenth of a millisecond, however fast this machine is.
    performance.now = () => beginning + printed / 10;
    try {
      const followers = (): number => {
        printed++;
        most = Math.max(most, ++since);
        return 0;
      };
      // If all are followed, there is more to say of each than the worker knows.
      const all = await backend.names();
      const directory = { backend, followers, followed: () => all, histograms };
      const texts = await Array.fromAsync(poolsJson(directory, grant), textOf);
      const { pools } = JSON.parse(texts.join(""));
      assert.equal(pools.length, MANY);
      assert.ok(texts.length > 20, "in pieces");
      assert.ok(texts.every((text) => text.length < 40_000));
    } finally {
      performance.now = real;
      clearTimeout(timer);
    }
    assert.equal(printed, MANY);
    // A turn is 40 pools, and the timer may miss one.
    assert.ok(most <= 90, `${most} pools without a turn`);
    assert.ok(turns >= 20, `${turns} turns`);
    stopping.abort();
    await histograms.close();
    backend.close();
  });
});

Deno.test("list of thousands of pools: who may read some learns nothing of the others, and who follows is counted", async () => {
  await withMany(async (dir) => {
    const backend = new ServingBackend(dir);
    const stopping = new AbortController();
    const histograms = new Histograms(backend, stopping.signal, (error) => assert.fail(`${error}`));
    const followers = (pool: string): number => pool === "p1999" ? 3 : 0;
    const directory = { backend, followers, followed: () => ["p1999", "gone"], histograms };
    const list = async (can: (pool: string) => boolean, only?: ReadonlySet<string>) => {
      const grant = { subject: "test", can: (_: Need, pool?: string) => can(pool ?? "") };
      const text = (await Array.fromAsync(poolsJson(directory, grant, only), textOf)).join("");
      const { pools }: { pools: { name: string; followers: number }[] } = JSON.parse(text);
      return pools.map(({ name, followers }) => `${name} ${followers}`);
    };
    const everything = await list(() => true);
    assert.equal(everything.length, MANY);
    assert.deepEqual(everything.filter((entry) => !entry.endsWith(" 0")), ["p1999 3"]);
    // Still so many that the worker prints them.
    const most = await list((pool) => !/^p1\d\d$/.test(pool));
    assert.deepEqual(most, everything.filter((entry) => !/^p1\d\d /.test(entry)));
    assert.equal(most.length, MANY - 100);
    const but = await list((pool) => pool !== "p77" && pool !== "000");
    assert.deepEqual(but, everything.filter((entry) => !/^(p77|000) /.test(entry)));
    assert.deepEqual(await list((pool) => pool === "p1999"), ["p1999 3"]);
    assert.deepEqual(await list(() => true, new Set(["p3", "000", "x"])), ["000 0", "p3 0"]);
    assert.deepEqual(await list(() => false), []);
    stopping.abort();
    await histograms.close();
    backend.close();
  });
});

Deno.test("list of thousands of pools: only the worker opens them, but for what is known of damage", async () => {
  await withMany(async (dir) => {
    {
      using client = new Client(dir);
      using pool = client.openPool("p5");
      for (let n = 2; n <= 5; n++) pool.append({ n });
      spoil(pool.path, 3);
    }
    const backend = new ServingBackend(dir);
    const stopping = new AbortController();
    const histograms = new Histograms(backend, stopping.signal, (error) => assert.fail(`${error}`));
    const directory = { backend, followers: () => 0, followed: () => [], histograms };
    const list = async (): Promise<{ name: string; unreadable?: unknown; error?: unknown }[]> => {
      const grant = accessGrant("test", "read-write");
      const texts = await Array.fromAsync(poolsJson(directory, grant), textOf);
      return JSON.parse(texts.join("")).pools;
    };
    const real = Deno.openSync;
    let opened = 0;
    Deno.openSync = (...args) => {
      opened++;
      return real(...args);
    };
    try {
      const before = await list();
      assert.equal(before.length, MANY);
      assert.deepEqual(before.filter(({ error }) => error).map(({ name }) => name), ["p77"]);
      assert.ok(opened < 100, `${opened} files were opened on the server's thread`);
    } finally {
      Deno.openSync = real;
    }
    // Somebody looks at a healthy pool, and at the damaged one.
    for (const name of ["p6", "p5"]) {
      const pool = await backend.open(name);
      const all = { from: null, to: null, buckets: 1, tags: [], where: [], filter: "" };
      await histograms.of(pool, all);
      pool.close();
    }
    assert.deepEqual([...histograms.damaged()], ["p5"]);
    const named = (await list()).filter(({ unreadable }) => unreadable);
    assert.deepEqual(named.map(({ name }) => name), ["p5"]);
    assert.deepEqual(named[0]?.unreadable, [{ from: 3, to: 3 }]);
    stopping.abort();
    await histograms.close();
    backend.close();
  });
});

Deno.test("list of thousands of pools: no more of them wait to be looked at than can be remembered", async () => {
  await withDir(async (dir) => {
    const backend = new ServingBackend(dir);
    const stopping = new AbortController();
    const histograms = new Histograms(backend, stopping.signal, (error) => assert.fail(`${error}`));
    let asked = 0;
    stopping.abort();
    histograms.look(function* () {
      for (; asked < 5000; asked++) yield { name: `p${asked}` };
    }());
    assert.equal(asked, 1000);
    await histograms.close();
    backend.close();
  });
});

Deno.test("list of thousands of pools: the same text with a length, compressed, and for HEAD", async () => {
  await withMany(async (dir) => {
    using client = new Client(dir);
    const app = createApp(client);
    const url = "http://localhost/v0/pools";
    const plain = await app.request(url);
    const length = Number(plain.headers.get("content-length"));
    const bytes = await plain.bytes();
    assert.equal(bytes.length, length);
    assert.ok(length > 1_000_000);
    const { pools } = JSON.parse(new TextDecoder().decode(bytes));
    const names = pools.map(({ name }: { name: string }) => name);
    assert.deepEqual(names, names.toSorted());
    assert.equal(pools.length, MANY);
    const damaged = pools.filter(({ error }: { error?: unknown }) => error !== undefined);
    assert.deepEqual(damaged.map(({ name }: { name: string }) => name), ["p77"]);
    const packed = await app.request(url, { headers: { "accept-encoding": "gzip" } });
    assert.equal(packed.headers.get("content-encoding"), "gzip");
    const text = await new Response(
      packed.body?.pipeThrough(new DecompressionStream("gzip")),
    ).text();
    const age = /"(?:oldest|newest)_age_ms":\d+/g;
    const decoded = new TextDecoder().decode(bytes);
    assert.equal(text.replaceAll(age, ""), decoded.replaceAll(age, ""));
    const head = await app.request(url, { method: "HEAD" });
    assert.equal(head.status, 200);
    assert.ok(Math.abs(Number(head.headers.get("content-length")) - length) < MANY * 20);
    assert.equal((await head.bytes()).length, 0);
    // Who goes away in the middle leaves nothing behind.
    const left = await app.request(url);
    const reader = left.body?.getReader();
    assert.ok(((await reader?.read())?.value?.length ?? 0) > 0);
    await reader?.cancel();
    await app.shutdown();
  });
});

Deno.test("stream of thousands of pools: each event is the whole list, and only a change is one", async () => {
  await withMany(async (dir) => {
    using client = new Client(dir);
    const app = createApp(client);
    const answer = await app.request("http://localhost/v0/ui/pools/stream");
    const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    const next = async (): Promise<{ name: string; bounds: { newest?: number } }[]> => {
      while (!text.includes("\n\n")) {
        const { done, value } = await (reader?.read() ?? Promise.reject(new Error("no body")));
        assert.ok(!done);
        text += value;
      }
      const [event = "", ...rest] = text.split("\n\n");
      text = rest.join("\n\n");
      const [, data = ""] = /^event: pools\ndata: (.*)$/.exec(event) ?? [];
      return JSON.parse(data).pools;
    };
    const first = await next();
    assert.equal(first.length, MANY);
    using pool = client.openPool("p1234");
    pool.append({ n: 2 });
    const second = await next();
    const numbers = (pools: typeof first): [string, number | undefined][] =>
      pools.map(({ name, bounds }) => [name, bounds.newest]);
    const expected = numbers(first).map(([name, newest]) => [name, name === "p1234" ? 2 : newest]);
    assert.deepEqual(numbers(second), expected);
    await reader?.cancel();
    await app.shutdown();
  });
});

Deno.test("list of thousands of pools: who follows one is counted, although the worker knows of nobody", async () => {
  await withMany(async (dir) => {
    using client = new Client(dir);
    const app = createApp(client);
    try {
      const stream = await app.request("/v0/pools/p1999/tail?since_seq=1", { signal: watchdog() });
      const reader = stream.body?.getReader() ?? assert.fail();
      await reader.read();
      const followed = async (): Promise<string[]> => {
        const { pools } = await (await app.request("/v0/ui/pools")).json();
        return pools.flatMap(({ name, followers }: { name: string; followers: number }) =>
          followers > 0 ? [`${name} ${followers}`] : []
        );
      };
      await until(async () => (await followed()).length > 0, "the follower is counted");
      assert.deepEqual(await followed(), ["p1999 1"]);
      await reader.cancel();
    } finally {
      await app.shutdown();
    }
  });
});

// Lost: a scrape every few seconds took the server's thread for a second with 20,000 pools.
Deno.test("counters of thousands of pools: only the worker opens them, and the numbers are right", async () => {
  await withMany(async (dir) => {
    using client = new Client(dir);
    {
      using pool = client.createPool("emptied", 16 << 10);
      // As if its messages 1 to 3 had been dropped.
      const ring = openToAppend(disk, pool.path);
      inPlace(beginningAt(ring, 4n));
      ring.close();
    }
    client.createPool("unused", 16 << 10).close();
    const app = createApp(client);
    const real = Deno.openSync;
    let opened = 0;
    Deno.openSync = (...args) => {
      opened++;
      return real(...args);
    };
    try {
      const text = await (await app.request("/metrics")).text();
      const newest = new Map(
        [...text.matchAll(/^plasmite_pool_newest_seq\{pool="(.*?)"\} (\d+)$/gm)]
          .map(([, name, seq]) => [name, Number(seq)]),
      );
      assert.equal(newest.size, MANY + 1);
      assert.equal(newest.get("emptied"), 3);
      assert.equal(newest.get("unused"), 0);
      assert.equal(newest.get(`p${MANY - 1}`), 1);
      assert.equal(newest.has("p77"), false);
      assert.ok(opened < 100, `${opened} files were opened on the server's thread`);
    } finally {
      Deno.openSync = real;
      await app.shutdown();
    }
  });
});
