/**
 * The headers of every response, and cookies.
 *
 * @module
 */

/** Header names and values, as the `Response` constructor takes them. */
export type HeaderPairs = [string, string][];

/** The features of this server beyond v0, for our clients (docs/spec/http-api.md 12). */
const FEATURES = "batch,since,where,no-follow,heartbeat,select,retention," +
  "expect,key,id,latest,claim,cursor,group,skip-corrupt";

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
export function json(text: string, more: HeaderPairs = [], status = 200): Response {
  return new Response(text, { status, headers: [...JSON_HEADERS, ...more] });
}

/** The values of a request's cookies with this name. */
export function cookiesOf({ headers }: Request, name: string): readonly string[] {
  return (headers.get("cookie") ?? "").split(";").flatMap((part) => {
    const [found, value = ""] = part.trim().split("=", 2);
    return found === name ? [value] : [];
  });
}
