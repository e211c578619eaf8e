/**
 * `feed` from a file of many lines: known keys, lines and batches are read, encoded and stored in
 * faster ways than single messages, and nobody may notice (docs/spec/command-line.md 2.2, 2.5).
 *
 * @module
 */

import assert from "node:assert/strict";
import { cli, errorOf, inTemp, storedData } from "./cli_util.ts";

/** Lines of several shapes in turns; some are complete messages, written in other ways, or large. */
function lineOf(i: number): string {
  switch (i % 7) {
    case 0:
      return `{"i":${i}}`;
    case 1:
      return `{"i":${i},"level":"info","where":{"host":"web-${i % 9}","path":["a",{"b":${i}}]}}`;
    case 2:
      return `{"level":"warn","i":${i},"k1":1,"k2":2,"k3":3,"k4":4,"k5":5,"k6":6,"k7":7,"k8":"${i}"}`;
    case 3:
      return `{ "i" : ${i} , "text" : "\\u00e9 ${"x".repeat(i % 100)}" }`;
    case 4:
      return `{"user ${i}":${i},"i":${i}}`;
    case 5:
      return `{"i":${i},"i":${i}}`;
    default:
      return i % 5 === 0 ? `{"i":${i},"text":"${"y".repeat(3000)}"}` : `{"i":${i},"ok":true}\r`;
  }
}

const dataOf = (line: string): string => JSON.stringify(JSON.parse(line));

// Lost: messages, or their order, where the ring is full and everything goes in large pieces.
Deno.test("feed: a file of many lines goes around the ring, and the newest are there in order", () =>
  inTemp(async (dir) => {
    const count = 12_000;
    const lines = Array.from({ length: count }, (_, i) => lineOf(i));
    await Deno.writeTextFile(`${dir}/lines`, lines.join("\n"));
    for (const round of [1, 2]) {
      const fed = await cli(
        ["--dir", dir, "feed", "p", "--create-size", "2M", "--file", `${dir}/lines`],
      );
      assert.equal(fed.code, 0, fed.stderr);
      const receipts = fed.stdout.trimEnd().split("\n").map((line) => JSON.parse(line).seq);
      const first = count * (round - 1) + 1;
      assert.deepEqual(receipts, Array.from({ length: count }, (_, i) => first + i));
    }
    const stored = await storedData(dir, "p");
    assert.ok(stored.length > 1000 && stored.length < count, `${stored.length} retained`);
    assert.deepEqual(stored.map(dataOf), lines.slice(-stored.length).map(dataOf));
    const doctor = await cli(["--dir", dir, "doctor", "p"]);
    assert.equal(doctor.code, 0, doctor.stdout + doctor.stderr);
  }));

// Lost: the messages before a wrong line that were read but not stored yet, or their receipts.
Deno.test("feed: what comes before a wrong line of a file is stored, and has its receipts", () =>
  inTemp(async (dir) => {
    const lines = Array.from({ length: 3000 }, (_, i) => lineOf(i));
    for (const [at, wrong] of [[1, '{"i":'], [700, '{"i":1,}'], [2999, '"text']] as const) {
      const text = lines.with(at, wrong).join("\n");
      await Deno.writeTextFile(`${dir}/lines`, text);
      const pool = `p${at}`;
      const fed = await cli(
        ["--dir", dir, "feed", pool, "--create-size", "8M", "--in", "jsonl"]
          .concat("--file", `${dir}/lines`),
      );
      assert.notEqual(fed.code, 0);
      assert.ok(JSON.stringify(errorOf(fed)).includes(`line ${at + 1}`), fed.stderr);
      assert.equal(fed.stdout.trimEnd().split("\n").length, at);
      const stored = await storedData(dir, pool);
      assert.deepEqual(stored.map(dataOf), lines.slice(0, at).map(dataOf));
    }
  }));

// Lost: the whole pool, if what was read of a wrong line, or of an object over several, came between
// two messages.
Deno.test("feed: what is between wrong lines, and objects over several lines, leaves a whole pool", () =>
  inTemp(async (dir) => {
    const lines = Array.from({ length: 3000 }, (_, i) => lineOf(i));
    const wrong = ['{"i":1,}', '{"i":1} {"i":2}x', '{"\\u0000":1}'];
    const isWrong = (i: number): boolean => i % 37 === 5;
    const input = {
      wrong: lines.map((line, i) => isWrong(i) ? wrong[i % wrong.length] : line),
      several: lines.map((line, i) => isWrong(i) ? line.replace("{", "{\n").trimEnd() : line),
    };
    for (const [pool, code] of [["wrong", 1], ["several", 0]] as const) {
      await Deno.writeTextFile(`${dir}/lines`, input[pool].join("\n"));
      const fed = await cli(
        ["--dir", dir, "feed", pool, "--create-size", "8M", "--file", `${dir}/lines`]
          .concat(code === 1 ? ["--errors", "skip"] : []),
      );
      assert.equal(fed.code, code, fed.stderr);
      const doctor = await cli(["--dir", dir, "doctor", pool]);
      assert.equal(doctor.code, 0, doctor.stdout + doctor.stderr);
      const expected = lines.filter((_, i) => code === 0 || !isWrong(i));
      assert.deepEqual((await storedData(dir, pool)).map(dataOf), expected.map(dataOf));
    }
  }));
