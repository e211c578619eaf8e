/**
 * Client, Pool and Message as docs/spec/library.md 12 describes them.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  Client,
  DEFAULT_POOL_SIZE,
  DEFAULT_POOL_SIZE_BYTES,
  defaultPoolDir,
  Durability,
  ErrorKind,
  type JsonObject,
  Message,
  parseMessage,
  PlasmiteError,
  PlasmiteNativeError,
  type Pool,
  type Seq,
} from "../../mod.ts";
import { Appender } from "../../lib/backend/local/appender.ts";
import { createRing } from "../../lib/pool/creation.ts";
import { openToAppend } from "../../lib/pool/mending.ts";
import { MemoryStorage } from "../support/memory.ts";
import { start, withDir } from "../support/processes.ts";
import { get as ringGet, newRing, POOL } from "../support/rings.ts";
import { specCheck } from "../support/spec_checker.ts";

function throwsKind(
  kind: keyof typeof ErrorKind,
  work: () => unknown,
  check: (error: PlasmiteError) => void = () => {},
): void {
  assert.throws(work, (error) => {
    assert(PlasmiteError.is(error, ErrorKind[kind]), `${kind} expected, got ${error}`);
    assert.equal(error.kindName, kind);
    if (kind === "Usage") assert(error.hint !== undefined, "a mistake comes with a hint");
    check(error);
    return true;
  });
}

/** A client of an empty directory. */
function withClient(
  work: (client: Client, dir: string) => Promise<void> | void,
): () => Promise<void> {
  return () =>
    withDir(async (dir) => {
      using client = new Client(dir);
      await work(client, dir);
    });
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const utf8 = (value: string): Uint8Array => new TextEncoder().encode(value);

// ---- clients and names ---------------------------------------------------------------------------

Deno.test("making a client touches nothing on disk", () =>
  withDir((dir) => {
    const client = new Client(`${dir}/none`);
    assert.equal(client.poolDir, `${dir}/none`);
    assert.deepEqual(client.listPools(), []);
    assert.deepEqual([...Deno.readDirSync(dir)], []);
    assert.equal(new Client({ poolDir: "x" }).poolDir, "x");
    throwsKind("Usage", () => new Client(""));
  }));

Deno.test("the default directory follows HOME when it is asked for", () => {
  const home = Deno.env.get("HOME");
  try {
    Deno.env.set("HOME", "/somewhere");
    assert.equal(defaultPoolDir(), "/somewhere/.plasmite/pools");
    assert.equal(new Client().poolDir, "/somewhere/.plasmite/pools");
    Deno.env.set("HOME", "/else");
    assert.equal(new Client({}).poolDir, "/else/.plasmite/pools");
  } finally {
    if (home === undefined) Deno.env.delete("HOME");
    else Deno.env.set("HOME", home);
  }
});

Deno.test(
  "names, file names and paths lead to one file",
  withClient((client, dir) => {
    using made = client.createPool("chat");
    assert.equal(made.name, "chat");
    assert.equal(made.path, `${dir}/chat.plasmite`);
    made.append({ x: 1 });
    for (const ref of ["chat.plasmite", `${dir}/chat.plasmite`]) {
      using pool = client.openPool(ref);
      assert.equal(pool.get(1).seq, 1n);
    }
    using plain = client.createPool(`${dir}/sub/plain`);
    assert.equal(plain.path, `${dir}/sub/plain`);
    for (const ref of ["", "http://host/pool", "plasmite://x", "a\0b", "a\nb"]) {
      throwsKind("Usage", () => client.openPool(ref));
      throwsKind("Usage", () => client.createPool(ref));
      throwsKind("Usage", () => client.deletePool(ref));
    }
  }),
);

Deno.test(
  "create: parents, defaults, sizes, and what cannot be",
  withClient((client, dir) => {
    assert.equal(DEFAULT_POOL_SIZE, 1_048_576);
    assert.equal(DEFAULT_POOL_SIZE_BYTES, DEFAULT_POOL_SIZE);
    const sizes: [string, Parameters<Client["createPool"]>[1], number, number][] = [
      ["a", undefined, 1_048_576, 4096],
      ["b", 0, 1_048_576, 4096],
      ["c", 8192, 8192, 32],
      ["d", 8192n, 8192, 32],
      ["e", { sizeBytes: 9001, indexCapacity: 7 }, 9001, 7],
      ["f", { indexCapacity: 0 }, 1_048_576, 0],
      ["g", {}, 1_048_576, 4096],
      ["h", 4097, 4097, 0],
    ];
    for (const [name, size, fileSize, capacity] of sizes) {
      using pool = client.createPool(name, size);
      const info = pool.info();
      assert.equal(info.fileSize, fileSize);
      assert.equal(info.indexCapacity, capacity);
      assert.equal(info.ringOffset, 4096 + 16 * capacity);
      assert.equal(info.ringOffset + info.ringSize, fileSize);
      assert.equal(info.indexSizeBytes, 16 * capacity);
      assert.deepEqual(info.bounds, { oldestSeq: null, newestSeq: null });
      assert.deepEqual(specCheck(Deno.readFileSync(pool.path)).problems, []);
    }
    throwsKind("AlreadyExists", () => client.createPool("a"), (error) => {
      assert.equal(error.path, `${dir}/a.plasmite`);
      assert.equal(error.message, "pool already exists");
      assert(error.hint !== undefined);
    });
    for (const size of [1, 4096, -1, 1.5, NaN, 2 ** 53, -1n, 2n ** 64n]) {
      throwsKind("Usage", () => client.createPool("bad", size));
    }
    for (const indexCapacity of [-1, 0.5, 2 ** 32, 65536]) {
      throwsKind("Usage", () => client.createPool("bad", { indexCapacity }));
    }
    assert(client.listPools().every((info) => info.name !== "bad"));
  }),
);

Deno.test(
  "open: missing, damaged, another version",
  withClient((client, dir) => {
    throwsKind("NotFound", () => client.openPool("no"), (error) => {
      assert.equal(error.message, "not found");
      assert.equal(error.path, `${dir}/no.plasmite`);
    });
    throwsKind("NotFound", () => client.poolInfo("no"));
    throwsKind("NotFound", () => client.deletePool("no"), (error) => {
      assert.equal(error.path, `${dir}/no.plasmite`);
    });
    throwsKind("NotFound", () => client.validatePool("no"));
    Deno.writeTextFileSync(`${dir}/text.plasmite`, "not a pool ".repeat(1000));
    throwsKind("Corrupt", () => client.openPool("text"), (error) => {
      assert.equal(error.path, `${dir}/text.plasmite`);
    });
    client.createPool("v4").close();
    const bytes = Deno.readFileSync(`${dir}/v4.plasmite`);
    bytes[4] = 4;
    Deno.writeFileSync(`${dir}/v4.plasmite`, bytes);
    throwsKind("Usage", () => client.openPool("v4"));
    Deno.mkdirSync(`${dir}/dir.plasmite`);
    throwsKind("Io", () => client.openPool("dir"));
  }),
);

Deno.test(
  "pool(): opens, or creates when missing, whoever comes first",
  withClient(async (client, dir) => {
    {
      using first = client.pool("p", 8192);
      assert.equal(first.info().fileSize, 8192);
      using second = client.pool("p", 1 << 20);
      assert.equal(second.info().fileSize, 8192);
    }
    const mod = new URL("../../mod.ts", import.meta.url).href;
    const code = `import { Client } from ${JSON.stringify(mod)};
      const pool = new Client(${JSON.stringify(dir)}).pool("race");
      pool.append({ pid: Deno.pid }); pool.close();`;
    const codes = await Promise.all([1, 2, 3, 4].map(async () => {
      const child = new Deno.Command(Deno.execPath(), {
        args: ["eval", "--no-lock", code],
        stderr: "inherit",
      });
      return (await child.output()).code;
    }));
    assert.deepEqual(codes, [0, 0, 0, 0]);
    using race = client.openPool("race");
    assert.equal(race.bounds().newestSeq, 4n);
    assert.deepEqual(
      [...Deno.readDirSync(dir)].map((entry) => entry.name).sort(),
      ["p.plasmite", "race.plasmite"],
    );
  }),
);

Deno.test(
  "list: sorted, damaged ones carry their error, others are left out",
  withClient((client, dir) => {
    for (const name of ["b", "a", "ü", "B"]) client.createPool(name, 8192).close();
    Deno.writeTextFileSync(`${dir}/broken.plasmite`, "x");
    Deno.writeTextFileSync(`${dir}/notes.txt`, "x");
    Deno.mkdirSync(`${dir}/dir.plasmite`);
    const list = client.listPools();
    assert.deepEqual(list.map((info) => info.name), ["B", "a", "b", "broken", "ü"]);
    const broken = list.find((info) => info.name === "broken");
    assert(PlasmiteError.is(broken?.error, ErrorKind.Corrupt));
    assert.equal(list.filter((info) => info.error !== undefined).length, 1);
  }),
);

Deno.test(
  "info tells sizes, bounds, use and age",
  withClient((client) => {
    using pool = client.createPool("p", 8192);
    assert.deepEqual(pool.bounds(), { oldestSeq: null, newestSeq: null });
    assert.equal(pool.info().metrics?.messageCount, 0n);
    pool.append({ n: 1 }, { timestampNs: 5n });
    pool.append({ n: 2 }, { timestampNs: 7n });
    for (const info of [pool.info(), client.poolInfo("p")]) {
      assert.deepEqual(info.bounds, { oldestSeq: 1n, newestSeq: 2n });
      assert.equal(info.metrics?.messageCount, 2n);
      assert.equal(info.metrics?.age.oldestTimeNs, 5n);
      assert.equal(info.metrics?.age.newestTimeNs, 7n);
      const { usedBytes, freeBytes } = info.metrics?.utilization ?? { usedBytes: 0, freeBytes: 0 };
      assert.equal(usedBytes + freeBytes, info.ringSize);
      assert(usedBytes > 0 && usedBytes % 8 === 0);
    }
  }),
);

// ---- appending -----------------------------------------------------------------------------------

Deno.test(
  "append: the Node binding's positional form and the options form",
  withClient((client) => {
    using pool = client.createPool("p");
    const one = pool.append({ x: 1 });
    assert.equal(one.seq, 1n);
    assert.deepEqual(one.tags, []);
    const two = pool.append({ x: 2 }, ["a", "b", "a"], Durability.Flush);
    assert.deepEqual(two.tags, ["a", "b", "a"]);
    const three = pool.append({ x: 3 }, {
      tags: ["c"],
      durability: "FAST" as "fast",
      timestampNs: 9n,
    });
    assert.equal(three.timestampNs, 9n);
    assert.equal(pool.append({ x: 4 }, [], 0).seq, 4n);
    assert.equal(pool.append({ x: 5 }, undefined, "flush").seq, 5n);
    for (const stored of [one, two, three]) {
      const read = pool.get(stored.seq);
      assert.deepEqual(read.data, stored.data);
      assert.deepEqual(read.tags, stored.tags);
      assert.equal(read.timestampNs, stored.timestampNs);
    }
    const now = Temporal.Now.instant().epochNanoseconds;
    assert(one.timestampNs > 1_600_000_000_000_000_000n && one.timestampNs <= now);
  }),
);

Deno.test(
  "append: what cannot be stored is Usage, and nothing is stored",
  withClient(async (client) => {
    using pool = client.createPool<JsonObject>("p", 8192);
    const cycle: Record<string, unknown> = {};
    cycle["self"] = cycle;
    const bad: unknown[] = [
      { n: NaN },
      { n: Infinity },
      { f: () => 1 },
      { s: Symbol("s") },
      cycle,
      { big: 2n ** 63n },
      { big: -(2n ** 63n) - 1n },
      { text: "\ud800" },
      [1],
      "text",
      7,
      null,
      undefined,
      true,
      { long: "x".repeat(9000) },
    ];
    for (const data of bad) {
      throwsKind("Usage", () => pool.append(data as JsonObject));
      await assert.rejects(
        pool.appendAsync(data as JsonObject),
        (error) => PlasmiteError.is(error, ErrorKind.Usage),
      );
    }
    throwsKind("Usage", () => pool.append({}, [1] as unknown as string[]));
    throwsKind("Usage", () => pool.append({}, { tags: [null] as unknown as string[] }));
    throwsKind("Usage", () => pool.append({}, [], "soon" as "fast"));
    throwsKind("Usage", () => pool.append({}, [], 2 as 1));
    throwsKind("Usage", () => pool.append({}, { timestampNs: -1n }));
    throwsKind("Usage", () => pool.append({}, { timestampNs: 2n ** 64n }));
    for (const json of ["", "{", "[1]", "7", '{"a":1} x', '{"a":01}', "\ufeff{}", '{"a":1e999}']) {
      throwsKind("Usage", () => pool.appendJson(utf8(json)));
    }
    throwsKind(
      "Usage",
      () => pool.appendJson(Uint8Array.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])),
    );
    assert.equal(pool.bounds().newestSeq, null);
    // And the next good one is right.
    assert.equal(pool.append({ fine: undefined, a: 1 }).seq, 1n);
    assert.deepEqual(pool.get(1).data, { a: 1 });
  }),
);

Deno.test(
  "appendJson stores the text's numbers and keys exactly",
  withClient((client) => {
    using pool = client.createPool("p");
    const json = '{"b":9007199254740993,"1":-0.0,"a":1.0,"t":0.00019929099404125106}';
    const raw = text(pool.appendJson(utf8(` ${json}\n`), ["x"]));
    assert(raw.startsWith(`{"data":${json},"meta":{"tags":["x"]},"seq":1,"time":"`), raw);
    assert.equal(text(pool.getJson(1)), raw);
    const again = text(pool.appendJson({ big: 2n ** 62n }));
    assert(again.includes('"big":4611686018427387904'));
  }),
);

Deno.test(
  "raw Lite3 messages go in and out byte for byte; broken ones are Corrupt",
  withClient((client) => {
    using pool = client.createPool("p");
    pool.append({ deep: [{ a: [1, 2, 3] }] }, ["t"]);
    const { payload, seq, flags } = pool.getLite3(1);
    assert.equal(seq, 1n);
    assert.equal(flags, 0);
    assert.equal(pool.appendLite3(payload), 2n);
    assert.deepEqual(pool.getLite3(2).payload, payload);
    const receipt = pool.appendLite3WithReceipt(payload, "flush");
    assert.equal(receipt.seq, 3n);
    assert.deepEqual(receipt.data, { deep: [{ a: [1, 2, 3] }] });
    assert.deepEqual(receipt.tags, ["t"]);
    // A view into a larger buffer, at an odd place.
    const wide = new Uint8Array(payload.length + 10);
    wide.set(payload, 3);
    assert.equal(pool.appendLite3(wide.subarray(3, 3 + payload.length)), 4n);
    assert.deepEqual(pool.get(4).data, receipt.data);
    for (const broken of [new Uint8Array(0), new Uint8Array(95), payload.subarray(0, 200)]) {
      throwsKind("Corrupt", () => pool.appendLite3(broken));
    }
    assert.equal(pool.bounds().newestSeq, 4n);
    // What was handed out is the caller's own.
    payload.fill(0);
    assert.deepEqual(pool.get(2).data, receipt.data);
  }),
);

Deno.test(
  "asynchronous appends of one turn keep their order, together with synchronous ones",
  withClient(async (client) => {
    using pool = client.createPool<{ n: number }>("p", 1 << 22);
    const waiting: Promise<Message<{ n: number }>>[] = [];
    for (let n = 1; n <= 500; n++) {
      waiting.push(pool.appendAsync({ n }, { tags: [`${n}`] }));
      if (n === 250) assert.equal(pool.append({ n: 0 }).seq, 251n);
    }
    const batch = pool.appendBatch([{ n: 501 }, { n: 502 }], { tags: ["both"] });
    const stored = await Promise.all(waiting);
    for (const [i, message] of stored.entries()) {
      assert.equal(message.seq, BigInt(i < 250 ? i + 1 : i + 2));
      assert.equal(message.data.n, i + 1);
      assert.deepEqual(message.tags, [`${i + 1}`]);
      assert.equal(pool.get(message.seq).data.n, i + 1);
    }
    assert.deepEqual((await batch).map((m) => [m.seq, m.data.n, m.tags[0]]), [
      [502n, 501, "both"],
      [503n, 502, "both"],
    ]);
  }),
);

// While another process holds the lock: a message that was called off must not be stored, and must not
// take one that was not along.
Deno.test(
  "appends that wait for a lock: what is called off is left out, the rest keeps its order",
  withClient(async (client) => {
    using pool = client.createPool<{ n: unknown }>("p", 65_536);
    await using holder = start("hold_lock.ts", pool.path, "exclusive", "20000");
    await holder.line();
    const abort = new AbortController();
    const { signal } = abort;
    const kept = [pool.appendAsync({ n: 1 }), pool.appendBatch([{ n: 2 }, { n: 3 }])];
    const off = [
      pool.appendAsync({ n: -1 }, { signal }),
      pool.appendBatch([{ n: -2 }], { signal }),
    ];
    const large = pool.appendAsync({ n: "x".repeat(65_536) });
    kept.push(pool.appendAsync({ n: 4 }));
    off.push(pool.appendAsync({ n: -3 }, { signal }));
    await assert.rejects(large, (error) => PlasmiteError.is(error, ErrorKind.Usage));
    abort.abort(new Error("called off"));
    for (const one of off) await assert.rejects(one, /called off/);
    kept.push(pool.appendAsync({ n: 5 }));
    await assert.rejects(pool.appendAsync({ n: -4 }, { signal }), /called off/);
    holder.kill(); // The next one waits in place until the lock is free.
    kept.push(Promise.resolve(pool.append({ n: 6 })));
    const stored = (await Promise.all(kept)).flat();
    assert.deepEqual(stored.map(({ data }) => data.n), [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(stored.map(({ seq }) => Number(seq)), [1, 2, 3, 4, 5, 6]);
    for (const { seq, data } of stored) assert.deepEqual(pool.get(seq).data, data);
    // The last one that is encoded, too, is left out.
    await using again = start("hold_lock.ts", pool.path, "exclusive", "20000");
    await again.line();
    const late = new AbortController();
    const seventh = pool.appendAsync({ n: 7 });
    const last = pool.appendAsync({ n: -5 }, { signal: late.signal });
    late.abort(new Error("called off"));
    await assert.rejects(last, /called off/);
    await again.release();
    assert.equal((await seventh).seq, 7n);
    assert.equal(pool.bounds().newestSeq, 7n);
  }),
);

Deno.test(
  "a batch: empty, all or none, larger than the ring",
  withClient(async (client) => {
    using pool = client.createPool<JsonObject>("p", 32 * 1024);
    assert.deepEqual(await pool.appendBatch([]), []);
    await assert.rejects(
      pool.appendBatch([{ n: 1 }, { n: NaN }, { n: 3 }]),
      (error) => PlasmiteError.is(error, ErrorKind.Usage),
    );
    await assert.rejects(
      pool.appendBatch([{ n: 1 }, { long: "x".repeat(40_000) }]),
      (error) => PlasmiteError.is(error, ErrorKind.Usage),
    );
    assert.equal(pool.bounds().newestSeq, null);
    const items = Array.from({ length: 300 }, (_, n) => ({ n, fill: "y".repeat(n) }));
    const stored = await pool.appendBatch(items);
    assert.deepEqual(stored.map((m) => m.seq), items.map((_, i) => BigInt(i + 1)));
    assert.deepEqual(stored.map((m) => m.data), items, "even those that are overwritten already");
    const { oldestSeq, newestSeq } = pool.bounds();
    assert.equal(newestSeq, 300n);
    assert(oldestSeq !== null && oldestSeq > 200n);
    for (let seq = oldestSeq; seq <= 300n; seq++) {
      assert.deepEqual(pool.get(seq).data, items[Number(seq) - 1]);
    }
    assert.equal(client.validatePool("p").status, "ok");
  }),
);

Deno.test("what was stored before the disk failed is acknowledged, the rest is not", async () => {
  const { storage, ring } = newRing(4000);
  const appender = new Appender(ring);
  const add = (size: number, count: number) =>
    appender.append((batch) => {
      for (let i = 0; i < count; i++) batch.addPayload(new Uint8Array(size), 1, 0);
    }, false);
  // The first fills most of the ring, so that the second needs a second group.
  const first = add(800, 4);
  const second = add(900, 3);
  first.catch(() => {});
  second.catch(() => {});
  storage.plan({ failAfter: 2 });
  const stored = await first;
  assert.deepEqual(stored.map((one) => one.seq), [1n, 2n, 3n, 4n]);
  await assert.rejects(second, (error) => PlasmiteError.is(error, ErrorKind.Io));
  storage.plan({});
  const later = await add(100, 1);
  assert.equal(later[0]?.seq, ring.state().newest);
  assert(ringGet(ring, later[0]?.seq ?? 0n) !== null);
  ring.close();
});

// ---- reading -------------------------------------------------------------------------------------

const BAD_SEQS: readonly unknown[] = [-1, 1.5, 2 ** 53, NaN, -1n, 2n ** 64n, "1", null, undefined];

Deno.test(
  "get: by number or bigint; what is not there is NotFound with its seq",
  withClient(async (client) => {
    using pool = client.createPool("p", 8192);
    for (let n = 1; n <= 30; n++) pool.append({ n });
    const { oldestSeq } = pool.bounds();
    assert(oldestSeq !== null && oldestSeq > 1n);
    assert.deepEqual(pool.get(30).data, { n: 30 });
    assert.deepEqual((await pool.getAsync(30n)).data, { n: 30 });
    assert.deepEqual(pool.get(oldestSeq).data, { n: Number(oldestSeq) });
    const missing: Seq[] = [0, 1, oldestSeq - 1n, 31, 2 ** 53 - 1, 2n ** 64n - 1n];
    for (const seq of missing) {
      throwsKind("NotFound", () => pool.get(seq), (error) => {
        assert.equal(error.seq, BigInt(seq));
        assert.equal(error.path, undefined);
        assert.equal(error.message, "message not found");
      });
      await assert.rejects(
        pool.getAsync(seq),
        (error) => PlasmiteError.is(error, ErrorKind.NotFound) && error.seq === BigInt(seq),
      );
      throwsKind("NotFound", () => pool.getJson(seq));
      throwsKind("NotFound", () => pool.getLite3(seq));
    }
    for (const seq of BAD_SEQS) throwsKind("Usage", () => pool.get(seq as Seq));
  }),
);

Deno.test("integers: exact where they must be, as the client wants them", () =>
  withDir((dir) => {
    const data = {
      small: 7,
      edge: 2 ** 53 - 1,
      big: 2n ** 53n,
      low: -(2n ** 63n),
      float: 1e300,
      one: 1.5,
    };
    using pool = new Client(dir).createPool("p");
    assert.deepEqual(pool.append(data).data, data);
    using numbers = new Client({ poolDir: dir, integers: "number" }).openPool("p");
    assert.deepEqual(numbers.get(1).data, { ...data, big: 2 ** 53, low: -(2 ** 63) });
    using bigints = new Client({ poolDir: dir, integers: "bigint" }).openPool("p");
    assert.deepEqual(bigints.get(1).data, {
      ...data,
      small: 7n,
      edge: 2n ** 53n - 1n,
      big: 2n ** 53n,
    });
    assert(text(numbers.get(1).raw).includes('"low":-9223372036854775808'), "raw is always exact");
  }));

Deno.test(
  "a message: time, text, JSON",
  withClient((client) => {
    using pool = client.createPool("p");
    const ns = 1_769_904_000_123_456_789n;
    pool.append({ b: 1, a: 2n ** 60n }, { tags: ["x"], timestampNs: ns });
    const message = pool.get(1);
    assert.equal(message.time.toISOString(), "2026-02-01T00:00:00.123Z");
    assert.equal(message.timeRfc3339, "2026-02-01T00:00:00.123456789Z");
    assert.equal(message.timestampNs, ns);
    assert.deepEqual(message.meta, { tags: ["x"] });
    assert(Object.isFrozen(message.tags));
    const line =
      '{"data":{"b":1,"a":1152921504606846976},"meta":{"tags":["x"]},"seq":1,"time":"2026-02-01T00:00:00.123456789Z"}';
    assert.equal(text(message.raw), line);
    assert.equal(JSON.stringify(message), line);
    const back = parseMessage(message.raw);
    assert.deepEqual(back.data, message.data);
    assert.equal(back.timestampNs, ns);
    assert.equal(back.seq, 1n);
    assert.deepEqual(back.tags, ["x"]);
    assert.equal(JSON.stringify(back), line);
    assert.equal(parseMessage(message), message);
  }),
);

Deno.test("parseMessage reads envelopes and refuses anything else", () => {
  const time = "2026-02-01T00:00:00Z";
  for (
    const [seq, expected] of [[5, 5n], [5n, 5n], ["5", 5n], [
      "18446744073709551615",
      2n ** 64n - 1n,
    ]] as const
  ) {
    const message = parseMessage({ seq, time, data: { x: 1 } });
    assert(message instanceof Message);
    assert.equal(message.seq, expected);
    assert.deepEqual(message.tags, []);
    assert.deepEqual(message.data, { x: 1 });
  }
  const exact = parseMessage(
    utf8(
      `{"seq":18446744073709551615,"time":"${time}","meta":{"tags":[1]},"data":{"n":9007199254740993}}`,
    ),
  );
  assert.equal(exact.seq, 2n ** 64n - 1n);
  assert.deepEqual(exact.tags, ["1"]);
  assert.deepEqual(exact.data, { n: 9007199254740993n });
  assert.equal(parseMessage(utf8(`{"seq":1e3,"time":"${time}","data":null}`)).seq, 1000n);
  const bad: unknown[] = [
    {},
    { seq: -1, time },
    { seq: 1.5, time },
    { seq: 2n ** 64n, time },
    { seq: "x", time },
    { seq: 2 ** 53, time },
    { seq: 1 },
    { seq: 1, time: "yesterday" },
    { seq: 1, time: 7 },
    utf8("{"),
    utf8("7"),
    utf8("null"),
    Uint8Array.from([0xff]),
  ];
  for (const source of bad) throwsKind("Usage", () => parseMessage(source as object));
});

Deno.test(
  "any JSON object comes back as it went in",
  withClient((client) => {
    using pool = client.createPool<JsonObject>("p", 1 << 20);
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue({ maxDepth: 4 }), {
          maxKeys: 12,
        }),
        fc.array(fc.string({ unit: "binary" }), { maxLength: 4 }),
        (object, tags) => {
          // Keys end at their first NUL (docs/spec/format.md 8.1), so they have none here.
          fc.pre(!JSON.stringify(object).includes("\\u0000"));
          const plain = JSON.parse(JSON.stringify(object)) as JsonObject;
          fc.pre(!Object.hasOwn(plain, "__proto__"));
          const stored = pool.append(plain, tags);
          const read = pool.get(stored.seq);
          assert.deepEqual(read.data, plain);
          assert.deepEqual(read.tags, tags);
          assert.deepEqual(JSON.parse(text(read.raw)).data, plain);
        },
      ),
      { numRuns: 300 },
    );
  }),
);

// ---- closing, deleting, replacing ------------------------------------------------------------------

Deno.test(
  "closing twice is fine, using what is closed is Usage",
  withClient(async (client) => {
    const pool: Pool = client.createPool("p");
    pool.append({ x: 1 });
    client.close();
    client.close();
    // Closing a client does not close its pools.
    assert.equal(pool.append({ x: 2 }).seq, 2n);
    for (
      const use of [
        () => client.createPool("q"),
        () => client.openPool("p"),
        () => client.pool("p"),
        () => client.poolInfo("p"),
        () => client.listPools(),
        () => client.deletePool("p"),
        () => client.validatePool("p"),
      ]
    ) throwsKind("Usage", use);
    const { payload } = pool.getLite3(1);
    pool.close();
    pool.close();
    pool[Symbol.dispose]();
    await pool[Symbol.asyncDispose]();
    for (
      const use of [
        () => pool.append({ x: 3 }),
        () => pool.appendJson(utf8("{}")),
        () => pool.appendLite3(payload),
        () => pool.get(1),
        () => pool.getJson(1),
        () => pool.getLite3(1),
        () => pool.info(),
        () => pool.bounds(),
        () => pool.tail(),
        () => pool.openStream(),
        () => pool.openLite3Stream(),
        () => pool.checkCurrentPath(),
      ]
    ) throwsKind("Usage", use);
    for (
      const use of [
        () => pool.appendAsync({ x: 3 }),
        () => pool.appendBatch([{ x: 3 }]),
        () => pool.getAsync(1),
        () => pool.infoAsync(),
        () => pool.tailLite3().next(),
        () => pool.replay().next(),
      ]
    ) {
      await assert.rejects(use(), (error) => PlasmiteError.is(error, ErrorKind.Usage), String(use));
    }
    assert.equal(pool.name, "p");
  }),
);

Deno.test(
  "an append that waits when its pool is closed is refused",
  withClient(async (client) => {
    const pool = client.createPool("p");
    const waiting = pool.appendAsync({ x: 1 });
    pool.close();
    await assert.rejects(waiting, (error) => PlasmiteError.is(error, ErrorKind.Usage));
    assert.deepEqual(client.poolInfo("p").bounds.newestSeq, null);
  }),
);

Deno.test(
  "a deleted pool is not written to; a new one of that name is not touched",
  withClient(async (client, dir) => {
    using pool = client.createPool("p");
    pool.append({ x: 1 });
    pool.checkCurrentPath();
    client.deletePool("p");
    assert.deepEqual([...Deno.readDirSync(dir)], []);
    for (const use of [() => pool.append({ x: 2 }), () => pool.checkCurrentPath()]) {
      throwsKind("NotFound", use, (error) => assert.equal(error.path, `${dir}/p.plasmite`));
    }
    assert.deepEqual(pool.get(1).data, { x: 1 }, "reading the old file goes on");
    using other = client.createPool("p");
    await assert.rejects(pool.appendAsync({ x: 2 }), (error) => {
      assert(PlasmiteError.is(error, ErrorKind.NotFound));
      assert.equal(error.message, "pool path now refers to a different file");
      assert(error.hint !== undefined);
      return true;
    });
    throwsKind("NotFound", () => pool.checkCurrentPath());
    assert.equal(other.bounds().newestSeq, null);
    assert.equal(pool.bounds().newestSeq, 1n);
  }),
);

Deno.test(
  "damaged pools can be deleted",
  withClient((client, dir) => {
    Deno.writeTextFileSync(`${dir}/broken.plasmite`, "x");
    client.deletePool("broken");
    assert.deepEqual([...Deno.readDirSync(dir)], []);
  }),
);

Deno.test(
  "validatePool reports damage with what is lost",
  withClient((client) => {
    using pool = client.createPool("p", 65536);
    for (let n = 1; n <= 10; n++) pool.append({ n });
    assert.deepEqual(client.validatePool("p").status, "ok");
    assert.equal(client.validatePool("p").lastGoodSeq, 10n);
    const bytes = Deno.readFileSync(pool.path);
    const hit = specCheck(bytes).messages[4];
    assert(hit !== undefined);
    const at = pool.info().ringOffset + hit.at + 70;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    Deno.writeFileSync(pool.path, bytes);
    const report = client.validatePool("p");
    assert.equal(report.status, "corrupt");
    assert.equal(report.lastGoodSeq, 4n);
    assert.equal(report.issueCount, 1);
    assert.deepEqual(report.issues[0]?.lost, { first: 5n, last: 5n });
    throwsKind("Corrupt", () => pool.get(5), (error) => {
      assert.equal(error.path, pool.path);
      assert.equal(error.offset, BigInt(hit.at));
    });
    assert.deepEqual(pool.get(6).data, { n: 6 });
  }),
);

Deno.test("errors are one class with kinds, context and the old alias", () => {
  assert.equal(PlasmiteNativeError, PlasmiteError);
  const error = new PlasmiteError("RetentionGap", "x", {
    seq: 5n,
    hint: "h",
    path: "/p",
    offset: 9n,
  });
  assert.equal(error.kind, 9);
  assert.equal(error.kindName, "RetentionGap");
  assert.equal(error.name, "PlasmiteError");
  assert(error instanceof Error);
  const thrown: unknown = error;
  assert.deepEqual(
    [undefined, ErrorKind.RetentionGap, ErrorKind.Io].map((kind) => PlasmiteError.is(thrown, kind)),
    [true, true, false],
  );
  assert(!PlasmiteError.is(new Error("x")));
  const more = error.with({ path: "/other", causes: ["c"] });
  assert.deepEqual([more.path, more.causes, more.seq, more.offset], ["/p", ["c"], 5n, 9n]);
});

Deno.test("the appender works on any storage", () => {
  const storage = new MemoryStorage();
  createRing(storage, POOL, { size: 8192 });
  const ring = openToAppend(storage, POOL);
  const appender = new Appender(ring);
  const stored = appender.appendSync((batch) => batch.addPayload(new Uint8Array(5), 3, 0), true);
  assert.deepEqual(stored.map(({ seq, timestampNs }) => [seq, timestampNs]), [[1n, 3n]]);
});
