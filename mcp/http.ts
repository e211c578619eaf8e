/**
 * The MCP tools over streamable HTTP, as a function from request to response: `/mcp` of a server.
 *
 * The server checks credentials, host and body size before it calls this function. The protocol
 * implementation is loaded when {@linkcode createMcpFetch} is called, so importing this module is
 * cheap.
 *
 * @example Serve the tools for agents next to a server's own routes
 * ```ts
 * import { Client } from "@plasmite/core";
 * import { createMcpFetch } from "@plasmite/core/mcp";
 * import { createApp } from "@plasmite/core/server";
 *
 * const client = new Client(Deno.makeTempDirSync());
 * const app = createApp(client, { mcp: (limits) => createMcpFetch(client, limits) });
 * const response = await app.request("/mcp", {
 *   method: "POST",
 *   headers: { "content-type": "application/json" },
 *   body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" }),
 * });
 * console.assert(response.status === 200);
 * await app.shutdown();
 * ```
 *
 * @module
 */

import type { Backend } from "../lib/backend/types.ts";
import type { Client } from "../lib/client/client.ts";
import { checkOptions, type OptionKinds } from "../lib/client/option_kinds.ts";
import { PlasmiteError } from "../lib/errors.ts";
import type { Access, Grant } from "../lib/types.ts";

export type { Access, Grant };

/**
 * Options of an MCP handler.
 *
 * @example Limit what agents may do and how long they wait
 * ```ts
 * import { Client } from "@plasmite/core";
 * import { createMcpFetch, type McpOptions } from "@plasmite/core/mcp";
 *
 * const options: McpOptions = { access: "read-only", maxWaitMs: 10_000 };
 * using client = new Client(Deno.makeTempDirSync());
 * const mcp = await createMcpFetch(client, options);
 * await mcp.close();
 * ```
 */
export interface McpOptions {
  /** The rights of a request that comes without a grant; default `read-write`. */
  readonly access?: Access;
  /** The version that the server reports; default `0.0.0`. */
  readonly version?: string;
  /** The largest request body in bytes; default 1 MiB. */
  readonly maxBodyBytes?: number;
  /**
   * The largest number of concurrent waits and subscriptions; default 64. Not used with
   * `takePlace`.
   */
  readonly maxWaits?: number;
  /**
   * Takes a slot for a wait or subscription and returns a function that releases it, or null if
   * none is free; for a server that counts them together with its own streams.
   */
  readonly takePlace?: () => (() => void) | null;
  /**
   * The longest wait, in milliseconds; a longer one is answered after this time, and the caller can
   * wait again. Default 50000, because common clients abandon a request after a minute.
   */
  readonly maxWaitMs?: number;
  /**
   * How often a call reports progress to callers that request it, in milliseconds; default 5000.
   */
  readonly progressMs?: number;
  /** Called for refused requests and internal failures; never receives message contents. */
  readonly onerror?: (error: Error) => void;
  /**
   * The pools of the server that calls the handler, if they are those of the client; default the
   * handler's own.
   *
   * @internal
   */
  readonly backend?: Backend;
}

const KINDS: OptionKinds<McpOptions> = {
  access: ["read-only", "write-only", "read-write"],
  version: "string",
  maxBodyBytes: "number",
  maxWaits: "number",
  takePlace: "function",
  maxWaitMs: "number",
  progressMs: "number",
  onerror: "function",
  backend: "instance",
};

/** Handles requests to `/mcp`; can be passed to `Deno.serve` as it is. */
export interface McpFetch {
  /**
   * Handles one request.
   *
   * @param grant the rights of the caller; default `access`, also with the second argument that
   *   `Deno.serve` passes
   * @throws {PlasmiteError} Usage for an invalid grant
   */
  (request: Request, grant?: Grant | Deno.ServeHandlerInfo): Promise<Response>;
  /** Ends waits and streams; later requests are refused. */
  close(): Promise<void>;
}

/**
 * Creates the handler of `/mcp` for the pools of a client.
 *
 * @param client the client of the pools to serve
 * @param options access and limits
 * @returns the handler of requests to `/mcp`
 *
 * @example Answer an MCP request
 * ```ts
 * import { Client } from "@plasmite/core";
 * import { createMcpFetch } from "@plasmite/core/mcp";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * const mcp = await createMcpFetch(client, { access: "read-only" });
 * const response = await mcp(
 *   new Request("http://127.0.0.1/mcp", {
 *     method: "POST",
 *     headers: { "content-type": "application/json" },
 *     body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" }),
 *   }),
 * );
 * console.assert(response.status === 200);
 * await mcp.close();
 * ```
 *
 * @throws {PlasmiteError} Usage for an unknown option
 */
export async function createMcpFetch(
  client: Pick<Client, "poolDir">,
  options?: McpOptions,
): Promise<McpFetch> {
  const checked = checkOptions(options, "createMcpFetch", KINDS);
  const { HttpHandler } = await import("./handler.ts");
  const handler = new HttpHandler(client, checked);
  return Object.assign(
    async (request: Request, given?: Grant | Deno.ServeHandlerInfo) =>
      await handler.fetch(request, grantOf(given)),
    { close: () => handler.close() },
  );
}

/** The grant that a caller passed, if any; an invalid one must not become the default rights. */
function grantOf(given: Grant | Deno.ServeHandlerInfo | undefined): Grant | undefined {
  if (given === undefined || "remoteAddr" in given) return undefined;
  if (typeof given.can === "function") return given;
  throw new PlasmiteError("Usage", "Invalid grant", {
    hint: "A grant has a subject and a function `can`.",
  });
}
