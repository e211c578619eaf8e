/** The newest message of each key of a stream: few requests on new servers, and the same result. */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { connect } from "@nats-io/transport-node";
import { jetstreamManager } from "@nats-io/jetstream";
import { NatsBackend } from "../../lib/backend/nats.ts";
import type { Latest, LatestRequest, PoolHandle } from "../../lib/backend/types.ts";
import { compileWhere } from "../../lib/filter/where.ts";
import { CountingProxy } from "../support/counting_proxy.ts";
import { fails } from "../support/fails.ts";
import { type Fate, LossyNatsProxy } from "../support/lossy_nats_proxy.ts";
import { type NatsPoolScene, testNatsPool } from "../support/nats_pool.ts";
import { put } from "./suite.ts";

const KEYS = 2_500;

function test(
  title: string,
  run: (scene: NatsPoolScene) => Promise<void>,
  sizeBytes = 64 << 20,
): void {
  testNatsPool(`nats % latest: ${title}`, sizeBytes, run);
}

/** Appends messages with these keys, in order. */
async function keyed(pool: PoolHandle, keys: readonly string[], text = ""): Promise<void> {
  await put(pool, keys.map((key) => ({ key, text })), (i) => [`key:${keys[i]}`, "t"]);
}

const names = (count: number): string[] => Array.from({ length: count }, (_, n) => `k${n}`);

/** Asks over a connection of its own, to this port. */
async function ask(port: number, by: string, request: LatestRequest = {}): Promise<Latest> {
  const backend = new NatsBackend(`nats://127.0.0.1:${port}`);
  const pool = await backend.open("P");
  try {
    return await (await pool.coordinate()).latestBy(by, request);
  } finally {
    await pool.close();
    await backend.close();
  }
}

const told = ({ forgotten, latest, messages }: Latest): unknown => ({
  forgotten,
  latest: latest.map(({ key, seq }) => `${key} ${seq}`),
  messages: messages.map(({ payload, seq }) => [seq, payload.length]),
});

/** Compares with what reading everything gives: each of the messages has the tag `t`. */
async function compare(port: number, by: string, request: LatestRequest = {}): Promise<Latest> {
  const found = await ask(port, by, request);
  assert.deepEqual(told(found), told(await ask(port, by, { ...request, tags: ["t"] })), by);
  return found;
}

// A list of a few thousand keys took one request for each of them, and read the whole stream before.
test("thousands of keys take few bytes, and each has its newest message", async (scene) => {
  const { pool, server, version } = scene;
  for (let round = 0; round < 4; round++) await keyed(pool, names(KEYS), "x".repeat(200));
  await keyed(pool, ["k7", "größe", "k3", " "]);
  await put(pool, [{ none: 1 }], () => ["t"]);
  const { latest } = await compare(server.port, "key:");
  assert.equal(latest.length, KEYS + 2);
  assert.deepEqual(latest.slice(-4).map(({ key, seq }) => [key, Number(seq) - 4 * KEYS]), [
    ["key:k7", 1],
    ["key:größe", 2],
    ["key:k3", 3],
    ["key: ", 4],
  ]);
  assert.equal((await compare(server.port, "key:k12")).latest.length, 111);
  assert.equal((await compare(server.port, "key:none")).latest.length, 0);
  const having = [await compileWhere('.data.key | startswith("k2")')];
  for (const request of [{ most: 9 }, { having }, { having, most: 3 }, { mostBytes: 2_000 }]) {
    await compare(server.port, "key:", request);
  }
  const sinceNs = (await pool.get(BigInt(4 * KEYS)))?.timestampNs ?? 0n;
  await compare(server.port, "key:", { sinceNs });
  if (version === "2.9") return;
  const bytes = async (request: LatestRequest): Promise<number> => {
    const proxy = new CountingProxy(server.port);
    await ask(proxy.port, "key:", request);
    proxy.end();
    return proxy.received;
  };
  const [few, all] = [await bytes({}), await bytes({ tags: ["t"] })];
  assert(few * 2 < all, `${few} of ${all} bytes`);
});

// What did not fit into one answer would have been missing.
test("large messages come in several answers", async ({ pool, server }) => {
  await keyed(pool, names(600), "x".repeat(9_000));
  await keyed(pool, ["k5"]);
  assert.equal((await compare(server.port, "key:")).latest.length, 600);
});

// A copy, a message with several keys, or one without a tag would have been hidden behind an older one.
test("messages whose subjects do not tell their key are found, too", async (scene) => {
  const { pool, server } = scene;
  await keyed(pool, ["a", "b", "a"]);
  const keys = async (): Promise<string[]> =>
    (await compare(server.port, "key:")).latest.map(({ key, seq }) => `${key} ${seq}`);
  assert.deepEqual(await keys(), ["key:b 2", "key:a 3"]);
  const nc = await connect({ servers: server.url.slice(7) });
  await nc.request("plasmite.P.k.Yg", '{"without":"tags"}'); // The key is b.
  await nc.close();
  assert.deepEqual(await keys(), ["key:b 2", "key:a 3"]);
  await put(pool, [{ two: 1 }], () => ["key:c", "key:b", "t"]);
  assert.deepEqual(await keys(), ["key:a 3", "key:c 5", "key:b 5"]);
  const all = await ask(server.port, "key:");
  await (await pool.coordinate()).claim({ keys: ["d"], holder: "h" });
  assert.deepEqual((await ask(server.port, "key:")).latest.at(-1)?.key, "key:d");
  assert.equal((await ask(server.port, "key:")).latest.length, all.latest.length + 1);
});

// The newest message of a key would have been hidden, although no other message needs that all is read.
test("a message with several keys is found where all others have one", async ({ pool, server }) => {
  await keyed(pool, ["b", "a"]);
  await put(pool, [{ two: 1 }], () => ["key:c", "key:b", "t"]);
  const { latest } = await compare(server.port, "key:");
  assert.deepEqual(latest.map(({ key, seq }) => `${key} ${seq}`), [
    "key:a 2",
    "key:c 3",
    "key:b 3",
  ]);
});

// A claim is the newest message of its key on servers of any version.
test("claims are messages of their key", async ({ pool, server }) => {
  await keyed(pool, ["a", "b"]);
  const { seq } = await (await pool.coordinate()).claim({ keys: ["a"], holder: "h" });
  const { latest } = await ask(server.port, "key:");
  assert.deepEqual(latest.map(({ key, seq }) => [key, seq]), [["key:b", 2n], ["key:a", seq]]);
});

// The old message of a key, from a server that lags behind or whose answer was cut, would have passed
// for the newest.
test("an answer that is old, or not complete, is not believed", async ({ pool, server }) => {
  for (let round = 0; round < 2; round++) await keyed(pool, names(30));
  let isAsked = false;
  const fates: Fate[] = [
    // As from a server that has not got the last message yet.
    ({ text }) =>
      text.includes(" 204 EOB")
        ? text.replaceAll(": 60\r", ": 59\r")
        : !text.includes("Nats-Sequence: 60\r"),
    ({ text }) => !text.includes("Nats-Sequence: 45\r"),
    ({ text }) => !text.includes(" 204 EOB"),
  ];
  for (const fate of fates) {
    const proxy = new LossyNatsProxy(server.port, (message) => {
      const isDirect = /Nats-Num-Pending|EOB/.test(message.text);
      if (isDirect) isAsked = true;
      return !isDirect || fate(message);
    });
    const { latest } = await ask(proxy.port, "key:");
    assert.deepEqual(latest.map(({ seq }) => Number(seq)), names(30).map((_, i) => 31 + i));
    proxy.end();
  }
  assert.equal(isAsked, server.version === "2.15");
});

// What is overwritten is not there any more; and a stream that was created again is another pool.
test(
  "an overwritten key is gone, and a stream that was created again is not the same",
  async (scene) => {
    const { backend, pool } = scene;
    await keyed(pool, ["old", ...names(5)]);
    for (let round = 0; round < 12; round++) await keyed(pool, names(5), "x".repeat(2_000));
    const { latest } = await compare(scene.server.port, "key:");
    assert.deepEqual(latest.map(({ key }) => key), names(5).map((key) => `key:${key}`));
    const coordination = await pool.coordinate();
    await backend.remove("P");
    await backend.create("P", { sizeBytes: 1 << 20 });
    await fails("NotFound", () => Promise.resolve(coordination.latestBy("key:")));
  },
  64 << 10,
);

// A message that came under another subject than its key's would not have been the newest, or not there.
test("keys are found in a stream that changes the subjects of its messages", async (scene) => {
  const { pool, server, version } = scene;
  if (version === "2.9") return; // It changes none.
  await keyed(pool, ["a"]);
  const nc = await connect({ servers: server.url.slice(7) });
  const { streams } = await jetstreamManager(nc);
  const subject_transform = { src: "plasmite.P.k.*", dest: "plasmite.P.m" };
  await streams.update("P", { subject_transform });
  await nc.close();
  const backend = new NatsBackend(server.url);
  const changing = await backend.open("P", { write: true });
  await keyed(changing, ["b", "a"]);
  await changing.close();
  await backend.close();
  const { latest } = await compare(server.port, "key:");
  assert.deepEqual(latest.map(({ key, seq }) => `${key} ${seq}`), ["key:b 2", "key:a 3"]);
});
