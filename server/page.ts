/**
 * The web page with its security policy, and compression.
 *
 * @module
 */

import { HttpError } from "./errors.ts";
import { BASE_HEADERS, type HeaderPairs } from "./headers.ts";

/** Bodies of at least this size are compressed for clients that accept it, in bytes. */
const COMPRESS_FROM = 1400;

/** A page or script of the web page. */
export interface Asset {
  /** The content type. */
  readonly type: string;
  /** The text. */
  readonly body: string;
}

/** The security policy of the page: its own scripts, styles and requests, and nothing else. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
  "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/** Compresses a complete body if it is large (docs/spec/http-api.md 10: never a stream). */
export function squeeze(
  request: Request,
  text: string | Uint8Array<ArrayBuffer>,
  type: string,
  more: HeaderPairs = [],
): Response {
  const headers: HeaderPairs = [["content-type", type], ...BASE_HEADERS, ...more];
  const accepted = request.headers.get("accept-encoding") ?? "";
  if (text.length < COMPRESS_FROM || !/\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/i.test(accepted)) {
    return new Response(text, { headers });
  }
  headers.push(["content-encoding", "gzip"], ["vary", "accept-encoding"]);
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Response(stream, { headers });
}

/**
 * Serves a file of the page; all pools share one page.
 *
 * @throws {HttpError} 404
 */
export function page(
  request: Request,
  assets: ReadonlyMap<string, Asset>,
  path: string,
): Response {
  const asset = assets.get(path) ??
    (path.startsWith("/ui/pools/") || path === "/access"
      ? assets.get("/ui/pools/:name") ?? assets.get("/ui")
      : null);
  if (asset === undefined || asset === null) {
    throw new HttpError(404, "NotFound", "no such page", { hint: "The page is at /ui." });
  }
  return squeeze(request, asset.body, asset.type, [
    ["content-security-policy", PAGE_POLICY],
    ["referrer-policy", "no-referrer"],
    ["cross-origin-resource-policy", "same-origin"],
  ]);
}
