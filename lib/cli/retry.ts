/**
 * `--retry`: repeats what stored nothing and may succeed later (docs/spec/command-line.md 2.6).
 * Loaded only if it is used.
 *
 * @module
 */

import type { AppendRequest, PoolHandle } from "../backend/types.ts";
import { PlasmiteError } from "../errors.ts";
import type { FrameBatch } from "../pool/batch.ts";
import { pause } from "../timers.ts";
import type { Awaitable } from "../types.ts";

/** The time from which on a response counts as waiting, in milliseconds. */
const PATIENCE = 500;

/** The number of attempts, and their total time. */
export function retriesTold(tried: number, waitedMs: number): string {
  const waited = waitedMs < 1000 ? `${Math.round(waitedMs)}ms` : `${(waitedMs / 1000).toFixed(1)}s`;
  return `Retry attempts: ${tried} (waited ${waited}).`;
}

function tired(error: PlasmiteError, told: string): PlasmiteError {
  return error.withHint(error.hint === undefined ? told : `${error.hint} ${told}`);
}

/** How often to retry, and after which pause. */
export class Retries {
  readonly #attempts: number;
  readonly #delayMs: number;

  /**
   * @param attempts the number of retries
   * @param delayMs the pause before each, in milliseconds
   */
  constructor(attempts: number, delayMs: number) {
    this.#attempts = attempts;
    this.#delayMs = delayMs;
  }

  /**
   * Runs `work`, and again if it failed without an effect; the error of the last attempt tells how
   * many there were.
   *
   * @param isIdempotent whether to repeat it even if it may have had an effect
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
        // An immediate "busy" was not a wait.
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
   * Stores all frames of a batch in order, and continues after the stored ones when it retries.
   * Attempts are counted per message: progress starts a new count.
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
          // The rest gets a new count.
          if (next > from && PlasmiteError.is(error) && error.isRepeatable) return;
          throw error;
        }
      });
    }
  }
}
