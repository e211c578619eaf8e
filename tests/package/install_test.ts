/**
 * docs/pi/install.sh against a stand-in release: what it installs, and that a wrong checksum installs
 * nothing. The unit files name options that exist.
 *
 * @module
 */

import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { cli, exists, inTemp, quote } from "../cli/cli_util.ts";
import { inCheckout } from "../support/paths.ts";

const PI = inCheckout("docs/pi/");
const TOOLS = await exists("curl") && await exists("tar") && Deno.build.os !== "windows";
const MACHINE = Deno.build.target;

async function sh(
  dir: string,
  line: string,
  env: Record<string, string> = {},
): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await new Deno.Command("sh", {
    args: ["-ec", line],
    cwd: dir,
    env: { HOME: `${dir}/home`, ...env },
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  return { code, out: text.decode(stdout), err: text.decode(stderr) };
}

/** Makes a release whose `plasmite` only knows the version, from a file beside it. */
async function release(dir: string, version = "1.2.3"): Promise<string> {
  const name = `plasmite-${version}-${MACHINE}`;
  await Deno.mkdir(`${dir}/release/${name}/lib`, { recursive: true });
  await Deno.writeTextFile(`${dir}/release/${name}/lib/version`, version);
  await Deno.writeTextFile(
    `${dir}/release/${name}/plasmite`,
    `#!/bin/sh\necho "plasmite $(cat "$(dirname "$(readlink "$0" || echo "$0")")/lib/version")"\n`,
    { mode: 0o755 },
  );
  await Deno.symlink("plasmite", `${dir}/release/${name}/pls`);
  const made = await sh(
    `${dir}/release`,
    `tar czf ${name}.tar.gz ${name}; rm -r ${name}
     echo "${"0".repeat(64)}  plasmite-1.2.3-another-machine.tar.gz" > SHA256SUMS
     (sha256sum ${name}.tar.gz || shasum -a 256 ${name}.tar.gz) >> SHA256SUMS`,
  );
  assert.equal(made.code, 0, made.err);
  return `${dir}/release/${name}.tar.gz`;
}

Deno.test({
  name: "install.sh: takes the archive for this machine, checks it, can be run again",
  ignore: !TOOLS,
  fn: () =>
    inTemp(async (dir) => {
      await release(dir);
      const env = { PLASMITE_RELEASES: `${pathToFileURL(dir)}/release` };
      for (const extra of ["", "--version v1.2.3", "--version 1.2.3"]) {
        const { code, out, err } = await sh(dir, `sh ${quote(`${PI}install.sh`)} ${extra}`, env);
        assert.equal(code, 0, err);
        assert.match(out, /^installed plasmite 1\.2\.3 as .*\nadd .* to your PATH\n$/);
      }
      const names = [...Deno.readDirSync(`${dir}/home/.local/bin`)].map(({ name }) => name);
      assert.deepEqual(names.sort(), ["plasmite", "pls"]);
      assert.equal((await sh(dir, "home/.local/bin/plasmite --version")).out, "plasmite 1.2.3\n");

      // A newer one takes over, and what still runs on the older one keeps its files.
      await release(dir, "1.3.0");
      const newer = await sh(dir, `sh ${quote(`${PI}install.sh`)}`, env);
      assert.match(
        newer.out,
        /^installed plasmite 1\.3\.0 [^]*\nnot needed any more: .*\/1\.2\.3\n$/,
      );
      assert.ok(Deno.statSync(`${dir}/home/.local/lib/plasmite/1.2.3/lib/version`).isFile);
      const other = await sh(dir, `sh ${quote(`${PI}install.sh`)} --to "a place"`, env);
      assert.equal(other.code, 0, other.err);
      assert.equal((await sh(dir, '"a place/plasmite" --version')).out, "plasmite 1.3.0\n");
    }),
});

Deno.test({
  name: "install.sh: a wrong or missing checksum installs nothing",
  ignore: !TOOLS,
  fn: () =>
    inTemp(async (dir) => {
      const archive = await release(dir);
      const env = { PLASMITE_RELEASES: `${pathToFileURL(dir)}/release` };
      const refused = async (extra: string, message: RegExp): Promise<void> => {
        const { code, err } = await sh(
          dir,
          `sh ${quote(`${PI}install.sh`)} --to bin ${extra}`,
          env,
        );
        assert.notEqual(code, 0);
        assert.match(err, message);
        assert.ok(!Deno.readDirSync(dir).some(({ name }) => name === "bin"));
      };
      await refused("--version 9.9.9", /has no line for plasmite-9\.9\.9-/);
      await refused("--wrong", /unknown option/);
      await Deno.writeFile(archive, new Uint8Array([0]), { append: true });
      await refused("", /checksum of .* is wrong; nothing was installed/);
      await Deno.remove(archive);
      await refused("", /cannot get/);
      await Deno.remove(`${dir}/release/SHA256SUMS`);
      await refused("", /cannot get .*SHA256SUMS/);
    }),
});

Deno.test("systemd units: the command lines they start are ones that we have", async () => {
  await inTemp(async (dir) => {
    let checked = 0;
    for (const { name } of Deno.readDirSync(PI)) {
      if (!name.endsWith(".service")) continue;
      const text = (await Deno.readTextFile(PI + name)).replaceAll("\\\n", " ");
      assert.match(text, /\[Unit\][^]*\[Service\][^]*\[Install\]/);
      const [, line = ""] = /^ExecStart=.*?\bplasmite\s(.*)$/m.exec(text) ?? [];
      const words = line.split(/\s+/).filter((word) => word !== "" && !/^[>'|]|\/dev/.test(word));
      const home = words.map((word) => word.replace("/var/lib/plasmite", dir));
      if (home.includes("serve")) {
        const init = await cli(["serve", "init", "--output-dir", `${dir}/secure`, "--force"]);
        assert.equal(init.code, 0, init.stderr);
        const check = await cli([...home, "check"], { cwd: dir });
        assert.equal(check.code, 0, `${name}: ${check.stderr}`);
      } else {
        const fed = await cli(home, { cwd: dir, stdin: '\u001e{"MESSAGE":"hi"}\n' });
        assert.equal(fed.code, 0, `${name}: ${fed.stderr}`);
      }
      checked++;
    }
    assert.equal(checked, 3);
  });
});

Deno.test({
  name: "systemd units: systemd takes them, and they are sandboxed and limited",
  ignore: !(await exists("systemd-analyze")),
  fn: () =>
    inTemp(async (dir) => {
      for (const name of ["plasmite-serve", "plasmite-syslog", "plasmite-serve-user"]) {
        const file = `${dir}/${name}.service`;
        const unit = await Deno.readTextFile(`${PI}${name}.service`);
        assert.match(unit, /^MemoryMax=/m);
        // It has to be there for systemd to accept it.
        const found = unit.replaceAll(/[^\s=]+\/bin\/plasmite/g, "/bin/sh");
        await Deno.writeTextFile(file, found);
        const user = name.endsWith("-user");
        const env = { XDG_RUNTIME_DIR: dir, SYSTEMD_LOG_LEVEL: "warning" };
        const verify = await sh(
          dir,
          `systemd-analyze ${user ? "--user" : ""} verify --man=no ./${name}.service`,
          env,
        );
        assert.deepEqual([verify.code, verify.out], [0, ""], verify.err);
        if (user) continue;
        assert.match(unit, /^DynamicUser=yes$/m);
        assert.match(unit, /^StateDirectory=plasmite$/m);
        const security = await sh(
          dir,
          `systemd-analyze security --no-pager --offline=true --threshold=25 ./${name}.service`,
          env,
        );
        assert.equal(security.code, 0, security.out);
      }
    }),
});
