import "../support/environment.ts";
import assert from "node:assert/strict";
import { connect } from "@nats-io/transport-node";
import { jetstreamManager } from "@nats-io/jetstream";
import { NatsBackend } from "../../lib/backend/nats.ts";
import { type ErrorKindName, PlasmiteError } from "../../lib/errors.ts";
import { answers, NATS_VERSIONS, NatsServer, natsServer } from "../support/nats.ts";
import { freePort } from "../support/ports.ts";
import { collect, put } from "./suite.ts";

async function refused(kind: ErrorKindName, work: Promise<unknown>): Promise<PlasmiteError> {
  try {
    await work;
  } catch (error) {
    assert(PlasmiteError.is(error), String(error));
    assert.equal(error.kindName, kind, `${error.message} ${error.causes}`);
    assert.ok(error.hint, "it says what to do");
    return error;
  }
  throw new assert.AssertionError({ message: "it was accepted" });
}

type Manager = Awaited<ReturnType<typeof jetstreamManager>>;

async function manager<T>(url: string, work: (jsm: Manager) => Promise<T>): Promise<T> {
  const nc = await connect({ servers: url.slice("nats://".length) });
  try {
    return await work(await jetstreamManager(nc));
  } finally {
    await nc.close();
  }
}

/** A way to the server that can be cut. */
class Cutter {
  readonly port: number;
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.TcpConn>();
  /** Cuts the connection at the next answer that contains this. */
  cutAt = "";
  /** How often it was cut. */
  cuts = 0;

  private constructor(listener: Deno.TcpListener, target: number) {
    this.#listener = listener;
    this.port = listener.addr.port;
    void this.#serve(target);
  }

  static async start(target: number): Promise<Cutter> {
    const cutter = new Cutter(Deno.listen({ port: 0, hostname: "127.0.0.1" }), target);
    await answers(cutter.port);
    return cutter;
  }

  async #serve(target: number): Promise<void> {
    for await (const client of this.#listener) {
      const server = await Deno.connect({ port: target, hostname: "127.0.0.1" });
      this.#open.add(client).add(server);
      void this.#pass(client, server, false);
      void this.#pass(server, client, true);
    }
  }

  async #pass(from: Deno.TcpConn, to: Deno.TcpConn, isAnswer: boolean): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
        const piece = buffer.subarray(0, n);
        const text = isAnswer && this.cutAt !== "" ? new TextDecoder().decode(piece) : "";
        if (text.includes(this.cutAt) && text !== "") {
          this.cutAt = "";
          this.cuts++;
          break;
        }
        for (let sent = 0; sent < n;) sent += await to.write(piece.subarray(sent));
      }
    } catch {
      // The other direction was closed.
    }
    for (const one of [from, to]) if (this.#open.delete(one)) one.close();
  }

  end(): void {
    this.#listener.close();
    for (const one of this.#open) one.close();
    this.#open.clear();
  }
}

for (const version of NATS_VERSIONS) {
  const test = (
    title: string,
    run: (server: NatsServer, backend: NatsBackend) => Promise<void>,
    config = "",
  ): void =>
    Deno.test({
      name: `nats ${version} errors: ${title}`,
      ignore: natsServer(version) === undefined,
      fn: async () => {
        const server = await NatsServer.start(version, config);
        const backend = new NatsBackend(server.url);
        try {
          await run(server, backend);
        } finally {
          await backend.close();
          await server.end();
        }
      },
    });

  // The answer says whether it was stored: without it, once more would be twice.
  test("a lost acknowledgement stores nothing twice and loses nothing", async (server, backend) => {
    await backend.create("P");
    const cutter = await Cutter.start(server.port);
    const far = new NatsBackend(`nats://127.0.0.1:${cutter.port}`);
    const pool = await far.open("P", { write: true });
    let next = 1n;
    for (const count of [1, 10, 700]) {
      cutter.cutAt = '"seq"';
      const data = Array.from({ length: count }, (_, i) => ({ n: Number(next) + i }));
      const numbers = await put(pool, data);
      assert.deepEqual(numbers, data.map(({ n }) => BigInt(n)), `${count} messages`);
      next += BigInt(count);
    }
    assert.equal(cutter.cuts, 3);
    const told = await collect(await pool.select({}));
    assert.deepEqual(told, Array.from({ length: 711 }, (_, i) => `${i + 1}:{"n":${i + 1}}`));
    // A condition, and an id besides.
    cutter.cutAt = '"seq"';
    const { storeWhen } = await import("../support/coordinated.ts");
    const stored = await storeWhen(pool, { last: 1 }, [], { expect: 711n });
    assert.equal(stored.seq, 712n);
    assert.equal(cutter.cuts, 4);
    await refused("Conflict", storeWhen(pool, { last: 2 }, [], { expect: 711n }));
    assert.equal((await pool.bounds()).newest, 712n);
    await pool.close();
    await far.close();
    cutter.end();
  });

  test("a reader whose connection is cut misses nothing", async (server, backend) => {
    await backend.create("P");
    const writer = await backend.open("P", { write: true });
    const cutter = await Cutter.start(server.port);
    const far = new NatsBackend(`nats://127.0.0.1:${cutter.port}`);
    const pool = await far.open("P");
    const following = collect(await pool.select({ follow: true }), 2000);
    for (let round = 0; round < 20; round++) {
      if (round % 5 === 2) cutter.cutAt = `"n":${100 * round + 50}`;
      await put(writer, Array.from({ length: 100 }, (_, i) => ({ n: 100 * round + i })));
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    const told = await following;
    assert.deepEqual(told, Array.from({ length: 2000 }, (_, i) => `${i + 1}:{"n":${i}}`));
    assert(cutter.cuts > 0);
    await pool.close();
    await far.close();
    await writer.close();
    cutter.end();
  });

  test("the subjects of a pool that another stream has", async ({ url }, backend) => {
    await manager(url, (jsm) => jsm.streams.add({ name: "ALL", subjects: ["plasmite.>"] }));
    const error = await refused("Usage", backend.create("P"));
    assert.match(error.message, /ALL/);
    await refused("NotFound", backend.open("P"));
  });

  test("no room for the stream", async (_, backend) => {
    await refused("Usage", backend.create("P", { sizeBytes: 2 ** 50 }));
  });

  test("replicas on a single server", async (_, backend) => {
    await refused("Usage", backend.create("P", { replicas: 3 }));
  });

  test("a message larger than the server or the stream takes", async ({ url }, backend) => {
    await backend.create("P", { sizeBytes: 64 << 20 });
    const pool = await backend.open("P", { write: true });
    await refused("Usage", put(pool, [{ x: "x".repeat(1 << 20) }]));
    await pool.close();
    await manager(url, (jsm) => jsm.streams.update("P", { max_msg_size: 2000 }));
    const small = await backend.open("P", { write: true });
    await refused("Usage", put(small, [{ n: 1 }, { x: "x".repeat(3000) }]));
    assert.equal((await small.bounds()).newest, 0n);
    await small.close();
  });

  test("a stream that is deleted while it is open", async (_, backend) => {
    await backend.create("P");
    const pool = await backend.open("P", { write: true });
    await backend.remove("P");
    for (const data of [[{ n: 1 }], [{ n: 1 }, { n: 2 }]]) {
      await refused("NotFound", put(pool, data));
    }
    await refused("NotFound", Promise.resolve(pool.bounds()));
    await refused("NotFound", pool.get(1n));
    await pool.close();
  });

  test("a server that is away, and one that is none", async (server, backend) => {
    await backend.create("P");
    await server.kill();
    const away = new NatsBackend(server.url);
    const error = await refused("Io", away.info("P"));
    assert.match(error.message, /cannot reach the NATS server/);
    await away.close();
    const nowhere = new NatsBackend(`nats://127.0.0.1:${freePort()}`);
    await refused("Io", nowhere.names());
    await nowhere.close();
  });

  test("an oversize message does not empty its stream", async (_, backend) => {
    await backend.create("P", { sizeBytes: 1 << 20 });
    const pool = await backend.open("P", { write: true });
    await put(pool, [{ n: 1 }]);
    await refused("Usage", put(pool, [{ x: "x".repeat((1 << 20) - 600) }]));
    assert.deepEqual(await pool.bounds(), { oldest: 1n, newest: 1n });
    await pool.close();
  }, "max_payload: 2MB");
}
