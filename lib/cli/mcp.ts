/**
 * `plasmite mcp`: pools for agents over stdio, those of a directory or those of a server
 * (docs/spec/command-line.md 10).
 *
 * @module
 */

import { Client } from "../client/client.ts";
import { outliveFileSizeLimit } from "../environment.ts";
import type { RemoteClient } from "../remote/client.ts";
import { escapeControls } from "../visible.ts";
import type { CommandContext } from "./context.ts";
import { connect, refuseRemoteFlags } from "./remote.ts";
import { VERSION } from "./version.ts";

/** What this command needs of `mcp/stdio.ts`, which `lib/cli` may not import. */
interface Room {
  serveLocal(client: Client, options: Options): Promise<void>;
  serveRemote(client: RemoteClient, options: Options): Promise<void>;
}

interface Options {
  readonly version: string;
  readonly onerror: (error: Error) => void;
}

/** Runs `mcp` until the end of input. */
export async function run(context: CommandContext, room: Room): Promise<number> {
  outliveFileSizeLimit();
  const options: Options = {
    version: VERSION,
    // Standard output carries protocol only.
    onerror: (error) => context.stderr.text(`mcp: ${escapeControls(error.message)}\n`),
  };
  const url = context.args.text("remote");
  context.stderr.stream.writeInBackground(); // Nobody who reads it slowly may stop the answers.
  if (url === undefined) {
    refuseRemoteFlags(context);
    await room.serveLocal(new Client({ poolDir: context.dir }), options);
    return 0;
  }
  // The address of the server's own /mcp is as good: it is what people have at hand.
  const client = await connect(context, url.replace(/\/(?:mcp\/?)?$/, ""));
  try {
    await room.serveRemote(client, options);
  } finally {
    await client.close();
  }
  return 0;
}
