/**
 * `plasmite serve check`: explains and checks a configuration without serving
 * (docs/spec/command-line.md 8.2).
 *
 * @module
 */

import { Client } from "../client/client.ts";
import type { CommandContext } from "./context.ts";
import type { Json } from "./output.ts";
import { type ServeFlags, serveFlags } from "./serve_flags.ts";

/** The interface of `server/commands.ts`, which `lib/cli` may not import. */
interface ServerModule {
  check(
    flags: ServeFlags,
    poolDir: string,
  ): Promise<{ readonly json: Json; readonly text: string }>;
}

/** Runs `serve check`; the options of `serve` come before `check`. */
export async function run(context: CommandContext, server: ServerModule): Promise<number> {
  const flags = serveFlags(context.args.parent ?? context.args);
  const { json, text } = await server.check(flags, new Client(context.dir).poolDir);
  context.report(() => json, () => text);
  return 0;
}
