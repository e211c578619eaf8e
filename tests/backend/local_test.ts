import assert from "node:assert/strict";
import { Hubs } from "../../lib/backend/local/hub.ts";
import { LocalBackend } from "../../lib/backend/local.ts";
import { ServingBackend } from "../../lib/backend/serving.ts";
import { MemoryStorage } from "../support/memory.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { messageFromValue } from "../../lib/lite3/from_value.ts";
import { parseState, putState } from "../../lib/pool/header.ts";
import { FrameBatch } from "../../lib/pool/batch.ts";
import { backendSuite, put } from "./suite.ts";
import { watchdog } from "../support/patience.ts";

const kinds: [string, (dir: string) => LocalBackend][] = [
  ["local", (dir) => new LocalBackend(dir)],
  ["local in turns with notices of its own", (dir) => new LocalBackend(dir, { serving: true })],
  ["local in turns", (dir) => new LocalBackend(dir, { serving: new Hubs() })],
  ["serving", (dir) => new ServingBackend(dir)],
];
for (const [kind, make] of kinds) {
  backendSuite(kind, async () => {
    const dir = await Deno.makeTempDir();
    const backend = make(dir);
    return {
      backend,
      recreate: async (name) => {
        const other = new LocalBackend(dir);
        await other.remove(name);
        other.create(name);
      },
      end: async () => {
        backend.close();
        await Deno.remove(dir, { recursive: true });
      },
    };
  });
}

// Who opened a pool would read the messages of another one as if they came next.
for (const [kind, make] of kinds) {
  Deno.test(`${kind}: a pool that was replaced after it was opened is not read from`, async () => {
    const dir = await Deno.makeTempDir();
    const backend = make(dir);
    await backend.create("p");
    const pool = await backend.open("p");
    try {
      const other = new LocalBackend(dir);
      await other.remove("p");
      await other.create("p");
      await assert.rejects(
        async () => (await pool.select({})).close(),
        (error) => PlasmiteError.is(error, ErrorKind.NotFound),
      );
    } finally {
      pool.close();
      backend.close();
      await Deno.remove(dir, { recursive: true });
    }
  });
}

backendSuite("in-memory", () => {
  const dir = "/nowhere/plasmite-memory";
  const storage = new MemoryStorage();
  const backend = new LocalBackend(dir, { storage });
  return Promise.resolve({
    backend,
    recreate: async (name: string) => {
      await backend.remove(name);
      await backend.create(name);
    },
    end: () => Promise.resolve(),
  });
});

// `tap` waits for its pool as long as its command runs, and for a bounded time afterwards.
Deno.test("local backend: an append waits for a lock as long as requested", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const backend = new LocalBackend(dir, { serving: true });
    const pool = await backend.open("p", { write: true, create: {} });
    const holder = await Deno.open(pool.path, { read: true, write: true });
    await holder.lock(true);
    const batch = new FrameBatch();
    batch.beginFrame();
    messageFromValue(batch.encoder, { n: 1 }, []);
    batch.endFrame(0, 1);
    const first: bigint[] = [];
    const request = {
      flush: false,
      stored: (_: number, __: number, seq: bigint) => first.push(seq),
    };
    for (const lockMs of [0, 20]) {
      await assert.rejects(
        async () => await pool.append(batch, { ...request, lockMs }),
        (error) => PlasmiteError.is(error, ErrorKind.Busy),
      );
    }
    const waiting = pool.append(batch, { ...request, lockMs: Infinity });
    await holder.unlock();
    holder.close();
    await waiting;
    assert.deepEqual(first, [1n]);
    pool.close();
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

// What was there at the start and then lost: `--timeout` waited for it for five seconds more.
Deno.test("local backend: a walk does not wait for history that is gone", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const backend = new LocalBackend(dir);
    const pool = await backend.open("p", { write: true, create: { sizeBytes: 65536 } });
    await put(pool, [{ n: 1 }, { n: 2 }]);
    const walk = await pool.select({ follow: true });
    // A ring is emptied by what writes over it; its state says so before a message is there again.
    const file = await Deno.open(pool.path, { read: true, write: true });
    const state = new DataView(new ArrayBuffer(40));
    await file.seek(64, Deno.SeekMode.Start);
    await file.read(new Uint8Array(state.buffer));
    const { head, newest } = parseState(state, 0);
    putState(state, 0, { head, tail: head, tailNext: head, oldest: 0n, newest });
    await file.seek(64, Deno.SeekMode.Start);
    await file.write(new Uint8Array(state.buffer));
    file.close();
    while (walk.position <= walk.start.newest) {
      assert.equal(walk.next(), false);
      await walk.wait(undefined, watchdog());
    }
    assert.equal(walk.ended, false);
    walk.close();
    pool.close();
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

// Lost: the append, and every one after it, where the repair is loaded only when it is needed.
for (const [kind, make] of kinds) {
  Deno.test(`${kind} backend: an append repairs what a killed writer left`, async () => {
    const dir = await Deno.makeTempDir();
    const backend = make(dir);
    try {
      const pool = await backend.open("p", { write: true, create: { sizeBytes: 16_384 } });
      const data = Array.from({ length: 10 }, (_, n) => ({ n, text: "x".repeat(800) }));
      for (let i = 0; i < 4; i++) await put(pool, data);
      const { oldest, newest } = await pool.bounds();
      await pool.close();
      // The header of the oldest frame is gone, which the next append must drop.
      const file = await Deno.open(backend.path("p"), { read: true, write: true });
      const header = new DataView(new ArrayBuffer(104));
      await file.read(new Uint8Array(header.buffer));
      const { tail } = parseState(header, 64);
      await file.seek(Number(header.getBigUint64(40, true)) + tail, Deno.SeekMode.Start);
      await file.write(new Uint8Array(64));
      file.close();
      const again = await backend.open("p", { write: true });
      await put(again, data.slice(0, 3));
      const after = await again.bounds();
      await again.close();
      assert.equal(after.newest, newest + 3n);
      assert.ok(after.oldest > oldest);
    } finally {
      backend.close();
      await Deno.remove(dir, { recursive: true });
    }
  });
}
