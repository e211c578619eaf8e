// deno-lint-ignore-file no-console
/**
 * What working together costs, through the library: a key look-up that misses, guarded against plain
 * appends, claims, a cursor against a plain tail, tasks of a group.
 * `deno run -A bench/coordination_bench.ts`.
 *
 * @module
 */

import { type AppendOptions, Client, type Message, type Pool } from "../mod.ts";

const dir = Deno.makeTempDirSync({ prefix: "plasmite-bench-" });
const client = new Client(dir);
const DATA = { level: "info", text: "x".repeat(80), n: 1 };
const MIB = 1 << 20;
const ROUNDS = 6;

const median = (times: number[]): number => times.sort((a, b) => a - b)[times.length >> 1] ?? 0;

async function fill(pool: Pool, count: number, tags: string[]): Promise<void> {
  for (let i = 0; i < count; i += 1000) {
    await pool.appendBatch(Array.from({ length: 1000 }, () => DATA), { tags });
  }
}

async function misses(): Promise<void> {
  for (const tags of [["t"], ["service:api", "key:other"]]) {
    using big = client.createPool(`miss${tags.length}`, 128 * MIB);
    await fill(big, 100_000, tags);
    const times: number[] = [];
    for (let i = 0; i < 7; i++) {
      using fresh = client.openPool(big.name);
      const since = performance.now();
      fresh.latest("absent");
      times.push(performance.now() - since);
    }
    console.log(`key miss in 100,000 (${tags}): ${median(times).toFixed(1)} ms (goal 50)`);
  }
}

/** The shortest time of each candidate, in microseconds per append. */
function guarded(): void {
  using pool = client.createPool("guarded", 64 * MIB);
  const each = 5000;
  const run = (options: () => AppendOptions): number => {
    const since = performance.now();
    for (let i = 0; i < each; i++) pool.append(DATA, options());
    return (performance.now() - since) * 1000 / each;
  };
  const newest = (): bigint => pool.bounds().newestSeq ?? 0n;
  const candidates: Record<string, () => number> = {
    plain: () => run(() => ({ tags: ["key:a"] })),
    expect: () => {
      let expect = newest();
      return run(() => ({ tags: ["key:a"], expect: expect++ }));
    },
    key: () => {
      let expect = pool.append(DATA, { key: "a" }).seq;
      return run(() => ({ expect: expect++, key: "a" }));
    },
    id: () => run(() => ({ id: `${Math.random()}` })),
  };
  const best: Record<string, number> = {};
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, candidate] of Object.entries(candidates)) {
      best[name] = Math.min(best[name] ?? Infinity, candidate());
    }
  }
  const { plain: base = 1 } = best;
  for (const [name, time] of Object.entries(best)) {
    console.log(
      `append ${name}: ${time.toFixed(1)} µs, ${(time / base).toFixed(2)} × plain (goal 1.5)`,
    );
  }
}

async function claims(): Promise<void> {
  using pool = client.createPool("claims", 64 * MIB);
  const times: number[] = [];
  for (let i = 0; i < 2000; i++) {
    const since = performance.now();
    const lease = await pool.claim("a", { holder: "ann" });
    times.push(performance.now() - since);
    await lease.release();
  }
  console.log(`claim: p50 ${median(times).toFixed(3)} ms (goal 2)`);
}

/** Messages per second of a tail of everything, plain and with a cursor that acknowledges. */
async function cursors(): Promise<void> {
  using pool = client.createPool("cursors", 64 * MIB);
  const total = 50_000;
  await fill(pool, total, ["t"]);
  const read = async (
    messages: AsyncIterable<Message>,
    done: (seq: bigint) => void,
  ): Promise<number> => {
    const since = performance.now();
    for await (const { seq } of messages) done(seq);
    return total * 1000 / (performance.now() - since);
  };
  const every = [1n, 100n];
  const best = [0, 0, 0];
  const keep = (i: number, rate: number): void => void (best[i] = Math.max(best[i] ?? 0, rate));
  for (let round = 0; round < ROUNDS; round++) {
    keep(2, await read(pool.tail({ untilSeq: total }), () => {}));
    for (const [i, step] of every.entries()) {
      await using cursor = await pool.cursor(`c${round}-${step}`);
      const ack = (seq: bigint): void => {
        if (seq % step === 0n) void cursor.ack(seq);
      };
      keep(i, await read(cursor.tail({ untilSeq: total }), ack));
    }
  }
  const [, , plain = 1] = best;
  for (const [i, step] of every.entries()) {
    const rate = best[i] ?? 0;
    console.log(
      `cursor, acknowledged every ${step}: ${Math.round(rate)} messages/s, ` +
        `${(rate / plain).toFixed(2)} × a plain tail (goal 0.8)`,
    );
  }
}

/** A process of the group: takes and acknowledges until all is done. */
async function work(path: string, count: number): Promise<void> {
  using pool = new Client().openPool(path);
  using group = await pool.group("g");
  for (;;) {
    const tasks = await group.take({ count, waitMs: 50 });
    if (tasks.length === 0) return;
    for (const task of tasks) await task.ack();
  }
}

async function tasks(count: number): Promise<void> {
  using pool = client.createPool(`tasks${count}`, 64 * MIB);
  const total = 8000;
  await fill(pool, total, []);
  const since = performance.now();
  const workers = [1, 2, 3, 4].map(() =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", import.meta.filename ?? "", "work", pool.path, String(count)],
    }).spawn().status
  );
  await Promise.all(workers);
  const seconds = (performance.now() - since - 50) / 1000;
  console.log(
    `group, four workers that take ${count}: ${Math.round(total / seconds)} tasks/s (goal 2000)`,
  );
}

const [role, path = "", count = "1"] = Deno.args;
if (role === "work") await work(path, Number(count));
else {
  await misses();
  guarded();
  await claims();
  await cursors();
  for (const count of [1, 16]) await tasks(count);
  Deno.removeSync(dir, { recursive: true });
}
