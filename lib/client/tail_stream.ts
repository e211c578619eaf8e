/**
 * What every `tail()` is made of, local or remote: options, filters, gaps, and the protocol of an
 * iterator. Only where frames come from, and when there are no more, differs.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { Lite3Tag, type MessageView } from "../lite3/message.ts";
import type { IntegerPolicy } from "../lite3/value.ts";
import { type FramePosition, payloadOf } from "../backend/frames.ts";
import type { Where } from "../filter/where.ts";
import { Message } from "./message.ts";
import {
  checkMs,
  checkSeq,
  checkSince,
  checkTags,
  checkWhere,
  type TailOptions,
  U64_MAX,
} from "./options.ts";
import type { Gap } from "../types.ts";

/** Where a tail's messages come from. */
export interface TailSource extends FramePosition {
  /** The current message, its envelope checked. */
  readonly message: MessageView;
  /** The messages lost before the current one, once. */
  takeGap(): Gap | null;
  /** Releases everything; ends a wait. */
  close(): void;
}

/** What a tail hands out is made of the current frame. */
export type Take<M> = (position: FramePosition) => M;

/** Makes messages that decode their data by `integers`. */
export function takeMessage<T>(integers: IntegerPolicy): Take<Message<T>> {
  return ({ cursor }) =>
    new Message<T>(cursor.seq, cursor.timestampNs, { payload: payloadOf(cursor), integers });
}

/**
 * Compiles the expressions of a filter; nothing is loaded without one.
 *
 * @throws {PlasmiteError} Usage when one is no jq expression
 */
export async function compileAll(expressions: readonly string[]): Promise<readonly Where[]> {
  if (expressions.length === 0) return [];
  const { compileWhere } = await import("../filter/where.ts");
  return await Promise.all(expressions.map((expression) => compileWhere(expression)));
}

/** A stream of messages or frames; who extends it says how to get at the next one. */
export abstract class TailStream<M, S extends TailSource>
  implements AsyncIterableIterator<M, void, undefined> {
  /** Where frames come from. */
  protected abstract readonly source: S;
  /** What errors call the pool. */
  protected abstract readonly path: string;
  /** Tags that a message must carry. */
  protected readonly tags: readonly Lite3Tag[];
  /** Where to begin. */
  protected readonly start: bigint | "oldest" | "end";
  /** The last sequence number wanted. */
  protected readonly until: bigint;
  /** Stored messages before this time are not wanted, in nanoseconds since 1970. */
  protected readonly since: bigint;
  /** The checkpoint: one behind the last message looked at. */
  protected position: bigint | null = null;
  /** How many more are wanted; below 0, any number. */
  protected left: bigint;
  /** When the whole stream ends, in `performance.now()` time; set by the first `next()`. */
  protected deadline: number | undefined;
  readonly #timeoutMs: number | undefined;
  readonly #idleMs: number | undefined;
  readonly #expressions: readonly string[];
  #where: readonly Where[] | null = null;
  #started = false;

  /** Checks the options. Throws Usage. */
  constructor(protected readonly options: TailOptions, protected readonly take: Take<M>) {
    this.tags = checkTags(options.tags).map((tag) => new Lite3Tag(tag));
    this.#timeoutMs = checkMs(options.timeoutMs, "timeoutMs");
    this.#idleMs = checkMs(options.idleTimeoutMs, "idleTimeoutMs");
    this.left = options.maxMessages === undefined
      ? -1n
      : checkSeq(options.maxMessages, "maxMessages");
    this.until = options.untilSeq === undefined ? U64_MAX : checkSeq(options.untilSeq, "untilSeq");
    const since = options.sinceSeq === undefined ? null : checkSeq(options.sinceSeq, "sinceSeq");
    // Sequence numbers begin at 1, so "since 0" asks for everything and must report no gap for 0.
    this.start = since === null ? options.from ?? "oldest" : since === 0n ? 1n : since;
    this.since = checkSince(options);
    this.#expressions = checkWhere(options.where);
    if (typeof this.start === "bigint") this.position = this.start;
  }

  /** The checkpoint to resume from. */
  get nextSeq(): bigint | null {
    return this.position;
  }

  /** The next message; done at a limit or after {@linkcode TailStream.close}. */
  abstract next(): Promise<IteratorResult<M, void>>;

  /** Starts the clocks of one `next()`; returns when it has been idle for too long. */
  protected begin(): number {
    if (!this.#started) {
      this.#started = true;
      if (this.#timeoutMs !== undefined) this.deadline = performance.now() + this.#timeoutMs;
    }
    return this.#idleMs === undefined ? Infinity : performance.now() + this.#idleMs;
  }

  /** Milliseconds until idle time or the stream's time is over; Infinity where neither ends. */
  protected remaining(idle: number): number {
    return Math.min(idle, this.deadline ?? Infinity) - performance.now();
  }

  /**
   * Makes the filters ready; to be awaited before the first message is judged.
   *
   * @throws {PlasmiteError} Usage when one is no jq expression
   */
  protected async prepare(): Promise<void> {
    this.#where ??= await compileAll(this.#expressions);
  }

  /** How many messages may be judged between two looks at the clock: jq itself takes a while. */
  protected get looksEvery(): number {
    return this.#where?.every((where) => where.isNative) === false ? 1 : 64;
  }

  /** Whether {@linkcode TailStream.prepare} is still to be called. */
  protected get unprepared(): boolean {
    return this.#where === null;
  }

  /**
   * Whether the current message passes the filters; the time counts before `liveFrom`.
   *
   * @throws {PlasmiteError} Usage when a filter yields something else than a boolean
   */
  protected wanted(seq: bigint, liveFrom: bigint): boolean {
    const { source, since } = this;
    if (since > 0n && seq < liveFrom && source.cursor.timestampNs < since) return false;
    if (this.tags.length > 0 && !source.message.hasTags(this.tags)) return false;
    for (const where of this.#where ?? []) if (!where.matches(source.message)) return false;
    return true;
  }

  /** Tells of messages that were lost before the current one. Throws RetentionGap if asked to. */
  protected reportGap(): void {
    const gap = this.source.takeGap();
    if (gap === null) return;
    if (this.options.errorOnGap === true) {
      throw new PlasmiteError("RetentionGap", "retention gap", {
        seq: gap.first,
        path: this.path,
        hint: `Messages ${gap.first} to ${gap.last} were overwritten before they were read. ` +
          `Go on with ${gap.last + 1n}, or use a larger pool.`,
      });
    }
    this.options.onGap?.({ firstMissing: gap.first, next: gap.last + 1n });
  }

  /** Hands out the current message. */
  protected taken(): IteratorResult<M, void> {
    const value = this.take(this.source);
    if (this.left > 0n) this.left--;
    return { done: false, value };
  }

  /** Ends the stream and releases what it holds. */
  close(): void {
    this.source.close();
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
