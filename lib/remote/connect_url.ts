/**
 * `connect()` for a server or a pool of it; without the code for local pools.
 *
 * @module
 */

import { checkOptions } from "../client/option_kinds.ts";
import { shown } from "../client/options.ts";
import { PlasmiteError } from "../errors.ts";
import { REMOTE_KINDS, RemoteClient, type RemoteClientOptions } from "./client.ts";
import type { RemotePool } from "./pool.ts";

/**
 * The result of connecting to a URL: a {@linkcode RemoteClient} for a server, a {@linkcode
 * RemotePool} for a pool of it, or their union if the type of the URL does not determine it.
 */
export type ConnectedUrl<Target extends string | URL> = Target extends
  `${"http" | "https"}://${infer Rest}`
  ? Rest extends `${string}/${infer Path}` ? Path extends "" ? RemoteClient : RemotePool
  : `${Rest}/x` extends Rest ? RemoteClient | RemotePool
  : RemoteClient
  : RemoteClient | RemotePool;

/**
 * Connects to a server (`http(s)://host:port`) or to one of its pools (`http(s)://host:port/pool`).
 * Nothing is sent yet.
 *
 * @param target the URL
 * @param options credentials, certificates and time limits
 * @returns a client of the server, or the pool
 * @throws {PlasmiteError} Usage for anything but such a URL, and for options that cannot be used
 *
 * @example Connect to a pool
 * ```ts
 * import { connect } from "@plasmite/core/remote";
 *
 * await using pool = connect("http://127.0.0.1:9700/ci");
 * console.assert(pool.name === "ci");
 * ```
 */
export function connect<const Target extends string | URL>(
  target: Target,
  options?: RemoteClientOptions,
): ConnectedUrl<Target>;
/** The same, for a target whose kind is known only at run time. */
export function connect(
  target: string | URL,
  options?: RemoteClientOptions,
): RemoteClient | RemotePool;
export function connect(
  target: string | URL,
  options?: RemoteClientOptions,
): RemoteClient | RemotePool {
  const given = checkOptions(options, "connect", REMOTE_KINDS);
  const text = target instanceof URL ? target.href : target;
  if (typeof text !== "string" || !/^https?:\/\//i.test(text)) {
    throw new PlasmiteError("Usage", `Not the URL of a server: ${shown(target)}`, {
      hint: "Use http(s)://host:port or http(s)://host:port/pool.",
    });
  }
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.pathname === "/") return new RemoteClient(text, given);
  const base = new URL(url);
  base.pathname = "/"; // Other invalid parts of the address are kept, so that they are refused.
  const client = new RemoteClient(base, given);
  const pool = client.uncheckedPool(url.href);
  void client.close(); // The pool keeps the connections while it needs them.
  return pool;
}
