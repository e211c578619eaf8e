/** A connection that loses, mixes up or delays messages of a NATS server: what is read is the same. */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { NatsBackend } from "../../lib/backend/nats.ts";
import type { PoolHandle, Selection, Walk } from "../../lib/backend/types.ts";
import { watchdog } from "../support/patience.ts";
import { type Fate, LossyNatsProxy } from "../support/lossy_nats_proxy.ts";
import { NatsServer, testEachNats } from "../support/nats.ts";
import { collect, put } from "./suite.ts";

/** A pool of 2000 messages, and the same pool behind a connection whose messages have a fate. */
interface Scene {
  readonly version: string;
  readonly pool: PoolHandle;
  readonly lossy: (fate: Fate) => Promise<PoolHandle>;
}

const COUNT = 2000;
const data = Array.from({ length: COUNT }, (_, i) => ({ n: i + 1 }));
const all = data.map(({ n }) => `${n}:{"n":${n}}`);

function test(title: string, run: (scene: Scene) => Promise<void>): void {
  testEachNats(`nats % lossy: ${title}`, async (version) => {
    const server = await NatsServer.start(version);
    const backend = new NatsBackend(server.url);
    const ends: (() => Promise<void> | void)[] = [];
    try {
      await backend.create("P", { sizeBytes: 8 << 20 });
      const pool = await backend.open("P", { write: true });
      ends.push(() => void pool.close());
      await put(pool, data, (i) => [`key:${i % 10}`]);
      const lossy = async (fate: Fate): Promise<PoolHandle> => {
        const proxy = new LossyNatsProxy(server.port, fate);
        const behind = new NatsBackend(`nats://127.0.0.1:${proxy.port}`);
        const other = await behind.open("P");
        ends.push(async () => {
          await other.close();
          await behind.close();
          proxy.end();
        });
        return other;
      };
      await run({ version, pool, lossy });
    } finally {
      for (const end of ends.reverse()) await end();
      await backend.close();
      await server.end();
    }
  });
}

/** The number of the next message. */
async function next(walk: Walk): Promise<bigint> {
  for (const stop = watchdog(); !walk.next();) await walk.wait(undefined, stop);
  return walk.message.seq;
}

/** Loses the first message with that text, and notes whether it came. */
function loseOnce(text: string): { readonly fate: Fate; lost: boolean } {
  const loss = {
    lost: false,
    fate: (message: { readonly text: string }): boolean => {
      if (loss.lost || !message.text.includes(text)) return true;
      loss.lost = true;
      return false;
    },
  };
  return loss;
}

// A reader of a few messages would have taken a lost one for a deleted one.
test("a message of a few that is lost on its way is read all the same", async ({ lossy }) => {
  for (const n of [11, 150, 299]) {
    const loss = loseOnce(`{"n":${n}}`);
    const pool = await lossy(loss.fate);
    assert.deepEqual(
      await collect(await pool.select({ from: 11n, until: 300n })),
      all.slice(10, 300),
    );
    assert(loss.lost);
  }
});

// A reader of many messages would have taken a lost one for a deleted one, or waited for the last
// one for ever.
test("a message of many that is lost on its way is read all the same", async ({ lossy }) => {
  for (const n of [1, 999, COUNT]) {
    const loss = loseOnce(`{"n":${n}}`);
    const pool = await lossy(loss.fate);
    assert.deepEqual(await collect(await pool.select({})), all);
    assert(loss.lost);
  }
});

// Where the server chooses, holes are usual: a lost message would not have been missed.
test("a message that the server chose and that is lost is read all the same", async ({ lossy }) => {
  const wanted = all.filter((_, i) => i % 10 === 7);
  for (const n of [8, 1008, 1998]) {
    const loss = loseOnce(`{"n":${n}}`);
    const pool = await lossy(loss.fate);
    assert.deepEqual(await collect(await pool.select({ tags: ["key:7"] })), wanted);
    assert(loss.lost);
  }
});

// A reader that is quick to ask again would have asked for ever, and never waited long enough.
test("messages that are long on their way are waited for", async ({ lossy }) => {
  // Messages of a consumer; the answers to questions pass at once.
  const fate: Fate = ({ line }) => line.includes(" $JS.ACK.") ? 1_000 : true;
  const read = async (selection: Selection): Promise<string[]> =>
    await collect(await (await lossy(fate)).select(selection));
  const [every, chosen] = await Promise.all([read({}), read({ tags: ["key:7"] })]);
  assert.deepEqual(every, all);
  assert.deepEqual(chosen, all.filter((_, i) => i % 10 === 7));
});

// A follower would not have been told until the next message, which may never come.
test("the newest message that is lost on its way is followed all the same", async (scene) => {
  const loss = loseOnce('{"n":0}');
  const walk = await (await scene.lossy(loss.fate)).select({ from: BigInt(COUNT), follow: true });
  try {
    assert.equal(await next(walk), BigInt(COUNT));
    await put(scene.pool, [{ n: 0 }]);
    assert.equal(await next(walk), BigInt(COUNT + 1));
    assert(loss.lost);
  } finally {
    walk.close();
  }
});

// One message would have been shown as another.
test("an answer with another message is not taken for the one wanted", async ({ lossy, version }) => {
  let isMixed = false;
  const pool = await lossy(({ text }) => {
    if (!text.includes("Nats-Sequence: 7\r\n")) return true;
    isMixed = true;
    return text.replace("Nats-Sequence: 7\r\n", "Nats-Sequence: 8\r\n");
  });
  const found = await pool.get(7n);
  assert.equal(found?.seq, 7n);
  assert.equal(isMixed, version !== "2.9");
});

// A cursor would have been refused, and its hold would have kept others out for half a minute.
test("a cursor is opened although an answer about its readers is lost", async ({ lossy }) => {
  await Promise.all([1, 2].map(async (which) => {
    let count = 0;
    const isNames = (text: string): boolean => text.includes("consumer_names_response");
    const pool = await lossy(({ text }) => !isNames(text) || ++count !== which);
    const cursor = await (await pool.coordinate()).cursor(`c${which}`);
    assert(count > which);
    await cursor.close();
  }));
});

// A pool would have been said to be busy, though its servers only changed their leader.
test("a question is asked again when its answer is lost", async ({ lossy }) => {
  const loss = loseOnce("stream_info_response");
  const pool = await lossy(loss.fate);
  assert(loss.lost);
  assert.equal((await pool.bounds()).newest, BigInt(COUNT));
});
