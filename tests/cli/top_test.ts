/**
 * `top`: what it says of each pool as JSON, how its table fits a terminal, and its keys. Otherwise
 * someone who watches a machine misses a stuck consumer or a held key, or is left with a terminal
 * that does not echo.
 *
 * @module
 */

import assert from "node:assert/strict";
import { fitMiddle, textWidth } from "../../lib/cli/line_width.ts";
import type { PoolRow } from "../../lib/cli/top_rows.ts";
import { arranged, screen, sparkline, type View } from "../../lib/cli/top_screen.ts";
import { Client } from "../../lib/client/client.ts";
import { PlasmiteError } from "../../lib/errors.ts";
import { createApp } from "../../server/app.ts";
import { keysOf, retyped } from "../../lib/cli/terminal.ts";
import { cli, inTemp } from "./cli_util.ts";
import { hasTerminals, terminal } from "../support/terminal.ts";

function row(name: string, fields: Partial<PoolRow> = {}): PoolRow {
  return {
    name,
    rate: 0,
    rates: [],
    fillPercent: 0,
    messages: 0n,
    oldestAgeMs: null,
    newestAgeMs: null,
    followers: null,
    cursors: [],
    claims: [],
    error: null,
    ...fields,
  };
}

function view(rows: readonly PoolRow[], fields: Partial<View> = {}): View {
  return {
    place: "/pools",
    rows,
    sort: "rate",
    filter: "",
    isTyping: false,
    selected: "",
    problem: null,
    columns: 80,
    lines: 24,
    colored: false,
    ...fields,
  };
}

Deno.test("top: the table fits, however long the names and however narrow the terminal", () => {
  const busy = {
    rate: 123456,
    rates: [1, 2, 3],
    fillPercent: 99.9,
    messages: 18446744073709551615n,
    oldestAgeMs: 86400_000 * 400,
    newestAgeMs: 3,
    followers: 1000,
  };
  const rows = [
    row("a".repeat(60), busy),
    row("日本語".repeat(20), busy),
    row("evil\x1b[2J", { error: new PlasmiteError("Corrupt", `bad\nline ${"x".repeat(200)}`) }),
  ];
  for (const columns of [20, 40, 80, 160]) {
    for (const lines of [4, 10, 24]) {
      const shown = screen(view(rows, { columns, lines }));
      assert.ok(shown.length <= Math.max(lines, 5), `${shown.length} lines of ${lines}`);
      const selected = rows[2]?.name ?? "";
      const damaged = screen(view(rows, { columns, lines, selected, problem: "lost\x1b[2J" }));
      for (const line of [...shown, ...damaged]) {
        assert.ok(textWidth(line) <= columns + 2, `${columns}: ${line}`);
        // deno-lint-ignore no-control-regex
        assert.doesNotMatch(line, /[\x00-\x1f]/);
      }
    }
  }
  const [, heading = "", first = ""] = screen(view(rows, { columns: 160 }));
  assert.match(heading, /^NAME +RATE +RECENT +FILL +MSGS +OLDEST +NEWEST +FOLLOW +LAG +CLAIMS$/);
  assert.ok(first.startsWith("a".repeat(60)), "there is room for the whole name");
});

Deno.test("top: sorted by any column, filtered, the selected pool in view", () => {
  const rows = [
    row("slow", { rate: 1, messages: 5n }),
    row("fast", { rate: 9, messages: 2n }),
    row("other", { rate: 9, messages: 3n }),
  ];
  const names = (fields: Partial<View>): string[] =>
    arranged(view(rows, fields)).map(({ name }) => name);
  assert.deepEqual(names({}), ["fast", "other", "slow"]);
  assert.deepEqual(names({ sort: "messages" }), ["slow", "other", "fast"]);
  assert.deepEqual(names({ sort: "name" }), ["fast", "other", "slow"]);
  assert.deepEqual(names({ filter: "S" }), ["fast", "slow"]);
  const many = Array.from({ length: 100 }, (_, i) => row(`p${String(i).padStart(2, "0")}`));
  const shown = screen(view(many, { sort: "name", selected: "p90", lines: 10 })).join("\n");
  assert.match(shown, /p90.* <$/m);
  assert.equal(sparkline([0, 1, 2, 4], 6), "  ▁▂▄█");
  assert.equal(fitMiddle("abcdefghij", 7), "abc…hij");
});

// Lost: a pool with an emoji in its name, which could not be typed, and half of it on Backspace.
Deno.test("top: what is typed grows and shrinks by whole characters, and keys are no text", () => {
  const typed = (keys: string): string => keysOf(keys).reduce(retyped, "");
  assert.equal(typed("aé💯"), "aé💯");
  assert.equal(typed("a💯\x7f"), "a");
  assert.equal(typed("ab\b\b\bc"), "c");
  assert.equal(typed("a\x1b[A\x1b[5~\x01\tb"), "ab");
});

Deno.test("top --once: one JSON line a pool with cursors, claims and rates", async () => {
  await inTemp(async (dir) => {
    const pls = (...args: string[]) => cli(["--dir", dir, ...args]);
    await pls("feed", "ci", "--create", '{"n":1}');
    await pls("feed", "ci", '{"n":2}');
    await pls("claim", "ci", "deploy", "--as", "bob");
    await pls("pool", "create", "quiet");
    await Deno.writeTextFile(`${dir}/broken.plasmite`, "no pool");
    {
      using client = new Client(dir);
      using pool = client.openPool("ci");
      assert.equal(pool.bounds().newestSeq, 3n);
    }
    const { code, stdout, stderr } = await pls("top", "--once");
    assert.equal(code, 0, stderr);
    const [broken, ci, quiet] = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
    assert.equal(broken.name, "broken");
    assert.equal(broken.error.kind, "Corrupt");
    assert.deepEqual(
      [ci.name, ci.messages, ci.followers, ci.cursors, ci.rate_per_s > 0 && ci.rate_per_s <= 0.3],
      ["ci", 3, null, [], true],
    );
    assert.deepEqual(
      ci.claims.map((claim: Record<string, unknown>) => [claim["key"], claim["holder"]]),
      [
        ["deploy", "bob"],
      ],
    );
    assert.deepEqual([quiet.rate_per_s, quiet.messages, quiet.oldest_age_ms], [0, 0, null]);

    using client = new Client(dir);
    const app = createApp(client);
    const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, app.fetch);
    try {
      const remote = await cli(["top", `http://127.0.0.1:${server.addr.port}`, "--once"]);
      assert.equal(remote.code, 0, remote.stderr);
      const row = JSON.parse(remote.stdout.split("\n")[1] ?? "");
      assert.deepEqual([row.name, row.messages, row.followers], ["ci", 3, 0]);
    } finally {
      await app.shutdown();
      await server.shutdown();
    }
  });
});

Deno.test(
  "top on a terminal: follows a pool and comes back, filters, and gives the terminal back",
  { ignore: !hasTerminals },
  async () => {
    await inTemp(async (dir) => {
      for (const name of ["one", "two"]) {
        await cli(["--dir", dir, "feed", name, "--create", `{"from":"${name}"}`]);
      }
      const top = ["--dir", dir, "top"];
      const [quit, killed] = await Promise.all([
        terminal(top, [
          { expect: "2 of 2 pools" },
          { send: "n" },
          { expect: "by name" },
          { send: "j" },
          { send: "\r" },
          { expect: "1 from two" },
          { send: "q" },
          { expect: "by name" },
          { send: "/one\r" },
          { expect: "1 of 2 pools" },
          { send: "q" },
        ]),
        terminal(top, [{ expect: "2 of 2 pools" }, { signal: 15 }]),
      ]);
      assert.deepEqual([quit.code, quit.restored], [0, true], quit.output);
      assert.ok(quit.output.endsWith("\x1b[?25h\x1b[?1049l"), "the cursor is shown again");
      assert.deepEqual([killed.signal, killed.restored], [15, true]);
      assert.ok(killed.output.includes("\x1b[?1049l"));
    });
  },
);
