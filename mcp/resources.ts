/**
 * Pools as resources: `plasmite:///pools/{name}`, with the text that `plasmite_read` returns
 * without arguments (docs/spec/agents.md 7).
 *
 * @module
 */

import { ErrorKind, PlasmiteError } from "../lib/errors.ts";
import { formatTime } from "../lib/text/time.ts";
import { readBatch } from "./batch.ts";
import { agentHint } from "./hints.ts";
import { BYTES } from "./input.ts";
import { jsonText } from "../lib/text/json_exact.ts";
import type { GrantedPools } from "./pools.ts";

/** A failure of a resource method, for the JSON-RPC layer. */
export class ResourceProblem extends Error {
  /** The JSON-RPC code. */
  readonly code: number;
  /** Details for programs. */
  readonly data: { readonly [key: string]: unknown };

  /** Creates an error. */
  constructor(code: number, message: string, data: { readonly [key: string]: unknown } = {}) {
    super(message);
    this.name = "ResourceProblem";
    this.code = code;
    this.data = data;
  }
}

/** The URI template of pools. */
export const TEMPLATE = "plasmite:///pools/{name}";

/** The URI of a pool. */
export function poolUri(name: string): string {
  return `plasmite:///pools/${encodeURIComponent(name)}`;
}

/**
 * The name of the pool in a URI.
 *
 * @throws {ResourceProblem} -32602 with the right form
 */
export function poolOfUri(uri: string): string {
  const wrong = (what: string): never => {
    throw new ResourceProblem(-32602, `${what}; use plasmite:///pools/NAME`, { uri });
  };
  const text = uri.trim();
  if (!/^plasmite:/i.test(text)) return wrong("resource URIs have the scheme plasmite");
  if (/[?#]/.test(text)) return wrong("resource URIs have no query and no fragment");
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return wrong("this is no URI");
  }
  if (url.host !== "" || /^plasmite:\/\/[^/]/i.test(text)) {
    return wrong("resource URIs have no host");
  }
  const [root, pools, name, ...more] = url.pathname.split("/");
  if (root !== "" || pools !== "pools" || !name || more.length > 0) {
    return wrong("a resource is one pool");
  }
  try {
    return decodeURIComponent(name);
  } catch {
    return name; // An invalid escape is part of the name.
  }
}

function requireReading({ grant }: GrantedPools): void {
  if (grant.can("read")) return;
  throw new ResourceProblem(-32000, "resources are not permitted on this server", {
    error_kind: "Permission",
    hint: "This server is write-only; use plasmite_feed.",
  });
}

/** Runs a resource method and converts its errors (docs/spec/agents.md 7). */
async function explained<T>(
  pools: GrantedPools,
  uri: string | undefined,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof PlasmiteError)) throw error;
    const missing = error.kind === ErrorKind.NotFound && uri !== undefined;
    const { seq, offset } = error;
    // The SDK converts -32002 for each revision of the protocol.
    throw new ResourceProblem(missing ? -32002 : -32000, error.message, {
      ...(uri === undefined ? {} : { uri }),
      error_kind: error.kindName,
      ...(missing ? { hint: "Call resources/list or plasmite_pool_list." } : hint(error)),
      ...(error.path === undefined ? {} : { path: pools.shown(error.path) }),
      ...(seq === undefined ? {} : { seq: Number(seq) }),
      ...(offset === undefined ? {} : { offset: Number(offset) }),
    });
  }
}

function hint(error: PlasmiteError): { hint?: string } {
  const hint = agentHint(error);
  return hint === undefined ? {} : { hint };
}

/** One entry of `resources/list`. */
export interface ResourceEntry {
  uri: string;
  name: string;
  title: string;
  description: string;
  mimeType: string;
  annotations?: { lastModified: string };
}

/** A page of `resources/list`. */
export interface ResourcePage {
  /** The entries, sorted by URI. */
  readonly resources: ResourceEntry[];
  /** The start of the next page, if there is one. */
  readonly next?: number;
}

/** One page of pools, sorted by URI; only the pools of the page are opened. */
export async function listResources(
  pools: GrantedPools,
  from: number,
  count: number,
): Promise<ResourcePage> {
  requireReading(pools);
  let total = 0;
  const infos = await explained(pools, undefined, () =>
    pools.list((names) => {
      total = names.length;
      return names.map((name) => ({ name, uri: poolUri(name) })).sort(byUri)
        .slice(from, from + count).map(({ name }) => name);
    }));
  const resources = infos.map(({ name, fileSize, metrics }): ResourceEntry => {
    const newest = metrics?.age.newestTimeNs ?? null;
    return {
      uri: poolUri(name),
      name,
      title: `Pool ${name}`,
      description:
        `The latest messages of ${name}, up to 20 per read. A ring of ${fileSize} bytes; ` +
        "the oldest messages are overwritten when it is full.",
      mimeType: "application/json",
      ...(newest === null ? {} : { annotations: { lastModified: formatTime(newest) } }),
    };
  });
  resources.sort(byUri);
  return from + count < total ? { resources, next: from + count } : { resources };
}

function byUri(a: { readonly uri: string }, b: { readonly uri: string }): number {
  return a.uri < b.uri ? -1 : a.uri > b.uri ? 1 : 0;
}

/** The latest messages of a pool as JSON text. */
export async function readResource(
  pools: GrantedPools,
  uri: string,
  signal: AbortSignal,
): Promise<string> {
  requireReading(pools);
  const name = poolOfUri(uri);
  return await explained(pools, uri, async () => {
    const pool = await pools.open(name);
    try {
      const wanted = { count: 20, maxBytes: BYTES.standard, tags: [] };
      return jsonText(await readBatch(pool, wanted, signal));
    } finally {
      await pool.close();
    }
  });
}
