// deno-lint-ignore-file no-console
/**
 * The main job in a minute: one process follows a pool, another feeds it, both are the real
 * program, and the pool is a real file. Run with `deno task demo`.
 *
 * @module
 */

const cli = new URL("../cli.ts", import.meta.url).pathname;
const dir = Deno.makeTempDirSync({ prefix: "plasmite-demo-" });

function plasmite(...args: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", cli, "--dir", dir, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
}

async function show(name: string, child: Deno.ChildProcess): Promise<void> {
  const lines = child.stdout.pipeThrough(new TextDecoderStream());
  for await (const text of lines) {
    for (const line of text.trimEnd().split("\n")) console.log(`${name.padEnd(8)} │ ${line}`);
  }
}

try {
  console.log(`A pool is a file. Ours will be ${dir}/build.plasmite\n`);
  console.log("$ plasmite pool create build");
  await show("create", plasmite("pool", "create", "build"));

  console.log("\n$ plasmite follow build --jsonl            (one process, waiting)");
  const follower = plasmite("follow", "build", "--jsonl", "--timeout", "3s");
  const following = show("follow", follower);
  await new Promise((resolve) => setTimeout(resolve, 400));

  for (
    const [tag, data] of [
      ["step", '{"step":"compile","pct":0}'],
      ["step", '{"step":"compile","pct":100}'],
      ["done", '{"step":"finished","ok":true}'],
    ] as const
  ) {
    console.log(`$ plasmite feed build --tag ${tag} '${data}'   (another process)`);
    await show("feed", plasmite("feed", "build", "--tag", tag, data));
  }

  console.log(
    "\n$ plasmite follow build --tag done --tail 1 --one --jsonl   (a gate, after the fact)",
  );
  await show(
    "gate",
    plasmite("follow", "build", "--tag", "done", "--tail", "1", "--one", "--jsonl"),
  );

  console.log("\n$ plasmite pool info build");
  await show("info", plasmite("pool", "info", "build"));
  console.log("\nThe follower ends by itself after three quiet seconds (--timeout 3s) …");
  await following;
  const { code } = await follower.status;
  console.log(`… with exit code ${code}, which says: timed out.`);
  if (code !== 124) Deno.exit(1);
} finally {
  Deno.removeSync(dir, { recursive: true });
}
