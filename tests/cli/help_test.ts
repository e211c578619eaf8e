/**
 * The command table and the pages made from it.
 *
 * @module
 */

import assert from "node:assert/strict";
import { ErrorKind } from "../../lib/errors.ts";
import { nodes, spellings } from "../../lib/cli/completion.ts";
import { helpText } from "../../lib/cli/help.ts";
import { parse } from "../../lib/cli/args.ts";
import { cli, command, exists } from "./cli_util.ts";

Deno.test("the table holds together", () => {
  // One letter that is older here than the other meaning there; completion knows both.
  const other = "-i";
  const kinds = new Map<string, boolean>();
  for (const { path, flags, args } of nodes()) {
    const names = flags.flatMap(spellings);
    const own = names.filter((name, i) => names.indexOf(name) !== i);
    assert.deepEqual(own, [], `${path}: option defined twice`);
    for (const flag of flags) {
      // The completion scripts walk a line knowing only which words take a value.
      for (const name of spellings(flag).filter((name) => name !== other)) {
        const valued = flag.value !== undefined;
        assert.equal(
          kinds.get(name) ?? valued,
          valued,
          `${name} is a switch here, an option there`,
        );
        kinds.set(name, valued);
      }
      for (const other of flag.conflicts ?? []) {
        const known = [...flags, ...args].some((one) => one.name === other);
        assert(known, `${path} --${flag.name} conflicts with unknown ${other}`);
      }
      assert(!flag.help.endsWith("."), `${path} --${flag.name}: help is one phrase`);
    }
  }
});

Deno.test("every page names all options of its command and says what it is for", async () => {
  for (const { path, spec, flags } of nodes()) {
    // `help` answers with the page of what follows, by itself with that of the program.
    if (path === "help") continue;
    const { at } = parse([...path.split(" ").filter((word) => word !== ""), "--help"]);
    for (const length of ["short", "long"] as const) {
      const page = await helpText(at, length);
      assert(page.startsWith(`${spec.about}.\n`), path);
      for (const name of flags.flatMap(spellings)) {
        assert(page.includes(name), `${path} ${length}: ${name}`);
      }
      if (path !== "") assert(page.includes(`\nUsage: plasmite ${path}`), path);
      for (const line of page.split("\n")) {
        assert(line.length <= 101, `too wide: ${line}`);
        assert.equal(line, line.trimEnd());
      }
      // deno-lint-ignore no-control-regex
      assert(!/[\x00-\x09\x0b-\x1f]/.test(page), "plain text");
    }
  }
});

Deno.test("root help has its sections in order and one command per line", async () => {
  const { stdout, code, stderr } = await cli(["--help"]);
  assert.equal(code, 0);
  assert.equal(stderr, "");
  const headings = stdout.split("\n").filter((line) => /^[A-Z][A-Z ]+$/.test(line));
  assert.deepEqual(headings, [
    "USAGE",
    "COMMANDS",
    "OPTIONS",
    "FIRST LOCAL WORKFLOW",
    "OUTPUT",
    "OPTIONS AND HELP",
    "GUIDES",
  ]);
  const block = stdout.split("COMMANDS\n")[1]?.split("\n\n")[0] ?? "";
  const commands = block.split("\n").map((line) => line.trim().split(" ")[0]);
  assert.deepEqual(
    commands.join(" "),
    "pool feed serve access mcp fetch follow latest claim renew release cursor work export import " +
      "tap duplex copy top doctor version completion help",
  );
});

Deno.test("the first screen of help fits a terminal of 80 by 40", async () => {
  const { stdout, code } = await cli(["-h"]);
  assert.equal(code, 0);
  const lines = stdout.trimEnd().split("\n");
  assert.ok(lines.length <= 40, `${lines.length} lines`);
  assert.deepEqual(lines.filter((line) => line.length > 80), []);
  const names = (text: string): string[] =>
    [...(text.split("COMMANDS\n")[1] ?? "").split("\n\n")[0]?.matchAll(/^ {2}(\S+)/gm) ?? []]
      .map(([, name = ""]) => name);
  assert.deepEqual(names(stdout), names((await cli(["--help"])).stdout));
  const bold = (await cli(["--color", "always", "-h"])).stdout;
  assert.ok(bold.includes("\x1b[1mCOMMANDS\x1b[0m\n"));
  // deno-lint-ignore no-control-regex
  assert.equal(bold.replaceAll(/\x1b\[\d+m/g, ""), stdout);
});

Deno.test("without arguments help goes to stderr with exit 2", async () => {
  for (const words of [[], ["pool"], ["pool", "create"], ["follow"], ["doctor"]]) {
    const { code, stdout, stderr } = await cli(words);
    assert.equal(code, ErrorKind.Usage);
    assert.equal(stdout, "");
    assert(stderr.includes(["Usage: plasmite", ...words].join(" ")), stderr);
  }
});

Deno.test("-h is short, --help and help CMD are long, on stdout", async () => {
  const short = await cli(["follow", "-h"]);
  const long = await cli(["follow", "--help"]);
  const topic = await cli(["help", "follow", "--format", "json"]);
  assert.deepEqual([short.code, long.code, topic.code], [0, 0, 0]);
  assert.equal(long.stdout, topic.stdout);
  assert(long.stdout.includes("\nEXAMPLES\n") && !short.stdout.includes("\nEXAMPLES\n"));
});

Deno.test("version: JSON in a pipe, text on request, plain for --version everywhere", async () => {
  const document = JSON.parse((await cli(["version"])).stdout);
  assert.deepEqual(Object.keys(document), ["name", "version"]);
  assert.equal(document.name, "plasmite");
  const plain = `plasmite ${document.version}\n`;
  assert.equal((await cli(["version", "--format", "pretty"])).stdout, plain);
  assert.equal((await cli(["feed", "-V", "--format", "yaml"])).stdout, plain);
  assert.equal(
    (await cli(["version", "--yaml"])).stdout,
    `---\nname: 'plasmite'\nversion: '${document.version}'\n...\n`,
  );
  const colored = await cli(["version", "--color", "always"]);
  assert(colored.stdout.startsWith('\x1b[39m{\x1b[0m\n  \x1b[36m"name"\x1b[0m'), "indented");
});

Deno.test("the manual page names every command and option", async () => {
  const { stdout, code } = await cli(["help", "--man"]);
  assert.equal(code, 0);
  assert(stdout.startsWith(".TH PLASMITE 1 "));
  const plain = stdout.replaceAll("\\-", "-");
  for (const { path, flags, commands, spec } of nodes()) {
    if (path !== "" && (spec.runs || commands.length === 0)) {
      assert(plain.includes(`.SS "plasmite ${path}`), path);
    }
    for (const name of flags.flatMap(spellings)) assert(plain.includes(name), `${path} ${name}`);
  }
});

Deno.test({
  name: "pls without arguments is pls --help, plasmite is a mistake",
  ignore: Deno.build.os === "windows" || !await exists("bash"),
  fn: async () => {
    const { stdout: help } = await cli(["--help"]);
    for (const [name, expected] of [["/x/pls", [0, help]], ["/x/plasmite", [2, ""]]] as const) {
      const line = `exec -a ${name} ${command([])}`;
      const { code, stdout } = await new Deno.Command("bash", { args: ["-c", line] }).output();
      assert.deepEqual([code, new TextDecoder().decode(stdout)], expected);
    }
  },
});
