/**
 * Filters that no message can match. Lost: whoever forgot `.data` waited in silence, for ever, for
 * messages that came all the time (docs/spec/command-line.md 1.11).
 *
 * @module
 */

import assert from "node:assert/strict";
import { ErrorKind } from "../../lib/errors.ts";
import { serve } from "../client/remote_util.ts";
import { cli, errorOf, inTemp } from "./cli_util.ts";

const notices = (stderr: string): { kind: string; message: string; pool: string }[] =>
  stderr.trim().split("\n").filter((line) => line !== "").map((line) => JSON.parse(line).notice);

Deno.test("a filter that can match no message is told of on stderr, once, wherever the pool is", () =>
  inTemp(async (dir) => {
    await using server = serve({ dir });
    using pool = server.local.createPool("p");
    pool.append({ n: 1 });
    const rows: readonly (readonly [where: string, says: RegExp | null, count: number])[] = [
      [
        ".n == 1",
        /'\.n == 1' matches no message: no message has \.n; did you mean \.data\.n\?$/,
        0,
      ],
      ['.["n"] == 1 and .data.n == 1', /no message has \.n;/, 0],
      ["select(.level.deep == 1)", /no message has \.level;/, 0],
      ['.tags | index("a") != null', /did you mean \.meta\.tags\?$/, 0],
      ['.["a\nb"] == 1', /no message has \.a\\nb; did you mean \.data\.a\\nb\?$/, 0],
      [".data.n == error", /error is a function of jq here, not a text$/, 0],
      // What may match, or is written for messages that differ.
      [".data.n == 1", null, 1],
      [".data.missing == 1", null, 0],
      [".data.n == 1 or .n == 1", null, 1],
      ["(.n // .data.n) == 1", null, 0],
      ['has("n") or .data.n == 1', null, 1],
      [".data | .n == 1", null, 1],
    ];
    for (const at of ["p", `${server.url}/p`]) {
      for (const [where, says, count] of rows) {
        const line = ["--dir", dir, "follow", at, "--no-follow", "--tail", "9", "--jsonl"];
        const run = await cli([...line, "--where", where]);
        assert.equal(run.code, 0, `${at} ${where}: ${run.stderr}`);
        assert.equal(run.stdout.split("\n").length - 1, count, where);
        const [notice, ...more] = notices(run.stderr);
        assert.deepEqual(more, []);
        if (says === null) assert.equal(notice, undefined, where);
        else {
          assert.equal(notice?.kind, "filter", where);
          assert.equal(notice.pool, at);
          assert.match(notice.message, says);
        }
      }
    }
  }));

Deno.test("who waits with such a filter is told at once, and ends as without it", () =>
  inTemp(async (dir) => {
    await using server = serve({ dir });
    server.local.createPool("p").close();
    const where = ["--where", ".n == 1", "--where", ".m == 1"];
    const silent = ["follow", "p", ...where, "--timeout", "200ms", "--quiet-drops"];
    for (
      const args of [
        ["follow", "p", ...where, "--timeout", "200ms"],
        ["follow", `${server.url}/p`, ...where, "--timeout", "200ms"],
        ["follow", "p", "--cursor", "c", ...where, "--timeout", "200ms"],
        ["work", "p", "--group", "g", ...where, "--timeout", "200ms", "--", "true"],
        silent,
      ]
    ) {
      const run = await cli(["--dir", dir, ...args]);
      assert.equal(run.code, 124, `${args}: ${run.stderr}`);
      assert.equal(run.stdout, "");
      const kinds = notices(run.stderr).map(({ kind }) => kind);
      assert.deepEqual(kinds, args === silent ? [] : ["filter"], args.join(" "));
    }
  }));

// A script reads one error from stderr.
Deno.test("an error stays alone on stderr, and latest explains itself in its hint", () =>
  inTemp(async (dir) => {
    const follow = await cli(["--dir", dir, "follow", "none", "--where", ".n == 1"]);
    assert.equal(follow.code, ErrorKind.NotFound);
    assert.equal(errorOf(follow)["message"], "not found");
    await cli(["--dir", dir, "feed", "p", "--create", '{"n":1}']);
    const latest = await cli(["--dir", dir, "latest", "p", "--where", ".n == 1"]);
    assert.equal(latest.code, ErrorKind.NotFound);
    assert.match(String(errorOf(latest)["hint"]), /no message has \.n; did you mean \.data\.n\?/);
  }));
