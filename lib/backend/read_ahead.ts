/**
 * Playing stored messages at their own pace: what is to be played is read a bounded part ahead.
 *
 * @module
 */

import type { FrameBytes, Gap } from "../types.ts";
import { FrameQueue } from "./frame_queue.ts";
import type { Walk } from "./types.ts";

/**
 * So many bytes of messages are held, so that a slow replay loses nothing to the ring going round.
 * A selection that is larger is read as it is played.
 */
const AHEAD = 16 * 1024 * 1024;
/** The queue is filled again when so many bytes of it were played. */
const STEP = 1024 * 1024;

/** The messages of a walk, held in advance. */
export class ReadAhead {
  readonly #walk: Walk;
  readonly #signal: AbortSignal | undefined;
  readonly #held = new FrameQueue();
  #ended = false;
  #failure: { readonly error: unknown } | null = null;

  /**
   * @param walk over messages that are there; it is the reader's own now
   * @param signal ends waits
   */
  constructor(walk: Walk, signal?: AbortSignal) {
    this.#walk = walk;
    this.#signal = signal;
  }

  /**
   * The next message, valid until the next call, or a loss in front of it; null at the end.
   *
   * @throws {PlasmiteError} what reading throws, once everything before it was given out
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

  /** Releases what is open. */
  close(): void {
    this.#walk.close();
  }
}

/** The pauses between messages, divided by a speed. */
export class Pace {
  readonly #speed: number;
  #before: bigint | null = null;
  #owed = 0;

  /** @param speed above 0; 1 is the original pace */
  constructor(speed: number) {
    this.#speed = speed;
  }

  /** Milliseconds that were not waited yet. */
  get owed(): number {
    return this.#owed;
  }

  /** How many milliseconds a message comes behind the one before it; 0 for the first. */
  step(timestampNs: bigint): number {
    const before = this.#before;
    this.#before = timestampNs;
    if (before === null || timestampNs <= before) return 0;
    return Number(timestampNs - before) / 1e6 / this.#speed;
  }

  /**
   * How long to wait now, after so many milliseconds more. A timer takes a millisecond at least:
   * shorter pauses are added up.
   */
  due(ms: number): number {
    this.#owed += ms;
    if (this.#owed < 1) return 0;
    const due = this.#owed;
    this.#owed = 0;
    return due;
  }
}
