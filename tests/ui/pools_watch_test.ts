/**
 * How often the list of pools asks, and for what, without a browser; and parts that are loaded later.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { Later } from "../../server/ui/later.js";
import { PoolsWatch } from "../../server/ui/pools_watch.js";
import { pause, until } from "../support/patience.ts";

/** Watches these pools, with a clock that stands still; `/cursors` is answered when told. */
async function watching(
  names: readonly string[],
  play: (watch: PoolsWatch, asked: string[], answer: () => void) => Promise<void>,
): Promise<void> {
  const before = { fetch: globalThis.fetch, now: performance.now };
  const asked: string[] = [];
  const waiting: (() => void)[] = [];
  globalThis.fetch = (path) => {
    asked.push(String(path));
    if (!String(path).endsWith("/cursors")) {
      return Promise.resolve(Response.json({ pools: names.map((name) => ({ name })) }));
    }
    return new Promise((done) => waiting.push(() => done(Response.json({ cursors: [] }))));
  };
  performance.now = () => 0;
  try {
    await play(new PoolsWatch(() => {}), asked, () => waiting.splice(0).forEach((one) => one()));
  } finally {
    globalThis.fetch = before.fetch;
    performance.now = before.now;
  }
}

// Lost: the list, to an address that is longer than servers and proxies take.
Deno.test("of many pools only some are asked for by name, as many as fit into an address", async () => {
  const short = Array.from({ length: 301 }, (_, i) => `p${i}`);
  const long = short.map((name) => name + "ü".repeat(100));
  /** The names that are asked for when all are on screen. */
  const asks = async (names: string[]): Promise<string[]> => {
    let query = "";
    await watching(names, async (watch, asked) => {
      await watch.load([]);
      await watch.load(names);
      assert.equal(asked.length, 2);
      assert.equal(asked[0], "/v0/ui/pools");
      query = asked[1] ?? "";
    });
    assert.ok(query.length < 4100, `${query.length} characters`);
    return new URL(query, "http://localhost").searchParams.getAll("name");
  };
  assert.deepEqual(await asks(short), short.slice(0, 40));
  const some = await asks(long);
  assert.ok(some.length > 0);
  assert.deepEqual(some, long.slice(0, some.length));
});

// Lost: a server that reads the cursors of every pool at the same time, for everyone who looks.
Deno.test("the cursors of four pools are asked for at once, and of the others afterwards", () => {
  const names = Array.from({ length: 10 }, (_, i) => `p${i}`);
  return watching(names, async (watch, asked, answer) => {
    await watch.load([]);
    const cursors = () => asked.filter((path) => path.endsWith("/cursors")).length;
    const look = (): number => {
      watch.look(names.slice(0, 6));
      return cursors();
    };
    for (const expected of [4, 8, 10]) {
      await until(() => look() >= expected);
      assert.equal(look(), expected);
      answer();
    }
    await pause(50);
    assert.equal(look(), 10);
  });
});

// Lost: a part of the page, for good, to one moment without the network.
Deno.test("a part that could not be loaded is loaded with its next use, and made once", async () => {
  let made = 0;
  const part = new Later(() =>
    ++made === 1 ? Promise.reject(new TypeError("away")) : Promise.resolve(made)
  );
  await assert.rejects(part.get(), /away/);
  assert.equal(part.now, null);
  assert.deepEqual(await Promise.all([part.get(), part.get()]), [2, 2]);
  assert.equal(part.now, 2);
});
