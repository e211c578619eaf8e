/**
 * The numbers of a chart, without a browser.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import {
  ChartData,
  MOST_SERIES,
  numericFields,
  pathOf,
  shortNumber,
  ticks,
} from "../../server/ui/chart_data.js";
import { jqPath } from "../../server/ui/clauses.js";
import { readMessage } from "../../server/ui/json.js";

let seq = 0;
const message = (data: string, tags: string[] = []) =>
  readMessage(
    `{"data":${data},"meta":{"tags":${JSON.stringify(tags)}},"seq":${++seq},` +
      `"time":"2026-01-05T10:00:00.000000000Z"}`,
  );

// Lost: an average that is off, because a text, null or a missing value counted as 0.
Deno.test("what is no number is counted and not drawn", () => {
  const data = new ChartData(["celsius"]);
  const values = ["20.5", '"21"', "null", "true", "{}", "1e400", "-3", "[4]"];
  const rows = values.map((value) => message(`{"celsius":${value}}`));
  rows.push(message('{"other":7}'));
  data.read([...rows, { kind: "gap", from: 1n, to: 2n, t: 0 }], []);
  assert.deepEqual(
    data.series.get(".data.celsius")?.points.map(({ value }) => value),
    [20.5, -3],
  );
  assert.equal(data.left, "7 messages without a number at .data.celsius");
});

Deno.test("each set of tags has a line, without those that are asked for, and a limit", () => {
  const data = new ChartData(["v"]);
  const rows = [message('{"v":1}', ["reading", "kitchen"]), message('{"v":2}', ["reading"])];
  for (let i = 0; i < MOST_SERIES; i++) rows.push(message('{"v":3}', ["reading", `room${i}`]));
  data.read(rows, ["reading"]);
  assert.deepEqual([...data.series.keys()].slice(0, 3), ["#kitchen", ".data.v", "#room0"]);
  assert.equal(data.series.size, MOST_SERIES);
  assert.equal(data.left, "2 messages of further tags");
});

Deno.test("last value, p50 and p95 are those of the values", () => {
  const data = new ChartData(["v"]);
  const values = Array.from({ length: 100 }, (_, i) => (i * 37) % 100 + 1);
  data.read(values.map((v) => message(`{"v":${v}}`)), []);
  const { p50, p95, low, high, last } = data.series.get(".data.v") ?? {};
  assert.deepEqual({ p50, p95, low, high, last }, {
    p50: 50,
    p95: 95,
    low: 1,
    high: 100,
    last: values.at(-1),
  });
});

Deno.test("paths are read as jq writes them, and numeric fields are found", () => {
  for (const path of [["a"], ["a", "b c"], ["x", "y", "z"], ['"', "ü"]]) {
    assert.deepEqual(pathOf(jqPath(path)), path);
  }
  assert.deepEqual(pathOf("celsius"), ["celsius"]);
  for (const text of ["", ".data", ".data.a |length", "a b", ".data[0]", ".data."]) {
    assert.equal(pathOf(text), null, text);
  }
  const rows = [message('{"s":"x","n":1,"in":{"deep":2.5,"t":"5"}}'), message('{"n":1}')];
  assert.deepEqual(numericFields(rows), [".data.n", ".data.in.deep"]);
});

Deno.test("an axis has round numbers", () => {
  assert.deepEqual(ticks(19.3, 24.1, 4), [20, 22, 24]);
  assert.deepEqual(ticks(5, 5, 4), [5]);
  assert.deepEqual([42100, 21.3456, 0.00012].map((v) => shortNumber(v, v)), [
    "42100",
    "21.3",
    "0.00012",
  ]);
});

// Lost: a page that moves, to a chart that reads 100,000 messages again for each that comes.
Deno.test("what was read is not read again, a long list is read in slices, and another list anew", () => {
  const data = new ChartData(["v"]);
  const rows = Array.from({ length: 1000 }, (_, i) => message(`{"v":${i}}`));
  let slices = 1;
  while (!data.read(rows, [], 0)) slices++;
  assert.ok(slices > 2, String(slices));
  const points = (of: ChartData) => [...of.series.values()].flatMap((one) => one.points);
  assert.equal(points(data).length, 1000);
  const before = points(data)[0];
  rows.push(message('{"v":5000}'), message('{"v":"none"}'));
  assert.ok(data.read(rows, []));
  assert.equal(points(data).length, 1001);
  assert.equal(points(data)[0], before, "read again");
  assert.deepEqual([data.omitted, [...data.series.values()][0]?.high], [1, 5000]);
  // Until others are read, what was read before is shown.
  rows.splice(0, 10);
  assert.equal(data.read(rows, [], 0), false);
  assert.equal(points(data).length, 1001);
  while (!data.read(rows, [], 0)) slices++;
  assert.deepEqual([points(data).length, points(data)[0]?.value], [991, 10]);
  data.read(rows.slice(0, 5), []);
  assert.equal(points(data).length, 5);
});
