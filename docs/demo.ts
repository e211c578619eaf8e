// deno-lint-ignore-file no-console
/**
 * The main job in a minute: one process follows a pool, another feeds it, both are the real
 * program, and the pool is a real file. Run with `deno task demo`.
 *
 * @module
 */

import { fileURLToPath } from "node:url";

const cli = fileURLToPath(new URL("../cli.ts", import.meta.url));
const dir = Deno.makeTempDirSync({ prefix: "plasmite-demo-" });

function plasmite(...args: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", cli, "--dir", dir, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
}

/** Prints what a command prints, and returns its exit code. */
async function show(name: string, child: Deno.ChildProcess): Promise<number> {
  const lines = child.stdout.pipeThrough(new TextDecoderStream());
  for await (const text of lines) {
    for (const line of text.trimEnd().split("\n")) console.log(`${name.padEnd(8)} │ ${line}`);
  }
  return (await child.status).code;
}

/** Runs a command that must succeed. */
async function run(name: string, ...args: string[]): Promise<void> {
  const code = await show(name, plasmite(...args));
  if (code !== 0) throw new Error(`plasmite ${args.join(" ")} ended with exit code ${code}`);
}

try {
  console.log(`A pool is a file. Ours will be ${dir}/build.plasmite\n`);
  console.log("$ plasmite pool create build");
  await run("create", "pool", "create", "build");

  console.log("\n$ plasmite follow build --tail 10 --jsonl --timeout 3s   (one process, waiting)");
  const follower = plasmite("follow", "build", "--tail", "10", "--jsonl", "--timeout", "3s");
  const following = show("follow", follower);

  for (
    const [tag, data] of [
      ["step", '{"step":"compile","pct":0}'],
      ["step", '{"step":"compile","pct":100}'],
      ["done", '{"step":"finished","ok":true}'],
    ] as const
  ) {
    console.log(`$ plasmite feed build --tag ${tag} '${data}'   (another process)`);
    await run("feed", "feed", "build", "--tag", tag, data);
  }

  console.log(
    "\n$ plasmite follow build --tag done --tail 1 --one --jsonl   (a gate, after the fact)",
  );
  await run("gate", "follow", "build", "--tag", "done", "--tail", "1", "--one", "--jsonl");

  console.log("\n$ plasmite pool info build");
  await run("info", "pool", "info", "build");
  console.log("\nThe follower ends by itself after three quiet seconds (--timeout 3s) …");
  const code = await following;
  if (code !== 124) throw new Error(`the follower ended with exit code ${code}, not with 124`);
  console.log("… with exit code 124, which says: timed out.");
} finally {
  Deno.removeSync(dir, { recursive: true });
}
