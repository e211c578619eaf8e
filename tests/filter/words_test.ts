/**
 * Search for words: on the stored bytes, and in the page where the hits are marked.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { compileWords } from "../../lib/filter/words.ts";
import type { MessageView } from "../../lib/lite3/message.ts";
import { Buf } from "../../lib/bytes.ts";
import { PlasmiteError } from "../../lib/errors.ts";
import { printEnvelope } from "../../lib/text/envelope.ts";
import { readMessage } from "../../server/ui/json.js";
import { hasWords, placesOf, wordsOf } from "../../server/ui/words.js";
import { kindOf } from "../../server/ui/words_or_jq.js";
import { message } from "../text/message_fixture.ts";

/** The same message as the page gets it. */
function inPage(view: MessageView): ReturnType<typeof readMessage> {
  const out = new Buf(256);
  printEnvelope(view, out);
  return readMessage(new TextDecoder().decode(out.bytes()));
}

/** Whether a message has the words; the server and the page must agree. */
function has(data: string, words: string, tags: readonly string[] = []): boolean {
  const view = message(data, { tags });
  const found = compileWords(words).matches(view);
  assert.equal(hasWords(inPage(view), wordsOf(words)), found, `${words} in ${data}`);
  return found;
}

// Lost: the message that one is looking for, because it has the word in a key, a tag or a number.
Deno.test("words are found in strings, keys, tags, numbers and constants, at any depth", () => {
  const data =
    '{"msg":"connection refused","user":{"id":9007199254740993,"deep":[1.5,[true,null]]}}';
  for (
    const words of ["refused", "conn", "user", "deep", "9007199254740993", "1.5", "tru", "null"]
  ) {
    assert.ok(has(data, words), words);
  }
  assert.ok(has(data, "checkout", ["checkout", "late"]));
  assert.ok(has(data, "refused late 1.5", ["late"]), "each word may be somewhere else");
  assert.ok(!has(data, "refused early"));
  assert.ok(!has(data, "9007199254740992"), "integers are not rounded");
  assert.ok(has(data, '"connection refused"'));
  assert.ok(!has(data, '"refused connection"'));
  assert.ok(has(data, '"connection ref'), "a phrase that is still being typed");
  assert.ok(!has("{}", "seq") && !has("{}", "data") && !has("{}", "meta"), "no envelope");
  assert.ok(!has('{"a":"b","c":"d"}', "bc") && !has('{"a":"b"}', "ab"), "not across values");
  assert.ok(has('{"a":"x\\"y\\\\n"}', "\\n") && has('{"a\\nb":1}', "b"), "escapes are decoded");
  assert.ok(has('{"n":-3e30,"m":0.1}', "-3e+30") && has('{"n":0.1}', "0.1"));
});

// Lost: every message in a language with other letters, or with another case than was typed.
Deno.test("case is ignored by Unicode's rules unless the word has capitals", () => {
  const cases: [text: string, word: string, found: boolean][] = [
    ["Connection Refused", "refused", true],
    ["connection refused", "Refused", false],
    ["connection Refused", "Refused", true],
    ["STRASSE", "straße", true],
    ["Straße", "strasse", true],
    ["ÜBER", "über", true],
    ["über", "ÜBER", false],
    ["ΟΔΟΣ", "οδος", true],
    ["οδοσφ", "οδος", true],
    ["\u212Aelvin", "kelvin", true],
    ["ſo", "so", true],
    ["ПРИВЕТ", "привет", true],
    ["ﬁle", "file", true],
    ["日本語のログ", "本語", true],
    ["😀 done", "😀", true],
    ["é", "e", false],
  ];
  for (const [text, word, found] of cases) {
    assert.equal(has(JSON.stringify({ m: text }), word), found, `${word} in ${text}`);
    assert.equal(has(JSON.stringify({ [text]: 1 }), word), found, `${word} in key ${text}`);
    assert.equal(has("{}", word, [text]), found, `${word} in tag ${text}`);
    assert.equal(placesOf(text, wordsOf(word)).length > 0, found, `${word} marked in ${text}`);
  }
});

Deno.test("the server finds what the page marks, whatever is stored and searched for", () => {
  const piece = fc.constantFrom(
    "a",
    "A",
    "ß",
    "S",
    "ς",
    "Σ",
    "İ",
    "i",
    "k",
    "\u212A",
    "1",
    "-",
    "e",
    '"',
    "\\",
    " ",
    "ŉ",
    "😀",
    "é",
  );
  const text = fc.string({ unit: piece, maxLength: 6 });
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { maxDepth: 3 },
      text,
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie("any"), { maxLength: 3 }),
      fc.dictionary(text, tie("any"), { maxKeys: 3 }),
    ),
  })).any;
  const json = (one: unknown): string =>
    JSON.stringify(
      one,
      (_, x) =>
        typeof x === "bigint"
          ? (JSON as unknown as { rawJSON(t: string): unknown }).rawJSON(`${x}`)
          : x,
    );
  fc.assert(
    fc.property(value, fc.array(text, { maxLength: 2 }), text, (data, tags, words) => {
      fc.pre(wordsOf(words).length > 0);
      has(json({ data }), words, tags);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("places to mark are in order, apart, and inside the text", () => {
  assert.deepEqual(placesOf("Straße STRASSE", wordsOf("ss")), [[4, 5], [11, 13]]);
  assert.deepEqual(placesOf("aaa", wordsOf("aa")), [[0, 3]]);
  assert.deepEqual(placesOf("refused, Refused", wordsOf("refused fused")), [[0, 7], [9, 16]]);
  assert.deepEqual(placesOf("refused, Refused", wordsOf("Refused")), [[9, 16]]);
});

Deno.test("nothing to search for is refused", () => {
  for (const words of ["", "  ", '""', '" "']) {
    assert.throws(
      () => compileWords(words),
      (error) => PlasmiteError.is(error) && error.kindName === "Usage",
    );
  }
});

// Lost: the search for a word that happens to be jq, or the filter that is searched for as text.
Deno.test("text without jq syntax is words, also if jq would take it", () => {
  const words = [
    "refused",
    "now",
    "length",
    "true",
    "null",
    "not",
    "connection refused",
    "a and b",
    "GET /cart",
    "foo-bar",
    "v1.2.3",
    "user@example.com",
    "10:05:02",
    "don't",
    "C++",
    '"refused"',
    '"a == b"',
    "42",
    "-3.5",
    "[error]",
    "main()",
    "a -> b",
    "x => y",
    "<b>bold</b>",
    "http://x/?a=1&b=2",
    "error: .env missing",
    "100%",
    "$5",
    "#42",
    "select",
    "any",
    "file.txt",
    "ключ",
    "日本語",
    "a, b; c",
    "(late)",
    "what?",
  ];
  for (const text of words) assert.equal(kindOf(text), "words", text);
  const jq = [
    ".data.level",
    ".",
    ".[0]",
    "..",
    '.data.level == "error"',
    'level == "error"',
    "level = error",
    ".data.level = error",
    "n > 3",
    ".data.n>3",
    "(.data.n > 3)",
    "length > 2",
    '[..|strings]|any(test("oops"))',
    'any(.data.list[]; . == "b")',
    "now - (.time|fromdate) < 60",
    '.data|tostring|test("refused")',
    "select(.data.ok)",
    "[.data.a?] != [1]",
    "if .data.ok then true else false end",
    '.data|keys|contains(["level"])',
    'has("a")',
    '."a b"',
    "seq >= 100",
    "level != error",
  ];
  for (const text of jq) assert.equal(kindOf(text), "where", text);
  for (const text of ["", "  "]) assert.equal(kindOf(text), "");
});
