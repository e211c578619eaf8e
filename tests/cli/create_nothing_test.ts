/**
 * A command that cannot work makes no pool: a typing error used to leave an empty pool behind, in which
 * the next reader waited for messages.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { Client } from "../../lib/client/client.ts";
import { ErrorKind } from "../../lib/errors.ts";
import { runTool } from "../../mcp/run.ts";
import { poolsOf } from "../mcp/mcp_tools_util.ts";
import {
  cli,
  errorOf,
  hasScript,
  inTemp,
  onTerminal,
  quote,
  shell,
  storedData,
} from "./cli_util.ts";

function names(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map(({ name }) => name).filter((name) => !/^f\./.test(name));
}

/** A shell line, its exit code, and what the error says. */
type Case = readonly [line: string, code: number, message: string | RegExp];

async function refused(dir: string, cases: readonly Case[]): Promise<void> {
  for (const [line, code, message] of cases) {
    const run = await shell(dir, line);
    assert.equal(run.code, code, `${line}: ${run.stderr}`);
    const said = run.stderr.startsWith("{") ? String(errorOf(run)["message"]) : run.stderr;
    if (typeof message === "string") assert.equal(said, message, line);
    else assert.match(said, message, line);
    assert.deepEqual(names(dir), [], line);
  }
}

Deno.test("feed --create with options that do not go together makes no pool", () =>
  inTemp(async (dir) => {
    const skip = "skip is not supported for this input";
    await refused(dir, [
      [`echo '{}' | P feed p --create --in jq -e skip`, 2, /skip is not supported for jq/],
      ...["yaml", "lite3", "lite3-raw"].map((format): Case => [
        `echo '{}' | P feed p --create --input-format ${format} -e skip`,
        2,
        skip,
      ]),
      [
        `echo '{}' | P feed p --create --input-format json --in jsonl`,
        2,
        "conflicting input options",
      ],
      [`echo '{}' | P feed p --create --durability soon`, 2, "invalid durability"],
      [`echo '{}' | P feed p --create --retry-delay 5s`, 2, "--retry-delay requires --retry"],
      [`echo '{}' | P feed p --create --retry 1 --retry-delay 5`, 2, "invalid duration"],
      [`echo '{}' | P feed p --create-size 1.5M`, 2, "invalid size suffix"],
      [`echo '{}' | P feed p --create-size 4096`, 2, /file_size must exceed/],
      [`echo '{}' | P feed p --create --token x`, 2, /remote auth\/TLS flags/],
      [`P feed p --create '{' --tag a`, 2, "invalid json"],
      [`P feed p --create '42'`, 2, "data must be object"],
      [`P feed p --create ''`, 2, "invalid json"],
      [`P feed p --create --input-format lite3 '{}'`, 2, /binary input requires/],
      [`P feed p --create --input-format yaml ': : :'`, 2, /.*/],
      [`P feed p --create --input-format yaml $'---\\na: 1\\n...\\n--- x\\n...'`, 2, /.*/],
      [
        `P feed p --create-size 8K "{\\"a\\":\\"$(head -c 9000 /dev/zero | tr '\\0' x)\\"}"`,
        2,
        /exceeds/,
      ],
    ]);
  }));

Deno.test("feed --create without anything to read makes no pool", () =>
  inTemp(async (dir) => {
    Deno.writeTextFileSync(`${dir}/f.empty`, "");
    await refused(dir, [
      [`P feed p --create --file f.missing`, 8, "failed to read data file"],
      [`P feed p --create --file .`, 8, "failed to read data file"],
      [`P feed p --create --file no/where`, 8, "failed to read data file"],
      [`P import p --create f.missing`, 8, "failed to read data file"],
      [`P import p --create .`, 8, "failed to read data file"],
      [`P feed p --create --file f.empty`, 2, "missing data input"],
      [`P feed p --create < f.empty`, 2, "missing data input"],
      [`P feed p --create --file - < f.empty`, 2, "missing data input"],
      [`P feed p --create < /dev/null`, 2, "missing data input"],
      [`P duplex p --create --me x < /dev/null`, 2, "missing data input"],
    ]);
    // What is there is read, and not twice.
    Deno.writeTextFileSync(`${dir}/f.two`, '{"a":1}\n{"a":2}\n');
    for (
      const [pool, line] of [["a", "--file f.two"], ["b", "< f.two"], ["c", "--file - < f.two"]]
    ) {
      const run = await shell(dir, `P feed ${pool} --create ${line}`);
      assert.equal(run.code, 0, run.stderr);
      assert.deepEqual(run.stdout.match(/"seq":\d+/g), ['"seq":1', '"seq":2']);
    }
    // Input that says itself that it is nothing is no mistake.
    const none = await shell(
      dir,
      `P feed d --create --input-format auto < /dev/null; P pool info d`,
    );
    assert.equal(none.code, 0, none.stderr);
    const done = await shell(dir, `printf 'data: [DONE]\\n\\n' | P feed e --create`);
    assert.equal(done.code, 0, done.stderr);
  }));

// Lost: nothing, but the pool that was left behind looked as if the backup had been empty.
Deno.test("import --create makes no pool if its first record cannot be stored", () =>
  inTemp(async (dir) => {
    const one = (n: number, data = "{}"): string =>
      `{"seq":${n},"time":"2026-01-01T00:00:00Z","meta":{"tags":[]},"data":${data}}`;
    const files: Readonly<Record<string, string>> = {
      text: "x\n",
      plain: '{"a":1}\n',
      array: one(1, "[1]"),
      time: one(1).replace("2026", "20265"),
      cut: one(1).slice(0, -1),
      long: one(1, `{"a":"${"x".repeat(600_000)}"}`),
      zero: one(0),
      huge: one(1).replace('"seq":1', '"seq":18446744073709551615'),
      second: `${one(1)}\nx\n`,
      gap: `${one(5)}\n${one(7)}\n`,
      blank: "\n\n",
    };
    for (const [name, text] of Object.entries(files)) {
      Deno.writeTextFileSync(`${dir}/f.${name}`, text);
    }
    await refused(dir, [
      ...["text", "plain", "array", "time", "cut"].flatMap((name): Case[] => [
        [`P import p --create f.${name}`, 2, /./],
        [`P import p --create < f.${name}`, 2, /./],
        [`cat f.${name} | P import p --create --keep-seq`, 2, /./],
      ]),
      [`P import p --create-size 64K f.long`, 2, /exceeds/],
      [`P import p --create-size 1.5M f.second`, 2, "invalid size suffix"],
      [`P import p --create --keep-seq f.zero`, 2, "The number 0 cannot be kept"],
      [`P import p --create --keep-seq f.huge`, 2, /too large to be kept/],
      [`P import p --create --id-from .data.id f.second`, 2, /id expression/],
    ]);
    // What came before the bad record is stored, and an input without a record is an empty pool.
    for (
      const [pool, file, code, last] of [
        ["a", "second", 2, 1],
        ["b", "gap --keep-seq", 2, 5],
        ["c", "blank", 0, null],
      ] as const
    ) {
      const run = await shell(dir, `P import ${pool} --create f.${file}`);
      assert.equal(run.code, code, run.stderr);
      const info = JSON.parse((await shell(dir, `P pool info ${pool} --json`)).stdout);
      assert.equal(info.bounds.newest ?? null, last, pool);
    }
  }));

Deno.test("copy --create with options that cannot work makes no pool", () =>
  inTemp(async (dir) => {
    await shell(dir, `P feed f.src --create '{}'`);
    await refused(dir, [
      [`P copy f.src p --create --source $'a\\nb'`, 2, /Invalid source/],
      [`P copy f.src p --create --source .x`, 2, "The name of this machine cannot be read"],
      [`P copy f.src p --create --cursor 'bad/..'`, 2, /Invalid cursor/],
      [`P copy f.src p --create-size 1.5M`, 2, "invalid size suffix"],
      [`P copy f.src p --create-size 4096`, 2, /file_size must exceed/],
      [`P copy f.none p --create`, 3, "not found"],
    ]);
    // The source is not what --create would create.
    const { stderr } = await shell(dir, `P copy f.none p --create`);
    assert.doesNotMatch(stderr, /--create/);
  }));

Deno.test(
  "feed --create on a terminal without data makes no pool",
  { ignore: !hasScript },
  () =>
    inTemp(async (dir) => {
      const { code, screen } = await onTerminal(
        `$P --dir ${quote(dir)} feed p --create < /dev/tty`,
      );
      assert.equal(code, ErrorKind.Usage, screen);
      assert.match(screen, /missing data input/);
      assert.deepEqual(names(dir), []);
    }),
);

Deno.test("follow, duplex and tap with bad options make no pool", () =>
  inTemp(async (dir) => {
    await refused(dir, [
      [`P follow p --create --where '.a ='`, 2, "invalid filter expression"],
      [`P follow p --create --timeout 5`, 2, "invalid duration"],
      [`P follow p --create --since yesterday`, 2, "invalid --since value"],
      [`P follow p --create --jsonl --format pretty`, 2, /conflicting output options/],
      [`P follow p --create --data-only --format lite3`, 2, /.*/],
      [`P follow p --create --replay 1`, 2, "--replay requires --tail or --since"],
      [`P follow p --create --tls-skip-verify`, 2, /remote auth\/TLS flags/],
      [`echo '{}' | P duplex p --create --timeout 5`, 2, "invalid duration"],
      [`echo '{}' | P duplex p --create --since yesterday`, 2, "invalid --since value"],
      [`P tap p --create --durability slow -- true`, 2, "invalid durability"],
      [`P tap p --create-size 4200 -- true`, 2, "payload exceeds ring capacity"],
      [`P tap p --create-size 5K -- sh -c "$(head -c 2000 /dev/zero | tr '\\0' x)"`, 2, /exceeds/],
    ]);
  }));

// A slip in what is shown, in a copy's name or in a place to begin with left an empty pool behind, and
// a cursor in it.
Deno.test("a chart, a browser, a copy and a cursor that cannot be make no pool", () =>
  inTemp(async (dir) => {
    const other = Deno.makeTempDirSync();
    try {
      await cli(["--dir", other, "feed", "s", "--create", "{}"]);
      await refused(dir, [
        [`P follow p --create --plot celsius`, 2, 'invalid path "celsius"'],
        [`P follow p --create --no-follow --plot '.data['`, 2, /^invalid path/],
        [`P follow p --create -i`, 2, "--interactive needs a terminal"],
        [`P follow p --create --cursor c --from 7`, 2, "There is no message 7 to begin with"],
        [`P copy ${other}/s.plasmite p --create --cursor UPPER`, 2, /^Invalid cursor name/],
        [`P copy ${other}/s.plasmite p --create --source ''`, 2, /^Invalid source/],
        [`P copy ${other}/s.plasmite p --create --source $'a\tb'`, 2, /^Invalid source/],
        [`P copy ${other}/s.plasmite p --create-size 1.5M`, 2, "invalid size suffix"],
      ]);
      // Nor does a cursor that begins nowhere, in a pool that is there.
      for (const command of ["follow s --no-follow", "fetch s"]) {
        const run = await shell(other, `P ${command} --cursor c --from 3`);
        assert.equal(run.code, 2, run.stderr);
        const { message, hint } = errorOf(run);
        assert.equal(message, "There is no message 3 to begin with");
        assert.equal(hint, "Use a number from 1 to 2, oldest, or end.");
        assert.deepEqual(names(other), ["s.plasmite"]);
      }
      using client = new Client(other);
      using pool = client.openPool("s");
      await assert.rejects(pool.cursor("c", { from: 2n }), /There is no message 2/);
      assert.deepEqual([...Deno.readDirSync(other)].map(({ name }) => name), ["s.plasmite"]);
      (await pool.cursor("c", { from: 1n })).close();
    } finally {
      Deno.removeSync(other, { recursive: true });
    }
  }));

// An unattended job with a wrong name ran nothing and left a pool that looked like its log.
Deno.test("tap --create of a command that does not exist makes no pool", {
  ignore: Deno.build.os === "windows",
}, () =>
  inTemp(async (dir) => {
    Deno.mkdirSync(`${dir}/f.bin`);
    Deno.mkdirSync(`${dir}/f.more/folder`, { recursive: true });
    const put = (path: string, text: string, mode: number): void => {
      Deno.writeTextFileSync(`${dir}/${path}`, text);
      Deno.chmodSync(`${dir}/${path}`, mode);
    };
    put("f.bin/plain", "#!/bin/sh\necho no\n", 0o644);
    put("f.bin/both", "#!/bin/sh\necho no\n", 0o644);
    put("f.more/both", "#!/bin/sh\necho found\n", 0o755);
    put("f.more/orphan", "#!/no/such/interpreter\n", 0o755);
    const missing = (name: string): RegExp => new RegExp(`^wrapped command not found: ${name}$`);
    const path = 'PATH="$PWD/f.bin:/no/where:$PWD/f.bin/plain:$PWD/f.more:$PATH"';
    await refused(dir, [
      [`P tap p --create -- no-such-program`, 2, missing("no-such-program")],
      [`P tap p --create -- ./no-such-program`, 2, missing("./no-such-program")],
      [`P tap p --create -- f.more/both/x`, 2, missing("f.more/both/x")],
      [`P tap p --create -- ''`, 2, missing("")],
      [`${path} P tap p --create -- no-such-program`, 2, missing("no-such-program")],
      [`${path} P tap p --create -- orphan`, 2, missing("orphan")],
      [`P tap p --create -- ./f.more`, 8, "failed to spawn wrapped command"],
      [`P tap p --create -- f.bin/plain`, 8, "failed to spawn wrapped command"],
      [`${path} P tap p --create -- plain`, 8, "failed to spawn wrapped command"],
      [`${path} P tap p --create -- folder`, 8, "failed to spawn wrapped command"],
    ]);
    // What comes later on the path is found behind what cannot be executed, as a shell finds it.
    const found = await shell(dir, `${path} P tap p --create -- both`);
    assert.equal(found.stdout, "found\n", found.stderr);
    const here = await shell(`${dir}/f.more`, `PATH=:/no/where P tap q --create -- both`);
    assert.equal(here.stdout, "found\n", here.stderr);
    const bare = await shell(dir, `( unset PATH; P tap r --create -- true )`);
    assert.equal(bare.code, 0, bare.stderr);
  }));

Deno.test("an agent's feed with create makes no pool for data that cannot be stored", () =>
  inTemp(async (dir) => {
    const pools = poolsOf(dir);
    const { signal } = new AbortController();
    const nested = JSON.parse(`${'{"a":'.repeat(40)}1${"}".repeat(40)}`);
    for (
      const args of [
        { data: [1] },
        { data: "x" },
        { data: nested },
        { data: { a: "x".repeat(2_000_000) } },
        { data: {}, tags: [1] },
      ]
    ) {
      const called = { pool: "p", create: true, ...args };
      const answer = await runTool("plasmite_feed", called, {
        pools,
        signal,
      });
      assert.match(JSON.stringify(answer), /"isError":true/);
      assert.deepEqual(names(dir), []);
    }
  }));

// An agent that released, or named itself wrongly, left an empty pool of claims behind.
Deno.test("an agent's claim with create makes no pool for what is no claim", () =>
  inTemp(async (dir) => {
    const pools = poolsOf(dir);
    const { signal } = new AbortController();
    const cases = [
      { action: "claim", keys: ["k"], holder: "" },
      { action: "claim", keys: ["k"], holder: "h".repeat(251) },
      { action: "claim", keys: ["k", "\u0001"], holder: "me" },
      { action: "claim", keys: [""], holder: "me" },
      { action: "release", keys: ["k"], holder: "me", token: 5 },
      { action: "release", keys: ["k"], holder: "me", force: true },
      { action: "renew", keys: ["k"], holder: "me", token: 5 },
    ];
    for (const args of cases) {
      const called = { pool: "p", create: true, ...args };
      const answer = await runTool("plasmite_claim", called, { pools, signal });
      assert.match(JSON.stringify(answer), /"isError":true/, JSON.stringify(args));
      assert.deepEqual(names(dir), [], JSON.stringify(args));
    }
    const called = { pool: "p", create: true, action: "claim", keys: ["k"], holder: "me" };
    const answer = await runTool("plasmite_claim", called, { pools, signal });
    assert.doesNotMatch(JSON.stringify(answer), /"isError":true/);
  }));

// A line of 2 MB in a pool of 1 MB: everything that was there before was gone.
Deno.test("a line that does not fit leaves three quarters of the pool to the other messages", {
  ignore: Deno.build.os === "windows",
}, () =>
  inTemp(async (dir) => {
    const sizes = [["16K", 16384 - 5120], ["64K", 65536 - 8192], [
      "1M",
      (1 << 20) - 69632,
    ]] as const;
    for (const [size, ring] of sizes) {
      for (const [what, more] of [["x", ""], ["é", " >&2"]] as const) {
        const pool = `p${size}${more.length}`;
        await shell(dir, `P pool create ${pool} --size ${size}; P feed ${pool} '{"before":1}'`);
        const line = `head -c ${2 * ring} /dev/zero | sed 's/\\x00/${what}/g'${more}`;
        const run = await shell(dir, `P tap ${pool} -q -- sh -c ${quote(`${line}; echo; echo b`)}`);
        assert.equal(run.code, 0, run.stderr);
        const data = (await storedData(dir, pool)).map((text) => JSON.parse(text));
        assert.deepEqual(data[0], { before: 1 }, pool);
        const [cut] = data.filter((one) => one.truncated === true);
        const kept = new TextEncoder().encode(cut?.line).length;
        assert.ok(kept > 200 && kept <= Math.max(ring / 4, 1000), `${pool}: ${kept} of ${ring}`);
        assert.equal(data[1].kind, "start", pool);
        assert.equal(data.at(-1)?.kind, "exit", pool);
        assert.ok(data.some(({ line }) => line === "b"), pool);
      }
    }
    // What fits is kept whole.
    const run = await shell(dir, `P tap p1M0 -q -- sh -c 'head -c 500000 /dev/zero | tr "\\0" y'`);
    assert.equal(run.code, 0, run.stderr);
    assert.match((await storedData(dir, "p1M0")).join("\n"), /"line":"y{500000}"/);
  }));
