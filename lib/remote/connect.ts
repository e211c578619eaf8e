/**
 * `connect()`: pools in a directory, pools of a server, or one pool of a server.
 *
 * @module
 */

import { Client, CLIENT_KINDS, type ClientOptions } from "../client/client.ts";
import { checkOptions, type OptionKinds } from "../client/option_kinds.ts";
import { shown } from "../client/options.ts";
import { PlasmiteError } from "../errors.ts";
import { REMOTE_KINDS, type RemoteClient, type RemoteClientOptions } from "./client.ts";
import { connect as remote } from "./connect_url.ts";
import type { ConnectedNats } from "./nats.ts";
import { connectNats, NATS_KINDS, type NatsClient, type NatsClientOptions } from "./nats_client.ts";
import type { NatsPool } from "./nats_pool.ts";
import type { RemotePool } from "./pool.ts";

/** The options of both kinds of clients; each uses its own. */
type ConnectOptions = RemoteClientOptions & ClientOptions & NatsClientOptions;

const KINDS: OptionKinds<ConnectOptions> = { ...CLIENT_KINDS, ...REMOTE_KINDS, ...NATS_KINDS };

/**
 * The result of {@linkcode connect}: a {@linkcode Client} for a directory, a {@linkcode
 * RemoteClient} for a server, a {@linkcode RemotePool} for a pool of a server, a {@linkcode
 * NatsClient} or {@linkcode NatsPool} for NATS, or their union if the type of the target does not
 * determine it.
 */
export type Connected<Target extends string | URL | undefined> = Target extends undefined ? Client
  : Target extends `${"http" | "https"}://${infer Rest}`
    ? Rest extends `${string}/${infer Path}` ? Path extends "" ? RemoteClient : RemotePool
    : `${Rest}/x` extends Rest ? RemoteClient | RemotePool
    : RemoteClient
  : Target extends `${"nats" | "nats+tls"}://${string}` ? ConnectedNats<Target>
  : Target extends string
    ? `http://${Target}` extends Target ? Client | RemoteClient | RemotePool | NatsClient | NatsPool
    : Client
  : Client | RemoteClient | RemotePool;

/**
 * Connects to a directory, a server or a pool, depending on the target: `http(s)://host:port` gives
 * a client of that server, `http(s)://host:port/pool` that pool, `nats://host:port` and
 * `nats://host:port/STREAM` the same on NATS, and anything else a client of the pools in a directory
 * (a path or a `file:` URL; default the default directory). Nothing is sent or opened yet.
 *
 * @example Connect by the form of the target
 * ```ts
 * import { connect } from "@plasmite/core";
 *
 * using client = connect("./pools"); // A Client.
 * await using remote = connect("http://127.0.0.1:9700"); // A RemoteClient.
 * await using pool = connect("http://127.0.0.1:9700/ci"); // A RemotePool.
 * console.assert(pool.name === "ci" && client.poolDir === "./pools");
 * ```
 *
 * @throws {PlasmiteError} Usage for any other scheme, and for what the constructors of the clients
 *   refuse
 */
export function connect<const Target extends string | URL | undefined = undefined>(
  target?: Target,
  options?: RemoteClientOptions & ClientOptions & NatsClientOptions,
): Connected<Target>;
/** The same, for a target whose kind is known only at run time. */
export function connect(
  target?: string | URL,
  options?: RemoteClientOptions & ClientOptions & NatsClientOptions,
): Client | RemoteClient | RemotePool | NatsClient | NatsPool;
export function connect(
  target?: string | URL,
  options?: ConnectOptions,
): Client | RemoteClient | RemotePool | NatsClient | NatsPool {
  const { poolDir, integers, ...rest } = checkOptions(options, "connect", KINDS);
  const common = integers === undefined ? {} : { integers };
  if (target === undefined) return local(poolDir, common);
  if (typeof target !== "string" && !(target instanceof URL)) {
    throw unsupported(`invalid target: ${shown(target)}`);
  }
  const text = String(target);
  if (/^https?:\/\//i.test(text)) return remote(text, { ...rest, ...common });
  if (/^nats(\+tls)?:\/\//.test(text)) return connectNats(text, { ...rest, ...common });
  if (poolDir !== undefined) {
    throw new PlasmiteError("Usage", "target and poolDir both name a directory", {
      hint: "Leave one of them out.",
    });
  }
  if (/^file:\/\//i.test(text)) return local(pathOf(text), common);
  if (text.includes("://")) throw unsupported("unsupported target");
  return local(text, common);
}

function unsupported(message: string, cause?: unknown): PlasmiteError {
  return new PlasmiteError("Usage", message, {
    cause,
    hint: "Use http(s)://host:port for a server, nats://host:port for NATS, or the path of a " +
      "directory.",
  });
}

/** The path of a `file:` URL. */
function pathOf(text: string): string {
  try {
    const { hostname, pathname } = new URL(text);
    const path = decodeURIComponent(pathname);
    if (hostname === "") return Deno.build.os === "windows" ? path.replace(/^\/+/, "") : path;
  } catch (cause) {
    throw unsupported("invalid file URL", cause);
  }
  throw unsupported("file URL with a host name");
}

function local(poolDir: string | undefined, common: Pick<ClientOptions, "integers">): Client {
  return new Client({ ...common, ...(poolDir === undefined ? {} : { poolDir }) });
}
