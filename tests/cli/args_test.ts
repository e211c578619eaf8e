/**
 * The grammar of the command line (docs/spec/command-line.md 1.1, 1.10): what parses, and what each
 * mistake is answered with.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { parse, ParseProblem } from "../../lib/cli/args.ts";
import { CommandContext } from "../../lib/cli/context.ts";
import { explainMissing } from "../../lib/cli/missing.ts";
import { explain } from "../../lib/cli/usage.ts";
import { PlasmiteError } from "../../lib/errors.ts";
import { resolvePool } from "../../lib/backend/resolve.ts";

/** Message and hint of a line that must not parse. */
function mistake(...argv: string[]): { message: string; hint: string } {
  try {
    new CommandContext(parse(argv));
  } catch (error) {
    const failure = error instanceof ParseProblem ? explain(error, argv) : error;
    assert(failure instanceof PlasmiteError, String(error));
    assert.equal(failure.kindName, "Usage");
    assert(!failure.message.includes("\n") && !failure.hint?.includes("\n"), "one line each");
    return { message: failure.message, hint: failure.hint ?? "" };
  }
  assert.fail(`parsed: ${argv.join(" ")}`);
}

Deno.test("options take their value in every spelling, anywhere after the command", () => {
  for (const spelling of [["-n", "5"], ["-n5"], ["-n=5"], ["--tail", "5"], ["--tail=5"]]) {
    for (const argv of [["follow", "p", ...spelling], ["follow", ...spelling, "p"]]) {
      const parsed = parse(argv);
      assert.equal(parsed.name, "follow");
      assert.equal(parsed.args.count("tail"), 5, argv.join(" "));
      assert.equal(parsed.args.text("POOL"), "p");
    }
  }
  const repeated = parse(["feed", "p", "--tag", "a,b", "--tag=", "--tag", "c"]).args;
  assert.deepEqual(repeated.texts("tag"), ["a,b", "", "c"]);
  assert.equal(parse(["feed", "p", "--file", "-"]).args.text("file"), "-");
  assert.equal(parse(["follow", "p", "--replay=-1"]).args.float("replay"), -1);
  assert.equal(parse(["follow", "p", "--replay", "inf"]).args.float("replay"), Infinity);
  assert.equal(parse(["fetch", "p", "18446744073709551615"]).args.integer("SEQ"), 2n ** 64n - 1n);
  assert.equal(parse(["tap", "p", "-qh"]).action, "short-help");
});

Deno.test("-- ends options; behind it tap's words are its own", () => {
  const feed = parse(["feed", "p", "--", "-5"]);
  assert.equal(feed.args.text("DATA"), "-5");
  const tap = parse(["tap", "p", "--create", "--", "sh", "--dir", "x", "--format", "y", "---help"]);
  assert.equal(tap.action, "run");
  assert.equal(tap.globals.dir, undefined);
  assert.deepEqual(tap.args.texts("COMMAND"), ["sh", "--dir", "x", "--format", "y", "---help"]);
});

Deno.test("global options may be anywhere; the later level wins, --dir must agree", () => {
  const context = (...argv: string[]): CommandContext => new CommandContext(parse(argv));
  assert.equal(context("--dir", "x", "pool", "list").dirGiven, "x");
  assert.equal(context("pool", "--dir", "x", "list").dirGiven, "x");
  assert.equal(context("pool", "list", "--dir=x").dirGiven, "x");
  assert.equal(context("--format", "yaml", "pool", "list", "--format", "json").format, "json");
  assert.equal(context("--color", "never", "pool", "list", "--color", "always").color, "always");
  assert.equal(context("--dir", "x", "pool", "list", "--dir", "./x/").dirGiven, "./x/");
  const conflict = mistake("--dir", "x", "pool", "list", "--dir", "y");
  assert.equal(conflict.message, "conflicting --dir values select different pool directories");
  assert.match(conflict.hint, /one --dir/);
  assert.equal(context("--dir", "a", "mcp", "--dir", "b").dirGiven, "b");
  assert.equal(
    mistake("pool", "list", "--format", "json", "--format", "json").message,
    "the argument '--format <FORMAT>' cannot be used multiple times",
  );
});

Deno.test("--help, -h, -V and their three-dash forms win over what is missing", () => {
  assert.equal(parse(["follow", "--help"]).action, "help");
  assert.equal(parse(["follow", "-h"]).action, "short-help");
  assert.equal(parse(["follow", "---help"]).action, "help");
  assert.equal(parse(["---version"]).action, "version");
  assert.equal(parse(["pool", "create", "-V"]).action, "version");
  for (
    const argv of [["help", "pool", "create"], ["pool", "help", "create"], [
      "help",
      "pool",
      "create",
      "--format",
      "json",
    ]]
  ) {
    const parsed = parse(argv);
    assert.equal(parsed.action, "help");
    assert.equal(parsed.name, "pool create");
  }
});

Deno.test("commands without any argument ask for help, those that can run do", () => {
  const empty = ["", "pool", "pool create", "pool info", "pool delete", "feed", "fetch", "follow"];
  for (const line of [...empty, "tap", "duplex", "doctor", "completion"]) {
    assert.equal(parse(line.split(" ").filter((w) => w !== "")).action, "empty", line);
  }
  for (const line of ["pool list", "serve", "serve init", "serve check", "mcp", "version"]) {
    assert.equal(parse(line.split(" ")).action, "run", line);
  }
  assert.equal(parse(["serve", "--bind", "[::1]:0", "check"]).args.parent?.text("bind"), "[::1]:0");
});

const mistakes: [line: string, message: string, hint: RegExp][] = [
  ["follow p --tial 3", "unexpected argument '--tial' found", /'--tail'.*`plasmite follow --help`/],
  ["follow p q", "unexpected argument 'q' found", /plasmite follow --help/],
  ["feed p --bogus=1", "unexpected argument '--bogus' found", /plasmite feed --help/],
  ["follow p --replay -1", "unexpected argument '-1' found", /begins with a dash.*--replay=1/],
  ["tap p ls", "unexpected argument 'ls' found", /tap <POOL> -- <COMMAND>/],
  ["pol list", "unrecognized subcommand 'pol'", /plasmite pool.*`plasmite --help`/],
  ["pool lst", "unrecognized subcommand 'lst'", /`plasmite pool list`.*`plasmite pool --help`/],
  ["help pol", "unrecognized subcommand 'pol'", /pool/],
  ["serve chek", "unrecognized subcommand 'chek'", /serve check/],
  [
    "--color never",
    "'plasmite' requires a subcommand but one was not provided",
    /`plasmite --help`/,
  ],
  [
    "follow p --format jsn",
    "invalid value 'jsn' for '--format <FORMAT>'",
    /'json'.*pretty, json.*`plasmite --help`/,
  ],
  ["completion tcsh", "invalid value 'tcsh' for '<SHELL>'", /bash, elvish/],
  [
    "follow p --tail abc",
    "invalid value 'abc' for '--tail <TAIL>': invalid digit found in string",
    /--help/,
  ],
  ["fetch p -- -1", "invalid value '-1' for '<SEQ>': invalid digit found in string", /--help/],
  [
    "fetch p 18446744073709551616",
    "invalid value '18446744073709551616' for '<SEQ>': number too large to fit in target type",
    /--help/,
  ],
  [
    "follow p --replay=fast",
    "invalid value 'fast' for '--replay <REPLAY>': invalid float literal",
    /--help/,
  ],
  [
    "follow p --tail",
    "a value is required for '--tail <TAIL>' but none was supplied",
    /plasmite follow --help/,
  ],
  [
    "follow p --tail --one",
    "a value is required for '--tail <TAIL>' but none was supplied",
    /--help/,
  ],
  [
    "follow p --since 5m --tail 2",
    "the argument '--since <SINCE>' cannot be used with '--tail <TAIL>'",
    /--help/,
  ],
  [
    "follow p -n 2 --since 5m",
    "the argument '--tail <TAIL>' cannot be used with '--since <SINCE>'",
    /--help/,
  ],
  ["feed p {} -f x", "the argument '[DATA]' cannot be used with '--file <FILE>'", /--help/],
  ["follow p -n1 -n1", "the argument '--tail <TAIL>' cannot be used multiple times", /--help/],
  ["follow p --one --one", "the argument '--one' cannot be used multiple times", /--help/],
  [
    "follow p --one=yes",
    "unexpected value 'yes' for '--one' found; no more were expected",
    /--help/,
  ],
  [
    "follow --one",
    "the following required arguments were not provided: <POOL>",
    /pool ref.*plasmite follow chat -n 1.*--help/,
  ],
  ["fetch p", "the following required arguments were not provided: <SEQ>", /plasmite fetch --help/],
  ["follow p --jsonl --format json", "conflicting output options", /--format jsonl.*--jsonl/],
  ["pool list --json --yaml", "conflicting output options", /--json/],
  ["pool list --format lite3", "binary output requires a message command", /--format json/],
  ["mcp --format lite3-raw", "binary output requires a message command", /--format json/],
  [
    "follow p --format lite3-raw",
    "follow does not support --format lite3-raw",
    /--format lite3/,
  ],
  ["feed p --format lite3-raw", "raw Lite3 output requires fetch", /--format lite3/],
  ["feed p --format line", "line output requires follow or duplex", /--format json/],
  ["serve --udp", "unexpected argument '--udp' found", /UDP is not offered/],
];

for (const [line, message, hint] of mistakes) {
  Deno.test(`mistake: plasmite ${line}`, () => {
    const found = mistake(...line.split(" "));
    assert.equal(found.message, message);
    assert.match(found.hint, hint);
  });
}

Deno.test("no line of words crashes the parser", () => {
  const word = fc.oneof(
    fc.constantFrom("pool", "create", "feed", "follow", "serve", "help", "--", "-", "-n", "--tail"),
    fc.constantFrom("--dir", "--format=json", "-hV", "constructor", "__proto__", "", "-\u{1F600}"),
    fc.string({ maxLength: 6 }).map((s) => `--${s}`),
    fc.string({ maxLength: 6 }),
  );
  fc.assert(fc.property(fc.array(word, { maxLength: 8 }), (argv) => {
    try {
      parse(argv);
    } catch (error) {
      if (!(error instanceof ParseProblem)) throw error;
      assert.match(explain(error, argv).hint ?? "", /--help`/);
    }
  }));
});

const badRefs: [ref: string, message: string, hint: RegExp][] = [
  ["tcp://h/p", "remote pool ref must use http or https scheme", /http\(s\):\/\/host:port\/<pool>/],
  ["HTTP://h/p", "remote pool ref must use http or https scheme", /http\(s\)/],
  ["udp://h/p", "remote pool ref must use http or https scheme", /UDP.*http\(s\)/],
  ["http://", "invalid remote pool ref", /http\(s\)/],
  ["http://h/p?x=1", "remote pool ref must not include query or fragment", /http\(s\)/],
  ["http://h/p#", "remote pool ref must not include query or fragment", /http\(s\)/],
  ["http://h/a%2Fb", "remote pool name must not contain path separators", /http\(s\)/],
  ["http://h", "remote pool ref must use shorthand http(s)://host:port/<pool>", /API-shaped/],
  ["http://h/p/", "remote pool ref must use shorthand http(s)://host:port/<pool>", /API-shaped/],
  ["http://h/pool", "remote pool ref must use shorthand http(s)://host:port/<pool>", /API-shaped/],
  [
    "http://h/v0/pools/p/append",
    "remote pool ref must use shorthand http(s)://host:port/<pool>",
    /A/,
  ],
];

for (const [ref, message, hint] of badRefs) {
  Deno.test(`reference refused: ${ref}`, async () => {
    await assert.rejects(() => resolvePool(ref, { dir: "d" }), (error) => {
      assert(error instanceof PlasmiteError);
      assert.equal(error.message, message);
      assert.match(error.hint ?? "", hint);
      return true;
    });
  });
}

Deno.test("references: paths as given, names in the directory, URLs with decoded names", async () => {
  const path = async (ref: string): Promise<string> => {
    const { isRemote, name, path } = await resolvePool(ref, { dir: "d" });
    return isRemote ? `${path.slice(0, -name.length - 1)} ${name}` : path;
  };
  assert.equal(await path("demo"), "d/demo.plasmite");
  assert.equal(await path("demo.plasmite"), "d/demo.plasmite");
  assert.equal(await path("./demo"), "./demo");
  assert.equal(await path("größe 1"), "d/größe 1.plasmite");
  assert.equal(await path("http://h/my%20pool"), "http://h my pool");
  assert.equal(await path("https://[::1]:9700/p"), "https://[::1]:9700 p");
  for (const bad of ["", "a\0b", "a\nb"]) {
    await assert.rejects(() => path(bad), PlasmiteError);
  }
});

/** The hint for a pool that is not there, on that command line. */
async function missing(...argv: string[]): Promise<string> {
  const context = new CommandContext(parse(argv));
  const name = context.args.text("POOL") ?? context.args.required("NAME");
  const ref = await resolvePool(name, context);
  const error = explainMissing(new PlasmiteError("NotFound", "not found"), context, ref);
  assert(error instanceof PlasmiteError);
  return error.hint ?? "";
}

Deno.test("a missing pool is answered with the exact command that works", async () => {
  assert.match(
    await missing(
      "feed",
      "p",
      '{"a":1}',
      "--tag",
      "x",
      "--tag",
      "y z",
      "--retry",
      "2",
      "-e",
      "skip",
    ),
    /exact command is: plasmite feed p --create --tag x --tag "y z" "\{\\"a\\":1\}" --retry 2 --errors skip /,
  );
  assert.match(
    await missing(
      "follow",
      "p",
      "--where",
      ".data.a",
      "--one",
      "-n5",
      "--format",
      "json",
      "--replay=-0",
    ),
    /exact command is: plasmite follow p --create --tail 5 --one --format json --where \.data\.a --replay=-0 /,
  );
  assert.match(
    await missing("--dir", "d e", "duplex", "p", "--me", "bob"),
    /exact command is: plasmite --dir "d e" duplex p --create --me bob /,
  );
  assert.match(await missing("tap", "p", "--", "x"), /--create.*plasmite pool create p/);
  assert.match(await missing("fetch", "p", "1"), /`plasmite pool create p`.*--dir/);
  assert.match(await missing("feed", "./p", "{}"), /Pool path not found.*--dir/);
  assert.match(await missing("feed", "http://h/p", "{}"), /Pool path not found.*--dir/);
  assert.match(await missing("doctor", "p"), /`plasmite pool list`/);
});
