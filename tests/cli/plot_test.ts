/**
 * `follow --plot`: a chart of numbers that fits, in a pipe and on a terminal. Otherwise somebody who
 * watches a sensor sees a wrong curve, or is left with a terminal that does not echo.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { textWidth } from "../../lib/cli/line_width.ts";
import { Plot } from "../../lib/cli/plot.ts";
import { chart } from "../../lib/cli/plot_chart.ts";
import { Client } from "../../lib/client/client.ts";
import { ErrorKind } from "../../lib/errors.ts";
import { messageFromValue } from "../../lib/lite3/from_value.ts";
import { MessageView } from "../../lib/lite3/message.ts";
import { FrameBatch } from "../../lib/pool/batch.ts";
import { cli, errorOf, inTemp } from "./cli_util.ts";
import { hasTerminals, terminal } from "../support/terminal.ts";

/** Makes a pool with a value a second of two places, whatever the time that takes. */
function fill(dir: string): void {
  using client = new Client(dir);
  using pool = client.createPool("pi");
  const start = Temporal.Now.instant().epochNanoseconds - 20_000_000_000n;
  const put = (data: object, second: number, ...tags: string[]): void => {
    const timestampNs = start + BigInt(second) * 1_000_000_000n;
    pool.append(data as Record<string, string | number>, { tags, timestampNs });
  };
  for (let i = 0; i <= 10; i++) {
    put({ celsius: i }, i, "indoor", "sensor");
    put({ celsius: 10 }, i, "outdoor", "sensor");
  }
  put({ celsius: "hot" }, 11, "sensor");
  put({ humidity: 7 }, 11, "sensor");
}

Deno.test("plot: a line rises where the numbers do, at the right height", () => {
  const points = [0, 1, 2, 3].map((n) => ({ at: n * 1000, value: n * 10 }));
  const [legend, ...rows] = chart({
    series: new Map([["up", points]]),
    columns: 20,
    lines: 6,
    colored: false,
  });
  assert.equal(legend, "up 30");
  const first = rows.slice(0, 4).map((row) => row.slice(row.indexOf("│") + 1).search(/\S/));
  assert.deepEqual([...first].sort((a, b) => b - a), first, "the lower, the further to the left");
  assert.match(rows[0] ?? "", /^30 /);
  assert.match(rows[3] ?? "", /^ ?0 /);
});

Deno.test("plot: whatever the numbers and the size, the chart fits", () => {
  const point = fc.record({
    at: fc.nat(2 ** 42),
    value: fc.double({ noNaN: true, noDefaultInfinity: true }),
  });
  fc.assert(fc.property(
    fc.array(fc.array(point, { minLength: 1, maxLength: 30 }), { maxLength: 5 }),
    fc.integer({ min: 48, max: 120 }),
    fc.integer({ min: 4, max: 40 }),
    (lists, columns, lines) => {
      const series = new Map(
        lists.map((points, i) => [`s${i}`, points.sort((a, b) => a.at - b.at)]),
      );
      const rows = chart({ series, columns, lines, colored: false });
      assert.ok(rows.length <= lines);
      for (const row of rows) assert.ok(textWidth(row) <= columns + 1, row);
    },
  ));
});

// Lost: all memory, to a chart that runs for weeks.
Deno.test("plot: a bounded number of points and series is kept, the newest points", () => {
  const view = (n: number, tag: string): MessageView => {
    const batch = new FrameBatch(1024);
    batch.beginFrame();
    messageFromValue(batch.encoder, { n }, [tag]);
    batch.endFrame(0, 0);
    return new MessageView().openStored({ seq: 1n, timestampNs: 0n, payload: batch.payload(0) });
  };
  const plot = new Plot(".data.n", []);
  for (let n = 0; n < 20_000; n++) plot.add(view(n, "a"));
  for (let i = 0; i < 10; i++) plot.add(view(1, `t${i}`));
  const points = plot.series.get("#a") ?? [];
  assert.ok(points.length >= 4096 && points.length <= 8192, `${points.length}`);
  assert.equal(points.at(-1)?.value, 19_999);
  assert.deepEqual([plot.series.size, plot.crowded], [8, 3]);
  assert.match(plot.draw(80, 10, false).at(-1) ?? "", /^3 messages of further tags$/);
});

Deno.test("plot in a pipe: drawn once, other values are counted", async () => {
  await inTemp(async (dir) => {
    fill(dir);
    const follow = ["--dir", dir, "follow", "pi", "--tag", "sensor", "--plot"];
    const { code, stdout, stderr } = await cli([...follow, ".data.celsius"]);
    assert.equal(code, 0, stderr);
    const lines = stdout.trimEnd().split("\n");
    assert.match(lines[0] ?? "", /^#indoor 10\.0+ {2}#outdoor 10\.0+$/);
    assert.equal(lines.at(-1), "2 messages without a number at .data.celsius");
    assert.match(lines[1] ?? "", /^10\.0 │.*\u2809/);
    const empty = await cli([...follow, ".data.nothing"]);
    assert.match(empty.stdout, /^Nothing to draw yet\n24 messages without a number/);
    const wrong = await cli([...follow, "celsius"]);
    assert.equal(wrong.code, ErrorKind.Usage);
    assert.match(String(errorOf(wrong)["message"]), /invalid path "celsius"/);
  });
});

Deno.test(
  "plot on a terminal: live, q and Ctrl-C end with 0 and give the terminal back",
  { ignore: !hasTerminals },
  async () => {
    await inTemp(async (dir) => {
      fill(dir);
      const follow = ["--dir", dir, "follow", "pi", "--plot", ".data.celsius"];
      const ends = await Promise.all(
        ["q", "\x03"].map((key) =>
          terminal(follow, [{ expect: "#indoor #sensor 10" }, { send: key }])
        ),
      );
      for (const { code, restored, output } of ends) {
        assert.deepEqual([code, restored], [0, true], output);
        assert.ok(output.endsWith("\x1b[?25h\x1b[?1049l"));
      }
    });
  },
);
