/**
 * Lite3 against a plain model: what goes in comes out, and hostile bytes do no harm.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { Buf } from "../../lib/bytes.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { Lite3Doc, Lite3Key } from "../../lib/lite3/doc.ts";
import { JsonSyntaxError, Lite3Encoder } from "../../lib/lite3/encode.ts";
import { Lite3Tag, MessageView } from "../../lib/lite3/message.ts";
import { printJson } from "../../lib/lite3/print.ts";
import { validateMessage } from "../../lib/lite3/validate.ts";
import { type IntegerPolicy, toValue } from "../../lib/lite3/value.ts";
import { messageFromValue } from "../../lib/lite3/from_value.ts";
import { printEnvelope, printReceipt } from "../../lib/text/envelope.ts";

const SCALE = Number(Deno.env.get("PLASMITE_TEST_SCALE") ?? "1");
const runs = (n: number): { numRuns: number } => ({ numRuns: Math.ceil(n * SCALE) });
const utf8 = new TextEncoder();

// ---- the model ----------------------------------------------------------------------------------

type Model =
  | { kind: "null" }
  | { kind: "bool"; value: boolean }
  | { kind: "int"; value: bigint }
  | { kind: "float"; value: number }
  | { kind: "string"; value: string }
  | { kind: "array"; value: Model[] }
  | { kind: "object"; value: [string, Model][] };

/** Any text without lone surrogates; the lengths around 90 bytes are special. */
const anyText = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: "binary", maxLength: 12 }) },
  { weight: 2, arbitrary: fc.string({ unit: "binary-ascii", maxLength: 40 }) },
  { weight: 1, arbitrary: fc.integer({ min: 80, max: 100 }).map((n) => "x".repeat(n)) },
  { weight: 1, arbitrary: fc.constantFrom("y".repeat(5000), 'z\n"'.repeat(3000), "é".repeat(45)) },
);
const anyKey = fc.oneof(
  { weight: 6, arbitrary: fc.string({ unit: "grapheme-ascii", maxLength: 6 }) },
  { weight: 2, arbitrary: anyText.filter((key) => !key.includes("\0")) },
  { weight: 1, arbitrary: fc.constantFrom("__proto__", "toString", "0", "aB", "b!", "`c", "data") },
);
const anyInt = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.integer().map(BigInt),
  fc.integer({ min: -9, max: 99 }).map(BigInt),
  fc.constantFrom(2n ** 53n, 2n ** 53n - 1n, -(2n ** 53n), 1n - 2n ** 53n, 10n ** 15n, 10n ** 18n),
);
const anyFloat = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.tuple(fc.integer(), fc.integer({ min: 0, max: 8 })).map(([m, k]) => m / 10 ** k),
  fc.constantFrom(-0, 0, 1e-5, 9.999999e-6, 1e16, 9999999999999998, 1e21, 5e-324, 1.5e-10, 0.3),
);

const { model } = fc.letrec<{ model: Model; object: Model }>((tie) => ({
  model: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constant<Model>({ kind: "null" }),
    fc.boolean().map((value): Model => ({ kind: "bool", value })),
    anyInt.map((value): Model => ({ kind: "int", value })),
    anyFloat.map((value): Model => ({ kind: "float", value })),
    anyText.map((value): Model => ({ kind: "string", value })),
    fc.array(tie("model"), { maxLength: 30 }).map((value): Model => ({ kind: "array", value })),
    tie("object"),
  ),
  object: members(tie("model")),
}));
const root = members(model);

function members(value: fc.Arbitrary<Model>): fc.Arbitrary<Model> {
  return fc.uniqueArray(fc.tuple(anyKey, value), { selector: ([key]) => key, maxLength: 40 })
    .filter((list) => sameWidths(list.map(([key]) => key)))
    .map((list): Model => ({ kind: "object", value: list }));
}

/**
 * Keys of one hash but different tag widths cannot live in one object (docs/spec/format.md 7.5).
 */
function sameWidths(names: string[]): boolean {
  const widths = new Map<number, number>();
  for (const name of names) {
    const { hash, tagWidth } = new Lite3Key(name);
    if ((widths.get(hash) ?? tagWidth) !== tagWidth) return false;
    widths.set(hash, tagWidth);
  }
  return true;
}

/** By docs/spec/command-line.md 1.6. */
function floatText(x: number): string {
  const size = Math.abs(x);
  if (Object.is(x, -0)) return "-0.0";
  if (x !== 0 && (size < 1e-5 || size >= 1e16)) return x.toExponential();
  return Number.isInteger(x) ? `${x}.0` : String(x);
}

function text(m: Model): string {
  switch (m.kind) {
    case "null":
      return "null";
    case "bool":
    case "int":
      return String(m.value);
    case "float":
      return floatText(m.value);
    case "string":
      return JSON.stringify(m.value);
    case "array":
      return `[${m.value.map(text).join(",")}]`;
    case "object":
      return `{${m.value.map(([k, v]) => `${JSON.stringify(k)}:${text(v)}`).join(",")}}`;
  }
}

function plain(m: Model, integers: IntegerPolicy): unknown {
  switch (m.kind) {
    case "null":
      return null;
    case "int": {
      const n = Number(m.value);
      if (integers === "number") return n;
      return integers === "auto" && Number.isSafeInteger(n) ? n : m.value;
    }
    case "array":
      return m.value.map((v) => plain(v, integers));
    case "object":
      return Object.fromEntries(m.value.map(([k, v]) => [k, plain(v, integers)]));
    default:
      return m.value;
  }
}

function depth(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depth));
}

// ---- helpers --------------------------------------------------------------------------------

function encode(json: string, tags: string[] = []): Uint8Array<ArrayBuffer> {
  const bytes = utf8.encode(json);
  const out = new Buf(16);
  out.u8.fill(0xaa);
  assert.equal(new Lite3Encoder(out).messageFromJson(bytes, 0, bytes.length, tags), bytes.length);
  return out.bytes().slice();
}

function open(bytes: Uint8Array<ArrayBuffer>): MessageView {
  const view = new MessageView();
  view.open(bytes, new DataView(bytes.buffer), 0, bytes.length);
  return view;
}

function print(doc: Lite3Doc, value: number): string {
  const out = new Buf(1);
  printJson(doc, value, out);
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(out.bytes());
}

const printData = (view: MessageView): string => print(view.doc, view.dataAt);

function isCorrupt(error: unknown): boolean {
  return PlasmiteError.is(error, ErrorKind.Corrupt);
}

// ---- what goes in comes out ------------------------------------------------------------------

Deno.test("JSON text is restored exactly: values, order, every bit", () => {
  fc.assert(
    fc.property(root, fc.array(anyText, { maxLength: 9 }), (m, tags) => {
      const json = text(m);
      const view = open(encode(json, tags));
      assert.equal(printData(view), json);
      assert.deepEqual(view.tags(), tags);
      for (const integers of ["auto", "number", "bigint"] as const) {
        assert.deepEqual(toValue(view.doc, view.dataAt, integers), plain(m, integers));
      }
      validateMessage(view.doc);
    }),
    runs(400),
  );
});

Deno.test("every member is found by its key, every element by its index", () => {
  fc.assert(
    fc.property(root, anyKey, (m, other) => {
      const view = open(encode(text(m)));
      check(view.doc, view.dataAt, m);
      if (m.kind !== "object" || m.value.some(([key]) => key === other)) return;
      assert.equal(view.doc.lookup(view.dataAt, new Lite3Key(other)), -1);
    }),
    runs(200),
  );

  function check(doc: Lite3Doc, at: number, m: Model): void {
    if (m.kind === "object") {
      assert.equal(doc.count(at), m.value.length);
      assert.deepEqual(doc.entries(at).map((kv) => doc.key(kv)), m.value.map(([key]) => key));
      for (const [key, value] of m.value) check(doc, doc.lookup(at, new Lite3Key(key)), value);
    } else if (m.kind === "array") {
      assert.equal(doc.count(at), m.value.length);
      assert.equal(doc.element(at, m.value.length), -1);
      m.value.forEach((value, i) => check(doc, doc.element(at, i), value));
    } else assert.equal(print(doc, at), text(m));
  }
});

Deno.test("a JavaScript value is stored as its JSON text would be", () => {
  fc.assert(
    fc.property(root, (m) => {
      const out = new Buf(16);
      out.u8.fill(0xaa);
      const value = plain(m, "auto");
      messageFromValue(new Lite3Encoder(out), value, ["t"]);
      const view = open(out.bytes().slice());
      // A float that is an integer cannot be told from one; the sign of zero is kept.
      assert.deepEqual(toValue(view.doc, view.dataAt), value);
      validateMessage(view.doc);
    }),
    runs(200),
  );
});

Deno.test("any decimal is read as the nearest double", () => {
  const digits = fc.string({ unit: fc.constantFrom(..."0123456789"), minLength: 1, maxLength: 25 });
  const number = fc.tuple(
    fc.constantFrom("", "-"),
    digits.map((d) => d.replace(/^0+(?=\d)/, "")),
    fc.oneof(fc.constant(""), digits.map((d) => `.${d}`)),
    fc.oneof(
      fc.constant(""),
      fc.tuple(fc.constantFrom("e", "E", "e+", "e-"), fc.integer({ min: 0, max: 330 }))
        .map(([e, n]) => `${e}${n}`),
    ),
  ).map((parts) => parts.join("")).filter((token) => Number.isFinite(Number(token)));
  // Sixteen to nineteen digits, as most doubles are written.
  const long = fc.tuple(
    fc.bigInt({ min: 10n ** 15n, max: 10n ** 19n - 1n }).map(String),
    fc.nat(),
    fc.constantFrom("", "e-3", "e2", "e-20"),
  ).map(([d, at, e]) => `${d.slice(0, 1 + at % 15)}.${d.slice(1 + at % 15)}${e}`);
  const decimal = fc.oneof(
    long,
    number,
    fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  );
  fc.assert(
    fc.property(decimal, (token) => {
      const view = open(encode(`{"k": ${token} }`));
      const at = view.doc.lookup(view.dataAt, new Lite3Key("k"));
      const big = /^-?\d+$/.test(token) ? BigInt(token) : undefined;
      if (big !== undefined && big === BigInt.asIntN(64, big) && token !== "-0") {
        assert.equal(view.doc.tag(at), 2);
        assert.equal(view.doc.i64(at), big);
      } else {
        assert.equal(view.doc.tag(at), 3);
        assert(Object.is(view.doc.f64(at), Number(token)));
      }
    }),
    { ...runs(3000), examples: [["0.00019929099404125106"], ["-0"], ["9223372036854775808"]] },
  );
});

// ---- text: the same language as JSON.parse ------------------------------------------------------

/** JSON text with something odd about it: white space, duplicates, a byte changed. */
const oddText = fc.tuple(
  root.map((m) => text(m)),
  fc.array(
    fc.tuple(
      fc.nat(),
      fc.constantFrom(
        ...'"\\{}[]:,0123456789-+.eEtfn \n\t\u0000\u001fé',
        '"a":1,',
        '"a":{"a":[]},',
        '"a":"a long string that grows",',
        "\\u0041",
        "\\ud83d\\ude00",
        "\\ud83d",
        "\ufeff",
        "",
      ),
      fc.nat({ max: 2 }),
    ),
    { maxLength: 3 },
  ),
).map(([json, edits]) => {
  for (const [at, piece, cut] of edits) {
    const i = 1 + at % json.length;
    json = json.slice(0, i) + piece + json.slice(i + cut);
  }
  return json.toWellFormed();
});

Deno.test("exactly the texts that JSON.parse takes are taken, with the same meaning", () => {
  fc.assert(
    fc.property(oddText, (json) => {
      // V8 15.0 reads the key `"` as `\` after it has seen an object with the latter:
      // JSON.parse('{"a":0,"\\\\":0}') and then JSON.parse('{"a":0,"\\"":0}').
      fc.pre(!json.includes('\\"'));
      const bytes = utf8.encode(json);
      const out = new Buf(16);
      let end: number;
      try {
        end = new Lite3Encoder(out).messageFromJson(bytes, 0, bytes.length, []);
      } catch (error) {
        assert.equal(out.len, 0);
        let value: unknown;
        try {
          value = JSON.parse(json);
        } catch {
          assert(error instanceof JsonSyntaxError, String(error));
          return;
        }
        // Valid JSON that cannot be stored.
        const refused = depth(value) > 31 || JSON.stringify(value).includes("\\ud") ||
          /"(?:[^"\\]|\\.)*\\u0000(?:[^"\\]|\\.)*":/.test(json) || /\d[eE]?\+?\d\d\d/.test(json);
        assert(refused, `${error}: ${json}`);
        return;
      }
      const rest = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(end));
      const value = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end))) as unknown;
      if (/^[ \n\r\t]*$/.test(rest)) assert.deepEqual(JSON.parse(json), value);
      const view = open(out.bytes().slice());
      assert.deepEqual(toValue(view.doc, view.dataAt, "number"), value);
      // Printing is stable: what was printed is printed again the same way.
      const printed = printData(view);
      assert.equal(printData(open(encode(printed))), printed);
      // The reference's own way with duplicates reads back to the same values.
      const raw = new Buf(16);
      new Lite3Encoder(raw).documentFromJson(bytes, 0, bytes.length);
      const doc = new Lite3Doc().reset(raw.u8, raw.dv, 0, raw.len);
      const direct = toValue(doc, 0, "number");
      if (!json.includes("-0")) assert.deepEqual(direct, value);
    }),
    runs(3000),
  );
});

Deno.test("a text that ends too early is incomplete at every length", () => {
  fc.assert(
    fc.property(root.map((m) => text(m)), fc.nat(), (json, cut) => {
      const bytes = utf8.encode(json);
      const end = cut % bytes.length;
      try {
        new Lite3Encoder(new Buf(16)).messageFromJson(bytes, 0, end, []);
        assert.fail("accepted");
      } catch (error) {
        assert(error instanceof JsonSyntaxError);
        assert.equal(error.incomplete, true);
        assert.equal(error.offset, end);
      }
    }),
    runs(500),
  );
});

Deno.test("invalid UTF-8 is refused exactly where TextDecoder refuses it", () => {
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const byte = fc.oneof(
    fc.integer({ min: 0x23, max: 0x5b }),
    fc.integer({ min: 0x80, max: 0xff }),
    fc.constantFrom(0xe0, 0xed, 0xf0, 0xf4, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2),
  );
  const bytes = fc.uint8Array({ maxLength: 12 }).chain((a) =>
    fc.array(byte, { maxLength: 8 }).map((b) =>
      Uint8Array.from([...a, ...b].filter((c) => c >= 0x20 && c !== 0x22 && c !== 0x5c))
    )
  );
  fc.assert(
    fc.property(bytes, (content) => {
      const json = new Uint8Array([...utf8.encode('{"k":"'), ...content, 0x22, 0x7d]);
      let expected: string | undefined;
      try {
        expected = strict.decode(content);
      } catch {
        expected = undefined;
      }
      const encoder = new Lite3Encoder(new Buf(16));
      if (expected === undefined) {
        assert.throws(() => encoder.messageFromJson(json, 0, json.length, []), JsonSyntaxError);
        // The same bytes in a document.
        const plainBytes = encode(`{"k":"${"x".repeat(content.length)}"}`);
        plainBytes.set(content, plainBytes.length - 1 - content.length);
        const view = open(plainBytes);
        assert.throws(() => printData(view), isCorrupt);
        assert.throws(() => toValue(view.doc, view.dataAt), isCorrupt);
      } else {
        encoder.messageFromJson(json, 0, json.length, []);
        const view = open(encoder.out.bytes().slice());
        assert.deepEqual(toValue(view.doc, view.dataAt), { k: expected });
      }
    }),
    runs(2000),
  );
});

// ---- hostile bytes ----------------------------------------------------------------------------

function readEverything(bytes: Uint8Array<ArrayBuffer>, len: number): void {
  const dv = new DataView(bytes.buffer);
  const doc = new Lite3Doc().reset(bytes, dv, 0, len);
  const view = new MessageView();
  const out = new Buf(16);
  const reads: (() => void)[] = [
    () => printJson(doc, 0, out),
    () => toValue(doc, 0),
    () => validateMessage(doc),
    () => doc.lookup(0, new Lite3Key("data")),
    () => doc.element(0, 3),
    () => doc.entries(0).forEach((kv) => doc.key(kv)),
    () => {
      view.open(bytes, dv, 0, len);
      view.hasTags([new Lite3Tag("t")]);
      view.tags();
      printEnvelope(view, out);
    },
  ];
  for (const read of reads) {
    out.len = 7;
    try {
      read();
      // A small multiple of the input, whatever the bytes say.
      assert(out.len <= 6 * len + 512, `${out.len} bytes printed from ${len}`);
    } catch (error) {
      assert(isCorrupt(error), String(error));
      assert.equal(out.len, 7);
    }
  }
}

Deno.test("changed bytes give Corrupt or another value, nothing else", () => {
  const change = fc.tuple(fc.nat(), fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(0, 96, 255)));
  fc.assert(
    fc.property(
      root,
      fc.array(fc.array(change, { minLength: 1, maxLength: 6 }), { minLength: 20, maxLength: 20 }),
      fc.nat(),
      (m, mutations, cut) => {
        const bytes = encode(text(m), ["t", "u"]);
        for (const mutation of mutations) {
          // With the next document's bytes behind, as in a pool.
          const hostile = new Uint8Array(bytes.length + 64).fill(0x41);
          hostile.set(bytes);
          for (const [at, value] of mutation) hostile[at % bytes.length] = value;
          readEverything(hostile, bytes.length);
        }
        readEverything(bytes, cut % (bytes.length + 1));
      },
    ),
    runs(1000),
  );
});

Deno.test("a tree that shares its children is refused, not walked forever", () => {
  // Ten nodes of seven entries, each pointing eight times at the next: 8^9 leaves.
  const bytes = new Uint8Array(96 * 10);
  const dv = new DataView(bytes.buffer);
  for (let i = 0; i < 10; i++) {
    bytes[96 * i] = 7;
    bytes[96 * i + 32] = 7;
    for (let j = 0; j < 7; j++) dv.setUint32(96 * i + 36 + 4 * j, 96 * 9 + 95, true);
    for (let j = 0; i < 9 && j < 8; j++) dv.setUint32(96 * i + 64 + 4 * j, 96 * (i + 1), true);
  }
  readEverything(bytes, bytes.length);
  const doc = new Lite3Doc().reset(bytes, dv, 0, bytes.length);
  assert.throws(() => toValue(doc, 0), isCorrupt);
});

Deno.test("one long string that many entries share is refused", () => {
  const json = `{${Array.from({ length: 50 }, (_, i) => `"k${i}":"${"s".repeat(2000)}"`).join()}}`;
  const bytes = encode(json);
  const view = open(bytes);
  const [first = 0] = view.doc.entries(view.dataAt);
  // Point every entry of every node at the first one.
  const dv = new DataView(bytes.buffer);
  const nodes = [view.dataAt];
  for (const node of nodes) {
    for (let i = 0; i < ((bytes[node + 32] ?? 0) & 7); i++) {
      dv.setUint32(node + 36 + 4 * i, first, true);
    }
    if (dv.getUint32(node + 64, true) === 0) continue;
    for (let i = 0; i <= ((bytes[node + 32] ?? 0) & 7); i++) {
      nodes.push(dv.getUint32(node + 64 + 4 * i, true));
    }
  }
  readEverything(bytes, bytes.length);
});

// ---- refusals ----------------------------------------------------------------------------------

function refusal(json: string, tags: string[] = []): { error: unknown; valueEnd: number } {
  const bytes = utf8.encode(json);
  const out = new Buf(16);
  out.len = 3;
  const encoder = new Lite3Encoder(out);
  try {
    encoder.messageFromJson(bytes, 0, bytes.length, tags);
  } catch (error) {
    assert.equal(out.len, 3);
    return { error, valueEnd: encoder.valueEnd };
  }
  assert.fail(`accepted ${json.slice(0, 80)}`);
}

const nested = (levels: number): string =>
  '{"a":'.repeat(levels - 1) + "{}" + "}".repeat(levels - 1);

Deno.test("data that cannot be stored is refused as Usage, and the end of the value is known", () => {
  const cases: [string, string][] = [
    [nested(32), "failed to encode json as lite3"],
    [nested(127), "failed to encode json as lite3"],
    [`{"a":${"[".repeat(31)}${"]".repeat(31)}}`, "failed to encode json as lite3"],
    [`{"a\\u0000b":1}`, "object keys must not contain U+0000"],
    ["[1,2]", "data must be object"],
    ["17", "data must be object"],
    ["-0", "data must be object"],
    ['"text"', "data must be object"],
    ["null", "data must be object"],
  ];
  for (const [json, message] of cases) {
    const { error, valueEnd } = refusal(`${json} {"next":1}`);
    assert(PlasmiteError.is(error, ErrorKind.Usage), `${json}: ${error}`);
    assert.equal(error.message, message);
    assert.equal(valueEnd, json.length);
    if (message.startsWith("failed")) {
      assert.deepEqual(error.causes, ["Invalid argument (os error 22)"]);
    }
  }
  assert.equal(printData(open(encode(nested(31)))), nested(31));
});

Deno.test("nesting beyond 127 levels is not JSON", () => {
  const { error } = refusal(nested(128));
  assert(error instanceof JsonSyntaxError);
  assert.equal(error.incomplete, false);
});

Deno.test("keys of one hash but different tag widths are refused", () => {
  // "a" * 2^k prefixes shift the hash; search a long key with the hash of a short one.
  const short = new Lite3Key("zzzzzz");
  const bytes = new Uint8Array(64).fill(0x41);
  // Solve the last seven characters from the top: h = p * 33^7 + sum(c_i * 33^(6-i)) mod 2^32.
  let prefix = 5381;
  for (let i = 0; i < 57; i++) prefix = (Math.imul(prefix, 33) + 0x41) | 0;
  let rest = short.hash;
  let base = prefix;
  for (let i = 0; i < 7; i++) base = Math.imul(base, 33);
  rest = (rest - base) >>> 0;
  // Find c_i in 0x23..0x7e with sum(c_i * 33^(6-i)) = rest + n * 2^32.
  const found = solve(rest);
  bytes.set(found, 57);
  const long = new TextDecoder().decode(bytes);
  assert.equal(new Lite3Key(long).hash, short.hash);
  const { error } = refusal(JSON.stringify({ zzzzzz: 1, [long]: 2 }));
  assert(PlasmiteError.is(error, ErrorKind.Usage));
  assert.equal(error.message, "failed to encode json as lite3");

  function solve(target: number): number[] {
    for (let wraps = 0; wraps < 40; wraps++) {
      let left = target + wraps * 2 ** 32;
      const digits: number[] = [];
      for (let i = 6; i >= 0; i--) {
        const power = 33 ** i;
        // What the lower places can still make up for.
        const low = i === 0 ? 0 : 0x5d * (power - 1) / 32;
        const c = Math.min(0x7e, Math.max(0x5d, Math.floor((left - low) / power)));
        digits.push(c);
        left -= c * power;
      }
      if (left === 0 && digits.every((c) => c >= 0x5d && c <= 0x7e)) return digits;
    }
    return assert.fail("no such key");
  }
});

Deno.test("an array with more elements than can be read back is refused", () => {
  // Ten levels of nodes hold 2,097,160 elements (docs/spec/format.md 7.5).
  const { error } = refusal(`{"a":[${"1,".repeat(2_097_160)}1]}`);
  assert(PlasmiteError.is(error, ErrorKind.Usage));
});

Deno.test("JavaScript values that JSON has no word for are refused", () => {
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  const cases: unknown[] = [
    1,
    null,
    "text",
    [1],
    undefined,
    new Date(0),
    { a: NaN },
    { a: -Infinity },
    { a: () => 1 },
    { a: Symbol("s") },
    { a: 2n ** 63n },
    { a: -(2n ** 63n) - 1n },
    { a: "\ud800" },
    { "\udc00": 1 },
    { "a\0": 1 },
    { a: [cycle] },
  ];
  for (const value of cases) {
    const out = new Buf(16);
    assert.throws(
      () => messageFromValue(new Lite3Encoder(out), value, []),
      (error) => PlasmiteError.is(error, ErrorKind.Usage) && error.hint !== undefined,
      Deno.inspect(value),
    );
    assert.equal(out.len, 0);
  }
  const { error } = refusal("{}", ["\ud800"]);
  assert(PlasmiteError.is(error, ErrorKind.Usage));
});

Deno.test("JavaScript values are taken as JSON.stringify takes them", () => {
  const value = {
    date: new Date(0),
    dropped: undefined,
    list: [undefined, , 1],
    wrapped: Object("text"),
    big: 2n ** 62n,
    unsafe: 2 ** 60,
    negative: -5_000_000_000,
    minusZero: -0,
    toJSON(): unknown {
      return { ...this, toJSON: undefined };
    },
  };
  const out = new Buf(16);
  messageFromValue(new Lite3Encoder(out), value, []);
  assert.equal(
    printData(open(out.bytes().slice())),
    '{"date":"1970-01-01T00:00:00.000Z","list":[null,null,1],"wrapped":"text",' +
      '"big":4611686018427387904,"unsafe":1.152921504606847e+18,"negative":-5000000000,' +
      '"minusZero":-0.0}',
  );
});

// ---- envelope -----------------------------------------------------------------------------------

Deno.test("an envelope and a receipt print sorted keys of our own and stored data as it is", () => {
  const view = open(encode('{"b":1.0,"a":[]}', ["x", "ü"]));
  view.seqLo = 5;
  view.seqHi = 1;
  const ns = 1769904000123456700n;
  view.timeLo = Number(ns & 0xffffffffn);
  view.timeHi = Number(ns >> 32n);
  const out = new Buf(1);
  printEnvelope(view, out);
  const tail = '"meta":{"tags":["x","ü"]},"seq":4294967301,"time":"2026-02-01T00:00:00.1234567Z"}';
  assert.equal(new TextDecoder().decode(out.bytes()), `{"data":{"b":1.0,"a":[]},${tail}`);
  assert.equal(view.seq, 4294967301n);
  assert.equal(view.timestampNs, ns);
  out.clear();
  printReceipt(view.tags(), view.seqLo, view.seqHi, view.timeLo, view.timeHi, out);
  assert.equal(new TextDecoder().decode(out.bytes()), `{${tail}`);
  out.clear();
  printReceipt(["other"], 1, 0, 0, 0, out);
  const other = '{"meta":{"tags":["other"]},"seq":1,"time":"1970-01-01T00:00:00Z"}';
  assert.equal(new TextDecoder().decode(out.bytes()), other);
});

Deno.test("tags are compared as whole strings", () => {
  const view = open(encode("{}", ["ci", "über", ""]));
  assert.equal(view.hasTags([]), true);
  assert.equal(view.hasTags([new Lite3Tag("über"), new Lite3Tag("ci"), new Lite3Tag("")]), true);
  assert.equal(view.hasTags([new Lite3Tag("ci"), new Lite3Tag("c")]), false);
});

Deno.test("reading is laxer than appending: data may be an array, tags an empty object", () => {
  const doc = (json: string): Uint8Array<ArrayBuffer> => {
    const bytes = utf8.encode(json);
    const out = new Buf(16);
    new Lite3Encoder(out).documentFromJson(bytes, 0, bytes.length);
    return out.bytes().slice();
  };
  const view = open(doc('{"x":1,"meta":{"tags":{}},"data":[1]}'));
  assert.deepEqual(view.tags(), []);
  assert.throws(() => validateMessage(view.doc), /data is not object/);
  const cases: [string, string][] = [
    ["{}", "missing meta"],
    ['{"meta":1}', "meta is not object"],
    ['{"meta":{}}', "missing meta.tags"],
    ['{"meta":{"tags":1}}', "meta.tags must be array"],
    ['{"meta":{"tags":[1]}}', "meta.tags must be string array"],
    ['{"meta":{"tags":[]}}', "missing data"],
    ['{"meta":{"tags":[]},"data":1}', "failed to decode lite3"],
  ];
  for (const [json, message] of cases) {
    assert.throws(
      () => open(doc(json)),
      (error) => isCorrupt(error) && String(error).includes(message),
    );
  }
});
