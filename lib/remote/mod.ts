/**
 * Pools on a server, over HTTP, with the same interface as local ones.
 *
 * @example Follow a pool of a server
 * ```ts
 * import { RemoteClient } from "@plasmite/core/remote";
 * import { Client } from "@plasmite/core";
 * import { createApp } from "@plasmite/core/server";
 *
 * const app = createApp(new Client(Deno.makeTempDirSync())); // Elsewhere: `plasmite serve`.
 * await using client = new RemoteClient("http://localhost:9700", {
 *   fetch: (input, init) => app.fetch(new Request(input, init)),
 * });
 * await using pool = await client.pool("demo");
 * await pool.append({ n: 1 });
 * for await (const message of pool.tail({ maxMessages: 1 })) console.assert(message.seq === 1n);
 * await app.shutdown();
 * ```
 *
 * @module
 */

export { RemoteClient, type RemoteClientOptions, type RemoteCreateOptions } from "./client.ts";
export { connect, type ConnectedUrl } from "./connect_url.ts";
export { RemoteError } from "../backend/http/error.ts";
export { RemotePool } from "./pool.ts";
export { type RemoteTailOptions } from "./tail.ts";
export type {
  ClaimOptions,
  Cursor,
  CursorInfo,
  CursorOptions,
  CursorTailOptions,
  Group,
  GroupOptions,
  LatestOptions,
  Lease,
  SetCursorOptions,
  TakeOptions,
  Task,
} from "../client/coordination.ts";
