/**
 * Installs a server as a service; on failure, rolls everything back (docs/spec/sharing.md 6.2).
 *
 * @module
 */

import { messageOf, PlasmiteError } from "../../errors.ts";
import { pause } from "../../timers.ts";
import {
  copyProgram,
  linkProgram,
  programLink,
  removeOtherPrograms,
  type Source,
} from "./program.ts";
import { readOrNull, type ServicePlace, type Setup } from "./setup.ts";
import { Systemd, type UnitState } from "./systemd.ts";
import { type Scope, unitText } from "./unit.ts";

/** How long to wait for the server to register, in milliseconds. */
const PATIENCE = 10_000;
/** The polling interval, in milliseconds. */
const LOOK_EVERY = 100;
/** Ports below this one require root privileges. */
const FIRST_FREE_PORT = 1024;

/** A server as recorded in the registry. */
export interface RunningServer {
  readonly pid: number;
  readonly pool_dir: string;
  readonly local_url: string | null;
  readonly remote_url: string | null;
}

/** Returns the running servers. */
export type Registry = () => Promise<readonly RunningServer[]>;

/** An address to listen on. */
export interface Listen {
  readonly hostname: string;
  readonly port: number;
}

/** What to install. */
export interface Installation {
  readonly place: ServicePlace;
  readonly scope: Scope;
  readonly source: Source;
  readonly run: readonly string[];
  readonly listens: readonly Listen[];
  readonly account: string;
  readonly home: string;
}

/** The state before the installation. */
interface Former {
  readonly setup: Setup;
  readonly setupText: string;
  readonly unit: string | null;
  readonly state: UnitState;
  readonly systemd: Systemd;
}

/** Splits `IP:PORT`. */
export function listenOf(address: string): Listen {
  const at = address.lastIndexOf(":");
  return {
    hostname: address.slice(0, at).replace(/^\[(.*)\]$/, "$1"),
    port: Number(address.slice(at + 1)),
  };
}

async function formerOf(place: ServicePlace): Promise<Former | null> {
  const setup = place.read();
  if (setup === null) return null;
  programLink(place.folder);
  const systemd = new Systemd(setup.scope);
  return {
    setup,
    setupText: readOrNull(place.setupFile) ?? "",
    unit: readOrNull(place.unitFile(setup.scope)),
    state: await systemd.state(place.name),
    systemd,
  };
}

/**
 * Checks that an address is free.
 *
 * @throws {PlasmiteError} Io, Permission
 */
function tryListen({ hostname, port }: Listen, scope: Scope): void {
  try {
    Deno.listen({ hostname, port }).close();
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied) {
      if (scope === "system") return; // The unit has that privilege.
      throw new PlasmiteError("Permission", `port ${port} needs the rights of root`, {
        hint: `Use a port above ${FIRST_FREE_PORT - 1}, or --system.`,
      });
    }
    throw new PlasmiteError("Io", `cannot listen on ${hostname}:${port}`, {
      hint: "Choose another address or port; this one may be in use.",
      causes: [messageOf(error)],
      cause: error,
    });
  }
}

/** Throws Busy if another user's server already serves the directory. */
async function requireUnserved(place: ServicePlace, registry: Registry): Promise<void> {
  const other = (await registry()).find(({ pool_dir }) => pool_dir === place.poolDir);
  if (other === undefined) return;
  throw new PlasmiteError("Busy", "a server of this directory is running", {
    path: place.poolDir,
    hint: `Stop it first: it is process ${other.pid}.`,
  });
}

/**
 * Installs and starts the service.
 *
 * @returns warnings
 * @throws {PlasmiteError} Usage, Busy, Io, Permission; everything is rolled back first
 */
export async function install(
  wanted: Installation,
  registry: Registry,
): Promise<readonly string[]> {
  const { place, scope, source, listens } = wanted;
  const unit = unitText({
    ...wanted,
    poolDir: place.poolDir,
    program: place.program,
    log: place.log,
    lowPort: listens.some(({ port }) => port < FIRST_FREE_PORT),
  });
  const former = await formerOf(place);
  const systemd = new Systemd(scope);
  const undo: (() => Promise<void> | void)[] = [];
  try {
    if (former !== null && former.state.active !== "inactive") {
      await former.systemd.tell("stop", `${place.name}.service`);
      if (former.state.active !== "failed") {
        undo.push(() => former.systemd.tell("start", `${place.name}.service`));
      }
    }
    await requireUnserved(place, registry);
    for (const listen of listens) tryListen(listen, scope);
    if (former !== null && former.setup.scope !== scope) {
      await removeUnit(place, former.systemd);
      undo.push(() => restoreUnit(place, former));
    }
    const link = programLink(place.folder);
    const copied = copyProgram(source, place.folder);
    undo.push(() => removeOtherPrograms(place.folder));
    linkProgram(place.folder, copied);
    undo.push(() => linkProgram(place.folder, link));
    const { account, home, run } = wanted;
    const setup: Setup = {
      pool_dir: place.poolDir,
      program: place.program,
      account,
      home,
      run,
      scope,
    };
    place.write(`${JSON.stringify(setup)}\n`);
    // If systemd created the log, only root could read it.
    if (scope === "system") place.makeLog();
    undo.push(() => place.write(former?.setupText ?? null));
    const same = former !== null && former.setup.scope === scope ? former : null;
    undo.push(() => same === null ? removeUnit(place, systemd) : restoreUnit(place, same));
    await systemd.writeUnit(place.unitFile(scope), unit, `${place.folder}/unit.tmp`);
    await systemd.tell("enable", `${place.name}.service`);
    await systemd.tell("start", `${place.name}.service`);
    await untilRegistered(place, systemd, registry);
  } catch (error) {
    throw await undone(error, undo);
  }
  removeOtherPrograms(place.folder);
  const lingering = await systemd.linger();
  return lingering === null
    ? []
    : [`The server starts when you log in, not at boot: ${lingering}. Run loginctl enable-linger.`];
}

/** Undoes steps in reverse order; the error mentions those that could not be undone. */
async function undone(
  error: unknown,
  undo: (() => Promise<void> | void)[],
): Promise<unknown> {
  const failures: string[] = [];
  for (const step of undo.reverse()) {
    try {
      await step();
    } catch (failure) {
      failures.push(messageOf(failure));
    }
  }
  if (failures.length === 0 || !PlasmiteError.is(error)) return error;
  return new PlasmiteError(error.kindName, error.message, {
    hint: `${error.hint === undefined ? "" : `${error.hint} `}The former set-up could not be ` +
      "restored completely: see the causes. Run `plasmite serve uninstall`, then install again.",
    causes: [...error.causes ?? [], ...failures],
    cause: error,
  });
}

async function removeUnit(place: ServicePlace, systemd: Systemd): Promise<void> {
  const { name, folder } = place;
  const path = place.unitFile(systemd.scope);
  if (readOrNull(path) === null) return;
  await systemd.tell("stop", `${name}.service`);
  await systemd.tell("disable", `${name}.service`);
  await systemd.writeUnit(path, null, `${folder}/unit.tmp`);
}

async function restoreUnit(place: ServicePlace, former: Former): Promise<void> {
  const { systemd, unit, state } = former;
  const path = place.unitFile(systemd.scope);
  if (readOrNull(path) !== null) await systemd.tell("stop", `${place.name}.service`);
  await systemd.writeUnit(path, unit, `${place.folder}/unit.tmp`);
  if (unit === null) return;
  await systemd.tell(state.enabled ? "enable" : "disable", `${place.name}.service`);
}

/** Waits until the unit's server is registered. Throws Io on time-out. */
async function untilRegistered(
  place: ServicePlace,
  systemd: Systemd,
  registry: Registry,
): Promise<void> {
  const until = performance.now() + PATIENCE;
  for (;;) {
    const { active, pid } = await systemd.state(place.name);
    const isThere = (await registry()).some((server) =>
      server.pool_dir === place.poolDir && server.pid === pid
    );
    if (isThere) return;
    if (active === "failed" || performance.now() >= until) {
      throw new PlasmiteError("Io", "the service did not start", {
        path: place.poolDir,
        hint: "Start it in a terminal with the same options to see why: plasmite serve …",
      });
    }
    await pause(LOOK_EVERY);
  }
}

/**
 * Stops and removes the service; pools, keys, certificates and the log are kept.
 *
 * @throws {PlasmiteError} Io, Permission
 */
export async function uninstall(place: ServicePlace, { scope }: Setup): Promise<void> {
  await removeUnit(place, new Systemd(scope));
  linkProgram(place.folder, null);
  removeOtherPrograms(place.folder);
  place.write(null);
}
