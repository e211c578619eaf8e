/**
 * A stream of a pool's messages as the body of an answer: many messages a chunk, nothing read
 * ahead of the reader, one end for every way it can end (docs/spec/http-api.md 3).
 *
 * @module
 */

import { Buf } from "../lib/bytes.ts";
import { Follower } from "../lib/backend/local/follower.ts";
import { ErrorKind, PlasmiteError } from "../lib/errors.ts";
import { beforeNextTry } from "../lib/storage/pause.ts";
import { inTurns, Slice } from "../lib/storage/turns.ts";
import { startTimer } from "../lib/timers.ts";
import type { Encoding } from "./encodings.ts";
import { HttpError } from "./errors.ts";
import type { Hub, Hubs } from "./hub.ts";
import type { TailQuery } from "./query.ts";

/** A chunk is sent when it has so many bytes. */
const CHUNK = 64 * 1024;
/** How many messages are looked at between two looks at the clock. */
const CLOCK_EVERY = 64;
/** A filter may use so much time in one stream, in milliseconds of computing. */
const FILTER_TIME = 2_000;

/** What a stream needs of its server. */
export interface TailHost {
  /** Change notices. */
  readonly hubs: Hubs;
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

/** What a stream begins with. */
interface Opened {
  readonly host: TailHost;
  readonly path: string;
  readonly query: TailQuery;
  readonly encoding: Encoding;
  readonly follower: Follower;
  readonly hub: Hub;
  readonly newest: bigint;
}

/** One open stream. */
export class TailStream {
  readonly #host: TailHost;
  readonly #query: TailQuery;
  readonly #encoding: Encoding;
  readonly #follower: Follower;
  readonly #out = new Buf(4096);
  readonly #slice: Slice;
  readonly #deadline: number;
  readonly #until: bigint;
  readonly #liveFrom: bigint;
  readonly #path: string;
  #hub: Hub;
  #left: bigint;
  #last: bigint;
  #wake: () => void = () => {};
  #filterTime = 0;
  #beatAt = 0;
  #ending = false;
  #over = false;
  #failure: unknown = null;
  #ahead: Collected | null = null;
  #overdue: ReturnType<typeof setTimeout> | undefined;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;

  private constructor({ host, path, query, encoding, follower, hub, newest }: Opened) {
    this.#host = host;
    this.#path = path;
    this.#query = query;
    this.#encoding = encoding;
    this.#follower = follower;
    this.#slice = follower.slice ?? new Slice();
    this.#hub = hub;
    this.#left = query.max;
    this.#deadline = performance.now() + query.timeoutMs;
    this.#last = (query.sinceSeq ?? 1n) - 1n;
    this.#liveFrom = newest + 1n;
    this.#until = query.noFollow ? newest : -1n;
  }

  /**
   * Opens the pool and looks at what is there, so that what is missing or damaged can still be
   * answered with a status.
   *
   * @throws {PlasmiteError} NotFound, Permission, Corrupt, Usage, Busy or Io
   */
  static async open(
    host: TailHost,
    path: string,
    query: TailQuery,
    encoding: Encoding,
  ): Promise<TailStream> {
    const follower = await inTurns(Follower.opening(path, query.sinceSeq ?? "oldest", false));
    let hub: Hub | null = null;
    try {
      const { newest } = await inTurns(follower.ring.stating());
      hub = await host.hubs.join(path);
      const tail = new TailStream({ host, path, query, encoding, follower, hub, newest });
      if (tail.#slice.over) await tail.#slice.next();
      tail.#peek();
      return tail;
    } catch (error) {
      follower.close();
      hub?.leave();
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
        const seen = this.#hub.version;
        const state = this.#ahead ?? (this.#ending ? "end" : this.#collect());
        this.#ahead = null;
        if (this.#out.len > 0) {
          this.#send(controller);
          if (state === "end") this.#finish(controller);
          return;
        }
        if (state === "end") return this.#finish(controller);
        if (state === "chunk") continue; // Nothing gathered before a failure.
        if (this.#follower.unfinished) await this.#follower.wait();
        else if (state === "turn") await this.#slice.next();
        else if (await this.#quiet(controller, seen)) return;
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

  /** Waits for more; true when a heartbeat was sent. */
  async #quiet(
    controller: ReadableStreamDefaultController<Uint8Array>,
    seen: number,
  ): Promise<boolean> {
    const hub = this.#hub;
    if (hub.failure !== null) {
      // Perhaps an older file of this name went away; ours may be the new one.
      this.#follower.ring.checkIdentity();
      this.#hub = await this.#host.hubs.join(this.#path);
      hub.leave();
      return false;
    }
    if (hub.version === seen && this.#blocked()) {
      await beforeNextTry();
      return false;
    }
    const now = performance.now();
    if (now >= this.#beatAt && this.#encoding.heartbeat !== "") {
      const { heartbeat, beat } = this.#encoding;
      const { expected } = this.#follower.cursor;
      const text = expected > 0n && beat !== undefined ? beat(expected) : heartbeat;
      controller.enqueue(new TextEncoder().encode(text));
      this.#beatAt = now + this.#host.heartbeatMs;
      return true;
    }
    const beat = this.#encoding.heartbeat === "" ? Infinity : this.#beatAt;
    const ms = Math.ceil(Math.min(this.#deadline, beat) - now);
    await hub.wait(seen, ms, (wake) => this.#wake = wake);
    return false;
  }

  /** Whether there is a message that can be read only under a lock that a writer holds now. */
  #blocked(): boolean {
    const state = this.#follower.ring.tryState();
    if (state === null) return true;
    return state.oldest !== 0n && this.#follower.cursor.expected <= state.newest;
  }

  /** Gathers what is there now, a chunk's worth at most. */
  #collect(): Collected {
    const { max } = this.#query;
    if (max === 0n || this.#query.timeoutMs === 0) return "end";
    const bounded = this.#until >= 0n;
    // A bigint a message costs; most streams do without.
    const exact = bounded || this.#query.sinceTimeNs > 0n;
    let delivered = 0;
    try {
      for (let looked = 0;; looked++) {
        if (looked % CLOCK_EVERY === 0) {
          const now = performance.now();
          if (now >= this.#deadline) return "end";
          if (this.#slice.over) return "turn";
        }
        if (this.#left === 0n || (bounded && this.#last >= this.#until)) return "end";
        if (!this.#follower.next()) return bounded && !this.#blocked() ? "end" : "idle";
        this.#checkGap();
        const seq = exact ? this.#follower.cursor.seq : 0n;
        if (bounded && seq > this.#until) return "end";
        this.#last = seq;
        if (!this.#wanted(seq)) continue;
        this.#encoding.put(this.#follower, this.#out);
        delivered++;
        if (this.#left > 0n) this.#left--;
        if (this.#out.len >= CHUNK) return "chunk";
      }
    } catch (error) {
      this.#fail(error);
      return "chunk";
    } finally {
      if (delivered > 0) this.#host.delivered(delivered);
    }
  }

  #checkGap(): void {
    const gap = this.#follower.takeGap();
    if (gap === null || !this.#query.errorOnGap) return;
    throw new PlasmiteError(
      "RetentionGap",
      `messages ${gap.first}-${gap.last} are no longer retained; ` +
        `the next available message is ${gap.last + 1n}`,
      { seq: gap.first, hint: "Go on with the next available one, or use a larger pool." },
    );
  }

  #wanted(seq: bigint): boolean {
    const { tags, sinceTimeNs, where } = this.#query;
    const { cursor } = this.#follower;
    if (sinceTimeNs > 0n && seq < this.#liveFrom && cursor.timestampNs < sinceTimeNs) return false;
    if (tags.length > 0 && !this.#follower.message.hasTags(tags)) return false;
    if (where === null) return true;
    const before = performance.now();
    const matches = where.matches(this.#follower.message);
    this.#filterTime += performance.now() - before;
    if (this.#filterTime > FILTER_TIME) {
      throw new HttpError(400, "Usage", "filter exceeds its time budget", {
        hint: "Narrow the stream with tags or since, or filter in the client.",
      });
    }
    return matches;
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

  /** Lets the stream end normally now: the server stops. */
  end(): void {
    this.#ending = true;
    this.#wake();
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
    this.#follower.close();
    this.#hub.leave();
    this.#wake();
    this.#host.ended(this);
  }
}
