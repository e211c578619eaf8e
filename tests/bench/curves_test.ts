/**
 * Without this, the picture of the curves has names on top of each other, points outside of their
 * panel, or text that is no SVG, and the tables lose what is written around them.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { axisLabel, draw, powers, spread } from "../../bench/curves/draw.ts";
import { decades, type Point, valueOf } from "../../bench/curves/points.ts";
import { sentences } from "../../bench/curves/sentences.ts";
import { replaceBlock, table } from "../../bench/support/blocks.ts";
import type { Run } from "../../bench/support/runs.ts";

const HEADER = {
  script: "curves",
  form: "full",
  command: "deno run -A bench/curves.ts",
  date: "2026-05-01T10:00:00Z",
  commit: "abc",
  machine: { cpu: "A <B> & C", cores: 2, memoryGib: 8, system: "x", kernel: "6", deno: "2.9.6" },
  load: 0.1,
};

function point(more: Partial<Point>): Point {
  return { panel: "pools", name: "pool list", unit: "ms", x: 1, costs: [3, 1, 2], ...more };
}

function run(...measured: Point[]): Run<Point> {
  return { header: HEADER, measured };
}

Deno.test("sizes are powers of ten and the greatest one, each once", () => {
  assert.deepEqual(decades(1, 20_000), [1, 10, 100, 1000, 10_000, 20_000]);
  assert.deepEqual(decades(10_000, 10_000_000), [10_000, 100_000, 1_000_000, 10_000_000]);
  assert.deepEqual(decades(10_000, 10), [10]);
  assert.equal(valueOf(point({})), 2);
});

Deno.test("an axis begins and ends with powers of ten around all values", () => {
  assert.deepEqual(powers([0.25, 7]), { from: -1, to: 1 });
  assert.deepEqual(powers([10, 1000]), { from: 1, to: 3 });
  assert.deepEqual(powers([10, 10]), { from: 1, to: 2 });
  // Nothing is not on a logarithmic axis.
  assert.deepEqual(powers([0, 5]), { from: 0, to: 1 });
  assert.deepEqual([0.001, 0.1, 20, 10_000, 1e7].map(axisLabel), [
    "0.001",
    "0.1",
    "20",
    "10 k",
    "10 M",
  ]);
});

Deno.test("names of curves keep their order and a distance, and stay in the panel", () => {
  assert.deepEqual(spread([10, 50], 15, 0, 100), [10, 50]);
  assert.deepEqual(spread([12, 10, 11], 15, 0, 100), [40, 10, 25]);
  assert.deepEqual(spread([98, 99, 100], 15, 0, 100), [70, 85, 100]);
});

Deno.test("a picture has a panel for each kind of curve that was measured, and all text is text", () => {
  const svg = draw(run(
    point({ x: 1, costs: [20] }),
    point({ x: 20_000, costs: [900] }),
    point({ name: "a & b < c", x: 1, costs: [5], yardstick: true }),
    point({ panel: "idle", name: "nothing at all", x: 1, costs: [0.001] }),
  ));
  assert.equal(svg.match(/class="title"/g)?.length, 2);
  assert.match(svg, /a &amp; b &lt; c/);
  assert.match(svg, /A &lt;B&gt; &amp; C/);
  assert.match(svg, /prefers-color-scheme:dark/);
  assert.doesNotMatch(svg, /NaN|Infinity|undefined/);
  const heights = [...svg.matchAll(/cy="([\d.]+)"/g)].map(([, y]) => Number(y));
  assert.equal(heights.length, 4);
  assert.ok(heights.every((y) => y >= 80 && y <= 342), `${heights}`);
});

Deno.test("each curve has a row with its ends and a sentence", () => {
  const text = sentences(run(point({ x: 20_000, costs: [1234] }), point({ x: 1, costs: [20] })));
  assert.match(text, /\| pool list \| 20 ms at 1 \| 1.2 s at 20 k \| It opens every pool/);
});

Deno.test("a block takes the place of the former one, and the rest of the document stays", () => {
  const text = "a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n";
  const once = replaceBlock(text, "x", "new");
  assert.equal(once, "a\n<!-- begin x -->\n\nnew\n\n<!-- end x -->\nb\n");
  assert.equal(replaceBlock(once, "x", "new"), once);
  assert.throws(() => replaceBlock(text, "y", "new"), /No place for y/);
  assert.equal(table(["a"], [["1 | 2"]]), "| a |\n| --- |\n| 1 \\| 2 |");
});
