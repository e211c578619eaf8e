/**
 * Times: printed exactly, read exactly, and `--since` as docs/spec/command-line.md 1.4 describes
 * it.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { Buf } from "../../lib/bytes.ts";
import { parse } from "../../lib/cli/args.ts";
import { CommandContext } from "../../lib/cli/context.ts";
import { sinceOf } from "../../lib/cli/time_options.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import {
  addNs,
  formatTime,
  nowHalves,
  nowNs,
  parseRfc3339,
  printTime,
} from "../../lib/text/time.ts";

const U64_MAX = 2n ** 64n - 1n;

function model(ns: bigint): string {
  const seconds = new Date(Number(ns / 1_000_000_000n) * 1000).toISOString().slice(0, 19);
  const fraction = String(ns % 1_000_000_000n).padStart(9, "0").replace(/0+$/, "");
  return `${seconds}${fraction === "" ? "" : `.${fraction}`}Z`;
}

const anyTime = fc.oneof(
  fc.bigInt({ min: 0n, max: U64_MAX }),
  fc.bigInt({ min: 1_700_000_000_000_000_000n, max: 1_900_000_000_000_000_000n }),
  // Around whole seconds, where a rounded division goes wrong.
  fc.tuple(fc.bigInt({ min: 1n, max: 18_446_744_073n }), fc.bigInt({ min: -3n, max: 3n }))
    .map(([s, d]) => s * 1_000_000_000n + d),
);

Deno.test("a time is printed to the nanosecond and read back", () => {
  fc.assert(
    fc.property(fc.array(anyTime, { maxLength: 3 }), (times) => {
      const out = new Buf(1);
      for (const ns of times) printTime(Number(ns & 0xffffffffn), Number(ns >> 32n), out);
      assert.equal(new TextDecoder().decode(out.bytes()), times.map(model).join(""));
      for (const ns of times) {
        assert.equal(formatTime(ns), model(ns));
        assert.equal(parseRfc3339(model(ns)), ns);
      }
    }),
    {
      numRuns: 3000,
      examples: [[[0n]], [[U64_MAX]], [[1_769_904_000_123_456_700n]], [[999_999_999n, 1n]]],
    },
  );
});

// Lost: the times of imported messages, or the refusal of one that is none.
Deno.test("a time is read the same whether or not one of the same minute was read before", () => {
  const edit = fc.tuple(
    fc.nat(31),
    fc.constantFrom(..."0123456789.:-+TtZz ", "", "T1", "\u{1f600}", "é"),
    fc.nat(1),
  );
  fc.assert(
    fc.property(anyTime, fc.nat(59_999), fc.array(edit, { maxLength: 2 }), (ns, ms, edits) => {
      const first = model(ns);
      let text = model(ns / 60_000_000_000n * 60_000_000_000n + BigInt(ms) * 1_000_000n + ns % 7n);
      for (const [at, piece, cut] of edits) text = text.slice(0, at) + piece + text.slice(at + cut);
      // Times with an offset are never remembered, and never compared with what is.
      const offset = text.endsWith("Z") ? `${text.slice(0, -1)}+00:00` : text;
      const expected = parseRfc3339(offset);
      for (const before of [first, text, first.replace("T", "\u{1f600}"), first]) {
        parseRfc3339(before);
        assert.equal(parseRfc3339(text), expected, text);
      }
    }),
    { numRuns: 3000, examples: [[0n, 0, [[17, "6", 1]]], [0n, 0, [[19, ".", 0]]]] },
  );
});

Deno.test("what is no time is refused after a time that begins like it", () => {
  const cases: [before: string, text: string, expected: bigint | undefined][] = [
    ["1970-01-01T00:00:07Z", "1970-01-01T00:00:7Z", undefined],
    ["1970-01-01T00:00:07Z", "1970-01-01T00:00:Z", undefined],
    ["1970-01-01T00:00:07Z", "1970-01-01T00:00:07", undefined],
    ["1970-01-01T00:00:07Z", "1970-01-01T00:00:07.Z", undefined],
    ["1970-01-01T00:00:07Z", "1970-01-01T00:00:60Z", undefined],
    ["1970-01-01T00:00:07Z", "1970-01-01T00:00:59.1234567899Z", 59_123_456_789n],
    ["1970-01-01\u{1f600}00:00:07Z", "1970-01-01\u{1f600}00:0012Z", undefined],
    ["1970-01-01T00:00:07+01:00", "1970-01-01T00:00:07Z", 7_000_000_000n],
    ["1970-01-01T00:00:07Z", "1970-01-01T00:00:07-01:00", 3_607_000_000_000n],
  ];
  for (const [before, text, expected] of cases) {
    assert.notEqual(parseRfc3339(before), undefined);
    assert.equal(parseRfc3339(text), expected, text);
    assert.equal(parseRfc3339(text), expected, text);
  }
});

// Lost: the date of each message of one day, in a leap year or at the end of a month.
Deno.test("the first and the last second of every day that a timestamp can have", () => {
  for (let second = 0n; second * 1_000_000_000n <= U64_MAX; second += 86_400n) {
    for (const ns of [second * 1_000_000_000n, (second + 86_399n) * 1_000_000_000n]) {
      if (ns <= U64_MAX && formatTime(ns) !== model(ns)) assert.equal(formatTime(ns), model(ns));
    }
  }
});

Deno.test("examples of the specification", () => {
  assert.equal(formatTime(1_769_904_000_123_456_700n), "2026-02-01T00:00:00.1234567Z");
  assert.equal(formatTime(1_700_000_000_000_000_000n), "2023-11-14T22:13:20Z");
});

Deno.test("now is now", () => {
  const before = BigInt(Date.now() - 1) * 1_000_000n;
  const now = nowNs();
  assert(now >= before);
  assert(now <= BigInt(Date.now() + 1) * 1_000_000n);
});

const at = (text: string): bigint => BigInt(Date.parse(text)) * 1_000_000n;

Deno.test("RFC 3339 times are accepted in all their forms", () => {
  const base = at("2026-02-02T23:45:00Z");
  const accepted: [string, bigint][] = [
    ["2026-02-02T23:45:00Z", base],
    ["2026-02-02t23:45:00z", base],
    ["2026-02-02 23:45:00Z", base],
    ["2026-02-02_23:45:00Z", base],
    ["2026-02-02😀23:45:00Z", base],
    ["2026-02-02 23:45:00.5+01:00", base - 3_600_000_000_000n + 500_000_000n],
    ["2026-02-02T23:45:00-00:30", base + 1_800_000_000_000n],
    ["2026-02-02T23:45:00.1234567891234Z", base + 123_456_789n],
    ["2024-02-29T00:00:00Z", at("2024-02-29T00:00:00Z")],
    ["2016-12-31T23:59:60Z", at("2017-01-01T00:00:00Z") - 1n],
    ["2017-01-01T00:59:60+01:00", at("2017-01-01T00:00:00Z") - 1n],
    ["1969-12-31T23:59:59Z", -1_000_000_000n],
    ["0000-01-01T00:00:00Z", -62_167_219_200_000_000_000n],
  ];
  for (const [text, ns] of accepted) assert.equal(parseRfc3339(text), ns, text);
  const refused = [
    "",
    "2026-02-02",
    "2026-02-02T23:45:00",
    "2026-02-02T23:45Z",
    "20260202T234500Z",
    "2026-02-02T23:45:00.Z",
    "2026-02-02T23:45:00,5Z",
    "2026-02-02T23:45:00+0100",
    "2026-02-02T23:45:00+24:00",
    "2026-02-30T00:00:00Z",
    "2025-02-29T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-00-01T00:00:00Z",
    "2026-02-00T00:00:00Z",
    "2026-02-02T24:00:00Z",
    "2026-02-02T23:60:00Z",
    "2026-02-02T23:45:61Z",
    "2026-02-02T23:59:60Z",
    "2016-12-31T22:59:60Z",
    "2026-02-02  23:45:00Z",
    "+2026-02-02T23:45:00Z",
    "２026-02-02T23:45:00Z",
  ];
  for (const text of refused) assert.equal(parseRfc3339(text), undefined, text);
});

/** What `follow --since TEXT` begins with. */
function parseSince(text: string, now: bigint): bigint | undefined {
  return sinceOf(new CommandContext(parse(["follow", "p", `--since=${text}`])), now);
}

Deno.test("--since takes a time or how long ago, and never leaves the range of a timestamp", () => {
  const now = 1_770_000_000_123_456_789n;
  const accepted: [string, bigint][] = [
    ["5m", now - 300_000_000_000n],
    ["12H", now - 43_200_000_000_000n],
    ["7d", now - 604_800_000_000_000n],
    ["0s", now],
    [" 1S ", now - 1_000_000_000n],
    ["99999999999999999999d", 0n],
    ["2026-02-02T23:45:00Z", at("2026-02-02T23:45:00Z")],
    ["1969-12-31T23:59:59Z", 0n],
    ["9999-12-31T23:59:59Z", U64_MAX],
  ];
  for (const [text, ns] of accepted) assert.equal(parseSince(text, now), ns, text);
  for (
    const text of ["", "500ms", "1w", "5 m", "-5m", "m", "5", "5mé", "5é", "1.5h", "2026-02-02"]
  ) {
    assert.throws(() => parseSince(text, now), (error) => {
      assert(PlasmiteError.is(error, ErrorKind.Usage));
      assert.equal(error.message, "invalid --since value");
      assert.match(error.hint ?? "", /RFC 3339.*5m/);
      return true;
    });
  }
});

// A message with a time of its own past or future is missing from `follow --since`.
Deno.test("times: the time of a message is the system's, within a millisecond", () => {
  for (let i = 0; i < 20_000; i++) {
    const before = nowNs();
    const { lo, hi } = nowHalves();
    const ns = (BigInt(hi) << 32n) | BigInt(lo);
    const after = nowNs();
    const told = `${before} ${ns} ${after}`;
    assert.ok(ns >= before - 1_000_000n && ns <= after + 1_000_000n, told);
  }
});

// Lost: the right time, for as long as the process runs, once the clock of the system was set.
Deno.test("times: the time of a message follows the clock when it is set", () => {
  const { now } = Date;
  const { instant } = Temporal.Now;
  const hour = 3_600_000;
  try {
    for (const step of [hour, -hour]) {
      nowHalves();
      Date.now = () => now() + step;
      Temporal.Now.instant = () => instant().add({ milliseconds: step });
      const { lo, hi } = nowHalves();
      const ms = Number(((BigInt(hi) << 32n) | BigInt(lo)) / 1_000_000n);
      assert.ok(Math.abs(ms - Date.now()) < hour / 2, `${ms} ${Date.now()}`);
    }
  } finally {
    Date.now = now;
    Temporal.Now.instant = instant;
  }
});

// Every 4.3 seconds the lower half overflows: the time would be off by those 4.3 seconds.
Deno.test("times: nanoseconds are added across the two halves", () => {
  const half = fc.integer({ min: 0, max: 0xffff_fffe });
  fc.assert(fc.property(half, half, half, (low, high, ns) => {
    const { lo, hi } = addNs(low, high, ns);
    assert.ok(lo >= 0 && lo <= 0xffff_ffff);
    const sum = ((BigInt(high) << 32n) | BigInt(low)) + BigInt(ns);
    assert.equal((BigInt(hi) << 32n) | BigInt(lo), sum);
  }));
});
