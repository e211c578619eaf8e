/**
 * A stream that was deleted and created again under its name: whoever works in the old one ends, and
 * the messages of the new one are neither acknowledged nor lost. Real servers of both versions.
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { connect } from "@nats-io/transport-node";
import { jetstreamManager } from "@nats-io/jetstream";
import { NatsBackend } from "../../lib/backend/nats.ts";
import type { Group } from "../../lib/backend/coordination.ts";
import type { PoolHandle } from "../../lib/backend/types.ts";
import { errorOf, spawnCli } from "../cli/cli_util.ts";
import { fails } from "../support/fails.ts";
import { LossyNatsProxy } from "../support/lossy_nats_proxy.ts";
import { NatsServer, testEachNats } from "../support/nats.ts";
import { until } from "../support/patience.ts";
import { collect, put } from "./suite.ts";

interface Scene {
  readonly backend: NatsBackend;
  readonly ref: string;
  /** The pool as it is now. */
  readonly pool: PoolHandle;
  /** Deletes the stream and creates it again, with as many messages. */
  recreate(count: number): Promise<PoolHandle>;
  /** The consumers of the stream. */
  consumers(): Promise<{ name: string; pending: number; acked: number }[]>;
}

function test(title: string, run: (scene: Scene) => Promise<void>): void {
  testEachNats(`nats % recreated: ${title}`, async (version) => {
    const server = await NatsServer.start(version);
    const backend = new NatsBackend(server.url);
    const nc = await connect({ servers: `127.0.0.1:${server.port}` });
    const jsm = await jetstreamManager(nc);
    const opened: PoolHandle[] = [];
    const create = async (): Promise<PoolHandle> => {
      await backend.create("P", { sizeBytes: 1 << 20 });
      const pool = await backend.open("P", { write: true });
      opened.push(pool);
      return pool;
    };
    try {
      await run({
        backend,
        ref: `${server.url}/P`,
        pool: await create(),
        async recreate(count) {
          await backend.remove("P");
          const pool = await create();
          await put(pool, Array.from({ length: count }, (_, n) => ({ new: n })));
          return pool;
        },
        async consumers() {
          const all = await jsm.consumers.list("P").next();
          return all.map(({ name, num_ack_pending: pending, ack_floor: floor }) => ({
            name,
            pending,
            acked: floor.stream_seq,
          }));
        },
      });
    } finally {
      for (const pool of opened) await pool.close();
      await nc.close();
      await backend.close();
      await server.end();
    }
  });
}

async function join(pool: PoolHandle, tags: readonly string[] = []): Promise<Group> {
  return (await pool.coordinate()).group("g", { tags });
}

const numbers = ({ tasks }: Awaited<ReturnType<Group["take"]>>): bigint[] =>
  tasks.map(({ message }) => message.seq);

// An idle worker took the messages of another pool, of which it knew nothing.
test("a worker ends as a follower does, and the new stream has all its tasks", async (scene) => {
  const { consumers, pool, recreate, ref } = scene;
  await put(pool, [{ n: 1 }, { n: 2 }]);
  const child = spawnCli(["work", ref, "--group", "g", "--", "cat"], {
    stdout: "piped",
    stderr: "piped",
  });
  const [stdout, stderr] = [child.stdout, child.stderr].map((pipe) => new Response(pipe).text());
  await until(async () =>
    (await consumers()).some(({ acked, name }) => name === "group~g" && acked === 2)
  );
  const again = await recreate(3);
  const group = await join(again);
  const taken: bigint[] = [];
  await until(async () => {
    const round = await group.take({ count: 9 });
    assert.equal(round.lost, 0n);
    for (const { message, token } of round.tasks) {
      taken.push(message.seq);
      await group.ack(message.seq, token);
    }
    return taken.length === 3;
  });
  const { code } = await child.status;
  assert.equal(code, 3, await stderr);
  const error = errorOf({ code, stdout: await stdout ?? "", stderr: await stderr ?? "" });
  assert.match(String(error["message"]), /different file|pool was deleted/);
  assert.equal((await stdout)?.includes("new"), false);
  assert.deepEqual(taken.sort(), [1n, 2n, 3n]);
  group.close();
});

// What was finished for the old message 1 was taken for the end of the new one, which nobody saw.
test("tasks of the old stream are not acknowledged in the new one", async (scene) => {
  const { consumers, pool, recreate } = scene;
  await put(pool, [{ n: 1 }, { n: 2 }, { n: 3 }, { n: 4 }]);
  const old = await join(pool);
  const { tasks } = await old.take({ count: 4 });
  const [first, second, third, fourth] = tasks.map(({ message, token }) =>
    [message.seq, token] as const
  );
  assert(first !== undefined && second !== undefined && third !== undefined);
  assert.equal(await old.ack(...fourth ?? assert.fail()), true);
  const group = await join(await recreate(3));
  await fails("Conflict", () => group.ack(...fourth ?? assert.fail())); // Nobody has done that one.
  assert.deepEqual(numbers(await group.take({ count: 3 })), [1n, 2n, 3n]);
  const error = await fails("NotFound", () => old.ack(...first));
  assert.equal(error.message, "pool path now refers to a different file");
  await fails("NotFound", () => old.fail(...second));
  await fails("NotFound", () => old.extend(...third));
  await fails("NotFound", () => old.take());
  const state = (await consumers()).map(({ acked, pending }) => [pending, acked]);
  assert.deepEqual(state, [[3, 0]]);
  // Nothing was given back either: the worker that has them goes on undisturbed.
  assert.deepEqual(numbers(await group.take({ count: 3 })), []);
  old.close();
  group.close();
});

// A filter of the old group threw away what the new one was for.
test("a worker that waits for a task leaves those of the new stream alone", async (scene) => {
  const { consumers, pool, recreate } = scene;
  const old = await join(pool, ["wanted"]);
  const waiting = old.take({ waitMs: 60_000 });
  waiting.catch(() => {}); // It is looked at below.
  await until(async () => (await consumers()).length === 1);
  const group = await join(await recreate(3));
  assert.deepEqual(numbers(await group.take({ count: 3 })), [1n, 2n, 3n]);
  await fails("NotFound", () => waiting);
  const state = (await consumers()).map(({ acked, pending }) => [pending, acked]);
  assert.deepEqual(state, [[3, 0]]);
  old.close();
  group.close();
});

// Lost, for as long as a task may take: those that came to a worker that wanted others.
test("a worker gives back what it was given of the new stream", async (scene) => {
  const { consumers, recreate, ref } = scene;
  let isHeld = false;
  let isOver = true;
  const proxy = new LossyNatsProxy(Number(new URL(ref).port), ({ text }) => {
    if (isOver || !text.includes("api.v1.stream_info_response")) return true;
    isOver = isHeld = true;
    return 700; // Less than until it is asked for again. Meanwhile it is another stream, and has the group.
  });
  const backend = new NatsBackend(`nats://127.0.0.1:${proxy.port}`);
  const behind = await backend.open("P", { write: true });
  const old = await join(behind);
  assert.deepEqual(numbers(await old.take()), []);
  isOver = false;
  const taking = old.take({ count: 3 });
  taking.catch(() => {}); // It is looked at below.
  await until(() => Promise.resolve(isHeld));
  const group = await join(await recreate(3));
  const ackWaitMs = 3_600_000;
  const taken = numbers(await group.take({ ackWaitMs }));
  await fails("NotFound", () => taking);
  await until(async () => {
    taken.push(...numbers(await group.take({ count: 9, ackWaitMs })));
    return taken.length === 3;
  });
  assert.deepEqual((await consumers()).map(({ pending }) => pending), [3]);
  old.close();
  group.close();
  await behind.close();
  await backend.close();
  proxy.end();
});

// A reader moved the cursor of that name in the new stream past what nobody had read.
test("a cursor and a handle of the old stream do nothing in the new one", async (scene) => {
  const { pool, recreate } = scene;
  await put(pool, [{ n: 1 }, { n: 2 }]);
  const coordination = await pool.coordinate();
  const old = await coordination.cursor("c");
  old.deliver(1n, 0n);
  const again = await recreate(2);
  const other = await (await again.coordinate()).cursor("c");
  await fails("NotFound", async () => void await old.ack(1n));
  await fails("NotFound", async () => void await old.select());
  await fails("NotFound", async () => void await coordination.cursors());
  await fails("NotFound", async () => void await pool.bounds());
  await fails("NotFound", async () => void await pool.select({}));
  other.deliver(1n, 0n);
  assert(await other.ack(1n));
  const [listed] = await (await again.coordinate()).cursors();
  assert.equal(listed?.seq, 1n);
  assert.equal((await collect(await again.select({}))).length, 2);
  await other.close();
  await fails("NotFound", () => coordination.setCursor("c", { to: 2n }));
  await fails("NotFound", () => coordination.deleteCursor("c"));
  const [left] = await (await again.coordinate()).cursors();
  assert.deepEqual([left?.name, left?.seq], ["c", 1n]);
  await old.close();
});

// Lost: a follower, a worker and a cursor, to a server that has just started and does not know its
// streams yet.
test("a stream that a server does not know for a moment is still there", async ({ pool, ref }) => {
  await put(pool, [{ n: 1 }]);
  const unknown = '{"error":{"code":404,"err_code":10059,"description":"stream not found"}}';
  let [asked, refused] = [0, 0];
  const proxy = new LossyNatsProxy(Number(new URL(ref).port), ({ text }) => {
    const at = text.indexOf('{"type":"io.nats.jetstream.api.v1.stream_info_response"');
    if (at < 0) return true;
    asked++;
    if (refused === 0) return true;
    refused--;
    return text.slice(0, at) + unknown.padEnd(text.trimEnd().length - at) + "\r\n";
  });
  const backend = new NatsBackend(`nats://127.0.0.1:${proxy.port}`);
  const other = await backend.open("P");
  [asked, refused] = [0, 1];
  assert.deepEqual(await other.bounds(), { oldest: 1n, newest: 1n });
  assert(asked >= 2); // A slow server is asked once more.
  refused = Infinity;
  const error = await fails("NotFound", () => other.bounds());
  assert.match(error.message, /pool was deleted/);
  await other.close();
  await backend.close();
  proxy.end();
});
