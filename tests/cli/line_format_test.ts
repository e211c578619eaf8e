/**
 * `--format line`: what a line shows, how it is coloured and cut, and that nothing in a message can
 * drive the terminal.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { messageFromValue } from "../../lib/lite3/from_value.ts";
import { stderrForm } from "../../lib/cli/context.ts";
import { DropNotices } from "../../lib/cli/drops.ts";
import { visible } from "../../lib/visible.ts";
import { fieldsOf } from "../../lib/cli/line_fields.ts";
import { charWidth, fit, textWidth } from "../../lib/cli/line_width.ts";
import { Client } from "../../lib/client/client.ts";
import { createRing } from "../../lib/pool/creation.ts";
import { openToAppend } from "../../lib/pool/mending.ts";
import { FrameBatch } from "../../lib/pool/batch.ts";
import { disk } from "../../lib/storage/file.ts";
import { cli, inTemp } from "./cli_util.ts";
import { hasTerminals, screen, terminal } from "../support/terminal.ts";

// deno-lint-ignore no-control-regex
const CONTROLS = /[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

Deno.test("widths as terminals count them", () => {
  for (
    const [text, width] of [
      ["abc", 3],
      ["é", 1],
      ["e\u0301", 1],
      ["日本", 4],
      ["한", 2],
      ["Ａ", 2],
      ["ｱ", 1],
      ["👍", 2],
      ["…", 1],
      ["–", 1],
      ["\u200b", 0],
      ["א", 1],
    ] as const
  ) assert.equal(textWidth(text), width, text);
});

Deno.test("a cut line never takes more columns than there are, and loses nothing it has room for", () => {
  const text = fc.string({ unit: "grapheme", maxLength: 40 }).map(visible);
  fc.assert(
    fc.property(
      fc.array(text, { maxLength: 8 }),
      fc.integer({ min: 1, max: 60 }),
      (texts, columns) => {
        const pieces = texts.map((text) => ({ text, style: 0 }));
        const shown = fit(pieces, columns).map(({ text }) => text).join("");
        const all = texts.join("");
        const width = textWidth(all);
        assert(textWidth(shown) <= columns);
        if (width < columns) assert.equal(shown, all);
        else if (shown !== all) {
          assert(shown.endsWith("…"));
          const kept = shown.slice(0, -1);
          assert(all.startsWith(kept));
          const [next = ""] = all.slice(kept.length);
          assert(textWidth(kept) + Math.max(1, charWidth(next)) >= columns - 1);
        }
      },
    ),
  );
});

Deno.test("a line has local time, sequence number, tags and data", async () => {
  await inTemp(async (dir) => {
    using client = new Client(dir);
    using pool = client.createPool("p");
    const data = {
      text: "a\u0085b\u202ec",
      n: 1.5,
      list: [true, null, { k: "ü" }],
      "\u001b[2J": 0,
    };
    const stored = pool.append(data, ["a b", "\u001b[31mred"]);
    const { stdout } = await cli(
      ["--dir", dir, "follow", "p", "--no-follow", "--format", "line"],
      { env: { TZ: "Asia/Kolkata" } },
    );
    const minutes = Number(stored.timestampNs / 60_000_000_000n) + 330;
    const clock = new Date(minutes * 60_000).toISOString().slice(11, 16);
    const line = /^(?:\d{4}-\d\d-\d\d )?(\d\d:\d\d):\d\d\.\d{3} 1 (.*)\n$/.exec(stdout);
    assert(line !== null, stdout);
    assert.equal(line[1], clock);
    assert.equal(
      line[2],
      '#a b #\\u001b[31mred a\\u0085b\\u202ec  n 1.5  list [true,null,{"k":"ü"}]  \\u001b[2J 0',
    );
    assert(!CONTROLS.test(stdout.trimEnd()));
    const alone = await cli([
      "--dir",
      dir,
      "follow",
      "p",
      "--no-follow",
      "--format",
      "line",
      "--data-only",
    ]);
    assert.equal(alone.stdout, stdout.slice(stdout.indexOf("a\\u0085b")));

    const coloured = await cli(
      ["--dir", dir, "--color", "always", "follow", "p", "--no-follow", "--format", "line"],
      { env: { NO_COLOR: "1" } },
    );
    for (
      const part of [
        "\x1b[33m1\x1b[0m",
        "#a b\x1b[0m",
        "\x1b[36mn\x1b[0m 1.5",
      ]
    ) {
      assert(coloured.stdout.includes(part), part);
    }
    // deno-lint-ignore no-control-regex
    assert.equal(coloured.stdout.replace(/\x1b\[\d+m/g, "").slice(-60), stdout.slice(-60));
  });
});

Deno.test("members of JSON that is cut anywhere are separated", () => {
  const json = '{"msg":"a \\"b\\" \\u00fc","n":{"x":[1,{"y":"}"}]},"":"","k\\n":"v","last":true}';
  const whole = fieldsOf(json);
  assert.deepEqual(whole.map(({ key, text }) => [key, text]), [
    ["msg", 'a "b" ü'],
    ["n", '{"x":[1,{"y":"}"}]}'],
    ["", ""],
    ["k\n", "v"],
    ["last", "true"],
  ]);
  for (let end = 1; end < json.length; end++) {
    const cut = fieldsOf(json.slice(0, end));
    assert(cut.length <= whole.length);
    for (const [i, { key }] of cut.entries()) {
      if (i < cut.length - 1) assert.equal(key, whole[i]?.key);
    }
  }
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
    const names = fieldsOf(JSON.stringify(value)).map(({ key }) => key);
    assert.deepEqual(names, Object.keys(value));
  }));
});

Deno.test("the message comes first, and colour is for trouble", async () => {
  await inTemp(async (dir) => {
    using client = new Client(dir);
    using pool = client.createPool("p");
    pool.append({ level: "error", msg: "disk full", disk: "sda", code: "007", note: " x " });
    pool.append({ msg: "slow", ms: 900 }, ["warn"]);
    pool.append({ kind: "line", line: "10%\r50%\rdone\r" });
    pool.append({ n: 1 }, ["error-free"]);
    const line = ["--dir", dir, "follow", "p", "--no-follow", "--format", "line", "--data-only"];
    const { stdout } = await cli(line);
    assert.deepEqual(stdout.trimEnd().split("\n"), [
      'disk full  level error  disk sda  code "007"  note " x "',
      "slow  ms 900",
      "done  kind line",
      "n 1",
    ]);
    const { stdout: colored } = await cli(["--color", "always", ...line]);
    const [error = "", warning = "", plain = "", fine = ""] = colored.split("\n");
    assert(error.startsWith("\x1b[31mdisk full\x1b[0m"), error);
    assert(warning.startsWith("\x1b[33mslow\x1b[0m"), warning);
    assert(plain.startsWith("done") && !fine.includes("\x1b[31m"));
  });
});

Deno.test("a message of another day shows its date", async () => {
  await inTemp(async (dir) => {
    const path = `${dir}/p.plasmite`;
    createRing(disk, path, { size: 65536 });
    const ring = openToAppend(disk, path);
    const batch = new FrameBatch();
    batch.beginFrame();
    messageFromValue(batch.encoder, { old: true }, []);
    batch.endFrame(1_500_000_000, 0);
    ring.tryAppend(batch);
    ring.close();
    const { stdout } = await cli(["--dir", dir, "follow", "p", "--no-follow", "--format", "line"], {
      env: { TZ: "UTC" },
    });
    assert.equal(stdout, "1970-01-01 00:00:01.500 1 old true\n");
  });
});

Deno.test("on a terminal each message takes one row, whatever its width", {
  ignore: !hasTerminals,
}, async () => {
  await inTemp(async (dir) => {
    using client = new Client(dir);
    using pool = client.createPool("p");
    pool.append({ short: 1 });
    pool.append({ wide: "日本語".repeat(50) });
    pool.append({ long: "x".repeat(100_000) });
    pool.append({ marks: "e\u0301".repeat(60), emoji: "👨‍👩‍👧".repeat(20) }, ["t"]);
    for (const cols of [40, 41, 100]) {
      const session = await terminal(
        ["--dir", dir, "follow", "p", "--no-follow", "--format", "line"],
        [],
        { cols },
      );
      assert.equal(session.code, 0);
      const rows = session.output.split("\r\n");
      assert.equal(rows.length, 5);
      assert(rows[0]?.endsWith("1 short 1"));
      for (const row of rows.slice(1, 4)) {
        assert(row.endsWith("…"));
        assert(textWidth(row) <= cols && textWidth(row) >= cols - 2, `${textWidth(row)}: ${row}`);
      }
      assert.equal(screen(session.output, cols).length, 5);
    }
    const coloured = await terminal(
      ["--dir", dir, "follow", "p", "--no-follow", "--format", "line"],
      [],
      { env: { NO_COLOR: "" } },
    );
    assert(coloured.output.includes("\x1b[36m"));
  });
});

Deno.test("lost messages are reported in plain words", () => {
  const told: string[] = [];
  const context = {
    name: "follow",
    format: "line",
    color: "never",
    stderrForm: "text",
    args: { text: () => "p", required: () => "p" },
    stderr: { text: (text: string) => told.push(text) },
  };
  const drops = new DropNotices(context as never, "p", false);
  drops.lost({ first: 2n, last: 13n });
  drops.flush();
  assert.deepEqual(told, [
    "notice: 12 messages were overwritten before they could be shown (pool: p)\n",
  ]);
  assert.equal(
    stderrForm({
      dir: undefined,
      dirConflict: false,
      color: "auto",
      format: "line",
      json: false,
      yaml: false,
    }, undefined),
    "text",
  );
});
