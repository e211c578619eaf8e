/**
 * `/mcp` of a server: the tools over streamable HTTP, as a function from request to response.
 *
 * Who may call, from where and how large a body may be is checked by the server before it gets
 * here. The protocol itself is loaded when {@linkcode createMcpFetch} is called, so importing this
 * module costs nothing.
 *
 * @module
 */

import type { Client } from "../lib/client/client.ts";
import { checkOptions, type OptionKinds } from "../lib/client/option_kinds.ts";
import type { Access, Grant } from "../lib/types.ts";

export type { Access, Grant };

/** How to serve; everything has a default. */
export interface McpOptions {
  /** What callers may do when a request comes without a grant of its own; default `read-write`. */
  readonly access?: Access;
  /** The version that the server names; default `0.0.0`. */
  readonly version?: string;
  /** The largest request body in bytes; default 1 MiB. */
  readonly maxBodyBytes?: number;
  /** Waits and subscriptions at once; default 64. Not used with `takePlace`. */
  readonly maxWaits?: number;
  /**
   * Takes a place for a wait or subscription and returns how to give it back, or null when there is none: for a
   * server that counts them together with its own streams.
   */
  readonly takePlace?: () => (() => void) | null;
  /**
   * The longest wait, in milliseconds; a caller who asks for more is answered by then and may wait
   * again. Default 50000: the common clients give a request up after a minute.
   */
  readonly maxWaitMs?: number;
  /** How often a call reports its progress to a caller who asked for it, in ms; default 5000. */
  readonly progressMs?: number;
  /** Told of refused requests and internal failures; never of contents. */
  readonly onerror?: (error: Error) => void;
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
};

/** Answers requests to `/mcp`. */
export interface McpFetch {
  /**
   * Answers one request.
   *
   * @param grant what its caller may do; default what `access` says
   */
  (request: Request, grant?: Grant): Promise<Response>;
  /** Ends waits and streams; requests that come later are refused. */
  close(): Promise<void>;
}

/**
 * Makes the handler of `/mcp` for the pools of a client.
 *
 * @example
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
export async function createMcpFetch(client: Client, options?: McpOptions): Promise<McpFetch> {
  const checked = checkOptions(options, "createMcpFetch", KINDS);
  const { HttpHandler } = await import("./handler.ts");
  const handler = new HttpHandler(client, checked);
  return Object.assign(
    (request: Request, grant?: Grant) => handler.fetch(request, grant),
    { close: () => handler.close() },
  );
}
