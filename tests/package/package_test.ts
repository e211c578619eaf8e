/**
 * What strangers install: the npm package from its tarball, and everything about an executable up to
 * the runtime it embeds (which has to be downloaded; a stand-in takes its place).
 *
 * @module
 */

import assert from "node:assert/strict";
import { ErrorKind } from "../../lib/errors.ts";
import { bundle, DENO, readPackage } from "../../.ci/package/bundle.ts";
import { compile, TARGETS } from "../../.ci/package/compile.ts";
import { makeNpmPackage } from "../../.ci/package/npm.ts";
import { exists, inTemp } from "../cli/cli_util.ts";

/** Runs a program in `dir`, which is also its home. */
async function run(
  dir: string,
  program: string,
  ...args: string[]
): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd: dir,
    env: {
      HOME: dir,
      npm_config_update_notifier: "false",
    },
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  return { code, out: text.decode(stdout), err: text.decode(stderr) };
}

Deno.test({
  name: "npm package: installed from its tarball it is the whole tool, with types",
  ignore: !(await exists("npm")) || !(await exists("tar")),
  fn: () =>
    inTemp(async (dir) => {
      const tarball = await makeNpmPackage(`${dir}/dist`);
      await Deno.writeTextFile(`${dir}/package.json`, '{"private":true}');
      const install = await run(dir, "npm", "install", "--no-fund", "--no-audit", tarball);
      assert.equal(install.code, 0, install.err);
      const { dependencies, bin } = JSON.parse(
        await Deno.readTextFile(`${dir}/node_modules/@plasmite/core/package.json`),
      );
      assert.deepEqual(dependencies, { deno: DENO });
      assert.deepEqual(Object.keys(bin), ["plasmite", "pls"]);

      const version = await run(dir, "npx", "plasmite", "version");
      assert.deepEqual(JSON.parse(version.out), {
        name: "plasmite",
        version: readPackage().version,
      });
      const fed = await run(dir, "npx", "pls", "feed", "p", "--create", '{"x":1}', "--tag", "t");
      assert.equal(JSON.parse(fed.out).seq, 1, fed.err);
      const followed = await run(
        dir,
        ...["npx", "@plasmite/core", "follow", "p", "--no-follow", "--jsonl"] as const,
        // Not one of the expressions judged on stored bytes: jq itself comes along.
        ...["--where", '(.data | tojson) == "{\\"x\\":1}"'],
      );
      assert.deepEqual(JSON.parse(followed.out).meta.tags, ["t"], followed.err);
      assert.equal((await run(dir, "npx", "plasmite", "fetch", "p", "9")).code, ErrorKind.NotFound);
      const init = await run(dir, "npx", "plasmite", "serve", "init", "--output-dir", "s");
      assert.equal(init.code, 0, init.err);

      // The commands end when they are told to.
      const follower = new Deno.Command(`${dir}/node_modules/.bin/plasmite`, {
        args: ["follow", "p", "--tail", "1", "--jsonl"],
        env: { HOME: dir },
        stdin: "null",
        stdout: "piped",
        stderr: "null",
      }).spawn();
      const reader = follower.stdout.getReader();
      await reader.read();
      follower.kill("SIGTERM");
      assert.equal((await follower.status).code, 143);
      assert.ok((await reader.read()).done);

      await Deno.writeTextFile(`${dir}/deno.json`, '{"nodeModulesDir":"manual"}');
      await Deno.writeTextFile(
        `${dir}/use.ts`,
        `import { Client } from "@plasmite/core";
         import { createApp } from "@plasmite/core/server";
         using client = new Client("${dir}/.plasmite/pools");
         const seq: bigint = client.pool<{ x: number }>("p").append({ x: 2 }).seq;
         // @ts-expect-error x is a number
         client.pool<{ x: number }>("p").append({ x: "2" });
         const app = createApp(client);
         console.log(seq, (await app.request("http://localhost/v0/pools")).status);
         await app.shutdown();`,
      );
      const used = await run(dir, Deno.execPath(), "run", "-A", "--check", "--quiet", "use.ts");
      assert.equal(used.out, "2n 200\n", used.err);

      // A server of strangers' filters: jq in a worker, which has no file that it may read.
      await Deno.writeTextFile(
        `${dir}/filter.ts`,
        `import { Client } from "@plasmite/core";
         import { createApp } from "@plasmite/core/server";
         using client = new Client("${dir}/.plasmite/pools");
         const app = createApp(client);
         const ask = async (where: string) => {
           const path = "/v0/pools/p/tail?no_follow=1&where=" + encodeURIComponent(where);
           const answer = await app.request(path);
           return [answer.status, (await answer.text()).split("\\n").length - 1];
         };
         console.log(await ask('.data.x | tostring == "2"'), await ask("def f: f; f"));
         await app.shutdown();`,
      );
      const rights = [`--allow-read=${dir}/.plasmite`, `--allow-write=${dir}/.plasmite`];
      const asked = await run(
        dir,
        Deno.execPath(),
        ...["run", "--no-prompt", "--quiet", ...rights, "filter.ts"],
      );
      assert.equal(asked.out, "[ 200, 2 ] [ 400, 0 ]\n", asked.err);

      // Thousands of pools are listed with the help of a worker, which has no file either.
      await Deno.writeTextFile(
        `${dir}/list.ts`,
        `import { Client } from "@plasmite/core";
         import { createApp } from "@plasmite/core/server";
         let told = 0;
         globalThis.Worker = class extends Worker {
           constructor(...how: ConstructorParameters<typeof Worker>) {
             super(...how);
             this.addEventListener("message", () => told++);
           }
         };
         using client = new Client("${dir}/.plasmite/pools");
         client.createPool("small", 8192).close();
         const pool = Deno.readFileSync("${dir}/.plasmite/pools/small.plasmite");
         for (let i = 0; i < 2000; i++) {
           Deno.writeFileSync("${dir}/.plasmite/pools/p" + i + ".plasmite", pool);
         }
         const app = createApp(client);
         const { pools } = await (await app.request("http://localhost/v0/pools")).json();
         console.log(pools.length, pools.filter(({ error }: { error?: unknown }) => error).length, told > 20);
         await app.shutdown();`,
      );
      const listed = await run(
        dir,
        Deno.execPath(),
        ...["run", "--no-prompt", "--quiet", ...rights, "list.ts"],
      );
      assert.equal(listed.out, "2002 0 true\n", listed.err);
      const names = await run(dir, "npx", "plasmite", "pool", "list", "--json");
      assert.equal(JSON.parse(names.out).pools.length, 2002, names.err);
    }),
});

/** The files that load with these, by static imports. */
function reachable(dir: string, entries: readonly string[]): Set<string> {
  const loaded = new Set<string>();
  const visit = (name: string): void => {
    if (loaded.has(name)) return;
    loaded.add(name);
    const code = Deno.readTextFileSync(`${dir}/${name}`);
    for (const [, target = ""] of code.matchAll(/\bimport(?:\{[^{}]*\}from)?"\.\/([^"]+)"/g)) {
      visit(target);
    }
  };
  entries.forEach(visit);
  return loaded;
}

Deno.test("executable: everything is embedded but the runtime, which a stand-in takes", async () => {
  assert.equal(TARGETS.length, 6);
  assert.ok(TARGETS.includes(Deno.build.target));
  await inTemp(async (dir) => {
    await bundle(["cli.ts"], `${dir}/js`);
    const chunks = [...Deno.readDirSync(`${dir}/js`)].map(({ name }) => name);
    for (const needed of ["feed-", "serve-", "commands-", "stdio-", "where-"]) {
      assert.ok(chunks.some((name) => name.startsWith(needed)), `no chunk ${needed}`);
    }
    // Lost: half of the time of a short command, to files that it need not open, or to Node's modules.
    for (const command of ["feed", "fetch", "follow"]) {
      const entry = chunks.find((name) => new RegExp(`^${command}-[A-Z0-9]+\\.js$`).test(name));
      const loaded = reachable(`${dir}/js`, ["cli.js", entry ?? ""]);
      assert.ok(loaded.size <= 6, `${command} loads ${[...loaded].join(" ")}`);
      for (const name of loaded) {
        const code = Deno.readTextFileSync(`${dir}/js/${name}`);
        assert.doesNotMatch(code, /from"node:/, `${command}: ${name}`);
      }
    }
    const size = chunks.reduce((sum, name) => sum + Deno.statSync(`${dir}/js/${name}`).size, 0);
    const before = Deno.env.get("DENORT_BIN");
    Deno.env.set("DENORT_BIN", Deno.execPath());
    try {
      const runtime = Deno.statSync(Deno.execPath()).size;
      for (const narrow of [false, true]) {
        const program = await compile(`${dir}/${narrow}`, { bundled: `${dir}/js`, narrow });
        assert.ok(Deno.statSync(program).size > runtime + size, "something was left out");
        assert.equal(Deno.readLinkSync(`${dir}/${narrow}/pls`), "plasmite");
      }
    } finally {
      if (before === undefined) Deno.env.delete("DENORT_BIN");
      else Deno.env.set("DENORT_BIN", before);
    }
  });
});
