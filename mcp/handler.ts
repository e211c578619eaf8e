/**
 * Streamable HTTP without sessions: one exchange per request for clients of 2025, and the handler
 * of the SDK for the revision of 2026-07-28. A long call is answered with an event stream if the
 * client accepts one (docs/spec/agents.md 3, 8).
 *
 * @module
 */

import { joinBytes } from "../lib/bytes.ts";
import {
  createMcpHandler,
  isJSONRPCRequest,
  isLegacyRequest,
  type McpHttpHandler,
  type McpRequestContext,
  type Server,
  SUPPORTED_PROTOCOL_VERSIONS,
} from "@modelcontextprotocol/server";
import type { Client } from "../lib/client/client.ts";
import { ServingBackend } from "../lib/backend/serving.ts";
import type { Backend } from "../lib/backend/types.ts";
import { accessGrant, accessOf } from "../lib/grant.ts";
import type { Grant } from "../lib/types.ts";
import { PlasmiteError } from "../lib/errors.ts";
import { Exchange } from "./exchange.ts";
import { type Call, frame, type Refusal } from "./frame.ts";
import type { McpOptions } from "./http.ts";
import { unwrap } from "./json.ts";
import { pause } from "./pause.ts";
import { acceptsEvents, LateReply } from "./reply.ts";
import { GrantedPools } from "./pools.ts";
import { poolOfUri, ResourceProblem } from "./resources.ts";
import { buildServer } from "./server.ts";
import { Watcher } from "./watch.ts";
import { wantedBy } from "./wanted.ts";

const JSON_TYPE = /^application\/(?:json|[a-z0-9!#$&^_.-]+\+json)[ \t]*(?:;.*)?$/i;

/** How long a stopping server waits for running calls, in milliseconds. */
const LAST_ANSWERS = 2_000;
/** The methods that read pools, which may take long. */
const LONG = new Set(["tools/call", "resources/list", "resources/read", "completion/complete"]);

function rpcError(
  status: number,
  code: number,
  message: string,
  id: Refusal["id"] = null,
): Response {
  const error: Refusal = { jsonrpc: "2.0", id, error: { code, message } };
  return Response.json(error, { status });
}

/** The bytes of a body; null if there are more than `most`. */
async function readBody(request: Request, most: number): Promise<Uint8Array | null> {
  if (Number(request.headers.get("content-length") ?? 0) > most) return null;
  if (request.body === null) return new Uint8Array(0);
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of request.body) {
    size += piece.length;
    if (size > most) return null;
    pieces.push(piece);
  }
  const [only] = pieces;
  return pieces.length === 1 && only !== undefined ? only : joinBytes(pieces);
}

/** Handles requests to `/mcp`. */
export class HttpHandler {
  readonly #backend: Backend;
  /** The backend to close at the end; null if it belongs to the server. */
  readonly #own: ServingBackend | null = null;
  readonly #options: McpOptions;
  readonly #modern: McpHttpHandler;
  readonly #watcher: Watcher;
  readonly #ending = new AbortController();
  readonly #running = new Set<Promise<Response>>();
  /** The rights of the callers of requests in progress. */
  readonly #grants = new WeakMap<Request, Grant>();
  #waits = 0;

  /** Serves the pools of `client`. */
  constructor(client: Pick<Client, "poolDir">, options: McpOptions) {
    const { backend } = options;
    if (backend?.place === client.poolDir) this.#backend = backend;
    else this.#backend = this.#own = new ServingBackend(client.poolDir);
    this.#options = options;
    this.#modern = createMcpHandler((context) => this.#build(context), {
      legacy: "reject",
      ...(options.onerror === undefined ? {} : { onerror: options.onerror }),
    });
    // One for all callers; their rights are checked when they subscribe.
    const pools = new GrantedPools(this.#backend, { grant: accessGrant("watcher", "read-only") });
    this.#watcher = new Watcher(pools, {
      updated: (uri) => this.#modern.notify.resourceUpdated(uri),
      listChanged: () => this.#modern.notify.resourcesChanged(),
    });
  }

  #build({ era, requestInfo }: McpRequestContext): Server {
    const { version = "0.0.0", progressMs, maxWaitMs } = this.#options;
    const grant = requestInfo === undefined ? undefined : this.#grants.get(requestInfo);
    if (grant === undefined) throw new PlasmiteError("Internal", "a request without a grant");
    return buildServer({
      pools: new GrantedPools(this.#backend, { grant, hidePaths: true }),
      version,
      // Without sessions, a client of 2025 cannot receive notifications.
      subscriptions: era === "modern" && grant.can("read"),
      ending: this.#ending.signal,
      progressMs,
      maxWaitMs,
      takePlace: () => this.#takePlace(),
    });
  }

  #takePlace(): (() => void) | null {
    if (this.#options.takePlace !== undefined) return this.#options.takePlace();
    if (this.#waits >= (this.#options.maxWaits ?? 64)) return null;
    this.#waits++;
    return () => this.#waits--;
  }

  /** Ends waits, with an answer, and then streams. */
  async close(): Promise<void> {
    this.#ending.abort();
    this.#watcher.close();
    const stop = new AbortController();
    const answered = Promise.allSettled(this.#running).then(() => stop.abort());
    await Promise.race([answered, pause(LAST_ANSWERS, stop.signal)]);
    await this.#modern.close();
    this.#own?.close();
  }

  /** Handles one request of a caller with these rights. */
  async fetch(request: Request, given?: Grant): Promise<Response> {
    const grant = given ?? accessGrant("anyone", this.#options.access ?? "read-write");
    if (accessOf(grant) === null) {
      return rpcError(403, -32000, "Forbidden: these credentials allow nothing");
    }
    if (request.method !== "POST") {
      return new Response(null, { status: 405, headers: { allow: "POST" } });
    }
    if (!JSON_TYPE.test(request.headers.get("content-type") ?? "")) {
      return rpcError(415, -32000, "Unsupported media type: send application/json");
    }
    const most = this.#options.maxBodyBytes ?? 1 << 20;
    const bytes = await readBody(request, most);
    if (bytes === null) {
      return rpcError(413, -32000, `Request body too large: at most ${most} bytes`);
    }
    let text: string;
    try {
      text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return rpcError(400, -32700, "Parse error: the body is not UTF-8");
    }
    const framed = frame(text);
    if (framed.kind === "answer") return new Response(null, { status: 202 });
    if (framed.kind === "refused") {
      const { refusal } = framed;
      // An error status ends the session of some clients; with an id only one call has failed.
      const nobody = refusal.error.code === -32700 && refusal.id === null;
      return Response.json(refusal, { status: nobody ? 400 : 200 });
    }
    const { call } = framed;
    const events = acceptsEvents(request.headers.get("accept"));
    const headers = new Headers(request.headers);
    headers.set("accept", "application/json, text/event-stream");
    headers.set("content-type", "application/json");
    headers.delete("content-length");
    // The signal of the request is not used: reading it makes Deno.serve print a warning, and it
    // also fires after success. The body of the response tells when the client disconnects.
    const gone = new AbortController();
    const bare = new Request(request.url, { method: "POST", headers, signal: gone.signal });
    this.#grants.set(bare, grant);
    const reply = new LateReply(events, () => gone.abort());
    const legacy = await isLegacyRequest(bare, call);
    if (!legacy && !events) withoutProgress(call);
    const answer = legacy ? this.#legacy(bare, call, reply) : this.#current(bare, call, grant);
    this.#running.add(answer);
    const ended = (): boolean => this.#running.delete(answer);
    answer.then(ended, ended);
    return LONG.has(call.method) ? await reply.respond(answer) : await answer;
  }

  async #current(request: Request, call: Call, grant: Grant): Promise<Response> {
    if (call.method !== "subscriptions/listen") {
      return await exact(await this.#modern.fetch(request, { parsedBody: call }));
    }
    const place = this.#takePlace();
    if (place === null) {
      const error = { code: -32603, message: "Too many waits and subscriptions are open" };
      return Response.json({ jsonrpc: "2.0", id: call.id ?? null, error });
    }
    const pools = new GrantedPools(this.#backend, { grant });
    restrict(call, (uri) => pools.check("read", poolOfUri(uri)));
    const listen = grant.can("read") ? this.#watcher.listen(wantedBy(call.params)) : undefined;
    const release = once(() => {
      listen?.stop();
      place();
    });
    try {
      await listen?.begun;
      const answer = await this.#modern.fetch(request, { parsedBody: call });
      return await exact(answer, release, grant.ended);
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Handles a request of a client of 2025: without sessions, each request has its own server. */
  async #legacy(request: Request, call: Call, reply: LateReply): Promise<Response> {
    const version = request.headers.get("mcp-protocol-version");
    if (
      version !== null && call.method !== "initialize" &&
      !SUPPORTED_PROTOCOL_VERSIONS.includes(version)
    ) {
      const known = SUPPORTED_PROTOCOL_VERSIONS.join(", ");
      const message = `Bad Request: Unsupported protocol version: ${version} ` +
        `(supported versions: ${known})`;
      return rpcError(400, -32000, message, call.id);
    }
    // The SDK drops what it cannot read, and the client would wait forever.
    if (call.id !== undefined && !isJSONRPCRequest(call)) {
      return rpcError(200, -32602, "Invalid params: _meta is not as the protocol has it", call.id);
    }
    const exchange = new Exchange((text) => reply.notify(text));
    await this.#build({ era: "legacy", requestInfo: request }).connect(exchange);
    if (request.signal.aborted) await exchange.close();
    request.signal.addEventListener("abort", () => void exchange.close(), { once: true });
    return await exchange.run(call);
  }
}

/** Runs `work` only on the first call. */
function once(work: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    work();
  };
}

/**
 * Removes resources that the caller may not read from a subscription.
 */
function restrict({ params }: Call, check: (uri: string) => void): void {
  const filter = params?.["notifications"];
  if (filter === null || typeof filter !== "object") return;
  const wanted = filter as { resourceSubscriptions?: unknown };
  const uris = wanted.resourceSubscriptions;
  if (!Array.isArray(uris)) return;
  wanted.resourceSubscriptions = uris.filter((uri) => {
    try {
      if (typeof uri === "string") check(uri);
      return true;
    } catch (error) {
      // A foreign URI is left in: there will be no notifications about it.
      if (error instanceof ResourceProblem) return true;
      if (!PlasmiteError.is(error)) throw error;
      return false;
    }
  });
}

/** Removes the request for progress, which a JSON response cannot report. */
function withoutProgress({ params }: Call): void {
  const meta = params?.["_meta"];
  if (meta === null || typeof meta !== "object") return;
  delete (meta as { progressToken?: unknown }).progressToken;
}

/**
 * The response with the text of wrappers restored; `ended` is called at the end of its body, and
 * `stop` ends a stream.
 */
async function exact(
  response: Response,
  ended?: () => void,
  stop?: AbortSignal,
): Promise<Response> {
  const { body, status, headers } = response;
  const type = headers.get("content-type") ?? "";
  if (body === null || !type.startsWith("text/event-stream")) {
    ended?.();
    if (body === null) return response;
    const plain = new Headers(headers);
    plain.delete("content-length");
    return new Response(unwrap(await response.text()), { status, headers: plain });
  }
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  // This ends a pending read.
  const cancel = (): void => void reader.cancel().catch(() => {});
  if (stop?.aborted === true) cancel();
  stop?.addEventListener("abort", cancel, { once: true });
  const over = (): void => {
    stop?.removeEventListener("abort", cancel);
    ended?.();
  };
  // The SDK writes each event in one chunk.
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(encoder.encode(unwrap(decoder.decode(value))));
        over();
        controller.close();
      } catch (error) {
        over();
        throw error;
      }
    },
    async cancel(reason) {
      over();
      await reader.cancel(reason);
    },
  });
  return new Response(stream, { status, headers });
}
