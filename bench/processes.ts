/**
 * Running whole commands, for the benchmarks that measure their CPU time. Needs bash, which measures
 * the processes.
 *
 * @module
 */

/** Prints a line. */
export function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

/** Runs a command line in bash; returns what it printed. */
export async function bash(command: string): Promise<{ stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command("bash", {
    args: ["-c", command],
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  if (code !== 0) throw new Error(text.decode(stderr));
  return { stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

/** The CPU time of one run, user and system, in milliseconds. */
export async function cpu(command: string): Promise<number> {
  const { stderr } = await bash(`TIMEFORMAT='%U %S'; time ${command} >/dev/null`);
  const last = stderr.trim().split("\n").at(-1) ?? "";
  const [user = NaN, system = NaN] = last.split(" ").map(Number);
  return (user + system) * 1000;
}

/** The command line of a checkout, or of the `cli.js` of a bundle, with pools in `dir`. */
export function program(path: string, dir: string): string {
  const bundled = "--no-config --no-lock --unstable-lazy-dynamic-imports"; // As its launcher does.
  const what = path.endsWith(".js") ? `${bundled} ${path}` : `${path}/cli.ts`;
  return `deno run -A --quiet ${what} --dir ${dir}`;
}
