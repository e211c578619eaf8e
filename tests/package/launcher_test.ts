/**
 * The commands as strangers have them: from the archive that `deno task bundle` makes, and from the
 * npm package in every layout that package managers make of it. A launcher that does not find its
 * Deno is a tool that does not start; one that stays beside it leaves the program running when it is
 * killed, or changes what was typed.
 *
 * @module
 */

import assert from "node:assert/strict";
import { dirname } from "node:path";
import { ErrorKind } from "../../lib/errors.ts";
import { readPackage } from "../../.ci/package/bundle.ts";
import { makePortable, programEntries } from "../../.ci/package/portable.ts";
import { exists, inTemp } from "../cli/cli_util.ts";
import { inCheckout } from "../support/paths.ts";

const unix = Deno.build.os !== "windows";
const linux = Deno.build.os === "linux";
const HAS_TAR = await exists("tar");
const text = new TextDecoder();

/** An environment without PATH, and a home that is not there. */
const BARE = { clearEnv: true, env: { HOME: "/no/such/home", NO_COLOR: "1" } };

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function run(program: string, ...args: string[]): Promise<Ran> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    stdin: "null",
    ...BARE,
  }).output();
  return { code, out: text.decode(stdout), err: text.decode(stderr) };
}

/** What every launcher has to hand on: output, exit codes, and the name `pls`. */
async function works(dir: string, plasmite: string, pls: string): Promise<void> {
  const version = await run(plasmite, "--version");
  assert.equal(version.out, `plasmite ${readPackage().version}\n`, version.err);
  const fed = await run(pls, "--dir", `${dir}/pools`, "feed", "p", "--create", '{"x": "a  b"}');
  assert.equal(JSON.parse(fed.out).seq, 1, fed.err);
  const got = await run(plasmite, "--dir", `${dir}/pools`, "fetch", "p", "1");
  assert.deepEqual(JSON.parse(got.out).data, { x: "a  b" });
  assert.equal(
    (await run(plasmite, "--dir", `${dir}/pools`, "fetch", "p", "9")).code,
    ErrorKind.NotFound,
  );
  assert.equal((await run(plasmite)).code, ErrorKind.Usage, "without a command");
  const bare = await run(pls);
  assert.deepEqual([bare.code, bare.err], [0, ""], "pls by itself prints its help");
  await Deno.remove(`${dir}/pools`, { recursive: true });
}

/** The program's JavaScript, made once. */
let program: ReturnType<typeof programEntries> | undefined;

/** Writes the npm package's files that its commands need. */
async function npmPackage(dir: string): Promise<void> {
  await Deno.mkdir(`${dir}/bin`, { recursive: true });
  await Deno.copyFile(inCheckout(".ci/package/launcher.sh"), `${dir}/bin/plasmite`);
  await Deno.chmod(`${dir}/bin/plasmite`, 0o755);
  for (const { name, content } of await (program ??= programEntries("js"))) {
    if (content !== undefined) await Deno.writeFile(`${dir}/${name.slice(3)}`, content);
  }
}

/** The npm package of Deno for this machine, and one for another that must not be taken. */
async function platformPackages(nodeModules: string): Promise<void> {
  const arch = Deno.build.arch === "x86_64" ? "x64" : "arm64";
  const other = arch === "x64" ? "arm64" : "x64";
  const suffix = linux ? "-glibc" : "";
  for (const one of [arch, other]) {
    const dir = `${nodeModules}/@deno/${Deno.build.os}-${one}${suffix}`;
    await Deno.mkdir(dir, { recursive: true });
    if (one === arch) await Deno.symlink(Deno.execPath(), `${dir}/deno`);
    else await Deno.writeTextFile(`${dir}/deno`, "#!/bin/sh\nexit 99\n", { mode: 0o755 });
  }
}

/** The commands as a package manager links them. */
async function linkCommands(bin: string, target: string): Promise<void> {
  await Deno.mkdir(bin, { recursive: true });
  for (const name of ["plasmite", "pls"]) await Deno.symlink(target, `${bin}/${name}`);
}

/** Each layout, made in `root`; returns the folder of the commands. */
const LAYOUTS: Readonly<Record<string, (root: string) => Promise<string>>> = {
  hoisted: async (root) => {
    await npmPackage(`${root}/node_modules/@plasmite/core`);
    await Deno.mkdir(`${root}/node_modules/deno`, { recursive: true });
    await platformPackages(`${root}/node_modules`);
    await linkCommands(`${root}/node_modules/.bin`, "../@plasmite/core/bin/plasmite");
    return `${root}/node_modules/.bin`;
  },
  "hoisted, after the install script": async (root) => {
    const bin = await LAYOUTS["hoisted"]?.(root) ?? "";
    await Deno.remove(`${root}/node_modules/@deno`, { recursive: true });
    await Deno.symlink(Deno.execPath(), `${root}/node_modules/deno/deno`);
    return bin;
  },
  nested: async (root) => {
    const core = `${root}/node_modules/@plasmite/core`;
    await npmPackage(core);
    // Another version of Deno, which somebody else wants, is where it would be looked for last.
    await Deno.mkdir(`${root}/node_modules/deno`);
    await Deno.writeTextFile(`${root}/node_modules/deno/deno`, "#!/bin/sh\nexit 98\n", {
      mode: 0o755,
    });
    await Deno.mkdir(`${core}/node_modules/deno`, { recursive: true });
    await platformPackages(`${core}/node_modules`);
    await linkCommands(`${root}/node_modules/.bin`, "../@plasmite/core/bin/plasmite");
    return `${root}/node_modules/.bin`;
  },
  "global, as npm install -g makes it": async (root) => {
    const core = `${root}/lib/node_modules/@plasmite/core`;
    await npmPackage(core);
    await Deno.mkdir(`${core}/node_modules/deno`, { recursive: true });
    await Deno.symlink(Deno.execPath(), `${core}/node_modules/deno/deno`);
    await linkCommands(`${root}/bin`, "../lib/node_modules/@plasmite/core/bin/plasmite");
    return `${root}/bin`;
  },
  "nested in deno itself": async (root) => {
    const core = `${root}/lib/node_modules/@plasmite/core`;
    await npmPackage(core);
    await platformPackages(`${core}/node_modules/deno/node_modules`);
    await linkCommands(`${root}/bin`, "../lib/node_modules/@plasmite/core/bin/plasmite");
    return `${root}/bin`;
  },
  pnpm: async (root) => {
    const store = `${root}/node_modules/.pnpm`;
    const [core, deno] = [`${store}/@plasmite+core@1/node_modules`, `${store}/deno@1/node_modules`];
    await npmPackage(`${core}/@plasmite/core`);
    await Deno.mkdir(`${deno}/deno`, { recursive: true });
    await Deno.symlink("../../deno@1/node_modules/deno", `${core}/deno`);
    await platformPackages(`${store}/all/node_modules`);
    await Deno.mkdir(`${deno}/@deno`);
    for (const { name } of Deno.readDirSync(`${store}/all/node_modules/@deno`)) {
      await Deno.symlink(`../../../all/node_modules/@deno/${name}`, `${deno}/@deno/${name}`);
    }
    await Deno.mkdir(`${root}/node_modules/@plasmite`);
    const link = `${root}/node_modules/@plasmite/core`;
    await Deno.symlink("../.pnpm/@plasmite+core@1/node_modules/@plasmite/core", link);
    await linkCommands(`${root}/node_modules/.bin`, "../@plasmite/core/bin/plasmite");
    return `${root}/node_modules/.bin`;
  },
};

for (const [layout, make] of Object.entries(LAYOUTS)) {
  Deno.test({
    name: `npm command: finds Deno in a layout that is ${layout}`,
    ignore: !unix,
    fn: () =>
      inTemp(async (dir) => {
        const place = `${dir}/a 'project' 100%25`;
        const bin = await make(place);
        await works(dir, `${bin}/plasmite`, `${bin}/pls`);
        // Moved, and through a link to the link.
        const moved = bin.replace(place, `${dir}/moved\n`);
        await Deno.rename(place, `${dir}/moved\n`);
        await Deno.symlink(`${moved}/pls`, `${dir}/pls`);
        await works(dir, `${moved}/plasmite`, `${dir}/pls`);
      }),
  });
}

/** The shells that are there, each as the words that start it. */
async function shells(): Promise<string[][]> {
  const known = [["sh"], ["dash"], ["bash"], ["busybox", "ash"], ["ksh"], ["mksh"], [
    "zsh",
    "--emulate",
    "sh",
  ]];
  const found = await Promise.all(known.map(([name = ""]) => exists(name)));
  return known.filter((_, i) => found[i]);
}

/** Runs a launcher by a shell, with its trace on stderr if asked for. */
async function byShell(words: string[], launcher: string, options: string[]): Promise<Ran> {
  const [shell = "", ...before] = words;
  const { code, stdout, stderr } = await new Deno.Command(shell, {
    args: [...before, ...options, launcher, "--version"],
    stdin: "null",
  }).output();
  return { code, out: text.decode(stdout), err: text.decode(stderr) };
}

// Lost: 2 of the 22 ms that a one-shot `feed` takes, to two programs that tell what is known already.
Deno.test({
  name: "npm command: where npm has installed it, the launcher starts Deno and no other program",
  ignore: !unix,
  fn: () =>
    inTemp(async (dir) => {
      for (
        const layout of [
          "hoisted, after the install script",
          "global, as npm install -g makes it",
        ]
      ) {
        const bin = await LAYOUTS[layout]?.(`${dir}/${layout}`) ?? "";
        for (const words of await shells()) {
          for (const name of ["plasmite", "pls"]) {
            const { code, out, err } = await byShell(words, `${bin}/${name}`, ["-x"]);
            assert.equal(code, 0, err);
            assert.equal(out, `plasmite ${readPackage().version}\n`);
            assert.match(err, /deno'? run/, `${words} traces`);
            assert.doesNotMatch(err, /readlink|uname/, `${words}: ${layout}`);
          }
        }
      }
    }),
});

Deno.test({
  name: "npm command: starts in shells that cannot compare files, and says nothing of it",
  ignore: !unix,
  fn: () =>
    inTemp(async (dir) => {
      for (const [layout, make] of Object.entries(LAYOUTS)) {
        const bin = await make(`${dir}/${layout}`);
        const launcher = await Deno.realPath(`${bin}/plasmite`);
        const source = await Deno.readTextFile(launcher);
        assert.ok(source.includes(` -ef "$self"`));
        await Deno.writeTextFile(launcher, source.replace(" -ef ", " -no-such "));
        for (const words of await shells()) {
          const { code, out, err } = await byShell(words, `${bin}/pls`, []);
          assert.deepEqual([code, err], [0, ""], `${words}: ${layout}`);
          assert.equal(out, `plasmite ${readPackage().version}\n`);
        }
      }
    }),
});

Deno.test({
  name: "npm command: without a Deno for this machine it says what to do",
  ignore: !unix,
  fn: () =>
    inTemp(async (dir) => {
      const bin = await LAYOUTS["hoisted"]?.(dir) ?? "";
      for (const { name } of Deno.readDirSync(`${dir}/node_modules/@deno`)) {
        const other = Deno.build.arch === "x86_64" ? "arm64" : "x64";
        if (!name.includes(other)) await Deno.remove(`${dir}/node_modules/@deno/${name}/deno`);
      }
      const { code, err } = await run(`${bin}/plasmite`, "--version");
      assert.equal(code, 1);
      assert.match(err, /^plasmite: The npm package deno has no executable .* install again/);
    }),
});

Deno.test({
  name: "bundle: unpacked anywhere it is the whole tool, also through links and without PATH",
  ignore: !unix || !HAS_TAR,
  fn: () =>
    inTemp(async (dir) => {
      const archive = await makePortable(
        Deno.build.target,
        await Deno.readFile(Deno.execPath()),
        `${dir}/dist`,
      );
      const name = `plasmite-${readPackage().version}-${Deno.build.target}`;
      assert.equal(archive, `${dir}/dist/${name}.tar.gz`);
      const place = `${dir}/a 'place' 100%25\n`;
      await Deno.mkdir(place);
      const { code, stderr } = await new Deno.Command("tar", {
        args: ["xzf", archive, "-C", place],
      })
        .output();
      assert.equal(code, 0, text.decode(stderr));
      const home = `${place}/${name}`;
      const members = [...Deno.readDirSync(home)].map((member) => member.name).sort();
      assert.deepEqual(members, ["LICENSE", "README.md", "lib", "plasmite", "pls"]);
      await works(dir, `${home}/plasmite`, `${home}/pls`);

      // A link by an absolute path, to a relative one, to a folder that is a link itself.
      await Deno.mkdir(`${dir}/bin`);
      await Deno.symlink(place, `${dir}/linked place`);
      await Deno.symlink(`../linked place/${name}/pls`, `${dir}/bin/pls one`);
      await Deno.symlink(`${dir}/bin/pls one`, `${dir}/bin/pls`);
      await works(dir, `${home}/plasmite`, `${dir}/bin/pls`);
      // By the name of the command itself, in a folder that has nothing else of it.
      await Deno.mkdir(`${dir}/elsewhere`);
      await linkCommands(`${dir}/elsewhere`, `${home}/plasmite`);
      await works(dir, `${dir}/elsewhere/plasmite`, `${dir}/elsewhere/pls`);

      // By its bare name, through a PATH that says "here", as the shell hands it on.
      const { stdout } = await new Deno.Command("/bin/sh", {
        args: ["-c", "PATH=:; plasmite --version; sh=/bin/sh; $sh plasmite --version"],
        cwd: home,
        ...BARE,
      }).output();
      assert.equal(text.decode(stdout), `plasmite ${readPackage().version}\n`.repeat(2));

      await signalled(`${home}/plasmite`, `${dir}/pools`);
    }),
});

/** Killed in each way, the program is gone, not only its launcher, and the exit tells how. */
async function signalled(plasmite: string, pools: string): Promise<void> {
  const made = await run(plasmite, "--dir", pools, "feed", "p", "--create", "{}");
  assert.equal(made.code, 0, made.err);
  for (const signal of ["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"] as const) {
    const outcomes = [];
    for (const words of [[plasmite], [Deno.execPath(), "run", "-A", inCheckout("cli.ts")]]) {
      const [command = "", ...before] = words;
      const follower = new Deno.Command(command, {
        args: [...before, "--dir", pools, "follow", "p", "--tail", "1", "--jsonl"],
        stdin: "null",
        stdout: "piped",
        stderr: "null",
      }).spawn();
      const reader = follower.stdout.getReader();
      await reader.read(); // It runs.
      if (linux) assert.match(Deno.readLinkSync(`/proc/${follower.pid}/exe`), /deno/);
      follower.kill(signal);
      // The end of its output: no process is left that holds it.
      while (!(await reader.read()).done);
      outcomes.push(await follower.status);
    }
    assert.deepEqual(outcomes[0], outcomes[1], signal);
  }
}

Deno.test({
  name: "npm command: killed, the program is gone and not only its launcher",
  ignore: !unix,
  fn: () =>
    inTemp(async (dir) => {
      const bin = await LAYOUTS["pnpm"]?.(dir) ?? "";
      await signalled(`${bin}/plasmite`, `${dir}/pools`);
    }),
});

Deno.test({
  name: "npm command: what is not UTF-8 is refused, neither changed nor taken for something else",
  ignore: !linux,
  fn: () =>
    inTemp(async (dir) => {
      const bin = await LAYOUTS["hoisted"]?.(dir) ?? "";
      const raw = async (line: string): Promise<Ran> => {
        const { code, stdout, stderr } = await new Deno.Command("sh", {
          args: ["-c", line],
          env: { P: `${bin}/plasmite` },
          cwd: dir,
          stdin: "null",
        }).output();
        return { code, out: text.decode(stdout), err: text.decode(stderr) };
      };
      const before = [...Deno.readDirSync(dir)].length;
      for (
        const [line, message] of [
          [`"$P" feed p --create --dir . "$(printf '{"a":"caf\\351"}')"`, /argument is not UTF-8/],
          [`"$P" --dir "$(printf 'd\\351')" pool list`, /argument is not UTF-8/],
          [`HOME=$(printf '/tmp/\\351') exec "$P" pool list`, /HOME is not UTF-8/],
        ] as const
      ) {
        const { code, err } = await raw(line);
        assert.equal(code, ErrorKind.Usage, err);
        assert.match(err, message);
      }
      assert.equal([...Deno.readDirSync(dir)].length, before, "nothing was made");
      const fine = await raw(
        `"$P" feed p --create --dir . "$(printf '{"a":"caf\\357\\277\\275"}')"`,
      );
      assert.equal(fine.code, 0, "U+FFFD itself is data");
    }),
});

// Lost: 1.3 ms of every command, to the real paths of a hundred files that it does not load.
Deno.test("program: Deno sees no import on demand before it runs, bundlers see all", async () => {
  await inTemp(async (dir) => {
    for (const { name, content } of await (program ??= programEntries("js"))) {
      if (content === undefined) continue;
      // Those that the server writes for the page are texts here, with a name to be put in.
      assert.doesNotMatch(text.decode(content), /\bimport\("\.[^"$]*"/, name);
      await Deno.mkdir(dirname(`${dir}/${name}`), { recursive: true });
      await Deno.writeFile(`${dir}/${name}`, content);
    }
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "bundle",
        "-q",
        "--platform",
        "deno",
        "--code-splitting",
        "--outdir",
        "out",
        "js/cli.js",
      ],
      cwd: dir,
    }).output();
    assert.equal(code, 0, text.decode(stderr));
    const names = [...Deno.readDirSync(`${dir}/out`)].map(({ name }) => name);
    for (const needed of ["feed-", "serve-", "where-"]) {
      assert.ok(names.some((name) => name.startsWith(needed)), needed);
    }
  });
});

Deno.test("one Deno: what is shipped, tested and documented is the same version", async () => {
  const pinned = (await Deno.readTextFile(inCheckout(".dvmrc"))).trim();
  for (const page of ["README.md", "CONTRIBUTING.md", "docs/pi/README.md"]) {
    const content = await Deno.readTextFile(inCheckout(page));
    for (const [, named] of content.matchAll(/(?:deno@|Deno )(\d+\.\d+\.\d+)/g)) {
      assert.equal(named, pinned, page);
    }
  }
  for (const dir of [".github/workflows", ".ci", ".ci/package"]) {
    for (const { name, isFile } of Deno.readDirSync(inCheckout(dir))) {
      if (!isFile || name.endsWith(".ico")) continue;
      const content = await Deno.readTextFile(inCheckout(`${dir}/${name}`));
      assert.ok(!content.includes(pinned), `${dirname(`${dir}/x`)}/${name} repeats ${pinned}`);
    }
  }
});
