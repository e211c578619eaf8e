#!/usr/bin/env node
/**
 * The `plasmite` and `pls` commands of the npm package: starts the bundled program on the Deno that
 * the npm package `deno` brings along.
 */
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const cli = fileURLToPath(new URL("../cli.js", import.meta.url));
const args = ["run", "-A", "--quiet", "--no-config", "--unstable-lazy-dynamic-imports", cli];

/** The real executable; its package's own script, where no install script has put it in place. */
function deno() {
  const home = dirname(createRequire(import.meta.url).resolve("deno/package.json"));
  const exe = join(home, process.platform === "win32" ? "deno.exe" : "deno");
  return existsSync(exe) ? [exe, []] : [process.execPath, [join(home, "bin.cjs")]];
}

/**
 * Node replaces bytes that are not UTF-8 by U+FFFD and hands that on: another directory would be
 * made, other data stored. The bytes themselves are in /proc, if anywhere; else U+FFFD is refused.
 */
function refuseWhatIsNotUtf8() {
  const changed = (text) => text?.includes("\ufffd");
  const isUtf8 = (bytes) => Buffer.from(bytes.toString()).equals(bytes);
  const entries = (file) => {
    try {
      const bytes = readFileSync(`/proc/self/${file}`);
      return bytes.toString("latin1").split("\0").slice(0, -1).map((s) => Buffer.from(s, "latin1"));
    } catch {
      return [];
    }
  };
  const words = process.argv.slice(2);
  if (words.some(changed)) {
    const bytes = entries("cmdline").slice(-words.length);
    const bad = words.find((word, i) => changed(word) && !(bytes[i] && isUtf8(bytes[i])));
    if (bad !== undefined) return refuse(`argument is not UTF-8: ${bad.slice(0, 80)}`);
  }
  for (const [name, value] of Object.entries(process.env)) {
    if (!/^(HOME|USERPROFILE|PATH|PLASMITE_.*)$/.test(name) || !changed(value)) continue;
    const bytes = entries("environ").find((one) => one.toString().startsWith(`${name}=`));
    if (!(bytes && isUtf8(bytes))) return refuse(`environment variable ${name} is not UTF-8`);
  }
  return false;
}

/** Says so, in the form of the program's own errors. */
function refuse(message) {
  const hint = "Only UTF-8 can be passed on.";
  process.stderr.write(
    process.stderr.isTTY
      ? `error: ${message}\nhint: ${hint}\n`
      : `${JSON.stringify({ error: { hint, kind: "Usage", message } })}\n`,
  );
  return true;
}

if (refuseWhatIsNotUtf8()) process.exit(2);

const [program, before] = deno();
const child = spawn(program, [...before, ...args, ...process.argv.slice(2)], { stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => child.kill(signal)); // Ours ends when the program does.
}
child.on("error", (error) => {
  process.stderr.write(`plasmite: cannot start Deno: ${error.message}\n`);
  process.exitCode = 1;
});
child.on("exit", (code, signal) => {
  process.exitCode = code ?? 128 + constants.signals[signal];
});
