/**
 * Makes the npm package, dist/NAME-VERSION.tgz: declarations as `deno pack` writes them, bundled
 * JavaScript in place of its modules, and the `plasmite` and `pls` commands. The only dependency is
 * Deno itself.
 *
 * @module
 */

import { bundle, DENO, readPackage, ROOT, run } from "./bundle.ts";
import { copyTree } from "./common.ts";
import { bundleForBrowsers, bundleForNode, DENO_ONLY, NODE_ENTRIES, OLDEST_NODE } from "./node.ts";

/** Removes what the bundle replaces: everything but declarations. */
async function keepDeclarations(dir: string): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(dir)) {
    const path = `${dir}/${name}`;
    if (isDirectory) await keepDeclarations(path);
    else if (!/\.d\.ts$|^package\.json$|^README\.md$|^LICENSE$/.test(name)) await Deno.remove(path);
  }
}

/** Where the source is, which npm compares with the provenance; known where releases are built. */
function repository(): { repository?: { type: string; url: string } } {
  const server = Deno.env.get("GITHUB_SERVER_URL");
  const name = Deno.env.get("GITHUB_REPOSITORY");
  if (server === undefined || name === undefined) return {};
  return { repository: { type: "git", url: `git+${server}/${name}.git` } };
}

/** The package that gives Node file locks. */
const KOFFI = "3.3.4";

/** How an entry is loaded: by Deno, as an ES module by Node and Bun, by `require`. */
function entry(path: string): Record<string, unknown> {
  const file = NODE_ENTRIES.includes(`${path}.ts`) ? path : DENO_ONLY;
  const build = (kind: string): Record<string, string> => ({
    types: `./node/${kind}/${file}.d.ts`,
    default: `./node/${kind}/${file}.js`,
  });
  return {
    deno: { types: `./${path}.d.ts`, default: `./${path}.js` },
    ...(path === "lib/remote/mod"
      ? { browser: { types: build("esm")["types"], default: "./browser/mod.js" } }
      : {}),
    import: build("esm"),
    require: build("cjs"),
  };
}

/** Makes the package and returns its path. */
export async function makeNpmPackage(outdir = `${ROOT}dist`): Promise<string> {
  const { name, version, exports } = readPackage();
  await Deno.mkdir(outdir, { recursive: true });
  const work = await Deno.makeTempDir({ prefix: "plasmite-npm-" });
  try {
    const dir = `${work}/package`;
    await run(Deno.execPath(), ["pack", "--allow-dirty", "--quiet", "-o", `${work}/types.tgz`]);
    await run("tar", ["xzf", `${work}/types.tgz`], work);
    await keepDeclarations(dir);
    await bundle(Object.values(exports), `${work}/js`, { tuned: true });
    await bundleForNode(`${work}/node`, dir);
    copyTree(`${work}/js`, dir);
    await bundleForBrowsers(`${dir}/browser`);
    copyTree(`${work}/node`, `${dir}/node`);
    await Deno.mkdir(`${dir}/bin`);
    await Deno.copyFile(`${ROOT}.ci/package/launcher.sh`, `${dir}/bin/plasmite`);
    await Deno.chmod(`${dir}/bin/plasmite`, 0o755);
    const packed = JSON.parse(await Deno.readTextFile(`${dir}/package.json`));
    const manifest = {
      ...packed,
      main: "./node/cjs/mod.js",
      types: "./node/cjs/mod.d.ts",
      exports: Object.fromEntries(
        Object.entries(exports).map(([as, file]) => [as, entry(file.replace(/^\.\/|\.ts$/g, ""))]),
      ),
      description: "Interprocess communication through JSON message pools that live in a file",
      keywords: ["ipc", "queue", "ring-buffer", "pubsub", "json", "mcp", "deno"],
      // A POSIX script: the commands do not run in the shells of Windows, where npm makes a wrapper
      // that asks for /bin/sh. Two names for one file, so that `npx @plasmite/core` knows which to run.
      bin: { plasmite: "bin/plasmite", pls: "bin/plasmite" },
      dependencies: { deno: DENO },
      // Local pools need flock, which Node does not have; without it, remote pools work.
      optionalDependencies: { koffi: KOFFI },
      engines: { node: `>=${OLDEST_NODE}` },
      ...repository(),
    };
    await Deno.writeTextFile(`${dir}/package.json`, JSON.stringify(manifest, null, 2) + "\n");
    const tarball = `${outdir}/${name.replace(/^@/, "").replace("/", "-")}-${version}.tgz`;
    await run("tar", ["czf", tarball, "package"], work);
    return tarball;
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

// deno-lint-ignore no-console
if (import.meta.main) console.log(await makeNpmPackage());
