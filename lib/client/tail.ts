/**
 * The iterator behind `pool.tail()`: one class owns position, waiting, time limits and clean-up.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { Lite3Tag } from "../lite3/message.ts";
import type { IntegerPolicy } from "../lite3/value.ts";
import { Follower } from "./follower.ts";
import { Message } from "./message.ts";
import {
  checkMs,
  checkSeq,
  checkTags,
  type JsonObject,
  type TailOptions,
  U64_MAX,
} from "./options.ts";

/** A stored frame: the message's bytes as they are in the pool. */
export interface Lite3Frame {
  /** Sequence number. */
  readonly seq: bigint;
  /** Time in nanoseconds since 1970. */
  readonly timestampNs: bigint;
  /** Flags; 0 today. */
  readonly flags: number;
  /** The Lite3 document with `meta` and `data`; a copy. */
  readonly payload: Uint8Array<ArrayBuffer>;
  /** The time to the millisecond. */
  readonly time: Date;
}

/** An endless or bounded stream of messages; `break`, `close` and `using` end it silently. */
export interface Tail<T extends JsonObject = JsonObject>
  extends AsyncIterableIterator<Message<T>, void, undefined>, AsyncDisposable, Disposable {
  /** The checkpoint: pass it as `sinceSeq` to go on where this one stopped; null before the first. */
  readonly nextSeq: bigint | null;
  /** Ends the stream; a pending `next()` resolves as done. */
  close(): void;
}

/** What a tail hands out is made of the follower's current frame. */
export type Take<M> = (follower: Pick<Follower, "cursor">) => M;

/** Copies the current frame. */
export function takeFrame({ cursor }: Pick<Follower, "cursor">): Lite3Frame {
  const { timestampNs } = cursor;
  return {
    seq: cursor.seq,
    timestampNs,
    flags: cursor.flags,
    payload: cursor.u8.slice(cursor.payloadAt, cursor.payloadAt + cursor.payloadLength),
    time: new Date(Number(timestampNs / 1_000_000n)),
  };
}

/** Makes messages that decode their data by `integers`. */
export function takeMessage<T>(integers: IntegerPolicy): Take<Message<T>> {
  return ({ cursor }) =>
    new Message<T>(cursor.seq, cursor.timestampNs, {
      payload: cursor.u8.slice(cursor.payloadAt, cursor.payloadAt + cursor.payloadLength),
      integers,
    });
}

/** The one implementation of following: messages or frames, by `take`. */
export class TailIterator<M> implements AsyncIterableIterator<M, void, undefined> {
  readonly #follower: Follower;
  readonly #take: Take<M>;
  readonly #tags: readonly Lite3Tag[];
  readonly #options: TailOptions;
  readonly #timeoutMs: number | undefined;
  readonly #idleMs: number | undefined;
  readonly #sinceTimeNs: bigint;
  readonly #liveFrom: bigint;
  readonly #until: bigint;
  #left: bigint;
  #deadline: number | undefined;
  #final: bigint | null = null;
  #next: bigint | null = null;
  #started = false;

  /** Opens the pool at `path` at once, so nothing appended from now on can be missed. */
  constructor(path: string, options: TailOptions, take: Take<M>) {
    this.#options = options;
    this.#take = take;
    this.#tags = checkTags(options.tags).map((tag) => new Lite3Tag(tag));
    this.#timeoutMs = checkMs(options.timeoutMs, "timeoutMs");
    this.#idleMs = checkMs(options.idleTimeoutMs, "idleTimeoutMs");
    this.#sinceTimeNs = options.sinceTimeNs ?? 0n;
    this.#left = options.maxMessages === undefined
      ? -1n
      : checkSeq(options.maxMessages, "maxMessages");
    this.#until = options.untilSeq === undefined ? U64_MAX : checkSeq(options.untilSeq, "untilSeq");
    const since = options.sinceSeq === undefined ? null : checkSeq(options.sinceSeq, "sinceSeq");
    // Sequence numbers begin at 1, so "since 0" asks for everything and must report no gap for 0.
    const start = since === null ? options.from ?? "oldest" : since === 0n ? 1n : since;
    this.#follower = new Follower(path, start);
    this.#liveFrom = this.#follower.ring.state().newest + 1n;
    if (typeof start === "bigint") this.#next = start;
  }

  /** The checkpoint to resume from. */
  get nextSeq(): bigint | null {
    return this.#next;
  }

  /** The next message; done at a limit or after {@linkcode TailIterator.close}. */
  async next(): Promise<IteratorResult<M, void>> {
    const { signal } = this.#options;
    if (!this.#started) {
      this.#started = true;
      if (this.#timeoutMs !== undefined) this.#deadline = performance.now() + this.#timeoutMs;
    }
    const idle = this.#idleMs === undefined ? Infinity : performance.now() + this.#idleMs;
    let quiet: bigint | null = null;
    try {
      for (;;) {
        if (this.#follower.closed || this.#left === 0n) break;
        signal?.throwIfAborted();
        if (this.#passed()) break;
        // When time is over, what is there by then still counts; what comes later does not.
        if (this.#over(this.#deadline)) this.#final ??= this.#follower.ring.state().newest;
        else if (this.#over(idle)) quiet ??= this.#follower.ring.state().newest;
        const last = this.#final ?? quiet;
        if (this.#follower.next()) {
          this.#reportGap();
          const { cursor } = this.#follower;
          if (cursor.seq > this.#until || (last !== null && cursor.seq > last)) break;
          this.#next = cursor.seq + 1n;
          if (!this.#wanted()) continue;
          const value = this.#take(this.#follower);
          if (this.#left > 0n) this.#left--;
          return { done: false, value };
        }
        if (last !== null) break;
        const until = Math.min(idle, this.#deadline ?? Infinity) - performance.now();
        await this.#follower.wait(Number.isFinite(until) ? until : undefined, signal);
      }
    } catch (error) {
      this.close();
      throw error;
    }
    this.close();
    return { done: true, value: undefined };
  }

  /** Whether the last wanted message was read, or was lost to a ring that was emptied. */
  #passed(): boolean {
    if (this.#until === U64_MAX) return false;
    if (this.#next !== null && this.#next > this.#until) return true;
    const { oldest, newest } = this.#follower.ring.state();
    return oldest === 0n && newest >= this.#until;
  }

  #over(time: number | undefined): boolean {
    return time !== undefined && time !== Infinity && performance.now() >= time;
  }

  #wanted(): boolean {
    const { cursor } = this.#follower;
    if (this.#sinceTimeNs > 0n && cursor.timestampNs < this.#sinceTimeNs) {
      if (cursor.seq < this.#liveFrom) return false;
    }
    return this.#tags.length === 0 || this.#follower.message.hasTags(this.#tags);
  }

  #reportGap(): void {
    const gap = this.#follower.takeGap();
    if (gap === null) return;
    if (this.#options.errorOnGap === true) {
      throw new PlasmiteError("RetentionGap", "retention gap", {
        seq: gap.first,
        path: this.#follower.ring.path,
        hint: `Messages ${gap.first} to ${gap.last} were overwritten before they were read. ` +
          `Go on with ${gap.last + 1n}, or use a larger pool.`,
      });
    }
    this.#options.onGap?.({ firstMissing: gap.first, next: gap.last + 1n });
  }

  /** Ends the stream and releases the file. */
  close(): void {
    this.#follower.close();
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
