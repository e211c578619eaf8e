/**
 * Filters that strangers write: what they compute is bounded, everyone else has turns meanwhile, and
 * time in which they only wait does not count.
 *
 * @module
 */

import assert from "node:assert/strict";
import { withBudget } from "../../lib/filter/budget.ts";
import type { Where } from "../../lib/filter/where.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { budgeted } from "../../mcp/selection.ts";
import { message } from "../text/message_fixture.ts";
import { bench, lines } from "./server_util.ts";

/** A clock that stands still unless it is moved. */
function withClock(body: (move: (ms: number) => void) => void): void {
  const real = performance.now;
  let now = real.call(performance);
  performance.now = () => now;
  try {
    body((ms) => now += ms);
  } finally {
    performance.now = real;
  }
}

/** A filter that takes a while to say no. */
function slow(ms: number, move: (ms: number) => void): Where {
  return {
    expression: "slow",
    failed: 0,
    isNative: true,
    matches: () => {
      move(ms);
      return false;
    },
    batch: () => assert.fail("it is judged one by one"),
  };
}

// Lost: the first message after a quiet while ended the wait of whoever had asked for it.
Deno.test("a budget is what a filter computes, not how long it waits", () =>
  withClock((move) => {
    const where = withBudget(slow(10, move), 100, () => new Error("spent"));
    for (let i = 0; i < 10; i++) {
      move(60_000);
      assert.equal(where.matches(message("{}")), false);
    }
    assert.throws(() => where.matches(message("{}")), /spent/);
  }));

// Lost: a fifth of the speed of every search, to the clock.
Deno.test("a budget does not ask the clock about every quick evaluation", () => {
  const real = performance.now;
  let asked = 0;
  performance.now = () => (asked++, 0);
  try {
    const where = withBudget(slow(0, () => {}), 100, () => new Error("spent"));
    for (let i = 0; i < 8_000; i++) where.matches(message("{}"));
  } finally {
    performance.now = real;
  }
  assert.ok(asked > 0 && asked < 4_000, `${asked} times`);
});

// Lost: the server's time, to a filter that is costly on each ninth message only.
Deno.test("a budget ends a filter that is seldom costly, whatever the rhythm", () =>
  withClock((move) => {
    for (let rhythm = 2; rhythm <= 20; rhythm++) {
      let costly = 0;
      let count = 0;
      const where = withBudget(
        {
          ...slow(0, move),
          matches: () => {
            if (++count % rhythm === 0) {
              costly++;
              move(10);
            }
            return false;
          },
        },
        100,
        () => new Error("spent"),
      );
      assert.throws(() => {
        for (let i = 0; i < 100_000; i++) where.matches(message("{}"));
      }, /spent/);
      // Ten of them are the limit; far more would be needed if they could hide.
      assert.ok(costly < 1_000, `${costly} costly messages, every ${rhythm}th`);
    }
  }));

// Lost: an agent that waited for six seconds with a filter was told that its filter took too long.
Deno.test("agents: a filter may wait as long as it likes, and compute for five seconds", () =>
  withClock((move) => {
    const filter = budgeted(slow(500, move));
    for (let i = 0; i < 10; i++) {
      move(60_000);
      assert.equal(filter.matches(message("{}")), false);
    }
    assert.throws(
      () => filter.matches(message("{}")),
      (error) => PlasmiteError.is(error, ErrorKind.Usage) && /took too long/.test(error.message),
    );
  }));

// Lost: one request with a filter that multiplies lists kept the server's only thread for minutes.
Deno.test("server tail: a costly filter is ended, and others are answered while it computes", async () => {
  const { app, client, get, end } = await bench();
  using pool = client.createPool("p", 1 << 25);
  const list = Array.from({ length: 20 }, (_, i) => i);
  for (let n = 0; n < 10; n++) {
    await pool.appendBatch(Array.from({ length: 3000 }, () => ({ list })));
  }
  const where = encodeURIComponent("[.data.list[] + .data.list[]] | length > 100000");
  // Time passes with every look at the clock: the two seconds are as many turns on a slow machine.
  const real = performance.now;
  let now = real.call(performance);
  performance.now = () => now += 0.5;
  let answered = 0;
  let told = "";
  try {
    const stream = await app.request(`/v0/pools/p/tail?no_follow=1&where=${where}`);
    let ended = false;
    const text = stream.text().finally(() => ended = true);
    while (!ended) {
      const health = await get("/healthz");
      assert.equal(health.status, 200);
      if (!ended) answered++;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    told = await text;
  } finally {
    performance.now = real;
  }
  const [last] = lines(told).slice(-1);
  assert.equal(last?.error.kind, "Usage", "it went through all of the pool");
  assert.match(last?.error.message, /time budget/);
  // Two seconds of computing, a few milliseconds at a time.
  assert.ok(answered >= 8, `${answered} others were answered`);
  await end();
});

// Lost: with one expression, one message was enough.
Deno.test("server tail: one message cannot be too much for a filter either", async () => {
  const { client, get, end } = await bench();
  using pool = client.createPool("p");
  pool.append({ list: Array.from({ length: 1000 }, (_, i) => i) });
  const where = encodeURIComponent("[.data.list[] + .data.list[]] | length > 5");
  const { status, text } = await get(`/v0/pools/p/tail?no_follow=1&where=${where}`);
  assert.equal(status, 200);
  assert.equal(lines(text).at(-1)?.error.kind, "Usage");
  assert.equal((await get(`/v0/pools/p/tail?max=1&where=${".data.list[0]==0"}`)).status, 200);
  await end();
});
