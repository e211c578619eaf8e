/**
 * The official clients of both eras, over stdio against the real command and over HTTP: each way
 * goes through the same session.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { McpOptions } from "../../mcp/http.ts";
import { type Any, type Peer, Place, serveMcp, until, type Way, WAYS } from "./mcp_util.ts";

const TOOLS = [
  "plasmite_pool_list",
  "plasmite_pool_create",
  "plasmite_pool_info",
  "plasmite_pool_delete",
  "plasmite_feed",
  "plasmite_fetch",
  "plasmite_read",
  "plasmite_wait",
  "plasmite_claim",
  "plasmite_take",
  "plasmite_done",
];

function seqs(result: Any): unknown[] {
  return (result["messages"] as Any[]).map((message) => message["seq"]);
}

async function session(peer: Peer): Promise<void> {
  // After this the clients check every result against its output schema.
  assert.deepEqual(await peer.tools(), TOOLS);
  assert.deepEqual((await peer.call("plasmite_pool_list")).result, { pools: [], total: 0 });

  const missing = await peer.call("plasmite_read", { pool: "jobs" });
  assert.equal(missing.isError, true);
  assert.equal(missing.result["error_kind"], "NotFound");
  assert.match(missing.text[0] ?? "", /plasmite_pool_list/);
  const refused = await peer.call("plasmite_feed", { pool: "jobs", data: { n: 0 } });
  assert.match(String(refused.result["hint"]), /create: true/);

  const fed = await peer.call("plasmite_feed", {
    pool: "jobs",
    data: { n: 1, deep: { list: [1, "zwei", null, 2.5] } },
    tags: [" first ", "x"],
    create: true,
  });
  assert.equal(fed.text[0], "Stored as message 1 in jobs.");
  const message = fed.result["message"] as Any;
  assert.equal(message["seq"], 1);
  assert.deepEqual(message["meta"], { tags: ["first", "x"] });
  assert.deepEqual(message["data"], { n: 1, deep: { list: [1, "zwei", null, 2.5] } });
  for (let n = 2; n <= 5; n++) await peer.call("plasmite_feed", { pool: "jobs", data: { n } });

  const fetched = await peer.call("plasmite_fetch", { pool: "jobs", seq: 1 });
  assert.deepEqual(fetched.result["message"], message);
  const gone = await peer.call("plasmite_fetch", { pool: "jobs", seq: 77 });
  assert.match(String(gone.result["hint"]), /1 to 5/);

  const last = await peer.call("plasmite_read", { pool: "jobs", count: 2 });
  assert.deepEqual(seqs(last.result), [4, 5]);
  assert.equal(last.result["next_after_seq"], 5);
  const some = await peer.call("plasmite_read", { pool: "jobs", where: ".data.n >= 3", count: 2 });
  assert.deepEqual(seqs(some.result), [4, 5]);
  const from = await peer.call("plasmite_read", { pool: "jobs", after_seq: 1, count: 2 });
  assert.deepEqual(seqs(from.result), [2, 3]);
  assert.equal(from.result["has_more"], true);

  // With a position it does not matter when the wait begins.
  const wanted = { pool: "jobs", after_seq: 5, timeout_ms: 20_000, tags: ["go"] };
  const waiting = peer.call("plasmite_wait", wanted);
  await peer.call("plasmite_feed", { pool: "jobs", data: { n: 6 } });
  await peer.call("plasmite_feed", { pool: "jobs", data: { n: 7 }, tags: ["go"] });
  const woken = await waiting;
  assert.deepEqual(seqs(woken.result), [7]);
  assert.equal(woken.result["timed_out"], false);
  const idle = await peer.call("plasmite_wait", { pool: "jobs", timeout_ms: 20, after_seq: 7 });
  assert.equal(idle.result["timed_out"], true);

  const text = await peer.read("plasmite:///pools/jobs");
  assert.deepEqual(seqs(JSON.parse(text) as Any), [1, 2, 3, 4, 5, 6, 7]);
  await assert.rejects(peer.read("plasmite:///pools/nothing"), /not found/);
  assert.deepEqual(await peer.prompts(), [
    "claim_files",
    "ci_status",
    "catch_up",
    "mailbox",
    "work_queue",
    "watch_pool",
  ]);

  const again = await peer.call("plasmite_pool_create", { name: "jobs" });
  assert.equal(again.result["error_kind"], "AlreadyExists");
  assert.match(String(again.result["hint"]), /use it as-is/);
  const info = await peer.call("plasmite_pool_info", { pool: "jobs" });
  assert.deepEqual((info.result["pool"] as Any)["bounds"], { oldest: 1, newest: 7 });
  const deleted = await peer.call("plasmite_pool_delete", { pool: "jobs" });
  assert.deepEqual(deleted.result, { deleted: { pool: "jobs" } });
}

/** A message that came right behind the acknowledgement was never told. */
async function subscriptions(peer: Peer, _way: Way, { client }: Place): Promise<void> {
  const told: string[] = [];
  const uris: string[] = [];
  for (let n = 0; n < 30; n++) {
    const uri = `plasmite:///pools/watched${n}`;
    uris.push(uri);
    using pool = client.createPool(`watched${n}`);
    await peer.subscribe(uri, (updated) => told.push(updated));
    pool.append({ n });
  }
  await until(() => uris.every((uri) => told.includes(uri)), () => `told of ${told.length} only`);
  assert.deepEqual(new Set(told), new Set(uris));
}

/** Without progress a client that restarts its clock on it gives a good wait up. */
async function progress(peer: Peer): Promise<void> {
  await peer.call("plasmite_pool_create", { name: "slow" });
  let notes = 0;
  let feeding: Promise<unknown> | undefined;
  const onprogress = (): void => {
    if (++notes === 3) feeding = peer.call("plasmite_feed", { pool: "slow", data: { n: 1 } });
  };
  const args = { pool: "slow", timeout_ms: 20_000 };
  assert.deepEqual(seqs((await peer.long("plasmite_wait", args, { onprogress })).result), [1]);
  assert.ok(notes >= 3);
  await feeding;
}

/**
 * A client that cancels one wait goes on with everything else. One that also ends the request gives
 * the place of the wait back; the clients of 2025 let the request run on.
 */
async function cancelled(peer: Peer, way: Way): Promise<void> {
  await peer.call("plasmite_pool_create", { name: "slow" });
  const stop = new AbortController();
  const args = { pool: "slow", timeout_ms: 40_000 };
  const waiting = peer.long("plasmite_wait", args, { signal: stop.signal });
  waiting.catch(() => {});
  const place = async (): Promise<unknown> =>
    (await peer.call("plasmite_wait", { pool: "slow", timeout_ms: 0 })).result["error_kind"];
  while (await place() !== "Busy") await new Promise((resolve) => setTimeout(resolve, 10));
  // By now the answer has begun.
  await new Promise((resolve) => setTimeout(resolve, 100));
  stop.abort();
  await assert.rejects(waiting);
  assert.deepEqual(await peer.tools(), TOOLS);
  assert.equal((await peer.call("plasmite_read", { pool: "slow" })).isError, false);
  if (way.name !== "http, new era") return;
  while (await place() === "Busy") await new Promise((resolve) => setTimeout(resolve, 10));
}

for (const way of WAYS) {
  Deno.test({
    name: `mcp: a session, ${way.name}`,
    // The SDKs' own clients start timers and processes that they leave to the garbage collector.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () => withPeer(way, session),
  });
  if (way.name.startsWith("http")) {
    Deno.test({
      name: `mcp: a wait tells of its progress, ${way.name}`,
      sanitizeOps: false,
      sanitizeResources: false,
      fn: () => withPeer(way, progress, { progressMs: 20 }),
    });
    Deno.test({
      name: `mcp: a cancelled wait ends nothing else, ${way.name}`,
      sanitizeOps: false,
      sanitizeResources: false,
      fn: () => withPeer(way, cancelled, { maxWaits: 1 }),
    });
  }
  if (!way.subscribes) continue;
  Deno.test({
    name: `mcp: a subscription, ${way.name}`,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: () => withPeer(way, subscriptions),
  });
}

async function withPeer(
  way: Way,
  run: (peer: Peer, way: Way, place: Place) => Promise<void>,
  options: McpOptions = {},
): Promise<void> {
  using place = new Place();
  await using served = await serveMcp(place.client, options);
  await using peer = await way.connect({ dir: place.dir, url: served.url });
  await run(peer, way, place);
}
