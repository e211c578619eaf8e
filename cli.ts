/**
 * The entry point of the program: parses the arguments, runs a command and returns its exit code.
 * Exit codes, broken pipes and the printing of errors are handled here (docs/spec/command-line.md
 * 1.8, 1.9).
 *
 * @example Run the program from a script
 * ```ts
 * import { main } from "@plasmite/core/cli";
 *
 * console.assert(await main(["--version"]) === 0);
 * ```
 *
 * @module
 */

import { parse, ParseProblem } from "./lib/cli/args.ts";
import type { Parsed } from "./lib/cli/parsed.ts";
import { colors, CommandContext, type CommandModule, stderrForm } from "./lib/cli/context.ts";
import { Output, StdoutClosed } from "./lib/cli/output.ts";
// Not loaded on demand: the permission to read it may be what is missing.
import { asPlasmiteError, guessGlobals, renderError } from "./lib/cli/report.ts";
import { StandardStream } from "./lib/stdio.ts";

/** How long a slow reader of the output may delay the exit of a server process, in milliseconds. */
const LAST_WORDS = 1000;

/**
 * A command's module, and the modules it needs that `lib/cli` may not import; they are passed to it.
 */
type Loader = () => Promise<readonly unknown[]>;

/**
 * Every command, loaded only when it runs. The imports are literal, so that the whole program is
 * one module graph; `lazy-dynamic-imports` in deno.json keeps `deno run` from loading what a
 * command does not use.
 */
const commands: Readonly<Record<string, Loader>> = {
  "pool create": () => Promise.all([import("./lib/cli/pool_create.ts")]),
  "pool info": () => Promise.all([import("./lib/cli/pool_info.ts")]),
  "pool list": () => Promise.all([import("./lib/cli/pool_list.ts")]),
  "pool delete": () => Promise.all([import("./lib/cli/pool_delete.ts")]),
  "pool trim": () => Promise.all([import("./lib/cli/pool_trim.ts")]),
  "pool set": () => Promise.all([import("./lib/cli/pool_set.ts")]),
  "export": () => Promise.all([import("./lib/cli/export.ts")]),
  "import": () => Promise.all([import("./lib/cli/import.ts")]),
  "feed": () => Promise.all([import("./lib/cli/feed.ts")]),
  "fetch": () => Promise.all([import("./lib/cli/fetch.ts")]),
  "follow": () => Promise.all([import("./lib/cli/follow.ts")]),
  "latest": () => Promise.all([import("./lib/cli/latest.ts")]),
  "claim": () => Promise.all([import("./lib/cli/claim.ts")]),
  "renew": () => Promise.all([import("./lib/cli/renew.ts")]),
  "release": () => Promise.all([import("./lib/cli/release.ts")]),
  "cursor list": () => Promise.all([import("./lib/cli/cursor_list.ts")]),
  "cursor set": () => Promise.all([import("./lib/cli/cursor_set.ts")]),
  "cursor delete": () => Promise.all([import("./lib/cli/cursor_delete.ts")]),
  "work": () => Promise.all([import("./lib/cli/work.ts")]),
  "tap": () => Promise.all([import("./lib/cli/tap.ts")]),
  "duplex": () => Promise.all([import("./lib/cli/duplex.ts")]),
  "copy": () => Promise.all([import("./lib/cli/copy.ts")]),
  "top": () => Promise.all([import("./lib/cli/top.ts")]),
  "doctor": () => Promise.all([import("./lib/cli/doctor.ts")]),
  "serve": () =>
    Promise.all([
      import("./lib/cli/serve.ts"),
      import("./server/commands.ts"),
      () => import("./mcp/http.ts"), // With the first request of an agent.
    ]),
  "serve init": () =>
    Promise.all([import("./lib/cli/serve_init.ts"), import("./server/commands.ts")]),
  "serve check": () =>
    Promise.all([import("./lib/cli/serve_check.ts"), import("./server/commands.ts")]),
  "serve status": () =>
    Promise.all([import("./lib/cli/serve_status.ts"), import("./server/registry.ts")]),
  "serve install": () =>
    Promise.all([import("./lib/cli/serve_install.ts"), import("./server/commands.ts")]),
  "serve start": () =>
    Promise.all([import("./lib/cli/serve_service.ts"), import("./server/registry.ts")]),
  "serve stop": () =>
    Promise.all([import("./lib/cli/serve_service.ts"), import("./server/registry.ts")]),
  "serve restart": () =>
    Promise.all([import("./lib/cli/serve_service.ts"), import("./server/registry.ts")]),
  "serve uninstall": () =>
    Promise.all([import("./lib/cli/serve_service.ts"), import("./server/registry.ts")]),
  "serve logs": () => Promise.all([import("./lib/cli/serve_logs.ts")]),
  "access invite": () =>
    Promise.all([
      import("./lib/cli/access_invite.ts"),
      import("./server/access/administration.ts"),
    ]),
  "access keys": () =>
    Promise.all([
      import("./lib/cli/access_keys.ts"),
      import("./server/access/administration.ts"),
    ]),
  "access revoke": () =>
    Promise.all([
      import("./lib/cli/access_revoke.ts"),
      import("./server/access/administration.ts"),
    ]),
  "access connect": () => Promise.all([import("./lib/cli/access_connect.ts")]),
  "access status": () => Promise.all([import("./lib/cli/access_status.ts")]),
  "access list": () => Promise.all([import("./lib/cli/access_list.ts")]),
  "access disconnect": () => Promise.all([import("./lib/cli/access_disconnect.ts")]),
  "access untrust": () => Promise.all([import("./lib/cli/access_untrust.ts")]),
  "mcp": () => Promise.all([import("./lib/cli/mcp.ts"), import("./mcp/stdio.ts")]),
  "version": () => Promise.all([import("./lib/cli/version.ts")]),
  "completion": () => Promise.all([import("./lib/cli/completion.ts")]),
  "__complete": () => Promise.all([import("./lib/cli/candidates.ts")]),
};

/**
 * Runs one command and returns its exit code; errors are printed, not thrown.
 *
 * @param argv the arguments, without the program's name
 * @returns the exit code: 0, or an {@linkcode ErrorKind}
 *
 * @example Run a command
 * ```ts
 * import { main } from "@plasmite/core/cli";
 *
 * const code = await main(["--version"]);
 * console.assert(code === 0);
 * ```
 */
export async function main(
  argv: readonly string[],
): Promise<number> {
  let parsed: Parsed | undefined;
  // Load the module of the likely command while the arguments are parsed.
  const likely = argv.find((word) => Object.hasOwn(commands, word));
  // Once only: Deno reads a graph of modules again for an import that is made meanwhile.
  const early = likely === undefined ? undefined : commands[likely]?.();
  early?.catch(() => {}); // Reported when it is awaited.
  try {
    if (argv.some((word) => word.includes("\ufffd"))) {
      (await import("./lib/cli/raw_arguments.ts")).refuseInvalidArguments(argv);
    }
    parsed = parse(argv);
    if (parsed.action !== "run") {
      const { answer } = await import("./lib/cli/help.ts");
      return await answer(parsed);
    }
    const context = new CommandContext(parsed);
    const loading = parsed.name === likely ? early : commands[parsed.name]?.();
    const [[command, ...modules]] = await Promise.all([loading ?? [], context.prepare()]);
    if (!isCommand(command)) throw new Error(`no command module for ${parsed.name}`);
    return await command.run(context, ...modules);
  } catch (error) {
    if (error instanceof StdoutClosed) return 0;
    return await fail(error, argv, parsed);
  }
}

function isCommand(module: unknown): module is CommandModule {
  return typeof module === "object" && module !== null && "run" in module;
}

/** Prints the error of a run and returns its exit code. */
async function fail(
  error: unknown,
  argv: readonly string[],
  parsed: Parsed | undefined,
): Promise<number> {
  // Reading the explanation of an error may itself need a missing permission.
  const failure = error instanceof ParseProblem
    ? await import("./lib/cli/usage.ts").then(
      ({ explain }) => explain(error, argv),
      asPlasmiteError,
    )
    : await import("./lib/cli/advice.ts").then(
      ({ advised }) => advised(asPlasmiteError(error), parsed),
      () => asPlasmiteError(error),
    );
  const stderr = new Output(StandardStream.stderr);
  const globals = parsed?.globals ?? guessGlobals(argv);
  const form = stderrForm(globals, parsed?.at.at(-1)) ?? (stderr.isTerminal ? "text" : "json");
  const yaml = form === "yaml"
    ? await import("./lib/text/yaml_out.ts").then((module) => module.printYaml, () => undefined)
    : undefined;
  stderr.text(renderError(failure, form, colors(stderr, globals.color), yaml));
  return failure.kind;
}

if (import.meta.main) {
  const code = await main(Deno.args);
  await StandardStream.stderr.settle(LAST_WORDS);
  Deno.exit(code);
}
