/**
 * Replays stored messages at their original pace, reading a bounded amount ahead.
 *
 * @module
 */

import type { FrameBytes, Gap } from "../types.ts";
import { FrameQueue } from "./frame_queue.ts";
import type { Walk } from "./types.ts";

/**
 * How many bytes of messages are read ahead, so that a slow replay loses no messages when the ring
 * wraps.
 */
const AHEAD = 16 * 1024 * 1024;
/** The queue is refilled after this many bytes. */
const STEP = 1024 * 1024;

/** The messages of a walk, read ahead. */
export class ReadAhead {
  readonly #walk: Walk;
  readonly #signal: AbortSignal | undefined;
  readonly #held = new FrameQueue();
  #ended = false;
  #failure: { readonly error: unknown } | null = null;

  /**
   * @param walk a walk over stored messages, owned by this object from now on
   * @param signal aborts waits
   */
  constructor(walk: Walk, signal?: AbortSignal) {
    this.#walk = walk;
    this.#signal = signal;
  }

  /**
   * The next message, valid until the next call, or a gap before it; null at the end.
   *
   * @throws {PlasmiteError} errors of reading, after everything before them was returned
   */
  async next(): Promise<FrameBytes | Gap | null> {
    if (!this.#ended && this.#held.bytes < AHEAD - STEP) await this.#fill();
    const one = this.#held.shift();
    if (one === null && this.#failure !== null) throw this.#failure.error;
    return one;
  }

  async #fill(): Promise<void> {
    const walk = this.#walk;
    try {
      while (this.#held.bytes < AHEAD) {
        this.#signal?.throwIfAborted();
        const found = walk.next();
        const gap = walk.takeGap();
        if (gap !== null) this.#held.lost(gap);
        if (found) this.#held.push(walk.frame);
        else if (walk.ended) {
          this.#ended = true;
          return;
        } else await walk.wait(undefined, this.#signal);
      }
    } catch (error) {
      this.#ended = true;
      this.#failure = { error };
    }
  }

  /** Closes the walk. */
  close(): void {
    this.#walk.close();
  }
}

/** The pauses between messages, divided by a speed. */
export class Pace {
  readonly #speed: number;
  #before: bigint | null = null;
  #owed = 0;

  /** @param speed 1 is the original pace, 0 without pauses */
  constructor(speed: number) {
    this.#speed = speed;
  }

  /** The accumulated milliseconds not waited yet. */
  get owed(): number {
    return this.#owed;
  }

  /** The milliseconds between a message and the one before it; 0 for the first. */
  step(timestampNs: bigint): number {
    const before = this.#before;
    this.#before = timestampNs;
    if (before === null || timestampNs <= before || this.#speed === 0) return 0;
    return Number(timestampNs - before) / 1e6 / this.#speed;
  }

  /**
   * How long to wait now, after `ms` more milliseconds. A timer takes at least a millisecond:
   * shorter pauses are accumulated.
   */
  due(ms: number): number {
    this.#owed += ms;
    if (this.#owed < 1) return 0;
    const due = this.#owed;
    this.#owed = 0;
    return due;
  }
}
