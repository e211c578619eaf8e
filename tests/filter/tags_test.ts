/**
 * `--tag`: all given tags must be there, compared exactly.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { Lite3Tag, type MessageView } from "../../lib/lite3/message.ts";
import { message } from "../text/message_fixture.ts";

function carries(view: MessageView, tags: readonly string[]): boolean {
  return view.hasTags(tags.map((tag) => new Lite3Tag(tag)));
}

Deno.test("every tag must be present, exactly", () => {
  const view = message("{}", { tags: ["alert", "disk", "é 😀", "", "alert"] });
  for (
    const [tags, expected] of [
      [[], true],
      [["alert"], true],
      [["disk", "alert"], true],
      [["alert", "alert"], true],
      [["é 😀"], true],
      [[""], true],
      [["alert", "cpu"], false],
      [["Alert"], false],
      [["alert "], false],
      [["ale"], false],
      [["alerts"], false],
      [["e\u0301 😀"], false],
      [["alert,disk"], false],
    ] as const
  ) {
    assert.equal(carries(view, tags), expected, JSON.stringify(tags));
  }
});

Deno.test("a message without tags passes only where none is asked for", () => {
  const view = message("{}");
  assert.ok(carries(view, []));
  assert.ok(!carries(view, [""]));
});

Deno.test("agrees with comparing decoded tags", () => {
  const tag = fc.oneof(fc.constantFrom("a", "b", "ab", "", "é"), fc.string({ unit: "grapheme" }));
  const tags = fc.array(tag, { maxLength: 12 });
  fc.assert(fc.property(tags, tags, (stored, asked) => {
    const view = message("{}", { tags: stored });
    const expected = asked.every((t) => stored.includes(t));
    assert.equal(carries(view, asked), expected);
    assert.ok(carries(view, stored));
  }));
});
