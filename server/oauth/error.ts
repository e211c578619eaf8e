/**
 * Errors as OAuth has them: `{"error":"code"}` instead of the envelope (docs/spec/sharing.md 5).
 *
 * @module
 */

import { HttpError } from "../errors.ts";
import type { HeaderPairs } from "../headers.ts";

/** The codes that clients know. */
export type OAuthCode =
  | "access_denied"
  | "invalid_client"
  | "invalid_client_metadata"
  | "invalid_grant"
  | "invalid_request"
  | "invalid_target"
  | "invalid_token"
  | "temporarily_unavailable"
  | "unsupported_grant_type";

/** A request that is refused in the words of OAuth. */
export class OAuthError extends HttpError {
  override readonly body: string;

  /** Makes an error for the client. */
  constructor(status: number, readonly code: OAuthCode, headers: HeaderPairs = []) {
    super(status, status === 429 ? "Busy" : "Permission", code, { headers });
    this.body = JSON.stringify({ error: code });
  }
}

/** A request with wrong, missing or repeated parameters. */
export function invalidRequest(): OAuthError {
  return new OAuthError(400, "invalid_request");
}

/** Too much at once. */
export function tooMany(seconds: number): OAuthError {
  return new OAuthError(429, "temporarily_unavailable", [["retry-after", String(seconds)]]);
}
