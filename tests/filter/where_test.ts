/**
 * `--where`, row by row: docs/spec/command-line.md 5.3, the table of differences in
 * docs/filters.md, and the expressions of the user's cookbook.
 *
 * @module
 */

import assert from "node:assert/strict";
import { loadJq } from "jq-wasm/inline";
import { PlasmiteError } from "../../lib/errors.ts";
import { unknownFunction } from "../../lib/filter/diagnose.ts";
import { parse } from "../../lib/filter/parser.ts";
import { compileWhere, compileWhereSync } from "../../lib/filter/where.ts";
import { message } from "../text/message_fixture.ts";

const DATA = JSON.stringify({
  level: "error",
  value: 70000,
  ok: true,
  off: false,
  nothing: null,
  ratio: 0.5,
  name: "Zoë 😀",
  MESSAGE: "kernel panic - not syncing\n",
  list: [1, 2, { deep: "x" }],
  empty: [],
  map: { a: 1, b: { c: null } },
  a: 1,
});
const VIEW = message(DATA, { tags: ["sev1", "disk"], seq: 42n });

/** Native only: where the expression must not need jq. */
const NATIVE = "native";
/** Must run in jq. */
const JQ = "jq";

type Row = readonly [expression: string, matches: boolean, engine?: typeof NATIVE | typeof JQ];

function table(name: string, rows: readonly Row[]): void {
  Deno.test(name, async (t) => {
    for (const [expression, matches, engine] of rows) {
      await t.step(expression, async () => {
        const where = await compileWhere(expression);
        assert.equal(where.matches(VIEW), matches);
        if (engine !== undefined) assert.equal(where.isNative, engine === NATIVE);
        // both engines, whichever is the default
        const batch = where.batch();
        for (let i = 0; i < 3; i++) batch.add(VIEW);
        assert.equal(batch.size, 3);
        assert.deepEqual(batch.run(), [matches, matches, matches]);
        assert.equal(batch.size, 0);
        assert.deepEqual(batch.run(), []);
      });
    }
  });
}

async function usageError(expression: string, run = false): Promise<PlasmiteError> {
  try {
    const where = await compileWhere(expression);
    if (run) where.matches(VIEW);
  } catch (error) {
    assert.ok(PlasmiteError.is(error), String(error));
    assert.equal(error.kindName, "Usage");
    return error;
  }
  throw new assert.AssertionError({ message: `${expression} was accepted` });
}

table("the user's recipes", [
  ['.data.level == "error" and .data.value > 50000', true, NATIVE],
  ['.data.level == "green"', false, NATIVE],
  [".data.value > 80000", false, NATIVE],
  ['.data.MESSAGE | test("panic")', true, NATIVE],
  ['.data.MESSAGE | test("PANIC"; "i")', true, NATIVE],
  ['.data.MESSAGE | test("oops")', false, NATIVE],
  [".data.code == 503", false, NATIVE],
  ['any(.meta.tags[]; . == "sev1")', true, NATIVE],
]);

table("what is not there is an error, so the message does not match (5.3)", [
  [".data.x == null", false, NATIVE],
  [".data.x != 1", false, NATIVE],
  [".data.x | not", false, NATIVE],
  ["(.data.x == 1) | not", false, NATIVE],
  ['.data.level == "error" or .data.x == 2', true, NATIVE],
  ['.data.x == 2 or .data.level == "error"', false, NATIVE],
  [".data.x // 0", false, NATIVE],
  ["(.data.x // 0) == 0", false, NATIVE],
  [".data.x? == null", false, NATIVE],
  ["(.data.x? // 0) == 0", true, NATIVE],
  [".data.x?//0 == 0", true, NATIVE],
  [".data.nothing == null", true, NATIVE],
  [".data.nothing.x == null", false, NATIVE],
  [".data.nothing.x? == null", false, NATIVE],
  [".data.nothing[0] == null", false, NATIVE],
  [".data.nothing[1:] == null", false, NATIVE],
  [".data.list[3] == null", false, NATIVE],
  [".data.list[-4] == null", false, NATIVE],
  ['.data.list[2].deep == "x"', true, NATIVE],
  ['.data.list[-1].deep == "x"', true, NATIVE],
  [".data.list.a == null", false, NATIVE],
  [".data.level.a == null", false, NATIVE],
  ['.data["level"] == "error"', true, NATIVE],
  ['.data."level" == "error"', true, NATIVE],
  [".data.t < 5", false, NATIVE],
  ["[.data.x?] == []", true, NATIVE],
  [".other == null", false, NATIVE],
]);

table("the same rule in jq, wherever a step is written", [
  ["def f: .data.x; f == null", false, JQ],
  ["[.data | .x] | . == [null]", false],
  [".data | {x} | .x == null", false],
  ["reduce .data.list[0:2][] as $i (0; . + $i) == 3", true, JQ],
  ["reduce .data.missing[] as $i (0; . + $i) == 0", false, JQ],
  ["[foreach .data.list[0:2][] as $i (0; . + $i)] == [1, 3]", true, JQ],
  ["try (.data.x == null) catch false", false, JQ],
  ['(try .data.x catch "none") == "none"', true, JQ],
  ["[limit(2; .data.list[])] | length == 2", true, JQ],
  ['@base64 "\\(.data.level)" == "ZXJyb3I="', true, JQ],
  ['@base64 "\\(.data.x)" == "bnVsbA=="', false, JQ],
  ['(.data.value | tostring) == "70000"', true, JQ],
  [".data.list[:2] | add == 3", true, JQ],
  [".data.list[1:1][0:] == []", true],
  ["label $out | .data.list[] | if . == 2 then true, break $out else false end", true, JQ],
  // `,` binds tighter than `|`, `as` reaches to the end
  [".data.value as $v | $v > 1, $v > 2", true, NATIVE],
  ['.data as {level: $l} | $l == "error"', true, JQ],
  // here the rule ends: places, patterns and what built-ins read
  ['[path(.data.x)] == [["data", "x"]]', true, JQ],
  ["(.data.x = 1) | .data.x == 1", true, JQ],
  ["(.data.x |= 5) | .data.x == 5", true, JQ],
  ["(.data.list[0] += 5) | .data.list[0] == 6", true, JQ],
  ["del(.data.x) | .data.a == 1", true, JQ],
  [".data as {x: $x} | $x == null", true, JQ],
  ['getpath(["data", "x"]) == null', true, JQ],
]);

table("outputs in order: an error beats an earlier true, nothing is no match (5.3)", [
  ["true", true, NATIVE],
  ["false", false, NATIVE],
  ["empty", false, NATIVE],
  ["false, true, false", true, NATIVE],
  ["true, error", false, NATIVE],
  ["true, .data.x", false, NATIVE],
  [".data.list[0:2][] == 2", true, NATIVE],
  [".data.list[] > 1", true, NATIVE],
  [".data.empty[] == 1", false, NATIVE],
  ['(true, error("x"))', false, JQ],
  ["(true, error(null))", false, JQ],
  ['first(true, error("x"))', true, JQ],
  ["inputs", false, JQ],
  ["input", false, JQ],
  ["halt", false, JQ],
  ["halt_error", false, JQ],
  ["debug | .data.ok", true, JQ],
]);

table("numbers and order", [
  ["0 == -0.0", true, NATIVE],
  ["1 == 1.0", true, NATIVE],
  ['null < false and false < true and true < 0 and 0 < "" and "" < [] and [] < {}', true, NATIVE],
  [".data.nothing < .data.off and .data.off < .data.ok and .data.ok < .data.ratio", true, NATIVE],
  [
    ".data.ratio < .data.level and .data.level < .data.list and .data.list < .data.map",
    true,
    NATIVE,
  ],
  [".data.nothing or .data.off | not", true, NATIVE],
  [".data.nothing and true", false, NATIVE],
  ['.data.value and "" and 0', true, NATIVE],
  [".data.value + 1 == 70001 and .data.value - 1 == 69999", true, NATIVE],
  [".data.value * 2 == 140000 and .data.value / 2 == 35000 and .data.value % 7 == 0", true, NATIVE],
  ['.data.level + "s" == "errors" and .data.empty + [1] == [1]', true, NATIVE],
  ["-.data.value == -70000", true, NATIVE],
  [".data.level - 1 == 0", false, NATIVE],
  [".data.value / 0 == 0", false, NATIVE],
  [".seq == 42 and .seq >= 42 and .seq < 43", true, NATIVE],
  ['.time == "2026-02-02T02:40:00.123456789Z"', true, NATIVE],
  ['.time >= "2026-02-02"', true, NATIVE],
]);

table("built-ins of jq that the reference has not", [
  ["[.data.ok] | any", true, NATIVE],
  [".data.list | length == 3", true, NATIVE],
  [".data.name | length == 5", true, NATIVE],
  [".data.name | utf8bytelength == 9", true, NATIVE],
  ['.data.level | type == "string"', true, NATIVE],
  ['.data | has("level")', true, NATIVE],
  ['.data | has("x")', false, NATIVE],
  [".data.list | has(2)", true, NATIVE],
  ['.data.level | startswith("err")', true, NATIVE],
  ['.data.level | endswith("ror")', true, NATIVE],
  ['.data.level | contains("rr")', true, NATIVE],
  [".data.list | contains([2])", true, NATIVE],
  [".data.map | contains({a: 1})", true, NATIVE],
  ['.data.level | ascii_upcase == "ERROR"', true, NATIVE],
  [".data | select(.ok) | .value > 5", true, NATIVE],
  [".data | select(.off) | .value > 5", false, NATIVE],
  ["select(.data.ok).data.value > 5", true, NATIVE],
  ["if .data.off then false else .data.ok end", true, NATIVE],
  [".data.list | any(. == 2)", true, NATIVE],
  [".data.list[0:2] | all(. > 0)", true, NATIVE],
  [".data | keys | length == 12", true, NATIVE],
  ["{a: 1, b: 2} | .b == 2", true, NATIVE],
  ['.data.MESSAGE | test("^kernel .* syncing$")', true, NATIVE],
  ['.data.MESSAGE | test("(?<w>panic)")', true, JQ],
  ['.data.list | map(type) | . == ["number", "number", "object"]', true, NATIVE],
  ["[..] | length > 10", true, JQ],
]);

table("built-ins of the reference that jq has not, and its others", [
  ['"a\\"b" | escape_csv == "a\\"\\"b"', true, JQ],
  ["\"a'b\" | escape_sh == \"a'\\\\''b\"", true, JQ],
  ["[3, 1, 2] | min_by_or_empty(.) == 1", true, JQ],
  ["[3, 1, 2] | max_by_or_empty(.) == 3", true, JQ],
  ["[[] | max_by_or_empty(.)] == []", true, JQ],
  ["[range(0; 6; 2)] == [0, 2, 4]", true, JQ],
  ['" x " | trim == "x" and (" x" | ltrim == "x") and ("x " | rtrim == "x")', true, JQ],
  ['(" x " | trim) == "x" and ("x " | rtrim) == "x"', true, JQ],
  ["([3, 1] | sort) == [1, 3] and ([1, 2] | reverse) == [2, 1]", true, JQ],
  ["([{a: 2}, {a: 1}] | sort_by(.a) | .[0].a) == 1", true, JQ],
  ["([{a: 1}, {a: 1}] | group_by(.a) | length) == 1", true, JQ],
  ['("abc" | ltrimstr("a") | rtrimstr("c")) == "b"', true, JQ],
  ['("a" | explode | implode) == "a"', true, JQ],
  ["(1.5 | floor) == 1 and (1.5 | ceil) == 2 and (1.5 | round) == 2", true, NATIVE],
]);

Deno.test("64-bit integers are compared exactly, in either engine", async () => {
  const rows: readonly (readonly [data: string, expression: string, matches: boolean])[] = [
    ["9007199254740993", ".data.n == 9007199254740993", true],
    ["9007199254740993", ".data.n == 9007199254740992", false],
    ["9007199254740993", ".data.n > 9007199254740992", true],
    ["9223372036854775807", ".data.n == 9223372036854775807", true],
    ["9223372036854775807", ".data.n == 9223372036854775806", false],
    ["-9223372036854775808", ".data.n == -9223372036854775808", true],
    ["-9223372036854775808", ".data.n < -9223372036854775807", true],
    ["9223372036854775807", ".data.n == 9223372036854775808", false],
    // stored as a double
    ["18446744073709551616", ".data.n == 18446744073709551616", false],
    ["9223372036854775808", ".data.n == 9223372036854775808", false],
    ["18446744073709551616", ".data.n == 1.8446744073709552e19", true],
    ["9007199254740992.0", ".data.n == 9007199254740992", true],
    ["9007199254740992.0", ".data.n == 9007199254740993", false],
    ["-0.0", ".data.n == 0", true],
    ["0.1", ".data.n == 0.1", true],
    ["1e2", ".data.n == 100", true],
  ];
  for (const [n, expression, matches] of rows) {
    const view = message(`{"n":${n}}`);
    for (const form of [expression, `(def f: .; f) | ${expression}`, `${expression} | .`]) {
      const where = await compileWhere(form);
      assert.equal(where.matches(view), matches, `${form} on ${n}`);
    }
  }
  const both = message('{"i":9007199254740993,"j":9007199254740992,"k":9007199254740993}');
  for (const form of ["", "(def f: .; f) | "]) {
    assert.ok((await compileWhere(`${form}.data.i != .data.j`)).matches(both));
    assert.ok((await compileWhere(`${form}.data.i == .data.k`)).matches(both));
  }
});

Deno.test("a value that is no boolean is an error naming expression and value", async () => {
  for (
    const [expression, value] of [
      [".data.value", "70000"],
      [".data.nothing", "null"],
      [".data.level", '"error"'],
      [".data.list", '[1,2,{"deep":"x"}]'],
      [".data.level, error", '"error"'],
      ["true, 5, error", "5"],
      [".meta", '{"tags":["sev1","disk"]}'],
      ["1 + 1", "2"],
      ["def f: .data.value; f", "70000"],
      ["true, (.data.level | tojson)", '"\\"error\\""'],
    ]
  ) {
    const error = await usageError(expression ?? "", true);
    assert.equal(error.message, "filter expression must yield booleans");
    assert.ok(error.hint?.includes(JSON.stringify(expression)), error.hint);
    assert.ok(error.hint?.includes(value ?? ""), error.hint);
  }
});

Deno.test("the error comes with the first such message, not before", async () => {
  for (const expression of [".data.v", "def f: .data.v; f"]) {
    const where = await compileWhere(expression);
    const batch = where.batch();
    for (const data of ["{}", '{"v":true}', '{"v":1}', '{"v":false}']) batch.add(message(data));
    const [missing, yes, number, no] = batch.run();
    assert.deepEqual([missing, yes, no], [false, true, false]);
    assert.ok(number instanceof PlasmiteError);
    assert.equal(number.message, "filter expression must yield booleans");
  }
});

Deno.test("a long value is cut in the hint", async () => {
  const where = await compileWhere(".data.text");
  const view = message(JSON.stringify({ text: "x".repeat(5000) }));
  assert.throws(() => where.matches(view), (error) => {
    assert.ok(error instanceof PlasmiteError);
    assert.ok((error.hint ?? "").length < 400);
    return true;
  });
});

Deno.test("what is no filter is refused with expression and place", async () => {
  for (
    const [expression, detail] of [
      [".data.a |", "unexpected end of expression at character 10"],
      ["", "expression is empty at character 1"],
      ["# only a comment", "expression is empty"],
      [".data.a = = 1", "unexpected `=` at character 11"],
      [".data.x === 1", "unexpected `=`"],
      ["1 == 1 == 1", "unexpected `==`"],
      ["(.data.a", "expected `)`"],
      [".data[", "unexpected end of expression"],
      ['.data.a == "x', "unterminated string at character 12"],
      ['"\\q"', "invalid escape"],
      [".data.a == 'x'", 'unexpected character "\'" at character 12'],
      ["if true then false", "expected `end`"],
      ["{1: 2}", "expected a key"],
      [".data.a && true", 'unexpected character "&"'],
      ['import "a" as a; true', "modules are not available"],
      ["frobnicate", "frobnicate/0 is not defined"],
      [".data | test()", "unexpected `)`"],
      ["$x == 1", "$x is not defined"],
      ["break $x", "$*label-x is not defined"],
      ["\u{1f600}", 'unexpected character "\u{1f600}"'],
    ]
  ) {
    const error = await usageError(expression ?? "");
    assert.equal(error.message, "invalid filter expression");
    assert.ok(error.hint?.includes(JSON.stringify(expression)), error.hint);
    assert.ok(error.hint?.includes(detail ?? "?"), `${expression}: ${error.hint}`);
  }
});

Deno.test("every function that jq has is known to the one who explains errors", async () => {
  const jq = await loadJq();
  const builtins = JSON.parse(jq.raw("null", "[builtins[]]", ["-c"]).stdout) as string[];
  assert.ok(builtins.length > 200);
  for (const builtin of builtins) {
    const [name = "", arity = "0"] = builtin.split("/");
    // These are about files and modules, or about jq itself.
    if (/^(?:get_|have_|modulemeta|input_)/.test(name)) continue;
    const args = Array(Number(arity)).fill(".").join("; ");
    assert.equal(
      unknownFunction(parse(args === "" ? name : `${name}(${args})`)),
      undefined,
      builtin,
    );
  }
});

Deno.test("the synchronous form is for what needs no jq", () => {
  assert.ok(compileWhereSync(".data.a == 1")?.matches(VIEW));
  assert.equal(compileWhereSync("def f: 1; f == 1"), undefined);
  assert.throws(() => compileWhereSync(".data ("), PlasmiteError);
});

Deno.test("jq survives many messages, big ones and odd text", async () => {
  const where = await compileWhere('(def f: .; f) | .data.s == "x\\u0000y\\n\\"é😀"');
  const batch = where.batch();
  const odd = JSON.stringify({ s: 'x\0y\n"é😀' });
  for (let i = 0; i < 500; i++) {
    batch.add(message(i % 5 === 0 ? odd : JSON.stringify({ s: "z".repeat(i) })));
  }
  assert.ok(batch.bytes > 50_000);
  const answers = batch.run();
  assert.equal(answers.length, 500);
  answers.forEach((answer, i) => assert.equal(answer, i % 5 === 0));
});

Deno.test("tags that are stored as an empty object count as none", () => {
  // docs/spec/format.md 9: "tags may be an empty object" when read
  const view = message('{"a":1}');
  assert.equal(view.tagCount, 0);
  view.doc.u8[view.doc.base + view.tagsAt] = 6;
  for (const expression of [".meta.tags == []", ".meta.tags | length == 0"]) {
    assert.equal(compileWhereSync(expression)?.matches(view), true, expression);
  }
  for (const expression of ["any(.meta.tags[]; true)", '.meta.tags | has("a")']) {
    assert.equal(compileWhereSync(expression)?.matches(view), false, expression);
  }
});

// ---- hostile filters ---------------------------------------------------------------------------

Deno.test("a budget of steps stops expensive filters and lets honest ones pass", () => {
  const big = message(JSON.stringify({
    list: Array.from({ length: 1000 }, (_, i) => i),
    text: "a".repeat(10_000),
  }));
  for (
    const expression of [
      "[.data.list[] + .data.list[] + .data.list[]] | length == 0",
      "[.data.list[] as $x | .data.list[] as $y | $x == $y] | any(. == 2)",
      '.data.text | test("a*a*b")',
      '.data.text | test("(a+)+b")',
      '.data.text | test("(a|a)+b")',
      '.data.text | test("(a?){50}b")',
      `.data.text | test("${"a?".repeat(50)}b")`,
      `.data.text | test("${"(a|a)".repeat(50)}b")`,
      ".data.text * 100000 == 1",
      ".data.list | contains(.) and contains(map([.]))",
    ]
  ) {
    const where = compileWhereSync(expression, { maxSteps: 100_000 });
    assert.throws(() => where?.matches(big), (error) => {
      assert.ok(error instanceof PlasmiteError, expression);
      assert.equal(error.kindName, "Usage");
      assert.equal(error.message, "filter took too many steps");
      return true;
    });
  }
  const line = message(JSON.stringify({ text: "GET /a/b 200 10.0.0.255 in 12 ms ".repeat(6) }));
  for (
    const pattern of [
      "error|warn|GET",
      "^GET .* 200",
      "(\\\\d{1,3}\\\\.){3}\\\\d{1,3}",
      "[0-9]+ ms",
      "(GET|POST) /\\\\w+/?",
    ]
  ) {
    const where = compileWhereSync(`.data.text | test("${pattern}")`, { maxSteps: 20_000 });
    assert.ok(where?.matches(line), pattern);
  }
  for (
    const expression of [
      ".data.list | length == 1000",
      "any(.data.list[]; . == 999)",
      '.data.text | contains("aaaa")',
      ".data.list | map(. + 1) | length == 1000",
    ]
  ) {
    const where = compileWhereSync(expression, { maxSteps: 100_000 });
    // the budget is for each message anew
    for (let i = 0; i < 100; i++) assert.ok(where?.matches(big), expression);
  }
});

// "No open tasks" and "no task has that key" looked the same.
Deno.test("messages on which a filter fails are counted, in both engines", async () => {
  const cases: [string, number][] = [
    [".data.none != true", 1],
    ["[.data.none] | length == 1", 1],
    [".data.a.b == 1", 1],
    ['.data.value | startswith("7")', 1],
    ["(true, .data.none)", 1],
    [".data.none? == 1", 0],
    [".data.a == 2", 0],
    [".data.a == 1", 0],
    ["empty", 0],
    ["select(.data.a == 2) | true", 0],
    // These run in jq.
    ["reduce .data.none[] as $x (0; . + $x) == 0", 1],
    ["reduce .data.list[:2][] as $x (0; . + $x) == 0", 0],
  ];
  for (const [expression, failed] of cases) {
    const where = await compileWhere(expression);
    where.matches(VIEW);
    assert.equal(where.failed, failed, expression);
    const batch = where.batch();
    for (let i = 0; i < 3; i++) batch.add(VIEW);
    batch.run();
    assert.equal(where.failed, 4 * failed, expression);
  }
});

Deno.test("with a budget, jq is not available", () => {
  assert.equal(compileWhereSync("[range(1e9)] | length > 5", { maxSteps: 1000 }), undefined);
});

Deno.test("a damaged message is Corrupt, not a crash", () => {
  const where = compileWhereSync('.data.list | contains([1]) or any(.data.list[]; . == "q")');
  for (let at = 0; at < VIEW.doc.len; at += 3) {
    const copy = message(DATA);
    copy.doc.u8[at] = (copy.doc.u8[at] ?? 0) ^ 0x5a;
    try {
      where?.matches(copy);
    } catch (error) {
      assert.ok(PlasmiteError.is(error) && error.kindName === "Corrupt", String(error));
    }
  }
});

Deno.test("offsets that lead in circles are Corrupt, not a stack overflow", () => {
  const filters = [
    ".data.list == .data.map",
    "[.data] | contains([{list: [[[9]]]}])",
    ".data.list - [.data.map] | length == 0",
    ". == 1 or (.data | keys | length) == 0",
    "any(.data.list[]; any(.[]; any(.[]; . == 1)))",
  ].map((expression) => compileWhereSync(expression));
  let corrupt = 0;
  for (const target of [0, VIEW.dataAt, VIEW.tagsAt]) {
    for (let at = 0; at + 4 <= VIEW.doc.len; at += 4) {
      const copy = message(DATA);
      copy.doc.dv.setUint32(at, target, true);
      for (const where of filters) {
        try {
          where?.matches(copy);
        } catch (error) {
          assert.ok(PlasmiteError.is(error) && error.kindName === "Corrupt", String(error));
          corrupt++;
        }
      }
    }
  }
  assert.ok(corrupt > 0);
});
