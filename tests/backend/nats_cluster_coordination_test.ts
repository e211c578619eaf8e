/** Coordination in a stream with three replicas. */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { NatsBackend } from "../../lib/backend/nats.ts";
import type { PoolHandle } from "../../lib/backend/types.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { NatsCluster, testEachNats } from "../support/nats.ts";
import { storeWhen } from "../support/coordinated.ts";
import { patiently, pause, until } from "../support/patience.ts";
import { put } from "./suite.ts";

/** Whether an error may pass when servers come back. */
function mayPass(error: unknown): boolean {
  return PlasmiteError.is(error, ErrorKind.Busy) || PlasmiteError.is(error, ErrorKind.Io);
}

/** Creates stream P, as soon as the cluster can; returns its leader. */
async function create(cluster: NatsCluster): Promise<string> {
  const backend = new NatsBackend(cluster.url());
  try {
    await patiently(async () => {
      try {
        await backend.create("P", { sizeBytes: 16 << 20, replicas: 3 });
      } catch (error) {
        if (!PlasmiteError.is(error, ErrorKind.AlreadyExists)) throw error;
      }
    }, mayPass);
    await cluster.ready("P");
    return (await backend.info("P")).stream?.leader ?? "n0";
  } finally {
    await backend.close();
  }
}

// Clusters of 2.9 check the condition of a key before they store, and let two pass at once.
testEachNats(
  "nats % cluster: of many that expect the same of a key, one stores",
  async (version) => {
    const cluster = await NatsCluster.start(version);
    try {
      await create(cluster);
      const backends = [0, 1, 2].map((i) => new NatsBackend(cluster.url(i)));
      const pools = await Promise.all(
        backends.map((backend) => backend.open("P", { write: true })),
      );
      const racers = Array.from({ length: 12 }, (_, i) => pools[i % 3] ?? assert.fail());
      let expect = 0n;
      for (let round = 0; round < 15; round++) {
        const stored: bigint[] = [];
        await Promise.all(racers.map(async (pool, i) => {
          try {
            const when = { expect, key: "k" };
            stored.push((await storeWhen(pool, { round, i }, ["key:k"], when)).seq);
          } catch (error) {
            if (!PlasmiteError.is(error, ErrorKind.Conflict)) throw error;
          }
        }));
        assert.equal(stored.length, 1, `round ${round}: ${stored}`);
        expect = stored[0] ?? 0n;
      }
      assert.equal((await (pools[0] ?? assert.fail()).bounds()).newest, 15n);
      for (const pool of pools) await pool.close();
      for (const backend of backends) await backend.close();
    } finally {
      await cluster.end();
    }
  },
);

// A free key, or a conflict of a number with itself: while followers do not answer, the leader has a
// message that is neither stored nor lost, and refuses all that depends on it.
testEachNats(
  "nats % cluster: what depends on a message that is still being stored waits for it",
  async (version) => {
    const cluster = await NatsCluster.start(version);
    try {
      const leader = await create(cluster);
      const backends = [0, 1].map(() => new NatsBackend(cluster.named(leader).url));
      const [one, two] = await Promise.all(
        backends.map((backend) => backend.open("P", { write: true })),
      );
      assert(one !== undefined && two !== undefined);
      const last = (await storeWhen(one, { n: 0 }, ["key:state"])).seq;
      const claim = async (pool: PoolHandle, holder: string): Promise<string> => {
        try {
          const coordination = await pool.coordinate();
          return (await coordination.claim({ keys: ["k"], holder, ttlMs: 600_000 })).holder;
        } catch (error) {
          return PlasmiteError.is(error) ? error.kindName : String(error);
        }
      };
      const store = async (pool: PoolHandle, n: number): Promise<string> => {
        try {
          await storeWhen(pool, { n }, ["key:state"], { key: "state", expect: last });
          return "stored";
        } catch (error) {
          return PlasmiteError.is(error) ? error.kindName : String(error);
        }
      };
      const both = [one, two];
      await Promise.all(both.map((pool) => pool.coordinate()));
      const others = cluster.servers.filter((server) => server !== cluster.named(leader));
      for (const server of others) server.pause();
      const claims = Promise.all(both.map((pool, i) => claim(pool, `h${i}`)));
      const stores = Promise.all(both.map(store));
      await pause(1500);
      for (const server of others) server.proceed();
      const claimed = (await claims).toSorted();
      assert.equal(claimed[0], "Busy");
      assert.match(claimed[1] ?? "", /^h[01]$/);
      assert.deepEqual((await stores).toSorted(), ["Conflict", "stored"]);
      for (const pool of both) await pool.close();
      for (const backend of backends) await backend.close();
    } finally {
      await cluster.end();
    }
  },
);

// A claim that two have, or a cursor that goes back, when a server is lost.
testEachNats(
  "nats % cluster: claims and cursors survive the leader",
  async (version) => {
    const cluster = await NatsCluster.start(version);
    try {
      const leader = await create(cluster);
      const backends = [0, 1, 2].map((i) => new NatsBackend(cluster.url(i)));
      const pools = await Promise.all(
        backends.map((backend) => backend.open("P", { write: true })),
      );
      const own = pools[0] ?? assert.fail();
      await put(own, Array.from({ length: 20 }, (_, i) => ({ n: i })));
      const cursor = await (await own.coordinate()).cursor("c");
      let acked = 0n;
      const ack = async (): Promise<void> => {
        const seq = acked + 1n;
        cursor.deliver(seq, 0n);
        assert(await cursor.ack(seq));
        acked = seq;
      };
      /** Each claims the key in turn and releases it; of the tokens, none comes twice. */
      const tokens: bigint[] = [];
      let holders = 0;
      const claims = async (pool: PoolHandle, holder: string): Promise<void> => {
        const coordination = await pool.coordinate();
        for (let i = 0; i < 3; i++) {
          const lease = await patiently(
            () => coordination.claim({ keys: ["k"], holder, ttlMs: 600_000, waitMs: 60_000 }),
            mayPass,
          );
          assert.equal(++holders, 1, "two have the key");
          tokens.push(lease.token);
          await ack();
          holders--;
          const { token } = lease;
          await patiently(() => coordination.release({ keys: ["k"], holder, token }), mayPass);
        }
      };
      const working = Promise.all(pools.map((pool, i) => claims(pool, `h${i}`)));
      await until(() => tokens.length >= 2);
      await cluster.named(leader).kill();
      await working;
      assert.equal(new Set(tokens).size, 9);
      assert.deepEqual(tokens, tokens.toSorted((a, b) => Number(a - b)));
      await cursor.close();
      const again = await (await (pools[1] ?? assert.fail()).coordinate()).cursor("c");
      assert.equal(again.seq, acked);
      assert.equal(acked, 9n);
      await again.close();
      for (const pool of pools) await pool.close();
      for (const backend of backends) await backend.close();
    } finally {
      await cluster.end();
    }
  },
);
