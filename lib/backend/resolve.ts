/**
 * What a reference names: a pool, and the backend that keeps it. Only that of this machine is loaded
 * with this module; work on local pools loads nothing of what speaks to servers.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import type { Awaitable } from "../types.ts";
import type { TransportOptions } from "./http/transport.ts";
import type { Hubs } from "./local/hub.ts";
import { LocalBackend } from "./local.ts";
import { isPathRef, isUrl, poolPath } from "./refs.ts";
import type { Backend } from "./types.ts";

/** How to reach what keeps a pool. */
export interface ConnectOptions {
  /** For a process that serves others or does several things at once; see `LocalOptions`. */
  readonly serving?: Hubs | true;
  /** How to reach a server; asked only when there is one. */
  readonly server?: () => Awaitable<TransportOptions>;
}

/** A place that keeps pools, not connected to yet. */
export interface PlaceRef {
  /** As it was given. */
  readonly ref: string;
  /** Whether it is a server, and not a directory of this machine. */
  readonly isRemote: boolean;
  /** Loads the backend; sends nothing. */
  connect(options?: ConnectOptions): Awaitable<Backend>;
}

/** A pool, not opened yet. */
export interface PoolRef extends PlaceRef {
  /** What its backend calls it. */
  readonly name: string;
  /** What notices and errors call it: the path of its file, or `origin/pool`. */
  readonly path: string;
}

/** Where bare names live; finding the default directory may need a permission. */
export interface NamePlace {
  /** The directory of pools. */
  readonly dir: string;
}

/** A kind of place that URLs name; its module says what they mean, and loads what speaks to it. */
interface Scheme {
  /** A pool. Throws Usage. */
  poolRef(ref: string): PoolRef;
  /** A server. Throws Usage. */
  placeRef(ref: string): PlaceRef;
}

/** Every kind of place beyond directories, by the scheme of its URLs. */
const SCHEMES: Readonly<Record<string, () => Promise<Scheme>>> = {
  http: () => import("./http/ref.ts"),
  https: () => import("./http/ref.ts"),
};

async function schemeOf(ref: string): Promise<Scheme | undefined> {
  const name = /^([a-z][a-z0-9+.-]*):\/\//.exec(ref)?.[1] ?? "";
  return Object.hasOwn(SCHEMES, name) ? await SCHEMES[name]?.() : undefined;
}

/**
 * What a name, a path or a URL names (docs/spec/command-line.md 1.3).
 *
 * @param place where bare names live
 * @throws {PlasmiteError} Usage when it names no pool
 */
export async function resolvePool(ref: string, place: NamePlace): Promise<PoolRef> {
  if (!isUrl(ref)) return localPool(ref, place);
  const scheme = await schemeOf(ref);
  if (scheme !== undefined) return scheme.poolRef(ref);
  const udp = ref.startsWith("udp://") ? "UDP is not offered. " : "";
  throw new PlasmiteError("Usage", "remote pool ref must use http or https scheme", {
    hint: `${udp}Use http(s)://host:port/<pool>.`,
  });
}

/**
 * A local pool by name or path.
 *
 * @throws {PlasmiteError} Usage for an empty name, control characters and URLs
 */
export function localPool(ref: string, place: NamePlace): PoolRef {
  const isPath = isPathRef(ref);
  const dir = isPath ? "." : place.dir;
  return {
    ref,
    isRemote: false,
    name: ref,
    path: poolPath(ref, dir),
    connect: (options) => localBackend(dir, options),
  };
}

/**
 * What keeps pools, for a server's URL.
 *
 * @throws {PlasmiteError} Usage for anything else
 */
export async function resolveServer(server: string): Promise<PlaceRef> {
  const scheme = await schemeOf(server);
  if (scheme !== undefined) return scheme.placeRef(server);
  throw new PlasmiteError("Usage", "remote base url must use http or https scheme", {
    hint: "Use http(s)://host:port.",
  });
}

/** A directory as a place of pools. */
export function localPlace(dir: string): PlaceRef {
  return { ref: dir, isRemote: false, connect: (options) => localBackend(dir, options) };
}

function localBackend(dir: string, { serving }: ConnectOptions = {}): Backend {
  return new LocalBackend(dir, serving === undefined ? {} : { serving });
}
