/**
 * `pool.tail()` of a remote pool: limits, filters and gaps, as for a local one.
 *
 * @module
 */

import { type OptionKinds, TAIL_KINDS } from "../client/option_kinds.ts";
import { type TailOptions, U64_MAX } from "../client/options.ts";
import { TailStream, type Take } from "../client/tail_stream.ts";
import { RemoteSource } from "../backend/http/source.ts";
import type { Transport } from "../backend/http/transport.ts";
import { poolInfo } from "../backend/http/wire.ts";

/** How to follow a remote pool. */
export interface RemoteTailOptions extends TailOptions {
  /**
   * Go on by itself after failures of the connection and while the server is busy; default false:
   * they reject, and `nextSeq` tells where to go on.
   */
  readonly reconnect?: boolean;
}

/** The options of a remote tail. */
export const REMOTE_TAIL_KINDS: OptionKinds<RemoteTailOptions> = {
  ...TAIL_KINDS,
  reconnect: "boolean",
};

/** Follows a remote pool: messages or frames, by `take`. */
export class RemoteTail<M> extends TailStream<M, RemoteSource> {
  protected readonly source: RemoteSource;
  protected readonly path: string;
  readonly #transport: Transport;
  /** Messages from here on are live and pass `sinceTimeNs`; null until it is known. */
  #liveFrom: bigint | null;
  #done = false;

  /** Sends nothing before the first `next()`. Throws Usage for bad options. */
  constructor(transport: Transport, pool: string, options: RemoteTailOptions, take: Take<M>) {
    super(options, take);
    this.#transport = transport;
    this.path = pool;
    this.#liveFrom = this.since > 0n ? null : 0n;
    // A server that filters by tags hides gaps, and it trims tags; then all messages come here.
    const gaps = options.errorOnGap === true || options.onGap !== undefined;
    const tags = this.tags.map((tag) => tag.name);
    const plain = tags.every((tag) => tag !== "" && tag === tag.trim());
    const filter = !gaps && plain && this.until === U64_MAX;
    this.source = new RemoteSource(transport, pool, {
      start: this.start,
      until: options.untilSeq === undefined ? undefined : this.until,
      tags: filter ? tags : [],
      reconnect: options.reconnect === true,
    });
  }

  /** The next message; done at a limit or after {@linkcode RemoteTail.close}. */
  async next(): Promise<IteratorResult<M, void>> {
    const { source } = this;
    const { signal } = this.options;
    const idle = this.begin();
    try {
      signal?.throwIfAborted();
      if (this.unprepared) await this.prepare();
      if (this.#liveFrom === null && !source.closed) {
        this.#liveFrom = ((await this.#bounds(signal)).newestSeq ?? 0n) + 1n;
      }
      for (;;) {
        signal?.throwIfAborted();
        if (this.#done || source.closed || this.left === 0n || this.#passed()) break;
        if (source.next()) {
          this.reportGap();
          const { seq } = source.cursor;
          if (seq > this.until) break;
          this.position = seq + 1n;
          if (!this.wanted(seq, this.#liveFrom ?? 0n)) {
            if (this.remaining(idle) <= 0) break;
            continue;
          }
          return this.taken();
        }
        if (this.remaining(idle) <= 0) break;
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
    const ms = this.remaining(idle);
    const bounded = this.until !== U64_MAX;
    const more = await this.source.wait(
      bounded ? Math.min(ms, 1000) : Number.isFinite(ms) ? ms : undefined,
      signal,
    );
    if (more || !bounded) return;
    // Nothing for a while: what was wanted may have been lost to a ring that was emptied.
    const { oldestSeq, newestSeq } = await this.#bounds(signal);
    if (oldestSeq === null && (newestSeq === null || newestSeq >= this.until)) this.#done = true;
  }

  async #bounds(
    signal: AbortSignal | undefined,
  ): Promise<{ oldestSeq: bigint | null; newestSeq: bigint | null }> {
    const path = `/v0/pools/${encodeURIComponent(this.path)}/info`;
    const answer = await this.#transport.json(path, { pool: this.path, signal });
    return poolInfo(answer["pool"], this.path).bounds;
  }

  /** Whether the last wanted message was read. */
  #passed(): boolean {
    return this.position !== null && this.position > this.until;
  }
}
