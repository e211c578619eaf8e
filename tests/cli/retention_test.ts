/**
 * `pool trim`, `pool set`, `pool create --max-age` and `pool info` from outside: an age limit that is
 * not told, or a trim that takes too much, would cost messages.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Client } from "../../lib/client/client.ts";
import { ErrorKind } from "../../lib/errors.ts";
import { cli, errorOf, hasScript, inTemp, onTerminal, quote } from "./cli_util.ts";

const HOUR = 3_600_000_000_000n;

/** A pool with messages of the given ages in hours. */
function aged(dir: string, ages: readonly number[], name = "p"): void {
  using client = new Client(dir);
  using pool = client.pool(name);
  const now = Temporal.Now.instant().epochNanoseconds;
  for (const age of ages) pool.append({ age }, { timestampNs: now - BigInt(age) * HOUR });
}

async function json(dir: string, ...args: string[]) {
  const { code, stdout, stderr } = await cli(["--dir", dir, ...args]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

async function refused(dir: string, kind: keyof typeof ErrorKind, ...args: string[]) {
  const outcome = await cli(["--dir", dir, ...args]);
  assert.equal(outcome.code, ErrorKind[kind], outcome.stderr);
  assert.equal(outcome.stdout, "");
  return errorOf(outcome);
}

const seqs = async (dir: string, ...args: string[]): Promise<number[]> => {
  const { code, stdout } = await cli([
    "--dir",
    dir,
    "follow",
    "p",
    "--no-follow",
    "--jsonl",
    ...args,
  ]);
  assert.ok(code === 0 || code === 1);
  return stdout.trim().split("\n").filter((line) => line !== "").map((line) =>
    JSON.parse(line).seq
  );
};

Deno.test("pool trim: before a number, all but the last, by age; numbers go on", () =>
  inTemp(async (dir) => {
    aged(dir, [9, 5, 7, 1, 6, 0]);
    assert.deepEqual(await json(dir, "pool", "trim", "p", "--before", "2"), {
      trimmed: { dropped: 1, newest: 6, oldest: 2 },
    });
    assert.deepEqual(await json(dir, "pool", "trim", "p", "--older-than", "2h"), {
      trimmed: { dropped: 2, newest: 6, oldest: 4 },
    });
    assert.deepEqual(await seqs(dir), [4, 5, 6], "an older one behind a younger one stays");
    assert.deepEqual(await json(dir, "pool", "trim", "p", "--before", "4"), {
      trimmed: { dropped: 0, newest: 6, oldest: 4 },
    });
    assert.deepEqual(await json(dir, "pool", "trim", "p", "--keep", "1", "--json"), {
      trimmed: { dropped: 2, newest: 6, oldest: 6 },
    });
    assert.deepEqual(await json(dir, "pool", "trim", "p", "--keep", "100"), {
      trimmed: { dropped: 0, newest: 6, oldest: 6 },
    });
    assert.deepEqual(await json(dir, "pool", "trim", "p", "--keep", "0"), {
      trimmed: { dropped: 1, newest: 6, oldest: null },
    });
    assert.deepEqual((await json(dir, "pool", "info", "p", "--json")).bounds, {});
    assert.equal((await json(dir, "feed", "p", "{}")).seq, 7);
    assert.deepEqual(await json(dir, "pool", "trim", "p", "--before", "99"), {
      trimmed: { dropped: 1, newest: 7, oldest: null },
    });
    await json(dir, "pool", "create", "q", "--json");
    assert.deepEqual(await json(dir, "pool", "trim", "q", "--keep", "0"), {
      trimmed: { dropped: 0, newest: 0, oldest: null },
    });
    assert.equal((await cli(["--dir", dir, "doctor", "--all"])).code, 0);
  }));

Deno.test("pool trim, pool set: what is no selection, no limit or no local pool changes nothing", () =>
  inTemp(async (dir) => {
    aged(dir, [9, 5]);
    for (
      const args of [
        ["pool", "trim", "p"],
        ["pool", "trim", "p", "--older-than", "5"],
        ["pool", "trim", "p", "--older-than", "-5s"],
        ["pool", "trim", "http://127.0.0.1:1/p", "--keep", "1"],
        ["pool", "set", "p"],
        ["pool", "set", "p", "--max-age", "999ms"],
        ["pool", "set", "p", "--max-age", "0s"],
        ["pool", "set", "p", "--max-age", "999999d"],
        ["pool", "set", "p", "--max-age", "forever"],
        ["pool", "set", "http://127.0.0.1:1/p", "--max-age", "1h"],
        ["pool", "create", "q", "--max-age", "999ms"],
      ]
    ) await refused(dir, "Usage", ...args);
    for (const args of [["--before", "1", "--keep", "1"], ["--keep", "1", "--older-than", "1s"]]) {
      assert.equal((await cli(["--dir", dir, "pool", "trim", "p", ...args])).code, 2);
    }
    const missing = await refused(dir, "NotFound", "pool", "trim", "pp", "--keep", "0");
    assert.doesNotMatch(String(missing["hint"]), /pool create/);
    await refused(dir, "NotFound", "pool", "set", "pp", "--max-age", "1h");
    const info = await json(dir, "pool", "info", "p", "--json");
    assert.deepEqual(info.retention, { expired: 0, max_age_ms: null, oldest_live: 1 });
    assert.deepEqual(info.bounds, { newest: 2, oldest: 1 });
    assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["p.plasmite"]);
  }));

Deno.test("max age: what has expired is not fetched, followed, counted as latest or listed as live", () =>
  inTemp(async (dir) => {
    aged(dir, [9, 5, 0]);
    assert.deepEqual(await json(dir, "pool", "set", "p", "--max-age", "6h"), {
      set: { max_age_ms: 21_600_000, name: "p" },
    });
    assert.deepEqual(await seqs(dir), [2, 3]);
    assert.deepEqual(await seqs(dir, "--tail", "9"), [2, 3]);
    assert.deepEqual(await seqs(dir, "--since", "1d"), [2, 3]);
    const missing = await refused(dir, "NotFound", "fetch", "p", "1");
    assert.equal(missing["seq"], 1);
    assert.equal((await json(dir, "fetch", "p", "2")).seq, 2);
    const info = await json(dir, "pool", "info", "p", "--json");
    assert.deepEqual(info.bounds, { newest: 3, oldest: 1 }, "those of the file");
    assert.deepEqual(info.retention, { expired: 1, max_age_ms: 21_600_000, oldest_live: 2 });
    assert.match(info.metrics.age.oldest_time, /^2/);
    const { stdout } = await cli(["--dir", dir, "pool", "info", "p"]);
    assert.match(stdout, /^Retention: max_age=6h oldest_live=2 expired=1$/m);
    assert.equal((await json(dir, "feed", "p", "{}")).seq, 4);
    assert.deepEqual((await json(dir, "pool", "info", "p", "--json")).bounds, {
      newest: 4,
      oldest: 2,
    });
    assert.deepEqual(await json(dir, "pool", "set", "p", "--max-age", "none"), {
      set: { max_age_ms: null, name: "p" },
    });
    const unlimited = await cli(["--dir", dir, "pool", "info", "p"]);
    assert.doesNotMatch(unlimited.stdout, /Retention/);
  }));

Deno.test("max age: all expired is an empty pool, and a cursor is told what it missed", () =>
  inTemp(async (dir) => {
    const made = await json(dir, "pool", "create", "p", "q", "--max-age", "1d", "--json");
    assert.equal(made.created[1].retention.max_age_ms, 86_400_000);
    aged(dir, [30, 30, 30]);
    assert.deepEqual(await seqs(dir), []);
    const info = await json(dir, "pool", "info", "p", "--json");
    assert.deepEqual(info.retention, { expired: 1, max_age_ms: 86_400_000, oldest_live: null });
    assert.deepEqual(info.bounds, { newest: 3, oldest: 3 }, "appends dropped the others");
    assert.equal((await json(dir, "feed", "p", "{}")).seq, 4);
    const first = await cli(["--dir", dir, "export", "p", "--cursor", "c"]);
    assert.equal(first.code, 0, first.stderr);
    assert.equal(JSON.parse(first.stdout).seq, 4);
    aged(dir, [30, 0]);
    const second = await cli(["--dir", dir, "export", "p", "--cursor", "c"]);
    assert.equal(second.code, 0, "the younger message before it keeps an expired one alive");
    assert.deepEqual(second.stdout.trim().split("\n").map((line) => JSON.parse(line).seq), [5, 6]);
    await json(dir, "pool", "trim", "p", "--keep", "0");
    aged(dir, [0]);
    await json(dir, "pool", "trim", "p", "--keep", "0");
    aged(dir, [0]);
    const third = await cli(["--dir", dir, "export", "p", "--cursor", "c"]);
    assert.equal(third.code, 1);
    assert.equal(JSON.parse(third.stdout).seq, 8);
    const { notice } = JSON.parse(third.stderr);
    assert.deepEqual([notice.cmd, notice.kind], ["export", "drop"]);
    assert.deepEqual(notice.details.dropped_count, 1);
  }));

Deno.test({
  name: "pool trim, pool set, pool info: on a terminal they speak to people",
  ignore: !hasScript,
  fn: () =>
    inTemp(async (dir) => {
      aged(dir, [9, 5, 0]);
      const run = (line: string) => onTerminal(`$P --dir ${quote(dir)} ${line}`);
      assert.match((await run("pool set p --max-age 90m")).screen, /^Set maximum age of p: 90m$/m);
      assert.match(
        (await run("pool info p")).screen,
        /max age: +90m \(2 expired, still in the file\)/,
      );
      assert.match(
        (await run("pool trim p --before 3")).screen,
        /^Trimmed p: dropped 2, seq 3\.\.3 left$/m,
      );
      assert.match(
        (await run("pool trim p --keep 0")).screen,
        /^Trimmed p: dropped 1, none left$/m,
      );
    }),
});
