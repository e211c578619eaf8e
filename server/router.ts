/**
 * From a request to the handler of its route: credentials, then rights, then the pool's name
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

/** Checked names that are remembered. */
const NAMES_KEPT = 1000;

const APPEND: readonly Need[] = ["append"];
const NOBODY: Grant = { subject: "nobody", can: () => false };

function localOnly(): HttpError {
  return new HttpError(401, "Permission", "access administration is local only", {
    hint: "Use `plasmite access` on the machine of the server.",
  });
}

const WORK: readonly Need[] = ["read", "append"];

/** The rights that a route needs; none if credentials are enough. */
function needsOf({ access }: Route): readonly Need[] {
  return access === "work" ? WORK : access === "any" || access === "open" ? [] : [access];
}

/** A name as it was given, and as rights know it. */
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
    // The path is matched as it was sent: a route's words are written out, a name is decoded once.
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
        if (route.access === "open") open.add(path);
        methods.push(...(route.method === "GET" ? ["GET", "HEAD"] : [route.method]));
      }
    }
    for (const [path, methods] of allowed) {
      hono.all(path, async ({ req }) => {
        // Strangers are not even told what there is.
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

  /** Answers a request; errors of handlers are answers too. */
  fetch(request: Request): Response | Promise<Response> {
    return this.#hono.fetch(request);
  }

  /**
   * `POST …/append` without the router: the one route that is called tens of thousands of times a
   * second. What it throws is for {@linkcode Router.refuse}.
   */
  append(request: Request, segment: string): Promise<Response> {
    const { appends } = this.#host;
    const grant = this.#admit(request, APPEND);
    const append = (late: Grant): Promise<Response> =>
      appends.json(request, this.#pool(segment, late, APPEND), late);
    return grant instanceof Promise ? grant.then(append) : append(grant);
  }

  /** The answer for any exception; bugs are told to the operator. */
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
   * Credentials, then rights. No promise when that is settled at once.
   *
   * @param needs what the caller must be allowed on some pool at least
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
   * The pool that a segment of the path names, if the caller may do this with it. Names repeat: a
   * segment that was good once is good.
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
 * The pool's name as it was sent: what stands behind the first `pools` of the path, as all routes have
 * it. Hono leaves invalid UTF-8 as it is and decodes the rest; the raw segment tells them apart.
 */
function segmentOf(request: Request): string {
  const segments = pathOf(request.url).split("/");
  return segments[segments.indexOf("pools") + 1] ?? "";
}
