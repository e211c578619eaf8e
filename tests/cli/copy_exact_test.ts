/**
 * `copy --exact`: the tags of the destination may name messages of an earlier pool of the same name,
 * or of one at another place (docs/spec/command-line.md 7.1).
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

// Lost: messages of one machine, where the pool of another one has the same name and more messages.
Deno.test("copy --exact: two pools of one name are copied into one, whole and once", () =>
  inTemp(async (dir) => {
    const feed = async (from: string, text: string): Promise<void> => {
      await run(`${dir}/${from}`, letters(text), "feed", "p", "--create");
    };
    const copy = async (from: string): Promise<void> => {
      await run(`${dir}/${from}`, "", "copy", "p", `${dir}/q.plasmite`, "--exact", "--create");
    };
    await feed("a", "ab");
    await copy("a");
    const cursors = `${dir}/a/p.cursors`;
    const [name = ""] = Array.from(Deno.readDirSync(cursors), (entry) => entry.name);
    const behind = await Deno.readFile(`${cursors}/${name}`);
    await feed("a", "cd");
    await copy("a");
    await feed("b", "uvwxyz");
    await copy("b");
    await copy("a");
    assert.equal(await stored(dir, "q"), "abcduvwxyz", "nothing twice");
    // As after a crash between an append and the cursor.
    await Deno.writeFile(`${cursors}/${name}`, behind);
    await copy("a");
    assert.equal(await stored(dir, "q"), "abcduvwxyz", "nothing twice after a crash");
    await feed("a", "efgh");
    await copy("a");
    assert.equal(await stored(dir, "q"), "abcduvwxyzefgh", "nothing lost");
  }));
