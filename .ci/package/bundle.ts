/**
 * Bundles the program and the library's entries into plain JavaScript with nothing left to fetch:
 * the base of the executables and of the npm package. Each command has a file of its own, so that
 * start-up still loads only what a command uses; what the commonest ones load is one file.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { copyJoined } from "./common.ts";

/** The repository. */
export const ROOT: string = fileURLToPath(new URL("../../", import.meta.url));

/** The version of Deno that is shipped, tested and named everywhere: that of `.dvmrc`. */
export const DENO: string = Deno.readTextFileSync(`${ROOT}.dvmrc`).trim();

/** Runs a program in the repository; throws when it fails. */
export async function run(program: string, args: readonly string[], cwd = ROOT): Promise<void> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args: [...args], cwd })
    .output();
  if (code === 0) return;
  const text = new TextDecoder();
  throw new Error(
    `${program} ${args.join(" ")}: exit ${code}\n${text.decode(stdout)}${text.decode(stderr)}`,
  );
}

/** What deno.json says that packages need. */
export interface Package {
  /** The package's name. */
  readonly name: string;
  /** The version. */
  readonly version: string;
  /** The license. */
  readonly license: string;
  /** Entry files by export name. */
  readonly exports: Readonly<Record<string, string>>;
}

/** Reads deno.json. */
export function readPackage(): Package {
  return JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
}

/** Bundles entry files into `outdir`, which is emptied first; names stay, with `.js` at the end. */
export async function bundle(entries: readonly string[], outdir: string): Promise<void> {
  await Deno.remove(outdir, { recursive: true }).catch(() => {});
  const work = await Deno.makeTempDir({ prefix: "plasmite-sources-" });
  try {
    copyJoined(ROOT, work);
    await run(Deno.execPath(), [
      ...["bundle", "--quiet", "--platform", "deno", "--code-splitting", "--minify"],
      ...["--keep-names", "--outdir", outdir, ...entries],
    ], work);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
  await allowRequire(outdir);
}

/**
 * Packages in CommonJS ask for Node's modules with `require`, which ES modules do not have: where the
 * bundler says that it is missing, there is one. As a `var` it may also stand in a CommonJS file.
 */
async function allowRequire(dir: string): Promise<void> {
  const own = 'import{createRequire as ownRequire}from"node:module";' +
    "var require=ownRequire(import.meta.url);\n";
  for await (const { name, isFile } of Deno.readDir(dir)) {
    if (!isFile || !name.endsWith(".js")) continue;
    const code = await Deno.readTextFile(`${dir}/${name}`);
    if (!code.includes("Dynamic require of")) continue;
    const hashbang = /^#!.*\n/.exec(code)?.[0] ?? "";
    await Deno.writeTextFile(`${dir}/${name}`, hashbang + own + code.slice(hashbang.length));
  }
}
