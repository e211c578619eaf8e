/** The table of docs/spec/jetstream.md 7: each row caused by a real server that is set up for it. */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { connect, headers as newHeaders, type NatsConnection } from "@nats-io/transport-node";
import { jetstreamManager } from "@nats-io/jetstream";
import { NatsBackend } from "../../lib/backend/nats.ts";
import { type WireError, wireError } from "../../lib/backend/nats/errors.ts";
import type { PoolHandle } from "../../lib/backend/types.ts";
import { type ErrorKindName, PlasmiteError } from "../../lib/errors.ts";
import { storeWhen } from "../support/coordinated.ts";
import { PATIENCE_MS } from "../support/patience.ts";
import {
  NATS_VERSIONS,
  NatsCluster,
  NatsServer,
  natsServer,
  type NatsVersion,
} from "../support/nats.ts";
import { collect, put } from "./suite.ts";

/** What a row begins with. */
interface Scene {
  readonly backend: NatsBackend;
  readonly nc: NatsConnection;
  readonly jsm: Awaited<ReturnType<typeof jetstreamManager>>;
  /** Opens pool P, made with `size`. */
  pool(size?: number): Promise<PoolHandle>;
}

interface Row {
  readonly what: string;
  readonly kind: ErrorKindName;
  /** What the message or its causes say. */
  readonly says: RegExp;
  readonly config?: string;
  readonly versions?: readonly NatsVersion[];
  cause(scene: Scene): Promise<unknown>;
}

const MIB = 1 << 20;

/** What the server answers to a message with these headers. */
async function answer(
  nc: NatsConnection,
  subject: string,
  fields: Record<string, string>,
): Promise<WireError> {
  const headers = newHeaders();
  for (const [name, value] of Object.entries(fields)) headers.set(name, value);
  const { error } = (await nc.request(subject, "{}", { headers, timeout: 5_000 })).json<
    { error?: WireError }
  >();
  assert(error !== undefined, "the server accepted it");
  return error;
}

/** Throws what this program makes of the server's answer to a message with these headers. */
async function refused({ nc }: Scene, fields: Record<string, string>): Promise<never> {
  throw wireError(await answer(nc, "plasmite.P.m", fields), "P");
}

async function raw(scene: Scene, fields: Record<string, string>): Promise<never> {
  await scene.pool();
  return await refused(scene, fields);
}

/** Changes the stream of pool P. */
async function change({ jsm }: Scene, config: object): Promise<void> {
  await jsm.streams.update("P", config as Parameters<typeof jsm.streams.update>[1]);
}

const numbered = (count: number): object[] => Array.from({ length: count }, (_, n) => ({ n }));

const account = (limits: string): string =>
  `accounts { A { jetstream: { ${limits} }, users: [{ user: a, password: a }] } }
   no_auth_user: a`;

const ROWS: readonly Row[] = [
  {
    what: "a stream that does not exist",
    kind: "NotFound",
    says: /pool not found/,
    cause: ({ backend }) => backend.open("P"),
  },
  {
    what: "an append to a stream that was deleted",
    kind: "NotFound",
    says: /pool not found/,
    cause: async (scene) => {
      const pool = await scene.pool();
      await scene.jsm.streams.delete("P");
      await put(pool, [{ n: 1 }]);
    },
  },
  {
    what: "an equal stream that exists",
    kind: "AlreadyExists",
    says: /already exists/,
    cause: async ({ backend }) => {
      for (let i = 0; i < 2; i++) await backend.create("P", { sizeBytes: MIB });
    },
  },
  {
    what: "a stream whose subjects another one has",
    kind: "Usage",
    says: /belong to stream OTHER/,
    cause: async ({ backend, jsm }) => {
      await jsm.streams.add({ name: "OTHER", subjects: ["plasmite.>"] });
      await backend.create("P", { sizeBytes: MIB });
    },
  },
  {
    what: "the name of a stream that is another file",
    kind: "Usage",
    says: /name/i,
    cause: ({ backend }) => backend.create("P.Q", { sizeBytes: MIB }),
  },
  {
    what: "an expectation that does not hold",
    kind: "Conflict",
    says: /is at 1, expected none/,
    cause: async (scene) => {
      const pool = await scene.pool();
      await put(pool, [{ n: 1 }]);
      await storeWhen(pool, {}, [], { expect: 0n });
    },
  },
  {
    what: "an expectation of a key that does not hold",
    kind: "Conflict",
    says: /key k is at 1, expected 7/,
    cause: async (scene) => {
      const pool = await scene.pool();
      await put(pool, [{ n: 1 }], () => ["key:k"]);
      await storeWhen(pool, {}, ["key:k"], { expect: 7n, key: "k" });
    },
  },
  {
    what: "a key that somebody else has",
    kind: "Busy",
    says: /held by a/,
    cause: async (scene) => {
      const pool = await scene.pool();
      const leases = await pool.coordinate();
      await leases.claim({ keys: ["k"], holder: "a" });
      await leases.claim({ keys: ["k"], holder: "b" });
    },
  },
  {
    what: "a message larger than those of the stream",
    kind: "Usage",
    says: /exceeds/,
    cause: async (scene) => {
      const pool = await scene.pool();
      await change(scene, { max_msg_size: 1000 });
      await put(pool, [{ text: "x".repeat(2000) }]);
    },
  },
  {
    what: "a message larger than those of the server",
    kind: "Usage",
    says: /exceeds/,
    config: "max_payload: 4096",
    cause: async (scene) => {
      const pool = await scene.pool();
      await put(pool, [{ text: "x".repeat(5000) }]);
    },
  },
  {
    what: "more tags than a header takes",
    kind: "Usage",
    says: /tags exceed|exceeds/,
    cause: async (scene) => {
      const pool = await scene.pool();
      const tags = Array.from({ length: 700 }, (_, i) => `${"t".repeat(100)}${i}`);
      await put(pool, [{ n: 1 }], () => tags);
    },
  },
  {
    what: "a stream larger than the storage",
    kind: "Usage",
    says: /storage|limits/,
    cause: ({ backend }) => backend.create("P", { sizeBytes: 2 ** 50 }),
  },
  {
    what: "replicas on a single server",
    kind: "Usage",
    says: /Replicas need a cluster/,
    cause: ({ backend }) => backend.create("P", { sizeBytes: MIB, replicas: 3 }),
  },
  {
    what: "more streams than the account may have",
    kind: "Usage",
    says: /as many streams/,
    config: account("max_streams: 1, max_file: 1G"),
    cause: async ({ backend }) => {
      await backend.create("P", { sizeBytes: MIB });
      await backend.create("Q", { sizeBytes: MIB });
    },
  },
  {
    what: "a stream larger than the account may have",
    kind: "Usage",
    says: /storage|limits of the account/,
    config: account("max_file: 4M"),
    cause: ({ backend }) => backend.create("P", { sizeBytes: 64 * MIB }),
  },
  {
    what: "more consumers than the account may have",
    kind: "Usage",
    says: /as many consumers/,
    config: account("max_consumers: 1, max_file: 1G"),
    cause: async (scene) => {
      const pool = await scene.pool();
      const it = await pool.coordinate();
      await it.setCursor("a", { to: "oldest" });
      await it.setCursor("b", { to: "oldest" });
    },
  },
  {
    what: "an account without JetStream",
    kind: "Usage",
    says: /JetStream is off for this account/,
    config: `accounts { A { users: [{ user: a, password: a }] } }
      no_auth_user: a`,
    cause: ({ backend }) => backend.create("P", { sizeBytes: MIB }),
  },
  {
    what: "a sealed stream",
    kind: "Usage",
    says: /sealed/,
    cause: async (scene) => {
      const pool = await scene.pool();
      await change(scene, { sealed: true });
      await put(pool, [{ n: 1 }]);
    },
  },
  {
    what: "a full stream that refuses new messages",
    kind: "Usage",
    says: /full and refuses new/,
    cause: async (scene) => {
      await scene.jsm.streams.add(
        { name: "P", subjects: ["plasmite.P.>"], discard: "new", max_msgs: 2 } as Parameters<
          typeof scene.jsm.streams.add
        >[0],
      );
      const pool = await scene.backend.open("P", { write: true });
      try {
        for (const n of [1, 2, 3]) await put(pool, [{ n }]);
      } finally {
        await pool.close();
      }
    },
  },
  {
    what: "a stream that does not take our subjects",
    kind: "Usage",
    says: /does not take messages from plasmite/,
    cause: async ({ backend, jsm }) => {
      await jsm.streams.add({ name: "P", subjects: ["orders"] });
      await backend.open("P", { write: true });
    },
  },
  {
    what: "a subject of the pool that the user may not publish to",
    kind: "Permission",
    says: /plasmite\.P\.m/,
    config: `accounts { A { jetstream: enabled, users: [{ user: a, password: a, permissions: {
        publish: { deny: "plasmite.P.m" } } }] } }
      no_auth_user: a`,
    cause: async (scene) => {
      const pool = await scene.pool();
      await put(pool, numbered(20));
    },
  },
  {
    what: "a request that the user may not make",
    kind: "Permission",
    says: /STREAM\.CREATE\.P/,
    config: `accounts { A { jetstream: enabled, users: [{ user: a, password: a, permissions: {
        publish: { deny: "$JS.API.STREAM.CREATE.>" } } }] } }
      no_auth_user: a`,
    cause: ({ backend }) => backend.create("P", { sizeBytes: MIB }),
  },
  {
    what: "a message of the pool that is not JSON",
    kind: "Corrupt",
    says: /not JSON/,
    cause: async (scene) => {
      const pool = await scene.pool();
      await scene.nc.request("plasmite.P.m", "no json");
      await collect(await pool.select({}));
    },
  },
  {
    what: "a TTL that is too short",
    kind: "Usage",
    says: /Invalid message TTL/,
    versions: ["2.15"],
    cause: async (scene) => {
      await scene.pool();
      await change(scene, { allow_msg_ttl: true });
      return await refused(scene, { "Nats-TTL": "500ms" });
    },
  },
  {
    what: "a TTL in a stream without",
    kind: "Usage",
    says: /TTL/,
    versions: ["2.15"],
    cause: (scene) => raw(scene, { "Nats-TTL": "5s" }),
  },
  {
    what: "a batch in a stream without",
    kind: "Usage",
    says: /atomic batches/,
    versions: ["2.15"],
    cause: async (scene) => {
      await scene.pool();
      await change(scene, { allow_atomic: false });
      const fields = { "Nats-Batch-Id": "b", "Nats-Batch-Sequence": "1" };
      return await refused(scene, fields);
    },
  },
  {
    what: "an error that nobody has words for",
    kind: "Internal",
    says: /expected stream does not match.*10060/s,
    cause: (scene) => raw(scene, { "Nats-Expected-Stream": "Q" }),
  },
];

for (const version of NATS_VERSIONS) {
  for (const { cause, config = "", kind, says, versions = NATS_VERSIONS, what } of ROWS) {
    if (!versions.includes(version)) continue;
    Deno.test({
      name: `nats ${version} error table: ${what}`,
      ignore: natsServer(version) === undefined,
      fn: async () => {
        const server = await NatsServer.start(version, config);
        const backend = new NatsBackend(server.url);
        const nc = await connect({ servers: server.url.slice("nats://".length) });
        const opened: PoolHandle[] = [];
        const pool = async (sizeBytes = MIB): Promise<PoolHandle> => {
          await backend.create("P", { sizeBytes });
          const one = await backend.open("P", { write: true });
          opened.push(one);
          return one;
        };
        try {
          const jsm = await jetstreamManager(nc, { checkAPI: false });
          const error = await cause({ backend, nc, jsm, pool }).then(() => null, (error) => error);
          assert(PlasmiteError.is(error), `no error, or not ours: ${error}`);
          const text = `${error.message} ${error.causes}`;
          assert.equal(error.kindName, kind, text);
          assert.match(text, says);
          assert.ok(error.hint, "it says what to do");
        } finally {
          for (const one of opened) await one.close();
          await nc.close();
          await backend.close();
          await server.end();
        }
      },
    });
  }

  // "No suitable peers" may pass: retrying is worth it, and not a fault of the program.
  Deno.test({
    name: `nats ${version} error table: more replicas than servers`,
    ignore: natsServer(version) === undefined,
    fn: async () => {
      const cluster = await NatsCluster.start(version);
      const backend = new NatsBackend(cluster.url());
      try {
        for (const until = performance.now() + PATIENCE_MS;;) {
          const error = await backend.create("P", { sizeBytes: MIB, replicas: 5 }).then(
            () => assert.fail("it was made"),
            (error) => error,
          );
          assert(PlasmiteError.is(error), String(error));
          assert.match(error.kindName, /^(?:Busy|Io)$/, `${error.message} ${error.causes}`);
          if (/10005/.test(String(error.causes))) break;
          assert(performance.now() < until, `${error.message} ${error.causes}`);
          await new Promise((resolve) => setTimeout(resolve, 200));
        }
      } finally {
        await backend.close();
        await cluster.end();
      }
    },
  });
}
