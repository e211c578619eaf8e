/**
 * `deno task deb`: dist/plasmite_VERSION_ARCH.deb, for this machine or (`--all`) for amd64 and arm64.
 * Made without dpkg, so everywhere. It holds what `deno task bundle` makes, the manual page, the
 * completions and the systemd units; its user comes from sysusers.d.
 *
 * Nothing is in `Depends`: Deno brings its libraries but the C library, which every Debian has, and
 * the package installs into an empty root as well.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { readPackage, ROOT } from "./bundle.ts";
import { fetchDeno, portableEntries } from "./portable.ts";
import { type Entry, tarGz } from "./tar.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();

/** The targets there are packages for, by Debian's name. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  "x86_64-unknown-linux-gnu": "amd64",
  "aarch64-unknown-linux-gnu": "arm64",
};

/** What the program prints, such as its manual page. */
async function printed(...args: string[]): Promise<Bytes> {
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", `${ROOT}cli.ts`, ...args],
    cwd: ROOT,
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`plasmite ${args.join(" ")} failed`);
  return stdout;
}

async function gzip(bytes: Bytes): Promise<Bytes> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return await new Response(stream).bytes();
}

/** A unit of docs/pi, which names the place that install.sh uses. */
function unit(name: string): Bytes {
  const text = Deno.readTextFileSync(`${ROOT}docs/pi/${name}`);
  const moved = text.replaceAll(/\/usr\/local\/bin\/|%h\/\.local\/bin\//g, "/usr/bin/");
  // The comments tell how to install the unit by hand.
  return encoder.encode(moved.replaceAll(/^# {3}.*\n/gm, ""));
}

/** Every file of the package, below `.`. */
async function dataEntries(deno: Bytes): Promise<Entry[]> {
  const [man, bash, zsh, fish] = await Promise.all([
    printed("help", "--man"),
    printed("completion", "bash"),
    printed("completion", "zsh"),
    printed("completion", "fish"),
  ]);
  const share = "./usr/share";
  const files: Entry[] = [
    ...await portableEntries("./usr/lib/plasmite", deno),
    { name: "./usr/bin/plasmite", link: "../lib/plasmite/plasmite" },
    { name: "./usr/bin/pls", link: "../lib/plasmite/plasmite" },
    {
      name: "./usr/lib/sysusers.d/plasmite.conf",
      content: encoder.encode('u plasmite - "Plasmite pools" /var/lib/plasmite\n'),
    },
    {
      name: "./usr/lib/systemd/system/plasmite-serve.service",
      content: unit("plasmite-serve.service"),
    },
    {
      name: "./usr/lib/systemd/system/plasmite-syslog.service",
      content: unit("plasmite-syslog.service"),
    },
    {
      name: "./usr/lib/systemd/user/plasmite-serve.service",
      content: unit("plasmite-serve-user.service"),
    },
    { name: `${share}/man/man1/plasmite.1.gz`, content: await gzip(man) },
    { name: `${share}/man/man1/pls.1.gz`, link: "plasmite.1.gz" },
    { name: `${share}/bash-completion/completions/plasmite`, content: bash },
    { name: `${share}/bash-completion/completions/pls`, link: "plasmite" },
    { name: `${share}/zsh/vendor-completions/_plasmite`, content: zsh },
    { name: `${share}/fish/vendor_completions.d/plasmite.fish`, content: fish },
    { name: `${share}/fish/vendor_completions.d/pls.fish`, link: "plasmite.fish" },
    { name: `${share}/doc/plasmite/copyright`, content: await Deno.readFile(`${ROOT}LICENSE`) },
    { name: `${share}/doc/plasmite/README.md`, content: await Deno.readFile(`${ROOT}README.md`) },
  ];
  return [...folders(files), ...files.filter((one) => one.content ?? one.link)];
}

/** The folders that files need, outermost first. */
function folders(files: readonly Entry[]): Entry[] {
  const names = new Set<string>();
  for (const { name } of files) {
    const parts = name.split("/");
    for (let end = 1; end < parts.length; end++) names.add(parts.slice(0, end).join("/"));
  }
  return [...names].sort().map((name) => ({ name }));
}

/** The files of control.tar. */
function controlEntries(arch: string, data: readonly Entry[]): Entry[] {
  const size = data.reduce((sum, { content }) => sum + Math.ceil((content?.length ?? 0) / 1024), 0);
  const control = `Package: plasmite
Version: ${debianVersion()}
Architecture: ${arch}
Maintainer: The authors of Plasmite for Deno <plasmite@localhost>
Installed-Size: ${size}
Recommends: systemd | systemd-standalone-sysusers
Section: utils
Priority: optional
Description: JSON message pools that live in a file
 Interprocess communication through bounded, crash-safe ring buffers on disk: a
 command line, an HTTP server with a page, and an MCP server for agents. The
 package brings its own Deno.
`;
  const sums = data.flatMap(({ name, content }) => {
    if (content === undefined) return [];
    return [`${createHash("md5").update(content).digest("hex")}  ${name.slice(2)}\n`];
  });
  const script = (name: string): Entry => ({
    name: `./${name}`,
    content: Deno.readFileSync(`${ROOT}.ci/package/debian/${name}`),
    executable: true,
  });
  return [
    { name: "./control", content: encoder.encode(control) },
    { name: "./md5sums", content: encoder.encode(sums.join("")) },
    ...["postinst", "prerm", "postrm"].map(script),
  ];
}

/** The version as Debian sorts it: a pre-release comes before its release. */
function debianVersion(): string {
  return readPackage().version.replace("-", "~");
}

/** A member of an `ar` archive. */
function member(name: string, content: Bytes): Bytes[] {
  const fields = [name.padEnd(16), "0".padEnd(12), "0".padEnd(6), "0".padEnd(6)];
  const head = `${fields.join("")}${"100644".padEnd(8)}${`${content.length}`.padEnd(10)}\`\n`;
  return [encoder.encode(head), content, encoder.encode(content.length % 2 === 0 ? "" : "\n")];
}

/** Makes the package of one target and returns its path. */
export async function makeDeb(
  target: string,
  deno: Bytes,
  outdir = `${ROOT}dist`,
): Promise<string> {
  const arch = ARCHITECTURES[target];
  if (arch === undefined) throw new Error(`No Debian architecture for ${target}`);
  const data = await dataEntries(deno);
  const [control, files] = await Promise.all(
    [controlEntries(arch, data), data].map((one) => new Response(tarGz(one)).bytes()),
  );
  const path = `${outdir}/plasmite_${debianVersion()}_${arch}.deb`;
  await Deno.mkdir(outdir, { recursive: true });
  const parts = [
    encoder.encode("!<arch>\n"),
    ...member("debian-binary", encoder.encode("2.0\n")),
    ...member("control.tar.gz", control ?? new Uint8Array()),
    ...member("data.tar.gz", files ?? new Uint8Array()),
  ];
  await Deno.writeFile(path, new Blob(parts).stream());
  return path;
}

if (import.meta.main) {
  const all = Deno.args.includes("--all");
  for (const target of all ? Object.keys(ARCHITECTURES) : [Deno.build.target]) {
    // deno-lint-ignore no-console
    console.log(await makeDeb(target, await fetchDeno(target)));
  }
}
