/**
 * Advice is made from what was typed: an exact command that drops an option prints something else, or
 * waits where the other one would have ended.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { LocalBackend } from "../../lib/backend/local.ts";
import type { AppendRequest, PoolHandle } from "../../lib/backend/types.ts";
import { parse, ParseProblem } from "../../lib/cli/args.ts";
import type { Parsed } from "../../lib/cli/parsed.ts";
import type { Args } from "../../lib/cli/values.ts";
import { again, related } from "../../lib/cli/command_line.ts";
import {
  type CommandSpec,
  type FlagSpec,
  globalFlags,
  type PositionalSpec,
  root,
} from "../../lib/cli/table.ts";
import { explain } from "../../lib/cli/usage.ts";
import { Retries } from "../../lib/cli/retry.ts";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { messageFromValue } from "../../lib/lite3/from_value.ts";
import { FrameBatch } from "../../lib/pool/batch.ts";
import { Client } from "../../mod.ts";
import { createApp } from "../../server/app.ts";
import { cli, errorOf, inTemp, shell } from "./cli_util.ts";

/** Texts that a shell, the parser or the printed line could take for something else. */
const AWKWARD = ["-x", "--", "-5", "a b", "$x `y`", "it's", 'say "x"', "", "line\nbreak", "größe"];

interface Level {
  readonly words: readonly string[];
  readonly specs: readonly CommandSpec[];
}

/** Every command that runs, with the words that select it. */
function commands(): Level[] {
  const found: Level[] = [];
  const visit = (level: Level): void => {
    const spec = level.specs.at(-1);
    if (spec === undefined) return;
    if ((spec.commands === undefined || spec.runs) && spec.name !== "help") found.push(level);
    for (const [name, make] of Object.entries(spec.commands ?? {})) {
      visit({ words: [...level.words, name], specs: [...level.specs, make()] });
    }
  };
  visit({ words: [], specs: [root()] });
  return found;
}

function sample({ type, values }: FlagSpec | PositionalSpec): string {
  return values?.[0] ?? (type === undefined || type === "text" ? "v" : "7");
}

/** The words of a command with everything it needs, some of them behind `--`. */
function line({ words, specs }: Level, flags: readonly string[], pool?: string): string[] {
  const args = specs.at(-1)?.args ?? [];
  const regular = args.filter((arg) => !arg.trailing);
  const trailing = args.some((arg) => arg.trailing) ? ["--", "prog", "--flag", "-x", "a b"] : [];
  const given = regular.map((arg, i) => i === 0 && pool !== undefined ? pool : sample(arg));
  const behind = given.some((word) => word.startsWith("-")) ? ["--"] : [];
  return [...words, ...flags, ...behind, ...given, ...trailing];
}

/** Everything that was typed on one level, by name. */
function values(args: Args): [string, readonly string[]][] {
  return args.names().sort().map((name) => [name, args.texts(name)]);
}

function levels(parsed: Parsed): [string, readonly string[]][][] {
  const found = [];
  for (let args: Args | undefined = parsed.args; args !== undefined; args = args.parent) {
    found.push(values(args));
  }
  return found;
}

/** What a line means, secrets aside: the command, its values and the global ones. */
function meaning(parsed: Parsed): unknown {
  const secret = new Set(
    parsed.at.flatMap(({ flags = [] }) => flags.filter((f) => f.secret).map(({ name }) => name)),
  );
  return [
    parsed.name,
    levels(parsed).map((level) => level.filter(([name]) => !secret.has(name))),
    [...parsed.globalsTyped].sort(),
  ];
}

/** Splits many lines as a shell does, in one run of it. */
async function split(lines: readonly string[]): Promise<string[][]> {
  const script = lines.map((text) =>
    `set -- ${text.replace(/^plasmite ?/, "")}; printf '%s\\0' "$#" "$@"`
  ).join("\n");
  // As a file: one argument may not have more than 128 KiB.
  const file = await Deno.makeTempFile();
  await Deno.writeTextFile(file, script);
  const { stdout } = await new Deno.Command("bash", { args: [file] }).output();
  await Deno.remove(file);
  const words = new TextDecoder().decode(stdout).split("\0");
  const found: string[][] = [];
  for (let at = 0; at < words.length - 1;) {
    const count = Number(words[at]);
    found.push(words.slice(at + 1, at + 1 + count));
    at += 1 + count;
  }
  return found;
}

Deno.test("a command line in advice means what was typed: every option of every command", async () => {
  const typed: string[][] = [];
  for (const level of commands()) {
    typed.push(line(level, []));
    for (const pool of AWKWARD.filter((word) => word !== "--")) typed.push(line(level, [], pool));
    level.specs.slice(1).forEach((spec, depth) => {
      const own = depth === level.specs.length - 2;
      const flags = [
        ...(spec.flags ?? []),
        ...globalFlags.filter(({ name }) => !["help", "version"].includes(name)),
      ];
      for (const flag of flags) {
        const uses = flag.value === undefined
          ? [[`--${flag.name}`]]
          : (flag.values ?? (flag.type === undefined ? AWKWARD : ["7"])).map((value) => [
            `--${flag.name}=${value}`,
          ]);
        if (flag.repeat) uses.push([`--${flag.name}`, "one", `--${flag.name}=-two`]);
        if (flag.short !== undefined) {
          const value = flag.value === undefined ? "" : sample(flag);
          uses.push([`-${flag.short}${value}`]);
        }
        for (const use of uses) {
          const global = globalFlags.includes(flag);
          if (own || global) typed.push(line(level, use));
          else {
            const words = [...level.words];
            words.splice(depth + 1, 0, ...use);
            typed.push(line({ ...level, words }, []));
          }
        }
      }
    });
  }
  const lines = typed.filter((words) => {
    try {
      return parse(words).action === "run";
    } catch {
      return false; // A value that the command does not take.
    }
  });
  assert.ok(lines.length > 700 && lines.length > typed.length * 0.8, `${lines.length} lines`);
  const printed = lines.map((words) => again(parse(words)));
  const read = await split(printed);
  assert.equal(read.length, lines.length);
  for (const [i, words] of lines.entries()) {
    assert.ok(!printed[i]?.includes("\n"), `on one line: ${printed[i]}`);
    assert.deepEqual(
      meaning(parse(read[i] ?? [])),
      meaning(parse(words)),
      `${JSON.stringify(words)}: ${printed[i]}`,
    );
  }
});

Deno.test("a command line in advice repeats no secret", () => {
  const typed = parse(["follow", "p", "--token", "s3cret", "--tail", "2"]);
  assert.equal(again(typed), "plasmite follow p --tail 2");
  assert.equal(
    related(
      parse(["--dir", "a b", "fetch", "http://h/p", "1", "--token=s3cret", "--tls-ca", "c.pem"]),
      "pool info",
      "http://h/p",
    ),
    'plasmite --dir "a b" pool info http://h/p --tls-ca c.pem',
  );
});

Deno.test("a missing pool: every option that was typed is in the exact command, and it works", () =>
  inTemp(async (dir) => {
    const lines: [typed: string, printed: string][] = [
      ["follow P --yaml --no-follow", "follow P --create --no-follow --yaml"],
      ["follow P -n5 --json --no-follow", "follow P --create --tail 5 --no-follow --json"],
      [
        "follow P --no-follow --color always --tag=-x --tag y",
        "follow P --create --no-follow --color always --tag=-x --tag y",
      ],
      ["feed P --format yaml -- '{}'", 'feed P --create "{}" --format yaml'],
      [
        "feed P -e skip -i jsonl --data -f f.json",
        "feed P --create --file f.json --in jsonl --errors skip --data",
      ],
      ["feed --tag=--create P '{}'", 'feed P --create --tag=--create "{}"'],
      ["duplex P --me -- --echo-self", ""],
      ["duplex P --me=-b --jsonl --timeout 0s", "duplex P --create --me=-b --timeout 0s --jsonl"],
    ];
    Deno.writeTextFileSync(`${dir}/f.json`, "{}\n");
    for (const [i, [typed, printed]] of lines.entries()) {
      if (printed === "") continue;
      const [before, after] = [typed, printed].map((text) => text.replace("P", `p${i}`));
      const run = await shell(dir, `P ${before}`);
      const hint = run.stderr.startsWith("{")
        ? String(errorOf(run)["hint"])
        : run.stderr.replaceAll('\\"', '"'); // YAML.
      const exact = /exact command is: plasmite (.*) \(or first: /.exec(hint)?.[1];
      assert.equal(exact, `--dir ${dir} ${after}`, typed);
      const input = typed.startsWith("duplex") ? "echo '{}' | " : "";
      const again = await shell(dir, `${input}P ${after}`);
      assert.ok([0, 124].includes(again.code), `${after}: ${again.stderr}`);
    }
    const named = await cli(["--dir", dir, "follow", "--no-follow", "--", "-p"]);
    assert.match(String(errorOf(named)["hint"]), /follow --create --no-follow -- -p \(or first: /);
  }));

// `cursor list nightly` of a missing pool was told to run `cursor list nightly --create`, which no such
// command takes, and `copy missing TO --create` to give --create twice.
Deno.test("a missing pool: a command without --create is not told to use it", () =>
  inTemp(async (dir) => {
    await cli(["--dir", dir, "pool", "create", "events", "--size", "64K"]);
    const cases: readonly (readonly [line: string, suggested: string])[] = [
      ["cursor list nightly", "pool list"],
      ["cursor set nightly c 1", "pool list"],
      ["cursor delete nightly c", "pool list"],
      ["renew nightly k --as me --token 1", "pool list"],
      ["release nightly k --as me --force", "pool list"],
      ["pool trim nightly --keep 1", "pool list"],
      ["copy nightly events", "pool list"],
      ["copy nightly other --create", "pool list"],
      ["latest nightly", "pool create nightly"],
      ["work nightly --group g -- true", "pool create nightly"],
      ["export nightly", "pool create nightly"],
      ["fetch nightly --cursor c", "pool create nightly"],
      ["copy events nightly", "copy events nightly --create"],
      ["claim nightly k --as me", "claim nightly k --create --as me"],
    ];
    for (const [line, suggested] of cases) {
      const run = await cli(["--dir", dir, ...line.split(" ")]);
      assert.equal(run.code, 3, `${line}: ${run.stderr}`);
      const hint = String(errorOf(run)["hint"]);
      const said = /(?:`|command is: )plasmite (.*?)(?:`| \(or first)/.exec(hint)?.[1];
      assert.equal(said, `--dir ${dir} ${suggested}`, `${line}: ${hint}`);
    }
    // Messages are never sent to a pool that was not named.
    const near = await cli(["--dir", dir, "copy", "events", "eventz"]);
    assert.equal(near.code, 3);
    assert.match(
      String(errorOf(near)["hint"]),
      /^Did you mean 'events'\? To create it, the exact command is: /,
    );
  }));

// Whoever asks is told in words that help there: programs have no `plasmite doctor`, callers no disk.
Deno.test("damage: each front end has its own advice for the same error", () =>
  inTemp(async (dir) => {
    Deno.writeTextFileSync(`${dir}/bad.plasmite`, "no pool any more");
    const client = new Client(dir);
    assert.throws(() => client.openPool("bad"), (error) => {
      assert.ok(PlasmiteError.is(error, ErrorKind.Corrupt));
      assert.equal(error.topic, "damage");
      assert.equal(error.hint, "The pool is damaged: check it, then repair it or recreate it.");
      return true;
    });
    const app = createApp(client);
    const answer = await app.fetch(new Request("http://127.0.0.1/v0/pools/bad/info"));
    assert.match(
      (await answer.json()).error.hint,
      /^The operator of the server can check the pool/,
    );
    await app.shutdown();
    const command = `Run \`plasmite --dir ${dir} doctor bad\` to inspect the pool, or recreate it.`;
    for (const args of ["fetch bad 1", "follow bad --no-follow", "pool info bad", "feed bad {}"]) {
      const run = await cli(["--dir", dir, ...args.split(" ")]);
      assert.deepEqual([run.code, errorOf(run)["hint"]], [7, command], args);
    }
    const list = JSON.parse((await cli(["--dir", dir, "pool", "list", "--json"])).stdout);
    assert.match(list.pools[0].error.error.hint, /^Run `plasmite .*doctor .*bad\.plasmite`/);
  }));

Deno.test("damage: an invalid message is named by pool and number", () =>
  inTemp(async (dir) => {
    const pool = await new LocalBackend(dir).open("p", { write: true, create: {} });
    const batch = new FrameBatch();
    batch.beginFrame();
    messageFromValue(batch.encoder, { n: 1 }, []);
    batch.endFrame(0, 1);
    const text = new TextEncoder().encode('{"a":1}');
    batch.beginFrame();
    batch.encoder.documentFromJson(text, 0, text.length);
    batch.endFrame(0, 1);
    await pool.append(batch, { flush: false, stored: () => {} });
    pool.close();
    for (const args of [["fetch", "p", "2"], ["follow", "p", "--no-follow"]]) {
      const run = await cli(["--dir", dir, ...args]);
      const error = errorOf(run);
      assert.deepEqual([run.code, error["message"], error["seq"]], [7, "missing meta", 2]);
      assert.equal(error["path"], `${dir}/p.plasmite`);
      assert.match(String(error["hint"]), /^Run `plasmite --dir .* doctor p` to inspect/);
      assert.equal(run.stdout.includes('"n":'), args[0] === "follow", "what came before it");
    }
  }));

// `--retry` in somebody's loop: it may not store twice, nor give up while another one is writing.
Deno.test("retries: what is stored stays, the rest is tried again until the lock is free", () =>
  inTemp(async (dir) => {
    const pool = await new LocalBackend(dir, { serving: true }).open("p", {
      write: true,
      create: {},
    });
    const holder = await Deno.open(pool.path, { read: true, write: true });
    await holder.lock(true);
    const batch = new FrameBatch();
    for (const n of [1, 2]) {
      batch.beginFrame();
      messageFromValue(batch.encoder, { n }, []);
      batch.endFrame(0, 1);
    }
    const runs: [number, number, bigint][] = [];
    const request: AppendRequest = {
      flush: false,
      lockMs: 1,
      stored: (...run) => runs.push(run),
    };
    await assert.rejects(new Retries(2, 1).append(pool, batch, request), (error) => {
      assert.ok(PlasmiteError.is(error, ErrorKind.Busy));
      assert.match(error.hint ?? "", / Retry attempts: 3 \(waited 2ms\)\.$/);
      return true;
    });
    assert.deepEqual(runs, []);
    let tries = 0;
    const counted: PoolHandle = {
      ...pool,
      path: pool.path,
      append: (...args: Parameters<PoolHandle["append"]>) => {
        if (++tries === 3) void holder.unlock();
        return pool.append(...args);
      },
    } as PoolHandle;
    await new Retries(1000, 1).append(counted, batch, request);
    assert.ok(tries >= 3);
    assert.deepEqual(runs, [[0, 2, 1n]]);
    holder.close();
    pool.close();
  }));

/** The hint for a line that does not parse. */
function hintFor(words: readonly string[]): string {
  try {
    parse(words);
  } catch (error) {
    assert(error instanceof ParseProblem);
    return explain(error, words).hint ?? "";
  }
  assert.fail(words.join(" "));
}

// Lost: a hint that was followed to the letter led to the next error: `--expect=-1`.
Deno.test("a value that begins with a dash is suggested only where one can be right", () => {
  const suggested = new Set<string>();
  for (const level of commands()) {
    for (const flag of [...(level.specs.at(-1)?.flags ?? []), ...globalFlags]) {
      if (flag.value === undefined) continue;
      const words = line(level, [`--${flag.name}`, "-1"]);
      const hint = hintFor(words);
      if (hint.includes(`--${flag.name}=-1`)) suggested.add(flag.value);
      else assert.match(hint, new RegExp(`^No value of --${flag.name} begins with a dash\\. `));
    }
  }
  // Names, texts, files and filters; no numbers, sizes, times, places or addresses.
  const texts = "BY COMMAND DEAD DIR EXPR FILE FRONT_CERT HAVING HOLDER ID KEY ME NAME NAME=REF " +
    "OUTPUT_DIR PATH POOLS TAG TLS_CA TLS_CERT TLS_KEY TOKEN TOKEN_FILE WHERE";
  assert.deepEqual([...suggested].sort(), texts.split(" "));
});

Deno.test("what a hint suggests instead of a value with a dash is accepted", () =>
  inTemp(async (dir) => {
    const cases: readonly (readonly [string, RegExp])[] = [
      ["P feed p --expect -1 '{}'", /^No value of --expect begins with a dash\. Try /],
      ["P follow p --tail -3 --no-follow", /Run `plasmite .*follow p --tail=3 --no-follow`/],
      ["P follow p --since -5m --no-follow", /Run `plasmite .*follow p --since=5m --no-follow`/],
      ["P follow p --timeout -1s", /Run `plasmite .*follow p --timeout=1s`/],
      ["P follow p --cursor c --from -1", /begins with a dash\. Try /],
      ["P follow p --cursor -c", /begins with a dash\. Try /],
      ["P pool create q --size -8M", /Run `plasmite .*pool create q --size=8M`/],
      ["P follow p --no-follow --tag -1", /Run `plasmite .*follow p --no-follow --tag=-1`/],
    ];
    await shell(dir, `P feed p --create '{}'`);
    for (const [typed, hint] of cases) {
      const run = await shell(dir, typed);
      assert.equal(run.code, ErrorKind.Usage, typed);
      const said = String(errorOf(run)["hint"]);
      assert.match(said, hint, typed);
      const better = /`plasmite (.*?)`/.exec(said.replace(/Try .*/, ""))?.[1];
      if (better === undefined) continue;
      const again = await shell(dir, `P ${better}`);
      assert.notEqual(again.code, ErrorKind.Usage, again.stderr);
    }
  }));
