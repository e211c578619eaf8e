/**
 * The release, as far as it can be tried without GitHub. A fault in it shows on the day of a release,
 * when half of it is public: a version on npm cannot be taken back.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { parse } from "yaml";
import { components } from "../../.ci/package/sbom.ts";
import { readPackage } from "../../.ci/package/bundle.ts";
import { dryRun, steps } from "../../.ci/release/dry_run.ts";
import { exists, inTemp } from "../cli/cli_util.ts";
import { inCheckout, ROOT } from "../support/paths.ts";

const HAS_BASH = await exists("bash") && Deno.build.os !== "windows";
const WORKFLOWS = [...Deno.readDirSync(inCheckout(".github/workflows"))]
  .map(({ name }) => `.github/workflows/${name}`);
const { version } = readPackage();

interface Workflow {
  readonly on: Record<string, unknown>;
  readonly permissions?: Record<string, string>;
  readonly defaults?: { readonly run: { readonly shell: string } };
  readonly jobs: Record<string, {
    readonly needs?: string;
    readonly permissions?: Record<string, string>;
    readonly "timeout-minutes"?: number;
    readonly steps: { readonly name?: string; readonly uses?: string; readonly run?: string }[];
  }>;
}

function workflow(file: string): Workflow {
  return parse(Deno.readTextFileSync(inCheckout(file)));
}

Deno.test({
  name: "release: every step that needs no network runs, as if this version were released",
  ignore: !HAS_BASH,
  fn: async () => {
    const { outcomes, record, files } = await dryRun(
      `# Changelog\n\n## 9.9.9\n\nAnother.\n\n## ${version} — 2026-01-01\n\nThis one.\n\n## 0.0.1\n\nOld.\n`,
    );
    for (const { id, code, output } of outcomes) assert.equal(code, 0, `${id}: ${output}`);
    const ran = outcomes.filter(({ skipped }) => skipped === undefined);
    assert.ok(ran.length >= 15, `${ran.length} steps ran`);

    // What was asked of the outside, in order: a draft first, public last.
    const calls = record.filter((line) => !line.includes(" view "));
    assert.match(calls[0] ?? "", new RegExp(`^gh release create v${version} --draft `));
    assert.match(calls.at(-1) ?? "", /^gh release edit .* --draft=false$/);
    const publish = calls.findIndex((line) => line.startsWith("npm publish"));
    assert.match(calls[publish] ?? "", / --provenance --access public --tag latest \.\/dist\//);
    const upload = calls.find((line) => line.startsWith("gh release upload")) ?? "";
    for (
      const name of ["SHA256SUMS", "install.sh", "plasmite.rb", `plasmite-${version}.cdx.json`]
    ) {
      assert.ok(files.includes(name), name);
      assert.ok(upload.includes(`dist/${name}`), name);
    }
  },
});

/** Runs a release script in a copy that has its own changelog and version. */
async function script(
  line: string,
  given: { changelog?: string; version?: string; npm?: string },
): Promise<{ code: number; out: string; err: string }> {
  let result = { code: -1, out: "", err: "" };
  await inTemp(async (dir) => {
    await Deno.mkdir(`${dir}/.ci/release`, { recursive: true });
    for (const { name } of Deno.readDirSync(inCheckout(".ci/release"))) {
      await Deno.copyFile(inCheckout(`.ci/release/${name}`), `${dir}/.ci/release/${name}`);
    }
    const config = await Deno.readTextFile(inCheckout("deno.json"));
    await Deno.writeTextFile(
      `${dir}/deno.json`,
      config.replace(`"version": "${version}"`, `"version": "${given.version ?? version}"`),
    );
    await Deno.writeTextFile(`${dir}/CHANGELOG.md`, given.changelog ?? "");
    for (const name of ["gh", "npm"]) {
      const answer = `#!/bin/sh\n${given.npm ?? ""}\necho "${name} $*"\n`;
      await Deno.mkdir(`${dir}/bin`, { recursive: true });
      await Deno.writeTextFile(`${dir}/bin/${name}`, answer, { mode: 0o755 });
    }
    const { code, stdout, stderr } = await new Deno.Command("bash", {
      args: ["-c", line],
      cwd: dir,
      env: { PATH: `${dir}/bin:${Deno.env.get("PATH")}` },
    }).output();
    const text = new TextDecoder();
    result = { code, out: text.decode(stdout), err: text.decode(stderr) };
  });
  return result;
}

Deno.test({
  name: "release: the notes are those of the version, and nobody else's",
  ignore: !HAS_BASH,
  fn: async () => {
    const changelog = "# Changelog\n\n## 2.0.0 — soon, unreleased\n\nNew.\n\n## 1.2.0-rc.1\n\n" +
      "- One.\n\n### Added\n\n- Two.\n\n## 1.2.0\n\n## [1.1.0]\n\nThree.\n";
    const notes = (of: string) => script(`.ci/release/notes ${of}`, { changelog });
    assert.equal((await notes("1.2.0-rc.1")).out, "- One.\n\n### Added\n\n- Two.\n\n");
    assert.equal((await notes("1.1.0")).out, "Three.\n");
    for (
      const [of, problem] of [
        ["2.0.0", /says unreleased/],
        ["1.2.0", /has an empty section/],
        ["1.2", /has no section/],
        ["3.0.0", /has no section/],
      ] as const
    ) {
      const { code, err } = await notes(of);
      assert.equal(code, 1, of);
      assert.match(err, problem);
    }
  },
});

Deno.test({
  name: "release: what would fail after half of it is public fails before",
  ignore: !HAS_BASH,
  fn: async () => {
    const changelog = `## ${version}\n\nNotes.\n`;
    const tag = (of: string, more = {}) =>
      script(`.ci/release/check_tag ${of}`, { changelog, ...more });
    assert.equal((await tag(`v${version}`)).code, 0);
    assert.match((await tag("v9.9.9")).err, /the tag is v9\.9\.9, but deno\.json says/);
    assert.match((await tag(`v${version}`, { changelog: "" })).err, /no section/);

    const missing = { npm: 'echo "npm error code E404" >&2; exit 1' };
    const refused = await script(".ci/release/npm_ready", missing);
    assert.equal(refused.code, 1);
    assert.match(refused.err, /not on npm yet. Set the secret/);
    const first = await script("NODE_AUTH_TOKEN=x .ci/release/npm_ready", missing);
    assert.equal(first.code, 0, first.err);
    assert.equal((await script(".ci/release/npm_ready", {})).code, 0);
    const down = await script("NODE_AUTH_TOKEN=x .ci/release/npm_ready", {
      npm: 'echo "npm error network" >&2; exit 1',
    });
    assert.match(down.err, /cannot ask npm/);
  },
});

Deno.test({
  name: "release: a pre-release is one everywhere, and a second run publishes nothing twice",
  ignore: !HAS_BASH,
  fn: async () => {
    const given = { version: "1.2.0-rc.1", changelog: "## 1.2.0-rc.1\n\nTry it.\n" };
    const fresh = { ...given, npm: '[ "$1" != view ] || exit 1' };
    const publish = await script(".ci/release/npm_publish x.tgz | grep publish", fresh);
    assert.match(publish.out, /^npm publish .* --tag next x\.tgz$/m);
    const draft = await script(".ci/release/draft v1.2.0-rc.1 a b", {
      ...given,
      npm: '[ "$2" != view ] || exit 1',
    });
    assert.match(draft.out, /^gh release create v1\.2\.0-rc\.1 --draft --prerelease /m, draft.err);
    const again = await script(".ci/release/npm_publish x.tgz", given);
    assert.match(again.out, /is on npm already/);
    assert.doesNotMatch(again.out, /npm publish/);
    const more = await script(".ci/release/draft v1.2.0-rc.1 a b", given);
    assert.doesNotMatch(more.out, /release create/);
    assert.match(more.out, /release upload v1\.2\.0-rc\.1 --clobber a b/);
  },
});

Deno.test("workflows: no more rights, actions and time than they need", () => {
  for (const file of WORKFLOWS) {
    const { permissions, defaults, jobs } = workflow(file);
    assert.deepEqual(permissions, { contents: "read" }, file);
    assert.equal(defaults?.run.shell, "bash", `${file}: pipefail`);
    for (const [name, job] of Object.entries(jobs)) {
      assert.ok((job["timeout-minutes"] ?? 0) > 0, `${file}: ${name} may hang`);
      for (const { uses, run, name: title } of job.steps) {
        if (uses !== undefined) assert.match(uses, /^[\w-]+\/[\w-]+@[0-9a-f]{40}$/, file);
        if (run !== undefined) assert.ok(title !== undefined, `${file}: a step without a name`);
        assert.ok(!run?.includes("${{"), `${file}: ${title}: values go through env, not into code`);
      }
    }
  }
  const { jobs } = workflow(".github/workflows/release.yml");
  const order = [];
  for (let at: string | undefined = "release"; at !== undefined; at = jobs[at]?.needs) {
    order.push(at);
  }
  assert.deepEqual(order, ["release", "publish", "smoke", "build", "test", "ready"]);
});

/** What bash 3.2 and the tools of macOS do not have. */
const FOREIGN: readonly [RegExp, string][] = [
  [/\b(declare|local|typeset) -[a-zA-Z]*[An]/, "bash 4 variables"],
  [/\b(mapfile|readarray|coproc)\b/, "bash 4"],
  [/\$\{\w+(\[[^\]]*\])?(,,?|\^\^?|@[A-Za-z])\}/, "bash 4 expansion"],
  [/&>>|\|&/, "bash 4 redirection"],
  [/\$\{\w+: -?\d*:-\d/, "negative length"],
  [/\bsed\b[^|;\n]* -(i|r|z|s)\b/, "GNU sed option"],
  [/\bsed\b[^|;\n]*\\[+?|]/, "GNU sed pattern"],
  [/\bgrep\b[^|;\n]* -[a-zA-Z]*P/, "GNU grep"],
  [/\b(readlink|realpath) -[fe]\b|\bdate -d\b|\bstat -c\b|\bhead -n -|\bxargs -r\b/, "GNU option"],
  [/\bmktemp --|\bcp --|\bln -[a-z]*r|\bsort -V\b|\btac\b/, "GNU coreutils"],
];

Deno.test("workflows: scripts keep to bash 3.2 and to what macOS has", () => {
  const scripts: [string, string][] = steps().map(({ id, script }) => [id, script]);
  const files = [".ci/run", ".ci/summary", ".ci/package/launcher.sh", "docs/pi/install.sh"];
  for (const { name } of Deno.readDirSync(inCheckout(".ci/release"))) {
    if (!name.endsWith(".ts")) files.push(`.ci/release/${name}`);
  }
  for (const file of files) scripts.push([file, Deno.readTextFileSync(inCheckout(file))]);
  assert.ok(scripts.length > 20);
  for (const [name, script] of scripts) {
    const code = script.replaceAll(/^\s*#.*$/gm, "");
    for (const [pattern, what] of FOREIGN) {
      const found = pattern.exec(code);
      assert.equal(found, null, `${name}: ${what}: ${found?.[0]}`);
    }
    // `timeout` only where it was looked for.
    if (/\btimeout \d/.test(code)) assert.match(code, /command -v timeout/, name);
  }
  for (const bad of ["sed -i s/a/b/ x", "declare -A x", "x=${y,,}", "sed 's/a\\+/b/'"]) {
    assert.ok(FOREIGN.some(([pattern]) => pattern.test(bad)), bad);
  }
});

Deno.test("SBOM: what is shipped is listed with its checksum, what only tests use is not", async () => {
  const all = await components();
  const names = all.map(({ name }) => name);
  for (const name of ["deno", "hono", "zod", "jq-wasm", "@peculiar/x509", "yaml"]) {
    assert.ok(names.includes(name), name);
  }
  for (const name of ["playwright-core", "fast-check", "axe-core", "@modelcontextprotocol/sdk"]) {
    assert.ok(!names.includes(name), name);
  }
  for (const { name, hashes } of all) {
    if (name !== "deno") assert.match(hashes?.[0]?.content ?? "", /^[0-9a-f]{128}$/, name);
  }
});

Deno.test("workflows: every file they name is there", () => {
  for (const { id, script, dir } of steps()) {
    for (const [path] of script.matchAll(/(?:\.\.\/)?(?:\.ci|docs)\/[\w./-]+/g)) {
      const file = join(ROOT, dir === "." ? "." : dir, path);
      assert.ok(Deno.statSync(file).isFile, `${id}: ${path}`);
    }
  }
});
