// deno-lint-ignore-file no-console
/**
 * What working together costs: a key look-up that misses, guarded against plain appends, claims,
 * tasks of a group. `deno run -A bench/coordination_bench.ts`.
 *
 * @module
 */

import * as coordination from "../lib/backend/local/coordinator.ts";
import { messageFromValue } from "../lib/lite3/from_value.ts";
import { LocalBackend, type LocalPool } from "../lib/backend/local.ts";
import { FrameBatch } from "../lib/pool/batch.ts";
import { openToAppend } from "../lib/pool/mending.ts";
import { settingMaxAge } from "../lib/pool/retention.ts";
import { disk } from "../lib/storage/file.ts";
import { inPlace } from "../lib/storage/steps.ts";

const dir = Deno.makeTempDirSync({ prefix: "plasmite-bench-" });
const backend = new LocalBackend(dir, { coordination });

async function pool(name: string, sizeBytes = 1 << 26): Promise<LocalPool> {
  await backend.create(name, { sizeBytes });
  return await backend.open(name, { write: true });
}

function one(tags: string[]): FrameBatch {
  const batch = new FrameBatch();
  batch.beginFrame();
  messageFromValue(batch.encoder, { level: "info", text: "x".repeat(80), n: 1 }, tags);
  batch.endFrame(1, 1);
  return batch;
}

const median = (times: number[]): number => times.sort((a, b) => a - b)[times.length >> 1] ?? 0;
const stored = (): void => {};

async function misses(): Promise<void> {
  for (const tags of [["t"], ["service:api", "key:other"]]) {
    const big = await pool(`miss${tags.length}`, 1 << 27);
    const batch = new FrameBatch();
    for (let i = 0; i < 1000; i++) {
      batch.beginFrame();
      messageFromValue(batch.encoder, { level: "info", text: "x".repeat(80), n: i }, tags);
      batch.endFrame(1, 1);
    }
    for (let i = 0; i < 100; i++) await big.append(batch, { flush: false, stored });
    const times: number[] = [];
    for (let i = 0; i < 7; i++) {
      const fresh = backend.open(big.name) as LocalPool;
      const coordinator = await fresh.coordinate();
      const since = performance.now();
      await coordinator.latest("absent");
      times.push(performance.now() - since);
      fresh.close();
    }
    console.log(`key miss in 100,000 (${tags}): ${median(times).toFixed(1)} ms (goal 50)`);
    big.close();
  }
}

async function guarded(): Promise<void> {
  const target = await pool("guarded");
  const plain = one(["key:a"]);
  const rounds = 5000;
  const run = async (when?: () => object): Promise<number> => {
    const since = performance.now();
    for (let i = 0; i < rounds; i++) {
      const done = target.append(plain, {
        flush: false,
        stored,
        ...(when === undefined ? {} : { when: when() }),
      });
      if (done instanceof Promise) await done;
    }
    return (performance.now() - since) * 1000 / rounds;
  };
  let newest = 0n;
  const candidates: Record<string, () => Promise<number>> = {
    plain: () => run(),
    expect: () => {
      newest = target.boundsNow().newest;
      return run(() => ({ expect: newest++ }));
    },
    key: () => {
      newest = target.boundsNow().newest;
      return run(() => ({ expect: newest++, key: "a" }));
    },
    id: () => run(() => ({ ids: [`${Math.random()}`] })),
  };
  const best: Record<string, number> = {};
  for (let round = 0; round < 6; round++) {
    for (const [name, candidate] of Object.entries(candidates)) {
      best[name] = Math.min(best[name] ?? Infinity, await candidate());
    }
  }
  const { plain: base = 1 } = best;
  for (const [name, time] of Object.entries(best)) {
    console.log(
      `append ${name}: ${time.toFixed(1)} µs, ${(time / base).toFixed(2)} × plain (goal 1.5)`,
    );
  }
  target.close();
}

/** What an age limit costs, and what it costs a reader if nobody has written for long. */
async function limited(): Promise<void> {
  const plain = await pool("unlimited");
  await backend.create("limited", { sizeBytes: 1 << 26, maxAgeMs: 3_600_000 });
  const target = await backend.open("limited", { write: true });
  const best = { plain: Infinity, limited: Infinity };
  for (let round = 0; round < 8; round++) {
    for (const [name, to] of [["plain", plain], ["limited", target]] as const) {
      const batch = one([]);
      batch.setTime(0, Temporal.Now.instant().epochNanoseconds);
      const since = performance.now();
      for (let i = 0; i < 5000; i++) await to.append(batch, { flush: false, stored });
      best[name] = Math.min(best[name], (performance.now() - since) / 5);
    }
  }
  const ratio = (best.limited / best.plain).toFixed(2);
  console.log(`append with an age limit: ${best.limited.toFixed(1)} µs, ${ratio} × without`);
  plain.close();
  target.close();
  await backend.create("expired", { sizeBytes: 1 << 25 });
  const expired = await backend.open("expired", { write: true });
  const batch = new FrameBatch();
  const old = one([]).payload(0);
  for (let i = 0; i < 1000; i++) batch.addPayload(old, 1, 1);
  for (let i = 0; i < 100; i++) await expired.append(batch, { flush: false, stored });
  inPlace(settingMaxAge(openToAppend(disk, expired.path), 3_600_000_000_000n));
  const times: number[] = [];
  for (let i = 0; i < 7; i++) {
    const fresh = backend.openNow("expired");
    const since = performance.now();
    fresh.boundsNow();
    times.push(performance.now() - since);
    fresh.close();
  }
  console.log(`100,000 expired messages passed over: ${median(times).toFixed(1)} ms`);
  expired.close();
}

async function claims(): Promise<void> {
  const target = await pool("claims");
  const coordinator = await target.coordinate();
  const times: number[] = [];
  for (let i = 0; i < 2000; i++) {
    const since = performance.now();
    const { token } = await coordinator.claim({ keys: ["a"], holder: "ann" });
    times.push(performance.now() - since);
    await coordinator.release({ keys: ["a"], holder: "ann", token });
  }
  console.log(`claim: p50 ${median(times).toFixed(3)} ms (goal 2)`);
  target.close();
}

/** A process of the group: takes and acknowledges until all is done. */
async function work(name: string): Promise<void> {
  const target = new LocalBackend(".", { coordination }).open(name) as LocalPool;
  const group = (await target.coordinate()).group("g");
  for (;;) {
    const { tasks, idle } = await group.take({ count: 16 });
    for (const { message, token } of tasks) await group.ack(message.seq, token);
    if (idle) break;
    if (tasks.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  group.close();
  target.close();
}

async function tasks(): Promise<void> {
  const target = await pool("tasks");
  const total = 8000;
  for (let i = 0; i < total; i++) await target.append(one([]), { flush: false, stored });
  const since = performance.now();
  const workers = [1, 2, 3, 4].map(() =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", import.meta.filename ?? "", "work", target.path],
    }).spawn().status
  );
  await Promise.all(workers);
  const seconds = (performance.now() - since) / 1000;
  console.log(`group: ${Math.round(total / seconds)} tasks/s with four workers (goal 2000)`);
  target.close();
}

if (Deno.args[0] === "work") await work(Deno.args[1] ?? "");
else {
  await misses();
  await guarded();
  await limited();
  await claims();
  await tasks();
}
Deno.removeSync(dir, { recursive: true });
