/**
 * A stream of messages as the body of a response: many messages per chunk, nothing is read ahead of
 * the client, and every way to end runs the same clean-up (docs/spec/http-api.md 3).
 *
 * @module
 */

import type { PoolHandle, Walk } from "../lib/backend/types.ts";
import { Buf } from "../lib/bytes.ts";
import { ErrorKind, PlasmiteError } from "../lib/errors.ts";
import { Slice } from "../lib/storage/turns.ts";
import { startTimer } from "../lib/timers.ts";
import type { Encoding } from "./encodings.ts";
import { FilterTimeout } from "./filter_budget.ts";
import type { TailQuery } from "./query.ts";

/** The size at which a chunk is sent, in bytes. */
const CHUNK = 64 * 1024;
/** How many messages to examine before reading the clock again. */
const CLOCK_EVERY = 64;

/** What a stream needs of its server. */
export interface TailHost {
  /** How often an idle stream sends a heartbeat, in milliseconds. */
  readonly heartbeatMs: number;
  /** How long the last chunk may stay unread after the end of the stream, in milliseconds. */
  readonly readerGraceMs: number;
  /** Called once at the end of a stream. */
  ended(tail: TailStream): void;
  /** Called with the number of delivered messages. */
  delivered(count: number): void;
}

/** Why collecting messages stopped. */
type Collected = "idle" | "chunk" | "turn" | "end";

/** One open stream. */
export class TailStream {
  readonly #host: TailHost;
  readonly #query: TailQuery;
  readonly #encoding: Encoding;
  readonly #walk: Walk;
  readonly #out = new Buf(4096);
  readonly #slice = new Slice();
  readonly #deadline: number;
  readonly #from: bigint;
  /** Whether jq filters. */
  readonly #isDeferred: boolean;
  /** Whether a mark has reported that all messages from before the start were examined. */
  #toldStart = false;
  #left: bigint;
  #beatAt = 0;
  #ending = false;
  #over = false;
  #failure: unknown = null;
  #ahead: Collected | null = null;
  #overdue: ReturnType<typeof setTimeout> | undefined;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #forget = (): void => {};

  private constructor(host: TailHost, query: TailQuery, encoding: Encoding, walk: Walk) {
    this.#host = host;
    this.#query = query;
    this.#encoding = encoding;
    this.#walk = walk;
    this.#isDeferred = query.where.some((where) => where.deferred !== undefined);
    this.#from = walk.position;
    this.#left = query.max;
    this.#deadline = performance.now() + query.timeoutMs;
  }

  /**
   * Starts reading and collects the first messages, so that damage can still be reported with a
   * status.
   *
   * @throws {PlasmiteError} NotFound, Permission, Corrupt, Usage, Busy or Io
   */
  static async open(
    host: TailHost,
    pool: PoolHandle,
    query: TailQuery,
    encoding: Encoding,
  ): Promise<TailStream> {
    const { sinceSeq, noFollow, until, last, tags, sinceTimeNs, where } = query;
    const walk = await pool.select({
      ...(sinceSeq === null ? {} : { from: sinceSeq }),
      ...(until === null ? {} : { until }),
      ...(last === null ? {} : { last }),
      follow: !noFollow,
      tags,
      since: sinceTimeNs,
      where,
      skipCorrupt: query.skipCorrupt,
    });
    try {
      const tail = new TailStream(host, query, encoding, walk);
      if (tail.#slice.over) await tail.#slice.next();
      tail.#peek();
      // The first verdict of jq, so that a filter over its budget can be refused with a status. Other
      // news of the pool end the wait as well.
      const until = Math.min(tail.#deadline, performance.now() + host.heartbeatMs);
      while (tail.#isDeferred && walk.evaluating === true && tail.#ahead === null) {
        const left = until - performance.now();
        if (left <= 0) break;
        await walk.wait(left);
        tail.#slice.restart();
        tail.#peek();
      }
      return tail;
    } catch (error) {
      walk.close();
      throw error;
    }
  }

  /**
   * Collects the first chunk.
   *
   * @throws {PlasmiteError} Corrupt if the first message cannot be read, Usage if jq fails on it
   */
  #peek(): void {
    const state = this.#collect();
    if (this.#out.len > 0 || state === "end") this.#ahead = state;
    else if (PlasmiteError.is(this.#failure, ErrorKind.Corrupt)) throw this.#failure;
    // jq's verdict about the first message; of the others the stream tells
    else if (this.#isDeferred && this.#failure !== null) throw this.#failure;
  }

  /** The body of the response. */
  body(): ReadableStream<Uint8Array> {
    const { preamble } = this.#encoding;
    this.#beatAt = performance.now() + this.#host.heartbeatMs;
    // A client that does not read is disconnected after this time (docs/spec/http-api.md 3).
    this.#overdue = startTimer(
      () => this.abort(),
      this.#query.timeoutMs + this.#host.readerGraceMs,
    );
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
        if (preamble !== "") controller.enqueue(new TextEncoder().encode(preamble));
      },
      pull: (controller) => this.#pull(controller),
      cancel: () => this.close(),
    }, { highWaterMark: 0 });
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    this.#slice.restart();
    try {
      while (!this.#over) {
        if (this.#failure !== null && this.#out.len === 0) return this.#break(controller);
        const state = this.#ahead ?? (this.#ending ? "end" : this.#collect());
        this.#ahead = null;
        if (this.#out.len > 0) {
          this.#send(controller);
          if (state === "end") this.#finish(controller);
          return;
        }
        if (state === "end") return this.#finish(controller);
        if (state === "chunk") continue; // A failure before the first message.
        if (state === "turn") await this.#slice.next();
        else if (await this.#quiet(controller)) return;
        else this.#slice.restart();
      }
    } catch (error) {
      if (this.#over) return;
      this.#fail(error);
      this.#break(controller);
    }
  }

  #send(controller: ReadableStreamDefaultController<Uint8Array>): void {
    controller.enqueue(this.#out.bytes().slice());
    this.#out.clear();
    this.#beatAt = performance.now() + this.#host.heartbeatMs;
  }

  /** Waits for more; true if something was sent in the meantime. */
  async #quiet(controller: ReadableStreamDefaultController<Uint8Array>): Promise<boolean> {
    const now = performance.now();
    const quiet = this.#encoding.heartbeat === "" && !this.#query.marks;
    if (!quiet && now >= this.#beatAt) {
      this.#beat(controller);
      this.#beatAt = now + this.#host.heartbeatMs;
      return true;
    }
    await this.#walk.wait(
      Math.ceil(Math.min(this.#deadline, quiet ? Infinity : this.#beatAt) - now),
    );
    return false;
  }

  /** Sends a heartbeat, with the position reached if the format allows it. */
  #beat(controller: ReadableStreamDefaultController<Uint8Array>): void {
    const { heartbeat, beat } = this.#encoding;
    const next = this.#walk.position;
    if (this.#query.marks) {
      this.#encoding.mark?.({ next, firstLost: null }, this.#out);
      controller.enqueue(this.#out.bytes().slice());
      this.#out.clear();
      return;
    }
    const text = next > 0n && beat !== undefined ? beat(next) : heartbeat;
    controller.enqueue(new TextEncoder().encode(text));
  }

  /** Collects the available messages, at most one chunk. */
  #collect(): Collected {
    const { max, timeoutMs } = this.#query;
    if (max === 0n || timeoutMs === 0) return "end";
    const walk = this.#walk;
    let delivered = 0;
    try {
      for (let looked = 0;; looked++) {
        if (looked % CLOCK_EVERY === 0) {
          if (performance.now() >= this.#deadline) return "end";
          if (this.#slice.over) return "turn";
        }
        if (this.#left === 0n) return "end";
        const found = walk.next();
        this.#tellGap();
        for (const range of walk.takeUnreadable()) this.#encoding.unreadable?.(range, this.#out);
        if (!found) {
          if (!walk.ended) {
            this.#caughtUp();
            return "idle";
          }
          if (this.#query.marks) this.#mark(null);
          return "end";
        }
        this.#encoding.put(walk.message, walk.frame, this.#out);
        delivered++;
        if (this.#left > 0n) this.#left--;
        if (this.#out.len >= CHUNK) return "chunk";
      }
    } catch (error) {
      if (error instanceof FilterTimeout && this.#query.marks && walk.position > this.#from) {
        // The client can continue with another request, which has its own time limit.
        this.#mark(null);
        return "end";
      }
      this.#fail(error);
      return "chunk";
    } finally {
      if (delivered > 0) this.#host.delivered(delivered);
    }
  }

  /** Reports once, with marks, that all messages from before the start were examined. */
  #caughtUp(): void {
    const { position, start } = this.#walk;
    if (!this.#query.marks || this.#toldStart || position <= start.newest) return;
    this.#toldStart = true;
    this.#mark(null);
  }

  #mark(firstLost: bigint | null, next: bigint = this.#walk.position): void {
    this.#encoding.mark?.({ next, firstLost }, this.#out);
  }

  #tellGap(): void {
    const gap = this.#walk.takeGap();
    if (gap === null) return;
    if (this.#query.marks) this.#mark(gap.first, gap.last + 1n);
    if (!this.#query.errorOnGap) return;
    throw new PlasmiteError(
      "RetentionGap",
      `messages ${gap.first}-${gap.last} are no longer retained; ` +
        `the next available message is ${gap.last + 1n}`,
      { seq: gap.first, hint: "Go on with the next available one, or use a larger pool." },
    );
  }

  /** Records a failure; what was collected before it is sent first. */
  #fail(error: unknown): void {
    this.#failure = error ?? new Error("unknown failure");
  }

  #break(controller: ReadableStreamDefaultController<Uint8Array>): void {
    const text = this.#encoding.failure(this.#failure);
    if (text === null) {
      controller.error(this.#failure);
      this.close();
    } else {
      controller.enqueue(new TextEncoder().encode(text));
      this.#finish(controller);
    }
  }

  #finish(controller: ReadableStreamDefaultController<Uint8Array>): void {
    controller.close();
    this.close();
  }

  /** Ends the stream normally. */
  end(): void {
    this.#ending = true;
    // With a slow client no pull is waiting; closing after the queued chunk is enough.
    queueMicrotask(() => {
      if (this.#over || this.#controller === null) return;
      try {
        this.#controller.close();
        this.close();
      } catch {
        this.close(); // A waiting pull has closed it at the same moment.
      }
    });
  }

  /** Ends the stream normally when the rights of its caller end. */
  endOn(signal: AbortSignal): void {
    if (signal.aborted) return this.end();
    const end = (): void => this.end();
    signal.addEventListener("abort", end, { once: true });
    this.#forget = () => signal.removeEventListener("abort", end);
  }

  /** Cuts the stream off. */
  abort(): void {
    if (this.#over) return;
    this.#controller?.error(new PlasmiteError("Io", "reader is too slow"));
    this.close();
  }

  /** Releases everything, however the stream ends. */
  close(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#overdue);
    this.#forget();
    this.#walk.close();
    this.#host.ended(this);
  }
}
