/**
 * Runs the real command line in a process of its own, plain or on a pseudo-terminal.
 *
 * @module
 */

import "../support/environment.ts";
import { CLI } from "../support/paths.ts";

export { CLI };

/** What one run left behind. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How to run it. */
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  readonly stdin?: string;
}

function environment(env: Record<string, string> | undefined): Record<string, string> {
  return { NO_COLOR: "", ...env };
}

/** Starts `plasmite ...args`; its streams are closed unless the options say otherwise. */
export function spawnCli(
  args: readonly string[],
  options: Omit<Deno.CommandOptions, "args"> = {},
): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", CLI, ...args],
    stdin: "null",
    stdout: "null",
    stderr: "null",
    ...options,
  }).spawn();
}

/** Runs `plasmite ...args` with pipes for all three streams. */
export async function cli(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const child = spawnCli(args, {
    stdin: options.stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    env: environment(options.env),
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  });
  // Read while writing: otherwise both sides wait once both pipes are full.
  const output = child.output();
  if (options.stdin !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(options.stdin)).catch(() => {});
    await writer.close().catch(() => {});
  }
  const { code, stdout, stderr } = await output;
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/**
 * Runs a shell line in `dir`, in which `name` is the program; its pools are there too unless `env` gives
 * it a HOME.
 */
export async function shell(
  dir: string,
  line: string,
  { name = "P", env }: { readonly name?: string; readonly env?: Record<string, string> } = {},
): Promise<Outcome> {
  const program = command(env?.["HOME"] === undefined ? ["--dir", dir] : []);
  const child = new Deno.Command("bash", {
    args: ["-c", `set -o pipefail; ${name}() { ${program} "$@"; }; cd ${quote(dir)}; ${line}`],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: environment(env),
  });
  const { code, stdout, stderr } = await child.output();
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** The data of all messages of a pool, a line of JSON each. */
export async function storedData(dir: string, pool: string): Promise<string[]> {
  const run = await cli(
    ["--dir", dir, "follow", pool, "--no-follow", "--jsonl", "--data-only"],
  );
  if (run.code !== 0) throw new Error(run.stderr);
  return run.stdout.trimEnd().split("\n");
}

/** The error document on stderr. */
export function errorOf(outcome: Outcome): Record<string, unknown> {
  const { error } = JSON.parse(outcome.stderr);
  return error;
}

/** Whether `script` (util-linux) is here, which makes pseudo-terminals. */
export const hasScript: boolean = await exists("script");

/** Whether a program can be started. */
export async function exists(program: string): Promise<boolean> {
  try {
    await new Deno.Command(program, { args: ["--version"], stdout: "null", stderr: "null" })
      .output();
    return true;
  } catch {
    return false;
  }
}

/** A word for a POSIX shell. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The shell command that runs `plasmite ...args`. */
export function command(args: readonly string[]): string {
  return [Deno.execPath(), "run", "-A", "--quiet", CLI, ...args].map(quote).join(" ");
}

/**
 * Runs a shell line on a pseudo-terminal and returns what appeared on it, with `\n` line ends. In
 * the line `$P` is the program.
 */
export async function onTerminal(
  line: string,
  options: RunOptions = {},
): Promise<{ code: number; screen: string }> {
  const script = `P() { ${command([])} "$@"; }; stty cols 200 -onlcr 2>/dev/null; ${
    line.replaceAll("$P", "P")
  }`;
  const child = new Deno.Command("script", {
    args: ["-qec", script, "/dev/null"],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
    env: { ...environment(options.env), SHELL: "/bin/sh" },
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  });
  const { code, stdout } = await child.output();
  return { code, screen: text(stdout).replaceAll("\r\n", "\n") };
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** Runs `body` in a new directory and removes it. */
export async function inTemp(body: (dir: string) => Promise<void> | void): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "plasmite-test-" });
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}
