/**
 * Runs the test files: `deno run -A tests/all.ts`. Each folder in `tests/` is a `deno test` of its own,
 * and two of them run side by side, because most tests wait for other processes. Their types are
 * checked once, for all of them. What is printed about a file stays together, as if they had run one
 * after the other (`.ci/summary` reads it).
 *
 * @module
 */

import { StandardStream } from "../lib/stdio.ts";

const AT_ONCE = 2;

/** What takes longest comes first, so that no folder runs alone at the end. */
const LONGEST = ["ui", "backend", "cli", "server", "package"];

/** The arguments of `deno` for every part. */
function parts(): string[][] {
  const folders: string[] = [];
  const files: string[] = [];
  for (const { name, isFile } of Deno.readDirSync("tests")) {
    const names = isFile ? [name] : [...Deno.readDirSync(`tests/${name}`)].map((file) => file.name);
    if (!names.some((one) => one.endsWith("_test.ts"))) continue;
    if (!isFile) folders.push(name);
    else files.push(`tests/${name}`);
  }
  const rank = (name: string): number =>
    (LONGEST.indexOf(name) + LONGEST.length + 1) % (LONGEST.length + 1);
  folders.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  const targets = folders.map((name) => [`tests/${name}/`]);
  if (files.length > 0) targets.push(files.sort());
  return [["check", "tests/"], ...targets.map((target) => ["test", "-A", "--no-check", ...target])];
}

const encoder = new TextEncoder();
// deno-lint-ignore no-control-regex
const COLOURS = /\x1b\[[0-9;]*m/g;

/** Writes all of it, also to a pipe that `npx` has left non-blocking. */
function write(text: string): void {
  StandardStream.stdout.writeSync(encoder.encode(text));
}

/** Collects what one part prints, and writes it out file by file. */
class Report {
  #lines = "";

  add(line: string): void {
    if (/^running \d+ tests? from /.test(line.replace(COLOURS, ""))) this.flush();
    this.#lines += line;
  }

  flush(): void {
    write(this.#lines);
    this.#lines = "";
  }
}

/** Passes on whole lines. */
async function readLines(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  report: Report,
): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) report.add(`${line}\n`);
  }
  if (rest !== "") report.add(`${rest}\n`);
}

/** Runs one part; whether all was well. */
async function run(args: string[]): Promise<boolean> {
  const child = new Deno.Command(Deno.execPath(), {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const report = new Report();
  await Promise.all([readLines(child.stdout, report), readLines(child.stderr, report)]);
  const { success } = await child.status;
  report.flush();
  return success;
}

const waiting = parts();
const failed: string[] = [];
const runners = Array.from({ length: AT_ONCE }, async () => {
  for (let args = waiting.shift(); args !== undefined; args = waiting.shift()) {
    if (!await run(args)) failed.push(`deno ${args.join(" ")}`);
  }
});
await Promise.all(runners);
if (failed.length > 0) {
  write(`\nFailed:\n${failed.map((line) => `  ${line}\n`).join("")}`);
  Deno.exit(1);
}
