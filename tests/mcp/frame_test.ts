/**
 * From text to message and back: whatever JSON a peer sends, data and numbers come through as they
 * were written, and no text makes the reader throw.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { frame } from "../../mcp/frame.ts";
import { Json, jsonText } from "../../lib/text/json_exact.ts";
import { members, unwrap, wrap, wrapped } from "../../mcp/json.ts";
import { LineSplitter } from "../../mcp/lines.ts";
import { poolOfUri, poolUri } from "../../mcp/resources.ts";

const RUNS = { numRuns: 300 * Number(Deno.env.get("PLASMITE_TEST_SCALE") ?? 1) };
const SPACE = fc.constantFrom("", " ", "\n", "\t ", "\r\n");

Deno.test("mcp frame: members finds what JSON.parse finds, whatever the spacing", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.string(), fc.jsonValue()), { maxLength: 8 }),
      fc.array(SPACE, { minLength: 40, maxLength: 40 }),
      (entries, spaces) => {
        let n = 0;
        const space = (): string => spaces[n++ % spaces.length] ?? "";
        const text = `${space()}{${space()}` +
          entries.map(([key, value]) =>
            `${JSON.stringify(key)}${space()}:${space()}${JSON.stringify(value, null, 1)}${space()}`
          ).join(`,${space()}`) + "}";
        const expected = JSON.parse(text) as { [key: string]: unknown };
        const found = members(text, 0);
        // A member called __proto__ is one like any other.
        assert.deepEqual([...found.keys()].sort(), Object.keys(expected).sort());
        for (const [key, { start, end }] of found) {
          assert.deepEqual(JSON.parse(text.slice(start, end)), expected[key]);
        }
      },
    ),
    RUNS,
  );
});

Deno.test("mcp frame: the data of a call is kept as text, other arguments as values", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.bigInt(0n, 2n ** 64n - 1n), SPACE, (data, seq, space) => {
      const text = `{"jsonrpc":"2.0","id":1,"params":{"arguments":{"seq":${seq},"data":${space}` +
        `${JSON.stringify(data)}${space}},"name":"x"},"method":"tools/call"}`;
      const framed = frame(text);
      assert.equal(framed.kind, "call");
      if (framed.kind !== "call") return;
      const args = framed.call.params?.["arguments"] as { [key: string]: unknown };
      assert.equal(wrapped(args["data"]), JSON.stringify(data));
      assert.equal(BigInt(args["seq"] as number | bigint), seq);
    }),
    RUNS,
  );
});

Deno.test("mcp frame: any text is a call, an answer or refused with a JSON-RPC code", () => {
  const keys = fc.constantFrom("jsonrpc", "id", "method", "params", "name", "arguments", "result");
  const values = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom("2.0", "tools/call", "initialize", "resources/read", null),
  );
  const message = fc.dictionary(keys, values).map((value) => JSON.stringify(value));
  fc.assert(
    fc.property(fc.oneof(fc.string(), message), (text) => {
      const framed = frame(text);
      if (framed.kind === "refused") {
        assert.ok([-32700, -32600, -32601, -32602].includes(framed.refusal.error.code));
        JSON.stringify(framed.refusal);
      } else if (framed.kind === "call") assert.equal(typeof framed.call.method, "string");
    }),
    RUNS,
  );
});

Deno.test("mcp frame: text inside results comes out as it went in", () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue(), { maxLength: 5 }), fc.string(), (values, other) => {
      const texts = values.map((value) => JSON.stringify(value, null, 2));
      const printed = JSON.stringify({ other, items: texts.map(wrap), last: other });
      // A line break would end the line of the protocol or of an event.
      const items = texts.map((text) => text.replaceAll("\n", " ")).join(",");
      const expected = `{"other":${JSON.stringify(other)},"items":[${items}],` +
        `"last":${JSON.stringify(other)}}`;
      assert.equal(unwrap(printed), expected);
    }),
    RUNS,
  );
  assert.equal(
    jsonText({ a: 2n ** 64n, b: undefined, c: [new Json("{ }"), null], d: "ü" }),
    '{"a":18446744073709551616,"c":[{ },null],"d":"ü"}',
  );
});

Deno.test("mcp frame: lines are the same however their bytes arrive", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: "grapheme" }).map((line) => line.replace(/[\r\n]/g, "")), {
        maxLength: 6,
      }),
      fc.integer({ min: 1, max: 9 }),
      (lines, size) => {
        const bytes = new TextEncoder().encode(lines.join("\n"));
        const splitter = new LineSplitter(1000);
        const found: string[] = [];
        const keep = (line: ReturnType<LineSplitter["end"]>[number]): void => {
          found.push(line.kind === "text" ? line.text : line.kind);
        };
        const chunk = new Uint8Array(size);
        for (let at = 0; at < bytes.length; at += size) {
          // The same chunk is filled again and again, as a reader does.
          const piece = bytes.subarray(at, at + size);
          chunk.set(piece);
          splitter.push(chunk.subarray(0, piece.length)).forEach(keep);
          chunk.fill(0);
        }
        splitter.end().forEach(keep);
        assert.deepEqual(found, lines.filter((line) => line !== ""));
      },
    ),
    RUNS,
  );
});

Deno.test("mcp frame: every pool name survives the way into a URI and back", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, unit: "grapheme" }), (name) => {
      // Dot segments are no names in a URI; no pool is called so either.
      fc.pre(!/^\.\.?$/.test(name) && name.isWellFormed());
      assert.equal(poolOfUri(poolUri(name)), name);
    }),
    RUNS,
  );
});
