/**
 * The front door: argument words in, a command run, an exit code out. Exit codes, broken pipes and
 * the printing of errors are decided here, once (cli.md 1.8, 1.9).
 *
 * @module
 */

import { parse, type Parsed, ParseProblem } from "./lib/cli/args.ts";
import { colors, CommandContext, type CommandModule, stderrForm } from "./lib/cli/context.ts";
import { Output, StdoutClosed } from "./lib/cli/output.ts";

/**
 * The files of each command: the module that runs it, then rooms it needs that `lib/cli` may not
 * import (`server/`, `mcp/`), which are handed to it.
 */
export const commandFiles: Readonly<Record<string, readonly string[]>> = {
  "pool create": ["lib/cli/pool_create.ts"],
  "pool info": ["lib/cli/pool_info.ts"],
  "pool list": ["lib/cli/pool_list.ts"],
  "pool delete": ["lib/cli/pool_delete.ts"],
  "feed": ["lib/cli/feed.ts"],
  "fetch": ["lib/cli/fetch.ts"],
  "follow": ["lib/cli/follow.ts"],
  "tap": ["lib/cli/tap.ts"],
  "duplex": ["lib/cli/duplex.ts"],
  "doctor": ["lib/cli/doctor.ts"],
  "serve": ["lib/cli/serve.ts", "server/commands.ts", "mcp/http.ts"],
  "serve init": ["lib/cli/serve_init.ts", "server/commands.ts"],
  "serve check": ["lib/cli/serve_check.ts", "server/commands.ts"],
  "serve status": ["lib/cli/serve_status.ts", "server/registry.ts"],
  "mcp": ["lib/cli/mcp.ts", "mcp/stdio.ts"],
  "version": ["lib/cli/version.ts"],
  "completion": ["lib/cli/completion.ts"],
  "__complete": ["lib/cli/candidates.ts"],
};

/**
 * Loads one of {@linkcode commandFiles}. The detour in the path keeps all of them out of the module
 * graph that `deno run` builds before it starts (110 modules, 4 ms of 18); so `deno compile` must be
 * told to include them.
 */
function loadFile(file: string): Promise<unknown> {
  return import(`./lib/cli/../../${file}`);
}

/**
 * Runs one command line and returns its exit code; errors are printed, not thrown.
 *
 * @param load loads one of {@linkcode commandFiles}; a bundle brings its own
 *
 * @example
 * ```ts
 * import { main } from "@plasmite/core/cli";
 *
 * const code = await main(["--version"]);
 * console.assert(code === 0);
 * ```
 */
export async function main(
  argv: readonly string[],
  load: (file: string) => Promise<unknown> = loadFile,
): Promise<number> {
  let parsed: Parsed | undefined;
  try {
    parsed = parse(argv);
    if (parsed.action !== "run") {
      const { answer } = await import("./lib/cli/help.ts");
      return await answer(parsed);
    }
    const context = new CommandContext(parsed);
    const files = commandFiles[parsed.name] ?? [];
    const [, command, ...rooms] = await Promise.all([context.prepare(), ...files.map(load)]);
    if (!isCommand(command)) throw new Error(`no command module for ${parsed.name}`);
    return await command.run(context, ...rooms);
  } catch (error) {
    if (error instanceof StdoutClosed) return 0;
    return await fail(error, argv, parsed);
  }
}

function isCommand(module: unknown): module is CommandModule {
  return typeof module === "object" && module !== null && "run" in module;
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
