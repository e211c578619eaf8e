/**
 * A bounded read: the messages from one number to another, in order, local or remote. It waits for
 * what is on its way, knows when what it waits for is gone, and holds nothing in memory.
 *
 * @module
 */

import type { FrameSource, PoolReader } from "../backend/source.ts";
import type { Gap } from "../types.ts";

/** How long to wait for messages that should be there, in milliseconds, before asking for bounds. */
export const LOOK_EVERY = 100;
/** After so many waits without a message the bounds are asked for as well. */
const LOOKS = 32;

/** What a walk calls on its way. */
export interface Visitor {
  /** Is given each message; returning true stops the walk behind it. */
  visit(source: FrameSource): boolean;
  /** Messages were lost in front of the next one. */
  gap(gap: Gap): void;
  /** Nothing more is here at the moment; returning true stops the walk. */
  idle?(): boolean;
}

/** How a walk ended: behind the last message, because it was told to stop, or for want of time. */
export type Ended = "end" | "stopped" | "late";

/** Whether everything up to `until` is gone: the ring was emptied under the reader. */
export async function emptied(reader: PoolReader, until: bigint): Promise<boolean> {
  const { oldest, newest } = await reader.bounds();
  // A server tells no newest number of an empty pool.
  return oldest === 0n && (newest >= until || newest === 0n);
}

/** One bounded read. */
export class Walk {
  readonly #reader: PoolReader;
  readonly #until: bigint;
  readonly #visitor: Visitor;
  #source: FrameSource | null = null;
  #expected: bigint;

  /** Nothing is opened before {@linkcode Walk.run}. */
  constructor(reader: PoolReader, from: bigint, until: bigint, visitor: Visitor) {
    this.#reader = reader;
    this.#until = until;
    this.#visitor = visitor;
    this.#expected = from;
  }

  /**
   * Goes on until the end, or until the visitor stops it; then it can be called again.
   *
   * @param deadline when to give up, by `performance.now()`
   * @throws {PlasmiteError} what reading throws; the signal's reason when it is aborted in a wait
   */
  async run(deadline = Infinity, signal?: AbortSignal): Promise<Ended> {
    const until = this.#until;
    if (this.#expected > until) return "end";
    const source = this.#source ??= this.#reader.open(this.#expected, false, until);
    for (let quiet = 0;;) {
      if (deadline < Infinity && performance.now() >= deadline) return "late";
      if (!source.next()) {
        if (this.#visitor.idle?.() === true) return "stopped";
        if (await source.wait(LOOK_EVERY, signal) && ++quiet % LOOKS !== 0) continue;
        if (!await emptied(this.#reader, until)) continue;
        this.#lost({ first: this.#expected, last: until });
        return "end";
      }
      const gap = source.takeGap();
      if (gap !== null && gap.first <= until) this.#lost(gap);
      const { seq } = source.cursor;
      this.#expected = seq + 1n;
      const stopped = seq <= until && this.#visitor.visit(source);
      if (seq >= until) return "end";
      if (stopped) return "stopped";
    }
  }

  #lost({ first, last }: Gap): void {
    const until = this.#until;
    this.#visitor.gap({ first, last: last < until ? last : until });
    this.#expected = last + 1n;
  }

  /** Releases what it has open. */
  close(): void {
    this.#source?.close();
  }
}
