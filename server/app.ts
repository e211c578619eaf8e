/**
 * The HTTP server as a function from request to response: usable in-process, under `Deno.serve`, or
 * inside another server.
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
  type Grant,
  type Need,
  type Verdict,
} from "./auth.ts";
import { BodyReader } from "./body.ts";
import { HttpError } from "./errors.ts";
import { corsHeaders, Guard, normalizeOrigin, preflight } from "./guard.ts";
import { isHead, routedAsGet, withoutBody } from "./head.ts";
import { Metrics } from "./metrics.ts";
import type { Asset } from "./page.ts";
import { Router } from "./router.ts";
import type { McpFetch, McpLimits, RouteHost } from "./routes/route.ts";
import type { TailStream } from "./tail.ts";

export type { Access, Asset, Authenticator, Grant, McpFetch, McpLimits, Need, Verdict };

/** How to serve; everything has a safe default. */
export interface AppOptions {
  /** The bearer token that callers need; default none. What it allows is `access`. */
  readonly token?: string | undefined;
  /** Another way to tell who calls and what they may do; wins over `token`. */
  readonly authenticator?: Authenticator | undefined;
  /** The most that any caller may do; default `read-write`. */
  readonly access?: Access;
  /**
   * Answer only to loopback names and `allowHosts` (protection from DNS rebinding); default true.
   * Set it to false for a server that other machines reach by names of their own.
   */
  readonly loopbackOnly?: boolean;
  /** Further `Host` names to answer to, without port. */
  readonly allowHosts?: readonly string[];
  /**
   * What the runtime makes up for a request without a `Host`, such as `localhost:9700`; with it such
   * requests are refused. Default: that is not known.
   */
  readonly inventedHost?: () => string | null;
  /** Exact origins whose pages may call. */
  readonly corsOrigins?: readonly string[];
  /** The largest request body in bytes; default 1 MiB. */
  readonly maxBodyBytes?: number;
  /** The longest tail in milliseconds; default 30000. */
  readonly maxTailTimeoutMs?: number;
  /** Streams at once, and storage calls at once; default 64. */
  readonly maxTailConcurrency?: number;
  /** How often a quiet stream sends a heartbeat, in milliseconds; default 10000. */
  readonly heartbeatMs?: number;
  /** How long a request body may stand still, in milliseconds; default 30000. */
  readonly bodyIdleMs?: number;
  /**
   * How long a request body may take in all, in milliseconds, unless it flows at 8 KiB a second or
   * faster; default 60000.
   */
  readonly bodyTotalMs?: number;
  /**
   * What all request bodies together may take, in bytes; then further ones are refused with 503.
   * Default 64 MiB, and never less than one body may have.
   */
  readonly maxBodiesBytes?: number;
  /**
   * How long a reader may leave data untaken after its stream's time is over, in milliseconds; then
   * it is cut off. Default 5000.
   */
  readonly readerGraceMs?: number;
  /** What `/v0/serve/status` answers; without it the route is not there. */
  readonly status?: () => unknown;
  /** Told of failures that are bugs; clients see only `internal error`. Default: nobody. */
  readonly onFault?: (error: unknown) => void;
  /** Loads the web page; default ours. */
  readonly ui?: () => Promise<ReadonlyMap<string, Asset>>;
  /** Loads the Model Context Protocol at the first request to `/mcp`; without it there is none. */
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

/** A server without a socket. */
export interface App {
  /** Answers one request; never throws. */
  fetch(request: Request): Promise<Response>;
  /** Answers a request made from a path, as tests do. */
  request(path: string, init?: RequestInit): Promise<Response>;
  /** Streams open now. */
  readonly streams: number;
  /** Ends all streams at once, finishes running appends, closes the files. */
  shutdown(): Promise<void>;
}

/** The address a request was sent to, as its URL has it. */
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
  /** The last append's URL and its parts: the common case is one client that repeats itself. */
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
      begun: (tail) => this.#begun(tail),
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
    const { maxBodyBytes, tails } = this.#host;
    return this.#mcp ??= load({
      maxBodyBytes,
      takePlace: () => tails.take() ? () => tails.release() : null,
    });
  }

  async #openApi(): Promise<string> {
    const { openApi } = await import("./openapi.ts");
    return this.#document ??= JSON.stringify(openApi(this.#host));
  }

  #begun(tail: TailStream): void {
    this.#open.add(tail);
    this.#host.metrics.open++;
    this.#host.metrics.streams++;
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

  async fetch(request: Request): Promise<Response> {
    let response: Response;
    try {
      response = await this.#answer(request);
    } catch (error) {
      response = this.#router.refuse(error);
    }
    if (isHead(request)) response = await withoutBody(response);
    if (this.#cors) corsHeaders(response, request.headers.get("origin"), this.#guard);
    this.#host.metrics.request(isHead(request) ? "HEAD" : request.method, response.status);
    return response;
  }

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

  request(path: string, init?: RequestInit): Promise<Response> {
    return this.fetch(new Request(new URL(path, "http://localhost"), init));
  }

  async shutdown(): Promise<void> {
    this.#stopping = true;
    for (const tail of [...this.#open]) tail.end();
    this.#host.bodies.close();
    if (this.#mcp !== null) await (await this.#mcp).close?.();
    await this.#host.appends.settled();
    this.#backend.close();
  }
}

/** Who may call, within what `access` allows at most. */
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
 * Makes a server for the pools of a client.
 *
 * @example
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
 * @throws {PlasmiteError} Usage for an unknown option, and for an origin that is none
 */
export function createApp(client: Client, options?: AppOptions): App {
  return new Server(client, checkOptions(options, "createApp", KINDS));
}
