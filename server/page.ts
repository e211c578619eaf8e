/**
 * The web page with its security policy, and compression.
 *
 * @module
 */

import { Slice } from "../lib/storage/turns.ts";
import { HttpError } from "./errors.ts";
import { BASE_HEADERS, type HeaderPairs } from "./headers.ts";

/** Bodies of at least this size are compressed for clients that accept it, in bytes. */
const COMPRESS_FROM = 1400;

const COMPRESSED: HeaderPairs = [["content-encoding", "gzip"], ["vary", "accept-encoding"]];

/** A page or script of the web page. */
export interface Asset {
  /** The content type. */
  readonly type: string;
  /** The text. */
  readonly body: string;
  /** What the security policy allows as the one script in the text, such as `'sha256-…'`. */
  readonly script?: string;
}

/**
 * The security policy of the page: its own scripts, styles and requests, and nothing else.
 *
 * @param script the one that is in the page
 */
const policyOf = (script = "") =>
  `default-src 'none'; script-src 'self'${script && ` ${script}`}; ` +
  "style-src 'self'; img-src 'self' data:; " +
  "connect-src 'self'; worker-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/** Whether a client takes gzip. */
function takesGzip(request: Request): boolean {
  const accepted = request.headers.get("accept-encoding") ?? "";
  return /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/i.test(accepted);
}

function gzipped(text: string | Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
}

/** Compresses a complete body if it is large (docs/spec/http-api.md 10: never a stream). */
export function squeeze(
  request: Request,
  text: string | Uint8Array<ArrayBuffer>,
  type: string,
  more: HeaderPairs = [],
): Response {
  const headers: HeaderPairs = [["content-type", type], ...BASE_HEADERS, ...more];
  if (text.length < COMPRESS_FROM || !takesGzip(request)) return new Response(text, { headers });
  headers.push(...COMPRESSED);
  return new Response(gzipped(text), { headers });
}

/** Pieces one after the other, with turns for others in between. */
async function* withTurns<T>(pieces: Iterable<T>): AsyncGenerator<T, void> {
  const slice = new Slice();
  for (const piece of pieces) {
    if (slice.over) await slice.next();
    yield piece;
  }
}

/**
 * Like {@linkcode squeeze}, for a body that may be long.
 *
 * @param pieces its pieces, one at least
 */
export function squeezePieces(
  request: Request,
  pieces: readonly Uint8Array<ArrayBuffer>[],
  type: string,
  more: HeaderPairs = [],
): Response {
  const [first] = pieces;
  if (pieces.length === 1 && first !== undefined) return squeeze(request, first, type, more);
  const headers: HeaderPairs = [["content-type", type], ...BASE_HEADERS, ...more];
  // They are sent and compressed in turns, and nothing is prepared before it is asked for.
  const body = ReadableStream.from(withTurns(pieces));
  if (takesGzip(request)) {
    headers.push(...COMPRESSED);
    return new Response(body.pipeThrough(new CompressionStream("gzip")), { headers });
  }
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  headers.push(["content-length", String(length)]);
  return new Response(body, { headers });
}

/** The files of the page, compressed when they are first asked for: a page consists of forty. */
const packed = new WeakMap<Asset, Promise<Blob>>();

/** A file compressed once. */
function packedBody(asset: Asset): Promise<Blob> {
  let body = packed.get(asset);
  if (body === undefined) {
    body = new Response(gzipped(asset.body)).blob();
    packed.set(asset, body);
  }
  return body;
}

/** A file as a browser asks for it that did not get it before, or as it is. */
async function askedFor(request: Request, asset: Asset): Promise<Asset> {
  const [, again] = /\?again=(\d{1,16})$/.exec(request.url) ?? [];
  if (again === undefined || !asset.type.startsWith("text/javascript")) return asset;
  const { underOtherAddress } = await import("./ui/packs.ts");
  return { ...asset, body: underOtherAddress(asset.body, again) };
}

/**
 * Serves a file of the page; all pools share one page.
 *
 * @throws {HttpError} 404
 */
export async function page(
  request: Request,
  assets: ReadonlyMap<string, Asset>,
  path: string,
): Promise<Response> {
  const found = assets.get(path) ??
    (path.startsWith("/ui/pools/") || path === "/access"
      ? assets.get("/ui/pools/:name") ?? assets.get("/ui")
      : null);
  if (found === undefined || found === null) {
    throw new HttpError(404, "NotFound", "no such page", { hint: "The page is at /ui." });
  }
  const asset = await askedFor(request, found);
  const headers: HeaderPairs = [
    ["content-type", asset.type],
    ...BASE_HEADERS,
    ["content-security-policy", policyOf(asset.script)],
    ["referrer-policy", "no-referrer"],
    ["cross-origin-resource-policy", "same-origin"],
  ];
  if (!takesGzip(request)) return new Response(asset.body, { headers });
  headers.push(...COMPRESSED);
  // In pieces, not with a length: of what is compressed and has one, Firefox takes a part for the
  // whole, and half a script for a script, when the connection ends too early.
  return new Response((await packedBody(asset)).stream(), { headers });
}
