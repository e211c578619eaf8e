/**
 * The documents tell the truth: every shell block of the cookbook runs and prints what the page
 * says, every TypeScript block of README and docs type-checks and runs, every link leads somewhere.
 *
 * @module
 */

import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { parse } from "../../lib/cli/args.ts";
import { command, exists, inTemp } from "../cli/cli_util.ts";
import { ROOT } from "../support/paths.ts";

const PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "docs/pi/README.md"]
  .concat(
    [...Deno.readDirSync(`${ROOT}docs`)]
      .filter(({ name }) => name.endsWith(".md"))
      .map(({ name }) => `docs/${name}`),
  );

/** A fenced block: its language, its text, the heading it stands under. */
interface Block {
  readonly language: string;
  readonly text: string;
  readonly heading: string;
  readonly line: number;
}

/** The fenced blocks of a page, in order. */
function blocksOf(page: string): Block[] {
  const blocks: Block[] = [];
  let heading = "";
  let open: { language: string; line: number; text: string[] } | null = null;
  for (const [index, line] of Deno.readTextFileSync(ROOT + page).split("\n").entries()) {
    const fence = /^```(\w*)/.exec(line);
    if (open !== null && fence !== null) {
      blocks.push({ ...open, text: `${open.text.join("\n")}\n`, heading });
      open = null;
    } else if (fence !== null) open = { language: fence[1] ?? "", line: index + 1, text: [] };
    else if (open !== null) open.text.push(line);
    else if (line.startsWith("#")) heading = line.replace(/^#+ /, "");
  }
  assert.equal(open, null, `${page}: a fence is not closed`);
  return blocks;
}

/** Whether `text` is what `pattern` says, with `…` for anything. */
function fits(text: string, pattern: string): boolean {
  const parts = pattern.trim().split("…").map((part) =>
    part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")
  );
  return new RegExp(`^${parts.join("[^]*")}$`).test(text.trim());
}

/** Runs a program in `dir`, which is also its home. */
async function run(
  program: string,
  args: string[],
  dir: string,
  path = "",
): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd: dir,
    env: { HOME: dir, NO_COLOR: "1", PATH: `${path}${Deno.env.get("PATH")}` },
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  return { code, out: text.decode(stdout), err: text.decode(stderr) };
}

/** Puts `pls` and `plasmite` into `dir`/bin. */
async function programs(dir: string): Promise<string> {
  await Deno.mkdir(`${dir}/bin`);
  for (const name of ["pls", "plasmite"]) {
    const script = `#!/bin/sh\nexec ${command([])} "$@"\n`;
    await Deno.writeTextFile(`${dir}/bin/${name}`, script, { mode: 0o755 });
  }
  return `${dir}/bin:`;
}

/** Pages of recipes: every shell block runs, and prints what the `text` block below it says. */
const RECIPES = ["docs/cookbook.md", "docs/working-together.md"];

for (const page of RECIPES) {
  Deno.test(`${page}: every shell block runs and prints what the page says`, async (t) => {
    const hasBash = await exists("bash");
    const blocks = blocksOf(page);
    for (const [index, block] of blocks.entries()) {
      if (block.language !== "sh") continue;
      const next = blocks[index + 1];
      const expected = next?.language === "text" && next.heading === block.heading ? next.text : "";
      // Blocks under one heading share a home, as they do for the reader.
      const before = blocks.slice(0, index)
        .filter(({ language, heading }) => language === "sh" && heading === block.heading);
      await t.step({
        name: `${block.heading}, line ${block.line}`,
        ignore: !hasBash,
        fn: () =>
          inTemp(async (dir) => {
            const path = await programs(dir);
            for (const { text } of before) await run("bash", ["-ec", text], dir, path);
            const { code, out, err } = await run("bash", ["-ec", block.text], dir, path);
            assert.equal(code, 0, `${out}\n${err}`);
            assert.ok(fits(out, expected), `printed:\n${out}\nexpected:\n${expected}\n${err}`);
          }),
      });
    }
  });
}

/** The words of the `pls` and `plasmite` commands in a shell block, as a shell would split them. */
function commandsOf(block: string): string[][] {
  const commands: string[][] = [];
  for (const line of block.replaceAll("\\\n", " ").split("\n")) {
    const words: string[] = [];
    let open = false; // Whether `words` is a command of ours that is still being read.
    for (const [word] of line.matchAll(/(?:'[^']*'|"(?:\\.|[^"\\])*"|[^\s'"])+/g)) {
      if (/^(#|[|;]|\d?>|<|&)/.test(word)) {
        if (open) commands.push(words.splice(0));
        open = false;
        if (word.startsWith("#")) break;
      } else if (open) words.push(word.replaceAll(/^'|'$|^"|"$/g, ""));
      else open = word === "pls" || word === "plasmite";
    }
    if (open) commands.push(words);
  }
  return commands;
}

Deno.test("README and docs: every command line is one that the parser takes", () => {
  let parsed = 0;
  for (const page of PAGES) {
    for (const { language, text, line } of blocksOf(page)) {
      if (language !== "sh") continue;
      for (const words of commandsOf(text)) {
        parsed++;
        assert.doesNotThrow(() => parse(words), `${page}:${line}: ${words.join(" ")}`);
      }
    }
  }
  assert.ok(parsed > 50, `${parsed} commands found`);
  assert.throws(() => parse(commandsOf("pls feed p --wrong | jq .")[0] ?? []));
});

Deno.test("README and docs: every TypeScript block type-checks and runs", async () => {
  await inTemp(async (dir) => {
    const config = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));
    for (const [name, file] of Object.entries<string>(config.exports)) {
      config.imports[`@plasmite/core${name.slice(1)}`] = new URL(file, pathToFileURL(ROOT)).href;
    }
    const { imports, compilerOptions } = config;
    await Deno.writeTextFile(`${dir}/deno.json`, JSON.stringify({ imports, compilerOptions }));
    const files: string[] = [];
    for (const page of PAGES) {
      for (const { language, text, line } of blocksOf(page)) {
        if (language !== "ts") continue;
        const file = `${page.replaceAll("/", "_")}_${line}.ts`;
        await Deno.writeTextFile(`${dir}/${file}`, text.replaceAll("jsr:@plasmite", "@plasmite"));
        files.push(file);
      }
    }
    assert.ok(files.length >= 6, "the blocks were found");
    const check = await run(Deno.execPath(), ["check", "--quiet", "--no-lock", ...files], dir);
    assert.equal(check.code, 0, check.err);
    await Deno.mkdir(`${dir}/home`);
    for (const file of files) {
      const args = ["run", "-A", "--quiet", "--no-lock", "--no-check", `${dir}/${file}`];
      const { code, err } = await run(Deno.execPath(), args, `${dir}/home`);
      assert.equal(code, 0, `${file}: ${err}`);
    }
  });
});

Deno.test("README and docs: every link between files leads to a file", () => {
  let links = 0;
  for (const page of PAGES) {
    const text = Deno.readTextFileSync(ROOT + page);
    for (const [, target = ""] of text.matchAll(/\]\(([^)#]+)[^)]*\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const url = new URL(target, pathToFileURL(ROOT + page));
      assert.ok(Deno.statSync(url).isFile, `${page}: ${target}`);
      links++;
    }
  }
  assert.ok(links > 10);
});

Deno.test("README and docs: every file they name is there", () => {
  let named = 0;
  for (const page of PAGES) {
    const text = Deno.readTextFileSync(ROOT + page);
    for (
      const [, file = ""] of text.matchAll(/`((?:[\w.-]+\/)+[\w.-]+\.(?:ts|md|sh|yml|json))`/g)
    ) {
      assert.ok(Deno.statSync(ROOT + file).isFile, `${page}: ${file}`);
      named++;
    }
  }
  assert.ok(named > 10, `${named} files named`);
});

Deno.test("README: the commands it names are tasks and files that exist", () => {
  const { tasks } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
  for (const page of PAGES) {
    const text = Deno.readTextFileSync(ROOT + page);
    for (const [, name = ""] of text.matchAll(/(?:deno(?:@[\d.]+)? task|`task) ([a-z][\w:-]*)/g)) {
      assert.ok(name in tasks, `${page}: there is no task ${name}`);
    }
  }
});
