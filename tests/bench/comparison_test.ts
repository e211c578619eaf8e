/**
 * Without this, the benchmark points out differences that are chance until nobody reads it, or says
 * nothing when an append takes a fifth longer than before.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import {
  compareRuns,
  confirmed,
  describeChange,
  type Measurement,
  median,
  ratioOf,
} from "../../bench/support/comparison.ts";

/** Costs around `ratio` times a yardstick that wanders with the machine. */
function measurement(ratio: number, spread: number, rounds = 9, name = "append"): Measurement {
  const yardsticks = Array.from({ length: rounds }, (_, i) => 10 + 5 * Math.sin(i));
  // The same distance above and below, the last one in the middle.
  const off = (i: number): number => i === rounds - 1 ? 1 : i % 2 === 0 ? 1 + spread : 1 - spread;
  const costs = yardsticks.map((yardstick, i) => yardstick * ratio * off(i));
  return { name, yardstick: "bare", unit: "ms", costs, yardsticks };
}

const verdictOf = (then: Measurement, now: Measurement) => compareRuns([then], [now])[0]?.verdict;

Deno.test("the median of an even and of an odd number of values, in any order", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.ok(Number.isNaN(median([])));
});

Deno.test("a ratio is taken round by round, so a machine that slows down does not change it", () => {
  const slowing = { ...measurement(2, 0), costs: [20, 40, 80], yardsticks: [10, 20, 40] };
  assert.equal(Math.round(ratioOf(slowing).median * 1e6), 2e6);
  assert.ok(ratioOf(slowing).noise <= 0.02);
});

Deno.test("a fifth more in every round is slower, a fifth less is faster", () => {
  assert.equal(verdictOf(measurement(2, 0.02), measurement(2.4, 0.02)), "slower");
  assert.equal(verdictOf(measurement(2.4, 0.02), measurement(2, 0.02)), "faster");
});

Deno.test("nine per cent is below the limit, and so is no change at all", () => {
  assert.equal(verdictOf(measurement(2, 0), measurement(2.18, 0)), "same");
  assert.equal(verdictOf(measurement(2, 0.02), measurement(2, 0.02)), "same");
});

Deno.test("a fifth more is not called slower when the rounds differ by more than that", () => {
  assert.equal(verdictOf(measurement(2, 0.3), measurement(2.4, 0.3)), "unclear");
  // Whichever of the runs it is that varies.
  assert.equal(verdictOf(measurement(2, 0.02), measurement(2.4, 0.4)), "unclear");
  assert.equal(verdictOf(measurement(2, 0.4), measurement(2.4, 0.02)), "unclear");
});

Deno.test("more rounds decide what few rounds leave open", () => {
  assert.equal(verdictOf(measurement(2, 0.12, 3), measurement(2.4, 0.12, 3)), "unclear");
  assert.equal(verdictOf(measurement(2, 0.12, 101), measurement(2.4, 0.12, 101)), "slower");
});

Deno.test("one round alone decides nothing, and neither does a yardstick of nothing", () => {
  assert.equal(verdictOf(measurement(2, 0, 1), measurement(9, 0, 1)), "unclear");
  const broken = { ...measurement(2, 0), yardsticks: [0, 0, 0], costs: [1, 1, 1] };
  assert.equal(verdictOf(measurement(2, 0), broken), "unclear");
});

Deno.test("one round that something else disturbed does not make it slower", () => {
  const now = measurement(2, 0.02);
  const disturbed = { ...now, costs: now.costs.map((cost, i) => i === 4 ? cost * 20 : cost) };
  assert.notEqual(verdictOf(measurement(2, 0.02), disturbed), "slower");
});

Deno.test("runs without a change hardly ever cry wolf: less than once in 500 comparisons", () => {
  // The noise of a busy machine: a tenth, and each fifth round three tenths.
  let state = 7;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const noisy = (rounds: number): Measurement => {
    const yardsticks = Array.from({ length: rounds }, () => 1 + random());
    const wobble = (): number => 1 + (random() - 0.5) * (random() < 0.2 ? 0.6 : 0.2);
    return { ...measurement(2, 0), yardsticks, costs: yardsticks.map((y) => 2 * y * wobble()) };
  };
  for (const rounds of [3, 5, 9, 20]) {
    let alarms = 0;
    for (let i = 0; i < 2000; i++) {
      const first = compareRuns([noisy(rounds)], [noisy(rounds)]);
      const both = confirmed(first, compareRuns([noisy(rounds)], [noisy(rounds)]));
      if (both[0]?.verdict === "slower") alarms++;
    }
    assert.ok(alarms < 4, `${alarms} alarms in 2000 comparisons of ${rounds} rounds`);
  }
});

Deno.test("what is slower once and not when measured again is left open", () => {
  const slower = compareRuns([measurement(2, 0.02)], [measurement(2.4, 0.02)]);
  const same = compareRuns([measurement(2, 0.02)], [measurement(2, 0.02)]);
  assert.equal(confirmed(slower, same)[0]?.verdict, "unclear");
  assert.equal(confirmed(slower, slower)[0]?.verdict, "slower");
  // What was not measured again, as its part failed, is not confirmed.
  assert.equal(confirmed(slower, [])[0]?.verdict, "unclear");
  assert.equal(confirmed(same, slower)[0]?.verdict, "same");
});

Deno.test("measurements are matched by name, and new and missing ones are said", () => {
  const at = (name: string, ratio: number): Measurement => measurement(ratio, 0.01, 9, name);
  const changes = compareRuns([at("a", 1), at("b", 1)], [at("c", 1), at("b", 2)]);
  assert.deepEqual(changes.map(({ name, verdict }) => [name, verdict]), [
    ["c", "new"],
    ["b", "slower"],
    ["a", "gone"],
  ]);
  assert.deepEqual(changes.map(describeChange), [
    "c: measured for the first time",
    "b: slower, 1.00 → 2.00 (+100 %, chance alone: ±7 %)",
    "a: no longer measured",
  ]);
});
