#!/usr/bin/env node
/**
 * The `plasmite` and `pls` commands of the npm package: starts the bundled program on the Deno that
 * the npm package `deno` brings along.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
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
