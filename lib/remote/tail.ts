/**
 * `pool.tail()` of a remote pool: limits, filters and gaps, as for a local one.
 *
 * @module
 */

import { Message } from "../client/message.ts";
import {
  checkMs,
  checkSeq,
  checkTags,
  type JsonObject,
  type TailOptions,
  U64_MAX,
} from "../client/options.ts";
import type { FrameSource } from "../client/source.ts";
import type { Lite3Frame } from "../client/tail.ts";
import { PlasmiteError } from "../errors.ts";
import { Lite3Tag } from "../lite3/message.ts";
import type { IntegerPolicy } from "../lite3/value.ts";
import { RemoteSource } from "./source.ts";
import type { Transport } from "./transport.ts";
import { poolInfo } from "./wire.ts";

/** How to follow a remote pool. */
export interface RemoteTailOptions extends TailOptions {
  /**
   * Go on by itself after failures of the connection and while the server is busy; default false:
   * they reject, and `nextSeq` tells where to go on.
   */
  readonly reconnect?: boolean;
}

/** What a tail hands out is made of the source's current frame. */
type Take<M> = (source: FrameSource) => M;

/** Copies the current frame. */
export function takeFrame({ cursor }: FrameSource): Lite3Frame {
  const { timestampNs, payloadAt, payloadLength } = cursor;
  return {
    seq: cursor.seq,
    timestampNs,
    flags: 0,
    payload: cursor.u8.slice(payloadAt, payloadAt + payloadLength),
    time: new Date(Number(timestampNs / 1_000_000n)),
  };
}

/** Makes messages that decode their data by `integers`. */
export function takeMessage<T extends JsonObject>(integers: IntegerPolicy): Take<Message<T>> {
  return ({ cursor }) =>
    new Message<T>(cursor.seq, cursor.timestampNs, {
      payload: cursor.u8.slice(cursor.payloadAt, cursor.payloadAt + cursor.payloadLength),
      integers,
    });
}

/** Follows a remote pool: messages or frames, by `take`. */
export class RemoteTail<M> implements AsyncIterableIterator<M, void, undefined> {
  readonly #transport: Transport;
  readonly #pool: string;
  readonly #source: RemoteSource;
  readonly #take: Take<M>;
  readonly #tags: readonly Lite3Tag[];
  readonly #options: RemoteTailOptions;
  readonly #timeoutMs: number | undefined;
  readonly #idleMs: number | undefined;
  readonly #sinceTimeNs: bigint;
  readonly #until: bigint;
  /** Messages from here on are live and pass `sinceTimeNs`; null until it is known. */
  #liveFrom: bigint | null;
  #left: bigint;
  #deadline: number | undefined;
  #next: bigint | null = null;
  #started = false;
  #done = false;

  /** Sends nothing before the first `next()`. Throws Usage for bad options. */
  constructor(transport: Transport, pool: string, options: RemoteTailOptions, take: Take<M>) {
    this.#options = options;
    this.#take = take;
    this.#transport = transport;
    this.#pool = pool;
    const tags = checkTags(options.tags);
    this.#tags = tags.map((tag) => new Lite3Tag(tag));
    this.#timeoutMs = checkMs(options.timeoutMs, "timeoutMs");
    this.#idleMs = checkMs(options.idleTimeoutMs, "idleTimeoutMs");
    this.#sinceTimeNs = options.sinceTimeNs ?? 0n;
    this.#liveFrom = this.#sinceTimeNs > 0n ? null : 0n;
    this.#left = options.maxMessages === undefined
      ? -1n
      : checkSeq(options.maxMessages, "maxMessages");
    this.#until = options.untilSeq === undefined ? U64_MAX : checkSeq(options.untilSeq, "untilSeq");
    const since = options.sinceSeq === undefined ? null : checkSeq(options.sinceSeq, "sinceSeq");
    const start = since === null ? options.from ?? "oldest" : since === 0n ? 1n : since;
    if (typeof start === "bigint") this.#next = start;
    // A server that filters by tags hides gaps, and it trims tags; then all messages come here.
    const gaps = options.errorOnGap === true || options.onGap !== undefined;
    const plain = tags.every((tag) => tag !== "" && tag === tag.trim());
    const filter = !gaps && plain && this.#until === U64_MAX;
    this.#source = new RemoteSource(transport, pool, {
      start,
      until: options.untilSeq === undefined ? undefined : this.#until,
      tags: filter ? tags : [],
      reconnect: options.reconnect === true,
    });
  }

  /** The checkpoint to resume from. */
  get nextSeq(): bigint | null {
    return this.#next;
  }

  /** The next message; done at a limit or after {@linkcode RemoteTail.close}. */
  async next(): Promise<IteratorResult<M, void>> {
    const { signal } = this.#options;
    if (!this.#started) {
      this.#started = true;
      if (this.#timeoutMs !== undefined) this.#deadline = performance.now() + this.#timeoutMs;
    }
    const idle = this.#idleMs === undefined ? Infinity : performance.now() + this.#idleMs;
    const source = this.#source;
    try {
      signal?.throwIfAborted();
      if (this.#liveFrom === null && !source.closed) {
        this.#liveFrom = ((await this.#bounds(signal)).newestSeq ?? 0n) + 1n;
      }
      for (;;) {
        signal?.throwIfAborted();
        if (this.#done || source.closed || this.#left === 0n || this.#passed()) break;
        if (source.next()) {
          this.#reportGap();
          const { seq } = source.cursor;
          if (seq > this.#until) break;
          this.#next = seq + 1n;
          if (!this.#wanted(seq)) {
            if (this.#over(idle)) break;
            continue;
          }
          const value = this.#take(source);
          if (this.#left > 0n) this.#left--;
          return { done: false, value };
        }
        if (this.#over(idle)) break;
        await this.#wait(idle, signal);
      }
    } catch (error) {
      this.close();
      throw error;
    }
    this.close();
    return { done: true, value: undefined };
  }

  async #wait(idle: number, signal: AbortSignal | undefined): Promise<void> {
    const ms = Math.min(idle, this.#deadline ?? Infinity) - performance.now();
    const bounded = this.#until !== U64_MAX;
    const more = await this.#source.wait(
      bounded ? Math.min(ms, 1000) : Number.isFinite(ms) ? ms : undefined,
      signal,
    );
    if (more || !bounded) return;
    // Nothing for a while: what was wanted may have been lost to a ring that was emptied.
    const { oldestSeq, newestSeq } = await this.#bounds(signal);
    if (oldestSeq === null && (newestSeq === null || newestSeq >= this.#until)) this.#done = true;
  }

  async #bounds(
    signal: AbortSignal | undefined,
  ): Promise<{ oldestSeq: bigint | null; newestSeq: bigint | null }> {
    const path = `/v0/pools/${encodeURIComponent(this.#pool)}/info`;
    const answer = await this.#transport.json(path, { pool: this.#pool, signal });
    return poolInfo(answer["pool"], this.#pool).bounds;
  }

  /** Whether the last wanted message was read. */
  #passed(): boolean {
    return this.#next !== null && this.#next > this.#until;
  }

  #over(idle: number): boolean {
    const now = performance.now();
    return now >= idle || (this.#deadline !== undefined && now >= this.#deadline);
  }

  #wanted(seq: bigint): boolean {
    const { cursor } = this.#source;
    if (this.#sinceTimeNs > 0n && cursor.timestampNs < this.#sinceTimeNs) {
      if (seq < (this.#liveFrom ?? 0n)) return false;
    }
    return this.#tags.length === 0 || this.#source.message.hasTags(this.#tags);
  }

  #reportGap(): void {
    const gap = this.#source.takeGap();
    if (gap === null) return;
    if (this.#options.errorOnGap === true) {
      throw new PlasmiteError("RetentionGap", "retention gap", {
        seq: gap.first,
        path: this.#pool,
        hint: `Messages ${gap.first} to ${gap.last} were overwritten before they were read. ` +
          `Go on with ${gap.last + 1n}, or use a larger pool.`,
      });
    }
    this.#options.onGap?.({ firstMissing: gap.first, next: gap.last + 1n });
  }

  /** Ends the stream and releases the connection. */
  close(): void {
    this.#source.close();
  }

  /** Called by `break`. */
  return(): Promise<IteratorResult<M, void>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** The stream itself. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Ends the stream. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Ends the stream. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}
