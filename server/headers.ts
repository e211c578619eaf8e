/**
 * The headers of every response.
 *
 * @module
 */

/** Header names and values, as the `Response` constructor takes them. */
export type HeaderPairs = [string, string][];

/** The features of this server beyond v0, for our clients (docs/spec/http-api.md 12). */
const FEATURES = "batch,since,where,no-follow,heartbeat,select,retention," +
  "expect,key,id,latest,claim,cursor,group";

/** For all responses: protocol, features, no caching. */
export const BASE_HEADERS: HeaderPairs = [
  ["plasmite-version", "0"],
  ["plasmite-features", FEATURES],
  ["cache-control", "no-store"],
  ["x-content-type-options", "nosniff"],
];

/** For JSON responses. */
export const JSON_HEADERS: HeaderPairs = [["content-type", "application/json"], ...BASE_HEADERS];

/**
 * For responses to POST that are sent thousands of times per second: these are never cached, each
 * header costs time, and an object is faster than pairs.
 */
export const LEAN_HEADERS: { readonly [name: string]: string } = {
  "content-type": "application/json",
  "plasmite-version": "0",
  "plasmite-features": FEATURES,
};

/** A JSON response. */
export function json(text: string | Uint8Array<ArrayBuffer>): Response {
  return new Response(text, { headers: JSON_HEADERS });
}
