/**
 * The user's cookbook (cookbook.sh), each recipe a test of its own.
 *
 * @module
 */

import assert from "node:assert/strict";
import { exists } from "./cli_util.ts";
import { inCheckout } from "../support/paths.ts";

const SCRIPT = inCheckout("tests/cli/cookbook.sh");

/** Recipes wait for readiness by way of /proc, and use the usual tools. */
const able = Deno.build.os === "linux" &&
  (await Promise.all(["bash", "jq", "curl", "python3", "pgrep"].map(exists))).every(Boolean);

async function bash(...args: string[]): Promise<{ code: number; text: string }> {
  const { code, stdout, stderr } = await new Deno.Command("bash", {
    args: [SCRIPT, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  return { code, text: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}

const recipes = able ? (await bash("--list")).text.trim().split("\n") : ["all recipes"];
for (const recipe of recipes) {
  Deno.test(`cookbook: ${recipe.replaceAll("_", " ")}`, { ignore: !able }, async () => {
    const { code, text } = await bash(recipe);
    assert.equal(code, 0, text);
    assert.equal(text, `ok ${recipe}\n`);
  });
}
