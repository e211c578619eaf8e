/**
 * `plasmite mcp`: pools for agents over stdio, those of a directory or those of a server
 * (docs/spec/command-line.md 10).
 *
 * @module
 */

import { Hubs } from "../backend/local/hub.ts";
import { localPlace, resolveServer } from "../backend/resolve.ts";
import type { Backend } from "../backend/types.ts";
import { outliveFileSizeLimit } from "../environment.ts";
import { escapeControls } from "../visible.ts";
import type { CommandContext } from "./context.ts";
import { connectTo } from "./open.ts";
import { VERSION } from "./version.ts";

/** What this command needs of `mcp/stdio.ts`, which `lib/cli` may not import. */
interface Mcp {
  serveConnection(backend: Backend, options: Options): Promise<void>;
}

interface Options {
  readonly version: string;
  readonly onerror: (error: Error) => void;
}

/** Runs `mcp` until the end of input. */
export async function run(context: CommandContext, mcp: Mcp): Promise<number> {
  outliveFileSizeLimit();
  const options: Options = {
    version: VERSION,
    // Standard output carries protocol only.
    onerror: (error) => context.stderr.text(`mcp: ${escapeControls(error.message)}\n`),
  };
  const url = context.args.text("remote");
  context.stderr.stream.writeInBackground(); // Nobody who reads it slowly may stop the answers.
  const backend = await backendOf(context, url);
  try {
    await mcp.serveConnection(backend, options);
  } finally {
    await backend.close();
  }
  return 0;
}

async function backendOf(context: CommandContext, url: string | undefined): Promise<Backend> {
  const place = url === undefined
    ? localPlace(context.dir)
    // The address of the server's own /mcp is as good: it is what people have at hand.
    : await resolveServer(url.replace(/\/(?:mcp\/?)?$/, ""));
  return await connectTo(context, place, new Hubs());
}
