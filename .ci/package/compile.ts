/**
 * Executables that need nothing installed: `compile` for this machine, `compile:all` for six
 * targets with archives and checksums, `compile:narrow` without the permissions that only `tap` and
 * the reference's semaphore need.
 *
 * The bundle is what is compiled, not cli.ts: with `lazy-dynamic-imports` in deno.json, `deno
 * compile cli.ts` would leave every command out.
 *
 * `deno compile` downloads the runtime it embeds; `DENORT_BIN` names one that is here already.
 *
 * @module
 */

import { bundle, readPackage, ROOT, run } from "./bundle.ts";

/** What `deno compile --target` takes. */
export const TARGETS: readonly string[] = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
  "x86_64-pc-windows-msvc",
  "aarch64-pc-windows-msvc",
];

/** Reading and writing pools, serving and asking servers; no programs, no semaphore. */
const NARROW = [
  "--allow-read",
  "--allow-write",
  "--allow-net",
  "--allow-env",
  "--deny-read=/dev/shm",
]
  .concat("--deny-write=/dev/shm", "--no-prompt");

/** Compiles into `dir`, with `pls` beside `plasmite`; returns the program's path. */
export async function compile(
  dir: string,
  options: { readonly target?: string; readonly narrow?: boolean; readonly bundled: string },
): Promise<string> {
  const { target = Deno.build.target, narrow = false, bundled } = options;
  const windows = target.includes("windows");
  const suffix = windows ? ".exe" : "";
  const program = `${dir}/plasmite${suffix}`;
  await Deno.mkdir(dir, { recursive: true });
  await run(Deno.execPath(), [
    ...["compile", "--quiet", "--no-config", "--no-lock", "--unstable-no-legacy-abort"],
    ...["--target", target],
    ...(windows ? ["--icon", `${ROOT}.ci/package/plasmite.ico`] : []),
    ...(narrow ? NARROW : ["--allow-all"]),
    ...["--output", program, `${bundled}/cli.js`],
  ]);
  const short = `${dir}/pls${suffix}`;
  await Deno.remove(short).catch(() => {});
  if (windows) await Deno.copyFile(program, short);
  else await Deno.symlink("plasmite", short);
  return program;
}

/** Runs what was compiled: its version, one message in, the same one out. */
async function smoke(program: string): Promise<void> {
  const dir = await Deno.makeTempDir();
  const ask = async (...args: string[]): Promise<unknown> => {
    const { code, stdout, stderr } = await new Deno.Command(program, {
      args: ["--dir", dir, ...args],
    }).output();
    const text = new TextDecoder();
    if (code !== 0) throw new Error(`${program} ${args[0]}: exit ${code}: ${text.decode(stderr)}`);
    return JSON.parse(text.decode(stdout));
  };
  const expect = (what: unknown, expected: unknown): void => {
    if (JSON.stringify(what) === JSON.stringify(expected)) return;
    throw new Error(`${program}: ${JSON.stringify(what)} instead of ${JSON.stringify(expected)}`);
  };
  try {
    expect(await ask("version"), { name: "plasmite", version: readPackage().version });
    expect(Object.keys(Object(await ask("feed", "p", "--create", '{"x":1}'))).length, 3);
    expect(await ask("follow", "p", "--no-follow", "--jsonl", "--data-only"), { x: 1 });
    expect(Object.keys(Object(await ask("serve", "check", "--json"))).length > 0, true);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function sha256(path: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(path));
  return new Uint8Array(digest).toHex();
}

/** Compiles all targets, packs each and writes SHA256SUMS. */
async function compileAll(dist: string, bundled: string): Promise<void> {
  const { version } = readPackage();
  let sums = "";
  for (const target of TARGETS) {
    // The archives without "executable" are those of portable.ts.
    const windows = target.includes("windows");
    const name = `plasmite-${version}-${target}${windows ? "" : "-executable"}`;
    const program = await compile(`${dist}/${name}`, { target, bundled });
    if (target === Deno.build.target) await smoke(program);
    for (const file of ["README.md", "LICENSE"]) {
      await Deno.copyFile(ROOT + file, `${dist}/${name}/${file}`);
    }
    const archive = `${name}${windows ? ".zip" : ".tar.gz"}`;
    await Deno.remove(`${dist}/${archive}`).catch(() => {});
    if (archive.endsWith(".zip")) await run("zip", ["-qr", archive, name], dist);
    else await run("tar", ["czf", archive, name], dist);
    sums += `${await sha256(`${dist}/${archive}`)}  ${archive}\n`;
  }
  await Deno.writeTextFile(`${dist}/SHA256SUMS`, sums);
}

if (import.meta.main) {
  const dist = `${ROOT}dist`;
  const bundled = await Deno.makeTempDir({ prefix: "plasmite-bundle-" });
  try {
    await bundle(["cli.ts"], bundled);
    if (Deno.args.includes("--all")) await compileAll(dist, bundled);
    else await smoke(await compile(dist, { narrow: Deno.args.includes("--narrow"), bundled }));
  } catch (error) {
    const advice = "If the runtime could not be downloaded, use `deno task bundle`.";
    const text = `${error instanceof Error ? error.message : error}\n${advice}\n`;
    await Deno.stderr.write(new TextEncoder().encode(text));
    Deno.exitCode = 1;
  } finally {
    await Deno.remove(bundled, { recursive: true });
  }
}
