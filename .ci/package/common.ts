/**
 * Puts the modules that the commonest commands load into one file of the bundle.
 *
 * The bundler makes a file for each set of modules that the same commands load: about thirty files
 * for `feed`. Opening them takes a fifth of the time that it runs. So the bundle is made from a copy
 * of the sources, in which whatever is loaded on demand imports all common modules: then all
 * commands load the same set of those, and it is one file. The cycles that this makes are harmless,
 * as nothing is imported by them.
 *
 * @module
 */

import { dirname, join, relative } from "node:path";

/** What `feed`, `fetch` and `follow` load on demand. */
const COMMON = [
  "lib/backend/local/lookup.ts",
  "lib/backend/local/select.ts",
  "lib/cli/feed.ts",
  "lib/cli/fetch.ts",
  "lib/cli/follow.ts",
  "lib/pool/writable_ring.ts",
  "lib/text/pretty.ts",
];
/** The directories of sources. */
const SOURCES = ["lib", "mcp", "server"];
/** Where the program starts; only the main module of a bundle can be it. */
const MAIN = "cli.ts";
/** The name of the module that imports the common ones. */
const JOINT = "common.ts";
/** An import or export of another module, or an `import()`; types are left out. */
const IMPORT =
  /^(?:import|export)(?!\s+type\b)\b[^;"']*?\sfrom\s+"(\.[^"]+\.ts)"|^import\s+"(\.[^"]+\.ts)"|\bimport\(\s*"(\.[^"]+\.ts)"/gm;

/** The modules that a module imports, by their paths from the root. */
interface Imports {
  /** At once. */
  readonly always: readonly string[];
  /** With `import()`. */
  readonly onDemand: readonly string[];
}

/** Copies what is bundled from `root` to `work` and joins the common modules there. */
export function copyJoined(root: string, work: string): void {
  for (const dir of SOURCES) copyTree(`${root}/${dir}`, `${work}/${dir}`);
  for (const file of ["cli.ts", "mod.ts", "deno.json", "deno.lock"]) {
    Deno.copyFileSync(`${root}/${file}`, `${work}/${file}`);
  }
  const imports = new Map(
    ["cli.ts", "mod.ts", ...SOURCES.flatMap((dir) => modules(work, dir))]
      .map((path) => [path, importsOf(work, path)]),
  );
  const common = new Set<string>();
  const visit = (path: string): void => {
    if (common.has(path)) return;
    common.add(path);
    imports.get(path)?.always.forEach(visit);
  };
  [MAIN, ...COMMON].forEach(visit);
  common.delete(MAIN);
  const lines = [...common].map((path) => `import "./${path}";\n`);
  Deno.writeTextFileSync(`${work}/${JOINT}`, lines.join(""));
  const onDemand = new Set([...imports.values()].flatMap((found) => found.onDemand));
  for (const path of [MAIN, ...onDemand]) {
    const to = relative(dirname(path), JOINT);
    const line = `\nimport "${to.startsWith(".") ? to : `./${to}`}";\n`;
    Deno.writeTextFileSync(`${work}/${path}`, line, { append: true });
  }
}

function importsOf(work: string, path: string): Imports {
  const text = Deno.readTextFileSync(`${work}/${path}`)
    .replaceAll(/^\s*(?:\/\*\*|\*|\/\/).*$/gm, "");
  const always: string[] = [];
  const onDemand: string[] = [];
  for (const [, named, bare, dynamic] of text.matchAll(IMPORT)) {
    const target = named ?? bare;
    if (target !== undefined) always.push(join(dirname(path), target));
    if (dynamic !== undefined) onDemand.push(join(dirname(path), dynamic));
  }
  return { always, onDemand };
}

/** Copies a directory with all that is below it. */
export function copyTree(from: string, to: string): void {
  Deno.mkdirSync(to, { recursive: true });
  for (const { name, isDirectory } of Deno.readDirSync(from)) {
    if (isDirectory) copyTree(`${from}/${name}`, `${to}/${name}`);
    else Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
  }
}

function modules(work: string, dir: string): string[] {
  return [...Deno.readDirSync(`${work}/${dir}`)].flatMap(({ name, isDirectory }) => {
    const path = `${dir}/${name}`;
    return isDirectory ? modules(work, path) : name.endsWith(".ts") ? [path] : [];
  });
}
