/**
 * `plasmite serve status`: the running servers of this machine (docs/spec/command-line.md 8.4).
 *
 * @module
 */

import type { CommandContext } from "./context.ts";
import { table } from "./human.ts";

/** The interface of `server/registry.ts`, which `lib/cli` may not import. */
interface ServerModule {
  runningServers(): Promise<readonly Server[]>;
}

interface Server {
  readonly pid: number;
  readonly pool_dir: string;
  readonly local_url: string | null;
  readonly remote_url: string | null;
}

/** Runs `serve status`. */
export async function run(context: CommandContext, server: ServerModule): Promise<number> {
  const servers = await server.runningServers();
  if (!context.isForPeople) {
    context.document(
      servers.map(({ local_url, pid, pool_dir, remote_url }) => {
        return { local_url, pid, pool_dir, remote_url };
      }),
    );
  } else if (servers.length === 0) {
    context.stdout.text("No servers are running. Start one with `pls serve`.\n");
  } else {
    const rows = servers.map((server) => [
      server.local_url ?? server.remote_url ?? "-",
      String(server.pid),
      server.pool_dir,
    ]);
    context.stdout.text(table(["URL", "PID", "DIRECTORY"], rows));
  }
  return 0;
}
