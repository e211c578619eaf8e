/**
 * `deno task sbom`: dist/plasmite-VERSION.cdx.json, what the program is made of (CycloneDX): the npm
 * packages whose code is in the bundle, with their checksums, and Deno. What only tests use is not in.
 *
 * @module
 */

import { DENO, readPackage, ROOT } from "./bundle.ts";

interface Info {
  readonly modules: readonly { readonly kind?: string; readonly npmPackage?: string }[];
  readonly npmPackages: Readonly<
    Record<string, { name: string; version: string; dependencies: readonly string[] }>
  >;
}

/** One part of the program. */
export interface Component {
  /** `library` or `platform`. */
  readonly type: string;
  /** Name of the npm package. */
  readonly name: string;
  /** Its version. */
  readonly version: string;
  /** Package URL. */
  readonly purl: string;
  /** The checksum in deno.lock. */
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
}

async function info(file: string): Promise<Info> {
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", file],
    cwd: ROOT,
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`deno info ${file} failed`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** The npm packages an entry imports, and theirs. */
async function packagesOf(file: string): Promise<Map<string, { name: string; version: string }>> {
  const { modules, npmPackages } = await info(file);
  const found = new Map<string, { name: string; version: string }>();
  const open = modules.flatMap(({ npmPackage }) => npmPackage ?? []);
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    const one = npmPackages[id];
    if (one === undefined || found.has(id)) continue;
    found.set(id, one);
    open.push(...one.dependencies);
  }
  return found;
}

/** A checksum of deno.lock in CycloneDX's form. */
function hash(integrity: string): { alg: string; content: string } {
  const bytes = Uint8Array.fromBase64(integrity.replace(/^sha512-/, ""));
  return { alg: "SHA-512", content: bytes.toHex() };
}

/** What the program is made of. */
export async function components(): Promise<Component[]> {
  const lock = JSON.parse(await Deno.readTextFile(`${ROOT}deno.lock`));
  const all = new Map<string, Component>();
  for (const file of Object.values(readPackage().exports)) {
    for (const [id, { name, version }] of await packagesOf(file)) {
      const purl = `pkg:npm/${name.replace("@", "%40")}@${version}`;
      const integrity = lock.npm[id]?.integrity;
      all.set(purl, {
        type: "library",
        name,
        version,
        purl,
        ...(typeof integrity === "string" && { hashes: [hash(integrity)] }),
      });
    }
  }
  const deno = { type: "platform", name: "deno", version: DENO, purl: `pkg:npm/deno@${DENO}` };
  return [...all.values(), deno].sort((a, b) => a.purl < b.purl ? -1 : 1);
}

/** Writes the list and returns its path. */
export async function makeSbom(outdir = `${ROOT}dist`): Promise<string> {
  const { name, version, license } = readPackage();
  const file = `${outdir}/plasmite-${version}.cdx.json`;
  const purl = `pkg:npm/${name.replace("@", "%40")}@${version}`;
  const sbom = {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      component: {
        type: "application",
        name,
        version,
        purl,
        licenses: [{ license: { id: license } }],
      },
    },
    components: await components(),
  };
  await Deno.mkdir(outdir, { recursive: true });
  await Deno.writeTextFile(file, JSON.stringify(sbom, null, 2) + "\n");
  return file;
}

// deno-lint-ignore no-console
if (import.meta.main) console.log(await makeSbom());
