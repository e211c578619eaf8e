import "../support/environment.ts";
import assert from "node:assert/strict";
import { connect, ErrorKind, NatsClient, NatsPool, PlasmiteError } from "../../mod.ts";
import { ANY_NATS, NatsServer } from "../support/nats.ts";

function isKind(kind: number): (error: unknown) => boolean {
  return (error) => PlasmiteError.is(error) && error.kind === kind;
}

async function withServer(run: (server: NatsServer) => Promise<void>): Promise<void> {
  const server = await NatsServer.start(ANY_NATS ?? "2.15");
  try {
    await run(server);
  } finally {
    await server.end();
  }
}

Deno.test("nats client: connect() goes by the form of the reference and sends nothing", async () => {
  const client: NatsClient = connect("nats://127.0.0.1:1");
  const pool: NatsPool = connect("nats+tls://127.0.0.1:1/P");
  assert(client instanceof NatsClient);
  assert(pool instanceof NatsPool);
  assert.equal(pool.poolRef(), "nats+tls://127.0.0.1:1/P");
  await assert.rejects(client.listPools(), isKind(ErrorKind.Io));
  await client.close();
  await pool.close();
  assert.throws(() => connect("nats://h/a.b"), isKind(ErrorKind.Usage));
  assert.throws(() => connect("nats://u:p@h/a"), isKind(ErrorKind.Usage));
  assert.throws(() => connect("nats://h", { creds: "u:p" }), isKind(ErrorKind.Usage));
  assert.throws(() => connect("nats://h", { timeoutMs: 5 }), isKind(ErrorKind.Usage));
  const wrong = { tls: { cafile: "/x" } } as unknown as { tls: { caFile: string } };
  assert.throws(() => connect("nats://h", wrong), isKind(ErrorKind.Usage));
});

Deno.test({
  name: "nats client: pools are created, appended to, followed, read and deleted",
  ignore: ANY_NATS === undefined,
  fn: () =>
    withServer(async ({ url }) => {
      const client = new NatsClient(url);
      assert.equal((await client.createPool("P", 1 << 20)).fileSize, 1 << 20);
      await assert.rejects(client.createPool("P", 1 << 20), isKind(ErrorKind.AlreadyExists));
      const pool = await client.openPool<{ n: number }>("P");
      const { seq, tags, time } = await pool.append({ n: 1 }, ["t"]);
      assert.equal(seq, 1n);
      assert.deepEqual(tags, ["t"]);
      assert(Math.abs(Number(time) - Date.now()) < 60_000);
      const batch = await pool.appendBatch([{ n: 2 }, { n: 3 }]);
      assert.deepEqual(batch.map((message) => message.seq), [2n, 3n]);
      const seen: number[] = [];
      for await (const message of pool.tail({ maxMessages: 4 })) {
        seen.push(message.data.n);
        if (seen.length === 3) await pool.append({ n: 4 });
      }
      assert.deepEqual(seen, [1, 2, 3, 4]);
      assert.equal((await pool.get(2)).data.n, 2);
      await assert.rejects(pool.get(9), isKind(ErrorKind.NotFound));
      await assert.rejects(pool.append({ n: 5 }, [], "flush"), isKind(ErrorKind.Usage));
      assert.equal((await pool.info()).stream?.replicas, 1);
      assert.deepEqual((await client.listPools()).map(({ name }) => name), ["P"]);
      await pool.close();
      await assert.rejects(pool.get(1), isKind(ErrorKind.Usage));
      await client.deletePool("P");
      await assert.rejects(client.openPool("P"), isKind(ErrorKind.NotFound));
      await client.close();
    }),
});

Deno.test({
  name: "nats client: one pool by its reference",
  ignore: ANY_NATS === undefined,
  fn: () =>
    withServer(async ({ url }) => {
      const client = new NatsClient(url);
      await client.pool("P", { sizeBytes: 1 << 20 }).then((pool) => pool.close());
      await client.close();
      const pool = connect(`${url}/P` as `nats://${string}/${string}`) as NatsPool;
      assert.equal((await pool.append({ n: 1 })).seq, 1n);
      await pool.close();
    }),
});
