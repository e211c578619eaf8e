/**
 * Keeps web pages out that are not ours: Host and Origin checks on every route
 * (docs/spec/http-api.md 7).
 *
 * A page elsewhere can reach a server on this machine by DNS rebinding, by forms, images and
 * `no-cors` requests. The first shows in the Host, the others in Origin or Sec-Fetch-Site.
 *
 * @module
 */

import { PlasmiteError } from "../lib/errors.ts";
import { HttpError } from "./errors.ts";

/** A host name or address and a port, nothing else: no user, no path. */
const AUTHORITY = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::([0-9]{1,5}))?$/;
const LOOPBACK = /^(?:localhost|\[::1\]|127\.\d{1,3}\.\d{1,3}\.\d{1,3})$/;

/** What the guard lets in. */
export interface GuardOptions {
  /** Only loopback names and `allowHosts`; for servers that listen on a loopback address. */
  readonly loopbackOnly: boolean;
  /** Further host names, without port. */
  readonly allowHosts: readonly string[];
  /** Origins whose pages may call, normalised by {@linkcode normalizeOrigin}. */
  readonly corsOrigins: readonly string[];
}

/** Answers for one server whether a request may come in. */
export class Guard {
  readonly #hosts: ReadonlySet<string>;
  readonly #origins: ReadonlySet<string>;
  readonly #loopbackOnly: boolean;
  #goodHost: string | null = null;
  #goodAuthority = "";

  /** Prepares the checks. */
  constructor(options: GuardOptions) {
    this.#loopbackOnly = options.loopbackOnly;
    this.#hosts = new Set(options.allowHosts.map((name) => name.toLowerCase()));
    this.#origins = new Set(options.corsOrigins);
  }

  /** Whether pages of this origin may call. */
  allows(origin: string): boolean {
    return this.#origins.has(origin);
  }

  /**
   * Whether the request must be refused, and how. `request.url` names a host of its own: it is
   * made up without a Host header, and taken from an absolute request line
   * (docs/spec/http-api.md 13).
   */
  check(request: Request, authority: string): HttpError | null {
    const { headers } = request;
    const host = headers.get("host");
    // The common case is one client that repeats itself.
    if (authority !== this.#goodAuthority || host !== this.#goodHost || authority === "") {
      const refused = this.#checkHosts(host, authority);
      if (refused !== null) return refused;
      this.#goodHost = host;
      this.#goodAuthority = authority;
    }
    const origin = headers.get("origin");
    if (origin !== null) return this.#checkOrigin(origin, host ?? authority, request.method);
    const site = headers.get("sec-fetch-site");
    if (site === null || site === "same-origin" || site === "none") return null;
    if (headers.get("sec-fetch-mode") === "navigate" && request.method === "GET") return null;
    return new HttpError(403, "Permission", "cross-site request refused", {
      hint: "Pages of other origins need --cors-origin and a CORS request.",
    });
  }

  #checkHosts(host: string | null, authority: string): HttpError | null {
    const names = host === null ? [authority] : [host, authority];
    for (const name of names) {
      const match = AUTHORITY.exec(name.toLowerCase());
      if (match === null) {
        return new HttpError(400, "Usage", "invalid host", {
          hint: "Send the server's name and port in the Host header.",
        });
      }
      if (!this.#loopbackOnly && this.#hosts.size === 0) continue;
      const [, plain = ""] = match;
      if (LOOPBACK.test(plain) || this.#hosts.has(plain)) continue;
      return new HttpError(403, "Permission", "host is not allowed", {
        hint: "Start the server with --allow-host NAME to answer to this name.",
      });
    }
    return null;
  }

  #checkOrigin(origin: string, host: string, method: string): HttpError | null {
    if (this.#origins.has(origin) || sameHost(origin, host.toLowerCase())) return null;
    // A preflight is answered without the header that would allow the request
    // (docs/spec/http-api.md 7).
    if (method === "OPTIONS" && this.#origins.size > 0) return null;
    return new HttpError(403, "Permission", "origin is not allowed", {
      hint: "Start the server with --cors-origin ORIGIN to let pages of that origin in.",
    });
  }
}

/** Whether an origin's host and port are those the request was sent to. */
function sameHost(origin: string, host: string): boolean {
  const match = /^(https?):\/\/([^/?#@]+)$/.exec(origin.toLowerCase());
  if (match === null) return false;
  const [, scheme, authority = ""] = match;
  const standard = scheme === "https" ? ":443" : ":80";
  const plain = (text: string): string =>
    text.endsWith(standard) ? text.slice(0, -standard.length) : text;
  return AUTHORITY.test(authority) && plain(authority) === plain(host);
}

function originError(message: string, given: string): PlasmiteError {
  return new PlasmiteError("Usage", message, {
    hint: `Use an exact origin such as https://app.example, not ${JSON.stringify(given)}.`,
  });
}

/**
 * An origin as browsers send it (docs/spec/command-line.md 8.1, error 5).
 *
 * @throws {PlasmiteError} Usage
 */
export function normalizeOrigin(given: string): string {
  const text = given.trim();
  if (text === "") throw originError("CORS origin must not be empty", given);
  if (text === "*") throw originError("CORS wildcard origin is not allowed", given);
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw originError(
      /^https?:/i.test(text) ? "CORS origin must include a host" : "invalid CORS origin",
      given,
    );
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw originError("CORS origin scheme must be http or https", given);
  }
  if (url.hostname === "") throw originError("CORS origin must include a host", given);
  if (url.hostname.includes("*")) {
    throw originError("CORS wildcard origin is not allowed", given);
  }
  if (url.username !== "" || url.password !== "" || /^[^/]*\/\/[^/]*@/.test(text)) {
    throw originError("CORS origin must not include userinfo", given);
  }
  if (/[?#]/.test(text)) {
    throw originError("CORS origin must not include query or fragment", given);
  }
  if (url.pathname !== "/") throw originError("CORS origin must not include a path", given);
  return url.origin;
}

/** CORS headers for an answer; `vary` on all of them. */
export function corsHeaders(response: Response, origin: string | null, guard: Guard): void {
  const { headers } = response;
  headers.append("vary", "origin, access-control-request-method, access-control-request-headers");
  if (origin === null || !guard.allows(origin)) return;
  headers.set("access-control-allow-origin", origin);
  headers.set(
    "access-control-expose-headers",
    "plasmite-version, plasmite-seq, plasmite-features, mcp-session-id",
  );
}

/** The answer to every OPTIONS request when CORS is on. */
export function preflight(): Response {
  return new Response(null, {
    headers: [
      ["plasmite-version", "0"],
      ["access-control-allow-methods", "GET,POST,DELETE,OPTIONS"],
      [
        "access-control-allow-headers",
        "authorization,content-type,last-event-id,mcp-protocol-version,mcp-session-id," +
        "mcp-method,mcp-name",
      ],
      ["access-control-max-age", "600"],
    ],
  });
}
