/**
 * Who may call: one small interface, with the bearer token as its first implementation.
 *
 * @module
 */

import { checkToken } from "../lib/backend/http/token.ts";
import { HttpError } from "./errors.ts";

/** What callers may do. */
export type Access = "read-only" | "write-only" | "read-write";

/** What a route does. */
export type Need = "read" | "write";

/** The outcome of a look at the credentials. */
export type Verdict = "accepted" | "missing" | "invalid";

/** Decides whether a request's credentials are good. */
export interface Authenticator {
  /**
   * Looks at the credentials of one request.
   *
   * @param authorization the `Authorization` header, or null
   * @param request the whole request, for schemes that need more
   */
  authenticate(authorization: string | null, request: Request): Verdict | Promise<Verdict>;
}

/** Compares without ending early; only the length of `given` shows in the time it takes. */
export function equalSecrets(given: string, secret: string): boolean {
  let difference = given.length ^ secret.length;
  for (let i = 0; i < given.length; i++) {
    difference |= given.charCodeAt(i) ^ secret.charCodeAt(i % Math.max(1, secret.length));
  }
  return difference === 0;
}

/**
 * Accepts `Authorization: Bearer <token>`, the scheme in any letter case (docs/spec/http-api.md 5).
 *
 * @throws {PlasmiteError} Usage for a token that nobody could send
 */
export function bearerToken(token: string): Authenticator {
  checkToken(token);
  return {
    authenticate(authorization): Verdict {
      if (authorization === null) return "missing";
      if (authorization.slice(0, 7).toLowerCase() !== "bearer ") return "invalid";
      return equalSecrets(authorization.slice(7), token) ? "accepted" : "invalid";
    },
  };
}

/** The refusal for a verdict, or null. */
export function refusal(verdict: Verdict): HttpError | null {
  if (verdict === "accepted") return null;
  return new HttpError(
    401,
    "Permission",
    verdict === "missing" ? "missing bearer token" : "invalid bearer token",
    {
      hint: "Send `Authorization: Bearer <token>`; with the command line use --token-file.",
      headers: [["www-authenticate", "Bearer"]],
    },
  );
}

/** The refusal when the access mode forbids it, or null. */
export function forbidden(access: Access, need: Need | null): HttpError | null {
  if (need === null || access === "read-write") return null;
  if (access === (need === "read" ? "read-only" : "write-only")) return null;
  return new HttpError(
    403,
    "Permission",
    `forbidden: access mode disallows ${need} operations`,
    { hint: `The server runs with --access ${access}.` },
  );
}
