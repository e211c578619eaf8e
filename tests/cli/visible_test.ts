/**
 * A pool named with U+202E or a C1 control, or a message that holds them, could hide lines of a list,
 * turn a name around (`exe.nosj`) or drive the terminal of whoever ran `pool list`. On terminals such
 * characters are escaped everywhere; no pool can be created with such a name.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { printYaml } from "../../lib/text/yaml_out.ts";
import { Buf } from "../../lib/bytes.ts";
import { escapeControls, forTerminal, unsafeIn, visible } from "../../lib/visible.ts";
import { Client, ErrorKind, PlasmiteError } from "../../mod.ts";
import { cli, errorOf, inTemp, shell } from "./cli_util.ts";
import { serve } from "../client/remote_util.ts";
import { hasTerminals, terminal } from "../support/terminal.ts";

/** What no terminal may get; ESC, CR and LF are our own. */
const RAW = /[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;
const BAD = [
  "\u202e",
  "\u202a",
  "\u2066",
  "\u2069",
  "\u200f",
  "\u200e",
  "\u061c",
  "\u2028",
  "\u009b",
  "\u0085",
];

Deno.test("text is shown as it is, unsafe characters as escapes", () => {
  assert.equal(visible("aü日👍\u202eb\nc\x1b"), "aü日👍\\u202eb\\u000ac\\u001b");
  assert.equal(escapeControls("a\tb\n\u009b"), "a\\tb\\n\\u009b");
  for (const char of BAD) {
    assert.equal(visible(char).length, 6);
    assert.equal(
      unsafeIn(`ab${char}`),
      `U+${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`,
    );
  }
  for (const fine of ["", "caf\u00e9", "日本", "\u200b", "👩‍💻", "\ufeff", "\u00a0"]) {
    assert.equal(unsafeIn(fine), undefined);
  }
});

Deno.test("JSON on a terminal keeps its meaning", () => {
  const text = fc.array(fc.constantFrom(...BAD, "a", "\\", '"', "ü", "👍", "\x7f", "\x1b")).map((
    all,
  ) => all.join(""));
  fc.assert(fc.property(text, (value) => {
    const json = new TextEncoder().encode(JSON.stringify({ [value]: value }));
    const shown = new TextDecoder().decode(forTerminal(json));
    assert.doesNotMatch(shown, RAW);
    assert.deepEqual(JSON.parse(shown), { [value]: value });
    const out = new Buf();
    printYaml(json, 0, json.length, out);
    const yaml = new TextDecoder().decode(out.bytes());
    assert.doesNotMatch(yaml, RAW);
  }));
});

/** Makes a pool under a name that is refused now, as another program may have. */
async function hostilePool(dir: string, name: string): Promise<void> {
  {
    using client = new Client(dir);
    using pool = client.createPool("made");
    pool.append({ [`k${name}`]: `v${name}` }, [`t${name}`]);
  }
  await Deno.rename(`${dir}/made.plasmite`, `${dir}/${name}.plasmite`);
}

Deno.test({
  name: "no command writes them to a terminal, in whatever form",
  ignore: !hasTerminals,
  fn: async (t) => {
    await inTemp(async (dir) => {
      const name = "e\u202egpj\u009b31m\u2066";
      await hostilePool(dir, name);
      const path = `${dir}/${name}.plasmite`;
      await Deno.writeTextFile(`${dir}/broken${name}.plasmite`, "x".repeat(5000));
      const lines: string[][] = [
        ["pool", "list"],
        ["pool", "list", "--json"],
        ["pool", "list", "--yaml"],
        ["pool", "info", name],
        ["pool", "info", path, "--json"],
        ["pool", "delete", `no${name}`],
        ["pool", "delete", `no${name}`, "--json"],
        ["pool", "create", name],
        ["doctor", "--all"],
        ["doctor", "--all", "--json"],
        ["doctor", name],
        ["fetch", name, "1"],
        ["fetch", name, "1", "--json"],
        ["fetch", name, "1", "--yaml"],
        ["fetch", name, "9"],
        ["fetch", name, "9", "--format", "json"],
        ["fetch", `no${name}`, "1"],
        ["follow", name, "--no-follow"],
        ["follow", name, "--no-follow", "--jsonl"],
        ["follow", name, "--no-follow", "--format", "line"],
        ["follow", name, "--no-follow", "--color", "never"],
        ["follow", name, "--no-follow", "--where", `.${name}`],
        ["feed", name, "{}", "--tag", name],
        ["feed", name, "{}", "--tag", name, "--json"],
        ["feed", name, name],
        ["feed", name, "--file", `/no/${name}`],
        ["tap", name, "--", `no${name}`],
        ["serve", "init", "--output-dir", `${dir}/out${name}`],
        ["serve", "check", "--token-file", name],
        [`wrong${name}`],
        ["feed", `--${name}`],
        ["__complete", "pool"],
      ];
      for (const words of lines) {
        await t.step(JSON.stringify(words.slice(0, 3)), async () => {
          const { output } = await terminal(["--dir", dir, ...words], [], { cols: 200 });
          assert.doesNotMatch(output, RAW);
          if (words[0] !== "__complete") assert(output.length > 0);
        });
      }
    });
  },
});

Deno.test("in a pipe JSON and messages are as they are, tables are escaped", () =>
  inTemp(async (dir) => {
    const name = "e\u202egpj";
    await hostilePool(dir, name);
    const list = await cli(["pool", "list", "--json", "--dir", dir]);
    assert.equal(JSON.parse(list.stdout).pools[0].name, name);
    assert.match(list.stdout, RAW);
    const text = await cli(["pool", "list", "--dir", dir]);
    assert.doesNotMatch(text.stdout, RAW);
    const message = await cli(["fetch", name, "1", "--dir", dir]);
    assert.equal(JSON.parse(message.stdout).meta.tags[0], `t${name}`);
  }));

Deno.test("such names are refused wherever a pool can be created, and nothing is made", async (t) => {
  const refused = (error: unknown): boolean => PlasmiteError.is(error, ErrorKind.Usage);
  await t.step("command line", () =>
    inTemp(async (dir) => {
      const pools = `${dir}/pools`;
      for (const char of BAD) {
        const name = `x${char}y`;
        for (
          const words of [
            ["pool", "create", name],
            ["pool", "create", "good", name],
            ["pool", "create", `${dir}/${name}.plasmite`],
            ["pool", "create", `${dir}/${name}/p`],
            ["feed", name, "--create", "{}"],
            ["tap", name, "--create", "--", "true"],
          ].slice(0, char === "\u202e" ? 9 : 1)
        ) {
          const outcome = await cli(["--dir", pools, ...words]);
          assert.equal(outcome.code, ErrorKind.Usage, outcome.stderr);
          assert.match(String(errorOf(outcome)["hint"]), /U\+[0-9A-F]{4}/);
        }
      }
      const made = [...Deno.readDirSync(dir)].flatMap(({ name }) =>
        [...Deno.readDirSync(`${dir}/${name}`)].map((entry) => entry.name)
      );
      assert.deepEqual(made, []);
    }));
  await t.step("library", () =>
    inTemp(async (dir) => {
      using client = new Client(dir);
      await using made = new AsyncDisposableStack();
      for (const name of [...BAD.map((char) => `x${char}`), "x\ud800"]) {
        assert.throws(() => made.use(client.createPool(name)), refused);
        assert.throws(() => made.use(client.pool(name)), refused);
        assert.throws(() => made.use(client.createPool(`${dir}/${name}`)), refused);
      }
      // A half of a pair of surrogates would name another directory.
      using other = new Client(`${dir}/\ud800`);
      assert.throws(() => made.use(other.createPool("p")), refused);
      assert.deepEqual([...Deno.readDirSync(dir)], []);
    }));
  await t.step("server and agents", () =>
    inTemp(async (dir) => {
      await using server = serve({ dir });
      for (const name of ["x\u202ey", "x\u0085y", "x\ud800"]) {
        const post = (path: string, body: unknown): Promise<Response> =>
          fetch(`${server.url}${path}`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify(body),
          });
        const created = await post("/v0/pools", { pool: name });
        assert.equal(created.status, 400);
        assert.equal((await created.json()).error.kind, "Usage");
        await using client = server.client();
        await assert.rejects(client.createPool(name), refused);
      }
      const calls = ["plasmite_pool_create", "plasmite_feed"].map((tool, id) => ({
        jsonrpc: "2.0",
        id,
        method: "tools/call",
        params: {
          name: tool,
          arguments: tool === "plasmite_feed"
            ? { pool: "x\u202ey", data: {}, create: true }
            : { pool: "x\u202ey" },
        },
      }));
      const init = {
        jsonrpc: "2.0",
        id: "init",
        method: "initialize",
        params: {
          protocolVersion: "2025-06-18",
          capabilities: {},
          clientInfo: { name: "test", version: "1" },
        },
      };
      const stdin = [init, ...calls].map((call) => JSON.stringify(call) + "\n").join("");
      const { stdout } = await cli(["mcp", "--dir", dir], { stdin });
      const answers = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
      for (const { result } of answers.slice(1)) {
        assert.equal(result.isError, true);
        assert.equal(result.structuredContent.error_kind, "Usage");
      }
      assert.deepEqual([...Deno.readDirSync(dir)], []);
    }));
});

Deno.test("the command that is advised names the pool that was meant, in any shell", () =>
  inTemp(async (dir) => {
    await hostilePool(dir, "e\u202egpj");
    const { stderr } = await cli(["fetch", "e\u202egp", "1", "--dir", dir]);
    const hint = JSON.parse(stderr).error.hint;
    assert.doesNotMatch(hint, /pool create/);
    const advised = /Run `plasmite --dir \S+ (fetch .*? 1)`/.exec(hint)?.[1];
    assert(advised !== undefined, hint);
    const run = await shell(dir, `P ${advised}`);
    assert.equal(run.code, 0, run.stderr);
  }));
