/**
 * `pool.tail()`: a selection of messages as an async iterator, for local and remote pools.
 *
 * @module
 */

import { type FramePosition, payloadOf } from "../backend/frames.ts";
import type { PoolHandle, Walk } from "../backend/types.ts";
import { PlasmiteError } from "../errors.ts";
import type { Awaitable } from "../types.ts";
import type { IntegerPolicy } from "../lite3/value.ts";
import type { Where } from "../filter/where.ts";
import { Message } from "./message.ts";
import {
  checkMs,
  checkSeq,
  checkSince,
  checkTags,
  checkWhere,
  type JsonObject,
  type TailOptions,
  U64_MAX,
} from "./options.ts";

/** How long to wait for already stored messages after the timeout, in milliseconds. */
const LAST_LOOK = 1;
/** In place of a sequence number: deliver what has arrived, but wait for no more. */
const ARRIVED = U64_MAX;

/**
 * An endless or bounded stream of messages; `break`, `close` and `using` end it without an error.
 *
 * @example Resume where an earlier tail ended
 * ```ts
 * import { Client } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool<{ n: number }>("demo");
 * await pool.appendBatch([{ n: 1 }, { n: 2 }]);
 *
 * const first = pool.tail({ maxMessages: 1 });
 * for await (const message of first) console.assert(message.data.n === 1);
 * const rest = pool.tail({ sinceSeq: first.nextSeq ?? 1n, idleTimeoutMs: 10 });
 * for await (const message of rest) console.assert(message.data.n === 2);
 * ```
 */
export interface Tail<T extends object = JsonObject>
  extends AsyncIterableIterator<Message<T>, void, undefined>, AsyncDisposable, Disposable {
  /**
   * The checkpoint: pass it as `sinceSeq` to resume after the last message; null before the first
   * one.
   */
  readonly nextSeq: bigint | null;
  /** Ends the stream; a pending `next()` resolves as done. */
  close(): void;
}

/** Converts the current frame to an item of the stream. */
export type Take<M> = (position: FramePosition) => M;

/** Returns a converter to messages whose data is decoded according to `integers`. */
export function takeMessage<T>(integers: IntegerPolicy): Take<Message<T>> {
  return ({ cursor }) =>
    new Message<T>(cursor.seq, cursor.timestampNs, { payload: payloadOf(cursor), integers });
}

/**
 * Compiles the expressions of a filter; nothing is loaded without one.
 *
 * @throws {PlasmiteError} Usage when one is not a valid jq expression
 */
export async function compileAll(expressions: readonly string[]): Promise<readonly Where[]> {
  if (expressions.length === 0) return [];
  const { compileWhere } = await import("../filter/where.ts");
  return await Promise.all(expressions.map((expression) => compileWhere(expression)));
}

/** The options of a tail, checked. */
interface Checked {
  readonly tags: readonly string[];
  readonly where: readonly string[];
  readonly since: bigint;
  readonly start: bigint | "oldest" | "end";
  readonly until: bigint | undefined;
  readonly most: bigint;
  readonly timeoutMs: number | undefined;
  readonly idleMs: number | undefined;
}

function check(options: TailOptions): Checked {
  const { sinceSeq, untilSeq, maxMessages } = options;
  const since = sinceSeq === undefined ? null : checkSeq(sinceSeq, "sinceSeq");
  return {
    tags: checkTags(options.tags),
    timeoutMs: checkMs(options.timeoutMs, "timeoutMs"),
    idleMs: checkMs(options.idleTimeoutMs, "idleTimeoutMs"),
    most: maxMessages === undefined ? -1n : checkSeq(maxMessages, "maxMessages"),
    until: untilSeq === undefined ? undefined : checkSeq(untilSeq, "untilSeq"),
    // Sequence numbers begin at 1, so "since 0" asks for everything and must report no gap for 0.
    start: since === null ? options.from ?? "oldest" : since === 0n ? 1n : since,
    since: checkSince(options),
    where: checkWhere(options.where),
  };
}

/** What a tail reads from: a pool, or the messages after a cursor. */
export type TailSource = Pick<PoolHandle, "path" | "select" | "close">;

/** The options, checked; a pool that was opened for them is closed when they are no good. */
function checkFor(pool: TailSource, options: TailOptions): Checked {
  try {
    return check(options);
  } catch (error) {
    void pool.close();
    throw error;
  }
}

/** How a tail reads from its pool. */
export interface TailPlace {
  /** Where to start, if not as the options say. */
  readonly start?: bigint;
  /** Whether to reconnect after connection failures; default true. */
  readonly reconnect?: boolean;
  /** The name of the pool in errors; default the pool's own. */
  readonly path?: string;
  /**
   * The current newest sequence number, if it is available synchronously; 0 if nothing is retained.
   */
  readonly newest?: () => bigint;
  /** Called before each wait and at the end: every message before `position` was examined. */
  readonly idle?: (position: bigint, isEnd: boolean) => Awaitable<void>;
  /** How often to call `idle` while nothing arrives, in milliseconds; default never. */
  readonly idleEvery?: number;
}

/** Follows a pool: messages or frames, by `take`. */
export class TailIterator<M> implements AsyncIterableIterator<M, void, undefined> {
  readonly #pool: TailSource;
  readonly #options: TailOptions;
  readonly #take: Take<M>;
  readonly #checked: Checked;
  readonly #reconnect: boolean;
  readonly #newest: (() => bigint) | undefined;
  readonly #path: string;
  readonly #idle: TailPlace["idle"];
  readonly #idleEvery: number;
  #walk: Walk | null = null;
  #selecting: Promise<Walk> | null = null;
  #closed = false;
  /** How many more messages are wanted; negative for no limit. */
  #left: bigint;
  /** When the whole stream ends, in `performance.now()` time; set by the first `next()`. */
  #deadline = Infinity;
  #started = false;
  /** The newest message at the timeout: later ones are not waited for. */
  #final: bigint | null = null;

  /**
   * Checks the options; reads nothing before the first `next()`.
   *
   * @param pool the pool, which is closed with the tail, also when there is none because the
   *   options are no good
   * @throws {PlasmiteError} Usage
   */
  constructor(
    pool: TailSource,
    options: TailOptions,
    take: Take<M>,
    place: TailPlace = {},
  ) {
    const { start, reconnect = true, newest, path = pool.path } = place;
    const checked = checkFor(pool, options);
    this.#pool = pool;
    this.#options = options;
    this.#take = take;
    this.#checked = start === undefined ? checked : { ...checked, start };
    this.#left = checked.most;
    this.#reconnect = reconnect;
    this.#newest = newest;
    this.#path = path;
    this.#idle = place.idle;
    this.#idleEvery = place.idleEvery ?? Infinity;
  }

  /** The checkpoint to resume from. */
  get nextSeq(): bigint | null {
    const { start } = this.#checked;
    const position = this.#walk?.position ?? (typeof start === "bigint" ? start : 0n);
    return position > 0n ? position : null;
  }

  async #select(): Promise<Walk> {
    const { tags, where, since, start, until } = this.#checked;
    const walk = await this.#pool.select({
      from: start,
      follow: true,
      ...(until === undefined ? {} : { until }),
      tags,
      since,
      where: await compileAll(where),
      yielding: true,
      reconnect: this.#reconnect,
      skipCorrupt: this.#options.skipCorrupt === true,
    });
    if (this.#closed) walk.close();
    return this.#walk = walk;
  }

  /** The next message; done at a limit or after {@linkcode TailIterator.close}. */
  async next(): Promise<IteratorResult<M, void>> {
    try {
      const taken = this.#closed || this.#left === 0n ? null : await this.#advance();
      if (taken !== null) return taken;
    } catch (error) {
      this.close();
      throw error;
    }
    this.close();
    return { done: true, value: undefined };
  }

  /** Takes the next message; null at the end or after the timeout. */
  async #advance(): Promise<{ done: false; value: M } | null> {
    const { signal } = this.#options;
    signal?.throwIfAborted();
    const { timeoutMs, idleMs } = this.#checked;
    const now = performance.now();
    if (!this.#started && timeoutMs !== undefined) this.#deadline = now + timeoutMs;
    this.#started = true;
    const idle = idleMs === undefined ? Infinity : now + idleMs;
    const walk = this.#walk ?? await (this.#selecting ??= this.#select());
    let quiet: bigint | null = null;
    while (!this.#closed && this.#left !== 0n) {
      signal?.throwIfAborted();
      // At the timeout, messages stored by then are still delivered; later ones are not.
      if (performance.now() >= this.#deadline) this.#final ??= this.#newest?.() ?? ARRIVED;
      else if (performance.now() >= idle) quiet ??= this.#newest?.() ?? ARRIVED;
      const last = this.#final ?? quiet;
      const found = walk.next();
      this.#tellGap(walk);
      for (const range of walk.takeUnreadable()) this.#options.onUnreadable?.(range);
      if (found) return last === null || walk.frame.seq <= last ? this.#taken(walk) : null;
      const over = last === 0n || last === ARRIVED || (last !== null && walk.position > last) ||
        walk.ended;
      if (this.#idle !== undefined) await this.#idle(walk.position, over);
      if (over) return null;
      const left = last === null ? Math.min(idle, this.#deadline) - performance.now() : LAST_LOOK;
      const ms = Math.min(left, this.#idleEvery);
      await walk.wait(Number.isFinite(ms) ? Math.max(0, ms) : undefined, signal);
    }
    return null;
  }

  #taken(walk: Walk): { done: false; value: M } {
    if (this.#left > 0n) this.#left--;
    return { done: false, value: this.#take({ cursor: walk.frame }) };
  }

  #tellGap(walk: Walk): void {
    const gap = walk.takeGap();
    if (gap === null) return;
    if (this.#options.errorOnGap === true) {
      throw new PlasmiteError("RetentionGap", "retention gap", {
        seq: gap.first,
        path: this.#path,
        hint: `Messages ${gap.first} to ${gap.last} were overwritten before they were read. ` +
          `Go on with ${gap.last + 1n}, or use a larger pool.`,
      });
    }
    this.#options.onGap?.({ firstMissing: gap.first, next: gap.last + 1n });
  }

  /** Ends the stream and releases what it holds. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#walk?.close();
    void this.#pool.close();
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
