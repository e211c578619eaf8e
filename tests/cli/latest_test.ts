/**
 * `latest`: the current state of each thing must be its newest message, and what is gone must stay
 * away (docs/spec/coordination.md 5).
 *
 * @module
 */

import assert from "node:assert/strict";
import { cli, errorOf, inTemp, type Outcome } from "./cli_util.ts";

const run = (dir: string, ...args: string[]): Promise<Outcome> => cli(["--dir", dir, ...args]);

const seqs = ({ stdout }: Outcome): number[] =>
  stdout.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line).seq);

async function fill(dir: string): Promise<void> {
  const feed = (data: string, ...tags: string[]): Promise<Outcome> =>
    run(dir, "feed", "p", "--create", data, ...tags.flatMap((tag) => ["--tag", tag]));
  await feed('{"s":"red","n":1}', "key:unit", "agent:a"); // 1
  await feed('{"s":"green","n":2}', "key:unit", "agent:b"); // 2
  await feed('{"s":"red","n":3}', "key:lint", "agent:a"); // 3
  await feed('{"s":"green","n":1}', "key:docs", "agent:b", "gone"); // 4
  await feed('{"n":9}'); // 5
}

Deno.test("latest --key: one message, or exit 3", async () => {
  await inTemp(async (dir) => {
    await fill(dir);
    assert.deepEqual(seqs(await run(dir, "latest", "p", "--key", "unit")), [2]);
    assert.deepEqual(seqs(await run(dir, "latest", "p", "--key", "unit", "--tag", "agent:a")), [1]);
    const red = await run(dir, "latest", "p", "--key", "unit", "--where", '.data.s == "red"');
    assert.deepEqual(seqs(red), [1], "conditions choose before");
    for (
      const args of [
        ["--key", "other"],
        ["--key", "unit", "--having", '.data.s == "red"'],
        ["--tag", "nobody"],
        ["--max-age", "0s"],
      ]
    ) {
      const none = await run(dir, "latest", "p", ...args);
      assert.equal(none.code, 3, args.join(" "));
      assert.equal(none.stdout, "");
      assert.equal(errorOf(none)["kind"], "NotFound");
    }
    assert.deepEqual(seqs(await run(dir, "latest", "p")), [5], "without a key the newest of all");
  });
});

Deno.test("latest --by: the newest of each group in order; --having hides what is gone", async () => {
  await inTemp(async (dir) => {
    await fill(dir);
    assert.deepEqual(seqs(await run(dir, "latest", "p", "--by", "key:")), [2, 3, 4]);
    assert.deepEqual(seqs(await run(dir, "latest", "p", "--by", ".data.n")), [2, 3, 4, 5]);
    const here = '.meta.tags | index("gone") | not';
    assert.deepEqual(seqs(await run(dir, "latest", "p", "--by", "key:", "--having", here)), [2, 3]);
    const before = await run(dir, "latest", "p", "--by", "key:", "--where", '.data.s == "red"');
    assert.deepEqual(seqs(before), [1, 3]);
    assert.deepEqual(seqs(await run(dir, "latest", "p", "--by", "key:", "--max-age", "1d")), [
      2,
      3,
      4,
    ]);
    const none = await run(dir, "latest", "p", "--by", "nothing:");
    assert.deepEqual(none, { code: 0, stdout: "", stderr: "" });
  });
});

Deno.test("latest: every format, and what it cannot mean", async () => {
  await inTemp(async (dir) => {
    await fill(dir);
    const one = async (...args: string[]): Promise<string> =>
      (await run(dir, "latest", "p", "--key", "unit", ...args)).stdout;
    const fetched = async (...args: string[]): Promise<string> =>
      (await run(dir, "fetch", "p", "2", ...args)).stdout;
    for (const format of ["json", "yaml", "pretty", "lite3"]) {
      assert.equal(await one("--format", format), await fetched("--format", format), format);
    }
    assert.equal(await one(), await fetched());
    assert.match(await one("--format", "line"), /^\S.*key:unit.*green.*\n$/);
    for (
      const args of [
        ["--key", "a", "--by", "key:"],
        ["--key", ""],
        ["--by", ".data["],
        ["--max-age", "yesterday"],
        ["--having", ".data."],
        ["--format", "lite3-raw"],
      ]
    ) {
      assert.equal((await run(dir, "latest", "p", ...args)).code, 2, args.join(" "));
    }
  });
});
