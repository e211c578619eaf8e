/**
 * Routes requests to their handlers; checks credentials, then rights, then the name of the pool
 * (docs/spec/http-api.md 3, 5).
 *
 * @module
 */

import { type Context, Hono } from "hono";
import { poolName } from "../lib/backend/refs.ts";
import type { Grant, Need } from "../lib/types.ts";
import { granted, requireRight, type Verdict } from "./auth.ts";
import { errorResponse, HttpError, isServerFault } from "./errors.ts";
import { checkPoolName, decodeSegment } from "./names.ts";
import { ROUTES } from "./routes/mod.ts";
import type { Route, RouteHost } from "./routes/route.ts";
import { pathOf, searchOf } from "./url.ts";

/** How many checked names are cached. */
const NAMES_KEPT = 1000;

const APPEND: readonly Need[] = ["append"];
const NOBODY: Grant = { subject: "nobody", can: () => false };

function localOnly(): HttpError {
  return new HttpError(401, "Permission", "access administration is local only", {
    hint: "Use `plasmite access` on the machine of the server.",
  });
}

const WORK: readonly Need[] = ["read", "append"];

/** The rights that a route requires; none if valid credentials are enough. */
function needsOf({ access }: Route): readonly Need[] {
  return access === "work" ? WORK : access === "any" || access === "open" ? [] : [access];
}

/** The name of a pool as given, and the short form for grants. */
interface PoolName {
  readonly given: string;
  readonly bare: string;
}

/** Routes the requests of one server. */
export class Router {
  readonly #hono: Hono;
  readonly #host: RouteHost;
  readonly #names = new Map<string, PoolName>();

  /** Registers every route that the server has. */
  constructor(host: RouteHost) {
    this.#host = host;
    // The path is matched as it was sent, and the name of a pool is decoded only once.
    const hono = this.#hono = new Hono({ getPath: (request) => pathOf(request.url) });
    hono.onError((error) => this.refuse(error));
    hono.notFound(() =>
      errorResponse(
        new HttpError(404, "NotFound", "no such route", { hint: "See /v0/openapi.json." }),
      )
    );
    const allowed = new Map<string, string[]>();
    const open = new Set<string>();
    for (const route of ROUTES) {
      if (route.served?.(host) === false) continue;
      for (const template of route.paths) {
        const path = template.replaceAll(/\{(\w+)\}/g, ":$1");
        hono.on(route.method, path, (c) => this.#answer(route, c));
        const methods = allowed.get(path) ?? [];
        allowed.set(path, methods);
        // Agents try methods before they have credentials (docs/spec/sharing.md 5).
        if (route.access === "open" || path === "/mcp") open.add(path);
        methods.push(...(route.method === "GET" ? ["GET", "HEAD"] : [route.method]));
      }
    }
    for (const [path, methods] of allowed) {
      hono.all(path, async ({ req }) => {
        // Without credentials, not even the allowed methods are revealed.
        if (host.administration === "elsewhere" && !open.has(path)) {
          await this.#admit(req.raw, []);
        }
        throw new HttpError(405, "Usage", "method not allowed", {
          hint: "See /v0/openapi.json.",
          headers: [["allow", methods.join(",")]],
        });
      });
    }
  }

  /** Handles a request; errors of handlers become responses. */
  fetch(request: Request): Response | Promise<Response> {
    return this.#hono.fetch(request);
  }

  /**
   * Handles `POST …/append` without the router, because it can be called tens of thousands of times
   * per second. Pass errors to {@linkcode Router.refuse}.
   */
  append(request: Request, segment: string): Promise<Response> {
    const { appends } = this.#host;
    const grant = this.#admit(request, APPEND);
    const append = (late: Grant): Promise<Response> =>
      appends.json(request, this.#pool(segment, late, APPEND), late);
    return grant instanceof Promise ? grant.then(append) : append(grant);
  }

  /** The response for any exception; reports bugs to the operator. */
  refuse(error: unknown): Response {
    if (isServerFault(error)) this.#host.fault(error);
    return errorResponse(error);
  }

  async #answer(route: Route, context: Context): Promise<Response> {
    const request = context.req.raw;
    if (route.local === true && this.#host.administration === "elsewhere") throw localOnly();
    const needs = needsOf(route);
    const grant = route.access === "open" ? NOBODY : await this.#admit(request, needs);
    const pool = context.req.param("pool") === undefined
      ? ""
      : this.#pool(segmentOf(request), grant, needs);
    const part = (name: string): string => context.req.param(name) ?? "";
    const call = { request, grant, search: searchOf(request.url), pool, part };
    return await route.handler(call, this.#host);
  }

  /**
   * Checks credentials, then rights. Returns a promise only if the authenticator does.
   *
   * @param needs the rights that the caller must have on at least one pool
   * @throws {HttpError} 401, 403
   */
  #admit(request: Request, needs: readonly Need[]): Grant | Promise<Grant> {
    const { auth } = this.#host;
    const admitted = (verdict: Verdict): Grant => {
      const grant = granted(verdict, request, auth);
      for (const need of needs) requireRight(grant, need);
      return grant;
    };
    const verdict = auth.authenticate(request);
    return verdict instanceof Promise ? verdict.then(admitted) : admitted(verdict);
  }

  /**
   * The pool that a path segment names, if the caller has the rights. Valid segments are cached.
   *
   * @throws {HttpError} 400, 403
   */
  #pool(segment: string, grant: Grant, needs: readonly Need[]): string {
    let name = this.#names.get(segment);
    if (name === undefined) {
      const given = checkPoolName(decodeSegment(segment));
      name = { given, bare: poolName(given) };
      if (this.#names.size >= NAMES_KEPT) this.#names.clear();
      this.#names.set(segment, name);
    }
    for (const need of needs) {
      if (!grant.can(need, name.bare)) requireRight(grant, need, name.given);
    }
    return name.given;
  }
}

/**
 * The name of the pool as it was sent: the segment after the first `pools` in the path. Hono
 * decodes segments but leaves invalid UTF-8 as it is; only the raw segment shows the difference.
 */
function segmentOf(request: Request): string {
  const segments = pathOf(request.url).split("/");
  return segments[segments.indexOf("pools") + 1] ?? "";
}
