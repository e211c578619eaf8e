/**
 * Where the code asks which system it runs on, a test has run the other answer: on Windows `tap`,
 * `work` and `copy --follow` ended with an internal error, because of signals that it does not have.
 *
 * @module
 */

import assert from "node:assert/strict";
import { errnoFunction, libraries } from "../../lib/storage/node_lock.ts";
import { inTemp, type Outcome } from "../cli/cli_util.ts";
import { until } from "../support/patience.ts";
import { CLI, inCheckout, ROOT } from "../support/paths.ts";
import { hasTerminals, terminal } from "../support/terminal.ts";

const PRELOAD = inCheckout("tests/support/other_system.ts");
const FACTS = inCheckout("tests/support/other_system_facts.ts");
const SYSTEMS = ["darwin", "windows"] as const;
type System = typeof SYSTEMS[number];
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** A directory of a test, and programs that run there as on another system. */
class Machine {
  readonly dir: string;
  readonly system: System;

  constructor(dir: string, system: System) {
    this.dir = dir;
    this.system = system;
  }

  get env(): Record<string, string> {
    const { dir, system } = this;
    return {
      OTHER_SYSTEM: system,
      HOME: dir,
      APPDATA: `${dir}/appdata`,
      PLASMITE_ACCESS_HOME: `${dir}/saved`,
      NO_COLOR: "1",
    };
  }

  spawn(script: string, args: readonly string[]): Deno.ChildProcess {
    return new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "--preload", PRELOAD, script, ...args],
      env: this.env,
      cwd: this.dir,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  }

  async run(...args: string[]): Promise<Outcome> {
    const { code, stdout, stderr } = await this.spawn(CLI, args).output();
    return { code, stdout: text(stdout), stderr: text(stderr) };
  }

  /** Runs a command that has to succeed. */
  async done(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...args);
    assert.equal(code, 0, `${this.system}: ${args.join(" ")}: ${stderr}`);
    return stdout;
  }

  /** Runs a command that has to be refused. */
  async refused(kind: string, ...args: string[]): Promise<void> {
    const { code, stderr } = await this.run(...args);
    assert.notEqual(code, 0);
    assert.equal(JSON.parse(stderr.trim().split("\n").at(-1) ?? "").error.kind, kind, stderr);
  }
}

function onEach(name: string, work: (machine: Machine) => Promise<void>, ignore = false): void {
  for (const system of SYSTEMS) {
    Deno.test({
      name: `as on ${system}: ${name}`,
      ignore: Deno.build.os !== "linux" || ignore,
      fn: () => inTemp((dir) => work(new Machine(dir, system))),
    });
  }
}

onEach("what differs is what that system says", async ({ system, dir, env }) => {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--preload", PRELOAD, FACTS, dir],
    env: { ...env, PLASMITE_ACCESS_HOME: `${dir}/saved`, HOME: "", USERPROFILE: "C:/Users/a" },
  }).output();
  const expected = {
    darwin: {
      folders: { access: "/home/a/Library/Application Support/Plasmite", pools: ".plasmite/pools" },
      backslashIsPath: false,
      refusedNames: ["a/b"],
      fileUrl: "/C:/pools",
      noLinks: [1, 13, 22, 31, 45, 78, 102],
      hints: [27, 28, 30, 69],
      longName: [63],
      fileSizeSignals: 1,
    },
    windows: {
      folders: { access: "C:/Users/a/AppData/Plasmite", pools: "C:/Users/a/.plasmite/pools" },
      backslashIsPath: true,
      refusedNames: ["a/b", "a\\b", "a:b"],
      fileUrl: "C:/pools",
      noLinks: [1, 50, 1142],
      hints: [19, 112, 223, 1295],
      longName: [206],
      fileSizeSignals: 0,
    },
  };
  assert.deepEqual(JSON.parse(text(stdout) || text(stderr)), {
    ...expected[system],
    secured: true,
    semaphore: null,
    ticks: [50],
    invalidArgument: "Usage",
    stdoutPoll: true,
  });
});

onEach("messages go in and out, commands are started, a damaged pool is mended", async (m) => {
  await m.done("feed", "p", "--create", '{"a":1}');
  assert.match(await m.done("follow", "p", "--tail", "1", "--one", "--jsonl"), /"a":1/);
  const lines = Array.from({ length: 500 }, (_, n) => `{"n":${n},"pad":"${"x".repeat(2000)}"}\n`);
  Deno.writeTextFileSync(`${m.dir}/lines`, lines.join(""));
  await m.done("feed", "many", "--create", "--create-size", "4M", "--file", `${m.dir}/lines`);
  const many = await m.done("follow", "many", "--no-follow", "--tail", "500", "--jsonl");
  assert.deepEqual(
    many.trim().split("\n").map((line) => JSON.parse(line).data.n),
    lines.map((_, n) => n),
  );
  assert.equal(await m.done("tap", "t", "--create", "--", "echo", "hi"), "hi\n");
  await m.refused("Usage", "tap", "t", "--", "no-such-program-here");
  assert.equal(
    await m.done("work", "p", "--group", "g", "--drain", "--", "echo", "done"),
    "done\n",
  );
  await m.done("follow", "p", "--cursor", "c", "--no-follow", "--exec", "true");
  await m.done("copy", "p", "q", "--create-size", "1M");
  const pool = `${m.dir}/.plasmite/pools/p.plasmite`;
  using file = Deno.openSync(pool, { write: true });
  file.seekSync(100_000, Deno.SeekMode.Start);
  file.writeSync(new Uint8Array([1]));
  file.seekSync(69_632, Deno.SeekMode.Start);
  file.writeSync(new Uint8Array([1, 2, 3]));
  await m.done("doctor", "p", "--repair");
  const names = [...Deno.readDirSync(`${m.dir}/.plasmite/pools`)].map(({ name }) => name);
  assert(names.some((name) => name.includes(".backup-")), names.join());
});

onEach("a copy that goes on ends when it is told to", async (m) => {
  await m.done("feed", "p", "--create", '{"a":1}');
  const child = m.spawn(CLI, ["copy", "p", "q", "--create", "--follow"]);
  const output = child.output();
  const copied = `${m.dir}/.plasmite/pools/q.plasmite`;
  await until(async () => (await m.run("follow", "q", "--no-follow")).stdout !== "", copied);
  child.kill("SIGINT");
  const { code, stderr } = await output;
  assert.equal(code, 0, text(stderr));
});

onEach("a server starts, is found, and stops; its files are made", async (m) => {
  await m.done("serve", "init", "--output-dir", `${m.dir}/secure`);
  await Deno.chmod(`${m.dir}/secure/plasmite-auth-token.txt`, 0o644);
  const check = await m.done(
    ...["serve", "--token-file", `${m.dir}/secure/plasmite-auth-token.txt`, "check"],
  );
  assert.equal(/chmod 600/.test(check), m.system !== "windows", check);
  await m.refused("Usage", "serve", "install", "https://localhost:9743");
  const child = m.spawn(CLI, ["serve", "--bind", "127.0.0.1:0", "https://localhost:0"]);
  const output = child.output();
  const status = async (): Promise<{ state: string }[]> =>
    JSON.parse(await m.done("serve", "status", "--all"));
  await until(async () => (await status()).some(({ state }) => state === "running"), "running");
  const { access_key: key } = JSON.parse(await m.done("access", "invite", "laptop"));
  assert.match(key, /^pk1\./);
  child.kill(m.system === "windows" ? "SIGUSR1" : "SIGTERM");
  const { code, stderr } = await output;
  assert.equal(code, 0, text(stderr));
  assert.deepEqual(await status(), []);
});

onEach("a terminal is taken and given back", async (m) => {
  await m.done("feed", "p", "--create", '{"text":"first"}');
  const { code, restored, output } = await terminal(
    ["follow", "p", "-i", "--tail", "1"],
    [{ expect: "first" }, { send: "q" }],
    { permissions: ["-A", "--preload", PRELOAD], env: m.env },
  );
  assert.deepEqual({ code, restored }, { code: 0, restored: true }, output);
}, !hasTerminals);

Deno.test("in Node and Bun, locks are looked for in the C library of the system", () => {
  assert.deepEqual(libraries("darwin", "arm64"), ["libSystem.B.dylib"]);
  assert.deepEqual(libraries("linux", "arm64"), [
    ...["libc.so.6", "libc.musl-aarch64.so.1", "libc.so"],
  ]);
  assert.equal(libraries("linux", "x64")[1], "libc.musl-x86_64.so.1");
  assert.equal(errnoFunction("darwin"), "__error");
  assert.equal(errnoFunction("linux"), "__errno_location");
});

/** The files that ask for the system; the tests above run what they do on the others. */
const ASKING = new Set([
  "lib/access/folder.ts",
  "lib/backend/refs.ts",
  "lib/cli/interrupts.ts",
  "lib/cli/poll.ts",
  "lib/cli/raw_arguments.ts",
  "lib/cli/service/find.ts",
  "lib/cli/tap_child.ts",
  "lib/cli/tap_program.ts",
  "lib/cli/terminal.ts",
  "lib/client/names.ts",
  "lib/environment.ts",
  "lib/remote/connect.ts",
  "lib/stdio.ts",
  "lib/storage/backup.ts",
  "lib/storage/create.ts",
  "lib/storage/file.ts",
  "lib/storage/os_error.ts",
  "lib/storage/semaphore.ts",
  "lib/storage/temporary.ts",
  "lib/storage/watch.ts",
  "server/access/folder.ts",
  "server/warnings.ts",
  "server/registry.ts",
  "server/write_set.ts",
]);

Deno.test("no other file asks for the system", () => {
  const asking = new Set<string>();
  const look = (dir: string): void => {
    for (const { name, isDirectory } of Deno.readDirSync(ROOT + dir)) {
      const path = `${dir}/${name}`;
      if (isDirectory) look(path);
      else if (name.endsWith(".ts") && Deno.readTextFileSync(ROOT + path).includes("build.os")) {
        asking.add(path);
      }
    }
  };
  for (const dir of ["lib", "server", "mcp"]) look(dir);
  assert.deepEqual(asking, ASKING, "run the branch above, then add the file here");
});
