/**
 * The routes: who may call each, and what it answers (docs/spec/http-api.md 2, 12).
 *
 * @module
 */

import { type Context, Hono } from "hono";
import type { Client } from "../lib/client/client.ts";
import { LARGEST_POOL } from "../lib/client/names.ts";
import type { Slots } from "../lib/backend/local/slots.ts";
import { Appends, MessagePrinter } from "./append.ts";
import { poolName } from "../lib/backend/refs.ts";
import { accessOf } from "../lib/grant.ts";
import type { Grant, Need } from "../lib/types.ts";
import { type Authenticator, granted, requireRight, type Verdict } from "./auth.ts";
import type { BodyReader } from "./body.ts";
import { type Encoding, EVENTS, FRAMES, LINES } from "./encodings.ts";
import { bad, busy, errorResponse, HttpError, isServerFault } from "./errors.ts";
import { checked, readFields } from "./fields.ts";
import { isHead, streamHead } from "./head.ts";
import { BASE_HEADERS, json, JSON_HEADERS } from "./headers.ts";
import { infoJson } from "./infos.ts";
import type { Metrics } from "./metrics.ts";
import { poolsJson } from "./lists.ts";
import { checkPoolName, decodeSegment } from "./names.ts";
import { type Asset, page, squeeze } from "./page.ts";
import type { Pools } from "./pools.ts";
import { parseTail, parseU64 } from "./query.ts";
import { CreateBody, OpenBody } from "./schemas.ts";
import { type TailHost, TailStream } from "./tail.ts";
import { pathOf, searchOf } from "./url.ts";
import type { Lite3Frame } from "../lib/backend/frames.ts";

/** Checked names that are remembered. */
const NAMES_KEPT = 1000;

/** Handles requests of the Model Context Protocol. */
export interface McpFetch {
  /** Answers one request of a caller who may do what `grant` says. */
  (request: Request, grant: Grant): Promise<Response>;
  /** Ends waits and streams. */
  close?(): Promise<void>;
}

/** What the handler of the Model Context Protocol must keep to. */
export interface McpLimits {
  /** The largest request body in bytes. */
  readonly maxBodyBytes: number;
  /** Takes a place among the streams, or null when all are taken; the result gives it back. */
  readonly takePlace: () => (() => void) | null;
}

/** What the routes work with. */
export interface RouteHost extends TailHost {
  /** Makes and lists pools. */
  readonly client: Client;
  /** Pool files. */
  readonly pools: Pools;
  /** Request bodies. */
  readonly bodies: BodyReader;
  /** Streams at once (counter A of docs/spec/http-api.md 6). */
  readonly tails: Slots;
  /** Counters. */
  readonly metrics: Metrics;
  /** Who calls and what they may do. */
  readonly auth: Authenticator;
  /** The longest tail in milliseconds. */
  readonly maxTailTimeoutMs: number;
  /** What the registry shows; null where it may not be asked. */
  readonly status: (() => unknown) | null;
  /** Loads the page. */
  readonly ui: () => Promise<ReadonlyMap<string, Asset>>;
  /** Loads the Model Context Protocol; null when it is not served. */
  readonly mcp: ((limits: McpLimits) => Promise<McpFetch>) | null;
  /** The largest request body in bytes. */
  readonly maxBodyBytes: number;
  /** Told of bugs and of nothing else. */
  fault(error: unknown): void;
  /** Takes a stream into account, or refuses it because the server stops. */
  begun(tail: TailStream): void;
}

type Handler = (context: Context, search: string) => Response | Promise<Response>;
/** A handler that is told what the caller may do. */
type GrantedHandler = (
  context: Context,
  grant: Grant,
  search: string,
) => Response | Promise<Response>;

export type { Asset };

/** Builds the routes of one server. */
export class Routes {
  /** The router. */
  readonly hono: Hono;
  readonly #host: RouteHost;
  readonly #appends: Appends;
  readonly #printer = new MessagePrinter();
  readonly #allowed = new Map<string, string[]>();
  readonly #names = new Map<string, string>();
  #mcp: Promise<McpFetch> | null = null;
  #openApi: string | null = null;

  /** Registers everything. */
  constructor(host: RouteHost) {
    this.#host = host;
    this.#appends = new Appends(host.pools, host.bodies, this.#printer);
    // The path is matched as it was sent: a route's words are written out, a name is decoded once.
    const hono = this.hono = new Hono({ getPath: (request) => pathOf(request.url) });
    hono.onError((error) => this.refuse(error));
    hono.notFound(() =>
      errorResponse(
        new HttpError(404, "NotFound", "no such route", { hint: "See /v0/openapi.json." }),
      )
    );
    this.#open("GET", "/healthz", () => json('{"ok":true}'));
    this.#open("GET", "/v0/openapi.json", (c) => this.#document(c));
    this.#open("GET", "/v0/serve/status", () => this.#status());
    for (const path of ["/ui", "/ui/pools/:pool", "/ui/assets/*"]) {
      this.#open("GET", path, (c) => this.#page(c));
    }
    this.#route("GET", "/v0/access/check", null, () => json('{"accepted":true}'));
    this.#route("GET", "/metrics", "read", (c, grant) => this.#metrics(c, grant));
    for (const path of ["/v0/pools", "/v0/ui/pools"]) {
      this.#route("GET", path, "read", (c, grant) => this.#list(c, grant));
    }
    this.#route("POST", "/v0/pools", "admin", (c, grant) => this.#create(c, grant));
    this.#route("POST", "/v0/pools/open", null, (c, grant) => this.#openPool(c, grant));
    for (const path of ["/v0/pools/:pool/info", "/v0/ui/pools/:pool/info"]) {
      this.#route("GET", path, "read", (c, grant) => this.#info(c, grant));
    }
    this.#route("DELETE", "/v0/pools/:pool", "admin", (c, grant) => this.#delete(c, grant));
    for (const path of ["/v0/pools/:pool/append", "/v0/pools/:pool/messages"]) {
      this.#route(
        "POST",
        path,
        "append",
        (c, grant) => this.#appends.json(c.req.raw, () => named(c, grant, "append")),
      );
    }
    this.#route(
      "POST",
      "/v0/pools/:pool/append_lite3",
      "append",
      (c, grant, search) => this.#appends.lite3(c.req.raw, () => named(c, grant, "append"), search),
    );
    this.#route(
      "POST",
      "/v0/pools/:pool/append_batch",
      "append",
      (c, grant, search) => this.#appends.batch(c.req.raw, () => named(c, grant, "append"), search),
    );
    this.#route(
      "GET",
      "/v0/pools/:pool/messages/:seq",
      "read",
      (c, grant) => this.#message(c, grant),
    );
    this.#route(
      "GET",
      "/v0/pools/:pool/messages/:seq/lite3",
      "read",
      (c, grant) => this.#lite3(c, grant),
    );
    const streams: [string, Encoding][] = [
      ["/v0/pools/:pool/tail", LINES],
      ["/v0/pools/:pool/tail_lite3", FRAMES],
      ["/v0/ui/pools/:pool/events", EVENTS],
    ];
    for (const [path, encoding] of streams) {
      this.#route(
        "GET",
        path,
        "read",
        (c, grant, search) => this.#tail(c, grant, search, encoding),
      );
    }
    this.#mountMcp();
    this.#refuseOtherMethods();
  }

  /**
   * `POST …/append` without the router: the one route that is called tens of thousands of times a
   * second. What it throws is for {@linkcode Routes.refuse}.
   */
  append(request: Request, segment: string): Promise<Response> {
    const admitted = this.#admit(request, "append");
    const append = (grant: Grant): Promise<Response> =>
      this.#appends.json(request, () => {
        const name = this.#checkedName(segment);
        requireRight(grant, "append", name);
        return name;
      });
    return admitted instanceof Promise ? admitted.then(append) : append(admitted);
  }

  /** The answer for any exception; bugs are told to the operator. */
  refuse(error: unknown): Response {
    if (isServerFault(error)) this.#host.fault(error);
    return errorResponse(error);
  }

  /** Names repeat: a segment that was good once is good. */
  #checkedName(segment: string): string {
    let name = this.#names.get(segment);
    if (name === undefined) {
      name = checkPoolName(decodeSegment(segment));
      if (this.#names.size >= NAMES_KEPT) this.#names.clear();
      this.#names.set(segment, name);
    }
    return name;
  }

  /** Ends what agents wait for. */
  async close(): Promise<void> {
    if (this.#mcp !== null) await (await this.#mcp).close?.();
  }

  /**
   * Credentials, then rights (docs/spec/http-api.md 5). No promise when that is settled at once.
   *
   * @param need what the caller must be allowed on some pool at least; null for nothing in particular
   * @throws {HttpError} 401, 403
   */
  #admit(request: Request, need: Need | null): Grant | Promise<Grant> {
    const verdict = this.#host.auth.authenticate(request);
    if (verdict instanceof Promise) return verdict.then((late) => admitted(late, need));
    return admitted(verdict, need);
  }

  /** A route that anybody may call. */
  #open(method: string, path: string, handler: Handler): void {
    this.#allow(method, path);
    this.hono.on(method, path, (c) => handler(c, searchOf(c.req.url)));
  }

  /** A route for callers with certain rights. */
  #route(method: string, path: string, need: Need | null, handler: GrantedHandler): void {
    this.#allow(method, path);
    this.hono.on(method, path, async (c) => {
      const grant = await this.#admit(c.req.raw, need);
      return await handler(c, grant, searchOf(c.req.url));
    });
  }

  #allow(method: string, path: string): void {
    const methods = this.#allowed.get(path) ?? [];
    methods.push(...(method === "GET" ? ["GET", "HEAD"] : [method]));
    this.#allowed.set(path, methods);
  }

  #refuseOtherMethods(): void {
    for (const [path, methods] of this.#allowed) {
      this.hono.all(path, () => {
        throw new HttpError(405, "Usage", "method not allowed", {
          hint: "See /v0/openapi.json.",
          headers: [["allow", methods.join(",")]],
        });
      });
    }
  }

  #document(c: Context): Promise<Response> {
    return import("./openapi.ts").then(({ openApi }) => {
      this.#openApi ??= JSON.stringify(openApi());
      return squeeze(c.req.raw, this.#openApi, "application/json");
    });
  }

  #status(): Response {
    const { status } = this.#host;
    if (status !== null) return json(JSON.stringify(status()));
    throw new HttpError(404, "NotFound", "no such route", { hint: "See /v0/openapi.json." });
  }

  async #page(c: Context): Promise<Response> {
    return page(c.req.raw, await this.#host.ui(), pathOf(c.req.url));
  }

  async #metrics(c: Context, grant: Grant): Promise<Response> {
    const type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    const { metrics, pools, bodies } = this.#host;
    const text = await pools.storage(() => metrics.text(pools, bodies.taken, grant));
    return squeeze(c.req.raw, text, type);
  }

  async #list(c: Context, grant: Grant): Promise<Response> {
    const { pools } = this.#host;
    const text = await pools.storage(() => poolsJson(pools.dir, pools.hubs, grant));
    return squeeze(c.req.raw, text, "application/json", [["plasmite-access", modeOf(grant)]]);
  }

  async #create(c: Context, grant: Grant): Promise<Response> {
    const fields = await readFields(c.req.raw, this.#host.bodies, ["pool", "size_bytes"]);
    const size = fields["size_bytes"];
    if (typeof size === "bigint") fields["size_bytes"] = Number(size);
    const { pool, size_bytes } = checked(CreateBody, fields);
    checkPoolName(pool);
    requireRight(grant, "admin", pool);
    if (typeof size === "bigint" && size > LARGEST_POOL) {
      throw bad("pool size is too large", `Use at most ${LARGEST_POOL} bytes.`);
    }
    if (size_bytes === 0) throw bad("file_size must exceed header and index size", "Use 64K.");
    const { pools } = this.#host;
    const path = pools.path(pool);
    await pools.create(path, typeof size_bytes === "number" ? size_bytes : undefined);
    return json(`{"pool":${infoJson(await pools.info(path, pool), pool)}}`);
  }

  async #openPool(c: Context, grant: Grant): Promise<Response> {
    const { pool } = checked(OpenBody, await readFields(c.req.raw, this.#host.bodies, ["pool"]));
    checkPoolName(pool);
    const { pools } = this.#host;
    const access = accessOf(grant, poolName(pool));
    if (access === null) requireRight(grant, "read", pool);
    const info = await pools.info(pools.path(pool), pool);
    // Whoever may only write must still be able to open, but learns nothing of the content.
    return json(`{"pool":${infoJson(info, pool, access === "write-only")}}`);
  }

  async #info(c: Context, grant: Grant): Promise<Response> {
    const { pools } = this.#host;
    const pool = named(c, grant, "read");
    const info = await pools.info(pools.path(pool), pool);
    const answer = json(`{"pool":${infoJson(info, pool, false, pools.hubs.followers(info.path))}}`);
    answer.headers.set("plasmite-access", modeOf(grant, pool));
    return answer;
  }

  async #delete(c: Context, grant: Grant): Promise<Response> {
    const { pools } = this.#host;
    await pools.remove(pools.path(named(c, grant, "admin")));
    return json('{"ok":true}');
  }

  /** The frame that the path names. */
  #frame(c: Context, grant: Grant): Promise<Lite3Frame> {
    const { pools } = this.#host;
    const seq = parseU64((c.req.param("seq") ?? "").replace(/^\+/, ""), "seq");
    return pools.frame(pools.path(named(c, grant, "read")), seq);
  }

  async #message(c: Context, grant: Grant): Promise<Response> {
    return this.#printer.answer(await this.#frame(c, grant), JSON_HEADERS);
  }

  async #lite3(c: Context, grant: Grant): Promise<Response> {
    const frame = await this.#frame(c, grant);
    this.#printer.check(frame);
    return new Response(frame.payload, {
      headers: [
        ["content-type", "application/x-plasmite-lite3"],
        ["plasmite-seq", `${frame.seq}`],
        ...BASE_HEADERS,
      ],
    });
  }

  async #tail(c: Context, grant: Grant, search: string, encoding: Encoding): Promise<Response> {
    const host = this.#host;
    const request = c.req.raw;
    const pool = named(c, grant, "read");
    const last = encoding === EVENTS ? request.headers.get("last-event-id") : null;
    const query = await parseTail(search, host.maxTailTimeoutMs, last);
    if (encoding === FRAMES && query.errorOnGap) {
      throw bad(
        "remote Lite3 tails do not support gap_policy=error because the stream has no error frame",
        "Use the JSON tail, or compare sequence numbers.",
      );
    }
    if (query.marks && encoding.mark === undefined) {
      throw bad("marks are for tail_lite3", "Leave marks out, or use tail_lite3.");
    }
    const path = host.pools.path(pool);
    if (isHead(request)) {
      await host.pools.info(path, pool);
      return streamHead(200, encoding.headers);
    }
    if (!host.tails.take()) throw busy("too many concurrent tail requests");
    let tail: TailStream;
    try {
      const opened = await host.pools.backend.open(pool);
      try {
        tail = await TailStream.open(host, opened, query, encoding);
      } finally {
        opened.close();
      }
    } catch (error) {
      host.tails.release();
      throw error;
    }
    host.begun(tail);
    return new Response(tail.body(), { headers: encoding.headers });
  }

  #mountMcp(): void {
    const { mcp, bodies } = this.#host;
    if (mcp === null) return;
    // GET and HEAD are open and never have a stream to give (docs/spec/http-api.md 2).
    this.hono.on(
      ["GET", "HEAD"],
      "/mcp",
      () => new Response(null, { status: 405, headers: [...BASE_HEADERS, ["allow", "POST"]] }),
    );
    this.hono.on(["POST", "DELETE"], "/mcp", async (c) => {
      const request = c.req.raw;
      const grant = await this.#admit(request, null);
      const body = request.method === "POST" ? await bodies.read(request) : null;
      try {
        this.#mcp ??= mcp({
          maxBodyBytes: this.#host.maxBodyBytes,
          takePlace: () => this.#host.tails.take() ? () => this.#host.tails.release() : null,
        });
        const answer = await (await this.#mcp)(
          new Request(request.url, { method: request.method, headers: request.headers, body }),
          grant,
        );
        const headers = new Headers(answer.headers);
        for (const [key, value] of BASE_HEADERS) if (!headers.has(key)) headers.set(key, value);
        return new Response(answer.body, { status: answer.status, headers });
      } finally {
        if (body !== null) bodies.done(body);
      }
    });
    this.hono.all("/mcp", () => {
      throw new HttpError(405, "Usage", "method not allowed", {
        hint: "Send JSON-RPC messages by POST.",
        headers: [["allow", "POST"]],
      });
    });
  }
}

/** The grant of a verdict, if it allows what is needed. */
function admitted(verdict: Verdict, need: Need | null): Grant {
  const grant = granted(verdict);
  if (need !== null) requireRight(grant, need);
  return grant;
}

/** What a caller may do, in the words of `--access`. */
function modeOf(grant: Grant, pool?: string): string {
  return accessOf(grant, pool === undefined ? pool : poolName(pool)) ?? "none";
}

/** The pool of a path, if the caller may do this with it. */
function named(c: Context, grant: Grant, need: Need): string {
  const pool = name(c);
  requireRight(grant, need, pool);
  return pool;
}

/** The pool of a path: what stands behind its first `pools`, as all routes have it. */
function name(c: Context): string {
  // Hono leaves invalid UTF-8 as it is and decodes the rest; the raw segment tells them apart.
  const segments = pathOf(c.req.url).split("/");
  const at = segments.indexOf("pools") + 1;
  return checkPoolName(decodeSegment(segments[at] ?? ""));
}
