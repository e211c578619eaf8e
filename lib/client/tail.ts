/**
 * `pool.tail()` of a pool in a file: waiting for what is appended, and knowing when there is no more.
 *
 * @module
 */

import { Follower } from "../backend/local/follower.ts";
import type { Message } from "./message.ts";
import { type JsonObject, type TailOptions, U64_MAX } from "./options.ts";
import { TailStream, type Take } from "./tail_stream.ts";

/** An endless or bounded stream of messages; `break`, `close` and `using` end it silently. */
export interface Tail<T extends object = JsonObject>
  extends AsyncIterableIterator<Message<T>, void, undefined>, AsyncDisposable, Disposable {
  /** The checkpoint: pass it as `sinceSeq` to go on where this one stopped; null before the first. */
  readonly nextSeq: bigint | null;
  /** Ends the stream; a pending `next()` resolves as done. */
  close(): void;
}

/** Follows a pool in a file: messages or frames, by `take`. */
export class TailIterator<M> extends TailStream<M, Follower> {
  protected readonly source: Follower;
  protected readonly path: string;
  readonly #liveFrom: bigint;
  #final: bigint | null = null;

  /** Opens the pool at `path` at once, so nothing appended from now on can be missed. */
  constructor(path: string, options: TailOptions, take: Take<M>) {
    super(options, take);
    this.path = path;
    this.source = new Follower(path, this.start, true, true);
    this.#liveFrom = this.source.ring.state().newest + 1n;
  }

  /** The next message; done at a limit or after {@linkcode TailIterator.close}. */
  async next(): Promise<IteratorResult<M, void>> {
    const { source } = this;
    const { signal } = this.options;
    const idle = this.begin();
    let quiet: bigint | null = null;
    let skipped = 0;
    try {
      if (this.unprepared) await this.prepare();
      const looks = this.looksEvery;
      for (;;) {
        if (source.closed || this.left === 0n) break;
        signal?.throwIfAborted();
        if (this.#passed()) break;
        // When time is over, what is there by then still counts; what comes later does not.
        if (this.#over(this.deadline)) this.#final ??= source.ring.state().newest;
        else if (this.#over(idle)) quiet ??= source.ring.state().newest;
        const last = this.#final ?? quiet;
        if (source.next()) {
          this.reportGap();
          const { seq } = source.cursor;
          if (seq > this.until || (last !== null && seq > last)) break;
          this.position = seq + 1n;
          if (!this.wanted(seq, this.#liveFrom)) {
            // A long way to the next match blocks nobody.
            if (++skipped % looks === 0 && source.slice?.over === true) await source.slice.next();
            continue;
          }
          return this.taken();
        }
        if (source.unfinished) {
          await source.wait(undefined, signal);
          continue;
        }
        if (last !== null) break;
        const ms = this.remaining(idle);
        await source.wait(Number.isFinite(ms) ? ms : undefined, signal);
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
    if (this.until === U64_MAX) return false;
    if (this.position !== null && this.position > this.until) return true;
    const { oldest, newest } = this.source.ring.state();
    return oldest === 0n && newest >= this.until;
  }

  #over(time: number | undefined): boolean {
    return time !== undefined && time !== Infinity && performance.now() >= time;
  }
}
