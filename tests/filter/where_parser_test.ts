/**
 * The filter parser reads jq as jq does: random texts, run as they are and as our syntax tree
 * renders them, give the same outputs; and hostile texts are refused quickly.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { loadJq } from "jq-wasm/inline";
import { toJq } from "../../lib/filter/jqtext.ts";
import { FilterSyntaxError, parse } from "../../lib/filter/parser.ts";
import { translate } from "../../lib/filter/regex.ts";

const scale = Number(Deno.env.get("PLASMITE_TEST_SCALE") ?? "1");

const INPUT = '{"a":{"b":[3,1,2],"c":"x"},"b":5,"and":7,"x y":[{"a":1},{"a":null}],"s":"a,b"}';

const piece = fc.constantFrom(
  ".",
  "1",
  "2.5",
  ".5",
  "1e2",
  '"a"',
  '"\\(1 + 1)"',
  '"p\\("q" + "r")s"',
  "null",
  "true",
  ".a",
  ".b",
  '."x y"',
  '.a["b"]',
  ".a.b[0]",
  ".a.b[]",
  ".a.b[1:]",
  ".a.b[:2]",
  ".a.b[-2:-1]",
  '."x y"[0].a',
  '."x y"[]?',
  ".and",
  ".a.b[0,1]",
  ".a?",
  ".nope?",
  ".[]?",
  '.a.["b"]',
  ". .b",
  '. ["b"]',
  "..",
  "[]",
  "{}",
  "[.b, 1]",
  "(1, 2)",
  "{a: 1, b: (2, 3)}",
  "{b}",
  '{"x y"}',
  "{(.s): 1}",
  "{a: 1 + 2}",
  "{a: 1 | 2}",
  "{a: -1,}",
  "{and: 1}.and",
  "-1",
  "- .b",
  "-(1)",
  "- - 1",
  ".b as $x | $x",
  "[1, [2]] as [$p, [$q]] | $p + $q",
  "{} as {a: $z} | $z",
  "1 as $x | {$x}",
  "[3] as [$v] ?// $v | $v",
  '"k" as $k | {$k: 1}',
  "$__loc__",
  "if . then 1 end",
  "if (1, null) then 2 else 3 end",
  "if false then 1 elif 2 then 3 else 4 end",
  "try error(1) catch .",
  "try .a",
  "(error)?",
  "reduce .a.b[] as $i (0; . + $i)",
  "foreach (1, 2) as $i (0; . + $i)",
  "foreach (1, 2) as $i (0; . + $i; [$i, .])",
  "label $l | 1, break $l, 2",
  "def f: 1; f",
  "def g(h; $v): h + $v; g(2; 3)",
  "[limit(2; 1, 2, 3)]",
  "first(.a.b[])",
  '@base64 "x\\(.b)"',
  "@json",
  '@text "z"',
  "not",
  "length",
  "empty",
  ".a.b | map(. + 1)",
  "path(.a.b[0])",
  "[.a.b[] | select(. > 1)]",
  ".b = 2 | .b",
  ".b |= . + 1 | .b",
  ".b += 1 | .b",
  ".b //= 9 | .b",
  "del(.b) | length",
  "# c\n1",
  "1 #\\\n 2\n",
);
const operator = fc.constantFrom(
  "|",
  ",",
  "//",
  "=",
  "|=",
  "or",
  "and",
  "==",
  "!=",
  "<",
  ">=",
  "+",
  "-",
  "*",
  "/",
  "%",
  "| -",
  "+ -",
);

const text = fc.array(fc.tuple(piece, operator), { minLength: 1, maxLength: 5 }).map((parts) =>
  parts.map(([p, o], i) => i === parts.length - 1 ? p : `${p} ${o}`).join(" ")
);

Deno.test("what jq accepts, the parser reads in the same way", async () => {
  const jq = await loadJq();
  let accepted = 0;
  fc.assert(
    fc.property(text, (source) => {
      const wrap = (body: string) => `[limit(200; try ((${body}\n) | [.]) catch "failed")]`;
      const theirs = jq.raw(INPUT, wrap(source), ["-c"]);
      if (theirs.exitCode === 3) return; // no jq; we may accept a little more
      accepted++;
      const ours = jq.raw(INPUT, wrap(toJq(parse(source), false)), ["-c"]);
      assert.equal(ours.exitCode, theirs.exitCode, `${source}\n${ours.stderr}`);
      assert.equal(ours.stdout, theirs.stdout, source);
    }),
    { numRuns: Math.ceil(500 * scale) },
  );
  assert.ok(accepted > 200 * scale, `jq accepted only ${accepted} texts`);
});

Deno.test("a text is a filter or a syntax error with its place, whatever it is", () => {
  const soup = fc.array(
    fc.oneof(piece, operator, fc.constantFrom(...'()[]{}|,:;"\\$@#.?').map(String), fc.string()),
    { maxLength: 12 },
  ).map((parts) => parts.join(""));
  fc.assert(
    fc.property(soup, (source) => {
      try {
        parse(source);
      } catch (error) {
        assert.ok(error instanceof FilterSyntaxError, String(error));
        assert.ok(error.offset >= 0 && error.offset <= source.length);
      }
    }),
    { numRuns: Math.ceil(3000 * scale) },
  );
});

for (
  const [name, hostile] of [
    ["parentheses", "(".repeat(50_000)],
    ["brackets", "[".repeat(60_000)],
    ["index brackets", "." + "[.".repeat(30_000)],
    ["minus signs", "- ".repeat(30_000) + "1"],
    ["interpolations", '"\\('.repeat(20_000)],
    ["sums", "1" + "+1".repeat(30_000)],
    ["suffixes", ".a".repeat(30_000)],
    ["question marks", ".a" + "?".repeat(60_000)],
    ["pipes", "." + "|.".repeat(30_000)],
    ["alternatives", "1" + "//1".repeat(20_000)],
    ["conditions", "if 1 then ".repeat(6_000)],
    ["elifs", "if 1 then 1 " + "elif 1 then 1 ".repeat(4_000) + "end"],
    ["tries", "try ".repeat(15_000) + "1"],
    ["patterns", ". as " + "[".repeat(30_000)],
    ["length", " ".repeat(70_000) + "1"],
  ] as const
) {
  Deno.test(`a tower of ${name} is refused, not run into`, () => {
    assert.throws(() => parse(hostile), FilterSyntaxError);
  });
}

Deno.test("long chains that people write are accepted", () => {
  const ids = Array.from({ length: 400 }, (_, i) => `.data.id == ${i}`);
  parse(ids.join(" or "));
  parse(Array.from({ length: 400 }, (_, i) => String(i)).join(" + "));
});

// ---- regular expressions ----------------------------------------------------------------------

const atom = fc.constantFrom(
  "a",
  "b",
  "é",
  "ß",
  "s",
  "k",
  "K",
  ".",
  "^",
  "$",
  "\\d",
  "\\w",
  "\\W",
  "\\s",
  "\\b",
  "\\B",
  "[ab]",
  "[^a]",
  "[a-f]",
  "[\\d-]",
  "[\\w.]",
  "(a|b)",
  "(?:ab|)",
  "(?=a)",
  "(?!b)",
  "\\.",
  "\\-",
  "\\n",
  "x",
  "1",
  "-",
  " ",
  "\\[",
  "[\\]]",
  "[.]",
  "[$^]",
  "&",
  "#",
  "]",
  "}",
  "{",
  "/",
  "\\/",
  "\\\\",
  "(a*)",
  "(?:a|b)+",
  "\\_",
  "\\#",
  "\\@",
  "\\'",
  "(?i)a",
);
const quantifier = fc.constantFrom(
  "",
  "",
  "",
  "",
  "*",
  "+",
  "?",
  "{2}",
  "{1,2}",
  "{2,}",
  "*?",
  "+?",
  "??",
  "{1,2}?",
  "{0}",
  "{,2}",
  "{2",
  "+*",
);
const pattern = fc.tuple(
  fc.array(fc.tuple(atom, quantifier).map((p) => p.join("")), { minLength: 1, maxLength: 4 }),
  fc.option(atom, { nil: undefined }),
).map(([parts, other]) => parts.join("") + (other === undefined ? "" : `|${other}`));

const SUBJECTS = [
  "",
  "a",
  "b",
  "ab",
  "aab",
  "abab",
  "é",
  "ß",
  "SS",
  "ss",
  "ſ",
  "K",
  "k",
  "x1",
  "a-b",
  "a b",
  "a.b",
  "a\nb",
  "a\n",
  "\n",
  "[a]",
  "{",
  "}",
  "a_b",
  "/",
  "\\",
  "aé1",
  "²",
  "#&@_'",
  "fi",
  "ﬁ",
  "A",
  "AB",
  "\u2028",
  "\r",
  "😀",
  "a\u0085",
];

Deno.test("a translated regular expression matches what Oniguruma matches", async () => {
  const jq = await loadJq();
  const program = `${JSON.stringify(SUBJECTS)} as $s | .[] | . as [$p, $f] |
    [$s[] | try test($p; $f) catch "failed"]`;
  let translated = 0;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(pattern, fc.constantFrom("", "g", "i", "gi", "x")), {
        minLength: 20,
        maxLength: 20,
      }),
      (patterns) => {
        const ours = patterns.flatMap(([p, f]) => {
          const t = translate(p, f);
          return t === undefined ? [] : [{ p, f, t }];
        });
        translated += ours.length;
        if (ours.length === 0) return;
        const { stdout } = jq.raw(JSON.stringify(ours.map(({ p, f }) => [p, f])), program, ["-c"]);
        for (const [i, line] of stdout.split("\n").entries()) {
          const theirs: unknown = JSON.parse(line);
          const { p, f, t } = ours[i] ?? { p: "", f: "", t: undefined };
          assert.deepEqual(SUBJECTS.map((s) => t?.regexp.test(s)), theirs, `/${p}/${f}`);
          const { literal } = t ?? {};
          if (literal !== undefined) {
            assert.deepEqual(SUBJECTS.map((s) => s.includes(literal)), theirs, `text ${literal}`);
          }
        }
      },
    ),
    { numRuns: Math.ceil(40 * scale) },
  );
  assert.ok(translated > 100 * scale, `only ${translated} patterns were translated`);
});
