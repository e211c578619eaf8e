/**
 * `plasmite serve start|stop|restart|uninstall`: an installed server (docs/spec/sharing.md 6.2).
 *
 * @module
 */

import type { CommandContext } from "./context.ts";
import { findService } from "./service/find.ts";
import { type RunningServer, uninstall } from "./service/install.ts";
import type { ServicePlace } from "./service/setup.ts";
import { serviceStatus } from "./service/status.ts";
import { Systemd } from "./service/systemd.ts";

/** The interface of `server/registry.ts`, which `lib/cli` may not import. */
interface RegistryModule {
  runningServers(): Promise<readonly RunningServer[]>;
}

/** Runs `serve start`, `stop`, `restart` or `uninstall`. */
export async function run(context: CommandContext, registry: RegistryModule): Promise<number> {
  const { place, setup } = findService(context);
  const verb = context.at.at(-1)?.name ?? "";
  if (verb === "uninstall") {
    await uninstall(place, setup);
    if (context.isForPeople) {
      context.stdout.text(
        `Uninstalled. Pools, keys and certificates in ${place.poolDir} are as they were.\n`,
      );
    } else context.document({ pool_dir: place.poolDir, uninstalled: true });
    return 0;
  }
  await new Systemd(setup.scope).tell(verb, `${place.name}.service`);
  return await reportService(context, place, registry);
}

/** Prints what an installed server does. */
export async function reportService(
  context: CommandContext,
  place: ServicePlace,
  registry: RegistryModule,
): Promise<number> {
  const service = {
    name: place.name,
    file: place.setupFile,
    setup: place.read(),
    problem: null,
  };
  const { status } = await serviceStatus(service, await registry.runningServers());
  if (!context.isForPeople) {
    context.document({ ...status });
    return 0;
  }
  const urls = [status.local_url, status.remote_url].filter((url) => url !== null);
  const where = urls.length === 0 ? "" : ` at ${urls.join(" and ")}`;
  const startup = status.startup ? "starts by itself" : "does not start by itself";
  context.stdout.text(`${status.pool_dir}: ${status.state}${where}; ${startup}\n`);
  return 0;
}
