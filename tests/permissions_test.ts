/**
 * The table of docs/security.md: each entry does its work with the permissions named there, without
 * a prompt, and with fewer says `Permission` and what is missing.
 *
 * @module
 */

import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { inTemp } from "./cli_util.ts";
import { ROOT } from "./support/paths.ts";

async function deno(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--quiet", "--config", `${ROOT}deno.json`, ...args],
    env,
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  return { code, out: text.decode(stdout), err: text.decode(stderr) };
}

Deno.test("permissions: each command with those that are named for it", async (t) => {
  await inTemp(async (dir) => {
    const pools = `${dir}/pools`;
    await Deno.mkdir(pools);
    // From a checkout the source directory is read as well, because imports are lazy.
    const read = `--allow-read=${pools},${ROOT}`;
    const write = `--allow-write=${pools}`;
    const cases: [string[], string[]][] = [
      [[read, write], ["pool", "create", "p"]],
      [[read, write], ["feed", "p", '{"a":1}']],
      [[read], ["follow", "p", "--no-follow", "--where", '(.data.a | tojson) == "1"']],
      [[read], ["follow", "p", "--tail", "1", "--one"]],
      [[read], ["fetch", "p", "1"]],
      [[read], ["pool", "info", "p"]],
      [[read], ["pool", "list"]],
      [[read], ["doctor", "p"]],
      [[read, write], ["doctor", "p", "--repair"]],
      [[read, write, "--allow-run=echo"], ["tap", "p", "--", "echo", "hi"]],
      [[read, write], ["mcp"]],
      [[read, write, "--allow-net=127.0.0.1", "--allow-env"], ["serve", "check"]],
      [[read, write], ["pool", "delete", "p"]],
    ];
    for (const [permissions, args] of cases) {
      await t.step(args.slice(0, 2).join(" "), async () => {
        const { code, err } = await deno([
          ...permissions,
          `${ROOT}cli.ts`,
          "--dir",
          pools,
          ...args,
        ]);
        assert.equal(code, 0, err);
      });
    }
  });
});

Deno.test("permissions: with fewer, the error says which", async () => {
  await inTemp(async (dir) => {
    const read = `--allow-read=${dir},${ROOT}`;
    const made = await deno([read, `${ROOT}cli.ts`, "--dir", dir, "pool", "create", "p"]);
    assert.equal(made.code, 6);
    assert.match(made.err, /"kind":"Permission"/);
    assert.equal([...Deno.readDirSync(dir)].length, 0);
  });
});

Deno.test("permissions: the library reads, writes and serves with its own directory only", async () => {
  await inTemp(async (dir) => {
    const pools = `${dir}/pools`;
    await Deno.mkdir(pools);
    await Deno.writeTextFile(
      `${dir}/use.ts`,
      `import { Client } from "${pathToFileURL(ROOT)}mod.ts";
       import { createApp } from "${pathToFileURL(ROOT)}server/app.ts";
       const client = new Client(Deno.args[0]);
       client.pool("p").append({ x: 1 });
       for await (const { data } of client.openPool("p").tail({ sinceSeq: 1, maxMessages: 1 })) {
         console.log(JSON.stringify(data));
       }
       if (Deno.args[1] === "serve") {
         const app = createApp(client);
         const options = { port: 0, hostname: "127.0.0.1", onListen() {} };
         const server = Deno.serve(options, (request) => app.fetch(request));
         const url = "http://127.0.0.1:" + server.addr.port + "/v0/pools";
         console.log((await (await fetch(url)).json()).pools.length);
         await app.shutdown();
         await server.shutdown();
       }
       client.close();`,
    );
    const source = `${ROOT},${dir}/use.ts`;
    const cases: [string, string[], string][] = [
      ["write", [`--allow-write=${pools}`], '{"x":1}\n'],
      ["serve", [`--allow-write=${pools}`, "--allow-net=127.0.0.1"], '{"x":1}\n1\n'],
    ];
    for (const [mode, permissions, expected] of cases) {
      const all = [`--allow-read=${pools},${source}`, ...permissions, `${dir}/use.ts`, pools, mode];
      const { out, err } = await deno(all);
      assert.equal(out, expected, `${mode}: ${err}`);
    }
  });
});
