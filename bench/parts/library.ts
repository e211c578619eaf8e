/**
 * Appends through the library, beside the system calls that no append can do without.
 *
 * @module
 */

import { messageFromValue } from "../../lib/lite3/from_value.ts";
import { FrameBatch } from "../../lib/pool/batch.ts";
import { openToAppend } from "../../lib/pool/mending.ts";
import { disk } from "../../lib/storage/file.ts";
import { Client } from "../../mod.ts";
import { type Bench, round, times } from "../support/bench.ts";
import { type Measurement, median, ratioOf } from "../support/comparison.ts";
import { ownCpuMs } from "../support/processes.ts";

const BARE = "bare lock+write+write+unlock";

/** One frame a lock, one value a lock, and batches of a hundred. */
export async function library(bench: Bench): Promise<void> {
  const { dir } = bench;
  using client = new Client(dir);
  using pool = client.createPool("lib", 64 << 20);
  const ring = openToAppend(disk, pool.path);
  using closing = new DisposableStack();
  closing.defer(() => ring.close());
  using bare = Deno.openSync(`${dir}/bare`, { create: true, read: true, write: true });
  bare.truncateSync(64 << 20);
  const data = { level: "info", value: 5, msg: "a message of moderate length", host: "web-1" };
  const one = new FrameBatch();
  one.beginFrame();
  messageFromValue(one.encoder, data, []);
  one.endFrame(1, 2);
  const frame = one.slice(0, 1).slice();
  const payload = one.payload(0).slice();
  const state = new Uint8Array(40);
  const batch = new FrameBatch();
  let at = 4096;
  const candidates = {
    bare: () => {
      bare.lockSync(true);
      bare.seekSync(at, 0);
      bare.writeSync(frame);
      at = 4096 + (at + frame.length) % (60 << 20);
      bare.seekSync(64, 0);
      bare.writeSync(state);
      bare.unlockSync();
    },
    raw: () => void ring.tryAppend(one),
    append: () => void pool.append(data),
    hundred: () => {
      batch.clear();
      for (let i = 0; i < 100; i++) batch.addPayload(payload, 1, 2);
      ring.tryAppend(batch);
    },
  };
  const each: Record<string, number[]> = {};
  const scale = bench.quick ? 0.3 : 1;
  for (let turn = -2; turn < bench.rounds * 4; turn++) {
    const order = Object.entries(candidates);
    for (const [name, run] of turn % 2 === 0 ? order : order.toReversed()) {
      const runs = Math.round((name === "hundred" ? 500 : 10_000) * scale);
      const [start, before] = [performance.now(), ownCpuMs()];
      for (let i = 0; i < runs; i++) run();
      const spans = [performance.now() - start, ownCpuMs() - before];
      if (turn < 0) continue; // The first turns compile and fill the ring.
      for (const [i, ms] of spans.entries()) {
        (each[i === 0 ? name : `${name}, CPU`] ??= []).push(round(ms * 1000 / runs));
      }
    }
    await Promise.resolve();
  }
  const series = (name: string, key: string): Measurement => ({
    name,
    yardstick: BARE,
    unit: "µs",
    costs: each[key] ?? [],
    yardsticks: each["bare"] ?? [],
  });
  const recordCpu = (name: string, key: string): void => {
    const one = {
      ...series(`${name}, CPU`, `${key}, CPU`),
      yardsticks: each["bare, CPU"] ?? [],
    };
    bench.record({ ...one, measured: said(one), goal: "", met: null });
  };
  const said = (it: Measurement): string =>
    `${median(it.costs).toFixed(2)} µs = ${times(ratioOf(it).median)} bare`;
  const raw = series("one raw frame a lock", "raw");
  bench.record({
    ...raw,
    measured: `${said(raw)} (${median(raw.yardsticks).toFixed(2)} µs)`,
    goal: "≤ 2.3 ×",
    met: ratioOf(raw).median <= 2.3,
  });
  recordCpu("one raw frame a lock", "raw");
  const value = series("library `append` of a value, one a lock", "append");
  bench.record({ ...value, measured: said(value), goal: "", met: null });
  recordCpu("library `append` of a value, one a lock", "append");
  const many = series("batches of 100 raw", "hundred");
  const perSecond = 100 / median(many.costs);
  bench.record({
    ...many,
    measured: `${perSecond.toFixed(2)} M/s`,
    goal: "≥ 1 M/s",
    met: perSecond >= 1,
  });
}
