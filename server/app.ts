/**
 * The HTTP server as a function from request to response, for use in process, under `Deno.serve`,
 * or inside another server.
 *
 * @example Serve a directory of pools
 * ```ts
 * import { Client } from "@plasmite/core";
 * import { createApp } from "@plasmite/core/server";
 *
 * const app = createApp(new Client(Deno.makeTempDirSync()));
 * const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, app.fetch);
 * const response = await fetch(`http://127.0.0.1:${server.addr.port}/healthz`);
 * console.assert(response.ok);
 * await response.body?.cancel();
 * await app.shutdown();
 * await server.shutdown();
 * ```
 *
 * @module
 */

import type { Client } from "../lib/client/client.ts";
import { checkOptions, type OptionKinds } from "../lib/client/option_kinds.ts";
import type { Access, Authenticator, Denial, Grant, Need, Verdict } from "./auth.ts";
import type { Asset } from "./page.ts";
import type { McpFetch, McpLimits } from "./routes/route.ts";
import { Server } from "./server.ts";

export type { Access, Asset, Authenticator, Denial, Grant, McpFetch, McpLimits, Need, Verdict };

/**
 * Options of a server; every default is safe.
 *
 * @example Serve read-only on a port of its own
 * ```ts
 * import { Client } from "@plasmite/core";
 * import { type AppOptions, createApp } from "@plasmite/core/server";
 *
 * const options: AppOptions = { access: "read-only", maxBodyBytes: 64 * 1024 };
 * const app = createApp(new Client(Deno.makeTempDirSync()), options);
 * const body = JSON.stringify({ pool: "demo" });
 * const response = await app.request("/v0/pools", { method: "POST", body });
 * console.assert(response.status === 403);
 * await app.shutdown();
 * ```
 */
export interface AppOptions {
  /** The bearer token that callers must send; default none. It gives the rights of `access`. */
  readonly token?: string | undefined;
  /** Decides who calls and what they may do; replaces `token`. */
  readonly authenticator?: Authenticator | undefined;
  /** The most that any caller may do; default `read-write`. */
  readonly access?: Access;
  /**
   * Accept only requests for loopback names and `allowHosts` (protection from DNS rebinding);
   * default true. Set it to false for a server that other machines reach by any name.
   */
  readonly loopbackOnly?: boolean;
  /** Further `Host` names to accept, without port. */
  readonly allowHosts?: readonly string[];
  /**
   * Returns the host that the runtime fills in for requests without a `Host` header, such as
   * `localhost:9700`, so that these can be refused. Default: unknown.
   */
  readonly inventedHost?: () => string | null;
  /** Exact origins whose pages may send requests (CORS). */
  readonly corsOrigins?: readonly string[];
  /** The largest request body in bytes; default 1 MiB. */
  readonly maxBodyBytes?: number;
  /** The longest tail in milliseconds; default 30000. */
  readonly maxTailTimeoutMs?: number;
  /** The largest number of concurrent streams, and of concurrent storage calls; default 64. */
  readonly maxTailConcurrency?: number;
  /** How often a quiet stream sends a heartbeat, in milliseconds; default 10000. */
  readonly heartbeatMs?: number;
  /** How long a request body may stall, in milliseconds; default 30000. */
  readonly bodyIdleMs?: number;
  /**
   * The longest total time of a request body that is slower than 8 KiB per second, in milliseconds;
   * default 60000.
   */
  readonly bodyTotalMs?: number;
  /**
   * The most memory for all request bodies together, in bytes; beyond it requests are refused with
   * 503. Default 64 MiB, and at least `maxBodyBytes`.
   */
  readonly maxBodiesBytes?: number;
  /**
   * How long after the end of a stream its reader may take to read the rest, in milliseconds; then
   * the connection is closed. Default 5000.
   */
  readonly readerGraceMs?: number;
  /** Returns the response of `/v0/serve/status`; without it the route does not exist. */
  readonly status?: () => unknown;
  /** Called for failures that are bugs; clients see only `internal error`. Default: ignored. */
  readonly onFault?: (error: unknown) => void;
  /** Loads the web page; default the built-in one. */
  readonly ui?: () => Promise<ReadonlyMap<string, Asset>>;
  /** Loads the MCP handler at the first request to `/mcp`; without it the route does not exist. */
  readonly mcp?: (limits: McpLimits) => Promise<McpFetch>;
}

const KINDS: OptionKinds<AppOptions> = {
  token: "string",
  authenticator: "instance",
  access: ["read-only", "write-only", "read-write"],
  loopbackOnly: "boolean",
  allowHosts: "texts",
  inventedHost: "function",
  corsOrigins: "texts",
  maxBodyBytes: "number",
  maxTailTimeoutMs: "number",
  maxTailConcurrency: "number",
  heartbeatMs: "number",
  bodyIdleMs: "number",
  bodyTotalMs: "number",
  maxBodiesBytes: "number",
  readerGraceMs: "number",
  status: "function",
  onFault: "function",
  ui: "function",
  mcp: "function",
};

/**
 * A server without a socket. Its functions need no `this`: they can be passed on as they are.
 *
 * @example Test a server in process
 * ```ts
 * import { Client } from "@plasmite/core";
 * import { type App, createApp } from "@plasmite/core/server";
 *
 * const app: App = createApp(new Client(Deno.makeTempDirSync()));
 * console.assert((await app.request("/v0/pools")).status === 200);
 * console.assert(app.streams === 0);
 * await app.shutdown();
 * ```
 */
export interface App {
  /** Handles one request; never rejects. */
  fetch(request: Request): Promise<Response>;
  /** Handles a request for a path, for tests. */
  request(path: string, init?: RequestInit): Promise<Response>;
  /** The number of open streams. */
  readonly streams: number;
  /** Ends all streams immediately, waits for appends in progress, and closes the files. */
  shutdown(): Promise<void>;
}

/**
 * Creates a server for the pools of a client.
 *
 * @param client the client of the pools to serve
 * @param options how to serve them; by default read-write, for this machine only
 * @returns the server; pass its `fetch` to `Deno.serve`
 *
 * @example Answer a request without a socket
 * ```ts
 * import { Client } from "@plasmite/core";
 * import { createApp } from "@plasmite/core/server";
 *
 * const app = createApp(new Client(Deno.makeTempDirSync()), { token: "secret" });
 * const answer = await app.request("/v0/pools", { headers: { authorization: "Bearer secret" } });
 * console.assert(answer.status === 200);
 * await app.shutdown();
 * ```
 *
 * @throws {PlasmiteError} Usage for an unknown option or an invalid origin
 */
export function createApp(client: Client, options?: AppOptions): App {
  return new Server(client, checkOptions(options, "createApp", KINDS));
}
