/**
 * What an answer tells about itself, so that an agent does not believe what is not so: messages a
 * filter failed on, windows with a hole, positions of a pool that was recreated, pools to come.
 *
 * @module
 */

import assert from "node:assert/strict";
import { HttpBackend } from "../../lib/backend/http.ts";
import { accessGrant } from "../../lib/grant.ts";
import { wrapped } from "../../mcp/json.ts";
import { GrantedPools } from "../../mcp/pools.ts";
import { runTool } from "../../mcp/run.ts";
import { createApp } from "../../server/app.ts";
import { run, seqs, StorePlace, test, waitsBegun } from "./mcp_tools_util.ts";
import { type Any, Place } from "./mcp_util.ts";

// An agent that looked for open tasks with `.data.done != true` found 1 of 38 and took it for all.
test("messages on which a filter failed are counted", async (kind) => {
  await using place = new StorePlace(kind);
  {
    using pool = place.client.createPool("tasks");
    for (let n = 1; n <= 37; n++) pool.append({ n, group: n % 2 }, n <= 10 ? ["early"] : []);
    pool.append({ n: 38, group: 0, done: false });
    pool.append({ n: 39, group: 0, done: true });
  }
  const where = ".data.done != true";
  const cases: [string, Any, number[], number | undefined][] = [
    ["plasmite_read", { where }, [38], 37],
    ["plasmite_read", { where, after_seq: 30 }, [38], 7],
    ["plasmite_read", { where, tags: ["early"] }, [], 10],
    ["plasmite_read", { where, latest_by: ".data.group" }, [38], 37],
    ["plasmite_wait", { where, after_seq: 0, timeout_ms: 0 }, [38], 37],
    ["plasmite_wait", { where, after_seq: 0, tags: ["early"], timeout_ms: 0 }, [], 10],
    // A step through a closure and not the fast form; a type that does not fit; a nested step.
    ["plasmite_read", { where: ".data.done | not" }, [38], 37],
    ["plasmite_read", { where: "[.data.done] | length == 2" }, [], 37],
    ["plasmite_read", { where: '.data.n | startswith("3")' }, [], 39],
    ["plasmite_read", { where: ".data.a.b.c == 1" }, [], 39],
    // What is asked for without failing is not counted.
    ["plasmite_read", { where: "(.data.done? // false) != true", count: 1 }, [38], undefined],
    ["plasmite_read", { where: '.data | has("done")' }, [38, 39], undefined],
    ["plasmite_read", { where: ".data.n > 38" }, [39], undefined],
  ];
  for (const [name, args, found, failed] of cases) {
    const outcome = await run(place, name, { pool: "tasks", ...args });
    const told = JSON.stringify(args);
    assert.deepEqual(seqs(outcome), found, told);
    assert.equal(outcome.result["where_failed"], failed, told);
    const [summary = ""] = outcome.text;
    assert.equal(summary.includes(`where failed on ${failed} message`), failed !== undefined, told);
  }
});

// "Nothing else happened in the last ten minutes" is wrong when half of them were overwritten.
test("a window that reaches behind what is retained says so", async (kind) => {
  await using place = new StorePlace(kind);
  {
    using whole = place.client.createPool("whole");
    for (let n = 1; n <= 3; n++) whole.append({ n }, ["agent:a"]);
    using ring = place.client.createPool("ring", 16_384);
    for (let n = 1; n <= 200; n++) ring.append({ n, pad: "x".repeat(100) }, [`agent:${n % 3}`]);
  }
  const bounds = (await run(place, "plasmite_read", { pool: "ring", count: 1 })).result;
  const oldest = Number(bounds["oldest_available_seq"]);
  assert.ok(oldest > 1);
  const oldestTime = (await run(place, "plasmite_fetch", { pool: "ring", seq: oldest })).result;
  const time = String((oldestTime["message"] as Any)["time"]);
  const later = new Date(Date.parse(time) + 1).toISOString();
  const cases: [Any, boolean][] = [
    [{ pool: "ring", since: "10m" }, true],
    [{ pool: "ring", since: "10m", count: 1, tags: ["agent:1"] }, true],
    [{ pool: "ring", since: time }, true],
    [{ pool: "ring", latest_by: "agent:" }, true],
    [{ pool: "ring", latest_by: "agent:", since: "1h" }, true],
    [{ pool: "ring", since: "10m", after_seq: 1 }, true],
    [{ pool: "ring", since: "10m", after_seq: oldest - 1 }, false],
    [{ pool: "ring", latest_by: "agent:", after_seq: oldest - 1 }, false],
    [{ pool: "ring", latest_by: "agent:", after_seq: oldest - 2 }, true],
    [{ pool: "ring", since: "2999-01-01T00:00:00Z" }, false],
    [{ pool: "ring", since: later }, false],
    [{ pool: "ring" }, false],
    [{ pool: "ring", after_seq: 0 }, false],
    [{ pool: "whole", since: "10m" }, false],
    [{ pool: "whole", latest_by: "agent:" }, false],
  ];
  for (const [args, incomplete] of cases) {
    const { result, text } = await run(place, "plasmite_read", args);
    const told = JSON.stringify(args);
    assert.equal(result["window_incomplete"], incomplete ? true : undefined, told);
    assert.equal(text[0]?.includes("were overwritten: the pool retains"), incomplete, told);
  }
});

// A worker that waits for the queue its boss is about to make gave up at once.
test("a pool that is not there yet is waited for, and none of its messages is missed", async (kind) => {
  await using place = new StorePlace(kind);
  const begun = waitsBegun(place.backend, 3);
  const waits = [
    run(place, "plasmite_wait", { pool: "later", timeout_ms: 30_000 }),
    run(place, "plasmite_wait", { pool: "later", timeout_ms: 30_000, after_seq: 1 }),
    run(place, "plasmite_wait", { pool: "later", timeout_ms: 30_000, where: ".data.n == 3" }),
  ];
  await begun;
  {
    using pool = place.client.createPool("later");
    for (let n = 1; n <= 3; n++) pool.append({ n });
  }
  const [all, behind, third] = await Promise.all(waits);
  assert.ok(all !== undefined && behind !== undefined && third !== undefined);
  // The wait may look between two of the messages; what it leaves is behind its position.
  const seen = seqs(all);
  assert.deepEqual(seen, [1, 2, 3].slice(0, seen.length));
  assert.ok(seen.length > 0);
  assert.equal(all.result["next_after_seq"], seen.length);
  assert.equal(all.result["timed_out"], false);
  assert.equal(seqs(behind)[0], 2);
  assert.deepEqual(seqs(third), [3]);

  const never = await run(place, "plasmite_wait", { pool: "never", timeout_ms: 20 });
  assert.equal(never.isError, false);
  assert.equal(never.result["timed_out"], true);
  assert.equal(never.result["next_after_seq"], 0);
  assert.match(never.text[0] ?? "", /no pool never yet.*plasmite_pool_list/);

  // What can never become right is told at once.
  const wrong: [Any, string][] = [
    [{ pool: "a/b" }, "Usage"],
    [{ pool: "" }, "Usage"],
    [{ pool: "never", where: "((" }, "Usage"],
    [{ pool: "never", count: 0 }, "Usage"],
  ];
  for (const [args, error] of wrong) {
    const { result } = await run(place, "plasmite_wait", { timeout_ms: 50_000, ...args });
    assert.equal(result["error_kind"], error, JSON.stringify(args));
  }
  // Nobody looks for the pool any more after that.
  let looks = 0;
  const open = place.backend.open.bind(place.backend);
  place.backend.open = (name, options) => {
    looks++;
    return open(name, options);
  };
  await run(place, "plasmite_wait", { pool: "never", timeout_ms: 50_000, where: "((" });
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  assert.equal(looks, 1);
  const hidden = await run(
    place,
    "plasmite_wait",
    { pool: "never", timeout_ms: 50_000 },
    "write-only",
  );
  assert.equal(hidden.result["error_kind"], "Permission");
  // An ending connection ends it too, with an answer.
  const ending = new AbortController();
  const last = run(place, "plasmite_wait", { pool: "never", timeout_ms: 50_000 }, "read-write", {
    ending: ending.signal,
  });
  setTimeout(() => ending.abort(), 20);
  assert.equal((await last).result["timed_out"], true);
});

// An agent waited for "nothing arrived" again and again while messages came to the new pool.
test("a position of a pool that was recreated is called ahead", async (kind) => {
  await using place = new StorePlace(kind);
  {
    using old = place.client.createPool("jobs");
    for (let n = 1; n <= 5; n++) old.append({ n });
    place.client.deletePool("jobs");
    using pool = place.client.createPool("jobs");
    pool.append({ n: 1 });
  }
  const idle = await run(place, "plasmite_wait", { pool: "jobs", after_seq: 5, timeout_ms: 0 });
  assert.equal(idle.result["cursor_ahead"], true);
  assert.match(idle.text[0] ?? "", /^after_seq is ahead .*recreated; start over/);
  const read = await run(place, "plasmite_read", { pool: "jobs", after_seq: 5 });
  assert.match(read.text[0] ?? "", /after_seq is ahead/);
  // When the new pool has passed the position, those before it were never seen.
  const waitBegun = waitsBegun(place.backend);
  const waiting = run(place, "plasmite_wait", { pool: "jobs", after_seq: 5, timeout_ms: 30_000 });
  await waitBegun;
  using pool = place.client.openPool("jobs");
  for (let n = 2; n <= 6; n++) pool.append({ n });
  const found = await waiting;
  assert.deepEqual(seqs(found), [6]);
  assert.equal(found.result["cursor_ahead"], true);
  assert.match(found.text[0] ?? "", /recreated/);
  // It may be recreated during a wait, too; over a server that may be seen when the wait is over only.
  const timeout_ms = kind === "server" ? 2_000 : 30_000;
  const orphanBegun = waitsBegun(place.backend);
  const orphan = run(place, "plasmite_wait", { pool: "jobs", timeout_ms });
  await orphanBegun;
  place.client.deletePool("jobs");
  place.client.createPool("jobs").close();
  const replaced = await orphan;
  const isEnded = replaced.result["error_kind"] === "NotFound";
  if (!isEnded) assert.ok(kind === "server" && replaced.result["cursor_ahead"] === true);
  assert.match(replaced.text[0] ?? "", /recreated; start over/);
});

// The messages of a wait were lost when the server fell silent right behind them.
Deno.test("mcp tools on a server that falls silent: a wait gives what it has", async () => {
  using place = new Place();
  using pool = place.client.createPool("p");
  const app = createApp(place.client);
  let silent = false;
  const unanswered: ((reason: Error) => void)[] = [];
  const backend = new HttpBackend("http://localhost:9700", {
    fetch: (input, init) => {
      const request = new Request(input, init);
      if (!silent || !request.url.endsWith("/info")) return app.fetch(request);
      return new Promise((_, reject) => unanswered.push(reject));
    },
  });
  try {
    const pools = new GrantedPools(backend, { grant: accessGrant("test", "read-only") });
    const begun = waitsBegun(backend);
    const waiting = runTool("plasmite_wait", { pool: "p", timeout_ms: 30_000 }, {
      pools,
      signal: new AbortController().signal,
    });
    await begun;
    silent = true;
    pool.append({ n: 1 });
    const { structuredContent, isError } = await waiting ?? {};
    assert.equal(isError, undefined);
    const result = JSON.parse(wrapped(structuredContent) ?? "") as Any;
    assert.deepEqual((result["messages"] as Any[]).map(({ seq }) => seq), [1]);
    assert.equal(result["newest_available_seq"], 1);
    assert.equal(result["next_after_seq"], 1);
  } finally {
    for (const hangUp of unanswered) hangUp(new Error("the test is over"));
    backend.close();
    await app.shutdown();
  }
});
