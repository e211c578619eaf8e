// deno-lint-ignore-file no-console
/**
 * A server of its own process.
 *
 * @module
 */

import { join } from "node:path";
import { CLI, DENO, plasmite } from "../support/bench.ts";
import { sleep } from "../support/processes.ts";

/** Options of how to start it. */
export interface ServeOptions {
  readonly args?: readonly string[];
  /** A program that starts Deno, and its arguments, such as `taskset`. */
  readonly through?: readonly string[];
  /** Flags of V8. */
  readonly v8?: readonly string[];
  /** Another checkout, whose program is run. */
  readonly root?: string;
}

/** What is kept of what a server says, in characters. */
const KEPT = 4000;

/** Keeps the end of what a process says, and tells how it ended, unless it was asked to. */
function watch(child: Deno.ChildProcess, what: string): void {
  let said = "";
  const heard = (async () => {
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
      said = (said + text).slice(-KEPT);
    }
  })();
  void child.status.then(async ({ success, code, signal }) => {
    await heard;
    // A server that is asked to end says so by its status.
    if (!success) console.error(`The server has ended (${signal ?? code}): ${what}\n${said}`);
  });
}

/** Starts `serve` on the pools of a folder; returns when it answers. */
export async function startServe(
  dir: string,
  { args = [], through = [], v8 = [], root }: ServeOptions = {},
): Promise<{ child: Deno.ChildProcess; url: string }> {
  const ready = `${dir}/.ready`;
  await Deno.remove(ready).catch(() => {});
  const [run = "run", ...rest] = plasmite(dir, "serve", "--bind", "127.0.0.1:0", ...args)
    .map((word) => word === CLI && root !== undefined ? join(root, "cli.ts") : word);
  const [program = DENO, ...more] = [...through, DENO, run, ...v8, ...rest];
  const child = new Deno.Command(program, {
    args: more,
    env: { PLASMITE_SERVE_READY_FILE: ready },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  watch(child, ["serve", ...args].join(" "));
  let ended = false;
  child.status.then(() => ended = true);
  while (!ended) {
    const address = await Deno.readTextFile(ready).catch(() => "");
    if (address !== "") return { child, url: `http://${address}` };
    await sleep(20);
  }
  throw new Error(`The server ended before it answered: serve ${args.join(" ")}`);
}
