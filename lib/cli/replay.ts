/**
 * `follow --replay`: stored messages at their own pace, with a bounded part of them held in advance.
 *
 * @module
 */

import { FrameQueue } from "../backend/frame_queue.ts";
import type { Walk } from "../client/walk.ts";
import { MessageView } from "../lite3/message.ts";
import { startTimer } from "../timers.ts";
import type { MessageWriter } from "./message_writer.ts";
import type { Match } from "./select.ts";
import type { FrameBytes, Gap } from "../types.ts";

/**
 * So many bytes of messages are held, so that a slow replay loses nothing to the ring going round.
 * A selection that is larger is read as it is played.
 */
const AHEAD = 16 * 1024 * 1024;

/** It is filled again when so many bytes of it were played. */
const STEP = 1024 * 1024;

/** A walk through history, and what hands out the messages that wait to be judged at its end. */
export interface HistoryWalk {
  /** The walk. */
  readonly walk: Walk;
  /** True when it is to stop. */
  flush(): boolean;
}

/** What a walk tells of. */
export interface Told {
  /** A selected message; returning true stops the walk. */
  emit(message: Match): boolean;
  /** A loss in front of the next message. */
  lost(gap: Gap): void;
  /** Whether the walk is to stop for now; asked behind each message. */
  enough?(): boolean;
}

/** Plays messages, reading them a little ahead. */
export class Player {
  readonly #walk: Walk;
  readonly #flush: () => boolean;
  readonly #lost: (gap: Gap) => void;
  readonly #held = new FrameQueue();
  readonly #view = new MessageView();
  #ended = false;

  /**
   * @param begin makes the walk whose messages are played
   * @param lost is told of losses when their turn comes
   * @param gone ends pauses and waits
   */
  constructor(
    begin: (told: Told) => HistoryWalk,
    lost: (gap: Gap) => void,
    readonly gone: AbortSignal,
  ) {
    const { walk, flush } = begin({
      emit: ({ frame }) => {
        this.#held.push(frame);
        return false;
      },
      lost: (gap) => this.#held.lost(gap),
      enough: () => this.#held.bytes >= AHEAD,
    });
    this.#walk = walk;
    this.#flush = flush;
    this.#lost = lost;
  }

  /** The next message, when it was read; null at the end. */
  async #next(): Promise<FrameBytes | null> {
    for (;;) {
      if (!this.#ended && this.#held.bytes < AHEAD - STEP) {
        this.#ended = await this.#walk.run(Infinity, this.gone) !== "stopped";
        if (this.#ended) this.#flush();
      }
      const one = this.#held.shift();
      if (one === null || !("first" in one)) return one;
      this.#lost(one);
    }
  }

  /** The held message as a view; valid until the next. */
  #message(frame: FrameBytes): MessageView {
    const { u8, payloadAt, payloadLength, seqLo, seqHi, timeLo, timeHi } = frame;
    const view = this.#view;
    Object.assign(view, { seqLo, seqHi, timeLo, timeHi });
    view.open(u8, new DataView(u8.buffer), payloadAt, payloadLength);
    return view;
  }

  /**
   * Prints everything in its time.
   *
   * @param speed above 0; 1 is the original pace
   * @param limit the longest pause in milliseconds
   * @param one whether the first message is all that is wanted
   * @returns false when a pause would have been longer than `limit`
   */
  async play(
    speed: number,
    limit: number | undefined,
    writer: MessageWriter,
    one: boolean,
  ): Promise<boolean> {
    let before: bigint | undefined;
    let owed = 0;
    for (let frame = await this.#next(); frame !== null; frame = await this.#next()) {
      const at = frame.timestampNs;
      if (before !== undefined && at > before) {
        const ms = Number(at - before) / 1e6 / speed;
        if (limit !== undefined && ms > limit) {
          writer.flush();
          await pause(owed + limit, this.gone);
          return false;
        }
        // A timer takes a millisecond at least: shorter pauses are added up.
        owed += ms;
        if (owed >= 1) {
          writer.flush();
          await pause(owed, this.gone);
          owed = 0;
        }
      }
      before = at;
      writer.write(this.#message(frame), frame);
      if (one) break;
    }
    return true;
  }

  /** Releases what is open. */
  close(): void {
    this.#walk.close();
  }
}

/** Rejects with the signal's reason when it is aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(signal.reason);
    if (signal.aborted) return aborted();
    signal.addEventListener("abort", aborted, { once: true });
    startTimer(() => {
      signal.removeEventListener("abort", aborted);
      resolve();
    }, ms);
  });
}
