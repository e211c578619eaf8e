/**
 * `--tag`: all given tags must be there, compared exactly.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { TagFilter } from "../lib/filter/tags.ts";
import { message } from "./message_fixture.ts";

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
    assert.equal(new TagFilter(tags).matches(view), expected, JSON.stringify(tags));
  }
});

Deno.test("a message without tags passes only where none is asked for", () => {
  const view = message("{}");
  assert.ok(new TagFilter([]).matches(view));
  assert.ok(!new TagFilter([""]).matches(view));
});

Deno.test("agrees with comparing decoded tags", () => {
  const tag = fc.oneof(fc.constantFrom("a", "b", "ab", "", "é"), fc.string({ unit: "grapheme" }));
  const tags = fc.array(tag, { maxLength: 12 });
  fc.assert(fc.property(tags, tags, (stored, asked) => {
    const view = message("{}", { tags: stored });
    const expected = asked.every((t) => stored.includes(t));
    assert.equal(new TagFilter(asked).matches(view), expected);
    assert.ok(new TagFilter(stored).matches(view));
  }));
});
