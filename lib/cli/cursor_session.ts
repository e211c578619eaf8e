/**
 * One run of a cursor reader: reads and delivers messages and moves the cursor until stopped
 * (docs/spec/coordination.md 2 and 13.6).
 *
 * @module
 */

import type { Cursor } from "../backend/coordination.ts";
import type { Walk } from "../backend/types.ts";
import { PlasmiteError } from "../errors.ts";
import { pause } from "../timers.ts";
import type { Gap } from "../types.ts";
import type { Delivery } from "./cursor_delivery.ts";
import type { CursorPlan } from "./cursor_open.ts";
import type { DropNotices } from "./drops.ts";

/** Minimum interval between moving the cursor past non-matching messages, in milliseconds. */
const PASS_EVERY = 100;
/** How long writing messages may delay signals, in milliseconds. */
const TURN_EVERY = 50;
/** How often the pool is compared with the cursor, in milliseconds. */
const CHECK_EVERY = 1000;
/** Minimum time to wait for history from a server, in milliseconds. */
const HISTORY_PATIENCE = 5_000;

/** The parameters of a run. */
export interface SessionOptions {
  readonly plan: CursorPlan;
  /** Whether to wait for new messages. */
  readonly follow: boolean;
  /** The maximum number of messages to deliver. */
  readonly limit: number;
  /** How long to wait for a message, in milliseconds. */
  readonly timeoutMs: number;
  readonly notify: boolean;
  /** Called once per outage. */
  readonly onTrouble: (error: Error) => void;
  /** Aborted when the run must end immediately. */
  readonly halt: AbortSignal;
}

/** How a run ended on its own. */
export type SessionEnd = "complete" | "timeout";

/** One run. */
export class CursorSession {
  /** The number of messages delivered. */
  count = 0;
  readonly #cursor: Cursor;
  readonly #delivery: Delivery;
  readonly #drops: DropNotices;
  readonly #options: SessionOptions;
  /** Whether a message has been found but not yet delivered. */
  #hasFound = false;
  #turnAt = performance.now();
  #passedAt = -Infinity;
  #checkedAt = performance.now();
  /** When the last message was delivered. */
  #last = performance.now();

  /** Prepares a run; the caller owns the cursor and the notices. */
  constructor(cursor: Cursor, delivery: Delivery, drops: DropNotices, options: SessionOptions) {
    this.#cursor = cursor;
    this.#delivery = delivery;
    this.#drops = drops;
    this.#options = options;
  }

  /** Reads until the run ends; rejects with the reason of a halt. */
  async run(): Promise<SessionEnd> {
    const { follow, halt, limit, notify, onTrouble, plan: { tags, where } } = this.#options;
    if (limit === 0) return "complete";
    const walk = await this.#cursor.select({ follow, tags, where, notify, onTrouble });
    try {
      const end = await this.#read(walk);
      await this.#pass(walk);
      return end;
    } catch (error) {
      if (!halt.aborted) await this.#delivery.flush(); // Deliver what precedes an error.
      else if (error === halt.reason) await this.#pass(walk);
      throw error;
    } finally {
      walk.close();
    }
  }

  async #read(walk: Walk): Promise<SessionEnd> {
    const { halt, limit, timeoutMs } = this.#options;
    const delivery = this.#delivery;
    const { newest, oldest } = walk.start;
    // Existing messages may still be in transit; the time-out starts after them.
    let arriving = oldest !== 0n && this.#cursor.seq < newest;
    let looked = walk.looked;
    const patience = timeoutMs === Infinity ? Infinity : Math.max(timeoutMs, HISTORY_PATIENCE);
    const left = (): number => this.#last + (arriving ? patience : timeoutMs) - performance.now();
    for (;;) {
      halt.throwIfAborted();
      if (delivery.isFull) {
        await delivery.flush();
        // An acknowledgement may have arrived during the write; it is not signalled again.
        halt.throwIfAborted();
        if (!delivery.isFull) continue;
        if (left() <= 0) return "timeout";
        await delivery.acknowledged(left());
        continue;
      }
      if (await this.#next(walk)) {
        if (this.count === limit) break;
        continue;
      }
      await delivery.flush();
      if (walk.ended) break;
      if (arriving) {
        if (walk.looked !== looked) this.#last = performance.now();
        looked = walk.looked;
        arriving = walk.position <= newest;
      }
      await this.#idle(walk);
      const ms = left();
      if (ms <= 0) return "timeout";
      await walk.wait(Math.min(ms, CHECK_EVERY), halt);
    }
    await delivery.flush();
    // Manual acknowledgements are accepted until then.
    while (this.#cursor.pending > 0) {
      halt.throwIfAborted();
      if (left() <= 0) return "timeout";
      await delivery.acknowledged(left());
    }
    return "complete";
  }

  /** Delivers the next available messages; returns false if there are none. */
  async #next(walk: Walk): Promise<boolean> {
    const { limit } = this.#options;
    const before = this.count;
    // Yielding to the event loop for every message would be too slow.
    while (this.count < limit && !this.#delivery.isFull) {
      const found = walk.next();
      const gap = walk.takeGap();
      this.#hasFound = found;
      if (gap !== null) await this.#lost(gap);
      if (!found) break;
      const waiting = this.#delivery.take(walk);
      this.#hasFound = false;
      this.count++;
      if (waiting !== undefined) {
        await waiting;
        await this.#turn();
        break;
      }
    }
    if (this.count > before) this.#last = performance.now();
    return this.count > before;
  }

  async #lost(gap: Gap): Promise<void> {
    if (!this.#options.plan.errorOnGap) return this.#drops.lost(gap);
    await this.#delivery.flush();
    const count = gap.last - gap.first + 1n;
    throw new PlasmiteError(
      "RetentionGap",
      `${count} message${count === 1n ? " was" : "s were"} overwritten before they were read`,
      {
        seq: gap.first,
        hint: "The cursor stays where it is. Set it to go on, or leave out --error-on-gap.",
        details: { cursor: this.#cursor.name },
      },
    );
  }

  /** Yields periodically so that signals and input are handled even at full speed. */
  async #turn(): Promise<void> {
    if (performance.now() - this.#turnAt < TURN_EVERY) return;
    await pause(0);
    this.#turnAt = performance.now();
  }

  /** Moves the cursor past non-matching messages. */
  async #pass(walk: Walk): Promise<void> {
    if (!this.#hasFound && !this.#delivery.isHolding) await this.#cursor.pass(walk.position);
  }

  /** Periodically moves the cursor past non-matching messages and compares it with the pool. */
  async #idle(walk: Walk): Promise<void> {
    this.#drops.due();
    const now = performance.now();
    if (now - this.#passedAt >= PASS_EVERY) {
      this.#passedAt = now;
      await this.#pass(walk);
    }
    if (now - this.#checkedAt >= CHECK_EVERY) {
      this.#checkedAt = now;
      await this.#cursor.check();
    }
  }
}
