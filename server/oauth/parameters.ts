/**
 * The input from OAuth clients: queries, forms and registrations (docs/spec/sharing.md 5).
 *
 * @module
 */

import { type BodyReader, isDeclared } from "../body.ts";
import { invalidRequest, type OAuthCode, OAuthError } from "./error.ts";

/** The maximum body size of a form or registration, in bytes. */
const LARGEST = 64 * 1024;
/** The maximum number of callbacks of a client. */
const MOST_CALLBACKS = 8;
/** The maximum length of a callback, in characters. */
const LONGEST_CALLBACK = 2048;
/** The maximum length of a client's name, in bytes. */
const LONGEST_NAME = 128;
const DEFAULT_NAME = "MCP client";

/** The parameters of a query or form. */
export class Parameters {
  readonly #values = new Map<string, readonly string[]>();

  /**
   * Parses the parameters.
   *
   * @param repeatable the only parameter that may occur more than once
   * @throws {OAuthError} if another one is repeated
   */
  constructor(text: string, repeatable?: string) {
    for (const [name, value] of new URLSearchParams(text)) {
      const before = this.#values.get(name) ?? [];
      if (before.length > 0 && name !== repeatable) throw invalidRequest();
      this.#values.set(name, [...before, value]);
    }
  }

  /** A parameter, or null. */
  get(name: string): string | null {
    return this.#values.get(name)?.[0] ?? null;
  }

  /** All values of a parameter. */
  all(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /**
   * A required parameter.
   *
   * @throws {OAuthError}
   */
  need(name: string): string {
    const value = this.get(name);
    if (value === null || value === "") throw invalidRequest();
    return value;
  }
}

/** The body of a request as text. */
async function bodyText(
  request: Request,
  bodies: BodyReader,
  type: "json" | "form",
  code: OAuthCode,
): Promise<string> {
  const bytes = await bodies.read(request);
  try {
    if (!isDeclared(request, type)) throw new OAuthError(415, code);
    if (bytes.length > LARGEST) throw new OAuthError(413, code);
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) throw new OAuthError(400, code); // Not UTF-8.
    throw error;
  } finally {
    bodies.done(bytes);
  }
}

/**
 * Reads a form.
 *
 * @throws {OAuthError}
 */
export async function readForm(request: Request, bodies: BodyReader): Promise<Parameters> {
  return new Parameters(await bodyText(request, bodies, "form", "invalid_request"));
}

/** A client's registration. */
export interface Registration {
  readonly name: string;
  readonly redirectUris: readonly string[];
}

function badMetadata(): OAuthError {
  return new OAuthError(400, "invalid_client_metadata");
}

/** Whether a callback is allowed: https, or plain HTTP on the browser's own machine. */
function isCallback(uri: unknown): uri is string {
  if (typeof uri !== "string" || uri.length > LONGEST_CALLBACK) return false;
  if (!/^[\x21-\x7e]+$/.test(uri) || uri.includes("#") || !URL.canParse(uri)) return false;
  const { protocol, hostname, username, password } = new URL(uri);
  if (username !== "" || password !== "" || /^[^/]*\/\/[^/?]*@/.test(uri)) return false;
  if (protocol === "https:") return true;
  const loopback = hostname === "localhost" || hostname === "[::1]" ||
    /^127\.\d+\.\d+\.\d+$/.test(hostname);
  return protocol === "http:" && loopback;
}

function nameOf(given: unknown): string {
  if (given === undefined || given === null) return DEFAULT_NAME;
  if (typeof given !== "string" || /\p{Cc}/u.test(given)) throw badMetadata();
  const { length } = new TextEncoder().encode(given);
  if (length < 1 || length > LONGEST_NAME) throw badMetadata();
  return given;
}

/**
 * Reads a registration.
 *
 * @throws {OAuthError}
 */
export async function readRegistration(
  request: Request,
  bodies: BodyReader,
): Promise<Registration> {
  const text = await bodyText(request, bodies, "json", "invalid_client_metadata");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw badMetadata();
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw badMetadata();
  const { client_name, redirect_uris, token_endpoint_auth_method: method = "none" } = value as {
    readonly [name: string]: unknown;
  };
  if (method !== "none" || !Array.isArray(redirect_uris)) throw badMetadata();
  if (redirect_uris.length < 1 || redirect_uris.length > MOST_CALLBACKS) throw badMetadata();
  if (!redirect_uris.every(isCallback)) throw badMetadata();
  return { name: nameOf(client_name), redirectUris: redirect_uris };
}
