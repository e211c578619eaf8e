/**
 * The front door: argument words in, a command run, an exit code out. Exit codes, broken pipes and
 * the printing of errors are decided here, once (cli.md 1.8, 1.9).
 *
 * @module
 */

import { parse, type Parsed, ParseProblem } from "./lib/cli/args.ts";
import { colors, CommandContext, type CommandModule, stderrForm } from "./lib/cli/context.ts";
import { Output, StdoutClosed } from "./lib/cli/output.ts";

/** The module of each command, loaded only when it runs. */
const modules: Readonly<Record<string, () => Promise<CommandModule>>> = {
  "pool create": () => import("./lib/cli/pool_create.ts"),
  "pool info": () => import("./lib/cli/pool_info.ts"),
  "pool list": () => import("./lib/cli/pool_list.ts"),
  "pool delete": () => import("./lib/cli/pool_delete.ts"),
  "feed": () => import("./lib/cli/feed.ts"),
  "fetch": () => import("./lib/cli/fetch.ts"),
  "follow": () => import("./lib/cli/follow.ts"),
  "tap": () => import("./lib/cli/tap.ts"),
  "duplex": () => import("./lib/cli/duplex.ts"),
  "doctor": () => import("./lib/cli/doctor.ts"),
  "version": () => import("./lib/cli/version.ts"),
  "completion": () => import("./lib/cli/completion.ts"),
  "__complete": () => import("./lib/cli/candidates.ts"),
};

/**
 * Runs one command line and returns its exit code; errors are printed, not thrown.
 *
 * @example
 * ```ts
 * import { main } from "@plasmite/core/cli";
 *
 * const code = await main(["--version"]);
 * console.assert(code === 0);
 * ```
 */
export async function main(argv: readonly string[]): Promise<number> {
  let parsed: Parsed | undefined;
  try {
    parsed = parse(argv);
    if (parsed.action !== "run") {
      const { answer } = await import("./lib/cli/help.ts");
      return await answer(parsed);
    }
    const load = modules[parsed.name];
    if (load === undefined) throw new Error(`no module for ${parsed.name}`);
    const context = new CommandContext(parsed);
    const [command] = await Promise.all([load(), context.prepare()]);
    return await command.run(context);
  } catch (error) {
    if (error instanceof StdoutClosed) return 0;
    return await fail(error, argv, parsed);
  }
}

/** Prints the one error of a run and returns its exit code. */
async function fail(
  error: unknown,
  argv: readonly string[],
  parsed: Parsed | undefined,
): Promise<number> {
  const { asPlasmiteError, guessGlobals, renderError } = await import("./lib/cli/report.ts");
  const failure = error instanceof ParseProblem
    ? (await import("./lib/cli/usage.ts")).explain(error)
    : asPlasmiteError(error);
  const stderr = new Output(Deno.stderr);
  const globals = parsed?.globals ?? guessGlobals(argv);
  const form = stderrForm(globals, parsed?.at.at(-1)) ?? (stderr.isTerminal ? "text" : "json");
  const yaml = form === "yaml" ? (await import("./lib/text/yaml_out.ts")).printYaml : undefined;
  stderr.text(renderError(failure, form, colors(stderr, globals.color), yaml));
  return failure.kind;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
