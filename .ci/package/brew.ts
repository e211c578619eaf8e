/**
 * `deno task brew [URL]`: dist/plasmite.rb, a Homebrew formula for the archives that are in dist/, to
 * be downloaded from URL.
 *
 * @module
 */

import { pathToFileURL } from "node:url";
import { createHash } from "node:crypto";
import { readPackage, ROOT } from "./bundle.ts";
import { PORTABLE_TARGETS } from "./portable.ts";

/** Homebrew's words for a target. */
function blocks(target: string): { os: string; cpu: string } {
  return {
    os: target.includes("apple") ? "on_macos" : "on_linux",
    cpu: target.startsWith("aarch64") ? "on_arm" : "on_intel",
  };
}

/** Writes the formula and returns its path. */
export async function makeFormula(base?: string, dist = `${ROOT}dist`): Promise<string> {
  const { version, license } = readPackage();
  const from = base ?? pathToFileURL(dist).href;
  const archives: string[] = [];
  for (const target of PORTABLE_TARGETS) {
    const name = `plasmite-${version}-${target}.tar.gz`;
    const bytes = await Deno.readFile(`${dist}/${name}`).catch(() => undefined);
    if (bytes === undefined) continue; // Not built here.
    const { os, cpu } = blocks(target);
    archives.push(`  ${os} do
    ${cpu} do
      url "${from}/${name}"
      sha256 "${createHash("sha256").update(bytes).digest("hex")}"
    end
  end
`);
  }
  if (archives.length === 0) throw new Error(`No archive in ${dist}: run deno task bundle first`);
  const formula = `class Plasmite < Formula
  desc "JSON message pools that live in a file"
  homepage "${from.replace(/\/releases\/.*/, "")}"
  version "${version}"
  license "${license}"

${archives.join("\n")}
  def install
    libexec.install "lib", "plasmite", "pls"
    bin.install_symlink libexec/"plasmite", libexec/"pls"
    generate_completions_from_executable(bin/"plasmite", "completion")
    (man1/"plasmite.1").write Utils.safe_popen_read(bin/"plasmite", "help", "--man")
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/plasmite --version")
    system bin/"pls", "--dir", testpath, "feed", "p", "--create", '{"x":1}'
    assert_equal '{"x":1}', shell_output("#{bin}/pls --dir #{testpath} follow p --no-follow --data-only --jsonl").strip
  end
end
`;
  const path = `${dist}/plasmite.rb`;
  await Deno.writeTextFile(path, formula);
  return path;
}

// deno-lint-ignore no-console
if (import.meta.main) console.log(await makeFormula(Deno.args[0]));
