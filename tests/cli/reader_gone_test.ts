/**
 * `follow build | head -1` stayed forever when no further message came: a script hung, and each
 * run left a process behind. It ends when its reader has gone, also while nothing arrives.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Client } from "../../mod.ts";
import { CLI, inTemp } from "./cli_util.ts";
import { ROOT } from "../support/paths.ts";
import { PATIENCE_MS } from "../support/patience.ts";
import { serve } from "../client/remote_util.ts";

const ignore = !["linux", "darwin"].includes(Deno.build.os);

interface Run {
  readonly args: readonly string[];
  readonly permissions?: readonly string[];
  /** Reads until this many bytes came, then goes. */
  readonly read: number;
  /** What is done once the reader has gone. */
  readonly afterwards?: () => void;
}

/** Starts a command, reads some of its output, goes away, and waits for its end. */
async function readAndGo(dir: string, run: Run): Promise<{ code: number; err: string }> {
  const permissions = run.permissions ?? ["-A"];
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", ...permissions, "--quiet", CLI, "--dir", dir, ...run.args],
    stdin: "piped", // Held open: `duplex` is not to end by it.
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  for (let count = 0; count < run.read;) {
    const { value } = await reader.read();
    assert(value !== undefined, "it ended before it was read");
    count += value.length;
  }
  await reader.cancel();
  run.afterwards?.();
  const watchdog = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
  const [{ code }, err] = await Promise.all([child.status, new Response(child.stderr).text()]);
  clearTimeout(watchdog);
  await child.stdin.close().catch(() => {});
  return { code, err };
}

function pool(dir: string): void {
  using client = new Client(dir);
  using pool = client.createPool("p");
  pool.append({ a: 1 });
  pool.append({ a: 2 });
}

for (
  const [name, args] of [
    ["follow", ["follow", "p", "--tail", "2", "--jsonl"]],
    ["follow --where", ["follow", "p", "--tail", "2", "--jsonl", "--where", ".data.a > 0"]],
    ["follow --no-notify", ["follow", "p", "--tail", "2", "--jsonl", "--no-notify"]],
    ["follow --replay in a pause", ["follow", "p", "--since", "1h", "--replay", "1e-9"]],
    ["duplex", ["duplex", "p", "--tail", "2", "--jsonl"]],
  ] as const
) {
  Deno.test({
    name: `${name} ends when its reader has gone and nothing arrives`,
    ignore,
    fn: () =>
      inTemp(async (dir) => {
        pool(dir);
        assert.deepEqual(await readAndGo(dir, { args, read: 1 }), { code: 0, err: "" });
      }),
  });
}

Deno.test({
  name: "follow of a server's pool ends when its reader has gone and nothing arrives",
  ignore,
  fn: () =>
    inTemp(async (dir) => {
      pool(dir);
      await using server = serve({ dir });
      const args = ["follow", `${server.url}/p`, "--tail", "2", "--jsonl"];
      assert.deepEqual(await readAndGo(dir, { args, read: 1 }), { code: 0, err: "" });
    }),
});

Deno.test("without the permission it ends with the next message, and asks for nothing", () =>
  inTemp(async (dir) => {
    pool(dir);
    const permissions = [`--allow-read=${dir},${ROOT}`];
    const args = ["follow", "p", "--tail", "2", "--jsonl"];
    const append = (): void => {
      using client = new Client(dir);
      using pool = client.openPool("p");
      pool.append({ a: 3 });
    };
    const run = { args, permissions, read: 1, afterwards: append };
    assert.deepEqual(await readAndGo(dir, run), { code: 0, err: "" });
  }));
