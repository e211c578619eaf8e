/**
 * Compares the measurements of two runs, without crying wolf.
 *
 * A measurement is a list of pairs, measured in turns: what something cost, and what its yardstick
 * cost just before or after. Two runs are compared by the medians of the ratios. How much those
 * would vary if nothing had changed is taken from the pairs of each run: a difference counts if it
 * is above the limit and also three times what the runs vary.
 *
 * @module
 */

/** One thing that was measured. */
export interface Measurement {
  /** What, in the same words in each run. */
  readonly name: string;
  /** What it was measured against. */
  readonly yardstick: string;
  readonly unit: string;
  /** Costs of the rounds: less is better. */
  readonly costs: readonly number[];
  /** Costs of the yardstick in the same rounds. */
  readonly yardsticks: readonly number[];
}

/** The middle of the ratios, and how far it may be off (one standard error), as a part of it. */
export interface Ratio {
  readonly median: number;
  readonly noise: number;
}

/** What became of a measurement. */
export type Verdict = "same" | "slower" | "faster" | "unclear" | "new" | "gone";

/** A measurement in two runs. */
export interface Change {
  readonly name: string;
  readonly then?: Ratio;
  readonly now?: Ratio;
  /** 0.1 is 10 % more than before. */
  readonly change: number;
  /** Changes up to this one happen by chance. */
  readonly chance: number;
  readonly verdict: Verdict;
}

/** A difference of less is not worth a word. */
export const LIMIT = 0.1;
/** A few rounds may agree by chance; no median is known better than this. */
const LEAST_NOISE = 0.015;
const SIGMAS = 3;
/** Below this many rounds their range says more than their deviation from the median. */
const FEW = 8;

/** The middle value; of an even number, the mean of both. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  const upper = sorted[half] ?? NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[half - 1] ?? NaN)) / 2;
}

/** The ratio of a measurement to its yardstick. */
export function ratioOf({ costs, yardsticks }: Measurement): Ratio {
  const logs = costs.map((cost, i) => Math.log(cost / (yardsticks[i] ?? NaN)))
    .filter(Number.isFinite);
  const middle = median(logs);
  if (logs.length < 2) return { median: Math.exp(middle), noise: Infinity };
  const spread = logs.length < FEW
    ? (Math.max(...logs) - Math.min(...logs)) / 2
    : 1.4826 * median(logs.map((log) => Math.abs(log - middle)));
  // The median of n values varies 1.2533 / √n as much as one.
  const noise = Math.max(LEAST_NOISE, 1.2533 * spread / Math.sqrt(logs.length));
  return { median: Math.exp(middle), noise };
}

/** Compares one measurement. */
export function compareOne(then: Measurement | undefined, now: Measurement): Change {
  const { name } = now;
  const present = ratioOf(now);
  if (then === undefined) {
    return { name, now: present, change: 0, chance: 0, verdict: "new" };
  }
  const past = ratioOf(then);
  const log = Math.log(present.median / past.median);
  const noise = SIGMAS * Math.hypot(past.noise, present.noise);
  const size = Math.abs(log);
  const verdict = !Number.isFinite(log)
    ? "unclear"
    : size <= Math.log1p(LIMIT)
    ? "same"
    : size <= noise
    ? "unclear"
    : log > 0
    ? "slower"
    : "faster";
  return {
    name,
    then: past,
    now: present,
    change: Math.expm1(log),
    chance: Math.expm1(noise),
    verdict,
  };
}

/** Compares what was measured then and now; what is no longer measured comes last. */
export function compareRuns(
  then: readonly Measurement[],
  now: readonly Measurement[],
): Change[] {
  const past = new Map(then.map((one) => [one.name, one]));
  const names = new Set(now.map(({ name }) => name));
  return [
    ...now.map((one) => compareOne(past.get(one.name), one)),
    ...then.filter(({ name }) => !names.has(name)).map((one): Change => ({
      name: one.name,
      then: ratioOf(one),
      change: 0,
      chance: 0,
      verdict: "gone",
    })),
  ];
}

/**
 * What is still slower when it was measured again: slower both times. `again` has the second
 * comparison of the suspects.
 */
export function confirmed(suspects: readonly Change[], again: readonly Change[]): Change[] {
  const second = new Map(again.map((change) => [change.name, change]));
  return suspects.map((first) => {
    const other = second.get(first.name);
    return first.verdict === "slower" && other?.verdict !== "slower"
      ? { ...first, verdict: "unclear" }
      : first;
  });
}

const percent = (part: number): string => `${part > 0 ? "+" : ""}${Math.round(part * 100)} %`;

/** One line about a change, for people. */
export function describeChange({ name, then, now, change, chance, verdict }: Change): string {
  if (then === undefined) return `${name}: measured for the first time`;
  if (now === undefined) return `${name}: no longer measured`;
  const ratios = `${then.median.toFixed(2)} → ${now.median.toFixed(2)}`;
  const limits = Number.isFinite(chance) ? `, chance alone: ±${Math.round(chance * 100)} %` : "";
  return `${name}: ${verdict}, ${ratios} (${percent(change)}${limits})`;
}
