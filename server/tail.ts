/**
 * A stream of messages as the body of a response: many messages per chunk, nothing is read ahead of
 * the client, and every way to end runs the same clean-up (docs/spec/http-api.md 3).
 *
 * @module
 */

import type { PoolHandle, Walk } from "../lib/backend/types.ts";
import { ErrorKind, PlasmiteError } from "../lib/errors.ts";
import { Slice } from "../lib/storage/turns.ts";
import { startTimer } from "../lib/timers.ts";
import { Chunk } from "./chunk.ts";
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

type Controller = ReadableStreamDefaultController<Uint8Array>;

/** Why collecting messages stopped. */
type Collected = "idle" | "chunk" | "turn" | "end";

/** One open stream. */
export class TailStream {
  readonly #host: TailHost;
  readonly #query: TailQuery;
  readonly #encoding: Encoding;
  readonly #walk: Walk;
  readonly #out = new Chunk();
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
  #controller: Controller | null = null;
  /** Whether the client waits for a chunk, */
  #isWanted = false;
  /** whether all there was has been sent, */
  #isCaughtUp = false;
  /** whether a chunk is being made, */
  #isRunning = false;
  /** and whether it waits for news. */
  #isAsleep = false;
  #alarm: ReturnType<typeof setTimeout> | undefined;
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
    if (this.#out.length > 0 || state === "end") this.#ahead = state;
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
      pull: (controller) => {
        this.#isWanted = true;
        // After the last of the new messages there is nothing to look for.
        if (!this.#isRunning && !(this.#isCaughtUp && this.#sleep())) void this.#run(controller);
      },
      cancel: () => this.close(),
    }, { highWaterMark: 0 });
  }

  /**
   * Makes chunks while the client waits for one. It returns when there is nothing to send, and is
   * called again by {@linkcode #wake}: waiting costs no promise, for a thousand streams at once.
   */
  async #run(controller: Controller): Promise<void> {
    this.#isRunning = true;
    this.#isAsleep = false;
    this.#slice.restart();
    try {
      while (this.#isWanted && !this.#over) {
        const state = this.#step(controller);
        if (state === "turn") await this.#slice.next();
        else if (state === "idle" && !this.#beatIfDue(controller)) {
          if (this.#sleep()) return;
          await this.#walk.wait(Math.ceil(this.#until - performance.now()));
          this.#slice.restart();
        }
      }
    } catch (error) {
      if (this.#over) return;
      this.#fail(error);
      this.#break(controller);
    } finally {
      this.#isRunning = false;
    }
  }

  /** Sends what there is, or ends; returns why there is nothing otherwise. */
  #step(controller: Controller): Collected | null {
    if (this.#failure !== null && this.#out.length === 0) {
      this.#break(controller);
      return null;
    }
    const state = this.#ahead ?? (this.#ending ? "end" : this.#collect());
    this.#ahead = null;
    const hasSome = this.#out.length > 0;
    this.#isCaughtUp = state === "idle";
    if (hasSome) this.#send(this.#out.take(), controller);
    if (state === "end") this.#finish(controller);
    return hasSome ? null : state;
  }

  /** Sleeps until there is news or the time is up; false if it cannot. */
  #sleep(): boolean {
    this.#isAsleep = this.#walk.sleep?.(this.#wake) === true;
    if (this.#isAsleep) this.#setAlarm();
    return this.#isAsleep;
  }

  #send(bytes: Uint8Array, controller: Controller): void {
    this.#isWanted = false; // Before it is sent: the client may ask at once for the next one.
    controller.enqueue(bytes);
    this.#beatAt = performance.now() + this.#host.heartbeatMs;
  }

  /** Until when it may sleep. */
  get #until(): number {
    return this.#isQuiet ? this.#deadline : Math.min(this.#deadline, this.#beatAt);
  }

  /** Whether nothing is sent while there are no messages. */
  get #isQuiet(): boolean {
    return this.#encoding.heartbeat === "" && !this.#query.marks;
  }

  /** Goes on when there is news, or the time is up. */
  readonly #wake = (): void => {
    if (!this.#isAsleep || this.#over || this.#controller === null) return;
    void this.#run(this.#controller);
  };

  /** One timer for many sleeps: each message would otherwise start one and stop it. */
  #setAlarm(): void {
    if (this.#alarm !== undefined) return;
    this.#alarm = startTimer(() => {
      this.#alarm = undefined;
      if (!this.#isAsleep) return;
      if (performance.now() >= this.#until) this.#wake();
      else this.#setAlarm();
    }, Math.ceil(this.#until - performance.now()));
  }

  /** Sends a heartbeat if it is time, with the position reached if the format allows it. */
  #beatIfDue(controller: Controller): boolean {
    if (this.#isQuiet || performance.now() < this.#beatAt) return false;
    const { heartbeat, beat } = this.#encoding;
    const next = this.#walk.position;
    if (this.#query.marks) {
      this.#mark(null);
      this.#send(this.#out.take(), controller);
    } else {
      const text = next > 0n && beat !== undefined ? beat(next) : heartbeat;
      this.#send(new TextEncoder().encode(text), controller);
    }
    return true;
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
        for (const range of walk.takeUnreadable()) {
          this.#encoding.unreadable?.(range, this.#out.buf);
        }
        if (!found) {
          if (!walk.ended) {
            this.#caughtUp();
            return "idle";
          }
          if (this.#query.marks) this.#mark(null);
          return "end";
        }
        this.#out.put(this.#encoding, walk);
        delivered++;
        if (this.#left > 0n) this.#left--;
        if (this.#out.length >= CHUNK) return "chunk";
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
    this.#encoding.mark?.({ next, firstLost }, this.#out.buf);
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

  #break(controller: Controller): void {
    const text = this.#encoding.failure(this.#failure);
    if (text === null) {
      controller.error(this.#failure);
      this.close();
    } else {
      controller.enqueue(new TextEncoder().encode(text));
      this.#finish(controller);
    }
  }

  #finish(controller: Controller): void {
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
    clearTimeout(this.#alarm);
    this.#forget();
    this.#walk.close();
    this.#host.ended(this);
  }
}
