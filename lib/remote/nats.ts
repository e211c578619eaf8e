/**
 * Pools that are streams of NATS JetStream. Nothing of NATS is loaded before it is used.
 *
 * @example Follow a stream
 * ```ts
 * import { connect } from "@plasmite/core/nats";
 *
 * export async function follow(): Promise<void> {
 *   await using pool = connect("nats://127.0.0.1:4222/ORDERS");
 *   for await (const message of pool.tail()) console.log(message.data);
 * }
 * ```
 *
 * @module
 */

import { connectNats, type NatsClient, type NatsClientOptions } from "./nats_client.ts";
import type { NatsPool } from "./nats_pool.ts";

export { NatsClient, type NatsClientOptions, type NatsCreateOptions } from "./nats_client.ts";
export { NatsPool } from "./nats_pool.ts";
export { type RemoteTailOptions } from "./tail.ts";

/** The result of {@linkcode connect}, by the form of the target. */
export type ConnectedNats<Target extends string> = Target extends `${string}://${infer Rest}`
  ? Rest extends `${string}/${infer Path}` ? Path extends "" ? NatsClient : NatsPool
  : `${Rest}/x` extends Rest ? NatsClient | NatsPool
  : NatsClient
  : NatsClient | NatsPool;

/**
 * Connects to NATS servers (`nats://host:port`) or to one pool on them (`nats://host:port/STREAM`).
 * Nothing is sent yet.
 *
 * @param target the reference
 * @param options credentials and certificates
 * @throws {PlasmiteError} Usage for anything but such a reference, and for options that cannot be
 *   used
 *
 * @example Connect to a pool
 * ```ts
 * import { connect } from "@plasmite/core/nats";
 *
 * await using pool = connect("nats://127.0.0.1:4222/ORDERS");
 * console.assert(pool.name === "ORDERS");
 * ```
 */
export function connect<const Target extends string>(
  target: Target,
  options?: NatsClientOptions,
): ConnectedNats<Target>;
/** The same, for a target whose kind is known only at run time. */
export function connect(target: string, options?: NatsClientOptions): NatsClient | NatsPool;
export function connect(target: string, options?: NatsClientOptions): NatsClient | NatsPool {
  return connectNats(target, options);
}
