/**
 * `plasmite serve`: pools over HTTP until SIGINT or SIGTERM (docs/spec/command-line.md 8.1).
 *
 * @module
 */

import { environmentVariable, missingFlag, outliveFileSizeLimit } from "../environment.ts";
import { messageOf } from "../errors.ts";
import type { Grant } from "../types.ts";
import type { CommandContext } from "./context.ts";
import { ENDING_SIGNALS } from "./interrupts.ts";
import { printNotice } from "./notices.ts";
import { type ServeFlags, serveFlags } from "./serve_flags.ts";
import { VERSION } from "./version.ts";

/** The interface of `server/commands.ts`, which `lib/cli` may not import. */
interface ServerModule {
  start(pools: PoolDirectory, flags: ServeFlags, hooks: Hooks): Promise<{
    readonly url: string;
    readonly banner: () => Promise<string>;
    readonly ready: string | null;
    readonly warnings: readonly string[];
    readonly finished: Promise<void>;
    shutdown(): Promise<void>;
  }>;
}

/** Whose pools are served. */
interface PoolDirectory {
  readonly poolDir: string;
}

interface Hooks {
  readonly readyFile: string | undefined;
  readonly onTrouble: (error: unknown) => void;
  readonly onBroken: (error: Error) => void;
  readonly onFault: (error: unknown) => void;
  readonly mcp: (limits: McpLimits) => Promise<McpFetch>;
}

interface McpFetch {
  (request: Request, grant?: Grant): Promise<Response>;
  close(): Promise<void>;
}

interface McpLimits {
  readonly maxBodyBytes: number;
  readonly takePlace: () => (() => void) | null;
}

/** The interface of `mcp/http.ts`. */
interface McpModule {
  createMcpFetch(
    pools: PoolDirectory,
    options: McpLimits & { readonly version: string },
  ): Promise<McpFetch>;
}

/** Resolves at the first signal that asks to stop. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ENDING_SIGNALS) Deno.addSignalListener(signal, () => resolve());
  });
}

/**
 * Checks the permission to read the pools, without which all requests would fail. Throws
 * Permission.
 */
function checkReadable(dir: string): void {
  try {
    Deno.statSync(dir);
  } catch (error) {
    if (missingFlag(error) !== undefined) throw error;
    // A missing or unreadable directory may become available later.
  }
}

/** Runs `serve`. */
export async function run(
  context: CommandContext,
  commands: ServerModule,
  mcp: () => Promise<McpModule>,
): Promise<number> {
  outliveFileSizeLimit();
  const stopped = stopSignal();
  const flags = serveFlags(context.args);
  const pools = { poolDir: context.dir };
  checkReadable(pools.poolDir);
  const notice = (kind: string, message: string) => (error: unknown): void =>
    printNotice(context, {
      kind,
      message,
      pool: "",
      details: { cause: messageOf(error) },
    });
  const broken = Promise.withResolvers<Error>();
  const server = await commands.start(pools, flags, {
    readyFile: environmentVariable("PLASMITE_SERVE_READY_FILE"),
    onTrouble: notice("listen_again", "the server stopped accepting and listens again"),
    onBroken: broken.resolve,
    onFault: notice("internal_error", "a request failed unexpectedly"),
    mcp: async (limits) =>
      await (await mcp()).createMcpFetch(pools, { ...limits, version: VERSION }),
  });
  // A slow reader of stderr must not delay requests.
  context.stderr.stream.writeInBackground();
  if (server.ready !== null) context.stderr.text(server.ready);
  else if (context.stderr.isTerminal) context.stderr.text(await server.banner());
  else {
    const warnings = server.warnings.map((text) => `Warning: ${text}\n`);
    context.stderr.text(`Serving pools on ${server.url}\n${warnings.join("")}`);
  }
  const error = await Promise.race([stopped, server.finished, broken.promise]);
  await server.shutdown();
  if (error instanceof Error) throw error;
  return 0;
}
