/**
 * Somebody who writes `=` for `==` or leaves `.data` out was told that jq does not know the name,
 * and had to find the right form alone.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { PlasmiteError } from "../../lib/errors.ts";
import { hopelessPart } from "../../lib/filter/hopeless.ts";
import { parse } from "../../lib/filter/parser.ts";
import { suggest } from "../../lib/filter/suggest.ts";
import { compileWhere } from "../../lib/filter/where.ts";
import { message } from "../text/message_fixture.ts";

/** What was written, and what was meant. */
const SLIPS: readonly (readonly [string, string])[] = [
  // = for ==
  ['.data.level = "error"', '.data.level == "error"'],
  [".data.n = 3 and .data.m = 4", ".data.n == 3 and .data.m == 4"],
  ['.data["level"] = "x"', '.data["level"] == "x"'],
  ['.data | .level = "x"', '.data | .level == "x"'],
  ['select(.data.level = "error")', 'select(.data.level == "error")'],
  [".data.n === 3", ".data.n == 3"],
  [".data.n !== 3", ".data.n != 3"],
  [".data.n <> 3", ".data.n != 3"],
  [".data.n ≥ 3", ".data.n >= 3"],
  // .data is missing
  ['level == "error"', '.data.level == "error"'],
  ['.level == "error"', '.data.level == "error"'],
  ['data.level == "x"', '.data.level == "x"'],
  ['user.name == "alice"', '.data.user.name == "alice"'],
  ['.user.name == "alice"', '.data.user.name == "alice"'],
  ['tags == ["x"]', '.meta.tags == ["x"]'],
  ['any(tags[]; . == "x")', 'any(.meta.tags[]; . == "x")'],
  ['any(.tags[]; . == "x")', 'any(.meta.tags[]; . == "x")'],
  ["seq > 3", ".seq > 3"],
  ['level == "error" and code > 3', '.data.level == "error" and .data.code > 3'],
  ['.seq > 3 or .level == "a"', '.seq > 3 or .data.level == "a"'],
  ['.data | level == "error"', '.data | .level == "error"'],
  ['$.data.level == "x"', '.data.level == "x"'],
  // a text without quotes, also one that is a function of jq
  [".data.level == warn", '.data.level == "warn"'],
  [".data.level == error", '.data.level == "error"'],
  [".data.level == debug", '.data.level == "debug"'],
  ["error == .data.level", '"error" == .data.level'],
  ["any(.meta.tags[]; . == foo)", 'any(.meta.tags[]; . == "foo")'],
  [".data.msg | contains(timeout)", '.data.msg | contains("timeout")'],
  ["timeout", '.data | tostring | contains("timeout")'],
  ["error", '.data | tostring | contains("error")'],
  // other quotes
  [".data.level == 'error'", '.data.level == "error"'],
  [".data.level == “error”", '.data.level == "error"'],
  [".data.level == „error“", '.data.level == "error"'],
  [".data.level == ‘error’", '.data.level == "error"'],
  [".data.level == `error`", '.data.level == "error"'],
  [`.data.x == 'it\\'s "so"'`, `.data.x == "it's \\"so\\""`],
  [`'.data.level == "error"'`, '.data.level == "error"'],
  [`".data.level == 'x'"`, '.data.level == "x"'],
  ['.data.level == "error', '.data.level == "error"'],
  // other operators
  [".data.a == 1 && .data.b == 2", ".data.a == 1 and .data.b == 2"],
  [".data.a==1||.data.b==2", ".data.a==1 or .data.b==2"],
  [".data.a == 1 AND .data.b == 2", ".data.a == 1 and .data.b == 2"],
  ["!.data.ok", "(.data.ok | not)"],
  ["not .data.ok", "(.data.ok | not)"],
  ["!(.data.a == 1) and .data.b == 2", "((.data.a == 1) | not) and .data.b == 2"],
  ['.data.msg =~ "x"', '(.data.msg | test("x"))'],
  ['.data.msg contains "x" and .seq > 1', '(.data.msg | contains("x")) and .seq > 1'],
  ['.data.msg.startsWith("x")', '(.data.msg | startswith("x"))'],
  ['.data.level in ["warn", "error"]', '(.data.level | IN("warn", "error"))'],
  [".data.x is null", ".data.x == null"],
  // other languages
  [".data.s == None", ".data.s == null"],
  [".data.ok == True", ".data.ok == true"],
  ['.data.s | tset("x")', '.data.s | test("x")'],
  [".data.s | len > 1", ".data.s | length > 1"],
  // several at once
  ["level = error", '.data.level == "error"'],
  ["level:error", '.data.level == "error"'],
  ["data.level=='error'", '.data.level=="error"'],
  [
    ".data.status == ok || .data.status == 'done'",
    '.data.status == "ok" or .data.status == "done"',
  ],
];

Deno.test("the commonest slips get the right expression, which compiles", async () => {
  for (const [slip, meant] of SLIPS) {
    const found = suggest(slip);
    assert.equal(found?.expression, meant, slip);
    assert.ok((found?.why ?? "").length > 5, slip);
    await compileWhere(meant);
  }
});

Deno.test("a right filter, and one that nobody can guess, get no suggestion", () => {
  const none = [
    '.data.level == "error"',
    '.data | .a = 1 | .a == "b"',
    '.data.a == "x = y && z"',
    '.data.text | test("level:error|it\'s")',
    "def level: .data.level; level == 1",
    ".data.level",
    ".data.a |= 1",
    "foo bar",
    ".data.(",
    "",
    "x".repeat(100_000),
  ];
  for (const expression of none) assert.equal(suggest(expression), undefined, expression);
});

Deno.test("whatever is written: a suggestion compiles, and suggests nothing more", async () => {
  const piece = fc.constantFrom(
    ...[".data", ".level", "level", "error", "=", "==", "&&", "||", "!", "not", "and", "'x'"],
    ...['"x"', "“x”", "(", ")", "[", "]", "|", "test", "contains", "3", " ", ".", "$", ":", "in"],
    ...["=~", ",", "None", "any(", "select(", ";", "{", "}", '"', "'", "is", "//", "?", "def f:"],
  );
  const texts = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(" "));
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(texts, texts.map((text) => text.replaceAll(" ", ""))),
      async (text) => {
        const found = suggest(text);
        if (found === undefined) return;
        await compileWhere(found.expression);
        assert.equal(hopelessPart(parse(found.expression)), undefined);
      },
    ),
    { numRuns: 1500 },
  );
});

Deno.test("a filter that is refused tells what may have been meant", async () => {
  await assert.rejects(compileWhere('level == "error"'), (error) => {
    assert.ok(error instanceof PlasmiteError);
    assert.equal(error.message, "invalid filter expression");
    assert.equal(error.suggestion?.expression, '.data.level == "error"');
    assert.match(error.hint ?? "", /Perhaps you meant '\.data\.level == "error"'/);
    return true;
  });
  // An assignment is valid jq; only its result is not.
  const where = await compileWhere('.data.level = "error"');
  assert.throws(() => where.matches(message('{"level":"error"}')), (error) => {
    assert.ok(error instanceof PlasmiteError);
    assert.equal(error.suggestion?.expression, '.data.level == "error"');
    return true;
  });
});

Deno.test("a part that fails on every message is found, one that may hold is not", () => {
  const found = [
    '.level == "error"',
    ".seq > 1 and .level",
    "select(.level) | true",
    "any(.list[]; . == 1)",
    ".data.level == error",
    ".data.a.b == (.level)",
  ];
  for (const text of found) assert.ok(hopelessPart(parse(text)) !== undefined, text);
  const none = [
    '.seq > 1 or .level == "error"',
    "(.level? // 0) == 0",
    "try .level catch true",
    ".data | .level == 1",
    "any(.data.list[]; .level == 1)",
    "if .seq == 1 then true else .level end",
    "[.data[] | select(.level == 1)] == []",
  ];
  for (const text of none) assert.equal(hopelessPart(parse(text)), undefined, text);
});
