/**
 * Sizes, durations and durability (docs/spec/command-line.md 1.4).
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { PlasmiteError } from "../../lib/errors.ts";
import { parseDurability, parseDuration, parseSize } from "../../lib/text/units.ts";

function fails(run: () => unknown, message: string, ...tokens: string[]): void {
  assert.throws(run, (error) => {
    assert.ok(PlasmiteError.is(error));
    assert.equal(error.kindName, "Usage");
    assert.equal(error.message, message);
    for (const token of tokens) assert.ok(error.hint?.includes(token), token);
    return true;
  });
}

Deno.test("units: sizes", () => {
  const k = 1024n;
  const sizes: [string, bigint][] = [
    ["42", 42n],
    ["0", 0n],
    ["64K", 64n * k],
    ["64k", 64n * k],
    ["8m", 8n * k * k],
    ["1G", k * k * k],
    ["8 M", 8n * k * k],
    [" 8  g ", 8n * k * k * k],
    ["18446744073709551615", 2n ** 64n - 1n],
  ];
  for (const [text, size] of sizes) assert.equal(parseSize(text), size, text);
  for (const text of ["", "  ", "-1", "M", "+1", "x"]) {
    fails(() => parseSize(text), "invalid size", "K/M/G");
    assert.throws(() => parseSize(text), (e) => PlasmiteError.is(e) && e.causes?.length === 1);
  }
  for (const text of ["1.5M", "8MB", "1MiB", "2Gi", "1T", "1 2", "1e3"]) {
    fails(() => parseSize(text), "invalid size suffix", "K/M/G");
  }
  for (const text of ["18446744073709551616", "17179869184G"]) {
    fails(() => parseSize(text), "size overflow");
  }
});

Deno.test("units: durations", () => {
  const durations: [string, number][] = [
    ["500ms", 500],
    ["5s", 5000],
    ["1m", 60_000],
    ["2h", 7_200_000],
    ["1d", 86_400_000],
    ["0s", 0],
    [" 7ms ", 7],
  ];
  for (const [text, ms] of durations) assert.equal(parseDuration(text), ms, text);
  for (const text of ["5", "1.5s", "5 s", "5S", "1w", "1D", "-1s", "", "s", "99999999999999999h"]) {
    fails(() => parseDuration(text), "invalid duration", "ms|s|m|h");
  }
});

Deno.test("units: durability", () => {
  assert.equal(parseDurability("fast"), "fast");
  assert.equal(parseDurability(" flush\n"), "flush");
  for (const text of ["", "Fast", "sync"]) {
    fails(() => parseDurability(text), "invalid durability", "fast", "flush");
  }
});
