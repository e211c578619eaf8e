/**
 * What a person does wrong in the first hour, row by row: each mistake is answered in one line, with
 * a command that works. The command is taken out of the hint and run as a shell would run it.
 *
 * @module
 */

import assert from "node:assert/strict";
import { ErrorKind } from "../../lib/errors.ts";
import { token } from "../../lib/cli/words.ts";
import { Client } from "../../lib/client/client.ts";
import { errorOf, hasScript, inTemp, onTerminal, type Outcome, shell } from "./cli_util.ts";

/** One mistake, made where the pools `events` (three messages) and `builds` (none) are. */
interface Row {
  readonly says: string;
  /** A shell line. */
  readonly line: string;
  /** The exit code. */
  readonly code: number;
  readonly message: string;
  /** What the hint says, besides. */
  readonly hint?: RegExp;
  /** What the hint comes to, where it holds no whole command (or one that would go on forever). */
  readonly works?: string;
}

const JQ = "invalid filter expression";

const rows: readonly Row[] = [
  // Pools.
  {
    says: "no such pool: feed",
    line: `plasmite feed logs '{"say":"it'\\''s $5"}'`,
    code: ErrorKind.NotFound,
    message: "not found",
    hint: /^To create it, the exact command is: plasmite feed logs --create /,
  },
  {
    says: "no such pool: follow",
    line: "plasmite follow logs --no-follow",
    code: ErrorKind.NotFound,
    message: "not found",
    hint: /exact command is: plasmite follow logs --create --no-follow /,
  },
  {
    says: "no such pool: feed of what shells treat specially",
    line: String.raw`plasmite feed logs "$(printf '{"a":"b!",\n"d":"it\047s $5"}')"`,
    code: ErrorKind.NotFound,
    message: "not found",
    hint: /exact command is: plasmite feed logs --create \$'/,
  },
  {
    says: "no such pool: fetch",
    line: "plasmite fetch logs 1",
    code: ErrorKind.NotFound,
    message: "not found",
  },
  {
    says: "no such pool: info",
    line: "plasmite pool info logs",
    code: ErrorKind.NotFound,
    message: "not found",
  },
  {
    says: "no such pool: tap",
    line: "plasmite tap logs -- true",
    code: ErrorKind.NotFound,
    message: "not found",
    hint: /Add --create/,
    works: "plasmite tap logs --create -- true",
  },
  {
    says: "no such pool: doctor",
    line: "plasmite doctor logs",
    code: ErrorKind.NotFound,
    message: "not found",
    hint: /`plasmite pool list`/,
  },
  {
    says: "a slip in the name: feed",
    line: `plasmite feed evnts --tag a '{"x":1}'`,
    code: ErrorKind.NotFound,
    message: "not found",
    hint: /^Did you mean 'events'\? .*To create it, the exact command is/,
  },
  {
    says: "a slip in the name: follow",
    line: "plasmite follow event --tail 2 --no-follow",
    code: ErrorKind.NotFound,
    message: "not found",
    hint: /`plasmite follow events --tail 2 --no-follow`/,
  },
  {
    says: "a slip in the name: fetch",
    line: "plasmite fetch evnets 2",
    code: ErrorKind.NotFound,
    message: "not found",
    hint: /`plasmite fetch events 2`/,
  },
  {
    says: "a slip in the name: info, in another directory",
    line: "plasmite --dir .plasmite/pools pool info bilds",
    code: ErrorKind.NotFound,
    message: "not found",
    hint: /`plasmite --dir \.plasmite\/pools pool info builds`/,
  },
  {
    says: "a slip in the name: tap",
    line: "plasmite tap bulds --tag ci -- sh -c 'exit 0'",
    code: ErrorKind.NotFound,
    message: "not found",
    hint: /^Did you mean 'builds'\? Add --create/,
  },
  {
    says: "a slip in the name: doctor",
    line: "plasmite doctor Events",
    code: ErrorKind.NotFound,
    message: "not found",
    hint: /`plasmite doctor events`/,
  },
  {
    says: "a path to no pool",
    line: "plasmite follow ./events --no-follow",
    code: ErrorKind.NotFound,
    message: "not found",
    hint: /Check the path/,
    works: "plasmite follow .plasmite/pools/events.plasmite --no-follow",
  },
  {
    says: "a pool that is there already",
    line: "plasmite pool create events",
    code: ErrorKind.AlreadyExists,
    message: "pool already exists",
    hint: /different name/,
  },
  {
    says: "no such message",
    line: "plasmite fetch events 99",
    code: ErrorKind.NotFound,
    message: "message not found",
  },
  {
    says: "two pools where one is due",
    line: "plasmite follow events builds --no-follow",
    code: ErrorKind.Usage,
    message: "unexpected argument 'builds' found",
    hint: /One pool at a time.*`plasmite follow events --no-follow`/,
  },
  {
    says: "a pool and --all",
    line: "plasmite doctor events --all",
    code: ErrorKind.Usage,
    message: "--all cannot be combined with a pool name",
    hint: /--all by itself/,
    works: "plasmite doctor --all",
  },
  {
    says: "doctor without a pool",
    line: "plasmite doctor --json",
    code: ErrorKind.Usage,
    message: "doctor requires a pool name or --all",
  },
  {
    says: "follow without a pool",
    line: "plasmite follow --one",
    code: ErrorKind.Usage,
    message: "the following required arguments were not provided: <POOL>",
    hint: /plasmite follow chat -n 1/,
    works: "plasmite follow events -n 1 --one",
  },
  {
    says: "a message without its number",
    line: "plasmite fetch events",
    code: ErrorKind.Usage,
    message: "the following required arguments were not provided: <SEQ>",
    hint: /`plasmite fetch events 1`/,
  },
  {
    says: "a file where the directory should be",
    line: "touch f; plasmite --dir f pool create new",
    code: ErrorKind.Io,
    message: "failed to create pool directory",
    hint: /another directory/,
    works: "plasmite --dir d pool create new",
  },
  {
    says: "a pool below a file",
    line: "touch f; plasmite --dir f feed new '{}'",
    code: ErrorKind.Io,
    message: "i/o error",
    hint: /another directory/,
    works: "plasmite --dir d feed new --create '{}'",
  },
  {
    says: "every pool of no directory",
    line: "plasmite --dir none doctor --all",
    code: ErrorKind.NotFound,
    message: "failed to read pool directory",
    works: "plasmite doctor --all",
  },
  // Words.
  {
    says: "a slip in a flag",
    line: `plasmite feed new --creat '{"x":1}'`,
    code: ErrorKind.Usage,
    message: "unexpected argument '--creat' found",
    hint: /Did you mean '--create'\?/,
  },
  {
    says: "a slip in a flag with its value",
    line: "plasmite follow events --tial=1 --no-follow",
    code: ErrorKind.Usage,
    message: "unexpected argument '--tial' found",
    hint: /`plasmite follow events --tail=1 --no-follow`/,
  },
  {
    says: "a slip in a command",
    line: "plasmite fecth events 1",
    code: ErrorKind.Usage,
    message: "unrecognized subcommand 'fecth'",
    hint: /`plasmite fetch events 1`/,
  },
  {
    says: "a slip in a command of a command",
    line: "plasmite pool ls",
    code: ErrorKind.Usage,
    message: "unrecognized subcommand 'ls'",
    hint: /`plasmite pool list`/,
  },
  {
    says: "the name another program has for it",
    line: "plasmite tail events -n 1 --no-follow",
    code: ErrorKind.Usage,
    message: "unrecognized subcommand 'tail'",
    hint: /`plasmite follow events -n 1 --no-follow`/,
  },
  {
    says: "no such command at all",
    line: "plasmite frobnicate",
    code: ErrorKind.Usage,
    message: "unrecognized subcommand 'frobnicate'",
    hint: /Commands: pool, feed/,
    works: "plasmite pool list",
  },
  {
    says: "a slip in a value",
    line: `plasmite feed events --in jsnol '{"x":1}'`,
    code: ErrorKind.Usage,
    message: "invalid value 'jsnol' for '--in <IN>'",
    hint: /Did you mean 'jsonl'\? Possible values: auto, /,
  },
  {
    says: "an unknown format",
    line: "plasmite follow events --format xml --no-follow",
    code: ErrorKind.Usage,
    message: "invalid value 'xml' for '--format <FORMAT>'",
    hint: /Possible values: pretty, json/,
  },
  {
    says: "completion for an unknown shell",
    line: "plasmite completion tcsh",
    code: ErrorKind.Usage,
    message: "invalid value 'tcsh' for '<SHELL>'",
    hint: /Possible values: bash, /,
  },
  {
    says: "a word for a number",
    line: "plasmite follow events -nall --no-follow",
    code: ErrorKind.Usage,
    message: "invalid value 'all' for '--tail <TAIL>': invalid digit found in string",
    hint: /`plasmite follow events -n1 --no-follow`/,
  },
  {
    says: "a flag without its value",
    line: "plasmite follow events --no-follow --tag",
    code: ErrorKind.Usage,
    message: "a value is required for '--tag <TAG>' but none was supplied",
    hint: /`plasmite follow events --no-follow --tag build`/,
  },
  {
    says: "a negative value",
    line: `plasmite feed events --tag -1 '{"x":1}'`,
    code: ErrorKind.Usage,
    message: "unexpected argument '-1' found",
    hint: /--tag=-1/,
  },
  {
    says: "two options that exclude each other",
    line: "plasmite follow events --tail 2 --since 5m --no-follow",
    code: ErrorKind.Usage,
    message: "the argument '--tail <TAIL>' cannot be used with '--since <SINCE>'",
    hint: /only one of them.*`plasmite follow events --tail 2 --no-follow`/,
  },
  {
    says: "an option twice",
    line: "plasmite follow events -n 1 -n 2 --no-follow",
    code: ErrorKind.Usage,
    message: "the argument '--tail <TAIL>' cannot be used multiple times",
    hint: /`plasmite follow events -n 1 --no-follow`/,
  },
  {
    says: "two output formats",
    line: "plasmite follow events --no-follow --jsonl --json",
    code: ErrorKind.Usage,
    message: "conflicting output options",
    hint: /Use one of/,
    works: "plasmite follow events --no-follow --jsonl",
  },
  {
    says: "a word too many",
    line: "plasmite version 2",
    code: ErrorKind.Usage,
    message: "unexpected argument '2' found",
    hint: /`plasmite version`/,
  },
  {
    says: "tap without --",
    line: "plasmite tap builds echo hi",
    code: ErrorKind.Usage,
    message: "unexpected argument 'echo' found",
    hint: /`plasmite tap builds -- echo hi`/,
  },
  {
    says: "tap without a command",
    line: "plasmite tap builds --",
    code: ErrorKind.Usage,
    message: "tap requires a wrapped command after `--`",
    hint: /plasmite tap <pool> -- <command...>/,
    works: "plasmite tap builds -- true",
  },
  {
    says: "tap of no such program",
    line: "plasmite tap builds -- nosuchprogram",
    code: ErrorKind.Usage,
    message: "wrapped command not found: nosuchprogram",
    hint: /absolute executable path/,
    works: "plasmite tap builds -- /bin/sh -c true",
  },
  // Values and data.
  {
    says: "half a JSON object",
    line: `plasmite feed events '{"x":1'`,
    code: ErrorKind.Usage,
    message: "invalid json",
    hint: /single JSON value/,
    works: `plasmite feed events '{"x": 1}'`,
  },
  {
    says: "JSON that lost its quotes to the shell",
    line: `plasmite feed events {x:1}`,
    code: ErrorKind.Usage,
    message: "invalid json",
    hint: /'\{"x": 1\}'/,
    works: `plasmite feed events '{"x": 1}'`,
  },
  {
    says: "JSON in pieces",
    line: `plasmite feed events {"x": 1}`,
    code: ErrorKind.Usage,
    message: "unexpected argument '1}' found",
    hint: /Quote JSON with spaces/,
    works: `plasmite feed events '{"x": 1}'`,
  },
  {
    says: "no object",
    line: "plasmite feed events 42",
    code: ErrorKind.Usage,
    message: "data must be object",
    hint: /\{"value": 42\}/,
    works: `plasmite feed events '{"value": 42}'`,
  },
  {
    says: "bad JSON in a pipe",
    line: "echo hello | plasmite feed events",
    code: ErrorKind.Usage,
    message: "invalid json input",
    hint: /-e skip/,
    works: `echo '{"text":"hello"}' | plasmite feed events -e skip`,
  },
  {
    says: "nothing to feed",
    line: "plasmite feed events </dev/null",
    code: ErrorKind.Usage,
    message: "missing data input",
    hint: /`plasmite feed events '\{"x": 1\}'`/,
  },
  {
    says: "data and a file",
    line: `plasmite feed events '{"x":1}' --file messages.jsonl`,
    code: ErrorKind.Usage,
    message: "the argument '[DATA]' cannot be used with '--file <FILE>'",
    hint: /only one of them/,
  },
  {
    says: "a file that is not there",
    line: "plasmite feed events --file messages.jsonl",
    code: ErrorKind.Io,
    message: "failed to read data file",
    hint: /Check the path of --file/,
    works: "echo '{}' > messages.jsonl; plasmite feed events --file messages.jsonl",
  },
  {
    says: "a folder to import from",
    line: "plasmite import events .",
    code: ErrorKind.Io,
    message: "failed to read data file",
    hint: /Check the path of the file/,
    works: "echo '{}' | plasmite feed events --create; plasmite export events -o all.jsonl; " +
      "plasmite import events all.jsonl",
  },
  {
    says: "half a filter",
    line: "plasmite follow events --no-follow --where '.data.n >'",
    code: ErrorKind.Usage,
    message: JQ,
    hint: /at character 10\. .*'\.data\.level == "error"'/,
    works: `plasmite follow events --no-follow --where '.data.level == "error"'`,
  },
  {
    says: "= for ==",
    line: "plasmite follow events -n 1 --no-follow --where '.data.n = 1'",
    code: ErrorKind.Usage,
    message: "filter expression must yield booleans",
    hint: /equal is written `==`/,
    works: "plasmite follow events -n 1 --no-follow --where '.data.n == 1'",
  },
  {
    says: "a bad point in time",
    line: "plasmite follow events --no-follow --since yesterday",
    code: ErrorKind.Usage,
    message: "invalid --since value",
    hint: /such as 5m/,
    works: "plasmite follow events --no-follow --since 5m",
  },
  {
    says: "a bad duration",
    line: "plasmite follow events -n 3 --timeout 5",
    code: ErrorKind.Usage,
    message: "invalid duration",
    hint: /500ms or 5s/,
    works: "plasmite follow events -n 3 --timeout 500ms --one",
  },
  {
    says: "a bad size",
    line: "plasmite pool create big --size 8XB",
    code: ErrorKind.Usage,
    message: "invalid size suffix",
    hint: /64K or 8M/,
    works: "plasmite pool create big --size 8M",
  },
  {
    says: "a size too small for a pool",
    line: "plasmite feed small --create-size 1K '{}'",
    code: ErrorKind.Usage,
    message: "file_size must exceed header and index size",
    hint: /greater than 4096/,
    works: "plasmite feed small --create-size 64K '{}'",
  },
  {
    says: "a bad durability",
    line: "plasmite feed events --durability sync '{}'",
    code: ErrorKind.Usage,
    message: "invalid durability",
    hint: /flush \(synced/,
    works: "plasmite feed events --durability flush '{}'",
  },
  {
    says: "a delay without tries",
    line: "plasmite feed events --retry-delay 1s '{}'",
    code: ErrorKind.Usage,
    message: "--retry-delay requires --retry",
    hint: /Add --retry N/,
    works: "plasmite feed events --retry 3 --retry-delay 1s '{}'",
  },
  // Servers.
  {
    says: "doctor of a server's pool",
    line: "plasmite doctor http://localhost:9700/events",
    code: ErrorKind.Usage,
    message: "doctor accepts local pool names or paths only",
    hint: /`plasmite doctor events`/,
  },
  {
    says: "a server's pool made from here",
    line: "plasmite pool create http://localhost:9700/new",
    code: ErrorKind.Usage,
    message: "pool create accepts local pool names or paths only",
    hint: /`plasmite pool create new`/,
  },
  {
    says: "tap into a server's pool",
    line: "plasmite tap http://localhost:9700/builds -- true",
    code: ErrorKind.Usage,
    message: "tap accepts local pool refs only",
    hint: /local pool name/,
    works: "plasmite tap builds -- true",
  },
  {
    says: "a URL of the API",
    line: "plasmite follow http://localhost:9700/v0/pools/events/tail",
    code: ErrorKind.Usage,
    message: "remote pool ref must use shorthand http(s)://host:port/<pool>",
    hint: /^Did you mean http:\/\/localhost:9700\/events\?/,
    works: "plasmite follow events --no-follow",
  },
  {
    says: "serve at a bad address",
    line: "plasmite serve --bind 9700",
    code: ErrorKind.Usage,
    message: "invalid bind address",
    hint: /`plasmite serve --bind 127\.0\.0\.1:9700`/,
    works: "plasmite serve --bind 127.0.0.1:9700 check",
  },
  {
    says: "serve to everybody",
    line: "plasmite serve --bind 0.0.0.0:9700",
    code: ErrorKind.Usage,
    message: "non-loopback bind requires explicit opt-in",
    hint: /--allow-non-loopback.*bind to 127\.0\.0\.1/,
    works: "plasmite serve --bind 127.0.0.1:9700 check",
  },
  {
    says: "serve with a token file that is not there",
    line: "plasmite serve --token-file token.txt",
    code: ErrorKind.Usage,
    message: "failed to read token file",
    hint: /Check the path/,
    works: "echo abcdefghijklmnop0123 > token.txt; plasmite serve --token-file token.txt check",
  },
  {
    says: "a token file that is not there",
    line: "plasmite follow http://localhost:1/events --token-file token.txt",
    code: ErrorKind.Usage,
    message: "failed to read token file",
    hint: /Check the path of --token-file/,
    works: "plasmite follow events --no-follow",
  },
  {
    says: "duplex with nothing to say",
    line: "plasmite duplex events </dev/null",
    code: ErrorKind.Usage,
    message: "missing data input",
    hint: /`echo '\{"x":1\}' \| plasmite duplex events`/,
    works: `echo '{"x":1}' | plasmite duplex events`,
  },
];

/** A shell line in `dir`, which is also the home directory. */
function sh(dir: string, line: string): Promise<Outcome> {
  return shell(dir, line, { name: "plasmite", env: { HOME: dir } });
}

/** Another home must not mean another cache of modules. */

/** The first whole command in a hint, other than for help. */
function commandIn(hint: string): string | undefined {
  const exact = /exact command is: (.*?) \(or first: /.exec(hint)?.[1];
  const quoted = [...hint.matchAll(/`(plasmite [^`<]*)`/g)].map((match) => match[1] ?? "")
    .find((line) => !line.endsWith("--help"));
  return hint.startsWith("Did you mean") ? quoted ?? exact : exact ?? quoted;
}

function misuse(name: string, body: (dir: string) => Promise<void>): void {
  Deno.test(`misuse: ${name}`, () =>
    inTemp(async (dir) => {
      {
        using client = new Client(`${dir}/.plasmite/pools`);
        using events = client.createPool("events", 65536);
        client.createPool("builds", 65536).close();
        for (const n of [1, 2, 3]) events.append({ n });
      }
      await body(dir);
    }));
}

for (const { says, line, code, message, hint, works } of rows) {
  misuse(says, async (dir) => {
    const outcome = await sh(dir, line);
    const error = errorOf(outcome);
    const advice = String(error["hint"] ?? "");
    assert.deepEqual([outcome.code, error["message"]], [code, message]);
    assert.equal(outcome.stdout, "");
    assert.equal(outcome.stderr.indexOf("\n"), outcome.stderr.length - 1, "one line");
    assert(advice !== "" && !advice.includes("\n"), `the hint is one line: ${advice}`);
    if (hint !== undefined) assert.match(advice, hint);
    const repaired = works ?? commandIn(advice);
    assert(repaired !== undefined, `a command that works: ${advice}`);
    const second = await sh(dir, repaired);
    assert.equal(second.code, 0, `${repaired}: ${second.stderr}`);
  });
}

misuse("a secret is not repeated in a hint", async (dir) => {
  const { stderr } = await sh(dir, "plasmite fecth http://h/p 1 --token s3cret");
  assert.match(stderr, /Did you mean 'fetch'/);
  assert(!stderr.includes("s3cret"));
});

// `plasmite feed x …` in a directory with a pool `d` was answered with "Run `plasmite feed d …`": a write
// into somebody else's pool, one paste away.
Deno.test("misuse: no advice writes into a pool that was not named, or deletes one", () =>
  inTemp(async (dir) => {
    const pools = ["d", "ab", "dev", "Abc", "job-1", "job-12", "orders", "chat", "x", "events"];
    for (const pool of pools) {
      new Client(`${dir}/.plasmite/pools`).createPool(pool, 65536).close();
    }
    const lines: [line: string, said: RegExp | null][] = [
      ...["c", "ac", "ba", "def", "de", "abc", "job-2", "job-13", "JOB-3", "ord"].flatMap(
        (name): [string, null][] => [
          [`feed ${name} '{}'`, null],
          [`tap ${name} -- true`, null],
          [`fetch ${name} 1`, null],
          [`follow ${name} --no-follow`, null],
          [`pool info ${name}`, null],
          [`doctor ${name} --repair`, null],
          [`pool delete ${name} --json`, null],
        ],
      ),
      [`feed order '{}'`, /^Did you mean 'orders'\? To create it/],
      [`feed ORDERS '{}'`, /^Did you mean 'orders'\? To create it/],
      [`tap order -- true`, /^Did you mean 'orders'\? Add --create/],
      [`echo '{}' | plasmite duplex order`, /^Did you mean 'orders'\? To create it/],
      [`doctor order --repair`, /^Did you mean 'orders'\? List the pools/],
      [`pool delete order --json`, /Did you mean 'orders'\? List the pools/],
      [`pool delete --json`, null],
      [`feed --tag x`, null],
      [`tap --tag x -- ls`, null],
      [`duplex --me a`, null],
      [`duplex events < /dev/null`, /plasmite duplex events/],
      [`pool delete http://h/orders/ --json`, null],
      [`pool delete http://h/orders --json`, null],
      [`feed http://h/orders/x '{}'`, null],
      [`feed http://h/v0/pools/orders/append '{}'`, /^Did you mean http:\/\/h\/orders\?/],
    ];
    for (const [line, said] of lines) {
      const run = await sh(dir, line.includes("plasmite") ? line : `plasmite ${line}`);
      assert.notEqual(run.code, 0, line);
      const report = run.stderr === "" ? run.stdout : run.stderr;
      const hint = /"hint":"((?:[^"\\]|\\.)*)"/.exec(report)?.[1] ?? "";
      if (said === null) assert.doesNotMatch(hint, /Did you mean/, line);
      else assert.match(hint, said, line);
      const named = line.split(" ").filter((word) => /^[\w-]+$/.test(word));
      const advised = hint.matchAll(/plasmite (?:feed|tap|duplex|pool delete) (?!--help)(\S+)/g);
      for (const [command, pool = ""] of advised) {
        assert.ok(named.includes(pool.replace(/[`.,]+$/, "")) || pool.startsWith("<"), command);
      }
    }
  }));

Deno.test({
  name: "misuse: on a terminal, error and hint are a line each; duplex asks for a name",
  ignore: !hasScript,
  fn: () =>
    inTemp(async (dir) => {
      const env = { HOME: dir, NO_COLOR: "1" };
      const { code, screen } = await onTerminal("$P duplex events </dev/tty", { env });
      assert.equal(code, ErrorKind.Usage);
      assert.equal(
        screen,
        "error: TTY input requires --me for duplex\n" +
          "hint: Add your name: plasmite duplex events --me NAME\n",
      );
    }),
});

Deno.test("misuse: a word in a hint is one word in a shell again", async () => {
  const words = [
    "",
    "a b",
    `it's`,
    "$HOME `id` !x",
    'say "hi"',
    "a\\nb",
    "a\nb\\\t'\x01\x1b[0m",
    "é",
  ];
  const { stdout } = await sh("/", `printf '%s\\0' ${words.map(token).join(" ")}`);
  assert.deepEqual(stdout.split("\0").slice(0, -1), words);
});
