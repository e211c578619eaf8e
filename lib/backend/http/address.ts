/**
 * Parses the addresses of servers and pools, and checks where a token may be sent
 * (docs/spec/library.md 14).
 *
 * @module
 */

import { PlasmiteError } from "../../errors.ts";

function usage(message: string, hint: string, cause?: unknown): PlasmiteError {
  return new PlasmiteError("Usage", message, { hint, cause });
}

/**
 * The address of a server: `http(s)://host[:port]`, with or without a trailing `/`.
 *
 * @throws {PlasmiteError} Usage for any other scheme, credentials, a path, a query or a fragment
 */
export function serverAddress(address: string | URL): URL {
  const hint = "Use http(s)://host:port.";
  let url: URL;
  try {
    url = new URL(address);
  } catch (cause) {
    throw usage("invalid remote base url", hint, cause);
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw usage("remote base url must use http or https scheme", hint);
  }
  if (url.username !== "" || url.password !== "") {
    throw usage("remote base url must not include credentials", "Pass the token as an option.");
  }
  if (url.search !== "" || url.hash !== "") {
    throw usage("remote base url must not include query or fragment", hint);
  }
  if (url.pathname !== "/") throw usage("remote base url must not include a path", hint);
  return url;
}

/** Whether the host is a loopback address: `localhost`, 127.0.0.0/8 or `::1`. */
function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/**
 * Checks that a token is not sent over a network in plaintext.
 *
 * @throws {PlasmiteError} Usage for http to any host other than this machine
 */
export function checkTokenSafe(url: URL): void {
  if (url.protocol === "https:" || isLoopback(url.hostname)) return;
  throw usage(
    "a bearer token requires https or a loopback address",
    "Use https://, or an ssh tunnel to a local port: anyone in between could read the token.",
  );
}

/**
 * The name of a pool on the server `base`: a bare name, or a URL of that server in one of the forms
 * `/v0/pools/<p>`, `/pools/<p>`, `/pool/<p>` and `/<p>`.
 *
 * @throws {PlasmiteError} Usage for an empty name, a path separator, or a different server
 */
export function remotePoolName(ref: string, base: URL): string {
  if (typeof ref !== "string") {
    throw usage("pool name is not a string", "Use a name such as `demo`.");
  }
  let name = ref;
  if (/^https?:\/\//.test(ref)) {
    let url: URL;
    try {
      url = new URL(ref);
    } catch (cause) {
      throw usage("invalid remote pool url", "Use http(s)://host:port/<pool>.", cause);
    }
    if (url.origin !== base.origin) {
      throw usage(
        "remote pool url belongs to another server",
        `This client talks to ${base.origin}.`,
      );
    }
    const match = /^\/(?:v0\/pools\/|pools\/|pool\/)?([^/]+)$/.exec(url.pathname);
    if (match === null || url.search !== "" || url.hash !== "") {
      throw usage("invalid remote pool url", "Use http(s)://host:port/<pool>.");
    }
    try {
      name = decodeURIComponent(match[1] ?? "");
    } catch {
      name = match[1] ?? "";
    }
  }
  if (name === "") throw usage("pool name is empty", "Use a name such as `demo`.");
  if (name.includes("/")) {
    throw usage("pool name must not contain path separators", "Use the bare name of a pool.");
  }
  return name;
}
