/**
 * `pool create|info|list|delete` as scripts and people see them (docs/spec/command-line.md 4).
 *
 * @module
 */

import assert from "node:assert/strict";
import { ErrorKind, PlasmiteError } from "../../lib/errors.ts";
import { textWidth } from "../../lib/cli/line_width.ts";
import { poolTable } from "../../lib/cli/pool_table.ts";
import { Client } from "../../lib/client/client.ts";
import { cli, command, errorOf, hasScript, inTemp, onTerminal, quote } from "./cli_util.ts";

/** Runs in a pool directory. */
function pools(
  name: string,
  body: (dir: string, run: (...args: string[]) => ReturnType<typeof cli>) => Promise<void>,
): void {
  Deno.test(
    name,
    () => inTemp((dir) => body(dir, (...args) => cli(["--dir", `${dir}/p`, ...args]))),
  );
}

/** A pool with three messages, a second apart, the last one now. */
function fill(dir: string, name: string): void {
  using client = new Client(dir);
  using pool = client.pool(name, 65536);
  const now = BigInt(Date.now()) * 1_000_000n;
  for (const [i, age] of [2n, 1n, 0n].entries()) {
    pool.append({ i }, { timestampNs: now - age * 1_000_000_000n });
  }
}

pools("create: table in a pipe, all options, JSON in the shape of info", async (dir, run) => {
  const one = await run("pool", "create", "demo");
  assert.equal(one.stderr, "");
  assert.equal(one.code, 0);
  assert.equal(
    one.stdout,
    "NAME  SIZE     INDEX  PATH         \ndemo  1048576  4096   demo.plasmite\n",
  );
  const two = await run(
    "pool",
    "create",
    "a",
    "b",
    "--size",
    "64K",
    "--index-capacity=0",
    "--json",
  );
  const { created } = JSON.parse(two.stdout);
  assert.deepEqual(created.map((info: { name: string }) => info.name), ["a", "b"]);
  assert.equal(created[0].file_size, 65536);
  assert.equal(created[0].index_capacity, 0);
  assert.deepEqual(created[0].bounds, {});
  assert.equal(created[0].metrics.message_count, 0);
  assert.deepEqual(created[0].metrics.age, {
    newest_age_ms: null,
    newest_time: null,
    oldest_age_ms: null,
    oldest_time: null,
  });
  const path = `${dir}/here`;
  assert.equal((await run("pool", "create", path)).code, 0);
  assert(Deno.statSync(path).isFile, "a path is used exactly as given");
});

pools("create: all or nothing, with the reason", async (dir, run) => {
  const refused = async (
    args: string[],
    code: number,
    kind: string,
    message: string,
    hint: RegExp,
  ) => {
    const outcome = await run("pool", "create", ...args);
    const error = errorOf(outcome);
    assert.deepEqual([outcome.code, error["kind"], error["message"]], [code, kind, message]);
    assert.match(String(error["hint"]), hint);
    assert.equal(outcome.stdout, "");
  };
  await run("pool", "create", "old");
  await refused(
    ["new", "old"],
    4,
    "AlreadyExists",
    "pool already exists",
    /different name.*remove/,
  );
  await refused(["x", "x"], 4, "AlreadyExists", "pool already exists", /different name/);
  await refused(["new", ""], 2, "Usage", "pool name is empty", /name/);
  await refused(
    ["new", "http://h/x"],
    2,
    "Usage",
    "pool create accepts local pool names or paths only",
    /name or a path/,
  );
  await refused(["new", "--size", "1.5M"], 2, "Usage", "invalid size suffix", /K\/M\/G/);
  await refused(["new", "--size", "M"], 2, "Usage", "invalid size", /K\/M\/G/);
  await refused(
    ["n", "--size=4096"],
    2,
    "Usage",
    "file_size must exceed header and index size",
    /./,
  );
  await refused(
    ["n", "--size", "64K", "--index-capacity", "3000"],
    2,
    "Usage",
    "index capacity is too large for pool size",
    /./,
  );
  assert.deepEqual([...Deno.readDirSync(`${dir}/p`)].map((entry) => entry.name), ["old.plasmite"]);
});

pools("info: text and JSON of an empty and a filled pool", async (dir, run) => {
  await run("pool", "create", "empty", "--size", "64K");
  const empty = await run("pool", "info", "empty");
  assert.equal(
    empty.stdout,
    `Pool: empty
Path: ${dir}/p/empty.plasmite
Size: 65536 bytes (index: offset=4096 slots=256 bytes=4096, ring: offset=8192 size=57344)
Bounds: oldest=- newest=- count=0
Utilization: used=0B free=57344B (0.00%)
Oldest: - (-)
Newest: - (-)
`,
  );
  fill(`${dir}/p`, "full");
  const text = (await run("pool", "info", "full")).stdout;
  assert.match(text, /\nBounds: oldest=1 newest=3 count=3\n/);
  assert.match(text, /\nUtilization: used=\d+B free=\d+B \(\d\.\d\d%\)\n/);
  assert.match(text, /\nOldest: \d{4}-\d\d-\d\dT[\d:.]+Z \(\d+s ago\)\nNewest: .* ago\)\n$/);
  const raw = (await run("pool", "info", "full", "--json")).stdout;
  assert.match(raw, /"used_percent":\d+\.\d+/);
  assert.equal(raw.trimEnd().split("\n").length, 1);
  const info = JSON.parse(raw);
  assert.deepEqual(info.bounds, { newest: 3, oldest: 1 });
  assert.deepEqual(Object.keys(info), Object.keys(info).toSorted());
  assert.equal(info.metrics.seq_span, 3);
  assert.equal(typeof info.metrics.age.oldest_age_ms, "number");
  const yaml = (await run("pool", "info", "full", "--format", "yaml")).stdout;
  assert.match(yaml, /^---\nbounds:\n {2}newest: 3\n {2}oldest: 1\n/);
  const pretty = (await run("pool", "info", "full", "--format", "pretty")).stdout;
  assert.match(pretty, /^Pool: full\n/);
});

pools("info: missing, damaged and foreign pools", async (dir, run) => {
  await run("pool", "create", "demo");
  const named = await run("pool", "info", "nope");
  assert.equal(named.code, ErrorKind.NotFound);
  const error = errorOf(named);
  assert.deepEqual(Object.keys(error), ["hint", "kind", "message"], "no path, no causes");
  assert.equal(error["message"], "not found");
  const given = /^[\w/.-]*$/.test(dir) ? `${dir}/p` : JSON.stringify(`${dir}/p`);
  assert(String(error["hint"]).includes(`plasmite --dir ${given} pool create nope`));
  const path = errorOf(await run("pool", "info", "./nope"));
  assert.match(String(path["hint"]), /Pool path not found.*--dir/);
  Deno.writeFileSync(`${dir}/p/bad.plasmite`, new Uint8Array(9000));
  assert.equal((await run("pool", "info", "bad")).code, ErrorKind.Corrupt);
  const flags = await run("pool", "info", "demo", "--token", "t");
  assert.equal(
    errorOf(flags)["message"],
    "pool info remote auth/TLS flags require a remote http(s) pool ref",
  );
});

pools("list: sorted, damaged pools are rows, a missing directory is empty", async (dir, run) => {
  const header = "NAME  STATUS  SIZE  OLDEST  NEWEST  MTIME  PATH  DETAIL\n";
  const none = await run("pool", "list");
  assert.deepEqual([none.code, none.stdout], [0, header]);
  assert.equal((await run("pool", "list", "--json")).stdout, '{"pools":[]}\n');
  fill(`${dir}/p`, "b");
  fill(`${dir}/p`, "a");
  Deno.writeTextFileSync(`${dir}/p/c.plasmite`, "not a pool");
  Deno.writeTextFileSync(`${dir}/p/notes.txt`, "");
  const { stdout, code, stderr } = await run("pool", "list");
  assert.deepEqual([code, stderr], [0, ""]);
  const rows = stdout.trimEnd().split("\n").map((line) => line.trimEnd().split(/ {2,}/));
  assert.deepEqual(rows.map((row) => row[0]), ["NAME", "a", "b", "c"]);
  assert.deepEqual(rows[1]?.slice(1, 5), ["OK", "65536", "1", "3"]);
  assert.deepEqual(rows[3]?.slice(1, 7), ["ERR", "-", "-", "-", "-", "c.plasmite"]);
  const { pools } = JSON.parse((await run("pool", "list", "--format", "json")).stdout);
  assert.deepEqual(Object.keys(pools[0]), ["bounds", "file_size", "mtime", "name", "path"]);
  assert.match(pools[0].mtime, /^\d{4}-.*Z$/);
  assert.equal(pools[2].error.error.kind, "Corrupt");
  assert.deepEqual(Object.keys(pools[2]), ["error", "name", "path"]);
});

pools("list: a path that is no directory is one row named pools", async (dir) => {
  Deno.writeTextFileSync(`${dir}/file`, "");
  const { code, stdout } = await cli(["pool", "list", "--json", "--dir", `${dir}/file`]);
  assert.equal(code, 0);
  const { pools: [row] } = JSON.parse(stdout);
  assert.equal(row.name, "pools");
  assert.equal(row.error.error.kind, "Io");
});

Deno.test("list: only the origin of a server is accepted", async () => {
  const path = await cli(["pool", "list", "http://127.0.0.1:1/x"]);
  assert.deepEqual(
    [path.code, errorOf(path)["message"]],
    [2, "remote base url must not include a path"],
  );
  assert.equal((await cli(["pool", "list", "demo"])).code, ErrorKind.Usage);
});

pools(
  "delete: every name is tried, failures are on stdout, the first sets the code",
  async (dir, run) => {
    await run("pool", "create", "a", "b");
    const mixed = await run("pool", "delete", "a", "x", "http://h/y", "b", "--json");
    assert.deepEqual([mixed.code, mixed.stderr], [3, ""]);
    const report = JSON.parse(mixed.stdout);
    assert.deepEqual(report.deleted, [
      { path: `${dir}/p/a.plasmite`, pool: "a" },
      { path: `${dir}/p/b.plasmite`, pool: "b" },
    ]);
    const [missing, remote] = report.failed;
    assert.equal(missing.pool, "x");
    assert.equal(missing.error.kind, "NotFound");
    assert.equal(missing.error.message, "pool not found");
    assert.equal(missing.error.path, `${dir}/p/x.plasmite`);
    assert.equal(remote.error.message, "pool delete accepts local pool names or paths only");
    assert.deepEqual([...Deno.readDirSync(`${dir}/p`)], []);
    await run("pool", "create", "c");
    const table = await run("pool", "delete", "c");
    assert.equal(table.code, 0);
    assert.equal(
      table.stdout,
      "NAME  STATUS  PATH        DETAIL\nc     OK      c.plasmite  -     \n",
    );
  },
);

pools("control characters in names cannot reach the screen", async (_dir, run) => {
  const outcome = await run("pool", "delete", "a\x1b[2J", "b\nc", "--color", "always");
  // deno-lint-ignore no-control-regex
  assert(!/[\x00-\x09\x0b-\x1f\x7f]/.test(outcome.stdout), outcome.stdout);
  assert(outcome.stdout.includes("a\\u001b[2J") && outcome.stdout.includes("b\\nc"));
});

Deno.test("a reader that goes away is no error, a full device is", async () => {
  const sh = async (line: string) => {
    const { stdout } = await new Deno.Command("bash", { args: ["-c", line], stderr: "null" })
      .output();
    return new TextDecoder().decode(stdout);
  };
  const closed = await sh(
    `{ { sleep 0.3; ${command(["--help"])}; echo "code $?" >&2; } | true; } 2>&1`,
  );
  assert.equal(closed, "code 0\n");
  const full = await sh(`${command(["version"])} 2>&1 >/dev/full; echo $?`);
  const [line = "", code] = full.trimEnd().split("\n");
  const { error } = JSON.parse(line);
  assert.deepEqual([error.kind, error.message, code], ["Io", "failed to write stdout", "8"]);
  assert.match(error.hint, /completed appends remain stored/);
});

Deno.test("list on a terminal: a pool is one line, whatever its name is", () => {
  const info = {
    path: "",
    fileSize: 1 << 20,
    indexOffset: 4096,
    indexCapacity: 0,
    indexSizeBytes: 0,
    ringOffset: 4096,
    ringSize: 1 << 20,
    bounds: { oldestSeq: 1n, newestSeq: 9n },
    mtimeMs: Date.now() - 3 * 86400_000,
  };
  const names = ["a".repeat(60), `${"b".repeat(30)}${"c".repeat(30)}`, "short", "日本".repeat(15)];
  const pools = names.map((name) => ({ ...info, name, path: `/pools/${name}.plasmite` }));
  const error = new PlasmiteError("Corrupt", "invalid file size\nexpected 4096 or more bytes");
  for (const columns of [40, 80, 160]) {
    const text = poolTable([...pools, {
      ...info,
      name: "damaged",
      path: "/pools/damaged.plasmite",
      error,
    }], {
      dir: "/pools",
      columns,
      colored: false,
    });
    const lines = text.trimEnd().split("\n");
    assert.equal(lines.length, 6);
    for (const line of lines) assert.ok(textWidth(line) <= columns || columns < 60, line);
    assert.ok(!text.includes("PATH"), "the path says no more than the name");
  }
  const elsewhere = poolTable([{ ...info, name: "p", path: "/other/dir/q.plasmite", error }], {
    dir: "/pools",
    columns: 80,
    colored: true,
  });
  const [heading = "", row = ""] = elsewhere.split("\n");
  assert.match(heading, /^NAME .*PATH$/);
  assert.ok(row.startsWith("\x1b[31mp  ERR  invalid file size\\u000aexpected"), row);
});

Deno.test({
  name: "on a terminal: sizes, ages, fill and rate; errors as text with labels",
  ignore: !hasScript,
  fn: () =>
    inTemp(async (dir) => {
      const at = (...args: string[]) =>
        onTerminal(
          ["$P", "--dir", `${dir}/p`, ...args].map((w) => w === "$P" ? w : quote(w)).join(" "),
        );
      const nothing = await at("pool", "list");
      assert.equal(
        nothing.screen,
        `No pools found in ${dir}/p/\n\n  Create one: plasmite pool create <name>\n`,
      );
      const one = await at("pool", "create", "demo", "--size", "1M");
      assert.equal(one.screen, "Created demo (1M, 4096 index slots)\n  path: demo.plasmite\n");
      const two = await at("pool", "create", "x", "y");
      assert.equal(
        two.screen,
        "Created 2 pools (1M each)\n  - x (x.plasmite)\n  - y (y.plasmite)\n",
      );
      const empty = (await at("pool", "info", "demo")).screen;
      assert(
        empty.startsWith("demo\n  path:      demo.plasmite\n  size:      1M (0 used, 0.00%)\n"),
      );
      assert(empty.includes("  messages:  empty\n  oldest:    —\n  newest:    —\n"), empty);
      assert(empty.includes("  index:     4096 slots (64K)\n  ring:      956K\n"), empty);
      fill(`${dir}/p`, "x");
      const full = (await at("pool", "info", "x")).screen;
      assert.match(full, /messages: {2}3 \(seq 1\.\.3\)\n {2}oldest: {4}\d+s ago \([\dT:-]+Z\)\n/);
      assert.match(full, /\n {2}fill: {6}\[.{24}\]\n {2}rate: {6}1\.0\/s over/);
      const list = (await at("pool", "list")).screen.split("\n");
      assert.match(list[0] ?? "", /^NAME +SIZE +MSGS +MODIFIED +FILL +RATE$/);
      assert.match(list[2] ?? "", /^x +1M +3 +\d+s ago +\[.{10}\] +1\.0\/s$/);
      const missing = await at("pool", "info", "nope");
      assert.equal(missing.code, ErrorKind.NotFound);
      assert(missing.screen.startsWith("\x1b[31merror:\x1b[0m not found\n\x1b[33mhint:\x1b[0m "));
      const gone = await at("pool", "delete", "nope");
      assert(gone.screen.startsWith('Pool "nope" not found. Nothing to delete.\n\n  Reason:'));
      assert(gone.screen.includes(`Pool directory: ${dir}/p/\n`));
      const some = await at("pool", "delete", "demo", "nope");
      assert.equal(
        some.screen,
        `Deleted 1 of 2 pools.\n\n  ✓ demo\n  ✗ nope — pool not found\n\n  Pool directory: ${dir}/p/\n`,
      );
      assert.equal((await at("pool", "delete", "x")).screen, 'Deleted pool "x".\n');
      const json = await at("pool", "list", "--json");
      assert(
        json.screen.startsWith('\x1b[39m{\x1b[0m\n  \x1b[36m"pools"'),
        "indented and coloured",
      );
      const plain = await at("pool", "list", "--format", "json", "--color", "always");
      assert(plain.screen.startsWith('{"pools":[{"bounds"'), "one plain line");
    }),
});

Deno.test({
  name: "each stream is treated on its own; --format json and yaml apply to errors too",
  ignore: !hasScript,
  fn: () =>
    inTemp(async (dir) => {
      const file = await onTerminal(`$P pool info nope 2> ${quote(`${dir}/err`)}`);
      assert.equal(file.screen, "");
      assert(Deno.readTextFileSync(`${dir}/err`).startsWith('{"error":'));
      const forced = await onTerminal("$P pool info nope --format json");
      assert(forced.screen.startsWith('{"error":'), forced.screen);
      const yaml = await cli(["follow", "--nope", "--format", "yaml"]);
      assert.match(yaml.stderr, /^---\nerror:\n {2}hint: .*\n {2}kind: 'Usage'\n/);
      const binary = await cli(["pool", "list", "--format", "lite3"]);
      assert.match(binary.stderr, /^error: binary output requires a message command\nhint: /);
    }),
});
