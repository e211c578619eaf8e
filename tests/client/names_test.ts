/**
 * Names of pools for HTTP clients and agents, keys, ids and names of cursors: a control character in
 * one of them would end a line of a log, a header or a tag somewhere else.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { nameProblem } from "../../lib/client/names.ts";
import { checkCursorName, checkKey } from "../../lib/coordination/names.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";

const codes = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, i) => String.fromCodePoint(from + i));

/** The error of a name that is refused, or undefined. */
function refusal(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    assert.ok(PlasmiteError.is(error, ErrorKind.Usage));
    return error.message;
  }
}

Deno.test("pool names: each control character is refused wherever it stands, the rest is taken", () => {
  for (const control of [...codes(0x00, 0x1f), "\x7f", "\ud800", "\udfff"]) {
    for (const name of [`${control}a`, `a${control}b`, `a${control}`, `a${control}.plasmite`]) {
      assert.equal(nameProblem(name)?.message, "invalid pool name", JSON.stringify(name));
    }
  }
  const allowed = codes(0x20, 0x7e).filter((one) => !"/.".includes(one));
  if (Deno.build.os !== "windows") {
    for (const one of [...allowed, "é", "😀"]) {
      assert.equal(nameProblem(`a${one}`), undefined, one);
    }
  }
  for (const name of ["", ".", "..", "...", ".plasmite", "..plasmite"]) {
    assert.match(nameProblem(name)?.message ?? "", /empty|only dots/, name);
  }
  for (const name of ["/", "a/b", "/a", "a/", "../a"]) {
    assert.match(nameProblem(name)?.message ?? "", /separators/, name);
  }
});

Deno.test("pool names: as long as a file name may be, in bytes, with and without the suffix", () => {
  const most = 255 - ".plasmite".length;
  for (const [unit, bytes] of [["a", 1], ["é", 2], ["😀", 4]] as const) {
    const longest = unit.repeat(Math.floor(most / bytes));
    assert.equal(nameProblem(longest), undefined);
    assert.equal(nameProblem(`${longest}.plasmite`), undefined);
    const over = `pool name has more than ${most} bytes`;
    assert.equal(nameProblem(longest + unit)?.message, over);
    assert.equal(nameProblem(`${longest}${unit}.plasmite`)?.message, over);
  }
});

Deno.test("keys and ids: each control character is refused wherever it stands, the rest is taken", () => {
  const controls = [...codes(0x00, 0x1f), ...codes(0x7f, 0x9f), "\ud800", "\udfff"];
  for (const control of controls) {
    for (const key of [control, `${control}a`, `a${control}b`, `a${control}`]) {
      assert.match(refusal(() => checkKey(key, "id")) ?? "", /^Invalid id /, JSON.stringify(key));
    }
  }
  for (const one of [...codes(0x20, 0x7e), ...codes(0xa0, 0xff), "😀"]) {
    assert.equal(checkKey(one, "key"), one);
  }
  for (const [unit, count] of [["a", 256], ["é", 128], ["😀", 64]] as const) {
    assert.equal(checkKey(unit.repeat(count), "key"), unit.repeat(count));
    assert.match(refusal(() => checkKey(unit.repeat(count + 1), "key")) ?? "", /^Invalid key/);
  }
  assert.match(refusal(() => checkKey("", "holder")) ?? "", /^Invalid holder ""/);
  assert.equal(checkKey("abc", "key", 3), "abc");
  assert.match(refusal(() => checkKey("abcd", "key", 3)) ?? "", /^Invalid key/);
});

Deno.test("cursor names: small letters, digits and three signs, and nothing that is a file of ours", () => {
  const first = [...codes(0x61, 0x7a), ...codes(0x30, 0x39)];
  const later = [...first, ".", "_", "-"];
  for (const one of codes(0x00, 0xff)) {
    assert.equal(refusal(() => checkCursorName(one)) === undefined, first.includes(one), one);
    const second = refusal(() => checkCursorName(`a${one}b`)) === undefined;
    assert.equal(second, later.includes(one), one);
  }
  assert.equal(checkCursorName("a".repeat(64)), "a".repeat(64));
  for (const name of ["", "a".repeat(65), "a.tmp", "a\n", "../a"]) {
    assert.match(refusal(() => checkCursorName(name)) ?? "", /^Invalid cursor name/, name);
  }
});
