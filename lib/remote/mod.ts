/**
 * Pools on a server, over HTTP, with the same interface as local ones.
 *
 * @module
 */

export { RemoteClient, type RemoteClientOptions } from "./client.ts";
export { connect, type Connected } from "./connect.ts";
export { RemoteError } from "../backend/http/error.ts";
export { RemotePool } from "./pool.ts";
export { type RemoteTailOptions } from "./tail.ts";
