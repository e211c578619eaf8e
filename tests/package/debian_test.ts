/**
 * The Debian package and the Homebrew formula: what they install starts, and what is removed takes
 * tokens and keys along, but no message.
 *
 * @module
 */

import assert from "node:assert/strict";
import { makeFormula } from "../../.ci/package/brew.ts";
import { readPackage } from "../../.ci/package/bundle.ts";
import { makeDeb } from "../../.ci/package/deb.ts";
import { makePortable, PORTABLE_TARGETS } from "../../.ci/package/portable.ts";
import { exists, inTemp, quote } from "../cli/cli_util.ts";

const HAS_DPKG = await exists("dpkg") && Deno.build.os === "linux";
const HAS_RUBY = await exists("ruby") && await exists("tar");
const { version } = readPackage();
const text = new TextDecoder();

/** A small file that is Deno when it is run. */
const DENO = new TextEncoder().encode(`#!/bin/sh\nexec ${quote(Deno.execPath())} "$@"\n`);

/** Runs a program; what it prints, and its exit code. */
async function run(program: string, ...args: string[]): Promise<{ code: number; out: string }> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    stdin: "null",
    env: { PATH: `${Deno.env.get("PATH")}:/usr/sbin:/sbin`, NO_COLOR: "1", LC_ALL: "C" },
  }).output();
  return { code, out: text.decode(stdout) + text.decode(stderr) };
}

/** Everything below a folder, but dpkg's own records. */
function tree(dir: string, under = ""): string[] {
  return [...Deno.readDirSync(`${dir}${under}`)].flatMap(({ name, isDirectory }) => {
    const path = `${under}/${name}`;
    if (path === "/var/lib/dpkg" || path === "/etc") return [];
    return isDirectory ? tree(dir, path) : [path];
  }).sort();
}

/** An empty system, and dpkg for it. */
async function system(dir: string, name: string) {
  const root = `${dir}/${name}`;
  for (const folder of ["updates", "info"]) {
    await Deno.mkdir(`${root}/var/lib/dpkg/${folder}`, { recursive: true });
  }
  await Deno.writeTextFile(`${root}/var/lib/dpkg/status`, "");
  const flags = ["--force-script-chrootless", "--force-not-root", "--log=/dev/null"];
  return { root, dpkg: (...args: string[]) => run("dpkg", `--root=${root}`, ...flags, ...args) };
}

Deno.test({
  name: "deb: installs into an empty system, works there, and purged leaves nothing but pools",
  ignore: !HAS_DPKG,
  fn: () =>
    inTemp(async (dir) => {
      const deb = await makeDeb(Deno.build.target, DENO, dir);
      assert.match(deb, new RegExp(`/plasmite_${version}_(amd64|arm64)\\.deb$`));
      const { root, dpkg } = await system(dir, "root");
      const installed = await dpkg("-i", deb);
      assert.equal(installed.code, 0, installed.out);
      const files = tree(root);
      for (
        const file of [
          "/usr/bin/plasmite",
          "/usr/bin/pls",
          "/usr/lib/sysusers.d/plasmite.conf",
          "/usr/lib/systemd/system/plasmite-serve.service",
          "/usr/lib/systemd/system/plasmite-syslog.service",
          "/usr/lib/systemd/user/plasmite-serve.service",
          "/usr/share/man/man1/plasmite.1.gz",
          "/usr/share/bash-completion/completions/plasmite",
          "/usr/share/zsh/vendor-completions/_plasmite",
          "/usr/share/fish/vendor_completions.d/plasmite.fish",
        ]
      ) assert.ok(files.includes(file), file);
      for (const file of files.filter((one) => one.endsWith(".service"))) {
        const unit = await Deno.readTextFile(root + file);
        assert.match(unit, /^ExecStart=[^[]*\/usr\/bin\/plasmite /m, file);
        assert.doesNotMatch(unit, /usr\/local|%h\/\.local/, file);
      }
      assert.equal(
        (await run(`${root}/usr/bin/plasmite`, "--version")).out,
        `plasmite ${version}\n`,
      );
      const bare = await run(`${root}/usr/bin/pls`);
      assert.equal(bare.code, 0, bare.out);
      const verified = await dpkg("--verify", "plasmite");
      assert.deepEqual([verified.code, verified.out], [0, ""], "md5sums");
      if (await exists("systemd-sysusers")) {
        assert.match(
          await Deno.readTextFile(`${root}/etc/passwd`),
          /^plasmite:.*:\/var\/lib\/plasmite:/m,
        );
      }

      // What its services leave behind.
      const state = `${root}/var/lib/plasmite`;
      const pool = `${state}/pools/p.plasmite`;
      const fed = await run(`${root}/usr/bin/pls`, "feed", pool, "--create", '{"x":1}');
      assert.equal(fed.code, 0, fed.out);
      await Deno.mkdir(`${state}/secure`);
      await Deno.writeTextFile(`${state}/secure/plasmite-auth-token.txt`, "secret");
      const removed = await dpkg("-r", "plasmite");
      assert.equal(removed.code, 0, removed.out);
      assert.ok(tree(root).includes("/var/lib/plasmite/secure/plasmite-auth-token.txt"));
      const purged = await dpkg("-P", "plasmite");
      assert.equal(purged.code, 0, purged.out);
      assert.match(
        purged.out,
        /pools are kept in \/var\/lib\/plasmite, .*: rm -r \/var\/lib\/plasmite/,
      );
      assert.deepEqual(tree(root), ["/var/lib/plasmite/pools/p.plasmite"]);
    }),
});

Deno.test({
  name: "deb: without pools, purging leaves no folder of its own",
  ignore: !HAS_DPKG,
  fn: () =>
    inTemp(async (dir) => {
      const deb = await makeDeb(Deno.build.target, DENO, dir);
      const { root, dpkg } = await system(dir, "a root");
      assert.equal((await dpkg("-i", deb)).code, 0);
      await Deno.mkdir(`${root}/var/lib/plasmite/pools`, { recursive: true });
      await Deno.mkdir(`${root}/var/cache/plasmite`, { recursive: true });
      const again = await dpkg("-i", deb);
      assert.equal(again.code, 0, again.out);
      const purged = await dpkg("-P", "plasmite");
      assert.equal(purged.code, 0, purged.out);
      assert.doesNotMatch(purged.out, /are kept/);
      assert.throws(() => Deno.lstatSync(`${root}/var/lib/plasmite`), Deno.errors.NotFound);
      assert.throws(() => Deno.lstatSync(`${root}/var/cache/plasmite`), Deno.errors.NotFound);
    }),
});

Deno.test("brew: the formula names each archive with its checksum, and fails without any", () =>
  inTemp(async (dir) => {
    await assert.rejects(makeFormula(undefined, dir), /deno task bundle/);
    for (const target of PORTABLE_TARGETS) {
      await Deno.writeTextFile(`${dir}/plasmite-${version}-${target}.tar.gz`, target);
    }
    const path = await makeFormula("https://forge.example/a/b/releases/download/v1", dir);
    const formula = await Deno.readTextFile(path);
    assert.match(formula, /^ {2}homepage "https:\/\/forge\.example\/a\/b"$/m);
    for (const target of PORTABLE_TARGETS) {
      const bytes = new TextEncoder().encode(target);
      const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
      const url =
        `https://forge.example/a/b/releases/download/v1/plasmite-${version}-${target}.tar.gz`;
      assert.ok(formula.includes(`url "${url}"\n      sha256 "${sum}"`), target);
    }
  }));

/** As much of Homebrew as the formula uses. */
const HOMEBREW = `
require "pathname"; require "fileutils"; require "open3"
ROOT = Pathname.new(ARGV[0])
class Formula
  class << self
    def desc(_) end; def homepage(_) end; def version(v = nil) v ? @version = v : @version end
    def license(_) end; def url(_) end; def sha256(_) end
    def on_linux; yield end; def on_macos; end
    def on_intel; yield end; def on_arm; yield end
    def test(&block) define_method(:run_test, &block) end
  end
  def version; self.class.version end
  def libexec; Folder.new(ROOT + "libexec") end
  def bin; Folder.new(ROOT + "bin") end
  def man1; Folder.new(ROOT + "man1") end
  def testpath; ROOT + "test" end
  def generate_completions_from_executable(program, word)
    %w[bash zsh fish].each { |shell| Utils.safe_popen_read(program, word, shell) }
  end
  def shell_output(line) out = \`#{line}\`; raise line unless $?.success?; out end
  def system(*words) raise words.join(" ") unless Kernel.system(*words.map(&:to_s), out: File::NULL) end
  def assert_match(a, b) raise "#{b} is not #{a}" unless b.include?(a) end
  def assert_equal(a, b) raise "#{b} is not #{a}" unless a == b end
end
class Folder < Pathname
  def install(*names) FileUtils.mkdir_p(self); names.each { |name| FileUtils.mv(name, self) } end
  def install_symlink(*files) FileUtils.mkdir_p(self); files.each { |f| FileUtils.ln_s(f, self) } end
end
class Pathname
  def write(text) FileUtils.mkdir_p(dirname); File.write(self, text) end
end
module Utils
  def self.safe_popen_read(*words) out, status = Open3.capture2(*words.map(&:to_s)); raise unless status.success?; out end
end
load ARGV[1]
Plasmite.new.install
Plasmite.new.run_test
`;

Deno.test({
  name: "brew: what the formula installs works, and its own test passes",
  ignore: !HAS_RUBY,
  fn: () =>
    inTemp(async (dir) => {
      const archive = await makePortable(Deno.build.target, DENO, dir);
      const formula = await makeFormula(undefined, dir);
      await Deno.writeTextFile(`${dir}/homebrew.rb`, HOMEBREW);
      const line = `tar xzf ${quote(archive)} -C ${quote(dir)} && cd ${quote(dir)}/plasmite-*/ &&
        ruby ../homebrew.rb ${quote(`${dir}/cellar`)} ${quote(formula)}`;
      const { code, out } = await run("sh", "-c", line);
      assert.equal(code, 0, out);
      assert.match(await Deno.readTextFile(`${dir}/cellar/man1/plasmite.1`), /^\.TH PLASMITE 1/);
    }),
});
