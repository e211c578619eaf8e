/**
 * What people see on a terminal of 80 and of 160 columns, with colours, against the pictures in
 * `tests/data/screens`. Otherwise a table wraps, a column disappears or everything turns red, and no
 * one notices before a user does. To keep new pictures after a look at them:
 * `PLASMITE_TEST_SCREENS=keep deno test -A tests/cli/screens_test.ts`.
 *
 * @module
 */

import assert from "node:assert/strict";
import { inCheckout } from "../support/paths.ts";
import { hasTmux, type Screen, screenshot } from "../support/tmux.ts";
import { CLI, cli, inTemp, quote } from "./cli_util.ts";

const FOLDER = inCheckout("tests/data/screens");
const KEEP = Deno.env.get("PLASMITE_TEST_SCREENS") === "keep";

/** Messages with fixed times: an ordinary day, its end, wide characters, a progress bar. */
const LOGS = String.raw`
{"data":{"msg":"checkout took 312 ms","level":"info","path":"/api/v1/cart","user":"ada"},"meta":{"tags":["web"]},"seq":1,"time":"2026-01-30T09:09:01.25Z"}
{"data":{"level":"warn","msg":"slow query","ms":1804,"sql":"select * from orders where customer = $1 order by created_at desc limit 50"},"meta":{"tags":["db","slow"]},"seq":2,"time":"2026-01-30T23:59:59Z"}
{"data":{"level":"error","error":"connection refused","host":"10.0.0.7"},"meta":{"tags":["web","deploy-2026-01-30-very-long-tag-name"]},"seq":3,"time":"2026-01-31T00:00:01Z"}
{"data":{"celsius":21.5,"room":"日本語の部屋","nested":{"a":[1,2,{"b":null}]}},"meta":{"tags":["pi"]},"seq":4,"time":"2026-01-31T00:00:02Z"}
{"data":{"msg":"50%\r75%\r100%"},"meta":{"tags":[]},"seq":5,"time":"2026-01-31T00:00:03Z"}
`.trim();

/** A day of two sensors. */
function sensors(): string {
  return Array.from({ length: 96 }, (_, i) => {
    const time = new Date(Date.UTC(2026, 0, 30) + i * 450_000).toISOString();
    const tag = i % 2 === 0 ? "indoor" : "outdoor";
    const celsius = (i % 2 === 0 ? 20 : 5) + Math.round(50 * Math.sin(i / 12)) / 10;
    return JSON.stringify({ data: { celsius }, meta: { tags: [tag] }, seq: i + 1, time });
  }).join("\n");
}

/** Pools that a user could have, one of them damaged. */
async function pools(dir: string): Promise<void> {
  const run = async (args: readonly string[], stdin?: string): Promise<void> => {
    const done = await cli(["--dir", dir, ...args], stdin === undefined ? {} : { stdin });
    assert.equal(done.code, 0, done.stderr);
  };
  await run(["import", "logs", "--create", "--keep-seq"], LOGS);
  await run(["import", "greenhouse", "--create-size", "256K", "--keep-seq"], sensors());
  await run(["pool", "create", "a-name-of-sixty-characters-as-some-programs-make-them-for-us-01"]);
  await run(
    ["import", "chat", "--create"],
    [
      ["bob", "hi alice"],
      ["alice", "hi bob, the deploy is through"],
      ["bob", "💯"],
    ].map(([from, msg], i) =>
      JSON.stringify({
        data: { from, msg },
        meta: { tags: [] },
        seq: i + 1,
        time: `2026-01-30T09:09:0${i}Z`,
      })
    ).join("\n"),
  );
  await run(["pool", "create", "broken"]);
  await Deno.writeTextFile(`${dir}/broken.plasmite`, "not a pool at all");
}

interface Picture {
  readonly name: string;
  readonly args: readonly string[];
  readonly steps: Screen["steps"];
  readonly rows?: number;
  /** Whether it shows ages, which are different every day. */
  readonly hasAges?: true;
}

const PICTURES: readonly Picture[] = [
  { name: "help", args: ["-h"], steps: ["<COMMAND> --help"], rows: 45 },
  { name: "pool-list", args: ["pool", "list"], steps: ["logs"], hasAges: true },
  {
    name: "top",
    args: ["top"],
    steps: ["by rate", "logs", { keys: ["n"] }, "by name"],
    hasAges: true,
  },
  {
    name: "follow-line",
    args: ["follow", "logs", "--format", "line", "--tail", "5"],
    steps: ["100%"],
  },
  {
    name: "follow-plot",
    args: ["follow", "greenhouse", "--plot", ".data.celsius"],
    steps: ["#outdoor"],
  },
  {
    name: "follow-interactive",
    args: ["follow", "logs", "-i"],
    steps: [
      "live",
      { keys: ["/refused", "Enter"] },
      "1 of 5",
      { keys: ["Enter"] },
      '"host"',
    ],
  },
  {
    name: "duplex",
    args: ["duplex", "chat", "--me", "alice", "--tail", "3", "--echo-self"],
    steps: ["💯", "alice>"],
  },
  { name: "doctor-all", args: ["doctor", "--all"], steps: ["broken"] },
];

/** Ages and folders as placeholders of the same width. */
function steady(text: string, hasAges: boolean): string {
  // How many rates were measured is not the same each time.
  const placed = text.replace(/pools in .*, by/, "pools in /pools, by").replaceAll("▁", " ");
  return hasAges ? placed.replace(/\b\d+(?=[smhd]\b)/g, (age) => "9".repeat(age.length)) : placed;
}

for (const columns of [80, 160]) {
  Deno.test({
    name: `screens: ${columns} columns, as they are in tests/data/screens`,
    ignore: !await hasTmux(),
    fn: async (t) => {
      await inTemp(async (dir) => {
        await pools(dir);
        for (const picture of PICTURES) {
          await t.step(picture.name, async () => await compare(picture, dir, columns));
        }
      });
    },
  });
}

async function compare(picture: Picture, dir: string, columns: number): Promise<void> {
  const command = [Deno.execPath(), "run", "-A", "--quiet", CLI, "--dir", dir, ...picture.args];
  const env = { TZ: "UTC", NO_COLOR: "", EDITOR: "" };
  const line = `${command.map(quote).join(" ")}; cat`;
  const taken = await screenshot({
    line,
    columns,
    rows: picture.rows ?? 24,
    env,
    steps: picture.steps,
  });
  const shown = steady(taken, picture.hasAges === true);
  const file = `${FOLDER}/${picture.name}-${columns}.txt`;
  if (KEEP) await Deno.writeTextFile(file, shown);
  for (const [style = ""] of shown.matchAll(/\{[\d;]+\}/g)) {
    const numbers = style.slice(1, -1).split(";").map(Number);
    const hasBackground = numbers.some((n) => n >= 40 && n <= 47);
    const isFixed = numbers.some((n) => n === 38 || n === 48);
    const isExtreme = numbers.some((n) => [30, 37, 97].includes(n));
    assert(
      !isFixed && (hasBackground || !isExtreme),
      `${style} is not legible on dark and on light`,
    );
  }
  assert.equal(shown, await Deno.readTextFile(file));
}
