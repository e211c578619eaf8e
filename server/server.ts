/**
 * The one implementation of {@linkcode App}: what the routes of a server share, and the way of a
 * request through guard and router.
 *
 * @module
 */

import { ServingBackend } from "../lib/backend/serving.ts";
import { Slots } from "../lib/backend/local/slots.ts";
import type { Backend } from "../lib/backend/types.ts";
import type { Client } from "../lib/client/client.ts";
import { holdWorkers } from "../lib/filter/holders.ts";
import type { Administration } from "./access/administration.ts";
import type { App, AppOptions } from "./app.ts";
import { Appends, MessagePrinter } from "./append.ts";
import { anyone, type Authenticator, bearerToken, capped, type Grant } from "./auth.ts";
import { BodyReader, drain } from "./body.ts";
import { Bundles } from "./bundle.ts";
import { stopping } from "./errors.ts";
import { corsHeaders, Guard, normalizeOrigin, preflight } from "./guard.ts";
import { routedAsGet, withoutBody } from "./head.ts";
import { MountedBackend, type Mounts } from "./mounts.ts";
import { Histograms } from "./histogram.ts";
import { Metrics } from "./metrics.ts";
import type { OAuth } from "./oauth/oauth.ts";
import type { Asset } from "./page.ts";
import { Router } from "./router.ts";
import type { Browser, McpFetch, RouteHost } from "./routes/route.ts";
import type { TailStream } from "./tail.ts";
import { authorityOf, pathOf } from "./url.ts";

const POOLS = "/v0/pools/";
const APPEND = "/append";

/** Whose pools are served: a client, or as much as is needed of one. */
export type PoolDirectory = Pick<Client, "poolDir">;

/** What the listeners of the program have besides. */
export interface ServerOptions extends AppOptions {
  /**
   * Administers access keys on a listener that only this machine reaches; `elsewhere` for one of
   * others, which refuses to. Default: the routes do not exist.
   */
  readonly administration?: (() => Promise<Administration>) | "elsewhere" | undefined;
  /**
   * Browsers that sign in; `local` on a listener where they need not. Default: the routes do not
   * exist.
   */
  readonly browser?: Browser | "local" | undefined;
  /** OAuth for agents; default none. */
  readonly oauth?: OAuth | undefined;
  /** Streams to serve besides the pools of the directory. */
  readonly mounts?: Mounts | undefined;
  /** When the server started, in milliseconds since 1970; default now. */
  readonly since?: number;
}

/** A server without a socket. */
export class Server implements App {
  readonly #guard: Guard;
  readonly #cors: boolean;
  readonly #oauth: OAuth | null;
  readonly #router: Router;
  readonly #host: RouteHost;
  readonly #backend: ServingBackend;
  #mcp: Promise<McpFetch> | null = null;
  readonly #open = new Set<TailStream>();
  #document: string | null = null;
  readonly #stopping = new AbortController();
  /** Requests that are not answered yet. */
  #running = 0;
  readonly #settled: (() => void)[] = [];
  readonly #releaseWorkers = holdWorkers();
  /**
   * The URL of the last append and its parts, for the common case of one client that repeats it.
   */
  #appendUrl = "";
  #appendAuthority = "";
  #appendSegment = "";

  constructor(client: PoolDirectory, options: ServerOptions) {
    const limit = options.maxTailConcurrency ?? 64;
    const maxBodyBytes = options.maxBodyBytes ?? 1 << 20;
    const corsOrigins = [...new Set((options.corsOrigins ?? []).map(normalizeOrigin))];
    this.#cors = corsOrigins.length > 0;
    this.#oauth = options.oauth ?? null;
    this.#guard = new Guard({
      loopbackOnly: options.loopbackOnly ?? true,
      allowHosts: options.allowHosts ?? [],
      corsOrigins,
      inventedHost: options.inventedHost,
    });
    const serving = this.#backend = new ServingBackend(client.poolDir, { limit });
    const { mounts } = options;
    // Without mounts the fast path of local pools is as short as it can be.
    const backend: Backend = mounts === undefined || mounts.size === 0
      ? serving
      : new MountedBackend(serving, mounts);
    const metrics = new Metrics(options.since);
    const tails = new Slots(limit);
    const directory = new Slots(limit);
    const printer = new MessagePrinter();
    const bodies = new BodyReader(maxBodyBytes, {
      idleMs: options.bodyIdleMs,
      totalMs: options.bodyTotalMs,
      together: options.maxBodiesBytes,
    });
    const { mcp } = options;
    const fault = options.onFault ?? (() => {});
    this.#host = {
      backend,
      appends: new Appends(backend, bodies, printer, metrics),
      printer,
      metrics,
      tails,
      bundles: new Bundles(),
      directory,
      bodies,
      maxBodyBytes,
      auth: authenticatorOf(options),
      maxTailTimeoutMs: options.maxTailTimeoutMs ?? 30_000,
      heartbeatMs: options.heartbeatMs ?? 10_000,
      readerGraceMs: options.readerGraceMs ?? 5_000,
      status: options.status ?? null,
      administration: options.administration ?? null,
      browser: options.browser ?? null,
      ui: options.ui ?? loadPage,
      mcp: mcp === undefined ? null : () => this.#loadMcp(mcp),
      openApi: () => this.#openApi(),
      histograms: new Histograms(serving, this.#stopping.signal, fault),
      followers: (pool) => serving.followers(pool),
      followed: () => serving.followed(),
      calls: () => directory.used + serving.calls,
      stopping: this.#stopping.signal,
      fault,
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
    if (!this.#stopping.signal.aborted) return;
    tail.close();
    throw stopping();
  }

  get streams(): number {
    return this.#open.size;
  }

  readonly fetch = async (request: Request): Promise<Response> => {
    this.#running++;
    try {
      const { method } = request;
      let response: Response;
      try {
        response = await this.#answer(request);
      } catch (error) {
        response = this.#router.refuse(error);
        // Without that a client that is still sending may lose the answer to a reset.
        if ([401, 403, 429].includes(response.status)) await drain(request);
      }
      if (method === "HEAD") response = await withoutBody(response);
      if (this.#cors) corsHeaders(response, request.headers.get("origin"), this.#guard);
      this.#host.metrics.request(method, response.status);
      return response;
    } finally {
      if (--this.#running === 0) { for (const settle of this.#settled.splice(0)) settle(); }
    }
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
    if (refused !== null) throw this.#oauth?.foreign(pathOf(url)) ?? refused;
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
    if (this.#oauth !== null) {
      const path = pathOf(url);
      if (this.#oauth.handles(path)) return this.#oauth.answer(request, path, this.#host.bodies);
    }
    return this.#router.fetch(request);
  }

  readonly request = (path: string, init?: RequestInit): Promise<Response> =>
    this.fetch(new Request(new URL(path, "http://localhost"), init));

  readonly shutdown = async (): Promise<void> => {
    this.#stopping.abort(stopping());
    for (const tail of [...this.#open]) tail.end();
    this.#releaseWorkers();
    this.#host.bodies.close();
    if (this.#mcp !== null) await (await this.#mcp).close?.();
    await this.#host.histograms.close();
    if (this.#running > 0) await new Promise<void>((resolve) => this.#settled.push(resolve));
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
