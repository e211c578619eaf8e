/**
 * How fast messages go in and out of a pool, beside `jq -c .` on the same lines.
 *
 * @module
 */

import { type Measurement, median, ratioOf } from "../support/comparison.ts";
import {
  type Bench,
  DENO,
  inTurns,
  least,
  plasmite,
  recordTimes,
  type Result,
  round,
  thousands,
  times,
} from "../support/bench.ts";
import { makeLines } from "../support/lines.ts";
import { type Cost, measure } from "../support/processes.ts";
import { Client } from "../../mod.ts";

const JQ = "`jq -c .`";

/** Feeding, exporting, filtering, and four writers at once. */
export async function streams(bench: Bench): Promise<void> {
  const { dir, rounds, quick } = bench;
  const count = quick ? 100_000 : 300_000;
  const small = `${dir}/200.jsonl`;
  const large = `${dir}/1k.jsonl`;
  makeLines(small, count, 200);
  makeLines(large, count, 1024);
  const run = (...args: string[]): Promise<Cost> => measure(DENO, plasmite(dir, ...args));
  const feed = (file: string): Promise<Cost> =>
    run("feed", "big", "--create-size", "1G", "--file", file);
  const jq = (): Promise<Cost> => measure("jq", ["-c", ".", small]);
  const everything = ["follow", "big", "--since", "1h", "--replay", "0", "--jsonl"];
  const removed = (): void => new Client(dir).deletePool("big");

  await feed(small);
  const fed = await inTurns(rounds, { jq, feed: () => feed(small), feed1k: () => feed(large) });
  removed();
  await feed(small);
  const read = await inTurns(rounds, {
    jq,
    out: () => run(...everything),
    where: () => run(...everything, "--where", '.data.level == "error" and .data.value > 50000'),
  });
  removed();

  const yardstick = [...fed.jq, ...read.jq].map(({ wallMs }) => round(wallMs));
  bench.record({
    name: "yardstick: `jq -c .`, 200 B lines",
    yardstick: "itself",
    unit: "ms",
    costs: yardstick,
    yardsticks: yardstick,
    measured: thousands(count / least(yardstick) * 1000),
    goal: "",
    met: null,
  });
  const against = (least_: number, perSecond = 0) => (wall: Measurement): Goal => {
    const ratio = 1 / ratioOf(wall).median;
    const rate = count / least(wall.costs) * 1000;
    const absolute = perSecond === 0 ? "" : `, ≥ ${thousands(perSecond)}`;
    return {
      measured: `${thousands(rate)} = ${times(ratio)} jq`,
      goal: `≥ ${least_} × jq${absolute}`,
      met: ratio >= least_ && rate >= perSecond,
    };
  };
  recordTimes(bench, "`feed` from a file, 200 B lines", JQ, fed.feed, fed.jq, against(1.3, 1e6));
  recordTimes(bench, "`feed`, 1 KiB lines", JQ, fed.feed1k, fed.jq, (wall) => {
    const rate = count / least(wall.costs) * 1000;
    return { measured: thousands(rate), goal: "≥ 200 k/s", met: rate >= 200_000 };
  });
  const name = "export with `--since 1h --replay 0 --jsonl`";
  recordTimes(bench, name, JQ, read.out, read.jq, against(3, 1.2e6));
  recordTimes(bench, "the same with `--where`", JQ, read.where, read.jq, against(2));
  await fourWriters(bench, small, count);
}

type Goal = Pick<Result, "measured" | "goal" | "met">;

async function fourWriters(bench: Bench, file: string, count: number): Promise<void> {
  const { dir, rounds } = bench;
  const spans: number[] = [];
  const alone: number[] = [];
  const slowest: number[] = [];
  const fastest: number[] = [];
  const feed = (): Promise<Cost> => measure(DENO, plasmite(dir, "feed", "four", "--file", file));
  for (let turn = 0; turn < rounds; turn++) {
    await measure(DENO, plasmite(dir, "pool", "create", "four", "--size", "256M"));
    alone.push(round(4 * (await feed()).wallMs));
    const start = performance.now();
    const walls = (await Promise.all([feed(), feed(), feed(), feed()])).map((one) => one.wallMs);
    spans.push(round(performance.now() - start));
    slowest.push(round(Math.max(...walls)));
    fastest.push(round(Math.min(...walls)));
    new Client(dir).deletePool("four");
  }
  const span: Measurement = {
    name: "four writers at once on one pool",
    yardstick: "four times one writer",
    unit: "ms",
    costs: spans,
    yardsticks: alone,
  };
  const rate = 4 * count / least(spans) * 1000;
  bench.record({
    ...span,
    measured: `${thousands(rate)}, ${times(ratioOf(span).median)} the time of one after the other`,
    goal: "≤ 1 ×",
    met: ratioOf(span).median <= 1,
  });
  const fairness = median(fastest.map((one, i) => one / (slowest[i] ?? NaN)));
  bench.record({
    name: "slowest of the four against the fastest",
    yardstick: "the fastest",
    unit: "ms",
    costs: slowest,
    yardsticks: fastest,
    measured: times(1 / fairness),
    goal: "≤ 2 ×",
    met: fairness >= 0.5,
  });
}
