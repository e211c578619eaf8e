/**
 * The new tasks of a group: a walk that stays open between calls, and the tasks it has read ahead.
 *
 * @module
 */

import type { Awaitable } from "../../types.ts";
import type { GroupRequest } from "../coordination.ts";
import { storedOf } from "../frames.ts";
import type { Selection, StoredFrame, Walk } from "../types.ts";

/** How many bytes of tasks are read ahead. */
const MOST_AHEAD = 4 << 20;

/** Reads the messages that match a group's filter. */
export class TaskSource {
  readonly #select: (selection: Selection) => Awaitable<Walk>;
  readonly #request: Pick<GroupRequest, "tags" | "where">;
  readonly #isNative: boolean;
  #walk: Walk | null = null;
  /** Tasks that were read but not used yet. */
  #ahead: StoredFrame[] = [];
  #aheadBytes = 0;
  /** The error that ended the walk, after the tasks in `#ahead`. */
  #failure: unknown = null;
  /** The last number examined when the walk failed. */
  #examined = 0n;
  #closed = false;

  /**
   * @param select reads the pool
   * @param request the filter
   */
  constructor(
    select: (selection: Selection) => Awaitable<Walk>,
    request: Pick<GroupRequest, "tags" | "where">,
  ) {
    this.#select = select;
    this.#request = request;
    this.#isNative = (request.where ?? []).every((one) => one.isNative);
  }

  /** Whether there is a walk. */
  get isOpen(): boolean {
    return this.#walk !== null;
  }

  /** The last examined number; known only when nothing was read ahead. */
  get examined(): bigint {
    return this.#walk === null ? this.#examined : this.#walk.position - 1n;
  }

  /**
   * Starts to read.
   *
   * @param from the first number
   * @param notify whether the caller will wait for messages
   */
  async open(from: bigint, notify: boolean): Promise<void> {
    this.reset();
    const { tags, where } = this.#request;
    const walk = await this.#select({ from, follow: true, notify, tags, where });
    if (this.#closed) walk.close();
    else this.#walk = walk;
  }

  /** Reads up to `count` tasks, yielding to other tasks. */
  async lookAhead(count: number, signal: AbortSignal | undefined): Promise<void> {
    while (this.#ahead.length < count && this.#aheadBytes < MOST_AHEAD) {
      const walk = this.#walk;
      const looked = walk?.looked;
      const one = this.#read();
      if (one !== null) {
        this.#ahead.push(one);
        this.#aheadBytes += one.payload.length;
      } else if (walk === null || this.#walk === null) return;
      else if (walk.evaluating === true) await walk.wait(undefined, signal);
      else if (walk.looked === looked) return;
      else await walk.wait(0, signal);
    }
  }

  /** The next task; null if there is none, or if the walk failed. */
  next(): StoredFrame | null {
    const one = this.#ahead.shift();
    if (one === undefined) return this.#read();
    this.#aheadBytes -= one.payload.length;
    return one;
  }

  /** Takes back tasks that `next` returned and that were not used. */
  putBack(tasks: readonly StoredFrame[]): void {
    this.#ahead = [...tasks, ...this.#ahead];
    for (const { payload } of tasks) this.#aheadBytes += payload.length;
  }

  #read(): StoredFrame | null {
    const walk = this.#walk;
    if (walk === null) return null;
    try {
      const found = walk.next();
      walk.takeGap(); // Lost messages are counted by their numbers.
      if (!found) return null;
      return storedOf(walk.frame);
    } catch (error) {
      this.#failure = error;
      // The failed message was not filtered. jq filters many at once, so the position is unknown.
      if (this.#isNative) this.#examined = walk.position - 2n;
      walk.close();
      this.#walk = null;
      return null;
    }
  }

  /** Throws the error that ended the walk, once, if there is one. */
  throwFailure(): void {
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure;
  }

  /** Waits for more; see {@linkcode Walk.wait}. */
  async wait(ms: number, signal: AbortSignal | undefined): Promise<boolean> {
    return this.#walk === null || await this.#walk.wait(ms, signal);
  }

  /** Ends the walk and forgets what was read. */
  reset(): void {
    this.#walk?.close();
    this.#walk = null;
    this.#ahead = [];
    this.#aheadBytes = 0;
    this.#failure = null;
    this.#examined = 0n;
  }

  /** Releases everything; ends a wait. */
  close(): void {
    this.#closed = true;
    this.reset();
  }
}
