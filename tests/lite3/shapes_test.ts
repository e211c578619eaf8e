/**
 * Objects of keys that have come before are encoded from their shape. One wrong byte, and every
 * message of a long feed could be stored with values under the wrong keys, or be refused by other
 * programs: so each message must be what an encoder makes of it that has seen nothing before.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { Buf } from "../../lib/bytes.ts";
import { PlasmiteError } from "../../lib/errors.ts";
import { JsonSyntaxError, Lite3Encoder } from "../../lib/lite3/encode.ts";
import { Lite3Key } from "../../lib/lite3/layout.ts";
import { Shapes, type Step } from "../../lib/lite3/shapes.ts";

const SCALE = Number(Deno.env.get("PLASMITE_TEST_SCALE") ?? "1");
const utf8 = new TextEncoder();

/** Two keys of one hash, of 62 and of 63 bytes, so that their tags differ in width. */
const COLLIDING = ["mpdpypsxx".padEnd(62, "-"), "wcepkmlwf".padEnd(63, "-")];

/** All that can come of encoding a text. */
interface Outcome {
  readonly bytes: string;
  readonly end: number;
  readonly valueEnd: number;
  readonly error: unknown;
}

/** Encodes a text behind other bytes, so that no offset is right by chance. */
function encode(encoder: Lite3Encoder, text: Uint8Array, end = text.length): Outcome {
  const { out } = encoder;
  const from = out.len;
  let stop = -1;
  let error: unknown = null;
  try {
    stop = encoder.messageFromJson(text, 0, end, ["tag"]);
  } catch (thrown) {
    if (thrown instanceof JsonSyntaxError) {
      error = { text: thrown.message, offset: thrown.offset, incomplete: thrown.incomplete };
    } else if (thrown instanceof PlasmiteError) {
      error = { text: thrown.message, hint: thrown.hint, causes: thrown.causes };
    } else throw thrown;
  }
  const bytes = out.u8.subarray(from, out.len);
  return { bytes: bytes.toHex(), end: stop, valueEnd: encoder.valueEnd, error };
}

function encoderWith(shapes: Shapes | undefined): Lite3Encoder {
  const out = new Buf(32);
  out.u8.fill(0xaa);
  out.len = 8;
  const encoder = new Lite3Encoder(out);
  encoder.shapes = shapes;
  return encoder;
}

/** Checks that all texts become the same with shapes as without, one after the other. */
function assertSame(texts: readonly (string | Uint8Array)[], shapes = new Shapes()): void {
  const encoder = encoderWith(shapes);
  for (const text of texts) {
    const bytes = typeof text === "string" ? utf8.encode(text) : text;
    encoder.out.len = 8;
    encoder.out.u8.fill(0xaa, 8);
    assert.deepEqual(encode(encoder, bytes), encode(encoderWith(undefined), bytes), String(text));
  }
}

/** Few keys, so that they meet; some of the same hash, some that are written in several ways. */
const key = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(..."abcdefghijklmnopqrstuvwxyz") },
  {
    weight: 3,
    arbitrary: fc.constantFrom("ts", "level", "message", "service", "user_id", "trace"),
  },
  { weight: 1, arbitrary: fc.constantFrom("aB", "b!", "`c", "__proto__", "", "é", "日本", "a\\b") },
  { weight: 1, arbitrary: fc.constantFrom("k".repeat(62), "k".repeat(63), "k".repeat(251)) },
);
const scalar = fc.oneof(
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
  fc.constant(null),
  fc.string({ maxLength: 9 }),
  fc.integer({ min: 86, max: 92 }).map((n) => "x".repeat(n)), // 90 bytes are aligned.
);
type Keys = [name: string, value: Keys | "scalar" | "list"][];
const { keys } = fc.letrec<{ keys: Keys }>((tie) => ({
  keys: fc.array(
    fc.tuple(
      key,
      fc.oneof(
        { depthSize: "small", withCrossShrink: true },
        fc.constant("scalar" as const),
        fc.constant("list" as const),
        tie("keys"),
      ),
    ),
    { maxLength: 24, size: "max" },
  ),
}));

/** A text with these keys, in this order, with values of their kind. */
function textOf(of: Keys, next: () => string, gap: string): string {
  const members = of.map(([name, value]) => {
    const inner = value === "scalar"
      ? next()
      : value === "list"
      ? `[${next()},${gap}{"x":${next()}},{"x":${next()},"y":[]}]`
      : textOf(value, next, gap);
    return `${JSON.stringify(name)}${gap}:${gap}${inner}`;
  });
  return `{${gap}${members.join(`${gap},${gap}`)}${gap}}`;
}

/** Texts of a few shapes, in turns, and sometimes one with a byte that is wrong. */
const stream = fc.tuple(
  fc.array(keys, { minLength: 1, maxLength: 4 }),
  fc.array(scalar, { minLength: 1, maxLength: 30 }),
  fc.array(fc.tuple(fc.nat(3), fc.constantFrom("", "", "", " ", "\n"), fc.nat(999)), {
    minLength: 2,
    maxLength: 30,
  }),
  fc.array(fc.tuple(fc.nat(), fc.constantFrom(...'{}[]",:\\0a \n\u0000é', "")), { maxLength: 4 }),
).map(([shapes, values, turns, edits]) => {
  let i = 0;
  const next = () => JSON.stringify(values[i++ % values.length]);
  const texts = turns.map(([which, gap]) => textOf(shapes[which % shapes.length] ?? [], next, gap));
  for (const [at, piece] of edits) {
    const text = texts[at % texts.length] ?? "";
    const where = 1 + (at >> 5) % text.length;
    texts.push((text.slice(0, where) + piece + text.slice(where + 1)).toWellFormed(), text);
  }
  return texts;
});

Deno.test("a message of known keys is encoded to the same bytes, or refused in the same way", () => {
  fc.assert(fc.property(stream, (texts) => assertSame(texts)), { numRuns: 25 * SCALE });
});

Deno.test("any number of keys, those that split nodes included", () => {
  const texts: string[] = [];
  for (let round = 0; round < 3; round++) {
    for (let n = 0; n < 80; n++) {
      const members = Array.from({ length: n }, (_, i) => `"key ${i * 7919 % 1000}":${round + i}`);
      texts.push(`{${members}}`, `{"in":{${members}},"then":1}`);
    }
  }
  // One at a time, with room for all steps, and all in one stream, where there is not.
  for (let i = 0; i < 160; i++) assertSame([0, 160, 320].map((at) => texts[at + i] ?? ""));
  assertSame(texts);
});

Deno.test("the longest keys, keys with escapes, and the same key written in another way", () => {
  const long = [1, 60, 61, 62, 63, 64, 247, 248, 249, 250, 251, 300, 20000];
  const names = [
    ...long.map((n) => "k".repeat(n)),
    ...long.map((n) => "é".repeat(n >> 1)),
    ...["a", "\\u0061", "\\n", "\\u0000", "x\\u0000y", '\\"', "\\\\", "\\ud83d\\ude00", "😀"],
  ];
  for (const first of names) {
    const texts = names.map((then) => `{"${first}":1,"${then}":{"${first}":"v"}}`);
    assertSame([...texts, ...texts]);
  }
});

Deno.test("keys that cannot be in one object are refused each time", () => {
  const [short, long] = COLLIDING;
  const texts = [`{"${short}":1,"${long}":2}`, `{"${long}":1,"${short}":2}`, `{"a":{"${long}":3}}`];
  assertSame([...texts, ...texts, ...texts]);
});

Deno.test("nodes whose bytes are no numbers when they are read as such", () => {
  const names = Array.from({ length: 9000 }, (_, i) => `key ${i} of many`);
  const odd = names.filter((name) => (new Lite3Key(name).hash & 0x7ff00000) === 0x7ff00000);
  assert.ok(odd.length > 2, `${odd.length} hashes`);
  for (const name of odd) {
    const texts = [`{"a":1,"b":2,"${name}":3}`, `{"a":1,"b":2,"c":3,"d":4,"${name}":5}`];
    assertSame([...texts, ...texts]);
  }
});

Deno.test("objects in objects, down to where nesting is refused", () => {
  const nested = (depth: number): string =>
    `{"a":1,"b":`.repeat(depth) + "[".repeat(depth % 3) + "{}" + "]".repeat(depth % 3) +
    "}".repeat(depth);
  const texts = Array.from({ length: 40 }, (_, depth) => nested(depth));
  assertSame([...texts, ...texts, nested(130), nested(200)]);
});

Deno.test("every text that ends too early, or at a place of its own", () => {
  const text = utf8.encode(
    '{"ts":"2026-02-02","n":12,"in":{"a":[{"b":true},{"b":null}],"é":-1.5}}',
  );
  const shapes = new Shapes();
  assertSame([text], shapes);
  const encoder = encoderWith(shapes);
  for (let end = 0; end < text.length; end++) {
    encoder.out.len = 8;
    assert.deepEqual(
      encode(encoder, text, end),
      encode(encoderWith(undefined), text, end),
      `up to ${end}`,
    );
    assertSame([text.subarray(0, end)], shapes);
  }
  assertSame([text], shapes);
});

Deno.test("keys that never come again cost no more and more, and the next shapes are learned", () => {
  const shapes = new Shapes();
  const random = Array.from({ length: 3000 }, (_, i) => `{"user ${i}":{"seen":${i}},"n":1}`);
  assertSame(random, shapes);
  let paused = 0;
  while (shapes.begin() === null) paused++;
  assert.ok(paused > 1000, `it pauses: ${paused}`);
  const texts = Array.from({ length: 50 }, (_, i) => `{"a":${i},"b":{"c":${i}}}`);
  assertSame(texts, shapes);
  const first = shapes.begin()?.next;
  assert.equal(nameOf(first), "a");
  assert.equal(nameOf(first?.next), "b");
  assert.ok(first?.next?.form, "the shape is known");
});

function nameOf(step: Step | null | undefined): string | undefined {
  return step?.key && new TextDecoder().decode(step.key.dv);
}

function countSteps(step: Step): number {
  assert.ok(step.branches.length <= 8, `${step.branches.length} branches`);
  const then = step.inside === null ? step.branches : [...step.branches, step.inside];
  return then.reduce((sum, next) => sum + countSteps(next), 1);
}

// Lost otherwise: the memory of a feed, and its time, to objects that are all a little different.
Deno.test("what is remembered of shapes is bounded, whatever comes", () => {
  const shapes = new Shapes();
  let most = 0;
  for (let i = 0; i < 900; i++) {
    // Eight keys in many orders, and a new one now and then.
    const place = (name: string): number => name.charCodeAt(0) * (i + 1) * 7919 % 1009;
    const names = [..."abcdefgh"].sort((a, b) => place(a) - place(b));
    const key = i % 9 === 0 ? `only ${i}` : names.join('":1,"');
    assertSame([`{"in":{"${key}":${i}},"then":{"${key}":{}}}`], shapes);
    const root = shapes.begin();
    if (root !== null) most = Math.max(most, countSteps(root));
  }
  // The starts of objects that are values are kept besides.
  assert.ok(most > 100 && most <= 2 * 256 + 1, `${most} steps`);
});

// Lost otherwise: a document that has a key twice, to an error that is none.
Deno.test("a document after messages is encoded without their shapes", () => {
  const texts = [`{"a":{"b":1},"c":2}`, `{"a":1,"b":2,"a":{"c":3}}`, `[{"b":1,"b":2}]`];
  const encoder = encoderWith(new Shapes());
  const other = encoderWith(undefined);
  for (const text of texts.map((text) => utf8.encode(text))) {
    for (const then of texts.map((text) => utf8.encode(text))) {
      encoder.out.len = other.out.len = 8;
      if (text[0] === 0x7b) encode(encoder, text);
      encoder.out.len = 8;
      encoder.documentFromJson(then, 0, then.length);
      other.documentFromJson(then, 0, then.length);
      assert.equal(encoder.out.bytes().toHex(), other.out.bytes().toHex());
    }
  }
});
