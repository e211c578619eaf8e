/**
 * Authenticates callers of the remote listener, by the token of `--token-file` or an access key
 * (docs/spec/sharing.md 1.2).
 *
 * @module
 */

import { accessGrant } from "../../lib/grant.ts";
import { equalSecrets } from "../../lib/access/key.ts";
import type { Authenticator, Denial, Verdict } from "../auth.ts";
import { requireOwnOrigin } from "../guard.ts";
import type { OAuth } from "../oauth/oauth.ts";
import { pathOf } from "../url.ts";
import type { KeyStore } from "./keys.ts";
import { type BrowserSessions, sessionToken } from "./sessions.ts";

/** Messages that 1.x clients recognize. */
const DENIALS: { readonly [verdict in "missing" | "invalid" | "ended"]: Denial } = {
  missing: {
    message: "missing access key",
    hint: "Save the key for this address once: plasmite access connect URL.",
  },
  invalid: {
    message: "invalid access key",
    hint: "It is mistyped, revoked or expired, or for another server. Ask for a new one.",
  },
  ended: {
    message: "browser session ended",
    hint: "Sign in again with an access key.",
  },
};

/** The paths on which browser cookies are accepted: pools, their streams and the session check. */
const FOR_BROWSERS = /^\/v0\/(?:pools|ui\/(?:pools|streams))(?:\/|$)|^\/v0\/browser\/session$/;

/** The path on which OAuth tokens are accepted. */
const AGENTS = "/mcp";

/** The token of a browser's cookie, if accepted: only for pools and without other credentials. */
function cookieOf(request: Request): string | null {
  if (request.headers.has("authorization") || !FOR_BROWSERS.test(pathOf(request.url))) return null;
  return sessionToken(request);
}

/**
 * Accepts `Authorization: Bearer` with the secret of a key or with the token, and browser cookies;
 * on `/mcp` also OAuth tokens.
 *
 * @param token an additional bearer value; null for none
 * @param sessions signed-in browsers; null if sign-in is not supported
 * @param oauth approved clients; null if OAuth is not supported
 */
export function keyAuthenticator(
  keys: KeyStore,
  token: string | null,
  sessions: BrowserSessions | null,
  oauth: OAuth | null,
): Authenticator {
  const tokenGrant = accessGrant("token", "read-write");
  /** On `/mcp`, the error says where to get a token. */
  const refused = (request: Request, verdict: Verdict): Verdict => {
    if (oauth !== null && pathOf(request.url) === AGENTS) throw oauth.refusal();
    return verdict;
  };
  return {
    authenticate(request): Verdict {
      const authorization = request.headers.get("authorization");
      if (authorization === null) {
        const cookie = sessions === null ? null : cookieOf(request);
        if (cookie === null) return refused(request, "missing");
        requireOwnOrigin(request);
        return sessions?.find(cookie) ?? "missing";
      }
      if (authorization.slice(0, 7).toLowerCase() !== "bearer ") return refused(request, "invalid");
      const given = authorization.slice(7);
      if (token !== null && equalSecrets(given, token)) return tokenGrant;
      const key = keys.find(given);
      if (key !== null) return key;
      const agent = pathOf(request.url) === AGENTS ? oauth?.find(given) ?? null : null;
      return agent ?? refused(request, "invalid");
    },
    denial: (verdict, request) =>
      DENIALS[verdict === "missing" && cookieOf(request) !== null ? "ended" : verdict],
  };
}
