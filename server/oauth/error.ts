/**
 * Errors in OAuth format: `{"error":"code"}` instead of the envelope (docs/spec/sharing.md 5).
 *
 * @module
 */

import { HttpError } from "../errors.ts";
import type { HeaderPairs } from "../headers.ts";

/** The error codes that clients understand. */
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

/** A request refused with an OAuth error. */
export class OAuthError extends HttpError {
  override readonly body: string;

  /** Creates an error for the client. */
  constructor(status: number, readonly code: OAuthCode, headers: HeaderPairs = []) {
    super(status, status === 429 ? "Busy" : "Permission", code, { headers });
    this.body = JSON.stringify({ error: code });
  }
}

/** A request with wrong, missing or repeated parameters. */
export function invalidRequest(): OAuthError {
  return new OAuthError(400, "invalid_request");
}

/** Too many requests. */
export function tooMany(seconds: number): OAuthError {
  return new OAuthError(429, "temporarily_unavailable", [["retry-after", String(seconds)]]);
}
