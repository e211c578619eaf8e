/**
 * `--retry`: doing again what stored nothing and may succeed later (docs/spec/command-line.md 2.6).
 * Loaded only where it was asked for.
 *
 * @module
 */

import type { AppendRequest, PoolHandle } from "../backend/types.ts";
import { PlasmiteError } from "../errors.ts";
import type { FrameBatch } from "../pool/batch.ts";
import { pause } from "../timers.ts";
import type { Awaitable } from "../types.ts";

/** From how many milliseconds on an answer counts as one that was waited for. */
const PATIENCE = 500;

/** How often something was tried, and how long all of that took. */
export function retriesTold(tried: number, waitedMs: number): string {
  const waited = waitedMs < 1000 ? `${Math.round(waitedMs)}ms` : `${(waitedMs / 1000).toFixed(1)}s`;
  return `Retry attempts: ${tried} (waited ${waited}).`;
}

function tired(error: PlasmiteError, told: string): PlasmiteError {
  return error.withHint(error.hint === undefined ? told : `${error.hint} ${told}`);
}

/** How often to try again, and how long to wait before. */
export class Retries {
  readonly #attempts: number;
  readonly #delayMs: number;

  /**
   * @param attempts how many more there may be
   * @param delayMs the pause in front of each, in milliseconds
   */
  constructor(attempts: number, delayMs: number) {
    this.#attempts = attempts;
    this.#delayMs = delayMs;
  }

  /**
   * Does `work`, again when it failed without an effect; the error of the last attempt says how
   * many there were.
   *
   * @param isIdempotent whether it may be repeated too if it is unknown whether it had an effect
   */
  async run<T>(work: () => Awaitable<T>, isIdempotent = false): Promise<T> {
    let waited = 0;
    for (let tried = 1;; tried++) {
      const began = performance.now();
      try {
        return await work();
      } catch (error) {
        if (!PlasmiteError.is(error)) throw error;
        if (!error.isRepeatable && !(isIdempotent && error.outcomeUnknown)) throw error;
        // What says at once that it is busy has not been waited for.
        const took = performance.now() - began;
        if (took >= PATIENCE) waited += took;
        if (tried > this.#attempts) {
          throw tried === 1 ? error : tired(error, retriesTold(tried, waited));
        }
        await pause(this.#delayMs);
        waited += this.#delayMs;
      }
    }
  }

  /**
   * Stores all frames of a batch in order, and goes on behind what is stored when it has to try
   * again. Attempts are counted for each message: progress begins a new count.
   */
  async append(pool: PoolHandle, batch: FrameBatch, request: AppendRequest): Promise<void> {
    let next = 0;
    while (next < batch.count) {
      const from = next;
      await this.run(async () => {
        try {
          await pool.append(batch, {
            ...request,
            from,
            stored: (at, count, first) => {
              next = at + count;
              request.stored(at, count, first);
            },
          });
        } catch (error) {
          // The rest begins again with a count of its own.
          if (next > from && PlasmiteError.is(error) && error.isRepeatable) return;
          throw error;
        }
      });
    }
  }
}
