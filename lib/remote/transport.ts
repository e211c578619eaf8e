/**
 * Requests to one server: where they go, who asks, how long an answer may take, and what a bad one
 * means. Everything else in this room is built on it.
 *
 * @module
 */

import { joinBytes } from "../bytes.ts";
import { parseJsonExact } from "../client/message.ts";
import { PlasmiteError } from "../errors.ts";
import { startTimer } from "../timers.ts";
import { checkTokenSafe, serverAddress } from "./address.ts";
import { envelopeError, RemoteError, statusError, transportError, unreadable } from "./error.ts";
import { certificatesOf, readCertificates } from "./trust.ts";

/** How long a request may take from its start to the end of its answer, in milliseconds. */
const DEADLINE = 30_000;
/** The largest answer in bytes: a message of 256 MiB and what is around it. */
const LARGEST = 257 * 1024 * 1024;
/** The largest body of an error in bytes. */
const LARGEST_ERROR = 1024 * 1024;

/** How to reach a server and what to say there. */
export interface TransportOptions {
  /** The bearer token. */
  readonly token?: string | undefined;
  /** Most milliseconds for one request, its answer included; streams have none. Default 30000. */
  readonly timeoutMs?: number | undefined;
  /** A `fetch` to use instead of the built-in one. */
  readonly fetch?: typeof fetch | undefined;
  /** Whom to trust over https; by default the authorities that Deno knows. */
  readonly tls?: {
    /** The only certificates to trust, as PEM text. */
    readonly caCerts?: readonly string[] | undefined;
    /** A PEM file with the only certificates to trust. */
    readonly caFile?: string | undefined;
    /** Accept any certificate of any host; wins over the other two. For experiments only. */
    readonly skipVerify?: boolean | undefined;
  } | undefined;
}

/** One request. */
export interface Call {
  /** Default GET. */
  readonly method?: string;
  /** What is sent. */
  readonly body?: Uint8Array<ArrayBuffer> | string;
  /** The type of what is sent. */
  readonly type?: string;
  /** The type that is wanted; default JSON. */
  readonly accept?: string;
  /** The pool that errors are about. */
  readonly pool?: string;
  /** The largest answer that is taken, in bytes. */
  readonly limit?: number;
  /** Calls it off; rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

interface Init {
  readonly method: string;
  readonly headers: Headers;
  readonly body?: Uint8Array<ArrayBuffer> | string;
  readonly redirect: "manual";
  readonly signal: AbortSignal;
}

type Fetch = (url: URL, init: Init) => Promise<Response>;

/** A stream that was begun. */
export interface OpenStream {
  /** The body. */
  readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  /** Ends it. */
  cancel(): void;
}

/** The connections to one server, shared by a client, its pools and their streams. */
export class Transport {
  /** The server. */
  readonly base: URL;
  /** What the server has beyond v0; null until it answered, empty for servers that are not ours. */
  features: ReadonlySet<string> | null = null;
  readonly #options: TransportOptions;
  readonly #timeoutMs: number;
  readonly #certificates: readonly string[] | undefined;
  #fetch: Promise<Fetch> | undefined;
  #release: () => void = () => {};
  #users = 1;

  /**
   * Prepares requests to a server; nothing is sent.
   *
   * @throws {PlasmiteError} Usage for a bad address, token or certificate file
   */
  constructor(address: string | URL, options: TransportOptions = {}) {
    this.base = serverAddress(address);
    const { token, tls } = options;
    if (token !== undefined) {
      if (!/^[\x21-\x7e]+$/.test(token)) {
        throw new PlasmiteError("Usage", "invalid bearer token", {
          hint: "A token is printable ASCII without spaces.",
        });
      }
      checkTokenSafe(this.base);
    }
    this.#timeoutMs = options.timeoutMs ?? DEADLINE;
    if (!(this.#timeoutMs > 0)) {
      throw new PlasmiteError("Usage", `invalid timeoutMs: ${this.#timeoutMs}`, {
        hint: "Use a positive number of milliseconds.",
      });
    }
    this.#options = options;
    // Read even where http or skipVerify makes them unused: a bad file is a mistake either way.
    const certificates = [
      ...(tls?.caFile === undefined ? [] : readCertificates(tls.caFile)),
      ...(tls?.caCerts ?? []).flatMap((pem) => certificatesOf(pem)),
    ];
    this.#certificates = certificates.length > 0 ? certificates : undefined;
  }

  /** The same server with another token. */
  withToken(token: string): Transport {
    return new Transport(this.base, { ...this.#options, token });
  }

  /** One more user of the connections. */
  retain(): this {
    this.#users++;
    return this;
  }

  /** One user less; the last one closes the connections. */
  release(): void {
    if (--this.#users === 0) this.#release();
  }

  async #load(): Promise<Fetch> {
    const { fetch: own, tls } = this.#options;
    if (own !== undefined) return own;
    const skipVerify = tls?.skipVerify === true;
    const ca = this.#certificates;
    if (this.base.protocol === "http:" || (ca === undefined && !skipVerify)) {
      return globalThis.fetch;
    }
    const { trustedFetch } = await import("./node_https.ts");
    const trusted = trustedFetch({ ca, skipVerify });
    this.#release = trusted.close;
    return trusted.fetch;
  }

  #init(call: Call, signal: AbortSignal): Init {
    const headers = new Headers({ accept: call.accept ?? "application/json" });
    if (call.type !== undefined) headers.set("content-type", call.type);
    const { token } = this.#options;
    if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
    return {
      method: call.method ?? "GET",
      headers,
      ...(call.body === undefined ? {} : { body: call.body }),
      redirect: "manual",
      signal,
    };
  }

  /**
   * Sends a request and hands its answer to `use`, within the time limit.
   */
  async #within<T>(
    path: string,
    call: Call,
    use: (response: Response, abort: AbortController) => Promise<T>,
  ): Promise<T> {
    const { signal } = call;
    signal?.throwIfAborted();
    const abort = new AbortController();
    const late = new Error(`no answer within ${this.#timeoutMs} ms`);
    const timer = startTimer(() => abort.abort(late), this.#timeoutMs);
    const aborted = (): void => abort.abort(signal?.reason);
    signal?.addEventListener("abort", aborted, { once: true });
    try {
      const fetch = await (this.#fetch ??= this.#load());
      const response = await fetch(new URL(path, this.base), this.#init(call, abort.signal));
      const features = response.headers.get("plasmite-features") ?? "";
      this.features = new Set(features === "" ? [] : features.split(","));
      if (response.status !== 200) throw await this.#failure(response, call);
      return await use(response, abort);
    } catch (error) {
      const timedOut = abort.signal.reason === late;
      abort.abort(error);
      signal?.throwIfAborted();
      if (PlasmiteError.is(error)) throw error;
      throw transportError(timedOut ? late : error, call.pool);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", aborted);
    }
  }

  async #failure(response: Response, call: Call): Promise<RemoteError> {
    const { status } = response;
    const bytes = await readAll(response, LARGEST_ERROR);
    let value: unknown;
    try {
      value = parseJsonExact(new TextDecoder().decode(bytes));
    } catch {
      return statusError(status, call.pool);
    }
    return envelopeError(status, value, call.pool) ?? statusError(status, call.pool);
  }

  /**
   * The bytes of an answer.
   *
   * @throws {RemoteError} what the server reports; Io when it cannot be reached
   */
  bytes(path: string, call: Call = {}): Promise<Uint8Array<ArrayBuffer>> {
    return this.#within(path, call, (response) => readAll(response, call.limit ?? LARGEST));
  }

  /**
   * The JSON value of an answer, integers exact; for the server's own documents, not for data.
   *
   * @throws {RemoteError} as {@linkcode Transport.bytes}; Internal when it is not JSON
   */
  async json(path: string, call: Call = {}): Promise<{ readonly [key: string]: unknown }> {
    const bytes = await this.bytes(path, call);
    try {
      const value = parseJsonExact(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
      if (value !== null && typeof value === "object") return value as Record<string, unknown>;
    } catch {
      // Told below, together with JSON of the wrong shape.
    }
    throw unreadable(call.pool);
  }

  /**
   * Begins to read a stream: the time limit holds until its headers are there.
   *
   * @throws {RemoteError} what the server reports; Io when it cannot be reached
   */
  stream(path: string, call: Call): Promise<OpenStream> {
    return this.#within(path, call, (response, abort) => {
      const reader = (response.body ?? new Blob([]).stream()).getReader();
      return Promise.resolve({
        reader,
        cancel: () => {
          reader.cancel().catch(() => {}); // It is given up either way.
          abort.abort();
        },
      });
    });
  }
}

/** Reads a body to its end, `limit` bytes at most. */
async function readAll(response: Response, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = (): RemoteError =>
    new RemoteError(response.status, "Io", "answer of the server is too large", {
      hint: `Answers may have ${limit} bytes.`,
    });
  const declared = Number(response.headers.get("content-length") ?? -1);
  if (declared > limit) throw tooLarge();
  if (declared >= 0 && !response.headers.has("content-encoding")) return await response.bytes();
  const pieces: Uint8Array[] = [];
  let total = 0;
  if (response.body !== null) {
    for await (const piece of response.body) {
      total += piece.length;
      if (total > limit) throw tooLarge();
      pieces.push(piece);
    }
  }
  return joinBytes(pieces);
}
