/**
 * Completion, tried in the real shells: a line is typed, Tab is pressed, the answer is read.
 * Shells that are not installed are skipped, visibly.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Client } from "../lib/client/client.ts";
import { nodes } from "../lib/cli/completion.ts";
import { cli, command, exists, hasScript, inTemp, quote } from "./cli/cli_util.ts";

/** A directory with `plasmite` and `pls` in `bin`, the scripts, and pools in the home of its own. */
async function inHome(
  shell: string,
  body: (home: string, env: Record<string, string>) => Promise<void>,
): Promise<void> {
  await inTemp(async (home) => {
    Deno.mkdirSync(`${home}/bin`);
    for (const name of ["plasmite", "pls"]) {
      Deno.writeTextFileSync(`${home}/bin/${name}`, `#!/bin/sh\nexec ${command([])} "$@"\n`);
      Deno.chmodSync(`${home}/bin/${name}`, 0o755);
    }
    using client = new Client(`${home}/.plasmite/pools`);
    for (const name of ["alpha", "beta", "with space"]) client.createPool(name, 65536).close();
    using pool = client.openPool("alpha");
    pool.append({ n: 1 }, ["deploy", "prod"]);
    pool.append({ n: 2 }, ["debug", "key:unit", "key:lint"]);
    for (const name of ["mail", "backup"]) {
      const dir = `${home}/.plasmite/pools`;
      assert.equal((await cli(["--dir", dir, "cursor", "set", "alpha", name, "0"])).code, 0);
    }
    const { stdout } = await cli(["completion", shell]);
    Deno.writeTextFileSync(`${home}/_plasmite`, stdout);
    const env = {
      HOME: home,
      PATH: `${home}/bin:${Deno.env.get("PATH") ?? ""}`,
      TERM: "dumb",
    };
    await body(home, env);
  });
}

async function output(
  program: string,
  args: string[],
  options: { env: Record<string, string>; cwd: string },
): Promise<string> {
  const { stdout, stderr } = await new Deno.Command(program, { args, ...options, stdin: "null" })
    .output();
  const text = new TextDecoder();
  assert.equal(text.decode(stderr), "", `${program} complains`);
  return text.decode(stdout);
}

Deno.test("candidates: pools of the directory, tags of the newest messages, silence on trouble", () =>
  inHome("bash", async (home, env) => {
    const ask = (...args: string[]) => cli(["__complete", ...args], { env });
    assert.equal((await ask("pool")).stdout, "alpha\nbeta\nwith space\n");
    assert.equal((await ask("pool", "--dir", `${home}/bin`)).stdout, "");
    assert.equal((await ask("tag", "alpha")).stdout, "debug\ndeploy\nkey:lint\nkey:unit\nprod\n");
    assert.equal((await ask("key", "alpha")).stdout, "lint\nunit\n");
    assert.equal((await ask("cursor", "alpha")).stdout, "backup\nmail\n");
    assert.equal((await ask("group", "alpha")).stdout, "");
    for (const pool of ["beta", "nope", "http://h/x", ""]) {
      assert.deepEqual(await ask("tag", pool), { code: 0, stdout: "", stderr: "" }, pool);
    }
  }));

Deno.test("every script covers all commands and options and registers both names", async () => {
  for (const shell of ["bash", "zsh", "fish", "elvish", "powershell"]) {
    const { stdout, code } = await cli(["completion", shell, "--format", "json"]);
    assert.equal(code, 0);
    for (const { path, flags } of nodes()) {
      for (const word of path.split(" ")) assert(stdout.includes(word), `${shell}: ${path}`);
      for (const { name } of flags) assert(stdout.includes(name), `${shell}: --${name}`);
    }
    assert.match(stdout, /\bpls\b/);
  }
  assert.match((await cli(["completion", "bash"])).stdout, /^_plasmite\(\)/m);
  assert.match((await cli(["completion", "zsh"])).stdout, /^#compdef plasmite pls/);
  assert.match((await cli(["completion", "fish"])).stdout, /^complete .*plasmite/m);
});

/** What is typed, and what the shell must offer: exactly these words. */
const offers: [line: string, words: string[]][] = [
  ["plasmite po", ["pool"]],
  ["plasmite f", ["feed", "fetch", "follow"]],
  ["plasmite pool ", ["create", "delete", "info", "list", "set", "trim"]],
  ["plasmite pool info a", ["alpha"]],
  ["plasmite feed b", ["beta"]],
  ["pls fetch ", ["alpha", "beta", "with space"]],
  ["plasmite --dir /nonexistent fetch ", []],
  ["plasmite --color always feed alpha --cr", ["--create", "--create-size", "--creds"]],
  ["plasmite follow alpha --tag de", ["debug", "deploy"]],
  ["plasmite feed alpha -e ", ["skip", "stop"]],
  ["plasmite feed alpha -i y", ["yaml"]],
  ["plasmite feed -i jsonl b", ["beta"]],
  ["plasmite follow -i b", ["beta"]],
  ["plasmite feed alpha --key l", ["lint"]],
  ["plasmite claim alpha ", ["lint", "unit"]],
  ["plasmite claim alpha lint --as me u", ["unit"]],
  ["plasmite follow alpha --cursor ", ["backup", "mail"]],
  ["plasmite cursor set alpha m", ["mail"]],
  ["pls serve --access read-", ["read-only", "read-write"]],
  ["plasmite help pool c", ["create"]],
  ["plasmite completion z", ["zsh"]],
  ["plasmite pool create alp", []],
];

Deno.test({
  name: "bash: what the completion function offers",
  ignore: !await exists("bash"),
  fn: () =>
    inHome("bash", async (home, env) => {
      const ask = offers.map(([line]) => `ask ${JSON.stringify(line)}`).join("\n");
      Deno.writeTextFileSync(
        `${home}/ask.sh`,
        `source ${quote(`${home}/_plasmite`)}
ask() {
  read -ra COMP_WORDS <<< "$1"
  [[ $1 == *" " ]] && COMP_WORDS+=("")
  COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)) COMP_LINE=$1 COMP_POINT=\${#1}
  _plasmite
  (IFS='|'; echo "\${COMPREPLY[*]}")
}
${ask}
`,
      );
      const lines = (await output("bash", ["--norc", `${home}/ask.sh`], { env, cwd: home })).split(
        "\n",
      );
      for (const [i, [line, words]] of offers.entries()) {
        const found = (lines[i] ?? "").replaceAll("\\ ", " ").split("|").filter((w) => w !== "");
        assert.deepEqual(found.toSorted(), words, `bash: ${line}`);
      }
    }),
});

Deno.test({
  name: "bash: Tab on a terminal completes the line, = and spaces included",
  ignore: !hasScript || !await exists("bash"),
  fn: () =>
    inHome("bash", async (home, env) => {
      const screen = await type(["bash", "--norc", "--noprofile", "-i"], { env, cwd: home }, [
        "PS1='$ '; bind 'set bell-style none'; . ./_plasmite\n",
        "echo one: plasmite pool\n",
        "plasmite pool inf\tal\t--format=ya\t\x01echo two: \n",
        "pls pool info w\t\x01echo three: \n",
        "exit\n",
      ]);
      assert(screen.includes("two: plasmite pool info alpha --format=yaml\n"), screen);
      assert(screen.includes("three: pls pool info with space\n"), screen);
    }),
});

Deno.test({
  name: "fish: what its own engine offers",
  ignore: !await exists("fish"),
  fn: () =>
    inHome("fish", async (home, env) => {
      const more: typeof offers = [
        ["plasmite pool info --format=ya", ["--format=yaml"]],
        ["plasmite tap alpha -- plasmit", ["plasmite"]],
      ];
      const all = [...offers, ...more];
      const ask = all.map(([line]) =>
        `complete -C '${line}' | cut -f1 | string join '|'; echo ";"`
      );
      Deno.writeTextFileSync(
        `${home}/ask.fish`,
        `source ${quote(`${home}/_plasmite`)}\n${ask.join("\n")}\n`,
      );
      const answer = await output("fish", ["--no-config", `${home}/ask.fish`], { env, cwd: home });
      const blocks = answer.split(";\n");
      for (const [i, [line, words]] of all.entries()) {
        const found = (blocks[i] ?? "").trim().replaceAll("\\ ", " ").split("|").filter((w) =>
          w !== ""
        );
        assert.deepEqual(found.toSorted(), words, `fish: ${line}`);
      }
    }),
});

Deno.test({
  name: "zsh: Tab on a terminal completes the line",
  ignore: !hasScript || !await exists("zsh"),
  fn: () =>
    inHome("zsh", async (home, env) => {
      const screen = await type(["zsh", "-f", "-i"], { env, cwd: home }, [
        `unsetopt zle_bracketed_paste beep prompt_cr; PS1='$ '; fpath=(${quote(home)} $fpath); ` +
        `autoload -Uz compinit; compinit -u -d ${quote(home)}/dump; bindkey '^I' complete-word\n`,
        "echo one: plasmite pool\n",
        "plasmite pool inf\tal\t--format=ya\t\x01echo two: \n",
        "pls pool info w\t\x01echo three: \n",
        "plasmite follow alpha --tag deb\t\x01echo four: \n",
        "plasmite feed alpha -e sk\t\x01echo five: \n",
        "plasmite claim alpha li\t\x01echo six: \n",
        "plasmite follow alpha --cursor ba\t\x01echo seven: \n",
        "plasmite cursor set alpha ma\t\x01echo eight: \n",
        "exit\n",
      ]);
      assert(/two: plasmite pool info alpha --format=yaml ?\n/.test(screen), screen);
      assert(/three: pls pool info with space ?\n/.test(screen), screen);
      assert(/four: plasmite follow alpha --tag debug ?\n/.test(screen), screen);
      assert(/five: plasmite feed alpha -e skip ?\n/.test(screen), screen);
      assert(/six: plasmite claim alpha lint ?\n/.test(screen), screen);
      assert(/seven: plasmite follow alpha --cursor backup ?\n/.test(screen), screen);
      assert(/eight: plasmite cursor set alpha mail ?\n/.test(screen), screen);
    }),
});

/**
 * Types into a shell on a pseudo-terminal. Each Tab waits until the shell has answered all that was
 * typed before, which shows by the screen standing still.
 */
async function type(
  shell: string[],
  options: { env: Record<string, string>; cwd: string },
  keys: string[],
): Promise<string> {
  const child = new Deno.Command("script", {
    args: ["-qec", shell.join(" "), "/dev/null"],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
    ...options,
  }).spawn();
  let screen = "";
  const reading = (async () => {
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) screen += chunk;
  })();
  const writer = child.stdin.getWriter();
  const still = async (): Promise<void> => {
    for (let before = -1, quiet = 0; quiet < 3;) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      quiet = screen.length === before && before > 0 ? quiet + 1 : 0;
      before = screen.length;
    }
  };
  for (const line of keys) {
    for (const piece of line.split(/(?<=\t)/)) {
      await writer.write(new TextEncoder().encode(piece));
      await still();
    }
  }
  await writer.close().catch(() => {});
  await child.status;
  await reading;
  return screen.replaceAll("\r", "");
}
