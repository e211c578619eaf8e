/**
 * Installs a server as a service, or leaves everything as it was (docs/spec/sharing.md 6.2).
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

/** How long the server may take until it is registered, in milliseconds. */
const PATIENCE = 10_000;
/** How often to look, in milliseconds. */
const LOOK_EVERY = 100;
/** Ports below it need the rights of root. */
const FIRST_FREE_PORT = 1024;

/** A server as the registry has it. */
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

/** What is to be installed. */
export interface Installation {
  readonly place: ServicePlace;
  readonly scope: Scope;
  readonly source: Source;
  readonly run: readonly string[];
  readonly listens: readonly Listen[];
  readonly account: string;
  readonly home: string;
}

/** What is there before. */
interface Former {
  readonly setup: Setup;
  readonly setupText: string;
  readonly unit: string | null;
  readonly state: UnitState;
  readonly systemd: Systemd;
}

/** `IP:PORT` in parts. */
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
 * Tries whether an address is free.
 *
 * @throws {PlasmiteError} Io, Permission
 */
function tryListen({ hostname, port }: Listen, scope: Scope): void {
  try {
    Deno.listen({ hostname, port }).close();
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied) {
      if (scope === "system") return; // The unit has the right.
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

/** Refuses a directory that a server of somebody else serves. Throws Busy. */
async function requireUnserved(place: ServicePlace, registry: Registry): Promise<void> {
  const other = (await registry()).find(({ pool_dir }) => pool_dir === place.poolDir);
  if (other === undefined) return;
  throw new PlasmiteError("Busy", "a server of this directory is running", {
    path: place.poolDir,
    hint: `Stop it first: it is process ${other.pid}.`,
  });
}

/**
 * Installs and starts.
 *
 * @returns warnings
 * @throws {PlasmiteError} Usage, Busy, Io, Permission; then everything is as before
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
    // Made by systemd, it would be one that only root can read.
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

/** Undoes in reverse order; what cannot be undone is told with the error. */
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
    hint: "The former set-up could not be restored completely: see the causes. " +
      "Run `plasmite serve uninstall`, then install again.",
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

/** Waits until the server of the unit is registered. Throws Io when it is not. */
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
 * Stops the service and removes it; pools, keys, certificates and the log stay.
 *
 * @throws {PlasmiteError} Io, Permission
 */
export async function uninstall(place: ServicePlace, { scope }: Setup): Promise<void> {
  await removeUnit(place, new Systemd(scope));
  linkProgram(place.folder, null);
  removeOtherPrograms(place.folder);
  place.write(null);
}
