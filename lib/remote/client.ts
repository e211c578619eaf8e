/**
 * The client of the pools of a server: create, open, list, delete.
 *
 * @module
 */

import { parseAccessKey } from "../access/key.ts";
import type { PoolInfo } from "../backend/local/info.ts";
import type { CreateOptions } from "../client/client.ts";
import type { IntegerPolicy } from "../client/message.ts";
import { checkOptions, INTEGERS, type OptionKinds } from "../client/option_kinds.ts";
import { checkSeq, type JsonObject, type Seq } from "../client/options.ts";
import { PlasmiteError } from "../errors.ts";
import { HttpBackend } from "../backend/http.ts";
import { openOrCreate } from "../backend/open_or_create.ts";
import { remotePoolName } from "../backend/http/address.ts";
import type { TransportOptions } from "../backend/http/transport.ts";
import { RemotePool } from "./pool.ts";

/**
 * Options of a {@linkcode RemoteClient}.
 *
 * @example Connect with a token and a time limit
 * ```ts
 * import { RemoteClient } from "@plasmite/core";
 *
 * await using client = new RemoteClient("https://pools.example:9700", {
 *   token: "secret",
 *   timeoutMs: 5_000,
 * });
 * console.assert(client.baseUrl.port === "9700");
 * ```
 */
export interface RemoteClientOptions {
  /** The bearer token; it is sent only over https, or over http to this machine. */
  readonly token?: string;
  /**
   * Timeout of a request including its response, in milliseconds; default 30000. Streams have none.
   */
  readonly timeoutMs?: number;
  /** How integers in data are decoded; see `ClientOptions.integers`. */
  readonly integers?: IntegerPolicy;
  /**
   * A `fetch` to use instead of the built-in HTTP client. Requests that change something have a
   * stream as their body.
   */
  readonly fetch?: typeof fetch;
  /**
   * The access key of the server (`pk1.…`): it says which certificate to trust and what to send, so
   * it takes the place of `token` and `tls`. Without any of the three, a key that was saved for the
   * server is used.
   */
  readonly accessKey?: string;
  /** Which certificates to trust over https; default Deno's certificate authorities. */
  readonly tls?: {
    /** The only trusted certificates, as PEM text: authorities, or the server's own certificate. */
    readonly caCerts?: string[];
    /** The path of a PEM file with the only trusted certificates. */
    readonly caFile?: string;
    /** Accept any certificate for any host; overrides the other two. For experiments only. */
    readonly skipVerify?: boolean;
  };
}

/** The kinds of the options of a client. */
export const REMOTE_KINDS: OptionKinds<RemoteClientOptions> = {
  token: "string",
  timeoutMs: "number",
  integers: INTEGERS,
  fetch: "function",
  accessKey: "string",
  tls: "object",
};
const TLS_KINDS: OptionKinds<NonNullable<RemoteClientOptions["tls"]>> = {
  caCerts: "texts",
  caFile: "string",
  skipVerify: "boolean",
};

/**
 * Options of a new pool on a server.
 *
 * @example Create a pool whose messages expire after a day
 * ```ts
 * import { RemoteClient, type RemoteCreateOptions } from "@plasmite/core/remote";
 *
 * async function create(client: RemoteClient): Promise<void> {
 *   const options: RemoteCreateOptions = { sizeBytes: 1 << 23, maxAgeMs: 24 * 3_600_000 };
 *   await client.createPool("daily", options);
 * }
 * console.assert(create.length === 1);
 * ```
 */
export type RemoteCreateOptions = Pick<CreateOptions, "sizeBytes" | "maxAgeMs">;

const CREATE_KINDS: OptionKinds<RemoteCreateOptions> = {
  sizeBytes: "checked",
  maxAgeMs: "number",
};

/** The options as connections need them. Throws Usage for an access key that cannot be used. */
function transportOptions({ accessKey, ...options }: RemoteClientOptions): TransportOptions {
  if (accessKey === undefined) return options;
  const { token, tls, fetch } = options;
  if (token !== undefined || tls !== undefined || fetch !== undefined) {
    throw new PlasmiteError("Usage", "accessKey cannot be combined with token, tls or fetch", {
      hint: "The key says which certificate to trust and what to send; leave the others out.",
    });
  }
  return { ...options, accessKey: parseAccessKey(accessKey) };
}

/**
 * The pools of one server. Creating a client sends nothing.
 *
 * Connections are made directly to the server; proxy environment variables are ignored. Redirects
 * are never followed. Requests that change something are sent only once: if the response is lost,
 * the error has `outcomeUnknown` set, because the change may have been made. A {@linkcode
 * RemotePool.tail} with `reconnect` reconnects automatically.
 *
 * @example Use the pools of a server
 * ```ts
 * import { Client, RemoteClient } from "@plasmite/core";
 * import { createApp } from "@plasmite/core/server";
 *
 * const app = createApp(new Client(Deno.makeTempDirSync()), { token: "secret" });
 * await using client = new RemoteClient("http://localhost:9700", {
 *   token: "secret",
 *   fetch: (input, init) => app.fetch(new Request(input, init)),
 * });
 * await using pool = await client.pool("demo");
 * console.assert((await pool.append({ hello: "world" })).seq === 1n);
 * console.assert((await client.listPools()).length === 1);
 * await app.shutdown();
 * ```
 */
export class RemoteClient implements AsyncDisposable {
  readonly #backend: HttpBackend;
  readonly #integers: IntegerPolicy;
  readonly #options: RemoteClientOptions;
  #closed = false;

  /**
   * Creates a client.
   *
   * @param baseUrl `http(s)://host[:port]`
   * @throws {PlasmiteError} Usage for an invalid address, a token that would be sent unencrypted,
   *   or certificates that cannot be read
   */
  constructor(baseUrl: string | URL, options?: RemoteClientOptions) {
    this.#options = checkOptions(options, "RemoteClient", REMOTE_KINDS);
    checkOptions(this.#options.tls, "tls", TLS_KINDS);
    this.#integers = this.#options.integers ?? "auto";
    this.#backend = new HttpBackend(baseUrl, transportOptions(this.#options));
  }

  /** The server's address. */
  get baseUrl(): URL {
    return new URL(this.#backend.base);
  }

  /** A client for the same server with another token. */
  withToken(token: string): RemoteClient {
    const { accessKey: _, ...options } = this.#options;
    return new RemoteClient(this.baseUrl, { ...options, token });
  }

  #name(ref: string): string {
    if (this.#closed) {
      throw new PlasmiteError("Usage", "client is closed", { hint: "Make a new RemoteClient." });
    }
    return remotePoolName(ref, this.#backend.base);
  }

  /**
   * Creates a pool on the server.
   *
   * @param name the pool's name
   * @param size the size of the file in bytes (default, and for 0: 1 MiB), or all options
   * @throws {RemoteError} AlreadyExists, Usage for a size too small, Permission
   */
  async createPool(name: string, size?: Seq | RemoteCreateOptions): Promise<PoolInfo> {
    const pool = this.#name(name);
    const { sizeBytes, maxAgeMs } = checkOptions<RemoteCreateOptions>(
      typeof size === "object" ? size : { sizeBytes: size ?? 0 },
      "pool",
      CREATE_KINDS,
    );
    const bytes = checkSeq(sizeBytes ?? 0, "pool size");
    return await this.#backend.create(pool, {
      ...(bytes === 0n ? {} : { sizeBytes: bytes }),
      ...(maxAgeMs === undefined ? {} : { maxAgeMs }),
    });
  }

  /**
   * Opens a pool.
   *
   * @param name the pool's name, or its URL on this server
   * @throws {RemoteError} NotFound, Permission; Io when the server cannot be reached
   */
  async openPool<T extends object = JsonObject>(name: string): Promise<RemotePool<T>> {
    const pool = this.#name(name);
    await this.#backend.opened(pool);
    return this.#pool<T>(pool);
  }

  /** Returns a pool without checking that it exists, for appending to write-only servers. */
  uncheckedPool<T extends object = JsonObject>(name: string): RemotePool<T> {
    return this.#pool<T>(this.#name(name));
  }

  #pool<T extends object>(name: string): RemotePool<T> {
    return new RemotePool<T>(this.#backend.pool(name), this.#integers);
  }

  /**
   * Opens a pool, creating it if it does not exist; `size` is used only then.
   *
   * @param name the pool's name, or its URL on this server
   * @param size the size of a new file in bytes (default, and for 0: 1 MiB), or all options
   * @throws {RemoteError} Permission, Usage; Io when the server cannot be reached
   */
  async pool<T extends object = JsonObject>(
    name: string,
    size?: Seq | RemoteCreateOptions,
  ): Promise<RemotePool<T>> {
    return await openOrCreate(() => this.openPool<T>(name), () => this.createPool(name, size));
  }

  /**
   * Returns the sizes, bounds and metrics of a pool.
   *
   * @throws {RemoteError} NotFound, Permission; Io when the server cannot be reached
   */
  async poolInfo(name: string): Promise<PoolInfo> {
    return await this.#backend.info(this.#name(name));
  }

  /**
   * Returns the information from opening a pool; on a write-only server it has no bounds or
   * metrics.
   */
  async openInfo(name: string): Promise<PoolInfo> {
    return await this.#backend.opened(this.#name(name));
  }

  /**
   * Lists all pools of the server, sorted by name. Entries for pools that cannot be opened have
   * `error` set.
   *
   * @throws {RemoteError} Permission; Io when the server cannot be reached
   */
  async listPools(): Promise<PoolInfo[]> {
    this.#name("x");
    return [...await this.#backend.list()];
  }

  /**
   * Deletes a pool, intact or damaged.
   *
   * @throws {RemoteError} NotFound, Permission; Io when the server cannot be reached
   */
  async deletePool(name: string): Promise<void> {
    await this.#backend.remove(this.#name(name));
  }

  /** Closes the client; pools and streams opened with it stay open. */
  close(): Promise<void> {
    this.#closed = true;
    this.#backend.close();
    return Promise.resolve();
  }

  /** Closes the client. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
