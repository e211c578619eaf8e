/**
 * A pool of a server, with the interface of a local one.
 *
 * @module
 */

import { encodeMessage } from "../backend/encode.ts";
import { Buf } from "../bytes.ts";
import type { PoolInfo } from "../backend/local/info.ts";
import { type IntegerPolicy, Message } from "../client/message.ts";
import {
  type AppendOptions,
  checkBytes,
  checkDurability,
  checkItems,
  checkSeq,
  checkTags,
  type Durability,
  type JsonObject,
  type Seq,
  stamp,
} from "../client/options.ts";
import { appendOptions, checkAppend, checkOptions } from "../client/option_kinds.ts";
import type { AsyncPool } from "../client/pool.ts";
import { type Tail, TailIterator, type Take, takeMessage } from "../client/tail.ts";
import { PlasmiteError } from "../errors.ts";
import { Lite3Encoder } from "../lite3/encode.ts";
import { RemoteAppender, type Report, type StoredPayload } from "../backend/http/appender.ts";
import { REMOTE_TAIL_KINDS, type RemoteTailOptions } from "./tail.ts";
import { HttpPool } from "../backend/http.ts";
import type { Transport } from "../backend/http/transport.ts";
import { poolInfo, wireMessage } from "../backend/http/wire.ts";
import { type Lite3Frame, takeFrame } from "../backend/frames.ts";

/** Encodes the data of an append as a payload. */
function encode(data: unknown, tags: readonly string[]): Uint8Array<ArrayBuffer> {
  const out = new Buf(1024);
  encodeMessage(new Lite3Encoder(out), data, tags);
  return out.bytes();
}

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
export class RemotePool<T extends object = JsonObject> implements AsyncPool<T> {
  /** The pool's name. */
  readonly name: string;
  readonly #transport: Transport;
  readonly #appender: RemoteAppender;
  readonly #integers: IntegerPolicy;
  #closed = false;

  /** For internal use: call {@linkcode RemoteClient.openPool}. */
  constructor(transport: Transport, name: string, integers: IntegerPolicy) {
    this.name = name;
    this.#transport = transport.retain();
    this.#appender = new RemoteAppender(transport, name);
    this.#integers = integers;
  }

  /** The pool's address: `http://host:port/name`. */
  poolRef(): string {
    return `${this.#transport.base.origin}/${encodeURIComponent(this.name)}`;
  }

  #check(): void {
    if (!this.#closed) return;
    throw new PlasmiteError("Usage", "pool is closed", { hint: "Open it again." });
  }

  #path(rest: string): string {
    this.#check();
    return `/v0/pools/${encodeURIComponent(this.name)}/${rest}`;
  }

  #message({ seq, timestampNs, payload }: StoredPayload): Message<T> {
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
    const { tags, flush, signal } = this.#settings(options);
    return this.#message(await this.#appender.one(encode(data, tags), flush, signal));
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
    options?: AppendOptions,
  ): Promise<Message<T>[]> {
    const { tags, flush, signal } = this.#settings(options);
    checkItems(items);
    const payloads = items.map((item) => encode(item, tags));
    const stored: Message<T>[] = [];
    await this.#appender.all(payloads, flush, (from, messages) => {
      for (const [i, { seq, timestampNs }] of messages.entries()) {
        const payload = payloads[from + i];
        if (payload !== undefined) stored.push(this.#message({ seq, timestampNs, payload }));
      }
    }, signal);
    return stored;
  }

  /**
   * Appends encoded payloads from index `from` on. `report` is called for each contiguous run
   * immediately, so that after a failure it is known what was stored.
   *
   * @ignore
   */
  appendPayloads(
    payloads: readonly Uint8Array<ArrayBuffer>[],
    flush: boolean,
    report: Report,
    from = 0,
  ): Promise<void> {
    this.#check();
    return this.#appender.all(payloads, flush, report, undefined, from);
  }

  #settings(options: AppendOptions | undefined): {
    readonly tags: readonly string[];
    readonly flush: boolean;
    readonly signal: AbortSignal | undefined;
  } {
    this.#check();
    const { tags, durability, timestampNs, signal } = checkAppend(options);
    if (timestampNs !== undefined) {
      stamp(timestampNs);
      throw new PlasmiteError("Usage", "remote append does not support timestampNs", {
        hint: "The server's clock is used; put your own time into the data.",
      });
    }
    return { tags: checkTags(tags), flush: checkDurability(durability), signal };
  }

  /**
   * Appends a Lite3 message byte for byte; returns its sequence number.
   *
   * @throws {RemoteError} Corrupt when the payload is not a complete, readable message
   */
  async appendLite3(payload: Uint8Array, durability?: Durability): Promise<bigint> {
    return (await this.#raw(payload, durability)).seq;
  }

  /** Like {@linkcode RemotePool.appendLite3}, but returns the message as stored. */
  async appendLite3WithReceipt(payload: Uint8Array, durability?: Durability): Promise<Message<T>> {
    return this.#message(await this.#raw(payload, durability));
  }

  async #raw(payload: Uint8Array, durability: Durability | undefined): Promise<StoredPayload> {
    this.#check();
    checkBytes(payload, "payload");
    return await this.#appender.raw(payload.slice(), checkDurability(durability));
  }

  /**
   * Reads one message by its sequence number.
   *
   * @throws {RemoteError} NotFound when it is not retained
   */
  async get(seq: Seq): Promise<Message<T>> {
    return this.#message(wireMessage(await this.#fetch(seq, ""), this.name));
  }

  /** The same as {@linkcode RemotePool.get}. */
  getAsync(seq: Seq): Promise<Message<T>> {
    return this.get(seq);
  }

  /** Reads one message's stored Lite3 payload. */
  getLite3(seq: Seq): Promise<Uint8Array> {
    return this.#fetch(seq, "/lite3", "application/x-plasmite-lite3");
  }

  /**
   * Reads one message as a frame.
   *
   * @param exact whether the stored bytes are needed rather than an equivalent document
   */
  async getFrame(seq: Seq, exact = true): Promise<Lite3Frame> {
    const { timestampNs, payload } = wireMessage(await this.#fetch(seq, ""), this.name);
    const type = "application/x-plasmite-lite3";
    return {
      seq: checkSeq(seq, "seq"),
      timestampNs,
      flags: 0,
      payload: exact ? await this.#fetch(seq, "/lite3", type) : payload,
      time: new Date(Number(timestampNs / 1_000_000n)),
    };
  }

  async #fetch(seq: Seq, form: string, accept?: string): Promise<Uint8Array<ArrayBuffer>> {
    const wanted = checkSeq(seq, "seq");
    try {
      return await this.#transport.bytes(this.#path(`messages/${wanted}${form}`), {
        pool: this.name,
        ...(accept === undefined ? {} : { accept }),
      });
    } catch (error) {
      if (!PlasmiteError.is(error) || error.seq !== undefined) throw error;
      // The pool or the message may be missing; only for the message the number is added.
      throw error.message === "message not found" ? error.with({ seq: wanted }) : error;
    }
  }

  /** Returns sizes, bounds and metrics. */
  async infoAsync(): Promise<PoolInfo> {
    const answer = await this.#transport.json(this.#path("info"), { pool: this.name });
    return poolInfo(answer["pool"], this.name);
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
    this.#check();
    const checked = checkOptions(options, "tail", REMOTE_TAIL_KINDS);
    const pool = new HttpPool(this.#transport, this.name, null);
    return new TailIterator(pool, checked, take, {
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

  /** Closes the pool; open streams are not affected. A second call does nothing. */
  close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#transport.release();
    }
    return Promise.resolve();
  }

  /** Closes the pool. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
