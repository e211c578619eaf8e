/**
 * `deno task bundle`: the program, the Deno of the npm package and a launcher in one folder, packed
 * as dist/plasmite-VERSION-TARGET.tar.gz. Nothing has to be installed, and nothing is looked for on
 * PATH. Made for this machine, for the targets that are named, or for all (`--all`).
 *
 * Unlike `deno compile` it embeds nothing: the runtime is the file that its makers signed.
 *
 * @module
 */

import { bundle, DENO, readPackage, ROOT, run } from "./bundle.ts";
import { type Entry, tarGz } from "./tar.ts";

/** The npm package that has the Deno of a target. */
const DENO_PACKAGES: Readonly<Record<string, string>> = {
  "x86_64-unknown-linux-gnu": "@deno/linux-x64-glibc",
  "aarch64-unknown-linux-gnu": "@deno/linux-arm64-glibc",
  "x86_64-apple-darwin": "@deno/darwin-x64",
  "aarch64-apple-darwin": "@deno/darwin-arm64",
};

/** The targets there are archives for; the launcher is a POSIX script, so none is Windows. */
export const PORTABLE_TARGETS: readonly string[] = Object.keys(DENO_PACKAGES);

/** The Deno of a target, from npm, which checks it. */
export async function fetchDeno(target: string): Promise<Uint8Array<ArrayBuffer>> {
  const name = DENO_PACKAGES[target];
  if (name === undefined) {
    throw new Error(`No archive for ${target}; known: ${PORTABLE_TARGETS.join(", ")}`);
  }
  const work = await Deno.makeTempDir({ prefix: "plasmite-deno-" });
  try {
    await run("npm", ["pack", "--silent", `${name}@${DENO}`], work);
    const [packed] = [...Deno.readDirSync(work)];
    if (packed === undefined) throw new Error(`npm pack ${name}@${DENO} left nothing`);
    await run("tar", ["xzf", packed.name, "package/deno"], work);
    return await Deno.readFile(`${work}/package/deno`);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** The JavaScript of the program as members of an archive, below `under`. */
export async function programEntries(under: string): Promise<Entry[]> {
  const work = await Deno.makeTempDir({ prefix: "plasmite-bundle-" });
  try {
    await bundle(["cli.ts"], `${work}/js`, { tuned: true });
    const names = [...Deno.readDirSync(`${work}/js`)].map(({ name }) => name).sort();
    return names.map((name) => ({
      name: `${under}/${name}`,
      content: Deno.readFileSync(`${work}/js/${name}`),
    }));
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** What both commands and everything they need are, as members of an archive below `under`. */
export async function portableEntries(
  under: string,
  deno: Uint8Array<ArrayBuffer>,
): Promise<Entry[]> {
  return [
    { name: under },
    { name: `${under}/lib` },
    {
      name: `${under}/plasmite`,
      content: await Deno.readFile(`${ROOT}.ci/package/launcher.sh`),
      executable: true,
    },
    { name: `${under}/pls`, link: "plasmite" },
    { name: `${under}/lib/deno`, content: deno, executable: true },
    ...await programEntries(`${under}/lib`),
  ];
}

/** Makes the archive of one target and returns its path. */
export async function makePortable(
  target: string,
  deno: Uint8Array<ArrayBuffer>,
  outdir = `${ROOT}dist`,
): Promise<string> {
  const name = `plasmite-${readPackage().version}-${target}`;
  const entries = await portableEntries(name, deno);
  for (const file of ["LICENSE", "README.md"]) {
    entries.push({ name: `${name}/${file}`, content: await Deno.readFile(ROOT + file) });
  }
  await Deno.mkdir(outdir, { recursive: true });
  const archive = `${outdir}/${name}.tar.gz`;
  await Deno.writeFile(archive, tarGz(entries));
  return archive;
}

if (import.meta.main) {
  const asked = Deno.args.includes("--all") ? PORTABLE_TARGETS : Deno.args;
  for (const target of asked.length === 0 ? [Deno.build.target] : asked) {
    // deno-lint-ignore no-console
    console.log(await makePortable(target, await fetchDeno(target)));
  }
}
