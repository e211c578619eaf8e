/**
 * What leaves the page: CSV, words of command lines, differences of messages; without a browser.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { csvField, csvHead, csvLine } from "../../server/ui/csv.js";
import { differences, messageDifferences } from "../../server/ui/diff.js";
import { parse, readMessage } from "../../server/ui/json.js";
import { quoted } from "../../server/ui/shell.js";
import { exists } from "../cli/cli_util.ts";

/** Reads CSV as RFC 4180 has it. */
function read(text: string): string[][] {
  const rows: string[][] = [];
  let fields: string[] = [];
  for (const [, quote, bare, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
    fields.push(quote === undefined ? bare ?? "" : quote.replaceAll('""', '"'));
    if (end === ",") continue;
    rows.push(fields);
    fields = [];
  }
  return rows;
}

const message = (data: string, tags: string[] = [], seq = 7) =>
  readMessage(
    `{"data":${data},"meta":{"tags":${
      JSON.stringify(tags)
    }},"seq":${seq},"time":"2026-02-01T10:00:00.123456789Z"}`,
  );

// Lost: the money or the machine of whoever opens an export in a spreadsheet, which runs what starts
// with =, +, - or @.
Deno.test("no text of a message is a formula in a spreadsheet, and numbers stay numbers", () => {
  for (
    const text of [
      "=1+1",
      "+1+1",
      "-1+cmd|' /C calc'!A0",
      "@SUM(A1)",
      "\t=1+1",
      "\r=1+1",
      " =1+1",
      "\n=1",
      "＝1+1",
      "-",
      "+5",
      "-01",
    ]
  ) {
    const [[field = ""] = []] = read(`${csvField(text)}\r\n`);
    assert.equal(field, `'${text}`, text);
  }
  for (const text of ["-5", "-0.5e9", "9223372036854775807", "a=b", "x", "", "{=}"]) {
    assert.equal(csvField(text), text);
  }
  // Where a semicolon separates, a part behind it would be a field of its own.
  assert.equal(csvField("a;=1+1"), '"a;=1+1"');
  const pins = [["=evil"], ["n"]];
  const lines = csvHead(pins) + csvLine(message('{"=evil":"=1","n":-9223372036854775808}'), pins);
  assert.deepEqual(read(lines), [
    ["seq", "time", "tags", "'=evil", "n", "data"],
    [
      "7",
      "2026-02-01T10:00:00.123456789Z",
      "",
      "'=1",
      "-9223372036854775808",
      '{"=evil":"=1","n":-9223372036854775808}',
    ],
  ]);
});

// Lost: digits of an order number, a line break within a text, a tag with a comma.
Deno.test("an export as CSV says what the messages say, in the columns of the list", () => {
  const pins = [["id"], ["user", "name"], ["half"], ["gone"]];
  const data =
    '{"id":18446744073709551615,"user":{"name":"a \\"b\\",\\r\\nc"},"half":0.50,"l":[1]}';
  const text = csvHead(pins) + csvLine(message(data, ["error", "two words"]), pins) +
    csvLine(message('{"id":1e400}', ["a,b", "c"], 8), pins);
  const time = "2026-02-01T10:00:00.123456789Z";
  assert.deepEqual(read(text), [
    ["seq", "time", "tags", "id", "user.name", "half", "gone", "data"],
    ["7", time, "error,two words", "18446744073709551615", 'a "b",\r\nc', "0.50", "", data],
    ["8", time, '["a,b","c"]', "1e400", "", "", "", '{"id":1e400}'],
  ]);
  fc.assert(fc.property(fc.array(fc.string(), { minLength: 1, maxLength: 5 }), (fields) => {
    const [row = []] = read(`${fields.map(csvField).join(",")}\r\n`);
    assert.deepEqual(row.map((field, i) => field === `'${fields[i]}` ? fields[i] : field), fields);
  }));
});

// Lost: the machine of whoever pastes a copied command: a tag is written by others.
Deno.test({
  name: "bash: a word of a copied command means itself, and types nothing into a terminal",
  ignore: !await exists("bash"),
}, async () => {
  const odd = [
    "plain",
    "it's",
    "$(touch x)",
    "`id`",
    "!!",
    "a b",
    "*",
    "~",
    "=ls",
    "",
    "--",
    "\\",
    "\u0003rm -rf x\n",
    "\u001b[201~;id\r",
    "\u009b201~",
    "ü–👩‍👩‍👧",
    "a\\'b\t'",
    "#x",
    "%1",
  ];
  const words = [
    ...odd,
    ...fc.sample(fc.string({ unit: "binary", maxLength: 12 }), { numRuns: 300, seed: 3 }),
  ]
    .filter((word) => !word.includes("\0") && word.isWellFormed());
  const line = words.map(quoted).join(" ");
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(line, /[\u0000-\u001f\u007f-\u009f]/);
  const script = `printf '%s\\0' ${line}`;
  const { stdout, success } = await new Deno.Command("bash", { args: ["-c", script] }).output();
  assert.ok(success);
  assert.deepEqual(new TextDecoder().decode(stdout).split("\0").slice(0, -1), words);
});

const paths = (a: string, b: string) =>
  differences(parse(a), parse(b)).map(({ path, a, b }) => [path, a, b]);

// Lost: the one digit in which two messages differ.
Deno.test("differences of two messages are found by path, with exact numbers", () => {
  assert.deepEqual(paths('{"id":9007199254740993}', '{"id":9007199254740992}'), [
    [".data.id", "9007199254740993", "9007199254740992"],
  ]);
  assert.deepEqual(paths('{"a":1,"b":{"c":[1,2]}}', '{"b":{"c":[1,2]},"a":1}'), []);
  assert.deepEqual(paths('{"a":{"b c":"x"},"d":null}', '{"a":{"b c":1},"e":false}'), [
    ['.data.a["b c"]', '"x"', "1"],
    [".data.d", "null", undefined],
    [".data.e", undefined, "false"],
  ]);
  // One element more is one difference, wherever it is.
  assert.deepEqual(paths('{"l":[1,2,3]}', '{"l":[0,1,2,3]}'), [[".data.l[0]", undefined, "0"]]);
  assert.deepEqual(paths('{"l":[1,2,3]}', '{"l":[1,3]}'), [[".data.l[1]", "2", undefined]]);
  assert.deepEqual(paths('{"l":[{"n":1},2]}', '{"l":[{"n":5},2]}'), [[".data.l[0].n", "1", "5"]]);
  assert.deepEqual(paths('{"x":[]}', '{"x":{}}'), [[".data.x", "[]", "{}"]]);
  assert.deepEqual(
    messageDifferences(message('{"n":1}', ["a", "b"]), message('{"n":1}', ["b", "c"])),
    [{ path: ".meta.tags", a: '"a"' }, { path: ".meta.tags", b: '"c"' }],
  );
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 5 }), fc.jsonValue({ maxDepth: 5 }), (a, b) => {
    const [x, y] = [JSON.stringify({ v: a }), JSON.stringify({ v: b })];
    assert.deepEqual(paths(x, x), []);
    const equal = (() => {
      try {
        // Key order does not count, -0 is not 0.
        assert.deepEqual(JSON.parse(x), JSON.parse(y));
        return true;
      } catch {
        return false;
      }
    })();
    assert.equal(paths(x, y).length === 0, equal);
    assert.equal(paths(y, x).length, paths(x, y).length);
  }));
});
