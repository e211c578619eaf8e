/**
 * Who calls the remote listener: the token of `--token-file`, or an access key
 * (docs/spec/sharing.md 1.2).
 *
 * @module
 */

import { accessGrant } from "../../lib/grant.ts";
import { equalSecrets } from "../../lib/access/key.ts";
import type { Authenticator, Denial, Verdict } from "../auth.ts";
import type { KeyStore } from "./keys.ts";

/** Texts that clients of 1.x know. */
const DENIALS: { readonly [verdict in "missing" | "invalid"]: Denial } = {
  missing: {
    message: "missing access key",
    hint: "Save the key for this address once: plasmite access connect URL.",
  },
  invalid: {
    message: "invalid access key",
    hint: "It is mistyped, revoked or expired, or for another server. Ask for a new one.",
  },
};

/**
 * Accepts `Authorization: Bearer` with the secret of a key, or with the token.
 *
 * @param token a further bearer value; null for none
 */
export function keyAuthenticator(keys: KeyStore, token: string | null): Authenticator {
  const tokenGrant = accessGrant("token", "read-write");
  return {
    authenticate({ headers }): Verdict {
      const authorization = headers.get("authorization");
      if (authorization === null) return "missing";
      if (authorization.slice(0, 7).toLowerCase() !== "bearer ") return "invalid";
      const given = authorization.slice(7);
      if (token !== null && equalSecrets(given, token)) return tokenGrant;
      return keys.find(given) ?? "invalid";
    },
    denial: (verdict) => DENIALS[verdict],
  };
}
