/**
 * Running servers, and installed servers that are not running (docs/spec/sharing.md 6.1).
 *
 * @module
 */

import { PlasmiteError } from "../../errors.ts";
import type { RunningServer } from "./install.ts";
import { type InstalledService, installedServices } from "./setup.ts";
import { Systemd, type UnitState } from "./systemd.ts";

/** What `serve status --all` reports about a server; field names match 1.x. */
export interface ServerStatus {
  readonly local_url: string | null;
  /** Whether it is installed as a service. */
  readonly managed: boolean;
  readonly pid: number | null;
  readonly pool_dir: string;
  readonly problem: string | null;
  readonly remote_url: string | null;
  /** The setup file; null if the server is not managed. */
  readonly setup: string | null;
  /** Whether it starts automatically. */
  readonly startup: boolean;
  readonly state: "running" | "starting" | "stopping" | "stopped" | "failed";
}

const STATES: Readonly<Record<string, ServerStatus["state"]>> = {
  active: "starting", // Not in the registry yet.
  activating: "starting",
  reloading: "running",
  deactivating: "stopping",
  failed: "failed",
};

/** The status of an installed server, and the record of its process. */
export async function serviceStatus(
  { name, file, setup, problem }: InstalledService,
  running: readonly RunningServer[],
): Promise<{ readonly status: ServerStatus; readonly record: RunningServer | undefined }> {
  let unit: UnitState = { active: "inactive", enabled: false, pid: 0 };
  let trouble = problem;
  if (setup !== null) {
    try {
      unit = await new Systemd(setup.scope).state(name);
    } catch (error) {
      if (!PlasmiteError.is(error)) throw error;
      trouble = error.message;
    }
  }
  const record = running.find(({ pid, pool_dir }) =>
    pool_dir === setup?.pool_dir && pid === unit.pid
  );
  const state = record === undefined ? STATES[unit.active] ?? "stopped" : "running";
  if (state === "failed") trouble ??= "it has ended with an error; its logs say why";
  const status: ServerStatus = {
    local_url: record?.local_url ?? null,
    managed: true,
    pid: record?.pid ?? (unit.pid > 0 ? unit.pid : null),
    pool_dir: setup?.pool_dir ?? "",
    problem: trouble,
    remote_url: record?.remote_url ?? null,
    setup: file,
    startup: unit.enabled,
    state,
  };
  return { status, record };
}

/** All servers, sorted by directory. */
export async function allServers(
  running: readonly RunningServer[],
): Promise<readonly ServerStatus[]> {
  const installed = await Promise.all(
    installedServices().map((service) => serviceStatus(service, running)),
  );
  const managed = new Set(installed.map(({ record }) => record));
  const others = running.filter((server) => !managed.has(server)).map(unmanaged);
  const all = [...installed.map(({ status }) => status), ...others];
  return all.sort((a, b) => a.pool_dir < b.pool_dir ? -1 : a.pool_dir > b.pool_dir ? 1 : 0);
}

function unmanaged({ local_url, pid, pool_dir, remote_url }: RunningServer): ServerStatus {
  return {
    local_url,
    managed: false,
    pid,
    pool_dir,
    problem: null,
    remote_url,
    setup: null,
    startup: false,
    state: "running",
  };
}
