/**
 * What a row of the page says, without a browser.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { Client } from "../../lib/client/client.ts";
import { readMessage, visible } from "../../server/ui/json.js";
import { fieldsOf, gap, piecesOf, troubleOf } from "../../server/ui/line.js";
import { cli, inTemp } from "../cli/cli_util.ts";

const KEY = 36;
const COLOURS = [0, 31, 33];

/** A row of the page, written as a terminal colours it. */
function painted(text: string): string {
  const { from, to, tags } = readMessage(text);
  const fields = fieldsOf(text.slice(from, to));
  const pieces = piecesOf(fields, troubleOf(fields, tags));
  return pieces.map(({ kind, text, trouble }, i) => {
    const style = kind === "k" ? KEY : COLOURS[trouble];
    return gap(pieces, i) + (style ? `\x1b[${style}m${text}\x1b[0m` : text);
  }).join("");
}

const word = fc.constantFrom(
  ...["message", "msg", "text", "line", "event", "error", "level", "severity", "lvl", "n", "", "é"],
);
const value = fc.oneof(
  fc.constantFrom(
    "error",
    "WARN",
    "info",
    "50%\rdone\r",
    "\r",
    "",
    " a",
    "-1",
    "true",
    "{x",
    "é\u202e",
  ),
  fc.string({ maxLength: 12 }),
  fc.integer(),
  fc.constantFrom<unknown>(null, true, 1.5, [], {}, [1, { msg: "in" }], {
    level: "error",
    a: ["x,y"],
  }),
);
const message = fc.record({
  data: fc.dictionary(word, value, { maxKeys: 6 }),
  tags: fc.array(fc.constantFrom("error", "Warning", "ok", "fatal", "errors", "a b"), {
    maxLength: 3,
  }),
});

// Lost: whoever looks for a line of the terminal on the page does not find it, or not in its colour.
Deno.test("a row of the page says what --format line says, in the same colours of trouble", async () => {
  await inTemp(async (dir) => {
    using client = new Client(dir);
    using pool = client.createPool("p", 1 << 20);
    const messages = fc.sample(message, { numRuns: 500, seed: 16 });
    for (const { data, tags } of messages) pool.append(data, tags);
    const follow = [
      "--dir",
      dir,
      "--color",
      "always",
      "follow",
      "p",
      "--no-follow",
      "--tail",
      "500",
    ];
    const terminal = await cli([...follow, "--data-only", "--format", "line"]);
    const lines = terminal.stdout.trimEnd().split("\n");
    const json = await cli([...follow.filter((word) => !/color|always/.test(word)), "--jsonl"]);
    const texts = json.stdout.trimEnd().split("\n");
    assert.equal(texts.length, 500);
    for (const [i, text] of texts.entries()) {
      // The page shows more characters as escapes, but none in another way.
      const [first = "", ...rest] = (lines[i] ?? "").split("\x1b");
      const line = [visible(first), ...rest.map((part) => visible(part))].join("\x1b");
      assert.equal(painted(text), line, text);
    }
    const styled = lines.filter((line) => line.startsWith("\x1b[3"));
    assert(styled.some((line) => line.startsWith("\x1b[31m")), "errors were among them");
    assert(styled.some((line) => line.startsWith("\x1b[33m")), "and warnings");
  });
});
