/** Finite reads by direct gets: fewer requests, and never another result. */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { connect, headers as newHeaders, type NatsConnection } from "@nats-io/transport-node";
import { jetstreamManager } from "@nats-io/jetstream";
import { NatsBackend } from "../../lib/backend/nats.ts";
import type { PoolHandle } from "../../lib/backend/types.ts";
import type { NatsServer } from "../support/nats.ts";
import { testOnNats } from "../support/nats_pool.ts";
import { collect, put } from "./suite.ts";

/** A server, its backend, and an independent client. */
interface Scene {
  readonly server: NatsServer;
  readonly backend: NatsBackend;
  readonly nc: NatsConnection;
  readonly jsm: Awaited<ReturnType<typeof jetstreamManager>>;
}

function test(title: string, run: (scene: Scene) => Promise<void>, config = ""): void {
  testOnNats(`nats % direct: ${title}`, async ({ backend, server }) => {
    const servers = server.url.slice("nats://".length);
    const nc = await connect({ servers, user: "all", pass: "p" });
    try {
      await run({ server, backend, nc, jsm: await jetstreamManager(nc) });
    } finally {
      await nc.close();
    }
  }, config);
}

const numbered = (count: number): object[] =>
  Array.from({ length: count }, (_, i) => ({ n: i + 1 }));

/** The requests to the server that were made since the last call. */
function requests(nc: NatsConnection): () => Promise<string[]> {
  const seen: string[] = [];
  const noted = nc.subscribe("$JS.API.>", {
    callback: (_, { subject }) => void seen.push(subject.slice("$JS.API.".length)),
  });
  const isKnown = nc.flush();
  return async () => {
    await isKnown;
    await nc.flush();
    assert(!noted.isClosed());
    return seen.splice(0);
  };
}

test("a few messages are read without a consumer", async ({ backend, nc, server }) => {
  await backend.create("P", { sizeBytes: 8 << 20 });
  const pool = await backend.open("P", { write: true });
  await put(pool, numbered(1000));
  const told = requests(nc);
  await told();
  assert.deepEqual(await collect(await pool.select({ last: 2 })), [
    '999:{"n":999}',
    '1000:{"n":1000}',
  ]);
  assert.equal((await collect(await pool.select({ from: 11n, until: 300n }))).length, 290);
  assert.equal((await pool.get(7n))?.seq, 7n);
  const few = await told();
  const isDirect = server.version !== "2.9";
  assert.equal(few.some((one) => one.startsWith("CONSUMER.")), !isDirect, few.join());
  assert.equal(few.some((one) => one.startsWith("DIRECT.GET.P")), isDirect, few.join());
  assert.equal((await collect(await pool.select({}))).length, 1000);
  assert((await told()).some((one) => one.startsWith("CONSUMER.CREATE.")));
  await pool.close();
});

/** Two streams with the same messages, one of which does not allow direct gets. */
async function twins({ backend, jsm }: Scene): Promise<{ direct: PoolHandle; other: PoolHandle }> {
  for (const name of ["D", "C"]) await backend.create(name, { sizeBytes: 1 << 20 });
  await jsm.streams.update(
    "C",
    { allow_direct: false } as Parameters<typeof jsm.streams.update>[1],
  );
  const [direct, other] = [
    await backend.open("D", { write: true }),
    await backend.open("C", { write: true }),
  ];
  return { direct, other };
}

// A message that was deleted, or overwritten, must make no difference to what else is read.
test("what is read, and told as lost, is what a consumer gives", async (scene) => {
  const { direct, other } = await twins(scene);
  const both = async (
    work: (name: string, pool: PoolHandle) => Promise<unknown>,
  ): Promise<void> => {
    await work("D", direct);
    await work("C", other);
  };
  const compare = async (): Promise<void> => {
    const { newest } = await direct.bounds();
    for (const from of [1n, newest - 320n, newest - 5n, newest]) {
      for (const until of [from, from + 3n, newest - 1n, newest, newest + 1n]) {
        if (from < 1n || until > newest) continue;
        const [a, b] = await Promise.all(
          [direct, other].map(async (pool) => await collect(await pool.select({ from, until }))),
        );
        assert.deepEqual(a, b, `${from} to ${until}`);
      }
    }
    for (const last of [1, 3, 400]) {
      const [a, b] = await Promise.all(
        [direct, other].map(async (pool) => await collect(await pool.select({ last }))),
      );
      assert.deepEqual(a, b, `the last ${last}`);
    }
  };
  await both((_, pool) => put(pool, numbered(400)));
  await compare();
  for (const seq of [1, 90, 91, 92, 200, 399]) {
    await both((name) => scene.jsm.streams.deleteMessage(name, seq));
  }
  await compare();
  await both((name) => scene.jsm.streams.deleteMessage(name, 400));
  await compare();
  await both((name) => scene.jsm.streams.purge(name, { seq: 150 }));
  await compare();
  await both(async (_, pool) => {
    for (let i = 0; i < 8; i++) {
      await put(pool, Array.from({ length: 500 }, (_, n) => ({ n, text: "x".repeat(400) })));
    }
  });
  await compare();
  await both((name) => scene.jsm.streams.purge(name));
  await compare();
  await direct.close();
  await other.close();
});

// The server's headers are behind those of the message, which may have the same names.
test("headers of another program do not pass for those of the server", async ({ backend, jsm, nc }) => {
  await jsm.streams.add({ name: "F", subjects: ["f", "plasmite.F.>"], allow_direct: true });
  const headers = newHeaders();
  headers.set("Nats-Sequence", "77");
  headers.set("Nats-Subject", "plasmite.F.k.x");
  headers.set("Nats-Last-Sequence", "9");
  headers.set("Nats-Time-Stamp", "2001-01-01T00:00:00Z");
  await jsm.jetstream().publish("f", '{"n":1}', { headers });
  await jsm.jetstream().publish("f", '{"n":2}', { headers });
  await nc.flush();
  const pool = await backend.open("F");
  assert.deepEqual(await collect(await pool.select({})), ['1:{"n":1}', '2:{"n":2}']);
  const message = await pool.get(2n);
  assert.equal(message?.seq, 2n);
  assert(message.timestampNs > 1_700_000_000_000_000_000n);
  await pool.close();
});

// Somebody who answers in the server's name, or a server of an older version, gave half a pool.
test("wrong, missing and double answers do not change what is read", async ({ backend, nc }) => {
  await backend.create("P", { sizeBytes: 1 << 20 });
  const pool = await backend.open("P", { write: true });
  await put(pool, numbered(50));
  const wanted = await collect(await pool.select({}));
  const lies: (readonly [string, Record<string, string>])[] = [
    ['{"n":1}', {
      "Nats-Sequence": "1",
      "Nats-Last-Sequence": "0",
      "Nats-Subject": "plasmite.P.m",
    }],
    ['{"n":0}', { "Nats-Sequence": "x" }],
    ["no headers", {}],
  ];
  for (const [body, fields] of lies) {
    const impostor = nc.subscribe("$JS.API.DIRECT.GET.P", {
      callback: (_, message) => {
        const headers = newHeaders();
        for (const [name, value] of Object.entries(fields)) headers.set(name, value);
        message.respond(body, { headers });
      },
    });
    await nc.flush();
    const backend2 = new NatsBackend(`nats://127.0.0.1:${nc.getServer().split(":").at(-1)}`);
    const other = await backend2.open("P");
    for (let i = 0; i < 5; i++) {
      const told = await collect(await other.select({ last: 50 }));
      assert.deepEqual(
        told.map((one) => one.split(":")[0]),
        wanted.map((one) => one.split(":")[0]),
      );
    }
    await other.close();
    await backend2.close();
    impostor.unsubscribe();
  }
  await pool.close();
});

// A user with the rights that docs/nats.md asks for, and none for direct gets, could not read.
test(
  "a user without the right to direct gets reads as before",
  async ({ backend, server }) => {
    await backend.create("P", { sizeBytes: 1 << 20 });
    const pool = await backend.open("P", { write: true });
    await put(pool, numbered(50));
    const dir = await Deno.makeTempDir();
    await Deno.writeTextFile(`${dir}/creds`, "few:p\n");
    const few = new NatsBackend(server.url, { credsFile: `${dir}/creds` });
    const mine = await few.open("P");
    assert.equal((await collect(await mine.select({}))).length, 50);
    assert.equal((await collect(await mine.select({ last: 3 }))).length, 3);
    assert.equal((await mine.get(7n))?.seq, 7n);
    assert.equal((await mine.get(8n))?.seq, 8n);
    assert.equal(await mine.get(51n), null);
    await mine.close();
    await few.close();
    await Deno.remove(dir, { recursive: true });
    await pool.close();
  },
  `
accounts { A { jetstream: enabled, users: [
  { user: all, password: p },
  { user: few, password: p, permissions: {
    publish: ["plasmite.P.>", "$JS.API.STREAM.INFO.P", "$JS.API.STREAM.MSG.GET.P",
      "$JS.API.CONSUMER.*.P.>", "$JS.API.CONSUMER.MSG.NEXT.P.>"],
    subscribe: "_INBOX.>" } } ] } }
no_auth_user: all`,
);
