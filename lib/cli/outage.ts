/**
 * What commands that run until they are stopped do while a server is away: they try again. Loaded
 * only for pools on servers.
 *
 * @module
 */

import type { Cursor, CursorSelection } from "../backend/coordination.ts";
import { isTransient } from "../backend/http/error.ts";
import type { StoredFrame, Walk } from "../backend/types.ts";
import { ErrorKind, PlasmiteError } from "../errors.ts";
import { pause } from "../timers.ts";
import type { Awaitable } from "../types.ts";

/** Delays between attempts, in milliseconds. */
const FIRST_PAUSE = 250;
const LAST_PAUSE = 5_000;

/** Whether a server may be reached later; what is wrong with certificates, say, stays so. */
export function isUnreachable(error: unknown): error is PlasmiteError {
  if (!PlasmiteError.is(error)) return false;
  const isKind = error.kind === ErrorKind.Io || error.kind === ErrorKind.Busy;
  return isKind && (error.topic === undefined || error.topic === "nats timeout");
}

/** Whether a server may do later what it did not do now. */
function isOutage(error: unknown): error is PlasmiteError {
  if (!PlasmiteError.is(error)) return false;
  return "status" in error ? isTransient(error) : isUnreachable(error);
}

/** Repeats calls of a server while it is away. */
export class OutagePatience {
  readonly #signal: AbortSignal;
  readonly #onTrouble: (error: PlasmiteError) => void;
  #isTold = false;
  /** Whether it tries again after an error. */
  readonly covers: (error: unknown) => error is PlasmiteError;

  /**
   * @param signal aborted when nothing may be repeated any more
   * @param onTrouble called once per outage
   * @param covers what is an outage
   */
  constructor(
    signal: AbortSignal,
    onTrouble: (error: PlasmiteError) => void,
    covers: (error: unknown) => error is PlasmiteError = isOutage,
  ) {
    this.#signal = signal;
    this.#onTrouble = onTrouble;
    this.covers = covers;
  }

  /**
   * Calls `work` until it succeeds, fails for another reason, or the time is up.
   *
   * @param mostMs how long to try again, in milliseconds
   */
  async run<T>(work: () => Awaitable<T>, mostMs = Infinity): Promise<T> {
    const since = performance.now();
    for (let pauseMs = FIRST_PAUSE;; pauseMs = Math.min(2 * pauseMs, LAST_PAUSE)) {
      try {
        const done = await work();
        this.#isTold = false;
        return done;
      } catch (error) {
        const left = mostMs - (performance.now() - since);
        if (!this.covers(error) || left <= 0 || this.#signal.aborted) throw error;
        if (!this.#isTold) this.#onTrouble(error);
        this.#isTold = true;
        await pause(Math.min(pauseMs, left), this.#signal).catch(() => {}); // See the next line.
        if (this.#signal.aborted) throw error;
      }
    }
  }
}

/** A cursor on a server that may be away for a while. */
export class PatientCursor implements Cursor {
  readonly #cursor: Cursor;
  readonly #patience: OutagePatience;

  /** Owns the cursor. */
  constructor(cursor: Cursor, patience: OutagePatience) {
    this.#cursor = cursor;
    this.#patience = patience;
  }

  get name(): string {
    return this.#cursor.name;
  }

  get isNew(): boolean {
    return this.#cursor.isNew;
  }

  get seq(): bigint {
    return this.#cursor.seq;
  }

  get pending(): number {
    return this.#cursor.pending;
  }

  select(selection?: CursorSelection): Promise<Walk> {
    return this.#patience.run(() => this.#cursor.select(selection));
  }

  deliver(seq: bigint, timestampNs: bigint): void {
    this.#cursor.deliver(seq, timestampNs);
  }

  ack(seq: bigint): Promise<boolean> {
    return this.#patience.run(() => this.#cursor.ack(seq));
  }

  bury(message: StoredFrame, dead?: string): Promise<void> {
    return this.#patience.run(() => this.#cursor.bury(message, dead));
  }

  pass(before: bigint): Promise<void> {
    return later(() => this.#cursor.pass(before));
  }

  check(): Promise<void> {
    return later(() => this.#cursor.check());
  }

  close(): Promise<void> {
    return later(() => this.#cursor.close());
  }
}

/**
 * Does what may as well be done later: what was delivered is acknowledged, and passing other
 * messages, or looking whether the pool is the same, is done again all the time.
 */
async function later(work: () => Awaitable<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isOutage(error)) throw error;
  }
}
