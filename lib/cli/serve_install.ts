/**
 * `plasmite serve install`: a server that systemd starts (docs/spec/sharing.md 6.2).
 *
 * @module
 */

import { Client } from "../client/client.ts";
import { PlasmiteError } from "../errors.ts";
import { osError } from "../storage/os_error.ts";
import { parse } from "./args.ts";
import type { CommandContext } from "./context.ts";
import { printNotice } from "./notices.ts";
import { type ServeFlags, serveFlags } from "./serve_flags.ts";
import { reportService } from "./serve_service.ts";
import { requireLinux } from "./service/find.ts";
import { install, type Listen, listenOf, type RunningServer } from "./service/install.ts";
import { mergedOptions } from "./service/options.ts";
import { runningProgram } from "./service/program.ts";
import { homeDir, ServicePlace } from "./service/setup.ts";
import type { Scope } from "./service/unit.ts";

/** The interface of `server/commands.ts`, which `lib/cli` may not import. */
export interface ServerModule {
  check(flags: ServeFlags, poolDir: string): Promise<{
    readonly json: {
      readonly check: {
        readonly listen: string;
        readonly mode: string;
        readonly local: string | null;
        readonly remote: string | null;
      };
    };
  }>;
  runningServers(): Promise<readonly RunningServer[]>;
}

/** Runs `serve install`. */
export async function run(context: CommandContext, server: ServerModule): Promise<number> {
  requireLinux();
  const { args } = context;
  const scope: Scope = args.has("system") ? "system" : "user";
  if (scope === "system" && Deno.uid() === 0) {
    throw new PlasmiteError("Usage", "a system service is not installed by root", {
      hint: "Run this as the account that owns the pools; sudo is used where root is needed. " +
        "Without --system, root gets a service of its own.",
    });
  }
  const source = runningProgram();
  const place = new ServicePlace(makeDir(new Client(context.dir).poolDir));
  const serve = context.at[1];
  if (serve === undefined) throw new Error("serve is above install");
  const run = mergedOptions(serve, place.read()?.run ?? [], [args.parent, args]);
  const listens = await listensOf(run, place, server);
  const { userInfo } = await import("node:os");
  const warnings = await install({
    place,
    scope,
    source,
    run,
    listens,
    account: userInfo().username,
    home: homeDir(),
  }, () => server.runningServers());
  for (const message of warnings) {
    printNotice(context, { kind: "service", message, pool: "", details: {} });
  }
  return await reportService(context, place, server);
}

/** Makes the pool directory and returns its canonical path. Throws Io. */
function makeDir(path: string): string {
  try {
    Deno.mkdirSync(path, { recursive: true });
    return Deno.realPathSync(path);
  } catch (error) {
    throw osError(error, { path });
  }
}

/** Where the server will listen; nothing is opened. Throws what `serve` would. */
async function listensOf(
  run: readonly string[],
  { poolDir }: ServicePlace,
  server: ServerModule,
): Promise<readonly Listen[]> {
  const flags = serveFlags(parse(["--dir", poolDir, "serve", ...run]).args);
  const { listen, mode, local, remote } = (await server.check(flags, poolDir)).json.check;
  const addresses = mode === "two-listeners" ? [local, remote] : [listen];
  const listens = addresses.flatMap((address) => address === null ? [] : [listenOf(address)]);
  if (listens.every(({ port }) => port > 0)) return listens;
  throw new PlasmiteError("Usage", "a service needs a fixed port", {
    hint: "Port 0 would be another one at each start. Choose one.",
  });
}
