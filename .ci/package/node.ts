/**
 * Builds the library for Node and Bun, ES modules in `node/esm` and CommonJS in `node/cjs`: the
 * bundle of the library with `lib/node/mod.ts` in the place of `Deno`. And remote pools for browsers.
 *
 * @module
 */

import { stop, transform } from "esbuild";
import { bundle, run } from "./bundle.ts";

/** The oldest Node that runs it. */
export const OLDEST_NODE = "20.9.0";

/** The entries that run in Node and Bun. */
export const NODE_ENTRIES: readonly string[] = ["mod.ts", "lib/remote/mod.ts"];

/** What the other entries are there: a module that says where they run. */
export const DENO_ONLY = "deno_only";
const REFUSAL =
  'throw new Error("The command line, the server and the MCP server run in Deno only; " +' +
  ' "start them as a program (npx plasmite), or import this module in Deno");\n';

/** Paths of the files below a directory, relative to it. */
async function filesBelow(dir: string, below = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(`${dir}/${below}`)) {
    const path = `${below}${name}`;
    if (isDirectory) found.push(...await filesBelow(dir, `${path}/`));
    else found.push(path);
  }
  return found.sort();
}

/** The import of what stands in for Deno, if a chunk uses it; entries begin with it in any case. */
function standIn(code: string, path: string): string {
  const names = ["Deno", "Temporal"].filter((name) => new RegExp(`\\b${name}\\b`).test(code));
  if (path === "lib/node/mod.js" || (names.length === 0 && path.includes("-"))) return "";
  const up = "../".repeat(path.split("/").length - 1) || "./";
  return `import { ${names.join(", ")} } from "${up}lib/node/mod.js";\n`;
}

/** Writes `mod.js` for browsers: remote pools, through the browser's `fetch`. */
export async function bundleForBrowsers(dir: string): Promise<void> {
  await run(Deno.execPath(), [
    ...["bundle", "--quiet", "--platform", "browser", "--code-splitting", "--minify"],
    ...["--keep-names", "--outdir", dir, "lib/remote/mod.ts"],
  ]);
}

/**
 * Writes both builds below `dir`, with the declarations of `types` beside the CommonJS one, whose
 * files are CommonJS to TypeScript too because of the nearest package.json.
 */
export async function bundleForNode(dir: string, types: string): Promise<void> {
  const esm = `${dir}/esm`;
  const cjs = `${dir}/cjs`;
  await bundle([...NODE_ENTRIES, "lib/node/mod.ts"], esm);
  for (const path of await filesBelow(esm)) {
    const code = await Deno.readTextFile(`${esm}/${path}`);
    const source = standIn(code, path) + code;
    const options = { target: `node${OLDEST_NODE}`, keepNames: true, minify: true } as const;
    const modern = await transform(source, { ...options, format: "esm" });
    await Deno.writeTextFile(`${esm}/${path}`, modern.code);
    const common = await transform(source, {
      ...options,
      format: "cjs",
      platform: "node",
      supported: { "dynamic-import": false },
      define: { "import.meta.url": "__filename" },
    });
    await Deno.mkdir(`${cjs}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeTextFile(`${cjs}/${path}`, common.code);
  }
  await stop();
  await Deno.writeTextFile(`${esm}/package.json`, '{ "type": "module" }\n');
  await Deno.writeTextFile(`${cjs}/package.json`, '{ "type": "commonjs" }\n');
  for (const build of [esm, cjs]) {
    await Deno.writeTextFile(`${build}/${DENO_ONLY}.js`, REFUSAL);
    await Deno.writeTextFile(`${build}/${DENO_ONLY}.d.ts`, "export {};\n");
    for (const path of await filesBelow(types)) {
      if (!/^(?:mod|lib\/).*\.d\.ts$/.test(path)) continue;
      await Deno.mkdir(`${build}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.copyFile(`${types}/${path}`, `${build}/${path}`);
    }
  }
}
