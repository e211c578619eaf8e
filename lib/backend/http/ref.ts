/**
 * References to pools on servers: `http(s)://host[:port]/<pool>` (docs/spec/command-line.md 1.3).
 *
 * @module
 */

import { PlasmiteError } from "../../errors.ts";
import type { PlaceRef, PoolRef } from "../resolve.ts";

const FORM = "http(s)://host:port/<pool>";

function usage(message: string, hint: string, causes?: readonly string[]): PlasmiteError {
  return new PlasmiteError("Usage", message, { hint, causes });
}

/**
 * The pool named by a URL.
 *
 * @throws {PlasmiteError} Usage unless the URL consists of a server and one pool
 */
export function poolRef(ref: string): PoolRef {
  let url: URL;
  try {
    url = new URL(ref);
  } catch (error) {
    throw usage("invalid remote pool ref", `Use ${FORM}.`, [String(error)]);
  }
  if (/[?#]/.test(ref)) {
    throw usage(
      "remote pool ref must not include query or fragment",
      `Use ${FORM}; options are given separately.`,
    );
  }
  if (/%2f/i.test(url.pathname)) {
    throw usage(
      "remote pool name must not contain path separators",
      `Use ${FORM} with a plain name.`,
    );
  }
  const segments = url.pathname.split("/").slice(1);
  const [segment] = segments;
  if (segments.length !== 1 || !segment || segment === "pool") {
    const name = /^\/(?:(?:v0|ui)\/pools\/([^/]+)(?:\/.*)?|([^/]+)\/)$/.exec(url.pathname);
    const meant = name?.[1] ?? name?.[2];
    const tip = meant === undefined || /^pools?$/.test(meant)
      ? ""
      : `Did you mean ${url.origin}/${meant}? `;
    throw usage(
      "remote pool ref must use shorthand http(s)://host:port/<pool>",
      `${tip}Use ${FORM}; an API-shaped URL like /v0/pools/<pool>/append is not a pool ref.`,
    );
  }
  const name = decode(segment);
  return { ...server(ref, url.origin), name, path: `${url.origin}/${name}` };
}

/** Decodes percent escapes; leaves those that are not UTF-8 unchanged. */
function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/**
 * The server at `http(s)://host:port`, with or without a trailing `/`.
 *
 * @throws {PlasmiteError} Usage for anything else
 */
export function placeRef(ref: string): PlaceRef {
  const hint = "Use http(s)://host:port.";
  let url: URL;
  try {
    url = new URL(ref);
  } catch (error) {
    throw usage("invalid remote base url", hint, [String(error)]);
  }
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    throw usage("remote base url must not include a path", hint);
  }
  return server(ref, ref);
}

/** What an address refers to; the backend validates the full address. */
function server(ref: string, address: string): PlaceRef {
  return {
    ref,
    isRemote: true,
    creation: "no",
    connect: async (options) => {
      const { HttpBackend } = await import("../http.ts");
      return new HttpBackend(address, await options?.server?.() ?? {});
    },
  };
}
