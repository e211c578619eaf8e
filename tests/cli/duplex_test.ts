/**
 * `duplex`: the line editor as a unit, the JSON stream from pipes, and chats on pseudo-terminals.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { ErrorKind } from "../../lib/errors.ts";
import { LineEditor } from "../../lib/cli/duplex_editor.ts";
import { Client } from "../../lib/client/client.ts";
import { cli, errorOf, inTemp, type Outcome, spawnCli } from "./cli_util.ts";
import { until, untilFile } from "../support/patience.ts";
import { hasTerminals, screen, terminal } from "../support/terminal.ts";

function lines(outcome: Outcome): Record<string, unknown>[] {
  return outcome.stdout.split("\n").filter((line) => line !== "").map((line) =>
    JSON.parse(line)["data"]
  );
}

/** Types into an editor; returns finished lines, `null` for the end. */
function type(editor: LineEditor, keys: string): (string | null)[] {
  return [...editor.type(keys)].map((outcome) => outcome.kind === "line" ? outcome.text : null);
}

Deno.test("the editor does what the usual keys do", () => {
  const cases: [string, (string | null)[]][] = [
    ["hello\r", ["hello"]],
    ["a\r\nb\n\n", ["a", "b", ""]],
    ["helo\x1b[Dl\r", ["hello"]],
    ["b\x01a\x05c\r", ["abc"]],
    ["ab\x02\x02\x06x\r", ["axb"]],
    ["ab\x7f\x08\x7fc\r", ["c"]],
    ["e\u0301\x7fx\r", ["x"]],
    ["a👨‍👩‍👧b\x02\x7fc\r", ["acb"]],
    ["one two  three\x17\x17x\r", ["one x"]],
    ["one two\x15x\r", ["x"]],
    ["one two\x01\x0bx\r", ["x"]],
    ["abc\x1b[D\x1b[3~\x1b[H\x1b[3~\r", ["b"]],
    ["one two\x1bb\x1bbx\x1bfy\r", ["xoney two"]],
    ["one two\x1b[1;5Dx\x1b[1;5C!\r", ["one xtwo!"]],
    ["first\rsecond\r\x1b[A\x1b[A\r", ["first", "second", "first"]],
    ["first\rdraft\x1b[A\x1b[B!\r", ["first", "draft!"]],
    ["a\x04\r", ["a"]],
    ["ab\x02\x04\x04\r", ["a"]],
    ["\x04later\r", [null]],
    ["a\x1b[200~\x1b[5;7~\x1bOP\x0c\x00b\r", ["ab"]],
  ];
  for (const [keys, expected] of cases) {
    assert.deepEqual(type(new LineEditor(), keys), expected, JSON.stringify(keys));
    // A key may arrive in pieces.
    const editor = new LineEditor();
    const split: (string | null)[] = [];
    for (const char of keys) {
      split.push(...type(editor, char));
      if (split.at(-1) === null) break;
    }
    assert.deepEqual(split, expected, JSON.stringify(keys));
  }
});

Deno.test("whatever is typed, the cursor stays inside the line", () => {
  const key = fc.oneof(
    fc.string({ unit: "grapheme", maxLength: 4 }),
    fc.string({ unit: "binary-ascii", maxLength: 4 }),
    fc.constantFrom("\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[3~", "\x1b", "\x17", "\r"),
  );
  fc.assert(fc.property(fc.array(key, { maxLength: 30 }), (keys) => {
    const editor = new LineEditor();
    for (const typed of keys) {
      for (const outcome of editor.type(typed)) {
        if (outcome.kind === "line") assert(!/[\r\n]/.test(outcome.text));
      }
      assert(editor.cursor >= 0 && editor.cursor <= editor.text.length);
    }
  }));
});

Deno.test("piped input is sent as feed reads it; one's own lines are hidden", async () => {
  await inTemp(async (dir) => {
    const duplex = (args: string[], stdin: string): Promise<Outcome> =>
      cli(["--dir", dir, "duplex", "chat", "--jsonl", ...args], { stdin });
    // The user's cookbook, without a newline at the end.
    const boot = await duplex(
      ["--create", "--me", "alice"],
      '{"from":"alice","msg":"boot complete"}\n{"from":"alice","msg":"ready"}',
    );
    assert.deepEqual([boot.code, boot.stdout, boot.stderr], [0, "", ""]);

    const mixed = await duplex(
      ["--me", "alice"],
      '{"from":"bob","n":1}\n{"from":"alice","n":2}{"n":3}\n{"from":["alice"],"n":4}\n{"from":"alic","n":5}\n',
    );
    assert.deepEqual(lines(mixed).map((data) => data["n"]), [1, 3, 4, 5]);

    const nameless = await duplex([], '{"from":"alice","n":6}\n');
    assert.deepEqual(lines(nameless), [{ from: "alice", n: 6 }]);
    const echo = await duplex(["--me", "alice", "--echo-self"], '{"from":"alice","n":7}\n');
    assert.deepEqual(lines(echo), [{ from: "alice", n: 7 }]);

    // The last three of others, not the others among the last three.
    const tail = await duplex(["--me", "alice", "--tail", "3"], '{"from":"alice"}\n');
    assert.deepEqual(lines(tail).map((data) => data["n"]), [3, 4, 5]);
    const since = await duplex(["--me", "alice", "--since", "1h"], '{"from":"alice"}\n');
    assert.deepEqual(lines(since).map((data) => data["n"]), [1, 3, 4, 5]);

    const events = await duplex(["--timeout", "5s"], ': hello\n\ndata: {"n":8}\n\n');
    assert.deepEqual([events.code, ...lines(events)], [0, { n: 8 }]);
    const copied = await duplex(
      [],
      JSON.stringify({
        seq: 1,
        time: "2026-01-01T00:00:00Z",
        meta: { tags: ["t"] },
        data: { n: 9 },
      }),
    );
    assert.deepEqual(JSON.parse(copied.stdout)["meta"], { tags: ["t"] });
  });
});

Deno.test("formats of follow", async () => {
  await inTemp(async (dir) => {
    const run = (...args: string[]): Promise<Outcome> =>
      cli(["--dir", dir, "duplex", "p", "--create", ...args], { stdin: '{"x":1}' });
    assert.match((await run()).stdout, /^\{\n {2}"data": \{\n {4}"x": 1\n/);
    assert.match((await run("--format", "yaml")).stdout, /^---\ndata:\n {2}x: 1\n/);
    assert.match((await run("--format", "json")).stdout, /^\{"data":\{"x":1\},/);
    assert((await run("--format", "lite3")).stdout.startsWith("PLS1"));
    assert.match((await run("--format", "line")).stdout, /^\d\d:\d\d:\d\d\.\d{3} 5 x 1\n$/);
    const raw = await run("--format", "lite3-raw");
    assert.equal(raw.code, ErrorKind.Usage);
    assert(raw.stderr.includes("duplex does not support --format lite3-raw"));
  });
});

Deno.test("how it ends", async () => {
  await inTemp(async (dir) => {
    const duplex = (args: string[], stdin?: string): Promise<Outcome> =>
      cli(["--dir", dir, "duplex", ...args], stdin === undefined ? {} : { stdin });
    const missing = await duplex(["p", "--me", "a b"]);
    assert.equal(missing.code, ErrorKind.NotFound);
    assert(String(errorOf(missing)["hint"]).includes('duplex p --create --me "a b"'));

    assert.equal((await duplex(["p", "--create"], "")).code, ErrorKind.Usage);
    const empty = await duplex(["p"]);
    assert.equal(errorOf(empty)["message"], "missing data input");

    const bad = await duplex(["p", "--jsonl"], '{"n":1}\nnonsense\n{"n":2}\n');
    assert.equal(bad.code, ErrorKind.Usage);
    assert.deepEqual(lines(bad), [{ n: 1 }], "what came before it was sent, and shown");
    assert.equal(errorOf(bad)["message"], "invalid json input");

    // The future: at once, without reading stdin.
    const future = await duplex(["p", "--since", "2199-01-01T00:00:00Z"], '{"n":3}\n');
    assert.deepEqual([future.code, future.stdout], [0, ""]);
    assert.equal(
      (await duplex(["q", "--since", "2199-01-01T00:00:00Z"], "{}")).code,
      ErrorKind.NotFound,
    );
    assert.equal((await duplex(["p", "--since", "1h", "--tail", "1"], "{}")).code, ErrorKind.Usage);

    const remote = await duplex(["http://127.0.0.1:9/p", "--create"], "{}");
    assert.equal(errorOf(remote)["message"], "remote duplex does not support --create");
    const flags = await duplex(["p", "--token", "x"], "{}");
    assert.equal(
      errorOf(flags)["message"],
      "duplex remote auth/TLS flags require a remote http(s) pool ref",
    );
    using client = new Client(dir);
    using pool = client.openPool("p");
    assert.equal(pool.info().bounds.newestSeq, 1n);
  });
});

Deno.test("--timeout counts from the last message of others", async () => {
  await inTemp(async (dir) => {
    using client = new Client(dir);
    using pool = client.createPool("p");
    const child = spawnCli([
      "--dir",
      dir,
      "duplex",
      "p",
      "--jsonl",
      "--me",
      "a",
      "--timeout",
      "800ms",
    ], {
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    });
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode('{"from":"a"}\n'));
    await until(() => pool.info().bounds.newestSeq !== null);
    pool.append({ from: "b" });
    // Stdin stays open: only the timeout can end it.
    const { code, stdout, stderr } = await child.output();
    await writer.close().catch(() => {});
    assert.equal(code, 124);
    assert.equal(JSON.parse(new TextDecoder().decode(stdout))["data"]["from"], "b");
    assert.equal(stderr.length, 0);
  });
});

Deno.test("two people on two terminals", { ignore: !hasTerminals }, async () => {
  await inTemp(async (dir) => {
    using client = new Client(dir);
    client.createPool("chat").close();
    const alice = terminal(
      ["--dir", dir, "duplex", "chat", "--create", "--me", "alice"],
      [
        { expect: "alice> " },
        { touch: `${dir}/1` },
        { expect: "bob  hello alice" },
        // Half typed when the next message comes in.
        { send: "I am typ" },
        { expect: "alice> I am typ" },
        { send: "\x1b[D\x1b[D\x1b[D" },
        { expect: "[3D" },
        { send: "\x1b[F" },
        { touch: `${dir}/2` },
        { expect: "bob  still there?" },
        { expect: "alice> I am typ" },
        { send: "ing…\r" },
        { expect: "alice> I am typing…\r\n" },
        { expect: "bob  bye" },
        { send: "\x04" },
      ],
    );
    const bob = terminal(
      ["--dir", dir, "duplex", "chat", "--me", "bob", "--tail", "20", "--jsonl"],
      [
        { expect: "bob> " },
        { until: `${dir}/1` },
        { send: "hello alice\r" },
        { expect: "bob> hello alice\r\n" },
        { until: `${dir}/2` },
        { send: "still there?\r" },
        { expect: '"from":"alice"' },
        { send: "   \r" },
        { expect: "bob> " },
        { send: "bye\r" },
        { expect: "bye\r\n" },
        { send: "\x04" },
      ],
    );
    for (const session of await Promise.all([alice, bob])) {
      assert.equal(session.code, 0, session.output);
      assert(session.restored);
      // Bob asked for JSON; a chat reads like one.
      assert.equal(session.output.includes('"from":"alice"'), session.output.includes("bob> "));
      assert.equal(session.output.includes('"from":"bob"'), false);
    }
    // The screen that is left: whole messages, whole typed lines.
    const left = screen((await alice).output, 10_000).filter((line) => line !== "");
    assert.equal(left.length, 4, left.join("\n"));
    assert.match(left[0] ?? "", /^\d\d:\d\d bob {2}hello alice$/);
    assert(left[1]?.endsWith("bob  still there?"));
    assert.equal(left[2], "alice> I am typing…");
    assert(left[3]?.endsWith("bob  bye"));
    using pool = client.openPool("chat");
    const said = [];
    for await (const message of pool.replay({ speed: 0 })) said.push(message.data);
    assert.deepEqual(said, [
      { from: "bob", msg: "hello alice" },
      { from: "bob", msg: "still there?" },
      { from: "alice", msg: "I am typing…" },
      { from: "bob", msg: "bye" },
    ]);
  });
});

Deno.test(
  "the terminal is given back however the chat ends",
  { ignore: !hasTerminals },
  async () => {
    await inTemp(async (dir) => {
      using client = new Client(dir);
      client.createPool("chat").close();
      const chat = ["--dir", dir, "duplex", "chat", "--me", "al"];
      const ends: [Parameters<typeof terminal>[1], number | null, number | null][] = [
        [[{ signal: 15 }], null, 15],
        [[{ signal: 1 }], null, 1],
        [[{ send: "\x03" }], null, 2],
        [
          [{ send: "\x1a" }, { stopped: true }, { signal: 18 }, { expect: "al> half" }, {
            send: "\x15\x04",
          }],
          0,
          null,
        ],
        [[{ resize: 40 }, { expect: "al> half" }, { send: "\x15\x04" }], 0, null],
      ];
      const sessions = ends.map(([steps]) =>
        terminal(chat, [
          { expect: "al> " },
          { send: "half" },
          { expect: "half" },
          ...steps,
        ])
      );
      const timeout = terminal([...chat, "--timeout", "300ms"], [{ expect: "al> " }]);
      const deleted = terminal(["--dir", dir, "duplex", "gone", "--me", "al", "--create"], [{
        expect: "al> ",
      }, { touch: `${dir}/shown` }]);
      const gone = (async (): Promise<void> => {
        await untilFile(`${dir}/shown`);
        Deno.removeSync(`${dir}/gone.plasmite`);
      })();
      for (const [i, session] of (await Promise.all(sessions)).entries()) {
        const [, code, signal] = ends[i] ?? [];
        assert(session.restored, `${i}: ${session.output}`);
        assert.deepEqual([session.code, session.signal], [code, signal], `${i}: ${session.output}`);
        assert(!screen(session.output).join("").includes("half"), "the prompt is wiped");
      }
      await gone;
      assert.deepEqual([(await timeout).code, (await timeout).restored], [124, true]);
      assert.deepEqual([(await deleted).code, (await deleted).restored], [3, true]);
      assert((await deleted).output.includes("error: "));
    });
  },
);

Deno.test("a terminal needs a name; a narrow one scrolls", { ignore: !hasTerminals }, async () => {
  await inTemp(async (dir) => {
    const nameless = await terminal(["--dir", dir, "duplex", "chat", "--create"], []);
    assert.equal(nameless.code, ErrorKind.Usage);
    assert(nameless.output.includes("TTY input requires --me for duplex"));
    assert.throws(() => Deno.statSync(`${dir}/chat.plasmite`), "checked before the pool is made");

    const text = "日本語 is written on a terminal that is not wide";
    const narrow = await terminal(["--dir", dir, "duplex", "chat", "--create", "--me", "al"], [
      { expect: "al> " },
      { send: text },
      { expect: "not wide" },
      { send: "\x01" },
      { expect: "al> 日本語 is" },
      { send: "\r" },
      { expect: `al> ${text}\r\n` },
      { send: "\x04" },
    ], { cols: 24 });
    assert.equal(narrow.code, 0);
    // Nothing but the finished line was ever wider than the terminal.
    const kept = screen(narrow.output.slice(0, narrow.output.indexOf(`al> ${text}\r\n`)), 24);
    assert.equal(kept.filter((line) => line !== "").length <= 1, true, kept.join("|"));
    // Both sides on the screen at once: history, then what is typed.
    const echo = await terminal(
      [
        "--dir",
        dir,
        "duplex",
        "chat",
        "--me",
        "al",
        "--echo-self",
        "--tail",
        "1",
        "--format",
        "line",
      ],
      [{ expect: "from al" }, { expect: "al> " }, { send: "again\r" }, {
        expect: "again  from al",
      }, { send: "\x04" }],
    );
    assert.equal(echo.code, 0);
  });
});
