/**
 * The last N messages, whatever N: what matters is which they are, that none is lost unnoticed while
 * writers go on, and that a Raspberry Pi does not run out of memory by asking for a million.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import fc from "fast-check";
import { Client, replay } from "../../mod.ts";
import { SeqSet } from "../../lib/backend/seq_set.ts";
import { findLast } from "../../lib/backend/last.ts";
import { FrameQueue } from "../../lib/backend/frame_queue.ts";
import { LocalBackend } from "../../lib/backend/local.ts";
import { CLI } from "../support/paths.ts";
import { until } from "../support/patience.ts";
import { withDir } from "../support/processes.ts";
import type { Gap } from "../../lib/types.ts";

const halves = (n: bigint): [number, number] => [Number(n & 0xffff_ffffn), Number(n >> 32n)];
const anySeq = fc.oneof(
  fc.bigInt({ min: 1n, max: 300n }),
  fc.bigInt({ min: 65_500n, max: 65_600n }),
  fc.bigInt({ min: 0xffff_ff00n, max: 0x1_0000_0100n }),
  fc.bigInt({ min: 0xffff_ffff_ffff_fff0n, max: 0xffff_ffff_ffff_ffffn }),
);

Deno.test("a set of sequence numbers holds what was put in, in order, up to 2^64 - 1", () => {
  fc.assert(fc.property(fc.array(anySeq), fc.array(anySeq), (put, asked) => {
    const set = new SeqSet();
    for (const seq of put) set.add(...halves(seq));
    const model = [...new Set(put)].sort((a, b) => a < b ? -1 : 1);
    assert.equal(set.size, model.length);
    for (const seq of [...put, ...asked]) assert.equal(set.has(...halves(seq)), put.includes(seq));
    for (const [i, seq] of model.entries()) assert.equal(set.nth(i), seq);
    assert.equal(set.nth(model.length), null);
  }));
});

Deno.test("messages and losses come out of a queue in the order in which they went in", () => {
  const item = fc.oneof(
    fc.record({
      seq: fc.bigInt({ min: 1n, max: 1n << 64n }).map((n) => n - 1n),
      size: fc.nat(3000),
    }),
    fc.record({ first: anySeq, last: anySeq }),
    fc.constant("take" as const),
  );
  const check = (items: readonly ({ seq: bigint; size: number } | Gap | "take")[]): void => {
    const queue = new FrameQueue();
    const model: unknown[] = [];
    const take = (): unknown => {
      const one = queue.shift();
      if (one === null) return undefined;
      if ("first" in one) return { ...one };
      const bytes = one.u8.subarray(one.payloadAt, one.payloadAt + one.payloadLength);
      return { seq: one.seq, time: one.timestampNs, bytes: bytes.join() };
    };
    for (const one of items) {
      if (one === "take") assert.deepEqual(take(), model.shift());
      else if ("first" in one) {
        queue.lost(one);
        model.push({ ...one });
      } else {
        const u8 = new Uint8Array(one.size + 9).map((_, i) => i + Number(one.seq & 0xffn));
        const [seqLo, seqHi] = halves(one.seq);
        const frame = { u8, payloadAt: 5, payloadLength: one.size, seqLo, seqHi };
        queue.push({ ...frame, timeLo: seqHi, timeHi: seqLo, seq: one.seq, timestampNs: 0n });
        const time = (BigInt(seqLo) << 32n) | BigInt(seqHi);
        model.push({ seq: one.seq, time, bytes: u8.subarray(5, 5 + one.size).join() });
      }
    }
    while (model.length > 0) assert.deepEqual(take(), model.shift());
    assert.equal(take(), undefined);
    assert.equal(queue.bytes, 0);
  };
  fc.assert(fc.property(fc.array(item, { maxLength: 40 }), check));
  // Larger than a block, at a block's end, and behind it.
  check([{ seq: 1n, size: 1 << 20 }, { seq: 2n, size: 3 << 20 }, "take", { seq: 3n, size: 5 }]);
});

/** A pool whose message `i` carries the tag `m` when `i` is in `marked`. */
async function markedPool(
  client: Client,
  name: string,
  count: number,
  marked: (i: number) => boolean,
  options: { sizeBytes?: number; indexCapacity?: number } = {},
): Promise<void> {
  using pool = client.createPool<{ i: number; even: boolean; p: string }>(name, {
    sizeBytes: 8 << 20,
    ...options,
  });
  for (let i = 1; i <= count; i++) {
    const tags = marked(i) ? ["m"] : [];
    void pool.appendAsync({ i, even: i % 2 === 0, p: "" }, { tags });
    if (i % 1000 === 0) await pool.appendBatch([]);
  }
  await pool.appendBatch([]);
}

Deno.test("the last N matches are the last N, however far back they are", async () => {
  await withDir(async (dir) => {
    const client = new Client(dir);
    const total = 6000;
    const patterns: Record<string, (i: number) => boolean> = {
      every: () => true,
      none: () => false,
      seventh: (i) => i % 7 === 0,
      early: (i) => i <= 40,
      single: (i) => i === 3,
      bursts: (i) => i % 1000 < 30,
    };
    for (const [name, marked] of Object.entries(patterns)) {
      await markedPool(client, name, total, marked, { indexCapacity: name === "bursts" ? 0 : 500 });
      const all = Array.from({ length: total }, (_, i) => i + 1).filter(marked);
      const pool = new LocalBackend(dir).openNow(name);
      const piece = (from: bigint, until: bigint) => pool.select({ from, until, tags: ["m"] });
      for (const n of [1, 2, 39, 40, 41, 255, 256, 257, 1500, total, 10 * total]) {
        const last = await findLast(1n, BigInt(total), n, piece);
        const expected = all.slice(-n);
        assert.equal(last.first, BigInt(expected[0] ?? total + 1), `${name}, ${n}`);
        const from = expected[0] ?? total + 1;
        for (let i = from; i <= total; i++) assert.equal(last.matches.has(i, 0), marked(i));
      }
      pool.close();
    }
    client.close();
  });
});

Deno.test("a slow walk that is overtaken reports exactly what is missing", async () => {
  await withDir(async (dir) => {
    const client = new Client(dir);
    await markedPool(client, "p", 1500, () => true, { sizeBytes: 1 << 20 });
    using pool = client.openPool("p");
    const { oldestSeq, newestSeq } = pool.bounds();
    assert(oldestSeq !== null && newestSeq !== null);
    let lost = 0;
    for (const stopEvery of [1, 100, 700]) {
      const { oldestSeq: from, newestSeq: until } = pool.bounds();
      assert(from !== null && until !== null);
      const seen: bigint[] = [];
      const gaps: Gap[] = [];
      const reading = new LocalBackend("").openNow(pool.path);
      const walk = await reading.select({ from, until });
      reading.close();
      for (let pauses = 0;;) {
        const found = walk.next();
        const gap = walk.takeGap();
        if (gap !== null) gaps.push(gap);
        if (found) seen.push(walk.frame.seq);
        else if (walk.ended) break;
        else await walk.wait();
        // A writer goes half round the ring in each of the first pauses.
        if (!found || seen.length % stopEvery !== 0 || ++pauses > 3) continue;
        await pool.appendBatch(Array.from({ length: 700 }, (_, i) => ({ i, p: "x" })));
      }
      walk.close();
      // What was seen and what was lost are the whole stretch, each number once and in order.
      const told = [
        ...seen.map((seq) => ({ first: seq, last: seq })),
        ...gaps,
      ].sort((a, b) => a.first < b.first ? -1 : 1);
      let next = from;
      for (const { first, last } of told) {
        assert.equal(first, next);
        next = last + 1n;
      }
      assert.equal(next, until + 1n);
      assert.ok(seen.length > 0);
      lost += gaps.length;
    }
    assert.ok(lost > 0);
    client.close();
  });
});

Deno.test("a search that is overtaken reports the loss, and what it found is still right", async () => {
  await withDir(async (dir) => {
    const client = new Client(dir);
    await markedPool(client, "p", 1500, (i) => i % 100 === 0, { sizeBytes: 1 << 20 });
    using pool = client.openPool("p");
    const { oldestSeq, newestSeq } = pool.bounds();
    assert(oldestSeq !== null && newestSeq !== null);
    const reading = new LocalBackend("").openNow(pool.path);
    let opened = 0;
    const last = await findLast(oldestSeq, newestSeq, 1000, (from, until) => {
      // Before the second look back, a writer takes most of what it would look at.
      if (++opened === 2) {
        for (let i = 0; i < 900; i++) pool.append({ i, p: "x".repeat(60) });
      }
      return reading.select({ from, until, tags: ["m"] });
    });
    reading.close();
    const now = pool.bounds().oldestSeq ?? 0n;
    // Whoever reads from the first that was lost is told of the gap.
    assert.ok(last.first < now, `${last.first} is before ${now}`);
    assert.ok(last.matches.size >= 2 && last.matches.size < 15);
    client.close();
  });
});

Deno.test("replay in a program reads ahead, and gives the last N of a selection", async () => {
  await withDir(async (dir) => {
    using client = new Client(dir);
    await markedPool(client, "p", 3000, (i) => i % 3 === 0, { sizeBytes: 4 << 20 });
    using pool = client.openPool<{ i: number }>("p");
    const numbers = async (options: Parameters<typeof replay>[1]): Promise<number[]> => {
      const found: number[] = [];
      for await (const { data } of replay(pool, { speed: 0, ...options })) found.push(data.i);
      return found;
    };
    assert.deepEqual(await numbers({ tags: "m", last: 3 }), [2994, 2997, 3000]);
    assert.deepEqual(await numbers({ sinceSeq: 2995, tags: "m", last: 30 }), [2997, 3000]);
    assert.deepEqual(await numbers({ last: 2, maxMessages: 1 }), [2999]);
    assert.equal((await numbers({ last: 2500 })).length, 2500);
    assert.deepEqual(await numbers({ sinceSeq: 3001, last: 2 }), []);
    // What is held already is not lost when the ring goes round.
    const slow = replay(pool, { speed: 0, sinceSeq: 1 });
    const first = (await slow.next()).value;
    assert.equal(first?.seq, 1n);
    for (let i = 0; i < 12; i++) {
      await pool.appendBatch(Array.from({ length: 1000 }, (_, k) => ({ i: k })));
    }
    assert.ok((pool.bounds().oldestSeq ?? 0n) > 3000n);
    let next = 2n;
    for await (const { seq } of slow) assert.equal(seq, next++);
    assert.equal(next, 3001n);
  });
});

// ---- memory: real processes ----------------------------------------------------------------------

const MANY = 100_000;

/** The largest size so far of a process, in MB; 0 when it has ended. */
function peak(pid: number): number {
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

/** A `plasmite serve` of its own. */
async function startServer(dir: string): Promise<{ url: string; child: Deno.ChildProcess }> {
  const ready = `${dir}/ready`;
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--quiet",
      "--no-lock",
      CLI,
      "--dir",
      dir,
      "serve",
      "--bind",
      "127.0.0.1:0",
    ],
    env: { PLASMITE_SERVE_READY_FILE: ready },
    stdout: "null",
    stderr: "null",
  }).spawn();
  await until(() => existsSync(ready), "the server did not start");
  return { url: `http://${Deno.readTextFileSync(ready)}`, child };
}

/**
 * Runs a program, throws its output away, and returns how many lines that was and its largest size in
 * MB; it is killed after `enough` lines.
 */
async function peakOf(
  args: readonly string[],
  enough = Infinity,
): Promise<{ lines: number; mb: number }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-lock", ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let lines = 0;
  let mb = 0;
  const look = (): void => {
    mb = Math.max(mb, peak(child.pid));
  };
  const timer = setInterval(look, 5);
  for await (const chunk of child.stdout) {
    look();
    for (const byte of chunk) if (byte === 0x0a) lines++;
    if (lines >= enough) break;
  }
  if (lines >= enough) child.kill("SIGKILL");
  await child.status;
  clearInterval(timer);
  return { lines, mb };
}

Deno.test({
  name: "a hundred thousand messages asked for at once take no more memory than ten",
  ignore: Deno.build.os !== "linux",
  fn: async (t) => {
    await withDir(async (dir) => {
      using client = new Client(dir);
      await markedPool(client, "big", MANY, () => true, { sizeBytes: 64 << 20 });
      const { url, child } = await startServer(dir);
      const program = [CLI, "--dir", dir];
      const follow = (...args: string[]) => [...program, "follow", "big", "--jsonl", ...args];
      // It stays, so that its size is seen for certain.
      const { mb: base } = await peakOf(follow("--tail", "10"), 10);
      const cases: [string, string[], number][] = [
        ["--tail", follow("--no-follow", "--tail", `${MANY - 1}`), MANY - 1],
        ["--tail, live", follow("--timeout", "100ms", "--tail", `${MANY - 1}`), MANY - 1],
        [
          "--tail --where",
          follow("--no-follow", "--tail", "40000", "--where", ".data.even"),
          40000,
        ],
        [
          "--tail --where, by jq itself",
          follow("--no-follow", "--tail", "20000", "--where", "[.data.i] | length == 1"),
          20000,
        ],
        ["--tail --tag", follow("--no-follow", "--tail", "60000", "--tag", "m"), 60000],
        ["--tail --tag --one", follow("--tail", "60000", "--tag", "m", "--one"), 1],
        ["--replay", follow("--tail", `${MANY}`, "--replay", "1e12"), MANY],
        ["--replay --since", follow("--since", "1d", "--replay", "1e12", "--tag", "m"), MANY],
        [
          "duplex",
          [...program, "duplex", "big", "--jsonl", "--me", "x", "--tail", `${MANY}`],
          MANY,
        ],
        [
          "from a server",
          [CLI, "follow", `${url}/big`, "--jsonl", "--no-follow", "--tail", "60000", "--tag", "m"],
          60000,
        ],
      ];
      for (const [name, args, lines] of cases) {
        await t.step(name, async () => {
          const peak = await peakOf(args);
          assert.equal(peak.lines, lines);
          // Each message in memory would be 2 KB.
          assert.ok(peak.mb < base + 45, `${peak.mb} MB; with --tail 10 ${base} MB`);
        });
      }
      await t.step("the server at the same time", () => {
        const mb = peak(child.pid);
        assert.ok(mb > 0 && mb < base + 80, `${mb} MB`);
      });
      child.kill();
      await child.status;
    });
  },
});

Deno.test("a slow reader of the last N gets a report of its losses, and the rest in order", async () => {
  await withDir(async (dir) => {
    using client = new Client(dir);
    await markedPool(client, "p", 6000, () => true, { sizeBytes: 3 << 20 });
    using pool = client.openPool<{ i: number; even: boolean; p: string }>("p");
    const newest = pool.bounds().newestSeq ?? 0n;
    assert.equal(newest, 6000n);
    for (const filter of [[], ["--where", ".data.even"]]) {
      const { oldestSeq, newestSeq } = pool.bounds();
      assert(oldestSeq !== null && newestSeq !== null);
      const tail = filter.length > 0 ? 2000 : 4000;
      const child = new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "-A", "--quiet", "--no-lock", CLI, "--dir", dir, "follow", "p", "--jsonl"],
          ...["--tail", `${tail}`, "--timeout", "1s", ...filter],
        ],
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      let text = (await reader.read()).value ?? "";
      // It is printing, and nobody takes more than that: meanwhile a writer goes round the ring.
      for (let n = 0; n < 8; n++) {
        await pool.appendBatch(
          Array.from({ length: 1000 }, (_, i) => ({ i, even: i % 2 === 0, p: "" })),
        );
      }
      const end = pool.bounds().newestSeq ?? 0n;
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        text += part.value;
      }
      assert.equal((await child.status).code, 124);
      const told = (await new Response(child.stderr).text()).trim().split("\n")
        .map((line) => JSON.parse(line).notice);
      const printed = text.trim().split("\n").map((line) => BigInt(JSON.parse(line).seq));
      const first = BigInt(Number(newestSeq) - 3999);
      assert.ok((printed[0] ?? 0n) - first < 2n, "it begins where the last N begin");
      for (const [i, seq] of printed.entries()) assert.ok(seq > (printed[i - 1] ?? 0n), "in order");
      // What is missing is what was told: each number was passed over, printed, or lost.
      const lost = told.reduce((sum, { details }) => sum + details.dropped_count, 0);
      const step = filter.length > 0 ? 2 : 1;
      const wanted = Number(end - first + 1n) / step;
      assert.ok(lost > 500, "the writer overtook it");
      assert.ok(Math.abs(wanted - printed.length - lost / step) <= told.length + 1);
      const range = told.map(({ details }) => [details.last_seen_seq, details.next_seen_seq]);
      const missing = printed.flatMap((seq, i) => {
        const before = printed[i - 1] ?? seq - BigInt(step);
        return seq - before > BigInt(step) ? [[Number(before), Number(seq)] as const] : [];
      });
      for (const [from, to] of missing) {
        const within = range.some(([a, b]) => from <= a + 1 && to >= b - 1) ||
          range.some(([a, b]) => a <= from + 1 && b >= to - 1);
        assert.ok(within, `${from} to ${to}: ${JSON.stringify(range)}`);
      }
    }
  });
});
