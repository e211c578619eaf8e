/**
 * The table of docs/security.md: each entry does its work with the permissions named there, without
 * a prompt, and with fewer says `Permission` and what is missing.
 *
 * @module
 */

import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { ErrorKind } from "../../lib/errors.ts";
import { Client } from "../../mod.ts";
import { inTemp } from "./cli_util.ts";
import { ROOT } from "../support/paths.ts";
import { hasTerminals, type Step, terminal } from "../support/terminal.ts";

async function deno(
  args: string[],
  env: Record<string, string> = {},
  stdin = "",
): Promise<{ code: number; out: string; err: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--quiet", "--config", `${ROOT}deno.json`, ...args],
    env,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const input = child.stdin.getWriter();
  await input.write(new TextEncoder().encode(stdin)).catch(() => {});
  await input.close().catch(() => {});
  const { code, stdout, stderr } = await child.output();
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

/**
 * Each case said "internal error, report this", "not found", "failed to bind, choose another port"
 * or nothing at all, and the person looked for a fault of the program's or of the machine's.
 */
Deno.test("permissions: with fewer, the error is Permission and names the flag", async (t) => {
  await inTemp(async (dir) => {
    const home = `${dir}/home`;
    const pools = `${home}/.plasmite/pools`;
    await Deno.mkdir(`${home}/.plasmite/servers`, { recursive: true });
    {
      using client = new Client(pools);
      using pool = client.createPool("p");
      pool.append({ a: 1 });
    }
    await Deno.writeTextFile(`${dir}/token`, "secret\n", { mode: 0o600 });
    const record = { instance: "x", pid: 1, pool_dir: "/x", remote_url: null };
    const local_url = "http://127.0.0.1:9998";
    await Deno.writeTextFile(
      `${home}/.plasmite/servers/x.json`,
      JSON.stringify({ ...record, local_url }),
    );
    const source = `--allow-read=${ROOT}`;
    const read = `--allow-read=${ROOT},${dir}`;
    const write = `--allow-write=${dir}`;
    const net = "--allow-net=127.0.0.1:9998";
    const url = "http://127.0.0.1:9998";
    const cases: [string[], string[], string][] = [
      [[], ["feed", "p", '{"a":1}', "--dir", pools], "--allow-read"],
      [[], ["nonsense"], "--allow-read"],
      [[], ["completion", "bash"], "--allow-read"],
      [[], ["version", "--yaml"], "--allow-read"],
      [[], ["serve", "--dir", pools], "--allow-read"],
      [[source], ["feed", "p", '{"a":1}', "--dir", pools], "--allow-read"],
      [[source], ["follow", "p", "--dir", pools], "--allow-read"],
      [[source], ["pool", "list", "--dir", pools], "--allow-read"],
      [[source], ["doctor", "--all", "--dir", pools], "--allow-read"],
      [[source], ["pool", "delete", "p", "--dir", pools, "--json"], "--allow-read"],
      [[source], ["fetch", `${url}/p`, "1", "--token-file", `${dir}/token`], "--allow-read"],
      [[source, net], ["fetch", `${url}/p`, "1", "--tls-ca", `${dir}/token`], "--allow-read"],
      [[source, write], ["feed", "p", "--dir", pools, "--file", "/in"], "--allow-read"],
      [[source, write], ["serve", "init", "--output-dir", `${dir}/x`], "--allow-read"],
      [[source, "--allow-env"], ["serve", "status"], "--allow-read"],
      [[source, "--allow-env", "--allow-net"], ["serve", "--dir", pools], "--allow-read"],
      [[source, "--allow-env"], ["serve", "--token-file", `${dir}/token`], "--allow-read"],
      [[read], ["feed", "p", '{"a":1}', "--dir", pools], "--allow-write"],
      [[read], ["pool", "create", "q", "--dir", pools], "--allow-write"],
      [[read], ["pool", "create", "q", "--dir", `${dir}/new`], "--allow-write"],
      [[read], ["pool", "delete", "p", "--dir", pools], "--allow-write"],
      [[read], ["feed", "p", "--file", `${dir}/token`, "--dir", pools], "--allow-write"],
      [[read], ["serve", "init", "--output-dir", `${dir}/x`], "--allow-write"],
      [[read], ["duplex", "p", "--dir", pools], "--allow-write"],
      [[read, write], ["tap", "p", "--dir", pools, "--", "echo", "hi"], "--allow-run"],
      [[read, write], ["feed", "p", '{"a":1}'], "--allow-env"],
      [[read, write], ["pool", "list"], "--allow-env"],
      [[read, write], ["mcp"], "--allow-env"],
      [[read, write], ["serve", "status"], "--allow-env"],
      [[read, write], ["serve", "--dir", pools], "--allow-env"],
      [[read, write, "--allow-env"], ["serve", "--dir", pools], "--allow-net"],
      [[read, write, "--allow-env"], ["serve", "--dir", pools, "--tls-self-signed"], "--allow-net"],
      [[read, "--allow-env"], ["serve", "status"], "--allow-net"],
      [[read], ["fetch", `${url}/p`, "1"], "--allow-net"],
      [[read], ["follow", `${url}/p`], "--allow-net"],
      [[read], ["feed", `${url}/p`, '{"a":1}'], "--allow-net"],
      [[read], ["duplex", `${url}/p`], "--allow-net"],
      [[read], ["pool", "list", url], "--allow-net"],
    ];
    for (const [permissions, args, flag] of cases) {
      await t.step(`${args.slice(0, 2).join(" ")} without ${flag}`, async () => {
        const run = [...permissions, `${ROOT}cli.ts`, ...args];
        const { code, out, err } = await deno(run, { HOME: home });
        assert.equal(code, ErrorKind.Permission, `${out}${err}`);
        assert.match(out + err, new RegExp(flag));
        assert.doesNotMatch(out + err, /Internal|report/);
      });
    }
    assert.deepEqual([...Deno.readDirSync(pools)].map(({ name }) => name), ["p.plasmite"]);
  });
});

Deno.test({
  name: "permissions: no prompt on a terminal for what the command can do without",
  ignore: !hasTerminals,
  fn: async (t) => {
    await inTemp(async (dir) => {
      const read = `--allow-read=${ROOT},${dir}`;
      const write = `--allow-write=${dir}`;
      const serve = ["--allow-net=127.0.0.1", "--allow-env"];
      const cases: [string[], string[], Step[]][] = [
        [[read, write], ["feed", "p", "--create", '{"a":1}'], []],
        [["--allow-read", "--allow-write"], ["feed", "p", '{"a":1}'], []],
        [[read], ["follow", "p", "--tail", "1", "--timeout", "50ms"], []],
        [["--allow-read", "--allow-write"], ["follow", "p", "--timeout", "50ms"], []],
        [[read], ["pool", "list"], []],
        [[read], ["pool", "info", "p"], []],
        [[read], ["doctor", "p"], []],
        [[read], ["nonsense"], []],
        [[read], ["fetch", "\ufffd", "1"], []],
        [[read, write], ["pool", "create", "q"], []],
        [[read, write], ["pool", "delete", "q"], []],
        [[read, write, "--allow-run=echo"], ["tap", "p", "--", "echo", "hi"], []],
        [[read, write], ["duplex", "p", "--me", "x"], [{ expect: "x>" }, { send: "\x04" }]],
        [[read, write, ...serve], ["serve", "--bind", "127.0.0.1:0"], [
          { expect: "Ctrl-C" },
          { signal: 2 },
        ]],
      ];
      for (const [permissions, args, steps] of cases) {
        await t.step(args.slice(0, 2).join(" "), async () => {
          const { output } = await terminal(["--dir", dir, ...args], steps, { permissions });
          assert.doesNotMatch(output, /requests|Allow\?/);
        });
      }
    });
  },
});

Deno.test("permissions: an error for agents names the flag too", async () => {
  await inTemp(async (dir) => {
    const calls = [
      {
        method: "initialize",
        params: {
          protocolVersion: "2025-06-18",
          capabilities: {},
          clientInfo: { name: "test", version: "1" },
        },
      },
      { method: "tools/call", params: { name: "plasmite_pool_list", arguments: {} } },
      {
        method: "completion/complete",
        params: {
          ref: { type: "ref/resource", uri: "plasmite:///pools/{name}" },
          argument: { name: "name", value: "" },
        },
      },
    ].map((call, id) => JSON.stringify({ jsonrpc: "2.0", id, ...call }) + "\n");
    const read = `--allow-read=${ROOT},${Deno.env.get("DENO_DIR")}`;
    const run = [read, `${ROOT}cli.ts`, "mcp", "--dir", `${dir}/pools`];
    const { out, err } = await deno(run, {}, calls.join(""));
    // deno-lint-ignore no-explicit-any -- JSON
    const answers: any[] = out.trimEnd().split("\n").map((line) => JSON.parse(line));
    const [, list, complete] = answers;
    assert.equal(list.result.structuredContent.error_kind, "Permission", err);
    assert.match(list.result.content[0].text, /--allow-read is missing/);
    assert.equal(complete.error.data.error_kind, "Permission");
    assert.match(complete.error.message, /--allow-read is missing/);
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
