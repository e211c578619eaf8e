/**
 * `plasmite mcp`: pools for agents over stdio (cli.md 10, mcp.md).
 *
 * @module
 */

import { Client } from "../client/client.ts";
import type { CommandContext } from "./context.ts";
import { VERSION } from "./version.ts";

/** What this command needs of `mcp/stdio.ts`, which `lib/cli` may not import. */
interface Room {
  serveLocal(client: Client, options: Options): Promise<void>;
}

interface Options {
  readonly version: string;
  readonly onerror: (error: Error) => void;
}

/** Runs `mcp` until the end of input. */
export async function run(context: CommandContext, room: Room): Promise<number> {
  const options: Options = {
    version: VERSION,
    // Standard output carries protocol only.
    onerror: (error) => context.stderr.text(`mcp: ${error.message}\n`),
  };
  await room.serveLocal(new Client({ poolDir: context.dir }), options);
  return 0;
}
