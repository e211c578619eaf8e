/**
 * Addresses of servers that access keys are saved for (docs/spec/sharing.md 1.7).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";

/**
 * The address under which a connection is saved: `https://host/` or `https://host:port/`.
 *
 * @param text the https address of a server; the scheme defaults to `https://`
 * @throws {PlasmiteError} Usage for another scheme, credentials, a path, a query or a fragment
 */
export function destinationOf(text: string): string {
  if (/^(?:https:\/\/)?pk1\.[0-9a-f]{8}/i.test(text)) {
    throw new PlasmiteError("Usage", "an access key stands in the place of an address", {
      hint:
        "Give the address, as https://host:port. The key is asked for, or read from stdin: an " +
        "argument can be seen by every user of this machine.",
    });
  }
  const url = URL.parse(text.includes("://") ? text : `https://${text}`);
  if (url === null || url.protocol !== "https:") {
    throw usage("access keys are for https addresses");
  }
  if (url.username !== "" || url.password !== "") {
    throw usage("server address must not include credentials");
  }
  if (url.pathname !== "/" || /[?#]/.test(text)) {
    throw usage("server address must not include a path, query or fragment");
  }
  return url.href;
}

function usage(message: string): PlasmiteError {
  return new PlasmiteError("Usage", message, { hint: "Use https://host:port." });
}
