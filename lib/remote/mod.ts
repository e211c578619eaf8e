/**
 * Pools on a server: the same shapes as the local ones, over HTTP.
 *
 * @module
 */

export { RemoteClient, type RemoteClientOptions } from "./client.ts";
export { connect, type Connected } from "./connect.ts";
export { RemoteError } from "../backend/http/error.ts";
export { RemotePool } from "./pool.ts";
export { type RemoteTailOptions } from "./tail.ts";
