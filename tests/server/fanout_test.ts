/**
 * Many streams of one pool. Lost without it: a thousand people who follow a pool each cost the server
 * a reading of the file and a printing of the same message, and the last of them waits for all the
 * others; and what is read once for all must be the truth for each.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Fresh } from "../../lib/backend/local/fresh.ts";
import { Hubs } from "../../lib/backend/local/hub.ts";
import { Ring } from "../../lib/pool/ring.ts";
import { disk } from "../../lib/storage/file.ts";
import { inPlace } from "../../lib/storage/steps.ts";
import type { App } from "../../server/app.ts";
import { type Encoding, FRAMES, LINES, MARK_LENGTH } from "../../server/encodings.ts";
import { Client } from "../../mod.ts";
import { until } from "../support/patience.ts";
import { withDir } from "../support/processes.ts";
import { turnsDuring } from "../support/turns.ts";
import { bench, lines, read } from "./server_util.ts";

type Reader = ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;

/** Opens a stream. */
async function open(app: App, path: string): Promise<Reader> {
  const { body, status } = await app.request(path);
  assert.ok(body !== null && status === 200, `${path}: ${status}`);
  return body.getReader();
}

function opened(app: App, count: number, path: string): Promise<Reader[]> {
  return Promise.all(Array.from({ length: count }, () => open(app, path)));
}

/** Reads until the text ends with this, in every stream. */
function readTo(readers: readonly Reader[], end: string): Promise<string[]> {
  return Promise.all(readers.map(async (reader) => {
    const decoder = new TextDecoder();
    for (let text = "";;) {
      const { value, done } = await reader.read();
      assert.equal(done, false, `${end}: ${text}`);
      text += decoder.decode(value, { stream: true });
      if (text.includes(end)) return text;
    }
  }));
}

/** Calls `see` for each message that is printed in a form, while `work` runs. */
async function printing(form: Encoding, see: () => void, work: () => Promise<void>): Promise<void> {
  const real = form.put;
  const put: Encoding["put"] = (...args) => {
    see();
    real(...args);
  };
  Object.assign(form, { put });
  try {
    await work();
  } finally {
    Object.assign(form, { put: real });
  }
}

/** Counts what is read from files while `work` runs. */
async function readsDuring(work: () => Promise<unknown>): Promise<number> {
  const real = Deno.FsFile.prototype.readSync;
  let count = 0;
  Deno.FsFile.prototype.readSync = function (this: Deno.FsFile, into) {
    count++;
    return real.call(this, into);
  };
  try {
    await work();
    return count;
  } finally {
    Deno.FsFile.prototype.readSync = real;
  }
}

Deno.test("fan-out: a message is read and printed once for all streams that wait for it", async () => {
  const { app, client, end } = await bench({ maxTailConcurrency: 500 });
  using pool = client.createPool("p");
  const forms = [["p/tail", LINES], ["p/tail_lite3", FRAMES]] as const;
  for (const [path, form] of forms) {
    const readers = await opened(app, 200, `/v0/pools/${path}`);
    pool.append({ text: `first-${path}` });
    await readTo(readers, `first-${path}`);
    const next = readTo(readers, `second-${path}`);
    let printed = 0;
    const reads = await readsDuring(() =>
      printing(form, () => printed++, async () => {
        pool.append({ text: `second-${path}` });
        await next;
      })
    );
    // A heartbeat or the watch may have somebody look by itself.
    assert.ok(printed <= 5, `${printed} times printed`);
    assert.ok(reads <= 200, `${reads} reads for 200 streams`);
    await Promise.all(readers.map((reader) => reader.cancel()));
  }
  await until(() => app.streams === 0);
  await end();
});

Deno.test("fan-out: streams that choose differently each get what they would get alone", async () => {
  const { app, client, end } = await bench({ maxTailConcurrency: 500 });
  using pool = client.createPool("p");
  const where = (text: string): string => `where=${encodeURIComponent(text)}`;
  const queries = [
    "",
    "tag=odd",
    "tag=odd&tag=third",
    where(".data.i > 12"),
    `${where(".data.i < 30")}&tag=third`,
    where('.data.text | test("e")'),
    "tag=end",
  ];
  const paths = ["pools/p/tail", "pools/p/tail_lite3", "ui/pools/p/events"];
  const all = paths.flatMap((path) => queries.map((query) => `/v0/${path}?${query}`));
  const twice = [...all, ...all].map((path) => ({ path, max: -1 }));
  pool.append({ i: 0 });
  const streams = await Promise.all(twice.map(({ path }) => open(app, path)));
  const texts = streams.map(() => "");
  const decoder = new TextDecoder("latin1");
  const done = Promise.all(streams.map(async (reader, at) => {
    for (;;) {
      const { value } = await reader.read();
      texts[at] += decoder.decode(value);
      if (texts[at]?.includes("the-end-of-it")) return;
    }
  }));
  const append = (i: number, more: readonly string[] = []): void => {
    const tags = [...i % 2 === 1 ? ["odd"] : [], ...i % 3 === 0 ? ["third"] : [], ...more];
    pool.append({ i, text: i % 5 === 0 ? "seven" : "two" }, { tags });
  };
  for (let i = 1; i <= 40;) {
    // Sometimes one, sometimes several, and large ones among them.
    for (let n = i % 4; n >= 0; n--) append(i++);
    if (i % 7 === 0) pool.append({ i: 20, text: "e".repeat(80_000) }, { tags: ["odd"] });
    await new Promise((resolve) => setTimeout(resolve, i % 3));
  }
  // One that everybody gets.
  pool.append({ i: 21, text: "the-end-of-it" }, { tags: ["odd", "third", "end"] });
  await done;
  for (const [at, { path }] of twice.entries()) {
    const alone = await app.request(`${path}&no_follow=1`);
    const expected = decoder.decode(new Uint8Array(await alone.arrayBuffer()));
    // Marks and heartbeats were not asked for, or are too seldom.
    assert.ok(texts[at] === expected, `${path}: ${texts[at]?.length} of ${expected.length} bytes`);
  }
  await Promise.all(streams.map((reader) => reader.cancel()));
  await until(() => app.streams === 0);
  await end();
});

/** Which numbers a stream of frames has delivered, and which it has reported as lost. */
function accountOf(bytes: Uint8Array): { got: number[]; lost: number[] } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const got: number[] = [];
  const lost: number[] = [];
  for (let at = 0; at < bytes.length;) {
    const seq = Number(view.getBigUint64(at));
    const length = view.getUint32(at + 16);
    const first = Number(view.getBigUint64(at + 8));
    if (length !== MARK_LENGTH) got.push(seq);
    else if (first !== 0) { for (let i = first; i < seq; i++) lost.push(i); }
    at += 20 + (length === MARK_LENGTH ? 0 : length);
  }
  return { got, lost };
}

Deno.test("fan-out: every stream says which messages it has lost, whether it waited or was slow", async () => {
  const { app, client, end } = await bench({ maxTailConcurrency: 500 });
  using pool = client.createPool("p", 1 << 14);
  const last = 600;
  const readers = await opened(app, 40, "/v0/pools/p/tail_lite3?marks=1&since_seq=1");
  const done = Promise.all(readers.map(async (reader, at) => {
    const all: { got: number[]; lost: number[] } = { got: [], lost: [] };
    for (let n = 0;; n++) {
      // Some read at once, others later and later.
      for (let slow = at % 4 * n; slow > 0; slow--) await new Promise((r) => setTimeout(r, 0));
      const { value } = await reader.read();
      const { got, lost } = accountOf(value ?? new Uint8Array());
      all.got.push(...got);
      all.lost.push(...lost);
      if (all.got.at(-1) === last) return all;
    }
  }));
  for (let i = 1; i < last;) {
    // Twice the ring in one go now and then, so that also those are overtaken who wait.
    for (let n = i % 150 === 1 ? 100 : 2; n > 0 && i < last; n--) {
      pool.append({ i: i++, p: "x".repeat(300) });
    }
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  await new Promise((resolve) => setTimeout(resolve, 20));
  pool.append({ i: last });
  for (const { got, lost } of await done) {
    assert.ok(lost.length > 0, "nothing was lost: the test is too slow");
    assert.deepEqual(
      [...got, ...lost].sort((a, b) => a - b),
      Array.from({ length: last }, (_, i) => i + 1),
    );
    assert.deepEqual(got, got.toSorted((a, b) => a - b));
  }
  await Promise.all(readers.map((reader) => reader.cancel()));
  await until(() => app.streams === 0);
  await end();
});

Deno.test("fan-out: nobody gets a message that a power loss took back, under its number", async () => {
  const { app, client, dir, end } = await bench({ maxTailConcurrency: 500 });
  const path = `${dir}/p.plasmite`;
  using pool = client.createPool("p", 1 << 16);
  pool.append({ text: "one" });
  const readers = await opened(app, 20, "/v0/pools/p/tail");
  const slow = await open(app, "/v0/pools/p/tail?since_seq=2");
  await readTo(readers, "one");
  // What was not on the disk: the file is as it was before the second message.
  const before = await Deno.readFile(path);
  let next = readTo(readers, "former");
  pool.append({ text: "former" });
  await next;
  {
    using file = Deno.openSync(path, { write: true });
    file.writeSync(before);
  }
  let late: Promise<string[]> | undefined;
  next = readTo(readers, "third");
  await printing(LINES, () => {
    // In the midst of the others, one comes that has not read the second yet.
    queueMicrotask(() => late ??= readTo([slow], "third"));
  }, async () => {
    pool.append({ text: "later" });
    pool.append({ text: "third" });
    await next;
  });
  assert.deepEqual(lines((await late)?.[0] ?? "").map(({ seq, data }) => [seq, data.text]), [
    [2, "later"],
    [3, "third"],
  ]);
  const fresh = lines((await read(app.request("/v0/pools/p/tail?since_seq=2&max=2"))).text);
  assert.deepEqual(fresh.map(({ data }) => data.text), ["later", "third"]);
  await Promise.all([...readers, slow].map((reader) => reader.cancel()));
  await until(() => app.streams === 0);
  await end();
});

Deno.test("fan-out: a new pool of the same name has its own messages", async () => {
  const { app, client, end } = await bench({ maxTailConcurrency: 500 });
  for (let round = 0; round < 2; round++) {
    using pool = client.createPool("p");
    pool.append({ round, text: "first" });
    const readers = await opened(app, 20, "/v0/pools/p/tail");
    const next = readTo(readers, "second");
    pool.append({ round, text: "second" });
    for (const text of await next) {
      assert.deepEqual(lines(text).map(({ data }) => [data.round, data.text]), [
        [round, "first"],
        [round, "second"],
      ]);
    }
    // They wait for the third; the one that comes is that of another pool.
    const ends = Promise.all(readers.map(async (reader) => {
      let text = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return text;
        text += new TextDecoder().decode(value);
      }
    }));
    client.deletePool("p");
    using other = client.createPool("p");
    for (const text of ["a", "b", "c"]) other.append({ round: -1, text });
    const others = await opened(app, 20, "/v0/pools/p/tail?since_seq=3");
    const found = readTo(others, "four");
    other.append({ round: -1, text: "four" });
    for (const text of await found) {
      assert.deepEqual(lines(text).map(({ data }) => data.text), ["c", "four"]);
    }
    for (const text of await ends) {
      assert.deepEqual(lines(text).map(({ error }) => error?.kind), ["NotFound"]);
    }
    await Promise.all(others.map((reader) => reader.cancel()));
    client.deletePool("p");
  }
  await until(() => app.streams === 0);
  await end();
});

Deno.test("fan-out: what is known of one file is not taken for another that has its path", async () => {
  await withDir(async (dir) => {
    using client = new Client(dir);
    using pool = client.createPool("p");
    pool.append({ i: 1 });
    const path = pool.path;
    const hubs = new Hubs();
    const [watch, other] = [inPlace(hubs.watching(path)), inPlace(hubs.watching(path))];
    const same = Ring.open(disk, path);
    assert.equal(watch.fresh?.(same, 2n), null, "there is nothing new");
    client.deletePool("p");
    using again = client.createPool("p");
    again.append({ i: 1 });
    const ring = Ring.open(disk, path);
    assert.equal(other.fresh?.(ring, 2n), undefined, "it has to look itself");
    for (const one of [watch, other, same, ring]) one.close();
    await until(() => hubs.followers(path) === 0);
  });
});

Deno.test("fan-out: little is kept of what is new, for a short time", async () => {
  await withDir((dir) => {
    using client = new Client(dir);
    using pool = client.createPool("p", 1 << 24);
    const ring = Ring.open(disk, pool.path);
    const fresh = new Fresh(ring);
    for (let seq = 1n, i = 1; i <= 3000; i++) {
      pool.append({ i, pad: "x".repeat(i * 10) });
      if (i % 3 !== 0) continue;
      const piece = fresh.from(seq);
      assert.equal(piece?.first, seq);
      assert.equal(fresh.from(seq), piece, "it was read again");
      seq = piece.end;
      assert.ok(fresh.bytes <= (1 << 20) + piece.u8.length, `${fresh.bytes} bytes`);
    }
    const { newest } = ring.state();
    assert.equal(fresh.from(newest)?.end, newest + 1n);
    assert.equal(fresh.from(1n), undefined, "what is behind is not kept");
    fresh.clear();
    assert.equal(fresh.bytes, 0);
    assert.equal(fresh.from(newest), undefined, "it was kept");
    ring.close();
    return Promise.resolve();
  });
});

Deno.test("fan-out: while a thousand followers are woken, others have their turns", async () => {
  await withDir(async (dir) => {
    using client = new Client(dir);
    using pool = client.createPool("p");
    const hubs = new Hubs();
    const watch = inPlace(hubs.watching(pool.path));
    const real = performance.now;
    let now = real.call(performance);
    performance.now = () => now;
    let woken = 0;
    const wake = (): void => {
      woken++;
      now += 0.1;
    };
    try {
      const turns = await turnsDuring(async () => {
        const seen = watch.version;
        for (let i = 0; i < 1000; i++) assert.ok(watch.sleep?.(seen, () => wake()));
        pool.append({ i: 1 });
        while (woken < 1000) await new Promise((resolve) => setTimeout(resolve, 1));
      });
      // A hundred milliseconds of work, four at a time.
      assert.ok(turns >= 15, `${turns} turns`);
    } finally {
      performance.now = real;
      watch.close();
    }
  });
});
