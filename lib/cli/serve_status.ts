/**
 * `plasmite serve status`: the running servers of this machine, and with `--all` installed ones that
 * are down (docs/spec/command-line.md 8.4, docs/spec/sharing.md 6.1).
 *
 * @module
 */

import type { CommandContext } from "./context.ts";
import { table } from "./human.ts";
import type { RunningServer } from "./service/install.ts";

/** The interface of `server/registry.ts`, which `lib/cli` may not import. */
interface ServerModule {
  runningServers(): Promise<readonly RunningServer[]>;
}

/** Runs `serve status`. */
export async function run(context: CommandContext, server: ServerModule): Promise<number> {
  const servers = await server.runningServers();
  if (context.args.has("all")) return await showAll(context, servers);
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

async function showAll(
  context: CommandContext,
  running: readonly RunningServer[],
): Promise<number> {
  const { allServers } = await import("./service/status.ts");
  const servers = await allServers(running);
  if (!context.isForPeople) context.document(servers.map((server) => ({ ...server })));
  else if (servers.length === 0) {
    context.stdout.text("No servers are running or installed. Start one with `pls serve`.\n");
  } else {
    const rows = servers.map((server) => [
      server.local_url ?? server.remote_url ?? "-",
      String(server.pid ?? "-"),
      server.state,
      server.managed ? server.startup ? "at start-up" : "by hand" : "-",
      server.pool_dir,
      server.problem ?? "",
    ]);
    const header = ["URL", "PID", "STATE", "STARTS", "DIRECTORY", "PROBLEM"];
    context.stdout.text(table(header, rows));
  }
  return 0;
}
