/**
 * `plasmite mcp`: the pools of a directory or a server for agents, over stdio
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

/** The interface of `mcp/stdio.ts`, which `lib/cli` may not import. */
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
    // Standard output is only for the protocol.
    onerror: (error) => context.stderr.text(`mcp: ${escapeControls(error.message)}\n`),
  };
  const url = context.args.text("remote");
  context.stderr.stream.writeInBackground(); // A slow reader of stderr must not delay answers.
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
    // Accept the address of /mcp too, because people have it at hand.
    : await resolveServer(url.replace(/\/(?:mcp\/?)?$/, ""));
  return await connectTo(context, place, new Hubs());
}
