/**
 * A remote pool as a stream of frames: a series of Lite3 tail requests, each continuing after the
 * last frame that arrived, so that nothing is lost or repeated if a connection fails
 * (docs/spec/http-api.md 3, 10).
 *
 * Nothing runs in the background: each wait performs the next step (connect, read, pause after a
 * failure), so a slow reader slows the server down and no data accumulates in this process.
 *
 * @module
 */

import { MutableFrame } from "../frames.ts";
import type { FrameSource } from "../source.ts";
import { ErrorKind, PlasmiteError } from "../../errors.ts";
import { MessageView } from "../../lite3/message.ts";
import { formatTime } from "../../text/time.ts";
import { startTimer, waitFor } from "../../timers.ts";
import { isTransient, RemoteError, shorterWait } from "./error.ts";
import { FrameInput } from "./frame_input.ts";
import type { OpenStream, Transport } from "./transport.ts";
import { PoolCalls } from "./pool_calls.ts";
import type { Pushdown, SourceOptions } from "./source_options.ts";
import { lastSeqOf } from "./wire.ts";
import type { FrameBytes, Gap } from "../../types.ts";

/** The longest duration of one request, in milliseconds; less if the server requires it. */
const REQUEST_MS = 30_000;
/** How far a request may exceed that before its connection counts as dead, in milliseconds. */
const GRACE_MS = 10_000;
/** Pauses between attempts, in milliseconds. */
const FIRST_PAUSE = 50;
const LAST_PAUSE = 2_000;

/** Follows one pool on a server. */
export class RemoteSource implements FrameSource {
  /** The current frame; its bytes are valid until the next call of `next`. */
  readonly cursor: FrameBytes;
  readonly #frame = new MutableFrame();
  readonly #transport: Transport;
  readonly #pool: string;
  readonly #calls: PoolCalls;
  readonly #options: SourceOptions;
  readonly #view = new MessageView();
  #viewed = false;

  readonly #in = new FrameInput();
  /** A piece that arrived while the current frame may still be in use. */
  #arrived: Uint8Array | null = null;

  /** Whether the server accepts the filter. */
  #filters = true;
  /** Whether the current request returned a frame or a mark of a selecting server. */
  #begun = false;

  /** The next sequence number; null before the first frame when starting at the oldest. */
  #expected: bigint | null;
  /** The highest sequence number that arrived. */
  #seen = 0n;
  #gap: Gap | null = null;
  #unreadable: Gap[] = [];

  #stream: OpenStream | null = null;
  #stepping: Promise<void> | null = null;
  #failure: { readonly error: unknown } | null = null;
  #closed = false;
  #closing: () => void = () => {};

  #requestMs = REQUEST_MS;
  #connectedAt = 0;
  /** Frames of the current request. */
  #frames = 0;
  /** Consecutive requests that ended without a frame. */
  #emptyRequests = 0;
  #failures = 0;
  #pauseMs = 0;
  /** Whether the pool may have been deleted or replaced. */
  #mustProbe = false;
  /** The last message that arrived, and its time; 0 before the first. */
  #lastSeq = 0n;
  #lastTimeLo = 0;
  #lastTimeHi = 0;
  /** Messages that an old server skipped although it still has them. */
  #leftOut: { at: bigint; readonly before: bigint } | null = null;
  #holeBefore = 0n;
  /** The frame before which nothing more needs to be fetched. */
  #checked = 0n;

  /** Reads `pool` on the server of `transport`; nothing is sent before the first wait. */
  constructor(transport: Transport, pool: string, options: SourceOptions) {
    this.cursor = this.#frame;
    this.#transport = transport.retain();
    this.#pool = pool;
    this.#calls = new PoolCalls(this.#transport, pool);
    this.#options = options;
    this.#expected = typeof options.start === "bigint" ? options.start : null;
    this.#seen = options.seen ?? 0n;
  }

  /** Every message before this number was examined, here or by the server. */
  get position(): bigint {
    return this.#expected ?? 0n;
  }

  /**
   * Moves to the next frame that has arrived.
   *
   * @returns false if there is none; then call {@linkcode RemoteSource.wait}
   * @throws {RemoteError} the error that permanently ended the stream
   */
  next(): boolean {
    this.#viewed = false;
    if (this.#closed) return false;
    this.#merge();
    const chosen = this.#options.select !== undefined;
    while (this.#leftOut === null && this.#parse()) {
      const { seq } = this.cursor;
      const expected = this.#expected;
      if (expected !== null && seq < expected) continue; // Already delivered.
      if (expected !== null && seq > expected && !chosen) {
        if (this.#isSuspicious(seq)) {
          this.#leftOut = { at: expected, before: seq };
          this.#in.putBack(this.#frame);
          this.#frames--;
          break;
        }
        this.#gap = { first: expected, last: seq - 1n };
      }
      this.#expected = seq + 1n;
      if (seq > this.#seen) this.#seen = seq;
      this.#lastSeq = seq;
      this.#lastTimeLo = this.cursor.timeLo;
      this.#lastTimeHi = this.cursor.timeHi;
      return true;
    }
    if (this.#failure !== null) throw this.#failure.error;
    return false;
  }

  #merge(): void {
    const piece = this.#arrived;
    if (piece === null) return;
    this.#arrived = null;
    this.#in.add(piece);
  }

  /** Reads one of the frames that have arrived. */
  #parse(): boolean {
    const input = this.#in;
    for (;;) {
      switch (input.next(this.#frame, this.#options.select !== undefined)) {
        case "frame":
          this.#heard();
          return true;
        case "mark":
          this.#mark(input.markNext, input.markLost);
          continue;
        case "unreadable":
          this.#skip(input.unreadable);
          continue;
        case "oversize":
          this.#fail(
            new RemoteError(200, "Io", "Lite3 frame exceeds 256 MiB", { path: this.#pool }),
          );
          return false;
        case "none":
          return false;
      }
    }
  }

  /** Resets the failure state when data arrives. */
  #heard(): void {
    this.#frames++;
    this.#begun = true;
    this.#emptyRequests = this.#failures = this.#pauseMs = 0;
  }

  /**
   * Handles a mark: the server examined everything before `next`; messages from `firstLost` on were
   * lost, unless it is 0.
   */
  #mark(next: bigint, firstLost: bigint): void {
    this.#heard();
    const expected = this.#expected;
    if (expected !== null && next <= expected) return;
    if (firstLost > 0n) {
      const first = expected !== null && expected > firstLost ? expected : firstLost;
      this.#gap = { first: this.#gap?.first ?? first, last: next - 1n };
    }
    this.#expected = next;
  }

  /** Notes messages that the server cannot read. */
  #skip({ first, last }: Gap): void {
    this.#heard();
    const expected = this.#expected ?? first;
    if (last < expected) return; // Told before the connection was lost.
    this.#unreadable.push({ first: first > expected ? first : expected, last });
    this.#expected = last + 1n;
  }

  /** Returns the messages before the current one that the server cannot read, once. */
  takeUnreadable(): readonly Gap[] {
    const taken = this.#unreadable;
    if (taken.length > 0) this.#unreadable = [];
    return taken;
  }

  /**
   * Version 0.8 servers begin a tail at the ring's first byte and skip older messages that are
   * still retained (docs/spec/http-api.md 3). Such a server reports no features, and the hole comes
   * before a request's first frame.
   */
  #isSuspicious(seq: bigint): boolean {
    if (this.#transport.features?.size !== 0 || seq === this.#checked) return false;
    return this.#frames === 1 || seq === this.#holeBefore;
  }

  /** Returns the gap before the current message, once. */
  takeGap(): Gap | null {
    const gap = this.#gap;
    this.#gap = null;
    return gap;
  }

  /**
   * The current message, after checking its envelope.
   *
   * @throws {PlasmiteError} Corrupt if the payload is not a message
   */
  get message(): MessageView {
    const view = this.#view;
    if (this.#viewed) return view;
    view.openFrame(this.cursor, this.#in.dv);
    this.#viewed = true;
    return view;
  }

  /**
   * Performs the next step and waits until it is done.
   *
   * @param ms the time limit in milliseconds; undefined for none
   * @returns false on time-out
   * @throws the signal's reason if it is aborted
   */
  wait(ms?: number, signal?: AbortSignal): Promise<boolean> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#closed || this.#failure !== null || this.#arrived !== null) {
      return Promise.resolve(true);
    }
    const step = this.#stepping ??= this.#step().catch((error) => this.#fail(error)).finally(() => {
      this.#stepping = null;
    });
    return waitFor((wake) => void step.then(wake), () => {}, ms, signal);
  }

  #fail(error: unknown): void {
    if (this.#closed) return;
    this.#failure ??= { error };
    this.#drop();
  }

  /** Drops the connection and any partially read frame, which will be requested again. */
  #drop(): void {
    this.#stream?.cancel();
    this.#stream = null;
  }

  async #step(): Promise<void> {
    const { until } = this.#options;
    try {
      if (this.#leftOut !== null) await this.#fetchLeftOut();
      else if (this.#stream !== null) await this.#read(this.#stream);
      else if (this.#pauseMs > 0) {
        const ms = this.#pauseMs;
        this.#pauseMs = 0;
        await this.#sleep(ms);
      } else if (until !== undefined && this.#expected !== null && this.#expected > until) {
        await this.#sleep(LAST_PAUSE); // No more messages are wanted.
      } else if (this.#mustProbe) await this.#probe();
      else await this.#connect();
    } catch (error) {
      this.#trouble(error);
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#closing = () => {};
        resolve();
      };
      const timer = startTimer(done, ms);
      this.#closing = done;
    });
  }

  /** Retries after a temporary failure, with growing pauses; other failures end the stream. */
  #trouble(error: unknown): void {
    this.#drop();
    if (this.#closed) return;
    if (!this.#options.reconnect || !isTransient(error)) throw error;
    this.#mustProbe = true;
    const pause = Math.min(FIRST_PAUSE * 2 ** this.#failures, LAST_PAUSE);
    this.#pauseMs = pause * (0.5 + Math.random() / 2);
    if (++this.#failures === 2) this.#options.onTrouble?.(error as RemoteError);
  }

  async #connect(): Promise<void> {
    const { select, until } = this.#options;
    const query = new URLSearchParams();
    if (this.#expected !== null) query.set("since_seq", String(this.#expected));
    if (select !== undefined) this.#choose(query, select);
    else if (until !== undefined && this.#expected !== null) {
      query.set("max", String(until - this.#expected + 1n));
    }
    query.set("timeout_ms", String(this.#requestMs));
    let stream: OpenStream;
    try {
      stream = await this.#transport.stream(this.#calls.path(`tail_lite3?${query}`), {
        accept: "application/x-plasmite-lite3-stream",
        pool: this.#pool,
      });
    } catch (error) {
      const shorter = shorterWait(error, this.#requestMs);
      if (shorter !== null) this.#requestMs = shorter;
      // The server may not take the condition: evaluate it here instead.
      else if (PlasmiteError.is(error, ErrorKind.Usage) && query.has("where")) {
        this.#filters = false;
      } else throw error;
      return;
    }
    if (this.#closed) return stream.cancel();
    this.#stream = stream;
    this.#in.clear();
    this.#frames = 0;
    this.#connectedAt = performance.now();
    if (this.#expected === null && this.#transport.features?.size === 0) {
      this.#expected = (await this.#calls.bounds()).oldestSeq; // To detect skipped messages.
    }
  }

  /** The server-side selection; start options are included until something has arrived. */
  #choose(query: URLSearchParams, choice: Pushdown): void {
    const { tags, last, since, skipCorrupt, where } = choice;
    const { until } = this.#options;
    query.set("marks", "1");
    if (skipCorrupt) query.set("skip_corrupt", "1");
    if (until !== undefined) query.set("until", String(until));
    for (const tag of tags) query.append("tag", tag);
    if (where !== undefined && this.#filters) query.set("where", where);
    if (this.#begun) return;
    if (last !== undefined) query.set("last", String(last));
    if (since > 0n) query.set("since", formatTime(since));
  }

  async #read(stream: OpenStream): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let piece: Uint8Array | null;
    try {
      const late = new Promise<never>((_, reject) => {
        const ms = Math.max(GRACE_MS, this.#requestMs + GRACE_MS - this.#age);
        timer = startTimer(() => reject(new Error("nothing arrives any more")), ms);
      });
      piece = await Promise.race([stream.read(), late]);
    } catch (error) {
      if (!this.#closed) await this.#broken(error);
      return;
    } finally {
      clearTimeout(timer);
    }
    if (this.#closed) return;
    if (piece !== null) {
      this.#arrived = piece;
      return;
    }
    if (!this.#in.isEmpty) return await this.#broken(new Error("it ended inside a frame"));
    this.#stream = null;
    if (this.#frames > 0) return;
    // Without the pause, a server that ends streams early would be sent requests in a tight loop.
    this.#mustProbe = true;
    const early = this.#age < this.#requestMs * 0.9;
    if (early) this.#trouble(this.#calls.failed(new Error("the server ended the stream")));
  }

  /** Milliseconds since the response to the current request began. */
  get #age(): number {
    return performance.now() - this.#connectedAt;
  }

  /**
   * Handles a broken stream, which is the only way for a server to report that it cannot continue.
   */
  async #broken(cause: unknown): Promise<void> {
    this.#drop();
    // The request's time was over anyway: the reader was too slow, or the machine was suspended.
    if (this.#age >= this.#requestMs) return;
    if (this.#frames === 0 && this.#options.select?.where !== undefined && this.#filters) {
      this.#filters = false; // The filter may be the cause, so apply it here.
      return;
    }
    if (this.#frames === 0 && ++this.#emptyRequests >= 2) {
      await this.#calls.diagnose(this.#expected);
    }
    this.#trouble(this.#calls.failed(cause, "failed to read tail stream"));
  }

  /** After a failure or a long silence, checks whether the pool was deleted or replaced. */
  async #probe(): Promise<void> {
    const last = lastSeqOf(await this.#calls.info());
    this.#mustProbe = false;
    if (last >= this.#seen && await this.#isSamePool()) return;
    throw new RemoteError(404, "NotFound", "pool path now refers to a different file", {
      path: this.#pool,
      hint: "The pool was deleted and recreated. Follow it again to read the new one.",
    });
  }

  /**
   * Whether the last message that arrived is still the same one. A new pool may have as many messages
   * already: to go on after their number would hide the first of them.
   */
  async #isSamePool(): Promise<boolean> {
    const seq = this.#lastSeq;
    if (seq === 0n) return true;
    try {
      const { timestampNs } = await this.#calls.message(seq);
      return timestampNs === ((BigInt(this.#lastTimeHi) << 32n) | BigInt(this.#lastTimeLo));
    } catch (error) {
      // Overwritten, or damaged since: unknown.
      if (PlasmiteError.is(error, ErrorKind.NotFound)) return true;
      if (PlasmiteError.is(error, ErrorKind.Corrupt)) return true;
      throw error;
    }
  }

  /** Fetches one message that the tail skipped before the pending frame. */
  async #fetchLeftOut(): Promise<void> {
    const hole = this.#leftOut;
    if (hole === null) return;
    const { oldestSeq } = await this.#calls.bounds();
    const seq = oldestSeq !== null && oldestSeq > hole.at ? oldestSeq : hole.at;
    if (seq >= hole.before || oldestSeq === null) {
      this.#checked = hole.before;
      this.#leftOut = null;
      return;
    }
    try {
      const { timestampNs, payload } = await this.#calls.message(seq);
      this.#in.insert(seq, timestampNs, payload);
      this.#holeBefore = hole.before;
      this.#leftOut = null;
    } catch (error) {
      if (!PlasmiteError.is(error, ErrorKind.NotFound)) throw error;
      hole.at = seq + 1n; // Overwritten in the meantime.
    }
  }

  /** Releases the connection and ends any wait. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#drop();
    this.#closing();
    this.#transport.release();
  }
}
