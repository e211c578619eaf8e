/**
 * A pool on NATS, with the asynchronous interface of a local one.
 *
 * @module
 */

import { encodeValue } from "../backend/encode.ts";
import type { PoolInfo } from "../backend/local/info.ts";
import { type IntegerPolicy, Message } from "../client/message.ts";
import {
  type AppendOptions,
  checkItems,
  checkSeq,
  type Durability,
  type JsonObject,
  type Seq,
  stamp,
} from "../client/options.ts";
import { appendOptions, checkOptions } from "../client/option_kinds.ts";
import type { AsyncPool } from "../client/pool.ts";
import { type Tail, TailIterator, takeMessage } from "../client/tail.ts";
import { PlasmiteError } from "../errors.ts";
import { appendEncoded, type AppendSettings, appendSettings } from "./appending.ts";
import type { LatePool } from "./nats_handle.ts";
import { REMOTE_TAIL_KINDS, type RemoteTailOptions } from "./tail.ts";

/**
 * A stream of NATS JetStream as a pool. What may have been stored is sent again with the same id,
 * so a broken connection stores nothing twice.
 *
 * @example Append and follow
 * ```ts no-run
 * import { connect } from "@plasmite/core/nats";
 *
 * await using pool = connect("nats://127.0.0.1:4222/ORDERS");
 * await pool.append({ item: 7 }, ["new"]);
 * for await (const message of pool.tail({ timeoutMs: 30_000 })) console.log(message.data);
 * ```
 */
export class NatsPool<T extends object = JsonObject> implements AsyncPool<T> {
  /** The name of the pool and the stream. */
  readonly name: string;
  readonly #pool: LatePool;
  readonly #integers: IntegerPolicy;
  #closed = false;

  /** Use {@linkcode NatsClient.openPool}. */
  constructor(pool: LatePool, integers: IntegerPolicy) {
    this.name = pool.name;
    this.#pool = pool;
    this.#integers = integers;
  }

  /** The pool's address: `nats://host:port/name`. */
  poolRef(): string {
    return this.#pool.path;
  }

  #check(): void {
    if (!this.#closed) return;
    throw new PlasmiteError("Usage", "pool is closed", { hint: "Open it again." });
  }

  #settings(options: AppendOptions | undefined): AppendSettings {
    this.#check();
    return appendSettings(options);
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
    const settings = this.#settings(options);
    const encode = encodeValue(data, settings.tags, stamp());
    const [message] = await appendEncoded<T>(this.#pool, encode, settings, this.#integers);
    if (message !== undefined) return message;
    throw new PlasmiteError("Internal", "append stored nothing", { path: this.name });
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
    options?: AppendOptions,
  ): Promise<Message<T>[]> {
    checkItems(items);
    const settings = this.#settings(options);
    const { tags } = settings;
    return await appendEncoded<T>(
      this.#pool,
      (batch) => {
        for (const item of items) encodeValue(item, tags, stamp())(batch);
      },
      settings,
      this.#integers,
    );
  }

  /**
   * Reads one message by its sequence number.
   *
   * @throws {PlasmiteError} NotFound when it is not retained
   */
  async get(seq: Seq): Promise<Message<T>> {
    this.#check();
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
    this.#check();
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
    this.#check();
    const checked = checkOptions(options, "tail", REMOTE_TAIL_KINDS);
    return new TailIterator(this.#pool.again(), checked, takeMessage<T>(this.#integers), {
      path: this.name,
      reconnect: checked.reconnect === true,
    });
  }

  /** Closes the pool; open streams are not affected. A second call does nothing. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#pool.close();
  }

  /** Closes the pool. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
