/** The claim of a cursor's reader on NATS: never two at once, and free again when one is gone. */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { connect } from "@nats-io/transport-node";
import { jetstreamManager } from "@nats-io/jetstream";
import { NatsBackend } from "../../lib/backend/nats.ts";
import type { Cursor } from "../../lib/backend/coordination.ts";
import type { PoolHandle } from "../../lib/backend/types.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { fails } from "../support/fails.ts";
import { type Fate, LossyNatsProxy } from "../support/lossy_nats_proxy.ts";
import { NATS_VERSIONS, NatsCluster, type NatsServer, natsServer } from "../support/nats.ts";
import { testOnNats } from "../support/nats_pool.ts";
import { PATIENCE_MS, patiently } from "../support/patience.ts";
import { put } from "./suite.ts";

function test(title: string, run: (server: NatsServer) => Promise<void>, config = ""): void {
  testOnNats(`nats % hold: ${title}`, ({ server }) => run(server), config);
}

/** A reader with a connection of its own. */
class Reader {
  readonly #backend: NatsBackend;
  readonly #opened: PoolHandle[] = [];

  constructor(url: string, credsFile?: string) {
    this.#backend = new NatsBackend(url, { credsFile });
  }

  async open(name: string): Promise<Cursor> {
    const pool = await this.#backend.open("P");
    this.#opened.push(pool);
    return await (await pool.coordinate()).cursor(name);
  }

  async end(): Promise<void> {
    for (const pool of this.#opened) await pool.close();
    await this.#backend.close();
  }
}

/**
 * Opens a cursor from many connections at once.
 *
 * @returns those that have got it, and whether the servers themselves were too busy for somebody
 */
async function race(
  readers: readonly Reader[],
  name: string,
): Promise<{ readonly won: Cursor[]; readonly isTroubled: boolean }> {
  const results = await Promise.allSettled(readers.map((reader) => reader.open(name)));
  const won: Cursor[] = [];
  let isTroubled = false;
  for (const result of results) {
    if (result.status === "fulfilled") won.push(result.value);
    else if (!PlasmiteError.is(result.reason, ErrorKind.Busy)) throw result.reason;
    else if (result.reason.details["cursor"] !== name) isTroubled = true;
    else assert.equal(result.reason.details["pid"], BigInt(Deno.pid), "it names who is there");
  }
  return { won, isTroubled };
}

async function manager<T>(
  url: string,
  work: (jsm: Awaited<ReturnType<typeof jetstreamManager>>) => Promise<T>,
): Promise<T> {
  const nc = await connect({ servers: url.slice("nats://".length).split(",") });
  try {
    return await work(await jetstreamManager(nc));
  } finally {
    await nc.close();
  }
}

// Two followers of one cursor each got a part of the messages, and moved it for the other.
test("of many that want a cursor at once, exactly one gets it", async ({ url }) => {
  const backend = new NatsBackend(url);
  await backend.create("P", { sizeBytes: 1 << 20 });
  const pool = await backend.open("P", { write: true });
  await put(pool, [{ n: 1 }, { n: 2 }]);
  const readers = Array.from({ length: 12 }, () => new Reader(url));
  for (let round = 0; round < 5; round++) {
    const { won } = await race(readers, "c");
    assert.equal(won.length, 1, `round ${round}`);
    assert.equal((await race(readers.slice(0, 1), "c")).won.length, 0);
    await won[0]?.close();
  }
  // Names that begin alike are other cursors.
  const [a, b, dotted] = [new Reader(url), new Reader(url), new Reader(url)];
  const cursors = [await a.open("c"), await b.open("c.d"), await dotted.open("c-d")];
  for (const one of cursors) await one.close();
  for (const one of [a, b, dotted, ...readers]) await one.end();
  assert.deepEqual(
    await manager(url, (jsm) => jsm.consumers.list("P").next()).then((all) =>
      all.map(({ name }) => name).sort()
    ),
    ["cursor~c", "cursor~c-d", "cursor~c~d"],
  );
  await pool.close();
  await backend.close();
});

/** Opens a cursor with answers that pass a proxy. */
async function behind(
  { url, port }: NatsServer,
  fate: Fate,
  work: (url: string) => Promise<void>,
): Promise<void> {
  const backend = new NatsBackend(url);
  await backend.create("P", { sizeBytes: 1 << 20 });
  const proxy = new LossyNatsProxy(port, fate);
  try {
    await work(`nats://127.0.0.1:${proxy.port}`);
  } finally {
    proxy.end();
    await backend.close();
  }
}

// Who only tried was named as the reader, with pid 0, and all gave way to one another again and again.
test("over slow lines, too, exactly one gets a cursor, and the others are told who", async (server) => {
  await behind(server, () => 20 + Math.random() * 200, async (url) => {
    const readers = Array.from({ length: 5 }, () => new Reader(url));
    for (let round = 0; round < 2; round++) {
      const { won } = await race(readers, "c");
      assert.equal(won.length, 1, `round ${round}`);
      await won[0]?.close();
    }
    for (const one of readers) await one.end();
  });
});

// The consumer of a reader that failed kept everybody else away for half a minute.
test("who fails to get a cursor leaves it free", async (server) => {
  let lists = 0;
  const refused = '{"error":{"code":403,"description":"no"}}';
  const fate: Fate = ({ text }) => {
    const at = text.indexOf('{"type":"io.nats.jetstream.api.v1.consumer_names_response"');
    if (at < 0 || ++lists !== 2) return true;
    return text.slice(0, at) + refused.padEnd(text.trimEnd().length - at) + "\r\n";
  };
  await behind(server, fate, async (url) => {
    const reader = new Reader(url);
    await fails("Internal", async () => void await reader.open("c"));
    assert.equal(lists, 2);
    const cursor = await reader.open("c");
    await cursor.close();
    await reader.end();
  });
});

test("a held cursor is named, listed, and neither set nor deleted", async ({ url }) => {
  const backend = new NatsBackend(url);
  await backend.create("P", { sizeBytes: 1 << 20 });
  const pool = await backend.open("P", { write: true });
  await put(pool, [{ n: 1 }, { n: 2 }]);
  const reader = new Reader(url);
  const cursor = await reader.open("c");
  const coordination = await pool.coordinate();
  const error = await fails("Busy", () => coordination.cursor("c"));
  assert.match(error.message, new RegExp(`in use by pid ${Deno.pid}`));
  assert.equal(error.details["pid"], BigInt(Deno.pid));
  assert.equal((await coordination.cursors())[0]?.inUse?.pid, Deno.pid);
  await fails("Busy", () => coordination.setCursor("c", { to: 2n }));
  await fails("Busy", () => coordination.deleteCursor("c"));
  cursor.deliver(1n, 0n);
  await cursor.ack(1n);
  await cursor.close();
  assert.equal((await coordination.cursors())[0]?.inUse, null);
  assert.equal((await coordination.setCursor("c", { to: 2n })).seq, 2n);
  await coordination.deleteCursor("c");
  // The stream has the two messages, and nothing of the claims.
  assert.deepEqual(await pool.bounds(), { oldest: 1n, newest: 2n });
  await reader.end();
  await pool.close();
  await backend.close();
});

// The cursor of a process that was killed must become free by itself.
test("a cursor is free again some time after its reader gave the last sign of life", async ({ url }) => {
  const backend = new NatsBackend(url);
  await backend.create("P", { sizeBytes: 1 << 20 });
  const pool = await backend.open("P", { write: true });
  await put(pool, [{ n: 1 }]);
  const coordination = await pool.coordinate();
  const held = await coordination.cursor("c");
  const { config } = await manager(url, async (jsm) => {
    const all = await jsm.consumers.list("P").next();
    const hold = all.find(({ name }) => name.startsWith("hold~"));
    assert(hold !== undefined);
    return hold;
  });
  assert.equal(config.inactive_threshold, 30e9);
  await held.close();
  // A hold like that, of somebody who is gone, and for a shorter time.
  const short = {
    ...config,
    durable_name: "hold~c~Dead",
    name: "hold~c~Dead",
    inactive_threshold: 2e9,
  };
  await manager(url, async (jsm) => {
    await jsm.consumers.add("P", short);
  });
  await fails("Busy", () => coordination.cursor("c"));
  await patiently(
    async () => await (await coordination.cursor("c")).close(),
    (error) => PlasmiteError.is(error, ErrorKind.Busy),
  );
  await pool.close();
  await backend.close();
});

/** Lets time pass, for this process. */
async function later<T>(ms: number, work: () => Promise<T>): Promise<T> {
  const { now } = performance;
  performance.now = () => now.call(performance) + ms;
  try {
    return await work();
  } finally {
    performance.now = now;
  }
}

// A process that slept longer than its claim lasts went on with a cursor that others have.
test("who slept too long goes on only if nobody else has the cursor", async ({ url }) => {
  const backend = new NatsBackend(url);
  await backend.create("P", { sizeBytes: 1 << 20 });
  const pool = await backend.open("P", { write: true });
  await put(pool, [{ n: 1 }, { n: 2 }, { n: 3 }]);
  const sleeper = await (await pool.coordinate()).cursor("c");
  for (const seq of [1n, 2n, 3n]) sleeper.deliver(seq, 0n);
  const forget = async (): Promise<void> =>
    await manager(url, async (jsm) => {
      for (const { name } of await jsm.consumers.list("P").next()) {
        if (name.startsWith("hold~")) await jsm.consumers.delete("P", name);
      }
    });
  await forget();
  await later(40_000, async () => assert(await sleeper.ack(1n)));
  await forget();
  const reader = new Reader(url);
  const other = await reader.open("c");
  assert.equal(other.seq, 1n);
  await later(80_000, () => fails("Busy", async () => void await sleeper.ack(2n)));
  other.deliver(2n, 0n);
  await other.ack(2n);
  await other.close();
  // It is free again, but elsewhere.
  await later(120_000, () => fails("Conflict", async () => void await sleeper.ack(3n)));
  await sleeper.close();
  await reader.end();
  await pool.close();
  await backend.close();
});

// A claim that is a message would have refused those who may only read.
test(
  "a reader without the right to publish can have a cursor",
  async ({ url }) => {
    const backend = new NatsBackend(url);
    await backend.create("P", { sizeBytes: 1 << 20 });
    const pool = await backend.open("P", { write: true });
    await put(pool, [{ n: 1 }]);
    const dir = await Deno.makeTempDir();
    await Deno.writeTextFile(`${dir}/creds`, "reader:p\n");
    const reader = new Reader(url, `${dir}/creds`);
    const cursor = await reader.open("c");
    cursor.deliver(1n, 0n);
    await cursor.ack(1n);
    await cursor.close();
    await reader.end();
    await Deno.remove(dir, { recursive: true });
    await pool.close();
    await backend.close();
  },
  `
accounts { A { jetstream: enabled, users: [
  { user: all, password: p },
  { user: reader, password: p, permissions: {
    publish: ["$JS.API.STREAM.INFO.P", "$JS.API.STREAM.MSG.GET.P", "$JS.API.CONSUMER.*.P",
      "$JS.API.CONSUMER.*.P.>", "$JS.API.CONSUMER.*.*.P.>", "$JS.ACK.P.>"],
    subscribe: "_INBOX.>" } } ] } }
no_auth_user: all`,
);

for (const version of NATS_VERSIONS) {
  Deno.test({
    name: `nats ${version} hold: exactly one gets a cursor in a cluster, too`,
    ignore: natsServer(version) === undefined,
    fn: async () => {
      const cluster = await NatsCluster.start(version);
      try {
        const backend = new NatsBackend(cluster.url());
        const create = () => backend.create("P", { sizeBytes: 1 << 20, replicas: 3 });
        await patiently(create, (error) => PlasmiteError.is(error));
        await cluster.ready("P");
        const readers = [0, 1, 2, 0, 1, 2].map((i) => new Reader(cluster.url(i)));
        for (let round = 0; round < 3; round++) {
          const name = `c${round}`;
          const first = await race(readers, name);
          const { isTroubled } = first;
          let { won } = first;
          // Nobody may have got it only if the cluster had no leaders, which its errors say; then what
          // somebody left behind can be in the way for a while.
          for (const until = performance.now() + PATIENCE_MS; won.length === 0 && isTroubled;) {
            assert(performance.now() < until, "nobody gets it");
            ({ won } = await race(readers, name));
          }
          assert.equal(won.length, 1, `round ${round}`);
          assert.equal((await race(readers.slice(0, 2), name)).won.length, 0);
          await won[0]?.close();
        }
        for (const reader of readers) await reader.end();
        await backend.close();
      } finally {
        await cluster.end();
      }
    },
  });
}
