/**
 * Refuses requests of foreign web pages: Host and Origin checks on every route
 * (docs/spec/http-api.md 7).
 *
 * A foreign page can reach a server on this machine by DNS rebinding, forms, images and `no-cors`
 * requests. DNS rebinding shows in the Host header, the others in Origin or Sec-Fetch-Site.
 *
 * @module
 */

import { PlasmiteError } from "../lib/errors.ts";
import { HttpError } from "./errors.ts";
import { authorityOf } from "./url.ts";

/** A host name or address, and optionally a port; no user and no path. */
const AUTHORITY = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?)(?::([0-9]{1,5}))?$/;
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
/** What browsers parse as an IPv4 address, valid or not: the last part is a number. */
const NUMBER_LAST = /(?:^|\.)(?:\d+|0x[0-9a-f]*)\.?$/;
/** ::1 and IPv4-mapped 127.0.0.0/8, as in URLs. */
const LOOPBACK_IPV6 = /^\[(?:::1|::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4})\]$/;

/**
 * The host of an authority, normalised (lower case, IPv6 as in URLs); null if it is invalid.
 */
function hostOf(authority: string): string | null {
  const [match, host = "", port = "0"] = AUTHORITY.exec(authority.toLowerCase()) ?? [];
  if (match === undefined || Number(port) > 65_535 || host.length > 254) return null;
  if (host.startsWith("[")) {
    return URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : null;
  }
  return NUMBER_LAST.test(host) && !IPV4.test(host) ? null : host;
}

/** Whether a host name always means the local machine. */
function isLoopbackHost(host: string): boolean {
  return host === "localhost" || (host.startsWith("127.") && IPV4.test(host)) ||
    LOOPBACK_IPV6.test(host);
}

/** Headers in which proxies name the original client. */
const FORWARDED = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];

/**
 * The error for a request that does not come from this machine under a loopback name; null if it
 * does. For routes that are always local, whatever hosts and origins are allowed
 * (docs/spec/sharing.md 1.3).
 */
export function localRefusal({ headers }: Request): HttpError | null {
  const host = headers.get("host");
  const name = host === null ? null : hostOf(host);
  const origin = headers.get("origin");
  const isLocal = name !== null && isLoopbackHost(name) &&
    (origin === null || origin === `http://${host}`) &&
    !FORWARDED.some((header) => headers.has(header));
  if (isLocal) return null;
  return new HttpError(403, "Permission", "untrusted local request origin", {
    hint: "Access keys are administered on the machine of the server itself.",
  });
}

/**
 * Checks that a browser request with a cookie, or one that creates or ends a session, comes from a
 * page of this server: same name and port, over https. Reading needs no `Origin`, since browsers send
 * none, but a foreign one is refused (docs/spec/sharing.md 4).
 *
 * @throws {HttpError} 403
 */
export function requireOwnOrigin({ headers, method, url }: Request): void {
  const origin = headers.get("origin");
  if (origin === null && (method === "GET" || method === "HEAD")) return;
  const host = headers.get("host") ?? authorityOf(url);
  if (origin !== null && origin === `https://${host.toLowerCase().replace(/:443$/, "")}`) return;
  throw new HttpError(403, "Permission", "untrusted browser request origin", {
    hint: "Use the page of this server, by the address that is shown for it.",
  });
}

/** Which requests are accepted. */
export interface GuardOptions {
  /** Accept only loopback names and `allowHosts`; for servers on a loopback address. */
  readonly loopbackOnly: boolean;
  /** Further host names, without port. */
  readonly allowHosts: readonly string[];
  /** Origins whose pages may send requests, as {@linkcode normalizeOrigin} returns them. */
  readonly corsOrigins: readonly string[];
  /** The host that the runtime invents for requests without a `Host` header; null if unknown. */
  readonly inventedHost?: (() => string | null) | undefined;
}

/** Checks the requests of one server. */
export class Guard {
  readonly #hosts: ReadonlySet<string>;
  readonly #origins: ReadonlySet<string>;
  readonly #loopbackOnly: boolean;
  readonly #inventedHost: () => string | null;
  #goodHost: string | null = null;
  #goodAuthority = "";

  /** Prepares the checks. */
  constructor(options: GuardOptions) {
    this.#loopbackOnly = options.loopbackOnly;
    this.#inventedHost = options.inventedHost ?? (() => null);
    this.#hosts = new Set(options.allowHosts.map((name) => hostOf(name) ?? name.toLowerCase()));
    this.#origins = new Set(options.corsOrigins);
  }

  /** Whether pages of this origin may send requests. */
  allows(origin: string): boolean {
    return this.#origins.has(origin);
  }

  /**
   * The error for a request that must be refused, or null. The host in `request.url` is a second
   * one: it is invented if there is no Host header, and comes from the request line if that has an
   * absolute URL (docs/spec/http-api.md 13).
   */
  check(request: Request, authority: string): HttpError | null {
    const { headers } = request;
    const host = headers.get("host");
    if (host === null && this.#isHostless(request, authority)) return invalidHost();
    // Usually one client sends many requests.
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
    // Following a link is allowed; loading us into a frame is not.
    const visit = headers.get("sec-fetch-mode") === "navigate" &&
      headers.get("sec-fetch-dest") === "document";
    if (visit && request.method === "GET") return null;
    return new HttpError(403, "Permission", "cross-site request refused", {
      hint: "Pages of other origins need a CORS request, and --cors-origin at the server.",
    });
  }

  /**
   * Whether an HTTP/1.1 request lacks its `Host` header. HTTP/2 has none, and no `Connection`
   * header either. Over TLS, an HTTP/1.1 request without both cannot be told from HTTP/2.
   */
  #isHostless({ headers, url }: Request, authority: string): boolean {
    const invented = this.#inventedHost();
    if (invented === null) return false;
    return headers.has("connection") || headers.has("transfer-encoding") ||
      (authority === invented && url.startsWith("http:"));
  }

  #checkHosts(given: string | null, authority: string): HttpError | null {
    for (const text of given === null ? [authority] : [given, authority]) {
      const host = hostOf(text);
      if (host === null) return invalidHost();
      if (!this.#loopbackOnly && this.#hosts.size === 0) continue;
      if (isLoopbackHost(host) || this.#hosts.has(host)) continue;
      return new HttpError(403, "Permission", "host is not allowed", {
        hint: "The operator of the server can have it answer to this name with --allow-host.",
      });
    }
    return null;
  }

  #checkOrigin(origin: string, host: string, method: string): HttpError | null {
    if (this.#origins.has(origin) || sameHost(origin, host.toLowerCase())) return null;
    // A preflight gets an answer without the header that would allow the request
    // (docs/spec/http-api.md 7).
    if (method === "OPTIONS" && this.#origins.size > 0) return null;
    return new HttpError(403, "Permission", "origin is not allowed", {
      hint: "The operator of the server can let pages of that origin in with --cors-origin.",
    });
  }
}

function invalidHost(): HttpError {
  return new HttpError(400, "Usage", "invalid host", {
    hint: "Send the server's name and port in the Host header.",
  });
}

/** Whether an origin has the host and port to which the request was sent. */
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
 * Normalises an origin to the form that browsers send (docs/spec/command-line.md 8.1, error 5).
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

/** Adds the CORS headers to a response; every response gets `vary`. */
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

/** The response to every OPTIONS request if CORS is enabled. */
export function preflight(): Response {
  return new Response(null, {
    headers: [
      ["plasmite-version", "0"],
      ["access-control-allow-methods", "GET,POST,PUT,DELETE,OPTIONS"],
      [
        "access-control-allow-headers",
        "authorization,content-type,last-event-id,mcp-protocol-version,mcp-session-id," +
        "mcp-method,mcp-name",
      ],
      ["access-control-max-age", "600"],
    ],
  });
}
