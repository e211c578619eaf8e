/**
 * A directory or a text in an old encoding was changed on its way in: `feed --dir` made another
 * directory beside the one that was named, data was stored with U+FFFD in it, `tap` ran another
 * program. Bytes that are not UTF-8 are refused, and nothing is made, stored or run.
 *
 * @module
 */

import assert from "node:assert/strict";
import { ErrorKind } from "../../lib/errors.ts";
import { CLI, cli, errorOf, inTemp, type Outcome } from "./cli_util.ts";
import { ROOT } from "../support/paths.ts";

const unix = Deno.build.os !== "windows";
const linux = Deno.build.os === "linux";

/** `\351` in a word stands for that byte, as in printf. */
async function raw(
  dir: string,
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const quoted = [Deno.execPath(), "run", "-A", "--quiet", CLI, ...words].map((word) =>
    `"$(printf -- '${word}')"`
  );
  const set = Object.entries(env).map(([name, value]) => `${name}="$(printf -- '${value}')"`);
  const { code, stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", `${set.join(" ")} exec ${quoted.join(" ")}`],
    cwd: dir,
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

function listing(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
}

Deno.test({
  name: "arguments that are not UTF-8 are refused, whatever they name",
  ignore: !unix,
  fn: async (t) => {
    for (
      const words of [
        ["feed", "p", "--create", "--dir", "d\\351", '{"a":1}'],
        ["--dir=d\\351", "feed", "p", "--create", '{"a":1}'],
        ["feed", "caf\\351", "--create", "--dir", ".", '{"a":1}'],
        ["feed", "p", "--create", "--dir", ".", '{"a":"caf\\351"}'],
        ["feed", "p", "--create", "--dir", ".", "--tag", "caf\\351", '{"a":1}'],
        ["feed", "p", "--create", "--dir", ".", "--file", "\\377"],
        ["pool", "create", "caf\\351", "--dir", "."],
        ["pool", "create", "./caf\\351.plasmite"],
        ["tap", "p", "--create", "--dir", ".", "--", "touch", "caf\\351"],
        ["tap", "p", "--create", "--dir", ".", "--", "./caf\\351"],
        ["serve", "init", "--output-dir", "d\\351"],
        ["duplex", "p", "--create", "--dir", ".", "--me", "\\300\\200"],
      ]
    ) {
      await t.step(words.join(" "), () =>
        inTemp(async (dir) => {
          const outcome = await raw(dir, words);
          assert.equal(outcome.code, ErrorKind.Usage, outcome.stderr);
          assert.equal(errorOf(outcome)["kind"], "Usage");
          assert.match(String(errorOf(outcome)["message"]), /UTF-8|may not be what was typed/);
          assert.deepEqual(listing(dir), []);
        }));
    }
  },
});

Deno.test({
  name: "the error names the argument, its bytes as escapes",
  ignore: !linux,
  fn: () =>
    inTemp(async (dir) => {
      const outcome = await raw(dir, ["pool", "create", "ca\\303\\251\\351x"]);
      assert.equal(errorOf(outcome)["message"], "argument is not UTF-8: caé\\xe9x");
    }),
});

Deno.test({
  name: "U+FFFD itself is data like any other",
  ignore: !linux,
  fn: () =>
    inTemp(async (dir) => {
      const text = "caf\ufffd";
      const args = ["feed", text, "--create", "--dir", dir, JSON.stringify({ text })];
      assert.equal((await cli(args)).code, 0);
      assert.deepEqual(listing(dir), [`${text}.plasmite`]);
      const { stdout } = await cli(["fetch", text, "1", "--dir", dir]);
      assert.equal(JSON.parse(stdout).data.text, text);
    }),
});

Deno.test("without permission to read the bytes U+FFFD is refused, without a prompt", () =>
  inTemp(async (dir) => {
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", `--allow-read=${ROOT},${dir}`, `--allow-write=${dir}`, "--quiet", CLI],
        ...["feed", "p", "--create", "--dir", dir, '{"a":"\ufffd"}'],
      ],
      stdin: "null",
    }).output();
    assert.equal(code, ErrorKind.Usage);
    const { error } = JSON.parse(new TextDecoder().decode(stderr));
    assert.match(error.message, /may not be what was typed/);
    assert.match(error.hint, /-A/);
    assert.deepEqual(listing(dir), []);
  }));

Deno.test({
  name: "a home that is not UTF-8 is refused where pools live in it; other variables do not matter",
  ignore: !unix,
  fn: () =>
    inTemp(async (dir) => {
      const refused = await raw(dir, ["feed", "p", "--create", '{"a":1}'], {
        HOME: `${dir}/\\351`,
      });
      assert.equal(refused.code, ErrorKind.Usage, refused.stderr);
      assert.match(String(errorOf(refused)["message"]), /HOME/);
      assert.deepEqual(listing(dir), []);
      const words = ["feed", "p", "--create", "--dir", ".", '{"a":1}'];
      const env = { HOME: `${dir}/\\351`, NO_COLOR: "\\351", PLASMITE_X: "\\351" };
      const fine = await raw(dir, words, env);
      assert.equal(fine.code, 0, fine.stderr);
      const ready = { PLASMITE_SERVE_READY_FILE: "\\351" };
      const serve = await raw(dir, ["serve", "--bind", "127.0.0.1:0"], ready);
      assert.equal(serve.code, ErrorKind.Usage, serve.stderr);
      assert.match(String(errorOf(serve)["message"]), /PLASMITE_SERVE_READY_FILE/);
    }),
});

Deno.test({
  name: "in a directory whose name is not UTF-8 everything works by relative paths",
  ignore: !linux,
  fn: () =>
    inTemp(async (dir) => {
      const lines = [
        `feed p --create --dir . '{"a":1}'`,
        "follow p --dir . --no-follow",
        "pool list --dir .",
        "doctor --all --dir .",
      ];
      const program = `"${Deno.execPath()}" run -A --quiet "${CLI}"`;
      const script = `mkdir "$(printf 'd\\351')" && cd d* && ` +
        lines.map((line) => `${program} ${line}`).join(" && ") + " && ls";
      const { code, stdout, stderr } = await new Deno.Command("sh", {
        args: ["-c", script],
        cwd: dir,
        stdin: "null",
      }).output();
      const text = new TextDecoder();
      assert.equal(code, 0, text.decode(stderr));
      assert.match(text.decode(stdout), /OK: \.\/p\.plasmite\np\.plasmite\n$/);
      // What nobody named cannot be recorded either, but it is an error of the user's.
      const { code: failed, stderr: told } = await new Deno.Command("sh", {
        args: ["-c", `cd d* && ${program} fetch p 9 --dir . --format pretty`],
        cwd: dir,
        stdin: "null",
      }).output();
      assert.equal(failed, 3, text.decode(told));
    }),
});

Deno.test({
  name: "a pool file whose name is not UTF-8 is reported, not hidden and not taken for another",
  ignore: !linux,
  fn: () =>
    inTemp(async (dir) => {
      assert.equal((await cli(["pool", "create", "ok", "caf\ufffd", "--dir", dir])).code, 0);
      const copy = `cp ok.plasmite "$(printf 'b\\351.plasmite')" &&
        cp ok.plasmite "$(printf 'caf\\351.plasmite')"`;
      await new Deno.Command("sh", { args: ["-c", copy], cwd: dir }).output();
      const list = await cli(["pool", "list", "--json", "--dir", dir]);
      // deno-lint-ignore no-explicit-any -- JSON
      const pools: any[] = JSON.parse(list.stdout).pools;
      assert.deepEqual(pools.map((one) => [one.name, one.error?.error.message]), [
        ["b\ufffd", "file name is not UTF-8"],
        ["caf\ufffd", undefined],
        ["ok", undefined],
      ]);
      const all = await cli(["doctor", "--all", "--dir", dir]);
      assert.match(all.stdout, /ERROR: .*b\ufffd\.plasmite file name is not UTF-8/);
      assert.equal(all.code, ErrorKind.Io);
    }),
});
