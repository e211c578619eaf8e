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
import { authorityOf } from "./url.ts";

/** A host name or address and a port, nothing else: no user, no path. */
const AUTHORITY = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?)(?::([0-9]{1,5}))?$/;
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
/** What browsers take for an IPv4 address, or for a failed one: its last part is a number. */
const NUMBER_LAST = /(?:^|\.)(?:\d+|0x[0-9a-f]*)\.?$/;
/** ::1, and 127.0.0.0/8 as IPv6 has it, in the form of URLs. */
const LOOPBACK_IPV6 = /^\[(?:::1|::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4})\]$/;

/**
 * The host of an authority in one form (lower case, IPv6 as URLs have it), or null when it is none.
 */
function hostOf(authority: string): string | null {
  const [match, host = "", port = "0"] = AUTHORITY.exec(authority.toLowerCase()) ?? [];
  if (match === undefined || Number(port) > 65_535 || host.length > 254) return null;
  if (host.startsWith("[")) {
    return URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : null;
  }
  return NUMBER_LAST.test(host) && !IPV4.test(host) ? null : host;
}

/** Whether a host is this machine, whoever asks. */
function isLoopbackHost(host: string): boolean {
  return host === "localhost" || (host.startsWith("127.") && IPV4.test(host)) ||
    LOOPBACK_IPV6.test(host);
}

/** Headers by which proxies tell for whom they call. */
const FORWARDED = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];

/**
 * Why a request does not come from this machine by a name of its own, or null. For what must stay on
 * this machine whatever names and origins a server answers to (docs/spec/sharing.md 1.3).
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
 * Requests of browsers with a cookie, and those that make or end one, come from a page of this
 * server: its name and port, over https. Reading needs no `Origin`, since browsers send none then;
 * one of another origin is refused all the same (docs/spec/sharing.md 4).
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

/** What the guard lets in. */
export interface GuardOptions {
  /** Only loopback names and `allowHosts`; for servers that listen on a loopback address. */
  readonly loopbackOnly: boolean;
  /** Further host names, without port. */
  readonly allowHosts: readonly string[];
  /** Origins whose pages may call, normalised by {@linkcode normalizeOrigin}. */
  readonly corsOrigins: readonly string[];
  /** What the runtime makes up for requests without a `Host`; null where that is not known. */
  readonly inventedHost?: (() => string | null) | undefined;
}

/** Answers for one server whether a request may come in. */
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
    if (host === null && this.#isHostless(request, authority)) return invalidHost();
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
    // Whoever follows a link to us comes; what a page puts into a frame of its own does not.
    const visit = headers.get("sec-fetch-mode") === "navigate" &&
      headers.get("sec-fetch-dest") === "document";
    if (visit && request.method === "GET") return null;
    return new HttpError(403, "Permission", "cross-site request refused", {
      hint: "Pages of other origins need a CORS request, and --cors-origin at the server.",
    });
  }

  /**
   * Whether HTTP/1.1 came without the `Host` that it must have. HTTP/2 never has one: it names the
   * authority elsewhere, and has no `Connection`. Over TLS, HTTP/1.1 with neither cannot be told from
   * HTTP/2 to the name that is made up.
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
        hint: "Whoever runs the server can have it answer to this name with --allow-host.",
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
      hint: "Whoever runs the server can let pages of that origin in with --cors-origin.",
    });
  }
}

function invalidHost(): HttpError {
  return new HttpError(400, "Usage", "invalid host", {
    hint: "Send the server's name and port in the Host header.",
  });
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
