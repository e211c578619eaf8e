/**
 * Resolves a reference to a pool and its backend. Only the local backend is loaded with this
 * module; the HTTP backend is loaded on demand.
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

/** How to reach a server of any kind; each backend rejects options it cannot use. */
export interface AccessOptions extends TransportOptions {
  /** As for HTTP, and for NATS a client certificate. */
  readonly tls?:
    | TransportOptions["tls"] & {
      /** The path of a PEM file with the client's certificate; NATS only. */
      readonly certFile?: string | undefined;
      /** The path of a PEM file with the key of that certificate; NATS only. */
      readonly keyFile?: string | undefined;
      /** Whether the TLS handshake comes before the server's greeting; NATS only. */
      readonly first?: boolean | undefined;
    }
    | undefined;
  /** The path of a file with credentials; NATS only. */
  readonly credsFile?: string | undefined;
  /** Credentials as text, instead of a file; NATS only. */
  readonly creds?: string | undefined;
  /** The JetStream domain; NATS only. */
  readonly domain?: string | undefined;
  /** The name that the server shows for the connection; NATS only. */
  readonly clientName?: string | undefined;
}

/** How to connect to the backend of a pool. */
export interface ConnectOptions {
  /** For a process that serves others or does several things at once; see `LocalOptions`. */
  readonly serving?: Hubs | true;
  /** Returns the options for a server; called only for remote pools. */
  readonly server?: () => Awaitable<AccessOptions>;
}

/** A directory or server, not connected yet. */
export interface PlaceRef {
  /** The reference as given. */
  readonly ref: string;
  /** Whether it is a server rather than a local directory. */
  readonly isRemote: boolean;
  /**
   * Whether pools can be created and deleted by command there: with a size for each new pool
   * (`sized`), with a default size (`any`), or not at all (`no`).
   */
  readonly creation: "any" | "sized" | "no";
  /** Whether the place can never guarantee that messages are on stable storage. */
  readonly neverFlushes?: boolean;
  /** Loads the backend; sends nothing. */
  connect(options?: ConnectOptions): Awaitable<Backend>;
}

/** A pool, not opened yet. */
export interface PoolRef extends PlaceRef {
  /** Its name in the backend. */
  readonly name: string;
  /** Its name in notices and errors: the path of its file, or `origin/pool`. */
  readonly path: string;
}

/** The directory of bare names; finding the default directory may need a permission. */
export interface NamePlace {
  /** The directory of pools. */
  readonly dir: string;
}

/** A URL scheme; its module parses the URLs and loads the backend. */
interface Scheme {
  /** Parses the URL of a pool. Throws Usage. */
  poolRef(ref: string): PoolRef;
  /** Parses the URL of a server. Throws Usage. */
  placeRef(ref: string): PlaceRef;
}

/** The modules of all remote backends, by URL scheme. */
const SCHEMES: Readonly<Record<string, () => Promise<Scheme>>> = {
  http: () => import("./http/ref.ts"),
  https: () => import("./http/ref.ts"),
  nats: () => import("./nats/ref.ts"),
  "nats+tls": () => import("./nats/ref.ts"),
};

async function schemeOf(ref: string): Promise<Scheme | undefined> {
  const name = /^([a-z][a-z0-9+.-]*):\/\//.exec(ref)?.[1] ?? "";
  return Object.hasOwn(SCHEMES, name) ? await SCHEMES[name]?.() : undefined;
}

/**
 * Resolves a name, a path or a URL (docs/spec/command-line.md 1.3).
 *
 * @param place the directory of bare names
 * @throws {PlasmiteError} Usage when it is not a valid reference
 */
export async function resolvePool(ref: string, place: NamePlace): Promise<PoolRef> {
  if (!isUrl(ref)) return localPool(ref, place);
  const scheme = await schemeOf(ref);
  if (scheme !== undefined) return scheme.poolRef(ref);
  const udp = ref.startsWith("udp://") ? "UDP is not offered. " : "";
  throw new PlasmiteError("Usage", "remote pool ref must use http or https scheme", {
    hint: `${udp}Use http(s)://host:port/<pool>, or nats://host:port/<stream>.`,
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
    creation: "any",
    name: ref,
    path: poolPath(ref, dir),
    connect: (options) => localBackend(dir, options),
  };
}

/**
 * Resolves a server's URL.
 *
 * @throws {PlasmiteError} Usage for anything else
 */
export async function resolveServer(server: string): Promise<PlaceRef> {
  const scheme = await schemeOf(server);
  if (scheme !== undefined) return scheme.placeRef(server);
  throw new PlasmiteError("Usage", "remote base url must use http or https scheme", {
    hint: "Use http(s)://host:port, or nats://host:port.",
  });
}

/** A local directory of pools. */
export function localPlace(dir: string): PlaceRef {
  return {
    ref: dir,
    isRemote: false,
    creation: "any",
    connect: (options) => localBackend(dir, options),
  };
}

function localBackend(dir: string, { serving }: ConnectOptions = {}): Backend {
  return new LocalBackend(dir, serving === undefined ? {} : { serving });
}
