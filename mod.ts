/**
 * Interprocess communication through JSON message pools that live in a file.
 *
 * A pool is a bounded, crash-safe ring buffer on disk. Any process can append to it and any process
 * can follow it; there is no broker and no daemon.
 *
 * @example Append and follow
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool<{ status: string }>("ci");
 * pool.append({ status: "green" }, ["unit"]);
 * for await (const message of pool.tail({ timeoutMs: 30_000 })) {
 *   if (message.data.status === "green") break;
 * }
 * ```
 *
 * @module
 */

export type { Lite3Frame } from "./lib/backend/frames.ts";
export { Client, type ClientOptions, type CreateOptions } from "./lib/client/client.ts";
export {
  type PoolBounds,
  type PoolInfo,
  type PoolMetrics,
  type PoolRetention,
  type StreamPlace,
} from "./lib/backend/local/info.ts";
export { CoordinatedPool } from "./lib/client/coordinated.ts";
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
} from "./lib/client/coordination.ts";
export { type IntegerPolicy, Message, parseMessage } from "./lib/client/message.ts";
export {
  type AppendOptions,
  type BatchOptions,
  Durability,
  type JsonObject,
  type ReplayOptions,
  type Seq,
  type TailOptions,
} from "./lib/client/options.ts";
export { type AsyncPool, Pool } from "./lib/client/pool.ts";
export { defaultPoolDir } from "./lib/backend/refs.ts";
export { replay } from "./lib/client/replay.ts";
export { Lite3Stream, Stream } from "./lib/client/stream.ts";
export type { Tail } from "./lib/client/tail.ts";
export {
  type ErrorContext,
  type ErrorDetails,
  ErrorKind,
  type ErrorKindName,
  PlasmiteError,
  PlasmiteError as PlasmiteNativeError,
  type Suggestion,
} from "./lib/errors.ts";
export {
  RemoteClient,
  type RemoteClientOptions,
  type RemoteCreateOptions,
} from "./lib/remote/client.ts";
export { connect, type Connected } from "./lib/remote/connect.ts";
export {
  NatsClient,
  type NatsClientOptions,
  type NatsCreateOptions,
} from "./lib/remote/nats_client.ts";
export { NatsPool } from "./lib/remote/nats_pool.ts";
export type { ConnectedNats } from "./lib/remote/nats.ts";
export { RemoteError } from "./lib/backend/http/error.ts";
export { RemotePool } from "./lib/remote/pool.ts";
export { type RemoteTailOptions } from "./lib/remote/tail.ts";
export { type CheckIssue, type CheckReport } from "./lib/pool/check.ts";
export {
  DEFAULT_POOL_SIZE,
  DEFAULT_POOL_SIZE as DEFAULT_POOL_SIZE_BYTES,
} from "./lib/pool/layout.ts";
