/**
 * A pool of a server, with the interface of a local one.
 *
 * @module
 */

import type { PoolInfo } from "../backend/local/info.ts";
import { CoordinatedPool } from "../client/coordinated.ts";
import type { LatestOptions } from "../client/coordination.ts";
import { type IntegerPolicy, Message } from "../client/message.ts";
import {
  type AppendOptions,
  type BatchOptions,
  checkBytes,
  checkDurability,
  checkSeq,
  type Durability,
  type JsonObject,
  type Seq,
  stamp,
} from "../client/options.ts";
import { appendOptions, checkOptions } from "../client/option_kinds.ts";
import { type Appending, onlyOne } from "../client/conditional.ts";
import type { AsyncPool } from "../client/pool.ts";
import { type Tail, TailIterator, type Take, takeMessage } from "../client/tail.ts";
import { appendRemote, remoteAll, remoteOne } from "./appending.ts";
import { SharedAccess } from "./shared_access.ts";
import { REMOTE_TAIL_KINDS, type RemoteTailOptions } from "./tail.ts";
import type { HttpPool } from "../backend/http.ts";
import type { StoredFrame } from "../backend/types.ts";
import { type Lite3Frame, takeFrame } from "../backend/frames.ts";

/**
 * A pool of a server. Appends are never retried automatically: if the connection breaks during one,
 * it may have been stored.
 *
 * @example Append and follow on a server
 * ```ts
 * import { Client, RemoteClient } from "@plasmite/core";
 * import { createApp } from "@plasmite/core/server";
 *
 * const app = createApp(new Client(Deno.makeTempDirSync()));
 * await using client = new RemoteClient("http://localhost:9700", {
 *   fetch: (input, init) => app.fetch(new Request(input, init)),
 * });
 * await using pool = await client.pool<{ status: string }>("ci");
 * await pool.append({ status: "green" }, ["build"]);
 * for await (const message of pool.tail({ timeoutMs: 30_000 })) {
 *   if (message.data.status === "green") break;
 * }
 * await app.shutdown();
 * ```
 */
export class RemotePool<T extends object = JsonObject> extends CoordinatedPool<T>
  implements AsyncPool<T> {
  /** The pool's name. */
  readonly name: string;
  readonly #pool: HttpPool;
  readonly #integers: IntegerPolicy;
  readonly #access: SharedAccess;

  /** Use {@linkcode RemoteClient.openPool}. */
  constructor(pool: HttpPool, integers: IntegerPolicy) {
    super(() => this.#access.reach(), integers);
    this.name = pool.name;
    this.#pool = pool;
    this.#access = new SharedAccess(() => pool.again());
    this.#integers = integers;
  }

  /** The pool's address: `http://host:port/name`. */
  poolRef(): string {
    return this.#pool.url;
  }

  #message({ seq, timestampNs, payload }: StoredFrame): Message<T> {
    return new Message<T>(seq, timestampNs, { payload, integers: this.#integers });
  }

  /**
   * Appends one message and returns it as stored.
   *
   * @param data a JSON object, or its text as bytes; bigint is written as an integer, `undefined`
   *   members are dropped
   * @param tags the tags, or all options
   * @throws {PlasmiteError} Usage for data that cannot be stored; {@linkcode RemoteError} for what
   *   the server reports, or Io when it cannot be reached
   */
  append(
    data: T | Uint8Array,
    tags?: readonly string[],
    durability?: Durability,
  ): Promise<Message<T>>;
  /** Appends one message with all options by name. */
  append(data: T | Uint8Array, options: AppendOptions): Promise<Message<T>>;
  async append(
    data: T | Uint8Array,
    tags?: readonly string[] | AppendOptions,
    durability?: Durability,
  ): Promise<Message<T>> {
    return await this.appendAsync(data, appendOptions(tags, durability));
  }

  /**
   * The same as {@linkcode RemotePool.append} with options. The server's clock is used: an explicit
   * `timestampNs` is a Usage error.
   */
  async appendAsync(data: T | Uint8Array, options?: AppendOptions): Promise<Message<T>> {
    this.#access.check();
    return this.#one(await this.#append(remoteOne(data, options)));
  }

  /**
   * Appends several messages in order, in one request if the server supports it, else one by one. A
   * large batch is split into several requests.
   *
   * @param items JSON objects, or their UTF-8 texts
   * @returns the messages as stored, in the same order
   * @throws {RemoteError} what the server reports; after a failure earlier items may have been stored
   */
  async appendBatch(
    items: readonly (T | Uint8Array)[],
    options?: BatchOptions,
  ): Promise<Message<T>[]> {
    this.#access.check();
    return await this.#append(remoteAll(items, options));
  }

  #append(appending: Appending): Promise<Message<T>[]> {
    return appendRemote<T>(this.#pool, appending, this.#integers);
  }

  #one(messages: readonly Message<T>[]): Message<T> {
    return onlyOne(messages, this.name);
  }

  /**
   * Appends a Lite3 message byte for byte; returns its sequence number.
   *
   * @throws {RemoteError} Corrupt when the payload is not a complete, readable message
   */
  async appendLite3(payload: Uint8Array, durability?: Durability): Promise<bigint> {
    return (await this.appendLite3WithReceipt(payload, durability)).seq;
  }

  /** Like {@linkcode RemotePool.appendLite3}, but returns the message as stored. */
  async appendLite3WithReceipt(payload: Uint8Array, durability?: Durability): Promise<Message<T>> {
    this.#access.check();
    checkBytes(payload, "payload");
    const { lo, hi } = stamp();
    return this.#one(
      await this.#append({
        encode: (batch) => batch.addPayload(payload, lo, hi),
        flush: checkDurability(durability),
        signal: undefined,
        when: undefined,
      }),
    );
  }

  /**
   * Reads one message by its sequence number.
   *
   * @throws {RemoteError} NotFound when it is not retained
   */
  async get(seq: Seq): Promise<Message<T>> {
    this.#access.check();
    return this.#message(await this.#pool.read(checkSeq(seq, "seq")));
  }

  /** The same as {@linkcode RemotePool.get}. */
  getAsync(seq: Seq): Promise<Message<T>> {
    return this.get(seq);
  }

  /** The same as {@linkcode RemotePool.latestAsync}. */
  latest(key: string): Promise<Message<T> | null> {
    return this.latestAsync(key);
  }

  /** The same as {@linkcode RemotePool.latestByAsync}. */
  latestBy(by: string, options?: LatestOptions): Promise<Message<T>[]> {
    return this.latestByAsync(by, options);
  }

  /** One message's stored payload. */
  async getLite3(seq: Seq): Promise<Uint8Array> {
    this.#access.check();
    return await this.#pool.payload(checkSeq(seq, "seq"));
  }

  /** Returns sizes, bounds and metrics. */
  async infoAsync(): Promise<PoolInfo> {
    this.#access.check();
    return await this.#pool.info();
  }

  /** The same as {@linkcode RemotePool.infoAsync}. */
  info(): Promise<PoolInfo> {
    return this.infoAsync();
  }

  /**
   * Follows the pool: by default from the oldest retained message, without end, even if the server
   * limits the duration of one request.
   *
   * @param options what to read and when to end
   * @throws {PlasmiteError} Usage for invalid options
   */
  tail(options?: RemoteTailOptions): Tail<T> {
    return this.#tail(options, takeMessage<T>(this.#integers));
  }

  #tail<M>(options: RemoteTailOptions | undefined, take: Take<M>): TailIterator<M> {
    this.#access.check();
    const checked = checkOptions(options, "tail", REMOTE_TAIL_KINDS);
    return new TailIterator(this.#pool.again(), checked, take, {
      path: this.name,
      reconnect: checked.reconnect === true,
    });
  }

  /** Like {@linkcode RemotePool.tail}, but returns stored frames. */
  async *tailLite3(options?: RemoteTailOptions): AsyncGenerator<Lite3Frame, void, unknown> {
    const frames = this.#tail(options, takeFrame);
    try {
      for await (const frame of frames) yield frame;
    } finally {
      frames.close();
    }
  }

  /**
   * Closes the pool; open streams, leases, cursors and groups are not affected. A second call does
   * nothing.
   */
  close(): Promise<void> {
    this.#access.close();
    this.#pool.close();
    return Promise.resolve();
  }

  /** Closes the pool. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
