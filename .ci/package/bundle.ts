/**
 * Bundles the program and the library's entries into plain JavaScript with nothing left to fetch:
 * the base of the executables and of the npm package. Each command has a file of its own, so that
 * start-up still loads only what a command uses; what the commonest ones load is one file.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { copyJoined } from "./common.ts";
import { compileEarly } from "./early.ts";
import { embedWorkers } from "./worker.ts";

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

/**
 * Bundles entry files into `outdir`, which is emptied first; names stay, with `.js` at the end.
 *
 * @param entries the files, from the root of the repository
 * @param outdir where the result goes
 * @param tuned whether the result is run as it is: what is imported on demand is looked for only
 *   then, and what is called often is compiled early; not for `deno compile`, which embeds what it
 *   finds beforehand and has no cache of compiled code
 */
export async function bundle(
  entries: readonly string[],
  outdir: string,
  { tuned = false }: { readonly tuned?: boolean } = {},
): Promise<void> {
  await Deno.remove(outdir, { recursive: true }).catch(() => {});
  const work = await Deno.makeTempDir({ prefix: "plasmite-sources-" });
  try {
    const how = ["bundle", "--quiet", "--platform", "deno", "--minify", "--keep-names"];
    copyJoined(ROOT, work);
    await embedWorkers(work, async (entry) => {
      const file = `${work}/worker.js`;
      await run(Deno.execPath(), [...how, "--output", file, entry], work);
      return await Deno.readTextFile(file);
    });
    await run(
      Deno.execPath(),
      [...how, "--code-splitting", "--outdir", outdir, ...entries],
      work,
    );
  } finally {
    await Deno.remove(work, { recursive: true });
  }
  await allowRequire(outdir);
  if (!tuned) return;
  await importLate(outdir);
  await compileEarly(outdir);
}

/**
 * Writes each `import("./x.js")` so that Deno does not see where it leads before it runs. Deno finds
 * the real path of every file that a module names, also of those that are imported on demand: below
 * node_modules that is a call for each folder of each of a hundred paths, 1.3 ms for every command.
 * Bundlers understand the form.
 */
async function importLate(dir: string): Promise<void> {
  for await (const { name } of Deno.readDir(dir)) {
    if (!name.endsWith(".js")) continue;
    const code = await Deno.readTextFile(`${dir}/${name}`);
    const late = code.replaceAll(/\bimport\(("\.\.?\/[^"\\]+")\)/g, "import(1?$1:$1)");
    if (late !== code) await Deno.writeTextFile(`${dir}/${name}`, late);
  }
}

/** The bundler's stand-in for `require`, and where its file exports it. */
const STAND_IN = /([\w$]+)=\(?\(?\w+\)?=>typeof require</;
const IMPORT = /import\{([^{}]*)\}from"\.\/([^"/]+)";/g;

/**
 * Packages in CommonJS ask for Node's modules with `require`, which ES modules do not have. So the
 * files that do get one of their own, in place of the bundler's stand-in, which only fails. The file
 * that holds the stand-in is loaded by every command and stays without: to load `node:module` takes
 * longer than to run a short command.
 */
async function allowRequire(dir: string): Promise<void> {
  const files = new Map<string, string>();
  for await (const { name, isFile } of Deno.readDir(dir)) {
    if (isFile && name.endsWith(".js")) files.set(name, await Deno.readTextFile(`${dir}/${name}`));
  }
  for (const [holder, code] of files) {
    if (!code.includes("Dynamic require of")) continue;
    const local = STAND_IN.exec(code)?.[1] ?? "";
    const list = /export\{([^{}]*)\}/.exec(code)?.[1]?.split(",") ?? [];
    const exported = list.find((one) => one.startsWith(`${local} as `))?.split(" as ")[1];
    if (exported === undefined) {
      throw new Error(`${holder} does not export its stand-in for require`);
    }
    for (const [name, text] of files) {
      const own = text.replaceAll(IMPORT, (whole, names: string, from: string) => {
        const binding = names.split(",").find((one) => one.startsWith(`${exported} as `));
        if (from !== holder || binding === undefined) return whole;
        const rest = names.split(",").filter((one) => one !== binding);
        const others = rest.length === 0 ? `import"./${from}";` : `import{${rest}}from"./${from}";`;
        const require = `var ${binding.split(" as ")[1]}=ownRequire(import.meta.url);`;
        return `${others}import{createRequire as ownRequire}from"node:module";${require}`;
      });
      if (own !== text) await Deno.writeTextFile(`${dir}/${name}`, own);
    }
  }
}
