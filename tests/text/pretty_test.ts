/**
 * Indented JSON (docs/spec/command-line.md 1.6, 1.7).
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { Buf } from "../../lib/bytes.ts";
import { printPretty } from "../../lib/text/pretty.ts";

function pretty(json: string, colour = false): string {
  const bytes = new TextEncoder().encode(`x${json}x`);
  const out = new Buf(1);
  printPretty(bytes, 1, bytes.length - 1, out, colour);
  return new TextDecoder().decode(out.bytes());
}

Deno.test("pretty: two spaces, empty containers in one piece", () => {
  assert.equal(
    pretty('{"a":{},"b":[],"c":[1,{"d":"x\\"y\\\\"},[-1.5e-10]],"é":null}'),
    `{
  "a": {},
  "b": [],
  "c": [
    1,
    {
      "d": "x\\"y\\\\"
    },
    [
      -1.5e-10
    ]
  ],
  "é": null
}`,
  );
  for (const scalar of ["{}", "[]", "1", '"{,:["', "true"]) assert.equal(pretty(scalar), scalar);
});

Deno.test("pretty: a colour for each token", () => {
  const t = (code: number, token: string) => `\x1b[${code}m${token}\x1b[0m`;
  const mark = (token: string) => t(39, token);
  assert.equal(
    pretty('{"k":"s","n":-1.5,"l":[true,false,null],"e":{}}', true),
    `${mark("{")}
  ${t(36, '"k"')}${mark(":")} ${t(32, '"s"')}${mark(",")}
  ${t(36, '"n"')}${mark(":")} ${t(33, "-1.5")}${mark(",")}
  ${t(36, '"l"')}${mark(":")} ${mark("[")}
    ${t(35, "true")}${mark(",")}
    ${t(35, "false")}${mark(",")}
    ${mark("null")}
  ${mark("]")}${mark(",")}
  ${t(36, '"e"')}${mark(":")} ${mark("{}")}
${mark("}")}`,
  );
});

Deno.test("pretty: as JSON.stringify does it, coloured or not", () => {
  fc.assert(fc.property(fc.json({ maxDepth: 5 }), (json) => {
    const value = JSON.parse(json);
    const compact = JSON.stringify(value);
    const wanted = JSON.stringify(value, null, 2);
    assert.equal(pretty(compact), wanted);
    // deno-lint-ignore no-control-regex
    assert.equal(pretty(compact, true).replace(/\x1b\[\d+m/g, ""), wanted);
  }));
});
