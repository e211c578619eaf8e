/**
 * YAML in (docs/spec/command-line.md 2.9) and out (docs/spec/command-line.md 1.13). The `yaml`
 * package, set to 1.1 and to 1.2, is the independent reader of what we write.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { parse, parseDocument } from "yaml";
import { Buf } from "../../lib/bytes.ts";
import { printYaml } from "../../lib/text/yaml_out.ts";
import { bytesOf, ingest, type Settings, summary } from "./ingest_util.ts";

const YAML: Settings = { mode: "yaml" };
const BOUNDARIES = "Usage: YAML messages require explicit document boundaries";
const START = "Usage: YAML messages require a --- start marker";
const END = "Usage: YAML document is missing its ... end marker";
const INVALID = "Usage: invalid or unsupported YAML message";
const TAGS = "Usage: YAML tags are not supported";
const NOT_OBJECT = "Usage: data must be object";

function toYaml(value: unknown): string {
  const json = bytesOf(typeof value === "string" ? value : JSON.stringify(value));
  const out = new Buf(8);
  printYaml(json, 0, json.length, out);
  return new TextDecoder().decode(out.bytes());
}

// ---- in ----------------------------------------------------------------------------------------

const documents: [string, Settings, string, string[], string?][] = [
  ["two documents", {}, "---\na: 1\n...\n---\nb: 2\n...\n", ['{"a":1}', '{"b":2}']],
  ["no final newline", {}, "---\na: 1\n...", ['{"a":1}']],
  ["blanks, CR", {}, "\n \n---  \r\na: 1\r\n... \t\r\n\r\n\n---\nb: 2\n...\n\n", [
    '{"a":1}',
    '{"b":2}',
  ]],
  ["byte order mark", {}, "\ufeff---\na: 1\n...\n", ['{"a":1}']],
  ["told", YAML, "---\na: 1\n...\n---\nb: 2\n...\n", ['{"a":1}', '{"b":2}']],
  ["told, no markers", YAML, "# hello\na: 1\nb:\n  c: 2", ['{"a":1,"b":{"c":2}}']],
  ["told, no markers, JSON", YAML, '{"a": [1,\n 2]}', ['{"a":[1,2]}']],
  ["told, only an end marker", YAML, "a: 1\n...\n", ['{"a":1}']],
  ["told, nothing", YAML, "\n \n", []],
  ["no end marker", {}, "---\na: 1\n...\n---\nb: 2\n", ['{"a":1}'], END],
  ["nothing but a marker", {}, "---", [], END],
  ["nothing but a marker and a newline", {}, "---\n", [], END],
  ["an end marker with more", {}, "---\na: 1\n... x\n", [], BOUNDARIES],
  ["an indented end marker is text", {}, "---\na: |\n  ...\n  ---\n...\n", [
    '{"a":"...\\n---\\n"}',
  ]],
  ["content on the start line", {}, "--- {a: 1}\n...\n", [], BOUNDARIES],
  ["a comment on the start line", {}, "--- # x\na: 1\n...\n", [], BOUNDARIES],
  ["a second start marker", {}, "---\na: 1\n---\nb: 2\n...\n", [], BOUNDARIES],
  ["a directive", YAML, "%YAML 1.2\n---\na: 1\n...\n", [], BOUNDARIES],
  ["a directive between", {}, "---\na: 1\n...\n%YAML 1.2\n---\n", ['{"a":1}'], BOUNDARIES],
  ["something between", {}, "---\na: 1\n...\nb: 2\n", ['{"a":1}'], START],
  ["a comment between", {}, "---\na: 1\n...\n# x\n---\nb: 1\n...\n", ['{"a":1}'], START],
  ["JSON after YAML", {}, '---\na: 1\n...\n{"b":2}\n', ['{"a":1}'], START],
  ["YAML after JSON", {}, '{"b":2}\n---\na: 1\n...\n', ['{"b":2}'], "Usage: invalid json input"],
  ["told, two documents without markers", YAML, "a: 1\n---\nb: 2\n", [], BOUNDARIES],
  ["told, only an end", YAML, "...\n", [], START],
  ["four dashes", {}, "----\n", [], "Usage: invalid json input"],
  ["a list", {}, "---\n- 1\n...\n", [], NOT_OBJECT],
  ["a scalar", {}, "---\nx\n...\n", [], NOT_OBJECT],
  ["empty", {}, "---\n...\n", [], NOT_OBJECT],
  ["comments inside", {}, "---\n# x\na: 1 # y\n...\n", ['{"a":1}']],
  [
    "block and flow",
    {},
    "---\na: >-\n  x\n  y\nb: {c: [1, '2'], \"d\": e}\n? k\n: - - 1\n  - z: 2\n...\n",
    [
      '{"a":"x y","b":{"c":[1,"2"],"d":"e"},"k":[[1],{"z":2}]}',
    ],
  ],
  ["invalid UTF-8 is not reached by markers", {}, "---\na: 'é'\n...\n", ['{"a":"é"}']],
  ["alias", {}, "---\na: &x 1\nb: *x\n...\n", [], INVALID],
  ["alias as a key", {}, "---\na: &x k\n*x : 1\n...\n", [], INVALID],
  ["unused anchor", {}, "---\na: &x 1\nb: &y [1]\n...\n", ['{"a":1,"b":[1]}']],
  ["merge key", {}, "---\na: 1\n<<: {b: 2}\n...\n", [], INVALID],
  ["quoted merge key is a key", {}, "---\n'<<': {b: 2}\n...\n", ['{"<<":{"b":2}}']],
  ["duplicate key", {}, "---\na: 1\n'a': 2\n...\n", [], INVALID],
  ...["1", "1.0", "true", "null", "~", "0x1"].map((
    key,
  ): [string, Settings, string, string[], string] => [
    `key ${key}`,
    {},
    `---\n${key}: x\n...\n`,
    [],
    INVALID,
  ]),
  ["no key", {}, "---\n: x\n...\n", [], INVALID],
  ["a list as a key", {}, "---\n? [1]\n: x\n...\n", [], INVALID],
  ["string keys", {}, "---\n'1': a\n!!str 2: b\nyes: c\n'': d\n...\n", [
    '{"1":"a","2":"b","yes":"c","":"d"}',
  ]],
  ["!!str", {}, "---\na: !!str 12\nb: !!str\nc: !!str true\n...\n", [
    '{"a":"12","b":"","c":"true"}',
  ]],
  ...[
    "!!int 3",
    "!!float 1",
    "!!map {}",
    "!!seq []",
    "!x 1",
    "! 1",
    "!!binary aGk=",
    "!!timestamp 2001-01-01",
  ]
    .map((value): [string, Settings, string, string[], string] => [
      `tag ${value}`,
      {},
      `---\na: ${value}\n...\n`,
      [],
      TAGS,
    ]),
  ["broken", {}, "---\na: [1\n...\n", [], INVALID],
  ["broken indentation", {}, "---\na: 1\n b: 2\n...\n", [], INVALID],
  ["lone surrogate", {}, '---\na: "\\ud800"\n...\n', [], INVALID],
  ["too deep", {}, `---\n{a: ${"[".repeat(128)}${"]".repeat(128)}}\n...\n`, [], INVALID],
  ["much too deep", {}, `---\n{a: ${"[".repeat(20000)}${"]".repeat(20000)}}\n...\n`, [], INVALID],
  [
    "too deep for Lite3",
    {},
    `---\n{a: ${"[".repeat(40)}${"]".repeat(40)}}\n...\n`,
    [],
    "Usage: failed to encode json as lite3",
  ],
];

for (const [name, settings, text, stored, error] of documents) {
  Deno.test(`YAML in: ${name}`, async () => {
    const whole = await ingest(text, settings);
    assert.deepEqual(whole.stored, stored);
    assert.equal(whole.error, error);
    if (text.length > 100) return;
    const cuts = Array.from(bytesOf(text).keys()).slice(1);
    assert.deepEqual(summary(await ingest(text, settings, cuts)), summary(whole));
    for (const cut of cuts) {
      assert.deepEqual(summary(await ingest(text, settings, [cut])), summary(whole), `cut ${cut}`);
    }
  });
}

const scalars: [string, string][] = [
  ["true", "true"],
  ["True", "true"],
  ["FALSE", "false"],
  ["null", "null"],
  ["~", "null"],
  ["", "null"],
  ["0", "0"],
  ["-0", "0"],
  ["42", "42"],
  ["+3", "3"],
  ["-7", "-7"],
  ["0x10", "16"],
  ["-0x10", "-16"],
  ["0o17", "15"],
  ["0b11", "3"],
  ["9007199254740993", "9007199254740993"],
  ["9223372036854775807", "9223372036854775807"],
  ["-9223372036854775808", "-9223372036854775808"],
  ["9223372036854775808", "9.223372036854776e+18"],
  ["18446744073709551615", "1.8446744073709552e+19"],
  ["0xffffffffffffffff", "1.8446744073709552e+19"],
  ["1.0", "1.0"],
  ["1e3", "1000.0"],
  ["1E+3", "1000.0"],
  [".5", "0.5"],
  ["-.5e1", "-5.0"],
  ["1.", "1.0"],
  ["+1.5", "1.5"],
  ["-0.0", "-0.0"],
  ["01.5", "1.5"],
  ["0.00019929099404125106", "0.00019929099404125106"],
  ["1.0e+21", "1e+21"],
  ...[
    "yes",
    "no",
    "on",
    "off",
    "y",
    "017",
    "-017",
    "00",
    "1_000",
    "1:30",
    "2026-10-12",
    "2026-11-22T20:45:29Z",
    "tRUE",
    "nUll",
    "1.2.3",
    "1e",
    "0x",
    "0xg",
    "0o8",
    "0b2",
    "+",
    ".",
    "inf",
    "nan",
    "Infinity",
    "+0x",
    "1 2",
  ].map((text): [string, string] => [text, JSON.stringify(text)]),
  ["'1'", '"1"'],
  ['"true"', '"true"'],
  ["'it''s'", '"it\'s"'],
  ['"\\t\\x41\\u00e9\\U0001F600"', '"\\tAé😀"'],
];

Deno.test("YAML in: what scalars mean", async () => {
  for (const [text, json] of scalars) {
    const outcome = await ingest(`---\na: ${text}\nb: [${text || "~"}]\n...\n`);
    assert.equal(outcome.error, undefined, text);
    assert.deepEqual(outcome.stored, [`{"a":${json},"b":[${json}]}`], text);
  }
  const refused = [
    ".inf",
    "-.Inf",
    "+.INF",
    ".nan",
    ".NaN",
    "18446744073709551616",
    "-9223372036854775809",
    "1e400",
  ];
  for (const text of refused) {
    assert.equal((await ingest(`---\na: ${text}\n...\n`)).error, INVALID, text);
  }
});

Deno.test("YAML in: invalid UTF-8, and the record limit", async () => {
  const bytes = new Uint8Array([...bytesOf("---\na: '"), 0xff, ...bytesOf("'\n...\n")]);
  assert.equal((await ingest(bytes)).error, "Io: failed to read stdin");
  const long = `---\n${"# padding\n".repeat(110_000)}a: 1\n...\n`;
  assert.equal((await ingest(long)).error, "Usage: record exceeds size limit");
  assert.equal(
    (await ingest(`---\na: ${"x".repeat(1_048_577)}`)).error,
    "Usage: record exceeds size limit",
  );
});

// ---- out ---------------------------------------------------------------------------------------

Deno.test("YAML out: as in the specification", () => {
  const message = {
    data: { at: "2026-10-12" },
    meta: { tags: ["q"] },
    seq: 1,
    time: "2026-11-22T20:45:29.136642863Z",
  };
  assert.equal(
    toYaml(message),
    `---
data:
  at: '2026-10-12'
meta:
  tags:
  - 'q'
seq: 1
time: '2026-11-22T20:45:29.136642863Z'
...
`,
  );
});

Deno.test("YAML out: keys, strings, numbers, containers", () => {
  const rows: [string, string][] = [
    ['{"n":1}', '"n": 1\n'],
    [
      '{"true":1,"k: x":2,"":3,"a-b_1":4,"-a":5,"1":6,"No":7,"null":8,"é":9,"a.b":10}',
      '"true": 1\n"k: x": 2\n"": 3\na-b_1: 4\n"-a": 5\n"1": 6\n"No": 7\n"null": 8\n"é": 9\n"a.b": 10\n',
    ],
    ['{"a":"it\'s"}', 'a: "it\'s"\n'],
    [
      '{"a":"x\\ny","b":"\\"","c":"\\u0000","d":"","e":"--- # é 😀"}',
      'a: "x\\ny"\nb: "\\""\nc: "\\u0000"\nd: \'\'\ne: \'--- # é 😀\'\n',
    ],
    [
      '{"a":"x\u0085\u2028\u2029\ufeff\u007f\ufffe\u009f\u00a0"}',
      'a: "x\\u0085\\u2028\\u2029\\ufeff\\u007f\\ufffe\\u009f\u00a0"\n',
    ],
    [
      '{"a":1.0,"b":-0.0,"c":1e+21,"d":1.5e-10,"e":1e-6,"f":9007199254740993,"g":null,"h":true}',
      "a: 1.0\nb: -0.0\nc: 1.0e+21\nd: 1.5e-10\ne: 1.0e-6\nf: 9007199254740993\ng: null\nh: true\n",
    ],
    [
      '{"a":{},"b":[],"c":[[],{}],"d":[[1,[2]],{"x":{"z":[3]},"w":4}]}',
      "a: {}\nb: []\nc:\n- []\n- {}\nd:\n- - 1\n  - - 2\n- x:\n    z:\n    - 3\n  w: 4\n",
    ],
    ["{}", "{}\n"],
    ["[1]", "- 1\n"],
    ['"x"', "'x'\n"],
  ];
  for (const [json, yaml] of rows) assert.equal(toYaml(json), `---\n${yaml}...\n`);
});

/** Strings that are hard to quote. */
const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.constantFrom(..."'\"\\#:-?&*!|>%@`{}[], \t\n\r\u0085\u2028\ufeff/0") }),
  fc.constantFrom(
    "yes",
    "~",
    "0x1",
    "1e3",
    "---",
    "...",
    "- a",
    "? b",
    "<<",
    "=",
    "2001-01-01",
    "1:30",
    "é",
  ),
).filter((s) => s.isWellFormed());

const { value: anyValue } = fc.letrec<{ value: unknown; object: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    text,
    fc.maxSafeInteger(),
    fc.double({ noDefaultInfinity: true, noNaN: true }),
    fc.constantFrom(true, false, null),
    fc.array(tie("value"), { maxLength: 4 }),
    tie("object"),
  ),
  object: fc.dictionary(text, tie("value"), { maxKeys: 4 }),
}));

/** As `JSON.stringify`, with -0 kept. */
function json(value: unknown): string {
  if (Object.is(value, -0)) return "-0.0";
  if (Array.isArray(value)) return `[${value.map(json).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    return `{${
      Object.entries(value).map(([k, v]) => `${JSON.stringify(k)}:${json(v)}`).join(",")
    }}`;
  }
  return JSON.stringify(value);
}

Deno.test("YAML out: parsers of 1.1 and 1.2 read the same values", () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const yaml = toYaml(json(value));
      assert.match(yaml, /^---\n[^]*\n\.\.\.\n$/);
      assert.doesNotMatch(yaml.slice(4, -4), /^(---|\.\.\.)/m);
      for (const version of ["1.1", "1.2"] as const) {
        const document = parseDocument(yaml, { version, logLevel: "silent" });
        assert.deepEqual(document.errors, []);
        assert.equal(json(document.toJS()), json(value), `${version}: ${yaml}`);
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("YAML out: keys longer than parsers take in one line", () => {
  const key = "k'".repeat(2000);
  for (const value of [1, "x", [1, { a: [2] }], { a: [1], b: {} }, [], {}]) {
    const data = { a: { [key]: value, z: 1 }, l: [{ [key]: value, z: 1 }] };
    for (const version of ["1.1", "1.2"] as const) {
      assert.deepEqual(parse(toYaml(data), { version }), data);
    }
  }
});

Deno.test("YAML: what we write, we read, with nothing lost", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.dictionary(text, anyValue), { maxLength: 3 }), async (objects) => {
      const wanted = await ingest(objects.map((o) => `${json(o)}\n`).join(""), { dataOnly: true });
      // Both ways refuse a key with NUL, and for the same reason.
      if (wanted.error !== undefined) return;
      const input = wanted.stored.map((o) => toYaml(o)).join("");
      const got = await ingest(input, { dataOnly: true });
      assert.equal(got.error, undefined, input);
      assert.deepEqual(got.stored, wanted.stored);
    }),
    { numRuns: 300 },
  );
});
