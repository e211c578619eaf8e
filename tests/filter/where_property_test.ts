/**
 * The compiled filter and jq itself agree: random filters of the compiled subset, rendered as
 * strict jq text, give the same outputs and errors in both, on random messages.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { type Jq, loadJq } from "jq-wasm/inline";
import { Buf } from "../../lib/bytes.ts";
import { Context, ERROR, type Outcome, ROOT, Signal } from "../../lib/filter/context.ts";
import { jqProgram } from "../../lib/filter/jq.ts";
import { PRELUDE, toJq } from "../../lib/filter/jqtext.ts";
import { compileNative } from "../../lib/filter/native.ts";
import { parse } from "../../lib/filter/parser.ts";
import {
  compilePredicate,
  FAILED,
  FALSE,
  NOTHING,
  NULL,
  TRUE,
} from "../../lib/filter/predicate.ts";
import { asArray, asMap, Calc, rank, type Value } from "../../lib/filter/values.ts";
import type { MessageView } from "../../lib/lite3/message.ts";
import { printEnvelope } from "../../lib/text/envelope.ts";
import { message } from "../text/message_fixture.ts";

const scale = Number(Deno.env.get("PLASMITE_TEST_SCALE") ?? "1");
const FAILURE = "runtime error";

// ---- generators -------------------------------------------------------------------------------

const numberText = fc.constantFrom(
  "0",
  "1",
  "2",
  "3",
  "-1",
  "10",
  "1.0",
  "1.5",
  "-0.0",
  "0.1",
  "1e3",
  "1e16",
  "123456.789",
  "9007199254740991",
  "9007199254740992",
  "9007199254740993",
  "-9007199254740993",
  "9223372036854775807",
  "-9223372036854775808",
  "18446744073709551616",
  "9007199254740992.0",
  "18014398509481988",
  "18014398509481988.0",
  "1.8446744073709552e+19",
);
const textValue = fc.constantFrom(
  "",
  "a",
  "b",
  "ab",
  "B",
  "é",
  "z\n",
  "😀",
  "\uffff",
  "error",
  "x y",
);
const keyName = fc.constantFrom("a", "b", "c", "é k", "and");

const jsonText = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, depthIdentifier: "json" },
    fc.constantFrom("null", "true", "false"),
    numberText,
    textValue.map((s) => JSON.stringify(s)),
    fc.array(tie("value"), { maxLength: 4, depthIdentifier: "json" }).map((a) =>
      `[${a.join(",")}]`
    ),
    fc.dictionary(keyName, tie("value"), { maxKeys: 4, depthIdentifier: "json" }).map(objectText),
  ),
})).value;

function objectText(members: Record<string, string>): string {
  return `{${Object.entries(members).map(([k, v]) => `${JSON.stringify(k)}:${v}`).join(",")}}`;
}

/** Mostly `a` a number, `b` a string, `c` an array and `d` an object, sometimes anything. */
const dataText = fc.oneof(
  { weight: 1, arbitrary: fc.dictionary(keyName, jsonText, { maxKeys: 5 }).map(objectText) },
  {
    weight: 4,
    arbitrary: fc.record({
      a: fc.oneof(numberText, numberText, jsonText),
      b: fc.oneof(textValue.map((s) => JSON.stringify(s)), jsonText),
      c: fc.array(jsonText, { maxLength: 4 }).map((a) => `[${a.join(",")}]`),
      d: fc.dictionary(keyName, jsonText, { maxKeys: 3 }).map(objectText),
    }).map(objectText),
  },
);

const messages = fc.array(
  fc.tuple(
    dataText,
    fc.array(textValue, { maxLength: 3 }),
    fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
  ),
  { minLength: 1, maxLength: 6 },
);

const field = keyName.map((k) => /^\w+$/.test(k) ? `.${k}` : `.${JSON.stringify(k)}`);
const patternText = fc.constantFrom(
  "a",
  "^a",
  "b$",
  "a.b",
  "^.$",
  "[a-c]+",
  "[^b]",
  "(a|é)x?",
  "\\\\w\\\\b",
  "\\\\d",
  "\\\\s",
  "^$",
  "^(?:a|b){1,2}$",
  "e(?!x)",
);

/** Text in the grammar of the subset; `num`, `str`, `arr` and `bool` mostly have that type. */
const filterText = fc.letrec<Record<"term" | "expr" | "num" | "str" | "arr" | "bool", string>>((
  tie,
) => ({
  num: fc.oneof(
    { maxDepth: 4, depthIdentifier: "filter", withCrossShrink: true },
    fc.constantFrom(".data.a", ".data.a", ".seq", ".data.c[0]"),
    numberText,
    fc.tuple(tie("num"), fc.constantFrom("+", "-", "*", "/", "%"), tie("num"))
      .map(([l, op, r]) => `(${l} ${op} ${r})`),
    fc.tuple(fc.oneof(tie("str"), tie("arr")), fc.constantFrom("length", "utf8bytelength"))
      .map(([v, f]) => `(${v} | ${f})`),
    fc.tuple(tie("num"), fc.constantFrom("floor", "ceil", "round", "fabs", "length", "-."))
      .map(([v, f]) => `(${v} | ${f})`),
    fc.tuple(tie("num")).map(([n]) => `(.data.nope? // ${n})`),
  ),
  str: fc.oneof(
    { maxDepth: 4, depthIdentifier: "filter", withCrossShrink: true },
    fc.constantFrom(".data.b", ".data.b", ".time", ".meta.tags[]", ".data.d.b?"),
    textValue.map((s) => JSON.stringify(s)),
    fc.tuple(tie("str"), tie("str")).map(([l, r]) => `(${l} + ${r})`),
    fc.tuple(tie("str"), fc.constantFrom("ascii_downcase", "ascii_upcase", ".[1:]", ".[:-1]"))
      .map(([v, f]) => `(${v} | ${f})`),
    fc.tuple(tie("expr")).map(([e]) => `(${e} | type)`),
  ),
  arr: fc.oneof(
    { maxDepth: 4, depthIdentifier: "filter", withCrossShrink: true },
    fc.constantFrom(".data.c", ".data.c", ".meta.tags", "(.data | keys)"),
    fc.tuple(tie("expr")).map(([e]) => `[${e}]`),
    fc.tuple(tie("arr"), tie("expr")).map(([a, e]) => `(${a} | map(${e}))`),
    fc.tuple(tie("arr"), fc.constantFrom("+", "-"), tie("arr"))
      .map(([l, op, r]) => `(${l} ${op} ${r})`),
    fc.tuple(tie("str"), tie("str")).map(([l, r]) => `(${l} / ${r})`),
  ),
  bool: fc.oneof(
    { maxDepth: 4, depthIdentifier: "filter", withCrossShrink: true },
    ...(["num", "str", "arr", "expr"] as const).map((kind) =>
      fc.tuple(tie(kind), fc.constantFrom("==", "!=", "<", "<=", ">", ">="), tie(kind))
        .map(([l, op, r]) => `((${l}) ${op} (${r}))`)
    ),
    fc.tuple(
      tie("str"),
      fc.constantFrom("startswith", "endswith", "contains", "inside"),
      tie("str"),
    )
      .map(([v, f, x]) => `(${v} | ${f}(${x}))`),
    fc.tuple(tie("arr"), fc.constantFrom("contains", "inside"), tie("arr"))
      .map(([v, f, x]) => `(${v} | ${f}(${x}))`),
    fc.tuple(tie("str"), patternText).map(([v, p]) => `(${v} | test("${p}"))`),
    fc.tuple(tie("arr"), fc.constantFrom("any", "all"), tie("bool"))
      .map(([v, f, c]) => `(${v} | ${f}(${c}))`),
    fc.tuple(fc.constantFrom("any", "all"), tie("arr"), fc.constantFrom(".", ". == 1", ". != null"))
      .map(([f, v, c]) => `${f}(${v}[]; ${c})`),
    fc.tuple(tie("bool"), fc.constantFrom("and", "or"), tie("bool"))
      .map(([l, op, r]) => `(${l} ${op} ${r})`),
    fc.tuple(tie("bool")).map(([b]) => `(${b} | not)`),
    fc.tuple(keyName).map(([k]) => `(.data | has(${JSON.stringify(k)}))`),
    fc.tuple(tie("arr"), tie("num")).map(([a, n]) => `(${a} | has(${n}))`),
    fc.tuple(tie("bool"), tie("bool")).map(([c, e]) => `(select(${c}) | ${e})`),
  ),
  term: fc.oneof(
    { maxDepth: 4, depthIdentifier: "filter", withCrossShrink: true },
    fc.constantFrom(".", ".data", ".data", ".seq", ".meta.tags", ".meta", ".time", ".nope"),
    field.map((f) => `.data${f}`),
    fc.tuple(fc.constantFrom(".data", ""), field, field).map(([a, b, c]) => `${a}${b}${c}`),
    fc.tuple(
      field,
      fc.constantFrom("?", "[0]", "[-1]", "[1.7]", "[]", "[]?", "[1:]", "[:-1]?", "[0:2]"),
    )
      .map(([f, s]) => `.data${f}${s}`),
    numberText,
    textValue.map((s) => JSON.stringify(s)),
    fc.constantFrom(
      "true",
      "false",
      "null",
      "empty",
      "not",
      "length",
      "type",
      "any",
      "all",
      "error",
    ),
    fc.constantFrom("keys", "ascii_downcase", "ascii_upcase", "utf8bytelength", "floor", "round"),
    fc.constantFrom("ceil", "fabs", "values", "nulls", "strings", "numbers", "scalars", "objects"),
    fc.tuple(tie("expr")).map(([e]) => `(${e})`),
    fc.tuple(tie("expr")).map(([e]) => `(${e})?`),
    fc.tuple(tie("expr")).map(([e]) => `[${e}]`),
    fc.tuple(tie("term"), tie("expr")).map(([t, e]) => `${t}[${e}]`).filter((t) => !/^-/.test(t)),
    fc.tuple(keyName, tie("term")).map(([k, t]) => `{${JSON.stringify(k)}: (${t})}`),
    fc.tuple(
      fc.constantFrom("select", "map", "any", "all", "first", "has", "contains"),
      tie("expr"),
    )
      .map(([f, e]) => `${f}(${e})`),
    fc.tuple(fc.constantFrom("inside", "in", "startswith", "endswith"), tie("expr"))
      .map(([f, e]) => `${f}(${e})`),
    fc.tuple(fc.constantFrom("any", "all"), tie("expr"), tie("expr"))
      .map(([f, g, e]) => `${f}(${g}; ${e})`),
    fc.tuple(patternText, fc.constantFrom("", '; "g"', "; null")).map(([p, f]) =>
      `test("${p}"${f})`
    ),
    fc.tuple(tie("expr"), tie("expr"), tie("expr"))
      .map(([c, a, b]) => `if ${c} then ${a} else ${b} end`),
    fc.tuple(tie("expr"), tie("expr")).map(([c, a]) => `if ${c} then ${a} end`),
  ),
  expr: fc.oneof(
    { maxDepth: 4, depthIdentifier: "filter" },
    tie("term"),
    tie("bool"),
    tie("bool"),
    tie("num"),
    fc.tuple(tie("term"), fc.constantFrom("==", "!=", "<", "<=", ">", ">="), tie("term"))
      .map(([l, op, r]) => `${l} ${op} ${r}`),
    fc.tuple(tie("term"), fc.constantFrom("+", "-", "*", "/", "%"), tie("term"))
      .map(([l, op, r]) => `${l} ${op} ${r}`),
    fc.tuple(tie("expr"), fc.constantFrom("and", "or", "//", "|", ","), tie("expr"))
      .map(([l, op, r]) => `${l} ${op} ${r}`),
    fc.tuple(tie("term")).map(([t]) => `-${t}`),
    fc.tuple(tie("term"), tie("expr")).map(([t, e]) => `${t} as $x | ${e}, ($x | ${e})`),
  ),
})).expr.filter((text) => !/^-|[^\w.\])"} ]\s*-$/.test(text));

// ---- comparing --------------------------------------------------------------------------------

type Result = readonly unknown[];

/** Numbers as their exact text, so that nothing is lost in comparing. */
function plain(v: Value): unknown {
  if (typeof v === "bigint") return { n: v.toString() };
  if (v instanceof Calc) return { d: clamp(v.d) };
  if (typeof v === "number") return Number.isNaN(v) ? null : { d: clamp(v + 0) };
  if (rank(v) === 5) return asArray(v).map(plain);
  if (rank(v) === 6) {
    return Object.fromEntries([...asMap(v)].map(([k, m]) => [k, plain(m)]));
  }
  return v;
}

/** jq prints infinity as the largest double. */
function clamp(d: number): number {
  return Math.min(Math.max(d, -Number.MAX_VALUE), Number.MAX_VALUE);
}

function fromJq(text: string): unknown {
  return JSON.parse(text, (_key, v, context?: { source?: string }) => {
    if (typeof v !== "number") return v;
    const source = context?.source ?? "";
    const unsafe = /^-?\d+$/.test(source) && !Number.isSafeInteger(v);
    return unsafe ? { n: source } : { d: v + 0 };
  });
}

/** A computed integer prints its 17 digits, a written one all of them. */
function same(ours: unknown, theirs: unknown): boolean {
  if (Array.isArray(ours) && Array.isArray(theirs)) {
    return ours.length === theirs.length && ours.every((o, i) => same(o, theirs[i]));
  }
  const a = ours as Record<string, unknown> | null;
  const b = theirs as Record<string, unknown> | null;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b;
  if (typeof b["n"] === "string" && typeof a["d"] === "number") return Number(b["n"]) === a["d"];
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((k) => k in b && same(a[k], b[k]));
}

function runJq(jq: Jq, text: string, views: readonly MessageView[]): Result[] {
  const out = new Buf(1024);
  for (const view of views) {
    printEnvelope(view, out);
    out.reserve(1);
    out.u8[out.len++] = 10;
  }
  const program = `${PRELUDE}def __where: ${toJq(parse(text))};
    [try (__where | [.]) catch ${JSON.stringify(FAILURE)}]`;
  const { stdout, stderr } = jq.raw(new TextDecoder().decode(out.bytes()), program, ["-c"]);
  const lines = stdout.split("\n");
  assert.equal(lines.length, views.length, stderr);
  return lines.map((line) => fromJq(line) as Result);
}

function unwrap(result: Result): Result {
  return result.map((r) => Array.isArray(r) ? r[0] : r);
}

Deno.test("compiled filters give the outputs and errors that jq gives", async () => {
  const jq = await loadJq();
  let native = 0;
  fc.assert(
    fc.property(filterText, messages, (text, rows) => {
      const context = new Context(Infinity);
      const node = parse(text);
      const part = compileNative(node, context);
      if (part === undefined) return;
      native++;
      const views = rows.map(([data, tags, seq]) => message(data, { tags, seq }));
      const expected = runJq(jq, text, views);
      for (const [i, view] of views.entries()) {
        context.open(view);
        const outputs: Value[] = [];
        const fine = part.many(context.value(ROOT), outputs);
        const actual = [...outputs.map(plain), ...fine ? [] : [FAILURE]];
        const theirs = unwrap(expected[i] ?? []);
        assert.ok(
          same(actual, theirs),
          `${text}\n  on ${rows[i]?.[0]}\n  ours   ${JSON.stringify(actual)}\n  jq     ${
            JSON.stringify(theirs)
          }`,
        );
      }
    }),
    { numRuns: Math.ceil(1200 * scale) },
  );
  assert.ok(native > 300 * scale, `only ${native} filters were compiled`);
});

Deno.test("the predicate on bytes agrees with the closures on values", () => {
  let fast = 0;
  fc.assert(
    fc.property(filterText, messages, (text, rows) => {
      const context = new Context(Infinity);
      const node = parse(text);
      const predicate = compilePredicate(node, context);
      const part = compileNative(node, context);
      if (predicate === undefined) return;
      assert.ok(part?.one !== undefined, `${text} has a predicate but may yield many outputs`);
      fast++;
      for (const [data, tags, seq] of rows) {
        context.open(message(data, { tags, seq }));
        const outcome: Outcome = part.one(context.value(ROOT));
        const expected: number = outcome instanceof Signal
          ? outcome === ERROR ? FAILED : NOTHING
          : outcome === true
          ? TRUE
          : outcome === false
          ? FALSE
          : outcome === null
          ? NULL
          : 4;
        assert.equal(predicate(ROOT), expected, `${text} on ${data}`);
      }
    }),
    { numRuns: Math.ceil(6000 * scale) },
  );
  assert.ok(fast > 300 * scale, `only ${fast} filters had a fast form`);
});

Deno.test("the verdict of the whole filter is jq's verdict", async () => {
  const jq = await loadJq();
  fc.assert(
    fc.property(filterText, messages, (text, rows) => {
      const node = parse(text);
      const context = new Context(Infinity);
      const part = compileNative(node, context);
      if (part === undefined) return;
      const out = new Buf(1024);
      const [row = ["{}", [], 1n] as const] = rows;
      const view = message(row[0], { tags: row[1], seq: row[2] });
      printEnvelope(view, out);
      const { stdout } = jq.raw(new TextDecoder().decode(out.bytes()), jqProgram(node), ["-c"]);
      context.open(view);
      const outputs: Value[] = [];
      const fine = part.many(context.value(ROOT), outputs);
      const notBoolean = outputs.some((o) => typeof o !== "boolean");
      const expected = notBoolean ? "[" : fine ? String(outputs.includes(true)) : "null";
      assert.equal(stdout.startsWith("[") ? "[" : stdout, expected, text);
    }),
    { numRuns: Math.ceil(200 * scale) },
  );
});
