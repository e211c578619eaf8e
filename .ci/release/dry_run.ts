/**
 * Runs the shell steps of the workflows that need no network, in a copy of the checkout, as GitHub
 * would (`deno task release:dry`). Programs that macOS does not have are missing, `sed` knows POSIX
 * only, `gh` and `npm` write down what they are asked. What would be built for many minutes is
 * replaced by stand-ins.
 *
 * @module
 */

import { parse } from "yaml";
import { tarGz } from "../package/tar.ts";
import { PORTABLE_TARGETS } from "../package/portable.ts";
import { readPackage, ROOT } from "../package/bundle.ts";

/** A step of a workflow. */
export interface Step {
  /** `FILE/JOB/NAME`. */
  readonly id: string;
  /** Its script. */
  readonly script: string;
  /** What it runs on. */
  readonly systems: readonly string[];
  /** Variables that it sets, before GitHub's expressions are replaced. */
  readonly env: Readonly<Record<string, string>>;
  /** Where it runs, from the root. */
  readonly dir: string;
  /** The values of `matrix`, one set for each machine. */
  readonly matrix: readonly Readonly<Record<string, string>>[];
}

interface Job {
  readonly "runs-on": string;
  readonly strategy?: {
    readonly matrix: {
      readonly os?: string[];
      readonly include?: Record<string, string>[];
    };
  };
  readonly steps: readonly {
    readonly name?: string;
    readonly run?: string;
    readonly env?: Record<string, string>;
    readonly "working-directory"?: string;
  }[];
}

/** Steps that are not run here, with the reason. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  "ci.yml/gate/The gate": "is what runs this",
  "nightly.yml/nightly/Everything that takes long": "takes hours",
  "release.yml/test/The gate": "is what runs this",
  "release.yml/build/Folders with their own Deno": "downloads four Denos; a stand-in",
  "release.yml/build/Executables": "downloads six runtimes; a stand-in",
  "release.yml/build/The npm package": "has its own test; a stand-in",
  "release.yml/build/Debian packages": "downloads two Denos; a stand-in",
  "release.yml/publish/JSR": "publishes",
};

/** What macOS runners do not have. */
const NOT_ON_MACOS = ["timeout", "gsed", "sha256sum", "tac", "readarray", "nproc"];

/** Every shell step of the workflows, in order. */
export function steps(): Step[] {
  const found: Step[] = [];
  const dir = `${ROOT}.github/workflows`;
  for (const name of [...Deno.readDirSync(dir)].map((file) => file.name).sort()) {
    const { jobs }: { jobs: Record<string, Job> } = parse(Deno.readTextFileSync(`${dir}/${name}`));
    for (const [key, job] of Object.entries(jobs)) {
      const { os, include } = job.strategy?.matrix ?? {};
      const matrix = include ?? (os ?? [job["runs-on"]]).map((one) => ({ os: one }));
      for (const step of job.steps) {
        if (step.run === undefined) continue;
        found.push({
          id: `${name}/${key}/${step.name ?? ""}`,
          script: step.run,
          systems: matrix.map((one) => one["os"] ?? ""),
          env: step.env ?? {},
          dir: step["working-directory"] ?? ".",
          matrix,
        });
      }
    }
  }
  return found;
}

/** Copies the tracked parts of the checkout. */
async function copyCheckout(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory, isFile } of Deno.readDir(from)) {
    if (/^(\.git|node_modules|dist|tmp|tests|assets)$/.test(name)) continue;
    if (isDirectory) await copyCheckout(`${from}/${name}`, `${to}/${name}`);
    else if (isFile) await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

/** Writes programs that stand for others. */
async function shims(dir: string, macos: boolean): Promise<void> {
  await Deno.mkdir(dir, { recursive: true });
  const put = (name: string, script: string): Promise<void> =>
    Deno.writeTextFile(`${dir}/${name}`, `#!/bin/bash\n${script}\n`, { mode: 0o755 });
  const record = 'echo "$(basename "$0") $*" >> "$RECORD"';
  await put("gh", `${record}\n[ "$1 $2" != "release view" ]`);
  await put(
    "npm",
    `${record}\n[ "$1" = view ] && { echo "npm error code E404" >&2; exit 1; }\nexit 0`,
  );
  const sed = new Deno.Command("sed", { args: ["--posix", "-n", "1p"], stdin: "null" });
  const gnu = await sed.output().then(({ success }) => success, () => false);
  if (gnu) await put("sed", 'exec /usr/bin/env -i PATH=/usr/bin:/bin sed --posix "$@"');
  if (!macos) return;
  for (const name of NOT_ON_MACOS) await put(name, `echo "$0: not on macOS" >&2; exit 127`);
}

/** Where Deno keeps packages, which the steps share: they have no network. */
async function cacheDir(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--no-config"],
  }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}

/** What the steps that are not run here would leave in dist/. */
async function standIns(dist: string, version: string): Promise<void> {
  await Deno.mkdir(dist, { recursive: true });
  const program = new TextEncoder().encode(
    `#!/bin/sh\nexec '${Deno.execPath()}' run -A --quiet '${ROOT}cli.ts' "$@"\n`,
  );
  for (const target of PORTABLE_TARGETS) {
    for (const suffix of ["", "-executable"]) {
      const name = `plasmite-${version}-${target}${suffix}`;
      const entries = [
        { name },
        { name: `${name}/plasmite`, content: program, executable: true },
        { name: `${name}/pls`, link: "plasmite" },
      ];
      await Deno.writeFile(`${dist}/${name}.tar.gz`, tarGz(entries));
    }
  }
  for (
    const name of [
      `plasmite-${version}-x86_64-pc-windows-msvc.zip`,
      `plasmite-core-${version}.tgz`,
      `plasmite_${version}_amd64.deb`,
    ]
  ) await Deno.writeTextFile(`${dist}/${name}`, name);
}

/** What one step did. */
export interface Outcome {
  /** `FILE/JOB/NAME`, and the machine where it has several. */
  readonly id: string;
  /** Why it was not run; undefined when it was. */
  readonly skipped?: string;
  /** Its exit code. */
  readonly code: number;
  /** What it printed. */
  readonly output: string;
}

/** The result of a dry run. */
export interface DryRun {
  /** One entry a step and machine, in order. */
  readonly outcomes: readonly Outcome[];
  /** Each call of `gh` and `npm`. */
  readonly record: readonly string[];
  /** The files that would be released. */
  readonly files: readonly string[];
}

/** Runs every step that can run here, as if `changelog` were that of the release. */
export async function dryRun(changelog?: string): Promise<DryRun> {
  const work = await Deno.makeTempDir({ prefix: "plasmite-dry-" });
  const { version } = readPackage();
  try {
    const checkout = `${work}/checkout`;
    await copyCheckout(ROOT, checkout);
    if (changelog !== undefined) await Deno.writeTextFile(`${checkout}/CHANGELOG.md`, changelog);
    await Deno.writeTextFile(`${work}/record`, "");
    await standIns(`${checkout}/dist`, version);
    await shims(`${work}/macos`, true);
    await shims(`${work}/other`, false);
    const cache = await cacheDir();
    const outcomes: Outcome[] = [];
    for (const step of steps()) {
      for (const values of step.matrix) {
        const system = values["os"] ?? "";
        const id = step.matrix.length > 1
          ? `${step.id} (${Object.values(values).join(" ")})`
          : step.id;
        const skipped = ELSEWHERE[step.id] ??
          (system.startsWith("windows") ? "needs Windows" : undefined);
        if (skipped !== undefined) {
          outcomes.push({ id, skipped, code: 0, output: "" });
          continue;
        }
        const bin = `${work}/${system.startsWith("macos") ? "macos" : "other"}`;
        const fill = (text: string): string =>
          text.replaceAll(
            /\$\{\{\s*([\w.]+)\s*\}\}/g,
            (_, name: string) =>
              name.startsWith("matrix.") ? values[name.slice(7)] ?? "" : `the-${name}`,
          );
        const env: Record<string, string> = {
          HOME: work,
          DENO_DIR: cache,
          LC_ALL: "C",
          PATH: [bin, Deno.execPath().replace(/\/[^/]*$/, ""), "/usr/bin", "/bin"].join(":"),
          RECORD: `${work}/record`,
          GITHUB_REF_NAME: `v${version}`,
          GITHUB_SERVER_URL: "https://forge.example",
          GITHUB_REPOSITORY: "somebody/plasmite",
        };
        for (const [name, value] of Object.entries(step.env)) env[name] = fill(value);
        const { code, stdout, stderr } = await new Deno.Command("bash", {
          args: ["--noprofile", "--norc", "-eo", "pipefail", "-c", fill(step.script)],
          cwd: `${checkout}/${step.dir}`,
          clearEnv: true,
          env,
          stdin: "null",
        }).output();
        const text = new TextDecoder();
        outcomes.push({ id, code, output: text.decode(stdout) + text.decode(stderr) });
      }
    }
    return {
      outcomes,
      record: (await Deno.readTextFile(`${work}/record`)).trim().split("\n"),
      files: [...Deno.readDirSync(`${checkout}/dist`)].map(({ name }) => name).sort(),
    };
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

if (import.meta.main) {
  const { version } = readPackage();
  const changelog = Deno.args.includes("--as-released") ? `## ${version}\n\nNotes.\n` : undefined;
  const { outcomes } = await dryRun(changelog);
  for (const { id, code, skipped, output } of outcomes) {
    // deno-lint-ignore no-console
    console.log(
      skipped ? `not run  ${id}: ${skipped}` : `${code === 0 ? "ok      " : "FAILED  "} ${id}`,
    );
    // deno-lint-ignore no-console
    if (code !== 0) console.log(output);
  }
  if (outcomes.some(({ code }) => code !== 0)) Deno.exit(1);
}
