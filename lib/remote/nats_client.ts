/**
 * The client of the pools on NATS servers. The packages of NATS are loaded when it is first used.
 *
 * @module
 */

import type { PoolInfo } from "../backend/local/info.ts";
import { NatsAccess } from "../backend/nats/access.ts";
import { checkStreamName, type NatsAddress, natsAddress, poolRef } from "../backend/nats/ref.ts";
import { openOrCreate } from "../backend/open_or_create.ts";
import type { Backend, NewPool } from "../backend/types.ts";
import type { IntegerPolicy } from "../client/message.ts";
import { checkOptions, INTEGERS, type OptionKinds } from "../client/option_kinds.ts";
import { checkSeq, type JsonObject, type Seq } from "../client/options.ts";
import { PlasmiteError } from "../errors.ts";
import { LatePool } from "./nats_handle.ts";
import { NatsPool } from "./nats_pool.ts";

/**
 * Options of a {@linkcode NatsClient}.
 *
 * @example Connect with credentials
 * ```ts
 * import { NatsClient } from "@plasmite/core/nats";
 *
 * await using client = new NatsClient("nats+tls://nats.example", { creds: "user:password" });
 * console.assert(client.place === "nats+tls://nats.example:4222");
 * ```
 */
export interface NatsClientOptions {
  /** An authentication token. */
  readonly token?: string;
  /** Credentials: the text of a creds file, a seed, or `user:password`. */
  readonly creds?: string;
  /** The path of a file with credentials. */
  readonly credsFile?: string;
  /** The JetStream domain. */
  readonly domain?: string;
  /** How integers in data are decoded; see `ClientOptions.integers`. */
  readonly integers?: IntegerPolicy;
  /** TLS; any of these requires it, whatever the scheme. */
  readonly tls?: {
    /** The only trusted certificates, as PEM text. */
    readonly caCerts?: string[];
    /** The path of a PEM file with the only trusted certificates. */
    readonly caFile?: string;
    /** Accept any certificate for any host. For experiments only. */
    readonly skipVerify?: boolean;
    /** The path of a PEM file with the client's certificate. */
    readonly certFile?: string;
    /** The path of a PEM file with the key of that certificate. */
    readonly keyFile?: string;
    /** Whether the TLS handshake comes before the server's greeting. */
    readonly first?: boolean;
  };
}

/** The kinds of the options of a client. */
export const NATS_KINDS: OptionKinds<NatsClientOptions> = {
  token: "string",
  creds: "string",
  credsFile: "string",
  domain: "string",
  integers: INTEGERS,
  tls: "object",
};
const TLS_KINDS: OptionKinds<NonNullable<NatsClientOptions["tls"]>> = {
  caCerts: "texts",
  caFile: "string",
  skipVerify: "boolean",
  certFile: "string",
  keyFile: "string",
  first: "boolean",
};

/**
 * Options of a new pool on NATS.
 *
 * @example Three replicas, for a week
 * ```ts
 * import type { NatsCreateOptions } from "@plasmite/core/nats";
 *
 * const options: NatsCreateOptions = {
 *   sizeBytes: 1 << 30,
 *   replicas: 3,
 *   maxAgeMs: 7 * 86_400_000,
 * };
 * console.assert(options.replicas === 3);
 * ```
 */
export interface NatsCreateOptions {
  /** The largest size of the stream in bytes. */
  readonly sizeBytes: Seq;
  /** How many servers keep the stream: 1, 3 or 5; default 1. */
  readonly replicas?: number;
  /** Messages older than this are removed, in milliseconds; default never. */
  readonly maxAgeMs?: number;
  /** How long ids are remembered, in milliseconds; default of the server. */
  readonly dedupeMs?: number;
}

const CREATE_KINDS: OptionKinds<NatsCreateOptions> = {
  sizeBytes: "checked",
  replicas: "number",
  maxAgeMs: "number",
  dedupeMs: "number",
};

/**
 * The pools of an account on NATS servers. Creating a client sends nothing and loads nothing.
 *
 * @example Create a pool and append
 * ```ts
 * import { NatsClient } from "@plasmite/core/nats";
 *
 * export async function order(item: number): Promise<bigint> {
 *   await using client = new NatsClient("nats://127.0.0.1:4222");
 *   await client.createPool("ORDERS", { sizeBytes: 64 << 20 });
 *   await using pool = await client.openPool("ORDERS");
 *   return (await pool.append({ item })).seq;
 * }
 * ```
 */
export class NatsClient implements AsyncDisposable {
  readonly #address: NatsAddress;
  readonly #options: NatsClientOptions;
  readonly #integers: IntegerPolicy;
  #backend: Promise<Backend> | null = null;
  #closed = false;

  /**
   * Creates a client.
   *
   * @param address `nats://host[:port][,host…]` or `nats+tls://…`
   * @throws {PlasmiteError} Usage for an invalid address, a password that would be sent
   *   unencrypted, or files that cannot be read
   */
  constructor(address: string | URL, options?: NatsClientOptions) {
    this.#options = checkOptions(options, "NatsClient", NATS_KINDS);
    checkOptions(this.#options.tls, "tls", TLS_KINDS);
    this.#integers = this.#options.integers ?? "auto";
    this.#address = natsAddress(String(address));
    new NatsAccess(this.#address, this.#options); // Refuses what cannot be used.
  }

  /** The servers: `nats://host:port`. */
  get place(): string {
    return this.#address.place;
  }

  #open(): Promise<Backend> {
    if (this.#closed) return Promise.reject(closed());
    return this.#backend ??= this.#load();
  }

  async #load(): Promise<Backend> {
    const { NatsBackend } = await import("../backend/nats.ts");
    return new NatsBackend(this.#address, this.#options);
  }

  #name(ref: string): string {
    if (this.#closed) throw closed();
    if (typeof ref !== "string" || !ref.includes("://")) return checkStreamName(ref);
    const { name, path } = poolRef(ref);
    if (path === `${this.place}/${name}`) return name;
    throw new PlasmiteError("Usage", "pool reference is for other servers", {
      hint: "Use its name, or a client of those servers.",
    });
  }

  /**
   * Creates a pool.
   *
   * @param name the name of the pool and the stream
   * @param size the size in bytes, or all options; a stream without a limit is no pool
   * @throws {PlasmiteError} AlreadyExists, Usage, Permission
   */
  async createPool(name: string, size: Seq | NatsCreateOptions): Promise<PoolInfo> {
    const options = checkOptions<NatsCreateOptions>(
      typeof size === "object" ? size : { sizeBytes: size },
      "pool",
      CREATE_KINDS,
    );
    const { sizeBytes, ...rest } = options;
    const bytes = Number(checkSeq(sizeBytes ?? 0, "pool size"));
    const created: NewPool = { ...rest, sizeBytes: bytes };
    return await (await this.#open()).create(this.#name(name), created);
  }

  /**
   * Opens a pool.
   *
   * @param name the pool's name, or its reference on these servers
   * @throws {PlasmiteError} NotFound, Permission; Io when no server can be reached
   */
  async openPool<T extends object = JsonObject>(name: string): Promise<NatsPool<T>> {
    const pool = this.#late(name);
    await pool.open();
    return new NatsPool<T>(pool, this.#integers);
  }

  /** Returns a pool without looking whether it exists; its first use does. */
  uncheckedPool<T extends object = JsonObject>(name: string): NatsPool<T> {
    return new NatsPool<T>(this.#late(name), this.#integers);
  }

  /** The only pool of this client, which is closed with it. */
  onlyPool(name: string): NatsPool {
    return new NatsPool(this.#late(name, () => this.close()), this.#integers);
  }

  #late(name: string, closed?: () => Promise<void>): LatePool {
    const pool = this.#name(name);
    return new LatePool(pool, `${this.place}/${pool}`, () => this.#open(), closed);
  }

  /**
   * Opens a pool, creating it if it does not exist; `size` is used only then.
   *
   * @throws {PlasmiteError} Permission, Usage; Io when no server can be reached
   */
  async pool<T extends object = JsonObject>(
    name: string,
    size: Seq | NatsCreateOptions,
  ): Promise<NatsPool<T>> {
    return await openOrCreate(() => this.openPool<T>(name), () => this.createPool(name, size));
  }

  /**
   * Returns the sizes, bounds and metrics of a pool.
   *
   * @throws {PlasmiteError} NotFound, Permission; Io when no server can be reached
   */
  async poolInfo(name: string): Promise<PoolInfo> {
    const pool = this.#name(name);
    return await (await this.#open()).info(pool);
  }

  /**
   * Lists the pools, sorted by name: the streams that this program created, and those that have the
   * subjects of a pool.
   *
   * @throws {PlasmiteError} Permission; Io when no server can be reached
   */
  async listPools(): Promise<PoolInfo[]> {
    return [...await (await this.#open()).list()];
  }

  /**
   * Deletes a pool.
   *
   * @throws {PlasmiteError} NotFound, Permission; Io when no server can be reached
   */
  async deletePool(name: string): Promise<void> {
    const pool = this.#name(name);
    await (await this.#open()).remove(pool);
  }

  /** Closes the client; pools and streams opened with it stay open. */
  async close(): Promise<void> {
    this.#closed = true;
    await (await this.#backend)?.close();
  }

  /** Closes the client. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function closed(): PlasmiteError {
  return new PlasmiteError("Usage", "client is closed", { hint: "Make a new NatsClient." });
}

/** Connects to servers, or to one pool on them. */
export function connectNats(target: string, options?: NatsClientOptions): NatsClient | NatsPool {
  const rest = target.slice(target.indexOf("://") + 3);
  const slash = rest.indexOf("/");
  if (slash < 0 || slash === rest.length - 1) return new NatsClient(target, options);
  const { name, path } = poolRef(target);
  const client = new NatsClient(path.slice(0, path.length - name.length - 1), options);
  return client.onlyPool(name);
}
