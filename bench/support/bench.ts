/**
 * What the parts of a benchmark share: where they work, how long, and where results go.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { type Measurement, median, ratioOf } from "./comparison.ts";
import type { Cost } from "./processes.ts";

/** This program, from its sources. */
export const CLI: string = fileURLToPath(new URL("../../cli.ts", import.meta.url));
/** The Deno that runs the benchmark, and what it measures. */
export const DENO: string = Deno.execPath();

/** A measurement with what is said about it. */
export interface Result extends Measurement {
  readonly measured: string;
  readonly goal: string;
  /** Nothing where there is no goal. */
  readonly met: boolean | null;
}

/** A benchmark that runs. */
export interface Bench {
  /** A folder for pools and other files. */
  readonly dir: string;
  readonly rounds: number;
  /** Less work, for a first impression. */
  readonly quick: boolean;
  record(result: Result): void;
}

/** The arguments of `deno` that run this program on the pools of a folder. */
export function plasmite(dir: string, ...args: string[]): string[] {
  return ["run", "-A", "--quiet", CLI, "--dir", dir, ...args];
}

/** Costs of the rounds, in the order of the rounds. */
export type Turns<K extends string> = Readonly<Record<K, readonly Cost[]>>;

/**
 * Runs the candidates in turns, forward and back, so that a busy minute meets all of them and none
 * always follows the same one.
 */
export async function inTurns<K extends string>(
  rounds: number,
  candidates: Readonly<Record<K, () => Promise<Cost>>>,
): Promise<Turns<K>> {
  const names = Object.keys(candidates) as K[];
  const costs = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<K, Cost[]>;
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      costs[name].push(await candidates[name]());
    }
  }
  return costs;
}

/** Thousands a second. */
export const thousands = (perSecond: number): string => `${Math.round(perSecond / 1000)} k/s`;
/** A ratio. */
export const times = (ratio: number): string => `${ratio.toFixed(2)} ×`;

/** The least cost: other work on the machine never speeds anything up. */
export function least(values: readonly number[]): number {
  return Math.min(...values);
}

/** A goal of a ratio between costs: at most this. */
export function atMost(measurement: Measurement, most: number, unit = "×"): Partial<Result> {
  return { goal: `≤ ${most} ${unit}`, met: ratioOf(measurement).median <= most };
}

/**
 * Records the wall time of a process against that of a yardstick, and its processor time likewise:
 * that one says more on a busy machine.
 */
export function recordTimes(
  bench: Bench,
  name: string,
  yardstick: string,
  costs: readonly Cost[],
  yardsticks: readonly Cost[],
  say: (wall: Measurement) => Pick<Result, "measured" | "goal" | "met">,
): void {
  const series = (key: "wallMs" | "cpuMs"): Measurement => ({
    name: key === "wallMs" ? name : `${name}, CPU`,
    yardstick,
    unit: "ms",
    costs: costs.map((cost) => round(cost[key])),
    yardsticks: yardsticks.map((cost) => round(cost[key])),
  });
  const wall = series("wallMs");
  bench.record({ ...wall, ...say(wall) });
  const cpu = series("cpuMs");
  const measured = `${median(cpu.costs).toFixed(0)} ms = ${
    times(ratioOf(cpu).median)
  } ${yardstick}`;
  bench.record({ ...cpu, measured, goal: "", met: null });
}

/** Raw data keeps microseconds of milliseconds. */
export function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
