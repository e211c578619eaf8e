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
import { ServingBackend } from "../lib/backend/serving.ts";
import { Slots } from "../lib/backend/local/slots.ts";
import { Appends, MessagePrinter } from "./append.ts";
import {
  type Access,
  anyone,
  type Authenticator,
  bearerToken,
  capped,
  type Denial,
  type Grant,
  type Need,
  type Verdict,
} from "./auth.ts";
import { BodyReader, drain } from "./body.ts";
import { HttpError } from "./errors.ts";
import { corsHeaders, Guard, normalizeOrigin, preflight } from "./guard.ts";
import { isHead, routedAsGet, withoutBody } from "./head.ts";
import { Metrics } from "./metrics.ts";
import type { Asset } from "./page.ts";
import { Router } from "./router.ts";
import type { McpFetch, McpLimits, RouteHost } from "./routes/route.ts";
import type { TailStream } from "./tail.ts";

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

/** The host and port in a request's URL. */
function authorityOf(url: string): string {
  const start = url.indexOf("//") + 2;
  let end = start;
  for (; end < url.length; end++) {
    const c = url.charCodeAt(end);
    if (c === 0x2f || c === 0x3f || c === 0x23) break;
  }
  return url.slice(start, end);
}

const POOLS = "/v0/pools/";
const APPEND = "/append";

class Server implements App {
  readonly #guard: Guard;
  readonly #cors: boolean;
  readonly #router: Router;
  readonly #host: RouteHost;
  readonly #backend: ServingBackend;
  #mcp: Promise<McpFetch> | null = null;
  readonly #open = new Set<TailStream>();
  #document: string | null = null;
  #stopping = false;
  /**
   * The URL of the last append and its parts, for the common case of one client that repeats it.
   */
  #appendUrl = "";
  #appendAuthority = "";
  #appendSegment = "";

  constructor(client: Client, options: AppOptions) {
    const limit = options.maxTailConcurrency ?? 64;
    const maxBodyBytes = options.maxBodyBytes ?? 1 << 20;
    const corsOrigins = [...new Set((options.corsOrigins ?? []).map(normalizeOrigin))];
    this.#cors = corsOrigins.length > 0;
    this.#guard = new Guard({
      loopbackOnly: options.loopbackOnly ?? true,
      allowHosts: options.allowHosts ?? [],
      corsOrigins,
      inventedHost: options.inventedHost,
    });
    const backend = this.#backend = new ServingBackend(client.poolDir, { limit });
    const metrics = new Metrics();
    const tails = new Slots(limit);
    const directory = new Slots(limit);
    const printer = new MessagePrinter();
    const bodies = new BodyReader(maxBodyBytes, {
      idleMs: options.bodyIdleMs,
      totalMs: options.bodyTotalMs,
      together: options.maxBodiesBytes,
    });
    const { mcp } = options;
    this.#host = {
      backend,
      appends: new Appends(backend, bodies, printer, metrics),
      printer,
      metrics,
      tails,
      directory,
      bodies,
      maxBodyBytes,
      auth: authenticatorOf(options),
      maxTailTimeoutMs: options.maxTailTimeoutMs ?? 30_000,
      heartbeatMs: options.heartbeatMs ?? 10_000,
      readerGraceMs: options.readerGraceMs ?? 5_000,
      status: options.status ?? null,
      ui: options.ui ?? loadPage,
      mcp: mcp === undefined ? null : () => this.#loadMcp(mcp),
      openApi: () => this.#openApi(),
      followers: (pool) => backend.followers(pool),
      calls: () => directory.used + backend.calls,
      fault: options.onFault ?? (() => {}),
      begun: (tail, grant) => this.#begun(tail, grant),
      ended: (tail) => {
        this.#open.delete(tail);
        metrics.open--;
        tails.release();
      },
      delivered: (count) => {
        metrics.delivered += count;
      },
    };
    this.#router = new Router(this.#host);
  }

  #loadMcp(load: NonNullable<AppOptions["mcp"]>): Promise<McpFetch> {
    const { backend, maxBodyBytes, tails } = this.#host;
    return this.#mcp ??= load({
      backend,
      maxBodyBytes,
      takePlace: () => tails.take() ? () => tails.release() : null,
    });
  }

  async #openApi(): Promise<string> {
    const { openApi } = await import("./openapi.ts");
    return this.#document ??= JSON.stringify(openApi(this.#host));
  }

  #begun(tail: TailStream, { ended }: Grant): void {
    this.#open.add(tail);
    this.#host.metrics.open++;
    this.#host.metrics.streams++;
    if (ended !== undefined) tail.endOn(ended);
    if (!this.#stopping) return;
    tail.close();
    throw new HttpError(503, "Busy", "server is stopping", {
      hint: "Try again in a moment.",
      headers: [["retry-after", "1"], ["connection", "close"]],
    });
  }

  get streams(): number {
    return this.#open.size;
  }

  readonly fetch = async (request: Request): Promise<Response> => {
    let response: Response;
    try {
      response = await this.#answer(request);
    } catch (error) {
      response = this.#router.refuse(error);
      // Without that a client that is still sending may lose the answer to a reset.
      if (response.status === 401 || response.status === 403) await drain(request);
    }
    if (isHead(request)) response = await withoutBody(response);
    if (this.#cors) corsHeaders(response, request.headers.get("origin"), this.#guard);
    this.#host.metrics.request(isHead(request) ? "HEAD" : request.method, response.status);
    return response;
  };

  #answer(request: Request): Response | Promise<Response> {
    const { url, method } = request;
    if (method === "HEAD") routedAsGet(request);
    if (url === this.#appendUrl && method === "POST") {
      const refused = this.#guard.check(request, this.#appendAuthority);
      if (refused !== null) throw refused;
      return this.#router.append(request, this.#appendSegment);
    }
    const authority = authorityOf(url);
    const refused = this.#guard.check(request, authority);
    if (refused !== null) throw refused;
    if (method === "POST" && url.endsWith(APPEND)) {
      const start = url.indexOf("//") + 2 + authority.length;
      if (url.startsWith(POOLS, start)) {
        const segment = url.slice(start + POOLS.length, url.length - APPEND.length);
        if (!/[/?#]/.test(segment) && segment !== "") {
          this.#appendUrl = url;
          this.#appendAuthority = authority;
          this.#appendSegment = segment;
          return this.#router.append(request, segment);
        }
      }
    }
    if (this.#cors && method === "OPTIONS") return preflight();
    return this.#router.fetch(request);
  }

  readonly request = (path: string, init?: RequestInit): Promise<Response> =>
    this.fetch(new Request(new URL(path, "http://localhost"), init));

  readonly shutdown = async (): Promise<void> => {
    this.#stopping = true;
    for (const tail of [...this.#open]) tail.end();
    this.#host.bodies.close();
    if (this.#mcp !== null) await (await this.#mcp).close?.();
    await this.#host.appends.settled();
    this.#backend.close();
  };
}

/** The authenticator of the options, limited to `access`. */
function authenticatorOf(
  { access = "read-write", authenticator, token }: AppOptions,
): Authenticator {
  if (authenticator !== undefined) return capped(authenticator, access);
  return token === undefined ? anyone(access) : bearerToken(token, access);
}

async function loadPage(): Promise<ReadonlyMap<string, Asset>> {
  const { uiAssets } = await import("./ui/mod.ts");
  return await uiAssets();
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
