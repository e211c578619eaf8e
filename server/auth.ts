/**
 * Authentication: one small interface, implemented here for bearer tokens. The result is a grant
 * that accompanies the request.
 *
 * @module
 */

import { equalSecrets } from "../lib/access/key.ts";
import { checkToken } from "../lib/backend/http/token.ts";
import { poolName } from "../lib/backend/refs.ts";
import { accessGrant, accessOf, cappedGrant, mayUse, needsOf } from "../lib/grant.ts";
import type { Access, Grant, Need } from "../lib/types.ts";
import { HttpError } from "./errors.ts";
import type { HeaderPairs } from "./headers.ts";

export type { Access, Grant, Need };

/** The result of checking credentials: a grant, or the problem with them. */
export type Verdict = Grant | "missing" | "invalid";

/**
 * Decides who sent a request and what they may do.
 *
 * @example Give every key its own pool
 * ```ts
 * import { Client } from "@plasmite/core";
 * import { type Authenticator, createApp } from "@plasmite/core/server";
 *
 * const keys = new Map([["key-of-ci", "ci"], ["key-of-ops", "ops"]]);
 * const authenticator: Authenticator = {
 *   authenticate(request) {
 *     const own = keys.get(request.headers.get("x-api-key") ?? "");
 *     if (own === undefined) return "missing";
 *     return { subject: own, can: (need, pool) => need !== "admin" && (pool ?? own) === own };
 *   },
 * };
 * const app = createApp(new Client(Deno.makeTempDirSync()), { authenticator });
 * const response = await app.request("/v0/pools/ops/info", { headers: { "x-api-key": "key-of-ci" } });
 * console.assert(response.status === 403);
 * await app.shutdown();
 * ```
 */
export interface Authenticator {
  /** Checks the credentials of one request; called for every request. */
  authenticate(request: Request): Verdict | Promise<Verdict>;
  /** The error for a refused caller; default one about bearer tokens. */
  readonly denial?: ((verdict: "missing" | "invalid", request: Request) => Denial) | undefined;
}

/** The error for a caller without valid credentials, with status 401. */
export interface Denial {
  /** The message. */
  readonly message: string;
  /** The advice. */
  readonly hint: string;
  /** The `WWW-Authenticate` header; default none. */
  readonly challenge?: string;
}

/** Grants `access` to everyone. */
export function anyone(access: Access): Authenticator {
  const grant = accessGrant("anyone", access);
  return { authenticate: () => grant };
}

/**
 * Accepts `Authorization: Bearer <token>`, the scheme in any letter case (docs/spec/http-api.md 5).
 *
 * @param access what the token allows
 * @throws {PlasmiteError} Usage for a token that cannot be sent in a header
 */
export function bearerToken(token: string, access: Access = "read-write"): Authenticator {
  checkToken(token);
  const grant = accessGrant("token", access);
  return {
    authenticate({ headers }): Verdict {
      const authorization = headers.get("authorization");
      if (authorization === null) return "missing";
      if (authorization.slice(0, 7).toLowerCase() !== "bearer ") return "invalid";
      return equalSecrets(authorization.slice(7), token) ? grant : "invalid";
    },
  };
}

/** Restricts all grants of an authenticator to `access`. */
export function capped(authenticator: Authenticator, access: Access): Authenticator {
  if (access === "read-write") return authenticator;
  const cap = (verdict: Verdict): Verdict =>
    typeof verdict === "string" ? verdict : cappedGrant(verdict, access);
  return {
    authenticate(request) {
      const verdict = authenticator.authenticate(request);
      return verdict instanceof Promise ? verdict.then(cap) : cap(verdict);
    },
    denial: authenticator.denial?.bind(authenticator),
  };
}

function tokenDenial(verdict: "missing" | "invalid"): Denial {
  return {
    message: verdict === "missing" ? "missing bearer token" : "invalid bearer token",
    hint: "Send the header `Authorization: Bearer <token>`.",
    challenge: "Bearer",
  };
}

/**
 * The grant of a verdict.
 *
 * @throws {HttpError} 401 for credentials that are missing or wrong
 */
export function granted(verdict: Verdict, request: Request, auth: Authenticator): Grant {
  if (typeof verdict !== "string") return verdict;
  const { message, hint, challenge } = auth.denial?.(verdict, request) ?? tokenDenial(verdict);
  throw new HttpError(401, "Permission", message, {
    hint,
    headers: challenge === undefined ? [] : [["www-authenticate", challenge]],
  });
}

/**
 * Checks that a grant includes a right.
 *
 * @param pool the pool; without it the right on any pool is enough
 * @throws {HttpError} 403
 */
export function requireRight(grant: Grant, need: Need, pool?: string): void {
  // `jobs.plasmite` is the pool `jobs`; grants use only the short name.
  if (pool === undefined ? grant.can(need) : mayUse(grant, need, poolName(pool))) return;
  // Clients compare this text (docs/spec/http-api.md 5).
  const group = need === "read" ? "read" : "write";
  throw new HttpError(403, "Permission", `forbidden: access mode disallows ${group} operations`, {
    hint: "The operator of the server decides with --access and with the rights of keys.",
    ...(pool === undefined ? {} : { path: pool }),
  });
}

/**
 * Tells a page what its caller may do, so that it offers nothing else: as a value of `--access`, and
 * right by right (docs/spec/sharing.md 4).
 *
 * @param pool the pool; without it what is allowed on at least one
 */
export function rightsHeaders(grant: Grant, pool?: string): HeaderPairs {
  const name = pool === undefined ? pool : poolName(pool);
  return [
    ["plasmite-access", accessOf(grant, name) ?? "none"],
    ["plasmite-rights", needsOf(grant, name).join(" ")],
  ];
}
