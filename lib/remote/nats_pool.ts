/**
 * A pool on NATS, with the asynchronous interface of a local one.
 *
 * @module
 */

import type { PoolInfo } from "../backend/local/info.ts";
import { onlyOne } from "../client/conditional.ts";
import { CoordinatedPool } from "../client/coordinated.ts";
import { type IntegerPolicy, Message } from "../client/message.ts";
import {
  type AppendOptions,
  type BatchOptions,
  checkSeq,
  type Durability,
  type JsonObject,
  type Seq,
} from "../client/options.ts";
import { appendOptions, checkOptions } from "../client/option_kinds.ts";
import type { AsyncPool } from "../client/pool.ts";
import { type Tail, TailIterator, takeMessage } from "../client/tail.ts";
import { PlasmiteError } from "../errors.ts";
import { appendRemote, remoteAll, remoteOne } from "./appending.ts";
import type { LatePool } from "./nats_handle.ts";
import { SharedAccess } from "./shared_access.ts";
import { REMOTE_TAIL_KINDS, type RemoteTailOptions } from "./tail.ts";

/**
 * A stream of NATS JetStream as a pool. What may have been stored is sent again with the same id,
 * so a broken connection stores nothing twice.
 *
 * @example Append and follow
 * ```ts
 * import { connect } from "@plasmite/core/nats";
 *
 * export async function orders(): Promise<void> {
 *   await using pool = connect("nats://127.0.0.1:4222/ORDERS");
 *   await pool.append({ item: 7 }, ["new"]);
 *   for await (const message of pool.tail({ timeoutMs: 30_000 })) console.log(message.data);
 * }
 * ```
 */
export class NatsPool<T extends object = JsonObject> extends CoordinatedPool<T>
  implements AsyncPool<T> {
  /** The name of the pool and the stream. */
  readonly name: string;
  readonly #pool: LatePool;
  readonly #integers: IntegerPolicy;
  readonly #access: SharedAccess;

  /** Use {@linkcode NatsClient.openPool}. */
  constructor(pool: LatePool, integers: IntegerPolicy) {
    super(() => this.#access.reach(), integers);
    this.name = pool.name;
    this.#pool = pool;
    this.#access = new SharedAccess(() => pool.again());
    this.#integers = integers;
  }

  /** The pool's address: `nats://host:port/name`. */
  poolRef(): string {
    return this.#pool.path;
  }

  /**
   * Appends one message and returns it as stored.
   *
   * @param data a JSON object, or its text as bytes
   * @param tags the tags, or all options
   * @throws {PlasmiteError} Usage for data that cannot be stored and for durability `flush`; NotFound,
   *   Permission; Busy or Io when the servers cannot be reached
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

  /** The same as {@linkcode NatsPool.append} with options. The server's clock is used. */
  async appendAsync(data: T | Uint8Array, options?: AppendOptions): Promise<Message<T>> {
    this.#access.check();
    const messages = await appendRemote<T>(this.#pool, remoteOne(data, options), this.#integers);
    return onlyOne(messages, this.name);
  }

  /**
   * Appends several messages in order; in groups that are stored completely or not at all if the
   * server is 2.12 or newer.
   *
   * @param items JSON objects, or their UTF-8 texts
   * @returns the messages as stored, in the same order
   * @throws {PlasmiteError} as {@linkcode NatsPool.append}; earlier items may have been stored
   */
  async appendBatch(
    items: readonly (T | Uint8Array)[],
    options?: BatchOptions,
  ): Promise<Message<T>[]> {
    this.#access.check();
    return await appendRemote<T>(this.#pool, remoteAll(items, options), this.#integers);
  }

  /**
   * Reads one message by its sequence number.
   *
   * @throws {PlasmiteError} NotFound when it is not retained
   */
  async get(seq: Seq): Promise<Message<T>> {
    this.#access.check();
    const number = checkSeq(seq, "seq");
    const stored = await this.#pool.get(number);
    if (stored === null) {
      throw new PlasmiteError("NotFound", "message not found", {
        seq: number,
        path: this.#pool.path,
        hint: "It was never stored, or it was removed since.",
      });
    }
    const { payload, timestampNs } = stored;
    return new Message<T>(stored.seq, timestampNs, { payload, integers: this.#integers });
  }

  /** The same as {@linkcode NatsPool.get}. */
  getAsync(seq: Seq): Promise<Message<T>> {
    return this.get(seq);
  }

  /** Returns sizes, bounds and metrics, and where the stream is. */
  async infoAsync(): Promise<PoolInfo> {
    this.#access.check();
    return await this.#pool.info();
  }

  /** The same as {@linkcode NatsPool.infoAsync}. */
  info(): Promise<PoolInfo> {
    return this.infoAsync();
  }

  /**
   * Follows the pool: by default from the oldest retained message, without end.
   *
   * @param options what to read and when to end
   * @throws {PlasmiteError} Usage for invalid options
   */
  tail(options?: RemoteTailOptions): Tail<T> {
    this.#access.check();
    const checked = checkOptions(options, "tail", REMOTE_TAIL_KINDS);
    return new TailIterator(this.#pool.again(), checked, takeMessage<T>(this.#integers), {
      path: this.name,
      reconnect: checked.reconnect === true,
    });
  }

  /** Closes the pool; open streams are not affected. A second call does nothing. */
  async close(): Promise<void> {
    this.#access.close();
    await this.#pool.close();
  }

  /** Closes the pool. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
