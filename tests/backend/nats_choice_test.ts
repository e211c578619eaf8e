/** What the server chooses for a reader: fewer bytes, and never another result. */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { connect, headers as newHeaders } from "@nats-io/transport-node";
import { jetstreamManager } from "@nats-io/jetstream";
import { NatsBackend } from "../../lib/backend/nats.ts";
import type { PoolHandle, Selection } from "../../lib/backend/types.ts";
import { MessageView } from "../../lib/lite3/message.ts";
import { FrameBatch } from "../../lib/pool/batch.ts";
import { messageFromValue } from "../../lib/lite3/from_value.ts";
import { CountingProxy } from "../support/counting_proxy.ts";
import type { NatsServer } from "../support/nats.ts";
import { testOnNats } from "../support/nats_pool.ts";
import { watchdog } from "../support/patience.ts";
import { collect, put } from "./suite.ts";

const KEYS = 100;
const COUNT = 10_000;

function test(
  title: string,
  run: (server: NatsServer, backend: NatsBackend) => Promise<void>,
): void {
  testOnNats(`nats % choice: ${title}`, ({ backend, server }) => run(server, backend));
}

/** Copies messages into the pool, as `copy` does. */
async function ship(
  pool: PoolHandle,
  seq: bigint,
  tags: string[],
  { count = 1, source = "pi.readings" } = {},
): Promise<void> {
  const batch = new FrameBatch();
  const seqs = Array.from({ length: count }, (_, i) => seq + BigInt(i));
  for (const one of seqs) {
    batch.beginFrame();
    messageFromValue(batch.encoder, { copied: Number(one), text: "x".repeat(100) }, tags);
    batch.endFrame(0, 0);
  }
  const shipment = pool.ship?.(source);
  assert(shipment !== undefined);
  await shipment.last();
  await shipment.store(batch, "0123456789abcdef0123456789abcdef", seqs);
}

/** What a full reading finds. */
async function everything(pool: PoolHandle, tags: readonly string[]): Promise<string[]> {
  const found: bigint[] = [];
  const walk = await pool.select({});
  for (;;) {
    if (walk.next()) {
      const message = new MessageView().openFrame(walk.frame);
      if (tags.every((tag) => message.tags().includes(tag))) found.push(walk.frame.seq);
    } else if (walk.ended) break;
    else await walk.wait(undefined, watchdog());
  }
  walk.close();
  return found.map(String);
}

const seqsOf = (told: readonly string[]): string[] => told.map((one) => one.split(":")[0] ?? "");

/** What a selection finds through a proxy, and how many bytes that took. */
async function through(
  server: NatsServer,
  stream: string,
  selection: Selection,
): Promise<{ told: string[]; bytes: number }> {
  const proxy = new CountingProxy(server.port);
  const backend = new NatsBackend(`nats://127.0.0.1:${proxy.port}`);
  const pool = await backend.open(stream);
  try {
    const before = proxy.received;
    const told = await collect(await pool.select(selection));
    return { told, bytes: proxy.received - before };
  } finally {
    await pool.close();
    await backend.close();
    proxy.end();
  }
}

// A reader of one key of a large stream paid for the whole stream.
test("one key of many takes few bytes", async (server, backend) => {
  await backend.create("P", { sizeBytes: 64 << 20 });
  const pool = await backend.open("P", { write: true });
  const data = Array.from({ length: COUNT }, (_, n) => ({ n, text: "x".repeat(100) }));
  await put(pool, data, (i) => [`key:k${i % KEYS}`]);
  const all = await through(server, "P", {});
  const selections: { tags: string[]; last?: number; from?: bigint; until?: bigint }[] = [
    { tags: ["key:k7"] },
    { tags: ["key:k7"], last: 3 },
    { tags: ["other", "key:k7"] },
    { tags: ["key:none"] },
    { tags: ["key:none"], last: 1 },
    { tags: ["key:k99"], from: 5_000n, until: 6_000n },
  ];
  for (const selection of selections) {
    const { from = 0n, last = Infinity, tags, until = 1_000_000n } = selection;
    const { told, bytes } = await through(server, "P", selection);
    const wanted = await everything(pool, tags);
    const inside = wanted.filter((seq) => BigInt(seq) >= from && BigInt(seq) <= until);
    assert.deepEqual(seqsOf(told), inside.slice(-last), tags.join());
    assert(bytes * 10 < all.bytes, `${tags}: ${bytes} of ${all.bytes} bytes`);
  }
  await pool.close();
});

// Who wants the messages of one machine of a fleet had to read those of all, and could not tell them.
test("one source of many takes few bytes, and is all of it", async (server, backend) => {
  await backend.create("P", { sizeBytes: 64 << 20 });
  const pool = await backend.open("P", { write: true });
  await put(pool, [{ own: 1 }, { own: 2 }], () => ["source:pi-1.größe"]);
  for (let i = 0; i < 50; i++) {
    const source = i % 25 === 7 ? "pi-1.größe" : `pi-${i}.r`;
    await ship(pool, BigInt(i * 60 + 1), [i < 25 ? "early" : "late"], { source, count: 60 });
  }
  const wanted = Array.from({ length: 120 }, (_, i) => String(i < 60 ? 423 + i : 1863 + i));
  const all = await through(server, "P", {});
  const source = "pi-1.größe";
  const cases: [Selection, string[]][] = [
    [{ source }, wanted],
    [{ source, last: 3 }, wanted.slice(-3)],
    [{ source, tags: ["early"] }, wanted.slice(0, 60)],
    [{ source, from: 1000n, until: 1930n }, wanted.slice(60, 68)],
    [{ source: "pi-1" }, []],
    [{ source: "*" }, []],
    [{ source: ">", last: 1 }, []],
  ];
  for (const [selection, expected] of cases) {
    const { told, bytes } = await through(server, "P", selection);
    assert.deepEqual(seqsOf(told), expected, JSON.stringify(Object.keys(selection)));
    assert(bytes * 5 < all.bytes, `${bytes} of ${all.bytes} bytes`);
  }
  const following = collect(await pool.select({ source, from: "end", follow: true }), 2);
  await put(pool, [{ own: 3 }]);
  await ship(pool, 9000n, [], { source: "other" });
  await ship(pool, 9001n, [], { source, count: 2 });
  assert.deepEqual(seqsOf(await following), ["3005", "3006"]);
  await pool.close();
});

// A message of the key would have been hidden because its subject is another one.
test("a key is found in copies, beside other keys and in claims", async (server, backend) => {
  await backend.create("P", { sizeBytes: 64 << 20 });
  const pool = await backend.open("P", { write: true });
  const tags = ["key:a"];
  const data = Array.from({ length: 500 }, (_, n) => ({ n }));
  await put(pool, data, (i) => [`key:${"abc"[i % 3]}`]);
  assert.deepEqual(
    seqsOf((await through(server, "P", { tags })).told),
    await everything(pool, tags),
  );
  const walk = await pool.select({ from: "end", follow: true, tags });
  const following = collect(walk, 5);
  await ship(pool, 7n, ["t", "key:a"]);
  await put(pool, [{ two: 1 }], () => ["key:b", "key:a"]);
  await put(pool, [{ two: 2 }], () => ["key:b", "key:a", "key:b"]);
  await put(pool, [{ not: 1 }], () => ["key:b", "key:b"]);
  const lease = await (await pool.coordinate()).claim({ keys: ["a"], holder: "h" });
  await put(pool, [{ last: 1 }], () => tags);
  const all = await everything(pool, tags);
  assert.equal(all.length, 167 + 5);
  assert(all.includes(String(lease.seq)));
  assert.deepEqual(seqsOf(await following), all.slice(-5));
  for (const selection of [{ tags }, { tags, last: 4 }, { tags, last: 1000 }]) {
    const { told } = await through(server, "P", selection);
    assert.deepEqual(seqsOf(told), "last" in selection ? all.slice(-(selection.last ?? 0)) : all);
  }
  await pool.close();
});

test("the newest message of a key may be a copy, or have other keys", async (_, backend) => {
  await backend.create("P", { sizeBytes: 1 << 20 });
  const pool = await backend.open("P", { write: true });
  const coordination = await pool.coordinate();
  const newest = async (): Promise<bigint | undefined> => (await coordination.latest("a"))?.seq;
  assert.equal(await newest(), undefined);
  await put(pool, [{ n: 1 }], () => ["key:a"]);
  assert.equal(await newest(), 1n);
  await ship(pool, 1n, ["key:b"]);
  assert.equal(await newest(), 1n);
  await ship(pool, 2n, ["key:a"]);
  assert.equal(await newest(), 3n);
  await put(pool, [{ n: 4 }], () => ["key:b", "key:a"]);
  assert.equal(await newest(), 4n);
  await coordination.claim({ keys: ["a"], holder: "h" });
  await put(pool, [{ n: 6 }], () => ["key:b"]);
  assert.equal(await newest(), 4n, "a claim is no data");
  await put(pool, [{ n: 7 }], () => ["key:a"]);
  assert.equal(await newest(), 7n);
  await pool.close();
});

// A stream of another program is chosen from by the subject, which is a tag here.
test("a subject of another program's stream takes few bytes", async (server, backend) => {
  const nc = await connect({ servers: server.url.slice("nats://".length) });
  const jsm = await jetstreamManager(nc);
  await jsm.streams.add({ name: "F", subjects: ["orders.>", "plasmite.F.>"] });
  const js = jsm.jetstream();
  for (let i = 0; i < 1000; i++) {
    nc.publish(i % 100 === 3 ? "orders.new" : "orders.old.x", `{"n":${i},"t":"${"x".repeat(99)}"}`);
  }
  const headers = newHeaders();
  headers.set("Plasmite-Tags", '["subject:orders.new"]');
  await js.publish("plasmite.F.m", "{}", { headers });
  await nc.close();
  const pool = await backend.open("F");
  const tags = ["subject:orders.new"];
  const wanted = await everything(pool, tags);
  assert.equal(wanted.length, 11);
  const all = await through(server, "F", {});
  const { bytes, told } = await through(server, "F", { tags });
  assert.deepEqual(seqsOf(told), wanted);
  if (server.version !== "2.9") assert(bytes * 10 < all.bytes, `${bytes} of ${all.bytes}`);
  assert.deepEqual((await through(server, "F", { tags: ["subject:orders.*"] })).told, []);
  await pool.close();
});

// With a filter, nobody would have noticed that messages of the key were overwritten.
test("what was overwritten is told, although the server chooses", async (_, backend) => {
  await backend.create("P", { sizeBytes: 1 << 20 });
  const pool = await backend.open("P", { write: true });
  const more = async (count: number): Promise<void> => {
    const data = Array.from({ length: count }, (_, n) => ({ n, text: "x".repeat(100) }));
    await put(pool, data, (i) => [i % 10 === 0 ? "key:a" : "key:b"]);
  };
  for (const follow of [false, true]) {
    await more(500);
    const { newest } = await pool.bounds();
    const walk = await pool.select({ from: newest - 400n, tags: ["key:a"], follow });
    const seen = new Set<bigint>();
    const gaps: { first: bigint; last: bigint }[] = [];
    let goal = newest;
    let isOvertaken = false;
    const stop = watchdog();
    while (!walk.ended && walk.position <= goal) {
      const found = walk.next();
      const gap = walk.takeGap();
      if (gap !== null) gaps.push(gap);
      if (found) seen.add(walk.frame.seq);
      else if (!walk.ended) await walk.wait(50, stop);
      if (!isOvertaken && seen.size === 1) {
        isOvertaken = true;
        for (let i = 0; i < 12; i++) await more(1000);
        if (follow) goal = (await pool.bounds()).newest;
      }
    }
    walk.close();
    const { oldest } = await pool.bounds();
    assert(oldest > newest, "the pool was overwritten");
    const first = newest - 400n;
    for (const seq of await everything(pool, ["key:a"])) {
      if (BigInt(seq) <= goal) assert(seen.has(BigInt(seq)), `${seq} is there`);
    }
    // Every tenth message behind a multiple of 500 has the key.
    for (let seq = first; seq <= goal; seq++) {
      if (seen.has(seq) || (seq - 1n) % 10n !== 0n) continue;
      const isTold = gaps.some((gap) => gap.first <= seq && seq <= gap.last);
      assert(isTold, `${seq} is neither delivered nor told as lost (${follow})`);
    }
  }
  await pool.close();
});

// Servers of 2.9 refuse a filter for subjects that the stream does not have.
test(
  "a stream that has only some of a pool's subjects is read all the same",
  async ({ url }, backend) => {
    const nc = await connect({ servers: url.slice("nats://".length) });
    const jsm = await jetstreamManager(nc);
    await jsm.streams.add({ name: "P", subjects: ["plasmite.P.m", "plasmite.P.k.*"] });
    await nc.close();
    const pool = await backend.open("P", { write: true });
    await put(pool, [{ n: 1 }, { n: 2 }, { n: 3 }], (i) => [`key:${"aba"[i]}`]);
    const tags = ["key:a"];
    assert.deepEqual(await collect(await pool.select({ tags })), ['1:{"n":1}', '3:{"n":3}']);
    assert.deepEqual(await collect(await pool.select({ tags, last: 1 })), ['3:{"n":3}']);
    const following = collect(await pool.select({ from: "end", follow: true, tags }), 1);
    const group = (await pool.coordinate()).group("g", { tags });
    assert.equal((await group.take({ count: 5 })).tasks.length, 2);
    await put(pool, [{ n: 4 }, { n: 5 }], (i) => [`key:${"ba"[i]}`]);
    assert.deepEqual(await following, ['5:{"n":5}']);
    group.close();
    await pool.close();
  },
);
