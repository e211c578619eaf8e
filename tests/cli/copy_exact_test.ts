/**
 * `copy --exact` without a cursor: the tags of the destination may name messages of an earlier pool of
 * the same name (docs/spec/command-line.md 7.1).
 *
 * @module
 */

import assert from "node:assert/strict";
import { serve } from "../client/remote_util.ts";
import { cli, inTemp } from "./cli_util.ts";

/** Runs a command on the pools of a directory; returns what it printed. */
async function run(dir: string, stdin: string, ...args: string[]): Promise<string> {
  const { code, stderr, stdout } = await cli(["--dir", dir, ...args], { stdin });
  assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
  return stdout;
}

const letters = (text: string): string => [...text].map((a) => `{"a":"${a}"}\n`).join("");

/** The letters of all messages of a pool, in order. */
async function stored(dir: string, pool: string): Promise<string> {
  const lines = (await run(dir, "", "follow", pool, "--no-follow", "--jsonl")).trimEnd().split(
    "\n",
  );
  return lines.map((line) => JSON.parse(line).data.a).join("");
}

/** Removes a pool, and perhaps the cursors beside it. */
async function remove(dir: string, pool: string, withCursors: boolean): Promise<void> {
  await Deno.remove(`${dir}/${pool}.plasmite`);
  if (withCursors) await Deno.remove(`${dir}/${pool}.cursors`, { recursive: true });
}

// Lost: the beginning of a pool that took the place of another and has more messages already, even
// where its messages look like the earlier ones: only their times tell.
for (const withCursors of [true, false]) {
  const title = withCursors ? "without its cursor" : "with the old cursor";
  Deno.test(`copy --exact: a new pool of the same name is copied whole, ${title}`, () =>
    inTemp(async (dir) => {
      const exact = ["copy", "p", "q", "--exact", "--create"];
      await run(dir, letters("abc"), "feed", "p", "--create");
      await run(dir, "", ...exact);
      await remove(dir, "p", withCursors);
      await run(dir, letters("abcd"), "feed", "p", "--create");
      await run(dir, "", ...exact);
      assert.equal(await stored(dir, "q"), "abcabcd");
      await run(dir, "", ...exact);
      assert.equal(await stored(dir, "q"), "abcabcd", "and once");
    }));
}

// Lost: the same, where a server gives messages times of its own: there their data tell.
Deno.test("copy --exact: a new pool of the same name is copied whole to a server", () =>
  inTemp(async (dir) => {
    const away = await Deno.makeTempDir();
    try {
      await using server = serve({ dir: away });
      const exact = ["copy", "p", `${server.url}/q`, "--exact"];
      await run(away, "", "pool", "create", "q");
      await run(dir, letters("abc"), "feed", "p", "--create");
      await run(dir, "", ...exact);
      await Deno.remove(`${dir}/p.cursors`, { recursive: true });
      await run(dir, "", ...exact);
      assert.equal(await stored(away, "q"), "abc", "nothing twice without a cursor");
      await remove(dir, "p", true);
      await run(dir, letters("xyzw"), "feed", "p", "--create");
      await run(dir, "", ...exact);
      assert.equal(await stored(away, "q"), "abcxyzw");
    } finally {
      await Deno.remove(away, { recursive: true });
    }
  }));
