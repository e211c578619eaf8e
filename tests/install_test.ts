/**
 * docs/pi/install.sh against a stand-in release: what it installs, and that a wrong checksum installs
 * nothing. The unit files name options that exist.
 *
 * @module
 */

import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { cli, exists, inTemp, quote } from "./cli_util.ts";
import { inCheckout } from "./support/paths.ts";

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

/** Makes a release of a `plasmite` that only knows its version. */
async function release(dir: string): Promise<string> {
  const name = `plasmite-1.2.3-${MACHINE}`;
  await Deno.mkdir(`${dir}/release/${name}`, { recursive: true });
  await Deno.writeTextFile(
    `${dir}/release/${name}/plasmite`,
    "#!/bin/sh\necho plasmite 1.2.3\n",
    { mode: 0o755 },
  );
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
      assert.equal((await sh(dir, "home/.local/bin/pls --version")).out, "plasmite 1.2.3\n");
      const names = [...Deno.readDirSync(`${dir}/home/.local/bin`)].map(({ name }) => name);
      assert.deepEqual(names.sort(), ["plasmite", "pls"]);
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
