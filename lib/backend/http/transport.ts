/**
 * Sends requests to one server: address, credentials, time limits and errors. The other modules in
 * this directory build on it.
 *
 * @module
 */

import type { AccessKey } from "../../access/key.ts";
import { Buf } from "../../bytes.ts";
import { parseJsonExact } from "../../text/json_exact.ts";
import { PlasmiteError } from "../../errors.ts";
import { startTimer } from "../../timers.ts";
import { checkTokenSafe, serverAddress } from "./address.ts";
import { checkToken } from "./token.ts";
import { Connections, type SendOptions } from "./connections.ts";
import {
  anonymousError,
  type Effect,
  envelopeError,
  refusedKey,
  RemoteError,
  statusError,
  transportError,
  unanswered,
  unreadable,
} from "./error.ts";
import type { Answer, Request } from "./http1.ts";
import { ConnectFailure, type Dial, dialer, speaksTls, WrongScheme } from "./socket.ts";
import { certificatesOf, readCertificates } from "./trust.ts";

/** The time limit from the start of a request to the end of its response, in milliseconds. */
const DEADLINE = 30_000;
/** The largest response in bytes: a message of 256 MiB and its envelope. */
const LARGEST = 257 * 1024 * 1024;
/** The largest error body in bytes. */
const LARGEST_ERROR = 1024 * 1024;

/** Options of a connection to a server. */
export interface TransportOptions {
  /** The bearer token. */
  readonly token?: string | undefined;
  /**
   * Timeout for a request and its response, in milliseconds; default 30000. Does not apply to
   * streams.
   */
  readonly timeoutMs?: number | undefined;
  /** A `fetch` to use instead of the built-in one. */
  readonly fetch?: typeof fetch | undefined;
  /** Which certificates to trust over https; default Deno's certificate authorities. */
  readonly tls?: {
    /** The only trusted certificates, as PEM text. */
    readonly caCerts?: readonly string[] | undefined;
    /** The path of a PEM file with the only trusted certificates. */
    readonly caFile?: string | undefined;
    /** Accept any certificate for any host; overrides the other two. For experiments only. */
    readonly skipVerify?: boolean | undefined;
  } | undefined;
  /**
   * The server's access key, instead of `token` and `tls`. With null, no credentials are sent, and
   * the certificate only has to be valid for the host. Defaults to the key saved for the server if
   * neither `token` nor `tls` is given.
   */
  readonly accessKey?: AccessKey | null | undefined;
}

/** The only way to reach a server where there are no sockets: in a browser. */
const FETCH_ALONE = typeof Deno === "undefined" ? globalThis.fetch : undefined;

/** One request. */
export interface Call {
  /** The method; default GET. */
  readonly method?: string;
  /** The body. */
  readonly body?: Uint8Array<ArrayBuffer> | string;
  /** The content type of the body. */
  readonly type?: string;
  /** The accepted content type; default JSON. */
  readonly accept?: string;
  /** Further headers, in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The pool named in errors. */
  readonly pool?: string;
  /** What the request changes; such a request is never sent twice. */
  readonly effect?: Effect;
  /** The largest accepted response, in bytes. */
  readonly limit?: number;
  /** Aborts the request, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** How requests reach the server. */
interface Route {
  /** The bearer token to send to this server. */
  readonly credential: string | undefined;
  /** Whether the credential is the secret of an access key. */
  readonly hasKey: boolean;
  /** Sends a request and reads the head of its response. */
  send(request: Request, options: SendOptions): Promise<Answer>;
}

/** An open stream. */
export interface OpenStream {
  /** The next piece, null at the end; valid until the next call. */
  read(): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Ends the stream. */
  cancel(): void;
}

/** A JSON object, or an array. */
export interface JsonFields {
  /** A member. */
  readonly [key: string]: unknown;
}

/** The connections to one server, shared by a client, its pools and their streams. */
export class Transport {
  /** The server. */
  readonly base: URL;
  /**
   * The server's features beyond v0; null before its first response, empty for other
   * implementations.
   */
  features: ReadonlySet<string> | null = null;
  readonly #options: TransportOptions;
  readonly #timeoutMs: number;
  readonly #certificates: readonly string[] | undefined;
  /** Whether a saved key may be used, because no other credentials were given. */
  readonly #isAnonymous: boolean;
  #route: Promise<Route> | undefined;
  #release: () => void = () => {};
  #users = 1;

  /**
   * Creates a transport without sending anything.
   *
   * @throws {PlasmiteError} Usage for a bad address, token or certificate file
   */
  constructor(address: string | URL, options: TransportOptions = {}) {
    this.base = serverAddress(address);
    const { token, tls } = options;
    if (token !== undefined) {
      checkToken(token);
      checkTokenSafe(this.base);
    }
    if (options.accessKey !== undefined) this.#checkPinnable();
    this.#timeoutMs = options.timeoutMs ?? DEADLINE;
    if (!(this.#timeoutMs > 0)) {
      throw new PlasmiteError("Usage", `invalid timeoutMs: ${this.#timeoutMs}`, {
        hint: "Use a positive number of milliseconds.",
      });
    }
    this.#options = options;
    // Read even if http or skipVerify makes them unused; an invalid file is an error either way.
    const certificates = [
      ...(tls?.caFile === undefined ? [] : readCertificates(tls.caFile)),
      ...(tls?.caCerts ?? []).flatMap((pem) => certificatesOf(pem)),
    ];
    this.#certificates = certificates.length > 0 ? certificates : undefined;
    this.#isAnonymous = this.base.protocol === "https:" && token === undefined &&
      options.accessKey === undefined && this.#certificates === undefined &&
      tls?.skipVerify !== true && options.fetch === undefined && FETCH_ALONE === undefined;
  }

  /** Rejects an access key if its certificate cannot be checked. Throws Usage. */
  #checkPinnable(): void {
    if (this.base.protocol === "https:" && FETCH_ALONE === undefined) return;
    throw new PlasmiteError("Usage", "access keys are for https addresses, outside of browsers", {
      hint: "Use https://host:port; in a browser, give the token.",
    });
  }

  /** Increments the number of users of the connections. */
  retain(): this {
    this.#users++;
    return this;
  }

  /** Decrements the number of users; closes the connections when none are left. */
  release(): void {
    if (--this.#users === 0) this.#release();
  }

  async #load(): Promise<Route> {
    const { accessKey, fetch: own = FETCH_ALONE, token: credential } = this.#options;
    const { base } = this;
    if (own !== undefined) {
      const { sendThrough } = await import("./own_fetch.ts");
      const send: Route["send"] = (request, options) => sendThrough(own, base, request, options);
      return { credential, hasKey: false, send };
    }
    const key = this.#isAnonymous
      ? await import("../../access/connections.ts").then(({ savedKey }) => savedKey(base))
      : accessKey;
    const connections = new Connections(
      key || accessKey === null
        ? (await import("./pinned.ts")).pinnedDialer(base, key?.spki ?? null)
        : await this.#dialer(base),
    );
    if (this.#users === 0) connections.close();
    this.#release = () => connections.close();
    return {
      credential: key ? key.secret : credential,
      hasKey: Boolean(key),
      send: (request, options) => connections.send(request, options),
    };
  }

  async #dialer(base: URL): Promise<Dial> {
    const skipVerify = this.#options.tls?.skipVerify === true;
    const ca = this.#certificates;
    if (base.protocol !== "https:" || (ca === undefined && !skipVerify)) return dialer(base);
    return (await import("./node_tls.ts")).trustingDialer(base, { ca, skipVerify });
  }

  /** How to reach the server; determined again after a failure. */
  async #found(): Promise<Route> {
    const finding = this.#route ??= this.#load();
    try {
      return await finding;
    } catch (error) {
      if (this.#route === finding) this.#route = undefined;
      throw error;
    }
  }

  /** Adds a hint to errors caused by a missing or rejected saved key. */
  #advised(error: RemoteError, route: Route | undefined): RemoteError {
    const advised = route?.hasKey
      ? refusedKey(error, this.base)
      : this.#isAnonymous
      ? anonymousError(error, this.base)
      : error;
    // A key may be saved while a long-running program is active.
    if (advised !== error && this.#isAnonymous) {
      this.#route = undefined;
      this.#release();
    }
    return advised;
  }

  #request(path: string, call: Call, credential: string | undefined): Request {
    const { pathname, search } = new URL(path, this.base);
    const headers: [string, string][] = [
      ["host", this.base.host],
      ["user-agent", "plasmite"],
      ["accept", call.accept ?? "application/json"],
    ];
    if (call.type !== undefined) headers.push(["content-type", call.type]);
    headers.push(...Object.entries(call.headers ?? {}));
    if (credential !== undefined) headers.push(["authorization", `Bearer ${credential}`]);
    const { body } = call;
    return {
      method: call.method ?? "GET",
      target: pathname + search,
      headers,
      body: typeof body === "string" ? new TextEncoder().encode(body) : body,
    };
  }

  /** Sends a request and passes its response to `use`, within the time limit. */
  async #within<T>(
    path: string,
    call: Call,
    use: (answer: Answer) => Promise<T>,
  ): Promise<T> {
    const { signal, effect, pool } = call;
    signal?.throwIfAborted();
    const abort = new AbortController();
    const late = new Error(`no answer within ${this.#timeoutMs} ms`);
    const timer = startTimer(() => abort.abort(late), this.#timeoutMs);
    const aborted = (): void => abort.abort(signal?.reason);
    signal?.addEventListener("abort", aborted, { once: true });
    let sent = false;
    let done = false;
    let route: Route | undefined;
    try {
      route = await this.#found();
      const answer = await route.send(this.#request(path, call, route.credential), {
        signal: abort.signal,
        repeatable: effect === undefined,
        onSend: () => sent = true,
      });
      const features = answer.header("plasmite-features") ?? "";
      this.features = new Set(features === "" ? [] : features.split(","));
      if (answer.status !== 200) throw this.#advised(await this.#failure(answer, call), route);
      done = true;
      return await use(answer);
    } catch (error) {
      const timedOut = abort.signal.reason === late;
      abort.abort(error);
      signal?.throwIfAborted();
      if (PlasmiteError.is(error) && !(done && error instanceof RemoteError)) throw error;
      const failure = error instanceof RemoteError
        ? error
        : this.#advised(await this.#explain(error, timedOut ? late : undefined, pool), route);
      throw effect === undefined || !sent || failure.unsent ? failure : unanswered(failure, effect);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", aborted);
    }
  }

  /** Finds the error for a connection failure. */
  async #explain(
    error: unknown,
    late: Error | undefined,
    pool: string | undefined,
  ): Promise<RemoteError> {
    const { base } = this;
    if (error instanceof ConnectFailure || error instanceof WrongScheme) {
      return transportError(error, pool, { base });
    }
    // A server that never responded may speak TLS.
    const doubt = this.features === null && base.protocol === "http:" && late === undefined &&
      this.#options.fetch === undefined && FETCH_ALONE === undefined;
    const cause = doubt && await speaksTls(base) ? new WrongScheme("https") : late ?? error;
    return transportError(cause, pool, { base });
  }

  async #failure(answer: Answer, { pool, effect }: Call): Promise<RemoteError> {
    const { status } = answer;
    let text = "";
    try {
      text = new TextDecoder().decode(await readAll(answer, LARGEST_ERROR));
      const error = envelopeError(status, parseJsonExact(text), pool);
      if (error !== null) return error;
    } catch {
      // An incomplete response, or not JSON: report its status.
    }
    const failure = statusError(status, pool, text);
    // The server itself reports reasons; a gateway may not know the outcome of the request.
    const refused = status >= 300 && status < 500;
    return effect === undefined || refused ? failure : unanswered(failure, effect);
  }

  /**
   * Reads a whole response and parses it.
   *
   * @param parse parses the bytes; throws {@linkcode unreadable} if they are invalid
   * @throws {RemoteError} the error reported by the server; Io if it cannot be reached
   */
  read<T>(path: string, call: Call, parse: (bytes: Uint8Array<ArrayBuffer>) => T): Promise<T> {
    return this.#within(path, call, async (answer) => {
      return parse(await readAll(answer, call.limit ?? LARGEST));
    });
  }

  /** The bytes of a response. Throws the same errors as {@linkcode Transport.read}. */
  bytes(path: string, call: Call = {}): Promise<Uint8Array<ArrayBuffer>> {
    return this.read(path, call, (bytes) => bytes);
  }

  /**
   * The JSON value of a response, with exact integers; for the server's own documents, not data.
   *
   * @throws {RemoteError} as {@linkcode Transport.read}; Internal if it is not JSON
   */
  json(path: string, call: Call = {}): Promise<JsonFields> {
    return this.read(path, call, (bytes) => jsonFields(bytes, call.pool));
  }

  /**
   * Opens a stream; the time limit applies until its headers have arrived.
   *
   * @throws {RemoteError} the error reported by the server; Io if it cannot be reached
   */
  stream(path: string, call: Call): Promise<OpenStream> {
    return this.#within(path, call, (answer) => Promise.resolve(answer));
  }
}

/**
 * The JSON document of a response.
 *
 * @throws {RemoteError} Internal if it is invalid
 */
export function jsonFields(bytes: Uint8Array, pool: string | undefined): JsonFields {
  try {
    const value = parseJsonExact(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (value !== null && typeof value === "object") return value as JsonFields;
  } catch {
    // Reported below, along with JSON of the wrong shape.
  }
  throw unreadable(pool);
}

/** Reads a body to its end, up to `limit` bytes. */
async function readAll(answer: Answer, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  // Allocate the announced length, up to a limit.
  const announced = Number(answer.header("content-length") ?? 0);
  const out = new Buf(announced > 0 && announced <= 1024 * 1024 ? announced : 1024);
  for (let piece = await answer.read(); piece !== null; piece = await answer.read()) {
    if (out.len + piece.length > limit) {
      answer.cancel();
      throw new RemoteError(answer.status, "Io", "answer of the server is too large", {
        hint: `Answers may have ${limit} bytes.`,
      });
    }
    out.reserve(piece.length);
    out.u8.set(piece, out.len);
    out.len += piece.length;
  }
  return out.len === out.u8.length ? out.u8 : out.bytes().slice();
}
