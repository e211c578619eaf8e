/**
 * `follow --interactive`: what is kept, chosen, found and shown, and a terminal that is given back.
 * Otherwise somebody who looks for an error in a busy pool misses it, loses the place while reading,
 * or runs out of memory.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { followScreen, type FollowStatus } from "../../lib/cli/follow_screen.ts";
import { type Entry, FollowView, wordPattern } from "../../lib/cli/follow_view.ts";
import { textWidth } from "../../lib/cli/line_width.ts";
import { ErrorKind } from "../../lib/errors.ts";
import { hasTerminals, terminal } from "../support/terminal.ts";
import { cli, errorOf, inTemp } from "./cli_util.ts";

function entry(text: string, trouble = false): Entry {
  return { line: [{ text, style: 0 }], whole: `{\n  "data": "${text}"\n}`, trouble };
}

function filled(count: number): FollowView {
  const view = new FollowView();
  for (let i = 1; i <= count; i++) view.add(entry(`message ${i}`, i % 10 === 0));
  return view;
}

const STATUS: FollowStatus = {
  pool: "web",
  search: "",
  isTyping: false,
  said: "",
  isBad: false,
  isOver: false,
  isHelp: false,
  columns: 40,
  lines: 8,
  colored: false,
};

function chosen(view: FollowView): string {
  return view.entry(view.at.entry)?.line[0]?.text ?? "";
}

// Lost: all memory, to a window that stays open for weeks.
Deno.test("interactive: a bounded number of messages is kept, and a bounded amount of text", () => {
  const many = filled(30_000);
  assert.equal(many.count, 20_000);
  assert.equal(many.entry(0)?.line[0]?.text, "message 10001");
  assert.equal(chosen(many), "message 30000");
  const large = new FollowView();
  for (let i = 0; i < 2000; i++) large.add(entry(`${i} ${"x".repeat(60_000)}`));
  assert.ok(large.count < 600 && large.count > 100, `${large.count}`);
});

// Lost: the line that was just being read, dropped or scrolled away by what arrives.
Deno.test("interactive: what is read stays where it is while messages arrive", () => {
  const view = filled(100);
  followScreen(view, STATUS);
  view.move(-3);
  assert.deepEqual([view.isLive, chosen(view)], [false, "message 97"]);
  const before = followScreen(view, STATUS).slice(0, -1);
  for (let i = 0; i < 50; i++) view.add(entry(`new ${i}`));
  assert.deepEqual(followScreen(view, STATUS).slice(0, -1), before);
  assert.match(followScreen(view, STATUS).at(-1) ?? "", /^paused, 50 new/);
  view.toOldest();
  while (view.hasRoom) view.add(entry("more"));
  assert.equal(chosen(view), "message 1", "the list is full, and the oldest is still there");
  view.pause(false);
  assert.deepEqual([view.isLive, view.unseen, chosen(view)], [true, 0, "more"]);
});

Deno.test("interactive: a search finds up and down, by capitals or not, and counts", () => {
  const view = filled(40);
  view.add(entry("Ärger in Köln"));
  view.search("ärger");
  assert.deepEqual([view.hits, view.isHit(40)], [1, true]);
  view.search("ÄRGER");
  assert.equal(view.hits, 0);
  view.search("message 3");
  assert.equal(view.hits, 11);
  assert.equal(view.next(-1, "hit"), true);
  assert.equal(chosen(view), "message 39");
  for (let i = 0; i < 10; i++) assert.equal(view.next(-1, "hit"), true);
  assert.equal(chosen(view), "message 3");
  assert.equal(view.next(-1, "hit"), false);
  assert.equal(view.next(1, "trouble"), true);
  assert.equal(chosen(view), "message 10");
  assert.equal(wordPattern(".*")?.test("anything"), false, "a word is no pattern");
  // What is dropped is not counted any more.
  view.search("message");
  const hits = view.hits;
  view.pause(false);
  for (let i = 0; i < 20_000; i++) view.add(entry("other"));
  assert.deepEqual([hits, view.hits], [40, 0]);
});

Deno.test("interactive: unfolded text is wrapped, walked through row by row, and folded again", () => {
  const view = new FollowView();
  view.add(entry("a"));
  view.add(entry("x".repeat(100)));
  view.add(entry("b"));
  followScreen(view, STATUS);
  view.move(-1);
  view.fold(true);
  const shown = followScreen(view, { ...STATUS, lines: 20 }).join("\n");
  assert.equal(shown.match(/x/g)?.length, 37 + 100, "the line is cut, the unfolded text is whole");
  for (let i = 0; i < 4; i++) view.move(1);
  assert.deepEqual(view.at, { entry: 1, row: 4 });
  view.fold(false);
  assert.deepEqual([view.at, view.isUnfolded], [{ entry: 1, row: 0 }, false]);
  view.foldAll();
  view.add(entry("c"));
  assert.ok(view.unfolded(3).length > 1, "also what is still to come");
});

// Lost: a line that wraps moves everything below it; a chosen row outside of the screen is invisible.
Deno.test("interactive: whatever is done, the screen fits and shows the chosen row once", () => {
  const text = fc.oneof(
    fc.string({ unit: "grapheme", maxLength: 60 }),
    fc.constant("日本".repeat(30)),
  );
  const action = fc.oneof(
    fc.record({ move: fc.integer({ min: -30, max: 30 }) }),
    fc.record({ add: text }),
    fc.constantFrom("fold", "unfold", "all", "oldest", "live", "pause", "hit", "trouble"),
  );
  fc.assert(fc.property(
    fc.array(action, { maxLength: 60 }),
    fc.integer({ min: 12, max: 100 }),
    fc.integer({ min: 3, max: 30 }),
    fc.boolean(),
    (actions, columns, lines, isHelp) => {
      const view = filled(15);
      view.search("message 1");
      for (const one of actions) {
        if (typeof one === "object") {
          if ("move" in one) view.move(one.move);
          else view.add(entry(one.add.replaceAll(/\p{C}/gu, "")));
        } else if (one === "fold" || one === "unfold") view.fold(one === "unfold");
        else if (one === "all") view.foldAll();
        else if (one === "oldest") view.toOldest();
        else if (one === "live" || one === "pause") view.pause(one === "pause");
        else view.next(1, one);
        const shown = followScreen(view, { ...STATUS, columns, lines, isHelp });
        assert.equal(shown.length, lines);
        for (const line of shown) assert.ok(textWidth(line) <= columns, line);
        assert.equal(shown.slice(0, view.height).filter((line) => line.startsWith(">")).length, 1);
      }
    },
  ));
});

Deno.test("interactive: what does not go with it, and where there is no terminal", async () => {
  await inTemp(async (dir) => {
    await cli(["--dir", dir, "feed", "web", "--create", "{}"]);
    const piped = await cli(["--dir", dir, "follow", "web", "-i"]);
    assert.equal(piped.code, ErrorKind.Usage);
    assert.match(String(errorOf(piped)["message"]), /--interactive needs a terminal/);
    const both = await cli(["--dir", dir, "follow", "web", "-i", "--one"]);
    assert.equal(both.code, ErrorKind.Usage);
  });
});

Deno.test(
  "interactive on a terminal: search, unfold, live messages, and the terminal is given back",
  { ignore: !hasTerminals },
  async () => {
    await inTemp(async (dir) => {
      const lines = Array.from({ length: 50 }, (_, i) => `{"msg":"job ${i + 1} done"}`).join("\n");
      await cli(["--dir", dir, "feed", "web", "--create"], { stdin: lines });
      await cli(["--dir", dir, "feed", "web", '{"msg":"last\\u001b[2J"}']);
      const follow = ["--dir", dir, "follow", "web", "--interactive"];
      const [quit, interrupted, killed, finite] = await Promise.all([
        terminal(follow, [
          { expect: "51 of 51" },
          { send: "/job 7 d\r" },
          { expect: "/job 7 d: 1 of 51" },
          { send: "\r" },
          { expect: '"seq": 7,' },
          { send: "n" },
          { expect: "No match below" },
          { send: "G" },
          { expect: "live  /job 7 d" },
          { send: "q" },
        ]),
        terminal(follow, [{ expect: "live" }, { send: "\x03" }]),
        terminal(follow, [{ expect: "live" }, { signal: 15 }]),
        terminal([...follow, "--no-follow", "--tail", "3"], [
          { expect: "3 of 3" },
          { expect: "end" },
          { send: "?" },
          { expect: "unfold or fold all" },
          { send: "q" },
        ]),
      ]);
      for (const { code, restored, output } of [quit, interrupted, finite]) {
        assert.deepEqual([code, restored], [0, true], output);
        assert.ok(output.endsWith("\x1b[?25h\x1b[?1049l"));
        assert.ok(!output.includes("last\x1b[2J"), "a message cannot clear the screen");
      }
      assert.deepEqual([killed.signal, killed.restored], [15, true]);
    });
  },
);
