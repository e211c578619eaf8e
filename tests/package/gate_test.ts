/**
 * The gate and the first minute: what `.ci/run` believes, the environment tests bring along, and a
 * checkout in a folder with an unusual name. A gate that goes green by mistake lets a fault out to
 * everybody; a first command that fails sends a newcomer away.
 *
 * @module
 */

import assert from "node:assert/strict";
import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import { exists, inTemp, quote } from "../cli/cli_util.ts";
import { inCheckout, ROOT } from "../support/paths.ts";

const text = new TextDecoder();
const HAS_BASH = await exists("bash") && Deno.build.os !== "windows";

interface Ran {
  readonly code: number;
  readonly out: string;
}

async function run(
  program: string,
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string>; clearEnv?: boolean } = {},
): Promise<Ran> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args: [...args], ...options })
    .output();
  return { code, out: text.decode(stdout) + text.decode(stderr) };
}

/** Puts files into a folder, with the folders on their way. */
async function put(dir: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await Deno.mkdir(dirname(`${dir}/${name}`), { recursive: true });
    await Deno.writeTextFile(`${dir}/${name}`, content);
  }
}

/** Runs `deno test` on test files of its own, and then the gate's summary of what it printed. */
async function summary(
  files: Readonly<Record<string, string>>,
  ignored = "",
  steps = 0,
  flags = ["--no-check"],
): Promise<Ran & { readonly last: string }> {
  let ran: Ran = { code: -1, out: "" };
  await inTemp(async (dir) => {
    await put(dir, files);
    await put(dir, { ".ci/ignored": ignored, "deno.json": "{}" });
    await Deno.copyFile(inCheckout(".ci/summary"), `${dir}/.ci/summary`);
    const tests = await run(Deno.execPath(), ["test", "-A", ...flags, "tests/"], { cwd: dir });
    await put(dir, { log: tests.out });
    ran = await run("bash", [`${dir}/.ci/summary`, `${dir}/log`, `${tests.code}`, `${steps}`]);
  });
  return { ...ran, last: ran.out.trimEnd().split("\n").at(-1) ?? "" };
}

const FINE = 'Deno.test("fine", () => {}); Deno.test("fine too", () => {});';

Deno.test(
  "gate: only a passed run is green, with the real numbers",
  { ignore: !HAS_BASH },
  async () => {
    const { code, last } = await summary({ "tests/a_test.ts": FINE, "tests/b_test.ts": FINE });
    assert.deepEqual([code, last], [0, "4 passed, 0 failed"]);
  },
);

Deno.test("gate: a file that does not load is a failure, beside one that fails as well", {
  ignore: !HAS_BASH,
}, async () => {
  const broken = 'throw new Error("no");';
  const failing = 'Deno.test("bad", () => { throw new Error("bad"); });';
  const one = await summary({ "tests/a_test.ts": FINE, "tests/b_test.ts": broken });
  assert.deepEqual([one.code, one.last], [1, "2 passed, 1 failed"]);
  assert.match(one.out, /FAILED: \.\/tests\/b_test\.ts did not load/);
  const both = await summary({
    "tests/a_test.ts": FINE,
    "tests/b_test.ts": broken,
    "tests/c_test.ts": failing,
  });
  assert.deepEqual([both.code, both.last], [1, "2 passed, 2 failed"]);
});

Deno.test(
  "gate: a run that ends early is a failure",
  { ignore: !HAS_BASH },
  async () => {
    for (
      const broken of [
        'import "./none.ts";',
        "Deno.exit(0);",
        'Deno.test("ends it all", () => Deno.exit(0));',
      ]
    ) {
      const { code, last } = await summary({ "tests/a_test.ts": FINE, "tests/b_test.ts": broken });
      assert.notEqual(code, 0, broken);
      assert.match(last, /^\d+ passed, [1-9]\d* failed$/, broken);
    }
    const types = { "tests/a_test.ts": FINE, "tests/b_test.ts": 'const n: number = "no"; n;' };
    const checked = await summary(types, "", 0, []);
    assert.deepEqual([checked.code, checked.last], [1, "0 passed, 1 failed"], "types");
    const none = await summary({ "tests/a_test.ts": "export {};", "tests/b_test.ts": FINE });
    assert.deepEqual([none.code, none.last], [1, "2 passed, 1 failed"], "a file without tests");
    const step = await summary({ "tests/a_test.ts": FINE }, "", 2);
    assert.deepEqual([step.code, step.last], [1, "2 passed, 2 failed"], "a check that failed");
  },
);

Deno.test("gate: an ignored test is named, and needs a reason that applies here", {
  ignore: !HAS_BASH,
}, async () => {
  const files = {
    "tests/a_test.ts": `Deno.test("fine", () => {});
      Deno.test("talks", () => console.log("this ... ignored (0ms)"));
      Deno.test({ name: "disk | full", ignore: true, fn() {} });
      Deno.test("steps", async (t) => {
        await t.step({ name: "one", ignore: true, fn() {} });
      });`,
  };
  const list = (condition: string, name = "*") =>
    `# list\n\n${condition} | tests/a* | ${name} | so\n`;
  const unexcused = await summary(files);
  assert.deepEqual([unexcused.code, unexcused.last], [1, "3 passed, 2 failed"]);
  assert.match(unexcused.out, /^FAILED: ignored .*: tests\/a_test\.ts: disk \| full$/m);
  assert.match(unexcused.out, /^FAILED: ignored .*: tests\/a_test\.ts: one$/m);
  const excused = await summary(files, list("no such-program-anywhere"));
  assert.deepEqual([excused.code, excused.last], [0, "3 passed, 0 failed"]);
  assert.match(excused.out, /^ignored: .*disk \| full \(no such-program-anywhere: so\)$/m);
  const idle = await summary(files, list("no bash"));
  assert.deepEqual([idle.code, idle.last], [1, "3 passed, 2 failed"], "bash is here");
  const other = await summary(files, list("no such-program-anywhere", "o*"));
  assert.deepEqual([other.code, other.last], [1, "3 passed, 1 failed"], "the other is unexcused");
});

Deno.test("gate: runs the README's test command, word for word, and believes its exit code", {
  ignore: !HAS_BASH,
}, async () => {
  const [, command = ""] =
    /^(npx .* task test) /m.exec(await Deno.readTextFile(`${ROOT}README.md`)) ??
      [];
  const [, pinned = ""] = /deno@([\d.]+)/.exec(command) ?? [];
  assert.notEqual(pinned, "");
  for (const status of [0, 1]) {
    await inTemp(async (dir) => {
      await Deno.mkdir(`${dir}/.ci`);
      for (const file of [".ci/run", ".ci/summary", ".ci/ignored", "README.md"]) {
        await Deno.copyFile(ROOT + file, `${dir}/${file}`);
      }
      const ran = 'echo "$(basename "$0") $*" >> "$RECORD"';
      await put(`${dir}/bin`, {
        npx: `#!/bin/sh\n${ran}\necho "ok | 7 passed | 0 failed (1s)"\nexit ${status}\n`,
        deno: `#!/bin/sh\n${ran}\necho "deno ${pinned} (stand-in)"\n`,
        id: "#!/bin/sh\necho 1000\n",
        // Nothing is to be built here.
        "nats-server-2.9": "#!/bin/sh\n",
        "nats-server-2.15": "#!/bin/sh\n",
        actionlint: "#!/bin/sh\n",
      });
      for (const { name } of Deno.readDirSync(`${dir}/bin`)) {
        await Deno.chmod(`${dir}/bin/${name}`, 0o755);
      }
      const { code, out } = await run("bash", [`${dir}/.ci/run`], {
        env: {
          PATH: `${dir}/bin:${Deno.env.get("PATH")}`,
          RECORD: `${dir}/record`,
          XDG_CACHE_HOME: `${dir}/cache`,
        },
      });
      const record = (await Deno.readTextFile(`${dir}/record`)).split("\n");
      assert.equal(record.filter((line) => line === command).length, 1, record.join("\n"));
      assert.ok(record.includes("deno fmt --check"), record.join("\n"));
      assert.equal(code, status);
      assert.ok(out.endsWith(`\n7 passed, ${status} failed\n`), out);
    });
  }
});

// Lost: which file an ignored test is in, or a failure in one folder, when two run at the same time.
Deno.test("gate: folders that are tested side by side are told as if one after the other", {
  ignore: !HAS_BASH,
}, async () => {
  // Each file waits for one of the other folder, so that what they print is mixed.
  const talk = (own: string, other: string): string =>
    `import { existsSync } from "node:fs";
     for (let i = 0; i < 3; i++) {
       Deno.test("talks " + i, async () => {
         console.log("some\\nlines");
         Deno.writeTextFileSync("${own}" + i, "");
         while (!existsSync("${other}" + i)) await new Promise((go) => setTimeout(go, 5));
       });
       Deno.test({ name: "ignored of ${own} " + i, ignore: true, fn() {} });
     }`;
  const files = {
    "deno.json": "{}",
    ".ci/ignored": "no such-program | tests/one/* | ignored of a * | so\n" +
      "no such-program | tests/two/* | ignored of b * | so\n",
    "tests/one/a_test.ts": talk("a", "b"),
    "tests/two/b_test.ts": talk("b", "a"),
    "tests/two/helper.ts": "export {};",
    "tests/support/none.ts": "export {};",
    "tests/top_test.ts": FINE,
  };
  const bad = 'Deno.test("bad", () => { throw new Error("why it broke"); });';
  const cases: [Record<string, string>, number, string][] = [
    [{}, 0, "8 passed, 0 failed"],
    [
      { "tests/two/c_test.ts": bad, "tests/one/c_test.ts": 'throw new Error("no");' },
      1,
      "8 passed, 2 failed",
    ],
    [{ "tests/support/none.ts": 'export const n: number = "no";' }, 1, "8 passed, 1 failed"],
  ];
  for (const [more, code, last] of cases) {
    await inTemp(async (dir) => {
      await put(dir, { ...files, ...more });
      await Deno.copyFile(inCheckout(".ci/summary"), `${dir}/.ci/summary`);
      const args = ["run", "-A", inCheckout("tests/all.ts")];
      const tests = await run(Deno.execPath(), args, { cwd: dir });
      await put(dir, { log: tests.out });
      const told = await run("bash", [`${dir}/.ci/summary`, `${dir}/log`, `${tests.code}`, "0"]);
      const text = `${told.out}\n\n${tests.out}`;
      assert.ok(told.out.endsWith(`\n${last}\n`), text);
      assert.equal(told.code, code, text);
    });
  }
});

// `console.assert` only prints: an example of ours claimed for weeks what was not so.
Deno.test("gate: what failed, and why, is told again at the end", {
  ignore: !HAS_BASH,
}, async () => {
  // A log that is cut in the middle otherwise says that one of 1,700 tests failed, not which.
  const body = 'Deno.test("broken thing", () => { throw new Error("why it broke"); });';
  const { out, last } = await summary({ "tests/a_test.ts": FINE, "tests/b_test.ts": body });
  assert.match(out, /broken thing => \.\/tests\/b_test\.ts[^]*why it broke/);
  assert.equal(last, "2 passed, 1 failed");
});

Deno.test("gate: a documentation example whose claim is wrong fails", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));
  const [, flags = ""] = /^deno (test -A --doc .*?)mod\.ts /.exec(tasks.test.command) ?? [];
  await inTemp(async (dir) => {
    const example = (claim: string): string =>
      `/**\n * Adds.\n *\n * \`\`\`ts\n * console.assert(${claim});\n * \`\`\`\n */\nexport const one = 1;\n`;
    await put(dir, { "right.ts": example("1 + 1 === 2"), "wrong.ts": example("1 + 1 === 3") });
    const test = (file: string): Promise<Ran> =>
      run(Deno.execPath(), [...flags.trim().split(" "), "--no-check", `${dir}/${file}`], {
        cwd: ROOT,
      });
    assert.equal((await test("right.ts")).code, 0);
    const { code, out } = await test("wrong.ts");
    assert.notEqual(code, 0);
    assert.match(out, /Assertion failed/);
  });
});

Deno.test("gate: workflows are checked, and where that is impossible it says so, or fails in CI", {
  ignore: !HAS_BASH,
}, async () => {
  const ok = "#!/bin/sh\nexit 0\n";
  const cases: [string, Record<string, string>, Record<string, string>, RegExp, number][] = [
    ["there", { actionlint: '#!/bin/sh\necho "checks $*"\n' }, {}, /^checks .*x\.yml/m, 0],
    ["complains", { actionlint: "#!/bin/sh\nexit 3\n" }, {}, /^FAILED: actionlint$/m, 1],
    ["no Go", { go: "#!/bin/sh\nexit 1\n" }, {}, /^== actionlint: NOT RUN, /m, 0],
    [
      "no Go in CI",
      { go: "#!/bin/sh\nexit 1\n" },
      { CI: "1" },
      /^FAILED: actionlint: not here/m,
      1,
    ],
  ];
  for (const [name, programs, env, expected, code] of cases) {
    await inTemp(async (dir) => {
      const readme = await Deno.readTextFile(`${ROOT}README.md`);
      const [, version = ""] = /npx -y deno@([\d.]+)/.exec(readme) ?? [];
      await put(dir, { "README.md": readme, ".github/workflows/x.yml": "on: push\n" });
      await Deno.mkdir(`${dir}/.ci`);
      for (const file of [".ci/run", ".ci/summary", ".ci/ignored"]) {
        await Deno.copyFile(ROOT + file, `${dir}/${file}`);
      }
      await put(`${dir}/bin`, {
        npx: `#!/bin/sh\necho "ok | 7 passed | 0 failed (1s)"\n`,
        deno: `#!/bin/sh\necho "deno ${version} (stand-in)"\n`,
        id: "#!/bin/sh\necho 1000\n",
        shellcheck: ok,
        ...programs,
      });
      for (const file of Deno.readDirSync(`${dir}/bin`)) {
        await Deno.chmod(`${dir}/bin/${file.name}`, 0o755);
      }
      const ran = await run("bash", [`${dir}/.ci/run`], {
        env: { PATH: `${dir}/bin:/usr/bin:/bin`, XDG_CACHE_HOME: `${dir}/cache`, ...env },
      });
      assert.match(ran.out, expected, name);
      assert.equal(ran.code, code, `${name}: ${ran.out}`);
    });
  }
});

Deno.test("environment: settings, home and locale of the caller do not reach tests", async () => {
  const hostile = {
    EDITOR: "vi",
    VISUAL: "emacs",
    LC_ALL: "xx_YY.UTF-8",
    LANG: "zz_ZZ",
    TZ: "Asia/Kolkata",
    TERM: "no-such-terminal",
    BASH_ENV: "/no/such/file",
    NODE_OPTIONS: "--no-such-option",
    RUST_BACKTRACE: "1",
    PLASMITE_SERVE_READY_FILE: "/no/such/file",
    http_proxy: "http://127.0.0.1:1",
  };
  const script = `import ${
    JSON.stringify(pathToFileURL(inCheckout("tests/support/environment.ts")))
  };
    import { tmpdir } from "node:os";
    const env = Deno.env.toObject();
    Deno.writeTextFileSync(env.HOME + "/x", "");
    await fetch(Deno.args[0]).then((answer) => answer.body?.cancel());
    console.log(JSON.stringify({ ...env, hour: new Date(0).getHours() }));`;
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    () => new Response(""),
  );
  const url = `http://127.0.0.1:${server.addr.port}/`;
  const kept = { PATH: Deno.env.get("PATH") ?? "", DENO_DIR: Deno.env.get("DENO_DIR") ?? "" };
  await inTemp(async (dir) => {
    await put(dir, { "env.ts": script });
    for (const home of [{}, { HOME: "" }, { HOME: "/no/such/home" }, { HOME: dir }]) {
      const { code, out } = await run(Deno.execPath(), [
        "run",
        "-A",
        "--quiet",
        `${dir}/env.ts`,
        url,
      ], {
        env: { ...hostile, ...kept, ...home },
        clearEnv: true,
      });
      assert.equal(code, 0, out);
      const env = JSON.parse(out);
      assert.equal(env.hour, 0);
      assert.equal(env.TZ, "UTC");
      assert.equal(env.TERM, "xterm");
      assert.notEqual(env.HOME, dir);
      assert.match(env.HOME, /plasmite-home-/);
      assert.throws(
        () => Deno.statSync(env.HOME),
        Deno.errors.NotFound,
        "it is removed at the end",
      );
      for (const name of Object.keys(hostile)) {
        if (!["TZ", "TERM", "http_proxy"].includes(name)) assert.equal(env[name], undefined, name);
      }
    }
  });
});

/** Copies what `deno task` needs, and nothing that was built. */
async function copyCheckout(to: string): Promise<void> {
  const copy = async (dir: string): Promise<void> => {
    await Deno.mkdir(`${to}/${dir}`, { recursive: true });
    for await (const { name, isDirectory, isFile } of Deno.readDir(ROOT + dir)) {
      if (/^(\.git|node_modules|dist|tmp|tests|bench|assets)$/.test(name)) continue;
      if (isDirectory) await copy(`${dir}${name}/`);
      else if (isFile) await Deno.copyFile(`${ROOT}${dir}${name}`, `${to}/${dir}${name}`);
    }
  };
  await copy("");
}

Deno.test("checkout: in a folder with a blank and a percent sign, the demo and the package work", async () => {
  await inTemp(async (dir) => {
    const checkout = `${dir}/my 100%25 'check' out`;
    await copyCheckout(checkout);
    const demo = await run(Deno.execPath(), ["task", "demo"], { cwd: checkout });
    assert.equal(demo.code, 0, demo.out);
    for (const seq of [1, 2, 3]) {
      assert.match(demo.out, new RegExp(`^follow +│ .*"seq":${seq},`, "m"), demo.out);
    }
    const npm = await run(Deno.execPath(), ["task", "npm"], { cwd: checkout });
    assert.equal(npm.code, 0, npm.out);
    const packed = [...Deno.readDirSync(`${checkout}/dist`)].map(({ name }) => name);
    assert.deepEqual(packed.map((name) => name.endsWith(".tgz")), [true], npm.out);
  });
});

Deno.test("checkout: the demo says with which exit code a command ended that it cannot use", {
  ignore: !HAS_BASH,
}, async () => {
  await inTemp(async (dir) => {
    await copyCheckout(dir);
    await put(dir, { "cli.ts": 'Deno.exit(Deno.args.includes("follow") ? 77 : 0);' });
    const { code, out } = await run("bash", ["-c", `${quote(Deno.execPath())} task demo`], {
      cwd: dir,
    });
    assert.notEqual(code, 0, out);
    assert.match(out, /exit code 77/);
    assert.doesNotMatch(out, /timed out/);
  });
});
