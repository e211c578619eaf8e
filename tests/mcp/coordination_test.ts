/**
 * Tools for working together, on pools of a directory and of a server: an agent that repeats a call,
 * is restarted or is too slow loses nothing, does nothing twice, and learns from every refusal what
 * to do.
 *
 * @module
 */

import assert from "node:assert/strict";
import { filled, run, seqs, StorePlace, test } from "./mcp_tools_util.ts";
import { type Any, Place, serveMcp, WAYS } from "./mcp_util.ts";

test("feed: expect, key and id", async (kind) => {
  await using place = filled(kind, 1);
  const feed = (args: Any) => run(place, "plasmite_feed", { pool: "p", ...args });
  const stored = await feed({ data: { n: 2 }, expect: 0, key: "k", tags: ["t"] });
  assert.deepEqual((stored.result["message"] as Any)["meta"], { tags: ["t", "key:k"] });
  const late = await feed({ data: { n: 3 }, expect: 1 });
  const { error_kind, expected, actual } = late.result;
  assert.deepEqual([late.isError, error_kind, expected, actual], [true, "Conflict", 1, 2]);
  const none = await feed({ data: {}, expect: 0, key: "k" });
  assert.deepEqual([none.result["key"], none.result["actual"]], ["k", 2]);
  const first = await feed({ data: { n: 3 }, id: "x", tags: ["first"] });
  assert.equal(first.result["duplicate"], undefined);
  const again = await feed({ data: { n: 3 }, id: "x", tags: ["second"] });
  assert.equal(again.result["duplicate"], true);
  assert.deepEqual(again.result["message"], first.result["message"]);
  assert.match(again.text[0] ?? "", /Already stored as message 3/);
  const other = await feed({ data: { n: 4 }, id: "x" });
  assert.deepEqual([other.result["error_kind"], other.result["seq"]], ["Conflict", 3]);
  for (const [field, value] of [["key", ""], ["id", "a\nb"], ["expect", -1], ["id", 7]]) {
    const { result } = await feed({ data: {}, [field as string]: value });
    assert.deepEqual([result["error_kind"], result["field"]], ["Usage", field]);
  }
});

test("read: the newest of a key", async (kind) => {
  await using place = filled(kind, 2);
  const read = (args: Any) => run(place, "plasmite_read", { pool: "p", key: "a", ...args });
  assert.deepEqual(seqs(await read({})), []);
  using pool = place.client.openPool("p");
  pool.append({ v: 1 }, { key: "a" });
  pool.append({ v: 2 }, { key: "a", tags: ["late"] });
  pool.append({ v: 3 }, { key: "b" });
  const found = await read({});
  assert.deepEqual([seqs(found), found.result["next_after_seq"]], [[4], 5]);
  assert.deepEqual(seqs(await read({ where: ".data.v < 2" })), [3]);
  for (const [field, value] of [["after_seq", 1], ["latest_by", "key:"], ["cursor", "c"]]) {
    assert.equal((await read({ [field as string]: value })).result["error_kind"], "Usage");
  }
});

test("read and wait: a cursor remembers what was acknowledged", async (kind) => {
  await using place = filled(kind, 6);
  const read = (args: Any = {}) =>
    run(place, "plasmite_read", { pool: "p", cursor: "c", count: 2, ...args });
  assert.deepEqual(seqs(await read()), [1, 2]);
  const again = await read();
  assert.deepEqual(seqs(again), [1, 2]);
  assert.match(again.text[0] ?? "", /ack_seq 2/);
  assert.deepEqual(seqs(await read({ ack_seq: again.result["next_after_seq"] })), [3, 4]);
  assert.deepEqual(seqs(await read({ ack_seq: 1 })), [3, 4]); // A late repetition.
  const wait = (args: Any) =>
    run(place, "plasmite_wait", { pool: "p", cursor: "c", timeout_ms: 0, ...args });
  assert.deepEqual(seqs(await wait({ ack_seq: 4 })), [5, 6]);
  const waiting = wait({ ack_seq: 6, timeout_ms: 20_000, tags: ["new"] });
  {
    using pool = place.client.openPool("p");
    pool.append({}, ["old"]);
    pool.append({}, ["new"]);
  }
  assert.deepEqual(seqs(await waiting), [8]);
  const over = await wait({ tags: ["none"] });
  assert.equal(over.result["timed_out"], true);
  using pool = place.client.openPool("p");
  const [{ seq } = { seq: 0n }] = await pool.cursors();
  assert.equal(seq, 8n); // It moved over what does not match.
});

test("read and wait: what does not go with a cursor is refused", async (kind) => {
  await using place = filled(kind, 3);
  const bad: [string, Any, string][] = [
    ["plasmite_read", { cursor: "c", after_seq: 1 }, "after_seq"],
    ["plasmite_read", { cursor: "c", since: "1h" }, "since"],
    ["plasmite_read", { cursor: "c", latest_by: "agent:" }, "latest_by"],
    ["plasmite_read", { ack_seq: 1 }, "ack_seq"],
    ["plasmite_read", { cursor: "c", ack_seq: 4 }, "ack_seq"],
    ["plasmite_wait", { cursor: "c", after_seq: 1 }, "after_seq"],
  ];
  for (const [name, args, field] of bad) {
    const { result } = await run(place, name, { pool: "p", ...args });
    assert.deepEqual([result["error_kind"], result["field"]], ["Usage", field], field);
  }
  const name = await run(place, "plasmite_read", { pool: "p", cursor: "No Name" });
  assert.equal(name.result["error_kind"], "Usage");
  // Others see that a cursor moves.
  const reader = await run(place, "plasmite_read", { pool: "p", cursor: "c" }, "read-only");
  assert.equal(reader.result["error_kind"], "Permission");
});

test("read: a cursor of a pool that was recreated is refused, with what to do", async (kind) => {
  await using place = filled(kind, 3);
  await run(place, "plasmite_read", { pool: "p", cursor: "c" });
  await run(place, "plasmite_read", { pool: "p", cursor: "c", ack_seq: 3 });
  const { dir } = place;
  Deno.renameSync(`${dir}/p.cursors`, `${dir}/kept`);
  place.client.deletePool("p");
  place.client.createPool("p").close();
  Deno.renameSync(`${dir}/kept`, `${dir}/p.cursors`);
  const { result, text } = await run(place, "plasmite_read", { pool: "p", cursor: "c" });
  assert.deepEqual([result["error_kind"], result["cursor"]], ["NotFound", "c"]);
  assert.match(text[0] ?? "", /another name/);
});

test("claim: taken, refused with who has it, renewed, lost, released", async (kind) => {
  await using place = new StorePlace(kind);
  const claim = (holder: string, args: Any) =>
    run(place, "plasmite_claim", { pool: "claims", keys: ["a"], holder, ...args });
  const missing = await claim("ann", { action: "claim" });
  assert.equal(missing.result["error_kind"], "NotFound");
  const mine = await claim("ann", { action: "claim", create: true, keys: ["a", "b"] });
  const { token, until, keys } = mine.result["claim"] as Any;
  assert.deepEqual([token, keys], [1, ["a", "b"]]);
  assert.ok(Date.parse(until as string) > Date.now());
  const refused = await claim("bob", { action: "claim" });
  const { error_kind, holder, key } = refused.result;
  assert.deepEqual([error_kind, holder, key], ["Busy", "ann", "a"]);
  assert.equal(typeof refused.result["until"], "string");
  // Without the right to read, nobody is told who it is.
  const blind = await run(
    place,
    "plasmite_claim",
    { pool: "claims", action: "claim", keys: ["a"], holder: "bob" },
    "write-only",
  );
  assert.deepEqual([blind.result["error_kind"], blind.result["key"]], ["Busy", "a"]);
  assert.ok(!`${blind.json}${blind.text}`.includes("ann"));
  assert.ok(!("token" in blind.result));
  const waits = claim("bob", { action: "claim", timeout_ms: 20_000 });
  const renewed = await claim("ann", { action: "renew", keys: ["a", "b"], token });
  assert.equal((renewed.result["claim"] as Any)["token"], token);
  const released = await claim("ann", { action: "release", keys: ["a", "b"], token });
  assert.equal((released.result["claim"] as Any)["released"], true);
  const theirs = (await waits).result["claim"] as Any;
  assert.equal(theirs["holder"], "bob");
  const lost = await claim("ann", { action: "renew", token });
  assert.deepEqual([lost.result["error_kind"], lost.result["holder"]], ["Conflict", "bob"]);
  const again = await claim("bob", { action: "release", token: theirs["token"] });
  const twice = await claim("bob", { action: "release", token: theirs["token"] });
  assert.deepEqual(
    [again, twice].map(({ result }) => (result["claim"] as Any)["released"]),
    [true, false],
  );
  await claim("eve", { action: "claim" });
  const forced = await claim("ann", { action: "release", force: true });
  assert.equal((forced.result["claim"] as Any)["released"], true);
});

test("claim: mistakes name the argument; a wait takes a place, a claim at once none", async (kind) => {
  await using place = new StorePlace(kind);
  place.client.createPool("c").close();
  const good = { pool: "c", action: "claim", keys: ["a"], holder: "ann" };
  const bad: [Any, string][] = [
    [{ action: "take" }, "action"],
    [{ keys: [] }, "keys"],
    [{ keys: "a" }, "keys"],
    [{ keys: [1] }, "keys"],
    [{ holder: null }, "holder"],
    [{ ttl_ms: 999 }, "ttl_ms"],
    [{ action: "renew" }, "token"],
    [{ action: "release" }, "token"],
  ];
  for (const [args, field] of bad) {
    const { result } = await run(place, "plasmite_claim", { ...good, ...args });
    assert.deepEqual([result["error_kind"], result["field"]], ["Usage", field], field);
  }
  const full = { takePlace: () => null };
  const at = await run(place, "plasmite_claim", good, "read-write", full);
  assert.equal(at.isError, false);
  const wait = { ...good, timeout_ms: 10 };
  const refused = await run(place, "plasmite_claim", wait, "read-write", full);
  assert.equal(refused.result["error_kind"], "Busy");
});

test("take and done: each task once, failed ones again, then dead", async (kind) => {
  await using place = filled(kind, 3);
  const take = (args: Any = {}) =>
    run(place, "plasmite_take", { pool: "p", group: "g", timeout_ms: 0, ...args });
  const done = (seq: unknown, token: unknown, outcome: string, more: Any = {}) =>
    run(place, "plasmite_done", { pool: "p", group: "g", seq, token, outcome, ...more });
  const tasksOf = ({ result }: { result: Any }): Any[] => result["tasks"] as Any[];
  const [one] = tasksOf(await take({ tags: ["odd"] }));
  assert.deepEqual([(one?.["message"] as Any)["data"], one?.["tries"]], [{ n: 1 }, 1]);
  const token = one?.["token"];
  assert.deepEqual((await done(1, token, "extend", { delay_ms: 60_000 })).result["done"], {
    seq: 1,
    outcome: "extend",
  });
  assert.equal((await done(1, token, "ack")).isError, false);
  assert.deepEqual((await done(1, token, "ack")).result["done"], {
    seq: 1,
    outcome: "ack",
    already: true,
  });
  const other = await take({ tags: ["even"] });
  assert.equal(other.result["error_kind"], "Usage"); // The filter of a group is fixed.
  let tries = 0;
  for (;;) {
    const [task] = tasksOf(await take({ tags: ["odd"], timeout_ms: tries === 0 ? 0 : 20 }));
    if (task === undefined) break;
    tries++;
    assert.equal(task["tries"], tries);
    const wrong = await done(3, Number(task["token"]) + 100, "ack");
    assert.deepEqual([wrong.result["error_kind"], wrong.result["seq"]], ["Conflict", 3]);
    await done(3, task["token"], "fail", { delay_ms: 0 });
  }
  assert.equal(tries, 5);
  using dead = place.client.openPool("p.dead");
  assert.deepEqual(dead.get(1).data, { n: 3 });
  const empty = await take({ tags: ["odd"] });
  assert.deepEqual(empty.result, { tasks: [], timed_out: true });
});

test("take: a condition chooses the tasks; without the right to create pools none is made", async (kind) => {
  await using place = filled(kind, 3);
  const args = { pool: "p", group: "g", where: ".data.n > 1", timeout_ms: 0 };
  const grant = { subject: "ann", can: (need: string) => need !== "admin" };
  const tasksOf = ({ result }: { result: Any }): Any[] => result["tasks"] as Any[];
  const [two] = tasksOf(await run(place, "plasmite_take", args, grant));
  assert.deepEqual((two?.["message"] as Any)["seq"], 2);
  const [three] = tasksOf(await run(place, "plasmite_take", args, grant));
  assert.deepEqual((three?.["message"] as Any)["seq"], 3);
  const bad = await run(place, "plasmite_take", { ...args, where: "((" }, grant);
  assert.deepEqual([bad.result["error_kind"], bad.result["field"]], ["Usage", "where"]);
  const done = { pool: "p", group: "g", seq: 2, outcome: "fail", delay_ms: 0 };
  let token = two?.["token"];
  for (let tries = 1; tries <= 5; tries++) {
    await run(place, "plasmite_done", { ...done, token }, grant);
    const [again] = tasksOf(await run(place, "plasmite_take", args, grant));
    token = again?.["token"];
  }
  assert.equal(token, undefined); // It waits for a dead pool that somebody else makes.
  if (kind === "directory") {
    assert.deepEqual(place.client.listPools().map(({ name }) => name), ["p"]);
  }
});

test("take waits for a task, and ends when the server stops", async (kind) => {
  await using place = filled(kind, 0);
  const args = { pool: "p", group: "g", timeout_ms: 20_000 };
  const waiting = run(place, "plasmite_take", args);
  {
    using pool = place.client.openPool("p");
    pool.append({ n: 1 });
  }
  assert.equal((await waiting).result["timed_out"], false);
  const stop = new AbortController();
  const stopped = run(place, "plasmite_take", args, "read-write", { ending: stop.signal });
  setTimeout(() => stop.abort(), 20);
  assert.deepEqual((await stopped).result, { tasks: [], timed_out: true });
});

// Lost: an agent whose key was revoked still got the next task.
test("a wait for tasks or keys ends when the caller loses the right", async (kind) => {
  await using place = filled(kind, 0);
  const held = { pool: "p", action: "claim", keys: ["k"], holder: "ann" };
  await run(place, "plasmite_claim", held);
  const waits: [string, Any][] = [
    ["plasmite_take", { pool: "p", group: "g", tags: ["t"], timeout_ms: 20_000 }],
    ["plasmite_claim", { ...held, holder: "bob", timeout_ms: 20_000 }],
  ];
  for (const [name, args] of waits) {
    const revoked = new AbortController();
    const grant = { subject: "bob", can: () => true, ended: revoked.signal };
    const waiting = run(place, name, args, grant);
    setTimeout(() => revoked.abort(), 20);
    assert.equal((await waiting).result["error_kind"], "Permission", name);
  }
});

for (const { name, connect } of WAYS) {
  Deno.test({
    name: `mcp coordination: claim, cursor, tasks and ids, ${name}`,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      using place = new Place();
      await using served = await serveMcp(place.client);
      await using peer = await connect({ dir: place.dir, url: served.url });
      const call = async (tool: string, args: Any): Promise<Any> =>
        (await peer.call(`plasmite_${tool}`, args)).result;
      const task = { pool: "tasks", data: { n: 1 }, id: "t-1", create: true };
      await call("feed", task);
      assert.equal((await call("feed", task))["duplicate"], true);
      const claim = { pool: "claims", action: "claim", keys: ["k"], holder: "me", create: true };
      const { token } = (await call("claim", claim))["claim"] as Any;
      const held = await call("claim", { ...claim, holder: "you" });
      assert.deepEqual([held["error_kind"], held["holder"]], ["Busy", "me"]);
      await call("claim", { ...claim, action: "release", token });
      const read = await call("read", { pool: "tasks", cursor: "c" });
      const next = { pool: "tasks", cursor: "c", ack_seq: read["next_after_seq"] };
      assert.deepEqual((await call("read", next))["messages"], []);
      const { tasks } = await call("take", { pool: "tasks", group: "g", timeout_ms: 1_000 });
      const [one] = tasks as Any[];
      const end = { pool: "tasks", group: "g", seq: 1, token: one?.["token"], outcome: "ack" };
      assert.deepEqual((await call("done", end))["done"], { seq: 1, outcome: "ack" });
    },
  });
}
