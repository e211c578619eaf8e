/**
 * The headers that every answer carries.
 *
 * @module
 */

/** Header names and values, as the `Response` constructor takes them. */
export type HeaderPairs = [string, string][];

/** What this server has beyond v0, for clients of ours (docs/spec/http-api.md 12). */
const FEATURES = "batch,since,where,no-follow,heartbeat,select,retention," +
  "expect,key,id,latest,claim,cursor,group";

/** On all answers: the protocol, what we have beyond it, and that nothing is to be cached. */
export const BASE_HEADERS: HeaderPairs = [
  ["plasmite-version", "0"],
  ["plasmite-features", FEATURES],
  ["cache-control", "no-store"],
  ["x-content-type-options", "nosniff"],
];

/** On JSON answers. */
export const JSON_HEADERS: HeaderPairs = [["content-type", "application/json"], ...BASE_HEADERS];

/**
 * On answers to POST that come thousands of times a second: nobody caches those anyway, every
 * header costs, and an object is cheaper than pairs.
 */
export const LEAN_HEADERS: { readonly [name: string]: string } = {
  "content-type": "application/json",
  "plasmite-version": "0",
  "plasmite-features": FEATURES,
};

/** A JSON answer. */
export function json(text: string | Uint8Array<ArrayBuffer>): Response {
  return new Response(text, { headers: JSON_HEADERS });
}
