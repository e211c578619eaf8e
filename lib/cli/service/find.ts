/**
 * Finds the service for the pool directory given on the command line (docs/spec/sharing.md 6.2).
 *
 * @module
 */

import { PlasmiteError } from "../../errors.ts";
import type { CommandContext } from "../context.ts";
import { ServicePlace, type Setup } from "./setup.ts";

/** An installed service. */
export interface FoundService {
  readonly place: ServicePlace;
  readonly setup: Setup;
}

/** The canonical path of a directory that may no longer exist. */
function canonical(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
  }
}

/** Throws Usage on systems without systemd. */
export function requireLinux(): void {
  if (Deno.build.os === "linux") return;
  throw new PlasmiteError("Usage", "services are those of systemd, on Linux only", {
    hint: "Have another supervisor start `plasmite serve`.",
  });
}

/**
 * The service of `--dir`.
 *
 * @throws {PlasmiteError} NotFound, Usage, Corrupt, Io
 */
export function findService(context: CommandContext): FoundService {
  requireLinux();
  const place = new ServicePlace(canonical(context.dir));
  const setup = place.read();
  if (setup !== null) return { place, setup };
  throw new PlasmiteError("NotFound", "no server is installed for this directory", {
    path: place.poolDir,
    hint: "`plasmite serve install` makes one; `plasmite serve status --all` lists all.",
  });
}
