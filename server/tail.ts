/**
 * A stream of a pool's messages as the body of an answer: many messages a chunk, nothing read
 * ahead of the reader, one end for every way it can end (docs/spec/http-api.md 3).
 *
 * @module
 */

import type { PoolHandle, Walk } from "../lib/backend/types.ts";
import { Buf } from "../lib/bytes.ts";
import { ErrorKind, PlasmiteError } from "../lib/errors.ts";
import { Slice } from "../lib/storage/turns.ts";
import { startTimer } from "../lib/timers.ts";
import type { Encoding } from "./encodings.ts";
import { FilterTimeout, limited } from "./filter_budget.ts";
import type { TailQuery } from "./query.ts";

/** A chunk is sent when it has so many bytes. */
const CHUNK = 64 * 1024;
/** How many messages are looked at between two looks at the clock. */
const CLOCK_EVERY = 64;

/** What a stream needs of its server. */
export interface TailHost {
  /** How often a quiet stream says that it lives, in milliseconds. */
  readonly heartbeatMs: number;
  /** How long the last chunk may stay unread after a stream's time is over, in milliseconds. */
  readonly readerGraceMs: number;
  /** Called once when it is over. */
  ended(tail: TailStream): void;
  /** Messages delivered. */
  delivered(count: number): void;
}

/** How looking for messages ended. */
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
  /** Whether a mark has told that what was there at the start was looked at. */
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
    this.#from = walk.position;
    this.#left = query.max;
    this.#deadline = performance.now() + query.timeoutMs;
  }

  /**
   * Begins to read the pool and looks at what is there, so that damage can still be answered with a
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
      where: where === null ? [] : [limited(where)],
    });
    try {
      const tail = new TailStream(host, query, encoding, walk);
      if (tail.#slice.over) await tail.#slice.next();
      tail.#peek();
      return tail;
    } catch (error) {
      walk.close();
      throw error;
    }
  }

  /**
   * Gathers a first chunk.
   *
   * @throws {PlasmiteError} Corrupt when the first message cannot be read
   */
  #peek(): void {
    const state = this.#collect();
    if (this.#out.len > 0 || state === "end") this.#ahead = state;
    else if (PlasmiteError.is(this.#failure, ErrorKind.Corrupt)) throw this.#failure;
  }

  /** The body. */
  body(): ReadableStream<Uint8Array> {
    const { preamble } = this.#encoding;
    this.#beatAt = performance.now() + this.#host.heartbeatMs;
    // A reader that takes nothing is not waited for longer than this (docs/spec/http-api.md 3,
    // disconnect).
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
        if (state === "chunk") continue; // Nothing gathered before a failure.
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

  /** Waits for more; true when something was sent in the meantime. */
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

  /** Says that the stream lives, and where there is room for it, how far it has looked. */
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

  /** Gathers what is there now, a chunk's worth at most. */
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
        // The client goes on from here with another request, and with a budget of its own.
        this.#mark(null);
        return "end";
      }
      this.#fail(error);
      return "chunk";
    } finally {
      if (delivered > 0) this.#host.delivered(delivered);
    }
  }

  /** Says once, with marks, that everything that was there at the start was looked at. */
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

  /** Remembers a failure; what was gathered before it goes out first. */
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

  /** Lets the stream end normally now. */
  end(): void {
    this.#ending = true;
    // When the reader is slow no pull is waiting; closing behind the queued chunk is enough.
    queueMicrotask(() => {
      if (this.#over || this.#controller === null) return;
      try {
        this.#controller.close();
        this.close();
      } catch {
        this.close(); // Closed at the same moment by the pull that was waiting.
      }
    });
  }

  /** Lets the stream end normally when the rights of its caller end. */
  endOn(signal: AbortSignal): void {
    if (signal.aborted) return this.end();
    const end = (): void => this.end();
    signal.addEventListener("abort", end, { once: true });
    this.#forget = () => signal.removeEventListener("abort", end);
  }

  /** Breaks the stream off. */
  abort(): void {
    if (this.#over) return;
    this.#controller?.error(new PlasmiteError("Io", "reader is too slow"));
    this.close();
  }

  /** Releases everything; called however the stream ends. */
  close(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#overdue);
    this.#forget();
    this.#walk.close();
    this.#host.ended(this);
  }
}
